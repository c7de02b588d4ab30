"""What real packages from the registries hold that looked wrong once, each beside its hostile twin.

Every case here was made after a file of a real wheel, source distribution, npm package or Debian
package whose verdict was not right; nothing of theirs is in it.
"""

import pickle
import struct
import zlib

from corpora import inspection_content as make
from corpora.inspection_case import WHEEL, bad, good
from corpora.inspection_documents import ORDER, pdf
from lockgate.core.verdict import Outcome

_OPAQUE = Outcome.OPAQUE
_HEBREW = "\u05e9\u05dc\u05d5\u05dd"


def _wheel(members: dict[str, bytes]) -> bytes:
    return make.wheel(members)


def _named(module: str, name: str, protocol: int = 2) -> bytes:
    """A pickle that makes an object of a class, without any argument."""
    return pickle.PROTO + bytes([protocol]) + f"c{module}\n{name}\n)\x81.".encode("latin-1")


def _zip_of_host(host: int) -> bytes:
    """An archive whose members ask for version 2.0, and name a system in the byte above it."""
    data = make.zipped({"a.txt": b"text"})
    local, central = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    out = bytearray(data)
    out[local + 5] = out[central + 7] = host
    return bytes(out)


def catalogue(tail: bytes = b"") -> bytes:
    """Compiled messages of minor revision 1: one text of them has a part that the reading system fills in."""
    texts, at = b"id\x00text\x00", 48 + 16
    first, second = at, at + 3
    segment = at + len(texts)
    static = segment + 4
    segments = static + 4
    descriptor = segments + 8
    tables = descriptor + 20
    body = texts + b"lu\x00\x00" + b"a%b\x00" + struct.pack("<2I", 3, segment)
    body += struct.pack("<5I", static, 2, 0, 2, 0xFFFFFFFF)
    body += struct.pack("<2I", descriptor, descriptor)
    head = struct.pack("<7I", 0x950412DE, 1, 1, 48, 56, 0, tables + 8)
    head += struct.pack("<5I", 1, segments, 1, tables, tables + 4)
    return head + struct.pack("<4I", 2, first, 4, second) + body + tail


def figure(*, inside: float = 0.1, drawn: float = 0.1) -> bytes:
    """A PDF whose only text lies in a form, set there for the scale `inside` and drawn by `drawn`."""
    place = f"/F1 {12 / inside:g} Tf {72 / inside:g} {720 / inside:g} Td"
    text = f"BT {place} (The lock opens at dawn.) Tj ET".encode()
    page = f"q {drawn:g} 0 0 {drawn:g} 0 0 cm /X1 Do Q".encode()
    resources = b"/Resources<</Font<</F1 5 0 R>>/XObject<</X1 6 0 R>>>>"
    return make.pdf_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R" + resources + b">>",
            b"<</Length %d>>\nstream\n" % len(page) + page + b"\nendstream",
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
            b"<</Type/XObject/Subtype/Form/BBox[0 0 9000 9000]/Resources<</Font<</F1 5 0 R>>>>"
            + b"/Length %d>>\nstream\n" % len(text)
            + text
            + b"\nendstream",
        ]
    )


_CLASSES = b"import subprocess\nfrom subprocess import Popen\n\n\nclass Pattern:\n    pass\n"

REAL_GOOD = [
    good(
        "a wheel with pickles of its own classes",
        WHEEL,
        _wheel({"lock_demo/a.dat": _named("lock_demo.dates", "Pattern"), "lock_demo/dates.py": _CLASSES}),
        "python",
        outcome=_OPAQUE,
    ),
    good("a translation that runs from the right", "ckb.po", f'msgstr "\u202b{_HEBREW} x"\n'.encode()),
    good(
        "source with a text that runs from the right, and ends on its line",
        "a.py",
        f'TEXT = "\u2067{_HEBREW}\u2069"\n'.encode(),
        "python",
    ),
    good(
        "machine-made source with controls of direction",
        "date.js",
        ("const a=[" + "1," * 4000 + '"\u2066"];').encode(),
        "npm",
    ),
    good("a zlib stream that is named as gzip", "a.gz", zlib.compress(b"text\n" * 9)),
    good(
        "a text in a wheel that is named as a document",
        WHEEL,
        _wheel({"lock_demo/9657.doc": b"Fixed.\n"}),
        "python",
    ),
    good(
        "a template of a package that includes another",
        WHEEL,
        _wheel({"lock_demo/collect.jinja": b"{% include 'x.jinja' %}{{ a.__name__ }}"}),
        "python",
    ),
    good(
        "a template in an archive of sources",
        "demo.zip",
        make.zipped({"demo/call.c.j2": b"{% include 'x.j2' %}{{ a.__name__ }}"}),
    ),
    good("an archive whose members name the system beside the version", "a.zip", _zip_of_host(3)),
    good("a minified script with a few control characters", "a.js", b"x='\x01';" + b"y=1;" * 500, "npm"),
    good("a manual in Info's format", "as.info", (b"\x1f\nFile: as.info\n" + b"A line of text.\n" * 99)),
    good(
        "a log in which somebody mixed encodings",
        "changelog",
        "Grüße\n".encode() + "Grüße\n".encode("latin-1") + "Łódź\n".encode() + b"A line of text.\n" * 99,
        detected="text-latin1",
    ),
    good("a catalogue with formats that the system fills in", "cpio.mo", catalogue(), detected="mo"),
    good("a drawing whose text lies in a form", "figure.pdf", figure(), "document"),
    good(
        "an entity of a file beside it in a package",
        WHEEL,
        _wheel(
            {"lock_demo/a.xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "Part7.xml">]><a/>'}
        ),
        "python",
    ),
    good(
        "ONNX for training", "m.onnx", make.onnx(domain=b"ai.onnx.preview.training"), "model", outcome=_OPAQUE
    ),
]

REAL_BAD = [
    bad(
        "a wheel with a pickle of what its module imports",
        WHEEL,
        _wheel({"lock_demo/a.dat": _named("lock_demo.dates", "Popen"), "lock_demo/dates.py": _CLASSES}),
        "pickle",
        "python",
    ),
    bad(
        "a wheel with a pickle of a class in another package",
        WHEEL,
        _wheel({"lock_demo/a.dat": _named("other.dates", "Pattern"), "lock_demo/dates.py": _CLASSES}),
        "pickle",
        "python",
    ),
    bad(
        "a wheel that brings a folder of the standard library's name",
        WHEEL,
        _wheel({"lock_demo/a.dat": _named("code", "Pattern"), "code.py": _CLASSES}),
        "pickle",
        "python",
    ),
    bad(
        "a wheel with a pickle that reaches on from its own class",
        WHEEL,
        _wheel(
            {
                "lock_demo/a.dat": _named("lock_demo.dates", "Pattern.__init__.__globals__"),
                "lock_demo/dates.py": _CLASSES,
            }
        ),
        "pickle",
        "python",
    ),
    bad(
        "a control of direction that nothing ends",
        "a.py",
        f'X = "\u2067{_HEBREW}"  # x\n'.encode(),
        "text-bidi",
    ),
    bad(
        "an override in source that has letters from the right",
        "a.py",
        f'X = "\u202e{_HEBREW}\u202c"\n'.encode(),
        "text-bidi",
    ),
    bad(
        "a control of direction in a text without such letters",
        "a.txt",
        "do \u202enot\u202c\n".encode(),
        "text-bidi",
    ),
    bad(
        "a program that is named as a picture",
        WHEEL,
        _wheel({"lock_demo/a.png": make.elf()}),
        "type-mismatch",
    ),
    bad("members of a system that nobody knows", "a.zip", _zip_of_host(99), "zip-version"),
    bad(
        "text that a form draws too small to read",
        "figure.pdf",
        figure(drawn=0.01),
        "document-hidden-text",
        "document",
    ),
    bad(
        "orders that nobody sees in the manual of a package",
        WHEEL,
        _wheel({"lock_demo/a.pdf": pdf(f"BT 1 g /F1 12 Tf 72 600 Td ({ORDER}) Tj ET")}),
        "prompt-injection",
        "python",
    ),
    bad(
        "an entity from elsewhere in a package",
        WHEEL,
        _wheel(
            {"lock_demo/a.xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/x">]><a/>'}
        ),
        "xml-entity",
        "python",
    ),
    bad(
        "a chat's template in an archive",
        "m.zip",
        make.zipped({"m/chat_template.j2": b"{{ ''.__class__.__mro__ }}"}),
        "chat-template-internals",
    ),
    bad(
        "a template of a model that includes another",
        "a.j2",
        b"{% include 'x.jinja' %}",
        "chat-template-include",
    ),
]

REAL_UNREAD = [
    ("a catalogue with bytes behind its parts", "cpio.mo", catalogue(b"hidden words")),
    ("a text with a null byte", "a.js", b"y=1;" * 500 + b"\x00"),
    ("a text with many controls", "a.js", b"y=1;\x01" * 500),
]
