"""The issuer of tokens on the closed network: what it publishes of itself, fetched, bounded and kept.

OpenID Connect Discovery 1.0, section 4, and RFC 8414. Only the configured address is spoken with: every
address that the issuer's document names has to lie on the issuer's own origin, redirects are not followed,
and nothing that a token says leads anywhere.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from lockgate.core.errors import LockgateError
from lockgate.infer.errors import BadCredentialsError, IdentitySourceError
from lockgate.infer.identity.jws import Token, VerificationKey, key_set, strict_object, verify

if TYPE_CHECKING:
    import ssl

DOCUMENT_LIMIT = 256 * 1024
"""Longest document of an issuer that is read, in bytes."""

FETCH_SECONDS = 5.0
"""How long an issuer may take for one document."""

RETRY_SECONDS = 10.0
"""How long nobody asks the issuer anew, after it failed or for a key that it does not have: whoever sends
made-up tokens moves it no oftener."""

_WELL_KNOWN = "/.well-known/openid-configuration"
_OK = 200
_logger = structlog.get_logger("lockgate.infer")


@dataclass(frozen=True, slots=True)
class IssuerConfig:
    """Where an issuer is.

    Attributes:
        issuer: Its name, which is its address.
        tls: What its certificate is judged by; none for plain HTTP on this host.
        refresh_seconds: Age from which its keys are fetched anew.
        stale_seconds: Age from which they count no more, where it does not answer.

    """

    issuer: str
    tls: "ssl.SSLContext | None" = None
    refresh_seconds: float = 300.0
    stale_seconds: float = 900.0


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an issuer publishes of itself."""

    jwks_uri: str
    authorization_endpoint: str
    token_endpoint: str


@dataclass(frozen=True, slots=True)
class _Kept:
    metadata: Metadata
    keys: tuple[VerificationKey, ...]
    at: float


def metadata(document: Mapping[str, Any], issuer: str) -> Metadata:
    """Judge what an issuer says of itself.

    Raises:
        IdentitySourceError: It is another one's, or leads elsewhere.

    """
    if document.get("issuer") != issuer:
        what = "The issuer's document names another issuer."
        raise IdentitySourceError(what)
    found = {}
    for name in ("jwks_uri", "authorization_endpoint", "token_endpoint"):
        address = document.get(name)
        if not isinstance(address, str) or _origin(address) != _origin(issuer):
            what = f"The issuer's document names no {name} on the issuer's own origin."
            raise IdentitySourceError(what)
        found[name] = address
    return Metadata(**found)


def _origin(address: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(address)
        origin = parts.scheme, parts.hostname, parts.port
    except ValueError:
        return "", None, None
    plain = parts.username is None and not parts.fragment and address.isprintable()
    return origin if plain else ("", None, None)


class Issuer:
    """An issuer and its keys, which are fetched when they are needed and kept for a stated time."""

    def __init__(self, config: IssuerConfig, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Keep the configuration; nothing is fetched yet."""
        self.config = config
        self._monotonic = monotonic
        self._kept: _Kept | None = None
        self._asked = -RETRY_SECONDS
        self._lock = asyncio.Lock()

    async def metadata(self) -> Metadata:
        """Return what the issuer publishes of itself.

        Raises:
            IdentitySourceError: It does not answer, or not as it should.

        """
        return (await self._current()).metadata

    async def key(self, token: Token) -> VerificationKey:
        """Return the key that signed a token, fetching new keys where none did.

        Raises:
            BadCredentialsError: None of the issuer's keys did.
            IdentitySourceError: The issuer's keys are not known.

        """
        kept = await self._current()
        found = _signer(kept.keys, token)
        if found is None and not any(key.kid == token.kid for key in kept.keys):
            kept = await self._current(newer_than=kept.at)  # it may have changed its keys
            found = _signer(kept.keys, token)
        if found is None:
            what = "The token's signature is none of its issuer's."
            raise BadCredentialsError(what)
        return found

    async def holds(self, key: VerificationKey) -> bool:
        """Tell whether a key is still one of the issuer's."""
        return key in (await self._current()).keys

    async def _current(self, newer_than: float = float("-inf")) -> _Kept:
        """Return what is kept, fetched anew where it is old and the issuer may be asked.

        Raises:
            IdentitySourceError: What is kept is too old, and the issuer does not answer.

        """
        if not self._fresh(newer_than):
            async with self._lock:  # whoever comes while it is being fetched waits for that
                asked = self._monotonic() - self._asked < RETRY_SECONDS
                if not asked and not self._fresh(newer_than):
                    await self._renew()
        return self._good()

    def _fresh(self, newer_than: float) -> bool:
        kept = self._kept
        age = self.config.refresh_seconds
        return kept is not None and kept.at > newer_than and self._monotonic() - kept.at < age

    def _good(self) -> _Kept:
        kept = self._kept
        if kept is None or self._monotonic() - kept.at >= self.config.stale_seconds:
            what = "The issuer of tokens does not answer, and its keys are not known or too old."
            raise IdentitySourceError(what)
        return kept

    async def _renew(self) -> None:
        """Fetch anew; what is kept stays where that fails."""
        self._asked = self._monotonic()
        try:
            document = strict_object(
                await self._get(self.config.issuer.rstrip("/") + _WELL_KNOWN), "The issuer's document"
            )
            said = metadata(document, self.config.issuer)
            keys = key_set(await self._get(said.jwks_uri))
        except LockgateError as error:
            _logger.warning("the issuer of tokens failed", issuer=self.config.issuer, error=error.what)
            return
        self._kept = _Kept(said, keys, self._monotonic())

    async def _get(self, address: str) -> bytes:
        return await self.ask("GET", address)

    async def ask(self, method: str, address: str, **sent: Any) -> bytes:
        """Ask the issuer for a document.

        Args:
            method: GET or POST.
            address: On the issuer's own origin.
            sent: `data` and `headers`, as aiohttp takes them.

        Raises:
            IdentitySourceError: It cannot be asked, or answers too much, too late, or with another status.

        """
        from aiohttp import ClientError, ClientSession, ClientTimeout  # noqa: PLC0415  # heavy for commands

        timeout = ClientTimeout(total=FETCH_SECONDS)
        try:
            async with (
                ClientSession(timeout=timeout, trust_env=False) as session,
                session.request(
                    method, address, ssl=self.config.tls or True, allow_redirects=False, **sent
                ) as answer,
            ):
                body = bytearray()
                async for part in answer.content.iter_any():
                    body += part
                    if len(body) > DOCUMENT_LIMIT:
                        what = f"The issuer sent more than {DOCUMENT_LIMIT} bytes."
                        raise IdentitySourceError(what, limit="issuer_document_bytes")
                status = answer.status
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            what = f"The issuer of tokens cannot be asked: {type(error).__name__}."
            raise IdentitySourceError(what) from error
        if status != _OK:
            what = f"The issuer of tokens answered with status {status}."
            raise IdentitySourceError(what)
        return bytes(body)


def _signer(keys: tuple[VerificationKey, ...], token: Token) -> VerificationKey | None:
    """Return the key that verifies a token: by its name, or the only one where the token names none."""
    named = [key for key in keys if key.kid == token.kid]
    if not token.kid:
        fitting = [key for key in keys if token.algorithm in key.algorithms]
        named = fitting if len(fitting) == 1 else []
    return next((key for key in named if verify(token, key)), None)
