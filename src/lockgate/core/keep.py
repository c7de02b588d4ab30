"""Keep lists: which artifacts of the low side's own lock the high side still wants. Pure data.

A keep list leaves the high side, so that nothing in it may be free but one bit for each artifact of a lock
that the low side made itself: no name, no reason, no time, no random number. Whoever approves it sees the
names that the bits stand for (design: crossing, "Receipts"). The layout stands in docs/formats/keep-v1.md.
"""

import struct
from typing import Annotated

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.errors import TrustError
from lockgate.core.receipt import lane_mark
from lockgate.core.wire import Document

KEEP_TYPE = "application/vnd.lockgate.keep"
"""Payload type in the pre-authentication encoding that approvers sign (DSSE protocol, "PAE")."""

MAGIC = b"LGKEEP1\n"
ARTIFACTS_LIMIT = 100_000
"""Most artifacts of a lock that a keep list speaks of."""

_LAYOUT = struct.Struct(">8s32sI32sI")


class KeepFormError(TrustError):
    """The bytes are not a keep list in its one form."""

    code = "LG-2021"
    advice = "Scan or copy the list again; if it repeats, somebody altered it."


class KeepList(Document, frozen=True):
    """Which artifacts of a crossing's lock are still wanted.

    Attributes:
        lane: The lane's name.
        crossing: The crossing that brought the lock.
        lock_sha256: Digest of the lock.
        count: How many artifacts the lock has.
        dropped: The places (from 0) of those that need not come again.

    """

    lane: str
    crossing: Annotated[int, msgspec.Meta(ge=1, le=10**6 - 1)]
    lock_sha256: Digest
    count: Annotated[int, msgspec.Meta(ge=1, le=ARTIFACTS_LIMIT)]
    dropped: tuple[int, ...]

    @property
    def body(self) -> bytes:
        """Return the bytes that approvers sign and that travel."""
        bits = bytearray(b"\xff" * (self.count // 8) + _rest(self.count))
        for place in self.dropped:
            bits[place // 8] &= ~(0x80 >> place % 8)
        head = _LAYOUT.pack(
            MAGIC, lane_mark(self.lane), self.crossing, bytes.fromhex(self.lock_sha256), self.count
        )
        return head + bytes(bits)


def body_size(count: int) -> int:
    """Return the length of a keep list over that many artifacts, without signatures, in bytes."""
    return _LAYOUT.size + -(-count // 8)


def read_keep(body: bytes, lane: str) -> KeepList | None:
    """Return the keep list in a body, or None when it is of another lane.

    Args:
        body: The body; what follows it is not looked at.
        lane: This side's lane.

    Raises:
        KeepFormError: Not the one form that its content has.

    """
    if len(body) < _LAYOUT.size or not body.startswith(MAGIC):
        raise KeepFormError("This is not a keep list of a format that this version reads.")
    _, mark, crossing, lock, count = _LAYOUT.unpack_from(body)
    if mark != lane_mark(lane):
        return None
    bits = body[_LAYOUT.size : body_size(min(count, ARTIFACTS_LIMIT))]
    facts = {
        "lane": lane,
        "crossing": crossing,
        "lock_sha256": lock.hex(),
        "count": count,
        "dropped": _cleared(bits, count),
    }
    try:
        found = msgspec.convert(facts, KeepList)
    except msgspec.ValidationError as error:
        what = f"The keep list has a field out of its range: {error}."
        raise KeepFormError(what) from error
    if found.body != body[: body_size(count)]:
        raise KeepFormError("The keep list has bits that stand for nothing, or ends early.")
    return found


def _rest(count: int) -> bytes:
    return bytes([0xFF << 8 - count % 8 & 0xFF]) if count % 8 else b""


def _cleared(bits: bytes, count: int) -> list[int]:
    return [place for place in range(min(count, 8 * len(bits))) if not bits[place // 8] & 0x80 >> place % 8]
