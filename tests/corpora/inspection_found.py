"""What the measurement of false positives (`bench/false_positives.py`) met, each beside its hostile twin.

Every honest case was made after a file of a real package that was flagged; nothing of theirs is in it.
"""

import pickle

from corpora import inspection_content as make
from corpora.inspection_case import WHEEL, bad, good
from corpora.inspection_packages import deb, npm, sdist
from lockgate.core.verdict import Outcome

_OPAQUE = Outcome.OPAQUE
_NPM = "demo-1.0.0.tgz"
_SDIST = "demo-1.0.tar.gz"
_SPACE = "\u200b"
_HEBREW = "\u05e9\u05dc\u05d5\u05dd"
_TRIED = "node -e \"try{require('./postinstall')}catch(e){}\""
_COVERAGE = (
    b"import sys; exec('import os\\n\\n"
    rb"""if os.getenv("COVERAGE_PROCESS_START") or os.getenv("COVERAGE_PROCESS_CONFIG"):"""
    rb"""\n try:\n  import coverage\n except:\n  pass\n else:\n  coverage.process_startup(slug="pth")')"""
)
_NODE = b"\x1f\nFile: demo.info,  Node: %s\n\nText of a node, long enough to be one.\n"
_MANUAL = (
    _NODE % b"Top"
    + _NODE % b"Index"
    + b"\x00\x08[index\x00\x08]\n* Menu:\n\x1f\nTag Table:\nNode: Top\x7f12\n"
)


def named(module: str, name: str) -> bytes:
    """A pickle that makes an object of a class, without any argument."""
    return pickle.PROTO + b"\x02" + f"c{module}\n{name}\n)\x81.".encode("latin-1")


def _wheel(members: dict[str, bytes]) -> bytes:
    return make.wheel(members)


def _listing(row: str) -> bytes:
    """A wheel whose RECORD has one row more."""
    members = make.wheel_members()
    record = next(name for name in members if name.endswith("RECORD"))
    return make.zipped(members | {record: members[record] + f"{row},sha256=x,1\n".encode()})


def _zip_with_owner(number: int) -> bytes:
    """An archive whose member has an extra field of that number (0x7855: Info-ZIP's user and group)."""
    data = make.zipped({"a.txt": b"text"})
    local, central = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    field = number.to_bytes(2, "little") + b"\x04\x00" + b"\xe8\x03\xe8\x03"
    out = bytearray(data)
    out[central + 46 + 5 : central + 46 + 5] = field
    out[central + 30 : central + 32] = len(field).to_bytes(2, "little")
    out[local + 30 + 5 : local + 30 + 5] = field
    out[local + 28 : local + 30] = len(field).to_bytes(2, "little")
    end = out.rindex(b"PK\x05\x06")
    for at, added in ((end + 12, len(field)), (end + 16, len(field))):
        out[at : at + 4] = (int.from_bytes(out[at : at + 4], "little") + added).to_bytes(4, "little")
    return bytes(out)


def _reexports(source: str, *, name: str = "Popen", other: str = "class Popen:\n    pass\n") -> bytes:
    """A wheel with a pickle of a class that a module has of another one."""
    modules = {"lock_demo/dates.py": source.encode(), "lock_demo/other.py": other.encode()}
    return _wheel({"lock_demo/a.dat": named("lock_demo.dates", name), **modules})


def lettered(glyphs: bytes, font: bytes = b"") -> bytes:
    """A PDF with a font whose glyphs are drawn by streams of its own."""
    stream = b"<</Length 15>>\nstream\n500 0 d0 0 0 m \nendstream"
    return make.pdf_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            (
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 5 0 R"
                b"/Resources<</Font<</F1 4 0 R>>>>>>"
            ),
            b"<</Type/Font/Subtype/Type3/FontBBox[0 0 1 1]/FontMatrix[1 0 0 1 0 0]/FirstChar 97/LastChar 97"
            b"/Widths[1]/Encoding<</Differences[97/a]>>/CharProcs" + glyphs + font + b">>",
            b"<</Length 0>>\nstream\n\nendstream",
            stream,
        ]
    )


FOUND_GOOD = [
    good("settings of a package with comments", _NPM, npm({"package/tsconfig.json": b"{ // c\n}\n"}), "npm"),
    good(
        "source of a package that draws",
        _NPM,
        npm({"package/a.js": b"x = '<svg></svg><a href=\"javascript:void(0)\">'\n"}),
        "npm",
    ),
    good(
        "a drawing of a package that acts",
        _NPM,
        npm({"package/a.svg": b'<svg onload="f()"><script>f()</script></svg>\n'}),
        "npm",
    ),
    good(
        "tests of a package in letters from the right",
        _NPM,
        npm({"package/test/a.json": '["\u202e", "\u202d"]'.encode()}),
        "npm",
    ),
    good(
        "a script of npm that may be missing",
        _NPM,
        npm({"package/postinstall.js": b"console.log('thanks')\n"}, scripts={"postinstall": _TRIED}),
        "npm",
    ),
    good("npm's own commands", "npm-1.0.0.tgz", npm(name="npm", bin={"npm": "a.js", "npx": "b.js"}), "npm"),
    good(
        "a selector that was typed twice", "README.md", "Tools \U0001f6e0\ufe0f\ufe0f\n".encode(), "document"
    ),
    good(
        "names in source that differ by invisible spaces",
        "a.js",
        f'x = "a{_SPACE * 4} a{_SPACE * 8}"\n'.encode(),
        "npm",
    ),
    good("a sign that was spoilt in a short text", "a.d.ts", b"// " + b"rank " * 30 + b"\x03= 1\n", "npm"),
    good("a manual with an index in Info's format", "demo.info", _MANUAL, detected="text"),
    good("a note that begins like a pickle", "changelog", b"(Note: the newest first.)\n", detected="text"),
    good(
        "stops of a terminal in a package",
        "demo.deb",
        deb(data={"./usr/share/tabset/vt100": b"\x1b[3g\r\x1bH        \x1bH\n"}),
        detected="deb",
    ),
    good("a file of its own that the wheel lost", WHEEL, _listing("lock_demo/dict/ab.txt"), "python"),
    good("coverage's line at start-up", WHEEL, _wheel({"a1_coverage.pth": _COVERAGE}), "python"),
    good("an archive that keeps owners", "a.zip", _zip_with_owner(0x7855)),
    good(
        "a wheel with more pickles than are told",
        WHEEL,
        _wheel({f"lock_demo/{n}.pkl": pickle.dumps([n], 2) for n in range(450)}),
        "python",
        outcome=_OPAQUE,
    ),
    good(
        "a pickle of a class that another module of the wheel defines",
        WHEEL,
        _reexports("from .other import Popen\n"),
        "python",
        outcome=_OPAQUE,
    ),
    good(
        "a pickle of a class that the wheel renames",
        WHEEL,
        _reexports("from lock_demo.other import Popen as Process\n", name="Process"),
        "python",
        outcome=_OPAQUE,
    ),
    good(
        "a pickle of a class that is compiled",
        WHEEL,
        _wheel({"lock_demo/a.dat": named("lock_demo.mol", "Mol"), "lock_demo/mol.abi3.so": make.elf()}),
        "python",
        outcome=_OPAQUE,
    ),
    good(
        "a source package with a pickle of its own class",
        _SDIST,
        sdist(
            extra={
                "demo-1.0/src/demo/a.dat": named("demo.dates", "Pattern"),
                "demo-1.0/src/demo/dates.py": b"class Pattern:\n    pass\n",
            }
        ),
        "python",
        outcome=_OPAQUE,
    ),
    good(
        "a Debian package with a pickle of its own class",
        "demo.deb",
        deb(
            data={
                "./usr/lib/python3/dist-packages/demo/a.pkl": named("demo.dates", "Pattern"),
                "./usr/lib/python3/dist-packages/demo/dates.py": b"class Pattern:\n    pass\n",
            }
        ),
        outcome=_OPAQUE,
    ),
    good("a unit that systemd names", "demo.deb", deb(data={"./lib/systemd/a-b\\x2dc.slice": b"[Unit]\n"})),
    good("a control of order alone in quotes", "a.py", 'RIGHT = "\u202e"\n'.encode(), "python"),
    good("a font with a glyph named AF", "a.pdf", lettered(b"<</AF 6 0 R>>"), "document"),
    good("a frame of pandas", "a.pkl", named("pandas.core.frame", "DataFrame"), "model", outcome=_OPAQUE),
]

FOUND_BAD = [
    bad(
        "a manifest of npm that is no JSON",
        _NPM,
        make.gzipped(make.tar({"package/package.json": b'{"name": "demo", // c\n}'})),
        "json-malformed",
        "npm",
    ),
    bad(
        "a key twice in a manifest of npm",
        _NPM,
        make.gzipped(make.tar({"package/package.json": b'{"scripts": {}, "scripts": {}}'})),
        "json-duplicate-key",
        "npm",
    ),
    bad(
        "source of a package in another order",
        _NPM,
        npm({"package/a.js": "x = '\u202e' // \u2066 admin\n".encode()}),
        "text-bidi",
        "npm",
    ),
    bad(
        "the description of a package in another order",
        _NPM,
        npm({"package/README.md": "do \u202enot\u202c\n".encode()}),
        "text-bidi",
        "npm",
    ),
    bad(
        "a recipe of a package in another order",
        _NPM,
        npm({"package/Makefile": "all: \u202e x\n".encode()}),
        "text-bidi",
        "npm",
    ),
    bad(
        "a script of a package in another order",
        _NPM,
        npm({"package/run.dat": "#!/bin/sh\n# \u202e x\n".encode()}),
        "text-bidi",
        "npm",
    ),
    bad("a drawing that acts", "a.svg", b'<svg onload="f()"></svg>\n', "html-event", "document"),
    bad(
        "a script of npm that may be missing, and one more",
        _NPM,
        npm(scripts={"install": _TRIED, "postinstall": "node -e \"require('child_process').exec('x')\""}),
        "rule-package-script-that-fetches",
        "npm",
    ),
    bad(
        "a script of npm that does more than what may be missing",
        _NPM,
        npm(scripts={"postinstall": "node -e \"try{require('./a');eval(x)}catch(e){}\""}),
        "rule-package-script-that-fetches",
        "npm",
    ),
    bad("another package with npm's command", _NPM, npm(bin={"npx": "b.js"}), "command-shadowed", "npm"),
    bad("bytes in many pairs of selectors", "README.md", ("a\ufe01\ufe02" * 20).encode(), "text-selectors"),
    bad(
        "many runs of invisible spaces in source",
        "a.js",
        f'x = "{f"a{_SPACE * 4} " * 20}"\n'.encode(),
        "text-zero-width",
        "npm",
    ),
    bad(
        "a run of two invisible spaces in source",
        "a.js",
        f'x = "{_SPACE}\u200c{_SPACE}\u200c"\n'.encode(),
        "text-zero-width",
        "npm",
    ),
    bad("spaces that nobody sees in a text", "a.txt", f"a{_SPACE * 4}b\n".encode(), "text-zero-width"),
    bad("a note that is a pickle", "changelog", b"(cposix\nsystem\nVtouch\no.", "pickle"),
    bad(
        "a text for people with steering in a package",
        WHEEL,
        _wheel({"README": b"\x1b[2J a\n"}),
        "text-escape",
    ),
    bad(
        "a file of others that RECORD claims", WHEEL, _listing("numpy/__init__.py"), "record-extra", "python"
    ),
    bad(
        "a file elsewhere that RECORD claims", WHEEL, _listing("lock_demo/../x.py"), "record-extra", "python"
    ),
    bad(
        "start-up that looks like coverage's",
        WHEEL,
        _wheel({"a1_coverage.pth": _COVERAGE.replace(b"import coverage", b"import lockdemo")}),
        "wheel-pth",
        "python",
    ),
    bad(
        "start-up with more than coverage's line",
        WHEEL,
        _wheel({"a1_coverage.pth": _COVERAGE + b"; import lock_demo"}),
        "wheel-pth",
        "python",
    ),
    bad("an archive with an unknown field", "a.zip", _zip_with_owner(0x7856), "zip-extra-field"),
    bad(
        "a pickle of what another module only imports",
        WHEEL,
        _reexports("from .other import Popen\n", other="from subprocess import Popen\n"),
        "pickle",
        "python",
    ),
    bad(
        "a class that stands in a text of its module",
        WHEEL,
        _reexports('"""\nclass Popen:\n"""\nfrom subprocess import Popen\n'),
        "pickle",
        "python",
    ),
    bad(
        "a class that becomes another one",
        WHEEL,
        _reexports("import subprocess\n\n\nclass Popen:\n    pass\n\n\nPopen = subprocess.Popen\n"),
        "pickle",
        "python",
    ),
    bad(
        "a class that a function makes another one",
        WHEEL,
        _reexports(
            "class Popen:\n    pass\n\n\ndef f():\n    global Popen\n    from subprocess import Popen\n"
        ),
        "pickle",
        "python",
    ),
    bad(
        "a source package with a pickle of what it imports",
        _SDIST,
        sdist(
            extra={
                "demo-1.0/demo/a.dat": named("demo.dates", "Popen"),
                "demo-1.0/demo/dates.py": b"from subprocess import Popen\n",
            }
        ),
        "pickle",
        "python",
    ),
    bad(
        "a source package whose module stands twice",
        _SDIST,
        sdist(
            extra={
                "demo-1.0/demo/a.dat": named("demo.dates", "Popen"),
                "demo-1.0/demo/dates.py": b"from subprocess import Popen\n",
                "demo-1.0/src/demo/dates.py": b"class Popen:\n    pass\n",
            }
        ),
        "pickle",
        "python",
    ),
    bad(
        "a Debian package with a pickle of what it imports",
        "demo.deb",
        deb(
            data={
                "./usr/lib/python3/dist-packages/demo/a.pkl": named("demo.dates", "Popen"),
                "./usr/lib/python3/dist-packages/demo/dates.py": b"from subprocess import Popen\n",
            }
        ),
        "pickle",
    ),
    bad("a name that leads up", "a.tar", make.tar({"a\\..\\..\\x": b"x"}), "tar-slip"),
    bad("a name that leads up in escapes", "a.tar", make.tar({"..\\x2d/../x": b"x"}), "tar-slip"),
    bad(
        "a control of order in quotes with more behind",
        "a.py",
        'RIGHT = "\u202e", admin\n'.encode(),
        "text-bidi",
        "python",
    ),
    bad(
        "a page with a file of its own", "a.pdf", lettered(b"<</a 6 0 R>>", b"/AF 6 0 R"), "pdf-embedded-file"
    ),
    bad(
        "a file behind a glyph",
        "a.pdf",
        lettered(b"<</AF<</Type/EmbeddedFile>>>>"),
        "pdf-embedded-file",
    ),
    bad("a reader of pandas", "a.pkl", named("pandas.io.pickle", "read_pickle"), "pickle", "model"),
    bad("an expression of pandas", "a.pkl", named("pandas.core.frame", "DataFrame.eval"), "pickle", "model"),
    bad("a module that pandas imports", "a.pkl", named("pandas.core.frame", "sys.exit"), "pickle", "model"),
]

FOUND_UNREAD = [
    (
        "a text with a null byte that is no index",
        "a.info",
        b"\x1f\nFile: a\n" + b"text\n" * 99 + b"\x00\x08[x\x00\x08]",
    ),
    ("a short text with two controls", "a.d.ts", b"// " + b"rank " * 30 + b"\x03\x04\n"),
]
