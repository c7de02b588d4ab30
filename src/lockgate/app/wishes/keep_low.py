"""Keep lists on the low side: checked through the pinned site root, and held against the own lock."""

from dataclasses import dataclass
from pathlib import Path

from lockgate.app.files import read_named, write_whole
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import audit_log, site_root, utc_now
from lockgate.core.artifact import Lock
from lockgate.core.digests import sha256
from lockgate.core.errors import InputError
from lockgate.core.keep import KEEP_TYPE, KeepFormError, KeepList, body_size, read_keep
from lockgate.core.wire import decode
from lockgate.crossing.bases import CONTENTS_LIMIT, Contents
from lockgate.crossing.ledger import RecordSealLedger
from lockgate.crossing.receipts import Line, judge_signed
from lockgate.trust.errors import WrongLaneError

PREFIX = "LGK1."
"""What a keep list's line of text begins with."""

TEXT_LIMIT = 65_536
"""Longest line of text that is read, in characters."""


class LockNotHeldError(InputError):
    """A keep list speaks of a lock that this side did not seal, or no longer has."""

    code = "LG-1f74"
    advice = "Ask the high side for the list of a crossing that this side sealed."


@dataclass(frozen=True, slots=True)
class Kept:
    """What a keep list says: the packages that need not come again, of how many, and who approved."""

    keep: KeepList
    dropped: tuple[str, ...]
    approvers: frozenset[str]


KEEP_LINE = Line("keep list", PREFIX, TEXT_LIMIT, KeepFormError)


def keep_text(signed: bytes) -> str:
    """Return the line of text that a signed keep list travels as; a QR picture takes it as it is."""
    return KEEP_LINE.of(signed)


def read_keep_text(text: str) -> bytes:
    """Return the signed keep list in a line of text; a line end after it is not part of it.

    Raises:
        KeepFormError: Not such a line, or not in its one form.

    """
    return KEEP_LINE.signed(text)


def take_keep(side: Side, text: str) -> Kept:
    """Verify a keep list, keep it as the newest one, and return what it says of the own lock.

    Raises:
        KeepFormError, WrongLaneError: Not a keep list of this lane.
        LockNotHeldError: Of a lock that this side did not seal under this number.
        LockgateError: Not approved as the pinned site root demands.

    """
    with audit_log(side).recorded("read-keep", text=sha256(text.strip().encode())) as done:
        found = _judged(side, text)
        if _newest(side) <= found.keep.crossing:
            write_whole(_file(side), text.strip().encode())
        done.update(crossing=found.keep.crossing, dropped=len(found.dropped))
    return found


def kept_list(side: Side) -> Kept | None:
    """Return what the newest keep list says, judged again; None where none was read."""
    file = _file(side)
    return _judged(side, read_named(file, limit=TEXT_LIMIT).decode("ascii")) if file.is_file() else None


def _newest(side: Side) -> int:
    """Return the crossing of the list that is kept, which was judged when it was read; 0 without one."""
    file = _file(side)
    if not file.is_file():
        return 0
    keep = read_keep(read_keep_text(read_named(file, limit=TEXT_LIMIT).decode("ascii")), side.lane)
    return 0 if keep is None else keep.crossing


def _judged(side: Side, text: str) -> Kept:
    signed, site = read_keep_text(text), site_root(side, utc_now())
    keep = read_keep(signed, site.lane)
    if keep is None:
        what = f"The keep list is of another lane than {site.lane!r}."
        raise WrongLaneError(what)
    people = judge_signed(signed, body_size(keep.count), KEEP_TYPE, site, utc_now())
    lock = _lock(side, keep)
    dropped = tuple(lock.artifacts[place].purl for place in keep.dropped)
    return Kept(keep, dropped, people)


def _lock(side: Side, keep: KeepList) -> Lock:
    """Return the lock that the bits stand for: one that this side sealed under this number."""
    blobs, listed = blobs_of(side), RecordSealLedger(records_of(side)).contents().get(keep.crossing)
    held = decode(Contents, blobs.read(listed), limit=CONTENTS_LIMIT, name="contents") if listed else None
    if held is None or held.lock_sha256 != keep.lock_sha256 or not blobs.has(keep.lock_sha256):
        what = f"Crossing {keep.crossing} was not sealed here with the lock that the list speaks of."
        raise LockNotHeldError(what, lock=keep.lock_sha256)
    lock = decode(Lock, blobs.read(keep.lock_sha256), name="lock")
    if len(lock.artifacts) != keep.count:
        raise KeepFormError("The keep list counts other artifacts than its lock has.")
    return lock


def _file(side: Side) -> Path:
    return side.home.locks / "keep.txt"
