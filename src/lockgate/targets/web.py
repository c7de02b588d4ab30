"""A small HTTP client for targets: one host, no redirects to another, credentials for that host alone."""

import base64
import hashlib
import http.client
import ssl
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from lockgate.core.digests import CHUNK
from lockgate.targets.errors import TargetAddressError, TargetAnswerError

TIMEOUT = 300.0
"""Longest wait for a target's next bytes, in seconds."""
ANSWER_LIMIT = 64 << 20
"""Longest answer that is read into memory, in bytes."""
FILE_LIMIT = 1 << 43
"""Longest file that is read back, in bytes."""
REDIRECTS = 5

_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})
MOVED = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target said; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Web:
    """Asks one host.

    Args:
        url: Its address.
        credentials: ``user:password``, or a token; empty: none.
        tls: How its certificate is judged; the system's authorities where left out.

    """

    def __init__(self, url: str, credentials: str = "", tls: ssl.SSLContext | None = None) -> None:
        """Take the address apart; nothing is asked yet.

        Raises:
            TargetAddressError: No address, one with credentials in it, or plain HTTP to another machine.

        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        good = parts.scheme in {"http", "https"} and host and not parts.query and not parts.fragment
        if not good or parts.username or (parts.scheme == "http" and host not in _LOCAL):
            what = f"{parts.scheme or '?'}://{host} cannot be a target."
            raise TargetAddressError(what)
        self.url = url.rstrip("/")
        self.host, self._port, self._secure = host, parts.port, parts.scheme == "https"
        self._tls = tls or ssl.create_default_context()
        self._credentials = credentials

    def beside(self, url: str) -> "Web":
        """Return the same host and credentials at another address of it."""
        return Web(url, self._credentials, self._tls)

    def basic(self) -> dict[str, str]:
        """Return the header that proves who asks, as user and password; a token alone is a bearer's."""
        if not self._credentials:
            return {}
        user, colon, password = self._credentials.partition(":")
        if not colon:
            return {"Authorization": f"Bearer {user}"}
        text = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {text}"}

    def at(self, path: str) -> str:
        """Return an address on this host."""
        return f"{self.url}/{path.lstrip('/')}"

    def ask(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
    ) -> Answer:
        """Send one request and return its answer.

        Raises:
            TargetAnswerError: The host cannot be reached, or answers too much.
            TargetAddressError: The address is another host's.

        """
        connection, sent = self._connect(address)
        try:
            connection.request(method, sent, body, dict(headers or {}))
            answer = connection.getresponse()
            data = answer.read(ANSWER_LIMIT + 1)
        except (OSError, http.client.HTTPException) as error:
            what = f"{self.host} did not answer: {type(error).__name__}."
            raise TargetAnswerError(what) from error
        finally:
            connection.close()
        if len(data) > ANSWER_LIMIT:
            what = f"{self.host} answered more than {ANSWER_LIMIT} bytes."
            raise TargetAnswerError(what, limit="ANSWER_LIMIT")
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, data)

    def digest(self, address: str, headers: Mapping[str, str] | None = None) -> str:
        """Return the SHA-256 of what an address gives; "" where it gives nothing.

        Raises:
            TargetAnswerError: It answers otherwise than with a file or that there is none.

        """
        for _ in range(REDIRECTS):
            connection, path = self._connect(address)
            try:
                connection.request("GET", path, headers=dict(headers or {}))
                answer = connection.getresponse()
                if answer.status in MOVED:
                    address = urljoin(address, answer.getheader("Location", ""))
                    continue
                if answer.status == HTTPStatus.NOT_FOUND:
                    return ""
                if answer.status != HTTPStatus.OK:
                    what = f"{self.host} answered {answer.status} when a file was read back."
                    raise TargetAnswerError(what)
                return _hashed(answer)
            except (OSError, http.client.HTTPException) as error:
                what = f"{self.host} broke off when a file was read back: {type(error).__name__}."
                raise TargetAnswerError(what) from error
            finally:
                connection.close()
        what = f"{self.host} redirects more than {REDIRECTS} times."
        raise TargetAnswerError(what, limit="REDIRECTS")

    def _connect(self, address: str) -> tuple[http.client.HTTPConnection, str]:
        """Open a connection to this host, whatever address an answer names; others are never asked."""
        parts = urlsplit(address)
        if (parts.hostname, parts.port, parts.scheme == "https") != (self.host, self._port, self._secure):
            what = f"{self.host} sends elsewhere, to {parts.hostname}."
            raise TargetAddressError(what, advice="Name the host that has the files.")
        path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        if self._secure:
            made = http.client.HTTPSConnection(self.host, self._port, timeout=TIMEOUT, context=self._tls)
            return made, path
        return http.client.HTTPConnection(self.host, self._port, timeout=TIMEOUT), path


def _hashed(answer: http.client.HTTPResponse) -> str:
    state, size = hashlib.sha256(), 0
    while piece := answer.read(CHUNK):
        size += len(piece)
        if size > FILE_LIMIT:
            what = f"A file that is read back has more than {FILE_LIMIT} bytes."
            raise TargetAnswerError(what, limit="FILE_LIMIT")
        state.update(piece)
    return state.hexdigest()


def demand(answer: Answer, wanted: Collection[int], host: str, what: str) -> Answer:
    """Return an answer whose status is one that was wanted.

    Raises:
        TargetAnswerError: It is another.

    """
    if answer.status not in wanted:
        said = answer.body[:200].decode("utf-8", "replace").strip()
        sentence = f"{host} refused {what} with {answer.status}."
        raise TargetAnswerError(sentence, said=said)
    return answer
