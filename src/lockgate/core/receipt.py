"""Receipts: what the low side may learn of one crossing, in a schema of fixed length. Pure data.

A receipt leaves the high side, so that nothing in it may be free: no time, no name, no text, no
random number. Every byte follows from the crossing's outcome, and whoever approves it can check each
field (design: crossing, "Receipts"). The layout stands in docs/formats/receipt-v1.md.
"""

import struct
from enum import IntEnum
from typing import Annotated

import msgspec

from lockgate.core.artifact import Digest, Size
from lockgate.core.digests import sha256
from lockgate.core.errors import TrustError
from lockgate.core.sequence import CrossingState
from lockgate.core.wire import Document

RECEIPT_TYPE = "application/vnd.lockgate.receipt"
"""Payload type in the pre-authentication encoding that approvers sign (DSSE protocol, "PAE")."""

MAGIC = b"LGRCPT1\n"
_LAYOUT = struct.Struct(">8s32sI32sB32sQ32s")

BODY_SIZE = _LAYOUT.size
"""Bytes of a receipt without its signatures."""


class ReceiptFormError(TrustError):
    """The bytes are not a receipt in its one form."""

    code = "LG-2020"
    advice = "Scan or copy the receipt again; if it repeats, somebody altered it."


class Ending(IntEnum):
    """How a crossing ended, as a receipt says it."""

    PUBLISHED = 1
    REJECTED = 2
    INCOMPLETE = 3
    VOID = 4


ENDINGS = {
    CrossingState.PUBLISHED: Ending.PUBLISHED,
    CrossingState.REJECTED: Ending.REJECTED,
    CrossingState.INCOMPLETE: Ending.INCOMPLETE,
    CrossingState.VOID: Ending.VOID,
}
"""What a receipt calls each final state."""


class Receipt(Document, frozen=True):
    """How one crossing ended. `snapshot_sha256` is zeros unless it was published.

    `log_size` is zero where the site does not show its log; then `log_root` is zeros.
    """

    lane: str
    crossing: Annotated[int, msgspec.Meta(ge=1, le=10**6 - 1)]
    crate_sha256: Digest
    ending: Ending
    snapshot_sha256: Digest
    log_size: Size
    log_root: Digest

    @property
    def body(self) -> bytes:
        """Return the bytes that approvers sign and that travel."""
        return _LAYOUT.pack(
            MAGIC,
            lane_mark(self.lane),
            self.crossing,
            bytes.fromhex(self.crate_sha256),
            self.ending,
            bytes.fromhex(self.snapshot_sha256),
            self.log_size,
            bytes.fromhex(self.log_root),
        )


def lane_mark(lane: str) -> bytes:
    """Return the 32 bytes that stand for a lane's name."""
    return bytes.fromhex(sha256(lane.encode()))


def read_body(body: bytes, lane: str) -> Receipt | None:
    """Return the receipt in a body, or None when it is of another lane.

    Raises:
        ReceiptFormError: Not the one form that its content has.

    """
    if len(body) != BODY_SIZE or not body.startswith(MAGIC):
        raise ReceiptFormError("This is not a receipt of a format that this version reads.")
    _, mark, crossing, crate, ending, snapshot, size, root = _LAYOUT.unpack(body)
    if mark != lane_mark(lane):
        return None
    facts = {
        "lane": lane,
        "crossing": crossing,
        "crate_sha256": crate.hex(),
        "ending": ending,
        "snapshot_sha256": snapshot.hex(),
        "log_size": size,
        "log_root": root.hex(),
    }
    try:
        receipt = msgspec.convert(facts, Receipt)
    except msgspec.ValidationError as error:
        what = f"The receipt has a field out of its range: {error}."
        raise ReceiptFormError(what) from error
    zero = bytes(32)
    named = ending == Ending.PUBLISHED
    if named == (snapshot == zero) or (size == 0) != (root == zero) or crate == zero:
        raise ReceiptFormError("The fields of the receipt contradict one another.")
    return receipt
