"""Signing what package clients verify: at the gate, when a channel moves, with a key of its own.

The mirror holds no key. What the gate signs follows from the approved statement and snapshot; it lies beside
the channel's file, named by the statement, and is believed by nobody before it verifies.
"""

import os

import structlog

from lockgate.app.high.channel import derived_pages
from lockgate.app.keys import holds_key
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.app.trust import signer_from, site_root
from lockgate.approve.verify import verify_channel
from lockgate.core.errors import InputError, LockgateError
from lockgate.core.parts import open_snapshot, parts_of, rest_of
from lockgate.core.repository import (
    SIGNATURES_FORMAT,
    SIGNATURES_LIMIT,
    ReleaseSignatures,
    RepositorySignatures,
    dated,
    is_release,
    user_id,
)
from lockgate.core.roots import Purpose
from lockgate.core.snapshot import Snapshot
from lockgate.core.statement import Statement
from lockgate.core.wire import decode, digest_of, encode
from lockgate.mirror import SignedRepository, UnsignedRepositoryError, verify_signatures
from lockgate.store import BlobStore, FileBlobs
from lockgate.store.either import Either
from lockgate.trust.keys import Signer
from lockgate.trust.openpgp import Kind, OpenPgpKey

FOLDER = "repository"
"""Folder below the channels with what was signed for each statement."""

_log = structlog.get_logger("lockgate.repository")


class NoRepositoryKeyError(InputError):
    """A snapshot has repositories whose clients verify a signature, and this gate has no key for it."""

    code = "LG-1f80"
    advice = (
        "Make one with `lockgate root card --purpose repository`, have it listed in the site root, and put"
        " it into the high side's keys folder."
    )


def sign_repositories(side: Side, envelope: bytes) -> bool:
    """Sign the indexes of a statement's snapshot unless that is done; tell whether they are signed.

    The statement is verified as whoever serves verifies it: a row that somebody else wrote must not have the
    lane's key sign what nobody approved. Where it does not verify, or there is no key, nothing is signed and
    nothing of it is served; everything else goes on.

    Raises:
        OSError: The disk refused.
        LockgateError: The key does not open.

    """
    try:
        site = site_root(side, None)
        standing = verify_channel(envelope, site, blobs_of(side), derived_pages)
        releases = _releases(blobs_of(side), standing.snapshot)
    except LockgateError as error:
        _log.error("repositories not signed", code=error.code, error=error.what)
        return False
    statement = standing.statement
    target = side.home.channels / FOLDER / f"{digest_of(statement)}.json"
    if target.is_file():
        return True
    if not releases:
        return True
    if not holds_key(side.home.keys, Purpose.REPOSITORY):
        _log.error("repositories not signed", code=NoRepositoryKeyError.code, channel=statement.channel)
        return False
    signer = signer_from(side.home.keys, Purpose.REPOSITORY, site)
    key = OpenPgpKey(signer.public, user_id(site.lane))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with partial.open("wb") as file:
        file.write(encode(signatures_for(key, signer, statement, releases)))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
    return True


def signatures_for(
    key: OpenPgpKey, signer: Signer, statement: Statement, releases: dict[str, bytes]
) -> RepositorySignatures:
    """Return the signatures over each index, dated by the statement."""
    at, signed = statement.created, {}
    for path, undated in releases.items():
        text = dated(path, undated, at)
        signed[path] = ReleaseSignatures(
            text=key.sign(signer, Kind.TEXT, text, at).hex(),
            detached=key.sign(signer, Kind.BINARY, text, at).hex(),
        )
    return RepositorySignatures(
        format=SIGNATURES_FORMAT,
        statement_sha256=digest_of(statement),
        keyid=signer.keyid,
        certification=key.certify(signer).hex(),
        releases=signed,
    )


def demand_repository_key(side: Side, snapshot_sha256: str) -> None:
    """Refuse to ask for a publication whose repositories nobody could verify afterwards.

    Raises:
        NoRepositoryKeyError: There is no key, and the snapshot has repositories.

    """
    held = Either(FileBlobs(side.home.quarantine), blobs_of(side))
    snapshot = open_snapshot(snapshot_sha256, held)
    wanted = any(is_release(page.path) for page in rest_of(snapshot).generated)
    if wanted and not holds_key(side.home.keys, Purpose.REPOSITORY):
        raise NoRepositoryKeyError("The snapshot has package repositories, and there is no key to sign them.")


def signed_repositories(side: Side, statement: Statement, snapshot: Snapshot) -> SignedRepository | None:
    """Return what was signed for a statement, verified; None, and a line in the log, where it is not."""
    file = side.home.channels / FOLDER / f"{digest_of(statement)}.json"
    parts, blobs = parts_of(snapshot), blobs_of(side)
    spread = parts is not None and parts.index.spread
    releases = {} if spread else _releases(blobs, snapshot)
    if not (releases or (spread and file.is_file())):
        return None
    try:
        with file.open("rb") as stream:
            data = stream.read(SIGNATURES_LIMIT + 1)
        signatures = decode(RepositorySignatures, data, limit=SIGNATURES_LIMIT, name="signatures")
        if (
            parts is not None and spread
        ):  # what it does not name is not served, and nothing else is looked for
            found = ((path, parts.page(path)) for path in signatures.releases if is_release(path))
            releases = {path: blobs.read(page.sha256) for path, page in found if page is not None}
            if not releases:
                raise UnsignedRepositoryError("What was signed is no repository of the snapshot.")
        return verify_signatures(statement, releases, signatures, site_root(side, None))
    except OSError as error:
        _log.error("repositories not served", error=error.strerror, file=str(file))
    except LockgateError as error:
        _log.error("repositories not served", code=error.code, error=error.what)
    return None


def _releases(blobs: BlobStore, snapshot: Snapshot) -> dict[str, bytes]:
    return {
        page.path: blobs.read(page.sha256) for page in rest_of(snapshot).generated if is_release(page.path)
    }
