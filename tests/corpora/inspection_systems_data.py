"""Fonts, keys, vocabularies and what systems compile for themselves, each honest and each untrue."""

import struct
import zlib

from corpora.inspection_case import bad, good
from lockgate.core.verdict import Outcome

_OPAQUE = Outcome.OPAQUE


def psf(*, mode: int = 2, tail: bytes = b"", rows: int = 256) -> bytes:
    """A font of a console with a table of characters."""
    table = b"".join(struct.pack("<2H", number, 0xFFFF) for number in range(rows)) if mode & 6 else b""
    return bytes([0x36, 4, mode, 2]) + bytes(2 * 256) + table + tail


def psf2(*, size: int = 2, rows: bytes = b"a\xffb\xfeb\xcc\x81\xff") -> bytes:
    return b"\x72\xb5\x4a\x86" + struct.pack("<7I", 0, 32, 1, 2, size, 2, 8) + bytes(4) + rows


def pcf(*, at: int = 40, kind: int = 1, tail: bytes = b"", form: int = 0) -> bytes:
    """A compiled font of X with two tables."""
    head = b"\x01fcp" + struct.pack("<I4I4I", 2, 1, 0, 8, at, 4 if kind == 1 else kind, 0, 4, 48)
    return head + struct.pack("<2I", form, 7) + bytes(4) + tail


def pfb(*, size: int | None = None, tail: bytes = b"") -> bytes:
    first, second = b"%!PS-AdobeFont-1.0: Lock\n", bytes(range(32))
    parts = b"\x80\x01" + struct.pack("<I", len(first)) + first
    parts += b"\x80\x02" + struct.pack("<I", len(second) if size is None else size) + second
    return parts + b"\x80\x03" + tail


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, len(body)]) + body


def keyring(*, secret: bool = False, more: bytes = b"") -> bytes:
    """A key of OpenPGP, whose it is, and a signature."""
    key = b"\x04" + bytes(4) + b"\x16" + bytes(40)
    return (
        packet(5 if secret else 6, key)
        + packet(13, b"The lock keeper")
        + packet(2, b"\x04" + bytes(60))
        + more
    )


def value(tag: int, body: bytes) -> bytes:
    size = b"\x82" + struct.pack(">H", len(body))
    if len(body) < 0x100:
        size = bytes([len(body)]) if len(body) < 0x80 else bytes([0x81, len(body)])
    return bytes([tag]) + size + body


def certificate(*, inner: bytes = b"", tail: bytes = b"") -> bytes:
    """Values of DER as a certificate has them."""
    name = value(0x30, value(0x06, b"\x55\x04\x03") + value(0x0C, b"The lock keeper"))
    return value(0x30, value(0x30, value(2, b"\x01") + name) + name + value(3, bytes(200)) + inner) + tail


def private_key() -> bytes:
    """An object as PKCS #8 has them."""
    method = value(0x30, value(0x06, b"\x2b\x65\x70"))
    return value(0x30, value(2, b"\x00") + method + value(4, value(4, bytes(64))))


def _r_text(said: bytes) -> bytes:
    return struct.pack(">2i", 0x40009, len(said)) + said


def r_items(*, refers: int = 1, kind: int = 16, promise: bool = False, tail: bytes = b"") -> bytes:
    """A list with names: a text, numbers, a symbol and a function."""
    symbol = struct.pack(">i", 1) + _r_text(b"system")
    call = struct.pack(">i", 6) + symbol + struct.pack(">i", 2) + _r_text(b"lock") + struct.pack(">i", 254)
    function = struct.pack(">2i", 0x403, 253) + struct.pack(">i", 254) + call
    promised = (
        struct.pack(">2i", 0x405, 253) + struct.pack(">i", 254) + call if promise else struct.pack(">i", 254)
    )
    texts = struct.pack(">2i", kind, 1) + _r_text(b"a lock opens")
    numbers = struct.pack(">2id", 14, 1, 1.5) + struct.pack(">2i2i", 13, 2, 1, 2)
    names = struct.pack(">i", 0x402) + struct.pack(">i", 255 | refers << 8) + texts + struct.pack(">i", 254)
    parts = (texts, numbers[:16], numbers[16:], symbol, function, promised)
    body = struct.pack(">2i", 0x213, len(parts)) + b"".join(parts) + names
    return b"X\n" + struct.pack(">3i", 3, 0x40201, 0x30500) + struct.pack(">i", 5) + b"UTF-8" + body + tail


def r_database(*, said: int | None = None, tail: bytes = b"") -> bytes:
    raw = r_items()
    record = struct.pack(">I", len(raw) if said is None else said) + zlib.compress(raw)
    return record * 2 + tail


def _key(number: int, wire: int) -> bytes:
    key = number << 3 | wire
    return bytes([key & 0x7F | 0x80, key >> 7]) if key > 0x7F else bytes([key])


def delimited(number: int, body: bytes) -> bytes:
    return _key(number, 2) + bytes([len(body)]) + body


def vocabulary(*, field: bytes = b"", tail: bytes = b"") -> bytes:
    """A vocabulary of four pieces and how it was trained."""
    pieces = b"".join(
        delimited(1, delimited(1, said) + b"\x15" + struct.pack("<f", -1.0) + b"\x18\x01")
        for said in (b"<unk>", b"<s>", b"</s>", b"\xe2\x96\x81lock")
    )
    trained = delimited(2, delimited(1, b"locks.txt") + b"\x20\x04" + _key(45, 2) + b"\x05<unk>" + field)
    return pieces + trained + delimited(3, delimited(1, b"identity") + b"\x18\x01") + tail


def packed(*, tail: bytes = b"") -> bytes:
    """Weights as Flax keeps them: maps of maps, and an array of an own type."""
    array = b"\xc7\x0b\x01" + b"\x93\x91\x02\xa5int32\xc4\x00"
    return b"\x81\xa6params\x82\xa6kernel" + array + b"\xa4bias\xcb" + bytes(8) + tail


def resource(*, size: int = 12, shift: int = 0, packed_up: bool = False, tail: bytes = b"") -> bytes:
    """A resource of GNOME's libraries: one text, below two names."""
    said = b"a lock opens"
    content = zlib.compress(said) if packed_up else said + b"\x00"
    inner = struct.pack("<2I", size, int(packed_up)) + content + b"\x00(uuay)"
    names = b"/lock/" + b"a.txt"
    start = 24
    end = start + 8 + 2 * 24
    value_at = -(-(end + len(names)) // 8) * 8
    table = struct.pack("<2I", 0, 0)
    table += struct.pack("<3IHBx2I", 1, 0xFFFFFFFF, end, 6, ord("L"), end + len(names), end + len(names))
    table += struct.pack("<3IHBx2I", 2, 0, end + 6, 5, ord("v"), value_at + shift, value_at + len(inner))
    head = struct.pack("<8s4I", b"GVariant", 0, 0, start, end)
    return (head + table + names).ljust(value_at, b"\x00") + inner + tail


def locale(*, second: int = 21, tail: bytes = b"") -> bytes:
    """The category of telephones, with two fields."""
    return struct.pack("<2I2I", 0x20031115 ^ 10, 2, 16, second) + b"+%c\x00\x00lock\x00" + tail


def conversions(*, modules: int = 2) -> bytes:
    texts, table = b"\x00UTF-8\x00gate\x00LOCK\x00\x00", bytes(8)
    at = 16 + len(texts)
    places = (16, at, modules, at + 8, at + 20)
    return struct.pack("<I5H2x", 0x20010324, *places) + texts + table + bytes(12) + bytes(2)


def messages(*, size: int | None = None, kind: int = 3, tail: bytes = b"") -> bytes:
    said = "Schleuse".encode("utf-16-be")
    body = bytes([kind]) + struct.pack(">I", len(said) if size is None else size) + said
    body += b"\x06" + struct.pack(">I", 4) + b"lock" + b"\x01"
    magic = bytes.fromhex("3cb86418caef9c95cd211cbf60a1bddd")
    return (
        magic
        + b"\x42"
        + struct.pack(">I", 8)
        + bytes(8)
        + b"\x69"
        + struct.pack(">I", len(body))
        + body
        + tail
    )


def bitcode(*, words: int = 3, kind: int = 8, tail: bytes = b"") -> bytes:
    """A module of three words without anything that was looked at."""
    enter = 1 | kind << 2 | 5 << 10
    return b"BC\xc0\xde" + struct.pack("<2I", enter, words) + bytes(12) + tail


def finder(*, place: int = 2048 | 11, tail: bytes = b"") -> bytes:
    """A list of three blocks: itself, an empty one, and the one with the head."""
    root = struct.pack(">2I", 3, 0) + struct.pack(">3I", 4096 | 11, place, 64 | 6) + bytes(4 * 253)
    root += struct.pack(">I", 1) + b"\x04DSDB" + struct.pack(">I", 1)
    free = {5: (32,), 7: (128,), 8: (256,), 9: (512,), 10: (1024,), 12: (8192,)}
    for width in range(32):
        starts = free.get(width, ())
        root += struct.pack(f">{1 + len(starts)}I", len(starts), *starts)
    head = struct.pack(">I4s3I", 1, b"Bud1", 4096, len(root), 4096) + bytes(16)
    return head.ljust(4 + 4096, b"\x00") + root.ljust(2048, b"\x00") + tail


_WRAPPED = struct.pack("<5I", 0x0B17C0DE, 0, 20, 24, 7) + bitcode()


def trained(*, first: int = 148, again: int = 160) -> bytes:
    """Trained data of a reader of letters: a configuration and a table."""
    places = [-1] * 18
    places[0], places[4] = first, again
    return struct.pack("<i18q", 18, *places) + b"a lock opens" + bytes(range(64))


def _honest(title: str, name: str, data: bytes, detected: str):
    return good(title, name, data, outcome=_OPAQUE, detected=detected)


SYSTEM_DATA_GOOD = [
    _honest("a font of a console", "a.psf", psf(), "psf"),
    _honest("a font of a console without characters", "a.psf", psf(mode=0), "psf"),
    _honest("a newer font of a console", "a.psfu", psf2(), "psf"),
    _honest("a compiled font of X", "a.pcf", pcf(), "pcf"),
    _honest("a font of PostScript", "a.pfb", pfb(), "pfb"),
    _honest("keys of OpenPGP", "a.gpg", keyring(), "openpgp"),
    _honest("a certificate in DER", "a.der", certificate(), "der"),
    _honest("data of R", "a.rds", r_items(), "r-data"),
    _honest("a workspace of R", "a.rda", b"RDX3\n" + r_items(), "r-data"),
    _honest("a package of R", "a.rdb", r_database(), "r-database"),
    _honest("a vocabulary", "tokenizer.model", vocabulary(), "sentencepiece"),
    _honest("weights in MessagePack", "flax_model.msgpack", packed(), "msgpack"),
    _honest("trained data", "eng.traineddata", trained(), "tesseract"),
    _honest("a resource", "a.gresource", resource(), "gvdb"),
    _honest("a resource that is packed", "a.gresource", resource(packed_up=True), "gvdb"),
    _honest("a category of a locale", "LC_TELEPHONE", locale(), "glibc-locale"),
    _honest("a list of conversions", "gconv-modules.cache", conversions(), "gconv"),
    _honest("messages of Qt", "a.qm", messages(), "qm"),
    _honest("code for LLVM", "a.bc", bitcode(), "bitcode"),
    _honest("code for LLVM in a wrapper", "a.bc", _WRAPPED, "bitcode"),
    _honest("what a Finder leaves", ".DS_Store", finder(), "ds-store"),
]

_RUNS = b"cos\nsystem\n(S'true'\ntR."
"""A pickle that calls something, without its head."""


def pfb_and_pickle() -> bytes:
    """A font whose first part is also a pickle: its length is the beginning of a text that is thrown away."""
    rest = b"\x00\x00%!" + bytes(60)
    body = rest[2:] + b"0" + _RUNS
    return (
        b"\x80\x01U"
        + bytes([len(rest)])
        + rest[:2]
        + body.ljust(0x55 + 256 * len(rest), b"\x00")
        + b"\x80\x03"
    )


def r_and_pickle() -> bytes:
    """Raw bytes in R's form, of which a pickle takes the head for two texts."""
    raw = bytes(20) + b"0" + _RUNS
    return (
        b"X\n" + struct.pack(">3i", 2, 0x40201, 0x20300) + b"\x000U\x18" + struct.pack(">i", len(raw)) + raw
    )


def bitmap_and_pickle() -> bytes:
    """A bitmap that does not say how long it is, of which a pickle takes the head for bytes."""
    head = struct.pack("<I2i2H6I", 40, 10, 2, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<I4xI", 0, 54) + head + bytes(28) + (b"0" + _RUNS).ljust(36, b"\x00")


SYSTEM_DATA_BAD = [
    bad("a font that is a pickle too", "a.pfb", pfb_and_pickle(), "pickle"),
    bad("data of R that is a pickle too", "a.rds", r_and_pickle(), "pickle"),
    bad("a bitmap that is a pickle too", "a.bmp", bitmap_and_pickle(), "pickle"),
    bad("a secret key of OpenPGP", "a.gpg", keyring(secret=True), "secret-private-key"),
    bad("a private key in DER", "a.der", private_key(), "secret-private-key"),
    bad("data of R that runs when it is read", "a.rds", r_items(promise=True), "r-promise"),
    bad("weights that are named as another kind", "a.safetensors", packed(), "type-mismatch"),
]

SYSTEM_DATA_UNREAD = [
    ("a font of a console with bytes behind", "a.psf", psf(mode=0, tail=b"hidden words")),
    ("a font of a console with words in its table", "a.psf", psf(tail=b"hidden words")),
    ("a font of a console with a short table", "a.psf", psf(rows=99)),
    ("a newer font of a console of another size", "a.psf", psf2(size=9)),
    ("a newer font of a console with a row too many", "a.psf", psf2(rows=b"a\xffb\xffc\xff")),
    ("a newer font of a console with no characters", "a.psf", psf2(rows=b"\xc0\xffb\xff")),
    ("a compiled font with bytes behind", "a.pcf", pcf(tail=b"hidden words")),
    ("a compiled font whose tables share bytes", "a.pcf", pcf(at=44)),
    ("a compiled font with a table past its end", "a.pcf", pcf(at=1 << 20)),
    ("a compiled font with a table that is not known", "a.pcf", pcf(kind=3)),
    ("a compiled font of another format", "a.pcf", pcf(form=9)),
    ("a font of PostScript with bytes behind", "a.pfb", pfb(tail=b"hidden words")),
    ("a font of PostScript past its end", "a.pfb", pfb(size=1 << 20)),
    ("keys with bytes behind", "a.gpg", keyring(more=b"hidden words\x00")),
    ("keys with a message", "a.gpg", keyring(more=packet(11, b"b\x00" + bytes(4) + b"words"))),
    ("keys with what is encrypted", "a.gpg", keyring(more=packet(18, b"\x01" + bytes(40)))),
    ("a certificate with bytes behind", "a.der", certificate(tail=b"hidden words\x00")),
    ("a certificate with a value past its end", "a.der", certificate(inner=b"\x30\x7f\x02")),
    ("a certificate with a value of a long form", "a.der", certificate(inner=b"\x04\x81\x01\x00")),
    ("data of R with bytes behind", "a.rds", r_items(tail=b"hidden words")),
    ("data of R that is cut", "a.rds", r_items()[:-5]),
    ("data of R that refers to nothing", "a.rds", r_items(refers=9)),
    ("data of R of a kind that is not known", "a.rds", r_items(kind=99)),
    ("data of R of lists in lists", "a.rds", r_items()[:23] + struct.pack(">2i", 19, 1) * 900),
    ("a package of R with bytes behind", "a.rdb", r_database(tail=b"hidden words")),
    ("a package of R of another length", "a.rdb", r_database(said=7)),
    ("a vocabulary with a field that is not known", "a.model", vocabulary(field=_key(99, 0) + b"\x01")),
    ("a vocabulary with a field of another kind", "a.model", vocabulary(field=b"\x0d" + bytes(4))),
    ("a vocabulary with bytes behind", "a.model", vocabulary(tail=b"hidden words")),
    ("weights in MessagePack with bytes behind", "a.msgpack", packed(tail=b"hidden words")),
    ("weights in MessagePack that are cut", "a.msgpack", packed()[:-1]),
    ("trained data with a gap", "eng.traineddata", trained(first=150)),
    ("trained data past its end", "eng.traineddata", trained(again=9999)),
    ("trained data in one place twice", "eng.traineddata", trained(again=148)),
    ("a resource of another length", "a.gresource", resource(size=99)),
    ("a resource over its names", "a.gresource", resource(shift=-16)),
    ("a resource with bytes behind", "a.gresource", resource(tail=b"hidden words")),
    ("a category of a locale out of order", "LC_TELEPHONE", locale(second=9)),
    ("a category of a locale past its end", "LC_TELEPHONE", locale(second=999)),
    ("a list of conversions with a gap", "gconv-modules.cache", conversions(modules=1)),
    ("messages past their part", "a.qm", messages(size=999)),
    ("messages of a part that is not known", "a.qm", messages(kind=9)),
    ("messages with bytes behind", "a.qm", messages(tail=b"hidden words")),
    ("code for LLVM with bytes behind", "a.bc", bitcode(tail=b"hidden words")),
    ("code for LLVM past its end", "a.bc", bitcode(words=99)),
    ("code for LLVM of a block that is not known", "a.bc", bitcode(kind=99)),
    ("a Finder's block past its file", ".DS_Store", finder(place=1 << 20 | 11)),
    ("a Finder's block over its list", ".DS_Store", finder(place=4096 | 10)),
    ("what a Finder leaves with bytes behind", ".DS_Store", finder(tail=b"hidden words")),
]
