"""Films, and pictures in the same containers: MP4 and its kin (HEIF, AVIF, JPEG 2000), Matroska and WebM.

Formats: ISO/IEC 14496-12 (boxes), ISO/IEC 15444-1 annex I; RFC 8794 (EBML) and RFC 9559 (Matroska). What is
shown and heard is opaque; files that are attached are inspected, and words are looked at.
"""

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_HEAD, _WIDE = 8, 16
_DEPTH = 16
_TEXT_BYTES = 1 << 20
_BOXES = frozenset(b"moov trak mdia minf stbl dinf edts udta mvex moof traf mfra jp2h iprp ipco".split())
_OUTERMOST = frozenset({
    *b"ftyp styp moov moof mdat free skip wide meta mfra sidx ssix prft emsg uuid pdin pnot".split(),
    b"jP  ", b"jp2h", b"jp2c", b"xml ",
})  # fmt: skip
"""Boxes that stand in no other one."""
_MEDIA = frozenset({b"mdat", b"jp2c", b"idat"})
_FREE = frozenset({b"free", b"skip", b"wide"})
_PRINTABLE = range(0x20, 0x7F)
_COPYRIGHT = 0xA9
"""Begins the names of QuickTime's notes."""
_FREE_TEXT = 256
_MASTERS = frozenset({
    0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1654AE6B, 0x1549A966, 0x114D9B74, 0x1C53BB6B, 0x1254C367,
    0x1043A770, 0x1941A469, 0x61A7, 0xAE, 0xA0, 0x7373, 0x67C8, 0x63C0, 0x4DBB, 0xBB, 0xB7, 0xE0, 0xE1,
    0x45B9, 0xB6, 0x80,
})  # fmt: skip
_HEADS, _SEGMENT = 0x1A45DFA3, 0x18538067
_FILE_NAME, _FILE_DATA = 0x466E, 0x465C
_BLOCKS = frozenset({0xA3, 0xA1})
_VOID = 0xEC
_LONGEST_ID, _LONGEST_SIZE = 4, 8


class BoxesInspector(Inspector):
    """Boxes with a length and a name, one inside the other."""

    name = "bmff"
    version = 1
    detects = frozenset({"bmff"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim every box up to the end of the file."""
        demand(len(data), context.limits.file_bytes, "file_bytes")
        tally.opaque.add("bmff")
        count, free, texts = 0, 0, list[str]()
        waiting = [(0, len(data), 0)]
        while waiting:
            at, end, depth = waiting.pop()
            demand(depth, _DEPTH, "box depth")
            while at < end:
                count = demand(count + 1, context.limits.entries, "entries")
                name, start, stop = _box(data, at, end, outermost=not depth)
                if name in _BOXES:
                    waiting.append((start, stop, depth + 1))
                elif name in _FREE and stop - start > _FREE_TEXT and any(data[start:stop]):
                    free += stop - start
                elif name not in _MEDIA and stop - start <= _TEXT_BYTES:
                    texts.append(texts_of(data[start:stop]))
                at = stop
        tally.claim_all()
        if free:
            tally.unfinished("bmff-free", f"{free} bytes stand where nothing should, and hold something.")
        look(tally, texts, context)


def _box(data: memoryview, at: int, end: int, *, outermost: bool) -> tuple[bytes, int, int]:
    """Return a box's name, and where its content begins and ends."""
    size, name = int.from_bytes(data[at : at + 4], "big"), bytes(data[at + 4 : at + _HEAD])
    start = at + _HEAD
    if size == 1:
        size, start = int.from_bytes(data[start : at + _WIDE], "big"), at + _WIDE
    elif not size and outermost:
        size = end - at
    named = len(name) == 4 and all(byte in _PRINTABLE or byte == _COPYRIGHT for byte in name)  # noqa: PLR2004  # letters
    known = name in _OUTERMOST if outermost else named
    if not known or at + size < start or at + size > end:
        what = "A box is not known or ends past what holds it."
        raise BrokenContentError(what, at=at)
    return name, start, at + size


class MatroskaInspector(Inspector):
    """Elements with a number and a length, one inside the other."""

    name = "matroska"
    version = 1
    detects = frozenset({"matroska"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim every element, and inspect files that are attached."""
        demand(len(data), context.limits.file_bytes, "file_bytes")
        tally.opaque.add("matroska")
        walk = _Elements(data, tally, context)
        walk.inside(0, len(data), 0)
        tally.claim_all()
        look(tally, walk.texts, context)


class _Elements:
    def __init__(self, data: memoryview, tally: Tally, context: Context) -> None:
        self.data, self.tally, self.context = data, tally, context
        self.count = 0
        self.texts: list[str] = []
        self.file = ""

    def inside(self, at: int, end: int, depth: int) -> None:
        """Walk the elements from one place to another."""
        demand(depth, _DEPTH, "element depth")
        while at < end:
            self.count = demand(self.count + 1, self.context.limits.entries, "entries")
            kind, start, stop = self.element(at, end)
            if not depth and kind not in {_HEADS, _SEGMENT}:
                raise _broken("An element does not belong there.", at)
            if kind in _MASTERS:
                self.inside(start, stop, depth + 1)
            else:
                self.leaf(kind, start, stop)
            at = stop

    def element(self, at: int, end: int) -> tuple[int, int, int]:
        """Return an element's number, and where its content begins and ends."""
        kind, start = self.number(at, end, _LONGEST_ID, marked=True)
        size, start = self.number(start, end, _LONGEST_SIZE, marked=False)
        # A stream that was recorded as it came does not know how long its segment is.
        stop = end if size < 0 and kind == _SEGMENT else start + size
        if not start <= stop <= end:
            raise _broken("An element ends past what holds it.", at)
        return kind, start, stop

    def number(self, at: int, end: int, longest: int, *, marked: bool) -> tuple[int, int]:
        """Return a number of variable length, -1 where it says that nobody knows, and where it ends."""
        first = self.data[at] if at < end else 0
        width = 9 - first.bit_length()
        if not first or width > longest or at + width > end:
            raise _broken("A number is longer than the format allows.", at)
        value = int.from_bytes(self.data[at : at + width], "big")
        if marked:
            return value, at + width
        value &= (1 << 7 * width) - 1
        return (-1 if value == (1 << 7 * width) - 1 else value), at + width

    def leaf(self, kind: int, start: int, stop: int) -> None:
        """Look at what holds no other element."""
        if kind == _FILE_NAME:
            self.file = bytes(self.data[start:stop]).decode("utf-8", "replace")
        elif kind == _FILE_DATA:
            self.context.budget.member(stop - start)
            self.tally.note("film-attached", Severity.INFO, f"The file {self.file[:80]} is attached.", start)
            member = self.context.member(self.file or "attached")
            self.tally.absorb(self.context.inspect(self.data[start:stop], member))
        elif kind == _VOID:
            if any(self.data[start:stop]):
                self.tally.unfinished("matroska-void", "An element of nothing holds something.", start)
        elif kind not in _BLOCKS and stop - start <= _TEXT_BYTES:
            self.texts.append(texts_of(self.data[start:stop]))


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
