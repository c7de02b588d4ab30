"""vLLM, Ollama and TGI as supervised programs: what they are given, and what they are not."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infer_doubles import NOW, proc, until
from infer_folders import WORDS, Model, install
from lockgate.infer import (
    EngineLimits,
    EngineRequest,
    EngineState,
    Message,
    ModelFile,
    OllamaConfig,
    OllamaEngine,
    TgiConfig,
    TgiEngine,
    VllmConfig,
    VllmEngine,
)
from lockgate.infer.engines.ports import Enforcement
from lockgate.infer.engines.process import EngineProcess
from lockgate.infer.errors import (
    EngineFilesError,
    EngineOptionError,
    EngineStartError,
    EngineUnavailableError,
    ModelMismatchError,
    RemoteModelError,
)

KINDS = ("vllm", "ollama", "tgi")
SWITCHES = (
    "DO_NOT_TRACK",
    "HF_DATASETS_OFFLINE",
    "HF_HUB_OFFLINE",
    "HF_HUB_DISABLE_TELEMETRY",
    "OLLAMA_NO_CLOUD",
    "TRANSFORMERS_OFFLINE",
    "VLLM_DO_NOT_TRACK",
    "VLLM_NO_USAGE_STATS",
)
Engines = VllmEngine | OllamaEngine | TgiEngine


class Bench:
    """An engine of one kind over the program of these tests, with its files at hand."""

    def __init__(self, kind: str, folder: Path, **config: Any) -> None:
        self.model = Model(folder / "blobs", kind)
        self.installation = install(folder / "site", kind)
        self.run = folder / "run"
        self.run.mkdir()
        settings = {"probe_seconds": 0.05, "backoff_seconds": 0.01, "start_seconds": 180.0, **config}
        parts: dict[str, Any] = {
            "model": self.model.weights,
            "files": tuple(self.model.files.values()),
            "open_file": lambda digest: (self.model.folder / digest).open("rb"),
            "installation": self.installation,
            "limits": EngineLimits(),
            "clock": lambda: NOW,
        }
        self.engine: Engines
        if kind == "vllm":
            self.engine = VllmEngine(**parts, config=VllmConfig(self.run, **settings))
        elif kind == "tgi":
            self.engine = TgiEngine(**parts, config=TgiConfig(self.run, **settings))
        else:
            manifest = self.model.files["manifest"]
            self.engine = OllamaEngine(**parts, manifest=manifest, config=OllamaConfig(self.run, **settings))

    async def said(self) -> str:
        ask = EngineRequest([Message("user", "Hi")], 10)
        return "".join([piece.text async for piece in self.engine.chat(ask)])

    def started(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run / "started.json").read_text())
        return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_a_private_copy_that_the_program_cannot_change(kind: str, tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(kind, tmp_path)
        await bench.engine.start()
        loaded = bench.engine.loaded
        assert loaded is not None
        assert loaded.enforcement is Enforcement.PRIVATE
        assert loaded.engine_enforcement is Enforcement.PRIVATE
        assert loaded.sha256 == bench.model.weights.sha256
        assert await bench.said() == "Hello there ."
        started = bench.started()
        assert not started["writable"]
        assert started["fds"] <= 8, "the program holds descriptors of ours"
        await bench.engine.stop()
        assert proc(bench.engine.pid, "stat") == ""

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_every_switch_against_telemetry_is_set_and_nothing_of_ours_is_seen(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKGATE_TEST_SECRET", "do not tell")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")

    async def run() -> None:
        bench = Bench(kind, tmp_path)
        await bench.engine.start()
        seen = bench.started()["env"]
        assert [name for name in SWITCHES if seen.get(name) != "1"] == []
        assert not {"LOCKGATE_TEST_SECRET", "HTTPS_PROXY"} & seen.keys()
        if kind == "tgi":
            argv = bench.started()["argv"]
            assert argv[argv.index("--usage-stats") + 1] == "off"
        command = proc(bench.engine.pid, "cmdline")
        assert seen.get("API_KEY", "no secret") not in command
        await bench.engine.stop()

    asyncio.run(run())


def test_vllm_has_a_network_without_a_way_out_and_a_socket_that_others_do_not_reach(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench("vllm", tmp_path)
        await bench.engine.start()
        started = bench.started()
        assert started["network"] != os.readlink("/proc/self/ns/net")  # noqa: PTH115  # no file
        assert started["routes"] <= 0
        assert bench.run.stat().st_mode & 0o077 == 0
        assert "--trust-remote-code" not in started["argv"]
        assert str(bench.installation.root) in started["path"]
        assert not [each for each in started["path"] if "site-packages" in each]
        await bench.engine.stop()

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_the_model_swapped_before_its_start_is_refused(kind: str, tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(kind, tmp_path)
        bench.model.path().write_bytes(WORDS.upper())
        with pytest.raises(ModelMismatchError):
            await bench.engine.start()
        assert not (bench.run / "started.json").exists()
        assert bench.engine.loaded is None

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_the_model_swapped_after_it_was_hashed_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        bench = Bench(kind, tmp_path)
        start = EngineProcess.start

        async def late(*arguments: Any, **named: Any) -> EngineProcess:
            bench.model.path().write_bytes(WORDS.upper())
            return await start(*arguments, **named)

        monkeypatch.setattr(EngineProcess, "start", late)
        with pytest.raises(EngineFilesError):
            await bench.engine.start()
        assert not (bench.run / "started.json").exists()

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_beside_the_program_is_refused(kind: str, tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(kind, tmp_path)
        (bench.installation.program.parent / "sitecustomize.py").write_text("import os")
        with pytest.raises(EngineFilesError):
            await bench.engine.start()
        assert not (bench.run / "started.json").exists()

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_over_the_bound_the_load_is_hashed_and_not_enforced(kind: str, tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(kind, tmp_path, seal_limit=1)
        await bench.engine.start()
        assert bench.engine.loaded is not None
        assert bench.engine.loaded.enforcement is Enforcement.HASHED
        assert await bench.said() == "Hello there ."
        await bench.engine.stop()

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_program_is_hashed_and_started_again(kind: str, tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(kind, tmp_path)
        await bench.engine.start()
        first = bench.engine.pid
        os.kill(first or 0, signal.SIGKILL)
        await until(lambda: bench.engine.restarts == 1 and bench.engine.pid not in {None, first})
        async with asyncio.timeout(120):
            while (await bench.engine.health()).state is not EngineState.READY:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await bench.said() == "Hello there ."
        bench.model.path().write_bytes(WORDS.upper())
        os.kill(bench.engine.pid or 0, signal.SIGKILL)
        await until(lambda: bench.engine.restarts >= 2)
        async with asyncio.timeout(120):
            while (await bench.engine.health()).state is not EngineState.FAILED:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        with pytest.raises(EngineUnavailableError):
            await bench.said()
        await bench.engine.stop()

    asyncio.run(run())


def _elsewhere(bench: Bench) -> None:
    (bench.run / "elsewhere").touch()


def _empty(bench: Bench) -> None:
    (bench.run / "empty").touch()


@pytest.mark.parametrize(
    ("kind", "misled", "error"),
    [
        ("ollama", _elsewhere, RemoteModelError),
        ("ollama", _empty, EngineStartError),
        ("tgi", _empty, EngineStartError),
    ],
)
def test_a_server_that_has_another_model_gets_no_traffic(
    kind: str, misled: Callable[[Bench], None], error: type[Exception], tmp_path: Path
) -> None:
    async def run() -> None:
        bench = Bench(kind, tmp_path)
        misled(bench)
        with pytest.raises(error):
            await bench.engine.start()
        assert bench.engine.pid is None
        with pytest.raises(EngineUnavailableError):
            await bench.said()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("--trust-remote-code", ""),
        ("--host", "0.0.0.0"),  # noqa: S104  # what must be refused
        ("--dtype", "--trust-remote-code"),
        ("--mod", "x"),
        ("--middleware", "evil"),
    ],
)
def test_no_option_of_a_site_opens_what_is_closed(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(EngineOptionError):
        VllmConfig(tmp_path, options={name: value})


def test_weights_that_are_no_file_of_the_model_are_refused(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench("vllm", tmp_path)
        other = ModelFile("models/org/small/other", "0" * 64, 1)
        engine = VllmEngine(
            model=other,
            files=tuple(bench.model.files.values()),
            open_file=lambda digest: (bench.model.folder / digest).open("rb"),
            installation=bench.installation,
            config=VllmConfig(bench.run),
            limits=EngineLimits(),
            clock=lambda: NOW,
        )
        with pytest.raises(ModelMismatchError):
            await engine.start()

    asyncio.run(run())


def test_an_adapter_is_served_over_the_base_that_it_was_made_for(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench("vllm", tmp_path)
        base, adapter = bench.model.weights, bench.model.add_adapter(b"Own words .")

        def engine() -> VllmEngine:
            return VllmEngine(
                model=adapter,
                base=base,
                files=tuple(bench.model.files.values()),
                open_file=lambda digest: (bench.model.folder / digest).open("rb"),
                installation=bench.installation,
                config=VllmConfig(bench.run, start_seconds=180.0),
                limits=EngineLimits(),
                clock=lambda: NOW,
            )

        bench.engine = engine()
        await bench.engine.start()
        assert bench.engine.loaded is not None
        assert bench.engine.loaded.sha256 == adapter.sha256
        assert bench.engine.loaded.enforcement is Enforcement.PRIVATE
        assert await bench.said() == "Own words ."
        await bench.engine.stop()
        for file in (base, adapter):
            kept = bench.model.path(file).read_bytes()
            bench.model.path(file).write_bytes(kept.upper())
            with pytest.raises(ModelMismatchError):
                await engine().start()
            bench.model.path(file).write_bytes(kept)

    asyncio.run(run())
