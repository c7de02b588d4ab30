"""Both ends of a diode as programs of their own, so that tests can kill them: run with ``-m``."""

import gc
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lockgate.core.ports import Silent
from lockgate.crossing.diode import (
    DiodeKey,
    Inlet,
    Receiver,
    ReceiverParts,
    ReceiveSettings,
    Sender,
    SenderParts,
    SendJournal,
    SendSettings,
)

KEY = bytes(range(32))


class Moment:
    """A `Progress` that does something when that many bytes are done."""

    def __init__(self, after: int) -> None:
        self._left = after

    def start(self, task: str, total: int) -> None:
        pass

    def advance(self, count: int) -> None:
        if self._left > 0:
            self._left -= count
            if self._left <= 0:
                self.come()

    def come(self) -> None:
        pass

    def finish(self) -> None:
        pass


class Dying(Moment):
    """Kills its own process then; never after 0 bytes."""

    def come(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Waiting(Moment):
    """Waits then until it is told to go on."""

    def __init__(self, after: int, event: Any) -> None:
        super().__init__(after)
        self._event = event

    def come(self) -> None:
        assert self._event.wait(120)


def receive(say: Callable[[dict[str, Any]], None], address: str, port: int, *rest: Any) -> None:
    """Receive once; say the port when it is open, then the report. The rest: inbox, silence, progress."""
    inbox, silence, progress = rest
    with (
        Inlet(address, port) as inlet,
        Receiver.open(
            ReceiverParts(DiodeKey(KEY), inbox, inlet), ReceiveSettings(silence=silence)
        ) as receiver,
    ):
        say({"port": inlet.port})
        before = processor_seconds()
        report = receiver.receive(progress)
        facts = {"at": time.time(), "peak": receiver.peak_memory, "cpu": processor_seconds() - before}
        say(report.as_dict() | facts)


def send(
    say: Callable[[dict[str, Any]], None], settings: SendSettings, paths: Sequence[Path], *rest: Any
) -> None:
    """Send; say what was sent. Paths: crate and journal. The rest: names, progress."""
    only, progress = rest
    began, before = time.time(), processor_seconds()
    crate, journal = paths
    sent = Sender(SenderParts(DiodeKey(KEY), SendJournal(journal)), settings).send(crate, only, progress)
    say(asdict(sent) | {"began": began, "cpu": processor_seconds() - before})


def processor_seconds() -> float:
    """Return the processor time of this process, the kernel's work for it included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _print(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)  # noqa: T201  # for whoever started this


if __name__ == "__main__":
    role, given = sys.argv[1], json.loads(sys.argv[2])
    gc.freeze()  # as the commands do
    if role == "receive":
        receive(_print, given["address"], given["port"], Path(given["inbox"]), given["silence"], Silent())
    else:
        if given.get("wait"):
            _print({"ready": True})
            sys.stdin.readline()
        ends = (Path(given["crate"]), Path(given["journal"]))
        send(_print, SendSettings(**given["settings"]), ends, tuple(given["only"]), Silent())
