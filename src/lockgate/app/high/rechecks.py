"""Looking again while the services run: a process of its own at an interval, ended with the supervisor."""

import subprocess
import threading
from collections.abc import Sequence

import structlog

from lockgate.app.high.supervise import STOP_SECONDS, command
from lockgate.app.settings import Side

FIRST_SECONDS = 10
"""How long after the services the first look begins, at most, in seconds."""

_log = structlog.get_logger("lockgate.reinspect")


class Rechecker:
    """Starts ``lockgate gate reinspect`` whenever the interval is over, one at a time.

    A process of its own, since it opens the gate's keys and sandboxes, which the supervisor has no need of.

    Args:
        side: The high side.
        environment: What the process sees.
        words: The command, for tests.

    """

    def __init__(self, side: Side, environment: dict[str, str], words: Sequence[str] = ()) -> None:
        """Read the interval; nothing is started yet."""
        self._every = side.settings.reinspect.every_seconds
        self._words = list(words) or [*command("gate", "reinspect", "--json")]
        self._environment = environment
        self._log_file = side.home.run / "reinspect.log"
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="lockgate-reinspect", daemon=True)

    def start(self) -> None:
        """Begin, unless the settings say never."""
        if self._every:
            self._thread.start()

    def stop(self) -> None:
        """End the process that runs, if there is one; what it had not signed is looked at next time."""
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
                _log.exception("what was admitted cannot be looked at again")
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
            _log.error("looking again failed", status=status, log=str(self._log_file))
