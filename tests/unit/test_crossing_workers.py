"""Threads that take records all the way: any order, one content; one error, and no record after it."""

import io
import os
import threading
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from corpora.watched_records import SECONDS, THREADS, Counted, Watched
from crossing_lane import MIB, Lane, filler
from lockgate.core.digests import sha256
from lockgate.crossing import Received, crew
from lockgate.crossing.buffers import write_all_at
from lockgate.crossing.errors import CrateIoError, SourceChangedError
from lockgate.crossing.payload import Content, Entry, PayloadSource, judge
from lockgate.store import MemoryBlobs

FILES = {"files/a": filler("a", 2 * MIB + 7), "files/b": filler("b", 4 * MIB)}
VOLUME = 8 * MIB


@pytest.fixture(autouse=True)
def _three_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many cores there are."""
    monkeypatch.setattr(crew, "workers", lambda: THREADS)


def test_records_that_are_sealed_in_another_order_stand_in_their_own(tmp_path: Path) -> None:
    lane, together, later = Lane(), threading.Barrier(THREADS), threading.Event()

    def before(number: int) -> None:
        if number < THREADS:
            together.wait(SECONDS)  # each in a thread of its own, or this never ends
        if number == 0:
            assert later.wait(SECONDS)

    def after(number: int) -> None:
        if number == THREADS:
            later.set()

    progress = Counted("seal")
    cipher = Watched(before, after)
    crate = lane.sealer(tmp_path / "outbox", volume_bytes=VOLUME, cipher=cipher).seal(
        lane.request(FILES), progress
    )
    assert len(crate.manifest.volumes) == 1
    assert sorted(cipher.numbers) == list(range(crate.manifest.volumes[0].records))
    received = lane.opener(tmp_path / "staging").receive(crate.path)
    assert isinstance(received, Received)
    for path, data in FILES.items():
        assert lane.quarantine.read(received.targets[path].sha256) == data
    assert progress.done == progress.total > 0


def test_what_one_thread_meets_ends_all_and_is_what_is_said(tmp_path: Path) -> None:
    lane, last = Lane(), 4
    began: list[threading.Thread] = []

    def failing(number: int) -> None:
        began.append(threading.current_thread())
        if number == last:
            raise OSError(5, "Input/output error")

    cipher = Watched(failing)
    with pytest.raises(CrateIoError, match="Input/output"):
        lane.seal(tmp_path / "outbox", FILES, volume_bytes=VOLUME, cipher=cipher)
    assert [p.name for p in (tmp_path / "outbox").iterdir()] == [".sealing"]
    helpers = {thread for thread in began if thread is not threading.current_thread()}
    assert not any(thread.is_alive() for thread in helpers)


def test_no_record_is_sealed_after_one_that_is_not_what_the_lock_names(tmp_path: Path) -> None:
    lane, blobs = Lane(), MemoryBlobs()
    lane.low_blobs = blobs
    request = lane.request(FILES)
    changed = next(digest for digest, data in blobs._blobs.items() if data == FILES["files/a"])
    blobs._blobs[changed] = b"X" + FILES["files/a"][1:]
    cipher = Watched(lambda _: None)
    with pytest.raises(SourceChangedError, match="files/a"):
        lane.sealer(tmp_path / "outbox", volume_bytes=VOLUME, cipher=cipher).seal(request)
    assert set(cipher.numbers) <= {0, 1}  # it ends within record 2
    assert [p.name for p in (tmp_path / "outbox").iterdir()] == [".sealing"]


def test_a_source_is_read_straight_into_what_is_sealed_past_its_own_buffer() -> None:
    asked: list[int] = []

    class Raw(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, target: memoryview) -> int:  # type: ignore[override]
            asked.append(len(target))
            target[:] = b"x" * len(target)
            return len(target)

    entry = Entry(path="files/a", kind="whole", size=700, sha256=sha256(b"x" * 700))
    stream = cast("BinaryIO", io.BufferedReader(Raw(), 4096))
    source = PayloadSource(b"prefix", [Content(entry, lambda: stream)])
    room = bytearray(6 + 600)
    judge(source.fill(memoryview(room)))
    assert asked == [600]
    assert room == b"prefix" + b"x" * 600


def test_a_write_that_takes_a_part_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, view, offset: real(handle, view[:7], offset))
    path = tmp_path / "file"
    with path.open("xb", buffering=0) as file:
        write_all_at(file.fileno(), memoryview(b"in several parts"), 3)
    assert path.read_bytes() == b"\0\0\0in several parts"
