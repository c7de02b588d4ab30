"""Marks of a store: what they let through, what they do not, and that without one the digest judges."""

import hashlib
import io
import os
from pathlib import Path

import pytest

from lockgate.core.digests import sha256
from lockgate.store import FileBlobs, MemoryBlobs
from lockgate.store.errors import StoreIoError
from lockgate.store.marks import KEY_SIZE, MARK_SIZE, DigestCheck, MarkCheck, MarkKey, MarkKeyFile

CONTENT = os.urandom(3 << 20)
DIGEST = sha256(CONTENT)


@pytest.fixture
def key() -> MarkKey:
    return MarkKey(bytes(range(KEY_SIZE)))


@pytest.fixture
def blobs(tmp_path: Path, key: MarkKey) -> FileBlobs:
    store = FileBlobs(tmp_path / "blobs", key)
    assert store.put_stream(io.BytesIO(CONTENT)) == (DIGEST, len(CONTENT))
    return store


def mark_of(blobs: FileBlobs, digest: str = DIGEST) -> Path:
    return blobs.path(digest).with_name(f"{digest}.mark")


def judged(blobs: FileBlobs, content: bytes, digest: str = DIGEST, step: int = 1 << 20) -> tuple[type, bool]:
    """Return what judged a content under a digest, and what it said."""
    check = blobs.check(digest)
    for start in range(0, len(content), step):
        check.update(memoryview(content)[start : start + step])
    return type(check), check.holds()


@pytest.mark.parametrize("step", [1 << 20, 65_537, 4 << 20])
def test_a_content_is_known_again_however_it_is_cut(blobs: FileBlobs, step: int) -> None:
    assert judged(blobs, CONTENT, step=step) == (MarkCheck, True)


@pytest.mark.parametrize("at", [0, 1 << 20, len(CONTENT) - 1])
def test_one_bit_is_noticed(blobs: FileBlobs, at: int) -> None:
    changed = bytearray(CONTENT)
    changed[at] ^= 1
    assert judged(blobs, bytes(changed)) == (MarkCheck, False)


@pytest.mark.parametrize("other", [CONTENT[:-1], CONTENT + b"\0", b"", CONTENT + bytes.fromhex(DIGEST)])
def test_another_length_is_noticed(blobs: FileBlobs, other: bytes) -> None:
    assert judged(blobs, other) == (MarkCheck, False)


def test_a_mark_says_nothing_of_another_blob(blobs: FileBlobs) -> None:
    """Content and mark of one blob under the name of another: the mark holds its digest too."""
    other, _ = blobs.put_stream(io.BytesIO(b"another"))
    mark_of(blobs, other).write_bytes(mark_of(blobs).read_bytes())
    assert judged(blobs, CONTENT, other) == (MarkCheck, False)
    assert judged(blobs, b"another", other) == (MarkCheck, False)


@pytest.mark.parametrize("mark", [b"", b"LGMK1\n", bytes(MARK_SIZE), b"x" * 100_000])
def test_what_is_no_mark_leaves_the_digest(blobs: FileBlobs, mark: bytes) -> None:
    mark_of(blobs).write_bytes(mark)
    assert judged(blobs, CONTENT) == (DigestCheck, True)
    assert judged(blobs, CONTENT[:-1]) == (DigestCheck, False)


def test_a_mark_that_is_away_leaves_the_digest(blobs: FileBlobs) -> None:
    mark_of(blobs).unlink()
    assert judged(blobs, CONTENT) == (DigestCheck, True)
    assert judged(blobs, CONTENT[:-1]) == (DigestCheck, False)


@pytest.mark.parametrize("at", range(MARK_SIZE))
def test_no_byte_of_a_mark_is_free(blobs: FileBlobs, at: int) -> None:
    """A changed magic or key name is no mark, and the digest judges; a changed salt or tag fits nothing."""
    mark = bytearray(mark_of(blobs).read_bytes())
    assert len(mark) == MARK_SIZE
    mark[at] ^= 0x80
    mark_of(blobs).write_bytes(mark)
    assert judged(blobs, CONTENT) in {(DigestCheck, True), (MarkCheck, False)}
    assert judged(blobs, CONTENT[:-1])[1] is False


def test_another_key_believes_no_mark(blobs: FileBlobs, tmp_path: Path) -> None:
    assert judged(FileBlobs(tmp_path / "blobs", MarkKey(os.urandom(KEY_SIZE))), CONTENT) == (
        DigestCheck,
        True,
    )
    assert judged(FileBlobs(tmp_path / "blobs"), CONTENT) == (DigestCheck, True)


def test_no_two_marks_share_a_salt(blobs: FileBlobs) -> None:
    """The nonce is always zero, so each mark has a key of its own."""
    first = mark_of(blobs).read_bytes()
    blobs.put_stream(io.BytesIO(CONTENT))
    assert mark_of(blobs).read_bytes() != first
    assert judged(blobs, CONTENT) == (MarkCheck, True)


def test_a_mark_is_the_tag_of_gmac(key: MarkKey) -> None:
    """Calculated in another way: AES-256-GCM over nothing, under the key that the format says."""
    import hmac  # only this test works with it

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # the same

    marking = key.begin()
    marking.update(memoryview(b"content"))
    digest = hashlib.sha256(b"content").digest()
    mark = marking.mark(digest.hex())
    once = hmac.digest(bytes(range(KEY_SIZE)), b"lockgate-mark/1" + mark[14:30], "sha256")
    assert mark[30:] == AESGCM(once).encrypt(bytes(12), b"", b"content" + digest)
    assert mark[:6] == b"LGMK1\n"


def test_a_mark_goes_with_its_blob_and_is_none(blobs: FileBlobs) -> None:
    where = mark_of(blobs)
    assert list(blobs.digests()) == [(DIGEST, len(CONTENT))]
    blobs.discard(DIGEST)
    assert not where.exists()


def test_a_store_without_a_key_makes_no_marks(tmp_path: Path) -> None:
    store = FileBlobs(tmp_path)
    store.put_stream(io.BytesIO(CONTENT))
    assert not mark_of(store).exists()
    memory = MemoryBlobs()
    memory.put_bytes(CONTENT)
    assert isinstance(memory.check(DIGEST), DigestCheck)


def test_a_refused_content_leaves_no_mark(blobs: FileBlobs, tmp_path: Path) -> None:
    before = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    with pytest.raises(Exception, match="hash"):
        blobs.put_stream(io.BytesIO(b"something else"), expected=DIGEST)
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == before


def test_a_mark_that_cannot_be_read_is_an_error(blobs: FileBlobs) -> None:
    mark_of(blobs).unlink()
    mark_of(blobs).mkdir()
    with pytest.raises(StoreIoError):
        blobs.check(DIGEST)


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "marks.key"
    first, second = MarkKeyFile(path), MarkKeyFile(path)
    assert not path.exists()
    marking = first.begin()
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes()) == KEY_SIZE
    assert [p.name for p in path.parent.iterdir()] == ["marks.key"]
    assert isinstance(second.check(sha256(b""), marking.mark(sha256(b""))), MarkCheck)


@pytest.mark.parametrize("held", [b"", b"short", bytes(KEY_SIZE + 1)])
def test_a_key_of_another_length_is_refused(tmp_path: Path, held: bytes) -> None:
    path = tmp_path / "marks.key"
    path.write_bytes(held)
    with pytest.raises(StoreIoError, match="another length"):
        MarkKeyFile(path).begin()
    assert path.read_bytes() == held


def test_a_key_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreIoError):
        MarkKeyFile(tmp_path / "file" / "marks.key").begin()
