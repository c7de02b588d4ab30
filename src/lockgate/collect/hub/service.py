"""From a section to an artifact: the commit that a revision stands for, and its files, each checked."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import quote

import msgspec
from packageurl import PackageURL

from lockgate.collect.errors import (
    CollectLimitError,
    DigestMismatchError,
    ManifestError,
    UnresolvableError,
)
from lockgate.collect.hub.card import CARD_BYTES, base_models
from lockgate.collect.hub.client import Hub
from lockgate.collect.hub.section import HubSection
from lockgate.collect.room import Room
from lockgate.collect.web import shown
from lockgate.core.artifact import Artifact, ArtifactFile, Digest, Kind, Lock, Role, Size, safe_path
from lockgate.core.errors import LockgateError
from lockgate.store.errors import BlobMismatchError, BlobTooLargeError

PAGES_LIMIT = 10_000
"""Most pages of a tree that are read."""

PLAIN_LIMIT = 1 << 26
"""Longest file that is no large file (LFS), in bytes: such files are checked by their git id."""

_KINDS = {"model": Kind.MODEL, "dataset": Kind.DATASET, "space": Kind.SPACE}
_FORMATS = {".safetensors": "safetensors", ".gguf": "gguf", ".onnx": "onnx"}
_PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack", ".ot"})
_SIGNATURES = (".sig", ".sigstore", ".sigstore.json")
"""Endings of files that sign a repository as a whole (OpenSSF model signing writes ``model.sig``)."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


class _Large(msgspec.Struct, frozen=True):
    """The large file behind a pointer: its SHA-256."""

    oid: Digest
    size: Size


class _Entry(msgspec.Struct, frozen=True):
    """One entry of a tree; `oid` is git's id of the blob, or of the pointer to a large file."""

    type: str
    path: str
    oid: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}\Z")]
    size: Size = 0
    lfs: _Large | None = None


class _Information(msgspec.Struct, frozen=True):
    sha: str


def repositories(
    room: Room, hub: Hub, endpoint: str, sections: Iterable[HubSection], *, offline: bool
) -> list[Artifact]:
    """Return an artifact for each repository.

    Args:
        room: The run.
        hub: Reads the Hub.
        endpoint: The address of the client's own setting; empty where it has none.
        sections: What is wanted.
        offline: Whether nothing may be asked.

    Raises:
        ManifestError: No address of a Hub is named.
        UnresolvableError: No such repository or revision, no file that the patterns choose, or offline.
        DigestMismatchError: A file is not what the tree says.
        UnreachableError, CollectLimitError: The Hub or a bound.

    """
    found = []
    for section in sections:
        base = _base(section, endpoint)
        if offline:
            what = f"{section.repository} comes from a Hub, and the collection is offline."
            raise UnresolvableError(what, advice="Collect it with the network.")
        found.append(_repository(room, hub, base, section))
    return found


def foreseen(
    room: Room, hub: Hub, endpoint: str, sections: Iterable[HubSection]
) -> Iterator[tuple[Kind, str, str, int]]:
    """Yield kind, name, commit and bytes that the store lacks of each repository; nothing is fetched.

    The bytes are those of large files that the store does not hold, and of all small ones.

    Raises:
        ManifestError, UnresolvableError, UnreachableError, CollectLimitError: See `repositories`.

    """
    for section in sections:
        base = _base(section, endpoint)
        commit = _pinned(hub, base, section)
        chosen = _chosen(section, _tree(hub, base, section, commit))
        size = sum(e.size for e in chosen if e.lfs is None or not room.blobs.has(e.lfs.oid))
        yield _KINDS[section.type], section.repository, commit, size


def kept(sections: Iterable[HubSection], previous: Lock | None) -> Iterator[tuple[Kind, str, str, int]]:
    """Yield the same of what the previous lock has, where the Hub cannot be asked."""
    named = {(_KINDS[section.type], section.repository) for section in sections}
    for artifact in previous.artifacts if previous else ():
        if (artifact.kind, artifact.name) in named:
            yield artifact.kind, artifact.name, artifact.version, 0


def _base(section: HubSection, endpoint: str) -> str:
    """Return the address of the Hub that a table means."""
    base = (section.endpoint or endpoint).rstrip("/")
    if not base:
        what = f"No address of a Hub is named for {section.repository}."
        raise ManifestError(what, advice="Set `endpoint` in the table, or HF_ENDPOINT.")
    return base


def _repository(room: Room, hub: Hub, base: str, section: HubSection) -> Artifact:
    commit = _pinned(hub, base, section)
    chosen = _chosen(section, _tree(hub, base, section, commit))
    if not chosen:
        what = f"The patterns for {section.repository} choose no file."
        raise UnresolvableError(what, advice="Loosen `include` or `exclude`.")
    prefix = "" if section.type == "model" else f"{section.type}s/"
    files = []
    for entry in chosen:
        url = f"{base}/{prefix}{section.repository}/resolve/{commit}/{quote(entry.path)}"
        files.append(_file(room, hub, section, entry, url))
    owner, _, name = section.repository.rpartition("/")
    purl = PackageURL(
        type="huggingface",
        namespace=owner or None,
        name=name,
        version=commit,
        qualifiers=None if section.type == "model" else {"repository_type": section.type},
    )
    facts: dict[str, str | None] = {}
    if section.type == "model":
        tuned = section.tuned_from or ", ".join(_named_by_card(room, files))
        facts = {"format": _format(chosen), "task": section.task, "tuned-from": tuned}
    return Artifact(
        purl=purl.to_string(),
        kind=_KINDS[section.type],
        name=section.repository,
        version=commit,
        files=tuple(files),
        licence=section.licence,
        label=section.label,
        attributes={key: value for key, value in facts.items() if value},
    )


def _named_by_card(room: Room, files: Iterable[ArtifactFile]) -> tuple[str, ...]:
    """Return the models that a model's card says it was made of."""
    card = next((file for file in files if file.path.rpartition("/")[2] == "README.md"), None)
    if card is None:
        return ()
    with room.blobs.open(card.sha256) as stream:
        return base_models(stream.read(CARD_BYTES))


def _pinned(hub: Hub, base: str, section: HubSection) -> str:
    """Return the commit that a revision stands for."""
    address = f"{base}/api/{section.type}s/{section.repository}/revision/{quote(section.revision, safe='')}"
    data, _ = hub.page(address)
    try:
        commit = msgspec.json.decode(data, type=_Information).sha
    except msgspec.DecodeError as error:
        raise _malformed(section, error) from error
    if not _COMMIT.fullmatch(commit):
        what = f"The Hub names no commit for {section.repository} at {section.revision}."
        raise UnresolvableError(what)
    return commit


def _tree(hub: Hub, base: str, section: HubSection, commit: str) -> list[_Entry]:
    """Return the files of a commit, from all pages."""
    url = f"{base}/api/{section.type}s/{section.repository}/tree/{commit}?recursive=true"
    entries: list[_Entry] = []
    for _ in range(PAGES_LIMIT):
        data, url = hub.page(url)
        try:
            entries += msgspec.json.decode(data, type=list[_Entry])
        except msgspec.DecodeError as error:
            raise _malformed(section, error) from error
        if not url:
            return [entry for entry in entries if entry.type == "file"]
    what = f"The tree of {section.repository} has more than {PAGES_LIMIT} pages."
    raise CollectLimitError(what, limit="PAGES_LIMIT")


def _chosen(section: HubSection, entries: list[_Entry]) -> list[_Entry]:
    """Return the entries that the patterns choose, in the order of their paths."""
    found = [e for e in entries if not any(fnmatchcase(e.path, p) for p in section.exclude)]
    if section.include:
        found = [e for e in found if any(fnmatchcase(e.path, p) for p in section.include)]
    elif any(_suffix(e) in {".safetensors", ".gguf"} for e in found):
        found = [e for e in found if _suffix(e) not in _PICKLED]
    return sorted(found, key=lambda e: e.path)


def _file(room: Room, hub: Hub, section: HubSection, entry: _Entry, url: str) -> ArtifactFile:
    """Bring one file, checked against the tree: by SHA-256, or by git's id where it has no other."""
    path = safe_path(f"{section.type}s/{section.repository}/{entry.path}")
    try:
        if entry.lfs is not None:
            digest, size = entry.lfs.oid, entry.lfs.size
            if not room.blobs.has(digest):
                room.progress.start(entry.path, size)
                with hub.file(url) as (_, stream):
                    room.blobs.put_stream(stream, expected=digest, limit=room.limits.file_bytes)
                room.progress.finish()
        else:
            digest, size = _plain(room, hub, entry, url)
    except (BlobMismatchError, BlobTooLargeError) as error:
        raise _altered(entry, url) from error
    if size != entry.size or room.blobs.size(digest) != size:
        raise _altered(entry, url)
    return ArtifactFile(path=path, role=_role(entry), size=size, sha256=digest, source=shown(url))


def _plain(room: Room, hub: Hub, entry: _Entry, url: str) -> tuple[str, int]:
    """Bring a file that git holds itself: its id is SHA-1 over a header and the content."""
    if entry.size > PLAIN_LIMIT:
        what = f"{entry.path} is longer than {PLAIN_LIMIT} bytes and no large file."
        raise CollectLimitError(what, limit="PLAIN_LIMIT")
    with hub.file(url) as (_, stream):
        data = stream.read(entry.size + 1)
    header = f"blob {len(data)}\0".encode()
    if hashlib.sha1(header + data, usedforsecurity=False).hexdigest() != entry.oid:
        raise _altered(entry, url)
    return room.keep(data), len(data)


def _role(entry: _Entry) -> Role:
    name = PurePosixPath(entry.path).name.lower()
    if name.endswith(_SIGNATURES):
        return Role.PROVENANCE
    if _suffix(entry) in _FORMATS or _suffix(entry) in _PICKLED:
        return Role.WEIGHTS
    if name.startswith(("tokenizer", "vocab", "merges", "special_tokens")):
        return Role.TOKENIZER
    if name.startswith(("licen", "copying", "notice")):
        return Role.LICENCE
    return Role.CONFIGURATION if name.endswith(".json") else Role.OTHER


def _format(entries: Iterable[_Entry]) -> str:
    return next((_FORMATS[_suffix(e)] for e in entries if _suffix(e) in _FORMATS), "")


def _suffix(entry: _Entry) -> str:
    return PurePosixPath(entry.path).suffix.lower()


def _altered(entry: _Entry, url: str) -> LockgateError:
    what = f"{entry.path} is not what the Hub's own tree says."
    return DigestMismatchError(what, url=shown(url))


def _malformed(section: HubSection, error: Exception) -> LockgateError:
    what = f"The Hub's answer about {section.repository} cannot be read: {error}."
    return UnresolvableError(what, advice="Check that `endpoint` is the address of a Hub.")
