"""Databases of SQLite: each page belongs to one tree, one chain or the free list, and each cell to one page.

Format: "Database File Format" (SQLite). A damaged file breaks readers that trust it (CVE-2019-8457 and its
like), and a schema can run functions when a query meets it; so trees, cells, chains and schema are walked.
"""

import re
import struct
from dataclasses import dataclass, field
from itertools import pairwise

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.hidden_programs import look_for_calls
from lockgate.inspect.inspectors.strings import SEARCHED, look, texts_of
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_HEAD, _LEAST_PAGE, _LEAST_USABLE = 100, 512, 480
_LOCK_BYTE = 1 << 30
_INDEX, _TABLE = 2, 5
_LEAF = 8
_ROW, _MOST_COLUMNS = 9, 5
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_ENCODINGS = {0: "utf-8", 1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}
_REACHES = re.compile(
    r"(?i)\b(load_extension|fts3_tokenizer|readfile|writefile|edit|eval|sqlite_dbpage|fsdir)\s*\("
)
"""Functions by which a view or trigger reaches out of the database, where a program offers them."""


@dataclass(slots=True)
class _File:
    data: memoryview
    size: int
    """Bytes of a page."""
    usable: int
    pages: int
    most: int
    used: set[int] = field(default_factory=set)
    cells: int = 0
    slack: int = 0
    """Bytes that no cell owns and that are not zero: what was deleted."""
    long: bytearray = field(default_factory=bytearray)
    """Values that did not fit on a page, put together, as far as texts are searched."""

    def page(self, number: int) -> memoryview:
        """Return a page that nothing used before."""
        if not 0 < number <= self.pages or number in self.used:
            raise _broken("A page belongs to two parts of the database, or is not there.", number * self.size)
        self.used.add(number)
        start = (number - 1) * self.size
        return self.data[start : start + self.size]


class SqliteInspector(Inspector):
    """Walks every tree from the schema, the free list and the map of pointers."""

    name = "sqlite"
    version = 2
    detects = frozenset({"sqlite"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim every page that is reached, and look at the schema and the texts."""
        tally.opaque.add("sqlite")
        look_for_calls(tally, data)
        file = _opened(data, context)
        rows: list[bytes] = []
        _tree(file, 1, _TABLE, rows)
        encoding = _ENCODINGS.get(int.from_bytes(data[56:60], "big"))
        if encoding is None:
            raise _broken("The encoding of the texts is not known.", 56)
        for row in rows:
            kind, name, _, root, sql = _schema(row, encoding)
            if found := _REACHES.search(sql):
                why = f"The {kind} {name[:40]} calls {found[1]} when a query meets it."
                tally.note("sqlite-reaches", Severity.HIGH, why)
            if root:
                _tree(file, root, 0)
        _free(file)
        _pointers(file)
        for number in file.used:
            tally.claim((number - 1) * file.size, number * file.size)
        if file.slack:
            tally.note("sqlite-free", Severity.INFO, f"{file.slack} bytes of pages hold what was deleted.")
        look(tally, [texts_of(memoryview(file.long)), texts_of(data)], context)


def _opened(data: memoryview, context: Context) -> _File:
    """Return the file by its header.

    Raises:
        BrokenContentError: The header is not one, or the file is not as long as it says.

    """
    if len(data) < _HEAD:
        raise _broken("The header ends too early.", len(data))
    size = int.from_bytes(data[16:18], "big")
    size = 65_536 if size == 1 else size
    usable = size - data[20]
    forms = data[18] in {1, 2} and data[19] in {1, 2} and bytes(data[21:24]) == b"\x40\x20\x20"
    if size < _LEAST_PAGE or size & (size - 1) or usable < _LEAST_USABLE or not forms or any(data[72:92]):
        raise _broken("The header is not as the format says.", 16)
    pages, rest = divmod(len(data), size)
    (said,) = struct.unpack_from(">I", data, 28)
    current = bytes(data[24:28]) == bytes(data[92:96])
    if rest or not pages or (current and said != pages):
        raise _broken("The database is not as long as its header says.", 28)
    return _File(data, size, usable, pages, context.limits.elements)


def _tree(file: _File, root: int, family: int, rows: list[bytes] | None = None) -> None:
    """Walk one tree; keep the rows of its leaves where a list is given."""
    waiting = [root]
    while waiting:
        number = waiting.pop()
        page = file.page(number)
        head = _HEAD if number == 1 else 0
        kind = page[head]
        if kind & ~_LEAF not in {_INDEX, _TABLE} or (family and kind & ~_LEAF != family):
            raise _broken("A page of a tree is of another kind.", (number - 1) * file.size)
        family = kind & ~_LEAF
        leaf = bool(kind & _LEAF)
        first, count, content, _ = struct.unpack_from(">3HB", page, head + 1)
        table = head + (8 if leaf else 12)
        content = content or 65_536
        if not leaf:
            waiting.append(int.from_bytes(page[head + 8 : head + 12], "big"))
        file.cells = demand(file.cells + count, file.most, "elements")
        if table + 2 * count > file.usable:
            raise _broken("A page has more cells than fit.", (number - 1) * file.size)
        spans = _freed(page, first, file)
        for at in struct.unpack_from(f">{count}H", page, table):
            spans.append((at, _cell(file, page, at, (family, leaf), (waiting, rows))))
        _packed(file, page, (table + 2 * count, content), spans, number)


def _packed(
    file: _File, page: memoryview, room: tuple[int, int], spans: list[tuple[int, int]], number: int
) -> None:
    """Check that cells do not overlap, and count what is left between them."""
    spans.sort()
    at, slack = room[0], 0
    if spans and spans[0][0] < max(room[0], min(room[1], file.usable)):
        raise _broken("A cell lies in the head of its page.", (number - 1) * file.size)
    for before, after in pairwise(spans):
        if after[0] < before[1]:
            raise _broken("Two cells share bytes.", (number - 1) * file.size + after[0])
    for start, end in [*spans, (file.usable, file.usable)]:
        if start > at and any(page[at:start]):
            slack += start - at
        at = max(at, end)
    file.slack += slack


def _freed(page: memoryview, first: int, file: _File) -> list[tuple[int, int]]:
    """Return the freed blocks of a page, which are a chain in ascending order."""
    spans: list[tuple[int, int]] = []
    while first:
        if first + 4 > file.usable or (spans and first < spans[-1][1]):
            raise _broken("The freed blocks of a page are no chain.", first)
        following, size = struct.unpack_from(">2H", page, first)
        if size < 4 or first + size > file.usable:  # noqa: PLR2004  # next and size
            raise _broken("A freed block ends past its page.", first)
        if any(page[first + 4 : first + size]):
            file.slack += size - 4
        spans.append((first, first + size))
        first = following
    return spans


def _cell(
    file: _File,
    page: memoryview,
    at: int,
    shape: tuple[int, bool],
    found: tuple[list[int], list[bytes] | None],
) -> int:
    """Walk one cell; return where it ends on its page."""
    (family, leaf), (waiting, rows) = shape, found
    start = at
    if not leaf:
        waiting.append(int.from_bytes(page[at : at + 4], "big"))
        at += 4
    size, at = _varint(page, at)
    if family == _TABLE:
        if not leaf:
            return at
        _, at = _varint(page, at)
    local = _local(size, file.usable, table=family == _TABLE)
    end = at + local + (4 if local < size else 0)
    if end > file.usable:
        raise _broken("A cell ends past its page.", start)
    chain = b""
    if local < size:
        keep = rows is not None or len(file.long) < SEARCHED
        chain = _chain(file, page, at + local, size - local, keep=keep)
        if keep:
            file.long += bytes(page[at : at + local]) + chain + b"\n"
    if rows is not None and leaf:
        rows.append(bytes(page[at : at + local]) + chain)
    return max(end, start + 4)


def _local(size: int, usable: int, *, table: bool) -> int:
    """Return how much of a payload lies on its page (section 1.6)."""
    most = usable - 35 if table else (usable - 12) * 64 // 255 - 23
    if size <= most:
        return size
    least = (usable - 12) * 32 // 255 - 23
    kept = least + (size - least) % (usable - 4)
    return kept if kept <= most else least


def _chain(file: _File, page: memoryview, at: int, left: int, *, keep: bool) -> bytes:
    """Walk the pages of a payload that did not fit; return it as far as texts are searched."""
    number = int.from_bytes(page[at : at + 4], "big")
    out = bytearray()
    while left > 0:
        over = file.page(number)
        part = min(left, file.usable - 4)
        if keep and len(out) < SEARCHED:
            out += over[4 : 4 + part]
        number, left = int.from_bytes(over[:4], "big"), left - part
        if any(over[4 + part : file.usable]):
            file.slack += file.usable - 4 - part
    if number:
        raise _broken("A chain of pages is longer than what it holds.", number * file.size)
    return bytes(out)


def _varint(page: memoryview | bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_ROW):
        byte = page[at + index] if at + index < len(page) else 0x100
        if byte > 0xFF:  # noqa: PLR2004  # past the page
            raise _broken("A number ends past its page.", at)
        if index == _ROW - 1:
            return value << 8 | byte, at + _ROW
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004  # the last byte of the number
            return value, at + index + 1
    raise AssertionError


def _schema(row: bytes, encoding: str) -> tuple[str, str, str, int, str]:
    """Return a row of the schema: kind, name, table, first page, and what made it."""
    head, at = _varint(row, 0)
    kinds: list[int] = []
    while at < head:
        kind, at = _varint(row, at)
        kinds.append(kind)
    if at != head or len(kinds) != _MOST_COLUMNS:
        raise _broken("A row of the schema has not five columns.", 0)
    values: list[str | int] = []
    for kind in kinds:
        size = _INTEGERS.get(kind, 0) if kind < 12 else (kind - 12) // 2  # noqa: PLR2004  # blobs and texts
        raw = row[at : at + size]
        if len(raw) != size:
            raise _broken("A row of the schema ends too early.", at)
        if kind in _INTEGERS or kind in {0, 8, 9}:
            values.append(int.from_bytes(raw, "big", signed=True) if size else int(kind == 9))  # noqa: PLR2004  # the number one
        else:
            values.append(raw.decode(encoding, "replace"))
        at += size
    root = values[3]
    if at != len(row) or not isinstance(root, int):
        raise _broken("A row of the schema is longer than its columns, or names no page.", at)
    return str(values[0]), str(values[1]), str(values[2]), root, str(values[4])


def _free(file: _File) -> None:
    """Walk the free list: trunks and the pages that they name."""
    trunk, count = struct.unpack_from(">2I", file.data, 32)
    found = 0
    while trunk:
        page = file.page(trunk)
        trunk, leaves = struct.unpack_from(">2I", page)
        if 8 + 4 * leaves > file.usable:
            raise _broken("The free list has more pages than fit.", 32)
        found += 1 + leaves
        for number in struct.unpack_from(f">{leaves}I", page, 8):
            if any(file.page(number)):
                file.slack += file.size
    if found != count:
        raise _broken("The free list is not as long as the header says.", 36)


def _pointers(file: _File) -> None:
    """Take the pages that map pointers, where there are any, and the one that locks are taken on."""
    if any(file.data[52:56]):
        for number in range(2, file.pages + 1, file.usable // 5 + 1):
            place = number + 1 if (number - 1) * file.size == _LOCK_BYTE else number
            if place <= file.pages:
                file.page(place)
    if len(file.data) > _LOCK_BYTE:
        file.page(_LOCK_BYTE // file.size + 1)


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
