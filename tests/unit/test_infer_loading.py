"""Loading a model: what was hashed is what the engine reads, and nothing else is let through."""

import fcntl
import hashlib
import io
import os
from pathlib import Path

import pytest

from infer_doubles import open_descriptors
from lockgate.infer.engines import sealed
from lockgate.infer.engines.ports import Enforcement
from lockgate.infer.engines.sealed import load
from lockgate.infer.errors import DescriptorError, ModelMismatchError

DATA = os.urandom(3_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


def content(fd: int) -> bytes:
    with open(f"/proc/self/fd/{fd}", "rb") as stream:  # noqa: PTH123  # as the engine does
        return stream.read()


def test_sealed_memory_holds_the_admitted_bytes_and_cannot_change() -> None:
    file = load(io.BytesIO(DATA), SHA256, len(DATA))
    assert file.enforcement is Enforcement.SEALED
    assert file.enforced
    assert content(file.fd) == DATA
    for attempt in (
        lambda: os.pwrite(file.fd, b"x", 0),
        lambda: os.ftruncate(file.fd, 1),
        lambda: os.ftruncate(file.fd, len(DATA) + 1),
        lambda: fcntl.fcntl(file.fd, fcntl.F_ADD_SEALS, 0),
    ):
        with pytest.raises(PermissionError):
            attempt()
    file.close()
    file.close()


@pytest.mark.parametrize(
    "data",
    [DATA[:-1], DATA + b"x", b"", DATA[:-1] + bytes([DATA[-1] ^ 1])],
    ids=["cut", "long", "empty", "flip"],
)
@pytest.mark.parametrize("seal_limit", [0, 1 << 30])
def test_other_bytes_are_refused_and_nothing_stays_open(data: bytes, seal_limit: int, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(data)
    before = open_descriptors()
    with path.open("rb") as stream, pytest.raises(ModelMismatchError):
        load(stream, SHA256, len(DATA), seal_limit=seal_limit)
    assert open_descriptors() == before


def test_over_the_bound_the_file_itself_is_hashed_and_the_load_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(DATA)
    with path.open("rb") as stream:
        stream.read(10)
        stream.seek(0)
        file = load(stream, SHA256, len(DATA), seal_limit=len(DATA) - 1)
    assert file.enforcement is Enforcement.HASHED
    assert not file.enforced
    assert content(file.fd) == DATA
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(file.fd, b"x")
    file.close()


def test_without_memfd_the_file_itself_is_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model"
    path.write_bytes(DATA)

    def missing(*_: object) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "memfd_create", missing)
    with path.open("rb") as stream:
        file = load(stream, SHA256, len(DATA))
    assert file.enforcement is Enforcement.HASHED
    file.close()
    with pytest.raises(DescriptorError):
        load(io.BytesIO(DATA), SHA256, len(DATA))


def test_the_bound_has_a_name() -> None:
    assert sealed.SEAL_LIMIT == 8 << 30
