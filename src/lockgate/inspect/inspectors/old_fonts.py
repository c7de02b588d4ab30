"""Fonts of terminals, X, GRUB and PostScript: PSF, PCF, PF2 and PFB; the shapes are opaque.

Formats: the Linux console's PSF 1 and 2 (``psfaddtable(1)``); PCF as libXfont reads it
(``bitmap/pcfread.c``); GRUB's ``font_format`` (manual for
developers); Adobe Technical Note 5040, section 3.3 (PFB).
"""

import struct

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.spans import Spans
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_PSF2 = struct.Struct("<8I")
_PSF2_MAGIC = b"\x72\xb5\x4a\x86"
_MODE_512, _MODE_TABLES = 1, 6
_GLYPHS = 1 << 21
_PCF_ENTRY = struct.Struct("<4I")
_PCF_KINDS = frozenset(1 << bit for bit in range(9))
_PCF_TABLES = 64
_PCF_ACCELERATORS = frozenset({2, 256})
_PCF_INK = 0x100
_PF2_ENTRY, _PF2_GLYPH = struct.Struct(">IBI"), 10
_PFB_MARK, _PFB_END = 0x80, 3
_PFB_KINDS = frozenset({1, 2})


class ConsoleFontInspector(Inspector):
    """A font of a console: glyphs of one size, and which characters they stand for."""

    name = "psf"
    version = 1
    detects = frozenset({"psf"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim head, glyphs and table."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        tally.opaque.add("font")
        if bytes(data[:4]) == _PSF2_MAGIC:
            _, version, head, flags, count, size, height, width = _PSF2.unpack_from(data)
            if version or head < _PSF2.size or size != height * (-(-width // 8)):
                raise _broken("The head of the font is not as the format says.", 4)
            mapped, ends = bool(flags & 1), _psf2_ends
        else:
            head = 4
            mode, size = struct.unpack_from("2B", data, 2)
            count = 512 if mode & _MODE_512 else 256
            mapped, ends = bool(mode & _MODE_TABLES), _psf1_ends
        end = head + demand(count, _GLYPHS, "glyphs") * size
        if end > len(data):
            raise _broken("The glyphs end past the file.", head)
        if mapped and ends(bytes(data[end:])) != count:
            raise _broken("The table of characters has not one row for each glyph.", end)
        tally.claim(0, len(data) if mapped else end)


def _psf1_ends(table: bytes) -> int:
    """Return how many rows a table has; each ends with a mark of two bytes, and so does the table."""
    if len(table) % 2 or table[-2:] != b"\xff\xff":
        return -1
    return struct.unpack(f"<{len(table) // 2}H", table).count(0xFFFF)


def _psf2_ends(table: bytes) -> int:
    """Return how many rows a table has; they are UTF-8, in which the marks cannot be."""
    if table[-1:] != b"\xff":
        return -1
    try:
        table.replace(b"\xff", b"\n").replace(b"\xfe", b"\t").decode("utf-8")
    except UnicodeDecodeError:
        return -1
    return table.count(b"\xff")


class PcfInspector(Inspector):
    """A compiled font of X: tables where the list of tables says."""

    name = "pcf"
    version = 1
    detects = frozenset({"pcf"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the list and the tables; each table repeats its format at its beginning."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        tally.opaque.add("font")
        (count,) = struct.unpack_from("<I", data, 4)
        spans = Spans(data, tally)
        spans.take(0, 8 + _PCF_ENTRY.size * demand(count, _PCF_TABLES, "font tables"))
        kinds: set[int] = set()
        for index in range(count):
            kind, form, size, at = _PCF_ENTRY.unpack_from(data, 8 + index * _PCF_ENTRY.size)
            if kind not in _PCF_KINDS or kind in kinds or size < 4 or at % 4:  # noqa: PLR2004  # a table's format
                raise _broken("A table of the font is not known, or is there twice.", at)
            kinds.add(kind)
            table = spans.take(
                at, _accelerators(size, len(data) - at, form) if kind in _PCF_ACCELERATORS else size
            )
            if int.from_bytes(table[:4], "little") != form:
                raise _broken("A table of the font is not of the format that the list says.", at)
        spans.close(fill=4)
        look(tally, [texts_of(data)], context)


class BootFontInspector(Inspector):
    """A font of GRUB: sections with a name and a length, the last of which holds the glyphs."""

    name = "pf2"
    version = 1
    detects = frozenset({"pf2"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim sections and glyphs."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        tally.opaque.add("font")
        spans = Spans(data, tally)
        at, index = 0, memoryview(b"")
        while at < len(data):
            name, size = struct.unpack_from(">4sI", data, at)
            if name == b"DATA":
                spans.take(at, 8)
                break
            part = spans.take(at, 8 + size)
            index = part[8:] if name == b"CHIX" else index
            at += 8 + size
        count, rest = divmod(len(index), _PF2_ENTRY.size)
        if rest or at >= len(data):
            raise _broken("The font has no glyphs, or its list is not as long as its entries.", at)
        for start in {_PF2_ENTRY.unpack_from(index, _PF2_ENTRY.size * number)[2] for number in range(count)}:
            width, height = struct.unpack_from(">2H", data, start)
            spans.take(start, _PF2_GLYPH + -(-width * height // 8))
        spans.close()
        look(tally, [texts_of(data[:at])], context)


def _accelerators(said: int, left: int, form: int) -> int:
    """Return how long a table of accelerators is: the one at the end is shorter than what writes it says."""
    return said if said <= left else max(left, 72 if form & _PCF_INK else 48)


class PfbInspector(Inspector):
    """A font of PostScript in parts: text, what is encrypted, and text again."""

    name = "pfb"
    version = 1
    detects = frozenset({"pfb"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the parts up to the end mark."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        tally.opaque.add("font")
        at, texts = 0, list[str]()
        while bytes(data[at : at + 2]) != bytes([_PFB_MARK, _PFB_END]):
            kind = data[at + 1] if at + 6 <= len(data) and data[at] == _PFB_MARK else 0
            stop = at + 6 + int.from_bytes(data[at + 2 : at + 6], "little")
            if kind not in _PFB_KINDS or stop > len(data):
                raise _broken("A part of the font has no head or ends past the file.", at)
            if kind == 1:
                texts.append(texts_of(data[at + 6 : stop]))
            at = stop
        tally.claim(0, at + 2)
        look(tally, texts, context)


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
