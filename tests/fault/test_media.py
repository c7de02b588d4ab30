"""Crates on media: written and read back, resumed, spread, damaged, hostile, full, read-only."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from crossing_lane import MIB, NOW, Lane, filler, tree
from lockgate.core.errors import LockgateError
from lockgate.crossing import Received, SealedCrate
from lockgate.crossing.errors import (
    CrateGrammarError,
    CrateIoError,
    NotACrateError,
    ShardIndexDamagedError,
)
from lockgate.crossing.folder import CrateFile, CrateFolder
from lockgate.crossing.media import (
    MediaReader,
    MediaWriter,
    medium_named,
    opened_medium,
)
from lockgate.crossing.media import write as write_module
from lockgate.crossing.media.errors import (
    CrateUnfinishedError,
    MediumListingError,
    MediumSpaceError,
    ReadBackError,
    TwoCratesError,
)
from lockgate.crossing.media.sources import TOP_LIMIT
from lockgate.crossing.mend import Mender, Trust
from lockgate.trust.roots import read_supply_root

FILES = {"files/big": filler("media", 5 * MIB + 9000), "files/none": b""}


@pytest.fixture(scope="module")
def lane() -> Lane:
    return Lane()


@pytest.fixture(scope="module")
def sealed(lane: Lane, tmp_path_factory: pytest.TempPathFactory) -> SealedCrate:
    outbox = tmp_path_factory.mktemp("outbox")
    return lane.seal(outbox, FILES, parity=Fraction(1, 3), volume_bytes=MIB + 20_000)


@pytest.fixture
def crate(sealed: SealedCrate, tmp_path: Path) -> Path:
    """A copy of the crate that a test may damage."""
    return Path(shutil.copytree(sealed.path, tmp_path / "outbox" / sealed.path.name))


def mount(tmp_path: Path, name: str = "usb") -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def reader(lane: Lane, inbox: Path) -> MediaReader:
    return MediaReader(inbox, Mender(Trust(read_supply_root(lane.supply), NOW)))


def take(lane: Lane, inbox: Path, medium: Path) -> list[tuple[str, ...]]:
    with opened_medium(medium) as content:
        return [reader(lane, inbox).take(source).missing for source in content.crates]


def test_a_crate_is_written_and_reads_back_the_same(crate: Path, tmp_path: Path) -> None:
    usb = mount(tmp_path)
    writer = MediaWriter(crate)
    (piece,) = writer.plan([usb])
    written = writer.write(piece)
    assert tree(usb / crate.name) == tree(crate)
    assert written.copied == sum(p.stat().st_size for p in crate.glob("*.lgv"))
    assert writer.write(piece).copied == 0


def test_writing_goes_on_where_it_was_and_corrects_what_is_wrong(crate: Path, tmp_path: Path) -> None:
    usb = mount(tmp_path)
    writer = MediaWriter(crate)
    (piece,) = writer.plan([usb])
    writer.write(piece)
    os.truncate(usb / crate.name / "vol-0003.lgv", 5000)
    with (usb / crate.name / "vol-0004.lgv").open("r+b") as file:
        file.write(b"x")
    with (usb / crate.name / "par-0001.lgv").open("ab") as file:
        file.write(b"x")
    (usb / crate.name / "vol-0005.lgv").unlink()
    copied = writer.write(piece).copied
    assert tree(usb / crate.name) == tree(crate)
    sizes = {p.name: p.stat().st_size for p in crate.glob("*.lgv")}
    whole = sizes["vol-0004.lgv"] + sizes["vol-0005.lgv"]
    assert whole < copied < whole + sizes["vol-0003.lgv"] + sizes["par-0001.lgv"]


def test_a_crate_is_spread_over_media_and_put_together_in_any_order(
    lane: Lane, crate: Path, tmp_path: Path
) -> None:
    media = [mount(tmp_path, name) for name in ("a", "b", "c", "d")]
    writer = MediaWriter(crate)
    size = 2 * MIB + MIB // 2 + 2 * MIB  # two volumes, and what is kept free
    planned = writer.plan(media, medium_named(str(size)))
    assert [len(piece.files) for piece in planned] == [2, 2, 3, 1]
    for piece in planned:
        writer.write(piece)
        assert {"crate.json", "shards.idx"} < {p.name for p in (piece.target / crate.name).iterdir()}
    inbox = mount(tmp_path, "inbox")
    (missing,) = take(lane, inbox, media[2])
    assert {"vol-0001.lgv", "par-0002.lgv"} < {*missing}
    assert len(missing) == 5
    take(lane, inbox, media[0])
    take(lane, inbox, media[3])
    assert take(lane, inbox, media[1]) == [()]
    assert tree(inbox / crate.name) == tree(crate)
    received = lane.opener(tmp_path / "staging").receive(inbox / crate.name)
    assert isinstance(received, Received)


def test_too_little_room_is_said_before_anything_is_written(crate: Path, tmp_path: Path) -> None:
    usb = mount(tmp_path)
    with pytest.raises(MediumSpaceError) as caught:
        MediaWriter(crate, free=lambda _: 4 * MIB).plan([usb])
    assert caught.value.where["missing"] > 2 * MIB
    with pytest.raises(MediumSpaceError):
        MediaWriter(crate, free=lambda _: 4 * MIB).plan_images(usb, medium_named("dvd"))
    assert not list(usb.iterdir())


def test_a_damaged_crate_is_not_written(crate: Path, tmp_path: Path) -> None:
    usb = mount(tmp_path)
    with (crate / "vol-0002.lgv").open("r+b") as file:
        file.seek(5000)
        file.write(b"xyz")
    writer = MediaWriter(crate)
    (piece,) = writer.plan([usb])
    with pytest.raises(CrateUnfinishedError) as caught:
        writer.write(piece)
    assert caught.value.where["file"] == "vol-0002.lgv"
    with pytest.raises(NotACrateError):
        Mender().check(usb / crate.name)
    (crate / "vol-0002.lgv").unlink()
    with pytest.raises(CrateUnfinishedError):
        MediaWriter(crate)


def test_a_medium_that_lies_is_found_by_reading_it_back(
    crate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usb = mount(tmp_path)
    writer = MediaWriter(crate)
    (piece,) = writer.plan([usb])
    real = write_module.write_all

    def lying(handle: int, view: memoryview) -> None:
        """Write all zeros once in a while, as a worn stick does."""
        real(handle, memoryview(bytes(len(view))) if len(view) == MIB + 16 else view)

    monkeypatch.setattr(write_module, "write_all", lying)
    with pytest.raises(ReadBackError) as caught:
        writer.write(piece)
    assert caught.value.where["offset"] > 0


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_full_a_write_protected_and_a_broken_medium_are_named(
    crate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    usb = mount(tmp_path)
    writer = MediaWriter(crate)
    (piece,) = writer.plan([usb])

    def refusing(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(write_module, "write_all", refusing)
    with pytest.raises(CrateIoError) as caught:
        writer.write(piece)
    assert os.strerror(code) in caught.value.what
    monkeypatch.undo()
    assert writer.write(piece)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_really_full_medium_is_refused_and_can_be_gone_on_with(crate: Path, tmp_path: Path) -> None:
    usb = mount(tmp_path)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", usb], check=False).returncode:
        pytest.skip("this system does not let tests mount")
    try:
        writer = MediaWriter(crate, free=lambda _: 1 << 40)
        (piece,) = writer.plan([usb])
        with pytest.raises(CrateIoError) as caught:
            writer.write(piece)
        assert os.strerror(errno.ENOSPC) in caught.value.what
        subprocess.run(["mount", "-o", "remount,size=40m", usb], check=True)
        writer.write(piece)
        assert tree(usb / crate.name) == tree(crate)
        subprocess.run(["mount", "-o", "remount,ro", usb], check=True)
        with pytest.raises(CrateIoError):
            writer.write(piece)
        assert Mender().check(usb / crate.name).damages == ()
    finally:
        subprocess.run(["umount", usb], check=True)


PROGRAM = """
import os, signal, sys
from pathlib import Path
from lockgate.crossing.media import MediaReader, MediaWriter, opened_medium
from lockgate.crossing.mend import Mender
left = int(sys.argv[3])
def counted(call):
    def inner(*args, **names):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **names)
    return inner
for name in ("write", "ftruncate", "fsync", "open"):
    setattr(os, name, counted(getattr(os, name)))
if sys.argv[4] == "write":
    writer = MediaWriter(Path(sys.argv[1]))
    for piece in writer.plan([Path(sys.argv[2])]):
        writer.write(piece)
else:
    with opened_medium(Path(sys.argv[1])) as content:
        MediaReader(Path(sys.argv[2]), Mender()).take(content.crates[0])
"""


@pytest.mark.parametrize("work", ["write", "read"])
def test_killed_anywhere_it_goes_on(lane: Lane, crate: Path, tmp_path: Path, work: str) -> None:
    target = mount(tmp_path)
    kills = 0
    for step in (3, 8, 14, 21, 30, 38, 47):
        command = [sys.executable, "-c", PROGRAM, str(crate), str(target), str(step), work]
        kills += subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert kills >= 5
    if work == "write":
        writer = MediaWriter(crate)
        writer.write(*writer.plan([target]))
    else:
        assert take(lane, target, crate) == [()]
    assert tree(target / crate.name) == tree(crate)


def test_two_damaged_media_make_one_whole_crate(lane: Lane, crate: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(crate, tmp_path / "other" / crate.name))
    before = tree(crate)
    for path in crate.glob("vol-*"):
        with path.open("r+b") as file:
            file.seek(2000)
            file.write(b"damaged")
    for path in other.glob("*.lgv"):
        with path.open("r+b") as file:
            file.write(b"damaged")
    inbox = mount(tmp_path, "inbox")
    first = reader(lane, inbox).take(next(iter(opened(crate))))
    assert {part.file for part in first.damages} == {f"vol-000{n}.lgv" for n in range(1, 7)}
    second = reader(lane, inbox).take(next(iter(opened(other))))
    assert (second.missing, second.damages) == ((), ())
    assert tree(inbox / crate.name) == before


def opened(medium: Path) -> list[object]:
    with opened_medium(medium) as content:
        return [_Again(medium, source.name) for source in content.crates]


class _Again:
    """A crate's folder that is opened anew for each use, so that a test may keep it."""

    def __init__(self, medium: Path, name: str) -> None:
        self._medium, self.name = medium, name

    def __getattr__(self, attribute: str) -> Callable[..., object]:
        from lockgate.crossing.folder import CrateFolder

        return getattr(CrateFolder(self._medium), attribute)


def test_sectors_that_the_drive_does_not_give_are_left_out(
    lane: Lane, crate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lockgate.crossing.folder import CrateFile

    real = CrateFile.fill

    def broken(self: CrateFile, target: memoryview, offset: int) -> bool:
        if self.name == "vol-0002.lgv" and offset:
            what = "vol-0002.lgv cannot be read: Input/output error."
            raise CrateIoError(what, file=self.name)
        return real(self, target, offset)

    inbox = mount(tmp_path, "inbox")
    with monkeypatch.context() as patch:
        patch.setattr(CrateFile, "fill", broken)
        take(lane, inbox, crate)
    damages = Mender().check(inbox / crate.name).damages
    assert [(d.file, d.why) for d in damages] == [("vol-0002.lgv", "truncated")]
    Mender().repair(inbox / crate.name)
    assert tree(inbox / crate.name) == tree(crate)


def test_two_crates_of_one_name_are_kept_apart(lane: Lane, crate: Path, tmp_path: Path) -> None:
    inbox = mount(tmp_path, "inbox")
    take(lane, inbox, crate)
    held = tree(inbox)
    (inbox / crate.name / "crate.json").write_bytes(b"{}")
    with pytest.raises(TwoCratesError):
        take(lane, inbox, crate)
    assert set(tree(inbox)) == set(held)
    # A copy that was cut short is not another one.
    os.truncate(inbox / crate.name / "shards.idx", 10)
    (inbox / crate.name / "crate.json").write_bytes((crate / "crate.json").read_bytes()[:100])
    assert take(lane, inbox, crate) == [()]
    assert tree(inbox) == held


class Changing(CrateFolder):
    """A crate whose medium gives other bytes of one file when it is read again."""

    def __init__(self, path: Path, name: str, later: bytes) -> None:
        super().__init__(path)
        self._changes, self._later, self._reads = name, later, 0

    def open(self, name: str) -> CrateFile:
        """Count, and give the other bytes from the second time on."""
        self._reads += name == self._changes
        if name == self._changes and self._reads > 1:
            handle = os.memfd_create("later")
            os.write(handle, self._later)
            return CrateFile(handle, name)
        return super().open(name)


@pytest.mark.parametrize("name", ["crate.json", "shards.idx", "roots/1.root.json"])
@pytest.mark.parametrize("later", [b"{}", b""])
def test_a_medium_that_reads_otherwise_the_second_time_leaves_nothing_of_it(
    lane: Lane, crate: Path, tmp_path: Path, name: str, later: bytes
) -> None:
    """What is judged and what is kept are the same bytes, or the right crate could not come in any more."""
    inbox = mount(tmp_path, "inbox")
    with Changing(crate, name, later) as source, pytest.raises(CrateIoError) as caught:
        reader(lane, inbox).take(source)
    assert (caught.value.where["file"], caught.value.where["offset"]) == (name, 0)
    assert not (inbox / crate.name / name).exists()
    assert take(lane, inbox, crate) == [()]
    assert tree(inbox / crate.name) == tree(crate)


def test_a_forged_crate_is_refused_where_the_supply_root_is_known(crate: Path, tmp_path: Path) -> None:
    inbox = mount(tmp_path, "inbox")
    with pytest.raises(LockgateError):
        take(Lane(), inbox, crate)
    assert tree(inbox) == {}


Hostile = Callable[[Path], object]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda c: (c / "autorun.inf").write_text("run me"), CrateGrammarError),
        (lambda c: os.mkfifo(c / "vol-0099.lgv"), CrateGrammarError),
        (lambda c: os.mknod(c / "vol-0099.lgv", 0o600 | 0o060000, os.makedev(7, 0)), CrateGrammarError),
        (lambda c: (c / "vol-0099.lgv").symlink_to("/etc/passwd"), CrateGrammarError),
        (lambda c: (c / "vol-0099.lgv").mkdir(), CrateGrammarError),
        (lambda c: (c / "vol-0099.lgv").write_bytes(b""), CrateGrammarError),
        (lambda c: (c / "roots" / "x").write_bytes(b""), CrateGrammarError),
        (lambda c: (c / "shards.idx").write_bytes(b"\0" * 5_000_000), LockgateError),
        (lambda c: os.truncate(c / "crate.json", 1 << 34), CrateGrammarError),
        (lambda c: os.truncate(c / "shards.idx", 1 << 34), LockgateError),
        (lambda c: (c / "crate.json").unlink(), NotACrateError),
    ],
)
def test_hostile_folders_bring_nothing_in(
    lane: Lane, crate: Path, tmp_path: Path, change: Hostile, error: type[LockgateError]
) -> None:
    try:
        change(crate)
    except PermissionError:
        pytest.skip("this needs root")
    inbox = mount(tmp_path, "inbox")
    with pytest.raises(error):
        take(lane, inbox, crate)
    assert tree(inbox) == {}


@pytest.mark.parametrize("name", ["crate.json", "shards.idx", "roots/1.root.json", "vol-0002.lgv"])
def test_a_file_of_a_terabyte_that_takes_no_room_costs_none(
    lane: Lane, crate: Path, tmp_path: Path, name: str
) -> None:
    """What is longer than it may be is not read to its end, wherever it comes in."""
    whole, inbox = tree(crate), mount(tmp_path, "inbox")
    os.truncate(crate / name, 1 << 40)
    if name.startswith("vol-"):
        assert take(lane, inbox, crate) == [()]
        assert [(part.file, part.why) for part in Mender().check(crate).damages] == [(name, "extended")]
        Mender().repair(crate, tmp_path / "copy")
        assert tree(tmp_path / "copy" / crate.name) == whole
        assert tree(inbox / crate.name) == whole
        return
    for attempt in (lambda: take(lane, inbox, crate), lambda: Mender().repair(crate, tmp_path / "copy")):
        with pytest.raises((CrateGrammarError, ShardIndexDamagedError)) as caught:
            attempt()
        assert caught.value.where["file"] == name
    assert tree(inbox) == {}


def test_names_beside_the_crate_are_not_read_and_are_bounded(lane: Lane, crate: Path, tmp_path: Path) -> None:
    usb = mount(tmp_path)
    shutil.copytree(crate, usb / crate.name)
    (usb / "setup.exe").write_bytes(b"MZ")
    (usb / "crate-000009-abcdef.lnk").symlink_to("/etc")
    with opened_medium(usb) as content:
        assert [c.name for c in content.crates] == [crate.name]
        assert content.foreign == ("crate-000009-abcdef.lnk", "setup.exe")
    inbox = mount(tmp_path, "inbox")
    take(lane, inbox, usb)
    assert [p.name for p in inbox.iterdir()] == [crate.name]
    (usb / "crate-000009-abcdef").symlink_to(crate)
    with pytest.raises(NotACrateError):
        take(lane, inbox, usb)
    (usb / "crate-000009-abcdef").unlink()
    for number in range(TOP_LIMIT):
        (usb / f"file-{number}").touch()
    with pytest.raises(MediumListingError):
        take(lane, inbox, usb)


@pytest.mark.parametrize("inside", ["", "roots"])
def test_a_link_in_the_inbox_leads_nowhere(lane: Lane, crate: Path, tmp_path: Path, inside: str) -> None:
    inbox, elsewhere = mount(tmp_path, "inbox"), mount(tmp_path, "elsewhere")
    link = inbox / crate.name / inside
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere)
    with pytest.raises(TwoCratesError) as caught:
        take(lane, inbox, crate.parent)
    assert caught.value.where["file"] == str(link)
    assert not list(elsewhere.iterdir())


def test_an_altered_index_on_a_medium_is_refused(lane: Lane, crate: Path, tmp_path: Path) -> None:
    with (crate / "shards.idx").open("r+b") as file:
        file.seek(40)
        file.write(b"x")
    with pytest.raises(ShardIndexDamagedError):
        take(lane, mount(tmp_path, "inbox"), crate)
