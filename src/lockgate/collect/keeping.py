"""What ecosystems with an index share: packages as the store keeps them, and those of an earlier lock."""

from collections.abc import Iterable, Mapping

from lockgate.collect.errors import UnresolvableError
from lockgate.collect.room import Room
from lockgate.collect.wheels import LICENCE_TEXT, spdx
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.wire import Document, encode


def held_before(room: Room, kind: Kind, repository: str, previous: Lock | None) -> list[Artifact]:
    """Return what the previous lock has of a repository, where the store still holds all of it.

    Args:
        room: The collection.
        kind: The packages' kind.
        repository: The name that the manifest gives it.
        previous: The lock before, where there is one.

    Raises:
        UnresolvableError: It has none, or the store lacks a file.

    """
    artifacts = previous.artifacts if previous else ()
    mine = [a for a in artifacts if a.kind is kind and a.name.startswith(f"{repository}/")]
    if not mine or not all(room.blobs.has(f.sha256) for a in mine for f in a.files):
        what = f"The packages of {repository} were not collected before, and the collection is offline."
        raise UnresolvableError(what, advice="Collect them with the network.")
    return mine


def joined_with(made: Iterable[Artifact], kept: Iterable[Artifact]) -> list[Artifact]:
    """Return what was made now and, of what was kept from before, what was not made anew."""
    fresh = list(made)
    known = {artifact.purl for artifact in fresh}
    return [*fresh, *(artifact for artifact in kept if artifact.purl not in known)]


def package_files(
    room: Room, path: str, digest: str, purl: str, package: Document
) -> tuple[ArtifactFile, ...]:
    """Return the files of a package that the store holds: itself, and beside it what its index says of it."""
    known = encode(package)
    distribution = ArtifactFile(
        path=path, role=Role.DISTRIBUTION, size=room.blobs.size(digest), sha256=digest, source=purl
    )
    metadata = ArtifactFile(
        path=f"{path}.json", role=Role.CORE_METADATA, size=len(known), sha256=room.keep(known)
    )
    return distribution, metadata


def licence_of(text: str) -> str:
    """Return a licence as an index writes it: an SPDX expression where it is one, else its beginning."""
    licence = " ".join(text.split())[:LICENCE_TEXT]
    return spdx(licence) or licence or "unknown"


Foreseen = tuple[str, str, int, Mapping[str, str]]
"""What a plan says of a package before it is fetched: name, version, size in bytes, attributes."""
