"""What programs and libraries really write is read to its last byte."""

import importlib.util
import io
import json
import os
import py_compile
import random
import sqlite3
import wave
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from corpora.inspection_case import inspected
from corpora.inspection_data import icc
from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors import sqlite
from lockgate.inspect.inspectors.strings import SEARCHED

SEED = 20260


def _whole(data: bytes, name: str, detected: str):
    part = inspected(data, name, "python")
    assert part.detected == detected
    assert part.complete, part.findings
    assert part.covered == part.size == len(data)
    assert [found for found in part.findings if found.severity is not Severity.INFO] == []
    assert part.opaque
    return part


@pytest.mark.parametrize(
    ("page", "encoding", "vacuum"),
    [(512, "UTF-8", 0), (1024, "UTF-16le", 1), (4096, "UTF-16be", 2), (65_536, "UTF-8", 0)],
)
def test_databases_that_were_lived_in_are_read(page: int, encoding: str, vacuum: int) -> None:
    draw = random.Random(SEED)  # noqa: S311  # the same in each run
    file = sqlite3.connect(":memory:")
    for setting in (f"page_size={page}", f"encoding='{encoding}'", f"auto_vacuum={vacuum}"):
        file.execute(f"PRAGMA {setting}")
    file.execute("CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT, raw BLOB)")
    file.execute("CREATE INDEX names ON a (name)")
    file.execute("CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID")
    rows = [("lock " * draw.randrange(400), bytes(draw.randrange(3000))) for _ in range(400)]
    file.executemany("INSERT INTO a (name, raw) VALUES (?, ?)", rows)
    file.executemany("INSERT INTO w VALUES (?, ?)", [(f"{n} {'gate' * n}", n) for n in range(200)])
    file.execute("DELETE FROM a WHERE id % 3 = 0")
    file.execute("UPDATE a SET name = name || 'canal' WHERE id % 7 = 0")
    file.commit()
    _whole(file.serialize(), "a.db", "sqlite")
    file.close()


def test_long_values_are_walked_and_kept_only_as_far_as_texts_are_searched() -> None:
    file = sqlite3.connect(":memory:")
    file.execute("PRAGMA page_size=65536")
    file.execute("CREATE TABLE a (raw BLOB)")
    file.execute("INSERT INTO a VALUES (zeroblob(?))", (SEARCHED + (4 << 20),))
    file.commit()
    data = file.serialize()
    file.close()
    opened = sqlite._File(memoryview(data), 65_536, 65_536, len(data) // 65_536, 1 << 20)
    sqlite._tree(opened, 2, 0)
    assert len(opened.used) == len(data) // 65_536 - 1
    assert SEARCHED <= len(opened.long) <= SEARCHED + 2 * 65_536


@pytest.mark.parametrize("module", [json, importlib.util, wave, random, io, os])
def test_modules_that_python_compiled_are_read(module, tmp_path: Path) -> None:
    out = tmp_path / "a.pyc"
    for mode in (py_compile.PycInvalidationMode.TIMESTAMP, py_compile.PycInvalidationMode.CHECKED_HASH):
        py_compile.compile(module.__file__, cfile=str(out), doraise=True, invalidation_mode=mode)
        _whole(out.read_bytes(), "__pycache__/a.pyc", "pyc")


def test_what_compiled_python_reaches_for_is_told(tmp_path: Path) -> None:
    source, out = tmp_path / "a.py", tmp_path / "a.pyc"
    source.write_text("import subprocess\nimport os\nos.system('true')\n", encoding="utf-8")
    py_compile.compile(str(source), cfile=str(out), doraise=True)
    assert any(use.startswith("subprocess") for use in _whole(out.read_bytes(), "a.pyc", "pyc").uses)


@pytest.mark.parametrize(("width", "channels"), [(1, 1), (2, 2), (4, 2)])
def test_sounds_are_read(width: int, channels: int) -> None:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setparams((channels, width, 8000, 0, "NONE", "not compressed"))
        sound.writeframes(bytes(width * channels * 99))
    _whole(out.getvalue(), "a.wav", "riff")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
@pytest.mark.parametrize(
    ("form", "name", "detected"),
    [
        ("BMP", "a.bmp", "bmp"),
        ("TIFF", "a.tif", "tiff"),
        ("PPM", "a.ppm", "netpbm"),
        ("WEBP", "a.webp", "riff"),
    ],
)
def test_pictures_are_read(mode: str, form: str, name: str, detected: str) -> None:
    draw = random.Random(SEED)  # noqa: S311  # the same in each run
    picture = Image.frombytes("RGB", (37, 21), draw.randbytes(37 * 21 * 3)).convert(mode)
    if form == "PPM" and mode == "P":
        picture = picture.convert("RGB")
    out = io.BytesIO()
    picture.save(out, form)
    _whole(out.getvalue(), name, detected)


@pytest.mark.parametrize("packing", ["raw", "packbits", "tiff_lzw", "tiff_deflate", "jpeg"])
def test_pictures_of_many_pages_are_read(packing: str) -> None:
    pages = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green", "blue")]
    out = io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:], compression=packing)
    _whole(out.getvalue(), "a.tif", "tiff")


def test_of_a_member_of_an_archive_too_it_is_told_which_bytes_nobody_accounts_for() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("deep/a.icc", icc(tail=b"hidden words"))
    part = inspected(out.getvalue(), "a.zip", "python")
    assert not part.complete
    told = [(found.code, found.where, found.why) for found in part.findings]
    size = len(b"hidden words")
    assert told == [("unclaimed", f"deep/a.icc@{len(icc())}", f"{size} bytes that no parser accounts for.")]


def test_a_table_that_begins_as_a_font_does_is_unread_and_no_font_with_a_gap() -> None:
    part = inspected(b"\0\1\0\0\0\0DEFAULT\0\0\1" + bytes(900), "unk.dat", "npm")
    assert [(found.code, found.severity) for found in part.findings] == [("font-malformed", Severity.INFO)]
    assert not part.complete
