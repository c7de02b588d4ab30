"""Time stamps of an authority over a signature: when it was there, proved by somebody else's clock.

Sources: RFC 3161 (TimeStampResp, TSTInfo), RFC 5652 (SignedData), RFC 5035 (signing certificate).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

from cryptography import x509

from lockgate.core.provenance import Authority
from lockgate.inspect.provenance import certificates, der, keys
from lockgate.inspect.provenance.der import EXPLICIT_0, OCTETS, SEQUENCE, SET, Node, at
from lockgate.inspect.provenance.errors import InvalidProvenanceError

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_SIGNER_V1, _SIGNER_V2 = "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"
_DIGESTS = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_SIGNATURES = {
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "1.2.840.113549.1.1.1": "",
    "1.3.101.112": "",
}
"""Signature algorithms → their digest; empty: the signer's digest algorithm."""

_GRANTED = frozenset({0, 1})
MOST_BYTES = 64 * 1024
"""Longest time stamp that is read, in bytes."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """The parts of a token: what is stamped, who signed, and with which certificates."""

    info: bytes
    signer: list[Node]
    certificates: tuple[bytes, ...]


def stamped(response: bytes, signature: bytes, authorities: Sequence[Authority]) -> datetime:
    """Return when an authority saw a signature.

    Args:
        response: A time-stamp response in DER.
        signature: The bytes that were stamped.
        authorities: Those that count.

    Raises:
        InvalidProvenanceError: It is no such stamp, or no authority's that counts.
        ExpiredProvenanceError: The authority's certificate was not valid when it stamped.

    """
    if len(response) > MOST_BYTES:
        what = f"A time stamp in it is longer than {MOST_BYTES} bytes."
        raise InvalidProvenanceError(what)
    token = _token(der.parse(response).need(SEQUENCE).children())
    info = der.parse(token.info).need(SEQUENCE).children()
    imprint = at(info, 2).need(SEQUENCE).children()
    name = _digest_name(at(imprint, 0))
    if not compare_digest(hashlib.new(name, signature).digest(), at(imprint, 1).need(OCTETS).body):
        raise InvalidProvenanceError("A time stamp in it is over something else.")
    moment = at(info, 4).moment
    _demand_signed(token, authorities, moment)
    return moment


def _token(response: list[Node]) -> _Signed:
    status = at(at(response, 0).need(SEQUENCE).children(), 0).number
    if status not in _GRANTED:
        raise InvalidProvenanceError("A time stamp in it was refused by its authority.")
    content = at(response, 1).need(SEQUENCE).children()
    if at(content, 0).oid != _SIGNED_DATA:
        raise InvalidProvenanceError("A time stamp in it is not signed data.")
    parts = der.parse(at(content, 1).need(EXPLICIT_0).body).need(SEQUENCE).children()
    inner = at(parts, 2).need(SEQUENCE).children()
    if at(inner, 0).oid != _TST_INFO:
        raise InvalidProvenanceError("A time stamp in it stamps nothing.")
    info = der.parse(at(inner, 1).need(EXPLICIT_0).body).need(OCTETS).body
    brought = next((part for part in parts[3:] if part.tag == EXPLICIT_0), None)
    signers = parts[-1].need(SET).children()
    if len(signers) != 1:
        raise InvalidProvenanceError("A time stamp in it is not signed by one authority.")
    found = tuple(node.raw for node in brought.children()[:8]) if brought else ()
    return _Signed(info, signers[0].need(SEQUENCE).children(), found)


def _demand_signed(token: _Signed, authorities: Sequence[Authority], moment: datetime) -> None:
    """Demand that an authority signed a token with a certificate that was valid at its own time."""
    attributes = at(token.signer, 3).need(EXPLICIT_0)
    digest = _digest_name(at(token.signer, 2).need(SEQUENCE))
    said = _attributes(attributes)
    same = compare_digest(hashlib.new(digest, token.info).digest(), said[_MESSAGE_DIGEST].need(OCTETS).body)
    if said[_CONTENT_TYPE].oid != _TST_INFO or not same:
        raise InvalidProvenanceError("A time stamp in it is not what its authority signed.")
    leaf = _signer(token, authorities)
    _demand_named(leaf, said)
    algorithm = at(at(token.signer, 4).need(SEQUENCE).children(), 0).oid
    if algorithm not in _SIGNATURES:
        raise InvalidProvenanceError("A time stamp in it is signed in a way that does not count.")
    signature = at(token.signer, 5).need(OCTETS).body
    # RFC 5652, 5.4: what is signed is the set itself, not the implicit tag that it travels under.
    body = bytes([SET]) + attributes.raw[1:]
    if not keys.signed(certificates.key_of(leaf), signature, body, _SIGNATURES[algorithm] or digest):
        raise InvalidProvenanceError("The signature of a time stamp in it does not verify.")
    certificates.demand_usage(leaf, certificates.TIME_STAMPING)
    between = [certificates.load(data) for data in token.certificates]
    certificates.path(leaf, [c for c in between if c != leaf], authorities, (moment,))


def _attributes(node: Node) -> dict[str, Node]:
    """Return signed attributes by type, each with its one value; none may stand twice."""
    found: dict[str, Node] = {}
    for attribute in node.children():
        parts = attribute.need(SEQUENCE).children()
        values = at(parts, 1).need(SET).children()
        name = at(parts, 0).oid
        if name in found or len(values) != 1:
            raise InvalidProvenanceError("A time stamp in it says something twice.")
        found[name] = values[0]
    if not {_CONTENT_TYPE, _MESSAGE_DIGEST} <= found.keys() or not {_SIGNER_V1, _SIGNER_V2} & found.keys():
        raise InvalidProvenanceError("A time stamp in it does not say what it signs, or who signs.")
    return found


def _signer(token: _Signed, authorities: Sequence[Authority]) -> x509.Certificate:
    """Return the certificate that a token names by issuer and serial number."""
    name = at(token.signer, 1).need(SEQUENCE).children()
    issuer, serial = at(name, 0).raw, at(name, 1).number
    known = [data for authority in authorities for data in authority.certificates]
    for data in (*token.certificates, *known):
        certificate = certificates.load(data)
        if (certificate.serial_number, certificate.issuer.public_bytes()) == (serial, issuer):
            return certificate
    raise InvalidProvenanceError("The certificate of a time stamp's authority is not there.")


def _demand_named(leaf: x509.Certificate, said: dict[str, Node]) -> None:
    """Demand that the signed attributes name the signer's certificate by its digest (RFC 5035)."""
    raw = leaf.public_bytes(certificates.DER)
    attribute = said.get(_SIGNER_V2) or said[_SIGNER_V1]
    first = (
        at(at(attribute.need(SEQUENCE).children(), 0).need(SEQUENCE).children(), 0).need(SEQUENCE).children()
    )
    if _SIGNER_V2 in said:
        name = _digest_name(first[0]) if first and first[0].tag == SEQUENCE else "sha256"
        wanted = hashlib.new(name, raw).digest()
    else:
        wanted = hashlib.sha1(raw, usedforsecurity=False).digest()
    digest = next((node.body for node in first[:2] if node.tag == OCTETS), b"")
    if not compare_digest(digest, wanted):
        raise InvalidProvenanceError("A time stamp in it names another certificate than its signer's.")


def _digest_name(algorithm: Node) -> str:
    name = _DIGESTS.get(at(algorithm.need(SEQUENCE).children(), 0).oid)
    if name is None:
        raise InvalidProvenanceError("A time stamp in it uses a digest that does not count.")
    return name
