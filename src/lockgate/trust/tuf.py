"""Update metadata after The Update Framework: built on the low side, verified on the high one.

Roles targets, snapshot and timestamp; one flat targets role. The state that a verification
leaves (the newest trusted files) is promoted by the caller together with its ledger entry.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import (
    BadVersionNumberError,
    ExpiredMetadataError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, MetaFile, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from lockgate.core.wire import whole_second
from lockgate.trust.errors import UpdateMetadataError
from lockgate.trust.keys import Signer

TUF_FILES = ("timestamp.json", "snapshot.json", "targets.json")
_COMPACT = JSONSerializer(compact=True)


@dataclass(frozen=True, slots=True)
class Target:
    """Length in bytes and SHA-256 of one target."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class TufSigners:
    """The three keys of the online roles."""

    targets: Signer
    snapshot: Signer
    timestamp: Signer


def _sign(signed: Signed, raw: CryptoSigner) -> bytes:
    metadata: Metadata[Any] = Metadata(signed)
    metadata.sign(raw)
    return metadata.to_bytes(_COMPACT)


def build(
    targets: Mapping[str, Target], version: int, signers: TufSigners, expires: datetime
) -> dict[str, bytes]:
    """Return the three metadata files for one crossing.

    Args:
        targets: Every target by path.
        version: The crossing's number; it must rise from crossing to crossing.
        signers: Keys of the three roles.
        expires: When the timestamp stops admission (cadence and grace from now).

    """
    until = whole_second(expires)
    listed = {
        path: TargetFile(length=t.size, hashes={"sha256": t.sha256}, path=path) for path, t in targets.items()
    }
    top = _sign(Targets(version=version, expires=until, targets=listed), signers.targets.raw)
    meta = {"targets.json": MetaFile.from_data(version, top, ["sha256"])}
    snapshot = _sign(Snapshot(version=version, expires=until, meta=meta), signers.snapshot.raw)
    stamp = Timestamp(
        version=version, expires=until, snapshot_meta=MetaFile.from_data(version, snapshot, ["sha256"])
    )
    timestamp = _sign(stamp, signers.timestamp.raw)
    return {"timestamp.json": timestamp, "snapshot.json": snapshot, "targets.json": top}


def verify(
    root: bytes, files: Mapping[str, bytes], trusted: Mapping[str, bytes], at: datetime
) -> dict[str, Target]:
    """Return the targets that a crossing's metadata names, after the client workflow of TUF.

    Args:
        root: The newest trusted supply root.
        files: ``timestamp.json``, ``snapshot.json`` and ``targets.json`` of the crossing.
        trusted: The same three of the crossing trusted before, or nothing.
        at: The moment that expiry is judged by.

    Raises:
        UpdateMetadataError: Missing, forged, expired, mixed, or older than what is trusted.

    """
    missing = [name for name in TUF_FILES if name not in files]
    if missing:
        what = f"The crossing brings no {missing[0]}."
        raise UpdateMetadataError(what)
    try:
        checked = TrustedMetadataSet(root, EnvelopeType.METADATA)
        checked.reference_time = at
        if trusted:
            _recall(lambda: checked.update_timestamp(trusted["timestamp.json"]))
        checked.update_timestamp(files["timestamp.json"])
        if trusted:
            _recall(lambda: checked.update_snapshot(trusted["snapshot.json"], trusted=True))
        checked.update_snapshot(files["snapshot.json"])
        checked.update_targets(files["targets.json"])
    except (RepositoryError, ValueError) as error:
        what = f"The update metadata is refused: {error}."
        raise UpdateMetadataError(what) from error
    listed = checked.targets.targets
    weak = next((path for path, target in listed.items() if "sha256" not in target.hashes), None)
    if weak is not None:
        what = f"The update metadata names no SHA-256 of {weak[:120]!r}."
        raise UpdateMetadataError(what)
    return {path: Target(target.length, target.hashes["sha256"]) for path, target in listed.items()}


def _recall(load: Callable[[], object]) -> None:
    """Load what was trusted before, so that versions can only rise.

    That it is expired or no longer the newest is no fault, and after a key rotation it may no
    longer verify: TUF then goes on from the new root (specification, sections 5.3.11 to 5.5).
    """
    try:
        load()
    except (BadVersionNumberError, ExpiredMetadataError, UnsignedMetadataError):
        return
