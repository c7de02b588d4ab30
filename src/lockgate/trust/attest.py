"""Attestations: in-toto statements (version 1) in DSSE envelopes, with many subjects."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from lockgate.core.roots import Purpose, Root
from lockgate.core.wire import Document, decode, encode
from lockgate.trust.dsse import open_envelope, sign, verify
from lockgate.trust.errors import EnvelopeError
from lockgate.trust.keys import Signer

INTOTO_TYPE = "application/vnd.in-toto+json"
STATEMENT_V1 = "https://in-toto.io/Statement/v1"
COLLECTION = "urn:lockgate:collection:v1"
INSPECTION = "urn:lockgate:inspection:v1"
REINSPECTION = "urn:lockgate:reinspection:v1"
SEALING = "urn:lockgate:sealing:v1"
ADMISSION = "urn:lockgate:admission:v1"
FACTS = "urn:lockgate:facts:v1"
CONVERSION = "urn:lockgate:conversion:v1"
JUDGEMENT = "urn:lockgate:judgement:v1"
DERIVATION = "urn:lockgate:derivation:v1"


class Subject(Document, frozen=True):
    """What an attestation speaks of."""

    name: str
    digest: dict[str, str]


class InTotoStatement(Document, frozen=True, rename={"type_": "_type", "predicate_type": "predicateType"}):
    """An in-toto statement, version 1."""

    type_: str
    predicate_type: str
    predicate: dict[str, Any]
    subject: tuple[Subject, ...]


def attest(subjects: Mapping[str, str], predicate_type: str, predicate: Document, *signers: Signer) -> bytes:
    """Return an attestation over named SHA-256 digests, signed by each signer."""
    statement = InTotoStatement(
        type_=STATEMENT_V1,
        predicate_type=predicate_type,
        predicate=msgspec.to_builtins(predicate),
        subject=tuple(Subject(name=n, digest={"sha256": d}) for n, d in sorted(subjects.items())),
    )
    return sign(INTOTO_TYPE, encode(statement), signers)


def check(data: bytes, root: Root, purpose: Purpose, predicate_type: str, at: datetime) -> InTotoStatement:
    """Return an attestation's statement after checking who signed it and what it is.

    Raises:
        EnvelopeError: Another type of statement or predicate.
        SignatureError, UnknownKeyError, KeyPurposeError, KeyExpiredError, ThresholdError: Not
            signed by who has to.

    """
    opened = open_envelope(data)
    verify(opened, root, purpose, at, INTOTO_TYPE)
    statement = decode(InTotoStatement, opened.payload, name="attestation")
    if statement.type_ != STATEMENT_V1 or statement.predicate_type != predicate_type:
        what = f"The attestation is {statement.predicate_type[:80]!r}, not {predicate_type!r}."
        raise EnvelopeError(what, field="$._type" if statement.type_ != STATEMENT_V1 else "$.predicateType")
    return statement
