"""Child processes for tests: forked from a server that has no threads, so that forking is safe."""

import multiprocessing
from collections.abc import Callable
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
