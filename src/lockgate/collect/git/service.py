"""git repositories: references resolved to commits, fetched, checked, bundled."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from packageurl import PackageURL

from lockgate.collect.errors import (
    CollectLimitError,
    DigestMismatchError,
    DuplicateNameError,
    UnresolvableError,
)
from lockgate.collect.git.client import GitClient, LargeFiles
from lockgate.collect.git.section import GitSection
from lockgate.collect.room import Room
from lockgate.collect.web import shown
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.git import is_commit, large_path, refs_of, refs_text
from lockgate.store.errors import BlobMismatchError


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


def foreseen(
    room: Room, client: GitClient, sections: Iterable[GitSection], previous: Lock | None
) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Yield the name of each repository with its references before and then; nothing is fetched.

    Raises:
        UnresolvableError, UnreachableError: A reference or the repository is not there.

    """
    held = {a.name: a for a in (previous.artifacts if previous else ()) if a.kind is Kind.GIT}
    for section in sections:
        url = str((room.folder / section.url).absolute()) if section.local else section.url
        with TemporaryDirectory(dir=room.work, prefix="git-") as folder:
            now = _told(_resolve(client, section, url, Path(folder)))
        before = held.pop(section.mirrored, None)
        yield section.mirrored, _told(refs_of(before.attributes["refs"])) if before else (), now
    for name, gone in held.items():
        yield name, _told(refs_of(gone.attributes["refs"])), ()


def _told(refs: Mapping[str, str]) -> tuple[str, ...]:
    """Return references as people compare them: the name, and the beginning of the commit."""
    return tuple(f"{name.removeprefix('refs/')} {commit[:12]}" for name, commit in sorted(refs.items()))


def _collect(room: Room, client: GitClient, section: GitSection, held: Artifact | None) -> Artifact:
    url = str((room.folder / section.url).absolute()) if section.local else section.url
    with TemporaryDirectory(dir=room.work, prefix="git-") as folder:
        room.progress.start(f"git {section.mirrored[:60]}", 0)
        refs = _resolve(client, section, url, Path(folder))
        if held is not None and refs_of(held.attributes["refs"]) == refs:
            room.progress.finish()
            return _artifact(section, refs, held.files)
        bundle = client.bundle(url, refs, Path(folder), room.progress.advance)
        size = bundle.stat().st_size
        if size > room.limits.git_bytes:
            what = f"The bundle of {section.mirrored} has {size} bytes."
            raise CollectLimitError(what, limit="git_bytes")
        with bundle.open("rb") as stream:
            digest, size = room.blobs.put_stream(stream, limit=room.limits.git_bytes)
        source = "" if section.local else shown(section.url)
        path = f"git/{section.mirrored}/{next(iter(refs.values()))}.bundle"
        file = ArtifactFile(path=path, role=Role.DISTRIBUTION, size=size, sha256=digest, source=source)
        files = (file, *_large(room, section, client.large(url, refs, Path(folder), room.progress.advance)))
        room.progress.finish()
    return _artifact(section, refs, files)


def _large(room: Room, section: GitSection, found: LargeFiles) -> list[ArtifactFile]:
    """Bring the large files (Git LFS) that the references name, each checked by its digest."""
    if not found.sought:
        room.note(f"git-lfs is not installed: nobody looked whether {section.mirrored} has large files.")
    files = []
    source = "" if section.local else shown(section.url)
    for oid, named in sorted(found.paths.items()):
        file = found.file(oid)
        if not file.is_file():
            what = f"The repository {section.mirrored} names the large file {oid[:16]}…, which did not come."
            raise UnresolvableError(what, advice="`git lfs fetch` in a clone shows what its server lacks.")
        try:
            with file.open("rb") as stream:
                _, size = room.blobs.put_stream(stream, expected=oid, limit=room.limits.git_bytes)
        except BlobMismatchError as error:
            what = f"The large file {oid[:16]}… of {section.mirrored} does not hash to its name."
            raise DigestMismatchError(what, expected=oid) from error
        path = large_path(section.mirrored, oid, named)
        files.append(ArtifactFile(path=path, role=Role.BLOB, size=size, sha256=oid, source=source))
    return files


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


def _artifact(section: GitSection, refs: dict[str, str], files: tuple[ArtifactFile, ...]) -> Artifact:
    commit = next(iter(refs.values()))
    purl = PackageURL(type="generic", namespace="git", name=section.mirrored, version=commit)
    return Artifact(
        purl=purl.to_string(),
        kind=Kind.GIT,
        name=section.mirrored,
        version=commit,
        files=files,
        licence=section.licence,
        label=section.label,
        attributes={"refs": refs_text(refs)},
    )
