"""Hashing the whole log again, in blocks, so that neither memory nor other writers suffer."""

from collections.abc import Collection, Iterator

from lockgate.audit import merkle
from lockgate.audit.errors import ProofError
from lockgate.audit.rows import LEAF, NODE, leaf_key, log_size, node_key
from lockgate.store.ports import Records, Transaction

_DIGITS = 3
BLOCK = 10**_DIGITS
"""Leaves that are read in one transaction; the keys of a block share all but their last digits."""


class _Stored:
    """The stored nodes, read block by block; indices of one level must be asked for in order."""

    def __init__(self) -> None:
        self.tx: Transaction | None = None
        self._blocks: dict[int, tuple[int, dict[str, bytes]]] = {}

    def get(self, level: int, index: int) -> bytes | None:
        key = node_key(level, index)
        block, rows = self._blocks.get(level, (-1, {}))
        if block != index // BLOCK or key not in rows:
            block = index // BLOCK
            rows = dict(self.tx.scan(NODE, key[:-_DIGITS])) if self.tx else {}
            self._blocks[level] = (block, rows)
        return rows.get(key)


class _Frontier:
    """The complete subtrees that later hashes need: the newest left one of each level."""

    def __init__(self) -> None:
        self._left: dict[int, tuple[int, bytes]] = {}

    def keep(self, level: int, index: int, value: bytes) -> None:
        if index % 2 == 0:
            self._left[level] = (index, value)

    def node(self, level: int, index: int) -> bytes:
        at, value = self._left[level]
        if at != index:
            what = f"Subtree {level}:{index} is not at hand."
            raise ProofError(what)
        return value


def _leaves(records: Records, stored: _Stored, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield every leaf, while the transaction that reads it is open."""
    for begin in range(0, size, BLOCK):
        with records.transaction() as tx:
            stored.tx = tx
            rows = dict(tx.scan(LEAF, leaf_key(begin)[:-_DIGITS]))
            for index in range(begin, min(begin + BLOCK, size)):
                data = rows.get(leaf_key(index))
                if data is None:
                    what = f"Leaf {index} of {size} is missing."
                    raise ProofError(what, leaf=index)
                yield index, data
    stored.tx = None


def _size(records: Records) -> int:
    with records.transaction() as tx:
        size = log_size(tx)
        if tx.get(LEAF, leaf_key(size)) is not None:
            what = f"The log says that it has {size} leaves, and there are more."
            raise ProofError(what, leaf=size)
        return size


def hash_again(records: Records, sizes: Collection[int] = ()) -> tuple[int, dict[int, bytes]]:
    """Hash every leaf, compare with the stored tree, and return the size and some roots.

    Args:
        records: The log's records.
        sizes: For which sizes the root is wanted beside that of the present one; those beyond
            it are left out.

    Raises:
        ProofError: A leaf or a node was altered, or a leaf is missing.

    """
    size, stored, frontier = _size(records), _Stored(), _Frontier()
    wanted = {*sizes, size}
    roots = {0: merkle.EMPTY} if 0 in wanted else {}
    for index, data in _leaves(records, stored, size):
        for level, at, value in merkle.added_nodes(index, merkle.leaf_hash(data), frontier.node):
            frontier.keep(level, at, value)
            if stored.get(level, at) != value:
                what = f"Leaf {index} or a hash above it was altered."
                raise ProofError(what, leaf=index)
        if index + 1 in wanted:
            roots[index + 1] = merkle.root(index + 1, frontier.node)
    return size, roots
