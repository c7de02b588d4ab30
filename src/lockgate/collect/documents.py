"""Documents: a folder of files, one artifact for each."""

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from packageurl import PackageURL

from lockgate.collect.errors import CollectLimitError, SourceMissingError
from lockgate.collect.manifest import DocumentsSection
from lockgate.collect.room import Room
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role, safe_path
from lockgate.core.digests import sha256

HEAD_BYTES = 1 << 16
"""How much of a document is looked at for its title."""

TITLE_LENGTH = 200
"""Longest title, in characters."""

_MEDIA_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
}
_HEADING = re.compile(r"^#[ \t]+([^\r\n]{1,1000}?)[ \t#]*$", re.MULTILINE)
_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{1,1000})</title", re.IGNORECASE)


def documents(room: Room, sections: Iterable[DocumentsSection]) -> list[Artifact]:
    """Return an artifact for each document of the manifest's folders.

    Raises:
        SourceMissingError: A folder is not there, matches nothing, or holds a link.
        CollectLimitError: Too many documents, or one is too long.

    """
    made = [_document(room, section, path) for section in sections for path in _matches(room, section)]
    if len(made) > room.limits.documents:
        what = f"The manifest's folders hold more than {room.limits.documents} documents."
        raise CollectLimitError(what, limit="documents")
    return made


def foreseen(
    room: Room, sections: Iterable[DocumentsSection]
) -> Iterator[tuple[str, str, int, Mapping[str, str]]]:
    """Yield name, version, bytes that the store lacks and attributes of each document; nothing is kept.

    Raises:
        SourceMissingError, CollectLimitError: See `documents`.

    """
    for section in sections:
        for path in _matches(room, section):
            inside, data = _read(room, section, path)
            digest = sha256(data)
            size = 0 if room.blobs.has(digest) else len(data)
            yield f"{section.collection}/{inside}", digest[:12], size, {}


def title_of(path: str, data: bytes) -> str:
    """Return a document's title: its first heading or title element, else its file name."""
    media = _MEDIA_TYPES.get(Path(path).suffix.lower())
    pattern = {"text/markdown": _HEADING, "text/html": _TITLE}.get(media or "")
    found = pattern.search(data[:HEAD_BYTES].decode("utf-8", "replace")) if pattern else None
    text = html.unescape(found[1]) if found and media == "text/html" else found[1] if found else ""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    name = re.sub(r"^\d+[-_. ]+", "", Path(path).stem)
    spoken = re.sub(r"[-_]+", " ", name).strip()
    return (plain or spoken[:1].upper() + spoken[1:] or path)[:TITLE_LENGTH]


def _matches(room: Room, section: DocumentsSection) -> Iterator[Path]:
    """Yield the matching files of a section in the order of their paths, without hidden ones."""
    folder = room.folder / section.folder
    if not folder.is_dir():
        what = f"The folder of the collection {section.collection!r} is not there."
        raise SourceMissingError(what, folder=section.folder)
    found = {path for pattern in section.include for path in _glob(folder, pattern, section)}
    kept = sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))
    if not kept:
        what = f"The folder of the collection {section.collection!r} holds no matching document."
        raise SourceMissingError(what, folder=section.folder)
    if len(kept) > room.limits.documents:
        what = f"The collection {section.collection!r} has more than {room.limits.documents} documents."
        raise CollectLimitError(what, limit="documents")
    for path in kept:
        if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
            what = f"A document of the collection {section.collection!r} is a link."
            raise SourceMissingError(what, file=path.name, advice="Put the file itself into the folder.")
        yield path


def _glob(folder: Path, pattern: str, section: DocumentsSection) -> list[Path]:
    try:
        return [path for path in folder.glob(pattern) if path.is_file()]
    except (ValueError, NotImplementedError) as error:
        what = f"The pattern {pattern!r} of the collection {section.collection!r} is not accepted: {error}."
        raise SourceMissingError(
            what, advice="Give patterns like '**/*.md', relative to the folder."
        ) from error


def _read(room: Room, section: DocumentsSection, path: Path) -> tuple[str, bytes]:
    """Return a document's path inside its folder, and its bytes."""
    inside = safe_path(path.relative_to(room.folder / section.folder).as_posix())
    try:
        with path.open("rb") as stream:
            data = stream.read(room.limits.document_bytes + 1)
    except OSError as error:
        what = f"A document cannot be read: {error.strerror}."
        raise SourceMissingError(what, file=inside) from error
    if len(data) > room.limits.document_bytes:
        what = f"The document {inside} is longer than {room.limits.document_bytes} bytes."
        raise CollectLimitError(what, limit="document_bytes")
    return inside, data


def _document(room: Room, section: DocumentsSection, path: Path) -> Artifact:
    inside, data = _read(room, section, path)
    digest = room.keep(data)
    file = ArtifactFile(
        path=f"documents/{section.collection}/{inside}",
        role=Role.DOCUMENT,
        size=len(data),
        sha256=digest,
        source=f"{section.folder}/{inside}",
    )
    version = digest[:12]
    return Artifact(
        purl=PackageURL(
            type="generic",
            namespace="/".join([section.collection, *inside.split("/")[:-1]]),
            name=path.name,
            version=version,
        ).to_string(),
        kind=Kind.DOCUMENT,
        name=f"{section.collection}/{inside}",
        version=version,
        files=(file,),
        licence=section.licence,
        label=section.label,
        attributes={
            "collection": section.collection,
            "title": title_of(inside, data),
            "media-type": _MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream"),
        },
    )
