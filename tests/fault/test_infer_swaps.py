"""Swapped while it is loaded: what runs and is read are the bytes that were hashed, or the receipt says no.

The engine is the program of `infer_program`, started for real; what somebody with write access to
the files could do at the worst moment is done between the hash and the start.
"""

import asyncio
import hashlib
import mmap
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_infer_supervision import Bench, _started

from infer_doubles import proc
from infer_program import EXECUTABLE, LIBRARY, install
from lockgate.infer import EngineState
from lockgate.infer.engines.installation import verify
from lockgate.infer.engines.ports import Enforcement
from lockgate.infer.engines.process import EngineProcess, Launch, flags_of
from lockgate.infer.engines.sealed import load
from lockgate.infer.errors import EngineFilesError, ModelMismatchError
from lockgate.infer.limits import COPY_LIMIT

FOREIGN = b"swapped"


def seen_by(pid: int | None, path: Path) -> bytes:
    """Return a file as a process sees it (proc_pid_root(5))."""
    return Path(f"/proc/{pid}/root{path}").read_bytes()


def overwrite(path: Path) -> None:
    path.write_bytes(FOREIGN)


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(FOREIGN)
    other.replace(path)


def remove(path: Path) -> None:
    path.unlink()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    other = path.parents[3] / "elsewhere"
    other.write_bytes(FOREIGN)
    path.unlink()
    path.symlink_to(other)


@pytest.mark.parametrize("swap", [overwrite, replace, remove, pipe, link])
@pytest.mark.parametrize("name", [LIBRARY, EXECUTABLE])
def test_a_file_swapped_between_hash_and_start_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, swap: Callable[[Path], None]
) -> None:
    async def run() -> None:
        bench = Bench(tmp_path, probe_seconds=60.0)
        start = EngineProcess.start

        async def late(*arguments: Any, **named: Any) -> EngineProcess:
            verify(bench.installation)  # all is well until here
            swap(bench.installation.root / name)
            return await start(*arguments, **named)

        monkeypatch.setattr(EngineProcess, "start", late)
        with pytest.raises(EngineFilesError) as caught:
            await bench.engine.start()
        assert caught.value.where["file"] == name
        assert bench.engine.pid is None
        assert bench.engine.loaded is None
        assert not (bench.run / "started.json").exists(), "nothing of it ran"
        assert (await bench.engine.health()).state is EngineState.FAILED
        await bench.engine.stop()

    asyncio.run(run())


def test_a_file_swapped_before_the_engine_is_asked_for_its_options_is_refused(tmp_path: Path) -> None:
    installation = install(tmp_path / "site")
    with Launch(installation, COPY_LIMIT) as start:
        overwrite(tmp_path / "site" / LIBRARY)
        with pytest.raises(EngineFilesError):
            flags_of(start, {"HOME": str(tmp_path)}, 20)


@pytest.mark.parametrize("swap", [overwrite, replace, remove])
def test_a_file_swapped_after_the_start_is_not_what_the_engine_sees(
    tmp_path: Path, swap: Callable[[Path], None]
) -> None:
    async def run() -> None:
        bench = Bench(tmp_path, probe_seconds=60.0)
        await bench.engine.start()
        assert bench.engine.loaded is not None
        assert bench.engine.loaded.engine_enforcement is Enforcement.PRIVATE
        library, program = (bench.installation.root / name for name in (LIBRARY, EXECUTABLE))
        ours = program.read_bytes()
        for path in (library, program):
            swap(path)
        assert seen_by(bench.engine.pid, library) == b"admitted"
        assert seen_by(bench.engine.pid, program) == ours
        mounts = proc(bench.engine.pid, "mountinfo").splitlines()
        (mount,) = [line.split() for line in mounts if line.split()[4] == str(bench.installation.root)]
        assert {"ro", "nosuid", "nodev"} <= set(mount[5].split(","))
        assert not [line for line in proc("self", "mountinfo").splitlines() if str(tmp_path) in line]
        await bench.engine.stop()

    asyncio.run(run())


def test_what_nobody_admitted_is_not_there_for_the_engine(tmp_path: Path) -> None:
    """A folder beside the program's, from which a library could be loaded by its run path."""

    async def run() -> None:
        bench = Bench(tmp_path, probe_seconds=60.0)
        (bench.installation.root / "engine.libs").mkdir()
        foreign = bench.installation.root / "engine.libs" / "libevil.so"
        foreign.write_bytes(FOREIGN)
        await bench.engine.start()
        with pytest.raises(FileNotFoundError):
            seen_by(bench.engine.pid, foreign)
        await bench.engine.stop()

    asyncio.run(run())


@pytest.mark.parametrize("limit", [0, 1])
def test_without_room_for_a_copy_the_receipt_says_so(tmp_path: Path, limit: int) -> None:
    async def run() -> None:
        bench = Bench(tmp_path, copy_limit=limit, probe_seconds=60.0)
        await bench.engine.start()
        assert bench.engine.loaded is not None
        assert bench.engine.loaded.engine_enforcement is Enforcement.HASHED
        assert bench.engine.loaded.engine_enforcement.value == "hashed, not enforced"
        assert await bench.said() == "Hello there ."
        assert _started(bench)["library"] == "admitted"
        await bench.engine.stop()

    asyncio.run(run())


_NO_RIGHTS = (
    "echo 0 > /proc/sys/user/max_user_namespaces && "
    'exec setpriv --bounding-set=-sys_admin --inh-caps=-all --ambient-caps=-all "$@"'
)


def test_where_the_system_forbids_mounts_nothing_is_enforced_and_it_runs(tmp_path: Path) -> None:
    """A host without user namespaces, and a process without the right to mount."""
    installation = install(tmp_path / "site")
    with Launch(installation, COPY_LIMIT) as start:
        # The shell keeps its process id from unshare to the launcher, and the launcher knows its parent.
        outer = ["unshare", "--user", "--map-root-user", "sh", "-c", _NO_RIGHTS, "sh"]
        done = subprocess.run(
            [*outer, *start.command, "--help"],
            capture_output=True,
            check=True,
            pass_fds=start.descriptors,
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        )
        assert b"--offline" in done.stdout
        assert start.enforcement() is Enforcement.HASHED


def test_a_pipe_in_place_of_an_admitted_file_is_refused_without_waiting(tmp_path: Path) -> None:
    installation = install(tmp_path / "site")
    pipe(tmp_path / "site" / LIBRARY)
    with pytest.raises(EngineFilesError):
        verify(installation)


# --- the model ---------------------------------------------------------------------------------


def test_a_model_swapped_before_it_is_opened_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path, probe_seconds=60.0)
        replace(bench.weights)
        with pytest.raises(ModelMismatchError):
            await bench.engine.start()
        assert bench.engine.pid is None

    asyncio.run(run())


@pytest.mark.parametrize("swap", [overwrite, replace, remove])
def test_a_model_swapped_after_its_hash_is_not_what_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, swap: Callable[[Path], None]
) -> None:
    """Between the hash and the engine's own opening."""

    async def run() -> None:
        bench = Bench(tmp_path, probe_seconds=60.0)
        start = EngineProcess.start

        async def late(*arguments: Any, **named: Any) -> EngineProcess:
            swap(bench.weights)
            return await start(*arguments, **named)

        monkeypatch.setattr(EngineProcess, "start", late)
        await bench.engine.start()
        assert await bench.said() == "Hello there ."
        await bench.engine.stop()

    asyncio.run(run())


def test_sealed_memory_cannot_be_written_mapped_for_writing_or_cut(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"weights")
    with path.open("rb") as stream:
        loaded = load(stream, hashlib.sha256(b"weights").hexdigest(), 7)
    for write in (
        lambda fd: os.pwrite(fd, b"x", 0),
        lambda fd: os.ftruncate(fd, 1),
        lambda fd: os.ftruncate(fd, 100),
        lambda fd: mmap.mmap(fd, 7, mmap.MAP_SHARED, mmap.PROT_WRITE),
    ):
        handle = os.open(loaded.path, os.O_RDWR)
        with pytest.raises(PermissionError):
            write(handle)
        os.close(handle)
    assert os.pread(loaded.fd, 10, 0) == b"weights"
    loaded.close()
