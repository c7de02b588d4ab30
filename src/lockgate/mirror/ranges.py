"""Byte ranges and conditional requests (RFC 9110, sections 13 and 14). Pure decisions."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

_SINGLE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII | re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class Slice:
    """The bytes from `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Return how many bytes it has."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """A well-formed range that lies outside the content: answered with 416."""


def parse_range(header: str | None, size: int, *, strict: bool = False) -> Slice | Unsatisfiable | None:
    """Return which part of the content a Range header asks for.

    Args:
        header: The header's value.
        size: Length of the content in bytes.
        strict: Refuse a range that ends before it begins, which may also be passed over.

    Returns:
        The one range; `None` when the whole content is to be sent, which RFC 9110 allows for
        whatever is malformed, has another unit, or lists several ranges.

    """
    match = _SINGLE.fullmatch(header) if header else None
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        return Slice(size - length, size) if length else Unsatisfiable()
    start = int(first)
    if last and int(last) < start:
        return Unsatisfiable() if strict else None
    if start >= size:
        return Unsatisfiable()
    return Slice(start, min(int(last) + 1, size) if last else size)


def unchanged(if_none_match: str | None, etag: str) -> bool:
    """Tell whether the client already holds this content (weak comparison, as for GET)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)


def range_holds(if_range: str | None, etag: str, modified: str | None = None) -> bool:
    """Tell whether a range may be answered in part (strong comparison).

    A date matches only where it is the very one that was sent, and one was.
    """
    return if_range is None or if_range.strip() in {etag, modified}


def http_date(moment: datetime) -> str:
    """Return a moment as HTTP writes it (RFC 9110, section 5.6.7)."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)
