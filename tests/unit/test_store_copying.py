"""Copying and hashing at once: every byte is hashed and written, whatever the pieces are."""

import hashlib
import io
from pathlib import Path

import pytest

from lockgate.core.digests import BadDigestError, sha256
from lockgate.store import FileBlobs, MemoryBlobs, copying
from lockgate.store.errors import BlobMismatchError, BlobTooLargeError

DATA = hashlib.shake_256(b"a content of many pieces").digest(10_007)


class Trickle(io.BytesIO):
    """Gives the bytes in pieces of changing length, as networks and ends of volumes do."""

    def __init__(self, data: bytes, lengths: tuple[int, ...]) -> None:
        super().__init__(data)
        self._lengths = lengths
        self._turn = 0

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        self._turn += 1
        return super().readinto(target[: self._lengths[self._turn % len(self._lengths)]])


class Giving:
    """A stream that only gives, by its shape."""

    def __init__(self, data: bytes) -> None:
        self.read = io.BytesIO(data).read


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000, 10_007, 20_000])
@pytest.mark.parametrize("shape", ["fills", "trickles", "gives"])
def test_what_is_written_is_what_was_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, shape: str
) -> None:
    monkeypatch.setattr(copying, "CHUNK", chunk)
    streams = {"fills": io.BytesIO(DATA), "trickles": Trickle(DATA, (5, chunk, 1)), "gives": Giving(DATA)}
    blobs = FileBlobs(tmp_path)
    assert blobs.put_stream(streams[shape], limit=len(DATA)) == (sha256(DATA), len(DATA))  # type: ignore[arg-type]
    assert blobs.path(sha256(DATA)).read_bytes() == DATA


@pytest.mark.parametrize("chunk", [1, 64, 10_006, 10_007])
def test_the_bound_holds_in_every_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(copying, "CHUNK", chunk)
    with pytest.raises(BlobTooLargeError):
        FileBlobs(tmp_path).put_stream(io.BytesIO(DATA), limit=len(DATA) - 1)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_byte_that_changes_in_a_late_piece_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "CHUNK", 100)
    altered = DATA[:-1] + bytes([DATA[-1] ^ 1])
    with pytest.raises(BlobMismatchError) as refused:
        FileBlobs(tmp_path).put_stream(io.BytesIO(altered), expected=sha256(DATA))
    assert refused.value.where["found"] == sha256(altered)


def test_memory_does_not_grow_with_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(size: int) -> bytearray:
        made.append(size)
        return bytearray(size)

    monkeypatch.setattr(copying, "CHUNK", 10)
    monkeypatch.setattr(copying, "bytearray", counted, raising=False)
    FileBlobs(tmp_path).put_stream(io.BytesIO(DATA))
    assert made
    assert len(made) <= copying.BUFFERS


@pytest.mark.parametrize("kind", ["files", "memory"])
def test_what_was_discarded_is_gone_and_nothing_else(tmp_path: Path, kind: str) -> None:
    blobs = FileBlobs(tmp_path) if kind == "files" else MemoryBlobs()
    kept, gone = blobs.put_bytes(b"kept"), blobs.put_bytes(b"gone")
    blobs.discard(gone)
    blobs.discard(gone)
    assert dict(blobs.digests()) == {kept: 4}
    with pytest.raises(BadDigestError):
        blobs.discard("../kept")
