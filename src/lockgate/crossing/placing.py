"""Which file of a crate goes on which medium, decided before a byte is written. Pure arithmetic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from lockgate.crossing.format import RECORD_SIZE, VOLUMES_LIMIT
from lockgate.crossing.layout import VOLUME_MINIMUM, PlannedVolume
from lockgate.crossing.media.errors import MediumSpaceError
from lockgate.crossing.media.sizes import RESERVE, SECTOR, file_bytes, spread
from lockgate.crossing.parity import PlannedParity, plan_parity

DOCUMENTS = 1 << 20
"""About how many bytes roots/ and the fixed part of crate.json take, which every medium repeats."""

_LINE = 300
"""About how many bytes a volume takes in crate.json."""

_DIGEST = 32

Places = tuple[tuple[int, ...], ...]
"""For each medium the places of its files: volumes first, then the parity volumes of all groups."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """The room on media that a crate is sealed onto.

    Attributes:
        free: Bytes that each medium takes.
        alike: Media are mounted one after another, as many as are needed, and each takes as much as
            the first. What belongs together for parity then lies on one medium, since no two are
            there at once.

    """

    free: tuple[int, ...]
    alike: bool = False

    def volume_bound(self, payload: int, share: Fraction) -> int:
        """Return the largest volume, in bytes, that leaves a medium with room for its parity.

        Args:
            payload: Length of the payload in bytes.
            share: Parity volumes per volume.

        """
        shards = payload // RECORD_SIZE + min(VOLUMES_LIMIT, payload // VOLUME_MINIMUM + 1)
        room = max(self.free) - RESERVE - DOCUMENTS - 2 * _DIGEST * shards
        return room // (1 + math.ceil(1 / share)) - 2 * SECTOR if self.alike and share else room - 2 * SECTOR


def index_bytes(volumes: Sequence[PlannedVolume], parity: Sequence[PlannedParity]) -> int:
    """Return about how long the shard index of a crate will be."""
    shards = sum(volume.records + 1 for volume in volumes)
    return _DIGEST * shards * (1 + bool(parity))


def repeated_on_each(volumes: Sequence[PlannedVolume], parity: Sequence[PlannedParity]) -> int:
    """Return about how many bytes every medium repeats: crate.json, roots/ and shards.idx."""
    count = len(volumes) + sum(one.group.parity for one in parity)
    return DOCUMENTS + _LINE * count + index_bytes(volumes, parity)


def file_sizes(volumes: Sequence[PlannedVolume], parity: Sequence[PlannedParity]) -> list[int]:
    """Return the lengths of all files in the order that places count them."""
    return [v.size for v in volumes] + [one.size for one in parity for _ in range(one.group.parity)]


def place(
    volumes: Sequence[PlannedVolume], share: Fraction, rooms: Rooms
) -> tuple[tuple[PlannedParity, ...], Places]:
    """Return the parity groups of a crate that is sealed onto media, and what goes on which of them.

    Args:
        volumes: The volumes.
        share: Parity volumes per volume.
        rooms: The media.

    Raises:
        MediumSpaceError: They do not suffice.

    """
    if rooms.alike and share:
        return _fill(volumes, share, rooms.free[0])
    parity = plan_parity(volumes, share)
    if share:
        return parity, _deal(volumes, parity, rooms.free)
    sizes = file_sizes(volumes, parity)
    free = [rooms.free[0]] * len(sizes) if rooms.alike else list(rooms.free)
    placed = spread(sizes, repeated_on_each(volumes, parity), free)
    # Media that stay empty are not written: a crate is asked for on those that hold a part of it.
    return parity, tuple(tuple(places) for places in placed if places)


def _deal(volumes: Sequence[PlannedVolume], parity: Sequence[PlannedParity], free: Sequence[int]) -> Places:
    """Deal the files of each parity group evenly to all media, so that as many as can be may get lost."""
    room = [each - RESERVE - repeated_on_each(volumes, parity) for each in free]
    placed: list[list[int]] = [[] for _ in free]
    at, spare = 0, len(volumes)
    for one in parity:
        size, count = one.group.volumes, one.group.parity
        held = [0] * len(free)
        for place in (*range(at, at + size), *range(spare, spare + count)):
            need = file_bytes(volumes[place].size if place < len(volumes) else one.size)
            fits = [number for number in range(len(free)) if room[number] >= need]
            if not fits:
                what = f"{len(free)} media do not suffice; a file of {need} bytes finds no room."
                raise MediumSpaceError(what, missing=need - max(room))
            best = min(fits, key=lambda number: (held[number], -room[number]))
            placed[best].append(place)
            held[best] += 1
            room[best] -= need
        at, spare = at + size, spare + count
    return tuple(tuple(places) for places in placed if places)


def _fill(
    volumes: Sequence[PlannedVolume], share: Fraction, free: int
) -> tuple[tuple[PlannedParity, ...], Places]:
    """Fill one medium after the other with volumes and the parity over exactly those."""
    room = free - RESERVE - repeated_on_each(volumes, plan_parity(volumes, share))
    groups: list[PlannedParity] = []
    cuts: list[tuple[int, int, int]] = []
    at, spare = 0, 0
    while at < len(volumes):
        count = 0
        while at + count < len(volumes) and _takes(volumes[at : at + count + 1], share) <= room:
            count += 1
        if not count:
            missing = _takes(volumes[at : at + 1], share) - room
            what = f"A medium of {free} bytes has no room for {volumes[at].name} and its parity."
            raise MediumSpaceError(what, missing=missing)
        planned = plan_parity(volumes[at : at + count], share)
        made = sum(one.group.parity for one in planned)
        groups += planned
        cuts.append((at, count, made))
        at, spare = at + count, spare + made
    placed, first = [], len(volumes)
    for start, count, made in cuts:
        placed.append((*range(start, start + count), *range(first, first + made)))
        first += made
    return tuple(groups), tuple(placed)


def _takes(volumes: Sequence[PlannedVolume], share: Fraction) -> int:
    return sum(map(file_bytes, file_sizes(volumes, plan_parity(volumes, share))))
