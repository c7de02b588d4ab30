"""Runs targets, each in a process of its own: ``python -m fuzzing.engine KIND FOLDER SECONDS < NAMES``.

What most targets need is imported, and the seeds are made, once and then forked (`stem`), since that
takes longer than the search of a short run. KIND is ``atheris`` (libFuzzer, guided by the coverage of
Lockgate's own code) or ``hypothesis`` (inputs made of the seeds by changes that it shrinks when one fails).
Inputs that fail are left in FOLDER/TARGET/KIND, what an engine says in its file `SAID`.
"""

import hashlib
import json
import os
import re
import resource
import select
import shutil
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

from fuzzing.guard import EscapeError, Guard
from fuzzing.target import Run

HANG_SECONDS = 25
"""Longest that one input may take, in seconds; inspection ends a file after 60 (`Limits.wall_seconds`)."""
MEMORY_MIB = 3072
"""Most memory of the process, as much as the sandbox gives (`Limits.memory_bytes`)."""
START_SECONDS = 240
"""What a target may take on a busy machine beside its time, before it counts as hung."""
SAID = "said"
HUNG = 124
"""Status of a target that did not end, as of timeout(1)."""
BATCH = 200
"""Inputs that Hypothesis makes between two looks at the clock."""
LONGEST = 64 << 10
"""Most bytes of an input."""


def seeds_of(folder: Path) -> list[bytes]:
    """Return the seeds of a folder, the short ones first."""
    return sorted((path.read_bytes() for path in folder.iterdir()), key=len)


def warm(run: Run, seeds: list[bytes]) -> None:
    """Run each seed once, unwatched: whatever is imported late is imported now."""
    for seed in seeds or [b""]:
        run(seed)


def atheris(name: str, folder: Path, seconds: int) -> None:
    """Let libFuzzer search; it ends this process itself."""
    engine = import_module("atheris")
    with engine.instrument_imports(include=["lockgate"]):
        from fuzzing.targets import targets

        run = targets()[name].run
        warm(run, seeds_of(folder / "seeds"))
    guard = Guard()
    engine.Setup(
        [
            sys.argv[0], str(folder / "seeds"), f"-max_total_time={seconds}", f"-timeout={HANG_SECONDS}",
            f"-rss_limit_mb={MEMORY_MIB}", f"-max_len={LONGEST}", f"-artifact_prefix={folder}/",
            "-print_final_stats=1", "-close_fd_mask=0", "-detect_leaks=0", "-reload=0",
        ],
        lambda data: _call(guard, run, data),
    )  # fmt: skip
    engine.Fuzz()


def _call(guard: Guard, run: Run, data: bytes) -> None:
    """Run a parser; libFuzzer itself says nothing of what is no ordinary exception."""
    try:
        guard.call(run, data)
    except EscapeError as error:
        sys.stderr.write(f"ESCAPE: {error}\n")
        raise


NUMBERS = [
    value.to_bytes(width, order, signed=value < 0)
    for width in (1, 2, 4, 8)
    for order in ("little", "big")
    for value in (0, 1, -1, (1 << 8 * width - 1) - 1, -(1 << 8 * width - 1))
]
"""Numbers at the edges of their widths, as headers hold them."""


def changed(data: bytes, kind: str, where: float, what: bytes) -> bytes:
    """Return data with one change at a place, which is a share of their length."""
    at = int(len(data) * where)
    if kind == "replace":
        return data[:at] + what + data[at + len(what) :]
    if kind == "insert":
        return data[:at] + what + data[at:]
    if kind == "delete":
        return data[:at] + data[at + len(what) :]
    if kind == "repeat":
        return data[:at] + data[at : at + 16] * (len(what) * 64) + data[at:]
    return data[:at]


def hypothesis(name: str, folder: Path, seconds: int) -> None:
    """Make inputs out of the seeds; print what libFuzzer would."""
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st

    from fuzzing.targets import targets

    run, seeds = targets()[name].run, seeds_of(folder / "seeds") or [b""]
    warm(run, seeds)
    guard, end = Guard(), time.monotonic() + seconds
    told = {"runs": 0, "slowest": 0.0, "failed": b""}
    change = st.tuples(
        st.sampled_from(["replace", "insert", "delete", "repeat", "cut"]),
        st.floats(0, 1),
        st.one_of(st.sampled_from(NUMBERS), st.binary(min_size=1, max_size=16)),
    )

    def search(begin: bytes, changes: list[tuple[str, float, bytes]]) -> None:
        data = begin
        for each in changes:
            data = changed(data, *each)
        data = data[:LONGEST]
        started = time.monotonic()
        try:
            guard.call(run, data)
        except BaseException:
            told["failed"] = data  # the last one that Hypothesis tries is the shortest
            raise
        told["runs"] += 1
        told["slowest"] = max(told["slowest"], time.monotonic() - started)

    quiet = settings(
        max_examples=BATCH, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip
    failed, number = "", 0
    while not failed and time.monotonic() < end:
        try:
            seed(number)(quiet(given(st.sampled_from(seeds), st.lists(change, max_size=4))(search)))()
        except BaseException:  # noqa: BLE001  # what it was is told, and the status says so
            failed = traceback.format_exc()
        number += 1
    sys.stderr.write(f"stat::number_of_executed_units: {told['runs']}\n")
    sys.stderr.write(f"stat::slowest_unit_time_sec: {told['slowest']:.3f}\n")
    if failed:
        mark = hashlib.sha1(told["failed"], usedforsecurity=False).hexdigest()
        (folder / f"crash-{mark}").write_bytes(told["failed"])
        sys.stderr.write(failed)
        sys.exit(1)


def one(kind: str, name: str, folder: Path, seconds: int) -> None:
    """Run one engine on one target in this process."""
    _bound()
    {"atheris": atheris, "hypothesis": hypothesis}[kind](name, folder, seconds)


def place_of(folder: Path, name: str, kind: str) -> Path:
    """Return the folder of an engine's run on a target."""
    return folder / re.sub(r"\W+", "-", name) / kind


def stem(kind: str, folder: Path, seconds: int) -> None:
    """Run an engine on each target that is named on standard input; answer how each ended, one a line."""
    _load(kind)
    from fuzzing.targets import targets

    for line in sys.stdin:
        name = line.rstrip("\n")
        place = place_of(folder, name, kind)
        shutil.rmtree(place, ignore_errors=True)
        (place / "seeds").mkdir(parents=True)
        for number, data in enumerate(targets()[name].seeds()):
            (place / "seeds" / f"{number:04}").write_bytes(data)
        status = _forked(kind, name, place, seconds)
        sys.stdout.write(json.dumps({"target": name, "status": status}) + "\n")
        sys.stdout.flush()


def _load(kind: str) -> None:
    """Import what most targets run, so that every child has it; the rest it imports itself."""
    from contextlib import nullcontext

    marked = import_module("atheris").instrument_imports(include=["lockgate"])
    with marked if kind == "atheris" else nullcontext():
        from fuzzing.seeds import cases
        from lockgate.inspect.engine import inspectors

        cases()
        for module in inspectors():
            import_module(module)


def _forked(kind: str, name: str, place: Path, seconds: int) -> int:
    """Run a target in a child; return its exit status."""
    child = os.fork()
    if not child:
        said = os.open(place / SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.chdir(place)
        status = 0
        try:
            one(kind, name, place, seconds)
        except SystemExit as error:
            status = int(error.code or 0)
        except BaseException:  # noqa: BLE001  # what it was is told, and the status says so
            traceback.print_exc()
            status = 1
        finally:
            sys.stderr.flush()
            os._exit(status)
    descriptor = os.pidfd_open(child)
    waited = select.poll()
    waited.register(descriptor, select.POLLIN)
    ended = waited.poll(1000 * (seconds + HANG_SECONDS + START_SECONDS))
    if not ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(descriptor)
    return os.waitstatus_to_exitcode(status) if ended else HUNG


def main() -> None:
    """Run one engine on the targets of standard input."""
    kind, folder, seconds = sys.argv[1:]
    stem(kind, Path(folder).resolve(), int(seconds))


def _bound() -> None:
    """Bound the process's memory, for what the engine does not count."""
    most = (MEMORY_MIB + 2048) << 20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
