"""Parity volumes: how volumes are grouped, and how parity is made from a group that was written."""

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from lockgate.core.ports import Progress
from lockgate.crossing.buffers import Buffers, Loan, write_all
from lockgate.crossing.erasure import SHARDS_LIMIT, code, rows_of
from lockgate.crossing.errors import CrateIoError, ManifestError, ParityRequestError
from lockgate.crossing.field import Bytes
from lockgate.crossing.format import (
    PARITY_SCHEME,
    SHARDS_FILE,
    Manifest,
    Parity,
    ParityEntry,
    ParityGroup,
    parity_name,
)
from lockgate.crossing.layout import GROUP_VOLUMES, PlannedVolume
from lockgate.crossing.pipeline import Stage
from lockgate.crossing.shards import ShardedFile, VolumeShards

SLICE = 128 * 1024
"""Bytes of every shard that are worked on at once; bounds memory to 255 times as much, twice."""


@dataclass(frozen=True, slots=True)
class Group:
    """The files of one group: volumes, then the parity volumes over them."""

    volumes: tuple[ShardedFile, ...]
    parity: tuple[ShardedFile, ...]

    @property
    def files(self) -> tuple[ShardedFile, ...]:
        """Return all of them."""
        return self.volumes + self.parity

    @property
    def stripes(self) -> int:
        """Return how many shards the longest file has; stripe `n` is shard `n` of each."""
        return max(len(file.shards) for file in self.files)


@dataclass(frozen=True, slots=True)
class PlannedParity:
    """One group before its parity is made; `size` is the length of each parity volume in bytes."""

    group: ParityGroup
    size: int


def parse_share(text: str) -> Fraction:
    """Return the share that a text as ``10%`` names; 0 for ``0%``.

    Raises:
        ParityRequestError: Another form, below 0 or above 100%.

    """
    try:
        share = Fraction(text.removesuffix("%")) / 100 if text.endswith("%") else Fraction(-1)
    except (ValueError, ZeroDivisionError):
        share = Fraction(-1)
    if not 0 <= share <= 1:
        what = f"{text[:40]!r} is not a share of parity."
        raise ParityRequestError(what)
    return share


def group_volumes(count: int, share: Fraction) -> tuple[ParityGroup, ...]:
    """Return groups of nearly equal size over that many volumes, each with its share of parity.

    Args:
        count: Number of volumes.
        share: Parity volumes per volume; rounded up in each group.

    """
    if not share or not count:
        return ()
    groups = -(-count // min(GROUP_VOLUMES, int(SHARDS_LIMIT / (1 + share))))
    least, more = divmod(count, groups)
    sizes = [least + 1] * more + [least] * (groups - more)
    return tuple(ParityGroup(volumes=size, parity=math.ceil(size * share)) for size in sizes)


def plan_parity(volumes: Sequence[PlannedVolume], share: Fraction) -> tuple[PlannedParity, ...]:
    """Return the groups over the volumes of a crate, each with the length of its parity volumes."""
    planned, left = [], list(volumes)
    for group in group_volumes(len(volumes), share):
        members, left = left[: group.volumes], left[group.volumes :]
        sizes = [(v.header_size, v.size - v.header_size) for v in members]
        planned.append(PlannedParity(group, parity_size(sizes)))
    return tuple(planned)


def groups_of(manifest: Manifest, files: Sequence[ShardedFile]) -> list[Group]:
    """Return the groups of a crate; one without parity where it has none.

    Args:
        manifest: The crate's manifest.
        files: What `read_index` returned.

    Raises:
        ManifestError: A parity volume has a shard over headers that is not as long as the longest.

    """
    count = len(manifest.volumes)
    volumes, parity = list(files[:count]), list(files[count:])
    if manifest.parity is None:
        return [Group(tuple(volumes), ())]
    found = []
    for listed in manifest.parity.groups:
        group = Group(tuple(volumes[: listed.volumes]), tuple(parity[: listed.parity]))
        longest = max(file.shards.header_size for file in group.volumes)
        for file in group.parity:
            if file.shards.header_size != longest:
                what = f"The first shard of {file.name} is not as long as the longest header."
                raise ManifestError(what, file=SHARDS_FILE)
        found.append(group)
        volumes, parity = volumes[listed.volumes :], parity[listed.parity :]
    return found


def parity_size(volumes: Sequence[tuple[int, int]]) -> int:
    """Return the length of a parity volume over volumes of these header and sealed lengths, in bytes."""
    return max(header for header, _ in volumes) + max(sealed for _, sealed in volumes)


def slices(length: int) -> Iterator[tuple[int, int]]:
    """Yield offset and length of the parts of a shard that are worked on at once."""
    for offset in range(0, length, SLICE):
        yield offset, min(SLICE, length - offset)


@dataclass(frozen=True, slots=True)
class ParityMaker:
    """Makes the parity volumes of a group; `place` tells where a file lies, or is to lie."""

    place: Callable[[str], Path]
    progress: Progress

    def make(
        self, volumes: Sequence[ShardedFile], count: int, first: int
    ) -> list[tuple[ParityEntry, VolumeShards]]:
        """Write the parity volumes of a group; durable on return.

        Args:
            volumes: The group's volumes.
            count: How many parity volumes to make.
            first: Number of the first one.

        Returns:
            Each one's line for crate.json and its digests.

        """
        names = [parity_name(first + n) for n in range(count)]
        sizes = [(v.shards.header_size, v.size - v.shards.header_size) for v in volumes]
        size, header = parity_size(sizes), max(h for h, _ in sizes)
        coder, made = code(len(volumes), count), np.empty((count, SLICE), np.uint8)
        digests = [bytearray() for _ in names]
        with ExitStack() as stack:
            sources = [stack.enter_context(self.place(v.name).open("rb", buffering=0)) for v in volumes]
            targets = [stack.enter_context(self.place(name).open("xb", buffering=0)) for name in names]
            pieces = stack.enter_context(Stage(_stripes(volumes, [s.fileno() for s in sources])))
            states = [hashlib.sha256() for _ in names]
            for piece in pieces:
                length = piece.rows.shape[1]
                coder.encode(rows_of(piece.rows), rows_of(made), length)
                for row, target, state in zip(made, targets, states, strict=True):
                    write_all(target.fileno(), row.data[:length])
                    state.update(row.data[:length])
                self.progress.advance(piece.rows.size)
                piece.loan.give_back()
                if piece.ended:
                    for place, state in enumerate(states):
                        digests[place] += state.digest()
                    states = [hashlib.sha256() for _ in names]
            for target in targets:
                os.fsync(target.fileno())
        return [
            (ParityEntry(name=name, size=size), VolumeShards(header, bytes(digest)))
            for name, digest in zip(names, digests, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Slices of the shards of one stripe, as rows, and whether they end the stripe."""

    loan: Loan
    rows: Bytes
    ended: bool


def _stripes(volumes: Sequence[ShardedFile], handles: Sequence[int]) -> Iterator[_Piece]:
    """Yield slices of every stripe; rows are padded with zeros."""
    buffers = Buffers(len(volumes) * SLICE)
    for stripe in range(max(len(v.shards) for v in volumes)):
        spans = [v.span(stripe) for v in volumes]
        longest = max(length for _, length in spans)
        for offset, length in slices(longest):
            loan = buffers.lend(len(volumes) * length)
            rows = np.frombuffer(loan.view, np.uint8).reshape(len(volumes), length)
            for volume, row, (start, size), handle in zip(volumes, rows, spans, handles, strict=True):
                if not fill_row(handle, row, start + offset, size - offset):
                    what = f"{volume.name} is shorter than it was written."
                    raise CrateIoError(what, file=volume.name)
            yield _Piece(loan, rows, offset + length == longest)


def fill_row(handle: int, row: Bytes, offset: int, length: int) -> bool:
    """Fill a row with at most `length` bytes from an offset, then zeros; tell whether there were enough."""
    wanted = max(0, min(len(row), length))
    view = row.data[:wanted]
    while view and (count := os.preadv(handle, [view], offset)):
        offset += count
        view = view[count:]
    row[wanted - len(view) :] = 0
    return not view


def make_parity(
    folder: Path, volumes: Sequence[ShardedFile], planned: Sequence[PlannedParity], progress: Progress
) -> tuple[Parity | None, list[VolumeShards]]:
    """Make the parity of every group.

    Args:
        folder: Holds the volumes, and gets the parity volumes.
        volumes: All volumes of the crate.
        planned: The groups over them.
        progress: Told about the bytes that were read.

    Returns:
        What crate.json says of the parity (None without any), and the digests for the index.

    """
    maker, left = ParityMaker(folder.joinpath, progress), list(volumes)
    made: list[tuple[ParityEntry, VolumeShards]] = []
    for one in planned:
        members, left = left[: one.group.volumes], left[one.group.volumes :]
        made += maker.make(members, one.group.parity, len(made) + 1)
    if not made:
        return None, []
    entries = tuple(entry for entry, _ in made)
    parity = Parity(scheme=PARITY_SCHEME, groups=tuple(one.group for one in planned), volumes=entries)
    return parity, [shards for _, shards in made]
