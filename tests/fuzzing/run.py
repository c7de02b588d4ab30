"""``make fuzz``: every target of `fuzzing.targets` through both engines, within a time; prints a table.

``python -m fuzzing.run [--seconds N] [--only PART] [--folder FOLDER]``. The seconds are shared by all targets
(one process on each processor at a time); starting an engine, once on each, comes on top. Ends with 1
when any input made a parser raise what is no refusal, run past its time, take too much memory, or reach out
of its process. Such inputs stay in FOLDER/TARGET/ENGINE.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from queue import Queue

from fuzzing.engine import HUNG, SAID, place_of
from fuzzing.target import Target
from fuzzing.targets import targets

SHORTEST = 2
"""Seconds for an engine and a target, whatever the share."""
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


def some(names: list[str], engine: str, folder: Path, seconds: int) -> Iterator[Ran]:
    """Run one engine on some targets, one after the other, and yield how each went."""
    command = [sys.executable, "-m", "fuzzing.engine", engine, str(folder.resolve()), str(seconds)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "0"}
    waiting = list(names)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as ran:
        assert ran.stdin
        assert ran.stdout
        ran.stdin.write("".join(f"{name}\n" for name in names))
        ran.stdin.close()
        for line in ran.stdout:
            answer = json.loads(line)
            waiting.remove(answer["target"])
            yield result(
                answer["target"], engine, place_of(folder, answer["target"], engine), answer["status"]
            )
    for name in waiting:
        yield Ran(name, engine, 0, (0, 0), ("did not start",), 0.0)


def result(target: str, engine: str, place: Path, status: int) -> Ran:
    """Return how a target went, from what its engine left."""
    if status == HUNG:
        return Ran(target, engine, 0, (0, 0), ("did not end",), 0.0, _said(place))
    left = [path for kind in _ARTIFACTS for path in sorted(place.glob(kind))]
    return told(target, engine, status, _said(place), left)


def _said(place: Path) -> str:
    return (place / SAID).read_text("utf-8", "replace")


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
    """Yield how each engine went on each target, as they end."""
    at_once, kinds = os.cpu_count() or 1, engines()
    each = max(SHORTEST, seconds * at_once // (len(chosen) * len(kinds)))
    names = [target.name for target in chosen]
    ended: Queue[Ran | None] = Queue()

    def worker(share: list[str]) -> None:
        try:
            for kind in kinds:
                for ran in some(share, kind, folder, each):
                    ended.put(ran)
        finally:
            ended.put(None)

    shares = [share for start in range(at_once) if (share := names[start::at_once])]
    with ThreadPoolExecutor(at_once) as pool:
        jobs = [pool.submit(worker, share) for share in shares]
        left = len(shares)
        while left:
            if (ran := ended.get()) is None:
                left -= 1
            else:
                yield ran
        for job in jobs:
            job.result()


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
