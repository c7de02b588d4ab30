"""Rebuilding a file from a patch and the files that it builds on: one pass, bounded memory.

Everything is untrusted until the caller has hashed what comes out. No container is parsed here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from lockgate.crossing.delta.align import read_aligned
from lockgate.crossing.delta.bounds import BLOCK, MIB, TOKENS_CONTENT_LIMIT, Readable, blocks, demand
from lockgate.crossing.delta.codecs import decoded, encoded
from lockgate.crossing.delta.directory import restore_directory
from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.delta.packing import unsqueeze
from lockgate.crossing.delta.planes import read_planes
from lockgate.crossing.delta.recipe import (
    Codec,
    Piece,
    PieceKind,
    Recipe,
    Segment,
    SegmentKind,
    Source,
    read_recipe,
)

DIRECTORY_LIMIT = 64 * MIB
"""Longest central directory of a zip, in bytes."""


Decode = Callable[[Source, Sequence[Readable]], Iterator[bytes]]
"""Returns what a source in one of the bases decodes to."""


class Reference:
    """The decoded sources of a stream, of which the part that may still be referred to is in memory."""

    def __init__(
        self, sources: Iterable[Source], bases: Sequence[Readable], decode: Decode | None = None
    ) -> None:
        """Begin before the first source; nothing is decoded yet.

        Args:
            sources: What the reference is made of.
            bases: The files that they lie in.
            decode: Gives a source's content; planning knows some of it already.

        """
        self._parts = chain.from_iterable((decode or decode_source)(source, bases) for source in sources)
        self._held = bytearray()
        self._low = 0

    def window(self, low: int, high: int) -> bytes:
        """Return a range; what lies before it is forgotten."""
        while self._low + len(self._held) < high:
            part = next(self._parts, None)
            if part is None:
                raise PatchError("A patch's segment refers to bytes that its reference does not have.")
            self._held += part
            self._forget(low)
        self._forget(low)
        with memoryview(self._held) as held:
            return bytes(held[: high - self._low])

    def _forget(self, low: int) -> None:
        gone = min(low - self._low, len(self._held))
        if gone > 0:
            del self._held[:gone]
            self._low += gone


def decode_source(source: Source, bases: Sequence[Readable]) -> Iterator[bytes]:
    """Return a source's content, block by block."""
    parts = blocks(bases[source.base], source.offset, source.length)
    return decoded(source.codec, source.parameter, source.size, parts)


class Content:
    """A stream's content, segment by segment, read in the lengths that pieces ask for."""

    def __init__(
        self,
        sources: Iterable[Source],
        segments: Iterable[tuple[Segment, bytes]],
        bases: Sequence[Readable],
    ) -> None:
        """Begin at the first of the segments, which come with their data."""
        self._segments = iter(segments)
        self._reference = Reference(sources, bases)
        self._held = memoryview(b"")

    def take(self, count: int) -> Iterator[bytes]:
        """Yield the next `count` bytes."""
        while count:
            if not self._held:
                self._held = memoryview(self._next())
                continue
            part = self._held[: min(count, BLOCK)]
            self._held = self._held[len(part) :]
            count -= len(part)
            yield bytes(part)

    def whole(self, count: int, limit: int, name: str) -> bytes:
        """Return the next `count` bytes at once, within a bound."""
        return b"".join(self.take(demand(count, limit, name)))

    def _next(self) -> bytes:
        segment, data = next(self._segments, (None, b""))
        if segment is None:
            raise PatchError("A patch's pieces take more bytes than its segments give.")
        if len(data) != segment.length:
            raise PatchError("A patch ends before its control block says.")
        return read_segment(segment, data, self._reference.window(segment.low, segment.high))


def with_data(segments: Iterable[Segment], patch: Readable, offset: int) -> Iterator[tuple[Segment, bytes]]:
    """Yield segments with their data, which lie one after the other in a patch, from a place on."""
    for segment in segments:
        yield segment, patch.at(offset, segment.length)
        offset += segment.length


def read_segment(segment: Segment, data: bytes, reference: bytes) -> bytes:
    """Return the content of a segment.

    Raises:
        PatchError: Its data do not give exactly that many bytes.

    """
    if segment.kind is SegmentKind.ZSTD:
        return unsqueeze(data, segment.size, reference)
    if segment.kind is SegmentKind.ALIGNED:
        return read_aligned(data, segment.size, reference)
    if segment.kind is SegmentKind.PLANES:
        return read_planes(data, segment.size, reference)
    if len(data) != segment.size:
        raise PatchError("A patch's segment has another length than it says.")
    return data


def rebuild(patch: Readable, bases: Sequence[Readable]) -> Iterator[bytes]:
    """Yield the bytes of the file that a patch describes.

    Args:
        patch: The patch.
        bases: The files that it names, in its order; the caller has hashed them.

    Raises:
        PatchError: The patch, or a base, is not what the format says.
        PatchLimitError: A number is over its bound.

    """
    recipe, offset = read_recipe(patch)
    if [base.size for base in recipe.bases] != [base.size for base in bases]:
        raise PatchError("A patch builds on files of other lengths than were given.")
    contents = []
    for stream in recipe.streams:
        contents.append(Content(stream.sources, with_data(stream.segments, patch, offset), bases))
        offset += sum(segment.length for segment in stream.segments)
    yield from _pieces(recipe, bases, contents)


def _pieces(recipe: Recipe, bases: Sequence[Readable], contents: Sequence[Content]) -> Iterator[bytes]:
    for piece in recipe.pieces:
        given = 0
        wanted = piece.coded if piece.kind is PieceKind.CODED else piece.length
        for data in piece_bytes(piece, bases, contents):
            given += len(data)
            if given > wanted:
                break
            yield data
        if given != wanted:
            raise PatchError("A piece of a patch has another length than it says.")


def piece_bytes(piece: Piece, bases: Sequence[Readable], contents: Sequence[Content]) -> Iterator[bytes]:
    """Return what a piece gives; the caller counts the bytes."""
    if piece.kind is PieceKind.COPY:
        return blocks(bases[piece.place], piece.offset, piece.length)
    content = contents[piece.place]
    if piece.kind is PieceKind.RAW:
        return content.take(piece.length)
    if piece.kind is PieceKind.DIRECTORY:
        return iter([restore_directory(content.whole(piece.length, DIRECTORY_LIMIT, "directory_bytes"))])
    if piece.codec is Codec.TOKENS:
        demand(piece.length, TOKENS_CONTENT_LIMIT, "tokens_bytes")
    return encoded(piece.codec, piece.parameter, piece.length, content.take(piece.length))
