"""Checking and repairing a crate on any machine, with or without a side's roots."""

from pathlib import Path

from lockgate.app.settings import Side
from lockgate.app.trust import supply_root, utc_now
from lockgate.core.ports import Progress
from lockgate.crossing.mend import Condition, Mender, Trust


def mender(side: Side | None, progress: Progress) -> Mender:
    """Return what repairs crates; only a side's supply root tells forgery from damage."""
    trust = None if side is None else Trust(supply_root(side)[1], utc_now())
    return Mender(trust, progress)


def repair_crate(
    side: Side | None, crate: Path, into: Path | None, progress: Progress, *, check: bool
) -> Condition:
    """Repair a crate in its place or into another folder, or (`check`) only look."""
    found = mender(side, progress)
    return found.check(crate) if check else found.repair(crate, into)
