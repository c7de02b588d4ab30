"""Sealing, receiving and publishing on a disk that fills up anywhere, and on one that cannot be written.

A real tmpfs of a few more bytes than the lane takes, in a mount namespace of a child. Each command is
refused with an error of ours that blames the host; the previous snapshot serves on; and with room, the
same command ends in the state of a run that nobody disturbed.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from corpora.kills import answer, fast_folder, forked
from corpora.mounts import in_own_mounts, mount, used
from corpora.wholelane import OPERATIONS, WholeLane

PAGE = 4096
SPREAD = 40
"""How many sizes are tried between no room and enough room."""

ROOM = 64 << 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=fast_folder(tmp_path_factory.getbasetemp())) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def made(folder: Path) -> WholeLane:
    return WholeLane.make(folder / "made")


class Case:
    """A lane where one operation is next, and how it ends on a disk with room."""

    def __init__(self, made: WholeLane, operation: str) -> None:
        self.operation = operation
        root = made.folder.parent / operation
        shutil.copytree(made.folder, root / "before")
        self.before = WholeLane(root / "before")
        self.before.before(operation)
        self.place = root / "disk"
        self.place.mkdir()
        self.old = self.before.served()
        whole = WholeLane(root / "whole")
        shutil.copytree(self.before.folder, whole.folder)
        whole.demand(whole.run(operation))
        self.new, self.wanted = whole.served(), whole.state()

    def work(self, lane: WholeLane) -> Any:
        """Run the command in a process of its own, as people do; return the error that it printed."""

        def command() -> object:
            ran = lane.run(self.operation)
            return None if ran.status == 0 else json.loads(ran.err)

        return answer(*forked(command))

    def ends_well(self, lane: WholeLane) -> None:
        """Give the command again where there is room, and compare."""
        assert self.work(lane) is None
        if self.operation == "seal":
            assert 2 <= len(lane.crates()) <= 3
            assert not list((lane.low / "outbox").glob(".partial-*"))
            for number in range(2, len(lane.crates()) + 1):
                lane.carry(number)
                lane.demand(lane.run("receive"))
        else:
            assert lane.state() == self.wanted
            assert lane.served() == self.new


@pytest.fixture(scope="module", params=OPERATIONS)
def case(request: pytest.FixtureRequest, made: WholeLane) -> Case:
    return Case(made, request.param)


def on_a_disk_of(case: Case, spare: int) -> str:
    """Run on a tmpfs with that many bytes to spare; return the code of the refusal, or nothing."""

    def work() -> str:
        mount("-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", case.place)
        lane = WholeLane(case.place / "lane")
        shutil.copytree(case.before.folder, lane.folder)
        size = -(-(used(case.place) + spare) // PAGE) * PAGE
        mount("-o", f"remount,size={size}", case.place)
        refused = case.work(lane)
        assert lane.served() in (case.old, case.new)
        mount("-o", f"remount,size={ROOM}", case.place)
        case.ends_well(lane)
        return "" if refused is None else str(refused["code"])

    return str(in_own_mounts(work))


def plenty(patch: pytest.MonkeyPatch) -> None:
    """Have the system say that there is room, so that the disk itself has to refuse."""
    facts = shutil._ntuple_diskusage(1 << 40, 0, 1 << 40)  # type: ignore[attr-defined]
    patch.setattr(shutil, "disk_usage", lambda _: facts)


def sizes(case: Case, count: int) -> list[int]:
    """Return sizes from none to what the operation needs at the most, in bytes."""
    most = {"seal": 6 << 20, "receive": 12 << 20, "publish": 6 << 20}[case.operation]
    return [PAGE * (most // PAGE) * n // (count - 1) for n in range(count)]


def swept(case: Case, count: int, patch: pytest.MonkeyPatch) -> set[str]:
    plenty(patch)
    return {on_a_disk_of(case, spare) for spare in sizes(case, count)}


# Publishing copies nothing large and asks for no room beforehand.
@pytest.mark.parametrize("case", ["seal", "receive"], indirect=True, scope="module")
def test_too_little_room_is_said_before_the_first_byte(case: Case) -> None:
    assert on_a_disk_of(case, 4 << 20) == "LG-5701"


def test_a_disk_that_fills_up_at_some_sizes(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = swept(case, 5, monkeypatch)
    assert "" in codes, "with enough room it ends"
    assert all(code == "" or code.startswith("LG-5") for code in codes), codes
    assert len(codes) > 1


@pytest.mark.slow
def test_a_disk_that_fills_up_at_forty_sizes(
    case: Case, monkeypatch: pytest.MonkeyPatch, record_testsuite_property: Callable[[str, object], None]
) -> None:
    codes = swept(case, SPREAD, monkeypatch)
    record_testsuite_property("codes", f"{case.operation}: {sorted(codes)}")
    assert all(code == "" or code.startswith("LG-5") for code in codes), codes


def test_a_medium_that_cannot_be_written(case: Case) -> None:
    def work() -> str:
        mount("-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", case.place)
        lane = WholeLane(case.place / "lane")
        shutil.copytree(case.before.folder, lane.folder)
        mount("-o", "remount,ro", case.place)
        refused = case.work(lane)
        assert refused is not None
        assert lane.served() == case.old
        mount("-o", "remount,rw", case.place)
        case.ends_well(lane)
        return str(refused["code"])

    code = str(in_own_mounts(work))
    assert code.startswith("LG-5"), code
