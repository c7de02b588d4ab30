"""The supervised program: verified before it runs, fed sealed memory, restarted, ended for sure."""

import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from infer_doubles import NOW, proc, until
from infer_program import EXECUTABLE, install
from lockgate.core.errors import LockgateError
from lockgate.infer import (
    EngineLimits,
    EngineRequest,
    EngineState,
    LlamaConfig,
    LlamaEngine,
    Message,
    ModelFile,
)
from lockgate.infer.engines.log import EngineLog
from lockgate.infer.engines.ports import Enforcement
from lockgate.infer.engines.process import Launch, flags_of
from lockgate.infer.engines.supervised import LOOPBACK, free_port, taken
from lockgate.infer.errors import (
    EngineFilesError,
    EngineProcessorError,
    EngineStartError,
    EngineUnavailableError,
    ModelMismatchError,
)
from lockgate.infer.limits import COPY_LIMIT

WORDS = b"Hello there ."


class Bench:
    """An engine over the program of these tests, with its files at hand."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.weights = folder / "weights.gguf"
        self.weights.write_bytes(WORDS)
        self.installation = install(folder / "site")
        self.run = folder / "run"
        self.run.mkdir()
        self.opened = 0
        settings = {"probe_seconds": 0.05, "backoff_seconds": 0.01, "start_seconds": 180.0, **config}
        self.engine = LlamaEngine(
            model=ModelFile("weights.gguf", hashlib.sha256(WORDS).hexdigest(), len(WORDS)),
            open_model=self._open,
            installation=self.installation,
            config=LlamaConfig(self.run, **settings),
            limits=EngineLimits(),
            clock=lambda: NOW,
        )

    def _open(self) -> Any:
        self.opened += 1
        return self.weights.open("rb")

    async def said(self) -> str:
        ask = EngineRequest([Message("user", "Hi")], 10)
        return "".join([piece.text async for piece in self.engine.chat(ask)])

    async def state(self, state: EngineState) -> None:
        async with asyncio.timeout(120):
            while (await self.engine.health()).state is not state:  # noqa: ASYNC110  # no event says so
                await asyncio.sleep(0.01)


def _started(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bench.run / "started.json").read_text())
    return found


def test_the_engine_reads_sealed_memory_and_sees_a_bare_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKGATE_TEST_SECRET", "do not tell")

    async def run() -> None:
        bench = Bench(tmp_path)
        await bench.engine.start()
        await bench.engine.start()  # a second start changes nothing
        loaded = bench.engine.loaded
        assert loaded is not None
        assert loaded.enforcement is Enforcement.SEALED
        assert loaded.sha256 == hashlib.sha256(WORDS).hexdigest()
        assert loaded.engine_sha256 == bench.installation.files[EXECUTABLE]
        bench.weights.write_bytes(b"Goodbye all .")
        assert await bench.said() == "Hello there ."
        started = _started(bench)
        argv = started["argv"]
        assert argv[argv.index("--model") + 1].startswith("/proc/self/fd/")
        assert argv[argv.index("--host") + 1] == "127.0.0.1"
        assert "--no-webui" in argv
        assert "--offline" in argv
        assert "--cache-ram" not in argv  # this program does not have it
        assert "LOCKGATE_TEST_SECRET" not in started["env"]
        assert started["env"]["HF_HUB_OFFLINE"] == "1"
        status = proc(bench.engine.pid, "status")
        assert "NoNewPrivs:\t1" in status
        limits = proc(bench.engine.pid, "limits")
        assert "Max core file size        0" in limits
        await bench.engine.stop()

    asyncio.run(run())


def test_no_secret_is_on_the_command_line(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path)
        await bench.engine.start()
        argv = _started(bench)["argv"]
        key_file = argv[argv.index("--api-key-file") + 1]
        secret = proc(bench.engine.pid, key_file.removeprefix("/proc/self/")).strip()
        assert len(secret) == 64
        assert secret not in proc(bench.engine.pid, "cmdline")
        assert secret not in proc(bench.engine.pid, "environ")
        await bench.engine.stop()

    asyncio.run(run())


def test_over_the_bound_the_load_is_hashed_and_not_enforced(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path, seal_limit=1)
        await bench.engine.start()
        assert bench.engine.loaded is not None
        assert bench.engine.loaded.enforcement is Enforcement.HASHED
        assert await bench.said() == "Hello there ."
        os.kill(bench.engine.pid or 0, signal.SIGKILL)
        await until(lambda: bench.opened == 2)  # hashed anew before it runs again
        await bench.engine.stop()

    asyncio.run(run())


def _swap_model(bench: Bench) -> None:
    bench.weights.write_bytes(b"Hello THERE .")


def _swap_program(bench: Bench) -> None:
    with bench.installation.program.open("a") as stream:
        stream.write("# one more line\n")


def _add_library(bench: Bench) -> None:
    (bench.installation.program.parent / "libggml-extra.so").write_bytes(b"x")


@pytest.mark.parametrize(
    ("tamper", "error"),
    [(_swap_model, ModelMismatchError), (_swap_program, EngineFilesError), (_add_library, EngineFilesError)],
)
def test_anything_swapped_is_refused_and_nothing_starts(
    tamper: Callable[[Bench], None], error: type[LockgateError], tmp_path: Path
) -> None:
    async def run() -> None:
        bench = Bench(tmp_path)
        tamper(bench)
        with pytest.raises(error):
            await bench.engine.start()
        assert not (bench.run / "started.json").exists()
        assert bench.engine.loaded is None
        assert bench.engine.pid is None
        assert (await bench.engine.health()).state is EngineState.FAILED
        with pytest.raises(EngineUnavailableError):
            await bench.said()
        await bench.engine.stop()

    asyncio.run(run())


def test_a_killed_engine_is_started_again_from_the_same_sealed_memory(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path)
        await bench.engine.start()
        first = bench.engine.pid
        os.kill(first or 0, signal.SIGKILL)
        await until(lambda: bench.engine.pid not in {None, first})
        await bench.state(EngineState.READY)
        assert await bench.said() == "Hello there ."
        assert (await bench.engine.health()).restarts == 1
        assert bench.opened == 1
        await bench.engine.stop()

    asyncio.run(run())


def test_an_engine_swapped_before_a_restart_does_not_run_again(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path)
        await bench.engine.start()
        _swap_program(bench)
        os.kill(bench.engine.pid or 0, signal.SIGKILL)
        await bench.state(EngineState.FAILED)
        assert "LG-2a02" in (await bench.engine.health()).detail
        with pytest.raises(EngineUnavailableError):
            await bench.said()
        await bench.engine.stop()

    asyncio.run(run())


def test_an_engine_that_falls_silent_is_started_again(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path, probe_failures=2)
        await bench.engine.start()
        first = bench.engine.pid
        (bench.run / "unwell").touch()
        await until(lambda: bench.engine.pid != first)
        (bench.run / "unwell").unlink()
        await bench.state(EngineState.READY)
        assert await bench.said() == "Hello there ."
        await bench.engine.stop()

    asyncio.run(run())


def test_an_engine_that_ends_at_once_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path)
        (bench.run / "exit-at-once").touch()
        with pytest.raises(EngineStartError, match="status 3") as caught:
            await bench.engine.start()
        assert "load the model" in caught.value.where["end"]
        assert "\x1b" not in caught.value.where["end"]
        assert b"load the model" in (bench.run / "engine.log").read_bytes()

    asyncio.run(run())


def test_an_engine_for_another_processor_is_an_error_that_says_so(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path)
        (bench.run / "unknown-instruction").touch()
        with pytest.raises(EngineProcessorError, match="another processor") as caught:
            await bench.engine.start()
        assert caught.value.code == "LG-5a0a"
        assert bench.engine.pid is None

    asyncio.run(run())


def test_an_engine_that_never_serves_is_given_up(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path, start_seconds=1.0)
        (bench.run / "unwell").touch()
        with pytest.raises(EngineStartError, match="did not serve"):
            await bench.engine.start()
        assert bench.engine.pid is None

    asyncio.run(run())


class Ports:
    """Gives ports that somebody else has, then free ones; `given` counts."""

    def __init__(self, lost: int) -> None:
        self.lost, self.given = lost, 0
        self.held = [socket.socket() for _ in range(lost)]
        for each in self.held:
            each.bind((LOOPBACK, 0))

    def __call__(self) -> int:
        self.given += 1
        port: int = self.held[self.given - 1].getsockname()[1] if self.given <= self.lost else free_port()
        return port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self.held:
            each.close()


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_an_engine_whose_port_somebody_else_takes_gets_another_and_not_for_ever(
    lost: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        bench = Bench(tmp_path)
        with Ports(lost) as ports:
            monkeypatch.setattr("lockgate.infer.engines.llama.free_port", ports)
            if lost == 3:
                with pytest.raises(EngineStartError, match="ended with status 1"):
                    await bench.engine.start()
                assert bench.engine.pid is None
            else:
                await bench.engine.start()
                assert await bench.said() == "Hello there ."
                assert bench.engine.restarts == 0
                await bench.engine.stop()
        assert ports.given == min(lost + 1, 3)

    asyncio.run(run())


def test_an_engine_that_ends_for_a_reason_of_its_own_is_not_tried_at_another_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        bench = Bench(tmp_path)
        (bench.run / "exit-at-once").touch()
        with Ports(0) as ports:
            monkeypatch.setattr("lockgate.infer.engines.llama.free_port", ports)
            with pytest.raises(EngineStartError, match="ended with status 3"):
                await bench.engine.start()
        assert ports.given == 1

    asyncio.run(run())


def test_a_port_is_taken_by_who_listens_and_not_by_what_ended() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port: int = server.getsockname()[1]
        assert taken(port)
        with socket.create_connection((LOOPBACK, port)):
            server.accept()[0].close()  # who closes first keeps the port for a while: TIME_WAIT
    assert not taken(port)


def test_an_engine_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path, stop_seconds=0.2)
        (bench.run / "ignore-term").touch()
        await bench.engine.start()
        pid = bench.engine.pid
        await bench.engine.stop()
        assert proc(pid, "stat") == ""

    asyncio.run(run())


def test_stopping_while_it_waits_to_restart_is_quick_and_final(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path, backoff_seconds=600.0, backoff_limit=600.0)
        await bench.engine.start()
        os.kill(bench.engine.pid or 0, signal.SIGKILL)
        await until(lambda: bench.engine.pid is None)
        async with asyncio.timeout(120):
            await bench.engine.stop()
        assert (await bench.engine.health()).state is EngineState.STOPPED

    asyncio.run(run())


def test_an_engine_does_not_outlive_a_killed_gateway(tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_infer_supervision import Bench
async def main():
    bench = Bench(Path({str(tmp_path)!r}))
    await bench.engine.start()
    print(bench.engine.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        engine = int(parent.stdout.readline())
        assert Path(f"/proc/{engine}").exists()
        parent.kill()
        parent.wait()
    asyncio.run(until(lambda: _gone(engine)))


def _gone(pid: int) -> bool:
    """Tell whether a process is gone (or dead and not yet collected by its new parent)."""
    stat = proc(pid, "stat")
    return not stat or ") Z " in stat


def test_the_launcher_refuses_when_its_parent_is_gone(tmp_path: Path) -> None:
    with Launch(install(tmp_path / "site"), 0) as start:
        command = [part if part != str(os.getpid()) else "1" for part in start.command]
        done = subprocess.run(command, capture_output=True, check=False, pass_fds=start.descriptors)
    assert done.returncode != 0
    assert b"parent" in done.stderr


def test_help_that_never_ends_is_given_up(tmp_path: Path) -> None:
    installation = install(tmp_path / "site")
    (tmp_path / "hang-help").touch()
    with Launch(installation, COPY_LIMIT) as start, pytest.raises(EngineStartError):
        flags_of(start, {"HOME": str(tmp_path)}, 0.3)
    (tmp_path / "hang-help").unlink()
    with Launch(installation, COPY_LIMIT) as start:
        assert "--offline" in flags_of(start, {"HOME": str(tmp_path)}, 180)


def test_log_is_put_aside_when_it_is_full(tmp_path: Path) -> None:
    async def run() -> None:
        log = EngineLog(tmp_path / "engine.log", limit=10)
        stream = asyncio.StreamReader()
        log.follow(stream)
        stream.feed_data(b"first line\n")
        await until((tmp_path / "engine.log.1").exists)
        stream.feed_data(b"second\n")
        stream.feed_eof()
        await log.drained()
        assert (tmp_path / "engine.log").read_bytes() == b"second\n"
        assert (tmp_path / "engine.log.1").read_bytes() == b"first line\n"
        assert log.end() == "first line second"

    asyncio.run(run())


def test_an_adapter_lies_in_sealed_memory_beside_its_base(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path)
        own = b"Own words,"
        file = tmp_path / "adapter.gguf"
        file.write_bytes(own)

        def engine() -> LlamaEngine:
            return LlamaEngine(
                model=ModelFile("weights.gguf", hashlib.sha256(WORDS).hexdigest(), len(WORDS)),
                open_model=lambda: bench.weights.open("rb"),
                adapter=ModelFile("adapter.gguf", hashlib.sha256(own).hexdigest(), len(own)),
                open_adapter=lambda: file.open("rb"),
                installation=bench.installation,
                config=LlamaConfig(bench.run, start_seconds=180.0),
                limits=EngineLimits(),
                clock=lambda: NOW,
            )

        bench.engine = engine()
        await bench.engine.start()
        loaded = bench.engine.loaded
        assert loaded is not None
        assert loaded.sha256 == hashlib.sha256(own).hexdigest()
        assert loaded.enforcement is Enforcement.SEALED
        file.write_bytes(b"Other text")
        assert await bench.said() == "Own words, Hello there ."
        await bench.engine.stop()
        with pytest.raises(ModelMismatchError):
            await engine().start()
        file.write_bytes(own)
        _swap_model(bench)
        with pytest.raises(ModelMismatchError):
            await engine().start()

    asyncio.run(run())
