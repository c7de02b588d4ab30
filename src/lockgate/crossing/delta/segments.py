"""Writing content down as segments, each by whichever method takes the fewest bytes. Planning only."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Final

import numpy as np

from lockgate.crossing.delta.align import write_aligned
from lockgate.crossing.delta.anchors import Sought
from lockgate.crossing.delta.bounds import MIB, Readable, Spool
from lockgate.crossing.delta.grouping import write_grouped
from lockgate.crossing.delta.packing import squeeze
from lockgate.crossing.delta.planes import GROUPED, SUBTRACT, XOR, split, write_planes
from lockgate.crossing.delta.rebuild import Decode, Reference
from lockgate.crossing.delta.recipe import Segment, SegmentKind, Source, Stream
from lockgate.crossing.delta.seek import Start, aligned

SEGMENT: Final = 16 * MIB
"""Bytes of one segment that the planner makes."""

WINDOW: Final = 48 * MIB
"""Bytes of the base that one segment of a long stream refers to."""

_SLACK: Final = 12 * MIB
_TRIAL: Final = 64 * 1024
_TRIAL_PARTS: Final = 8
_AHEAD: Final = 2
"""Segments that are written at the same time: each has its window and its tables in memory."""

_CLEARLY: Final = 0.98
_REFERRED: Final = 24 * MIB
"""Longest window after which inserted bytes are packed: indexing a longer one costs more than it gains."""

_LITTLE: Final = 512
_SHARE: Final = 20
"""An aligned segment shorter than this part of its content is not compared with Zstandard's."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something of the new file that a stream carries.

    Attributes:
        size: Its length in the stream, in bytes.
        open: Gives its bytes.
        source: Where its likeness lies in a base, if there is any.
        width: Bytes of an element, for tensors of the same length as their source; else 0.

    """

    size: int
    open: Callable[[], Iterator[bytes]]
    source: Source | None = None
    width: int = 0


@dataclass(frozen=True, slots=True)
class _Slice:
    """A segment to be.

    Attributes:
        size: Bytes of the stream.
        low: Where the window of the reference begins.
        high: Where it ends.
        width: Bytes of a tensor's element, else 0.
        starts: Places in the segment where a part begins, with those of their sources in the reference.

    """

    size: int
    low: int
    high: int
    width: int = 0
    starts: tuple[Start, ...] = ()


Written = tuple[SegmentKind, bytes]


def written(content: bytes, base: Sought, starts: Sequence[Start] = (), *, alone: bool = True) -> Written:
    """Return the shortest way to write content down.

    Args:
        content: What is written.
        base: The window of the reference.
        starts: Places in content, with those of their likenesses in the window.
        alone: Whether no other segment is sought in this window.

    """
    choices: list[Written] = [(SegmentKind.LITERAL, content)]
    if not base.base:
        if _compresses(content):
            choices.append((SegmentKind.ZSTD, squeeze(content)))
        return min(choices, key=lambda choice: len(choice[1]))
    triples, differences, inserted = aligned(content, base, starts)
    if alone:
        base.forget()
    near = base.base if len(base.base) <= _REFERRED else b""
    choices.append((SegmentKind.ALIGNED, write_aligned(triples, differences, inserted, near)))
    del differences, inserted
    if len(choices[1][1]) > max(_LITTLE, len(content) // _SHARE):
        choices.append((SegmentKind.ZSTD, squeeze(content, base.base)))
    return min(choices, key=lambda choice: len(choice[1]))


def _compresses(content: bytes) -> bool:
    """Tell whether trials at several places suggest that content can be compressed at all."""
    step = max(1, len(content) // _TRIAL_PARTS)
    parts = b"".join(content[at : at + _TRIAL // _TRIAL_PARTS] for at in range(0, len(content), step))
    return len(squeeze(parts, level=1)) < len(parts) * 98 // 100


def tensor(content: bytes, reference: bytes, width: int) -> Written:
    """Return the shortest way to write a tensor down against one of the same length."""
    new, old = np.frombuffer(content, np.uint8), np.frombuffer(reference, np.uint8)
    ways: list[tuple[int, bytes]] = [(XOR, (new ^ old).tobytes())]
    if width in {2, 4} and len(content) % width == 0:
        kind, signed, bits = (np.uint16, np.int16, 15) if width == 2 else (np.uint32, np.int32, 31)  # noqa: PLR2004
        difference = (new.view(kind) - old.view(kind)).view(signed)
        ways.append((SUBTRACT, ((difference << 1) ^ (difference >> bits)).view(kind).tobytes()))
    operation, differences = min(ways, key=lambda way: _trial(split(_sample(way[1], width), width)))
    planes = write_planes(differences, width, operation)
    if operation == SUBTRACT and width == 2:  # noqa: PLR2004  # halves and brain floats
        grouped = bytes([width - 1, GROUPED]) + write_grouped(differences, reference)
        # It takes longer to put together again.
        planes = grouped if len(grouped) < len(planes) * _CLEARLY else planes
    found: list[Written] = [(SegmentKind.PLANES, planes), (SegmentKind.LITERAL, content)]
    if len(found[0][1]) > len(content) * 3 // 4:
        found.append((SegmentKind.ZSTD, squeeze(content, reference, level=3)))
    return min(found, key=lambda choice: len(choice[1]))


def _sample(content: bytes, width: int) -> bytes:
    """Return whole elements from several places of a tensor."""
    step = max(1, len(content) // _TRIAL_PARTS // width) * width
    count = max(1, _TRIAL // _TRIAL_PARTS // width) * width
    return b"".join(content[at : at + count] for at in range(0, len(content), step))


def _trial(content: bytes) -> int:
    return len(squeeze(content, level=1))


class _Flow:
    """The parts' bytes as one stream, cut as asked."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._blocks = (block for part in parts for block in part.open())
        self._held = bytearray()

    def take(self, count: int) -> bytes:
        while len(self._held) < count:
            self._held += next(self._blocks)
        data = bytes(self._held[:count])
        del self._held[:count]
        return data


class StreamWriter:
    """Writes a stream down: its sources are known before the first segment is."""

    def __init__(self, parts: Sequence[Part], more: Sequence[Source] = ()) -> None:
        """Lay a stream out.

        Args:
            parts: What it carries, in order.
            more: Further sources that may be like something in it; used as far as the window reaches.

        """
        self._parts = parts
        self.sources, self._slices = _laid_out(parts, more)

    def write(
        self,
        bases: Sequence[Readable],
        *,
        pool: Executor,
        spool: Spool,
        done: Callable[[Segment, int], None] = lambda _segment, _offset: None,
        decode: Decode | None = None,
    ) -> Stream:
        """Write the data of the segments to a spool and return the stream.

        Args:
            bases: The files that sources lie in.
            pool: Runs work at the same time.
            spool: Takes the data.
            done: Given each segment when its data are in the spool, and where they lie.
            decode: Gives a source's content where it is known already.

        """
        segments = list[Segment]()
        reference = Reference(self.sources, bases, decode)
        for segment, body in _in_order(pool, _tasks(self._parts, self._slices, reference)):
            segments.append(segment)
            offset = spool.end
            spool.append(body)
            done(segment, offset)
        return Stream(tuple(self.sources), tuple(segments))


_Task = Callable[[], tuple[Segment, bytes]]


def _tasks(parts: Sequence[Part], slices: Sequence[_Slice], reference: Reference) -> Iterator[_Task]:
    """Yield what writes each segment; content and windows are read one after the other."""
    flow, last, sought = _Flow(parts), (0, 0), Sought(b"")
    uses = Counter((cut.low, cut.high) for cut in slices)
    for cut in slices:
        content = flow.take(cut.size)
        if last != (cut.low, cut.high):
            last, sought = (cut.low, cut.high), Sought(reference.window(cut.low, cut.high))
        yield partial(_segment, cut, content, sought, alone=uses[last] == 1)


def _segment(cut: _Slice, content: bytes, base: Sought, *, alone: bool) -> tuple[Segment, bytes]:
    starts = [(at, other - cut.low) for at, other in cut.starts]
    kind, body = (
        tensor(content, base.base, cut.width) if cut.width else written(content, base, starts, alone=alone)
    )
    low, high = (cut.low, cut.low) if kind is SegmentKind.LITERAL else (cut.low, cut.high)
    return Segment(kind, cut.size, low, high, len(body)), body


def _in_order(pool: Executor, tasks: Iterator[_Task]) -> Iterator[tuple[Segment, bytes]]:
    """Yield what tasks give, in their order, while a few are at work."""
    waiting = deque[Future[tuple[Segment, bytes]]]()
    for task in tasks:
        waiting.append(pool.submit(task))
        del task  # it holds the content of its segment
        if len(waiting) >= _AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _laid_out(parts: Sequence[Part], more: Sequence[Source]) -> tuple[list[Source], list[_Slice]]:
    """Return the sources in order, and the segments with their windows over them."""
    own = list(dict.fromkeys(part.source for part in parts if part.source))
    size = sum(source.size for source in own)
    if size > WINDOW or any(part.width for part in parts):
        ordered = [part.source for part in parts if part.source]
        return ordered, list(_moving(parts))
    places = dict(zip(own, accumulate((source.size for source in own), initial=0), strict=False))
    for source in more:
        if source not in places and size + source.size <= WINDOW:
            own.append(source)
            size += source.size
    begins = list(_begins(parts, places))
    total = sum(part.size for part in parts)
    slices = []
    for at in range(0, total, SEGMENT):
        end = min(total, at + SEGMENT)
        before = [(0, other + at - begin) for begin, other, last in begins if begin < at < last]
        starts = [(begin - at, other) for begin, other, _ in begins if at <= begin < end]
        slices.append(_Slice(end - at, 0, size, 0, (*before, *starts)))
    return own, slices


def _begins(parts: Sequence[Part], places: Mapping[Source, int]) -> Iterator[tuple[int, int, int]]:
    """Yield where each part with a source begins, where that lies in the reference, and where it ends."""
    at = 0
    for part in parts:
        if part.source:
            yield at, places[part.source], at + part.size
        at += part.size


def _moving(parts: Sequence[Part]) -> Iterator[_Slice]:
    """Yield segments whose windows move over the reference with them, never back."""
    total, place, floor = sum(p.source.size for p in parts if p.source), 0, 0
    gathered, first, starts = 0, 0, list[Start]()
    for part in parts:
        size = part.source.size if part.source else 0
        if gathered and (gathered + part.size > SEGMENT or part.width or place + size - first > WINDOW):
            yield _Slice(gathered, first, place, 0, tuple(starts))
            floor, gathered, first, starts = first, 0, place, []
        if part.width:
            for at in range(0, part.size, SEGMENT):
                count = min(SEGMENT, part.size - at)
                yield _Slice(count, place + at, place + at + count, part.width)
            floor = first = place + size
        elif part.size > SEGMENT:
            for cut in _long(part.size, size, place, floor, total):
                yield cut
                floor = cut.low
            first = place + size
        else:
            starts += [(gathered, place)] if size else []
            gathered += part.size
        place += size
    if gathered:
        yield _Slice(gathered, first, place, 0, tuple(starts))


def _long(size: int, base: int, place: int, floor: int, total: int) -> Iterator[_Slice]:
    """Yield the segments of one long part; each looks around the place that lies as far in its base."""
    for at in range(0, size, SEGMENT):
        count = min(SEGMENT, size - at)
        middle = place + base * at // size
        low = max(floor, place, middle - _SLACK)
        high = min(total, place + base, max(low, middle + base * count // size + _SLACK), low + WINDOW)
        yield _Slice(count, low, max(low, high), 0, ((0, max(low, middle)),))
        floor = low
