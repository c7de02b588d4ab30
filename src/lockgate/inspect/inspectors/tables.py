"""Small tables that packages carry: message catalogues, time zones, icons and GIF pictures.

Formats: GNU gettext manual, "The Format of GNU MO Files"; RFC 9636 (TZif); Microsoft's ICO and CUR
(an index of PNG or bitmap pictures); GIF89a (CompuServe).
"""

import re
import struct
from itertools import pairwise

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.texts import scan
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_MO_ORDERS = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}
_MO_HEAD, _MO_HEAD_SYSTEM = 28, 48
_MO_LAST_SEGMENT = 0xFFFFFFFF
"""Marks the last part of a text (``SEGMENTS_END`` in gettext's ``gmo.h``)."""
_TZ_HEAD = struct.Struct(">4sc15x6L")
_TZ_TIMES = {1: 4, 2: 8}
_TZ_FOOTER = re.compile(rb"\n[\x20-\x7e]{0,64}\n")
_ICO_HEAD, _ICO_ENTRY = struct.Struct("<3H"), struct.Struct("<4B2H2L")
_DIB = struct.Struct("<3L2H6L")
_GIF_HEAD = 13
_GIF_TABLE = 0x80
_GIF_BLOCKS = 1_000_000


class CatalogueInspector(Inspector):
    """Compiled messages: two tables of texts that lie inside the file."""

    name = "mo"
    version = 2
    detects = frozenset({"mo"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim header, tables, texts and the hash table."""
        order = _MO_ORDERS[bytes(data[:4])]
        if len(data) < _MO_HEAD:
            raise _broken("The catalogue ends inside its header.", 0)
        revision, count, originals, translations, size, hashes = struct.unpack_from(f"{order}6I", data, 4)
        demand(count, context.limits.entries, "entries")
        if revision >> 16 > 1:
            what = f"Revision {revision} of the catalogue is not known."
            raise _broken(what, 4)
        tally.claim(0, _MO_HEAD)
        for table in (originals, translations):
            if table + 8 * count > len(data):
                raise _broken("A table of the catalogue ends past the file.", table)
            tally.claim(table, table + 8 * count)
            for index in range(count):
                length, at = struct.unpack_from(f"{order}2I", data, table + 8 * index)
                if at + length >= len(data) or data[at + length]:
                    raise _broken("A text of the catalogue ends past the file, or has no end.", at)
                scan(tally, bytes(data[at : at + length]).decode("utf-8", "replace"), lenient=True)
                tally.claim(at, at + length + 1)
        if hashes + 4 * size <= len(data):
            tally.claim(hashes, hashes + 4 * size)
        if revision & 0xFFFF and len(data) >= _MO_HEAD_SYSTEM:
            _system_texts(data, tally, order, context)
        _alignment(data, tally)


def _alignment(data: memoryview, tally: Tally) -> None:
    for start, end in tally.gaps():
        if end - start < 8 and not any(data[start:end]):  # noqa: PLR2004  # alignment
            tally.claim(start, end)


def _system_texts(data: memoryview, tally: Tally, order: str, context: Context) -> None:
    """Claim texts with parts that the reading system fills in (minor revision 1: formats of numbers)."""
    segments, segment_table, count, *tables = struct.unpack_from(f"{order}5I", data, _MO_HEAD)
    demand(max(count, segments), context.limits.entries, "entries")

    def words(at: int, number: int) -> tuple[int, ...]:
        if at + 4 * number > len(data):
            raise _broken("A table of the catalogue ends past the file.", at)
        tally.claim(at, at + 4 * number)
        return struct.unpack_from(f"{order}{number}I", data, at)

    words(_MO_HEAD, 5)
    said = words(segment_table, 2 * segments)
    parts = list(zip(said[::2], said[1::2], strict=True))
    for at in (start for table in tables for start in words(table, count)):
        (text,) = words(at, 1)
        for place in range(at + 4, len(data), 8):
            length, segment = words(place, 2)
            parts.append((length, text))
            text += length
            if segment == _MO_LAST_SEGMENT:
                break
        demand(len(parts), context.limits.entries, "entries")
    for length, at in parts:
        if at + length > len(data):
            raise _broken("A text of the catalogue ends past the file.", at)
        scan(tally, bytes(data[at : at + length]).decode("utf-8", "replace"), lenient=True)
        tally.claim(at, at + length)


class ZoneInspector(Inspector):
    """A compiled time zone, of version 1 or with the second block of later versions."""

    name = "tzif"
    version = 1
    detects = frozenset({"tzif"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim both blocks and the footer."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        end, version = _zone(data, 0, 1)
        if version >= b"2":
            end, _ = _zone(data, end, 2)
            footer = _TZ_FOOTER.match(data, end)
            if not footer:
                raise _broken("The time zone has no footer.", end)
            end = footer.end()
        tally.claim(0, end)


def _zone(data: memoryview, at: int, block: int) -> tuple[int, bytes]:
    if at + _TZ_HEAD.size > len(data):
        raise _broken("The time zone ends inside its header.", at)
    magic, version, utc, standard, leaps, times, kinds, letters = _TZ_HEAD.unpack_from(data, at)
    width = _TZ_TIMES[block]
    size = times * (width + 1) + kinds * 6 + letters + leaps * (width + 4) + standard + utc
    end = at + _TZ_HEAD.size + size
    if magic != b"TZif" or end > len(data):
        raise _broken("The time zone is not as long as its header says.", at)
    return end, version


class IconInspector(Inspector):
    """An index of pictures, each inspected as PNG or checked as a bitmap."""

    name = "ico"
    version = 1
    detects = frozenset({"ico"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the index and the pictures."""
        _, _, count = _ICO_HEAD.unpack_from(data)
        table = _ICO_HEAD.size + count * _ICO_ENTRY.size
        if table > len(data):
            raise _broken("The icon ends inside its index.", 0)
        tally.claim(0, table)
        spans = []
        for index in range(count):
            *_, size, at = _ICO_ENTRY.unpack_from(data, _ICO_HEAD.size + index * _ICO_ENTRY.size)
            if at < table or at + size > len(data):
                raise _broken("A picture of the icon lies past the file.", at)
            spans.append((at, at + size))
            if bytes(data[at : at + 4]) == b"\x89PNG":
                context.budget.member(size)
                if tally.absorb(context.inspect(data[at : at + size], context.member(f"{index}.png"))):
                    tally.claim(at, at + size)
            else:
                _bitmap(data, at, size)
                tally.claim(at, at + size)
        for before, after in pairwise(sorted(set(spans))):
            if after[0] < before[1]:
                tally.note("ico-overlap", Severity.MEDIUM, "Two pictures share bytes.", after[0])


def _bitmap(data: memoryview, at: int, size: int) -> None:
    if size < _DIB.size:
        raise _broken("A bitmap of the icon is too short.", at)
    head, width, height, planes, bits, packing, *_, used, _ = _DIB.unpack_from(data, at)
    row = -(-width * bits // 32) * 4
    mask = -(-width // 32) * 4
    colours = (used or 1 << bits) if bits <= 8 else used  # noqa: PLR2004  # palettes end at 8 bits
    need = head + 4 * colours + (row + mask) * (height // 2)
    least = need - mask * (height // 2)
    if head != _DIB.size or planes > 1 or packing or not least <= size <= need + 64:
        raise _broken("A bitmap of the icon is not as long as its header says.", at)


_MOST_PADDING = 512
"""Zeros that a program may leave behind a picture, in bytes: up to a block of a disk."""


class GifInspector(Inspector):
    """A GIF picture: blocks up to the end mark."""

    name = "gif"
    version = 2
    detects = frozenset({"gif"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim every block, and zeros behind; what else follows the end mark stays unclaimed."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        tally.opaque.add("gif")
        try:
            end = _gif(data)
        except IndexError as error:
            raise _broken("The picture has no end.", len(data)) from error
        tally.claim(0, end)
        if len(data) - end <= _MOST_PADDING and not any(data[end:]):
            tally.claim(end, len(data))
        elif end < len(data):
            tally.note("gif-tail", Severity.HIGH, f"{len(data) - end} bytes follow the picture.", end)


def _gif(data: memoryview) -> int:
    at = _GIF_HEAD + _palette(data[10])
    for _ in range(_GIF_BLOCKS):
        kind = data[at]
        if kind == 0x3B:  # noqa: PLR2004  # trailer
            return at + 1
        if kind == 0x21:  # noqa: PLR2004  # extension
            at = _chain(data, at + 2)
        elif kind == 0x2C:  # noqa: PLR2004  # picture
            at = _chain(data, at + 11 + _palette(data[at + 9]))
        else:
            raise _broken("The picture has a block that is not known.", at)
    raise _broken("The picture has too many blocks.", at)


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & _GIF_TABLE else 0


def _chain(data: memoryview, at: int) -> int:
    while data[at]:
        at += data[at] + 1
    return at + 1


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
