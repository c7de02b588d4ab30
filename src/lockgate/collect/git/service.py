"""git repositories: references resolved to commits, fetched, checked, bundled."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from packageurl import PackageURL

from lockgate.collect.errors import CollectLimitError, DuplicateNameError, UnresolvableError
from lockgate.collect.git.client import GitClient
from lockgate.collect.git.section import GitSection
from lockgate.collect.room import Room
from lockgate.collect.web import shown
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.git import is_commit, refs_of, refs_text


def repositories(
    room: Room, client: GitClient, sections: Iterable[GitSection], previous: Lock | None, *, offline: bool
) -> list[Artifact]:
    """Return an artifact for each repository.

    What has the same references as in the previous lock stays what it was, byte for byte.

    Raises:
        UnresolvableError, DuplicateNameError: The tables.
        BadRepositoryError: What a repository gave.
        CollectLimitError, InstallerError, UnreachableError: A bound or the machine.

    """
    found: dict[str, Artifact] = {}
    for section in sections:
        if section.mirrored in found:
            what = f"The manifest names the repository {section.mirrored!r} twice."
            raise DuplicateNameError(what)
        held = _held(room, section, previous)
        if offline and not section.local:
            if held is None:
                what = (
                    f"The repository {section.mirrored} was not collected before; the collection is offline."
                )
                raise UnresolvableError(what, advice="Collect it with the network.")
            found[section.mirrored] = held
            continue
        found[section.mirrored] = _collect(room, client, section, held)
    return list(found.values())


def _collect(room: Room, client: GitClient, section: GitSection, held: Artifact | None) -> Artifact:
    url = str((room.folder / section.url).absolute()) if section.local else section.url
    with TemporaryDirectory(dir=room.work, prefix="git-") as folder:
        room.progress.start(f"git {section.mirrored[:60]}", 0)
        refs = _resolve(client, section, url, Path(folder))
        if held is not None and refs_of(held.attributes["refs"]) == refs:
            room.progress.finish()
            return _artifact(section, refs, held.files[0].sha256, held.files[0].size)
        bundle = client.bundle(url, refs, Path(folder), room.progress.advance)
        size = bundle.stat().st_size
        if size > room.limits.git_bytes:
            what = f"The bundle of {section.mirrored} has {size} bytes."
            raise CollectLimitError(what, limit="git_bytes")
        with bundle.open("rb") as stream:
            digest, size = room.blobs.put_stream(stream, limit=room.limits.git_bytes)
        room.progress.finish()
    return _artifact(section, refs, digest, size)


def _resolve(client: GitClient, section: GitSection, url: str, work: Path) -> dict[str, str]:
    """Return each wanted reference by its whole name with its object; a commit becomes a pin."""
    offered = client.offered(url, work)
    refs: dict[str, str] = {}
    for wanted in section.refs:
        if is_commit(wanted):
            refs[f"refs/pins/{wanted}"] = wanted
            continue
        name = next((n for n in (f"refs/heads/{wanted}", f"refs/tags/{wanted}") if n in offered), "")
        if not name or not is_commit(offered[name]):
            what = f"The repository {section.mirrored} has no branch or tag {wanted!r} that can be carried."
            raise UnresolvableError(what, advice="`git ls-remote` shows what it offers.")
        refs[name] = offered[name]
    return refs


def _held(room: Room, section: GitSection, previous: Lock | None) -> Artifact | None:
    for artifact in previous.artifacts if previous else ():
        mine = (artifact.kind, artifact.name) == (Kind.GIT, section.mirrored)
        if mine and all(room.blobs.has(file.sha256) for file in artifact.files):
            return artifact
    return None


def _artifact(section: GitSection, refs: dict[str, str], digest: str, size: int) -> Artifact:
    commit = next(iter(refs.values()))
    purl = PackageURL(type="generic", namespace="git", name=section.mirrored, version=commit)
    file = ArtifactFile(
        path=f"git/{section.mirrored}/{commit}.bundle",
        role=Role.DISTRIBUTION,
        size=size,
        sha256=digest,
        source="" if section.local else shown(section.url),
    )
    return Artifact(
        purl=purl.to_string(),
        kind=Kind.GIT,
        name=section.mirrored,
        version=commit,
        files=(file,),
        licence=section.licence,
        label=section.label,
        attributes={"refs": refs_text(refs)},
    )
