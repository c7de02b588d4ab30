"""Sealing straight onto media: no second copy on disk, one medium after another, resumed after a kill."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lockgate.core.digests import sha256
from lockgate.core.ports import Progress, Silent
from lockgate.core.wire import decode, encode
from lockgate.crossing.contents import SealRequest
from lockgate.crossing.direct.errors import NothingUnfinishedError
from lockgate.crossing.direct.fill import Filler
from lockgate.crossing.direct.job import Job, asked_digest, begin, load
from lockgate.crossing.direct.media import Mounts, Spot
from lockgate.crossing.direct.session import Closed, State
from lockgate.crossing.disk import alone
from lockgate.crossing.errors import SealingUnfinishedError, SourceChangedError
from lockgate.crossing.format import (
    CRATE_FILE,
    CRATE_TYPE,
    MANIFEST_LIMIT,
    PARITY_SCHEME,
    ROOTS_FOLDER,
    SHARDS_FILE,
    Manifest,
    Parity,
    ParityEntry,
    folder_name,
    root_name,
)
from lockgate.crossing.media.write import put_small, read_small_back, writing
from lockgate.crossing.prepare import Preparer, SealerParts
from lockgate.crossing.seal import BUSY_FILE, ONTO_MEDIA
from lockgate.crossing.shards import write_index
from lockgate.store.blobs import sync_folder
from lockgate.trust import dsse


@dataclass(frozen=True, slots=True)
class ClosedMedium:
    """One medium that is whole: its crate's folder and files, and whether it was read back past the cache."""

    path: Path
    files: tuple[str, ...]
    size: int
    past_cache: bool


@dataclass(frozen=True, slots=True)
class SealedMedia:
    """A crate that lies on media and nowhere else."""

    media: tuple[ClosedMedium, ...]
    crate_sha256: str
    manifest: Manifest


class DirectSealer:
    """Seals onto media. What it keeps of an unfinished sealing lies in the outbox."""

    def __init__(self, parts: SealerParts, mounts: Mounts) -> None:
        """Use the parts of a sealer, `rooms` included, and where media are mounted."""
        self._p = parts
        self._mounts = mounts
        self._state = State(parts.outbox / ONTO_MEDIA)

    def seal(
        self, request: SealRequest | None, progress: Progress | None = None, *, replace: int | None = None
    ) -> SealedMedia:
        """Seal onto media, or go on with what was interrupted; whole and read back on return.

        Args:
            request: What to seal; None to go on with what is unfinished, whatever it was.
            progress: Told about the bytes.
            replace: A medium (from 1) that is lost or broken: everything on it is sealed again.

        Raises:
            SealingUnfinishedError: Something else is unfinished, or it cannot go on.
            NothingUnfinishedError: Nothing is, and there is no request.
            MediumSpaceError: The media do not suffice; nothing was written.
            WrongMediumError, MediumWantedError: Another medium is needed; what was done stays.
            CrateIoError, ReadBackError: A medium; what was done before stays.
            SourceChangedError: A file changed after it was collected; everything is discarded.

        """
        told = progress or Silent()
        with alone(self._p.outbox / BUSY_FILE):
            resumed = self._begin(request, told)
            job = load(self._p, self._state, resumed=resumed)
            if replace is not None:
                self._replace(job, replace)
            filler = Filler(self._p, self._state, job, self._mounts, told)
            if self._state.finished is None:
                try:
                    filler.fill()
                except SourceChangedError:
                    filler.withdraw()
                    self._state.discard()
                    raise
                self._sign(job)
            return self._close(job, filler)

    def give_up(self, folders: Iterable[Path]) -> int:
        """Discard an unfinished sealing, and what lies of it on these media; return its number.

        Raises:
            NothingUnfinishedError: There is none.
            SealingUnfinishedError: It is sealed already: only media are left to close.

        """
        with alone(self._p.outbox / BUSY_FILE):
            if not self._state.exists:
                raise NothingUnfinishedError("No sealing onto media is unfinished.")
            session = self._state.session()
            number = session.slot.sequence
            if self._p.ledger.sealed(number) is not None:
                what = f"Crossing {number} is sealed; only media are left to close."
                advice = "Plug the media in and go on with --resume."
                raise SealingUnfinishedError(what, advice=advice)
            for folder in folders:
                Spot(folder, folder_name(number, session.crate)).discard()
            self._state.discard()
            return number

    def _begin(self, request: SealRequest | None, told: Progress) -> bool:
        """Begin where nothing is unfinished; tell whether something was."""
        if not self._state.exists:
            if request is None:
                raise NothingUnfinishedError("No sealing onto media is unfinished.")
            own = all(each.stat().st_dev != self._p.outbox.stat().st_dev for each in self._mounts.first)
            begin(self._p, self._state, request, told, own_device=own)
            return False
        session = self._state.session()
        if request is not None and session.asked_sha256 != asked_digest(self._p, request):
            what = f"Crossing {session.slot.sequence} is being sealed onto media, otherwise."
            raise SealingUnfinishedError(what)
        return True

    def _replace(self, job: Job, number: int) -> None:
        if self._state.finished is not None or not 1 <= number <= len(job.media):
            what = f"Medium {number} cannot be sealed again: there is none, or the crate is signed already."
            raise SealingUnfinishedError(what)
        self._state.forget(job.with_parity(job.media[number - 1]))

    def _sign(self, job: Job) -> None:
        done = self._state.done()
        volumes = [done[volume.name] for volume in job.plan.volumes]
        spare = [done[name] for name in job.plan.names[len(volumes) :]]
        index = write_index([d.file.shards for d in volumes], [d.file.shards for d in spare])
        parity = Parity(
            scheme=PARITY_SCHEME,
            groups=tuple(one.group for one in job.plan.parity),
            volumes=tuple(ParityEntry(name=d.name, size=d.size) for d in spare),
        )
        entries = [d.entry for d in volumes if d.entry is not None]
        manifest = Preparer(self._p).manifest(job.prepared, entries, parity if spare else None, index)
        self._state.finish(index, dsse.sign(CRATE_TYPE, encode(manifest), self._p.signers))

    def _close(self, job: Job, filler: Filler) -> SealedMedia:
        """Bind the number to the crate, then put crate.json on every medium; the one in place comes first."""
        index, envelope = self._finished()
        number, digest = job.session.slot.sequence, sha256(envelope)
        if self._p.ledger.sealed(number) is None:
            self._p.ledger.finish(number, digest, job.prepared.tuf, job.session.sent_sha256)
        payload = dsse.open_envelope(envelope, limit=MANIFEST_LIMIT).payload
        manifest = decode(Manifest, payload, limit=MANIFEST_LIMIT, name=CRATE_FILE)
        roots = Preparer(self._p).roots()
        small = {f"{ROOTS_FOLDER}/{root_name(v)}": roots[v] for v in manifest.roots}
        small |= {SHARDS_FILE: index, CRATE_FILE: envelope}
        count = len(job.media)
        first = filler.at or 1
        for number in (first, *(n for n in range(1, count + 1) if n != first)):
            if number not in self._state.closed():
                self._state.note_closed(self._close_one(filler, number, small))
        closed = self._state.closed()
        self._state.discard()
        media = [
            ClosedMedium(Path(one.path), files, one.size, one.past_cache)
            for one, files in zip((closed[n] for n in range(1, count + 1)), job.media, strict=True)
        ]
        return SealedMedia(tuple(media), digest, manifest)

    def _finished(self) -> tuple[bytes, bytes]:
        found = self._state.finished
        if found is None:
            raise NothingUnfinishedError("The sealing was not signed.")
        return found

    def _close_one(self, filler: Filler, number: int, small: dict[str, bytes]) -> Closed:
        spot = filler.spot(number, closing=True)
        with writing(str(spot.target)):
            (spot.folder / ROOTS_FOLDER).mkdir(parents=True, exist_ok=True)
            past = True
            for name, data in small.items():
                put_small(spot.folder / name, data)
            for folder in (spot.folder / ROOTS_FOLDER, spot.folder):
                sync_folder(folder)
            for name, data in small.items():
                past = read_small_back(spot.folder / name, data) and past
            if spot.folder != spot.final:
                spot.partial.rename(spot.final)
                sync_folder(spot.target)
        size = sum(map(len, small.values())) + sum(spot.held().values())
        past = past and filler.past_cache
        return Closed(number=number, path=str(spot.final), size=size, past_cache=past)
