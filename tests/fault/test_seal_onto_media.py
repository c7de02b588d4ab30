"""Sealing straight onto media: spread as planned, resumed after a kill at any step, and what goes wrong."""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest

from corpora.kills import killed_before
from corpora.mounts import in_own_mounts
from crossing_lane import MIB, NOW, Lane, filler, tree
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.roots import Purpose
from lockgate.core.wire import decode, encode
from lockgate.crossing import RecordLedger, RecordSealLedger, SealedCrate, SealerParts, workers
from lockgate.crossing.direct import (
    DirectSealer,
    ListedMounts,
    MediumWantedError,
    Mounts,
    NothingUnfinishedError,
    OneMount,
    SealedMedia,
    Wanted,
    WrongMediumError,
)
from lockgate.crossing.direct.session import Done
from lockgate.crossing.errors import CrateIoError, SealingUnfinishedError, SourceChangedError
from lockgate.crossing.media import MediaReader, opened_medium
from lockgate.crossing.media import write as write_module
from lockgate.crossing.media.errors import MediumSpaceError, ReadBackError
from lockgate.crossing.mend import Mender, Trust
from lockgate.crossing.needs import discs
from lockgate.crossing.placing import DOCUMENTS, Rooms
from lockgate.crossing.seal import ONTO_MEDIA
from lockgate.store import FileBlobs, MemoryBlobs, MemoryRecords, Records, open_records
from lockgate.trust.keys import new_signer
from lockgate.trust.roots import read_supply_root

FILES = {"files/big": filler("onto media", 5 * MIB + 9000), "files/none": b"", "files/b": b"b"}
VOLUME = MIB + 20_000
PARITY = Fraction(1, 3)


def room(volumes: int, volume: int = VOLUME) -> int:
    """Return the bytes of a medium that takes that many volumes, and not one more."""
    return 2 * MIB + DOCUMENTS + volumes * (volume + 4096) + 20_000


@dataclass
class Site:
    """A lane, its outbox, and folders that stand for media."""

    lane: Lane
    home: Path
    free: int = 1 << 40
    alike: bool = False
    changes: dict[str, Any] | None = None

    @property
    def outbox(self) -> Path:
        (self.home / "outbox").mkdir(exist_ok=True)
        return self.home / "outbox"

    def media(self, count: int) -> list[Path]:
        found = [self.home / f"medium-{number}" for number in range(1, count + 1)]
        for path in found:
            path.mkdir(exist_ok=True)
        return found

    def parts(self, folders: Sequence[Path]) -> SealerParts:
        rooms = Rooms((self.free,) if self.alike else (self.free,) * len(folders), alike=self.alike)
        facts = {"rooms": rooms, "parity": PARITY, "free": lambda _: 1 << 40, **(self.changes or {})}
        return self.lane.sealer(self.outbox, **facts)._p

    def seal(
        self, folders: Sequence[Path], mounts: Mounts | None = None, files: dict[str, bytes] | None = None
    ) -> SealedMedia:
        sealer = DirectSealer(self.parts(folders), mounts or ListedMounts(folders))
        return sealer.seal(self.lane.request(files or FILES, delta=True))

    def resume(
        self, folders: Sequence[Path], mounts: Mounts | None = None, replace: int | None = None
    ) -> SealedMedia:
        return DirectSealer(self.parts(folders), mounts or ListedMounts(folders)).seal(None, replace=replace)

    def take(self, folders: Sequence[Path]) -> Path:
        """Carry what is on media into an inbox, and open it."""
        inbox = self.home / "inbox"
        inbox.mkdir(exist_ok=True)
        reader = MediaReader(inbox, Mender(Trust(read_supply_root(self.lane.supply), NOW)))
        for folder in folders:
            with opened_medium(folder) as content:
                for source in content.crates:
                    taken = reader.take(source)
        return taken.folder

    def opened(self, crate: Path) -> None:
        side = self.lane.opener(
            self.home / "staging", ledger=RecordLedger(MemoryRecords()), quarantine=(blobs := MemoryBlobs())
        )
        side.receive(crate)
        assert all(blobs.has(sha256(data)) for data in FILES.values())

    @property
    def unfinished(self) -> bool:
        return (self.outbox / ONTO_MEDIA).exists()


@pytest.fixture(scope="module")
def keys() -> Lane:
    return Lane()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(Lane(), tmp_path)


@pytest.fixture(params=["side by side", "one after another"])
def spread(request: pytest.FixtureRequest, site: Site) -> Site:
    """A site whose media take three volumes each."""
    site.free, site.alike = room(3), request.param == "one after another"
    return site


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*/*.lgv"))


# --- whole -------------------------------------------------------------------------------------


def test_a_crate_lies_on_media_as_the_plan_says_and_nowhere_else(spread: Site) -> None:
    folders = spread.media(4)
    plan = spread.lane.sealer(spread.outbox, **_facts(spread, folders)).plan(spread.lane.request(FILES))
    sealed = spread.seal(folders)
    said = discs(plan, plan.places)
    assert [sorted(disc.files) for disc in said.discs] == [names(f) for f in folders if names(f)]
    assert len(sealed.media) == len(said.discs) > 2
    for medium, disc in zip(sealed.media, said.discs, strict=True):
        assert medium.size <= disc.size <= spread.free
        assert {"crate.json", "shards.idx", "roots"} < {path.name for path in medium.path.iterdir()}
    # Besides the lock file, nothing of the crate lies on the low side's disk.
    assert [path.name for path in spread.outbox.iterdir()] == [".sealing"]
    spread.opened(spread.take([medium.path.parent for medium in reversed(sealed.media)]))


def _facts(site: Site, folders: Sequence[Path]) -> dict[str, Any]:
    parts = site.parts(folders)
    return {"rooms": parts.rooms, "parity": parts.parity}


def test_side_by_side_any_medium_may_be_lost_that_the_plan_says(site: Site) -> None:
    site.free, site.changes = room(2), {"parity": Fraction(1, 2)}
    folders = site.media(6)
    plan = site.lane.sealer(site.outbox, **_facts(site, folders)).plan(site.lane.request(FILES))
    assert discs(plan, plan.places).losses >= 1
    sealed = site.seal(folders)
    shutil.rmtree(sealed.media[1].path)
    crate = site.take([medium.path.parent for medium in sealed.media if medium.path.is_dir()])
    Mender().repair(crate)
    site.opened(crate)


@pytest.mark.parametrize("lost", range(4))
def test_on_four_sticks_a_third_of_parity_makes_any_one_good(site: Site, lost: int) -> None:
    folders = site.media(4)
    plan = site.lane.sealer(site.outbox, **_facts(site, folders)).plan(site.lane.request(FILES))
    assert (len(plan.places), discs(plan, plan.places).losses) == (4, 1)
    sealed = site.seal(folders)
    shutil.rmtree(sealed.media[lost].path)
    crate = site.take([medium.path.parent for medium in sealed.media if medium.path.is_dir()])
    Mender().repair(crate)
    site.opened(crate)


def test_one_after_another_every_medium_repairs_itself(site: Site) -> None:
    site.free, site.alike = room(3), True
    sealed = site.seal(site.media(4))
    for medium in sealed.media:
        with (medium.path / medium.files[0]).open("r+b") as file:
            file.seek(3000)
            file.write(b"damaged")
    crate = site.take([medium.path.parent for medium in sealed.media])
    assert len(Mender().check(crate).damages) == len(sealed.media)
    Mender().repair(crate)
    site.opened(crate)


def test_a_delta_goes_onto_media_too(site: Site) -> None:
    changed = FILES | {"files/big": FILES["files/big"][: 4 * MIB] + b"new" + FILES["files/big"][4 * MIB :]}
    site.lane.low_blobs = FileBlobs(site.home / "store")
    site.seal(site.media(1))
    (folder,) = site.media(1)
    shutil.rmtree(folder)
    sealed = site.seal(site.media(1), files=changed)
    assert (sealed.manifest.kind, sealed.manifest.sequence) == ("delta", 2)
    assert sum(volume.size for volume in sealed.manifest.volumes) < MIB


# --- interrupted -------------------------------------------------------------------------------


@contextmanager
def kept(home: Path) -> Iterator[Records]:
    opened = open_records(f"sqlite:///{home / 'records.sqlite'}")
    try:
        yield opened
    finally:
        opened.close()


SMALL = {"files/a": filler("a", 5000), "files/b": b"b", "files/c": filler("c", 900)}


@pytest.mark.parametrize("alike", [False, True])
def test_killed_at_any_step_it_goes_on_and_no_key_is_used_twice(
    tmp_path: Path, keys: Lane, monkeypatch: pytest.MonkeyPatch, *, alike: bool
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a kill leaves the kernel's buffers alive
    used: list[str] = []

    def work(home: Path) -> None:
        home.mkdir(exist_ok=True)
        keys.low_blobs = FileBlobs(home / "store")
        with kept(home) as records:
            site = Site(keys, home, room(4, 4096), alike)
            keys_file = home / "keys"

            def entropy(size: int) -> bytes:
                data = os.urandom(size)
                if size == 32:  # a volume's key
                    with keys_file.open("a") as file:
                        file.write(data.hex() + "\n")
                return data

            site.changes = {"ledger": RecordSealLedger(records), "volume_bytes": 4096, "entropy": entropy}
            folders = site.media(5)
            site.seal(folders, files=SMALL)

    begun = 0
    for step in range(1, 4000, 17):
        home = tmp_path / f"killed-{step}"
        if killed_before(step, lambda home=home: work(home)) is not None:  # type: ignore[misc]
            break
        begun += (home / "outbox" / ONTO_MEDIA).exists()
        for early in home.glob("medium-*/crate-*"):
            assert (early / "crate.json").is_file()
        work(home)
        site = Site(keys, home, alike=alike)
        assert not site.unfinished
        media = [folder for folder in site.media(5) if any(folder.glob("crate-*"))]
        sealed = {path.name for folder in media for path in folder.glob("crate-*")}
        for name in sorted(sealed)[-1:]:
            _opens(site, name, media)
        used += (home / "keys").read_text().split()
    else:
        pytest.fail("sealing never came to its end")
    assert begun > 5
    assert len(used) == len(set(used)) > 50


def _opens(site: Site, name: str, media: Sequence[Path]) -> None:
    inbox = site.home / "inbox"
    inbox.mkdir()
    reader = MediaReader(inbox, Mender(Trust(read_supply_root(site.lane.supply), NOW)))
    for folder in media:
        if (folder / name).is_dir():
            with opened_medium(folder / name) as content:
                taken = reader.take(content.crates[0])
    assert (taken.missing, taken.damages) == ((), ())
    side = site.lane.opener(
        site.home / "staging", ledger=RecordLedger(MemoryRecords()), quarantine=(blobs := MemoryBlobs())
    )
    if taken.manifest.sequence == 1:
        side.receive(taken.folder)
        assert all(blobs.has(sha256(data)) for data in SMALL.values())


class Failing(Mounts):
    """Media of which one is not there yet, or is another one, until it is put right."""

    def __init__(self, folders: Sequence[Path], act: Callable[[Wanted], Path | None]) -> None:
        self.first = tuple(folders)
        self._act = act
        self.said: list[Wanted] = []

    def mounted(self, wanted: Wanted) -> Path:
        self.said.append(wanted)
        return self._act(wanted) or self.first[wanted.number - 1]


def test_a_wrong_medium_is_told_from_the_right_one(site: Site) -> None:
    site.free, site.alike = room(3), True
    folders = site.media(4)
    mounts = Failing(folders, lambda w: folders[0] if w.number == 2 and not w.wrong else None)
    site.seal(folders, mounts)
    wrong = [wanted for wanted in mounts.said if wanted.wrong]
    assert [(each.number, each.closing) for each in wrong] == [(2, False), (2, True)]
    assert all("holds another part of this crate; it should be medium 2" in each.wrong for each in wrong)
    closing = [wanted.number for wanted in mounts.said if wanted.closing and not wanted.wrong]
    assert closing == list(range(1, len([f for f in folders if names(f)])))


def test_one_place_without_a_person_stops_at_each_medium_and_goes_on(site: Site) -> None:
    """A script swaps the stick at /media/usb and starts the same command again."""
    site.free, site.alike = room(3), True
    usb, sticks = site.home / "usb", site.media(4)
    stops, at = [], 0
    for _ in range(12):
        sticks[at].rename(usb)
        try:
            sealed = site.seal([usb], OneMount(usb))
        except MediumWantedError as error:
            stops.append(int(error.where["medium"]))
            usb.rename(sticks[at])
            at = stops[-1] - 1
            continue
        usb.rename(sticks[at])
        break
    assert stops == [2, 3, 1, 2]
    assert len(sealed.media) == 3
    site.opened(site.take(sticks[:3]))


def test_an_unplugged_medium_is_named_and_the_sealing_goes_on(
    spread: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = spread.media(4)
    real, calls = write_module.demand_good, [0]

    def unplugged(path: Path, *rest: Any) -> bool:
        calls[0] += 1
        if calls[0] == 2:
            folders[0].rename(spread.home / "pocket")
        return real(path, *rest)

    monkeypatch.setattr("lockgate.crossing.direct.fill.demand_good", unplugged)
    with pytest.raises((CrateIoError, WrongMediumError)):
        spread.seal(folders)
    assert spread.unfinished
    with pytest.raises(LockgateError) as caught:
        spread.seal(folders)
    assert "is not there" in caught.value.what
    folders[0].mkdir()  # the mount point is there, and nothing is mounted
    with pytest.raises(WrongMediumError) as wrong:
        spread.seal(folders)
    assert "does not hold vol-0001.lgv" in wrong.value.what
    folders[0].rmdir()
    (spread.home / "pocket").rename(folders[0])
    sealed = spread.seal(folders)
    spread.opened(spread.take([medium.path.parent for medium in sealed.media]))


def test_a_mount_point_where_nothing_is_mounted_is_no_medium(site: Site) -> None:
    site.free = 1 << 30

    def work() -> str:
        (folder,) = site.media(1)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
        site.changes = {"free": _unmounting(folder)}
        with pytest.raises(CrateIoError):
            site.seal([folder])
        with pytest.raises(WrongMediumError) as caught:
            site.seal([folder])
        return caught.value.what

    assert "Nothing is mounted" in in_own_mounts(work)


def _unmounting(folder: Path) -> Callable[[Path], int]:
    def free(_: Path) -> int:
        subprocess.run(["umount", "--lazy", folder], check=True)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    return free


def test_a_full_medium_is_named_and_goes_on_when_there_is_room(site: Site) -> None:
    """The medium is fuller than was told: something else was written to it meanwhile."""

    def work() -> list[str]:
        (folder,) = site.media(1)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=True)
        with pytest.raises(CrateIoError) as caught:
            site.seal([folder])
        (begun,) = [path for path in folder.iterdir() if path.name.startswith(".partial-")]
        held = sorted(path.name for path in begun.iterdir())
        subprocess.run(["mount", "-o", "remount,size=40m", folder], check=True)
        sealed = site.seal([folder])
        site.opened(site.take([folder]))
        return [caught.value.what, *held, str(len(sealed.media))]

    said = in_own_mounts(work)
    assert os.strerror(errno.ENOSPC) in said[0]
    assert "vol-0001.lgv" in said


def test_too_little_room_is_said_before_a_byte_is_written(spread: Site) -> None:
    spread.free = room(1) if spread.alike else room(3)
    folders = spread.media(1)
    if spread.alike:
        spread.free = 2 * MIB
    with pytest.raises(LockgateError) as caught:
        spread.seal(folders)
    assert caught.value.code in {"LG-5730", "LG-1703", "LG-1702"} or "room" in caught.value.what
    assert not spread.unfinished
    assert not any(folders[0].iterdir())
    spread.changes = {"free": lambda _: MIB}
    spread.free = room(3)
    folders = spread.media(4)
    with pytest.raises(MediumSpaceError):
        spread.seal(folders)
    assert not any(path for folder in folders for path in folder.rglob("*.lgv"))


def test_a_medium_that_lies_is_found_and_can_be_replaced(
    spread: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = spread.media(4)
    real = workers.write_all_at

    def lying(handle: int, view: memoryview, offset: int) -> None:
        path = str(Path(f"/proc/self/fd/{handle}").readlink())
        worn = "/medium-2/" in path and len(view) > MIB // 10
        real(handle, memoryview(bytes(len(view))) if worn else view, offset)

    with monkeypatch.context() as patch:
        patch.setattr(workers, "write_all_at", lying)
        with pytest.raises(ReadBackError) as caught:
            spread.seal(folders)
    assert "medium-2" in caught.value.where["file"]
    before = {path: path.read_bytes() for path in folders[0].rglob("vol-*.lgv")}
    shutil.rmtree(folders[1])
    folders[1].mkdir()
    sealed = spread.resume(folders, replace=2)
    assert all((sealed.media[0].path / path.name).read_bytes() == data for path, data in before.items())
    spread.opened(spread.take([medium.path.parent for medium in sealed.media]))


def test_what_a_power_cut_ate_is_sealed_again(spread: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = spread.media(4)
    _stop_at(spread, folders, monkeypatch, volume=3)
    (eaten,) = (path for folder in folders for path in folder.glob(".partial-*/vol-0002.lgv"))
    with eaten.open("r+b") as file:
        file.seek(5000)
        file.write(b"eaten by a power cut")
    sealed = spread.seal(folders)
    assert Mender().check(spread.take([m.path.parent for m in sealed.media])).damages == ()


def _stop_at(site: Site, folders: Sequence[Path], monkeypatch: pytest.MonkeyPatch, volume: int) -> None:
    """Seal until a volume was begun, and stop there as if the medium had given up."""
    real = workers.VolumeWriter.write

    def stopping(writer: Any, partial: Path, planned: Any) -> Any:
        if planned.number == volume:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(writer, partial, planned)

    with monkeypatch.context() as patch:
        patch.setattr(workers.VolumeWriter, "write", stopping)
        with pytest.raises(CrateIoError):
            site.seal(folders)


def test_stopped_between_two_parity_volumes_of_a_group_it_makes_both_again(
    spread: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lockgate.crossing.direct import fill

    folders = spread.media(6)
    spread.changes = {"parity": Fraction(1)}
    real = fill.Filler._finished

    def stopping(self: Any, spot: Any, file: Any, *rest: Any) -> None:
        real(self, spot, file, *rest)
        if file.name.startswith("par-"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(fill.Filler, "_finished", stopping)
        with pytest.raises((OSError, CrateIoError)):
            spread.seal(folders)
    sealed = spread.resume(folders)
    assert Mender().check(spread.take([m.path.parent for m in sealed.media])).damages == ()


# --- refused -----------------------------------------------------------------------------------


def test_another_sealing_waits_until_the_unfinished_one_is_done_or_discarded(
    spread: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = spread.media(4)
    _stop_at(spread, folders, monkeypatch, volume=2)
    with pytest.raises(SealingUnfinishedError):
        spread.seal(folders, files={"files/other": b"other"})
    with pytest.raises(SealingUnfinishedError):
        spread.lane.seal(spread.outbox)
    assert DirectSealer(spread.parts(folders), ListedMounts(folders)).give_up(folders) == 1
    assert not any(folders[0].iterdir())
    with pytest.raises(NothingUnfinishedError):
        spread.resume(folders)
    sealed = spread.lane.seal(spread.outbox)
    assert isinstance(sealed, SealedCrate)
    assert sealed.manifest.sequence == 1


@pytest.mark.parametrize("reason", ["it has expired", "another crossing was sealed", "another key seals"])
def test_what_the_high_side_would_refuse_does_not_go_on(
    site: Site, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    folders = site.media(1)
    _stop_at(site, folders, monkeypatch, volume=2)
    if reason == "it has expired":
        site.lane.clock.now += timedelta(days=46)
    elif reason == "another crossing was sealed":
        ledger = RecordSealLedger(site.lane.low_records)
        ledger.finish(1, "a" * 64, dict.fromkeys(("timestamp.json", "snapshot.json", "targets.json"), b""))
    else:
        new = new_signer(Purpose.SEALER, "another")
        supply = site.lane.supply_root(2)
        supply.keys[new.keyid] = new.held(supply.expires)
        from lockgate.trust.roots import make_supply_root

        site.lane.low_roots.append(make_supply_root(supply, site.lane.holders[:2]))
        site.changes = {"signers": (new,)}
    with pytest.raises(SealingUnfinishedError) as caught:
        site.seal(folders)
    assert reason in caught.value.what


def test_a_source_that_changed_discards_what_was_begun(site: Site) -> None:
    site.lane.low_blobs = FileBlobs(site.home / "store")
    folders = site.media(1)
    request = site.lane.request(FILES)
    path = site.lane.low_blobs.path(sha256(FILES["files/big"]))
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(5 * MIB)
        file.write(b"rotten")
    with pytest.raises(SourceChangedError):
        DirectSealer(site.parts(folders), ListedMounts(folders)).seal(request)
    assert not site.unfinished
    assert not any(folders[0].iterdir())


def test_content_that_reads_otherwise_than_before_discards_what_was_begun(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read error that went unnoticed before a kill: the volume would not be what is sealed."""
    folders = site.media(1)
    _stop_at(site, folders, monkeypatch, volume=3)
    (note,) = (site.outbox / ONTO_MEDIA / "done").glob("vol-0001.lgv")
    done = decode(Done, note.read_bytes())
    note.write_bytes(encode(msgspec.structs.replace(done, plain_sha256="a" * 64)))
    with pytest.raises(SourceChangedError):
        site.seal(folders)
    assert not site.unfinished
    assert not any(folders[0].iterdir())


def test_a_link_where_the_crate_should_be_is_not_followed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, trap = site.media(1), site.home / "trap"
    trap.mkdir()
    _stop_at(site, folders, monkeypatch, volume=1)
    (partial,) = folders[0].glob(".partial-*")
    partial.rmdir()
    partial.symlink_to(trap)
    with pytest.raises(WrongMediumError) as caught:
        site.seal(folders)
    assert "is a link" in caught.value.what
    assert tree(trap) == {}
