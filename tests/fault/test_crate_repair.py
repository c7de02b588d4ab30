"""`lockgate repair`: crates made whole where they lie or elsewhere, without keys."""

import os
import random
import shutil
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from crossing_lane import MIB, NOW, Lane, filler, tree
from lockgate.core.errors import LockgateError
from lockgate.crossing import SealedCrate
from lockgate.crossing.errors import (
    CrateGrammarError,
    CrateIoError,
    ManifestError,
    NotACrateError,
    ParityMissingError,
    ShardIndexDamagedError,
    TooDamagedError,
)
from lockgate.crossing.folder import CrateFile, CrateFolder
from lockgate.crossing.mend import Mender, Trust
from lockgate.trust.errors import SignatureError
from lockgate.trust.roots import read_supply_root

FILES = {"files/big": filler("mend", 3 * MIB + 9000)}


@pytest.fixture
def lane() -> Lane:
    return Lane()


@pytest.fixture
def crate(lane: Lane, tmp_path: Path) -> SealedCrate:
    return lane.seal(tmp_path / "outbox", FILES, parity=Fraction(1, 2), volume_bytes=MIB + 20_000)


def damage(crate: SealedCrate) -> dict[str, str]:
    """Lose one volume, cut another, grow parity; return what it was before."""
    before = tree(crate.path)
    (crate.path / "vol-0002.lgv").unlink()
    os.truncate(crate.path / "vol-0004.lgv", 5000)
    with (crate.path / "par-0001.lgv").open("ab") as file:
        file.write(b"more")
    return before


def test_a_crate_is_repaired_in_its_place(crate: SealedCrate, tmp_path: Path) -> None:
    before = damage(crate)
    damages = {(d.file, d.why) for d in Mender().repair(crate.path).damages}
    assert damages == {
        ("vol-0002.lgv", "missing"),
        ("vol-0004.lgv", "truncated"),
        ("par-0001.lgv", "extended"),
    }
    assert tree(crate.path) == before
    assert Mender().check(crate.path).damages == ()
    assert [p.name for p in crate.path.parent.iterdir() if p.name != ".sealing"] == [crate.path.name]


def test_a_whole_copy_is_written_elsewhere_and_the_medium_only_read(
    crate: SealedCrate, tmp_path: Path
) -> None:
    before = damage(crate)
    damaged = tree(crate.path)
    for path in crate.path.rglob("*"):
        path.chmod(0o500 if path.is_dir() else 0o400)
    Mender().repair(crate.path, tmp_path / "repaired")
    assert tree(tmp_path / "repaired" / crate.path.name) == before
    assert tree(crate.path) == damaged
    # Once more over a copy that was cut short.
    os.truncate(tmp_path / "repaired" / crate.path.name / "vol-0001.lgv", 10)
    Mender().repair(crate.path, tmp_path / "repaired")
    assert tree(tmp_path / "repaired" / crate.path.name) == before


def test_lost_parity_is_made_again(crate: SealedCrate) -> None:
    before = tree(crate.path)
    for path in crate.path.glob("par-*"):
        path.unlink()
    assert Mender().repair(crate.path).damages
    assert tree(crate.path) == before


def test_what_can_be_repaired_is_even_if_not_everything_can(crate: SealedCrate) -> None:
    first = crate.path / "vol-0001.lgv"
    header = first.read_bytes()[:400]
    for number in range(1, 4):
        path = crate.path / f"vol-000{number}.lgv"
        data = bytearray(path.read_bytes())
        data[10_000:60_000] = bytes(50_000)
        data[3] ^= number == 1
        path.write_bytes(bytes(data))
    with pytest.raises(TooDamagedError) as caught:
        Mender().repair(crate.path)
    assert "vol-0003.lgv" in caught.value.what
    assert first.read_bytes()[:400] == header
    assert first.read_bytes()[10_000:60_000] == bytes(50_000)


def test_without_parity_the_damage_is_named(lane: Lane, tmp_path: Path) -> None:
    crate = lane.seal(tmp_path / "plain", FILES)
    (crate.path / "vol-0002.lgv").unlink()
    with pytest.raises(ParityMissingError) as caught:
        Mender().repair(crate.path)
    assert caught.value.where["file"] == "vol-0002.lgv"
    assert {(d.file, d.why) for d in Mender().check(crate.path).damages} == {("vol-0002.lgv", "missing")}


def test_forgery_shows_only_with_the_supply_root(lane: Lane, crate: SealedCrate) -> None:
    trust = Trust(read_supply_root(lane.supply), NOW)
    assert Mender(trust).check(crate.path).authentic
    assert not Mender().check(crate.path).authentic
    stranger = Lane()
    forged = stranger.seal(crate.path.parent / "forged", FILES, parity=Fraction(1, 2))
    assert Mender().check(forged.path).damages == ()
    with pytest.raises(LockgateError):
        Mender(trust).check(forged.path)
    data = (crate.path / "crate.json").read_bytes()
    (crate.path / "crate.json").write_bytes(data.replace(b'"sig":"', b'"sig":"AAAA', 1)[: len(data)])
    with pytest.raises(LockgateError) as caught:
        Mender(trust).check(crate.path)
    assert not isinstance(caught.value, SignatureError) or caught.value.where["file"] == "crate.json"


@pytest.mark.parametrize("name", ["link", "device", "foreign", "index", "none"])
def test_hostile_folders_are_refused(crate: SealedCrate, tmp_path: Path, name: str) -> None:
    errors: dict[str, type[LockgateError]] = {
        "link": CrateGrammarError,
        "device": CrateGrammarError,
        "foreign": CrateGrammarError,
        "index": ShardIndexDamagedError,
        "none": NotACrateError,
    }
    if name == "link":
        (crate.path / "vol-0002.lgv").rename(tmp_path / "elsewhere")
        (crate.path / "vol-0002.lgv").symlink_to(tmp_path / "elsewhere")
    elif name == "device":
        (crate.path / "par-0002.lgv").unlink()
        os.mkfifo(crate.path / "par-0002.lgv")
    elif name == "foreign":
        (crate.path / "readme.txt").write_text("open me")
    elif name == "index":
        (crate.path / "shards.idx").write_bytes(b"")
    else:
        (crate.path / "crate.json").unlink()
    before = tree(tmp_path)
    with pytest.raises(errors[name]):
        Mender().repair(crate.path)
    assert tree(tmp_path) == before


def test_a_payload_type_of_something_else_is_refused(lane: Lane, crate: SealedCrate) -> None:
    data = (crate.path / "crate.json").read_bytes()
    (crate.path / "crate.json").write_bytes(data.replace(b"lockgate.crate+json", b"lockgate.other+json"))
    with pytest.raises(ManifestError):
        Mender().check(crate.path)


PROGRAM = """
import os, signal, sys
from pathlib import Path
from lockgate.crossing.folder import CrateFile, CrateFolder
from lockgate.crossing.mend import Mender
import lockgate.crossing.mend as mend, lockgate.crossing.repair as repair
left = int(sys.argv[2])
def counted(call):
    def inner(*args, **names):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **names)
    return inner
for module, name in ((os, "pwrite"), (os, "lseek"), (os, "ftruncate"), (os, "fsync"), (os, "open")):
    setattr(module, name, counted(getattr(module, name)))
Mender().repair(Path(sys.argv[1]))
"""


def test_killed_anywhere_it_can_be_started_again(crate: SealedCrate, tmp_path: Path) -> None:
    before = tree(crate.path)
    kills = 0
    chance = random.Random(3)  # noqa: S311  # chooses where it is killed
    for step in sorted(chance.sample(range(1, 60), 12)):
        shutil.rmtree(crate.path.parent / f".mending-{crate.path.name}", ignore_errors=True)
        (crate.path / "vol-0002.lgv").unlink()
        os.truncate(crate.path / "vol-0004.lgv", 5000)
        ran = subprocess.run([sys.executable, "-c", PROGRAM, crate.path, str(step)], check=False)
        kills += ran.returncode == -signal.SIGKILL
        Mender().repair(crate.path)
        assert tree(crate.path) == before
    assert kills > 5


def test_a_volume_that_is_another_one_as_well_is_not_repaired_in_its_place(
    crate: SealedCrate, tmp_path: Path
) -> None:
    """Writing to the one would destroy the other, which was whole."""
    before = tree(crate.path)
    (crate.path / "vol-0002.lgv").unlink()
    os.link(crate.path / "vol-0001.lgv", crate.path / "vol-0002.lgv")
    with pytest.raises(CrateGrammarError) as caught:
        Mender().repair(crate.path)
    assert caught.value.where["file"] == "vol-0002.lgv"
    assert tree(crate.path)["vol-0001.lgv"] == before["vol-0001.lgv"]
    Mender().repair(crate.path, tmp_path / "copy")
    assert tree(tmp_path / "copy" / crate.path.name) == before


@pytest.mark.parametrize("name", ["crate.json", "shards.idx", "roots/1.root.json"])
def test_a_copy_is_made_of_what_was_judged(
    crate: SealedCrate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A medium that gives other bytes the second time does not get them into the repaired copy."""
    real, reads = CrateFolder.open, list[str]()

    def changing(self: CrateFolder, wanted: str) -> CrateFile:
        reads.append(wanted)
        if wanted != name or reads.count(name) == 1:
            return real(self, wanted)
        handle = os.memfd_create("later")
        os.write(handle, b"{}")
        return CrateFile(handle, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(CrateFolder, "open", changing)
        with pytest.raises(CrateIoError) as caught:
            Mender().repair(crate.path, tmp_path / "copy")
    assert caught.value.where["file"] == name
    assert not (tmp_path / "copy" / crate.path.name / name).exists()
    assert not Mender().repair(crate.path, tmp_path / "copy").damages
    assert tree(tmp_path / "copy" / crate.path.name) == tree(crate.path)
