"""Pictures, sound, databases and compiled Python, each honest and each with something behind or untrue."""

import sqlite3
import struct
from contextlib import closing

from corpora.inspection_case import bad, good
from lockgate.core.verdict import Outcome

_OPAQUE = Outcome.OPAQUE


def database(
    *, pages: int = 512, vacuum: int = 0, encoding: str = "UTF-8", sql: str = "", rows: int = 24
) -> bytes:
    """A database with a table, an index, long values, and a free list."""
    with closing(sqlite3.connect(":memory:")) as file:
        file.execute(f"PRAGMA page_size={pages}")
        file.execute(f"PRAGMA encoding='{encoding}'")
        file.execute(f"PRAGMA auto_vacuum={vacuum}")
        file.execute("CREATE TABLE locks (id INTEGER PRIMARY KEY, name TEXT, depth BLOB)")
        file.execute("CREATE INDEX by_name ON locks (name)")
        file.execute("CREATE TABLE gates (name TEXT PRIMARY KEY, width) WITHOUT ROWID")
        file.executemany(
            "INSERT INTO locks (name, depth) VALUES (?, ?)",
            [(f"lock {n} on the canal", b"\x01" * (200 * (n % 5))) for n in range(rows)],
        )
        file.executemany("INSERT INTO gates VALUES (?, ?)", [(f"gate {n}", n) for n in range(rows)])
        file.commit()
        file.execute("DELETE FROM locks WHERE id % 3 = 0")
        file.commit()
        if sql:
            file.execute(sql)
            file.commit()
        return file.serialize()


def _altered(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def bytecode(
    *, flags: int = 0, magic: int = 3495, names: bytes = b"\xda\x06socket", refers: int = 0
) -> bytes:
    """A code object of Python 3.11, written by hand: one name, and constants of every kind."""
    empty, text = b")\x00", b"\xfa\x04a.py"
    constants = (
        b")\x0a" + b"N" + b"T" + b"i\x05\x00\x00\x00" + b"g" + bytes(8) + b"y" + bytes(16)
        + b"l\x02\x00\x00\x00\x01\x00\x01\x00" + b"s\x03\x00\x00\x00raw" + b">\x01\x00\x00\x00N"
        + b"[\x01\x00\x00\x00T" + b"{" + b"z\x01a" + b"N" + b"0"
    )  # fmt: skip
    body = struct.pack("<5I", 0, 0, 0, 2, 0) + b"s\x04\x00\x00\x00\x97\x00d\x00" + constants
    body += (
        b")\x01"
        + names
        + empty
        + b"s\x00\x00\x00\x00"
        + text
        + b"\xda\x01f"
        + b"r"
        + struct.pack("<I", refers)
    )
    body += struct.pack("<I", 1) + b"s\x00\x00\x00\x00" * 2
    return struct.pack("<HH3I", magic, 0x0A0D, flags, 1, 2) + b"\xe3" + body


def chunk(name: bytes, body: bytes, order: str = "<", align: int = 2) -> bytes:
    return name + struct.pack(f"{order}I", len(body)) + body + bytes(-len(body) % align)


def wave(
    *, tail: bytes = b"", size: int | None = None, order: str = "<", note: bytes = b"a lock opens"
) -> bytes:
    """Four samples and a title."""
    fmt = struct.pack(f"{order}2H2I2H", 1, 1, 8000, 8000, 1, 8)
    info = b"INFO" + chunk(b"INAM", note, order)
    body = (
        b"WAVE"
        + chunk(b"fmt ", fmt, order)
        + chunk(b"LIST", info, order)
        + chunk(b"data", b"\x80\x81\x7f\x80", order)
    )
    return (
        (b"RIFF" if order == "<" else b"RIFX")
        + struct.pack(f"{order}I", len(body) if size is None else size)
        + body
        + tail
    )


def beam(*, tail: bytes = b"") -> bytes:
    """A compiled module of Erlang with atoms and code."""
    body = b"BEAM" + chunk(b"AtU8", b"\x00\x00\x00\x01\x04lock", ">", 4) + chunk(b"Code", bytes(10), ">", 4)
    return b"FOR1" + struct.pack(">I", len(body)) + body + tail


def song(*, tracks: int = 1, tail: bytes = b"") -> bytes:
    track = b"\x00\xff\x03\x04lock\x00\xff\x2f\x00"
    return (
        b"MThd"
        + struct.pack(">I3H", 6, 0, tracks, 96)
        + b"MTrk"
        + struct.pack(">I", len(track))
        + track
        + tail
    )


def ogg_page(body: bytes, number: int, flags: int, serial: int = 7) -> bytes:
    lacing = bytes([255] * (len(body) // 255) + [len(body) % 255])
    raw = b"OggS" + struct.pack("<2Bq3IB", 0, flags, 0, serial, number, 0, len(lacing)) + lacing + body
    crc = 0
    for byte in raw:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if crc >> 31 else crc << 1
    return raw[:22] + struct.pack("<I", crc) + raw[26:]


def ogg(*, last: int = 1, tail: bytes = b"") -> bytes:
    return ogg_page(b"\x01vorbis a lock opens", 0, 2) + ogg_page(bytes(300), last, 4) + tail


def frames(count: int = 4, *, tag: bytes = b"", tail: bytes = b"") -> bytes:
    """Silence: MPEG 1, layer III, 32 kbit/s at 32 kHz, 144 bytes a frame."""
    return tag + (b"\xff\xfb\x18\xc0" + bytes(140)) * count + tail


def bitmap_file(*, tail: bytes = b"", width: int = 2, packing: int = 0, points: bytes = bytes(16)) -> bytes:
    head = struct.pack("<I2i2H6I", 40, width, 2, 1, 24, packing, 0, 0, 0, 0, 0)
    if packing:
        head = struct.pack("<I2i2H6I", 40, width, 2, 1, 8, packing, 0, 0, 0, 1, 0) + bytes(4)
    start = 14 + len(head)
    size = start + len(points)
    return b"BM" + struct.pack("<I4xI", size, start) + head + points + tail


def tiff(
    *,
    order: str = "<",
    at: int | None = None,
    tail: bytes = b"",
    following: int = 0,
    size: int = 4,
    count: int = 4,
) -> bytes:
    """A picture of two by two points in grey, one strip, and a description."""
    said = b"a lock opens\x00"
    rows = [
        (256, 3, 1, 2),
        (257, 3, 1, 2),
        (258, 3, 1, 8),
        (270, 2, len(said), None),
        (273, 4, 1, None),
        (279, 4, 1, size),
    ]
    strip = 8 + 2 + 12 * len(rows) + 4
    out = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8) + struct.pack(
        f"{order}H", len(rows)
    )
    for tag, kind, number, value in rows:
        place = (strip if at is None else at) if tag == 273 else strip + count if tag == 270 else value
        form = f"{order}2HIH2x" if kind == 3 else f"{order}2HII"
        out += struct.pack(form, tag, kind, number, place)
    return out + struct.pack(f"{order}I", following) + bytes(count) + said + tail


def netpbm(*, kind: bytes = b"P6", tail: bytes = b"", points: bytes = bytes(12)) -> bytes:
    head = kind + b"\n# a lock opens\n2 2\n" + (b"" if kind == b"P4" else b"255\n")
    return head + points + tail


def _honest(title: str, name: str, data: bytes, detected: str):
    return good(title, name, data, outcome=_OPAQUE, detected=detected)


_KEY = b"-----BEGIN %s KEY-----\n%s\n-----END %s KEY-----" % (
    b"RSA PRIVATE",
    b"MIIEpAIBAAKCAQEA" * 4,
    b"RSA PRIVATE",
)

_KEPT = database(sql=f"CREATE TABLE kept (a DEFAULT '{_KEY.decode()}')")

MEDIA_GOOD = [
    _honest("a database", "a.db", database(), "sqlite"),
    _honest("a database that gives pages back", "a.db", database(vacuum=1), "sqlite"),
    _honest("a database in UTF-16", "a.db", database(encoding="UTF-16le", pages=1024), "sqlite"),
    _honest(
        "a database with a view", "a.db", database(sql="CREATE VIEW v AS SELECT name FROM locks"), "sqlite"
    ),
    _honest("a compiled module", "__pycache__/a.cpython-311.pyc", bytecode(), "pyc"),
    _honest("a compiled module that is compared", "a.pyc", bytecode(flags=3), "pyc"),
    _honest("a sound", "a.wav", wave(), "riff"),
    _honest("a sound of another order", "a.wav", wave(order=">"), "riff"),
    _honest("a compiled module of Erlang", "lock.beam", beam(), "beam"),
    _honest("a song", "a.mid", song(), "midi"),
    _honest("a sound in pages", "a.ogg", ogg(), "ogg"),
    _honest("a sound in frames", "a.mp3", frames(), "mp3"),
    _honest(
        "a sound with tags",
        "a.mp3",
        frames(tag=b"ID3\x04\x00\x00\x00\x00\x00\x08TIT2lock", tail=b"TAG" + bytes(125)),
        "mp3",
    ),
    _honest("a bitmap", "a.bmp", bitmap_file(), "bmp"),
    _honest(
        "a bitmap in runs", "a.bmp", bitmap_file(packing=1, points=b"\x02\x00\x00\x00\x02\x00\x00\x01"), "bmp"
    ),
    _honest("a picture in strips", "a.tif", tiff(), "tiff"),
    _honest("a picture in strips of another order", "a.tif", tiff(order=">"), "tiff"),
    _honest("a picture in colours", "a.ppm", netpbm(), "netpbm"),
    _honest("a picture in grey", "a.pgm", netpbm(kind=b"P5", points=bytes(4)), "netpbm"),
    _honest("a picture in black", "a.pbm", netpbm(kind=b"P4", points=bytes(2)), "netpbm"),
]

MEDIA_BAD = [
    bad(
        "a view that loads a library",
        "a.db",
        database(sql="CREATE VIEW v AS SELECT load_extension('lock.so')"),
        "sqlite-reaches",
    ),
    bad(
        "a trigger that writes a file",
        "a.db",
        database(sql="CREATE TRIGGER t AFTER INSERT ON locks BEGIN SELECT writefile('a', 'b'); END"),
        "sqlite-reaches",
    ),
    bad("a compiled module that is never compared", "a.pyc", bytecode(flags=1), "python-bytecode-unchecked"),
    bad("a key in a database", "a.db", _KEPT, "secret-private-key"),
    bad("a key in the title of a sound", "a.wav", wave(note=_KEY), "secret-private-key"),
    bad("a sound that is named as a module", "a.pyc", wave(), "type-mismatch"),
]

_DATABASE = database()
_NESTED = bytecode()[:16] + b"\xe3" + bytes(20) + b")\x01" * 900 + b"N"
_RUNS = b"\x02\x00\x00\x01"

MEDIA_UNREAD = [
    ("a database with a page behind", "a.db", _DATABASE + bytes(512)),
    ("a database that is cut", "a.db", _DATABASE[:-512]),
    ("a database with a page of no kind", "a.db", _altered(_DATABASE, 512, b"\x07")),
    ("a database with a cell in its head", "a.db", _altered(_DATABASE, 512 + 8, b"\x00\x04")),
    ("a database with more cells than fit", "a.db", _altered(_DATABASE, 512 + 3, b"\x7f\xff")),
    ("a database with a free list that is longer", "a.db", _altered(_DATABASE, 36, b"\x00\x00\x00\x7f")),
    ("a database with a free list in a tree", "a.db", _altered(_DATABASE, 32, b"\x00\x00\x00\x02")),
    ("a database with words in its head", "a.db", _altered(_DATABASE, 72, b"hidden words")),
    ("a database in an encoding that is not known", "a.db", _altered(_DATABASE, 56, b"\x00\x00\x00\x09")),
    ("a compiled module with bytes behind", "a.pyc", bytecode() + b"hidden words"),
    ("a compiled module that is cut", "a.pyc", bytecode()[:-3]),
    ("a compiled module that refers to nothing", "a.pyc", bytecode(refers=99)),
    ("a compiled module of an object that is not known", "a.pyc", bytecode(names=b"?\x06socket")),
    ("a compiled module of tuples in tuples", "a.pyc", _NESTED),
    ("a compiled module with more than fits", "a.pyc", bytecode(names=b"(\xff\xff\xff\x7f")),
    ("a sound with bytes behind", "a.wav", wave(tail=b"hidden words")),
    ("a sound that is longer than its file", "a.wav", wave(size=1 << 20)),
    ("a sound that is shorter than its file", "a.wav", wave(size=60)),
    ("a sound with words that align", "a.wav", wave(note=b"odd").replace(b"odd\x00", b"oddx")),
    ("a module of Erlang with bytes behind", "a.beam", beam(tail=b"hidden words")),
    ("a song of two tracks that has one", "a.mid", song(tracks=2)),
    ("a song with bytes behind", "a.mid", song(tail=b"hidden words")),
    ("a sound in pages with bytes behind", "a.ogg", ogg(tail=b"hidden words")),
    ("a sound in pages that skips one", "a.ogg", ogg(last=2)),
    ("a sound in pages with a false sum", "a.ogg", ogg().replace(b"vorbis a", b"vorbis b")),
    ("a sound in pages without an end", "a.ogg", ogg_page(b"\x01vorbis", 0, 2)),
    ("a sound in frames with bytes behind", "a.mp3", frames(tail=b"hidden words \x00 in a sound")),
    ("a tag without a sound", "a.mp3", b"ID3\x04\x00\x00\x00\x00\x00\x08TIT2\x00ock"),
    ("a bitmap with bytes behind", "a.bmp", bitmap_file(tail=b"hidden \x00words")),
    ("a bitmap of more points than it has", "a.bmp", bitmap_file(width=200)),
    ("a bitmap in runs with bytes behind", "a.bmp", bitmap_file(packing=1, points=_RUNS + b"hidden words")),
    ("a bitmap packed in another way", "a.bmp", bitmap_file(packing=9, points=bytes(16))),
    ("a strip past its picture", "a.tif", tiff(at=1 << 20)),
    ("a strip on its directory", "a.tif", tiff(at=8)),
    ("a strip that reaches into words", "a.tif", tiff(size=9)),
    ("a picture in strips with bytes behind", "a.tif", tiff(tail=b"hidden words")),
    ("a picture in strips in a ring", "a.tif", tiff(following=8)),
    ("a picture in strips far behind its end", "a.tif", b"MM\x00+\x00\x08\x00\x00" + b"\xff" * 8),
    ("a tag that ends in its head", "a.mp3", b"ID3\x00"),
    ("a picture in colours with bytes behind", "a.ppm", netpbm(tail=b"hidden \x00words")),
    ("a picture in colours that is cut", "a.ppm", netpbm(points=bytes(11))),
]
