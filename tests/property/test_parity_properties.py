"""How volumes are grouped under parity, and what parity costs."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.crossing.erasure import SHARDS_LIMIT
from lockgate.crossing.errors import ParityRequestError
from lockgate.crossing.layout import GROUP_VOLUMES, layout
from lockgate.crossing.parity import group_volumes, parse_share, plan_parity


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 9999), st.integers(1, 100))
def test_groups_cover_every_volume_within_the_field(count: int, percent: int) -> None:
    share = Fraction(percent, 100)
    groups = group_volumes(count, share)
    assert sum(group.volumes for group in groups) == count
    for group in groups:
        assert group.volumes + group.parity <= SHARDS_LIMIT
        assert group.volumes <= GROUP_VOLUMES
        assert share * group.volumes <= group.parity < share * group.volumes + 1


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 2**40), st.integers(1, 100), st.integers(2 * 2**20, 2**35))
def test_parity_costs_its_share_and_at_most_one_volume(payload: int, percent: int, size: int) -> None:
    share = Fraction(percent, 100)
    try:
        volumes = layout(payload, size, "lane", "0" * 32, ("a" * 64,), share=share)
    except Exception as error:  # noqa: BLE001  # more volumes than are counted
        assert type(error).__name__ == "CrateLimitError"  # noqa: PT017
        return
    planned = plan_parity(volumes, share)
    longest = max(volume.size for volume in volumes)
    for one in planned:
        assert one.size <= min(size, longest + 4)
    extra = sum(one.size * one.group.parity for one in planned)
    assert extra <= (share * len(volumes) + len(planned)) * (longest + 4)


@pytest.mark.parametrize("text", ["", "10", "-1%", "101%", "1/0%", "a%", "%", "10 percent"])
def test_a_share_is_a_percentage(text: str) -> None:
    with pytest.raises(ParityRequestError):
        parse_share(text)


def test_shares_are_exact() -> None:
    assert parse_share("10%") == Fraction(1, 10)
    assert parse_share("12.5%") == Fraction(1, 8)
    assert parse_share("0%") == 0
