"""A station's work: show the scanner samples, then every file of a crossing, then sign what it said."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import BinaryIO

from lockgate.core.artifact import ArtifactFile, Digest, Lock
from lockgate.core.digests import CHUNK
from lockgate.core.ports import Clock, Progress
from lockgate.core.station import REPORT_FORMAT, FileScan, ScannerFacts, StationReport, Text
from lockgate.core.verdict import Outcome
from lockgate.core.wire import Document, Moment, decode, encode, whole_second
from lockgate.crossing.ledger import ledger_key
from lockgate.crossing.station.errors import ScannerChangedError, StageSpaceError
from lockgate.crossing.station.ports import Said, Scanner
from lockgate.crossing.station.sample import demand_sight
from lockgate.crossing.station.stage import changed, name_for, sweep, take_away, write_staged
from lockgate.store.errors import BlobMismatchError
from lockgate.store.ports import BlobStore, Records

SCANS = "station-scan"
"""Crossing, digest and ending of a name → what the scanner said, for runs that go on."""

SPARE = 64 << 20
"""Bytes that stay free beside a staged file."""


class _Row(Document, frozen=True):
    """What a scanner said of some bytes, and which one it was."""

    scanner: ScannerFacts
    sha256: Digest
    outcome: Outcome
    names: tuple[Text, ...]
    why: Text
    started: Moment


@dataclass(frozen=True, slots=True)
class StationParts:
    """Everything that scanning is joined from.

    Attributes:
        scanner: Looks at the files.
        contents: Holds the files of the crossing, opened and verified.
        records: Keeps what was said, so that an interrupted run goes on.
        clock: The present moment.
        free: Tells the free bytes of the folder that files are staged in.
        largest: Length of the longest file, in bytes, that the scanner is asked about.
        lives: How long a report counts.

    """

    scanner: Scanner
    contents: BlobStore
    records: Records
    clock: Clock
    free: Callable[[], int]
    largest: int
    lives: timedelta


@dataclass(frozen=True, slots=True)
class Opened:
    """A crossing whose content lies open at the station."""

    lane: str
    crossing: int
    crate_sha256: str
    lock: Lock
    lock_sha256: str

    @property
    def files(self) -> list[ArtifactFile]:
        """Return all files of the lock, in its order."""
        return [file for artifact in self.lock.artifacts for file in artifact.files]


class Station:
    """Shows crossings to one scanner."""

    def __init__(self, parts: StationParts) -> None:
        """Use the parts; nothing happens yet."""
        self._p = parts

    def scan(self, opened: Opened, progress: Progress) -> StationReport:
        """Show every file of a crossing to the scanner; an interrupted run goes on where it was.

        Raises:
            ScannerBlindError: The scanner does not find what it must find.
            ScannerChangedError: It is another one, or has other data, than when the run began.
            ScannerError, StageSpaceError, StageIoError: It cannot be asked.

        """
        p = self._p
        sweep(p.scanner.stage)
        shown = [file.size for file in opened.files if file.size <= p.largest]
        largest = max(shown, default=0)
        self._demand_space(largest)
        before = p.scanner.identify()
        demand_sight(p.scanner, largest)
        started = whole_second(p.clock())
        rows = self._scan_all(opened, before, progress)
        # A scanner that went blind, or was changed, meanwhile is found out before anything is signed.
        sample = demand_sight(p.scanner, largest)
        after = p.scanner.identify()
        if after != before:
            what = f"The scanner was {before.name} {before.version} and is {after.name} {after.version}."
            raise ScannerChangedError(what)
        finished = whole_second(p.clock())
        return StationReport(
            format=REPORT_FORMAT,
            lane=opened.lane,
            crossing=opened.crossing,
            crate_sha256=opened.crate_sha256,
            lock_sha256=opened.lock_sha256,
            scanner=before,
            largest=sample,
            started=min([started, *(row.started for row in rows)]),
            finished=finished,
            expires=finished + p.lives,
            files=tuple(_scan_of(file, row) for file, row in zip(opened.files, rows, strict=True)),
        )

    def _scan_all(self, opened: Opened, scanner: ScannerFacts, progress: Progress) -> Sequence[_Row]:
        progress.start("scan", sum(file.size for file in opened.files))
        rows = []
        for file in opened.files:
            key = f"{ledger_key(opened.crossing)}/{file.sha256}/{name_for(file.path)[32:]}"
            row = self._known(key, scanner) or self._ask(key, file, scanner)
            rows.append(row)
            progress.advance(file.size)
        progress.finish()
        return rows

    def _known(self, key: str, scanner: ScannerFacts) -> _Row | None:
        """Return what this very scanner said before; what it could not tell is asked again."""
        with self._p.records.transaction() as tx:
            data = tx.get(SCANS, key)
        row = decode(_Row, data, name="scan") if data else None
        return row if row and row.scanner == scanner and row.outcome is not Outcome.INCOMPLETE else None

    def _ask(self, key: str, file: ArtifactFile, scanner: ScannerFacts) -> _Row:
        began = whole_second(self._p.clock())
        said = self._show(file)
        row = _Row(
            scanner=scanner,
            sha256=file.sha256,
            outcome=said.outcome,
            names=said.names,
            why=said.why,
            started=began,
        )
        with self._p.records.transaction() as tx:
            tx.put(SCANS, key, encode(row))
        return row

    def _show(self, file: ArtifactFile) -> Said:
        """Stage one file, have it scanned, and demand that it is still what it was."""
        p = self._p
        if file.size > p.largest:
            why = f"It has {file.size} bytes; this scanner is asked about {p.largest} at most."
            return Said(Outcome.INCOMPLETE, why=why)
        self._demand_space(file.size)
        with p.contents.open(file.sha256) as stream:
            staged = write_staged(p.scanner.stage, name_for(file.path), _pieces(stream))
        said = Said(Outcome.INCOMPLETE, path=staged.path)
        try:
            if (staged.sha256, staged.size) != (file.sha256, file.size):
                what = f"{file.path} is not in quarantine as it was verified."
                raise BlobMismatchError(what, expected=file.sha256, found=staged.sha256)
            said = p.scanner.scan(staged)
            if said.outcome is Outcome.CLEAN and (why := changed(staged, said.path)):
                return replace(said, outcome=Outcome.INCOMPLETE, why=why)
            return said
        finally:
            take_away(staged.path, said.path)

    def _demand_space(self, size: int) -> None:
        free = self._p.free()
        if free < size + SPARE:
            what = f"Staging needs {size + SPARE} bytes and {free} are free."
            raise StageSpaceError(what, missing=size + SPARE - free)


def _scan_of(file: ArtifactFile, row: _Row) -> FileScan:
    return FileScan(
        path=file.path,
        sha256=file.sha256,
        size=file.size,
        outcome=row.outcome,
        names=row.names,
        why=row.why,
    )


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(CHUNK):
        yield piece
