"""What holds for object stores alone: names, local copies, the spool, and refusals."""

import io
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from corpora.servers import ObjectServer
from lockgate.core.digests import sha256
from lockgate.store import objects
from lockgate.store.errors import (
    BlobMismatchError,
    BlobMissingError,
    BlobTooLargeError,
    SpoolFullError,
    StoreIoError,
)
from lockgate.store.objects import ObjectBlobs, S3Address, s3_store

DATA = bytes(range(256)) * 64


def names(store: object) -> list[str]:
    return sorted(facts["path"] for batch in obstore.list(store) for facts in batch)


class Watching(io.BytesIO):
    """A stream that notes which names the store shows while it is read."""

    def __init__(self, data: bytes, store: object) -> None:
        super().__init__(data)
        self.store = store
        self.seen: list[str] = []

    def read(self, size: int | None = -1) -> bytes:
        self.seen += names(self.store)
        return super().read(1000)


@pytest.mark.parametrize("expected", [None, sha256(DATA)])
@pytest.mark.parametrize("part", [4096, 1 << 20])
def test_no_name_appears_before_the_last_byte_was_hashed(
    tmp_path: Path, expected: str | None, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PART", part)
    store = MemoryStore()
    blobs = ObjectBlobs(store, tmp_path, spool_bytes=1 << 20, copies_bytes=1 << 20)
    stream = Watching(DATA, store)
    assert blobs.put_stream(stream, expected=expected) == (sha256(DATA), len(DATA))
    assert stream.seen == []
    assert names(store) == [f"{sha256(DATA)[:2]}/{sha256(DATA)}"]
    assert blobs.read(sha256(DATA)) == DATA


@pytest.mark.parametrize("part", [4096, 1 << 20])
def test_an_upload_whose_hash_is_wrong_is_given_up(
    tmp_path: Path, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PART", part)
    store = MemoryStore()
    blobs = ObjectBlobs(store, tmp_path, spool_bytes=1 << 20, copies_bytes=1 << 20)
    with pytest.raises(BlobMismatchError):
        blobs.put_stream(io.BytesIO(DATA + b"!"), expected=sha256(DATA))
    with pytest.raises(BlobTooLargeError):
        blobs.put_stream(io.BytesIO(DATA), expected=sha256(DATA), limit=len(DATA) - 1)
    assert names(store) == []


def test_the_spool_is_bounded_and_left_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "READ_AHEAD", 100)
    store = MemoryStore()
    blobs = ObjectBlobs(store, tmp_path, spool_bytes=len(DATA), copies_bytes=1 << 20)
    assert blobs.put_bytes(DATA) == sha256(DATA)
    with pytest.raises(SpoolFullError, match=f"longer than {len(DATA)} bytes") as refused:
        blobs.put_stream(io.BytesIO(DATA + b"!"))
    assert refused.value.where == {"limit": "store.spool_bytes"}
    with pytest.raises(BlobTooLargeError):
        blobs.put_stream(io.BytesIO(DATA), limit=10)
    assert list((tmp_path / "spool").iterdir()) == []
    assert len(names(store)) == 1


@pytest.mark.parametrize("contents", [(0, 1, 2), (1, 0, 2)], ids=["by digest", "against it"])
def test_a_local_copy_is_verified_kept_and_bounded(contents: tuple[int, ...], tmp_path: Path) -> None:
    store = MemoryStore()
    blobs = ObjectBlobs(store, tmp_path, spool_bytes=1 << 20, copies_bytes=2500)
    digests = [blobs.put_bytes(bytes([n]) * 1000) for n in contents]
    first, second = blobs.path(digests[0]), blobs.path(digests[1])
    assert blobs.path(digests[0]) == first
    third = blobs.path(digests[2])
    assert first.exists()
    assert not second.exists(), "the one that was not used for longest went"
    assert third.read_bytes() == b"\x02" * 1000
    obstore.put(store, f"{digests[1][:2]}/{digests[1]}", b"altered" * 100)
    with pytest.raises(BlobMismatchError):
        blobs.path(digests[1])
    assert not second.exists()


def test_objects_that_are_no_blobs_are_not_listed(tmp_path: Path) -> None:
    store = MemoryStore()
    blobs = ObjectBlobs(store, tmp_path, spool_bytes=100, copies_bytes=100)
    digest = blobs.put_bytes(b"blob")
    for name in ("README", f"zz/{digest}", digest, f"{digest[:2]}/{digest[:10]}"):
        obstore.put(store, name, b"no blob")
    assert list(blobs.digests()) == [(digest, 4)]


@pytest.mark.slow
@pytest.mark.alone
def test_a_wrong_key_and_a_silent_server_are_errors_of_the_host(
    object_server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "ATTEMPTS", 0)
    key = tmp_path / "key"
    key.write_text("LGTEST:another-secret")
    wrong = s3_store(S3Address("blobs", "", object_server.endpoint, "us-east-1", key))
    silent = s3_store(S3Address("blobs", "", "http://127.0.0.1:9", "us-east-1", key))
    for store in (wrong, silent):
        blobs = ObjectBlobs(store, tmp_path, spool_bytes=100, copies_bytes=100)
        with pytest.raises(StoreIoError) as refused:
            blobs.put_bytes(b"data")
        assert "another-secret" not in f"{refused.value} {refused.value.__cause__!r}"
        with pytest.raises(StoreIoError):
            list(blobs.digests())
        with pytest.raises(StoreIoError):
            blobs.has(sha256(b"data"))


@pytest.mark.slow
@pytest.mark.alone
def test_large_content_goes_in_parts_and_comes_back(object_server: ObjectServer, tmp_path: Path) -> None:
    data = bytes(1 << 20) * 70 + b"end"
    store = s3_store(S3Address("blobs", "large", object_server.endpoint, "us-east-1", object_server.key_file))
    blobs = ObjectBlobs(store, tmp_path, spool_bytes=1 << 30, copies_bytes=1 << 30)
    with pytest.raises(BlobMismatchError):
        blobs.put_stream(io.BytesIO(data + b"!"), expected=sha256(data))
    with pytest.raises(BlobMissingError):
        blobs.size(sha256(data))
    assert blobs.put_stream(io.BytesIO(data), expected=sha256(data)) == (sha256(data), len(data))
    assert blobs.path(sha256(data)).stat().st_size == len(data)
    with blobs.open(sha256(data)) as stream:
        stream.seek(-5, io.SEEK_END)
        assert stream.read() == data[-5:]
