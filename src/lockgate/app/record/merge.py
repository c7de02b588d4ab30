"""Which of two records wins when a backup meets what is there: always the newer one. Pure decisions."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime

from packaging.version import Version

from lockgate.admit.model import CHANNELS, CROSSINGS, DENIED, SPENT, ChannelPointer, Crossing
from lockgate.app.gate.holds import CLOCK
from lockgate.app.trust import SITE_FLOOR, RootFloor
from lockgate.core.errors import LockgateError, TrustError
from lockgate.core.release import RELEASES, Active
from lockgate.core.sequence import FINAL, CrossingState, LedgerEntry
from lockgate.core.wire import decode
from lockgate.crossing.ledger import LEDGER, RECORDED, TIME, TUF

Records = Mapping[tuple[str, str], bytes]
"""Records by collection and key."""

PROTECTED = (LEDGER, RECORDED, TIME, SPENT, DENIED, CHANNELS, SITE_FLOOR, RELEASES)
"""Collections that never go back: what admission is decided by."""

_ORDER = (CrossingState.RECORDED, CrossingState.QUARANTINED, CrossingState.INSPECTED)
_TIMESTAMP = "timestamp.json"


class HistoriesDifferError(TrustError):
    """The backup and what is there tell different histories of one lane."""

    code = "LG-2f0e"
    advice = "Keep both and look: one of them was altered, or they are of two sides with one name."


def _rank(state: CrossingState) -> int:
    return len(_ORDER) if state in FINAL else _ORDER.index(state)


def _newer_entry(key: str, present: bytes, backup: bytes) -> bytes:
    here, there = decode(LedgerEntry, present), decode(LedgerEntry, backup)
    differs = here.crate_sha256 != there.crate_sha256
    if differs or ({here.state, there.state} <= FINAL and here.state is not there.state):
        what = f"The ledgers differ about crossing {int(key)}."
        raise HistoriesDifferError(what, here=here.crate_sha256, backup=there.crate_sha256)
    return backup if _rank(there.state) > _rank(here.state) else present


def _newer_crossing(_key: str, present: bytes, backup: bytes) -> bytes:
    here, there = decode(Crossing, present), decode(Crossing, backup)
    return backup if _rank(there.state) > _rank(here.state) else present


def _newer_pointer(key: str, present: bytes, backup: bytes) -> bytes:
    here, there = decode(ChannelPointer, present), decode(ChannelPointer, backup)
    if here.version == there.version:
        what = f"Two statements put channel {key!r} at version {here.version}."
        raise HistoriesDifferError(what)
    return backup if there.version > here.version else present


def _at(value: bytes) -> str:
    return str(decode(dict[str, str], value)["at"])


def _later(_key: str, present: bytes, backup: bytes) -> bytes:
    return max(present, backup, key=_at)


def _newer_root(_key: str, present: bytes, backup: bytes) -> bytes:
    return max(present, backup, key=lambda value: decode(RootFloor, value).version)


def _newer_release(_key: str, present: bytes, backup: bytes) -> bytes:
    def rank(value: bytes) -> tuple[Version, datetime]:
        active = decode(Active, value)
        return Version(active.highest), active.since

    return max(present, backup, key=rank)


_COMPARED: dict[str, Callable[[str, bytes, bytes], bytes]] = {
    LEDGER: _newer_entry,
    CROSSINGS: _newer_crossing,
    CHANNELS: _newer_pointer,
    TIME: _later,
    SITE_FLOOR: _newer_root,
    CLOCK: _later,
    RELEASES: _newer_release,
}


def newer(collection: str, key: str, present: bytes | None, backup: bytes | None) -> bytes | None:
    """Return the value that one record has after a restore.

    Where nothing says which is newer, what is there stays. What is there and cannot be read counts
    as lost.

    Raises:
        HistoriesDifferError: Both cannot be true.

    """
    if present is None or backup is None or present == backup:
        return backup if present is None else present
    try:
        return _COMPARED[collection](key, present, backup) if collection in _COMPARED else present
    except HistoriesDifferError:
        raise
    except (LockgateError, KeyError, ValueError):
        return backup


def _timestamp(records: Records) -> int:
    try:
        return int(json.loads(records[TUF, _TIMESTAMP])["signed"]["version"])
    except (KeyError, TypeError, ValueError):
        return 0


def merged(present: Records, backup: Records) -> dict[tuple[str, str], bytes]:
    """Return all records after a restore. Update metadata is taken as one set, the newer one.

    Raises:
        HistoriesDifferError: Both cannot be true.

    """
    result: dict[tuple[str, str], bytes] = {}
    for place in sorted({*present, *backup}):
        if place[0] == TUF:
            continue
        value = newer(*place, present.get(place), backup.get(place))
        if value is not None:
            result[place] = value
    metadata = backup if _timestamp(backup) > _timestamp(present) else present
    return result | {place: value for place, value in metadata.items() if place[0] == TUF}


def behind(present: Records, after: Records) -> bool:
    """Tell whether what is there lacks something protected that the backup knew."""
    return any(present.get(place) != value for place, value in after.items() if place[0] in PROTECTED)
