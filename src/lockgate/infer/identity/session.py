"""Sessions of the chat page: who signed in, sealed by the gateway and kept by the browser.

A session is a statement with a message authentication code, so that every gateway process takes those of the
others. It holds no secret; whoever alters a bit of it has none.
"""

import base64
import hmac
from typing import TypeVar

from lockgate.core.errors import LockgateError
from lockgate.core.ports import Clock
from lockgate.core.wire import Document, decode, encode
from lockgate.infer.errors import BadCredentialsError
from lockgate.infer.identity.ports import Found, Source

SESSION_LIMIT = 4096
"""Longest sealed text, in characters: browsers keep no longer cookie (RFC 6265, section 6.1)."""

_MARK = "ls-"
_BYTES = 32


class Session(Document, frozen=True):
    """Who signed in, and until when that counts, in seconds since 1970."""

    source: Source
    subject: str
    name: str
    groups: tuple[str, ...]
    until: int

    @property
    def found(self) -> Found:
        """Return what the source said when they signed in."""
        return Found(self.source, self.subject, self.name, self.groups)


class Attempt(Document, frozen=True):
    """A sign-in that has begun at the issuer (RFC 6749, section 10.12; RFC 7636)."""

    state: str
    nonce: str
    verifier: str
    until: int


_D = TypeVar("_D", Session, Attempt)


class Seal:
    """Seals small documents of one kind each, and opens its own."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        """Keep the secret that all gateway processes share."""
        self._secret = secret
        self._clock = clock

    def close(self, document: Session | Attempt) -> str:
        """Return a document as sealed text.

        Raises:
            BadCredentialsError: It is longer than a cookie may be: somebody is in too many groups.

        """
        data = encode(document)
        text = _MARK + base64.urlsafe_b64encode(self._mac(type(document), data) + data).rstrip(b"=").decode()
        if len(text) > SESSION_LIMIT:
            what = f"A session of {len(text)} characters is longer than browsers keep."
            raise BadCredentialsError(what, limit="session_characters")
        return text

    def word(self, text: str) -> str:
        """Return a word that only holders of the secret derive from a text."""
        return hmac.digest(self._secret, f"lockgate word\0{text}".encode(), "sha256").hex()

    def session(self, text: str) -> Session:
        """Open a session.

        Raises:
            BadCredentialsError: It is not ours, or has ended.

        """
        return self._open(Session, text)

    def attempt(self, text: str) -> Attempt:
        """Open a sign-in that has begun.

        Raises:
            BadCredentialsError: It is not ours, or has ended.

        """
        return self._open(Attempt, text)

    def _mac(self, kind: type[Session | Attempt], data: bytes) -> bytes:
        return hmac.digest(self._secret, f"lockgate {kind.__name__}\0".encode() + data, "sha256")

    def _open(self, kind: type[_D], text: str) -> _D:
        what = "The session is none of this gateway, or has ended; sign in anew."
        if not text.startswith(_MARK) or len(text) > SESSION_LIMIT:
            raise BadCredentialsError(what)
        coded = text.removeprefix(_MARK)
        try:
            whole = base64.b64decode(coded + "=" * (-len(coded) % 4), b"-_", validate=True)
        except ValueError as error:
            raise BadCredentialsError(what) from error
        data = whole[_BYTES:]
        if not hmac.compare_digest(whole[:_BYTES], self._mac(kind, data)):
            raise BadCredentialsError(what)
        try:
            document = decode(kind, data, limit=SESSION_LIMIT, name="The session")
        except LockgateError as error:  # sealed by another version of the gateway
            raise BadCredentialsError(what) from error
        if self._clock().timestamp() >= document.until:
            raise BadCredentialsError(what)
        return document
