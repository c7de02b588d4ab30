"""Planned crossings as an iCalendar file, for people's own calendars (RFC 5545)."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

_LONGEST = 75
"""Most octets of a line, without its end (RFC 5545, 3.1)."""


def calendar(lane: str, days: Iterable[date], made: datetime) -> bytes:
    """Return an iCalendar file with a whole-day event for each planned crossing.

    Args:
        lane: The lane's name.
        days: The planned days.
        made: When the file is made, in UTC.

    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Lockgate//Cadence//EN", "CALSCALE:GREGORIAN"]
    for day in days:
        lines += [
            "BEGIN:VEVENT",
            f"UID:crossing-{day:%Y%m%d}-{_text(lane)}@lockgate.invalid",
            f"DTSTAMP:{made:%Y%m%dT%H%M%SZ}",
            f"DTSTART;VALUE=DATE:{day:%Y%m%d}",
            f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}",
            f"SUMMARY:Crossing on lane {_text(lane)}",
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        ]
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _text(value: str) -> str:
    """Return a text with what has a meaning escaped (RFC 5545, 3.3.11)."""
    return value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> bytes:
    """Return a line, folded where it is longer than a line may be, never inside a character."""
    parts, present = [], b""
    for char in line:
        data = char.encode()
        if len(present) + len(data) > _LONGEST:
            parts.append(present)
            present = b" "
        present += data
    return b"\r\n".join([*parts, present]) + b"\r\n"
