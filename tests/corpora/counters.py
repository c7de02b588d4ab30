"""A demo lane with a package on its way to the high side's counter."""

from datetime import timedelta
from pathlib import Path

from corpora.custody import Package
from lockgate.app.crossing.custody import CHAIN_SUFFIX, clerk_key, custodians_of
from lockgate.app.lane.lane import NewLane, make_demo_lane
from lockgate.app.settings import load_settings
from lockgate.app.trust import utc_now
from lockgate.core.wire import whole_second

CALL = "+49 30 555 0199"
SEALS = ("A104311", "A104312")


def new_lane(folder: Path) -> NewLane:
    """A lane whose homes know whom to call."""
    lane = make_demo_lane(folder, "harbour", utc_now())
    for home in (lane.low, lane.high):
        config = home / "lockgate.toml"
        config.write_text(config.read_text() + f'\n[custody]\ncall = "{CALL}"\n')
    return lane


def on_the_way(lane: NewLane, folder: Path, crossing: int = 42, **facts: object) -> Path:
    """Write the chain of a package that the low counter gave to courier-7 two hours ago."""
    known = custodians_of(load_settings(lane.low))
    clerk = clerk_key(lane.people["clerk-low"], known)
    start = whole_second(utc_now()) - timedelta(hours=3)
    package = Package(crossing=crossing, crate="7f3a9c1244b0" + f"{crossing:052x}", known=known, at=start)
    package.seals = SEALS
    for name, value in facts.items():
        setattr(package, name, value)
    package.go("clerk-low", "clerk-low", clerk, place="Low counter")
    package.go("clerk-low", "courier-7", clerk, place="Low counter")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"crate-{crossing:06d}-7f3a9c{CHAIN_SUFFIX}"
    file.write_bytes(package.chain)
    return file
