"""A registry, read directly: what no client fetches for us (referrers) and Ollama's models.

Sources: OCI distribution specification 1.1; its token authentication as registries use it for
anonymous readers (Docker's "Token Authentication Specification").
"""

import json
import re
import ssl
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from http.client import HTTPException
from typing import BinaryIO, cast
from urllib.parse import urlencode, urlsplit

from lockgate import __version__
from lockgate.collect.errors import CollectLimitError, UnreachableError, UnresolvableError
from lockgate.collect.web import ATTEMPTS, WebSettings, shown
from lockgate.core.oci import MANIFEST_LIMIT, MANIFEST_TYPES

TOKEN_LIMIT = 1 << 16
"""Longest answer of a token service, in bytes."""

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_SERVER_FAULT = 500


class Registry(ABC):
    """One registry's content, by repository."""

    @abstractmethod
    def manifest(self, repository: str, reference: str) -> bytes | None:
        """Return a manifest by tag or digest; `None` where there is none.

        Raises:
            UnreachableError: The registry does not answer, or wants a login.
            CollectLimitError: It is longer than `MANIFEST_LIMIT`.

        """

    @abstractmethod
    def referrers(self, repository: str, digest: str) -> bytes | None:
        """Return the index of a manifest's referrers; `None` where the registry keeps no such lists.

        Raises:
            UnreachableError, CollectLimitError: As for `manifest`.

        """

    @abstractmethod
    def blob(self, repository: str, digest: str) -> AbstractContextManager[BinaryIO]:
        """Open a blob.

        Raises:
            UnresolvableError: There is none.
            UnreachableError: As for `manifest`.

        """


class WebRegistry(Registry):
    """A registry over HTTP, with the tokens that it gives to anybody, or to who has a login.

    Args:
        host: Its name, with a port where it has one.
        plain: Whether it is reached without TLS.
        settings: Authorities, proxy and time-out.
        login: User and password in base64, which go to the registry or its token service alone.

    """

    def __init__(
        self, host: str, *, plain: bool = False, settings: WebSettings | None = None, login: str = ""
    ) -> None:
        """Keep what is needed; nothing is opened yet."""
        self._base = f"{'http' if plain else 'https'}://{host}/v2"
        self._settings = settings or WebSettings()
        self._login = f"Basic {login}" if login else ""
        self._tokens: dict[str, str] = {}
        proxy = self._settings.proxy
        context = ssl.create_default_context(cafile=self._settings.authorities or None)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None),
            urllib.request.HTTPSHandler(context=context),
            _Redirects(),
        )

    def manifest(self, repository: str, reference: str) -> bytes | None:
        """Return a manifest; see `Registry.manifest`."""
        return self._short(repository, f"manifests/{reference}")

    def referrers(self, repository: str, digest: str) -> bytes | None:
        """Return the index of a manifest's referrers; see `Registry.referrers`."""
        return self._short(repository, f"referrers/{digest}")

    @contextmanager
    def blob(self, repository: str, digest: str) -> Iterator[BinaryIO]:
        """Open a blob; see `Registry.blob`."""
        answer = self._open(repository, f"blobs/{digest}", "*/*")
        if answer is None:
            what = f"The registry has no blob {digest[:19]} of {repository}."
            raise UnresolvableError(what)
        with answer:
            yield answer

    def _short(self, repository: str, path: str) -> bytes | None:
        answer = self._open(repository, path, ", ".join(MANIFEST_TYPES))
        if answer is None:
            return None
        with answer:
            data = answer.read(MANIFEST_LIMIT + 1)
        if len(data) > MANIFEST_LIMIT:
            what = f"A manifest of {repository} is longer than {MANIFEST_LIMIT} bytes."
            raise CollectLimitError(what, limit="MANIFEST_LIMIT")
        return data

    def _open(self, repository: str, path: str, accept: str) -> BinaryIO | None:
        url = f"{self._base}/{repository}/{path}"
        for _ in range(2):
            headers = {"Accept": accept, "User-Agent": f"lockgate/{__version__}"}
            if repository in self._tokens:
                headers["Authorization"] = self._tokens[repository]
            answer = self._ask(urllib.request.Request(url, headers=headers))  # noqa: S310  # http or https
            if not isinstance(answer, urllib.error.HTTPError):
                return answer
            if answer.code == HTTPStatus.NOT_FOUND:
                return None
            challenge = answer.headers.get("WWW-Authenticate", "")
            if answer.code != HTTPStatus.UNAUTHORIZED or repository in self._tokens:
                raise _unreachable(url, answer)
            self._tokens[repository] = self._token(repository, challenge)
        what = "The registry wants a login."
        raise UnreachableError(what, url=shown(url))

    def _token(self, repository: str, challenge: str) -> str:
        """Return what to prove oneself by: a token of the registry's own service, or the login itself."""
        if challenge.lower().startswith("basic") and self._login:
            return self._login
        facts = dict(_PARAMETER.findall(challenge)) if challenge.lower().startswith("bearer ") else {}
        realm = facts.get("realm", "")
        if urlsplit(realm).scheme != urlsplit(self._base).scheme:
            what = "The registry wants a login that is not its token service's."
            raise UnreachableError(what, url=shown(self._base))
        query = {"service": facts.get("service", ""), "scope": f"repository:{repository}:pull"}
        request = urllib.request.Request(f"{realm}?{urlencode(query)}")  # noqa: S310  # the same
        if self._login:
            request.add_unredirected_header("Authorization", self._login)
        answer = self._ask(request)
        if isinstance(answer, urllib.error.HTTPError):
            raise _unreachable(realm, answer)
        with answer:
            data = answer.read(TOKEN_LIMIT)
        try:
            found = json.loads(data)
            return f"Bearer {found.get('token') or found['access_token']}"
        except (ValueError, KeyError, AttributeError) as error:
            what = "The registry's token service gave no token."
            raise UnreachableError(what, url=shown(realm)) from error

    def _ask(self, request: urllib.request.Request) -> "BinaryIO | urllib.error.HTTPError":
        last: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                return cast("BinaryIO", self._opener.open(request, timeout=self._settings.timeout))
            except urllib.error.HTTPError as error:
                error.close()
                if error.code < _SERVER_FAULT:
                    return error
                last = error
            except (OSError, HTTPException) as error:
                last = error
        raise _unreachable(request.full_url, last)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to a store of blobs, without the registry's token, and never to weaker ways."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, PLR0917
        """Return the next request."""
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme not in {"http", "https"} or (old.scheme == "https" and new.scheme != "https"):
            reason = f"a redirect leads from https to {new.scheme}"
            raise urllib.error.URLError(reason)
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is not None and new.netloc != old.netloc:
            made.remove_header("Authorization")
        return made


def _unreachable(url: str, error: Exception | None) -> UnreachableError:
    what = f"A registry does not answer: {error}."
    return UnreachableError(what, url=shown(url))
