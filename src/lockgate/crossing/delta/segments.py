"""Writing content down as segments, each by whichever method takes the fewest bytes. Planning only."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import numpy as np

from lockgate.crossing.delta.align import write_aligned
from lockgate.crossing.delta.bounds import MIB, Readable, Spool
from lockgate.crossing.delta.packing import squeeze
from lockgate.crossing.delta.planes import SUBTRACT, XOR, write_planes
from lockgate.crossing.delta.rebuild import Reference
from lockgate.crossing.delta.recipe import Segment, SegmentKind, Source, Stream
from lockgate.crossing.delta.seek import aligned

SEGMENT: Final = 16 * MIB
"""Bytes of one segment that the planner makes."""

WINDOW: Final = 48 * MIB
"""Bytes of the base that one segment of a long stream refers to."""

_SLACK: Final = 12 * MIB
_TRIAL: Final = 64 * 1024
_TRIAL_PARTS: Final = 8


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
    """A segment to be: bytes of the stream, the window of the reference, and the element's width."""

    size: int
    low: int
    high: int
    width: int = 0


Written = tuple[SegmentKind, bytes]


def written(content: bytes, reference: bytes, pool: Executor) -> Written:
    """Return the shortest way to write content down; both methods run at the same time."""
    choices: list[Written] = [(SegmentKind.LITERAL, content)]
    if not reference and not _compresses(content):
        return choices[0]
    plain = pool.submit(squeeze, content, reference)
    if reference:
        triples, differences, inserted = aligned(content, reference)
        choices.append((SegmentKind.ALIGNED, write_aligned(triples, differences, inserted, reference)))
    choices.append((SegmentKind.ZSTD, plain.result()))
    return min(choices, key=lambda choice: len(choice[1]))


def _compresses(content: bytes) -> bool:
    """Tell whether trials at several places suggest that content can be compressed at all."""
    step = max(1, len(content) // _TRIAL_PARTS)
    parts = b"".join(content[at : at + _TRIAL // _TRIAL_PARTS] for at in range(0, len(content), step))
    return len(squeeze(parts, level=1)) < len(parts) * 98 // 100


def tensor(content: bytes, reference: bytes, width: int, pool: Executor) -> Written:
    """Return the shortest way to write a tensor down against one of the same length."""
    new, old = np.frombuffer(content, np.uint8), np.frombuffer(reference, np.uint8)
    choices = [pool.submit(write_planes, (new ^ old).tobytes(), width, XOR)]
    if width in {2, 4} and len(content) % width == 0:
        kind, signed, bits = (np.uint16, np.int16, 15) if width == 2 else (np.uint32, np.int32, 31)  # noqa: PLR2004
        difference = (new.view(kind) - old.view(kind)).view(signed)
        small = ((difference << 1) ^ (difference >> bits)).view(kind)
        choices.append(pool.submit(write_planes, small.tobytes(), width, SUBTRACT))
    found: list[Written] = [(SegmentKind.PLANES, choice.result()) for choice in choices]
    found.append((SegmentKind.LITERAL, content))
    if len(min(found, key=lambda choice: len(choice[1]))[1]) > len(content) * 3 // 4:
        found.append((SegmentKind.ZSTD, squeeze(content, reference, level=3)))
    return min(found, key=lambda choice: len(choice[1]))


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


def write_stream(
    parts: Sequence[Part],
    more: Sequence[Source],
    bases: Sequence[Readable],
    *,
    pool: Executor,
    spool: Spool,
    advance: Callable[[int], None],
) -> Stream:
    """Write the data of a stream's segments to a spool and return the stream.

    Args:
        parts: What it carries, in order.
        more: Further sources that may be like something in it; used as far as the window reaches.
        bases: The files that sources lie in.
        pool: Runs work at the same time.
        spool: Takes the data.
        advance: Told how many bytes of the stream are done.

    """
    sources, slices = _laid_out(parts, more)
    reference, flow = Reference(sources, bases), _Flow(parts)
    segments = list[Segment]()
    for cut in slices:
        content, window = flow.take(cut.size), reference.window(cut.low, cut.high)
        kind, body = tensor(content, window, cut.width, pool) if cut.width else written(content, window, pool)
        alone = kind is SegmentKind.LITERAL
        low, high = (cut.low, cut.low) if alone else (cut.low, cut.high)
        segments.append(Segment(kind, cut.size, low, high, len(body)))
        spool.append(body)
        advance(cut.size)
    return Stream(tuple(sources), tuple(segments))


def _laid_out(parts: Sequence[Part], more: Sequence[Source]) -> tuple[list[Source], list[_Slice]]:
    """Return the sources in order, and the segments with their windows over them."""
    own = list(dict.fromkeys(part.source for part in parts if part.source))
    size = sum(source.size for source in own)
    if size > WINDOW or any(part.width for part in parts):
        ordered = [part.source for part in parts if part.source]
        return ordered, list(_moving(parts))
    for source in more:
        if source not in own and size + source.size <= WINDOW:
            own.append(source)
            size += source.size
    total = sum(part.size for part in parts)
    cuts = range(0, total, SEGMENT)
    return own, [_Slice(min(SEGMENT, total - at), 0, size) for at in cuts]


def _moving(parts: Sequence[Part]) -> Iterator[_Slice]:
    """Yield segments whose windows move over the reference with them, never back."""
    total, place, floor = sum(p.source.size for p in parts if p.source), 0, 0
    gathered = first = 0
    for part in parts:
        size = part.source.size if part.source else 0
        if gathered and (gathered + part.size > SEGMENT or part.width or place + size - first > WINDOW):
            yield _Slice(gathered, first, place)
            floor, gathered, first = first, 0, place
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
            gathered += part.size
        place += size
    if gathered:
        yield _Slice(gathered, first, place)


def _long(size: int, base: int, place: int, floor: int, total: int) -> Iterator[_Slice]:
    """Yield the segments of one long part; each looks around the place that lies as far in its base."""
    for at in range(0, size, SEGMENT):
        count = min(SEGMENT, size - at)
        middle = place + base * at // size
        low = max(floor, place, middle - _SLACK)
        high = min(total, place + base, max(low, middle + base * count // size + _SLACK), low + WINDOW)
        yield _Slice(count, low, max(low, high))
        floor = low
