"""Images and tables that packages carry: PNG, JPEG and FITS, by their structure.

Formats: PNG (W3C, third edition), JPEG (ITU-T T.81), FITS 4.0 (IAU FITS Working Group).
"""

import re
import struct
import zlib
from math import prod

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_PNG_MAGIC = 8
_PNG_HEAD = struct.Struct(">L4s")
_IHDR = struct.Struct(">2L5B")
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_FILTERS = 5
_MOST_CHUNKS = 100_000
_JPEG_FILL = 4
FILL = 3
"""Bytes behind an image that programs leave there: a line's end, or what fills a word up."""
"""Bytes of padding that writers leave behind a picture."""
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_NOTES = frozenset({0xE1, 0xED, 0xFE})
"""Segments that hold texts: Exif and XMP, Photoshop's and IPTC's, and comments."""
_NUMBERS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"fdAT", b"iCCP"})
"""Chunks of numbers alone."""
_NOTE_BYTES = 1 << 20
"""How long a packed note may be, in bytes."""
_FITS_BLOCK, _FITS_CARD = 2880, 80
_FITS_FILL = {0, 0x20}
_CARD = re.compile(r"([A-Z0-9_-]+) *= *('(?:[^']|'')*'|[^ /]+)")


class PngInspector(Inspector):
    """Walks the chunks, checks each sum, and unpacks the image data."""

    name = "png"
    version = 3
    detects = frozenset({"png"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim every chunk up to IEND; what follows stays unclaimed."""
        at = _PNG_MAGIC
        image, notes = bytearray(), list[str]()
        first = b""
        for _ in range(_MOST_CHUNKS):
            kind, body, stop = _chunk(data, at)
            first = first or bytes(body)
            if kind == b"IDAT":
                image += body
            elif kind not in _NUMBERS:
                notes.append(_note(kind, body))
            if kind == b"IEND":
                look(tally, notes, context)
                _pixels(first, bytes(image), context)
                tally.claim(0, stop)
                _tail(tally, "png-tail", stop, "image")
                return
            at = stop
        demand(_MOST_CHUNKS + 1, _MOST_CHUNKS, "png chunks")


def _note(kind: bytes, body: memoryview) -> str:
    """Return the text of a chunk; what is packed in it is unpacked up to a bound."""
    name, _, rest = bytes(body).partition(b"\0")
    packed = b""
    if kind == b"zTXt":
        packed = rest[1:]
    elif kind == b"iTXt" and rest[:1] == b"\x01":
        packed = b"\0".join(rest[2:].split(b"\0", 2)[2:])
    try:
        text = zlib.decompressobj().decompress(packed, _NOTE_BYTES) if packed else b""
    except zlib.error as error:
        what = f"The note {name[:79]!r} cannot be unpacked."
        raise BrokenContentError(what) from error
    return texts_of(memoryview(text or body))


def _tail(tally: Tally, code: str, stop: int, what: str) -> None:
    """Note what follows an image; what fills a word up carries nothing."""
    if not (rest := tally.size - stop):
        return
    fills = rest <= FILL
    if fills:
        tally.claim(stop, tally.size)
    severity = Severity.INFO if fills else Severity.HIGH
    tally.note(code, severity, f"{rest} bytes follow the {what}.", stop)


def _chunk(data: memoryview, at: int) -> tuple[bytes, memoryview, int]:
    if at + _PNG_HEAD.size + 4 > len(data):
        what = "The image ends before its last chunk."
        raise BrokenContentError(what, at=at)
    length, kind = _PNG_HEAD.unpack_from(data, at)
    start = at + _PNG_HEAD.size
    stop = start + length + 4
    if stop > len(data) or zlib.crc32(data[at + 4 : start + length]) != int.from_bytes(
        data[stop - 4 : stop], "big"
    ):
        what = "A chunk ends past the file or does not match its check sum."
        raise BrokenContentError(what, at=at)
    if (at == _PNG_MAGIC) != (kind == b"IHDR") or not kind.isalpha():
        what = f"The chunk {kind!r} does not belong there."
        raise BrokenContentError(what, at=at)
    if kind[0] & 0x20 == 0 and kind not in {b"IHDR", b"PLTE", b"IDAT", b"IEND"}:
        what = f"The chunk {kind!r} is critical and not known."
        raise BrokenContentError(what, at=at)
    return kind, data[start : stop - 4], stop


def _pixels(head: bytes, image: bytes, context: Context) -> None:
    if len(head) != _IHDR.size:
        what = "The image header has another size than the format says."
        raise BrokenContentError(what, at=_PNG_MAGIC)
    width, height, bits, colour, *rest = _IHDR.unpack(head)
    if colour not in _CHANNELS or rest[:2] != [0, 0]:
        what = "The image uses a method that is not known."
        raise BrokenContentError(what, at=_PNG_MAGIC)
    need = height * (1 + -(-width * bits * _CHANNELS[colour] // 8))
    bound = demand(2 * need + 64, context.limits.member_bytes, "member_bytes")
    inflater = zlib.decompressobj()
    pixels = inflater.decompress(image, bound)
    exact = rest[2] or len(pixels) == need
    if not inflater.eof or inflater.unused_data or not exact:
        what = "The image data is not as long as the header says."
        raise BrokenContentError(what, at=_PNG_MAGIC)
    if not rest[2] and height and max(pixels[:: need // height], default=0) >= _FILTERS:
        what = "A line of the image uses a filter that is not known."
        raise BrokenContentError(what, at=_PNG_MAGIC)


class JpegInspector(Inspector):
    """Walks the markers; the coded picture is opaque."""

    name = "jpeg"
    version = 3
    detects = frozenset({"jpeg"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim every segment up to the end mark."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        tally.opaque.add("jpeg")
        at, notes = 2, list[str]()
        for _ in range(_MOST_CHUNKS):
            if at + 2 > len(data) or data[at] != 0xFF:  # noqa: PLR2004  # every marker begins so
                what = "A marker is missing."
                raise BrokenContentError(what, at=at)
            marker = data[at + 1]
            if marker == _EOI:
                look(tally, notes, context)
                tally.claim(0, at + 2)
                if at + 2 < len(data) <= at + 2 + _JPEG_FILL and set(data[at + 2 :]) <= {0, 0xD9, 10, 13}:
                    tally.claim(at + 2, len(data))
                else:
                    _tail(tally, "jpeg-tail", at + 2, "picture")
                return
            at += 2
            if marker not in _ALONE and marker not in {_SOI, 0xFF}:
                start, at = at + 2, at + int.from_bytes(data[at : at + 2], "big")
                if marker in _NOTES:
                    notes.append(texts_of(data[start:at]))
            if marker == _SOS:
                at = _scan(data, at)
        demand(_MOST_CHUNKS + 1, _MOST_CHUNKS, "jpeg segments")


_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def _scan(data: memoryview, at: int) -> int:
    found = _NEXT_MARKER.search(data, at)
    if not found:
        what = "The coded picture has no end."
        raise BrokenContentError(what, at=at)
    return found.start()


class FitsInspector(Inspector):
    """Checks header cards and the length of each data unit."""

    name = "fits"
    version = 1
    detects = frozenset({"fits"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim header and data units; numbers need no further reading."""
        at = 0
        while at < len(data):
            context.budget.member(0)
            cards, start = _cards(data, at)
            axes = [
                _integer(cards, f"NAXIS{n + 1}")
                for n in range(demand(_integer(cards, "NAXIS"), 999, "fits axes"))
            ]
            items = prod(axes) if axes else 0
            groups = cards.get("GCOUNT", "1")
            size = abs(_integer(cards, "BITPIX")) // 8 * (items + _integer(cards, "PCOUNT", 0)) * int(groups)
            stop = start + -(-size // _FITS_BLOCK) * _FITS_BLOCK
            if size < 0 or stop > len(data) or set(data[start + size : stop]) - _FITS_FILL:
                what = "A data unit ends past the file, or its padding holds data."
                raise BrokenContentError(what, at=start)
            tally.claim(at, stop)
            at = stop


def _cards(data: memoryview, at: int) -> tuple[dict[str, str], int]:
    cards: dict[str, str] = {}
    for start in range(at, len(data) - _FITS_CARD + 1, _FITS_CARD):
        raw = bytes(data[start : start + _FITS_CARD])
        if not raw.isascii() or any(byte < 32 for byte in raw):  # noqa: PLR2004  # cards are printable
            what = "A header card is not printable."
            raise BrokenContentError(what, at=start)
        text = raw.decode("ascii")
        if text.rstrip() == "END":
            stop = at + -(-(start + _FITS_CARD - at) // _FITS_BLOCK) * _FITS_BLOCK
            if bytes(data[start + _FITS_CARD : stop]).strip(b" "):
                break
            return cards, stop
        if found := _CARD.match(text):
            cards.setdefault(found[1], found[2])
    what = "The header has no end."
    raise BrokenContentError(what, at=at)


def _integer(cards: dict[str, str], key: str, default: int | None = None) -> int:
    value = cards.get(key)
    if value is None and default is not None:
        return default
    if value is None or not re.fullmatch(r"[+-]?\d{1,15}", value):
        what = f"The header card {key} is missing or no number."
        raise BrokenContentError(what)
    return int(value)
