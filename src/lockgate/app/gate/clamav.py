"""Joining ClamAV's daemon to inspection, as the settings of a high side name it."""

from datetime import timedelta
from pathlib import Path

from lockgate.app.settings import Side
from lockgate.app.trust import utc_now
from lockgate.inspect.clamd import Clamd, ClamdPlace


def clamd_of(side: Side) -> Clamd | None:
    """Return the daemon that the settings name, or None where they name none."""
    own = side.settings.clamav
    if not own.socket:
        return None
    place = ClamdPlace(
        socket=Path(own.socket),
        kinds=frozenset(own.kinds.split()),
        seconds=own.seconds,
        largest=own.largest_bytes,
        database=Path(own.database) if own.database else None,
        age=timedelta(days=own.database_days) if own.database_days else None,
        required=own.required,
    )
    return Clamd(place, utc_now)
