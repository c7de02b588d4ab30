"""Where the log's records lie: collections and keys."""

from lockgate.audit import merkle
from lockgate.audit.errors import NoSuchLeafError, ProofError
from lockgate.store.ports import Transaction

LEAF = "audit-leaf"
NODE = "audit-node"
SHOWN = "audit-shown"
WITNESSED = "audit-witnessed"
_SIZE = ("audit", "size")


def leaf_key(index: int) -> str:
    """Return the key of a leaf."""
    return f"{index:016d}"


def node_key(level: int, index: int) -> str:
    """Return the key of a complete subtree's hash."""
    return f"{level:02d}:{index:016d}"


def log_size(tx: Transaction) -> int:
    """Return how many leaves the log says that it has.

    Raises:
        ProofError: The record is not a number.

    """
    raw = tx.get(*_SIZE)
    if raw is None:
        return 0
    if not raw.isdigit() or len(raw) > len("9" * 16):
        raise ProofError("The log's record of its size was altered.")
    return int(raw)


def put_size(tx: Transaction, size: int) -> None:
    """Record how many leaves the log has."""
    tx.put(*_SIZE, str(size).encode())


def node_reader(tx: Transaction) -> merkle.Node:
    """Return what reads the hashes of complete subtrees."""

    def node(level: int, index: int) -> bytes:
        value = tx.get(NODE, node_key(level, index))
        if value is None:
            what = f"The log lacks the hash of subtree {level}:{index}."
            raise ProofError(what)
        return value

    return node


def read_leaf(tx: Transaction, index: int) -> bytes:
    """Return one leaf's bytes.

    Raises:
        NoSuchLeafError: No such leaf.

    """
    data = tx.get(LEAF, leaf_key(index)) if index >= 0 else None
    if data is None:
        what = f"The log has no leaf {index}."
        raise NoSuchLeafError(what)
    return data
