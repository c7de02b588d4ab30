"""The log: every effect leaves an intent before it is visible and an outcome after."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import msgspec

from lockgate.audit import merkle
from lockgate.audit.check import hash_again
from lockgate.audit.checkpoint import Checkpoint, decode_path, encode_path, open_checkpoint, sign_checkpoint
from lockgate.audit.errors import AuditUnavailableError, EventTooLargeError, NoSuchLeafError, ProofError
from lockgate.audit.evidence import EVIDENCE_FORMAT, Extension, LogEvidence
from lockgate.audit.group import BATCH_EVENTS, GroupCommit
from lockgate.audit.rows import (
    LEAF,
    NODE,
    SHOWN,
    WITNESSED,
    leaf_key,
    log_size,
    node_key,
    node_reader,
    put_size,
    read_leaf,
)
from lockgate.core.errors import LockgateError, MalformedDocumentError
from lockgate.core.ports import Clock
from lockgate.core.roots import PublicKey
from lockgate.core.wire import Document, decode, encode, stamp
from lockgate.store.ports import Records
from lockgate.trust.keys import Signer

EVENT_LIMIT = 1 << 20
"""Longest event that is recorded, in bytes."""

SHOWN_SIZES = 64
"""How many earlier sizes, the newest first, evidence proves without being asked."""

PROOF_FORMAT = "lockgate-audit-proof/1"


class LogProof(Document, frozen=True):
    """Everything needed to check offline that one event is in the log."""

    format: str
    index: int
    event: dict[str, Any]
    path: tuple[str, ...]
    checkpoint: str


class AuditLog:
    """An append-only Merkle log over a record store of its own.

    Args:
        records: Holds leaves and the hashes of complete subtrees.
        origin: The log's name in checkpoints, such as ``lockgate/LANE/high``.
        clock: Stamps events.
        group: Most events of several threads that share one durable transaction.

    """

    def __init__(self, records: Records, origin: str, clock: Clock, *, group: int = BATCH_EVENTS) -> None:
        """Use the log that the records hold; an empty store is an empty log."""
        self._records = records
        self.origin = origin
        self._clock = clock
        self._group = GroupCommit(self._commit, group)
        self._edge: dict[tuple[int, int], bytes] = {}
        self._edge_size = -1

    def append(self, event: dict[str, Any]) -> int:
        """Add an event and return its index; it is durable on return.

        Threads that append at once share a transaction.

        Raises:
            MalformedDocumentError: It has numbers with fractions and could not be read again.
            EventTooLargeError: Longer than `EVENT_LIMIT`.
            AuditUnavailableError, RecordsUnavailableError: It could not be written.

        """
        return self._group.append(_checked(event, stamp(self._clock())))

    def append_all(self, events: Sequence[dict[str, Any]]) -> int:
        """Add events side by side in one transaction and return the index of the first.

        For who has collected many already; other threads' appends go before or after all of them.

        Raises:
            MalformedDocumentError, EventTooLargeError, AuditUnavailableError, RecordsUnavailableError: See
                `append`; none of the events was written.

        """
        now = stamp(self._clock())
        return self._group.alone([_checked(event, now) for event in events])

    def _commit(self, events: Sequence[bytes]) -> int:
        """Write events in one transaction; return the index of the first.

        The subtrees at the right edge, which new leaves are hashed onto, are remembered from one transaction
        to the next as long as nobody else has written to the log.
        """
        try:
            with self._records.transaction() as tx:
                begin = log_size(tx)
                stored = node_reader(tx)
                edge = self._edge if self._edge_size == begin and self._is_last(begin, stored) else {}

                def node(level: int, at: int) -> bytes:
                    known = edge.get((level, at))
                    return stored(level, at) if known is None else known

                fresh = merkle.all_added_nodes(begin, [merkle.leaf_hash(data) for data in events], node)
                leaves = [(LEAF, leaf_key(index), data) for index, data in enumerate(events, begin)]
                nodes = [(NODE, node_key(level, at), value) for level, at, value in fresh]
                tx.insert_all(leaves + nodes)
                put_size(tx, begin + len(events))
        except OSError as error:
            what = f"The log could not be written: {error}."
            raise AuditUnavailableError(what) from error
        size = begin + len(events)
        known = {**edge, **{(level, at): value for level, at, value in fresh}}
        self._edge = {place: known[place] for place in merkle.edge(size) if place in known}
        self._edge_size = size
        return begin

    def _is_last(self, size: int, stored: merkle.Node) -> bool:
        """Tell whether the newest leaf is still the one from here: a log may be restored."""
        newest = 0, size - 1
        return newest in self._edge and stored(*newest) == self._edge[newest]

    def intent(self, action: str, **facts: Any) -> int:
        """Record that something is about to happen; call it before the effect is visible."""
        return self.append({"kind": "intent", "action": action, "facts": facts})

    def outcome(self, intent: int, status: str, **facts: Any) -> int:
        """Record how an intended thing ended (`status`: ``done``, ``refused``, ``failed`` …)."""
        return self.append({"kind": "outcome", "intent": intent, "status": status, "facts": facts})

    @contextmanager
    def recorded(self, action: str, **facts: Any) -> Iterator[dict[str, Any]]:
        """Record an intent, then how what the block does ended; the block fills in what a good end says.

        A refusal (`LockgateError`) is recorded with its code. Any other exception leaves the intent without
        an outcome, as a crash does: nobody knows what became of it.
        """
        said: dict[str, Any] = {}
        intent = self.intent(action, **facts)
        try:
            yield said
        except LockgateError as error:
            self.outcome(intent, "refused", code=error.code, error=error.what)
            raise
        self.outcome(intent, "done", **said)

    def size(self) -> int:
        """Return the number of leaves."""
        with self._records.transaction() as tx:
            return log_size(tx)

    def event(self, index: int) -> dict[str, Any]:
        """Return one event.

        Raises:
            NoSuchLeafError: No such leaf.

        """
        with self._records.transaction() as tx:
            return _event(read_leaf(tx, index))

    def events(self, begin: int = 0, end: int | None = None) -> list[tuple[int, dict[str, Any]]]:
        """Return the events from `begin` up to `end` with their indices."""
        with self._records.transaction() as tx:
            stop = log_size(tx) if end is None else min(end, log_size(tx))
            return [(i, _event(read_leaf(tx, i))) for i in range(begin, stop)]

    def checkpoint(self) -> Checkpoint:
        """Return the log's present size and root."""
        with self._records.transaction() as tx:
            size = log_size(tx)
            return Checkpoint(self.origin, size, merkle.root(size, node_reader(tx)))

    def prove(self, index: int, signer: Signer) -> LogProof:
        """Return a proof that an event is in the log, under a fresh signed checkpoint.

        Raises:
            NoSuchLeafError: No such leaf.

        """
        with self._records.transaction() as tx:
            size = log_size(tx)
            data = read_leaf(tx, index)
            path = merkle.inclusion(index, size, node_reader(tx))
            top = merkle.root(size, node_reader(tx))
        return LogProof(
            format=PROOF_FORMAT,
            index=index,
            event=_event(data),
            path=encode_path(path),
            checkpoint=sign_checkpoint(Checkpoint(self.origin, size, top), signer),
        )

    def consistency(self, old: int) -> list[bytes]:
        """Return the proof that the log extends its first `old` leaves.

        Raises:
            NoSuchLeafError: The log is shorter.

        """
        return self.extension([old])[1][0]

    def extension(self, olds: Sequence[int]) -> tuple[Checkpoint, list[list[bytes]]]:
        """Return the log's checkpoint and, for each older size, the proof that it extends it.

        Raises:
            NoSuchLeafError: The log is shorter than one of them.

        """
        with self._records.transaction() as tx:
            size, node = log_size(tx), node_reader(tx)
            for old in olds:
                if not 0 <= old <= size:
                    what = f"The log has {size} leaves, not {old}."
                    raise NoSuchLeafError(what)
            now = Checkpoint(self.origin, size, merkle.root(size, node))
            return now, [merkle.consistency(old, size, node) for old in olds]

    def evidence(self, signer: Signer, sizes: Iterable[int] = ()) -> LogEvidence:
        """Return a signed checkpoint with proofs that it continues what was shown before.

        Proofs begin at the sizes that are asked for and at the newest `SHOWN_SIZES` that earlier
        evidence showed or was asked for. Those of this one are noted for the next.

        Raises:
            NoSuchLeafError: The log is shorter than a size that is asked for.

        """
        asked = set(sizes)
        with self._records.transaction() as tx:
            keys = [key for key, _ in tx.scan(SHOWN)]
            for key in keys[:-SHOWN_SIZES]:
                tx.delete(SHOWN, key)
            shown = [int(key) for key in keys[-SHOWN_SIZES:]]
            known = log_size(tx)
        wanted = sorted({*asked, *(old for old in shown if old <= known)})
        now, paths = self.extension(wanted)
        with self._records.transaction() as tx:
            for size in {now.size, *asked}:
                tx.put(SHOWN, leaf_key(size), b"")
        return LogEvidence(
            format=EVIDENCE_FORMAT,
            checkpoint=sign_checkpoint(now, signer),
            extends=tuple(
                Extension(size=old, path=encode_path(path)) for old, path in zip(wanted, paths, strict=True)
            ),
        )

    def keep_witnessed(self, person: str, note: str) -> None:
        """Keep the newest note that a witness cosigned; whoever reads it verifies it again."""
        with self._records.transaction() as tx:
            tx.put(WITNESSED, person, note.encode())

    def forget_witnessed(self, person: str) -> None:
        """Forget what a witness cosigned: two approvers agreed to go on from another log."""
        with self._records.transaction() as tx:
            tx.delete(WITNESSED, person)

    def witnessed(self) -> dict[str, str]:
        """Return the newest note that each witness cosigned, unverified."""
        with self._records.transaction() as tx:
            return {person: note.decode("utf-8", "replace") for person, note in tx.scan(WITNESSED)}

    def verify(self) -> Checkpoint:
        """Hash every leaf again, compare with the stored tree, and return the checkpoint.

        Raises:
            ProofError: A leaf or a node was altered, or a leaf is missing.

        """
        size, roots = self.roots()
        return Checkpoint(self.origin, size, roots[size])

    def roots(self, sizes: Collection[int] = ()) -> tuple[int, dict[int, bytes]]:
        """Hash every leaf again; return the size and the roots at it and at some older sizes.

        Raises:
            ProofError: A leaf or a node was altered, or a leaf is missing.

        """
        return hash_again(self._records, sizes)


def _checked(event: dict[str, Any], now: str) -> bytes:
    """Return an event's bytes with the present time, within their bound."""
    data = encode({"time": now, **event})
    if len(data) > EVENT_LIMIT:
        what = f"An event of {len(data)} bytes is longer than {EVENT_LIMIT}."
        raise EventTooLargeError(what, limit="event_bytes")
    _whole_numbers.decode(data)
    return data


def _refuse_fraction(text: str) -> NoReturn:
    what = f"An event has {text[:40]}, a number with a fraction or an exponent, which could not be read."
    raise MalformedDocumentError(what)


_whole_numbers = msgspec.json.Decoder(float_hook=_refuse_fraction)


def _event(data: bytes) -> dict[str, Any]:
    return decode(dict[str, Any], data, name="audit event")


def check_proof(proof: LogProof, origin: str, *keys: PublicKey) -> Checkpoint:
    """Check, without the log, that a proof's event is in the log; return its checkpoint.

    Args:
        proof: As `AuditLog.prove` made it.
        origin: The log's name.
        keys: The log's keys, from the pinned site root.

    Raises:
        ProofError: It does not hold.

    """
    checkpoint = open_checkpoint(proof.checkpoint, origin, *keys)
    leaf = merkle.leaf_hash(encode(proof.event))
    path = decode_path(proof.path)
    if not merkle.inclusion_holds(proof.index, checkpoint.size, leaf, path, checkpoint.root):
        what = f"The event is not leaf {proof.index} of the log at size {checkpoint.size}."
        raise ProofError(what)
    return checkpoint
