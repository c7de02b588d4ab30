"""Crossings in every order: lost, late, void, rejected, published, and two under one number.

Crate 1 arrived. 2 was lost with 3 and 4 in transit, so the low side declared all three void and sealed 5
and 6. On the high side they come in every order, late ones and a forged second 2 among them. What is to
happen is said here in the plain words of the specification, and compared after each arrival.
"""

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from crossing_lane import Lane, tree
from lockgate.core.errors import LockgateError
from lockgate.core.sequence import FINAL, CrossingState
from lockgate.crossing import Received, RecordLedger, RecordSealLedger, SealedCrate, mark
from lockgate.store import MemoryBlobs, MemoryRecords

REPLAYED, EQUIVOCATION, GAP, BROKEN = "LG-2010", "LG-2011", "LG-2012", "LG-2013"
VOID = {2, 3, 4}
outcomes = pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(None, marks=pytest.mark.slow),
        CrossingState.PUBLISHED,
        pytest.param(CrossingState.REJECTED, marks=pytest.mark.slow),
    ],
)


class Transit:
    """Everything that the low side ever sealed, by name."""

    def __init__(self, folder: Path) -> None:
        self.lane = Lane()
        self.folder = folder
        self.crates: dict[str, SealedCrate] = {}
        self._seal("1")
        forked = dict(self.lane.low_records._data)
        for name in ("2", "3", "4"):
            self._seal(name)
        ledger = RecordSealLedger(self.lane.low_records)
        for number in (4, 3, 2):
            ledger.declare_void(number)
        for name in ("5", "6"):
            self._seal(name)
        kept, self.lane.low_records._data = self.lane.low_records._data, forked
        self._seal("2 forged")
        self.lane.low_records._data = kept
        assert self.crates["2 forged"].manifest.sequence == 2
        assert set(self.crates["5"].manifest.void) == {"2", "3", "4"}

    def _seal(self, name: str) -> None:
        self.crates[name] = self.lane.seal(self.folder / name, {"files/a": name.encode()})


class High:
    """A high side that has received crate 1, and what it should say to each further one."""

    def __init__(self, transit: Transit, staging: Path, outcome: CrossingState | None) -> None:
        self.transit = transit
        self.outcome = outcome
        self.records = MemoryRecords()
        self.blobs = MemoryBlobs()
        self.ledger = RecordLedger(self.records)
        self.opener = transit.lane.opener(staging, ledger=self.ledger, quarantine=self.blobs)
        self.on_record: dict[int, str] = {}
        self.offer("1")

    def expected(self, name: str) -> str:
        """Return the code of the refusal that the specification demands; nothing where it demands none."""
        number = int(name[0])
        if number in self.on_record:
            if self.on_record[number] != name:
                return EQUIVOCATION
            return REPLAYED if number in self.declared or self.outcome in FINAL else ""
        last = max(self.on_record, default=0)
        void = VOID if name == "5" else set()
        rules = {
            REPLAYED: number < last,
            GAP: any(n not in void for n in range(last + 1, number)),
            EQUIVOCATION: any(self.on_record.get(n, str(n)) != str(n) for n in void),
            BROKEN: number == 3 and self.on_record.get(2) != "2",
        }
        return next((code for code, holds in rules.items() if holds), "")

    @property
    def declared(self) -> set[int]:
        """Return the numbers that were consumed as void."""
        return {n for n, e in self.ledger.entries().items() if e.state is CrossingState.VOID}

    def offer(self, name: str) -> None:
        """Let a crate arrive and compare with what is to happen."""
        wanted, crate = self.expected(name), self.transit.crates[name]
        before = (dict(self.records._data), dict(self.blobs._blobs))
        if wanted:
            with pytest.raises(LockgateError) as refused:
                self.opener.receive(crate.path)
            assert refused.value.code == wanted, f"{name} after {self.on_record}"
            assert refused.value.where["file"] == "crate.json"
            assert (dict(self.records._data), dict(self.blobs._blobs)) == before
            return
        assert isinstance(self.opener.receive(crate.path), Received), f"{name} after {self.on_record}"
        if name == "5":
            self.on_record |= {n: str(n) for n in VOID if n not in self.on_record}
        self.on_record[crate.manifest.sequence] = name
        if self.outcome is not None and self.ledger.entries()[crate.manifest.sequence].state not in FINAL:
            with self.records.transaction() as tx:
                mark(tx, crate.manifest.sequence, self.outcome)


@pytest.fixture(scope="module")
def transit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transit]:
    made = Transit(tmp_path_factory.mktemp("transit"))
    inbox = tree(made.folder)
    yield made
    assert tree(made.folder) == inbox


@outcomes
def test_lost_late_and_void_crossings_in_every_order(
    transit: Transit, tmp_path: Path, outcome: CrossingState | None
) -> None:
    for order in permutations(("2", "3", "4", "5", "6")):
        high = High(transit, tmp_path, outcome)
        for name in order:
            high.offer(name)
        for name in ("5", "6", *order):
            high.offer(name)
        assert max(high.on_record) == 6, f"{order} locked the lane"


@outcomes
def test_two_crates_under_one_number_in_every_order(
    transit: Transit, tmp_path: Path, outcome: CrossingState | None
) -> None:
    for order in permutations(("2", "2 forged", "3", "5")):
        high = High(transit, tmp_path, outcome)
        for name in (*order, *order):
            high.offer(name)
        assert {high.on_record[2]} <= {"2", "2 forged"}
