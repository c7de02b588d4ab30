"""A source archive, and the tiny build backend that it needs (PEP 517)."""

from types import SimpleNamespace

from corpora.simpleindex import build_sdist
from corpora.wheels import build_wheel

BACKEND = """
import os, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    info = "made-1.0.dist-info"
    files = {
        "made.py": open("made.py", "rb").read(),
        f"{info}/METADATA": open("PKG-INFO", "rb").read(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = "".join(f"{name},,\\n" for name in [*files, f"{info}/RECORD"])
    name = "made-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for path, data in {**files, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(path, data)
    return name
"""
BUILDER = build_wheel("tiny-builder", "1.0", requires=("leaf",), source=BACKEND)
TABLE = b'[build-system]\nrequires = ["tiny-builder>=1"]\nbuild-backend = "tiny_builder"\n'
_NAME, _DATA = build_sdist("made", "1.0", {"pyproject.toml": TABLE, "made.py": b""})
MADE = SimpleNamespace(filename=_NAME, data=_DATA)
