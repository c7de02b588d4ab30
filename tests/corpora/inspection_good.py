"""Files that inspection must understand to the last byte."""

import tarfile
import zipfile

from corpora import inspection_content as make
from corpora.inspection_case import WHEEL, good
from lockgate.core.verdict import Outcome

_OPAQUE = Outcome.OPAQUE

COMMON = [
    good("an empty file", "nothing.txt", b"", detected="empty"),
    good("a text", "readme.txt", "Grüße aus dem Vorhafen.\n".encode(), detected="text"),
    good(
        "a text in Latin-1", "LICENSE", "Copyright \xa9 M\xfcller".encode("latin-1"), detected="text-latin1"
    ),
    good(
        "emoji that join with invisible characters",
        "flags.txt",
        "👩‍👩‍👧 ❤️ 🏴\U000e0067\U000e0062\U000e007f".encode(),
    ),
    good("Python", "module.py", b"# -*- coding: utf-8 -*-\nprint('hello')\n", "python", detected="python"),
    good("JSON", "config.json", b'{"a": [1, 2.5, null], "b": "x"}', "model", detected="json"),
    good("Markdown", "page.md", b"# Lock\n\n`<script>` is only shown.\n\n```\n<iframe>\n```\n", "document"),
    good(
        "HTML",
        "page.html",
        b"<!doctype html><title>Lock</title><p>Opens at <a href='/x'>dawn</a>.",
        "document",
    ),
    good("SVG", "picture.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", detected="xml"),
    good("PDF", "page.pdf", make.pdf(), "document", detected="pdf"),
    good(
        "PDF that opens at a page", "page.pdf", make.pdf(catalog="/OpenAction[3 0 R/FitH null]"), "document"
    ),
    good("PNG", "picture.png", make.png(), detected="png"),
    good("FITS", "table.fits", make.fits(), detected="fits"),
    good("an array", "a.npy", make.npy(), detected="npy"),
    good("an array of records", "a.npy", make.npy("[('x', '<f4'), ('y', '|S2', (3,))]", "(2,)", bytes(20))),
    good("an array that Python 2 wrote", "a.npy", make.npy(shape="(6L,)")),
    good("arrays in an archive", "a.npz", make.zipped({"a.npy": make.npy()}), detected="npz"),
    good("a ZIP archive", "a.zip", make.zipped({"docs/": b"", "docs/a.txt": b"text"}), detected="zip"),
    good("an empty ZIP archive", "a.zip", make.zipped({}), detected="zip"),
    good("a wheel", WHEEL, make.wheel(), "python", detected="wheel"),
    good("a stored wheel", WHEEL, make.wheel(method=zipfile.ZIP_STORED), "python", detected="wheel"),
    good("a tar archive", "a.tar", make.tar({"a/b.txt": b"text"}), detected="tar"),
    good(
        "an image in one archive",
        "i.tar",
        make.saved_image({"a/x": b"x", "a/.wh.b": b"", "c/.wh..wh..opq": b""}),
    ),
    good(
        "links of a system in a layer",
        "i.tar",
        make.saved_image({"bin": make.tar_entry("bin", tarfile.SYMTYPE, "/usr/bin"), "usr/bin/x": b"x"}),
    ),
    good("a tar archive with long names", "a.tar", make.tar({"d/" * 80 + "é.txt": b"text"})),
    good("a GNU tar archive", "a.tar", make.tar({"d/" * 80 + "b.txt": b"text"}, form=tarfile.GNU_FORMAT)),
    good("a source archive", "a.tar.gz", make.gzipped(make.tar({"a.py": b"x = 1\n"})), detected="gzip"),
    good(
        "safetensors", "m.safetensors", make.safetensors(), "model", outcome=_OPAQUE, detected="safetensors"
    ),
    good("GGUF 3", "m.gguf", make.gguf(), "model", outcome=_OPAQUE, detected="gguf"),
    good("GGUF 2", "m.gguf", make.gguf(version=2), "model", outcome=_OPAQUE, detected="gguf"),
    good("ONNX", "m.onnx", make.onnx(), "model", outcome=_OPAQUE, detected="onnx"),
    good("machine code", "lib.so", make.elf(), "python", outcome=_OPAQUE, detected="elf"),
    good(
        "a static library",
        "lib.a",
        make.ar({"a.o": make.elf(), "b.o": make.elf()}),
        "python",
        outcome=_OPAQUE,
        detected="ar",
    ),
    good("a photograph", "p.jpg", make.jpeg(), "document", outcome=_OPAQUE, detected="jpeg"),
    good(
        "a wheel with machine code",
        WHEEL,
        make.wheel({"lock_demo/a.so": make.elf()}),
        "python",
        outcome=_OPAQUE,
        detected="wheel",
    ),
    good(
        "NumPy data in a wheel",
        WHEEL,
        make.wheel({"lock_demo/m.pkl": make.numpy_pickle()}),
        "python",
        outcome=_OPAQUE,
    ),
    good(
        "a wheel with weights",
        WHEEL,
        make.wheel({"lock_demo/m.gguf": make.gguf()}),
        "python",
        outcome=_OPAQUE,
    ),
]
