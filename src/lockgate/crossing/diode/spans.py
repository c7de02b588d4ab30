"""Which parts of a file are there."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

SPANS_LIMIT = 65536
"""Most separate parts that are kept in mind for one file."""


class Spans:
    """Separate ranges of offsets, in order; each from its first byte to before its last."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        """Begin with some."""
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in spans:
            self.add(start, end)

    def add(self, start: int, end: int) -> bool:
        """Add a range; tell whether there was room to keep it in mind."""
        if start >= end:
            return True
        first, last = bisect_left(self._ends, start), bisect_right(self._starts, end)
        if first == last and len(self._starts) >= SPANS_LIMIT:
            return False
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]
        return True

    def covers(self, start: int, end: int) -> bool:
        """Tell whether a range is there as a whole."""
        at = bisect_right(self._starts, start) - 1
        return at >= 0 and self._ends[at] >= end

    @property
    def prefix(self) -> int:
        """Return how many bytes from the beginning are there."""
        return self._ends[0] if self._starts and self._starts[0] == 0 else 0

    @property
    def total(self) -> int:
        """Return how many bytes are there."""
        return sum(self._ends) - sum(self._starts)

    def as_list(self) -> list[tuple[int, int]]:
        """Return them in order."""
        return list(zip(self._starts, self._ends, strict=True))
