"""Repository metadata: compressed XML, read one element at a time and within bounds."""

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, cast
from xml.parsers import expat

import zstandard

from lockgate.collect.errors import BadReleaseError, CollectLimitError

DEPTH_LIMIT = 16
"""Deepest nesting of elements that is read."""

TEXT_LIMIT = 1 << 24
"""Most characters inside one package or erratum."""

_CHUNK = 1 << 18
_FAULTS = (OSError, EOFError, lzma.LZMAError, zstandard.ZstdError)


@dataclass(slots=True)
class Element:
    """One element by its local name: attributes, children in their order, and its own text."""

    name: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return its text, without white space around it."""
        return "".join(self.pieces).strip()

    def child(self, name: str) -> "Element":
        """Return the first child of a name; an empty one where there is none."""
        return next((each for each in self.children if each.name == name), Element(name, {}))

    def all(self, name: str) -> list["Element"]:
        """Return the children of a name."""
        return [each for each in self.children if each.name == name]

    def get(self, name: str) -> str:
        """Return an attribute; empty where there is none."""
        return self.attributes.get(name, "")


class _Builder:
    """Builds the elements of one name, and forgets each once it was taken."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._open: list[Element] = []
        self._depth = 0
        self._length = 0
        self.done: list[Element] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        local = name.rpartition(":")[2]
        if self._depth > DEPTH_LIMIT:
            what = f"Repository metadata is nested deeper than {DEPTH_LIMIT}."
            raise CollectLimitError(what, limit="DEPTH_LIMIT")
        if self._open or local == self._wanted:
            element = Element(local, attributes)
            self._count(sum(map(len, attributes.values())) + len(local))
            if self._open:
                self._open[-1].children.append(element)
            self._open.append(element)

    def _end(self, name: str) -> None:
        del name
        self._depth -= 1
        if self._open:
            element = self._open.pop()
            if not self._open:
                self.done.append(element)
                self._length = 0

    def _text(self, text: str) -> None:
        if self._open:
            self._count(len(text))
            self._open[-1].pieces.append(text)

    def _count(self, length: int) -> None:
        self._length += length
        if self._length > TEXT_LIMIT:
            what = f"An entry of repository metadata is longer than {TEXT_LIMIT} characters."
            raise CollectLimitError(what, limit="TEXT_LIMIT")

    def _refuse(self, *_: object) -> None:
        what = "Repository metadata declares a document type, which no repository needs."
        raise BadReleaseError(what)


def elements(file: Path, wanted: str, limit: int) -> Iterator[Element]:
    """Yield the elements of a name that stand outside of another one of it.

    Args:
        file: XML, plain or compressed; how is told by its first bytes.
        wanted: Local name of the elements.
        limit: Most bytes of the plain form.

    Raises:
        BadReleaseError: It is damaged, or declares a document type.
        CollectLimitError: It is too long, too deep, or one entry is.

    """
    builder = _Builder(wanted)
    try:
        for piece in plain(file, limit):
            builder.parser.Parse(piece, False)  # noqa: FBT003  # the parser takes it by position alone
            yield from builder.done
            builder.done.clear()
        builder.parser.Parse(b"", True)  # noqa: FBT003  # likewise
    except expat.ExpatError as error:
        what = f"{file.name} is no well-formed XML: {error}."
        raise BadReleaseError(what) from error
    yield from builder.done


def plain(file: Path, limit: int) -> Iterator[bytes]:
    """Yield a file's bytes without its compression (gzip, xz, bzip2, Zstandard), at most `limit` of them.

    Raises:
        BadReleaseError: It is damaged.
        CollectLimitError: It is longer.

    """
    size = 0
    try:
        with file.open("rb") as raw, _opener(raw)(raw) as stream:
            while piece := stream.read(_CHUNK):
                size += len(piece)
                if size > limit:
                    what = f"{file.name} is longer than {limit} bytes."
                    raise CollectLimitError(what, limit="index_bytes")
                yield piece
    except _FAULTS as error:
        what = f"{file.name} is damaged: {error}."
        raise BadReleaseError(what) from error


def _opener(raw: BinaryIO) -> Callable[[BinaryIO], IO[bytes]]:
    """Return what opens a stream that begins as this one does; it is left at its beginning."""
    head = raw.read(6)
    raw.seek(0)
    for magic, opener in _OPENERS:
        if head.startswith(magic):
            return opener
    return lambda stream: stream


_OPENERS: tuple[tuple[bytes, Callable[[BinaryIO], IO[bytes]]], ...] = (
    (b"\x1f\x8b", lambda raw: cast("IO[bytes]", gzip.GzipFile(fileobj=raw))),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
    (b"BZh", bz2.BZ2File),
    (b"\x28\xb5\x2f\xfd", lambda raw: cast("IO[bytes]", zstandard.ZstdDecompressor().stream_reader(raw))),
)
