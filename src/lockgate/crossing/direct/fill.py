"""Filling media with volumes: each is written, read back, and only then noted as done."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lockgate.core.ports import Progress, Silent
from lockgate.crossing.buffers import Loan
from lockgate.crossing.direct.job import Job
from lockgate.crossing.direct.media import Mounts, Spot, Wanted, why_not
from lockgate.crossing.direct.session import Done, State
from lockgate.crossing.errors import CrateIoError, SourceChangedError
from lockgate.crossing.format import NOTHING, VolumeEntry
from lockgate.crossing.layout import PlannedVolume
from lockgate.crossing.media.errors import MediumSpaceError, ReadBackError
from lockgate.crossing.media.sizes import file_bytes
from lockgate.crossing.media.write import demand_good, writing
from lockgate.crossing.parity import ParityMaker
from lockgate.crossing.payload import PayloadSource
from lockgate.crossing.placing import file_sizes
from lockgate.crossing.prepare import Preparer, SealerParts
from lockgate.crossing.shards import ShardedFile
from lockgate.crossing.workers import VolumeWriter, plaintext_records
from lockgate.store.blobs import sync_folder


class Filler:
    """Puts the volumes and parity volumes of one sealing onto their media."""

    def __init__(
        self, parts: SealerParts, state: State, job: Job, mounts: Mounts, progress: Progress
    ) -> None:
        """Begin with the files that the state says are done."""
        self._p = parts
        self._state = state
        self._mounts = mounts
        self._told = progress
        self._done = state.done()
        self._skipped = self._done
        self._there: dict[int, Spot] = {}
        self._sizes = dict(zip(job.plan.names, file_sizes(job.plan.volumes, job.plan.parity), strict=True))
        self.job = job
        self.at = 0
        self.past_cache = True

    def fill(self) -> None:
        """Put everything on its medium that is not there yet.

        Raises:
            WrongMediumError, MediumWantedError: Another medium is needed.
            CrateIoError, ReadBackError: A medium refuses, or gives back something else.
            SourceChangedError: A file is no longer what the lock names.

        """
        if self.job.resumed:
            self._check_begun()
        self._parity()
        if not self._state.judged:
            self._volumes()
            self._state.mark_judged()

    def spot(self, number: int, *, closing: bool = False) -> Spot:
        """Return the crate's folder on a medium, which is mounted and the right one.

        Raises:
            WrongMediumError, MediumWantedError: It is not, and nobody can be asked.
            MediumSpaceError: It has too little room.

        """
        if number == self.at:
            return self._there[number]
        files = self.job.media[number - 1]
        done = {name: self._done[name].size for name in files if name in self._done}
        why = ""
        while True:
            wanted = Wanted(number, len(self.job.media), files, self._bytes(files), self.at, closing, why)
            spot = Spot(self._mounts.mounted(wanted), self.job.folder)
            why = self._not_mounted(spot) or why_not(spot, wanted, done)
            if not why:
                break
        if number not in self._there:
            self._demand_room(spot, files)
        if not closing:
            with writing(str(spot.partial)):
                spot.partial.mkdir(exist_ok=True)
                sync_folder(spot.target)
        self._there[number], self.at = spot, number
        return spot

    def withdraw(self) -> None:
        """Take away what was written to the media that are mounted."""
        for spot in self._there.values():
            spot.discard()

    def _bytes(self, files: Sequence[str]) -> int:
        return self.job.plan.repeated + sum(file_bytes(self._sizes[name]) for name in files)

    def _not_mounted(self, spot: Spot) -> str:
        """Return why a folder is no medium, where the first medium was one with a file system of its own."""
        with writing(str(spot.target)):
            alone = not spot.target.is_dir() or spot.target.stat().st_dev != self._p.outbox.stat().st_dev
        return "" if alone or not self.job.session.own_device else f"Nothing is mounted at {spot.target}."

    def _demand_room(self, spot: Spot, files: Sequence[str]) -> None:
        """Demand room for what is not on a medium yet; what was not finished is taken away first."""
        left = [name for name in files if name not in self._done]
        held = spot.held()
        with writing(str(spot.folder)):
            for name in left:
                if name in held:
                    (spot.folder / name).unlink()
            free = self._p.free(spot.target)
        need = self._bytes(left) if left else 0
        if free < need:
            what = f"{spot.target} needs {need} bytes more and {free} are free."
            raise MediumSpaceError(what, missing=need - free)

    def _check_begun(self) -> None:
        """Read again what is done on media that were being filled: a power cut may have eaten it."""
        for number, files in enumerate(self.job.media, 1):
            done = [name for name in files if name in self._done]
            if not done or len(done) == len(files):
                continue
            spot, wrong = self.spot(number), []
            self._told.start("check", sum(self._sizes[name] for name in done))
            for name in done:
                try:
                    demand_good(spot.folder / name, self._done[name].file, self._told)
                except ReadBackError:
                    wrong.append(name)
            self._told.finish()
            if wrong:
                self._state.forget(self.job.with_parity(wrong))
                self._done = self._state.done()

    def _volumes(self) -> None:
        """Seal every volume that is not done, in one pass over all sources."""
        prepared, plan = self.job.prepared, self.job.plan
        left = [volume for volume in plan.volumes if volume.name not in self._done]
        self._skipped = dict(self._done)  # judged as they are drawn, while more is done
        plain: dict[str, str] = {}
        source = PayloadSource(prepared.prefix, prepared.contents)
        keys = Preparer(self._p).keys(prepared)
        self._told.start("seal and read back", 2 * (plan.sealed + plan.parity_bytes))
        self._told.advance(2 * sum(done.size for done in self._done.values()))
        records = self._drawn(plaintext_records(source, plan.volumes), plain)
        with VolumeWriter(records, keys, self._told) as writer:
            for volume in left:
                self._volume(volume, writer, plain)
                self._parity()
        for _ in records:  # drawn to its end, where the last source is judged
            raise CrateIoError("There is more to seal than was planned.")
        self._told.finish()

    def _drawn(self, records: Iterator[Loan], plain: dict[str, str]) -> Iterator[Loan]:
        """Yield the records of volumes that are not done, and demand that the others are as they were."""
        for volume in self.job.plan.volumes:
            done, state = self._skipped.get(volume.name), hashlib.sha256()
            for number in range(volume.records):
                record = next(records)
                state.update(record.view)
                if number == volume.records - 1:
                    plain[volume.name] = state.hexdigest()
                if done is None:
                    yield record
                else:
                    record.give_back()
            if done is not None and done.plain_sha256 != plain[volume.name]:
                what = f"The content of {volume.name} is no longer what was sealed before."
                raise SourceChangedError(what, file=volume.name)
        for _ in records:  # drawn to its end, where the last source is judged
            raise CrateIoError("There is more to seal than was planned.")

    def _volume(self, volume: PlannedVolume, writer: VolumeWriter, plain: Mapping[str, str]) -> None:
        spot = self.spot(self.job.medium_of(volume.name))
        with writing(str(spot.partial / volume.name)):
            (spot.partial / volume.name).unlink(missing_ok=True)
            entry, shards = writer.write(spot.partial, volume)
        file = ShardedFile(volume.name, volume.size, shards)
        self._finished(spot, file, entry, plain[volume.name])

    def _parity(self) -> None:
        """Make the parity of every group whose volumes are all there."""
        for volumes, parity, first in self.job.groups():
            if set(parity) <= self._done.keys() or not set(volumes) <= self._done.keys():
                continue
            some = [name for name in parity if name in self._done]
            if some:  # a kill came between two of them: they are made together, so none of them counts
                self._state.forget(some)
                self._done = self._state.done()
            for name in parity:
                with writing(name):
                    self._path(name).unlink(missing_ok=True)
            with writing(parity[0]):
                made = ParityMaker(self._path, Silent()).make(
                    [self._done[name].file for name in volumes], len(parity), first
                )
            for one, shards in made:
                self._told.advance(one.size)
                spot = self.spot(self.job.medium_of(one.name))
                self._finished(spot, ShardedFile(one.name, one.size, shards))

    def _path(self, name: str) -> Path:
        return self.spot(self.job.medium_of(name)).folder / name

    def _finished(
        self, spot: Spot, file: ShardedFile, entry: VolumeEntry | None = None, plain: str = NOTHING
    ) -> None:
        """Read a file back from its medium and note it as done."""
        with writing(str(spot.folder)):
            sync_folder(spot.folder)
        self.past_cache = demand_good(spot.folder / file.name, file, self._told) and self.past_cache
        done = Done(
            name=file.name,
            size=file.size,
            header_size=file.shards.header_size,
            digests=file.shards.digests.hex(),
            entry=entry,
            plain_sha256=plain,
        )
        self._state.note(done)
        self._done[file.name] = done
