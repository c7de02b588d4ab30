"""What collecting images and Ollama's models again would bring, before a blob is fetched.

A tag may stand for another digest by now; and signatures, attestations and bills of materials are pushed to a
digest long after it was taken, without its changing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lockgate.collect.oci.registry import Registry
from lockgate.collect.oci.section import OciSection, OllamaSection
from lockgate.collect.oci.service import (
    Clients,
    demand_copier,
    is_local,
    referrers_of,
    source_of,
    tagged_for,
)
from lockgate.collect.room import Room
from lockgate.core.artifact import Kind, Lock, Role
from lockgate.core.digests import sha256

_SHORT = 12
_TYPE = 80


@dataclass(slots=True)
class SeenImage:
    """What the tags of one image stand for now, and what is new about digests that were taken before."""

    kind: Kind
    name: str
    digests: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)


def foreseen_images(
    room: Room,
    clients: Clients,
    sections: Iterable[OciSection],
    models: Iterable[OllamaSection],
    previous: Lock | None,
) -> list[SeenImage]:
    """Return what registries say of each image and model of the manifest; nothing is kept.

    Images from an archive of Docker's are left out: their digest is made when they are taken.

    Raises:
        LockgateError: As `images`, but for what only fetched bytes can show.

    """
    found: dict[tuple[Kind, str], SeenImage] = {}
    for section in sections:
        if section.docker_archive:
            continue
        one = found.setdefault((Kind.OCI, section.name), SeenImage(Kind.OCI, section.name))
        copier = demand_copier(clients)
        for tag in section.tags:
            digest = sha256(copier.raw(source_of(room, section, tag), plain=section.plain_http))
            if digest in one.digests:
                continue
            one.digests.add(digest)
            if section.referrers and not is_local(section):
                host, _, repository = section.image.partition("/")
                registry = clients.registries(host, section.plain_http)
                one.warnings += _news(registry, repository, _taken(previous, section.name, digest))
    for model in models:
        one = found.setdefault((Kind.OLLAMA, model.name), SeenImage(Kind.OLLAMA, model.name))
        registry = clients.registries(model.registry, model.plain_http)
        told = (registry.manifest(model.repository, tag) for tag in model.tags)
        one.digests |= {sha256(data) for data in told if data is not None}
    return list(found.values())


def _taken(previous: Lock | None, name: str, digest: str) -> frozenset[str]:
    """Return the manifests that the lock before has of an image, what refers to it included."""
    return frozenset(
        file.sha256
        for artifact in (previous.artifacts if previous else ())
        if (artifact.kind, artifact.name, artifact.version) == (Kind.OCI, name, f"sha256:{digest}")
        for file in artifact.files
        if file.role is Role.MANIFEST
    )


def _news(registry: Registry, repository: str, taken: frozenset[str]) -> Iterator[str]:
    """Yield what refers to manifests that were taken, and was not taken with them."""
    for digest in sorted(taken):
        for entry in referrers_of(registry, repository, digest):
            if entry.sha256 not in taken:
                kind = (entry.artifact_type or entry.media_type)[:_TYPE]
                yield f"new referrer to {digest[:_SHORT]}: {kind} {entry.sha256[:_SHORT]}"
        for tag, data in tagged_for(registry, repository, digest):
            if sha256(data) not in taken:
                what = "signature" if tag.endswith(".sig") else "attestation"
                yield f"new or changed {what} of {digest[:_SHORT]} by its tag: {sha256(data)[:_SHORT]}"
