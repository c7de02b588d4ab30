"""Requests on the high side: asked, approved by two as one reviewed list, refused, exported, looked after."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from lockgate.app.gate.decisions import Decision, ask, decided, spend
from lockgate.app.gate.gate import open_gate
from lockgate.app.high.channel import CHANNEL, channel_file, channel_reader
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, utc_now
from lockgate.approve.errors import StatementChangedError
from lockgate.core.digests import sha256
from lockgate.core.errors import InputError, LimitError, PolicyError
from lockgate.core.sequence import FINAL
from lockgate.core.statement import Operation
from lockgate.core.wire import Document, checked, decode, encode, whole_second
from lockgate.core.wish import Wish, WishState, meets, plain_purl
from lockgate.store import Transaction
from lockgate.trust.keys import Signer

WISHES = "wish"
"""Records of the high side: requests by number."""

SIGNED = "wish-signed"
"""Records of the high side: the signed list that each approval made, by its digest."""

LIST_FORMAT = "lockgate-requests/1"

WISH_LIMIT = 10_000
"""How many requests are kept; refused ones count, so that what was refused is remembered."""

LIST_LIMIT = 500
"""How many requests one list may name: two people have to read it."""


class SignedLists(Document, frozen=True):
    """What leaves: each list as approvers signed it (an envelope in base64)."""

    format: str
    lane: str
    lists: Annotated[tuple[str, ...], msgspec.Meta(max_length=10_000)]


class NoSuchWishError(InputError):
    """There is no request with this number."""

    code = "LG-1f72"
    advice = "`lockgate request list` shows the numbers."


class TooManyWishesError(LimitError):
    """There are as many requests as are kept, or more than two people can read at once."""

    code = "LG-4f70"
    advice = "Approve or refuse what is open, a few at a time."


class WishDecidedError(PolicyError):
    """A request was decided already, or changed since approvers read it."""

    code = "LG-3f70"
    advice = "`lockgate request show` tells what became of it; ask anew where it is still wanted."


@dataclass(frozen=True, slots=True)
class Standing:
    """A request and how far it came; `crossing` brought it, where one did."""

    wish: Wish
    state: WishState
    crossing: int = 0


def make_wish(side: Side, purl: str, reason: str, owner: str) -> Wish:
    """Keep a request.

    Raises:
        WishError: It names no package in plain form.
        TooManyWishesError: There are too many.
        MalformedDocumentError: Reason or owner is empty or too long.

    """
    plain = plain_purl(purl)
    log = audit_log(side)
    intent = log.intent("request", purl=plain)
    records = records_of(side)
    with records.transaction() as tx:
        known = _wishes(tx)
        if len(known) >= WISH_LIMIT:
            what = f"There are {len(known)} requests; at most {WISH_LIMIT} are kept."
            raise TooManyWishesError(what, limit="WISH_LIMIT")
        number = max(known, default=0) + 1
        wish = Wish(number=number, purl=plain, reason=reason, owner=owner, created=whole_second(utc_now()))
        _put(tx, checked(Wish, msgspec.to_builtins(wish)))
    records.close()
    log.outcome(intent, "done", number=number)
    return wish


def standings(side: Side) -> list[Standing]:
    """Return every request and how far it came, by number."""
    records = records_of(side)
    with records.transaction() as tx:
        wishes = _wishes(tx)
    records.close()
    served, waiting = _served(side), _waiting(side)
    return [_standing(wish, served, waiting) for _, wish in sorted(wishes.items())]


def standing(side: Side, number: int) -> Standing:
    """Return one request.

    Raises:
        NoSuchWishError: There is none with this number.

    """
    found = next((one for one in standings(side) if one.wish.number == number), None)
    if found is None:
        what = f"There is no request {number}."
        raise NoSuchWishError(what)
    return found


def ask_to_approve(side: Side, numbers: Sequence[int], requester: Signer) -> bytes:
    """Return the list that approvers read and sign: package URLs and nothing else.

    Raises:
        NoSuchWishError, WishDecidedError: A number.
        TooManyWishesError: More than two people can read at once.

    """
    records = records_of(side)
    with records.transaction() as tx:
        wishes = [_open(tx, number) for number in numbers]
    records.close()
    return ask(side, Operation.REQUESTS, facts_of(wish.purl for wish in wishes), requester)


def facts_of(purls: Iterable[str]) -> Mapping[str, str]:
    """Return what is signed: each package once, in order, so that the list can say nothing besides.

    Raises:
        TooManyWishesError: More than `LIST_LIMIT`.

    """
    listed = sorted(set(purls))
    if not 0 < len(listed) <= LIST_LIMIT:
        what = f"A list names 1 to {LIST_LIMIT} packages; this one would name {len(listed)}."
        raise TooManyWishesError(what, limit="LIST_LIMIT")
    return {f"package {number:03d}": purl for number, purl in enumerate(listed, 1)}


def purls_in(facts: Mapping[str, str]) -> list[str]:
    """Return the packages of a list, which may say nothing else.

    Raises:
        StatementChangedError: It says something besides, or says it in another way.
        WishError: It names something that is no plain package URL.

    """
    purls = [plain_purl(purl) for purl in facts.values()]
    if dict(facts) != facts_of(purls):
        raise StatementChangedError("The list says more than its packages.")
    return purls


def approve_wishes(side: Side, signed: Sequence[Path]) -> tuple[Decision, list[Wish]]:
    """Approve every open request for what enough approvers signed, and keep the signed list.

    Raises:
        WishDecidedError: None of the packages is requested any more.
        StatementChangedError, WishError: The list says more than its packages.
        ApprovalSpentError: Used before.
        LockgateError: Too few approvers, expired, or see `approve.judge`.

    """
    decision = decided(side, Operation.REQUESTS, signed)
    listed, digest = set(purls_in(decision.facts)), sha256(decision.envelope)
    log = audit_log(side)
    intent = log.intent("approve-requests", approvers=sorted(decision.approvers), statement=digest)
    records, now = records_of(side), whole_second(utc_now())
    with records.transaction() as tx:
        wishes = [w for w in _wishes(tx).values() if w.state is WishState.REQUESTED and w.purl in listed]
        if not wishes:
            log.outcome(intent, "refused", code=WishDecidedError.code)
            raise WishDecidedError("None of these packages is requested any more.")
        spend(tx, decision.statement)
        done = [
            msgspec.structs.replace(w, state=WishState.APPROVED, decided=now, statement_sha256=digest)
            for w in wishes
        ]
        for wish in done:
            _put(tx, wish)
        tx.insert(SIGNED, digest, decision.envelope)
    records.close()
    log.outcome(intent, "done", requests=len(done))
    return decision, done


def refuse_wish(side: Side, number: int, reason: str, operator: Signer) -> Wish:
    """Refuse an open request, with a reason that its owner reads.

    Raises:
        NoSuchWishError, WishDecidedError: The number.

    """
    log = audit_log(side)
    intent = log.intent("refuse-request", number=number, operator=operator.person)
    records = records_of(side)
    with records.transaction() as tx:
        wish = msgspec.structs.replace(
            _open(tx, number),
            state=WishState.REFUSED,
            decided=whole_second(utc_now()),
            refusal=f"{reason} ({operator.person})",
        )
        _put(tx, wish)
    records.close()
    log.outcome(intent, "done", number=number)
    return wish


def signed_lists(side: Side) -> tuple[bytes, ...]:
    """Return the signed lists with an approved request that is not available yet."""
    wanted = {
        one.wish.statement_sha256
        for one in standings(side)
        if one.wish.state is WishState.APPROVED and one.state is not WishState.AVAILABLE
    }
    records = records_of(side)
    with records.transaction() as tx:
        found = [tx.get(SIGNED, digest) for digest in sorted(wanted)]
    records.close()
    return tuple(envelope for envelope in found if envelope is not None)


def exported(side: Side) -> tuple[bytes, int]:
    """Return what leaves, and how many signed lists it holds."""
    lists = [base64.b64encode(envelope).decode() for envelope in signed_lists(side)]
    log = audit_log(side)
    data = encode(SignedLists(format=LIST_FORMAT, lane=side.lane, lists=tuple(lists)))
    log.outcome(log.intent("export-requests", lists=len(lists)), "done", sha256=sha256(data))
    return data, len(lists)


def _standing(wish: Wish, served: Mapping[str, int], waiting: Mapping[str, int]) -> Standing:
    if wish.state is WishState.REFUSED:
        return Standing(wish, wish.state)
    for state, there in ((WishState.AVAILABLE, served), (WishState.INSPECTING, waiting)):
        for purl, crossing in there.items():
            if meets(wish.purl, purl):
                return Standing(wish, state, crossing)
    return Standing(wish, wish.state)


def _served(side: Side) -> Mapping[str, int]:
    """Return what the channel serves, as its approvers signed it; nothing before the first publication."""
    if not channel_file(side, CHANNEL).is_file():
        return {}
    snapshot = channel_reader(side, "request").current().snapshot
    return {a.artifact.purl: a.crossing for a in snapshot.admitted}


def _waiting(side: Side) -> Mapping[str, int]:
    gate = open_gate(side)
    open_ = [c for c in gate.crossings() if c.state not in FINAL]
    return {a.purl: c.sequence for c in open_ for a in gate.lock(c).artifacts}


def _wishes(tx: Transaction) -> dict[int, Wish]:
    found = (decode(Wish, value, name="request") for _, value in tx.scan(WISHES))
    return {wish.number: wish for wish in found}


def _open(tx: Transaction, number: int) -> Wish:
    wish = _wishes(tx).get(number)
    if wish is None:
        what = f"There is no request {number}."
        raise NoSuchWishError(what)
    if wish.state is not WishState.REQUESTED:
        what = f"Request {number} is {wish.state} already."
        raise WishDecidedError(what)
    return wish


def _put(tx: Transaction, wish: Wish) -> None:
    tx.put(WISHES, f"{wish.number:06d}", encode(wish))
