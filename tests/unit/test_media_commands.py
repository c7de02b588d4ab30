"""``lockgate media`` and ``lockgate repair`` on a real lane, as people type them."""

import shutil
from pathlib import Path

import pytest

from corpora.commands import Commands
from crossing_lane import tree


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lane with a crate that has parity."""
    folder = tmp_path_factory.mktemp("lane")
    (folder / "documents").mkdir()
    for number in range(6):
        text = f"# Pump {number}\n\n" + "".join(f"{number * n * n:x} " for n in range(150_000))
        (folder / "documents" / f"{number}.md").write_text(text)
    (folder / "manifest.toml").write_text('[[documents]]\ncollection = "notes"\nfolder = "documents"\n')
    lockgate, low = Commands().json, ("--home", folder / "lane/low")
    lockgate("lane", "init", folder / "lane", "--name", "plant")
    lockgate("collect", folder / "manifest.toml", "--offline", *low)
    planned = lockgate("seal", "--plan", "--parity", "20%", *low)
    sealed = lockgate("seal", "--parity", "20%", *low)
    assert planned["parity_volumes"] == sealed["parity_volumes"] > 0
    return folder / "lane"


@pytest.fixture
def lane(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "lane"))


@pytest.fixture
def crate(lane: Path) -> Path:
    (found,) = (lane / "low/outbox").glob("crate-*")
    return found


@pytest.fixture
def commands() -> Commands:
    return Commands()


def test_a_crate_goes_over_a_medium_into_quarantine(commands: Commands, lane: Path, crate: Path) -> None:
    usb, high = lane / "usb", ("--home", lane / "high")
    usb.mkdir()
    plan = commands.json("media", "write", crate, "--to", usb, "--dry-run")
    assert not list(usb.iterdir())
    written = commands.json("media", "write", crate, "--to", usb)["media"][0]
    assert written["verified"] is written["safe_to_unplug"] is True
    assert written["bytes"] == plan["media"][0]["bytes"]
    assert "Safe to unplug." in commands.run("media", "write", crate, "--to", usb).out
    assert "whole; signatures not checked" in commands.run("media", "verify", usb).out
    verified = commands.json("media", "verify", usb, *high)
    assert verified["crates"][0]["signatures"] == "checked"
    (usb / "holiday.jpg").write_bytes(b"x")
    read = commands.json(
        "media", "read", usb, "--serial", "USB-7", "--by", "A. Courier", "--marking", "internal", *high
    )
    assert read["not_read"] == ["holiday.jpg"]
    assert (read["crates"][0]["missing"], read["crates"][0]["damages"]) == ([], [])
    assert "nobody said what became of it" in commands.run("media", "list", *high).out
    commands.json("media", "record", "--serial", "USB-7", "--done", "retained", "--by", "B. Clerk", *high)
    (life,) = commands.json("media", "list", *high)
    assert (life["serial"], life["marking"], life["open"]) == ("USB-7", "internal", False)
    assert [e["done"] for e in life["events"]] == ["read", "retained"]
    assert life["events"][0]["crates"] == [read["crates"][0]["crate_sha256"]]
    assert commands.json("receive", read["crates"][0]["path"], *high)["state"] == "quarantined"
    assert commands.json("audit", "verify", *high)["size"] > 4


def test_a_damaged_crate_is_waited_for_repaired_and_reported(
    commands: Commands, lane: Path, crate: Path
) -> None:
    before = tree(crate)
    intake = lane / "intake"
    intake.mkdir()
    lost = crate / "vol-0002.lgv"
    lost.unlink()
    ran = commands.run("media", "read", crate, "--into", intake)
    assert ran.status == 7
    assert "waits for vol-0002.lgv" in ran.out
    assert commands.run("media", "verify", intake).status == 7
    checked = commands.run("repair", intake / crate.name, "--check", "--json")
    assert checked.status == 7
    assert [(d["file"], d["why"]) for d in checked.value["damages"]] == [("vol-0002.lgv", "missing")]
    received = commands.json("receive", intake / crate.name, "--home", lane / "high")
    assert [(d["file"], d["why"]) for d in received["repaired"]] == [("vol-0002.lgv", "missing")]
    assert "is whole" in commands.run("repair", crate, "--into", lane / "repaired").out
    assert tree(lane / "repaired" / crate.name) == before
    commands.json("repair", crate, "--home", lane / "high")
    assert tree(crate) == before
    leaf = commands.run("audit", "verify", "--home", lane / "high")
    assert leaf.status == 0


def test_images_are_written_for_discs(commands: Commands, lane: Path, crate: Path) -> None:
    discs, intake = lane / "discs", lane / "intake"
    intake.mkdir()
    said = commands.json("media", "write", crate, "--image", discs, "--medium", "dvd", "--dry-run")
    assert said["write_once"] is True
    written = commands.json("media", "write", crate, "--image", discs, "--medium", "5000000")["media"]
    assert len(written) > 1
    ran = commands.run("media", "read", *(one["target"] for one in written), "--into", intake)
    assert (ran.status, "is all here" in ran.out) == (0, True)
    assert tree(intake / crate.name) == tree(crate)
    udf = commands.json("media", "write", crate, "--image", lane / "intake", "--form", "udf")["media"]
    assert "whole" in commands.run("media", "verify", udf[0]["target"]).out


@pytest.mark.parametrize(
    "words",
    [
        ("write", "CRATE"),
        ("write", "CRATE", "--to", "x", "--form", "udf"),
        ("write", "CRATE", "--image", "x", "--form", "hfs"),
        ("write", "CRATE", "--to", "x", "--image", "y"),
        ("read", "CRATE"),
        ("read", "CRATE", "--into", "x", "--serial", "S"),
        ("record", "--serial", "S", "--done", "sold", "--by", "B"),
    ],
)
def test_what_contradicts_itself_is_said(commands: Commands, crate: Path, words: tuple[str, ...]) -> None:
    ran = commands.run("media", *(crate if word == "CRATE" else word for word in words))
    assert ran.status == 2


def test_a_medium_that_is_unknown_or_too_small_is_refused(
    commands: Commands, lane: Path, crate: Path
) -> None:
    usb = lane / "usb"
    usb.mkdir()
    assert (
        commands.refused("media", "write", crate, "--to", usb, "--medium", "zip100")[1]["code"] == "LG-1730"
    )
    error = commands.refused("media", "write", crate, "--to", usb, "--medium", "2500000")[1]
    assert error["code"] == "LG-5730"
    assert not list(usb.iterdir())


def test_a_crate_is_sealed_straight_onto_a_medium(commands: Commands, lane: Path) -> None:
    usb, low = lane / "usb", ("--home", lane / "low")
    usb.mkdir()
    shutil.rmtree(lane / "low/outbox")
    planned = commands.json("seal", "--plan", "--medium", "bd25", *low)
    assert (planned["medium"], planned["media"]) == ("bd25", 1)
    assert planned["write_seconds"] >= 1
    assert "bd25 (write-once)" in commands.run("seal", "--plan", "--medium", "bd25", *low).out
    ran = commands.run("seal", "--to", usb, *low)
    assert (ran.status, "Safe to unplug." in ran.out) == (0, True)
    assert len(list(usb.iterdir())) == 1
    assert not list((lane / "low/outbox").glob("*crate-*"))
    assert commands.run("media", "verify", usb, "--home", lane / "high").status == 0
    assert commands.refused("seal", "--resume", "--to", usb, *low)[1]["code"] == "LG-1738"


def test_sealing_asks_for_one_medium_after_another_and_keeps_to_its_plan(
    commands: Commands, lane: Path
) -> None:
    low, sticks = ("--home", lane / "low"), [lane / f"usb-{number}" for number in range(1, 5)]
    for stick in sticks:
        stick.mkdir()
    (lane / "next").write_text("".join(f"{stick}\n" for stick in sticks[1:]))
    how = ("--full", "--parity", "25%", "--medium", "6000000", *low)
    planned = commands.json("seal", "--plan", "--to", sticks[0], "--one-by-one", *how)
    assert planned["losses"] == 0  # what belongs together for parity lies on one medium
    assert len(planned["discs"]) > 1
    error = commands.refused("seal", "--to", sticks[0], "--one-by-one", *how)[1]
    assert (error["code"], error["where"]["medium"]) == ("LG-1736", 2)
    assert commands.refused("seal", *low)[1]["code"] == "LG-1737"
    commands.json("seal", "--give-up", "--to", sticks[0], *low)
    assert not list(sticks[0].iterdir())
    sealed = commands.json("seal", "--to", sticks[0], "--next-from", lane / "next", *how)
    assert [sorted(one["files"]) for one in sealed["media"]] == [sorted(d["files"]) for d in planned["discs"]]
    assert all(one["size"] <= 6_000_000 for one in sealed["media"])
    used = [stick for stick in sticks if list(stick.iterdir())]
    read = commands.json("media", "read", *reversed(used), "--home", lane / "high")
    assert (read["crates"][-1]["missing"], read["crates"][-1]["damages"]) == ([], [])


class Swapping:
    """A person at the terminal who swaps sticks when asked, and takes the wrong one once."""

    def __init__(self, port: Path, sticks: list[Path]) -> None:
        self.port, self.sticks, self.at, self.swaps = port, sticks, 0, [1, 0, 2, 3, 0, 1, 2]

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        self.port.rename(self.sticks[self.at])
        self.at = self.swaps.pop(0)
        self.sticks[self.at].rename(self.port)
        return "\n"


def test_somebody_swaps_sticks_at_one_place(
    commands: Commands, lane: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, sticks = lane / "usb", [lane / f"stick-{number}" for number in range(4)]
    for stick in sticks:
        stick.mkdir()
    sticks[0].rename(port)
    person = Swapping(port, sticks)
    monkeypatch.setattr("sys.stdin", person)
    how = ("--full", "--parity", "25%", "--medium", "6000000", "--home", lane / "low")
    ran = commands.run("seal", "--to", port, "--one-by-one", *how)
    assert (ran.status, person.swaps) == (0, []), ran.err
    for said in (
        "Medium 1 of 4 is filled and read back. Unmount and unplug it",
        "Mount medium 2 of 4",
        "holds another part of this crate",
        "Mount medium 3 of 4",
        "once more, to be closed",
    ):
        assert said in " ".join(ran.err.split())
    port.rename(sticks[person.at])
    read = commands.json("media", "read", *sticks, "--home", lane / "high")
    assert (read["crates"][-1]["missing"], read["crates"][-1]["damages"]) == ([], [])


@pytest.mark.parametrize(
    "words",
    [
        ("--one-by-one",),
        ("--resume",),
        ("--to", "x", "--replace", "1"),
        ("--to", "x", "--to", "y", "--one-by-one"),
    ],
)
def test_media_that_contradict_themselves_are_said(
    commands: Commands, lane: Path, words: tuple[str, ...]
) -> None:
    assert commands.run("seal", *words, "--home", lane / "low").status == 2
