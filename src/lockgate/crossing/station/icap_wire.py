"""ICAP on the wire (RFC 3507): what a client sends, and a reader of answers that is bounded in all parts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from lockgate.core.errors import HostError
from lockgate.crossing.station.errors import StationSettingsError

DEFAULT_PORT = 1344
"""Port of ICAP (RFC 3507, 4.2)."""

LINE_LIMIT = 1 << 13
"""Longest line of an answer, in bytes."""

HEADERS_LIMIT = 128
"""Most lines of one head."""

_ADDRESS = re.compile(
    r"icap://(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[A-Za-z0-9.-]{1,253}))(?::(?P<port>[0-9]{1,5}))?"
    r"/(?P<service>[A-Za-z0-9._~/-]{1,200}(?:\?[A-Za-z0-9._~=&-]{1,200})?)"
)
_STATUS = re.compile(rb"ICAP/1\.0 ([0-9]{3})(?: ([^\r\n]*))?")
_HTTP = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[^\r\n]*)?")
_PART = re.compile(r"(req-hdr|res-hdr|req-body|res-body|opt-body|null-body)=([0-9]{1,9})")


class IcapProtocolError(HostError):
    """An ICAP server said something that the protocol does not know."""

    code = "LG-5774"
    advice = "Check that the address names an ICAP service; its log says more."


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is: ``icap://host:port/service``."""

    host: str
    port: int
    service: str

    @property
    def text(self) -> str:
        """Return the address as text."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"icap://{host}:{self.port}/{self.service}"

    @property
    def authority(self) -> str:
        """Return host and port as the Host header has them."""
        return self.text.removeprefix("icap://").split("/", 1)[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer; header names in lower case, the last one of a name counts."""

    status: int
    reason: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Encapsulated:
    """What an answer wraps: what its HTTP head says against the file (nothing: a plain 200 or request)."""

    verdict: str
    has_body: bool


def read_address(text: str) -> Address:
    """Return an address that settings name.

    Raises:
        StationSettingsError: Not an ``icap://`` address with a host and a service.

    """
    match = _ADDRESS.fullmatch(text)
    port = int(match["port"] or DEFAULT_PORT) if match else 0
    if match is None or not 0 < port < 1 << 16:
        what = f"station.icap is {text[:120]!r}, not an address as icap://host:1344/service."
        raise StationSettingsError(what)
    return Address(match["six"] or match["host"], port, match["service"])


def options_request(address: Address) -> bytes:
    """Return the request that asks what a service is (RFC 3507, 4.10)."""
    return _head("OPTIONS", address, "Encapsulated: null-body=0")


def preamble(address: Address, method: str, name: str, size: int) -> bytes:
    """Return everything of a request up to the body: ICAP's head and the HTTP heads that it wraps.

    `name` is the staged file's: nothing of what the crate says of a file reaches the server as text.
    """
    host = "Host: station.invalid\r\n"
    length = f"Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n"
    if method == "REQMOD":
        request = f"PUT http://station.invalid/{name} HTTP/1.1\r\n{host}{length}\r\n"
        parts = f"req-hdr=0, req-body={len(request)}"
        return _head(method, address, "Allow: 204", f"Encapsulated: {parts}") + request.encode()
    request = f"GET http://station.invalid/{name} HTTP/1.1\r\n{host}\r\n"
    response = f"HTTP/1.1 200 OK\r\n{length}\r\n"
    parts = f"req-hdr=0, res-hdr={len(request)}, res-body={len(request) + len(response)}"
    return _head(method, address, "Allow: 204", f"Encapsulated: {parts}") + (request + response).encode()


def _head(method: str, address: Address, *headers: str) -> bytes:
    lines = [f"{method} {address.text} ICAP/1.0", f"Host: {address.authority}", "User-Agent: lockgate"]
    return ("\r\n".join([*lines, "Connection: close", *headers]) + "\r\n\r\n").encode("ascii")


def demand_method(answer: Answer, method: str) -> None:
    """Demand that a service offers a method (RFC 3507, 4.10.2).

    Raises:
        IcapProtocolError: It does not, or refuses to say.

    """
    offered = {word.strip().upper() for word in answer.headers.get("methods", "").split(",")}
    if answer.status != 200 or method not in offered:  # noqa: PLR2004  # RFC 3507, 4.10.2
        what = f"the service answers {answer.status} and offers {', '.join(sorted(offered)) or 'nothing'}"
        raise IcapProtocolError(what)


class IcapReader:
    """Reads one answer from a stream; every line, head and chunk has a bound."""

    def __init__(self, stream: BinaryIO) -> None:
        """Read from the start of an answer."""
        self._stream = stream

    def head(self) -> Answer:
        """Return the head of the answer.

        Raises:
            IcapProtocolError: It is none.

        """
        match = _STATUS.fullmatch(self._line())
        if match is None:
            raise IcapProtocolError("the answer is not of ICAP 1.0")
        return Answer(int(match[1]), (match[2] or b"").decode("latin-1"), self._headers())

    def encapsulated(self, answer: Answer) -> Encapsulated:
        """Read the HTTP heads that an answer wraps (RFC 3507, 4.4.1).

        Raises:
            IcapProtocolError: They are not as the answer says.

        """
        text = answer.headers.get("encapsulated", "").replace(" ", "")
        parts = [_PART.fullmatch(part) for part in text.split(",")]
        names = [part[1] for part in parts if part]
        if len(names) != len(parts) or not 1 <= len(parts) <= 3 or "body" not in names[-1]:  # noqa: PLR2004
            raise IcapProtocolError("the answer does not say what it wraps")
        verdict = ""
        for name in names[:-1]:
            line = self._line()
            self._headers()
            match = _HTTP.fullmatch(line)
            if match and match[1] != b"200":
                verdict = f"The service answered for the file: {line.decode('latin-1')}"
            if name == "res-hdr" and match is None:
                raise IcapProtocolError("the answer wraps no HTTP response")
        return Encapsulated(verdict, names[-1] != "null-body")

    def body(self, http: Encapsulated) -> Iterator[bytes]:
        """Yield the chunks of the wrapped body (RFC 9112, 7.1).

        Raises:
            IcapProtocolError: It ends early, or is not chunked.

        """
        while http.has_body:
            match = _SIZE.fullmatch(self._line())
            if match is None:
                raise IcapProtocolError("the wrapped body is not chunked")
            left = int(match[1], 16)
            if left == 0:
                self._headers()
                return
            while left:
                piece = self._stream.read(min(left, 1 << 20))
                if not piece:
                    raise IcapProtocolError("the wrapped body ends early")
                left -= len(piece)
                yield piece
            if self._line():
                raise IcapProtocolError("a chunk is longer than it says")

    def _line(self) -> bytes:
        line = self._stream.readline(LINE_LIMIT)
        if not line.endswith(b"\n"):
            raise IcapProtocolError(
                "the answer ends early" if len(line) < LINE_LIMIT else "a line is too long"
            )
        return line.rstrip(b"\r\n")

    def _headers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        key = ""
        for _ in range(HEADERS_LIMIT):
            line = self._line()
            if not line:
                return found
            if line[:1] in {b" ", b"\t"} and key:  # folded (RFC 9112, 5.2): c-icap does so
                found[key] += " " + line.strip().decode("latin-1")
                continue
            name, colon, value = line.partition(b":")
            if not colon:
                raise IcapProtocolError("a header has no colon")
            key = name.strip().lower().decode("latin-1")
            found[key] = value.strip().decode("latin-1")
        raise IcapProtocolError("the answer has too many headers")
