"""A scanner that speaks the Internet Content Adaptation Protocol (ICAP, RFC 3507): a client of our own.

Each file goes as the body of a made-up HTTP response (RESPMOD) or upload (REQMOD) on a connection of its
own. The answer counts only when every byte of the file was sent. *Clean* is 204, or 200 with the very
same bytes; a header that names what was found, or other bytes, is a finding; all else is incomplete.
"""

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lockgate.core.digests import CHUNK
from lockgate.core.errors import HostError
from lockgate.core.station import NAMES_LIMIT, ScannerFacts
from lockgate.core.verdict import Outcome
from lockgate.crossing.station.errors import ScannerError, StationSettingsError
from lockgate.crossing.station.icap_wire import (
    Address,
    Answer,
    IcapProtocolError,
    IcapReader,
    demand_method,
    options_request,
    preamble,
)
from lockgate.crossing.station.identity import Identity
from lockgate.crossing.station.ports import Said, Scanner, Staged
from lockgate.crossing.station.texts import one_line

SLOWEST = 1 << 20
"""Bytes per second that a service has to take beside its own time."""

_FOUND_HEADERS = ("x-infection-found", "x-virus-id", "x-virus-name", "x-violations-found")
"""How services name what they found (draft-stecher-icap-subid-00, and what ClamAV's and Kaspersky's send)."""

_THREAT = re.compile(r"(?:^|;)\s*Threat=([^;]{1,200})")


@dataclass(slots=True)
class _Sending:
    """How far the body got: `whole` once every byte was handed to the system."""

    whole: bool = False
    failed: str = ""


@dataclass(frozen=True, slots=True)
class IcapScanner(Scanner):
    """A service of an ICAP server.

    Attributes:
        identity: How the scanner's name and data are told; its version is what the service says.
        address: Where the service is.
        stage: Where files are staged.
        method: RESPMOD or REQMOD.
        seconds: How long the service may be silent; a whole answer may take that and a second for each MiB.

    """

    identity: Identity
    address: Address
    stage: Path
    method: str = "RESPMOD"
    seconds: int = 600

    def __post_init__(self) -> None:
        """Refuse another method.

        Raises:
            StationSettingsError: Neither RESPMOD nor REQMOD.

        """
        if self.method not in {"RESPMOD", "REQMOD"}:
            what = f"station.icap_method is {self.method[:40]!r}; it is respmod or reqmod."
            raise StationSettingsError(what)

    def identify(self) -> ScannerFacts:
        """Return what the service says of itself (OPTIONS).

        Raises:
            ScannerError: It does not answer, or does not offer the method.

        """
        try:
            with self._connect() as connection, connection.makefile("rb") as stream:
                connection.sendall(options_request(self.address))
                answer = IcapReader(stream).head()
            demand_method(answer, self.method)
        except (OSError, IcapProtocolError) as error:
            what = f"The ICAP service {self.address.text} does not say what it is: {_reason(error)}."
            raise ScannerError(what) from error
        said = " ".join(answer.headers.get(key, "") for key in ("service", "istag"))
        return self.identity.facts("icap", self.stage, said)

    def scan(self, staged: Staged) -> Said:
        """Send a staged file and judge the answer."""
        try:
            connection = self._connect()
        except OSError as error:
            what = f"The ICAP server {self.address.text} cannot be reached: {_reason(error)}."
            raise ScannerError(what) from error
        with connection, staged.path.open("rb") as file:
            sending = _Sending()
            sender = threading.Thread(target=self._send, args=(connection, staged, file, sending))
            # A server that speaks a byte now and then is never silent; this ends it all the same.
            watch = threading.Timer(self.seconds + staged.size / SLOWEST, _end, (connection,))
            watch.start()
            sender.start()
            try:
                said = self._judge(connection, staged)
            except (OSError, IcapProtocolError) as error:
                said = Said(Outcome.INCOMPLETE, why=one_line(f"The service failed: {_reason(error)}."))
            finally:
                watch.cancel()
                _end(connection)  # a sender that the server stopped reading from ends too
                sender.join()
                watch.join()
        if said.outcome is Outcome.CLEAN and not sending.whole:
            why = (
                f"The service answered before it had the whole file ({sending.failed or 'not all was sent'})."
            )
            said = Said(Outcome.INCOMPLETE, why=one_line(why))
        return Said(said.outcome, said.names, said.why, staged.path)

    def _connect(self) -> socket.socket:
        return socket.create_connection((self.address.host, self.address.port), timeout=self.seconds)

    def _send(self, connection: socket.socket, staged: Staged, file: BinaryIO, sending: _Sending) -> None:
        try:
            connection.sendall(preamble(self.address, self.method, staged.path.name, staged.size))
            for piece in _pieces(file):
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            connection.sendall(b"0\r\n\r\n")
        except OSError as error:
            sending.failed = _reason(error)
            return
        sending.whole = True

    def _judge(self, connection: socket.socket, staged: Staged) -> Said:
        """Read an answer to its end and say what it means.

        Raises:
            OSError, IcapProtocolError: The answer does not end, or is none.

        """
        with connection.makefile("rb") as stream:
            reader = IcapReader(stream)
            answer = reader.head()
            if names := found_names(answer):
                return Said(Outcome.FINDINGS, names)
            if answer.status == 204:  # noqa: PLR2004  # RFC 3507, 4.6: no modification needed
                return Said(Outcome.CLEAN)
            if answer.status != 200:  # noqa: PLR2004  # RFC 3507, 4.3.3
                return Said(Outcome.INCOMPLETE, why=one_line(f"It answered {answer.status} {answer.reason}."))
            http = reader.encapsulated(answer)
            if http.verdict:
                return Said(Outcome.FINDINGS, (one_line(http.verdict),))
            state, size = hashlib.sha256(), 0
            for piece in reader.body(http):
                state.update(piece)
                size += len(piece)
                if size > staged.size:
                    break
            if (state.hexdigest(), size) == (staged.sha256, staged.size):
                return Said(Outcome.CLEAN)
            return Said(Outcome.FINDINGS, ("The service gave back other content.",))


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def found_names(answer: Answer) -> tuple[str, ...]:
    """Return what an answer's headers say was found."""
    said = [answer.headers[key] for key in _FOUND_HEADERS if key in answer.headers]
    threats = [match[1] for text in said for match in _THREAT.finditer(text)]
    named = [one_line(text) or "named by an empty header" for text in threats or said]
    return tuple(dict.fromkeys(named))[:NAMES_LIMIT]


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        yield piece


def _reason(error: OSError | HostError) -> str:
    if isinstance(error, TimeoutError):
        return "it was silent for too long"
    return error.what if isinstance(error, HostError) else (error.strerror or type(error).__name__)
