"""ClamAV's daemon as a second opinion: each file is streamed to it (clamd(8), ``INSTREAM``) on a Unix socket.

It parses hostile bytes in its own process, as its own user, and answers one line. It can only make a verdict
stricter. What it skips by its limits it calls clean unless it is told to alert (``AlertExceedsMax yes``):
hence a limit that it names, or that its stream has, leaves the file incomplete.
"""

import re
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from lockgate.core.digests import CHUNK
from lockgate.core.verdict import Finding, Outcome, Severity, Verdict, worst
from lockgate.inspect.errors import ClamdDownError, ClamdOldError
from lockgate.inspect.tally import printable

NAME = "clamav"
FOUND, UNFINISHED, ABSENT = "clamav-found", "clamav-unfinished", "clamav-absent"

_ANSWER = 4096
"""Longest answer that is read, in bytes."""

_LIMITS = "Heuristics.Limits.Exceeded"
"""How ClamAV names what it did not look at to the end (clamd.conf(5), ``AlertExceedsMax``)."""

_SAID = re.compile(r"stream: (?:(?P<name>\S{1,200}) FOUND|(?P<clean>OK))")
_VERSION = re.compile(r"ClamAV (?P<engine>[\w.+~-]{1,40})(?:/(?P<number>\d{1,9})/(?P<date>[\w: ]{1,40}))?")
_EICAR = bytes.fromhex(
    "58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d5354414e444152442d414e54495649"
    "5255532d544553542d46494c452124482b482a"
)
"""The EICAR test file: what a scanner with data finds."""


@dataclass(frozen=True, slots=True)
class ClamdPlace:
    """Where the daemon is, and what is asked of it.

    Attributes:
        socket: Its Unix socket.
        kinds: The kinds of artifacts whose files it is shown.
        seconds: How long it may be silent, for each step.
        largest: Longest file that it is shown, in bytes; a longer one is incomplete.
        database: Its folder of signatures, whose newest file dates data that names no date itself.
        age: How old its data may be; None: any age.
        required: Whether nothing is inspected without it; else its absence is a finding.

    """

    socket: Path
    kinds: frozenset[str]
    seconds: float = 120.0
    largest: int = 100 << 20
    database: Path | None = None
    age: timedelta | None = timedelta(days=7)
    required: bool = True


@dataclass(frozen=True, slots=True)
class Shown:
    """One file that may be shown to it: the kind of its artifact, and where it lies."""

    kind: str
    file: Path


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon as it is now: its version, that of its data, and why it cannot be relied on."""

    engine: str = ""
    data: str = ""
    why: str = ""

    @property
    def basis(self) -> dict[str, str]:
        """Return what verdicts rest on of it."""
        return {NAME: f"{self.engine}/{self.data}"} if not self.why else {NAME: "absent"}


class Clamd:
    """Asks the daemon, and adds what it says to verdicts."""

    def __init__(self, place: ClamdPlace, clock: Callable[[], datetime]) -> None:
        """Ask this one; nothing is asked yet."""
        self._place = place
        self._clock = clock

    def present(self) -> Daemon:
        """Return the daemon, after it found the EICAR test file with data that is young enough.

        Raises:
            ClamdDownError: It is required and does not answer, or finds nothing.
            ClamdOldError: It is required and its data is too old, or nobody can tell.

        """
        try:
            return self._present()
        except (ClamdDownError, ClamdOldError) as error:
            if self._place.required:
                raise
            return Daemon(why=error.what)

    def _present(self) -> Daemon:
        said = _VERSION.match(self._command(b"zVERSION\0"))
        if said is None:
            raise ClamdDownError("ClamAV does not say which version it is.")
        dated = self._dated(said["date"])
        age = self._place.age
        if age is not None and (dated is None or self._clock() - dated > age):
            told = f"is of {dated:%Y-%m-%d}" if dated else "names no date"
            what = f"The data of ClamAV {told}; it may be {age.days} days old."
            raise ClamdOldError(what)
        if FOUND not in {found.code for found in self._judge(self._stream([_EICAR]))}:
            raise ClamdDownError(
                "ClamAV does not find the EICAR test file: it has no data, or another limit."
            )
        data = said["number"] or (f"{dated:%Y-%m-%dT%H:%M:%SZ}" if dated else "undated")
        return Daemon(engine=said["engine"], data=data)

    def _dated(self, text: str | None) -> datetime | None:
        if text is not None:
            try:
                return datetime.strptime(text.strip(), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
            except ValueError:
                return None
        folder = self._place.database
        times = [file.stat().st_mtime for file in folder.iterdir()] if folder and folder.is_dir() else []
        return datetime.fromtimestamp(max(times), UTC) if times else None

    def add(
        self, daemon: Daemon, shown: Sequence[Shown], verdicts: Sequence[Verdict], jobs: int = 2
    ) -> list[Verdict]:
        """Return verdicts with what the daemon says of the same files; none becomes better.

        Args:
            daemon: The daemon as it was when the run began.
            shown: The files, in the order of the verdicts.
            verdicts: What inspection says.
            jobs: How many files at a time.

        Raises:
            ClamdDownError: It is required and went away.

        """

        def one(pair: tuple[Shown, Verdict]) -> Verdict:
            return self._one(daemon, *pair)

        with ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="clamd") as pool:
            return list(pool.map(one, zip(shown, verdicts, strict=True)))

    def _one(self, daemon: Daemon, shown: Shown, verdict: Verdict) -> Verdict:
        if shown.kind not in self._place.kinds or not verdict.size:
            return verdict
        if daemon.why:
            return _with(verdict, (_finding(verdict, ABSENT, Severity.LOW, daemon.why),))
        if verdict.size > self._place.largest:
            why = f"It has {verdict.size} bytes; ClamAV is shown {self._place.largest} at most."
            return _with(verdict, (_finding(verdict, UNFINISHED, Severity.INFO, why),))
        with shown.file.open("rb") as file:
            answer = self._stream(iter(lambda: file.read(CHUNK), b""))
        findings = self._judge(answer, verdict.path)
        if any(found.code == UNFINISHED for found in findings):
            return _with(verdict, findings)
        named = msgspec.structs.replace(
            verdict, inspectors=tuple(sorted({*verdict.inspectors, f"{NAME}/{daemon.engine}"}))
        )
        return _with(named, findings) if findings else named

    def _judge(self, answer: str, path: str = "") -> tuple[Finding, ...]:
        """Return what an answer says; one that says neither clean nor found leaves the file incomplete."""
        said = _SAID.fullmatch(answer)
        if said is None:
            why = f"ClamAV answered: {answer or 'nothing'}"
            return (Finding(code=UNFINISHED, severity=Severity.INFO, where=path, why=printable(why)),)
        if said["clean"]:
            return ()
        if said["name"].startswith(_LIMITS):
            why = f"ClamAV stopped at one of its limits: {said['name']}"
            return (Finding(code=UNFINISHED, severity=Severity.INFO, where=path, why=printable(why)),)
        why = f"ClamAV names it {said['name']}"
        return (Finding(code=FOUND, severity=Severity.CRITICAL, where=path, why=printable(why)),)

    def _command(self, command: bytes) -> str:
        try:
            with self._connected() as connection:
                connection.sendall(command)
                return _answer(connection)
        except OSError as error:
            raise _down(self._place, error) from error

    def _stream(self, pieces: Iterable[bytes]) -> str:
        """Show the daemon some bytes and return its answer, one line.

        Raises:
            ClamdDownError: It cannot be reached, or went away without an answer.

        """
        try:
            connection = self._connected()
        except OSError as error:
            raise _down(self._place, error) from error
        with connection:
            try:
                connection.sendall(b"zINSTREAM\0")
                for piece in pieces:
                    connection.sendall(struct.pack(">I", len(piece)) + piece)
                connection.sendall(struct.pack(">I", 0))
            except TimeoutError:
                return "silent for too long"
            except OSError:
                pass  # it stopped reading: what it says of that is the answer
            try:
                answer = _answer(connection)
            except TimeoutError:
                return "silent for too long"
            except OSError as error:
                raise _down(self._place, error) from error
        if not answer:
            raise _down(self._place, ConnectionError("it closed the connection"))
        return answer

    def _connected(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._place.seconds)
        try:
            connection.connect(str(self._place.socket))
        except OSError:
            connection.close()
            raise
        return connection


def _answer(connection: socket.socket) -> str:
    data = b""
    while len(data) < _ANSWER and not data.endswith(b"\0"):
        piece = connection.recv(_ANSWER - len(data))
        if not piece:
            break
        data += piece
    return printable(data.rstrip(b"\0").decode("utf-8", "replace"))


def _down(place: ClamdPlace, error: OSError) -> ClamdDownError:
    reason = "it is silent" if isinstance(error, TimeoutError) else error.strerror or str(error)
    what = f"ClamAV cannot be asked at {place.socket}: {reason}."
    return ClamdDownError(what)


def _finding(verdict: Verdict, code: str, severity: Severity, why: str) -> Finding:
    return Finding(code=code, severity=severity, where=verdict.path, why=printable(why))


def _with(verdict: Verdict, findings: tuple[Finding, ...]) -> Verdict:
    """Return a verdict with findings; one that says that it was not looked at makes it incomplete."""
    unfinished = any(found.code == UNFINISHED for found in findings)
    bad = any(found.severity is not Severity.INFO for found in findings)
    worse = Outcome.FINDINGS if bad else Outcome.INCOMPLETE if unfinished else verdict.outcome
    return msgspec.structs.replace(
        verdict,
        outcome=worst((verdict.outcome, worse)),
        covered=min(verdict.covered, verdict.size - 1) if unfinished else verdict.covered,
        findings=(*verdict.findings, *findings),
    )
