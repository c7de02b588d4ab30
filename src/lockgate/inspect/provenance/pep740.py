"""PEP 740: what an index attests of a Python distribution.

Source: PEP 740 ("Attestation objects", "Provenance objects"), its publish and SLSA predicates.
"""

from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any

import msgspec

from lockgate.core.provenance import Fact, Scheme, State, TrustRoots
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.strict_json import loads
from lockgate.inspect.provenance.bundles import BUNDLE_LIMIT, Material, Proved, Raw, Signed, pae, prove
from lockgate.inspect.provenance.certificates import Claims
from lockgate.inspect.provenance.errors import ExpiredProvenanceError, InvalidProvenanceError
from lockgate.inspect.provenance.logs import LogEntry

IN_TOTO = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PUBLISH, _SLSA = "/attestations/publish/v1", "https://slsa.dev/provenance/v1"
"""What an index and a builder attest; the first lies below the documents of the index that defines it."""

MOST_ATTESTATIONS = 16
"""Most attestations of one distribution."""


class _Material(msgspec.Struct, frozen=True):
    certificate: bytes
    transparency_entries: Annotated[tuple[LogEntry, ...], msgspec.Meta(min_length=1, max_length=4)]


class _Envelope(msgspec.Struct, frozen=True):
    statement: bytes
    signature: bytes


class _Attestation(msgspec.Struct, frozen=True):
    version: int
    verification_material: _Material
    envelope: _Envelope


class _Group(msgspec.Struct, frozen=True):
    attestations: tuple[_Attestation, ...]
    publisher: dict[str, Any] = {}


class _Provenance(msgspec.Struct, frozen=True):
    version: int
    attestation_bundles: tuple[_Group, ...]


def judge(data: bytes, filename: str, digest: str, roots: TrustRoots, now: datetime) -> tuple[Fact, ...]:
    """Return one fact for each attestation of a provenance object.

    Args:
        data: The object.
        filename: The distribution's file name.
        digest: Its SHA-256, in hex.
        roots: What counts.
        now: The present moment.

    Raises:
        InvalidProvenanceError: It is no such object, or holds too much or nothing.

    """
    try:
        if len(data) > BUNDLE_LIMIT:
            raise InvalidProvenanceError("The provenance is longer than any that is read.")
        found = msgspec.json.decode(data, type=_Provenance, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidProvenanceError("The provenance is not what PEP 740 describes.") from error
    each = [(group, one) for group in found.attestation_bundles for one in group.attestations]
    if found.version != 1 or not 0 < len(each) <= MOST_ATTESTATIONS:
        raise InvalidProvenanceError("The provenance has no attestation, too many, or another version.")
    return tuple(_fact(group, one, (filename, digest), roots, now) for group, one in each)


def _fact(group: _Group, one: _Attestation, about: tuple[str, str], roots: TrustRoots, now: datetime) -> Fact:
    try:
        return proved(Scheme.PEP740, _proved(group, one, about, roots, now), roots)
    except ExpiredProvenanceError as error:
        return Fact(scheme=Scheme.PEP740, state=State.EXPIRED, why=error.what, roots=roots.version)
    except InvalidProvenanceError as error:
        return Fact(scheme=Scheme.PEP740, state=State.INVALID, why=error.what, roots=roots.version)


def proved(scheme: Scheme, found: Proved, roots: TrustRoots) -> Fact:
    """Return what was proved as a fact."""
    claims = found.claims
    return Fact(
        scheme=scheme,
        state=State.VERIFIED,
        issuer=claims.issuer,
        identity=claims.identity,
        repository=claims.repository,
        workflow=claims.workflow,
        keyid=found.keyid,
        signed=found.moment,
        roots=roots.version,
    )


def _proved(
    group: _Group, one: _Attestation, about: tuple[str, str], roots: TrustRoots, now: datetime
) -> Proved:
    if one.version != 1:
        raise InvalidProvenanceError("An attestation is of a version that is not read.")
    statement = one.envelope.statement
    _demand_subject(statement, *about)
    material = Material(
        certificate=Raw(one.verification_material.certificate),
        tlog_entries=one.verification_material.transparency_entries,
    )
    signed = Signed(one.envelope.signature, sha256(statement).digest(), "dsse", pae(IN_TOTO, statement))
    found = prove(material, signed, roots, now)
    _demand_publisher(group.publisher, found.claims)
    return found


def statement_of(payload: bytes) -> dict[str, Any]:
    """Return an in-toto statement from its JSON, read so that no two readers differ.

    Raises:
        InvalidProvenanceError: It is none.

    """
    try:
        found = loads(payload.decode())
    except (BrokenContentError, UnicodeDecodeError) as error:
        raise InvalidProvenanceError("What was signed is no statement.") from error
    if not isinstance(found, dict) or not str(found.get("_type", "")).startswith(
        "https://in-toto.io/Statement/"
    ):
        raise InvalidProvenanceError("What was signed is no statement.")
    return found


def _demand_subject(payload: bytes, filename: str, digest: str) -> None:
    statement = statement_of(payload)
    match statement:
        case {
            "_type": str(kind),
            "predicateType": str(predicate),
            "subject": [{"name": str(name), "digest": {"sha256": str(said)}}],
        } if kind == _STATEMENT and (predicate == _SLSA or predicate.endswith(_PUBLISH)):
            if (name, said) != (filename, digest):
                raise InvalidProvenanceError("An attestation is about another file.")
        case _:
            raise InvalidProvenanceError("An attestation is not one that PEP 740 describes.")


def _demand_publisher(publisher: dict[str, Any], claims: Claims) -> None:
    """Demand that the index speaks of the repository that the certificate names, where it names one."""
    said = publisher.get("repository")
    if not isinstance(said, str) or not claims.repository:
        return
    path = claims.repository.partition("://")[2].partition("/")[2] or claims.repository
    if path.lower() != said.lower():
        raise InvalidProvenanceError("The index names another publisher than the certificate does.")
