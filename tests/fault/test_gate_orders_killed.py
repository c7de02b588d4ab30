"""Orders at the gate, killed at a step of theirs: the channel verifies, the log holds, and the order ends.

Whoever gave it gives it again. It is carried out then, or it had taken effect and says so; either way the
side is what it is after a run that nobody disturbed.
"""

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpora.gateorders import ORDERS, Order, make_side, state_of
from corpora.kills import fast_folder, killed_before

SAMPLE, MORE = 6, 16
"""How many steps of each order are tried, and how many where there is time."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=fast_folder(tmp_path_factory.getbasetemp())) as made:
        make_side(Path(made) / "before")
        yield Path(made)


class Case:
    """One order, the steps of a run that nobody disturbs, and what the side is after it."""

    def __init__(self, folder: Path, order: Order) -> None:
        self.folder, self.order = folder, order
        root = self.copy("whole")
        steps = killed_before(0, lambda: self.order.carry_out(root))
        assert steps is not None
        self.steps, self.wanted = steps, state_of(root)
        shutil.rmtree(root)

    def copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.folder / "before", self.folder / name))

    def kill_before(self, last: int) -> None:
        root = self.copy(f"step-{last}")
        killed_before(last, lambda: self.order.carry_out(root))
        refused = self.order.give(root)  # the gate completes what a crash left before it hears an order
        assert state_of(root) == self.wanted, f"step {last}, {self.steps[last - 1]}: {refused}"
        shutil.rmtree(root)


@pytest.fixture(scope="module", params=ORDERS)
def case(request: pytest.FixtureRequest, folder: Path) -> Case:
    return Case(folder, Order(ORDERS[request.param]))


def drawn(case: Case, count: int) -> list[int]:
    """Draw steps of an order, the same in each run, over its whole length."""
    rng = random.Random(case.order.words)  # noqa: S311  # which steps, not a secret
    return sorted(rng.sample(range(1, len(case.steps) + 1), min(count, len(case.steps))))


def test_killed_at_some_steps_it_ends_when_it_is_given_again(case: Case) -> None:
    assert len(case.steps) >= SAMPLE
    for last in drawn(case, SAMPLE):
        case.kill_before(last)


@pytest.mark.slow
def test_killed_at_more_steps_it_ends_when_it_is_given_again(case: Case) -> None:
    for last in drawn(case, MORE):
        case.kill_before(last)
