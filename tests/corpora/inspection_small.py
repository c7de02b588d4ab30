"""Small files that packages carry, each honest and each with something behind or between."""

import bz2
import lzma
import struct
import zlib

from corpora import inspection_content as make
from corpora.inspection_case import bad, good
from lockgate.core.verdict import Outcome

_OPAQUE = Outcome.OPAQUE


def catalogue(tail: bytes = b"") -> bytes:
    texts = (b"lock", b"Schleuse")
    head = struct.pack("<7I", 0x950412DE, 0, 1, 28, 36, 0, 44)
    places = struct.pack("<4I", len(texts[0]), 44, len(texts[1]), 49)
    return head + places + texts[0] + b"\x00" + texts[1] + b"\x00" + tail


def zone(tail: bytes = b"") -> bytes:
    block = struct.pack(">4sc15x6L", b"TZif", b"2", 0, 0, 0, 0, 1, 4)
    body = struct.pack(">lBB", 0, 0, 0) + b"UTC\x00"
    return (block + body) * 2 + b"\nUTC0\n" + tail


def icon(picture: bytes | None = None, tail: bytes = b"") -> bytes:
    picture = make.png() if picture is None else picture
    return struct.pack("<3H4B2H2L", 0, 1, 1, 2, 2, 0, 0, 1, 32, len(picture), 22) + picture + tail


def bitmap() -> bytes:
    return struct.pack("<3L2H6L", 40, 2, 4, 1, 32, 0, 0, 0, 0, 0, 0) + bytes(2 * 2 * 4 + 2 * 4)


def gif(tail: bytes = b"") -> bytes:
    head = b"GIF89a" + struct.pack("<2H3B", 1, 1, 0x80, 0, 0) + bytes(6)
    return head + b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00" + b"\x3b" + tail


def font(gap: bytes = b"") -> bytes:
    table = b"glyphs" + bytes(2)
    at = 12 + 16 + len(gap)
    return struct.pack(">I4H4s3I", 0x00010000, 1, 16, 0, 0, b"glyf", 0, at, len(table)) + gap + table


def woff() -> bytes:
    table = zlib.compress(bytes(64))
    size = 44 + 20 + len(table)
    head = struct.pack(">4sIIHHIHHIIIII", b"wOFF", 0x00010000, size, 1, 0, 100, 1, 0, 0, 0, 0, 0, 0)
    return head + struct.pack(">4s4I", b"glyf", 64, len(table), 64, 0) + table


def pe(tail: bytes = b"", flags: int = 0x60000020) -> bytes:
    head = b"MZ" + bytes(58) + struct.pack("<I", 64)
    coff = b"PE\x00\x00" + struct.pack("<2H3L2H", 0x8664, 1, 0, 0, 0, 112 + 128, 0x22)
    optional = struct.pack("<H", 0x20B).ljust(112 + 128, b"\x00")
    section = struct.pack("<8s6L2HL", b".text", 16, 4096, 16, 512, 0, 0, 0, 0, flags)
    return (head + coff + optional + section).ljust(512, b"\x00") + b"\x90" * 16 + tail


def coff() -> bytes:
    section = struct.pack("<8s6L2HL", b".text", 0, 0, 4, 60, 0, 0, 0, 0, 0x60000020)
    return struct.pack("<2H3L2H", 0x8664, 1, 0, 64, 0, 0, 0) + section + b"\x90" * 4 + struct.pack("<L", 4)


def mach(gap: bytes = b"") -> bytes:
    segment = struct.pack("<2I16s4Q4I", 0x19, 72, b"__TEXT", 0, 4096, 0, 104, 5, 5, 0, 0)
    return struct.pack("<8I", 0xFEEDFACF, 0x0100000C, 0, 6, 1, len(segment), 0, 0) + segment + gap


def wasm(tail: bytes = b"") -> bytes:
    return b"\x00asm\x01\x00\x00\x00" + b"\x01\x04\x01\x60\x00\x00" + tail


SMALL_GOOD = [
    good("a catalogue of messages", "a.mo", catalogue(), detected="mo"),
    good("a time zone", "UTC", zone(), detected="tzif"),
    good("an icon of a picture", "a.ico", icon(), detected="ico"),
    good("an icon of a bitmap", "a.ico", icon(bitmap()), detected="ico"),
    good("a GIF picture", "a.gif", gif(), outcome=_OPAQUE, detected="gif"),
    good("a font", "a.ttf", font(), outcome=_OPAQUE, detected="font"),
    good("a font for the web", "a.woff", woff(), outcome=_OPAQUE, detected="woff"),
    good("a program of Windows", "a.exe", pe(), outcome=_OPAQUE, detected="pe"),
    good("an object file of Windows", "a.obj", coff(), outcome=_OPAQUE, detected="coff"),
    good("a library of macOS", "a.dylib", mach(), outcome=_OPAQUE, detected="mach-o"),
    good("a module of WebAssembly", "a.wasm", wasm(), outcome=_OPAQUE, detected="wasm"),
    good("a text in bzip2", "a.txt.bz2", bz2.compress(b"text" * 99), detected="bzip2"),
    good(
        "two streams of bzip2", "a.txt.bz2", bz2.compress(b"text") + bz2.compress(b"more"), detected="bzip2"
    ),
    good("an archive in xz", "a.tar.xz", lzma.compress(make.tar({"a.txt": b"x"})), detected="xz"),
    good("xz with padding", "a.txt.xz", lzma.compress(b"text") + bytes(8), detected="xz"),
    good("JavaScript", "a.js", b"export const f = (x) => x + 1;\n", detected="text"),
    good("a script with colours", "a.sh", b"#!/bin/sh\nprintf '\x1b[31mred\x1b[0m'\n", detected="text"),
    good("text of several scripts", "a.txt", "שלום \u200f מרחבא សួស្តី\u200bពិភពលោក".encode(), detected="text"),
    good("a photograph with padding", "a.jpg", make.jpeg(b"\x00"), outcome=_OPAQUE, detected="jpeg"),
    good(
        "machine code that was moved", "a.so", make.elf().replace(b"\x90" * 16, b"\x90" * 16), outcome=_OPAQUE
    ),
]

SMALL_BAD = [
    bad("bytes behind a GIF picture", "a.gif", gif(b"tail"), "gif-tail"),
    bad("bytes between the tables of a font", "a.ttf", font(b"hide"), "font-gap"),
    bad("bytes behind a program of Windows", "a.exe", pe(b"payload"), "pe-overlay"),
    bad("code of Windows that can be written", "a.exe", pe(flags=0xE0000020), "pe-writable-code"),
    bad("bytes behind a library of macOS", "a.dylib", mach(b"payload!"), "mach-o-gap"),
    bad("bytes behind bzip2", "a.bz2", bz2.compress(b"text") + b"tail", "compressed-tail"),
    bad("a program in an icon's name", "a.so", icon(), "type-mismatch"),
]

SMALL_UNREAD = [
    ("bytes behind a catalogue", "a.mo", catalogue(b"hidden")),
    ("bytes behind a time zone", "UTC", zone(b"hidden")),
    ("bytes behind an icon", "a.ico", icon(tail=b"hidden")),
    ("a module with a section that nobody knows", "a.wasm", wasm(b"\x63\x00")),
    ("a program of Windows that breaks off", "a.exe", pe()[:500]),
    ("a font that breaks off", "a.ttf", font()[:-4]),
    ("RAR", "a.rar", b"Rar!\x1a\x07\x01\x00" + bytes(40)),
    ("a database", "a.db", b"SQLite format 3\x00" + bytes(100)),
]
