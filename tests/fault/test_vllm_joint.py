"""vLLM by the configuration: admitted wheels installed by pip, an admitted model, asked through the engine.

The program is the one of `infer_folders`, packed into a wheel as vLLM's own is: what is tried is the joint
from the channel's signatures, over pip and the digests of an environment, to an engine that answers.
"""

import asyncio
import base64
import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from corpora.homes import HighSide
from infer_folders import WORDS, install
from lockgate.app.gate.gate import execute
from lockgate.app.high.engine import install_engine
from lockgate.app.high.engines import engines_of
from lockgate.app.high.signed_models import SignedModels
from lockgate.app.settings import Side
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.infer import EngineRequest, Message
from lockgate.infer.engines.ports import Enforcement
from lockgate.infer.errors import EngineFilesError
from lockgate.store import FileBlobs

WHEEL = "vllm-1.0-py3-none-any.whl"


def packed(folder: Path) -> bytes:
    """Return the program of the tests as a wheel of the project vllm."""
    installation = install(folder, "vllm")
    files = {path: (installation.root / path).read_bytes() for path in installation.files}
    files["vllm-1.0.dist-info/METADATA"] = b"Metadata-Version: 2.1\nName: vllm\nVersion: 1.0\n"
    files["vllm-1.0.dist-info/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    lines = []
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(data)}\n")
    files["vllm-1.0.dist-info/RECORD"] = "".join([*lines, "vllm-1.0.dist-info/RECORD,,\n"]).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path), data)
    return buffer.getvalue()


def artifact(
    high: HighSide, kind: Kind, purl: str, name: str, contents: dict[str, tuple[Role, bytes]]
) -> Artifact:
    quarantine = FileBlobs(high.side.home.quarantine)
    files = tuple(
        ArtifactFile(path=path, role=role, size=len(data), sha256=quarantine.put_bytes(data))
        for path, (role, data) in contents.items()
    )
    attributes = {"task": "chat"} if kind is Kind.MODEL else {}
    version = purl.rpartition("@")[2]
    return Artifact(purl=purl, kind=kind, name=name, version=version, files=files, attributes=attributes)


@pytest.fixture
def side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Side:
    """Return a side whose channel has the wheel and a model, the engine installed by pip from a folder."""
    monkeypatch.setenv("LOCKGATE_ENGINE__KIND", "vllm")
    monkeypatch.setenv("LOCKGATE_ENGINE__PROJECT", "vllm")
    high = HighSide.new(tmp_path / "site")
    wheel = packed(tmp_path / "program")
    engine = artifact(
        high, Kind.PYTHON, "pkg:pypi/vllm@1.0", "vllm", {f"wheels/{WHEEL}": (Role.DISTRIBUTION, wheel)}
    )
    contents = {
        "models/org/small/config.json": (Role.OTHER, b"{}"),
        "models/org/small/model.safetensors": (Role.WEIGHTS, WORDS),
    }
    model = artifact(high, Kind.MODEL, f"pkg:huggingface/org/small@{'a' * 40}", "org/small", contents)
    high.arrive_with(1, engine, model)
    execute(high.side, high.ask_to_publish(1))
    index = tmp_path / "simple" / "vllm"
    index.mkdir(parents=True)
    (index / WHEEL).write_bytes(wheel)
    (index / "index.html").write_text(f'<a href="{WHEEL}">{WHEEL}</a>')
    install_engine(high.side, index.parent.as_uri())
    return high.side


def test_the_configured_engine_answers_from_what_was_admitted(side: Side) -> None:
    async def run() -> None:
        (engine,) = engines_of(side, SignedModels(side)).values()
        await engine.start()
        try:
            loaded = engine.loaded
            assert loaded is not None
            assert loaded.engine == "pkg:pypi/vllm@1.0"
            assert loaded.sha256 == hashlib.sha256(WORDS).hexdigest()
            assert loaded.engine_enforcement is Enforcement.PRIVATE
            pieces = [piece.text async for piece in engine.chat(EngineRequest([Message("user", "Hi")], 10))]
            assert "".join(pieces) == WORDS.decode()
        finally:
            await engine.stop()

    asyncio.run(run())


def test_an_environment_that_somebody_altered_starts_nothing(side: Side) -> None:
    async def run() -> None:
        (engine,) = engines_of(side, SignedModels(side)).values()
        (program,) = side.home.runtime.glob("vllm-*/vllm/__init__.py")
        program.write_text("import os\n")
        with pytest.raises(EngineFilesError):
            await engine.start()
        assert engine.loaded is None

    asyncio.run(run())
