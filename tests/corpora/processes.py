"""Child processes for tests: forked from a server that has no threads, so that forking is safe."""

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PRELOADED = [
    "lockgate.store.records",
    "lockgate.admit",
    "lockgate.audit",
    "lockgate.app.gate.gate",
    "corpora.gates",
    "corpora.diode_ends",
]
SECONDS = 180

children = multiprocessing.get_context("forkserver")
children.set_forkserver_preload(PRELOADED)


def run_all(target: Callable[..., None], *arguments: tuple[Any, ...]) -> list[int | None]:
    """Run a function in one child for each tuple of arguments, at once; return the exit codes."""
    workers = [children.Process(target=target, args=each) for each in arguments]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(SECONDS)
    codes = [worker.exitcode for worker in workers]
    for worker in workers:
        worker.kill()
        worker.join()
        worker.close()
    return codes


def _runs(pid: int) -> bool:
    """Tell whether a process is neither gone nor only waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def demand_ended(pid: int) -> None:
    """Wait until a process that was killed has ended: it does when it is given the processor once more."""
    end = time.monotonic() + SECONDS
    while _runs(pid):
        assert time.monotonic() < end, f"process {pid} still runs"
        time.sleep(0.01)
