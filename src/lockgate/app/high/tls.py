"""TLS of the services: their certificate, whom they ask for one, and how this side asks them itself."""

import os
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lockgate.app.settings import Side
from lockgate.core.errors import InputError


class TlsFilesError(InputError):
    """The services' certificate, its key or its authority cannot be used."""

    code = "LG-1f2a"
    advice = "`lockgate ca issue` makes them; `[serve] tls_cert`, `tls_key` and `tls_ca` name the files."


LABELS = "labels"
"""The setting of `[serve] mirror_access` by which readers are told apart."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of the services' TLS.

    Attributes:
        cert: The certificate, with its chain.
        key: Its key, not encrypted.
        authority: The authority that this side's own processes trust when they ask one another.
        clients: The authority that clients need a certificate of; none: anybody may connect.
        revoked: That authority's list of revoked certificates.

    """

    cert: Path
    key: Path
    authority: Path
    clients: Path | None = None
    revoked: Path | None = None

    def server(self, *, optional: bool = False) -> ssl.SSLContext:
        """Return what a server speaks TLS with.

        Args:
            optional: Whether clients without a certificate are let in too; one that is shown has to hold.

        Raises:
            TlsFilesError: A file cannot be used.

        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.cert, self.key)
            if self.clients:
                context.load_verify_locations(self.clients)
                context.verify_mode = ssl.CERT_OPTIONAL if optional else ssl.CERT_REQUIRED
            if self.revoked:
                context.load_verify_locations(self.revoked)
                context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        except (OSError, ssl.SSLError) as error:
            what = f"TLS cannot be spoken with {self.cert} and {self.key}: {error}."
            raise TlsFilesError(what) from error
        return context

    def client(self) -> ssl.SSLContext:
        """Return what this side's own processes ask the services with: the services' own certificate."""
        try:
            context = ssl.create_default_context(cafile=str(self.authority))
            context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            what = f"{self.authority} or {self.cert} cannot be used: {error}."
            raise TlsFilesError(what) from error
        return context


@dataclass(frozen=True, slots=True)
class LenientTls:
    """TLS that lets clients without a certificate in too, who prove themselves by a key or read little."""

    tls: Tls

    def server(self) -> ssl.SSLContext:
        """Return what a server speaks TLS with; a certificate that is shown has to hold."""
        return self.tls.server(optional=True)


def mirror_tls(side: Side, now: datetime) -> Tls | LenientTls | None:
    """Return the TLS of the mirrors: certificates are optional only where others are told apart by keys.

    Raises:
        TlsFilesError: As `tls_of`.

    """
    found = tls_of(side, now)
    serve = side.settings.serve
    if found and serve.tls_client_optional and serve.mirror_access == LABELS:
        return LenientTls(found)
    return found


def tls_of(side: Side, now: datetime) -> Tls | None:
    """Return the TLS of a side's services, or `None` where they speak plain HTTP.

    Raises:
        TlsFilesError: One of certificate and key is missing, does not fit, or has ended.

    """
    serve = side.settings.serve
    if not (serve.tls_cert or serve.tls_key or serve.tls_client_ca):
        return None
    if not (serve.tls_cert and serve.tls_key and serve.tls_ca):
        what = "`[serve]` needs tls_cert, tls_key and tls_ca together."
        raise TlsFilesError(what)
    root = side.home.root
    if serve.tls_client_crl and not serve.tls_client_ca:
        what = "`[serve] tls_client_crl` is a list of tls_client_ca, which is not set."
        raise TlsFilesError(what)
    clients = root / serve.tls_client_ca if serve.tls_client_ca else None
    revoked = root / serve.tls_client_crl if serve.tls_client_crl else None
    found = Tls(root / serve.tls_cert, root / serve.tls_key, root / serve.tls_ca, clients, revoked)
    _check(found, now)
    return found


def scheme(side: Side) -> str:
    """Return ``https`` where the services speak TLS, else ``http``."""
    return "https" if side.settings.serve.tls_cert else "http"


def _check(tls: Tls, now: datetime) -> None:
    """Say early, and in one sentence, what a server would say late."""
    for file in (tls.cert, tls.key, tls.authority, tls.clients, tls.revoked):
        if file and not file.is_file():
            what = f"There is no file {file}."
            raise TlsFilesError(what)
    try:
        certificate = x509.load_pem_x509_certificate(tls.cert.read_bytes())
        private = serialization.load_pem_private_key(tls.key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        what = f"{tls.cert} or {tls.key} cannot be read as PEM without a passphrase."
        raise TlsFilesError(what) from error
    if private.public_key() != certificate.public_key():
        what = f"{tls.key} is not the key of {tls.cert}."
        raise TlsFilesError(what)
    if certificate.not_valid_after_utc <= now:
        what = f"The certificate {tls.cert} ended on {certificate.not_valid_after_utc:%Y-%m-%d}."
        raise TlsFilesError(what)
    if tls.key.stat().st_mode & 0o077:
        what = f"{tls.key} can be read by others than its owner."
        raise TlsFilesError(what, advice="Take the others' rights away: chmod 600.")


def pip_options(side: Side, tls: Tls | None) -> list[str]:
    """Return pip's options for asking the services: whom it trusts, and how it proves who asks."""
    if tls is None:
        return []
    both = side.home.run / "tls-client.pem"
    both.parent.mkdir(parents=True, exist_ok=True)
    both.unlink(missing_ok=True)
    handle = os.open(both, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(tls.key.read_bytes() + tls.cert.read_bytes())
    return ["--cert", str(tls.authority), "--client-cert", str(both)]
