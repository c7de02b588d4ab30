"""Parts of a file that are told by places and lengths: each inside the file, and no two on the same bytes."""

from itertools import pairwise

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.tally import Tally


class Spans:
    """Takes parts of a file in any order and claims them at the end, when it shows that none overlap."""

    def __init__(self, data: memoryview, tally: Tally) -> None:
        """Begin with nothing taken.

        Args:
            data: The file.
            tally: Takes the claims.

        """
        self.data = data
        self.tally = tally
        self.taken: list[tuple[int, int]] = []

    def take(self, at: int, size: int) -> memoryview:
        """Return a part.

        Raises:
            BrokenContentError: It does not lie inside the file.

        """
        if at < 0 or size < 0 or at + size > len(self.data):
            what = f"A part of {size} bytes ends past the file."
            raise BrokenContentError(what, at=max(0, at))
        if size:
            self.taken.append((at, at + size))
        return self.data[at : at + size]

    def close(self, fill: int = 0) -> None:
        """Claim all parts, and zeros between and behind them where they are fewer than `fill`.

        Raises:
            BrokenContentError: Two parts share bytes.

        """
        self.taken.sort()
        for before, after in pairwise(self.taken):
            if after[0] < before[1]:
                what = "Two parts share bytes."
                raise BrokenContentError(what, at=after[0])
        for start, end in self.taken:
            self.tally.claim(start, end)
        for start, end in self.tally.gaps():
            if end - start < fill and not any(self.data[start:end]):
                self.tally.claim(start, end)
