"""The container mirror's pages: manifests byte for byte, lists of tags, lists of referrers.

Sources: OCI distribution specification 1.1. Ollama's models are kept the same way: its registry
speaks the same protocol, with layers of its own media types.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.errors import LockgateError
from lockgate.core.oci import (
    INDEX,
    MANIFEST_LIMIT,
    Descriptor,
    OciManifest,
    is_name,
    is_tag,
    parse_manifest,
)
from lockgate.core.snapshot import Admitted
from lockgate.mirror.errors import LayoutError
from lockgate.mirror.pages.base import Page, ReadBlob, json_page, of_kind

FOLDERS = {Kind.OCI: "oci", Kind.OLLAMA: "ollama"}
"""The folder of a lock that each kind's files lie in."""

_PREFIX = "sha256:"


@dataclass(slots=True)
class Repository:
    """Everything that the snapshot holds under one name, by hexadecimal SHA-256.

    `linked` says that answers name the blob's own address: Ollama's client demands it.
    """

    name: str
    linked: bool = False
    manifests: dict[str, ArtifactFile] = field(default_factory=dict)
    blobs: dict[str, ArtifactFile] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def page(self, name: str) -> str:
        """Return the path of one of its pages; no part of a repository's name begins with ``_``."""
        return f"oci/{self.name}/_{name}"


def repositories(admitted: Iterable[Admitted]) -> dict[str, Repository]:
    """Return the repositories by name; a tag stands for what the newest crossing tagged with it.

    Raises:
        LayoutError: An artifact is not laid out as an image is.

    """
    found: dict[str, Repository] = {}
    for entry in of_kind(admitted, *FOLDERS):
        artifact = entry.artifact
        root = _checked(artifact)
        repository = found.setdefault(artifact.name, Repository(artifact.name))
        repository.linked |= artifact.kind is Kind.OLLAMA
        for file in artifact.files:
            kept = repository.manifests if file.role is Role.MANIFEST else repository.blobs
            kept[file.sha256] = file
        repository.tags.update(dict.fromkeys(artifact.attributes.get("tags", "").split(), root))
    return dict(sorted(found.items()))


def aliases(names: Iterable[str]) -> dict[str, str]:
    """Return what names without their host stand for, where they stand for one repository alone."""
    known = set(names)
    short: dict[str, list[str]] = {}
    for name in known:
        _, _, rest = name.partition("/")
        if rest:
            short.setdefault(rest, []).append(name)
    return {rest: full[0] for rest, full in short.items() if len(full) == 1 and rest not in known}


def generate(admitted: Sequence[Admitted], read: ReadBlob) -> Iterator[Page]:
    """Yield each manifest as it is, each repository's tags, and who refers to what.

    Args:
        admitted: What the snapshot admits; other kinds are passed over.
        read: Reads the manifests.

    Raises:
        LayoutError: An image is not whole, or has a manifest that cannot be served.

    """
    for repository in repositories(admitted).values():
        referrers: dict[str, list[dict[str, object]]] = {}
        for sha256, file in sorted(repository.manifests.items()):
            body, manifest = _read(repository, file, read)
            _demand_whole(repository, manifest)
            yield Page(path=repository.page(f"manifests/{sha256}"), media_type=manifest.kind, body=body)
            if manifest.subject:
                entry = referrer(manifest, f"{_PREFIX}{sha256}", file.size)
                referrers.setdefault(manifest.subject.digest, []).append(entry)
        tags = {"name": repository.name, "tags": sorted(repository.tags)}
        yield json_page(repository.page("tags"), tags)
        for digest, entries in referrers.items():
            yield json_page(repository.page(f"referrers/{digest}"), index_of(entries), INDEX)


def referrer(manifest: OciManifest, digest: str, size: int) -> dict[str, object]:
    """Return how a manifest stands in the list of those that refer to its subject."""
    entry: dict[str, object] = {"mediaType": manifest.kind, "digest": digest, "size": size}
    if manifest.described_as:
        entry["artifactType"] = manifest.described_as
    if manifest.annotations:
        entry["annotations"] = dict(manifest.annotations)
    return entry


def index_of(entries: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return an index that lists entries."""
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}


def _checked(artifact: Artifact) -> str:
    """Demand an image's layout, and return the hexadecimal digest of its first manifest."""
    root = artifact.version.removeprefix(_PREFIX)
    folder = f"{FOLDERS[artifact.kind]}/{artifact.name}/{root}"
    stray = next((f.path for f in artifact.files if f.path != f"{folder}/{f.sha256}"), None)
    wrong = [tag for tag in artifact.attributes.get("tags", "").split() if not is_tag(tag)]
    whole = any(f.role is Role.MANIFEST and f.sha256 == root for f in artifact.files)
    if stray or wrong or not whole or not is_name(artifact.name):
        what = f"{artifact.purl} is not laid out as an image: a name, a tag, a path or the manifest is wrong."
        raise LayoutError(what, path=stray)
    return root


def _read(repository: Repository, file: ArtifactFile, read: ReadBlob) -> tuple[bytes, OciManifest]:
    if file.size > MANIFEST_LIMIT:
        what = f"A manifest of {repository.name} has {file.size} bytes; at most {MANIFEST_LIMIT} are read."
        raise LayoutError(what, path=file.path)
    body = read(file.sha256)
    try:
        return body, parse_manifest(body)
    except LockgateError as error:
        what = f"A manifest of {repository.name} cannot be served: {error.what}"
        raise LayoutError(what, path=file.path) from error


def _demand_whole(repository: Repository, manifest: OciManifest) -> None:
    """Demand the blobs of an image; an index may name platforms that were not chosen.

    Layers that name addresses of their own (not distributable) are never carried.
    """
    for descriptor in manifest.blobs():
        held = repository.blobs.get(descriptor.sha256)
        if (held is None or held.size != descriptor.size) and not descriptor.urls:
            raise _not_whole(repository, descriptor)


def _not_whole(repository: Repository, descriptor: Descriptor) -> LayoutError:
    what = f"An image of {repository.name} lacks its blob {descriptor.digest[:19]}."
    return LayoutError(what)
