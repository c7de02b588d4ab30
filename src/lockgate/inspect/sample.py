"""A small wheel of our own that the warm parent inspects once before it forks.

What a first inspection makes (scanners, tables, caches, code that the interpreter specialises) is there in
every child then, which would make it anew at ten times the cost of a small file. The parent still reads
nothing that somebody else wrote: this text is part of the program.
"""

import base64
import hashlib
import io
import json
import zipfile

import msgspec

from lockgate.core.artifact import Kind
from lockgate.inspect.limits import Limits
from lockgate.inspect.worker import InspectArgs, inspect_entry

NAME = "sample-1-py3-none-any.whl"
_TIMES = 8
"""How often it is inspected: CPython 3.11 specialises code that has begun eight times (``co_warmup``)."""
_MEMBERS = {
    "sample/__init__.py": "",
    "sample/work.py": "import os\n\n\ndef work(path):\n    return os.path.join(path, 'é')\n",
    "sample/settings.json": json.dumps({"name": "sample", "values": [1, 2, 3]}),
    "sample/page.html": "<!doctype html><html><body><p>A page.</p></body></html>",
    "sample/README.md": "# Sample\n\nA text with a [link](page.html).\n",
    "sample/settings.toml": "[sample]\nname = 1\n",
    "sample-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: sample\nVersion: 1\nRequires-Dist: other\n",
    "sample-1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "sample-1.dist-info/entry_points.txt": "[console_scripts]\nsample = sample.work:work\n",
}
_WHEN = (1980, 1, 1, 0, 0, 0)


def inspect() -> None:
    """Inspect the sample as a file that came in is inspected, and forget what was found."""
    args = msgspec.json.encode(InspectArgs(name=NAME, kind=Kind.PYTHON, limits=Limits()))
    for _ in range(_TIMES):
        inspect_entry(memoryview(wheel()), args)


def wheel() -> bytes:
    """Return the wheel: source, settings, a document and a page, with a RECORD that names them."""
    members = {name: text.encode() for name, text in _MEMBERS.items()}
    rows = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in members.items()]
    members["sample-1.dist-info/RECORD"] = "\n".join([*rows, "sample-1.dist-info/RECORD,,", ""]).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _WHEN), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode("ascii").rstrip("=")
