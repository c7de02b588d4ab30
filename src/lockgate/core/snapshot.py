"""Snapshots: an immutable set of admitted artifacts with every page that serves them.

A snapshot is one document, or, where it is large, a short one that names parts by their digests (`parts`).
"""

from lockgate.core.artifact import Artifact, Digest, Size
from lockgate.core.wire import Document, Moment

SNAPSHOT_FORMAT = "lockgate-snapshot/1"
"""Format of a snapshot that is one document."""

PARTED_FORMAT = "lockgate-snapshot/2"
"""Format of a snapshot that names its parts, one of them for everything that is no Python project."""

SPREAD_FORMAT = "lockgate-snapshot/3"
"""Format of a snapshot that names its parts, and spreads everything over many: what is written now."""


class Admitted(Document, frozen=True, gc=False):
    """An artifact with the crossing that brought it and the digest of its verdicts."""

    artifact: Artifact
    crossing: int
    crate_sha256: Digest
    verdicts_sha256: Digest
    outcome: str


class Generated(Document, frozen=True, gc=False):
    """A page that a mirror serves and nobody uploaded: an index, a tree listing, a Release file."""

    path: str
    media_type: str
    size: Size
    sha256: Digest


class Snapshot(Document, frozen=True):
    """Everything that one channel serves. Its digest is what the approvers sign (`parts.snapshot_digest`).

    Of a snapshot in parts, `admitted` and `generated` are read part by part when they are gone through.
    """

    format: str
    lane: str
    created: Moment
    admitted: tuple[Admitted, ...]
    generated: tuple[Generated, ...]
