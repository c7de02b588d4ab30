"""The log: every effect leaves an intent before it is visible and an outcome after."""

import base64
from typing import Any

from lockgate.audit import merkle
from lockgate.audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from lockgate.audit.errors import NoSuchLeafError, ProofError
from lockgate.core.ports import Clock
from lockgate.core.roots import PublicKey
from lockgate.core.wire import Document, decode, encode, stamp
from lockgate.store.ports import Records, Transaction
from lockgate.trust.keys import Signer

_SIZE = ("audit", "size")


class LogProof(Document, frozen=True):
    """Everything needed to check offline that one event is in the log."""

    format: str
    index: int
    event: dict[str, Any]
    path: tuple[str, ...]
    checkpoint: str


PROOF_FORMAT = "lockgate-audit-proof/1"


def _leaf_key(index: int) -> str:
    return f"{index:016d}"


def _node_key(level: int, index: int) -> str:
    return f"{level:02d}:{index:016d}"


class AuditLog:
    """An append-only Merkle log over a record store of its own.

    Args:
        records: Holds leaves and the hashes of complete subtrees.
        origin: The log's name in checkpoints, such as ``lockgate/LANE/high``.
        clock: Stamps events.

    """

    def __init__(self, records: Records, origin: str, clock: Clock) -> None:
        """Use the log that the records hold; an empty store is an empty log."""
        self._records = records
        self.origin = origin
        self._clock = clock

    def append(self, event: dict[str, Any]) -> int:
        """Add an event and return its index; it is durable on return.

        Raises:
            MalformedDocumentError: It has numbers with fractions and could not be read again.

        """
        data = encode({"time": stamp(self._clock()), **event})
        _event(data)
        with self._records.transaction() as tx:
            index = _size(tx)
            for level, at, value in merkle.added_nodes(index, merkle.leaf_hash(data), _reader(tx)):
                tx.insert("audit-node", _node_key(level, at), value)
            tx.insert("audit-leaf", _leaf_key(index), data)
            tx.put(*_SIZE, str(index + 1).encode())
        return index

    def intent(self, action: str, **facts: Any) -> int:
        """Record that something is about to happen; call it before the effect is visible."""
        return self.append({"kind": "intent", "action": action, "facts": facts})

    def outcome(self, intent: int, status: str, **facts: Any) -> int:
        """Record how an intended thing ended (`status`: ``done``, ``refused``, ``failed`` …)."""
        return self.append({"kind": "outcome", "intent": intent, "status": status, "facts": facts})

    def size(self) -> int:
        """Return the number of leaves."""
        with self._records.transaction() as tx:
            return _size(tx)

    def event(self, index: int) -> dict[str, Any]:
        """Return one event.

        Raises:
            NoSuchLeafError: No such leaf.

        """
        with self._records.transaction() as tx:
            return _event(_leaf(tx, index))

    def events(self, begin: int = 0, end: int | None = None) -> list[tuple[int, dict[str, Any]]]:
        """Return the events from `begin` up to `end` with their indices."""
        with self._records.transaction() as tx:
            stop = _size(tx) if end is None else min(end, _size(tx))
            return [(i, _event(_leaf(tx, i))) for i in range(begin, stop)]

    def checkpoint(self) -> Checkpoint:
        """Return the log's present size and root."""
        with self._records.transaction() as tx:
            size = _size(tx)
            return Checkpoint(self.origin, size, merkle.root(size, _reader(tx)))

    def prove(self, index: int, signer: Signer) -> LogProof:
        """Return a proof that an event is in the log, under a fresh signed checkpoint.

        Raises:
            NoSuchLeafError: No such leaf.

        """
        with self._records.transaction() as tx:
            size = _size(tx)
            data = _leaf(tx, index)
            path = merkle.inclusion(index, size, _reader(tx))
            top = merkle.root(size, _reader(tx))
        note = sign_checkpoint(Checkpoint(self.origin, size, top), signer)
        return LogProof(
            format=PROOF_FORMAT,
            index=index,
            event=_event(data),
            path=tuple(base64.b64encode(h).decode() for h in path),
            checkpoint=note,
        )

    def consistency(self, old: int) -> list[bytes]:
        """Return the proof that the log extends its first `old` leaves.

        Raises:
            NoSuchLeafError: The log is shorter.

        """
        with self._records.transaction() as tx:
            size = _size(tx)
            if not 0 <= old <= size:
                what = f"The log has {size} leaves, not {old}."
                raise NoSuchLeafError(what)
            return merkle.consistency(old, size, _reader(tx))

    def verify(self) -> Checkpoint:
        """Hash every leaf again, compare with the stored tree, and return the checkpoint.

        Raises:
            ProofError: A leaf or a node was altered, or a leaf is missing.

        """
        with self._records.transaction() as tx:
            size = _size(tx)
            made: dict[tuple[int, int], bytes] = {}
            for index in range(size):
                data = tx.get("audit-leaf", _leaf_key(index))
                if data is None:
                    what = f"Leaf {index} of {size} is missing."
                    raise ProofError(what, leaf=index)
                for level, at, value in merkle.added_nodes(index, merkle.leaf_hash(data), _kept(made)):
                    made[level, at] = value
                    if tx.get("audit-node", _node_key(level, at)) != value:
                        what = f"Leaf {index} or a hash above it was altered."
                        raise ProofError(what, leaf=index)
            return Checkpoint(self.origin, size, merkle.root(size, _kept(made)))


def _kept(made: dict[tuple[int, int], bytes]) -> merkle.Node:
    return lambda level, index: made[level, index]


def _size(tx: Transaction) -> int:
    raw = tx.get(*_SIZE)
    return 0 if raw is None else int(raw)


def _reader(tx: Transaction) -> merkle.Node:
    def node(level: int, index: int) -> bytes:
        value = tx.get("audit-node", _node_key(level, index))
        if value is None:
            what = f"The log lacks the hash of subtree {level}:{index}."
            raise ProofError(what)
        return value

    return node


def _leaf(tx: Transaction, index: int) -> bytes:
    data = tx.get("audit-leaf", _leaf_key(index)) if index >= 0 else None
    if data is None:
        what = f"The log has no leaf {index}."
        raise NoSuchLeafError(what)
    return data


def _event(data: bytes) -> dict[str, Any]:
    return decode(dict[str, Any], data, name="audit event")


def check_proof(proof: LogProof, origin: str, key: PublicKey) -> Checkpoint:
    """Check, without the log, that a proof's event is in the log; return its checkpoint.

    Args:
        proof: As `AuditLog.prove` made it.
        origin: The log's name.
        key: The log's key, from the pinned site root.

    Raises:
        ProofError: It does not hold.

    """
    checkpoint = open_checkpoint(proof.checkpoint, origin, key)
    leaf = merkle.leaf_hash(encode(proof.event))
    try:
        path = [base64.b64decode(text, validate=True) for text in proof.path]
    except ValueError as error:
        raise ProofError("The proof is malformed.") from error
    if not merkle.inclusion_holds(proof.index, checkpoint.size, leaf, path, checkpoint.root):
        what = f"The event is not leaf {proof.index} of the log at size {checkpoint.size}."
        raise ProofError(what)
    return checkpoint
