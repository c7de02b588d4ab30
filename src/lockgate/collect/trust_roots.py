"""Trust roots put together on the low side: Sigstore's trusted root, npm's keys, the site's own.

Sources: Sigstore, "trusted root" (``TrustedRoot`` in JSON, media type version 0.1); npm's registry keys
(``/-/npm/v1/keys``). Both are read here, once, and cross in one canonical form.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from lockgate.collect.errors import TrustRootsError
from lockgate.core.errors import LockgateError
from lockgate.core.provenance import (
    ROOTS_FORMAT,
    Authority,
    LogKey,
    PublicKey,
    TrustRoots,
    read_roots,
)
from lockgate.core.wire import Moment, encode, whole_second

SOURCE_LIMIT = 1 << 20
"""Longest file that trust roots are read from, in bytes."""

T = TypeVar("T")
ROOTS_NAME = "trust-roots"
"""The name of the artifact by which trust roots cross."""


class _Window(msgspec.Struct, frozen=True):
    start: Moment | None = None
    end: Moment | None = None


class _Key(msgspec.Struct, frozen=True, rename="camel"):
    raw_bytes: bytes
    valid_for: _Window = msgspec.field(default_factory=_Window)


class _Id(msgspec.Struct, frozen=True, rename="camel"):
    key_id: bytes


class _Log(msgspec.Struct, frozen=True, rename="camel"):
    base_url: str
    public_key: _Key
    log_id: _Id


class _Raw(msgspec.Struct, frozen=True, rename="camel"):
    raw_bytes: bytes


class _Chain(msgspec.Struct, frozen=True):
    certificates: Annotated[tuple[_Raw, ...], msgspec.Meta(min_length=1, max_length=8)]


class _Authority(msgspec.Struct, frozen=True, rename="camel"):
    cert_chain: _Chain
    uri: str = ""
    valid_for: _Window = msgspec.field(default_factory=_Window)


class _TrustedRoot(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str
    tlogs: tuple[_Log, ...] = ()
    certificate_authorities: tuple[_Authority, ...] = ()
    ctlogs: tuple[_Log, ...] = ()
    timestamp_authorities: tuple[_Authority, ...] = ()


class _NpmKey(msgspec.Struct, frozen=True):
    keyid: str
    key: bytes
    expires: Moment | None = None


class _NpmKeys(msgspec.Struct, frozen=True):
    keys: tuple[_NpmKey, ...]


@dataclass(slots=True)
class Sources:
    """What trust roots are made of, as file contents.

    `keys` and `authorities` are the site's own, in PEM, by the names that rules will use.
    """

    sigstore: list[bytes] = field(default_factory=list)
    npm: list[bytes] = field(default_factory=list)
    keys: Mapping[str, bytes] = field(default_factory=dict)
    authorities: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """The document, and what was left out of it because nothing here could verify with it."""

    roots: TrustRoots
    left_out: tuple[str, ...]

    @property
    def data(self) -> bytes:
        """Return the bytes that cross."""
        return encode(self.roots)


def make_roots(sources: Sources, version: int, now: datetime, days: int) -> Made:
    """Return trust roots from their sources.

    Args:
        sources: File contents.
        version: The version; each one put in force is one more than the one before.
        now: The present moment.
        days: How long they may be judged by.

    Raises:
        TrustRootsError: A file is not what it should be, or nothing was given.

    """
    left_out: list[str] = []
    parts: dict[str, list[Any]] = {name: [] for name in _PARTS}
    for data in sources.sigstore:
        _take_sigstore(parts, data, left_out)
    for data in sources.npm:
        found = _decode(data, _NpmKeys, "npm's keys")
        parts["npm_keys"] += [PublicKey(name=k.keyid, key=_der(k.key), expires=k.expires) for k in found.keys]
    parts["keys"] += [PublicKey(name=name, key=_pem_key(pem)) for name, pem in sources.keys.items()]
    parts["site_authorities"] += [
        Authority(name=name, certificates=_pem_chain(pem)) for name, pem in sources.authorities.items()
    ]
    if not any(parts.values()):
        raise TrustRootsError("No source of trust roots was given.")
    made = whole_second(now)
    try:
        roots = msgspec.convert(
            {
                "format": ROOTS_FORMAT,
                "version": version,
                "made": made,
                "expires": made + timedelta(days=days),
                **{name: tuple(values) for name, values in parts.items()},
            },
            TrustRoots,
            from_attributes=True,
        )
    except msgspec.ValidationError as error:
        what = f"The trust roots cannot be made: {error}."
        raise TrustRootsError(what) from error
    try:
        read_roots(encode(roots))  # what nobody could read must not cross
    except LockgateError as error:
        what = f"The trust roots cannot be made: {error.what}"
        raise TrustRootsError(what) from error
    return Made(roots, tuple(left_out))


_PARTS = (
    "logs", "certificate_logs", "authorities", "timestamp_authorities", "site_authorities", "npm_keys",
    "keys",
)  # fmt: skip


def _take_sigstore(parts: dict[str, list[Any]], data: bytes, left_out: list[str]) -> None:
    root = _decode(data, _TrustedRoot, "Sigstore's trusted root")
    if not root.media_type.startswith("application/vnd.dev.sigstore.trustedroot"):
        raise TrustRootsError("The file is no trusted root of Sigstore.")
    for name, logs in (("logs", root.tlogs), ("certificate_logs", root.ctlogs)):
        for log in logs:
            window = log.public_key.valid_for
            try:
                key = _der(log.public_key.raw_bytes)
            except TrustRootsError:
                left_out.append(f"the log {_host(log.base_url)}: its key has a form that is not read")
                continue
            entry = LogKey(
                name=_host(log.base_url), keyid=log.log_id.key_id, key=key, start=window.start, end=window.end
            )
            parts[name].append(entry)
    for name, authorities in (
        ("authorities", root.certificate_authorities),
        ("timestamp_authorities", root.timestamp_authorities),
    ):
        for each in authorities:
            certificates = tuple(_certificate(c.raw_bytes) for c in each.cert_chain.certificates)
            window = each.valid_for
            parts[name].append(
                Authority(name=_host(each.uri), certificates=certificates, start=window.start, end=window.end)
            )


def _decode(data: bytes, kind: type[T], what: str) -> T:
    if len(data) > SOURCE_LIMIT:
        said = f"The file with {what} is longer than {SOURCE_LIMIT} bytes."
        raise TrustRootsError(said)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        said = f"The file with {what} cannot be read: {error}."
        raise TrustRootsError(said) from error


def _host(address: str) -> str:
    return "".join(c for c in address.partition("://")[2].rstrip("/") or address if c.isprintable())[:200]


def _der(data: bytes) -> bytes:
    """Return a public key in DER, re-encoded, so that it has one form."""
    try:
        return load_der_public_key(data).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TrustRootsError("A public key cannot be read.") from error


def _pem_key(pem: bytes) -> bytes:
    try:
        return load_pem_public_key(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TrustRootsError("A public key in PEM cannot be read.") from error


def _certificate(der: bytes) -> bytes:
    try:
        return x509.load_der_x509_certificate(der).public_bytes(Encoding.DER)
    except (ValueError, x509.InvalidVersion) as error:
        raise TrustRootsError("A certificate cannot be read.") from error


def _pem_chain(pem: bytes) -> tuple[bytes, ...]:
    try:
        found: Iterable[x509.Certificate] = x509.load_pem_x509_certificates(pem)
        return tuple(each.public_bytes(Encoding.DER) for each in found)
    except (ValueError, x509.InvalidVersion) as error:
        raise TrustRootsError("A certificate in PEM cannot be read.") from error
