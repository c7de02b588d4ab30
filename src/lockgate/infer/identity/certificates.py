"""Client certificates of the site's own authority: whom they stand for, judged at each request.

TLS has checked the chain and that the client holds the key when the connection began. A connection can
outlast a certificate, and a resumed session is not checked again; so its end and the authority's list of
revoked ones (RFC 5280, section 5) are looked at here each time.
"""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lockgate.core.ports import Clock
from lockgate.infer.errors import BadCredentialsError, IdentitySourceError
from lockgate.infer.identity.ports import Credentials, Found, Identities, Source

CRL_LIMIT = 16 << 20
"""Longest list of revoked certificates that is read, in bytes."""

SEEN_LIMIT = 4096
"""Most certificates that are remembered."""


def subject_of(certificate: x509.Certificate) -> str:
    """Return the name that a certificate stands for, marked so that no two kinds of names can meet.

    A mail address (``email:``) or an address of a workload (``uri:``, as SPIFFE IDs are) counts where the
    certificate has exactly one; a host's certificate stands for ``host:`` and its common name; any other for
    its common name alone, as `lockgate ca client` writes it.

    Raises:
        BadCredentialsError: It names nobody, or several.

    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = None
    except ValueError as error:
        what = "The certificate's names cannot be read."
        raise BadCredentialsError(what) from error
    for mark, kind in (("email", x509.RFC822Name), ("uri", x509.UniformResourceIdentifier)):
        found = names.get_values_for_type(kind) if names else []
        if len(found) == 1:
            return f"{mark}:{found[0]}"
        if found:
            what = f"The certificate has {len(found)} names of the kind {mark}."
            raise BadCredentialsError(what)
    common = [each.value for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    name = common[0] if len(common) == 1 and isinstance(common[0], str) else ""
    if not name or not name.isprintable() or ":" in name:
        what = "The certificate has no single common name without a colon."
        raise BadCredentialsError(what)
    return f"host:{name}" if names else name


class Revoked:
    """An authority's list of revoked certificates; a new list is read as soon as it lies there."""

    def __init__(self, path: Path, authorities: Sequence[x509.Certificate]) -> None:
        """Name the file."""
        self._path = path
        self._authorities = authorities
        self._seen: tuple[int, int, int] | None = None
        self._list: x509.CertificateRevocationList | None = None

    def demand_not(self, certificate: x509.Certificate, now: datetime) -> None:
        """Refuse a revoked certificate.

        Raises:
            BadCredentialsError: It is on the list.
            IdentitySourceError: The list is missing, too old, or not its authority's: nobody is let in by it.

        """
        found = self._current()
        if found.issuer != certificate.issuer:
            what = "The list of revoked certificates is another authority's."
            raise IdentitySourceError(what)
        if found.next_update_utc is None or found.next_update_utc <= now:
            what = "The list of revoked certificates has ended."
            raise IdentitySourceError(what, advice="Make a new one with `lockgate ca` and put it in place.")
        if found.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
            what = "The certificate was revoked."
            raise BadCredentialsError(what)

    def _current(self) -> x509.CertificateRevocationList:
        try:
            state = self._path.stat()
            seen = (state.st_ino, state.st_mtime_ns, state.st_size)
            if self._list is None or seen != self._seen:
                self._list = self._read(state.st_size)
                self._seen = seen
        except (OSError, ValueError) as error:
            what = "The list of revoked certificates cannot be read."
            raise IdentitySourceError(what) from error
        return self._list

    def _read(self, size: int) -> x509.CertificateRevocationList:
        if size > CRL_LIMIT:
            what = f"The list of revoked certificates has more than {CRL_LIMIT} bytes."
            raise IdentitySourceError(what, limit="crl_bytes")
        found = x509.load_pem_x509_crl(self._path.read_bytes())
        for authority in self._authorities:
            key = authority.public_key()
            if authority.subject == found.issuer and found.is_signature_valid(key):  # type: ignore[arg-type]
                return found
        what = "The list of revoked certificates is not signed by its authority."
        raise IdentitySourceError(what)


class ClientCertificates(Identities):
    """Tells whom the certificate of a connection stands for."""

    def __init__(self, authority: bytes, clock: Clock, revoked: Path | None = None) -> None:
        """Read the authority.

        Args:
            authority: Certificates (PEM) of those who may vouch for clients.
            clock: The present moment.
            revoked: File with the list of revoked certificates (PEM).

        Raises:
            ValueError: The authority cannot be read.

        """
        self._authorities = x509.load_pem_x509_certificates(authority)
        self._clock = clock
        self._revoked = Revoked(revoked, self._authorities) if revoked else None
        self._seen: OrderedDict[bytes, tuple[x509.Certificate, str]] = OrderedDict()

    async def find(self, credentials: Credentials) -> Found | None:
        """Return whom a certificate stands for; nothing where the request proves itself in another way."""
        if credentials.certificate is None or credentials.authorization is not None:
            return None
        return self.holder(credentials.certificate)

    def holder(self, shown: bytes) -> Found:
        """Return whom a connection's certificate (DER) stands for.

        Raises:
            BadCredentialsError: It is none of the site's authority, has ended, or was revoked.

        """
        certificate, subject = self._read(shown)
        now = self._clock()
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            what = "The certificate has ended, or does not count yet."
            raise BadCredentialsError(what)
        if self._revoked is not None:
            self._revoked.demand_not(certificate, now)
        return Found(Source.CERTIFICATE, subject, subject)

    def _read(self, data: bytes) -> tuple[x509.Certificate, str]:
        """Return a certificate and its subject, its authority's signature checked once."""
        found = self._seen.get(data)
        if found is None:
            try:
                certificate = x509.load_der_x509_certificate(data)
            except (ValueError, x509.InvalidVersion) as error:
                what = "The certificate cannot be read."
                raise BadCredentialsError(what) from error
            self._demand_ours(certificate)
            found = self._seen[data] = (certificate, subject_of(certificate))
            while len(self._seen) > SEEN_LIMIT:
                self._seen.popitem(last=False)
        return found

    def _demand_ours(self, certificate: x509.Certificate) -> None:
        for authority in self._authorities:
            try:
                certificate.verify_directly_issued_by(authority)
                uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
                continue
            if ExtendedKeyUsageOID.CLIENT_AUTH in uses:
                return
        what = "The certificate is none for clients of the site's own authority."
        raise BadCredentialsError(what)
