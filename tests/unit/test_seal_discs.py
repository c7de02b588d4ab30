"""Which discs a crate is spread over, and which of them parity can do without."""

from itertools import combinations

import pytest

from lockgate.crossing.layout import PlannedVolume
from lockgate.crossing.media.sizes import RESERVE, Medium
from lockgate.crossing.needs import Discs, spread_over
from lockgate.crossing.parity import ParityGroup, PlannedParity
from lockgate.crossing.sealplan import Plan

MB = 1 << 20


def plan(volumes: int, *groups: tuple[int, int]) -> Plan:
    planned = tuple(PlannedVolume(number, 1000, 10 * MB) for number in range(1, volumes + 1))
    parity = tuple(PlannedParity(ParityGroup(*group), planned[0].size) for group in groups)
    return Plan(1, 1, 1, 1, planned, parity)


def room(volumes: int) -> Medium:
    size = plan(1).volumes[0].size + 4096
    return Medium("disc", 1 << 40, RESERVE + 2 * MB + volumes * size, write_once=True, rate=1)


def survives(found: Discs, planned: Plan, lost: tuple[int, ...]) -> bool:
    """Tell by counting, group by group, whether a crate is rebuilt without some discs."""
    gone = {name for disc in found.discs if disc.number in lost for name in disc.files}
    first, spare = 1, 1
    for one in planned.parity:
        names = [f"vol-{n:04d}.lgv" for n in range(first, first + one.group.volumes)]
        names += [f"par-{n:04d}.lgv" for n in range(spare, spare + one.group.parity)]
        first, spare = first + one.group.volumes, spare + one.group.parity
        if len(gone & set(names)) > one.group.parity:
            return False
    return all(not name.startswith("vol") or int(name[4:8]) < first for name in gone)


@pytest.mark.parametrize("each", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("volumes", "groups"),
    [(4, ()), (4, ((4, 1),)), (4, ((4, 2),)), (6, ((3, 1), (3, 2))), (9, ((5, 3), (4, 4))), (1, ((1, 1),))],
)
def test_as_many_discs_may_be_lost_as_are_said_and_not_one_more(
    volumes: int, groups: tuple[tuple[int, int], ...], each: int
) -> None:
    planned = plan(volumes, *groups)
    found = spread_over(planned, room(each))
    everything = [name for disc in found.discs for name in disc.files]
    assert len(everything) == volumes + sum(parity for _, parity in groups)
    assert len(everything) == len(set(everything))
    numbers = [disc.number for disc in found.discs]
    for disc in found.discs:
        assert disc.spare == survives(found, planned, (disc.number,))
    for lost in range(len(numbers) + 1):
        good = all(survives(found, planned, chosen) for chosen in combinations(numbers, lost))
        assert good == (lost <= found.losses)
