"""Reading addresses with the package client's own certificates, proxy and time-out."""

import io
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from typing import IO, TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from lockgate import __version__
from lockgate.collect.errors import CollectLimitError, UnreachableError
from lockgate.collect.ports import Web

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ATTEMPTS = 3
"""How often an address is tried before it counts as unreachable."""

_SERVER_FAULT = 500
_SCHEMES = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How to reach the outside: a bundle of authorities, a proxy (both may be empty), seconds."""

    authorities: str = ""
    proxy: str = ""
    timeout: float = 60.0


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to something weaker."""

    def redirect_request(  # noqa: PLR0917  # the library's signature
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in _SCHEMES or (urlsplit(req.full_url).scheme == "https" and scheme != "https"):
            reason = f"a redirect leads from https to {scheme}"
            raise urllib.error.URLError(reason)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]  # HTTPMessage


class UrlWeb(Web):
    """The adapter over the standard library. Nothing is opened before `open` is called."""

    def __init__(self, settings: WebSettings | None = None) -> None:
        """Keep the settings; without a proxy the usual environment variables count."""
        self._settings = settings or WebSettings()
        self._opener: urllib.request.OpenerDirector | None = None

    @contextmanager
    def open(self, url: str, accept: str = "*/*") -> Iterator[tuple[str, BinaryIO]]:
        """Open an http or https address; see `Web.open`."""
        if urlsplit(url).scheme not in _SCHEMES:
            what = "Only http and https addresses are read."
            raise UnreachableError(what, url=shown(url))
        with self._answer(self._request(url, accept)) as response:
            yield response.headers.get_content_type(), io.BufferedReader(_Body(response, url), 1 << 16)

    def _request(self, url: str, accept: str) -> urllib.request.Request:
        """Return the question for an address whose scheme was checked."""
        headers = {"Accept": accept, "User-Agent": f"lockgate/{__version__}", "Accept-Encoding": "identity"}
        return urllib.request.Request(url, headers=headers)  # noqa: S310  # see above

    def _answer(self, request: urllib.request.Request) -> "urllib.response.addinfourl":
        last: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                answer = self._connect().open(request, timeout=self._settings.timeout)
            except urllib.error.HTTPError as error:
                error.close()
                last = error
                if error.code < _SERVER_FAULT:
                    break
            except (OSError, HTTPException) as error:
                last = error
            else:
                return answer  # type: ignore[no-any-return]
        what = f"A source does not answer: {last}."
        raise UnreachableError(what, url=shown(request.full_url)) from last

    def _connect(self) -> urllib.request.OpenerDirector:
        if self._opener is None:
            proxy = self._settings.proxy
            context = ssl.create_default_context(cafile=self._settings.authorities or None)
            self._opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None),
                urllib.request.HTTPSHandler(context=context),
                _NoDowngrade(),
            )
        return self._opener


class _Body(io.RawIOBase):
    """A response body whose failures are ours, and whose end before its length is one."""

    def __init__(self, response: "urllib.response.addinfourl", url: str) -> None:
        super().__init__()
        self._response = response
        self._url = url
        length = response.headers.get("Content-Length", "")
        self._left = int(length) if length.isdecimal() else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        room = memoryview(buffer).cast("B")
        try:
            data: bytes = self._response.read(len(room))
        except (OSError, HTTPException) as error:
            what = f"A source stopped answering: {error}."
            raise UnreachableError(what, url=shown(self._url)) from error
        if self._left is not None:
            self._left -= len(data)
            if not data and self._left > 0:
                what = f"A source stopped {self._left} bytes before the end."
                raise UnreachableError(what, url=shown(self._url))
        room[: len(data)] = data
        return len(data)


def read_bounded(web: Web, url: str, limit: int, accept: str = "*/*") -> tuple[str, bytes]:
    """Return the media type and the whole body of an address.

    Raises:
        CollectLimitError: The body is longer than `limit` bytes.
        UnreachableError: See `Web.open`.

    """
    pieces: list[bytes] = []
    size = 0
    with web.open(url, accept) as (kind, body):
        while piece := body.read(1 << 16):
            size += len(piece)
            if size > limit:
                what = f"An answer is longer than {limit} bytes."
                raise CollectLimitError(what, url=shown(url))
            pieces.append(piece)
    return kind, b"".join(pieces)


def shown(url: str) -> str:
    """Return an address without user, password, query and fragment, fit for records and errors."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(malformed address)"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
