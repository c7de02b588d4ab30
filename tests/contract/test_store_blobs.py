"""What every blob store promises, over the double, files and object stores."""

import errno
import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pytest
from obstore.store import MemoryStore

from lockgate.core.digests import BadDigestError, sha256
from lockgate.store import BlobStore, FileBlobs, MemoryBlobs, batch, ports
from lockgate.store.errors import BlobMismatchError, BlobMissingError, BlobTooLargeError, StoreIoError
from lockgate.store.objects import ObjectBlobs, S3Address, s3_store
from lockgate.store.ports import DiscardingBlobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from obstore.store import ObjectStore

    from corpora.servers import ObjectServer

DATA = b"bytes that cross the gap"
DIGEST = sha256(DATA)


@pytest.fixture(
    params=["memory", "files", "objects", pytest.param("s3", marks=[pytest.mark.slow, pytest.mark.alone])]
)
def blobs(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> BlobStore:
    if request.param in {"memory", "files"}:
        return MemoryBlobs() if request.param == "memory" else FileBlobs(tmp_path / "blobs")
    store: ObjectStore = MemoryStore()  # obstore's own double
    if request.param == "s3":
        server: ObjectServer = request.getfixturevalue("object_server")
        prefix = tmp_path.name
        store = s3_store(S3Address("blobs", prefix, server.endpoint, "us-east-1", server.key_file))
    local = tmp_path_factory.mktemp("local")
    return ObjectBlobs(store, local, spool_bytes=1 << 30, copies_bytes=1 << 30)


@pytest.fixture
def files(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


def alter(store: BlobStore, digest: str, data: bytes) -> None:
    """Do what somebody with write access to the store could do."""
    if isinstance(store, MemoryBlobs):
        store._blobs[digest] = data
    elif isinstance(store, ObjectBlobs):
        obstore.put(store._store, f"{digest[:2]}/{digest}", data)
    else:
        path = store.path(digest)
        path.chmod(0o600)
        path.write_bytes(data)


def everything(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())


def test_what_was_put_is_held_under_its_digest(blobs: BlobStore) -> None:
    assert not blobs.has(DIGEST)
    assert blobs.put_bytes(DATA) == DIGEST
    assert blobs.put_stream(io.BytesIO(DATA), expected=DIGEST) == (DIGEST, len(DATA))
    assert blobs.has(DIGEST)
    assert blobs.size(DIGEST) == len(DATA)
    assert blobs.read(DIGEST) == DATA
    assert blobs.path(DIGEST).read_bytes() == DATA
    with blobs.open(DIGEST) as stream:
        assert stream.read(5) == DATA[:5]
        assert stream.read() == DATA[5:]


def test_the_empty_blob_is_a_blob(blobs: BlobStore) -> None:
    digest = blobs.put_bytes(b"")
    assert (blobs.size(digest), blobs.read(digest), blobs.read(digest, limit=0)) == (0, b"", b"")


def test_the_rest_of_a_stream_is_stored_in_pieces(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "CHUNK", 5)
    stream = io.BytesIO(b"read before" + DATA)
    stream.seek(len(b"read before"))
    assert blobs.put_stream(stream) == (DIGEST, len(DATA))


def test_what_is_not_held_is_missing(blobs: BlobStore) -> None:
    uses: list[Callable[[str], object]] = [blobs.open, blobs.path, blobs.size, blobs.read]
    for use in uses:
        with pytest.raises(BlobMissingError):
            use(DIGEST)


@pytest.mark.parametrize(
    "name", ["", "../" * 20 + "etc/passwd", DIGEST.upper(), DIGEST + "\n", DIGEST[:-1] + "/"]
)
def test_what_is_no_digest_names_no_blob(blobs: BlobStore, name: str) -> None:
    uses: list[Callable[[str], object]] = [blobs.open, blobs.path, blobs.size, blobs.read, blobs.has]
    for use in uses:
        with pytest.raises(BadDigestError):
            use(name)


def test_other_bytes_than_promised_are_not_stored(blobs: BlobStore) -> None:
    other = sha256(b"other")
    with pytest.raises(BlobMismatchError) as refused:
        blobs.put_stream(io.BytesIO(DATA), expected=other)
    assert refused.value.where == {"expected": other, "found": DIGEST}
    with pytest.raises(BlobMismatchError):
        blobs.put_bytes(DATA, expected=other)
    assert not blobs.has(other)
    assert not blobs.has(DIGEST)


def test_more_bytes_than_the_bound_are_not_stored(blobs: BlobStore) -> None:
    with pytest.raises(BlobTooLargeError, match=f"longer than {len(DATA) - 1} bytes"):
        blobs.put_stream(io.BytesIO(DATA), limit=len(DATA) - 1)
    assert not blobs.has(DIGEST)
    assert blobs.put_stream(io.BytesIO(DATA), limit=len(DATA)) == (DIGEST, len(DATA))


def test_reading_is_bounded_and_hashes_again(blobs: BlobStore) -> None:
    blobs.put_bytes(DATA)
    assert blobs.read(DIGEST, limit=len(DATA)) == DATA
    with pytest.raises(BlobTooLargeError):
        blobs.read(DIGEST, limit=len(DATA) - 1)
    alter(blobs, DIGEST, DATA[:-1] + b"!")
    with pytest.raises(BlobMismatchError, match="altered"):
        blobs.read(DIGEST)
    assert blobs.put_bytes(DATA) == DIGEST
    assert blobs.read(DIGEST) == DATA, "putting it again mends it"


class Breaking(io.RawIOBase):
    """A stream that gives some bytes and then fails."""

    def __init__(self) -> None:
        super().__init__()
        self.given = False

    def read(self, size: int = -1) -> bytes:
        if self.given:
            raise OSError(errno.EIO, "the medium is damaged")
        self.given = True
        return b"x" * 10


def test_a_stream_that_breaks_leaves_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(OSError if isinstance(blobs, MemoryBlobs) else StoreIoError, match="damaged"):
        blobs.put_stream(Breaking())  # type: ignore[arg-type]  # a stream by its shape
    assert not blobs.has(sha256(b"x" * 10))
    assert everything(tmp_path) == []


def test_many_writers_of_one_blob_agree(blobs: BlobStore) -> None:
    data = [b"a" * 100_000, b"b" * 100_000]
    wrong: list[BaseException] = []

    def put() -> None:
        try:
            for n in range(20):
                blobs.put_bytes(data[n % 2])
                assert blobs.read(sha256(data[n % 2])) == data[n % 2]
        except BaseException as error:  # noqa: BLE001  # looked at below
            wrong.append(error)

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_every_blob_is_listed_with_its_length(blobs: BlobStore) -> None:
    assert list(blobs.digests()) == []
    held = {blobs.put_bytes(b"x" * n): n for n in (0, 1, 1000)}
    assert dict(blobs.digests()) == held
    assert len(list(blobs.digests())) == 3


def test_a_stream_can_be_read_from_anywhere(blobs: BlobStore) -> None:
    with blobs.open(blobs.put_bytes(DATA)) as stream:
        assert stream.seek(6) == 6
        assert stream.read(4) == DATA[6:10]
        assert stream.seek(-3, os.SEEK_END) == len(DATA) - 3
        assert stream.read() == DATA[-3:]
        assert stream.read(1) == b""
        assert stream.seek(0) == 0
        assert stream.read() == DATA


def test_a_failed_put_leaves_no_file(files: FileBlobs, tmp_path: Path) -> None:
    for attempt in (
        lambda: files.put_bytes(DATA, expected="0" * 64),
        lambda: files.put_stream(io.BytesIO(DATA), limit=3),
    ):
        with pytest.raises((BlobMismatchError, BlobTooLargeError)):
            attempt()
    assert everything(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
def test_a_disk_that_refuses_leaves_what_was_there(
    files: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    files.put_bytes(b"before")
    held = everything(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StoreIoError, match="No space left"):
            files.put_bytes(DATA)
    assert everything(tmp_path) == held
    assert not files.has(DIGEST)
    assert files.put_bytes(DATA) == DIGEST


MANY = [(sha256(data), data) for data in (b"%d" % n for n in range(40))]


def test_many_contents_are_stored_like_each_of_them(blobs: BlobStore) -> None:
    blobs.put_all(MANY)
    blobs.put_all([])
    assert [blobs.read(digest) for digest, _ in MANY] == [data for _, data in MANY]
    other = MemoryBlobs()
    other.copy_all(blobs, [digest for digest, _ in MANY[:30]])
    assert dict(other.digests()) == {digest: len(data) for digest, data in MANY[:30]}
    with pytest.raises(BlobMissingError):
        blobs.copy_all(MemoryBlobs(), [DIGEST])
    with pytest.raises(BlobMismatchError):
        blobs.put_all([MANY[0], (DIGEST, DATA + b"!")])
    assert not blobs.has(DIGEST)


def test_a_copy_hashes_what_it_copies_long_or_short(
    files: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FileBlobs(tmp_path / "source")
    source.put_bytes(DATA)
    for short in (1, 1 << 20):
        monkeypatch.setattr("lockgate.store.blobs.SHORT", short)
        files.copy_all(source, [DIGEST])
        assert files.read(DIGEST) == DATA
        files.discard(DIGEST)
    alter(source, DIGEST, DATA[::-1])
    for short in (1, 1 << 20):
        monkeypatch.setattr("lockgate.store.blobs.SHORT", short)
        with pytest.raises(BlobMismatchError):
            files.copy_all(source, [DIGEST])
    assert everything(tmp_path / "blobs") == []


@pytest.mark.parametrize("few", [0, 1000], ids=["by one call for all", "each by itself"])
def test_no_name_appears_before_its_content_is_durable(
    files: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """The disk is asked before the first name and after the last; what it refuses leaves no name."""
    monkeypatch.setattr(batch, "FEW", few)
    said: list[str] = []
    named, synced = os.replace, batch.durable
    monkeypatch.setattr(os, "replace", lambda *at: (said.append("name"), named(*at))[1])
    monkeypatch.setattr(batch, "durable", lambda *at: (said.append("durable"), synced(*at))[1])
    files.put_all(MANY)
    assert [said[0], said[-1]] == ["durable", "durable"]
    assert said[1:-1] == ["name"] * len(MANY)

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    held = everything(tmp_path)
    monkeypatch.setattr(batch, "durable", refuse)
    with pytest.raises(StoreIoError, match="Input/output"):
        files.put_all([(DIGEST, DATA)])
    assert everything(tmp_path) == held


def test_a_batch_that_breaks_takes_its_files_away(files: FileBlobs, tmp_path: Path) -> None:
    def contents() -> "Iterator[tuple[str, bytes]]":
        yield from MANY
        what = "the maker of pages broke"
        raise ValueError(what)

    with pytest.raises(ValueError, match="broke"):
        files.put_all(contents())
    assert everything(tmp_path) == []


def test_a_batch_is_named_before_it_grows_over_its_bound(
    files: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "BATCH", 10)
    most = 0

    def contents() -> "Iterator[tuple[str, bytes]]":
        nonlocal most
        for each in MANY:
            yield each
            most = max(most, len(list((tmp_path / "blobs/incoming").iterdir())))

    files.put_all(contents())
    assert most == 9
    assert len(list(files.digests())) == len(MANY)


def test_a_place_that_cannot_be_written_is_an_error_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_bytes(b"a file")
    with pytest.raises(StoreIoError):
        FileBlobs(tmp_path / "blobs").put_bytes(DATA)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "incoming").write_bytes(b"a file")
    with pytest.raises(StoreIoError):
        FileBlobs(tmp_path / "other").put_bytes(DATA)


def test_a_link_in_the_folder_is_no_blob(files: FileBlobs, tmp_path: Path) -> None:
    files.put_bytes(b"something")
    outside = tmp_path / "outside"
    outside.write_bytes(DATA)
    link = tmp_path / "blobs" / DIGEST[:2] / DIGEST
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    assert not files.has(DIGEST)
    for use in (files.open, files.path, files.size, files.read):
        with pytest.raises(BlobMissingError):
            use(DIGEST)
    files.put_bytes(DATA)
    assert files.has(DIGEST)
    assert not link.is_symlink()
    assert outside.read_bytes() == DATA


def test_stored_files_cannot_be_written_by_mistake(files: FileBlobs) -> None:
    files.put_bytes(DATA)
    assert files.path(DIGEST).stat().st_mode & 0o777 == 0o444


def test_sweeping_removes_what_dead_writers_left_and_nothing_else(files: FileBlobs, tmp_path: Path) -> None:
    assert files.sweep() == 0
    files.put_bytes(DATA)
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    incoming = tmp_path / "blobs" / "incoming"
    dead, alive = incoming / f"{int(ended.stdout)}-{'a' * 16}", incoming / f"{os.getpid()}-{'b' * 16}"
    dead.write_bytes(b"half a blob")
    alive.write_bytes(b"half a blob")
    assert files.sweep() == 1
    assert not dead.exists()
    assert alive.exists()
    assert files.read(DIGEST) == DATA


def test_a_blob_is_taken_back_and_what_is_absent_is_no_fault(blobs: DiscardingBlobs) -> None:
    assert blobs.written(DIGEST) is None
    blobs.put_bytes(DATA)
    blobs.path(DIGEST)  # an object store keeps a copy from here on
    assert blobs.written(DIGEST) is not None
    blobs.discard(DIGEST)
    blobs.discard(DIGEST)
    assert not blobs.has(DIGEST)
    assert blobs.written(DIGEST) is None
    with pytest.raises(BlobMissingError):
        blobs.path(DIGEST)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "nothing"])
def test_what_is_no_file_of_its_own_is_not_held(files: FileBlobs, tmp_path: Path, kind: str) -> None:
    files.put_bytes(DATA)
    (held,) = (path for path in (tmp_path / "blobs").rglob(DIGEST))
    held.unlink()
    (tmp_path / "outside").write_bytes(DATA)
    match kind:
        case "link":
            held.symlink_to(tmp_path / "outside")
        case "folder":
            held.mkdir()
        case "pipe":
            os.mkfifo(held)
        case _:
            held.parent.rmdir()
            held.parent.write_bytes(b"a file where a folder was")
    assert not files.has(DIGEST)
    for ask in (files.read, files.size, files.open, files.path):
        with pytest.raises(BlobMissingError):
            ask(DIGEST)


def test_a_file_that_is_cut_while_it_is_read_is_altered(
    files: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read piece by piece to the length that it had, and what is missing shows."""
    files.put_bytes(DATA)
    plain, read = os.read, list[int]()

    def few(handle: int, length: int) -> bytes:
        read.append(length)
        return plain(handle, min(length, 7))

    monkeypatch.setattr(os, "read", few)
    assert files.read(DIGEST) == DATA
    assert read == [24, 17, 10, 3]
    monkeypatch.setattr(os, "read", lambda handle, length: plain(handle, 7) if length > 17 else b"")
    with pytest.raises(BlobMismatchError):
        files.read(DIGEST)
