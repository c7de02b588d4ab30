"""What npm registries keep as attestations of a version: Sigstore bundles over its package URL and SHA-512.

A builder attests where the archive was built (SLSA provenance, by a certificate of minutes), the registry
that it published it (by its own key). Sources: npm documentation, "Generating provenance statements";
npm's attestation specifications, publish 0.1; the answer of ``/-/npm/v1/attestations/NAME@VERSION`` as
npm's own client reads it (pacote, ``lib/registry.js``).
"""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

import msgspec

from lockgate.core.provenance import Fact, Scheme, State, TrustRoots
from lockgate.inspect.provenance.bundles import BUNDLE_LIMIT, Bundle, Proved, envelope_of, prove, read_bundle
from lockgate.inspect.provenance.errors import ExpiredProvenanceError, InvalidProvenanceError
from lockgate.inspect.provenance.pep740 import IN_TOTO, MOST_ATTESTATIONS, proved, statement_of

_STATEMENTS = ("https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1")
_PUBLISH = "/npm/attestation/tree/main/specs/publish/v0.1"
_SLSA = "https://slsa.dev/provenance/"
_PROMISED = "application/vnd.dev.sigstore.bundle+json;version=0.1"
"""Bundles whose log entry comes with a promise, and needs no proof of inclusion ("Bundle Format", v0.1)."""


class _Attestation(msgspec.Struct, frozen=True, rename="camel"):
    predicate_type: str
    bundle: msgspec.Raw


class _Answer(msgspec.Struct, frozen=True):
    attestations: Annotated[
        tuple[_Attestation, ...], msgspec.Meta(min_length=1, max_length=MOST_ATTESTATIONS)
    ]


def judge(data: bytes, purl: str, digest: str, roots: TrustRoots, now: datetime) -> tuple[Fact, ...]:
    """Return one fact for each attestation of a version.

    Args:
        data: The registry's answer.
        purl: The version's package URL, which each has to be about.
        digest: The archive's own SHA-512, in hex.
        roots: What counts; attestations without a certificate are held against npm's keys.
        now: The present moment.

    Raises:
        InvalidProvenanceError: It is no such answer, or holds too much or nothing.

    """
    try:
        if len(data) > BUNDLE_LIMIT:
            raise InvalidProvenanceError("The attestations are longer than any that are read.")
        found = msgspec.json.decode(data, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidProvenanceError("The attestations are not what npm registries answer.") from error
    return tuple(_fact(one, (purl, digest), roots, now) for one in found.attestations)


def _fact(one: _Attestation, about: tuple[str, str], roots: TrustRoots, now: datetime) -> Fact:
    try:
        return proved(Scheme.NPM_ATTESTATION, _proved(one, about, roots, now), roots)
    except ExpiredProvenanceError as error:
        state, why = State.EXPIRED, error.what
    except InvalidProvenanceError as error:
        state, why = State.INVALID, error.what
    return Fact(scheme=Scheme.NPM_ATTESTATION, state=state, why=why, roots=roots.version)


def _proved(one: _Attestation, about: tuple[str, str], roots: TrustRoots, now: datetime) -> Proved:
    bundle = read_bundle(bytes(one.bundle))
    payload, signed = envelope_of(bundle, IN_TOTO)
    kind = _demand_about(statement_of(payload), one.predicate_type, *about)
    signed = replace(signed, proof=bundle.media_type != _PROMISED)
    if bundle.verification_material.chain:
        return prove(bundle.verification_material, signed, roots, now)
    if not kind.endswith(_PUBLISH):
        raise InvalidProvenanceError("The registry's key signs what only a builder can attest.")
    return prove(bundle.verification_material, signed, _by_registry(bundle, roots), now)


def _demand_about(statement: dict[str, Any], kind: str, purl: str, digest: str) -> str:
    """Demand that a statement is about one version and its archive; return what it states."""
    match statement:
        case {
            "_type": str(form),
            "predicateType": str(predicate),
            "subject": [{"name": str(name), "digest": {"sha512": str(said)}}],
        } if form in _STATEMENTS and predicate == kind:
            if not predicate.endswith(_PUBLISH) and not predicate.startswith(_SLSA):
                raise InvalidProvenanceError("An attestation states what is not read.")
            if (name, said.lower()) != (purl, digest):
                raise InvalidProvenanceError("An attestation is about another version or archive.")
            return predicate
        case _:
            raise InvalidProvenanceError("An attestation is not one that npm registries keep.")


def _by_registry(bundle: Bundle, roots: TrustRoots) -> TrustRoots:
    """Return trust roots by which only the key of the registry counts that a bundle names.

    Raises:
        InvalidProvenanceError: It names none of them.

    """
    named = bundle.verification_material.public_key
    keys = tuple(key for key in roots.npm_keys if named is not None and key.name == named.hint)
    if not keys:
        raise InvalidProvenanceError("No registry key of the trust roots has the id that it names.")
    if not bundle.verification_material.tlog_entries:
        raise InvalidProvenanceError("Nothing proves that a log holds its signature (no log entry).")
    return msgspec.structs.replace(roots, keys=keys)
