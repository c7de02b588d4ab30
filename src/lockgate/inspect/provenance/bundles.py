"""Sigstore bundles, verified offline: signature, certificate at the proven time, log entry, all of them one.

Sources: Sigstore, "Bundle Format" (v0.1 to v0.3) and "Verification"; DSSE 1.0.2 (pre-authentication
encoding).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Annotated

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lockgate.core.provenance import PublicKey, TrustRoots
from lockgate.inspect.provenance import certificates, keys
from lockgate.inspect.provenance.certificates import Claims
from lockgate.inspect.provenance.errors import ExpiredProvenanceError, InvalidProvenanceError
from lockgate.inspect.provenance.logs import LogEntry, Recorded, demand_entry, recorded
from lockgate.inspect.provenance.timestamps import stamped

BUNDLE_LIMIT = 4 << 20
"""Longest bundle that is read, in bytes."""

_TYPES = (
    "application/vnd.dev.sigstore.bundle.v0.3+json",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
)
_DIGESTS = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}


class Raw(msgspec.Struct, frozen=True, rename="camel"):
    """Bytes as a bundle carries them."""

    raw_bytes: bytes


class _Chain(msgspec.Struct, frozen=True):
    certificates: Annotated[tuple[Raw, ...], msgspec.Meta(min_length=1, max_length=8)]


class _Hint(msgspec.Struct, frozen=True):
    hint: str | None = None


class _Stamp(msgspec.Struct, frozen=True, rename="camel"):
    signed_timestamp: bytes


class _Stamps(msgspec.Struct, frozen=True, rename="camel"):
    rfc3161_timestamps: Annotated[tuple[_Stamp, ...], msgspec.Meta(max_length=8)] = ()


class Material(msgspec.Struct, frozen=True, rename="camel"):
    """What a signature is verified with (``VerificationMaterial``)."""

    certificate: Raw | None = None
    x509_certificate_chain: _Chain | None = None
    public_key: _Hint | None = None
    tlog_entries: Annotated[tuple[LogEntry, ...], msgspec.Meta(max_length=4)] = ()
    timestamp_verification_data: _Stamps | None = None

    @property
    def chain(self) -> tuple[bytes, ...]:
        """Return the signer's certificate and those that came with it."""
        listed = self.x509_certificate_chain.certificates if self.x509_certificate_chain else ()
        found = (self.certificate, *listed) if self.certificate else listed
        return tuple(each.raw_bytes for each in found)

    @property
    def stamps(self) -> tuple[bytes, ...]:
        """Return the time stamps."""
        data = self.timestamp_verification_data
        return tuple(each.signed_timestamp for each in data.rfc3161_timestamps) if data else ()


class _Signature(msgspec.Struct, frozen=True):
    sig: bytes


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """A DSSE envelope with one signature."""

    payload: bytes
    payload_type: str
    signatures: Annotated[tuple[_Signature, ...], msgspec.Meta(min_length=1, max_length=1)]


class _Digest(msgspec.Struct, frozen=True):
    algorithm: str
    digest: bytes


class _Message(msgspec.Struct, frozen=True, rename="camel"):
    signature: bytes
    message_digest: _Digest | None = None


class Bundle(msgspec.Struct, frozen=True, rename="camel"):
    """A bundle; members that are not named here are passed over."""

    media_type: str
    verification_material: Material
    dsse_envelope: Envelope | None = None
    message_signature: _Message | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """What is to be proved: the signed bytes or their SHA-256, and the signature over them.

    `logged` is the digest that the log's entry names: of the payload, not of its encoding. `entry` is the
    kind of entry, and `proof` whether inclusion has to be proved.
    """

    signature: bytes
    logged: bytes
    entry: str
    data: bytes | None = None
    proof: bool = True


@dataclass(frozen=True, slots=True)
class Proved:
    """Who signed, and when: the earliest moment that something proves (None: nothing does)."""

    claims: Claims = field(default_factory=Claims)
    keyid: str = ""
    moment: datetime | None = None


def read_bundle(data: bytes) -> Bundle:
    """Return a bundle from JSON.

    Raises:
        InvalidProvenanceError: It is none of a version that is read.

    """
    if len(data) > BUNDLE_LIMIT:
        what = f"A bundle is longer than {BUNDLE_LIMIT} bytes."
        raise InvalidProvenanceError(what)
    try:
        found = msgspec.json.decode(data, type=Bundle, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidProvenanceError("A bundle cannot be read.") from error
    if found.media_type not in _TYPES:
        raise InvalidProvenanceError("A bundle is of a version that is not read.")
    return found


def pae(kind: str, payload: bytes) -> bytes:
    """Return what a DSSE signature is over."""
    raw = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(raw), raw, len(payload), payload)


def envelope_of(bundle: Bundle, kind: str) -> tuple[bytes, Signed]:
    """Return the payload of a bundle's envelope and what is to be proved of it.

    Raises:
        InvalidProvenanceError: It has none of that payload type.

    """
    envelope = bundle.dsse_envelope
    if envelope is None or bundle.message_signature is not None or envelope.payload_type != kind:
        raise InvalidProvenanceError("A bundle signs something of another type.")
    payload = envelope.payload
    data = pae(kind, payload)
    return payload, Signed(envelope.signatures[0].sig, sha256(payload).digest(), "dsse", data)


def message_of(bundle: Bundle, digest: bytes) -> Signed:
    """Return what is to be proved of a bundle over a file with a SHA-256.

    Raises:
        InvalidProvenanceError: It is over another one.

    """
    message = bundle.message_signature
    if message is None or bundle.dsse_envelope is not None:
        raise InvalidProvenanceError("A bundle signs something of another type.")
    said = message.message_digest
    if said is not None and (_DIGESTS.get(said.algorithm), said.digest) != ("sha256", digest):
        raise InvalidProvenanceError("A bundle is over another file.")
    return Signed(message.signature, digest, "hashedrekord")


def prove(material: Material, signed: Signed, roots: TrustRoots, now: datetime) -> Proved:
    """Return who signed something, and when; everything that it rests on holds.

    A certificate is judged at each moment that something proves. Where nothing proves one, a certificate of
    a site's authority and a site's key are judged now: what nobody can date may have been made after expiry.

    Args:
        material: What came with the signature.
        signed: What was signed.
        roots: What counts.
        now: The present moment.

    Raises:
        InvalidProvenanceError: Something does not hold.
        ExpiredProvenanceError: Everything holds, and a certificate or key was not valid at the time.

    """
    if not material.chain and material.public_key is None:
        raise InvalidProvenanceError("Nothing tells whose signature it is.")
    judge = _by_certificate if material.chain else _by_key
    try:
        return judge(material, signed, roots, now)
    except (ValueError, TypeError, OverflowError) as error:  # the library reads parts of a certificate late
        raise InvalidProvenanceError("A certificate or key in it is malformed.") from error


def _by_certificate(material: Material, signed: Signed, roots: TrustRoots, now: datetime) -> Proved:
    chain = [certificates.load(data) for data in material.chain]
    leaf, between = chain[0], chain[1:]
    _demand_signature(certificates.key_of(leaf), signed)
    logged = certificates.leads(leaf, between, roots.authorities)
    if not logged and not certificates.leads(leaf, between, roots.site_authorities):
        raise InvalidProvenanceError("No authority of the trust roots issued its certificate.")
    moments = _moments(material, signed, roots, leaf.public_bytes(Encoding.DER), needed=logged)
    if logged and not moments:
        raise InvalidProvenanceError("Nothing proves when it was signed.")
    authorities = roots.authorities if logged else roots.site_authorities
    late: ExpiredProvenanceError | None = None
    try:
        way = certificates.path(leaf, between, authorities, moments or [now])
    except ExpiredProvenanceError as error:
        late, way = error, certificates.path(leaf, between, authorities, ())
    if logged:
        certificates.demand_usage(leaf, certificates.CODE_SIGNING)
        if roots.certificate_logs:
            certificates.demand_logged(way, roots.certificate_logs)
    claims = certificates.claims_of(leaf)
    if late is not None:
        raise late
    return Proved(claims, moment=min(moments, default=None))


def _by_key(material: Material, signed: Signed, roots: TrustRoots, now: datetime) -> Proved:
    for known in roots.keys:
        key = keys.load(known.key)
        if _verifies(key, signed):
            raw = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            moments = _moments(material, signed, roots, raw, needed=False)
            _demand_unexpired(known, moments or [now])
            return Proved(keyid=known.name, moment=min(moments, default=None))
    raise InvalidProvenanceError("No key of the trust roots made this signature.")


def _demand_unexpired(key: PublicKey, moments: Sequence[datetime]) -> None:
    if key.expires is not None and max(moments) >= key.expires:
        when = f"{key.expires:%Y-%m-%d %H:%M:%S} UTC"
        what = f"The key {key.name} expired on {when}, and nothing shows that the signature is older."
        raise ExpiredProvenanceError(what)


def _demand_signature(key: keys.Key, signed: Signed) -> None:
    if not _verifies(key, signed):
        raise InvalidProvenanceError("Its signature does not verify.")


def _verifies(key: keys.Key, signed: Signed) -> bool:
    if signed.data is not None:
        return keys.signed(key, signed.signature, signed.data)
    return keys.signed_digest(key, signed.signature, signed.logged, "sha256")


def _moments(
    material: Material, signed: Signed, roots: TrustRoots, holder: bytes, *, needed: bool
) -> list[datetime]:
    """Return every moment that something proves, after holding log entries against the signature."""
    if needed and not material.tlog_entries:
        raise InvalidProvenanceError("Nothing proves that a log holds its signature (no log entry).")
    stamps = [stamped(stamp, signed.signature, roots.timestamp_authorities) for stamp in material.stamps]
    for entry in material.tlog_entries:
        _demand_about(entry, signed, holder)
    logged = [demand_entry(entry, roots.logs, stamps, proof=signed.proof) for entry in material.tlog_entries]
    return stamps + [moment for moment in logged if moment is not None]


def _demand_about(entry: LogEntry, signed: Signed, holder: bytes) -> None:
    said = recorded(entry)
    wanted = {(signed.entry, signed.logged)}
    if signed.data is not None:  # newer clients log the digest of the signed bytes, whatever they are
        wanted.add(("hashedrekord", sha256(signed.data).digest()))
    if (
        (said.kind, said.digest) not in wanted
        or said.signature != signed.signature
        or _holder(said) != holder
    ):
        raise InvalidProvenanceError("The log's entry is about another signature.")


def _holder(said: Recorded) -> bytes:
    """Return the certificate or key of an entry in DER."""
    if not said.verifier.startswith(b"-----"):
        return said.verifier
    if b"CERTIFICATE" in said.verifier[:40]:
        try:
            return x509.load_pem_x509_certificate(said.verifier).public_bytes(Encoding.DER)
        except certificates.UNREADABLE as error:
            raise InvalidProvenanceError("The certificate in the log's entry cannot be read.") from error
    key = keys.load_pem_key(said.verifier)
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
