"""What a machine needs to be a side of a lane, and whether it has it."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lockgate.app.lane.standing import WARN_DAYS, expiries
from lockgate.app.settings import Side, load_settings
from lockgate.app.trust import demand_newest, site_root, supply_root, utc_now
from lockgate.core.errors import LockgateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lockgate.core.ports import Progress
    from lockgate.core.roots import Root
    from lockgate.inspect.selftest import Tried

State = Literal["ok", "missing", "absent", "soon"]
OLDEST = (3, 11)
FREE_BYTES = 2 << 30
PROBE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was looked at.

    `absent` is no fault, but something is not offered without it; `soon` works today and ends soon.
    """

    name: str
    state: State
    detail: str


def _python() -> Point:
    version = ".".join(map(str, sys.version_info[:3]))
    return Point("Python", "ok" if sys.version_info >= OLDEST else "missing", version)


def _sqlite() -> Point:
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
        except sqlite3.OperationalError:
            return Point("SQLite FTS5", "missing", "this Python's SQLite has no full-text search")
    return Point("SQLite FTS5", "ok", sqlite3.sqlite_version)


def _runs(name: str, needed: State, command: tuple[str, ...], without: str) -> Point:
    """Run a harmless command and say whether it works."""
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        return Point(name, needed, f"{command[0]} is not installed: {without}")
    try:
        ran = subprocess.run(  # noqa: S603  # our own fixed commands
            [program, *command[1:]], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Point(name, needed, f"{command[0]} does not run: {error}")
    if ran.returncode:
        return Point(name, needed, f"{ran.stderr.strip()[-160:] or 'it failed'}: {without}")
    return Point(name, "ok", program)


def _sandbox() -> Point:
    """Return what makes namespaces for inspection here, found as inspection finds it."""
    from lockgate.inspect.errors import SandboxUnavailableError  # noqa: PLC0415
    from lockgate.inspect.launch import launcher  # noqa: PLC0415

    try:
        layers = launcher().describe()
    except SandboxUnavailableError as error:
        return Point("Sandbox", "missing", f"{error.what} Nothing can be inspected")
    return Point("Sandbox", "ok", f"{layers['sandbox']}: {layers['program']}")


def _disk(folder: Path) -> Point:
    free = shutil.disk_usage(folder).free
    return Point("Free space", "ok" if free >= FREE_BYTES else "missing", f"{free / 2**30:.1f} GiB")


def _state(days: int) -> State:
    return "missing" if days < 0 else "soon" if days < WARN_DAYS else "ok"


def _keys(side: Side) -> list[Point]:
    """Return a point for each key that has ended or ends soon, or one that says that none does."""
    now = utc_now()
    keys = [each for each in expiries(side, now) if each.what != "root"]
    ending = [each for each in keys if each.days_left(now) < WARN_DAYS]
    if not ending:
        first = min((each.days_left(now) for each in keys), default=0)
        return [Point("Keys", "ok", f"{len(keys)} keys, the first ends in {first} days")]
    return [
        Point(
            f"Key for {each.what}",
            _state(each.days_left(now)),
            f"{each.person}, {each.identifier[:16]}, {each.root} root: {each.days_left(now)} days left",
        )
        for each in ending
    ]


def _witnesses(side: Side) -> list[Point]:
    """Return a point for each witness that the side asks by itself, or one that says that none is."""
    from lockgate.app.record.asking import last_asked, places  # noqa: PLC0415  # loads a server

    try:
        named = places(side)
    except LockgateError as error:
        return [Point("Witness", "missing", f"{error.code} {error.what}")]
    if not named:
        return [
            Point("Witness", "absent", "[audit] witness names none: `lockgate audit submit` asks by hand")
        ]
    told = {each.address: each for each in last_asked(side)}
    points = []
    for place in named:
        found = told.get(place.address)
        if found is None:
            points.append(
                Point("Witness", "missing", f"{place.address} was not asked yet: `lockgate high up`")
            )
            continue
        state: State = "missing" if found.code else "soon" if place.here else "ok"
        here = "; it is on this machine and does not outlive its disk" if place.here else ""
        points.append(Point("Witness", state, found.sentence + here))
    return points


def _verdicts(side: Side) -> Point:
    """Return how the newest look at what was admitted ended."""
    from lockgate.app.gate.rechecked import last_run  # noqa: PLC0415  # reads one small file

    found = last_run(side)
    if found is None:
        return Point("Verdicts", "absent", "nobody looked again yet: `lockgate gate reinspect`")
    state: State = "missing" if found.beyond else "ok" if found.finished else "soon"
    return Point("Verdicts", state, found.sentence)


def _side(home: Path | None) -> list[Point]:
    try:
        side: Side = load_settings(home)
        points = [Point("Configuration", "ok", str(side.home.config))]
    except LockgateError as error:
        return [Point("Configuration", "missing", error.what)]
    checks: dict[str, Callable[[], Root]] = {
        "Supply root": lambda: supply_root(side)[1],
        "Site root": lambda: demand_newest(side, site_root(side, None)),
    }
    for name, check in checks.items():
        try:
            root = check()
        except LockgateError as error:
            points.append(Point(name, "missing", f"{error.code} {error.what}"))
            continue
        left = (root.expires - utc_now()).days
        detail = f"version {root.version}, {root.assurance}, {left} days left"
        points.append(Point(name, _state(left), detail))
    if all(point.state != "missing" for point in points):
        points += _keys(side)
    if side.settings.lane.side == "high":
        points += [*_witnesses(side), _verdicts(side)]
    points.append(_disk(side.home.root))
    return points


def examine(home: Path | None) -> list[Point]:
    """Return everything that was looked at; with a home, its configuration and roots too."""
    points = [
        _python(),
        _sqlite(),
        _sandbox(),
        _runs("Network namespaces", "absent", ("unshare", "--net", "true"), "the high side is not isolated"),
        _runs("Packet counter (nft)", "absent", ("nft", "--version"), "what leaves is not counted"),
        _runs("Package client (pip)", "absent", (sys.executable, "-m", "pip", "--version"), "cannot collect"),
    ]
    return points if home is None and "LOCKGATE_HOME" not in os.environ else [*points, *_side(home)]


def try_sandbox(home: Path | None, progress: "Progress") -> "tuple[dict[str, str], list[Tried]]":
    """Try to escape from the sandbox that inspection uses, in every way that is known.

    Args:
        home: Folder of a side whose files must stay out of reach, or nothing.
        progress: Is told of each attempt.

    Returns:
        The layers of the sandbox, and each attempt with its result.

    Raises:
        SandboxUnavailableError: There is no sandbox here.

    """
    from lockgate.inspect.escapes import ATTEMPTS  # noqa: PLC0415  # loads ctypes
    from lockgate.inspect.sandbox import ProcessSandbox  # noqa: PLC0415
    from lockgate.inspect.selftest import try_to_escape  # noqa: PLC0415

    sandbox = ProcessSandbox()
    folder = None if home is None else load_settings(home).home.root
    progress.start("Trying to escape", len(ATTEMPTS))
    tried = try_to_escape(sandbox, home=folder, advance=lambda: progress.advance(1))
    progress.finish()
    return sandbox.describe(), tried
