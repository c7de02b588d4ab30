"""Reads the objects of a PDF file in the order of their bytes, so that every byte is accounted for.

Format: ISO 32000-2, section 7 (syntax). The cross-reference table is not trusted to find objects:
two tables can show two documents, so the file is read from its first byte to its last.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.limits import Limits, demand

_SPACE = re.compile(rb"(?:[\x00\t\n\x0c\r ]|%[^\r\n]*)*")
_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)")
_REFERENCE = re.compile(
    rb"(\d{1,10})[\x00\t\n\x0c\r ]+(\d{1,5})[\x00\t\n\x0c\r ]+R(?![^\x00\t\n\x0c\r ()<>\[\]{}/%])"
)
_NAME = re.compile(rb"/([^\x00\t\n\x0c\r ()<>\[\]{}/%]*)")
_WORD = re.compile(rb"true|false|null")
_HEX = re.compile(rb"<([0-9A-Fa-f\x00\t\n\x0c\r ]*)>")
_ESCAPED = re.compile(rb"#([0-9A-Fa-f]{2})")
_OBJECT = re.compile(rb"(\d{1,10})[\x00\t\n\x0c\r ]+(\d{1,5})[\x00\t\n\x0c\r ]+obj")
_STREAM = re.compile(rb"stream(?:\r\n|\n)")
_STREAM_END = re.compile(rb"(?:\r\n|\n|\r)?endstream")
_XREF = re.compile(
    rb"xref[\x00\t\n\x0c\r ]+"
    rb"(?:\d+ +\d+[\x00\t\n\x0c\r ]+(?:\d{10} \d{5} [nf][\r\n ]{1,2})*[\x00\t\n\x0c\r ]*)*"
)
_END = re.compile(rb"startxref[\x00\t\n\x0c\r ]+(\d{1,12})[\x00\t\n\x0c\r ]+%%EOF[\x00\t\n\x0c\r ]*\Z")
_END_REACH = 64
_START = re.compile(rb"startxref[\x00\t\n\x0c\r ]+\d+")
_PARENTHESIS = re.compile(rb"[()\\]")
_DEPTH = 64


class Name(str):
    """A PDF name, with its #-escapes undone."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to an indirect object."""

    number: int


@dataclass(frozen=True, slots=True)
class Indirect:
    """An indirect object: its number, value, and stream bytes where it has a stream."""

    number: int
    value: Any
    stream: memoryview | None
    at: int


def _name(found: "re.Match[bytes]") -> Name:
    return Name(_ESCAPED.sub(lambda m: bytes([int(m[1], 16)]), found[1]).decode("latin-1"))


def _hex(digits: bytes) -> bytes:
    """Return what a hexadecimal string says; a last digit that is missing is 0 (ISO 32000, 7.3.4.3)."""
    kept = digits.translate(None, b"\x00\t\n\x0c\r ")
    return bytes.fromhex((kept + b"0" * (len(kept) % 2)).decode("ascii"))


_SIMPLE: tuple[tuple["re.Pattern[bytes]", Callable[["re.Match[bytes]"], Any]], ...] = (
    (_NAME, _name),
    (_REFERENCE, lambda found: Reference(int(found[1]))),
    (_NUMBER, lambda found: float(found[0]) if b"." in found[0] else int(found[0])),
    (_HEX, lambda found: _hex(found[1])),
    (_WORD, lambda found: {b"true": True, b"false": False}.get(found[0])),
)


class Parser:
    """Reads PDF objects from bytes, one after the other."""

    def __init__(self, data: memoryview, limits: Limits) -> None:
        """Start at the first byte."""
        self.data = data
        self.limits = limits
        self.at = 0
        self.count = 0

    def fail(self, what: str) -> BrokenContentError:
        """Return the error that tells what is wrong here."""
        return BrokenContentError(what, at=self.at)

    def skip(self) -> None:
        """Go past white space and comments."""
        found = _SPACE.match(self.data, self.at)
        self.at = found.end() if found else self.at

    def take(self, pattern: re.Pattern[bytes]) -> "re.Match[bytes] | None":
        """Read a pattern here, or return None."""
        found = pattern.match(self.data, self.at)
        if found:
            self.at = found.end()
        return found

    def peek(self, length: int = 1) -> bytes:
        """Return the next bytes without reading them."""
        return bytes(self.data[self.at : self.at + length])

    def value(self, depth: int = 0) -> Any:
        """Read one object.

        Raises:
            BrokenContentError: There is none.
            OverLimitError: Objects are nested too deep, or there are too many.

        """
        demand(depth, _DEPTH, "pdf object depth")
        self.count += 1
        demand(self.count, self.limits.elements, "elements")
        self.skip()
        if self.peek(2) == b"<<":
            return self.dictionary(depth)
        head = self.peek()
        if head == b"[":
            return self.array(depth)
        return self.string() if head == b"(" else self.simple()

    def simple(self) -> Any:
        """Read a name, reference, number, hexadecimal string or word."""
        for pattern, make in _SIMPLE:
            if found := self.take(pattern):
                return make(found)
        raise self.fail("There is no PDF object here.")

    def dictionary(self, depth: int) -> dict[str, Any]:
        """Read a dictionary."""
        self.at += 2
        out: dict[str, Any] = {}
        while True:
            self.skip()
            if self.peek(2) == b">>":
                self.at += 2
                return out
            key = self.value(depth + 1)
            if not isinstance(key, Name):
                raise self.fail("A key of a dictionary is no name.")
            if key in out:
                what = f"The key /{key[:60]} stands twice in one dictionary."
                raise self.fail(what)
            out[key] = self.value(depth + 1)

    def array(self, depth: int) -> list[Any]:
        """Read an array."""
        self.at += 1
        out: list[Any] = []
        while True:
            self.skip()
            if self.peek() == b"]":
                self.at += 1
                return out
            out.append(self.value(depth + 1))

    def string(self) -> bytes:
        """Read a literal string; its escapes stay as they are."""
        start = self.at
        depth = 0
        at = self.at
        while found := _PARENTHESIS.search(self.data, at):
            at = found.end() + (found[0] == b"\\")
            depth += {b"(": 1, b")": -1}.get(found[0], 0)
            if not depth:
                self.at = at
                return bytes(self.data[start + 1 : at - 1])
        raise self.fail("A string has no end.")


def objects(parser: Parser, lengths: dict[int, int]) -> Iterator[Indirect]:
    """Yield the indirect objects and trailers of a file, demanding that nothing lies between.

    Args:
        parser: Stands at the first byte.
        lengths: Values of integer objects, for streams whose length is given by reference.

    """
    header = parser.take(re.compile(rb"%PDF-\d\.\d"))
    if not header:
        raise parser.fail("The file does not begin with a PDF header.")
    _demand_end(parser)
    while True:
        parser.skip()
        if parser.at >= len(parser.data):
            return
        at = parser.at
        if parser.take(_XREF) or parser.take(_START):
            continue
        if parser.peek(7) == b"trailer":
            parser.at += 7
            yield Indirect(0, parser.value(), None, at)
            continue
        found = parser.take(_OBJECT)
        if not found:
            raise parser.fail("Bytes that belong to no object.")
        value = parser.value()
        parser.skip()
        stream = _stream(parser, value, lengths) if parser.peek(6) == b"stream" else None
        parser.skip()
        if parser.peek(6) == b"endobj":
            parser.at += 6
        elif stream is not None or not _OBJECT.match(parser.data, parser.at):
            # Qt writes its table of destinations so; what comes next is an object all the same.
            raise parser.fail("An object has no end.")
        yield Indirect(int(found[1]), value, stream, at)


def _demand_end(parser: Parser) -> None:
    """Demand that the file ends as it must, with a pointer to a cross-reference section."""
    tail = bytes(parser.data[-_END_REACH:])
    found = _END.search(tail)
    at = int(found[1]) if found else len(parser.data)
    if bytes(parser.data[at : at + 4]) != b"xref" and not _OBJECT.match(parser.data, at):
        raise parser.fail("The file does not end with a pointer to its cross-reference section.")


def _stream(parser: Parser, value: Any, lengths: dict[int, int]) -> memoryview:
    if not parser.take(_STREAM) or not isinstance(value, dict):
        raise parser.fail("A stream does not begin as it must.")
    length = value.get("Length")
    if isinstance(length, Reference):
        length = lengths.get(length.number)
    if type(length) is not int or not 0 <= length <= len(parser.data) - parser.at:
        raise parser.fail("A stream's length is missing or runs past the file.")
    start = parser.at
    parser.at += length
    if not parser.take(_STREAM_END):
        raise parser.fail("A stream does not end where its length says.")
    return parser.data[start : start + length]


def inflate(stream: memoryview, limits: Limits) -> bytes:
    """Return the content of a Flate stream.

    Raises:
        BrokenContentError: It is broken or has a tail.
        OverLimitError: It is longer than `stream_bytes`.

    """
    inflater = zlib.decompressobj()
    try:
        out = inflater.decompress(stream, limits.stream_bytes + 1)
    except zlib.error as error:
        what = "A stream's compressed data is broken."
        raise BrokenContentError(what) from error
    demand(len(out), limits.stream_bytes, "stream_bytes")
    if not inflater.eof or inflater.unused_data.strip(b"\r\n"):
        what = "A stream's compressed data does not end with the stream."
        raise BrokenContentError(what)
    return out
