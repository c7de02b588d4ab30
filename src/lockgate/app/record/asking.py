"""Asking witnesses by itself: beside the services, after each admission and at an interval.

What a witness answered last stands in ``run/witness.json``, which the console's metrics and the doctor
read. A witness that is silent or refuses is an alert; serving goes on, and whether admission does is
for the policy to say (`app.record.logwatch`).
"""

import ipaddress
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import structlog

from lockgate.app.files import read_named, write_whole
from lockgate.app.high.channel import channel_file
from lockgate.app.record.witness import WitnessAddressError, submit
from lockgate.app.settings import Side
from lockgate.app.trust import utc_now
from lockgate.audit import Checkpoint
from lockgate.core.errors import LockgateError
from lockgate.core.wire import Document, Moment, decode, encode, whole_second

STATE_FILE = "witness.json"
STATE_LIMIT = 1 << 16
"""Longest state that is read, in bytes."""

WITNESSES_LIMIT = 8
"""Most witnesses that one side asks by itself."""

LOOK_SECONDS = 2.0
"""How long after an admission a witness is asked at the latest."""

RETRY_SECONDS = 60.0
"""How long after a failure a witness is asked again, where the interval is longer."""

STOP_SECONDS = 2.0

Ask = Callable[[Side, str], tuple[Checkpoint, list[str]]]
_log = structlog.get_logger("lockgate.witness")


class Asked(Document, frozen=True):
    """What came of asking one witness: `answered` is when it cosigned last, `code` what is wrong now."""

    address: str
    asked: Moment
    answered: Moment | None = None
    size: int = 0
    people: tuple[str, ...] = ()
    code: str = ""
    error: str = ""

    @property
    def sentence(self) -> str:
        """Return it in one sentence."""
        last = (
            f"{', '.join(self.people)} cosigned {self.size} leaves on {self.answered:%Y-%m-%d %H:%M} UTC"
            if self.answered
            else "it never cosigned"
        )
        return f"{self.address}: {last}" + (f"; now {self.code}: {self.error}" if self.code else "")


class _State(Document, frozen=True):
    witnesses: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a witness listens."""

    address: str
    host: str
    port: int

    @property
    def here(self) -> bool:
        """Tell whether it is this machine, whose disk it does not outlive."""
        return ipaddress.ip_address(self.host).is_loopback


def places(side: Side) -> tuple[Place, ...]:
    """Return the witnesses that a side asks by itself.

    Raises:
        WitnessAddressError: One is no address inside the closed network, or there are too many.

    """
    named = side.settings.audit.witness.split()
    if len(named) > WITNESSES_LIMIT:
        what = f"{len(named)} witnesses are named; {WITNESSES_LIMIT} may be (bound: witnesses_limit)."
        raise WitnessAddressError(what)
    return tuple(_place(address) for address in named)


def _place(address: str) -> Place:
    """Demand the number of a private network: a name would be looked up, and could lead outside."""
    try:
        parts = urlsplit(address)
        host, port = ipaddress.ip_address(parts.hostname or ""), parts.port or 80
    except ValueError as error:
        what = f"{address[:120]!r} is no address in numbers."
        raise WitnessAddressError(what) from error
    odd = parts.scheme != "http" or parts.username or parts.query or parts.fragment
    if odd or not (host.is_private or host.is_loopback) or host.is_unspecified:
        what = f"{address[:120]!r} is not inside a private network."
        raise WitnessAddressError(what)
    return Place(address, str(host), port)


def last_asked(side: Side) -> tuple[Asked, ...]:
    """Return what came of asking each witness last; none where nobody asked yet or nobody can tell."""
    file = _file(side)
    if not file.is_file():
        return ()
    try:
        return decode(_State, read_named(file, limit=STATE_LIMIT), name="state").witnesses
    except LockgateError:
        return ()


def _file(side: Side) -> Path:
    return side.home.run / STATE_FILE


class Asker:
    """Asks the configured witnesses in a thread of its own, until it is told to stop.

    Args:
        side: The high side.
        ask: Asks one witness.
        clock: The present moment.
        look_seconds: How often it is looked whether something was admitted.

    """

    def __init__(
        self,
        side: Side,
        ask: Ask = submit,
        clock: Callable[[], datetime] = utc_now,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Read the configuration; nobody is asked yet.

        Raises:
            WitnessAddressError: It names somebody outside.

        """
        self._side, self._ask, self._clock, self._look = side, ask, clock, look_seconds
        self._places = places(side)
        known = {each.address: each for each in last_asked(side)}
        self._told = {p.address: known[p.address] for p in self._places if p.address in known}
        self._channel = _mark(channel_file(side))
        self._moved = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lockgate-witness", daemon=True)

    def start(self) -> None:
        """Begin asking, where there is anybody to ask."""
        if self._places:
            self._thread.start()

    def stop(self) -> None:
        """Ask no more; an answer that does not come soon is not waited for."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:  # noqa: BLE001  # whatever it was, the next look may be better
                _log.exception("witnesses cannot be asked")
            self._stop.wait(self._look)

    def look(self) -> None:
        """Ask every witness that is due; all of them when the channel moved, and once more a look later.

        The outcome of an admission is logged after the channel's file was written.
        """
        channel = _mark(channel_file(self._side))
        moved, self._channel = channel != self._channel, channel
        after, self._moved = self._moved, moved
        due = [place for place in self._places if moved or after or self._due(place.address)]
        for place in due:
            if self._stop.is_set():
                return
            self._told[place.address] = self._asked(place.address)
        if due:
            state = _State(witnesses=tuple(self._told[p.address] for p in self._places))
            write_whole(_file(self._side), encode(state))

    def _due(self, address: str) -> bool:
        told, every = self._told.get(address), float(self._side.settings.audit.witness_every_seconds)
        if told is None:
            return True
        pause = min(every, RETRY_SECONDS) if told.code else every
        passed = (self._clock() - told.asked).total_seconds()
        return passed >= pause or passed < 0  # a clock that went back makes nobody wait

    def _asked(self, address: str) -> Asked:
        before, now = self._told.get(address), whole_second(self._clock())
        before = before or Asked(address=address, asked=now)
        try:
            checkpoint, people = self._ask(self._side, address)
        except LockgateError as error:
            _log.error("witness did not cosign", witness=address, code=error.code, error=error.what)
            return msgspec.structs.replace(before, asked=now, code=error.code, error=error.what[:300])
        _log.info("witness cosigned", witness=address, size=checkpoint.size, people=people)
        return Asked(address=address, asked=now, answered=now, size=checkpoint.size, people=tuple(people))


def _mark(file: Path) -> tuple[int, int] | None:
    try:
        facts = file.stat()
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_mtime_ns
