"""Starting, watching and stopping the services of the high side as processes of one supervisor."""

import json
import os
import select
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from lockgate.core.errors import HostError, InputError

STATE_FILE = "services.json"
READY_SECONDS = 120.0
STOP_SECONDS = 20.0
BACKOFF_FIRST, BACKOFF_MOST = 0.5, 30.0
POLL_SECONDS = 0.1
PROBE_BYTES = 64 * 1024
_log = structlog.get_logger("lockgate.supervisor")


class ServiceDownError(HostError):
    """A service did not become ready, or ended."""

    code = "LG-5f01"
    advice = "Read its log; `lockgate doctor` checks what it needs."


class AlreadyUpError(InputError):
    """The services run already."""

    code = "LG-1f03"
    advice = "`lockgate high status` shows them, `lockgate high down` stops them."


@dataclass(frozen=True, slots=True)
class Service:
    """One service: its name, its command line and where it says that it is ready."""

    name: str
    command: tuple[str, ...]
    health: str


@dataclass(slots=True)
class Running:
    """One service as the supervisor sees it; what ``services.json`` holds."""

    name: str
    pid: int
    health: str
    restarts: int = 0


def healthy(address: str, tls: ssl.SSLContext | None = None) -> bool:
    """Tell whether a service answers its health address with 200."""
    try:
        with urllib.request.urlopen(address, timeout=2.0, context=tls) as answer:  # noqa: S310  # our own loopback address
            answer.read(PROBE_BYTES)
            return bool(answer.status == 200)  # noqa: PLR2004  # HTTP OK
    except (urllib.error.URLError, TimeoutError, OSError):
        return False


def process_alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


class Supervisor:
    """Starts services in order, restarts what ends, stops all in reverse order.

    Args:
        run: Folder for logs and the state file.
        environment: The services' whole environment.
        tls: What services that speak TLS are asked with.

    """

    def __init__(self, run: Path, environment: Mapping[str, str], tls: ssl.SSLContext | None = None) -> None:
        """Start nothing yet."""
        self._run = run
        self._tls = tls
        self._environment = dict(environment)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._services: dict[str, Service] = {}
        self._running: dict[str, Running] = {}
        self._due: dict[str, float] = {}
        self._stopping = False

    def start(self, service: Service) -> None:
        """Start a service and return when it is ready.

        Raises:
            ServiceDownError: It ended or was not ready in time.

        """
        self._services[service.name] = service
        self._launch(service)
        deadline = time.monotonic() + READY_SECONDS
        process = self._processes[service.name]
        while not healthy(service.health, self._tls):
            log = self._log(service.name)
            if process.poll() is not None:
                what = f"{service.name} ended with status {process.returncode}: {last_line(log)}"
                raise ServiceDownError(what, log=str(log))
            if time.monotonic() > deadline:
                what = f"{service.name} was not ready within {READY_SECONDS:.0f} seconds."
                raise ServiceDownError(what, log=str(log))
            try:
                process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue

    def _log(self, name: str) -> Path:
        return self._run / f"{name}.log"

    def _launch(self, service: Service) -> None:
        self._run.mkdir(parents=True, exist_ok=True)
        with self._log(service.name).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  # our own command line
                service.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        self._processes[service.name] = process
        restarts = self._running[service.name].restarts + 1 if service.name in self._running else 0
        self._running[service.name] = Running(service.name, process.pid, service.health, restarts)
        _log.info("service starts", service=service.name, pid=process.pid, restarts=restarts)
        self._write()

    def _write(self) -> None:
        state = {"supervisor": os.getpid(), "services": [asdict(r) for r in self._running.values()]}
        partial = self._run / f"{STATE_FILE}.{os.getpid()}"
        partial.write_text(json.dumps(state))
        partial.replace(self._run / STATE_FILE)

    def watch(self) -> None:
        """Restart what ends, with growing pauses, until SIGTERM or SIGINT asks to stop."""
        self._stopping = False
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        while not self._stopping:
            alive = [p.pid for p in self._processes.values() if p.poll() is None]
            if len(alive) + len(self._due) < len(self._processes):
                self._revive()  # one ended since we last looked: no descriptor would ever wake us for it
                continue
            pause = min((due - time.monotonic() for due in self._due.values()), default=None)
            wait_for_end(alive, None if pause is None else max(0.0, pause), also=(wake_read,))
            self._revive()
        signal.set_wakeup_fd(-1)
        os.close(wake_read)
        os.close(wake_write)

    def _ask_to_stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _revive(self) -> None:
        now = time.monotonic()
        for name, process in list(self._processes.items()):
            if process.poll() is None or self._stopping:
                continue
            if name not in self._due:
                pause = min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** self._running[name].restarts)
                self._due[name] = now + pause
                _log.error("service ended", service=name, status=process.returncode, pause_seconds=pause)
            elif now >= self._due[name]:
                del self._due[name]
                self._launch(self._services[name])

    def stop(self) -> None:
        """Stop all services in reverse order; what does not end in time is killed."""
        for name, process in reversed(list(self._processes.items())):
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._running.pop(name, None)
            _log.info("service stopped", service=name, status=process.returncode)
        (self._run / STATE_FILE).unlink(missing_ok=True)


def wait_for_end(pids: Sequence[int], seconds: float | None, also: Sequence[int] = ()) -> bool:
    """Wait until one of some processes ends (pidfd), or a further descriptor can be read.

    Args:
        pids: The processes; those that are gone count as ended.
        seconds: How long to wait; None: without bound.
        also: Descriptors that end the wait as well.

    Returns:
        Whether anything happened in time.

    """
    watched = []
    try:
        for pid in pids:
            try:
                watched.append(os.pidfd_open(pid))
            except ProcessLookupError:
                return True
        return bool(select.select([*watched, *also], [], [], seconds)[0])
    finally:
        for each in watched:
            os.close(each)


def last_line(log: Path) -> str:
    """Return the last line of a log that is not empty (of an event, its error), cut to fit a sentence."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return "no log"
    last = next((line.strip() for line in reversed(lines) if line.strip()), "the log is empty")
    try:
        event = json.loads(last)
        return f"{event['code']}: {event['error']}"[:300]
    except (ValueError, KeyError, TypeError):
        return last[-300:]


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service as anybody sees it from outside."""

    name: str
    pid: int
    alive: bool
    ready: bool
    restarts: int


def status(run: Path, tls: ssl.SSLContext | None = None) -> list[ServiceStatus]:
    """Return the state of the services on record; an empty list when none run."""
    return [
        ServiceStatus(r.name, r.pid, process_alive(r.pid), healthy(r.health, tls), r.restarts)
        for r in _state(run)[1]
    ]


def _state(run: Path) -> tuple[int, list[Running]]:
    try:
        state = json.loads((run / STATE_FILE).read_text())
    except FileNotFoundError:
        return 0, []
    return int(state["supervisor"]), [Running(**entry) for entry in state["services"]]


def demand_down(run: Path) -> None:
    """Refuse to start when a supervisor runs already.

    Raises:
        AlreadyUpError: It does.

    """
    pid, _ = _state(run)
    if pid and process_alive(pid):
        what = f"The services run already (supervisor {pid})."
        raise AlreadyUpError(what)


def down(run: Path) -> bool:
    """Stop the services on record; return whether any ran.

    Raises:
        ServiceDownError: The supervisor did not end in time.

    """
    pid, running = _state(run)
    if not pid:
        return False
    if process_alive(pid):
        _end(pid, "The supervisor", STOP_SECONDS * (len(running) + 1))
    for each in running:  # a supervisor that was killed leaves its services behind
        if process_alive(each.pid):
            _end(each.pid, each.name, STOP_SECONDS)
    (run / STATE_FILE).unlink(missing_ok=True)
    return True


def _end(pid: int, name: str, seconds: float) -> None:
    os.kill(pid, signal.SIGTERM)
    if not wait_for_end([pid], seconds):
        what = f"{name} did not stop within {seconds:.0f} seconds."
        raise ServiceDownError(what, pid=pid)


def detach(log: Path) -> int:
    """Fork a child that lives on; return its pid in the parent and 0 in the child."""
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    return 0


def command(*arguments: str) -> tuple[str, ...]:
    """Return the command line of ``lockgate`` with this interpreter."""
    return (sys.executable, "-m", "lockgate.cli.main", *arguments)
