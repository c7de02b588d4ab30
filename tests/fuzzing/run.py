"""``make fuzz``: every target of `fuzzing.targets` through both engines, within a time; prints a table.

``python -m fuzzing.run [--seconds N] [--only PART] [--folder FOLDER]``. The seconds are shared by all targets
(one process on each processor at a time); starting each engine comes on top. Ends with 1 when any input
made a parser raise what is no refusal, run past its time, take too much memory, or reach out of its process.
Such inputs stay in FOLDER/TARGET/ENGINE.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from fuzzing.engine import HANG_SECONDS
from fuzzing.target import Target
from fuzzing.targets import targets

SHORTEST = 2
"""Seconds for an engine and a target, whatever the share."""
START_SECONDS = 240
"""What starting may take on a busy machine, before a process counts as hung."""
_COVERED = re.compile(r"cov: (\d+)")
_STAT = re.compile(r"stat::(\w+):\s+([\d.]+)")
_ARTIFACTS = ("crash-*", "timeout-*", "oom-*", "leak-*", "slow-unit-*")


@dataclass(frozen=True)
class Ran:
    """How an engine went on a target; `covered` are the numbers of places reached, at first and at last."""

    target: str
    engine: str
    runs: int
    covered: tuple[int, int]
    failures: tuple[str, ...]
    slowest: float
    said: str = ""


def engines() -> list[str]:
    """Return the engines that are installed; atheris has no wheel for every interpreter."""
    return ["hypothesis", *(["atheris"] if find_spec("atheris") else [])]


def one(target: Target, engine: str, folder: Path, seconds: int) -> Ran:
    """Run one engine on one target, in a process of its own."""
    place = folder / re.sub(r"\W+", "-", target.name) / engine
    shutil.rmtree(place, ignore_errors=True)
    (place / "seeds").mkdir(parents=True)
    for number, data in enumerate(target.seeds()):
        (place / "seeds" / f"{number:04}").write_bytes(data)
    command = [sys.executable, "-m", "fuzzing.engine", engine, target.name, str(place), str(seconds)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "0"}
    limit = seconds + HANG_SECONDS + START_SECONDS
    try:
        ran = subprocess.run(
            command, capture_output=True, timeout=limit, check=False, env=environment, cwd=place
        )
    except subprocess.TimeoutExpired as error:
        return Ran(target.name, engine, 0, (0, 0), ("did not end",), float(limit), str(error.stderr)[-2000:])
    said = ran.stderr.decode("utf-8", "replace")
    return told(
        target.name, engine, ran.returncode, said, [p for a in _ARTIFACTS for p in sorted(place.glob(a))]
    )


def told(target: str, engine: str, status: int, said: str, left: list[Path]) -> Ran:
    """Return what an engine's words and end mean; no input and no output."""
    covered = [int(each) for each in _COVERED.findall(said)] or [0]
    stats = dict(_STAT.findall(said))
    failures = [str(path) for path in left if not path.name.startswith("slow-unit")]
    if status and not failures:
        failures = [f"status {status}"]
    return Ran(
        target, engine, int(stats.get("number_of_executed_units", 0)), (covered[0], covered[-1]),
        tuple(failures), float(stats.get("slowest_unit_time_sec", 0)), said[-4000:] if failures else "",
    )  # fmt: skip


def all_of(chosen: list[Target], folder: Path, seconds: int) -> Iterator[Ran]:
    """Yield how each engine went on each target."""
    at_once, kinds = os.cpu_count() or 1, engines()
    each = max(SHORTEST, seconds * at_once // (len(chosen) * len(kinds)))
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(
            lambda job: one(*job, folder, each), [(t, kind) for t in chosen for kind in kinds]
        )


ROW = "{:<34} {:<10} {:>9} {:>13} {:>8} {:>9}"


def row_of(ran: Ran) -> str:
    """Return a table's row, with what an engine said where it found something."""
    grown = f"{ran.covered[0]} → {ran.covered[1]}" if ran.covered[1] else "-"
    row = ROW.format(ran.target, ran.engine, ran.runs, grown, len(ran.failures), f"{ran.slowest:.2f}")
    said = [f"    {line}" for line in (*ran.failures, *(ran.said.splitlines()[-30:] if ran.failures else ()))]
    return "\n".join([row, *said])


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Fuzz, print the table, return the exit status."""
    parser = argparse.ArgumentParser(description="Search for inputs that break a parser.")
    parser.add_argument("--seconds", type=int, default=600, help="time for all targets together")
    parser.add_argument("--only", default="", help="targets whose name has this part")
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"), help="where inputs are kept")
    parser.add_argument("--json", action="store_true", help="print one object a line instead of the table")
    options = parser.parse_args()
    chosen = [target for name, target in targets().items() if options.only in name]
    if not chosen:
        parser.error(f"no target has {options.only!r} in its name")
    if not options.json:
        say(f"{len(chosen)} targets by {' and '.join(engines())}, {options.seconds} seconds")
        say(ROW.format("parser", "engine", "runs", "coverage", "failures", "slowest s"))
    failed = 0
    for ran in all_of(chosen, options.folder.resolve(), options.seconds):
        failed += len(ran.failures)
        say(json.dumps(asdict(ran)) if options.json else row_of(ran))
    if not options.json:
        say(f"{failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
