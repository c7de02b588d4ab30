"""Several gateway processes on one port: the system spreads connections over them (SO_REUSEPORT, socket(7)).

They share keys, quotas, log and receipts. Each counts its own metrics.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

import structlog

BACKOFF_SECONDS = 1.0
"""The pause before a process that ended is started again."""

STOP_SECONDS = 30.0
"""How long processes may take to end their answers."""

_log = structlog.get_logger("lockgate.app")


_PR_SET_PDEATHSIG = 1


class _Told(BaseException):
    """A signal asked to stop."""


def _tell(_number: int, _frame: object) -> None:
    raise _Told


def _beside(parent: int, work: Callable[..., None], *arguments: object) -> None:
    """Do the work in a process that ends when its parent does (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent is gone")
    work(*arguments)


def run_workers(count: int, work: Callable[..., None], *arguments: object) -> None:
    """Run so many processes until a signal asks to stop; start again what ends by itself.

    Args:
        count: How many.
        work: What each of them does; importable, since each begins anew.
        arguments: What it gets.

    """
    context = multiprocessing.get_context("spawn")
    given = (os.getpid(), work, *arguments)
    workers = [context.Process(target=_beside, args=given) for _ in range(count)]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _tell)
    try:
        for worker in workers:
            worker.start()
        while True:
            wait([worker.sentinel for worker in workers])
            for at, worker in enumerate(workers):
                if not worker.is_alive():
                    _log.warning("gateway process ended", status=worker.exitcode)
                    time.sleep(BACKOFF_SECONDS)
                    workers[at] = context.Process(target=_beside, args=given)
                    workers[at].start()
    except _Told:
        pass
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        _stop(workers)


def _stop(workers: list[SpawnProcess]) -> None:
    for worker in workers:
        if worker.is_alive():
            worker.terminate()
    until = time.monotonic() + STOP_SECONDS
    for worker in workers:
        if worker.pid is not None:
            worker.join(max(0.0, until - time.monotonic()))
            if worker.is_alive():
                worker.kill()
                worker.join()
