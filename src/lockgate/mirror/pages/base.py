"""Pages that mirrors generate, and what the generators of all protocols share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.snapshot import Admitted, Generated
from lockgate.core.wire import Document, decode, encode
from lockgate.mirror.errors import AmbiguousSnapshotError, LayoutError

D = TypeVar("D", bound=Document)

ReadBlob = Callable[[str], bytes]
"""Returns a blob's bytes by SHA-256, re-hashed by whoever reads them."""

JSON_TYPE = "application/json"
HTML_TYPE = "text/html; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"
XML_TYPE = "text/xml; charset=utf-8"
BINARY_TYPE = "application/octet-stream"

# Own table: the machine's MIME database must not decide what a signed snapshot is served as.
_MEDIA_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".htm": HTML_TYPE,
    ".html": HTML_TYPE,
    ".json": JSON_TYPE,
    ".md": "text/markdown; charset=utf-8",
    ".pdf": "application/pdf",
    ".txt": TEXT_TYPE,
}


@dataclass(frozen=True, slots=True)
class Page:
    """One generated page: its path in the snapshot, its media type and its bytes."""

    path: str
    media_type: str
    body: bytes

    def generated(self) -> Generated:
        """Return the snapshot's entry for this page."""
        return Generated(
            path=self.path, media_type=self.media_type, size=len(self.body), sha256=sha256(self.body)
        )


def json_page(path: str, value: object, media_type: str = JSON_TYPE) -> Page:
    """Return a page with the canonical JSON of a value."""
    return Page(path=path, media_type=media_type, body=encode(value))


def media_type_of(name: str) -> str:
    """Return the media type that a file is served as, by its suffix."""
    return _MEDIA_TYPES.get(PurePosixPath(name).suffix.lower(), BINARY_TYPE)


def of_kind(admitted: Iterable[Admitted], *kinds: Kind) -> list[Admitted]:
    """Return the entries whose artifact is of one of these kinds, oldest crossing first.

    The order decides nothing that the snapshot's own order could change: ties are broken by
    package URL.
    """
    chosen = (entry for entry in admitted if entry.artifact.kind in kinds)
    return sorted(chosen, key=lambda entry: (entry.crossing, entry.artifact.purl))


def newest_by_path(admitted: Sequence[Admitted]) -> dict[str, ArtifactFile]:
    """Return the file that each path stands for: the one of the newest crossing.

    Args:
        admitted: Entries in the order of `of_kind`.

    Raises:
        AmbiguousSnapshotError: One crossing brought two different files under one path.

    """
    chosen: dict[str, tuple[int, ArtifactFile]] = {}
    for entry in admitted:
        for file in entry.artifact.files:
            before = chosen.get(file.path)
            if before and before[0] == entry.crossing and before[1].sha256 != file.sha256:
                what = f"Crossing {entry.crossing} has two different files at {file.path!r}."
                raise AmbiguousSnapshotError(what, path=file.path)
            chosen[file.path] = (entry.crossing, file)
    return {path: file for path, (_, file) in sorted(chosen.items())}


def only_file(artifact: Artifact, role: Role) -> ArtifactFile:
    """Return an artifact's one file of a role.

    Raises:
        LayoutError: It has none, or several.

    """
    found = [file for file in artifact.files if file.role is role]
    if len(found) != 1:
        what = f"{artifact.purl} has {len(found)} files that say what it is."
        raise LayoutError(what)
    return found[0]


def decoded(kind: type[D], artifact: Artifact, file: ArtifactFile, read: ReadBlob, limit: int) -> D:
    """Return what one file says of its artifact.

    Raises:
        LayoutError: It cannot be read as what it has to be.

    """
    try:
        return decode(kind, read(file.sha256), limit=limit)
    except LockgateError as error:
        what = f"What is known of {artifact.purl} cannot be read: {error.what}"
        raise LayoutError(what) from error
