"""Signatures of whole models (OpenSSF model signing): one bundle over the digests of all files.

Source: OpenSSF Model Signing specification 1.0 (predicate ``https://model_signing/signature/v1.0``). A file
that the signature does not name is not signed, whatever the signature leaves out by `ignore_paths`.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Annotated

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.provenance import Fact, Scheme, State, TrustRoots
from lockgate.inspect.provenance.bundles import envelope_of, prove, read_bundle
from lockgate.inspect.provenance.errors import ExpiredProvenanceError, InvalidProvenanceError
from lockgate.inspect.provenance.pep740 import IN_TOTO, proved, statement_of

PREDICATE = "https://model_signing/signature/v1.0"
MOST_FILES = 100_000
"""Most files that one signature names."""


class _Resource(msgspec.Struct, frozen=True):
    name: str
    algorithm: str
    digest: Digest


class _Serialization(msgspec.Struct, frozen=True):
    method: str
    hash_type: str = "sha256"


class _Predicate(msgspec.Struct, frozen=True):
    serialization: _Serialization
    resources: Annotated[tuple[_Resource, ...], msgspec.Meta(min_length=1, max_length=MOST_FILES)]


def judge(
    data: bytes, files: Mapping[str, str], roots: TrustRoots, now: datetime
) -> tuple[Fact, frozenset[str]]:
    """Return what a model's signature proves, and of which files.

    Args:
        data: The signature's bundle.
        files: The model's files by path inside it, each with its SHA-256; without the signature.
        roots: What counts.
        now: The present moment.

    Returns:
        The fact, and the files that it is about; none where the signature proves nothing.

    """
    try:
        bundle = read_bundle(data)
        payload, signed = envelope_of(bundle, IN_TOTO)
        covered = _covered(payload, files)
        return proved(Scheme.MODEL, prove(bundle.verification_material, signed, roots, now), roots), covered
    except ExpiredProvenanceError as error:
        fact = Fact(scheme=Scheme.MODEL, state=State.EXPIRED, why=error.what, roots=roots.version)
    except InvalidProvenanceError as error:
        fact = Fact(scheme=Scheme.MODEL, state=State.INVALID, why=error.what, roots=roots.version)
    return fact, frozenset()


def _covered(payload: bytes, files: Mapping[str, str]) -> frozenset[str]:
    """Return the files that a statement names, after holding each against its digest."""
    statement = statement_of(payload)
    if statement.get("predicateType") != PREDICATE:
        raise InvalidProvenanceError("A model's signature is of a kind that is not read.")
    try:
        predicate = msgspec.convert(statement.get("predicate"), _Predicate)
        (subject,) = statement["subject"]
        whole = subject["digest"]["sha256"]
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        raise InvalidProvenanceError("A model's signature is malformed.") from error
    if predicate.serialization.method != "files" or any(r.algorithm != "sha256" for r in predicate.resources):
        raise InvalidProvenanceError("A model's signature hashes in a way that is not read.")
    if sha256(b"".join(bytes.fromhex(r.digest) for r in predicate.resources)).hexdigest() != whole:
        raise InvalidProvenanceError("A model's signature contradicts itself.")
    named = {resource.name: resource.digest for resource in predicate.resources}
    if len(named) != len(predicate.resources):
        raise InvalidProvenanceError("A model's signature names a file twice.")
    altered = sorted(path for path in named.keys() & files.keys() if named[path] != files[path])
    if altered:
        what = f"{_shown(altered[0])} is not the file that was signed."
        raise InvalidProvenanceError(what)
    return frozenset(named.keys() & files.keys())


def _shown(path: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in path)[:120]
