"""What is done beside the services: a process of its own at an interval, ended with the supervisor.

What was admitted is looked at again, and what clients brought is taken to the gate.
"""

import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

from lockgate.app.high.supervise import STOP_SECONDS, command
from lockgate.app.settings import Side

FIRST_SECONDS = 10
"""How long after the services the first look begins, at most, in seconds."""

TAKER_SECONDS = 30
"""How long after it ended the process that takes submissions is started again, in seconds."""

_log = structlog.get_logger("lockgate.beside")


class Beside:
    """Starts a command whenever the interval is over, one at a time.

    A process of its own, since it opens the gate's keys and sandboxes, which the supervisor has no need of.

    Args:
        name: What it is called in the log, and what its own log file is called.
        every: How long after its end it is started again, in seconds; 0: never at all.
        words: The command.
        environment: What the process sees.
        run: The folder of log files.

    """

    def __init__(
        self, name: str, every: float, words: Sequence[str], environment: dict[str, str], run: Path
    ) -> None:
        """Keep the parts; nothing is started yet."""
        self._name = name
        self._every = every
        self._words = list(words)
        self._environment = environment
        self._log_file = run / f"{name}.log"
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"lockgate-{name}", daemon=True)

    def start(self) -> None:
        """Begin, unless the settings say never."""
        if self._every:
            self._thread.start()

    def stop(self) -> None:
        """End the process that runs, if there is one; what it had not finished is done next time."""
        self._stop.set()
        with self._lock:
            if self._child and self._child.poll() is None:
                self._child.terminate()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        self._stop.wait(min(self._every, FIRST_SECONDS))
        while not self._stop.is_set():
            try:
                self._once()
            except OSError:
                _log.exception("a process beside the services cannot be started", process=self._name)
            self._stop.wait(self._every)

    def _once(self) -> None:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("ab") as log:
            with self._lock:
                if self._stop.is_set():
                    return
                self._child = subprocess.Popen(  # noqa: S603  # our own command
                    self._words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
                )
            status = self._child.wait()
        if status and not self._stop.is_set():
            log_file = str(self._log_file)
            _log.error(
                "a process beside the services failed", process=self._name, status=status, log=log_file
            )


class Rechecker(Beside):
    """Starts ``lockgate gate reinspect`` as often as the settings say."""

    def __init__(self, side: Side, environment: dict[str, str], words: Sequence[str] = ()) -> None:
        """Read the interval; `words` is another command, for tests."""
        every = side.settings.reinspect.every_seconds
        again = words or command("gate", "reinspect", "--json")
        super().__init__("reinspect", every, again, environment, side.home.run)


class Taker(Beside):
    """Runs ``lockgate submit watch`` where clients may bring anything, and starts it again if it ends."""

    def __init__(self, side: Side, environment: dict[str, str], words: Sequence[str] = ()) -> None:
        """Read what is open; `words` is another command, for tests."""
        serve = side.settings.serve
        is_open = any(map(str.split, (serve.open_projects, serve.open_namespaces, serve.open_models)))
        every = TAKER_SECONDS if is_open and serve.take_submissions else 0
        taking = words or command("submit", "watch")
        super().__init__("submit-watch", every, taking, environment, side.home.run)
