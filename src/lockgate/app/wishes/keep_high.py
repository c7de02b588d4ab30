"""Keep lists on the high side: asked for, approved by two apart, exported; one for each crossing."""

from collections.abc import Sequence
from pathlib import Path

from lockgate.app.crossing.leaving import Leaving, from_hex
from lockgate.app.gate.gate import open_gate
from lockgate.app.keys import KeyPlace
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, signer_from, site_root, utc_now
from lockgate.core.artifact import Lock
from lockgate.core.digests import sha256
from lockgate.core.errors import InputError, LimitError, PolicyError
from lockgate.core.keep import ARTIFACTS_LIMIT, KEEP_TYPE, KeepFormError, KeepList, read_keep
from lockgate.core.roots import Purpose, Root
from lockgate.core.wire import Document, encode
from lockgate.crossing.ledger import ledger_key
from lockgate.crossing.receipts import judge_signed, pack_receipt
from lockgate.trust.dsse import sign

REQUEST_FORMAT = "lockgate-keep-request/1"
REQUEST_TYPE = "application/vnd.lockgate.keep-request+json"
REQUEST_LIMIT = 128 << 20
"""Longest request that is read, in bytes: it carries the lock, so that approvers see names."""

KEEP = Leaving("keep list", KEEP_TYPE, REQUEST_TYPE, REQUEST_LIMIT, "lockgate-keep-approval/1")
KEEPS = "keep"
"""Records of the high side: the one keep list of each crossing."""


class NotInLockError(InputError):
    """A package that is to be dropped is not in the crossing's lock."""

    code = "LG-1f73"
    advice = "Name package URLs exactly as `lockgate gate show N` does."


class KeepMadeError(PolicyError):
    """A crossing has another keep list already, or its lock is not held."""

    code = "LG-3f71"
    advice = "A crossing has one keep list; say what else is not wanted in the next crossing's."


class LockTooLongError(LimitError):
    """A lock has more artifacts than a keep list speaks of."""

    code = "LG-4f71"
    advice = "Split the manifest, so that a lock has fewer artifacts."


class KeepRequest(Document, frozen=True):
    """What an operator asks approvers to let out: a keep list's body (hex), and the lock it speaks of."""

    format: str
    lane: str
    requester: str
    body: str
    lock: Lock


def make_keep(side: Side, sequence: int, dropped: Sequence[str], key: Path) -> tuple[KeepList, bytes]:
    """Ask for the keep list of a crossing; return it and the request that approvers sign.

    Asking again gives the same list: a crossing has one.

    Args:
        side: The high side.
        sequence: The crossing whose lock the bits stand for.
        dropped: Package URLs of what need not come again; all else is wanted.
        key: Folder with an operator's key; its holder cannot approve.

    Raises:
        NoSuchCrossingError: Not known.
        NotInLockError: A package is not in the lock.
        LockTooLongError: The lock has too many artifacts.
        KeepMadeError: There is another list for this crossing already.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: Not an operator's key.

    """
    site, now = site_root(side, utc_now()), utc_now()
    signer = signer_from(key, Purpose.OPERATOR, site)
    requester = site.held(signer.keyid, Purpose.OPERATOR, now).person
    facts = {"crossing": sequence, "requester": requester, "dropped": len(dropped)}
    with audit_log(side).recorded("request-keep", **facts) as done:
        gate = open_gate(side)
        crossing = gate.crossing(sequence)
        lock = gate.lock(crossing)
        keep = _only(side, _described(side.lane, sequence, crossing.lock_sha256, lock, dropped))
        done["body"] = sha256(keep.body)
    request = KeepRequest(
        format=REQUEST_FORMAT, lane=side.lane, requester=requester, body=keep.body.hex(), lock=lock
    )
    return keep, sign(REQUEST_TYPE, encode(request), [signer])


def _described(lane: str, sequence: int, digest: str, lock: Lock, dropped: Sequence[str]) -> KeepList:
    purls = [artifact.purl for artifact in lock.artifacts]
    if not 0 < len(purls) <= ARTIFACTS_LIMIT:
        what = f"The lock has {len(purls)} artifacts; a keep list speaks of 1 to {ARTIFACTS_LIMIT}."
        raise LockTooLongError(what, limit="ARTIFACTS_LIMIT")
    if foreign := sorted(set(dropped) - set(purls)):
        what = f"{foreign[0][:120]!r} is not in the lock of crossing {sequence}."
        raise NotInLockError(what)
    places = tuple(place for place, purl in enumerate(purls) if purl in set(dropped))
    return KeepList(lane=lane, crossing=sequence, lock_sha256=digest, count=len(purls), dropped=places)


def _only(side: Side, keep: KeepList) -> KeepList:
    """Return the one keep list of a crossing: whoever asks again must ask for the same."""
    key = ledger_key(keep.crossing)
    with records_of(side).transaction() as tx:
        known = tx.get(KEEPS, key)
        if known is None:
            tx.insert(KEEPS, key, keep.body)
        elif known != keep.body:
            what = f"Crossing {keep.crossing} has another keep list already."
            raise KeepMadeError(what)
    return keep


def _demand_made(side: Side, keep: KeepList) -> None:
    """Demand that the gate made exactly this list: an operator alone could put other bits in a request."""
    with records_of(side).transaction() as tx:
        known = tx.get(KEEPS, ledger_key(keep.crossing))
    if known != keep.body:
        what = f"The gate made another keep list for crossing {keep.crossing}, or none."
        raise KeepMadeError(what)


def read_keep_request(envelope: bytes, site: Root) -> tuple[KeepRequest, KeepList]:
    """Return a request and its keep list after checking that the named operator signed it.

    Raises:
        NotRequesterError: Another person signed.
        WrongLaneError: Of another lane.
        KeepFormError: The bits are not over the lock that the request shows.
        LockgateError: Not such a request, or not an operator's signature.

    """
    request = KEEP.open(envelope, KeepRequest, site)
    body = from_hex(request.body)
    keep = read_keep(body, site.lane)
    if keep is None or keep.body != body:
        raise KeepFormError("The request holds no keep list of this lane.")
    if keep.lock_sha256 != sha256(encode(request.lock)) or keep.count != len(request.lock.artifacts):
        raise KeepFormError("The keep list speaks of another lock than the request shows.")
    return request, keep


def dropped_names(keep: KeepList, lock: Lock) -> list[str]:
    """Return the package URLs that a keep list drops."""
    return [lock.artifacts[place].purl for place in keep.dropped]


def approve_keep(envelope: bytes, key: KeyPlace, site: Root) -> tuple[str, bytes]:
    """Sign the keep list of a request with an approver's key; return who signed, and the approval.

    Raises:
        OwnRequestError: The signer asked for it.
        SubliminalSignatureError: The key's signatures could carry something out.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: The key may not approve.

    """
    request, keep = read_keep_request(envelope, site)
    return KEEP.approve(keep.body, request.requester, key, site)


def export_keep(side: Side, request: bytes, approvals: list[bytes]) -> tuple[KeepList, bytes, frozenset[str]]:
    """Let a keep list out that enough persons approved; return it, its signed bytes and the persons.

    Raises:
        KeepMadeError: It is not the one keep list of its crossing.
        ThresholdError: More or fewer approvals than the policy demands.
        OwnRequestError: The requester is among the approvers.
        LockgateError: A signature or a form is wrong.

    """
    site = site_root(side, utc_now())
    asked, keep = read_keep_request(request, site)
    with audit_log(side).recorded("export-keep", crossing=keep.crossing, body=sha256(keep.body)) as done:
        _demand_made(side, keep)
        signed = pack_receipt(keep.body, KEEP.signatures(keep.body, approvals))
        people = judge_signed(signed, len(keep.body), KEEP_TYPE, site, utc_now())
        KEEP.demand_other(asked.requester, people)
        done.update(approvers=sorted(people), requester=asked.requester)
    return keep, signed, people
