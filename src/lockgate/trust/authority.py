"""The internal certificate authority: names of the closed network that servers and people prove over TLS.

It vouches for who speaks, never for what is served: what is admitted is signed by approvers alone, and a
stolen authority key admits nothing. Certificates follow RFC 5280; the authority is limited to the network's
own names by critical name constraints (section 4.2.1.10), so that nobody can use it against any other.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lockgate.trust.errors import CertificateNameError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

AUTHORITY_YEARS = 10
"""How long an authority lasts, in years."""

DAYS_LIMIT = 397
"""Longest validity of a certificate in days; clients refuse longer ones."""

CRL_DAYS = 90
"""How long a list of revoked certificates counts, in days."""

SKEW = timedelta(minutes=5)
"""By how much clocks of clients may be behind."""

LOCAL_NAMES = ("localhost",)
LOCAL_NETWORKS = ("127.0.0.0/8", "::1/128")
"""What every authority may name besides, since services are asked on their own host too."""

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_NAME_LIMIT = 253  # RFC 1035, section 2.3.4, without the final dot
_HOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}")  # RFC 5280, ub-common-name


class Use(StrEnum):
    """What a certificate is for."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Names:
    """Names and addresses of one host."""

    dns: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()

    @classmethod
    def of(cls, words: Iterable[str]) -> Self:
        """Read host names and IP addresses.

        Raises:
            CertificateNameError: One is neither.

        """
        dns: list[str] = []
        addresses: list[Address] = []
        for word in words:
            try:
                addresses.append(ipaddress.ip_address(word))
            except ValueError:
                star = "*." if word.startswith("*.") else ""
                dns.append(star + _host(word.removeprefix("*.")))
        return cls(tuple(dns), tuple(addresses))

    def __str__(self) -> str:
        """Return them with commas between."""
        return ", ".join([*self.dns, *map(str, self.addresses)])


@dataclass(frozen=True, slots=True)
class Bounds:
    """The names that an authority may vouch for: domains with all below them, and networks."""

    domains: tuple[str, ...]
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, domains: Iterable[str], networks: Iterable[str] = ()) -> Self:
        """Read domains and networks; this host's own names are always added.

        Raises:
            CertificateNameError: One is malformed.

        """
        known = [_host(domain.removeprefix(".")) for domain in domains]
        found: list[Network] = []
        for text in (*networks, *LOCAL_NETWORKS):
            try:
                found.append(ipaddress.ip_network(text))
            except ValueError as error:
                what = f"{text[:60]!r} is no network such as 192.0.2.0/24."
                raise CertificateNameError(what) from error
        return cls(tuple(dict.fromkeys([*known, *LOCAL_NAMES])), tuple(dict.fromkeys(found)))

    def demand(self, names: Names) -> None:
        """Refuse names outside.

        Raises:
            CertificateNameError: One is outside; it is named.

        """
        for name in names.dns:
            plain = name.removeprefix("*.")
            if not any(plain == domain or plain.endswith(f".{domain}") for domain in self.domains):
                what = (
                    f"The authority may not vouch for {name!r}: it is limited to {', '.join(self.domains)}."
                )
                raise CertificateNameError(what)
        for address in names.addresses:
            if not any(address in network for network in self.networks):
                what = f"The authority may not vouch for {address}: it is in none of its networks."
                raise CertificateNameError(what)

    def extension(self) -> x509.NameConstraints:
        """Return the critical extension that clients enforce."""
        permitted: list[x509.GeneralName] = [x509.DNSName(domain) for domain in self.domains]
        permitted += [x509.IPAddress(network) for network in self.networks]
        return x509.NameConstraints(permitted, None)

    @classmethod
    def in_certificate(cls, certificate: x509.Certificate) -> Self:
        """Return the bounds that stand in an authority's certificate."""
        found = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        permitted = found.permitted_subtrees or []
        domains = tuple(each.value for each in permitted if isinstance(each, x509.DNSName))
        networks = tuple(
            each.value
            for each in permitted
            if isinstance(each, x509.IPAddress)
            and isinstance(each.value, ipaddress.IPv4Network | ipaddress.IPv6Network)
        )
        return cls(domains, networks)


def _host(name: str) -> str:
    plain = name.lower().rstrip(".")
    if len(plain) > _NAME_LIMIT or not all(_LABEL.fullmatch(label) for label in plain.split(".")):
        what = f"{name[:80]!r} is no host name."
        raise CertificateNameError(what)
    return plain


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority with its key in memory."""

    certificate: x509.Certificate
    private: ec.EllipticCurvePrivateKey

    @property
    def bounds(self) -> Bounds:
        """Return what it may vouch for."""
        return Bounds.in_certificate(self.certificate)

    @classmethod
    def make(cls, name: str, bounds: Bounds, now: datetime) -> Self:
        """Make a new authority that may issue end certificates only (path length 0).

        Args:
            name: Its common name, shown by clients.
            bounds: What it may vouch for.
            now: The present moment.

        Raises:
            CertificateNameError: The name has characters that it may not have.

        """
        private = new_key()
        subject = _subject(name)
        key = private.public_key()
        usage = _usage(certificates=True)
        certificate = (
            x509.CertificateBuilder(subject, subject, key, x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(now + timedelta(days=365 * AUTHORITY_YEARS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(bounds.extension(), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .sign(private, hashes.SHA256())
        )
        return cls(certificate, private)

    def issue(
        self, holder: str, key: ec.EllipticCurvePublicKey, now: datetime, *, names: Names, use: Use, days: int
    ) -> x509.Certificate:
        """Issue a certificate.

        Args:
            holder: Common name: of a service, or the person or key that a client certificate stands for.
            key: The holder's public key.
            now: The present moment.
            names: Host names and addresses; none for a client.
            use: What it is for. A server's certificate serves as a client's too: services ask one another.
            days: Validity in days, at most `DAYS_LIMIT` and never beyond the authority's own end.

        Raises:
            CertificateNameError: A name outside the bounds, no name for a server, or a bad holder.

        """
        self.bounds.demand(names)
        if use is Use.SERVER and not (names.dns or names.addresses):
            raise CertificateNameError("A server's certificate needs at least one name or address.")
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if use is Use.SERVER:
            purposes.insert(0, ExtendedKeyUsageOID.SERVER_AUTH)
        end = min(now + timedelta(days=min(days, DAYS_LIMIT)), self.certificate.not_valid_after_utc)
        builder = (
            x509.CertificateBuilder(
                self.certificate.subject, _subject(holder), key, x509.random_serial_number()
            )
            .not_valid_before(now - SKEW)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.private.public_key()), critical=False
            )
        )
        general: list[x509.GeneralName] = [x509.DNSName(name) for name in names.dns]
        general += [x509.IPAddress(address) for address in names.addresses]
        if general:
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        return builder.sign(self.private, hashes.SHA256())

    def revoked(self, serials: Mapping[int, datetime], number: int, now: datetime) -> bytes:
        """Return the signed list of revoked certificates as PEM (RFC 5280, section 5).

        Args:
            serials: Serial numbers and when each was revoked.
            number: The list's own number, one above the last.
            now: The present moment.

        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now)
            .next_update(now + timedelta(days=CRL_DAYS))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.private.public_key()), critical=False
            )
        )
        for serial, at in sorted(serials.items()):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a fresh P-256 key for a certificate."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(private: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a service's key as PKCS #8 PEM, not encrypted: its service reads it at each start."""
    form = serialization.PrivateFormat.PKCS8
    return private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def chain_pem(certificates: Sequence[x509.Certificate]) -> bytes:
    """Return certificates as PEM, one after another."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def _subject(name: str) -> x509.Name:
    if not _HOLDER.fullmatch(name):
        what = f"{name[:80]!r} is no name for a certificate: 1 to 64 letters, digits, spaces, or one of ._@-."
        raise CertificateNameError(what)
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
