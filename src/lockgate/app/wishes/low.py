"""Requests on the low side: the reviewed list checked through the pinned site root, and how far each came."""

import base64
from dataclasses import dataclass, replace
from pathlib import Path

from lockgate.app.crossing.collect import NotCollectedError, current_lock
from lockgate.app.crossing.custody import CHAIN_SUFFIX, check_chain
from lockgate.app.files import read_named, write_whole
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import audit_log, site_root
from lockgate.app.wishes.high import LIST_FORMAT, SignedLists, purls_in
from lockgate.approve import judge, read_statement
from lockgate.approve.errors import StatementChangedError
from lockgate.core.artifact import Artifact
from lockgate.core.digests import sha256
from lockgate.core.errors import MalformedDocumentError, TrustError
from lockgate.core.policy import Policy
from lockgate.core.statement import NOTHING, Operation
from lockgate.core.wire import decode
from lockgate.core.wish import WishState, meets
from lockgate.crossing.bases import Contents
from lockgate.crossing.ledger import RecordSealLedger
from lockgate.crossing.ports import Sent, Standing

LIST_LIMIT = 16 << 20
"""Longest file of signed lists that is read, in bytes."""


class OtherLaneError(TrustError):
    """A list of requests was made for another lane."""

    code = "LG-2f70"
    advice = "Ask the high side of this lane for its list."


@dataclass(frozen=True, slots=True)
class Wanted:
    """One package of the reviewed lists, and how far this side knows it came; `crossing` carries it."""

    purl: str
    state: WishState
    crossing: int = 0
    last_known: str = ""


def read_lists(side: Side, data: bytes) -> list[str]:
    """Return the packages of signed lists, each list judged by the pinned site root.

    The approvals were good when they were made: a list may be older than they would hold today.

    Raises:
        OtherLaneError: Made for another lane.
        MalformedDocumentError, NotCanonicalError: Not such a file.
        LockgateError: A signature, too few approvers; see `approve.judge`.

    """
    lists = decode(SignedLists, data, limit=LIST_LIMIT, name="list of requests")
    if lists.format != LIST_FORMAT:
        what = f"The list has the format {lists.format[:80]!r}, which this version does not read."
        raise MalformedDocumentError(what)
    if lists.lane != side.lane:
        what = f"The list is of lane {lists.lane[:80]!r}, this side is on {side.lane!r}."
        raise OtherLaneError(what)
    with audit_log(side).recorded("read-requests", lists=sha256(data)) as done:
        found = {purl for text in lists.lists for purl in _judged(side, text)}
        done["packages"] = len(found)
    return sorted(found)


def is_signed_lists(data: bytes) -> bool:
    """Tell whether a file is one of signed lists, and not a plain list of wanted packages."""
    return data.startswith(b'{"format":"lockgate-requests/')


def take_lists(side: Side, data: bytes) -> list[Wanted]:
    """Check signed lists, keep them as this side's newest, and return how far each package came.

    Raises:
        LockgateError: See `read_lists`; what was kept before stays.

    """
    purls = read_lists(side, data)
    write_whole(_kept(side), data)
    return progress_of(side, purls)


def kept_lists(side: Side) -> list[Wanted]:
    """Return how far each package of the newest signed lists came, which are judged again."""
    file = _kept(side)
    return progress_of(side, read_lists(side, read_named(file, limit=LIST_LIMIT))) if file.is_file() else []


def _kept(side: Side) -> Path:
    return side.home.locks / "requests.json"


def progress_of(side: Side, purls: list[str]) -> list[Wanted]:
    """Return how far each package came as this side knows it; the far side's part is what a receipt said."""
    try:
        collected = current_lock(side).lock.artifacts
    except NotCollectedError:
        collected = ()
    records = records_of(side)
    ledger, blobs = RecordSealLedger(records), blobs_of(side)
    sent = ledger.sent()
    carried = {
        number: frozenset(decode(Contents, blobs.read(digest), name="contents").files.values())
        for number, digest in ledger.contents().items()
    }
    records.close()
    found = [_progress(purl, collected, carried, sent) for purl in purls]
    return [_with_custody(side, one) for one in found]


def _with_custody(side: Side, one: Wanted) -> Wanted:
    """Return the same, or that its crate was handed over, where a chain beside the crate says so."""
    if one.state is not WishState.SEALED:
        return one
    for file in side.home.outbox.glob(f"crate-{one.crossing:06d}-*{CHAIN_SUFFIX}"):
        steps = check_chain(side, read_named(file))
        if steps and steps[-1].handover.crossing == one.crossing:
            return replace(one, state=WishState.IN_CUSTODY)
    return one


def _judged(side: Side, text: str) -> list[str]:
    try:
        envelope = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise MalformedDocumentError("A list of requests is not in base64.") from error
    site = site_root(side, None)
    policy = site.policy or Policy()
    made = read_statement(envelope).created
    statement, _ = judge(envelope, site, made, need=policy.approvers)
    if statement.operation is not Operation.REQUESTS:
        what = f"The statement is {statement.subject}, not a list of requests."
        raise StatementChangedError(what)
    return purls_in(statement.facts or {})


def _progress(
    purl: str,
    collected: tuple[Artifact, ...],
    carried: dict[int, frozenset[str]],
    sent: dict[int, Sent],
) -> Wanted:
    held = [artifact for artifact in collected if meets(purl, artifact.purl)]
    if not held:
        return Wanted(purl, WishState.APPROVED)
    for number in sorted(carried, reverse=True):
        if any({file.sha256 for file in one.files} <= carried[number] for one in held):
            said = sent.get(number)
            published = said is not None and said.snapshot_sha256 != NOTHING
            state = WishState.AVAILABLE if published else WishState.SEALED
            known = said.standing if said is not None else Standing.UNACKNOWLEDGED
            return Wanted(purl, state, number, str(known))
    return Wanted(purl, WishState.COLLECTED)
