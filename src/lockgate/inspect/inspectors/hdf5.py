"""HDF5: superblock, groups, object headers, attributes and data layouts; what is stored is opaque.

Format: "HDF5 File Format Specification" 3.0. Read are superblocks 0 to 3, object headers 1 and 2, old
groups (B-trees and local heaps) and links in headers, contiguous, compact and chunked (B-tree 1) data, and
global heaps; dense groups and attributes and newer chunk indexes stay unread. Links and data in
other files are findings, and so is what Keras would run from the configuration in an attribute.
"""

import re
import struct
from math import prod

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors import configs
from lockgate.inspect.inspectors.hidden_programs import look_for_calls
from lockgate.inspect.inspectors.strict_json import loads
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_SPACE, _LINK_INFO, _TYPE, _LINK, _EXTERNAL, _LAYOUT, _ATTRIBUTE, _MORE, _TABLE = 1, 2, 3, 6, 7, 8, 12, 16, 17
_ATTRIBUTE_INFO, _FILTERS = 21, 11
_FACTS = frozenset({_SPACE, _TYPE, _LAYOUT, _FILTERS})
_SIGNED = 4
"""Bytes of a signature before, and of a check sum behind, the blocks of newer headers."""
_KNOWN = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23})
_CONFIGURATION = re.compile(rb"\{\s*\"(?:class_name|module|config|name|keras_version|registered_name)\"")


class Hdf5Inspector(Inspector):
    """Follows the structure from the superblock; nothing is loaded."""

    name = "hdf5"
    version = 2
    detects = frozenset({"hdf5"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim what the structure names; gaps of zeros are claimed, others stay unread."""
        tally.opaque.add("hdf5")
        _configurations(data, tally, context)
        look_for_calls(tally, data)
        walker = _Walker(data, tally, context)
        try:
            walker.run()
        except (struct.error, IndexError) as error:
            what = "The file ends inside its structure."
            raise BrokenContentError(what, at=len(data)) from error
        for start, end in tally.gaps():
            if not any(data[start:end]):
                tally.claim(start, end)


def _configurations(data: memoryview, tally: Tally, context: Context) -> None:
    """Look at every JSON object in the file that configures Keras, wherever it lies."""
    at = 0
    for _ in range(context.limits.members):
        found = _CONFIGURATION.search(data, at)
        if not found:
            return
        at = found.start()
        end = _object_end(data, at, context.limits.text_bytes)
        if end is None:
            at += 1
            continue
        try:
            value = loads(bytes(data[at:end]).decode("utf-8"))
        except (BrokenContentError, UnicodeDecodeError):
            tally.unfinished("hdf5-configuration", "A configuration in the file is no JSON.", at)
        else:
            configs.check(tally, "model_config", value)
        at = end


_TOKEN = re.compile(rb"\"(?:[^\"\\]|\\.)*\"|[{}]|\x00", re.DOTALL)


def _object_end(data: memoryview, start: int, most: int) -> int | None:
    """Return where the JSON object ends that begins at a place."""
    depth = 0
    for found in _TOKEN.finditer(data, start, min(len(data), start + most)):
        if found[0] == b"\x00":
            return None
        depth += {b"{": 1, b"}": -1}.get(found[0], 0)
        if not depth:
            return found.end()
    return None


class _Walker:
    def __init__(self, data: memoryview, tally: Tally, context: Context) -> None:
        self.data, self.tally, self.limits = data, tally, context.limits
        self.offset = self.length = 8
        self.seen: set[int] = set()
        self.todo: list[int] = []
        self.count = 0

    def integer(self, at: int, size: int) -> int:
        if at < 0 or at + size > len(self.data):
            what = "An address lies past the file."
            raise BrokenContentError(what, at=min(max(at, 0), len(self.data)))
        return int.from_bytes(self.data[at : at + size], "little")

    def address(self, at: int) -> int:
        return self.integer(at, self.offset)

    def claim(self, at: int, size: int) -> None:
        if at < 0 or at + size > len(self.data):
            what = "A part of the structure lies past the file."
            raise BrokenContentError(what, at=min(max(at, 0), len(self.data)))
        self.tally.claim(at, at + size)

    def once(self, at: int) -> bool:
        self.count += 1
        demand(self.count, self.limits.objects, "objects")
        if at in self.seen:
            return False
        self.seen.add(at)
        return True

    def run(self) -> None:
        version = self.data[8]
        if version in {0, 1}:
            self.offset, self.length = self.data[13], self.data[14]
            at = 24 + (4 if version else 0)
            self.claim(0, at + 4 * self.offset + 2 * self.offset + 24)
            root = at + 4 * self.offset
            self.todo.append(self.address(root + self.offset))
            self.cached(root)
        elif version in {2, 3}:
            self.offset, self.length = self.data[9], self.data[10]
            self.claim(0, 12 + 4 * self.offset + 4)
            self.todo.append(self.address(12 + 3 * self.offset))
        else:
            what = f"Version {version} of the superblock is not known."
            raise BrokenContentError(what, at=8)
        if self.offset not in {4, 8} or self.length not in {4, 8}:
            what = "The widths of addresses and lengths are not known."
            raise BrokenContentError(what, at=8)
        while self.todo:
            at = self.todo.pop()
            if self.once(at):
                self.header(at)
        self.heaps()

    def cached(self, entry: int) -> None:
        """Follow what a symbol table entry keeps of its group, or note its soft link."""
        kind = self.integer(entry + 2 * self.offset, 4)
        scratch = entry + 2 * self.offset + 8
        if kind == 1:
            self.table(self.address(scratch), self.address(scratch + self.offset))

    def header(self, at: int) -> None:
        if bytes(self.data[at : at + 4]) == b"OHDR":
            self.header2(at)
            return
        if self.data[at] != 1:
            what = "An object header is not known."
            raise BrokenContentError(what, at=at)
        count, size = self.integer(at + 2, 2), self.integer(at + 8, 4)
        self.claim(at, 16 + size)
        blocks = [(at + 16, size)]
        facts = _Facts()
        while blocks:
            start, size = blocks.pop(0)
            end = start + size
            while start + 8 <= end and count:
                kind, length = self.integer(start, 2), self.integer(start + 2, 2)
                self.message(kind, start + 8, facts, blocks, 0)
                start += 8 + length
                count -= 1
        self.layout(facts)

    def header2(self, at: int) -> None:
        flags = self.data[at + 5]
        place = at + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = self.integer(place, width)
        start = place + width
        self.claim(at, start - at + size + 4)
        facts = _Facts()
        blocks = [(start, size)]
        while blocks:
            start, size = blocks.pop(0)
            end = start + size
            head = 4 + (2 if flags & 4 else 0)
            while start + head <= end:
                kind, length = self.data[start], self.integer(start + 1, 2)
                self.message(kind, start + head, facts, blocks, _SIGNED)
                start += head + length
        self.layout(facts)

    def message(self, kind: int, at: int, facts: "_Facts", blocks: list[tuple[int, int]], head: int) -> None:
        """Take in one message; `head` is how long the signature of a further block is."""
        if kind not in _KNOWN:
            self.tally.unfinished("hdf5-message", f"A message of the kind {kind} is not known.", at)
        elif kind in _FACTS:
            self.fact(kind, at, facts)
        elif kind == _EXTERNAL:
            self.tally.note("hdf5-external", Severity.HIGH, "The data of a set lies in another file.", at)
        elif kind == _LINK:
            self.link(at)
        elif kind == _TABLE:
            self.table(self.address(at), self.address(at + self.offset))
        elif kind == _MORE:
            start, length = self.address(at), self.integer(at + self.offset, self.length)
            self.claim(start, length)
            if self.once(start):
                blocks.append((start + head, length - 2 * head))
        elif kind in {_LINK_INFO, _ATTRIBUTE_INFO}:
            self.dense(kind, at)

    def fact(self, kind: int, at: int, facts: "_Facts") -> None:
        if kind == _SPACE:
            facts.shape = self.shape(at)
        elif kind == _TYPE:
            facts.element = self.integer(at + 4, 4)
        elif kind == _LAYOUT:
            facts.layout = at
        else:
            facts.filtered = True

    def dense(self, kind: int, at: int) -> None:
        flags = self.data[at + 1]
        wide = 8 if kind == _LINK_INFO else 2
        heap = self.address(at + 2 + (wide if flags & 1 else 0))
        if heap != (1 << 8 * self.offset) - 1:
            self.tally.unfinished("hdf5-dense", "Links or attributes are kept in a way that is not read.", at)

    def shape(self, at: int) -> list[int]:
        version, rank = self.data[at], self.data[at + 1]
        start = at + (8 if version == 1 else 4)
        return [self.integer(start + self.length * n, self.length) for n in range(demand(rank, 64, "rank"))]

    def link(self, at: int) -> None:
        flags = self.data[at + 1]
        place = at + 2
        kind = 0
        if flags & 8:
            kind, place = self.data[place], place + 1
        place += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
        width = 1 << (flags & 3)
        length = self.integer(place, width)
        place += width + length
        if kind == 0:
            self.todo.append(self.address(place))
        elif kind == 64:  # noqa: PLR2004  # external link
            self.tally.note("hdf5-external", Severity.HIGH, "A link leads to another file.", at)
        elif kind != 1:
            self.tally.note(
                "hdf5-link", Severity.HIGH, f"A link of the kind {kind} needs code of its own.", at
            )

    def table(self, tree: int, heap: int) -> None:
        """Follow an old group: a B-tree of symbol table nodes, and names in a local heap."""
        if self.once(heap):
            size, start = self.integer(heap + 8, self.length), heap + 8 + 2 * self.length
            self.claim(heap, 8 + 2 * self.length + self.offset)
            self.claim(self.address(start), size)
        if not self.once(tree):
            return
        level, used = self.data[tree + 5], self.integer(tree + 6, 2)
        self.claim(tree, self.tree_size(tree, self.length))
        place = tree + 8 + 2 * self.offset + self.length
        for _ in range(used):
            child = self.address(place)
            if level:
                self.table(child, heap)
            elif self.once(child):
                self.symbols(child)
            place += self.offset + self.length

    def tree_size(self, tree: int, key: int) -> int:
        used = self.integer(tree + 6, 2)
        return 8 + 2 * self.offset + used * (self.offset + key) + key

    def symbols(self, at: int) -> None:
        count, size = self.integer(at + 6, 2), 2 * self.offset + 24
        self.claim(at, 8 + count * size)
        for index in range(count):
            entry = at + 8 + index * size
            self.cached(entry)
            if self.integer(entry + 2 * self.offset, 4) != 2:  # noqa: PLR2004  # a soft link has no header
                self.todo.append(self.address(entry + self.offset))

    def layout(self, facts: "_Facts") -> None:
        at = facts.layout
        if not at:
            return
        version, kind = self.data[at], self.data[at + 1]
        if version < 3:  # noqa: PLR2004  # layouts of the oldest files
            self.old_layout(at, facts)
            return
        absent = (1 << 8 * self.offset) - 1
        if kind == 1:
            start, size = self.address(at + 2), self.integer(at + 2 + self.offset, self.length)
            need = facts.element * prod(facts.shape)
            if start != absent and size:
                self.claim(start, size)
                if size < need and not facts.filtered:
                    what = "A set has fewer bytes than its shape and type make."
                    raise BrokenContentError(what, at=at)
        elif kind == 2 and version == 3:  # noqa: PLR2004  # chunks in a B-tree
            start = self.address(at + 3)
            if start != absent:
                self.chunks(start, self.data[at + 2])
        elif kind == 3:  # noqa: PLR2004  # virtual
            self.tally.note("hdf5-external", Severity.HIGH, "A set is made of sets of other files.", at)
        elif kind:
            self.tally.unfinished("hdf5-chunks", "Chunks are indexed in a way that is not read.", at)

    def old_layout(self, at: int, facts: "_Facts") -> None:
        rank, kind = self.data[at + 1], self.data[at + 2]
        if kind == 1:
            start = self.address(at + 8)
            if start != (1 << 8 * self.offset) - 1:
                self.claim(start, facts.element * prod(facts.shape))
        elif kind == 2:  # noqa: PLR2004  # chunked
            self.chunks(self.address(at + 8), rank)

    def chunks(self, tree: int, rank: int) -> None:
        if not self.once(tree):
            return
        level, used = self.data[tree + 5], self.integer(tree + 6, 2)
        key = 8 + 8 * rank
        self.claim(tree, self.tree_size(tree, key))
        place = tree + 8 + 2 * self.offset
        for _ in range(used):
            size = self.integer(place, 4)
            child = self.address(place + key)
            if level:
                self.chunks(child, rank)
            else:
                self.claim(child, size)
            place += key + self.offset

    def heaps(self) -> None:
        """Claim the global heaps, which hold texts of any length, by their own signature."""
        at = 0
        for _ in range(self.limits.members):
            found = _HEAP.search(self.data, at)
            if not found:
                return
            start = found.start()
            size = self.integer(start + 8, self.length)
            if size <= len(self.data) - start:
                self.claim(start, size)
            at = start + 4


_HEAP = re.compile(rb"GCOL\x01\x00\x00\x00")


class _Facts:
    """What the messages of one object say of its data."""

    def __init__(self) -> None:
        self.shape: list[int] = []
        self.element = 0
        self.layout = 0
        self.filtered = False
