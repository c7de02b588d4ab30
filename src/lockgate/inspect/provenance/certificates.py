"""Certificates of signers: the way to an authority at one moment, their logs, and what they claim.

Sources: RFC 5280, section 6 (the parts that signing authorities use; anything else that is critical is
refused); RFC 6962, section 3 (signed certificate timestamps); Fulcio, "OID information".
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.certificate_transparency import LogEntryType, SignedCertificateTimestamp
from cryptography.x509.oid import ExtendedKeyUsageOID as Usages
from cryptography.x509.oid import ExtensionOID

from lockgate.core.provenance import Authority, LogKey
from lockgate.inspect.provenance import der, keys
from lockgate.inspect.provenance.errors import ExpiredProvenanceError, InvalidProvenanceError

_CLAIMS = "1.3.6.1.4.1.57264.1."
_ISSUER, _OLD_ISSUER, _SOURCE, _OLD_SOURCE, _BUILD = "8", "1", "12", "5", "18"
_MOST_EXTENSIONS = 64
E = TypeVar("E", bound=x509.ExtensionType)
_UNDERSTOOD = frozenset({
    ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
})  # fmt: skip
"""Extensions that may be critical; path lengths and usages are checked."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a certificate says of its holder."""

    issuer: str = ""
    identity: str = ""
    repository: str = ""
    workflow: str = ""


UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion)
"""What the library raises at bytes that are no certificate; the last is no ValueError."""


def load(data: bytes) -> x509.Certificate:
    """Return a certificate in DER.

    Raises:
        InvalidProvenanceError: It is none.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what the library only frowns at does not count here
            found = x509.load_der_x509_certificate(data)
            many = len(found.extensions) > _MOST_EXTENSIONS
            _ = found.issuer, found.subject  # read when they are looked at, and not before
    except (*UNREADABLE, Warning) as error:
        raise InvalidProvenanceError("A certificate in it cannot be read.") from error
    if many:
        what = f"A certificate in it has more than {_MOST_EXTENSIONS} extensions."
        raise InvalidProvenanceError(what)
    return found


def key_of(certificate: x509.Certificate) -> keys.Key:
    """Return a certificate's key, when it is of a type that counts.

    Raises:
        InvalidProvenanceError: It is not.

    """
    try:
        return keys.usable(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidProvenanceError("A certificate's key cannot be read.") from error


def path(
    leaf: x509.Certificate,
    between: Sequence[x509.Certificate],
    authorities: Iterable[Authority],
    moments: Iterable[datetime],
) -> list[x509.Certificate]:
    """Return the way from a certificate to one of some authorities, judged at each of some moments.

    Args:
        leaf: The signer's.
        between: Certificates that came with it, its issuer's first; they are used where they lead
            to an authority.
        authorities: Those that count.
        moments: When each certificate has to be valid, and the authority trusted.

    Raises:
        InvalidProvenanceError: No authority issued it, or something on the way must not sign.
        ExpiredProvenanceError: The way is sound, and not at one of the moments.

    """
    when = tuple(moments)
    late: ExpiredProvenanceError | None = None
    for authority in authorities:
        issuers = [load(data) for data in authority.certificates]
        chain = _chain(leaf, between, issuers)
        if not chain:
            continue
        for above, certificate in enumerate(chain):
            _demand_fit(certificate, above)
        try:
            for moment in when:
                _demand_time(chain, authority, moment)
        except ExpiredProvenanceError as error:
            late = error
            continue
        return chain
    if late is not None:
        raise late
    raise InvalidProvenanceError("No authority of the trust roots issued its certificate.")


def leads(
    leaf: x509.Certificate, between: Sequence[x509.Certificate], authorities: Iterable[Authority]
) -> bool:
    """Tell whether a certificate leads to one of some authorities, whatever it may be used for."""
    return any(_chain(leaf, between, [load(data) for data in a.certificates]) for a in authorities)


def _chain(
    leaf: x509.Certificate, between: Sequence[x509.Certificate], issuers: Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """Return the certificates from the signer's to an authority's root, each issued by the next."""
    if leaf in issuers:  # an authority that lists its signer (time stamps)
        chain = [leaf, *issuers[issuers.index(leaf) + 1 :]]
        return chain if all(_issued(a, b) for a, b in pairwise(chain)) else []
    for start in range(len(issuers)):
        for used in range(len(between) + 1):
            chain = [leaf, *between[:used], *issuers[start:]]
            if all(_issued(a, b) for a, b in pairwise(chain)):
                return chain
    return []


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _demand_fit(certificate: x509.Certificate, above: int) -> None:
    """Demand that a certificate may stand at a place of the way (0: the signer's)."""
    key_of(certificate)
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise InvalidProvenanceError("A certificate in it has a critical extension that is not known.")
    basic = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    if above == 0:
        if (basic is not None and basic.ca) or (usage is not None and not usage.digital_signature):
            raise InvalidProvenanceError("Its certificate is not one of a signer.")
        return
    short = basic is not None and basic.path_length is not None and basic.path_length < above - 1
    if basic is None or not basic.ca or short or (usage is not None and not usage.key_cert_sign):
        raise InvalidProvenanceError("A certificate on its way must not issue others.")


def _demand_time(chain: Sequence[x509.Certificate], authority: Authority, moment: datetime) -> None:
    for certificate in chain:
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not start <= moment <= end:
            what = (
                f"A certificate was valid from {start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC, "
                f"and it is judged at {moment:%Y-%m-%d %H:%M:%S}."
            )
            raise ExpiredProvenanceError(what)
    demand_window(authority.start, authority.end, moment, "The authority")


def demand_window(start: datetime | None, end: datetime | None, moment: datetime, what: str) -> None:
    """Demand that a moment lies in the time for which something was trusted.

    Raises:
        ExpiredProvenanceError: It does not.

    """
    if (start is not None and moment < start) or (end is not None and moment > end):
        said = f"{what} was not trusted at {moment:%Y-%m-%d %H:%M:%S} UTC, when it is judged."
        raise ExpiredProvenanceError(said)


def demand_usage(certificate: x509.Certificate, usage: x509.ObjectIdentifier) -> None:
    """Demand that a certificate is for a purpose.

    Raises:
        InvalidProvenanceError: It is not.

    """
    found = _extension(certificate, x509.ExtendedKeyUsage)
    if found is None or usage not in found:
        raise InvalidProvenanceError("Its certificate is for another purpose.")


CODE_SIGNING, TIME_STAMPING = Usages.CODE_SIGNING, Usages.TIME_STAMPING
DER = Encoding.DER


def demand_logged(chain: Sequence[x509.Certificate], logs: Sequence[LogKey]) -> None:
    """Demand that a log of certificates promised to hold a certificate (RFC 6962, section 3.2).

    Raises:
        InvalidProvenanceError: None of those that count did.

    """
    found = _extension(chain[0], x509.PrecertificateSignedCertificateTimestamps)
    promises = list(found)[:8] if found is not None else []
    if not any(_promised(chain, promise, logs) for promise in promises):
        raise InvalidProvenanceError("No log of certificates in the trust roots holds its certificate.")


def _promised(
    chain: Sequence[x509.Certificate], promise: SignedCertificateTimestamp, logs: Sequence[LogKey]
) -> bool:
    if promise.entry_type is not LogEntryType.PRE_CERTIFICATE:
        return False
    issuer = chain[1].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    body = chain[0].tbs_precertificate_bytes
    data = (
        b"\x00\x00"
        + _milliseconds(promise.timestamp).to_bytes(8, "big")
        + b"\x00\x01"
        + sha256(issuer).digest()
    )
    data += len(body).to_bytes(3, "big") + body
    data += len(promise.extension_bytes).to_bytes(2, "big") + promise.extension_bytes
    return any(
        keys.signed(keys.load(log.key), promise.signature, data, "sha256")
        for log in logs
        if log.keyid == promise.log_id
    )


def _milliseconds(moment: datetime) -> int:
    """Return the milliseconds since 1970 of a moment that has no zone and is in UTC."""
    gone = moment.replace(tzinfo=None) - datetime(1970, 1, 1)  # noqa: DTZ001  # the library gives none
    return gone.days * 86_400_000 + gone.seconds * 1000 + gone.microseconds // 1000


def claims_of(certificate: x509.Certificate) -> Claims:
    """Return what a certificate says of its holder; what it leaves out is empty.

    Raises:
        InvalidProvenanceError: A claim cannot be read.

    """
    said = {
        extension.oid.dotted_string.removeprefix(_CLAIMS): extension.value.value
        for extension in certificate.extensions
        if extension.oid.dotted_string.startswith(_CLAIMS)
        and isinstance(extension.value, x509.UnrecognizedExtension)
    }
    new = {
        name: der.parse(value).need(der.UTF8).body
        for name, value in said.items()
        if int(name) >= int(_ISSUER)
    }
    issuer = new.get(_ISSUER, said.get(_OLD_ISSUER, b""))
    source = new.get(_SOURCE, said.get(_OLD_SOURCE, b""))
    return Claims(_line(issuer), _identity(certificate), _line(source), _line(new.get(_BUILD, b"")))


def _identity(certificate: x509.Certificate) -> str:
    """Return the one name of a signer: an address of a workflow or of mail, else the subject."""
    names = _extension(certificate, x509.SubjectAlternativeName)
    found: list[str] = []
    for kind in (x509.UniformResourceIdentifier, x509.RFC822Name):
        found += names.get_values_for_type(kind) if names is not None else []
    if len(found) > 1:
        raise InvalidProvenanceError("Its certificate names more than one identity.")
    return _line((found[0] if found else certificate.subject.rfc4514_string()).encode())


def _line(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "�" for char in text)[:300]


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
