"""The leaves of a log outside the log: what its root was at any earlier size."""

from collections.abc import Iterable

from lockgate.audit import merkle

LEAVES = "audit-leaf"
"""The collection that the log keeps its leaves in, in the order of their keys."""


class Leaves:
    """The leaf hashes of a log, in order."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        """Hash every leaf."""
        self._hashes = [merkle.leaf_hash(leaf) for leaf in leaves]

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        return len(self._hashes)

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` leaves (at most all of them)."""
        made: dict[tuple[int, int], bytes] = {}

        def node(level: int, index: int) -> bytes:
            return made[level, index]

        for index, leaf in enumerate(self._hashes[:size]):
            for level, at, value in merkle.added_nodes(index, leaf, node):
                made[level, at] = value
        return merkle.root(min(size, self.size), node)
