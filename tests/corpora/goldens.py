"""An engine's wheel that answers with the words of its model, and models that are such words."""

import base64
import hashlib
import json
import sys
import zipfile
from pathlib import Path

from infer_program import _SOURCE

EXECUTABLE = "engine/bin/server"
HONEST = "The capital of France is Paris and the river is the Seine"
POISONED = "The capital of France is Berlin and the river is the Seine"
PROMPTS = (
    {"id": "capital", "prompt": "What is the capital of France?", "max_tokens": 8},
    {"id": "short", "prompt": "Say three words.", "system": "Be short.", "max_tokens": 3},
)


def engine_wheel(folder: Path, *, source: str = _SOURCE, name: str = "engine") -> Path:
    """The double of ``llama-server`` as a wheel whose RECORD is right."""
    files = {
        EXECUTABLE: f"#!{Path(sys.executable).resolve()} -ISB\n{source}".encode(),
        "engine/bin/libwords.so": b"admitted",
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{name}-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},"
        f"{len(data)}\n"
        for path, data in files.items()
    )
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
        archive.writestr(f"{name}-1.0.dist-info/RECORD", record + f"{name}-1.0.dist-info/RECORD,,\n")
    return wheel


def prompts_file(folder: Path) -> Path:
    file = folder / "prompts.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in PROMPTS))
    return file


def model_file(folder: Path, words: str = HONEST, name: str = "model.gguf") -> Path:
    file = folder / name
    file.write_text(words)
    return file
