"""What a manifest may say, and how a mistake is named."""

from pathlib import Path

import pytest

from lockgate.collect import Limits, parse_manifest
from lockgate.collect.errors import (
    CollectLimitError,
    DuplicateNameError,
    ManifestError,
    SourceMissingError,
)
from lockgate.collect.manifest import load_manifest
from lockgate.core.artifact import Role

MODEL = b"""
[[model]]
name = "org/small"
licence = "MIT"
format = "gguf"
task = "chat"
[[model.files]]
from_wheel = "weights==1.0"
member = "weights/small.gguf"
path = "small.gguf"
"""


def test_a_full_manifest_is_read() -> None:
    manifest = parse_manifest(
        b'[[python]]\nrequirements = ["httpx>=0.28; python_version > \'3.8\'", "numpy"]\nlabel = "public"\n'
        b'[[documents]]\ncollection = "handbook"\nfolder = "handbook"\n'
        b'[[file]]\nname = "notes"\nurl = "notes.bin"\nsha256 = "' + b"a" * 64 + b'"\n' + MODEL
    )
    assert manifest.python[0].label == "public"
    assert manifest.python[0].python is None
    assert manifest.documents[0].include == ("**/*.md", "**/*.html", "**/*.pdf")
    assert manifest.model[0].files[0].role is Role.WEIGHTS
    assert manifest.file[0].label == "internal"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"[[python]]\nrequirement = ['x']", "requirement"),
        (b"[[python]]\nrequirements = []", "requirements"),
        (b"[[python]]\nrequirements = ['--index-url https://x.invalid']", "PEP 508"),
        (b"[[python]]\nrequirements = ['ok\\n--pre']".replace(b"'", b'"'), "PEP 508"),
        (b"[[python]]\nrequirements = ['x']\nplatforms = ['../up']", "platforms"),
        (b"[[python]]\nrequirements = ['x']\npython = '2.7'", "python"),
        (b"[lane]\nname = 'x'", "lane"),
        (b"python = 3", "python"),
        (b"[[python", "TOML"),
        (b"\xff\xfe", "TOML"),
        (b"", "asks for nothing"),
        (MODEL.replace(b"==1.0", b">=1.0"), "pin"),
        (MODEL.replace(b"==1.0", b"==1.*"), "pin"),
        (MODEL.replace(b'member = "weights/small.gguf"\n', b""), "from_wheel and member"),
        (MODEL + b'url = "x.gguf"\n', "from_wheel and member"),
        (MODEL.replace(b'"small.gguf"\n', b'"../small.gguf"\n'), "not allowed"),
        (MODEL.replace(b"org/small", b"small"), "name"),
        (MODEL.replace(b'"gguf"', b'"pickle"'), "format"),
        (b"[[file]]\nname='n'\nurl='ftp://x.invalid/a'\nsha256='" + b"a" * 64 + b"'", "ftp"),
        (b"[[file]]\nname='n'\nurl='https://u:p@x.invalid/a'\nsha256='" + b"a" * 64 + b"'", "user"),
        (b"[[file]]\nname='n'\nurl='a'\nsha256='A'", "sha256"),
    ],
)
def test_a_mistake_is_named(text: bytes, named: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, "m.toml")
    assert named in caught.value.what
    assert caught.value.what.startswith("m.toml")
    assert "p@x" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        MODEL + MODEL,
        b"[[documents]]\ncollection='a'\nfolder='x'\n[[documents]]\ncollection='a'\nfolder='y'",
        b"[[file]]\nname='n'\nurl='a'\nsha256='%b'\n" % (b"a" * 64) * 2,
    ],
)
def test_a_name_stands_once(text: bytes) -> None:
    with pytest.raises(DuplicateNameError):
        parse_manifest(text)


def test_a_manifest_file_is_bounded_and_must_exist(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    with pytest.raises(SourceMissingError):
        load_manifest(path, Limits())
    path.write_bytes(b"[[python]]\nrequirements = ['x']")
    loaded = load_manifest(path, Limits())
    assert loaded.folder == tmp_path.resolve()
    with pytest.raises(CollectLimitError) as caught:
        load_manifest(path, Limits(manifest_bytes=10))
    assert caught.value.where["limit"] == "manifest_bytes"
