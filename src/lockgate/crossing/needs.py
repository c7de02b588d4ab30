"""What a planned crate takes on each kind of medium."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.crossing.format import parity_name
from lockgate.crossing.media.sizes import MEDIA, RESERVE, Medium, file_bytes, pieces, write_seconds
from lockgate.crossing.sealplan import Plan


@dataclass(frozen=True, slots=True)
class MediumNeed:
    """What a crate takes on one kind of medium: pieces, bytes in all, and seconds to write and read back."""

    medium: str
    pieces: int
    size: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Disc:
    """One piece of a medium: what lies on it, and whether the others make its loss good."""

    number: int
    files: tuple[str, ...]
    size: int
    spare: bool


@dataclass(frozen=True, slots=True)
class Discs:
    """How a planned crate is spread over pieces of a medium; any `losses` of them may get lost."""

    discs: tuple[Disc, ...]
    losses: int


def spread_over(plan: Plan, medium: Medium) -> Discs:
    """Return what goes on which piece of a medium, and how many pieces parity can do without.

    A piece that is lost takes its share of each parity group; a group is rebuilt while no more of its
    volumes are lost than it has of parity. So any `n` pieces may be lost when in every group the `n`
    pieces that have most of it have no more than that.

    Raises:
        MediumSpaceError: A volume is larger than the medium.

    """
    return discs(plan, pieces([file.size for file in _files(plan)], plan.repeated, medium))


def discs(plan: Plan, placed: Sequence[Sequence[int]]) -> Discs:
    """Return what lies on which piece, and what may get lost, for given places."""
    files, repeated = _files(plan), plan.repeated
    most = {number: one.group.parity for number, one in enumerate(plan.parity)}
    held = [Counter(files[place].group for place in places) for places in placed]
    return Discs(
        tuple(
            Disc(
                number,
                tuple(files[place].name for place in places),
                repeated + sum(file_bytes(files[place].size) for place in places),
                all(lost <= most.get(group, 0) for group, lost in taken.items()),
            )
            for number, (places, taken) in enumerate(zip(placed, held, strict=True), 1)
        ),
        _losses(held, most),
    )


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    size: int
    group: int


def _files(plan: Plan) -> list[_File]:
    """Return volumes, then parity volumes, with the number of their group (-1 without parity)."""
    groups = [n for n, one in enumerate(plan.parity) for _ in range(one.group.volumes)]
    groups += [-1] * (len(plan.volumes) - len(groups))
    found = [_File(v.name, v.size, g) for v, g in zip(plan.volumes, groups, strict=True)]
    spare = [(one.size, n) for n, one in enumerate(plan.parity) for _ in range(one.group.parity)]
    return found + [_File(parity_name(n), size, group) for n, (size, group) in enumerate(spare, 1)]


def _losses(held: list[Counter[int]], most: dict[int, int]) -> int:
    """Return how many pieces may be lost, whichever they are."""
    groups = {group for taken in held for group in taken}
    for lost in range(1, len(held) + 1):
        for group in groups:
            if sum(sorted((taken[group] for taken in held), reverse=True)[:lost]) > most.get(group, 0):
                return lost - 1
    return len(held)


def per_medium(plan: Plan) -> list[MediumNeed]:
    """Return what a crate takes on each kind of medium, with volumes as large as that medium's files.

    A medium whose pieces differ in size counts as one piece.
    """
    repeated, content, found = plan.repeated, plan.sealed + plan.parity_bytes, []
    for name, medium in MEDIA.items():
        room = None if medium.capacity is None else medium.capacity - RESERVE - repeated
        pieces = 1 if room is None else -(-content // room) if room > 0 else 0
        if pieces:
            size = content + pieces * repeated
            found.append(MediumNeed(name, pieces, size, write_seconds(size, medium)))
    return found
