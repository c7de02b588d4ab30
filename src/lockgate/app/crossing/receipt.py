"""Receipts from the high side to the low side: asked for, approved by two apart, exported, read.

An operator asks, approvers sign on their own machines, the gate lets out only what is complete. The
low side needs nothing but its pinned site root.
"""

from collections.abc import Sequence
from pathlib import Path

from lockgate.admit.model import HISTORY, ChannelPointer
from lockgate.app.files import read_named
from lockgate.app.keys import KeyPlace
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import audit_log, signer_from, site_root, utc_now
from lockgate.approve import read_statement
from lockgate.approve.errors import NotRequesterError
from lockgate.approve.service import STATEMENT_LIMIT
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.receipt import ENDINGS, Ending, Receipt, read_body
from lockgate.core.roots import Purpose, Root, ThresholdError
from lockgate.core.statement import NOTHING, Operation, OwnRequestError
from lockgate.core.wire import Document, decode, encode
from lockgate.crossing.errors import ReceiptEarlyError
from lockgate.crossing.ledger import RecordLedger, RecordSealLedger, ledger_key
from lockgate.crossing.ports import Sent
from lockgate.crossing.receipts import TEXT_LIMIT, judge_receipt, pack_receipt, read_text, sign_receipt
from lockgate.trust.dsse import open_envelope, sign, verify
from lockgate.trust.errors import WrongLaneError
from lockgate.trust.roots import load_newest_site_root, site_root_lane

REQUEST_FORMAT = "lockgate-receipt-request/1"
REQUEST_TYPE = "application/vnd.lockgate.receipt-request+json"
APPROVAL_FORMAT = "lockgate-receipt-approval/1"
DOCUMENT_LIMIT = 1 << 16
"""Longest request or approval of a receipt that is read, in bytes."""

RECEIPTS = "receipt"
"""Records of the high side: the one body that each crossing's receipt has."""


class ReceiptRequest(Document, frozen=True):
    """What an operator asks approvers to let out: a receipt's body (hex)."""

    format: str
    lane: str
    requester: str
    body: str


class ReceiptApproval(Document, frozen=True):
    """An approver's signature (hex) over a receipt's body (hex)."""

    format: str
    body: str
    keyid: str
    signature: str


def make_receipt(side: Side, sequence: int, key: Path, *, show_log: bool) -> tuple[Receipt, bytes]:
    """Ask for the receipt of a crossing that ended; return it and the request that approvers sign.

    Asking again gives the same receipt: a crossing has one.

    Args:
        side: The high side.
        sequence: The crossing.
        key: Folder with an operator's key; its holder cannot approve.
        show_log: Let the receipt carry the log's present checkpoint.

    Raises:
        ReceiptEarlyError: The crossing is not on record or has not ended.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: Not an operator's key.

    """
    site, now = site_root(side, utc_now()), utc_now()
    signer = signer_from(key, Purpose.OPERATOR, site)
    requester = site.held(signer.keyid, Purpose.OPERATOR, now).person
    log = audit_log(side)
    intent = log.intent("request-receipt", crossing=sequence, requester=requester)
    try:
        receipt = _only(side, _describe(side, sequence, show_log=show_log))
    except LockgateError as error:
        log.outcome(intent, "refused", code=error.code, error=error.what)
        raise
    request = ReceiptRequest(
        format=REQUEST_FORMAT, lane=side.lane, requester=requester, body=receipt.body.hex()
    )
    log.outcome(intent, "done", body=sha256(receipt.body))
    return receipt, sign(REQUEST_TYPE, encode(request), [signer])


def _describe(side: Side, sequence: int, *, show_log: bool) -> Receipt:
    entry = RecordLedger(records_of(side)).entries().get(sequence)
    ending = ENDINGS.get(entry.state) if entry else None
    if entry is None or ending is None:
        what = f"Crossing {sequence} is {entry.state if entry else 'not on record'}; it has not ended."
        raise ReceiptEarlyError(what)
    at = audit_log(side).checkpoint() if show_log else None
    return Receipt(
        lane=side.lane,
        crossing=sequence,
        crate_sha256=entry.crate_sha256,
        ending=ending,
        snapshot_sha256=_published(side, sequence) if ending is Ending.PUBLISHED else NOTHING,
        log_size=at.size if at else 0,
        log_root=at.root.hex() if at else NOTHING,
    )


def _published(side: Side, sequence: int) -> str:
    """Return the snapshot that was published with a crossing first."""
    with records_of(side).transaction() as tx:
        pointers = [decode(ChannelPointer, value) for _, value in tx.scan(HISTORY)]
    blobs = blobs_of(side)
    for pointer in sorted(pointers, key=lambda p: (p.published, p.version)):
        statement = read_statement(blobs.read(pointer.statement_sha256, limit=STATEMENT_LIMIT))
        if statement.operation is Operation.PUBLISH and statement.crossing == sequence:
            return statement.snapshot_sha256
    what = f"No statement on record published crossing {sequence}."
    raise ReceiptEarlyError(what)


def _only(side: Side, receipt: Receipt) -> Receipt:
    """Return the one receipt of a crossing: the first that was asked for."""
    key = ledger_key(receipt.crossing)
    with records_of(side).transaction() as tx:
        known = tx.get(RECEIPTS, key)
        if known is None:
            tx.insert(RECEIPTS, key, receipt.body)
            return receipt
    first = _body(known, side.lane)
    told = (first.crate_sha256, first.ending, first.snapshot_sha256)
    if told != (receipt.crate_sha256, receipt.ending, receipt.snapshot_sha256):
        what = f"The receipt of crossing {receipt.crossing} was made with other content."
        raise ReceiptEarlyError(what)
    return first


def _body(body: bytes, lane: str) -> Receipt:
    receipt = read_body(body, lane)
    if receipt is None:
        what = f"The receipt is of another lane than {lane!r}."
        raise WrongLaneError(what)
    return receipt


def read_request(envelope: bytes, site: Root) -> tuple[ReceiptRequest, Receipt]:
    """Return a request and its receipt after checking that the named operator signed it.

    Raises:
        NotRequesterError: Another person signed.
        WrongLaneError: Of another lane.
        LockgateError: Not such a request, or not an operator's signature.

    """
    opened = open_envelope(envelope, limit=DOCUMENT_LIMIT)
    people = verify(opened, site, Purpose.OPERATOR, utc_now(), REQUEST_TYPE)
    request = decode(ReceiptRequest, opened.payload, limit=DOCUMENT_LIMIT, name="receipt request")
    if people != {request.requester}:
        what = f"{request.requester[:80]} did not sign this request."
        raise NotRequesterError(what)
    if request.lane != site.lane:
        what = f"The request is for lane {request.lane[:80]!r}, the site root for {site.lane!r}."
        raise WrongLaneError(what)
    return request, _body(_hex(request.body), site.lane)


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def device_site(roots: Sequence[bytes], pin: str) -> Root:
    """Return the newest site root on an approver's machine, from the pinned one on."""
    return load_newest_site_root(roots, pin, site_root_lane(roots[0]), utc_now())


def approve_receipt(envelope: bytes, key: KeyPlace, site: Root) -> tuple[str, bytes]:
    """Sign the receipt of a request with an approver's key; return who signed, and the approval.

    Raises:
        OwnRequestError: The signer asked for it.
        SubliminalSignatureError: The key's signatures could carry something out.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: The key may not approve.

    """
    request, receipt = read_request(envelope, site)
    signer = signer_from(key, Purpose.APPROVER, site)
    person = site.held(signer.keyid, Purpose.APPROVER, utc_now()).person
    if person == request.requester:
        what = f"{person} asked for this receipt and cannot approve it."
        raise OwnRequestError(what)
    approval = ReceiptApproval(
        format=APPROVAL_FORMAT,
        body=receipt.body.hex(),
        keyid=signer.keyid,
        signature=sign_receipt(receipt.body, signer).hex(),
    )
    return person, encode(approval)


def export_receipt(
    side: Side, request: bytes, approvals: list[bytes]
) -> tuple[Receipt, bytes, frozenset[str]]:
    """Let a receipt out that enough persons approved; return it, its signed bytes and the persons.

    Raises:
        ReceiptEarlyError: It is not the one receipt of its crossing.
        ThresholdError: More or fewer approvals than the policy demands.
        OwnRequestError: The requester is among the approvers.
        LockgateError: A signature or a form is wrong.

    """
    site, log = site_root(side, utc_now()), audit_log(side)
    asked, receipt = read_request(request, site)
    intent = log.intent("export-receipt", crossing=receipt.crossing, body=sha256(receipt.body))
    try:
        if _only(side, receipt) != receipt:
            what = f"Crossing {receipt.crossing} has another receipt already."
            raise ReceiptEarlyError(what)
        signed = pack_receipt(receipt.body, _signatures(receipt, approvals))
        _, people = judge_receipt(signed, site, utc_now())
        if asked.requester in people:
            what = f"{asked.requester} asked for this receipt and cannot approve it."
            raise OwnRequestError(what)
    except LockgateError as error:
        log.outcome(intent, "refused", code=error.code, error=error.what)
        raise
    log.outcome(intent, "done", approvers=sorted(people), requester=asked.requester)
    return receipt, signed, people


def _signatures(receipt: Receipt, approvals: list[bytes]) -> dict[str, bytes]:
    found = {}
    for data in approvals:
        approval = decode(ReceiptApproval, data, limit=DOCUMENT_LIMIT, name="receipt approval")
        if _hex(approval.body) != receipt.body:
            raise ThresholdError("An approval is over another receipt than the one that was asked for.")
        found[approval.keyid] = _hex(approval.signature)
    return found


def read_receipt(side: Side, text: str) -> tuple[Receipt, Sent, frozenset[str]]:
    """Verify a receipt on the low side and record what it says; return it, the record and who approved.

    Raises:
        ReceiptReplayedError: It was read before.
        ReceiptConflictError: It contradicts what this side knows.
        LockgateError: It is not a receipt of this lane that enough approvers signed.

    """
    log = audit_log(side)
    intent = log.intent("read-receipt", text=sha256(text.strip().encode()))
    try:
        receipt, people = judge_receipt(read_text(text), site_root(side, utc_now()), utc_now())
        sent = RecordSealLedger(records_of(side)).acknowledge(receipt)
    except LockgateError as error:
        log.outcome(intent, "refused", code=error.code, error=error.what)
        raise
    log.outcome(intent, "done", crossing=receipt.crossing, standing=sent.standing, approvers=sorted(people))
    return receipt, sent, people


def sent_crossings(side: Side) -> list[Sent]:
    """Return what was sealed on the low side, oldest first, with what receipts said of it."""
    return list(RecordSealLedger(records_of(side)).sent().values())


def receipt_file(path: Path) -> str:
    """Return the text of a file that holds a receipt."""
    return read_named(path, limit=TEXT_LIMIT).decode("ascii", "replace")
