"""Resources and settings of GNOME's libraries: GVDB files, whose resources are unpacked and inspected.

Format: ``gvdb-format.h`` of GLib; a resource is a variant of type ``(uuay)``: length, flags and content.
"""

import struct
import zlib

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.spans import Spans
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_HEAD, _ITEM = struct.Struct("<8s4I"), struct.Struct("<3IHBx2I")
_BLOOM = (1 << 27) - 1
_NOBODY = 0xFFFFFFFF
_DEPTH, _PARENTS = 16, 256
_RESOURCE = b"\x00(uuay)"
_PACKED = 1


class GvdbInspector(Inspector):
    """Walks the tables of names from the root on."""

    name = "gvdb"
    version = 1
    detects = frozenset({"gvdb"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim head, tables, names and values; resources are inspected as what they are."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        _, version, _, start, end = _HEAD.unpack_from(data)
        if version:
            raise _broken("The version of the format is not known.", 8)
        tally.opaque.add("gvdb")
        walk = _Walk(data, tally, context)
        walk.spans.take(0, _HEAD.size)
        walk.table(start, end, 0)
        walk.spans.close(fill=8)
        look(tally, walk.texts, context)


class _Walk:
    def __init__(self, data: memoryview, tally: Tally, context: Context) -> None:
        self.data, self.tally, self.context = data, tally, context
        self.spans = Spans(data, tally)
        self.texts: list[str] = []
        self.seen: set[int] = set()

    def once(self, start: int) -> None:
        """Go on where no other entry has the same table or value: else a short file is long work."""
        if start in self.seen:
            raise _broken("Two entries have the same value.", start)
        self.seen.add(start)

    def table(self, start: int, end: int, depth: int) -> None:
        """Walk one table: a filter, buckets, and entries."""
        demand(depth, _DEPTH, "table depth")
        self.once(start)
        words, buckets = struct.unpack_from("<2I", self.data, start)
        rows = start + 8 + 4 * (words & _BLOOM) + 4 * buckets
        count, rest = divmod(end - rows, _ITEM.size)
        if rows > end or rest:
            raise _broken("A table is not as long as its head says.", start)
        self.spans.take(start, end - start)
        items = [_ITEM.unpack_from(self.data, rows + index * _ITEM.size) for index in range(count)]
        names = [self.name(item, count) for item in items]
        for index, (item, name) in enumerate(zip(items, names, strict=True)):
            parents, parent = [name], item[1]
            while parent != _NOBODY:
                parents.append(names[parent])
                parent = items[parent][1]
                demand(len(parents), _PARENTS, "parents")
            self.value(item, "".join(reversed(parents)) or str(index), depth)

    def name(self, item: tuple[int, ...], count: int) -> str:
        """Return the part of a name that an entry adds to its parent's."""
        _, parent, at, size, *_ = item
        if parent != _NOBODY and parent >= count:
            raise _broken("An entry has a parent that is not there.", at)
        return bytes(self.spans.take(at, size)).decode("utf-8", "replace")

    def value(self, item: tuple[int, ...], name: str, depth: int) -> None:
        kind, start, end = item[4:]
        if kind == ord("H"):
            self.table(start, end, depth + 1)
        elif kind == ord("L"):
            if (end - start) % 4:
                raise _broken("A list of entries is not as long as its entries.", start)
            self.spans.take(start, end - start)
        elif kind == ord("v"):
            self.once(start)
            self.variant(self.spans.take(start, end - start), name)
        else:
            raise _broken("An entry is of a kind that is not known.", start)

    def variant(self, raw: memoryview, name: str) -> None:
        """Look at a value; a resource is inspected."""
        if bytes(raw[-len(_RESOURCE) :]) != _RESOURCE or len(raw) < 8 + len(_RESOURCE):
            self.texts.append(texts_of(raw))
            return
        size, flags = struct.unpack_from("<2I", raw)
        content = bytes(raw[8 : -len(_RESOURCE)])
        bound = demand(size, self.context.limits.member_bytes, "member_bytes")
        self.context.budget.member(size)
        if flags & _PACKED:
            demand(size, max(self.context.limits.ratio_floor, self.context.limits.ratio * len(raw)), "ratio")
            unpacker = zlib.decompressobj()
            plain = unpacker.decompress(content, bound + 1)
            if not unpacker.eof or unpacker.unused_data:
                raise _broken("A resource does not unpack to its length.", 0)
        else:
            # A byte of zero follows what is not packed, so that programs may use it as a text.
            plain = content[:-1] if content[-1:] == b"\x00" else b"\x00"
        if len(plain) != size:
            raise _broken("A resource is not as long as it says.", 0)
        self.tally.absorb(self.context.inspect(memoryview(plain), self.context.member(name)))


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
