"""The Merkle tree of RFC 6962, section 2.1: hashes, inclusion and consistency proofs.

Pure: nodes are asked for by level and index, where node (l, i) covers the leaves from i·2^l to
(i+1)·2^l. Decided for size 0: the root is SHA-256 of nothing, and consistency from 0 has the
empty proof.
"""

import hashlib
from collections.abc import Callable, Sequence
from itertools import count, repeat

Node = Callable[[int, int], bytes]
"""Returns the hash of a complete subtree, by level and index."""

EMPTY = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def added_nodes(index: int, leaf: bytes, node: Node) -> list[tuple[int, int, bytes]]:
    """Return the complete subtrees (level, index, hash) that appending a leaf makes.

    Args:
        index: The new leaf's index, which is the size of the tree before.
        leaf: Its leaf hash.
        node: Gives the subtrees that were complete before.

    """
    made = [(0, index, leaf)]
    level, at, value = 0, index, leaf
    while at & 1:
        value = node_hash(node(level, at - 1), value)
        level, at = level + 1, at >> 1
        made.append((level, at, value))
    return made


def all_added_nodes(begin: int, leaves: Sequence[bytes], node: Node) -> list[tuple[int, int, bytes]]:
    """Return what `added_nodes` returns for leaves one after another, level by level.

    Args:
        begin: The first new leaf's index, which is the size of the tree before.
        leaves: Their leaf hashes.
        node: Gives the subtrees that were complete before.

    """
    made: list[tuple[int, int, bytes]] = []
    level, at, row = 0, begin, list(leaves)
    while row:
        made += zip(repeat(level), count(at), row)
        if at & 1:
            at -= 1
            row.insert(0, node(level, at))
        row = [
            hashlib.sha256(b"\x01" + left + right).digest()
            for left, right in zip(row[::2], row[1::2], strict=False)
        ]
        level, at = level + 1, at >> 1
    return made


def edge(size: int) -> list[tuple[int, int]]:
    """Return the subtrees (level, index) at the right edge of a tree: its newest leaf, and the complete ones.

    Their hashes are all that appending reads.
    """
    complete = [(level, (size >> level) - 1) for level in range(size.bit_length()) if size >> level & 1]
    return complete if size & 1 or not size else [(0, size - 1), *complete]


def subtree(begin: int, end: int, node: Node) -> bytes:
    """Return the hash over the leaves from `begin` up to `end` (MTH of RFC 6962)."""
    count = end - begin
    if count == 0:
        return EMPTY
    level = count.bit_length() - 1
    if count == 1 << level and begin % count == 0:
        return node(level, begin >> level)
    half = 1 << ((count - 1).bit_length() - 1)
    return node_hash(subtree(begin, begin + half, node), subtree(begin + half, end, node))


def root(size: int, node: Node) -> bytes:
    """Return the root over the first `size` leaves."""
    return subtree(0, size, node)


def inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """Return the audit path of a leaf (PATH of RFC 6962)."""
    begin, end = 0, size
    path: list[bytes] = []
    while end - begin > 1:
        half = 1 << ((end - begin - 1).bit_length() - 1)
        if index < begin + half:
            path.append(subtree(begin + half, end, node))
            end = begin + half
        else:
            path.append(subtree(begin, begin + half, node))
            begin += half
    return path[::-1]


def inclusion_holds(index: int, size: int, leaf: bytes, path: Sequence[bytes], top: bytes) -> bool:
    """Tell whether a path proves a leaf to be in the tree with root `top` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            value = node_hash(sibling, value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and value == top


def consistency(old: int, new: int, node: Node) -> list[bytes]:
    """Return the proof that the tree of `new` leaves extends the one of `old` (PROOF of RFC 6962)."""
    if old in {0, new}:
        return []
    return _subproof(old, 0, new, node, whole=True)


def _subproof(old: int, begin: int, end: int, node: Node, *, whole: bool) -> list[bytes]:
    count = end - begin
    if old == count:
        return [] if whole else [subtree(begin, end, node)]
    half = 1 << ((count - 1).bit_length() - 1)
    if old <= half:
        return [*_subproof(old, begin, begin + half, node, whole=whole), subtree(begin + half, end, node)]
    inner = _subproof(old - half, begin + half, end, node, whole=False)
    return [*inner, subtree(begin, begin + half, node)]


def consistency_holds(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Tell whether a path proves that a tree extends an older one (RFC 9162, 2.1.4.2)."""
    if old > new or old < 0:
        return False
    if old == 0:
        return not path and old_root == EMPTY
    if old == new:
        return not path and old_root == new_root
    return _extends(old, new, old_root, new_root, list(path))


def _extends(old: int, new: int, old_root: bytes, new_root: bytes, proof: list[bytes]) -> bool:
    if old & (old - 1) == 0:
        proof.insert(0, old_root)
    if not proof:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = proof[0]
    for sibling in proof[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root
