"""What a session announces: the files of one crate, and how they are cut into blocks and shards."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from lockgate.core.errors import LockgateError
from lockgate.core.wire import Document, decode
from lockgate.crossing.diode.errors import DiodeTableError
from lockgate.crossing.diode.wire import DIODE_FORMAT, OVERHEAD
from lockgate.crossing.erasure import SHARDS_LIMIT
from lockgate.crossing.format import (
    CRATE_FILE,
    MANIFEST_LIMIT,
    PARITY_NAME,
    ROOT_NAME,
    ROOTS_FOLDER,
    SHARDS_FILE,
    VOLUME_NAME,
    VOLUMES_LIMIT,
    is_folder_name,
)
from lockgate.trust.roots import CHAIN_LIMIT, ROOT_LIMIT

TABLE_LIMIT = 4 * 1024 * 1024
"""Longest table that is read, in bytes."""

FILES_LIMIT = 2 * VOLUMES_LIMIT + CHAIN_LIMIT + 2
"""Most files of one crate, parity volumes included."""

FILE_LIMIT = 1 << 44
"""Longest file, in bytes."""

BLOCKS_LIMIT = 1 << 24
"""Most blocks of one crate: a receiver keeps three bytes for each."""

SMALL_PARITY = 8
"""Parity shards that a short block has at least, where there are any."""

PACKET_LIMIT = 65507
"""Longest UDP payload, in bytes."""

_OTHER_LIMITS = {CRATE_FILE: MANIFEST_LIMIT, SHARDS_FILE: 1 << 36}

Count = Annotated[int, msgspec.Meta(ge=0, le=FILE_LIMIT)]


class TableFile(Document, frozen=True):
    """One file; `size` in bytes."""

    name: str
    size: Annotated[int, msgspec.Meta(ge=1, le=FILE_LIMIT)]


class Table(Document, frozen=True):
    """The announcement of a session.

    `files` are all files of the crate; file `n` is stream `n + 1`. `interleave` is how many bytes of
    shards lie between the first and the last shard of a block, which is what a receiver has to hold.
    `rate` is what the sender was set to, in bytes per second of packets.
    """

    format: str
    crate: str
    files: tuple[TableFile, ...]
    shard: Annotated[int, msgspec.Meta(ge=1, le=PACKET_LIMIT)]
    data: Annotated[int, msgspec.Meta(ge=1, le=SHARDS_LIMIT)]
    parity: Annotated[int, msgspec.Meta(ge=0, le=SHARDS_LIMIT)]
    interleave: Count
    rate: Count

    @property
    def cut(self) -> "Cut":
        """Return how files are cut."""
        return Cut(self.shard, self.data, self.parity)


@dataclass(frozen=True, slots=True)
class Cut:
    """How a stream is cut: shards of `shard` bytes, `data` of them and `parity` more in a block."""

    shard: int
    data: int
    parity: int

    @property
    def block_bytes(self) -> int:
        """Return how many bytes of a stream a full block holds."""
        return self.shard * self.data

    def blocks(self, size: int) -> int:
        """Return how many blocks a stream of that many bytes has."""
        return -(-size // self.block_bytes)

    def span(self, size: int, block: int) -> tuple[int, int]:
        """Return the offset and the length in bytes of a block's content."""
        offset = block * self.block_bytes
        return offset, min(self.block_bytes, size - offset)

    def shape(self, size: int, block: int) -> tuple[int, int]:
        """Return how many data and parity shards a block has.

        The last block of a stream may be shorter. It has relatively more parity, since few shards
        are lost together more easily.
        """
        data = -(-self.span(size, block)[1] // self.shard)
        if data == self.data or not self.parity:
            return data, self.parity
        return data, min(self.parity, SMALL_PARITY + -(-self.parity * data // self.data))

    @property
    def packet(self) -> int:
        """Return the length of a packet with a shard, in bytes."""
        return self.shard + OVERHEAD


def file_limit(name: str) -> int:
    """Return how many bytes a file of a crate may have by its name; 0 when no crate has such a file."""
    folder, slash, base = name.rpartition("/")
    if slash:
        return ROOT_LIMIT if folder == ROOTS_FOLDER and re.fullmatch(ROOT_NAME, base) else 0
    if VOLUME_NAME.fullmatch(name) or PARITY_NAME.fullmatch(name):
        return FILE_LIMIT
    return _OTHER_LIMITS.get(name, 0)


def read_table(data: bytes) -> Table:
    """Return an announcement that names nothing but files of one crate.

    Raises:
        DiodeTableError: It names something else, twice, or too large; or it is no announcement.

    """
    try:
        table = decode(Table, data, limit=TABLE_LIMIT, name="the announcement")
    except LockgateError as error:
        what = f"A session announces what cannot be read: {error.what}"
        raise DiodeTableError(what) from error
    if fault := _fault(table):
        raise DiodeTableError(fault, crate=table.crate[:40])
    return table


def _fault(table: Table) -> str:
    if table.format != DIODE_FORMAT or not is_folder_name(table.crate):
        return f"A session announces {table.crate[:40]!r} as {table.format[:40]!r}."
    cut = table.cut
    if (
        table.data + table.parity > SHARDS_LIMIT
        or cut.packet > PACKET_LIMIT
        or sum(cut.blocks(file.size) for file in table.files) > BLOCKS_LIMIT
    ):
        return f"A session announces blocks or packets that are too large, or more than {BLOCKS_LIMIT}."
    if not 1 <= len(table.files) <= FILES_LIMIT:
        return f"A session announces {len(table.files)} files."
    seen: set[str] = set()
    for file in table.files:
        if file.size > file_limit(file.name):
            return f"A session announces {file.name[:80]!r} with {file.size} bytes, which no crate has."
        if file.name in seen:
            return f"A session announces {file.name} twice."
        seen.add(file.name)
    return ""


def sending_order(names: Sequence[str]) -> list[str]:
    """Return the names as they are sent: what the volumes are read with goes first."""
    first = {CRATE_FILE: 1, SHARDS_FILE: 2}
    return sorted(names, key=lambda name: (0 if "/" in name else first.get(name, 3), name))
