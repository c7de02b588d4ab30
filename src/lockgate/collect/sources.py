"""Files by path, ``file:`` or https address, pinned by their digest; and the generic files."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packageurl import PackageURL

from lockgate.collect.advisories import packed
from lockgate.collect.errors import DigestMismatchError, ManifestError, SourceMissingError
from lockgate.collect.manifest import AdvisoriesSection, RulesSection, TrustRootsSection
from lockgate.collect.room import Room
from lockgate.collect.single import AssetSection, FileSection
from lockgate.collect.web import shown
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.assets import PLACE, place_of
from lockgate.store.errors import BlobMismatchError

_SHOWN = 12
"""Digits of a digest that stand for a version."""


def bring(room: Room, url: str, digest: str) -> int:
    """Bring a pinned file into the store unless it is held, and return its size in bytes.

    Raises:
        DigestMismatchError: Other bytes than the manifest pins.
        SourceMissingError, UnreachableError: Not there.

    """
    if room.blobs.has(digest):
        return room.blobs.size(digest)
    try:
        if urlsplit(url).scheme == "https":
            with room.web.open(url) as (_, body):
                return room.blobs.put_stream(body, expected=digest, limit=room.limits.file_bytes)[1]
        with local_path(room.folder, url).open("rb") as stream:
            return room.blobs.put_stream(stream, expected=digest, limit=room.limits.file_bytes)[1]
    except BlobMismatchError as error:
        what = f"{shown(url)} does not hash to what the manifest says."
        raise DigestMismatchError(what, expected=digest) from error
    except OSError as error:
        what = f"A file of the manifest cannot be read: {error.strerror}."
        raise SourceMissingError(what, file=shown(url)) from error


def local_path(folder: Path, url: str) -> Path:
    """Return the path that a relative path, an absolute one or a ``file:`` address means."""
    parts = urlsplit(url)
    return folder / (unquote(parts.path) if parts.scheme == "file" else url)


def files(room: Room, sections: Iterable[FileSection]) -> list[Artifact]:
    """Return an artifact for each single file of the manifest.

    Raises:
        DigestMismatchError, SourceMissingError, UnreachableError: See `bring`.
        ManifestError: The address ends in no file name.

    """
    return [_file(room, section) for section in sections]


def foreseen(
    room: Room, sections: Iterable[FileSection], previous: Lock | None
) -> Iterator[tuple[Kind, str, str, int]]:
    """Yield kind, name, version and bytes that a local file would bring; nothing is read or kept.

    A version that the manifest names anew for other bytes is told as such, and a folder that is packed has no
    digest before that.
    """
    before = {
        (a.kind, a.name, a.version): a.files[0].sha256 for a in (previous.artifacts if previous else ())
    }
    for section in sections:
        digest: str | None = section.sha256
        version = section.version or (digest[:_SHOWN] if digest else "packed when collected")
        held = before.get((_kind(section), section.name, version), digest)
        told = version if held == digest else f"{version}, other bytes"
        yield _kind(section), section.name, told, _lacking(room, section)


def _lacking(room: Room, section: FileSection) -> int:
    """Return the length of a local file that the store lacks; 0 where it is not known."""
    digest: str | None = section.sha256
    place = local_path(room.folder, section.url)
    if urlsplit(section.url).scheme == "https" or digest is None or room.blobs.has(digest):
        return 0
    return place.stat().st_size if place.is_file() else 0


def _kind(section: FileSection) -> Kind:
    return Kind.RULES if isinstance(section, RulesSection) else Kind.FILE


def _file(room: Room, section: FileSection) -> Artifact:
    filename, digest, size = _brought(room, section)
    version = section.version or digest[:_SHOWN]
    return Artifact(
        purl=PackageURL(type="generic", name=section.name, version=version).to_string(),
        kind=_kind(section),
        name=section.name,
        version=version,
        files=(
            ArtifactFile(
                path=f"files/{section.name}/{filename}",
                role=Role.OTHER,
                size=size,
                sha256=digest,
                source=shown(section.url),
            ),
        ),
        licence=section.licence,
        label=section.label,
        attributes=_attributes(section),
    )


def _attributes(section: FileSection) -> dict[str, str]:
    """Return what tells the high side that a file is data for it."""
    if isinstance(section, AdvisoriesSection):
        return {"advisories": section.name}
    if isinstance(section, AssetSection):
        return {PLACE: place_of(section.place, section.filename, section.asked_at)}
    return {"trust-roots": section.version or ""} if isinstance(section, TrustRootsSection) else {}


def _brought(room: Room, section: FileSection) -> tuple[str, str, int]:
    """Bring what a table names; return its file name, digest and length."""
    if isinstance(section, AdvisoriesSection) and not urlsplit(section.url).scheme:
        folder = local_path(room.folder, section.url)
        if folder.is_dir():
            return "all.zip", *packed(room, section, folder)
    filename = unquote(urlsplit(section.url).path.rpartition("/")[2])
    if not filename:
        what = f"The address of the file {section.name!r} ends in no file name."
        raise ManifestError(what)
    pinned: str | None = section.sha256
    if pinned is None:
        what = f"The advisories {section.name!r} name a file, and not its SHA-256."
        raise ManifestError(what)
    return filename, pinned, bring(room, section.url, pinned)
