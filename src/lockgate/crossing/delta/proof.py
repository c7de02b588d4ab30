"""Rebuilding a file while its patch is being written, and comparing it. Planning only (low side).

Compressing a member again takes longer than finding how it differs; here both happen at the same time,
on two cores. A member that does not come out as it was is named, so that another setting can be sought.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from lockgate.crossing.delta.bounds import Readable, Spool
from lockgate.crossing.delta.codecs import encoded
from lockgate.crossing.delta.errors import PatchError, PatchLimitError
from lockgate.crossing.delta.rebuild import Content, piece_bytes
from lockgate.crossing.delta.recipe import Piece, PieceKind, Segment, Source


class Feed:
    """The segments of a stream, in order, as they are written."""

    def __init__(self, sources: Sequence[Source], spool: Spool) -> None:
        """Take data from a spool."""
        self.sources = sources
        self._spool = spool
        self._queue: SimpleQueue[tuple[Segment, int] | None] = SimpleQueue()

    def put(self, segment: Segment, offset: int) -> None:
        """Give the next segment, and where its data lie in the spool."""
        self._queue.put((segment, offset))

    def end(self) -> None:
        """Tell that no more segments follow."""
        self._queue.put(None)

    def __iter__(self) -> Iterator[tuple[Segment, bytes]]:
        """Yield segments with their data, waiting for those that are not written yet."""
        for segment, offset in iter(self._queue.get, None):
            yield segment, self._spool.at(offset, segment.length)


@dataclass(frozen=True, slots=True)
class Proven:
    """What rebuilding gave.

    Attributes:
        sha256: Digest of all bytes that were given; empty where the pieces could not be read to the end.
        wrong: Which of the coded pieces, counted from 0, were given otherwise than the file has them.

    """

    sha256: str
    wrong: tuple[int, ...] = ()


def prove(new: Readable, pieces: Sequence[Piece], bases: Sequence[Readable], feeds: Sequence[Feed]) -> Proven:
    """Put a file together again and compare it with itself; a wrong member does not end the comparison."""
    contents, state = [Content(feed.sources, feed, bases) for feed in feeds], hashlib.sha256()
    wrong, at, coded = list[int](), 0, 0
    try:
        for piece in pieces:
            if piece.kind is PieceKind.CODED:
                if not _comes_out(new, at, piece, contents[piece.place], state.update):
                    wrong.append(coded)
                at, coded = at + piece.coded, coded + 1
                continue
            for data in piece_bytes(piece, bases, contents):
                state.update(data)
            at += piece.length
    except (PatchError, PatchLimitError):
        return Proven("", tuple(wrong))
    return Proven(state.hexdigest(), tuple(wrong))


def _comes_out(
    new: Readable, at: int, piece: Piece, content: Content, update: Callable[[bytes], None]
) -> bool:
    """Tell whether a coded piece is given as the file has it; its content is read to the end either way."""
    body, end = content.take(piece.length), at + piece.coded
    for data in encoded(piece.codec, piece.parameter, piece.length, body):
        update(data)
        if new.at(at, len(data)) != data:
            break
        at += len(data)
    for _ in body:
        pass
    return at == end
