"""Images: every tag pinned to a digest, everything that the digest stands for, and what refers to it."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from packageurl import PackageURL

from lockgate.collect.errors import (
    CollectLimitError,
    DigestMismatchError,
    InstallerError,
    ManifestError,
    UnresolvableError,
)
from lockgate.collect.oci.registry import Registry
from lockgate.collect.oci.section import OciSection, OllamaSection
from lockgate.collect.oci.skopeo import ImageCopier
from lockgate.collect.room import Room
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.digests import sha256
from lockgate.core.oci import Descriptor, OciManifest, parse_manifest
from lockgate.store.errors import BlobMismatchError

MANIFESTS_LIMIT = 10_000
"""Most manifests that one tag may lead to."""

COSIGN_TAGS = ("sig", "att")
"""Endings of the tags that cosign gives to signatures and attestations of a manifest."""


@dataclass(frozen=True, slots=True)
class Clients:
    """How registries are reached: the client that copies images, and registries that are read directly."""

    copier: ImageCopier | None
    registries: "Registries"


Registries = Callable[[str, bool], Registry]
"""Returns the registry of a host, without TLS where the second argument says so."""

_PREFIX = "sha256:"


class Bringing:
    """What one tag's digest leads to, brought into the store as it is found."""

    def __init__(self, room: Room, kind: Kind, name: str) -> None:
        """Start with nothing."""
        self._room = room
        self.kind = kind
        self.name = name
        self.held: dict[str, tuple[Role, int]] = {}

    def manifest(self, data: bytes, expected: str = "") -> OciManifest:
        """Bring a manifest, and return it parsed.

        Raises:
            DigestMismatchError: It has another digest.
            BadManifestError, CollectLimitError: It cannot be carried.

        """
        digest = f"{_PREFIX}{sha256(data)}"
        if expected not in {"", digest}:
            what = f"A manifest of {self.name} does not hash to {expected[:19]}."
            raise DigestMismatchError(what, expected=expected)
        if sum(role is Role.MANIFEST for role, _ in self.held.values()) >= MANIFESTS_LIMIT:
            what = f"One tag of {self.name} leads to more than {MANIFESTS_LIMIT} manifests."
            raise CollectLimitError(what, limit="MANIFESTS_LIMIT")
        manifest = parse_manifest(data)
        self.held[self._room.keep(data)] = (Role.MANIFEST, len(data))
        return manifest

    def blob(self, wanted: Descriptor, fetch: Callable[[], AbstractContextManager[BinaryIO]]) -> None:
        """Bring a blob unless it is held; `fetch` returns a context with a stream.

        Raises:
            DigestMismatchError: Other bytes, or another length, than its manifest says.

        """
        if not wanted.sha256:
            what = f"A blob of {self.name} has a digest of another kind than SHA-256."
            raise ManifestError(what, advice="Only images whose digests are SHA-256 can be carried.")
        blobs, limit = self._room.blobs, self._room.limits.file_bytes
        try:
            if not blobs.has(wanted.sha256):
                self._room.progress.start(f"image {wanted.digest[7:19]}", wanted.size)
                with fetch() as stream:
                    blobs.put_stream(stream, expected=wanted.sha256, limit=limit)
                self._room.progress.finish()
        except BlobMismatchError as error:
            what = f"A blob of {self.name} does not hash to what its manifest says."
            raise DigestMismatchError(what, expected=wanted.digest) from error
        if blobs.size(wanted.sha256) != wanted.size:
            what = f"A blob of {self.name} has another length than its manifest says."
            raise DigestMismatchError(what, expected=wanted.digest)
        self.held.setdefault(wanted.sha256, (Role.BLOB, wanted.size))

    def artifact(self, root: str, tags: Iterable[str], section: OciSection | OllamaSection) -> Artifact:
        """Return what was brought, as a lock lists it."""
        source = f"oci:{self.name}"
        folder = f"{self.kind}/{self.name}/{root}"
        files = tuple(
            ArtifactFile(path=f"{folder}/{digest}", role=role, size=size, sha256=digest, source=source)
            for digest, (role, size) in sorted(self.held.items())
        )
        purl = PackageURL(
            type="oci",
            name=self.name.rpartition("/")[2],
            version=f"{_PREFIX}{root}",
            qualifiers={"repository_url": self.name},
        )
        return Artifact(
            purl=purl.to_string(),
            kind=self.kind,
            name=self.name,
            version=f"{_PREFIX}{root}",
            files=files,
            licence=section.licence,
            label=section.label,
            attributes={"tags": " ".join(sorted(tags))},
        )


def images(
    room: Room,
    clients: Clients,
    sections: Iterable[OciSection],
    previous: Lock | None,
    *,
    offline: bool,
) -> list[Artifact]:
    """Return an artifact for each digest that the sections' tags stand for.

    Raises:
        UnresolvableError: No such image, or no chosen platform of it.
        DigestMismatchError, BadManifestError: What a source gave.
        InstallerError, UnreachableError, CollectLimitError: The machine or its network.

    """
    found: list[Artifact] = []
    for section in sections:
        if offline and not is_local(section):
            found += _held_before(room, section, previous)
            continue
        copier = demand_copier(clients)
        tagged: dict[str, list[str]] = {}
        for tag in section.tags:
            raw = copier.raw(source_of(room, section, tag), plain=section.plain_http)
            tagged.setdefault(sha256(raw), []).append(tag)
        for tags in tagged.values():
            found.append(_image(room, clients, section, tags))
    return found


def ollama_models(
    room: Room, clients: Clients, sections: Iterable[OllamaSection], *, offline: bool
) -> list[Artifact]:
    """Return an artifact for each digest that the tags of models stand for.

    Raises:
        UnresolvableError: No such model, or the collection is offline.
        DigestMismatchError, BadManifestError: What the registry gave.
        UnreachableError, CollectLimitError: The registry or a bound.

    """
    found: list[Artifact] = []
    for section in sections:
        if offline:
            what = f"The model {section.model} comes from a registry, and the collection is offline."
            raise UnresolvableError(what, advice="Collect it with the network.")
        registry = clients.registries(section.registry, section.plain_http)
        tagged: dict[bytes, list[str]] = {}
        for tag in section.tags:
            data = registry.manifest(section.repository, tag)
            if data is None:
                what = f"The registry has no model {section.model}:{tag}."
                raise UnresolvableError(what, advice="Check the model's name and tag.")
            tagged.setdefault(data, []).append(tag)
        for data, tags in tagged.items():
            bringing = Bringing(room, Kind.OLLAMA, section.name)
            for blob in bringing.manifest(data).blobs():
                bringing.blob(blob, partial(registry.blob, section.repository, blob.digest))
            found.append(bringing.artifact(sha256(data), tags, section))
    return found


def is_local(section: OciSection) -> bool:
    """Tell whether an image comes from the low side's own disk."""
    return bool(section.layout or section.oci_archive or section.docker_archive)


def source_of(room: Room, section: OciSection, tag: str) -> str:
    """Return an image's place as skopeo writes it."""
    if section.layout:
        return f"oci:{room.folder / section.layout}:{tag}"
    if section.oci_archive:
        return f"oci-archive:{room.folder / section.oci_archive}:{tag}"
    if section.docker_archive:
        return f"docker-archive:{room.folder / section.docker_archive}:{section.image}:{tag}"
    return f"docker://{section.image}:{tag}"


def _held_before(room: Room, section: OciSection, previous: Lock | None) -> list[Artifact]:
    """Return what the previous lock has of a section, where the store still holds all of it."""
    mine = [
        a for a in (previous.artifacts if previous else ()) if (a.kind, a.name) == (Kind.OCI, section.name)
    ]
    tags = {tag for a in mine for tag in a.attributes["tags"].split()}
    if not set(section.tags) <= tags or not all(room.blobs.has(f.sha256) for a in mine for f in a.files):
        what = f"The image {section.image} was not collected before, and the collection is offline."
        raise UnresolvableError(what, advice="Collect it with the network.")
    return mine


def demand_copier(clients: Clients) -> ImageCopier:
    """Return the client that copies images.

    Raises:
        InstallerError: This collection has none.

    """
    if clients.copier is None:
        what = "The manifest has container images, and this collection has no client for them."
        raise InstallerError(what, advice="Install skopeo, or collect where it is installed.")
    return clients.copier


def _image(room: Room, clients: Clients, section: OciSection, tags: list[str]) -> Artifact:
    """Bring what tags stand for, which all stand for one digest."""
    bringing, copier = Bringing(room, Kind.OCI, section.name), demand_copier(clients)
    source = source_of(room, section, tags[0])
    with _layout(room) as layout:
        if section.docker_archive:  # it has no digests that could stay what they are
            copier.copy(source, layout, keep=False)
            raw = (layout / "blobs" / "sha256" / _only(layout)).read_bytes()
        else:
            raw = copier.raw(source, plain=section.plain_http)
        manifest = bringing.manifest(raw)
        if not section.docker_archive:
            whole = source if is_local(section) else f"docker://{section.image}@{_PREFIX}{sha256(raw)}"
            _copy_chosen(copier, section, whole, manifest, layout)
        _take(bringing, manifest, layout, section)
    if section.referrers and not is_local(section):
        host, _, repository = section.image.partition("/")
        _bring_referrers(bringing, clients.registries(host, section.plain_http), repository)
    return bringing.artifact(sha256(raw), tags, section)


def _copy_chosen(
    copier: ImageCopier, section: OciSection, whole: str, manifest: OciManifest, layout: Path
) -> None:
    """Have the whole image copied, or the chosen platforms of an index, each by its digest."""
    if is_local(section) or not (manifest.is_index and section.platforms):
        copier.copy(whole, layout, plain=section.plain_http)
        return
    chosen = list(_chosen(section, manifest))
    if not chosen:
        what = f"{section.image}:{section.tags[0]} has none of the platforms {', '.join(section.platforms)}."
        raise UnresolvableError(what, advice="`skopeo inspect --raw` lists the platforms of an image.")
    for entry in chosen:
        copier.copy(f"docker://{section.image}@{entry.digest}", layout, plain=section.plain_http)


def _chosen(section: OciSection, manifest: OciManifest) -> Iterator[Descriptor]:
    """Yield the entries of an index that were asked for; what has no platform goes with them all."""
    for entry in manifest.manifests or ():
        said = entry.platform or {}
        name = "/".join(str(said[key]) for key in ("os", "architecture", "variant") if said.get(key))
        if not section.platforms or any(name == p or name.startswith(f"{p}/") for p in section.platforms):
            yield entry


def _take(bringing: Bringing, manifest: OciManifest, layout: Path, section: OciSection) -> None:
    """Bring what a layout holds of a manifest, however deep indexes lie in one another."""
    waiting = [manifest]
    while waiting:
        current = waiting.pop()
        for blob in current.blobs():
            if not blob.urls:
                bringing.blob(blob, partial(_opened, layout / "blobs" / "sha256" / blob.sha256))
        for entry in _chosen(section, current):
            file = layout / "blobs" / "sha256" / entry.sha256
            if not entry.sha256 or not file.is_file():
                what = f"skopeo did not bring the manifest {entry.digest[:19]} of {bringing.name}."
                raise UnresolvableError(what)
            waiting.append(bringing.manifest(file.read_bytes(), entry.digest))


def _bring_referrers(bringing: Bringing, registry: Registry, repository: str) -> None:
    """Bring what refers to the manifests, and what refers to that: by the list, or by the fallback tag.

    cosign's older signatures and attestations refer to nothing: they are found by their tags alone.
    """
    waiting = [d for d, (role, _) in bringing.held.items() if role is Role.MANIFEST]
    for digest in tuple(waiting):
        _bring_tagged(bringing, registry, repository, digest)
    while waiting:
        for entry in referrers_of(registry, repository, waiting.pop()):
            if entry.sha256 in bringing.held:
                continue
            data = registry.manifest(repository, entry.digest)
            if data is None:
                what = f"The registry lists the referrer {entry.digest[:19]} and does not have it."
                raise UnresolvableError(what)
            for blob in bringing.manifest(data, entry.digest).blobs():
                bringing.blob(blob, partial(registry.blob, repository, blob.digest))
            waiting.append(entry.sha256)


def referrers_of(registry: Registry, repository: str, digest: str) -> tuple[Descriptor, ...]:
    """Return what refers to a manifest: by the registry's list, or by the fallback tag."""
    listed = registry.referrers(repository, f"{_PREFIX}{digest}")
    if listed is None:
        listed = registry.manifest(repository, f"sha256-{digest}")
    return (parse_manifest(listed).manifests or ()) if listed else ()


def tagged_for(registry: Registry, repository: str, digest: str) -> Iterator[tuple[str, bytes]]:
    """Yield tags that cosign's older signatures and attestations of a manifest have, with what is there."""
    for end in COSIGN_TAGS:
        tag = f"sha256-{digest}.{end}"
        if (data := registry.manifest(repository, tag)) is not None:
            yield tag, data


def _bring_tagged(bringing: Bringing, registry: Registry, repository: str, digest: str) -> None:
    """Bring the signatures and attestations that cosign's tags name for a manifest."""
    for _, data in tagged_for(registry, repository, digest):
        if sha256(data) not in bringing.held:
            for blob in bringing.manifest(data).blobs():
                bringing.blob(blob, partial(registry.blob, repository, blob.digest))


def _opened(file: Path) -> BinaryIO:
    return file.open("rb")


def _only(layout: Path) -> str:
    """Return the digest of the one image in a layout that skopeo made."""
    listed = parse_manifest((layout / "index.json").read_bytes()).manifests or ()
    return listed[-1].sha256


@contextmanager
def _layout(room: Room) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="oci-", dir=room.work))
    try:
        yield folder / "layout"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
