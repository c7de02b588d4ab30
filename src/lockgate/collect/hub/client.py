"""The Hub's read API: pages of JSON with a link to the next, and files."""

import re
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import BinaryIO
from urllib.parse import urlsplit

from lockgate.collect.errors import CollectLimitError, UnreachableError, UnresolvableError
from lockgate.collect.logins import HubLogin
from lockgate.collect.web import UrlWeb, WebSettings, shown

PAGE_LIMIT = 1 << 26
"""Longest page that is read, in bytes."""

_NOT_FOUND = 404
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="next"')


class Hub(ABC):
    """Reads a Hub by address."""

    @abstractmethod
    def page(self, url: str) -> tuple[bytes, str]:
        """Return a page's body, and the address of the next page (empty: there is none).

        Raises:
            UnresolvableError: There is no such page.
            UnreachableError: The Hub does not answer.
            CollectLimitError: The page is longer than `PAGE_LIMIT`.

        """

    @abstractmethod
    def file(self, url: str) -> AbstractContextManager[tuple[str, BinaryIO]]:
        """Open a file; yields its media type and its bytes.

        Raises:
            UnreachableError: The Hub does not answer, or has no such file.

        """


class WebHub(UrlWeb, Hub):
    """A Hub over HTTP, with the machine's own certificates, proxy and login."""

    def __init__(self, settings: WebSettings | None = None, login: HubLogin | None = None) -> None:
        """Keep the settings, and the token for one Hub."""
        super().__init__(settings)
        self._login = login or HubLogin()

    def _request(self, url: str, accept: str) -> urllib.request.Request:
        """Return the question, with the token where it is for this very Hub; no redirect takes it along."""
        request = super()._request(url, accept)
        proof = self._login.header(url)
        if proof:
            request.add_unredirected_header("Authorization", proof)
        return request

    def page(self, url: str) -> tuple[bytes, str]:
        """Return a page; see `Hub.page`."""
        if urlsplit(url).scheme not in {"http", "https"}:
            what = "Only http and https addresses are read."
            raise UnreachableError(what, url=shown(url))
        try:
            answer = self._answer(self._request(url, "application/json"))
        except UnreachableError as error:
            cause = error.__cause__
            if isinstance(cause, urllib.error.HTTPError) and cause.code == _NOT_FOUND:
                what = "The Hub has no such repository or revision."
                raise UnresolvableError(
                    what, url=shown(url), advice="Check its name and revision."
                ) from error
            raise
        with answer:
            data = answer.read(PAGE_LIMIT + 1)
            link = _NEXT.search(answer.headers.get("Link", ""))
        if len(data) > PAGE_LIMIT:
            what = f"A page of the Hub is longer than {PAGE_LIMIT} bytes."
            raise CollectLimitError(what, limit="PAGE_LIMIT", url=shown(url))
        following = link[1] if link else ""
        if following and urlsplit(following)[:2] != urlsplit(url)[:2]:
            what = "A page of the Hub names another host for the next one."
            raise UnreachableError(what, url=shown(url))
        return data, following

    def file(self, url: str) -> AbstractContextManager[tuple[str, BinaryIO]]:
        """Open a file; see `Hub.file`."""
        return self.open(url)
