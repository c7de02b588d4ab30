"""Plain pictures: bitmaps of Windows, TIFF and its kin, and netpbm; the points are opaque.

Formats: "Bitmap Storage" (Microsoft, headers of 12 to 124 bytes); TIFF 6.0 and BigTIFF, with the directories
of EXIF; netpbm's pbm(5), pgm(5), ppm(5), pam(5).
"""

import re
import struct

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.spans import Spans
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_BMP_HEAD = 14
_BMP_FORMS = frozenset({12, 40, 52, 56, 64, 108, 124})
_PLAIN, _BITFIELDS = frozenset({0, 3, 6}), frozenset({3, 6})
_RUN_LENGTH = frozenset({1, 2})
_TIFF_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_TIFF_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_TIFF_PARTS = {273: 279, 324: 325, 288: 289, 513: 514}
"""Tag of places → tag of how many bytes lie there: strips, tiles, free blocks, a small picture as JPEG."""
_TIFF_FOLDERS = frozenset({330, 400, 34665, 34853, 40965})
_TIFF_FILL, _TIFF_HEAD = 16, 8
_MOST_FOLDERS = 10_000
_WORD = re.compile(rb"(?:[\t\n\r ]|#([^\n\r]*)[\n\r])*(\d{1,9})")
_DEEP = 256


class BitmapInspector(Inspector):
    """A bitmap: head, colours, and rows of points up to the end of the file."""

    name = "bmp"
    version = 1
    detects = frozenset({"bmp"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the whole where the lengths add up."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        tally.opaque.add("bmp")
        said, start, form = struct.unpack_from("<I4x2I", data, 2)
        if said not in {len(data), 0} or form not in _BMP_FORMS:
            raise _broken("The bitmap is not as long as its head says, or has a head that is not known.", 2)
        packing = used = 0
        if form == 12:  # noqa: PLR2004  # of OS/2
            width, height, _, bits = struct.unpack_from("<4H", data, 18)
        else:
            width, height, _, bits, packing, _, _, _, used = struct.unpack_from("<2i2H2I2iI", data, 18)
        colours = (used or 1 << bits) if bits <= 8 else used  # noqa: PLR2004  # palettes end at 8 bits
        entry = 3 if form == 12 else 4  # noqa: PLR2004  # as above
        masks = (16 if packing == 6 else 12) if form == 40 and packing in _BITFIELDS else 0  # noqa: PLR2004  # BITMAPINFOHEADER
        head = _BMP_HEAD + form + masks
        if start < head or start > head + entry * demand(colours, 1 << 16, "colours") or start > len(data):
            raise _broken("The points do not lie behind the colours.", 10)
        if width < 0 or packing not in _PLAIN | _RUN_LENGTH:
            raise _broken("The bitmap is packed in a way that is not known.", 18)
        rows = -(-width * bits // 32) * 4 * abs(height)
        fills = start + rows <= len(data) <= start + rows + 2 and not any(data[start + rows :])
        if packing in _PLAIN and not fills:
            raise _broken("The points are not as many as the head says.", start)
        if packing in _RUN_LENGTH and _runs(data, start, bits) != len(data):
            raise _broken("Bytes follow the points.", start)
        tally.claim_all()


def _runs(data: memoryview, at: int, bits: int) -> int:
    """Return where run-length coded points end, with what aligns them to two bytes."""
    while at + 1 < len(data):
        count, value = data[at], data[at + 1]
        at += 2
        if count or value == 0:
            continue
        if value == 1:
            return at if len(data) - at > 2 or any(data[at:]) else len(data)  # noqa: PLR2004  # alignment
        if value == 2:  # noqa: PLR2004  # a step to the right and down
            at += 2
        else:
            size = value if bits == 8 else (value + 1) // 2  # noqa: PLR2004  # a byte for each point, or two points
            at += size + (size & 1)
    raise _broken("The points have no end.", at)


class TiffInspector(Inspector):
    """Directories of tags, and what they say lies where."""

    name = "tiff"
    version = 1
    detects = frozenset({"tiff"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim head, directories, values and parts, each once."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        tally.opaque.add("tiff")
        walk = _Tiff(data, tally, context)
        walk.read()
        walk.spans.close(fill=_TIFF_FILL)
        for start, end in tally.gaps():
            if walk.appended(start, end):
                tally.claim(start, end)
        look(tally, walk.texts, context)


class _Tiff:
    def __init__(self, data: memoryview, tally: Tally, context: Context) -> None:
        self.data, self.limits = data, context.limits
        self.order = "<" if bytes(data[:2]) == b"II" else ">"
        self.big = struct.unpack_from(f"{self.order}H", data, 2)[0] == 43  # noqa: PLR2004  # BigTIFF
        self.spans = Spans(data, tally)
        self.texts: list[str] = []
        self.seen: set[int] = set()

    def read(self) -> None:
        self.spans.take(0, 16 if self.big else 8)
        first = (
            struct.unpack_from(f"{self.order}Q", self.data, 8)
            if self.big
            else struct.unpack_from(f"{self.order}I", self.data, 4)
        )
        waiting = [first[0]]
        while waiting:
            at = waiting.pop()
            if not at:
                continue
            if at in self.seen or at > len(self.data):
                raise _broken("A directory is reached twice or lies past the file.", at)
            self.seen.add(at)
            demand(len(self.seen), _MOST_FOLDERS, "directories")
            waiting.extend(self.folder(at))

    def appended(self, start: int, end: int) -> bool:
        """Return whether a gap is the head of a page that was appended as a file, aligned by zeros."""
        head = bytes(self.data[end - _TIFF_HEAD : end])
        zeros = end - _TIFF_HEAD - start
        if not 0 <= zeros < _TIFF_FILL or any(self.data[start : start + zeros]) or self.big:
            return False
        magic, place = struct.unpack(f"{self.order}4sI", head)
        return bytes(magic) == bytes(self.data[:4]) and place < len(self.data)

    def folder(self, at: int) -> list[int]:
        """Walk one directory; return the places of others."""
        width, entry = (8, 20) if self.big else (2, 12)
        (count,) = struct.unpack_from(f"{self.order}{'Q' if self.big else 'H'}", self.data, at)
        demand(count, self.limits.entries, "entries")
        word = 8 if self.big else 4
        self.spans.take(at, width + entry * count + word)
        found: dict[int, tuple[int, ...]] = {}
        for place in range(at + width, at + width + entry * count, entry):
            self.tag(place, found)
        for places, sizes in _TIFF_PARTS.items():
            starts, lengths = found.get(places, ()), found.get(sizes, ())
            if len(starts) != len(lengths):
                raise _broken("There are more places than lengths.", at)
            for start, length in zip(starts, lengths, strict=True):
                self.spans.take(start, length)
        form = f"{self.order}{'Q' if self.big else 'I'}"
        (following,) = struct.unpack_from(form, self.data, at + width + entry * count)
        return [following, *(place for tag in sorted(_TIFF_FOLDERS & found.keys()) for place in found[tag])]

    def tag(self, place: int, found: dict[int, tuple[int, ...]]) -> None:
        """Read one tag: its values lie in it, or where it says."""
        if self.big:
            tag, kind, count = struct.unpack_from(f"{self.order}2HQ", self.data, place)
        else:
            tag, kind, count = struct.unpack_from(f"{self.order}2HI", self.data, place)
        size = _TIFF_SIZES.get(kind, 0) * count
        if not _TIFF_SIZES.get(kind) or tag in found:
            raise _broken("A tag has a type that is not known, or is there twice.", place)
        at, room = (place + 12, 8) if self.big else (place + 8, 4)
        if size > room:
            (at,) = struct.unpack_from(f"{self.order}{'Q' if self.big else 'I'}", self.data, at)
            self.spans.take(at, size)
        if kind in _TIFF_INTEGERS and (
            tag in _TIFF_FOLDERS or tag in _TIFF_PARTS or tag in _TIFF_PARTS.values()
        ):
            demand(count, self.limits.entries, "entries")
            found[tag] = struct.unpack_from(f"{self.order}{count}{_TIFF_INTEGERS[kind]}", self.data, at)
        else:
            found[tag] = ()
            if size > room and kind in {1, 2, 7}:  # bytes, text, and what has no type
                self.texts.append(texts_of(self.data[at : at + size]))


class NetpbmInspector(Inspector):
    """A line or two of numbers, and as many points as they say."""

    name = "netpbm"
    version = 1
    detects = frozenset({"netpbm"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim head and points; several pictures may follow one another."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        tally.opaque.add("netpbm")
        at = 0
        while at < len(data):
            start, size, notes = _netpbm_head(data, at)
            if not start or start + size > len(data):
                raise _broken("A picture has no head or ends past the file.", at)
            context.budget.member(0)
            look(tally, [notes.decode("utf-8", "replace")], context)
            at = start + size
        tally.claim(0, at)


def _netpbm_head(data: memoryview, at: int) -> tuple[int, int, bytes]:
    """Return where the points of a picture begin, how many bytes they take, and what notes say."""
    head = bytes(data[at : at + 4096])
    kind = head[1] - ord("0") if head[:1] == b"P" and len(head) > 2 else 0  # noqa: PLR2004  # P4, P5 and P6
    if kind not in {4, 5, 6}:
        return 0, 0, b""
    numbers: list[int] = []
    notes: list[bytes] = []
    place = 2
    for _ in range(2 if kind == 4 else 3):  # noqa: PLR2004  # pictures of bits have no greatest value
        found = _WORD.match(head, place)
        if not found:
            return 0, 0, b""
        notes.extend(part for part in head[place : found.start(2)].split(b"\n") if part.strip())
        numbers.append(int(found[2]))
        place = found.end()
    if head[place : place + 1] not in {b" ", b"\n", b"\t", b"\r"}:
        return 0, 0, b""
    width, height = numbers[:2]
    if kind == 4:  # noqa: PLR2004  # as above
        return at + place + 1, -(-width // 8) * height, b"\n".join(notes)
    deep = 2 if numbers[2] >= _DEEP else 1
    return at + place + 1, width * height * deep * (3 if kind == 6 else 1), b"\n".join(notes)  # noqa: PLR2004  # of colours


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
