"""Parsers that turn on their host come nowhere, and only their own file's verdict suffers."""

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import lockgate
from corpora import inspection_content as make
from lockgate.core.digests import sha256
from lockgate.core.verdict import Outcome
from lockgate.inspect import InspectItem, Job, Limits, Sandbox, inspect_files
from lockgate.inspect.errors import (
    JobFailedError,
    JobOutputError,
    JobTimeoutError,
    SandboxUnavailableError,
)
from lockgate.inspect.helped import Helper
from lockgate.inspect.launch import Bubblewrap
from lockgate.inspect.sandbox import ProcessSandbox
from lockgate.inspect.warm import WarmSandbox

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root is its own helper")
HOSTILE = Path(__file__).parents[1] / "corpora" / "hostile_parsers.py"


@pytest.fixture(scope="module")
def code(tmp_path_factory) -> Path:
    """Our own code with the hostile parsers beside it."""
    ours = Path(lockgate.__file__).parent
    folder = tmp_path_factory.mktemp("code") / "lockgate"
    folder.mkdir()
    shutil.copy(ours / "__init__.py", folder)
    for room in ("core", "scoring", "inspect"):
        shutil.copytree(ours / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HOSTILE, folder / "inspect" / "hostile.py")
    return folder


@pytest.fixture(
    scope="module",
    params=[
        (ProcessSandbox, Bubblewrap),
        (WarmSandbox, Bubblewrap),
        pytest.param((WarmSandbox, Helper), marks=ROOT),
    ],
    ids=lambda kinds: "-".join(kind.__name__ for kind in kinds),
)
def sandbox(request, code):
    kind, launcher = request.param
    made = kind(code=code, launcher=launcher())
    yield made
    if isinstance(made, WarmSandbox):
        made.close()


@pytest.fixture
def victim(tmp_path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(b"content")
    return path


def _run(sandbox, victim, name, args=b"", **bounds):
    return sandbox.run(Job(entry=f"lockgate.inspect.hostile:{name}", file=victim, args=args, **bounds))


def test_no_socket_of_any_family(sandbox, victim) -> None:
    tried = json.loads(_run(sandbox, victim, "network"))
    assert tried.pop("interfaces") == "refused 2"
    assert set(tried.values()) == {"refused 1"}


def test_no_file_of_the_host(sandbox, victim, tmp_path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not read")
    tried = json.loads(_run(sandbox, victim, "reading", json.dumps([str(secret), str(victim)]).encode()))
    assert set(tried.values()) == {"refused 2"}


def test_nothing_is_written(sandbox, victim, tmp_path, code) -> None:
    targets = [str(tmp_path / "new"), str(victim), "/new", "/code/lockgate/new.py", "/site/new.py"]
    tried = json.loads(_run(sandbox, victim, "writing", json.dumps(targets).encode()))
    assert all(outcome.startswith("refused") for outcome in tried.values()), tried
    assert victim.read_bytes() == b"content"
    assert not (code / "new.py").exists()


def test_no_process_is_made_or_touched(sandbox, victim) -> None:
    tried = json.loads(_run(sandbox, victim, "processes"))
    assert tried.pop("forks") == 0
    assert tried.pop("identity") == "65534"
    assert set(tried.pop("environment")) <= {"LANG", "PWD"}
    assert set(tried.values()) == {"refused 1"}


def test_memory_is_bounded(sandbox, victim) -> None:
    with pytest.raises(JobFailedError):
        _run(sandbox, victim, "memory", memory_bytes=1 << 29)


def test_processor_time_is_bounded(sandbox, victim) -> None:
    with pytest.raises(JobFailedError):
        _run(sandbox, victim, "endless", cpu_seconds=1, wall_seconds=60)


def test_wall_time_is_bounded(sandbox, victim) -> None:
    with pytest.raises(JobTimeoutError):
        _run(sandbox, victim, "endless", wall_seconds=0.5)


def test_output_is_bounded(sandbox, victim) -> None:
    with pytest.raises(JobOutputError):
        _run(sandbox, victim, "flood", output_bytes=1 << 20)


def test_a_crash_is_the_files_fault(sandbox, victim) -> None:
    with pytest.raises(JobFailedError):
        _run(sandbox, victim, "crash")


def test_a_worker_cannot_blame_the_sandbox(sandbox, victim) -> None:
    with pytest.raises(JobFailedError, match="status 1"):
        _run(sandbox, victim, "blame")


def test_arguments_and_content_arrive_whole(sandbox, victim) -> None:
    args = bytes(range(256)) * 1000
    assert _run(sandbox, victim, "echo", args) == b"content" + args
    assert _run(sandbox, victim, "many", b"100000") == b"content" * 100_000


class _Turned(Sandbox):
    """Hands one file to a hostile parser, the others to ours."""

    def __init__(self, inner: Sandbox, name: str) -> None:
        self._inner = inner
        self._name = name

    def describe(self) -> dict[str, str]:
        return self._inner.describe()

    def run(self, job: Job) -> bytes:
        if job.file.name == "file.bin":
            job = Job(
                entry=f"lockgate.inspect.hostile:{self._name}", file=job.file, wall_seconds=1, cpu_seconds=5,
                memory_bytes=1 << 29, output_bytes=1 << 20,
            )  # fmt: skip
        return self._inner.run(job)


def test_a_parser_reaches_neither_its_parent_nor_another_file(sandbox, victim) -> None:
    tried = json.loads(_run(sandbox, victim, "neighbours"))
    assert set(tried.values()) == {"refused 1"}, tried
    assert _run(sandbox, victim, "echo") == b"content"


@pytest.mark.parametrize(
    "name", ["crash", "endless", "memory", "flood", "leave", "blame", "lie", "neighbours"]
)
def test_the_other_files_keep_their_verdicts(sandbox, tmp_path, victim, name) -> None:
    wheel = tmp_path / "lock_demo-1.0-py3-none-any.whl"
    wheel.write_bytes(make.wheel())
    items = [
        InspectItem(
            path=path.name,
            kind="python",
            file=path,
            sha256=sha256(path.read_bytes()),
            size=path.stat().st_size,
        )
        for path in (wheel, victim, wheel)
    ]
    first, turned, last = inspect_files(items, _Turned(sandbox, name), jobs=2, limits=Limits())
    assert first.outcome is last.outcome is Outcome.CLEAN
    assert turned.outcome is Outcome.INCOMPLETE
    assert turned.covered == 0


def test_without_bubblewrap_nothing_is_parsed() -> None:
    with pytest.raises(SandboxUnavailableError):
        Bubblewrap("no-such-program-of-that-name")


@pytest.mark.parametrize("kind", [ProcessSandbox, WarmSandbox])
def test_a_sandbox_that_does_not_come_up_is_the_hosts_fault(victim, tmp_path, kind) -> None:
    with pytest.raises(SandboxUnavailableError, match="did not come up"):
        _run(kind(code=tmp_path / "missing"), victim, "echo")


@ROOT
@pytest.mark.parametrize("kind", [ProcessSandbox, WarmSandbox])
def test_a_helper_that_cannot_lay_out_a_sandbox_is_the_hosts_fault(victim, tmp_path, kind) -> None:
    with pytest.raises(SandboxUnavailableError, match="cannot be opened for the sandbox"):
        _run(kind(code=tmp_path / "missing", launcher=Helper()), victim, "echo")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SandboxUnavailableError, match=r"did not come up.*No module named 'lockgate.inspect'"):
        _run(kind(code=tmp_path / "empty", launcher=Helper()), victim, "echo")


def test_a_warm_parent_that_dies_fails_its_jobs_and_is_replaced(code, victim) -> None:
    with WarmSandbox(code=code) as sandbox:
        assert _run(sandbox, victim, "echo") == b"content"
        sandbox._nursery._child.kill()
        sandbox._nursery._listener.join(120)
        assert _run(sandbox, victim, "echo") == b"content"


def test_a_job_whose_warm_parent_dies_fails(code, victim) -> None:
    with WarmSandbox(code=code) as sandbox, ThreadPoolExecutor(1) as pool:
        _run(sandbox, victim, "echo")
        nursery = sandbox._nursery
        running = pool.submit(_run, sandbox, victim, "endless", wall_seconds=60)
        with nursery._changed:
            assert nursery._changed.wait_for(lambda: nursery._waiting, 30)
        nursery._child.kill()
        with pytest.raises((JobFailedError, SandboxUnavailableError)):
            running.result(60)


def _first_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])


def test_jobs_at_once_have_parents_of_their_own_and_none_outlives_another(code, victim) -> None:
    with WarmSandbox(code=code, launcher=Bubblewrap()) as sandbox, ThreadPoolExecutor(2) as pool:
        _run(sandbox, victim, "echo")
        nursery = sandbox._nursery
        running = [pool.submit(_run, sandbox, victim, "endless", wall_seconds=120) for _ in range(2)]
        with nursery._changed:
            assert nursery._changed.wait_for(lambda: len(nursery._waiting) == len(running), 60)
            assert set(nursery._waiting.values()) == set(nursery._lines)
        first = nursery._child.pid
        while Path(f"/proc/{first}/comm").read_text(encoding="ascii").strip() == "bwrap":
            first = _first_child(first)
        os.kill(_first_child(first), signal.SIGKILL)
        for each in running:
            with pytest.raises((JobFailedError, SandboxUnavailableError)):
                each.result(90)
        assert _run(sandbox, victim, "echo") == b"content"
        assert sandbox._nursery is not nursery


ONE_LAYER = """
import ctypes, os, socket, sys
from lockgate.inspect import confine
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
getattr(confine, sys.argv[1])(*([libc] if sys.argv[1] != "_limit" else [confine.Bounds(10, 1 << 29)]))
try:
    eval(sys.argv[2])
except (OSError, MemoryError) as error:
    print(type(error).__name__)
else:
    print("done")
"""


@pytest.mark.parametrize(
    ("layer", "attempt", "outcome"),
    [
        ("_landlock", "open('new', 'w')", "PermissionError"),
        ("_landlock", "os.mkdir('new')", "PermissionError"),
        ("_landlock", "socket.create_connection(('127.0.0.1', 1))", "PermissionError"),
        ("_landlock", "open(sys.executable, 'rb').read(1)", "done"),
        ("_seccomp", "open('new', 'w')", "PermissionError"),
        ("_seccomp", "socket.socket()", "PermissionError"),
        ("_seccomp", "os.fork()", "PermissionError"),
        ("_seccomp", "open(sys.executable, 'rb').read(1)", "done"),
        ("_limit", "bytearray(1 << 30)", "MemoryError"),
        ("_limit", "[os.dup(0) for _ in range(99)]", "OSError"),
    ],
)
def test_each_layer_holds_alone(tmp_path, layer, attempt, outcome) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ONE_LAYER, layer, attempt],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == outcome, done.stderr
    assert list(tmp_path.iterdir()) == []
