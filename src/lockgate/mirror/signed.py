"""What the gate signed of a snapshot for clients of package repositories, verified and ready to be served."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lockgate.core.repository import (
    SIGNATURES_FORMAT,
    RepositorySignatures,
    dated,
    user_id,
)
from lockgate.core.roots import Purpose, Root
from lockgate.core.statement import Statement
from lockgate.core.wire import digest_of
from lockgate.mirror.errors import UnsignedRepositoryError
from lockgate.trust.openpgp import Kind, OpenPgpKey, armor, clearsigned


@dataclass(frozen=True, slots=True)
class SignedRelease:
    """One index as clients ask for it: the text, the text with its signature, the signature beside it."""

    release: bytes
    in_release: bytes
    detached: bytes


@dataclass(frozen=True, slots=True)
class SignedRepository:
    """Every index by the path of its page, and the key that verifies them, in ASCII armour."""

    created: datetime
    certificate: str
    fingerprint: str
    releases: Mapping[str, SignedRelease]


def verify_signatures(
    statement: Statement, releases: Mapping[str, bytes], signatures: RepositorySignatures, site: Root
) -> SignedRepository:
    """Return what is served, once each signature verifies with a key that the site root lists.

    Args:
        statement: What publishes the snapshot.
        releases: The snapshot's undated indexes by path.
        signatures: What the gate signed.
        site: Names the keys for the purpose ``repository``.

    Raises:
        UnsignedRepositoryError: A signature is missing, of another statement, or wrong.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: The key may not sign repositories.

    """
    if signatures.format != SIGNATURES_FORMAT or signatures.statement_sha256 != digest_of(statement):
        what = f"The repository's signatures are not those of version {statement.channel_version}."
        raise UnsignedRepositoryError(what)
    held = site.held(signatures.keyid, Purpose.REPOSITORY, statement.created)
    key = OpenPgpKey(held.key, user_id(site.lane))
    certification = bytes.fromhex(signatures.certification)
    if not key.certifies(certification):
        raise UnsignedRepositoryError("The repository's key does not sign its own name.")
    signed = {path: _verified(key, path, text, signatures, statement) for path, text in releases.items()}
    certificate = armor(key.certificate(certification), "PUBLIC KEY BLOCK")
    return SignedRepository(statement.created, certificate, key.fingerprint, signed)


def _verified(
    key: OpenPgpKey, path: str, undated: bytes, signatures: RepositorySignatures, statement: Statement
) -> SignedRelease:
    text, created = dated(path, undated, statement.created), statement.created
    given = signatures.releases.get(path)
    raw = (bytes.fromhex(given.text), bytes.fromhex(given.detached)) if given else (b"", b"")
    if not given or not all(
        key.verifies(kind, text, created, each)
        for kind, each in zip((Kind.TEXT, Kind.BINARY), raw, strict=True)
    ):
        what = f"No signature over {path} verifies."
        raise UnsignedRepositoryError(what)
    inside = clearsigned(key, text, key.signature(Kind.TEXT, text, created, raw[0]))
    beside = armor(key.signature(Kind.BINARY, text, created, raw[1]), "SIGNATURE")
    return SignedRelease(text, inside, beside.encode())
