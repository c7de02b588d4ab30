"""What the Finder of macOS leaves in folders (``.DS_Store``): blocks of a buddy allocator, and names.

Format: as Mac::Finder::DSStore and its kin describe it; Apple documents none. A block is claimed where the
list of blocks or the lists of free ones name it.
"""

import struct

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.spans import Spans
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_HEAD = 36
_BIAS = 4
_ROW = 256
_SIZES = 32
_MOST_BLOCKS = 65_536
_NAMES = 4


class FinderInspector(Inspector):
    """Walks the list of blocks and the lists of free ones."""

    name = "ds-store"
    version = 1
    detects = frozenset({"ds-store"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim head and blocks, and look at the names."""
        at, size, again = struct.unpack_from(">3I", data, 8)
        if at != again:
            raise _broken("The place of the list is not the same twice.", 8)
        spans = Spans(data, tally)
        spans.take(0, _HEAD)
        root = bytes(data[at + _BIAS : at + _BIAS + size])
        if len(root) != size:
            raise _broken("The list of blocks ends past the file.", at)
        (count,) = struct.unpack_from(">I", root)
        places = struct.unpack_from(f">{demand(count, _MOST_BLOCKS, 'blocks')}I", root, 8)
        end = 8 + 4 * (-(-count // _ROW) * _ROW)
        (tables,) = struct.unpack_from(">I", root, end)
        end += 4
        for _ in range(demand(tables, _NAMES, "tables")):
            end += 1 + int.from_bytes(root[end : end + 1], "big") + 4
        for place in places:
            if place:
                spans.take((place & ~31) + _BIAS, 1 << (place & 31))
        for width in range(_SIZES):
            (free,) = struct.unpack_from(">I", root, end)
            for start in struct.unpack_from(f">{demand(free, _MOST_BLOCKS, 'blocks')}I", root, end + 4):
                if start + _BIAS < len(data):
                    spans.take(start + _BIAS, min(1 << width, len(data) - start - _BIAS))
            end += 4 + 4 * free
        spans.close()
        tally.opaque.add("ds-store")
        look(tally, [texts_of(data), texts_of(data[1:])], context)


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
