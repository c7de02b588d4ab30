"""The ledgers over the record store, and supply roots in a folder."""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from msgspec import structs

from lockgate.core.artifact import Digest
from lockgate.core.digests import checked
from lockgate.core.receipt import Ending, Receipt
from lockgate.core.sequence import FINAL, CrossingState, LedgerEntry
from lockgate.core.wire import Document, decode, encode, whole_second
from lockgate.crossing.errors import (
    BegunLedgerError,
    CrossingStateError,
    ReceiptConflictError,
    ReceiptReplayedError,
)
from lockgate.crossing.format import NOTHING, ROOT_NAME, VOID_LIMIT, root_name
from lockgate.crossing.ports import (
    Held,
    Ledger,
    Recorded,
    SealLedger,
    Sent,
    Slot,
    Standing,
    SupplyRoots,
)
from lockgate.store import Records, Transaction
from lockgate.store.blobs import sync_folder
from lockgate.trust.tuf import TUF_FILES

LEDGER = "ledger"
RECORDED = "ledger-recorded"
HELD = "ledger-held"
TUF = "ledger-tuf"
TIME = "ledger-time"
SEALED = "seal-ledger"
SEALED_TUF = "seal-tuf"
SEALED_CONTENTS = "seal-contents"
LEARNT = "seal-receipt"
_FLOOR = "floor"


class _Moment(Document, frozen=True):
    at: datetime


def ledger_key(sequence: int) -> str:
    """Return the record key of a number."""
    return f"{sequence:08d}"


def mark(tx: Transaction, sequence: int, state: CrossingState) -> None:
    """Move a crossing to another state inside a transaction of the caller's.

    Raises:
        CrossingStateError: It is not on record, or its state is final.

    """
    old = tx.get(LEDGER, ledger_key(sequence))
    if old is None:
        what = f"Crossing {sequence} is not on record."
        raise CrossingStateError(what)
    entry = decode(LedgerEntry, old, name="ledger entry")
    if entry.state is state:
        return
    if entry.state in FINAL:
        what = f"Crossing {sequence} is {entry.state} and cannot become {state}."
        raise CrossingStateError(what)
    new = LedgerEntry(
        sequence=sequence,
        crate_sha256=entry.crate_sha256,
        state=state,
        previous_sha256=entry.previous_sha256,
    )
    tx.swap(LEDGER, ledger_key(sequence), old, encode(new))


class RecordLedger(Ledger):
    """The high side's ledger over the record store (in memory for tests: over `MemoryRecords`)."""

    def __init__(self, records: Records) -> None:
        """Use the ledger that the records hold."""
        self._records = records

    def entries(self) -> dict[int, LedgerEntry]:
        """Return everything on record, by number."""
        with self._records.transaction() as tx:
            found = [decode(LedgerEntry, value, name="ledger entry") for _, value in tx.scan(LEDGER)]
        return {entry.sequence: entry for entry in found}

    def recorded(self, sequence: int) -> Recorded | None:
        """Return when a number's manifest was recorded."""
        with self._records.transaction() as tx:
            value = tx.get(RECORDED, ledger_key(sequence))
        return None if value is None else decode(Recorded, value)

    def held(self, sequence: int) -> Held | None:
        """Return what opening a crate left, or None before that."""
        with self._records.transaction() as tx:
            value = tx.get(HELD, ledger_key(sequence))
        return None if value is None else decode(Held, value)

    def floor(self) -> datetime | None:
        """Return the newest moment that a verified signature proved."""
        with self._records.transaction() as tx:
            return read_floor(tx)

    def tuf(self) -> dict[str, bytes]:
        """Return the newest trusted update metadata by file name."""
        with self._records.transaction() as tx:
            return dict(tx.scan(TUF))

    def record(self, entries: Sequence[LedgerEntry], recorded: Recorded, floor: datetime) -> None:
        """Consume numbers and raise the floor, together."""
        with self._records.transaction() as tx:
            for entry in entries:
                tx.insert(LEDGER, ledger_key(entry.sequence), encode(entry))
            tx.insert(RECORDED, ledger_key(recorded.sequence), encode(recorded))
            known = read_floor(tx)
            if known is None or floor > known:
                put_floor(tx, floor)

    def begin_after(self, sequence: int, crate_sha256: str) -> None:
        """Let a ledger in which no crate stands begin after a crossing that was never shown to it.

        Raises:
            BegunLedgerError: A crate stands in it.

        """
        entry = LedgerEntry(
            sequence=sequence,
            crate_sha256=crate_sha256,
            state=CrossingState.VOID,
            previous_sha256="0" * 64,
        )
        with self._records.transaction() as tx:
            if any(True for _ in tx.scan(RECORDED)):
                raise BegunLedgerError("Crossings stand in this ledger already.")
            for begun, _ in list(tx.scan(LEDGER)):  # with a crate that could not be opened
                tx.delete(LEDGER, begun)
            tx.insert(LEDGER, ledger_key(sequence), encode(entry))

    def quarantined(self, held: Held, tuf: Mapping[str, bytes]) -> None:
        """Promote update metadata and the crossing's state, together."""
        with self._records.transaction() as tx:
            mark(tx, held.sequence, CrossingState.QUARANTINED)
            tx.insert(HELD, ledger_key(held.sequence), encode(held))
            _replace(tx, TUF, tuf)


def _replace(tx: Transaction, collection: str, files: Mapping[str, bytes]) -> None:
    """Keep exactly these update metadata files, which must be complete."""
    top = {name: files[name] for name in TUF_FILES}
    for name in [name for name, _ in tx.scan(collection) if name not in files]:
        tx.delete(collection, name)
    for name, data in {**files, **top}.items():
        tx.put(collection, name, data)


def read_floor(tx: Transaction) -> datetime | None:
    """Return the newest moment that a verified signature proved."""
    value = tx.get(TIME, _FLOOR)
    return None if value is None else decode(_Moment, value).at


def put_floor(tx: Transaction, at: datetime) -> None:
    """Set the floor; whoever lowers it has two persons' signatures for that."""
    tx.put(TIME, _FLOOR, encode(_Moment(at=whole_second(at))))


class _SealState(StrEnum):
    RESERVED = "reserved"
    SEALED = "sealed"
    VOID = "void"


class _SealEntry(Document, frozen=True):
    sequence: int
    state: _SealState
    crate_sha256: Digest = NOTHING


class RecordSealLedger(SealLedger):
    """The low side's ledger over the record store."""

    def __init__(self, records: Records) -> None:
        """Use the ledger that the records hold."""
        self._records = records

    def peek(self) -> Slot:
        """Return what `begin` would return, and change nothing."""
        with self._records.transaction() as tx:
            return _next_slot(_seal_entries(tx))

    def begin(self) -> Slot:
        """Reserve the next number."""
        with self._records.transaction() as tx:
            slot = _next_slot(_seal_entries(tx))
            entry = _SealEntry(sequence=slot.sequence, state=_SealState.RESERVED)
            tx.put(SEALED, ledger_key(slot.sequence), encode(entry))
        return slot

    def tuf(self) -> dict[str, bytes]:
        """Return the update metadata of the newest crate by file name."""
        with self._records.transaction() as tx:
            return dict(tx.scan(SEALED_TUF))

    def finish(
        self, sequence: int, crate_sha256: str, tuf: Mapping[str, bytes], contents: str | None = None
    ) -> None:
        """Bind a reserved number to its crate, for ever, and keep its update metadata."""
        reserved = encode(_SealEntry(sequence=sequence, state=_SealState.RESERVED))
        entry = _SealEntry(sequence=sequence, state=_SealState.SEALED, crate_sha256=crate_sha256)
        with self._records.transaction() as tx:
            if tx.get(SEALED, ledger_key(sequence)) != reserved:
                what = f"Crossing {sequence} is not reserved for sealing."
                raise CrossingStateError(what)
            tx.swap(SEALED, ledger_key(sequence), reserved, encode(entry))
            _replace(tx, SEALED_TUF, tuf)
            if contents is not None:
                tx.put(SEALED_CONTENTS, ledger_key(sequence), contents.encode())

    def contents(self) -> dict[int, str]:
        """Return the digest of the list of what each crossing carried, where one was kept."""
        with self._records.transaction() as tx:
            return {int(key): checked(value.decode()) for key, value in tx.scan(SEALED_CONTENTS)}

    def sealed(self, sequence: int) -> str | None:
        """Return the digest that a number is bound to, or None."""
        with self._records.transaction() as tx:
            entry = _seal_entries(tx).get(sequence)
        return None if entry is None or entry.state is _SealState.RESERVED else entry.crate_sha256

    def declare_void(self, sequence: int) -> None:
        """Give up a crate that was sealed and never arrived."""
        with self._records.transaction() as tx:
            entries = _seal_entries(tx)
            entry = entries.get(sequence)
            if entry is None or entry.state is not _SealState.SEALED:
                what = f"Crossing {sequence} was not sealed, or is void already."
                raise CrossingStateError(what)
            later = [e for n, e in entries.items() if n > sequence and e.state is _SealState.SEALED]
            if later:
                what = f"Crossing {later[0].sequence} was sealed after {sequence} and is not void."
                raise CrossingStateError(what, advice="Declare the newest crossing void first.")
            standing = _sent(tx)[sequence].standing
            if standing in {Standing.ACKNOWLEDGED, Standing.REJECTED}:
                what = f"Crossing {sequence} arrived: its receipt says {standing}."
                raise CrossingStateError(what)
            new = _SealEntry(sequence=sequence, state=_SealState.VOID, crate_sha256=entry.crate_sha256)
            tx.put(SEALED, ledger_key(sequence), encode(new))

    def sent(self) -> dict[int, Sent]:
        """Return every crossing that was sealed, by number, with what receipts said of it."""
        with self._records.transaction() as tx:
            return _sent(tx)

    def acknowledge(self, receipt: Receipt) -> Sent:
        """Record a verified receipt; what was learnt never changes again."""
        with self._records.transaction() as tx:
            sent = _sent(tx)
            known = sent.get(receipt.crossing)
            if known is None or known.crate_sha256 != receipt.crate_sha256:
                what = f"The receipt names a crate {receipt.crossing} that this side did not seal."
                raise ReceiptConflictError(what, crate=receipt.crate_sha256)
            told = Sent(
                sequence=receipt.crossing,
                crate_sha256=receipt.crate_sha256,
                standing=_STANDINGS[receipt.ending],
                void=known.void,
                snapshot_sha256=receipt.snapshot_sha256,
                log_size=receipt.log_size,
                log_root=receipt.log_root,
            )
            if told == known:
                what = f"The receipt of crossing {receipt.crossing} was read before."
                raise ReceiptReplayedError(what)
            if known.standing is not Standing.UNACKNOWLEDGED:
                what = f"Crossing {receipt.crossing} is {known.standing}; the receipt says otherwise."
                raise ReceiptConflictError(what, offered=told.standing)
            if known.void and told.standing is not Standing.LOST:
                what = (
                    f"Crossing {receipt.crossing} was given up here, and the other side {told.standing} it."
                )
                raise ReceiptConflictError(what)
            _demand_one_log(told, sent.values())
            tx.insert(LEARNT, ledger_key(receipt.crossing), encode(told))
        return told


_STANDINGS = {
    Ending.PUBLISHED: Standing.ACKNOWLEDGED,
    Ending.REJECTED: Standing.REJECTED,
    Ending.INCOMPLETE: Standing.LOST,
    Ending.VOID: Standing.LOST,
}


def _sent(tx: Transaction) -> dict[int, Sent]:
    told = [decode(Sent, value, name="receipt on record") for _, value in tx.scan(LEARNT)]
    by_number = {each.sequence: each for each in told}
    sealed = [e for e in _seal_entries(tx).values() if e.state is not _SealState.RESERVED]
    found: dict[int, Sent] = {}
    for entry in sorted(sealed, key=lambda e: e.sequence):
        known = by_number.get(entry.sequence)
        if known is None:
            known = Sent(sequence=entry.sequence, crate_sha256=entry.crate_sha256)
        found[entry.sequence] = structs.replace(known, void=entry.state is _SealState.VOID)
    return found


def _demand_one_log(told: Sent, others: Iterable[Sent]) -> None:
    """Refuse a checkpoint that has another root than one of the same size: the log was forked."""
    for other in others:
        if told.log_size and other.log_size == told.log_size and other.log_root != told.log_root:
            what = (
                f"The receipts of crossings {other.sequence} and {told.sequence} show two logs of one size."
            )
            raise ReceiptConflictError(what, size=told.log_size)


def _seal_entries(tx: Transaction) -> dict[int, _SealEntry]:
    found = [decode(_SealEntry, value, name="seal ledger entry") for _, value in tx.scan(SEALED)]
    return {entry.sequence: entry for entry in found}


def _next_slot(entries: dict[int, _SealEntry]) -> Slot:
    bound = {n: e for n, e in entries.items() if e.state is not _SealState.RESERVED}
    last = max(bound, default=0)
    void: dict[str, Digest] = {}
    for number in range(last, max(0, last - VOID_LIMIT), -1):
        if bound[number].state is not _SealState.VOID:
            break
        void[str(number)] = bound[number].crate_sha256
    return Slot(
        sequence=last + 1,
        previous_sha256=bound[last].crate_sha256 if last else NOTHING,
        void=void,
    )


class FileSupplyRoots(SupplyRoots):
    """Supply roots as ``N.root.json`` in a folder."""

    def __init__(self, folder: Path) -> None:
        """Use a folder that holds at least the pinned root."""
        self._folder = folder

    def versions(self) -> list[bytes]:
        """Return the roots, oldest first, unverified."""
        named = ((ROOT_NAME.fullmatch(path.name), path) for path in self._folder.iterdir())
        found = sorted((int(match[1]), path) for match, path in named if match)
        return [path.read_bytes() for _, path in found]

    def add(self, version: int, root: bytes) -> None:
        """Keep a verified root; durable on return."""
        final = self._folder / root_name(version)
        partial = self._folder / f".{root_name(version)}.partial"
        with partial.open("wb") as file:
            file.write(root)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(final)
        sync_folder(self._folder)


class MemorySupplyRoots(SupplyRoots):
    """Supply roots in a dictionary: the double."""

    def __init__(self, *roots: bytes) -> None:
        """Begin with some roots, oldest first."""
        self._roots = dict(enumerate(roots, 1))

    def versions(self) -> list[bytes]:
        """Return the roots, oldest first."""
        return [root for _, root in sorted(self._roots.items())]

    def add(self, version: int, root: bytes) -> None:
        """Keep a root."""
        self._roots[version] = root
