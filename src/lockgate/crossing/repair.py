"""Repair without any key: finds shards that no longer hash to shards.idx and rebuilds them from parity."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from lockgate.core.ports import Progress, Silent
from lockgate.crossing.erasure import code, rows_of
from lockgate.crossing.errors import CrateIoError, RebuiltWrongError, TooDamagedError
from lockgate.crossing.field import Bytes
from lockgate.crossing.folder import CrateSource, SealedFile, reading
from lockgate.crossing.format import RECORD_SIZE, TAG_SIZE
from lockgate.crossing.parity import Group, slices
from lockgate.crossing.scattered import Columns, Trials
from lockgate.crossing.shards import ShardedFile

READERS = 2
"""Files that are read and hashed at once."""

NAMED_LIMIT = 8
"""Most places that an error about too much damage names."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of a file that is not what was sealed; offset and length in bytes.

    `why` is ``missing``, ``altered``, ``truncated`` or ``extended`` (bytes that nobody sealed).
    """

    file: str
    offset: int
    length: int
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan found in one file: its bad shards, and how long the file is (None: missing)."""

    file: ShardedFile
    size: int | None
    bad: frozenset[int]

    @property
    def readable(self) -> bool:
        """Tell whether there is something to read."""
        return bool(self.size)

    @property
    def whole(self) -> bool:
        """Tell whether the file is exactly what was sealed."""
        return not self.bad and self.size == self.file.size

    def damages(self) -> list[Damage]:
        """Return the damaged parts; neighbouring shards are one part."""
        name, size = self.file.name, self.file.size
        if self.size is None:
            return [Damage(name, 0, size, "missing")]
        parts: list[Damage] = []
        for shard in sorted(self.bad):
            offset, length = self.file.span(shard)
            why = "truncated" if offset + length > self.size else "altered"
            last = parts[-1] if parts else None
            if last is not None and last.offset + last.length == offset and last.why == why:
                parts[-1] = Damage(name, last.offset, last.length + length, why)
            else:
                parts.append(Damage(name, offset, length, why))
        if self.size > size:
            parts.append(Damage(name, size, self.size - size, "extended"))
        return parts


class Scanner:
    """Reads the files of a group from a crate's folder and judges every shard by its digest."""

    def __init__(self, folder: CrateSource, names: frozenset[str], progress: Progress | None = None) -> None:
        """Use a folder of which `names` are there."""
        self._folder = folder
        self._names = names
        self._progress = progress or Silent()

    def scan(self, files: Sequence[ShardedFile]) -> list[Found]:
        """Return what is found of each file.

        Raises:
            CrateGrammarError: A file is no regular file.

        """
        with ThreadPoolExecutor(READERS) as readers:
            return list(readers.map(self._scan, files))

    def _scan(self, file: ShardedFile) -> Found:
        shards = range(len(file.shards))
        if file.name not in self._names:
            return Found(file, None, frozenset(shards))
        try:
            opened = self._folder.open(file.name)
        except CrateIoError:
            return Found(file, 0, frozenset(shards))
        with opened as source:
            view = memoryview(bytearray(max(RECORD_SIZE + TAG_SIZE, file.shards.header_size)))
            bad = frozenset(shard for shard in shards if not self._good(source, file, shard, view))
            return Found(file, source.size, bad)

    def _good(self, source: SealedFile, file: ShardedFile, shard: int, view: memoryview) -> bool:
        offset, length = file.span(shard)
        self._progress.advance(length)
        try:
            whole = source.fill(view[:length], offset)
        except CrateIoError:  # the medium does not give these bytes any more
            return False
        return whole and hashlib.sha256(view[:length]).digest() == file.shards.digest(shard)


@dataclass(slots=True)
class Rebuilt:
    """What a repair did and could not do, by file name."""

    done: dict[str, set[int]] = field(default_factory=dict)
    lost: dict[str, set[int]] = field(default_factory=dict)


Write = Callable[[str, int, memoryview], None]
"""Writes bytes of a file (by name) at an offset."""


class Rebuilder:
    """Rebuilds the bad shards of one group, stripe by stripe, in bounded memory."""

    def __init__(
        self, folder: CrateSource, group: Group, found: Sequence[Found], progress: Progress | None = None
    ) -> None:
        """Use what a scan found of the group's files."""
        self._folder = folder
        self._group = group
        self._found = found
        self._progress = progress or Silent()
        self._trials = Trials()

    def rebuild(self, names: frozenset[str], write: Write) -> Rebuilt:
        """Rebuild the bad shards of some files and hand them on.

        Args:
            names: The files that are wanted.
            write: Gets the rebuilt bytes in slices, to be trusted only where `rebuild` returns them as
                done; nothing is written where a good shard lies.

        Raises:
            RebuiltWrongError: A rebuilt shard does not have its digest.

        """
        rebuilt = Rebuilt()
        with ExitStack() as stack:
            sources: dict[int, SealedFile] = {}
            for place, found in enumerate(self._found):
                if found.readable:
                    sources[place] = stack.enter_context(self._folder.open(found.file.name))
            for stripe in range(self._group.stripes):
                bad = {n for n, f in enumerate(self._found) if stripe in f.bad}
                wanted = sorted(n for n in bad if self._found[n].file.name in names)
                if not wanted:
                    continue
                if len(bad) <= len(self._group.parity):
                    self._stripe(stripe, bad, wanted, sources, write)
                    solved = set(wanted)
                else:
                    solved = self._columns(stripe, bad, wanted, sources, write)
                for place in wanted:
                    kept = rebuilt.done if place in solved else rebuilt.lost
                    kept.setdefault(self._found[place].file.name, set()).add(stripe)
        return rebuilt

    def _stripe(
        self, stripe: int, bad: set[int], wanted: list[int], sources: Mapping[int, SealedFile], write: Write
    ) -> None:
        volumes = len(self._group.volumes)
        lost = sorted(n for n in bad if n < volumes)
        # As many parity shards as volumes are lost; all are made again where one of them is wanted.
        used = [n for n in range(volumes, len(self._found)) if n not in bad][: len(lost)]
        coder = code(volumes, len(self._group.parity))
        spans = [found.file.span(stripe) for found in self._found]
        states = [hashlib.sha256() for _ in wanted]
        for offset, length in slices(max(spans[n][1] for n in wanted)):
            rows = np.zeros((len(self._found), length), np.uint8)
            for place in (*(n for n in range(volumes) if n not in bad), *used):
                start, size = spans[place]
                self._fill(rows[place], sources.get(place), start + offset, size - offset)
            addresses = rows_of(rows)
            coder.restore(addresses, lost, [n - volumes for n in used], length)
            if wanted[-1] >= volumes:
                coder.encode(addresses[:volumes], addresses[volumes:], length)
            for place, state in zip(wanted, states, strict=True):
                start, size = spans[place]
                view = rows[place].data[: max(0, size - offset)]
                state.update(view)
                write(self._found[place].file.name, start + offset, view)
            self._progress.advance(rows.size)
        for place, state in zip(wanted, states, strict=True):
            file = self._found[place].file
            if state.digest() != file.shards.digest(stripe):
                what = f"What parity rebuilds of {file.name} is not what was sealed."
                start, size = spans[place]
                raise RebuiltWrongError(what, file=file.name, offset=start, length=size)

    def _columns(
        self, stripe: int, bad: set[int], wanted: list[int], sources: Mapping[int, SealedFile], write: Write
    ) -> set[int]:
        """Repair a stripe with more bad shards than parity; return the places that came out right."""
        volumes, parity = len(self._group.volumes), len(self._group.parity)
        spans = [found.file.span(stripe) for found in self._found]
        lost = sorted(n for n in bad if n not in sources)
        columns = Columns((volumes, parity), lost, sorted(bad - set(lost)), self._trials)
        states = [hashlib.sha256() for _ in wanted]
        if not columns.within_reach():
            return set()
        for offset, length in slices(max(size for _, size in spans)):
            rows = np.zeros((len(self._found), length), np.uint8)
            for place, source in sources.items():
                start, size = spans[place]
                with suppress(CrateIoError):  # what cannot be read stays zero, and is among the suspects
                    self._fill(rows[place], source, start + offset, size - offset)
            if not columns.repair(rows):
                return set()
            for place, state in zip(wanted, states, strict=True):
                start, size = spans[place]
                view = rows[place].data[: max(0, size - offset)]
                state.update(view)
                write(self._found[place].file.name, start + offset, view)
            self._progress.advance(rows.size)
        return {
            place
            for place, state in zip(wanted, states, strict=True)
            if state.digest() == self._found[place].file.shards.digest(stripe)
        }

    @staticmethod
    def _fill(row: Bytes, source: SealedFile | None, offset: int, length: int) -> None:
        view = row.data[: max(0, length)]
        if view and source is not None:
            source.fill(view, offset)


class Overlay:
    """A folder of sparse files with rebuilt shards at their places, beside a medium that is only read."""

    SUFFIX = ".rebuilt"

    def __init__(self, folder: Path) -> None:
        """Use a folder, which is made when something is written."""
        self._folder = folder
        self._handles: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close and remove the files."""
        for name, handle in self._handles.items():
            os.close(handle)
            self._path(name).unlink(missing_ok=True)
        with suppress(OSError):  # others may use the folder, or it was never made
            self._folder.rmdir()

    def _path(self, name: str) -> Path:
        return self._folder / (name + self.SUFFIX)

    def write(self, name: str, offset: int, view: memoryview) -> None:
        """Keep bytes of a file.

        Raises:
            CrateIoError: The disk refused.

        """
        try:
            if name not in self._handles:
                self._folder.mkdir(exist_ok=True)
                self._handles[name] = os.open(
                    self._path(name), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
                )
            while view:
                count = os.pwrite(self._handles[name], view, offset)
                offset, view = offset + count, view[count:]
        except OSError as error:
            what = f"The rebuilt part of {name} cannot be written: {error.strerror}."
            raise CrateIoError(what, file=str(self._path(name))) from error

    def file(self, found: Found, source: SealedFile | None) -> "RebuiltFile":
        """Return a file as it was sealed: good shards from the medium, rebuilt ones from here."""
        return RebuiltFile(found, source, self._handles.get(found.file.name, -1))


class RebuiltFile:
    """Reads like a `SealedFile` of the length that was sealed."""

    def __init__(self, found: Found, source: SealedFile | None, patch: int) -> None:
        """Join a file of the medium (None where it is missing) and the descriptor of what was rebuilt."""
        self.name = found.file.name
        self.size = found.file.size
        self._source = source
        self._patch = patch
        self._rebuilt = frozenset(found.file.span(shard)[0] for shard in found.bad)

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes of a shard, which begins at `offset`; fewer only where it ends."""
        data = bytearray(length)
        return bytes(data) if self.fill(memoryview(data), offset) else b""

    def fill(self, target: memoryview, offset: int) -> bool:
        """Fill a buffer with the bytes of a shard, which begins at `offset`; tell whether there were enough.

        Raises:
            CrateIoError: They cannot be read.

        """
        if offset not in self._rebuilt:
            return self._source is not None and self._source.fill(target, offset)
        with reading(self.name):
            while target and (count := os.preadv(self._patch, [target], offset)):
                offset += count
                target = target[count:]
        return not target


def demand_repairable(found: Sequence[Found], lost: Mapping[str, set[int]]) -> None:
    """Refuse when something could not be rebuilt.

    Raises:
        TooDamagedError: Names the files that are missing and the parts that are damaged; its file and range
            are the first part of the first file that stays lost.

    """
    if not lost:
        return
    parts = [part for one in found for part in one.damages() if part.why != "extended"]
    named = ", ".join(dict.fromkeys(_place(part) for part in parts[:NAMED_LIMIT]))
    more = f", and {len(parts) - NAMED_LIMIT} more" if len(parts) > NAMED_LIMIT else ""
    what = f"Too much is missing or damaged for the parity: {named}{more}."
    name = min(lost)
    first = next((part for part in parts if part.file == name), None)
    offset, length = (first.offset, first.length) if first else (None, None)
    raise TooDamagedError(what, file=name, shards=len(lost[name]), offset=offset, length=length)


def _place(part: Damage) -> str:
    if part.why == "missing":
        return f"{part.file} (missing)"
    return f"{part.file} ({part.why} at {part.offset}, {part.length} bytes)"


def damages(found: Sequence[Found]) -> Iterator[Damage]:
    """Yield every damaged part of the files."""
    for one in found:
        yield from one.damages()
