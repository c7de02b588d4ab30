"""Files that are written to quarantine side by side: the same files, the first error, an early end."""

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from crossing_lane import Lane, filler
from lockgate.core.digests import sha256
from lockgate.core.ports import Silent
from lockgate.crossing import Received, deposit
from lockgate.crossing.deposit import Deposit
from lockgate.crossing.errors import TargetMismatchError
from lockgate.crossing.payload import Entry, PayloadReader
from lockgate.store import FileBlobs, MemoryBlobs
from lockgate.store.errors import BlobMismatchError
from lockgate.store.ports import BLOB_LIMIT

FILES = {f"files/{name}": filler(name, 700) for name in "abcde"}
THREADS = 3
SECONDS = 180


class Watched(FileBlobs):
    """A folder of blobs that says what it is about to take."""

    def __init__(self, root: Path, before: Callable[[str], None]) -> None:
        super().__init__(root)
        self._before = before

    def put_stream(
        self, stream: BinaryIO, *, expected: str | None = None, limit: int = BLOB_LIMIT
    ) -> tuple[str, int]:
        self._before(expected or "")
        return super().put_stream(stream, expected=expected, limit=limit)


class Counted(Silent):
    """A `Progress` that must not be told by two threads at once."""

    def __init__(self) -> None:
        self.done = 0
        self._inside = threading.Lock()

    def advance(self, count: int) -> None:
        assert self._inside.acquire(blocking=False), "told by two threads at once"
        self.done += count
        self._inside.release()


@pytest.fixture(autouse=True)
def _three_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many cores there are, and however short the files."""
    monkeypatch.setattr(deposit, "workers", lambda: THREADS)
    monkeypatch.setattr(deposit, "LONG", 1)


def entry(path: str) -> Entry:
    return Entry(path=path, kind="whole", size=len(FILES[path]), sha256=sha256(FILES[path]))


ENTRIES = tuple(map(entry, FILES))


def reader(files: dict[str, bytes]) -> PayloadReader:
    """Return the bodies of a payload, in volumes of a few hundred bytes."""
    data = b"".join(files.values())
    volumes = [data[at : at + 300] for at in range(0, len(data), 300)]
    return PayloadReader([lambda v=v: io.BytesIO(v) for v in volumes], len(data))  # type: ignore[misc]


def held(blobs: FileBlobs) -> set[str]:
    return {digest for digest, _ in blobs.digests()}


def test_as_many_files_as_there_are_threads_are_written_at_once(tmp_path: Path) -> None:
    together, first = threading.Barrier(THREADS), {e.sha256 for e in ENTRIES[:THREADS]}

    def before(digest: str) -> None:
        if digest in first:
            together.wait(SECONDS)  # each in a thread of its own, or this never ends

    blobs, progress = Watched(tmp_path, before), Counted()
    with reader(FILES) as payload:
        writing = Deposit(payload, blobs, progress, None)
        writing.put(ENTRIES[:THREADS])
        writing.put(ENTRIES[THREADS:])
    assert {blobs.read(e.sha256, limit=e.size) for e in ENTRIES} == set(FILES.values())
    assert sorted(writing.fresh) == sorted(e.sha256 for e in ENTRIES)
    assert progress.done == sum(map(len, FILES.values()))


def test_of_several_wrong_files_the_first_is_named_and_none_begins_after_one(tmp_path: Path) -> None:
    refused = threading.Event()
    began: list[str] = []

    def before(digest: str) -> None:
        began.append(digest)
        if digest in {ENTRIES[0].sha256, ENTRIES[1].sha256}:  # so the third one is this thread's
            assert refused.wait(SECONDS)
        if digest == ENTRIES[2].sha256:
            refused.set()
            raise BlobMismatchError("The content does not hash to its digest.")

    wrong = FILES | {"files/b": filler("wrong", 700)}
    blobs = Watched(tmp_path, before)
    with reader(wrong) as payload:
        writing = Deposit(payload, blobs, Silent(), None)
        with pytest.raises(TargetMismatchError, match="files/b"):
            writing.put(ENTRIES)
    assert set(began) == {e.sha256 for e in ENTRIES[:3]}
    assert writing.fresh == [ENTRIES[0].sha256]
    assert held(blobs) == {ENTRIES[0].sha256}


def test_who_interrupts_does_not_wait_for_the_end_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, abandoned, calls = PayloadReader.abandon, threading.Event(), list[PayloadReader]()

    def abandon(payload: PayloadReader) -> None:
        real(payload)
        calls.append(payload)
        if len(calls) == THREADS - 1:
            abandoned.set()

    def before(digest: str) -> None:
        if digest == ENTRIES[2].sha256:
            raise KeyboardInterrupt
        assert abandoned.wait(SECONDS)

    monkeypatch.setattr(PayloadReader, "abandon", abandon)
    blobs = Watched(tmp_path, before)
    with reader(FILES) as payload, pytest.raises(KeyboardInterrupt):
        Deposit(payload, blobs, Silent(), None).put(ENTRIES)
    assert held(blobs) == set()
    assert list((tmp_path / "incoming").iterdir()) == []


@pytest.mark.parametrize("where", ["elsewhere", "here and short"])
def test_other_stores_and_short_files_get_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    threads: set[threading.Thread] = set()

    def before(_: str) -> None:
        threads.add(threading.current_thread())

    blobs = Watched(tmp_path, before)
    if where == "elsewhere":
        monkeypatch.setattr(Watched, "lies_at", MemoryBlobs.lies_at)
    else:
        monkeypatch.setattr(deposit, "LONG", 701)
    with reader(FILES) as payload:
        Deposit(payload, blobs, Silent(), None).put(ENTRIES)
    assert threads == {threading.current_thread()}
    assert held(blobs) == {e.sha256 for e in ENTRIES}


def test_a_refused_crate_leaves_nothing_that_was_written_beside_the_file_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane, blobs = Lane(), FileBlobs(tmp_path / "quarantine")
    kept = blobs.put_bytes(FILES["files/e"])
    crate = lane.seal(tmp_path / "outbox", FILES)
    real = FileBlobs.put_stream

    def put_stream(
        self: FileBlobs, stream: BinaryIO, *, expected: str | None = None, limit: int = BLOB_LIMIT
    ) -> tuple[str, int]:
        if expected == sha256(FILES["files/d"]):
            stream = io.BytesIO(b"something else")
        return real(self, stream, expected=expected, limit=limit)

    monkeypatch.setattr(FileBlobs, "put_stream", put_stream)
    opener = lane.opener(tmp_path / "staging", quarantine=blobs)
    with pytest.raises(TargetMismatchError, match="files/d"):
        opener.receive(crate.path)
    assert held(blobs) == {kept}
    monkeypatch.setattr(FileBlobs, "put_stream", real)
    assert isinstance(opener.receive(crate.path), Received)
    assert held(blobs) > {sha256(data) for data in FILES.values()}
