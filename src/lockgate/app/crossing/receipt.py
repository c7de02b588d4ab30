"""Receipts from the high side to the low side: asked for, approved by two apart, exported, read.

An operator asks, approvers sign on their own machines, the gate lets out only what is complete. The
low side needs nothing but its pinned site root.
"""

from collections.abc import Sequence
from pathlib import Path

from lockgate.admit.model import HISTORY, ChannelPointer
from lockgate.app.crossing.leaving import Leaving, from_hex
from lockgate.app.files import read_named
from lockgate.app.keys import KeyPlace
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import audit_log, signer_from, site_root, utc_now
from lockgate.approve import read_statement
from lockgate.approve.service import STATEMENT_LIMIT
from lockgate.core.digests import sha256
from lockgate.core.receipt import ENDINGS, RECEIPT_TYPE, Ending, Receipt, read_body
from lockgate.core.roots import Purpose, Root
from lockgate.core.statement import NOTHING, Operation
from lockgate.core.wire import Document, decode, encode
from lockgate.crossing.errors import ReceiptEarlyError
from lockgate.crossing.ledger import RecordLedger, RecordSealLedger, ledger_key
from lockgate.crossing.ports import Sent
from lockgate.crossing.receipts import TEXT_LIMIT, judge_receipt, pack_receipt, read_text
from lockgate.trust.dsse import sign
from lockgate.trust.errors import WrongLaneError
from lockgate.trust.roots import load_newest_site_root, site_root_lane

REQUEST_FORMAT = "lockgate-receipt-request/1"
REQUEST_TYPE = "application/vnd.lockgate.receipt-request+json"
RECEIPT = Leaving("receipt", RECEIPT_TYPE, REQUEST_TYPE, 1 << 16, "lockgate-receipt-approval/1")

RECEIPTS = "receipt"
"""Records of the high side: the one body that each crossing's receipt has."""


class ReceiptRequest(Document, frozen=True):
    """What an operator asks approvers to let out: a receipt's body (hex)."""

    format: str
    lane: str
    requester: str
    body: str


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
    with audit_log(side).recorded("request-receipt", crossing=sequence, requester=requester) as done:
        receipt = _only(side, _describe(side, sequence, show_log=show_log))
        done["body"] = sha256(receipt.body)
    request = ReceiptRequest(
        format=REQUEST_FORMAT, lane=side.lane, requester=requester, body=receipt.body.hex()
    )
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
    request = RECEIPT.open(envelope, ReceiptRequest, site)
    return request, _body(from_hex(request.body), site.lane)


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
    return RECEIPT.approve(receipt.body, request.requester, key, site)


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
    site = site_root(side, utc_now())
    asked, receipt = read_request(request, site)
    facts = {"crossing": receipt.crossing, "body": sha256(receipt.body)}
    with audit_log(side).recorded("export-receipt", **facts) as done:
        if _only(side, receipt) != receipt:
            what = f"Crossing {receipt.crossing} has another receipt already."
            raise ReceiptEarlyError(what)
        signed = pack_receipt(receipt.body, RECEIPT.signatures(receipt.body, approvals))
        _, people = judge_receipt(signed, site, utc_now())
        RECEIPT.demand_other(asked.requester, people)
        done.update(approvers=sorted(people), requester=asked.requester)
    return receipt, signed, people


def read_receipt(side: Side, text: str) -> tuple[Receipt, Sent, frozenset[str]]:
    """Verify a receipt on the low side and record what it says; return it, the record and who approved.

    Raises:
        ReceiptReplayedError: It was read before.
        ReceiptConflictError: It contradicts what this side knows.
        LockgateError: It is not a receipt of this lane that enough approvers signed.

    """
    with audit_log(side).recorded("read-receipt", text=sha256(text.strip().encode())) as done:
        receipt, people = judge_receipt(read_text(text), site_root(side, utc_now()), utc_now())
        sent = RecordSealLedger(records_of(side)).acknowledge(receipt)
        done.update(crossing=receipt.crossing, standing=sent.standing, approvers=sorted(people))
    return receipt, sent, people


def sent_crossings(side: Side) -> list[Sent]:
    """Return what was sealed on the low side, oldest first, with what receipts said of it."""
    return list(RecordSealLedger(records_of(side)).sent().values())


def receipt_file(path: Path) -> str:
    """Return the text of a file that holds a receipt."""
    return read_named(path, limit=TEXT_LIMIT).decode("ascii", "replace")
