"""Pictures and documents of medicine: DICOM files, element by element.

Format: DICOM PS3.10 (file format), PS3.5 (transfer syntaxes, value representations, sequences, encapsulated
pixels) and PS3.6 (numbers of elements). Pixels and other numbers are opaque, texts are looked at, a document
that a file carries is inspected as one. The 128 bytes before the signature are for whoever wants them: a file
can be a program there and a picture to everybody else, so they have to hold nothing, or the head of a TIFF
file, as slides of microscopes have it.
"""

import re
import struct
import zlib

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.hidden_programs import look_for_calls, look_inside
from lockgate.inspect.inspectors.shapes import DICOM_PREAMBLE
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_BEGIN = DICOM_PREAMBLE + 4
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Value representations whose length has four bytes, behind two that are empty."""
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_TEXTS = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
_BYTES = frozenset(b"OB OD OF OL OV OW UN".split())
_META = 0x0002
_SYNTAX = 0x00020010
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_DOCUMENT, _DOCUMENT_TYPE = 0x00420011, 0x00420012
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_NO_LENGTH = 0xFFFFFFFF
_IMPLICIT, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1"})
_DEPTH = 32
_NO_PROGRAM = 16
"""How many bytes of nothing say that no program, page or archive begins there."""
_CHARACTERS = re.compile("\x1b[ -/]{1,3}[0-~]")
"""Switches to another set of characters (ISO/IEC 2022), as texts in Asian languages have them."""
_TEXT_BYTES = 64 << 10
_FIRST_ITEM = b"\xfe\xff\x00\xe0"
_ENDINGS = {
    "application/pdf": "pdf",
    "text/xml": "xml",
    "model/stl": "stl",
    "model/mtl": "txt",
    "model/obj": "txt",
}
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_PROGRAM = re.compile(
    rb"MZ|\x7fELF|[\xfe\xcf\xce\xca]\xed\xfa|[\xce\xcf\xfa]\xfa\xed\xfe|\xca\xfe\xba\xbe|\x80[\x00-\x05]|\s*[\x20-\x7e]{4}"
)


class DicomInspector(Inspector):
    """Elements with a number, a kind and a length, in sequences of items, up to the end of the file."""

    name = "dicom"
    version = 1
    detects = frozenset({"dicom"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim every element, inspect documents, and look at texts and at how values begin."""
        demand(len(data), context.limits.file_bytes, "file_bytes")
        tally.opaque.add("dicom")
        unread = _preamble(data, tally)
        head = _Elements(data, tally, context, wide=False)
        at = head.meta(_BEGIN)
        if head.syntax in _DEFLATED:
            inner = memoryview(_inflate(data[at:], context))
            look_for_calls(tally, inner)
            body = _Elements(inner, tally, context, wide=False)
            body.group(0, len(inner), 0)
        else:
            order = ">" if head.syntax == _BIG else "<"
            body = _Elements(data, tally, context, wide=head.syntax == _IMPLICIT, order=order)
            body.group(at, len(data), 0)
        look_for_calls(tally, data)
        body.documents()
        tally.claim(DICOM_PREAMBLE if unread else 0, len(data))
        look(tally, head.texts + body.texts, context)


def _preamble(data: memoryview, tally: Tally) -> bool:
    """Look at the bytes before the signature; return whether they hold something that nobody explains."""
    first = bytes(data[:DICOM_PREAMBLE])
    if not any(first[:_NO_PROGRAM]):
        return False
    if first.startswith(_TIFF):
        tally.note("dicom-preamble", Severity.INFO, "It is a TIFF file too, for readers of those.", 0)
        return False
    if _PROGRAM.match(first):
        why = "It begins like a program, or like something that is run."
        tally.note("dicom-preamble", Severity.HIGH, why, 0)
        return False
    tally.unfinished("dicom-preamble", "Bytes before the signature hold what nobody explains.", 0)
    return True


def _inflate(data: memoryview, context: Context) -> bytes:
    """Return what lies behind the head of a file that is compressed (PS3.5, A.5).

    Raises:
        BrokenContentError: The stream is broken, or something stands behind it.

    """
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    most = min(context.limits.member_bytes, context.limits.ratio_floor + len(data) * context.limits.ratio)
    inner = unpack.decompress(data, most + 1)
    demand(len(inner), most, "member_bytes")
    context.budget.member(len(inner))
    trailer = struct.pack(
        "<2I", zlib.crc32(inner), len(inner) & 0xFFFFFFFF
    )  # as gzip's, which some leave there
    if not unpack.eof or unpack.unused_data not in {b"", b"\x00", trailer}:
        raise _broken("What is compressed does not end with the file.", len(data))
    return inner


class _Elements:
    """Walks elements; `wide` is the form in which they do not say what kind they are (implicit)."""

    def __init__(
        self, data: memoryview, tally: Tally, context: Context, *, wide: bool, order: str = "<"
    ) -> None:
        self.data, self.tally, self.context = data, tally, context
        self.wide = wide
        self.tag_form, self.half, self.whole = (struct.Struct(order + form) for form in ("HH", "H", "I"))
        self.count = self.said = 0
        self.texts: list[str] = []
        self.syntax = ""
        self.kind_of_document = ""
        self.carried: list[memoryview] = []

    def meta(self, at: int) -> int:
        """Read the group that says how the others are written; return where it ends."""
        while at + 8 <= len(self.data) and self.half.unpack_from(self.data, at)[0] == _META:
            at = self.element(at, len(self.data), 0)
        if not self.syntax:
            raise _broken("The file does not say how its elements are written.", at)
        return at

    def group(self, at: int, end: int, depth: int, closing: int = 0) -> int:
        """Walk the elements up to an end, or up to the mark that closes them; return where they end."""
        demand(depth, _DEPTH, "dicom depth")
        while at < end:
            if closing and self.tag(at, end) == closing:
                return self.close(at, end)
            at = self.element(at, end, depth)
        if closing:
            raise _broken("An item has no end.", at)
        return at

    def tag(self, at: int, end: int) -> int:
        if at + 8 > end:
            raise _broken("An element ends past what holds it.", at)
        group, number = self.tag_form.unpack_from(self.data, at)
        return int(group << 16 | number)

    def close(self, at: int, end: int) -> int:
        """Return the place behind a mark, which has no length."""
        if at + 8 > end or self.whole.unpack_from(self.data, at + 4)[0]:
            raise _broken("The mark of an end has a length.", at)
        return at + 8

    def element(self, at: int, end: int, depth: int) -> int:
        """Read one element; return where it ends."""
        self.count = demand(self.count + 1, self.context.limits.entries, "entries")
        tag = self.tag(at, end)
        kind, start, size = self.head(tag, at, end)
        if size == _NO_LENGTH:
            if tag in _PIXELS and kind != b"SQ":
                return self.fragments(start, end)
            if kind not in {b"SQ", b"UN", b""}:
                raise _broken("A value has no length.", at)
            return self.sequence(start, end, depth + 1, kind)
        stop = start + size
        if stop > end:
            raise _broken("A value ends past what holds it.", at)
        if kind == b"SQ" or (kind in {b"", b"UN"} and bytes(self.data[start : start + 4]) == _FIRST_ITEM):
            self.sequence(start, stop, depth + 1, kind, closed=False)
        else:
            self.value(tag, kind, start, stop)
        return stop

    def head(self, tag: int, at: int, end: int) -> tuple[bytes, int, int]:
        """Return an element's kind, where its value begins, and how long it is."""
        if tag >> 16 == 0xFFFE:  # noqa: PLR2004  # marks of items, which stand elsewhere
            raise _broken("A mark stands where an element belongs.", at)
        if self.wide:
            return b"", at + 8, self.whole.unpack_from(self.data, at + 4)[0]
        kind = bytes(self.data[at + 4 : at + 6])
        if kind in _SHORT:
            return kind, at + 8, self.half.unpack_from(self.data, at + 6)[0]
        if kind not in _LONG or at + 12 > end or any(self.data[at + 6 : at + 8]):
            raise _broken("An element is of a kind that does not exist.", at)
        return kind, at + 12, self.whole.unpack_from(self.data, at + 8)[0]

    def sequence(self, at: int, end: int, depth: int, kind: bytes, *, closed: bool = True) -> int:
        """Walk the items of a sequence; what is of an unknown kind is written as the implicit form has it."""
        demand(depth, _DEPTH, "dicom depth")
        wide, self.wide = self.wide, self.wide or kind == b"UN"
        while at < end:
            self.count = demand(self.count + 1, self.context.limits.entries, "entries")
            tag = self.tag(at, end)
            if closed and tag == _SEQUENCE_END:
                self.wide = wide
                return self.close(at, end)
            (size,) = self.whole.unpack_from(self.data, at + 4)
            at += 8
            if tag != _ITEM or (size != _NO_LENGTH and at + size > end):
                raise _broken("A sequence holds what is no item, or one that ends past it.", at)
            if size == _NO_LENGTH:
                at = self.group(at, end, depth, _ITEM_END)
            else:
                at = self.group(at, at + size, depth)
        if closed:
            raise _broken("A sequence has no end.", at)
        self.wide = wide
        return at

    def fragments(self, at: int, end: int) -> int:
        """Walk the pieces of compressed pixels; return where they end."""
        while True:
            self.count = demand(self.count + 1, self.context.limits.entries, "entries")
            tag = self.tag(at, end)
            if tag == _SEQUENCE_END:
                return self.close(at, end)
            (size,) = self.whole.unpack_from(self.data, at + 4)
            if tag != _ITEM or at + 8 + size > end:
                raise _broken("Pixels hold what is no piece of them, or one that ends past them.", at)
            look_inside(self.tally, self.data[at + 8 : at + 8 + size], "pixels", at + 8)
            at += 8 + size

    def value(self, tag: int, kind: bytes, start: int, stop: int) -> None:
        """Look at a value that holds no other element."""
        value = self.data[start:stop]
        if tag == _SYNTAX:
            self.syntax = bytes(value).rstrip(b"\x00 ").decode("ascii", "replace")
        elif tag == _DOCUMENT_TYPE:
            self.kind_of_document = bytes(value).rstrip(b"\x00 ").decode("ascii", "replace").lower()
        if tag == _DOCUMENT:
            self.carried.append(value)
        elif kind in _BYTES or not kind:
            look_inside(self.tally, value, f"({tag >> 16:04x},{tag & 0xFFFF:04x})", start)
        if self.said < _TEXT_BYTES * 16 and len(value) <= _TEXT_BYTES and tag != _DOCUMENT:
            self.said += len(value)
            if kind in _TEXTS:
                said = bytes(value).rstrip(b"\x00 ").decode("utf-8", "replace")
                self.texts.append(_CHARACTERS.sub("", said))
            elif kind in {b"", b"UN", b"OB"} and (text := texts_of(value)):
                self.texts.append(text)

    def documents(self) -> None:
        """Inspect the documents that the file carries; a byte of nothing makes their length even."""
        for value in self.carried:
            self.context.budget.member(len(value))
            ending = _ENDINGS.get(self.kind_of_document, "bin")
            whole = value[:-1] if len(value) and not value[-1] else value
            self.tally.absorb(self.context.inspect(whole, self.context.member(f"document.{ending}")))


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
