"""npm packages: resolve with npm, fetch what is not held, keep what archive and registry say."""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha1, sha512
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from lockgate.collect.errors import (
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    DuplicateNameError,
    LockfileError,
    SourceMissingError,
    UnresolvableError,
)
from lockgate.collect.npm.attested import Asked, attestations, named_in, sources_of
from lockgate.collect.npm.facts import Described, attributes_of, describe, registry_says
from lockgate.collect.npm.lockfile import for_platforms, read_lock, sha512_hex
from lockgate.collect.npm.ports import Locked, NpmClient, Project
from lockgate.collect.npm.section import NpmSection, split_spec
from lockgate.collect.npm.tarball import read_tarball
from lockgate.collect.room import Room
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.errors import LockgateError
from lockgate.core.npm import NPM_LIMIT, NpmVersion, npm_purl, tarball_name
from lockgate.core.wire import decode, encode

ASKERS = 4
"""How many packages the registry is asked about at a time."""

_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version with the label and the project settings of its section."""

    locked: Locked
    label: str
    settings: bytes | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Return name and version."""
        return self.locked.name, self.locked.version


def npm_packages(
    room: Room, client: NpmClient, sections: Iterable[NpmSection], previous: Lock | None
) -> list[Artifact]:
    """Return an artifact for each package version that the sections need.

    Archives that the previous lock lists and the store holds are not fetched again; what the registry
    says (deprecations, tags, maintainers) is asked anew each time.

    Raises:
        UnresolvableError, LockfileError, NotFromRegistryError, SourceMissingError: The section.
        DigestMismatchError, BadTarballError: What the registry gave.
        CollectLimitError, DiskFullError, InstallerError, UnreachableError: A bound or the machine.

    """
    wanted = _wanted(room, client, sections)
    said = _ask(room, client, wanted.values())
    held = _held(room, previous)
    _fetch(room, client, [one for one in wanted.values() if one.locked.integrity not in held], said, held)
    asked = [
        Asked(*key, address, one.settings) for key, one in wanted.items() if (address := named_in(said[key]))
    ]
    beside = attestations(room, client, asked, previous)
    return [
        _artifact(room, one, said[key], held[one.locked.integrity], beside.get(key))
        for key, one in wanted.items()
    ]


def foreseen(
    room: Room, client: NpmClient, sections: Iterable[NpmSection]
) -> list[tuple[str, str, int, Mapping[str, str]]]:
    """Return name, version, unpacked size and attributes of what the sections need, as registries say it.

    Raises:
        LockgateError: As `npm_packages`, but for what only archives can show.

    """
    said = _ask(room, client, _wanted(room, client, sections).values())
    return [(*key, _unpacked(entry), attributes_of(registry_says(key, entry))) for key, entry in said.items()]


def _wanted(room: Room, client: NpmClient, sections: Iterable[NpmSection]) -> dict[tuple[str, str], Wanted]:
    wanted: dict[tuple[str, str], Wanted] = {}
    for section in sections:
        for one in _resolve(room, client, section):
            before = wanted.setdefault(one.key, one)
            if before.label != one.label or before.locked.integrity != one.locked.integrity:
                what = (
                    f"Two sections want {one.locked.name} {one.locked.version} under two labels or digests."
                )
                raise DuplicateNameError(what, labels=f"{before.label}, {one.label}")
    return wanted


def project_of(packages: Iterable[str]) -> bytes:
    """Return a package.json that depends on each of a list, under names that cannot collide."""
    specs = sorted({split_spec(text) for text in packages})
    depends = {f"wanted-{n}": f"npm:{name}@{wanted}" for n, (name, wanted) in enumerate(specs)}
    return json.dumps(
        {"name": "wanted", "version": "1.0.0", "private": True, "dependencies": depends}
    ).encode()


def _resolve(room: Room, client: NpmClient, section: NpmSection) -> list[Wanted]:
    settings = None
    if section.lockfile is not None:
        lock, name = _file(room, section.lockfile), section.lockfile
        settings = _settings(room, section.lockfile)
    elif section.package_json is not None:
        name = section.package_json
        settings = _settings(room, section.package_json)
        lock = _lock(room, client, Project(_checked(_file(room, name), name), settings), name)
    else:
        name = ", ".join(section.packages)
        lock = _lock_list(room, client, section.packages, name)
    found = for_platforms(read_lock(lock, Path(name).name, room.limits), section.platforms)
    return [
        Wanted(one, section.label, settings) for one in found if section.development or not one.development
    ]


def _lock_list(room: Room, client: NpmClient, packages: tuple[str, ...], name: str) -> bytes:
    """Resolve a list as one project, so that its packages share what they depend on.

    Packages of a list need not fit together: where they do not, each is resolved by itself.
    """
    try:
        return _lock(room, client, Project(project_of(packages)), name)
    except UnresolvableError as error:
        if "ERESOLVE" not in error.what or len(packages) == 1:
            raise
    room.note("The npm packages of a list do not fit into one project; each was resolved by itself.")
    merged: dict[str, Any] = {}
    for number, text in enumerate(packages):
        lock = json.loads(_lock(room, client, Project(project_of([text])), text))
        merged |= {f"{number}/{key}": value for key, value in lock.get("packages", {}).items() if key}
    return json.dumps({"lockfileVersion": 3, "packages": merged}).encode()


def _lock(room: Room, client: NpmClient, project: Project, name: str) -> bytes:
    with TemporaryDirectory(dir=room.work, prefix="npm-resolve-") as folder:
        room.progress.start(f"resolve {name[:60]}", 0)
        data = client.lock(project, Path(folder), room.progress.advance)
        room.progress.finish()
    return data


def _file(room: Room, name: str) -> bytes:
    try:
        with (room.folder / name).open("rb") as stream:
            data = stream.read(room.limits.report_bytes + 1)
    except OSError as error:
        what = f"A file of the manifest cannot be read: {error.strerror}."
        raise SourceMissingError(what, file=name) from error
    if len(data) > room.limits.report_bytes:
        what = f"{name} is longer than {room.limits.report_bytes} bytes."
        raise CollectLimitError(what, limit="report_bytes")
    return data


def _settings(room: Room, name: str) -> bytes | None:
    """Return the .npmrc beside a project's file, which may name registries for scopes."""
    beside = Path(name).parent / ".npmrc"
    return _file(room, str(beside)) if (room.folder / beside).is_file() else None


def _checked(data: bytes, name: str) -> bytes:
    """Demand a package.json that depends on nothing outside registries: npm would go and look there."""
    try:
        package = json.loads(data)
    except (ValueError, RecursionError) as error:
        what = f"{name} is not JSON: {error}."
        raise LockfileError(what) from error
    if not isinstance(package, dict) or "workspaces" in package:
        what = f"{name} is no package.json of one project."
        advice = "Name the package-lock.json of a project with workspaces as `lockfile`."
        raise LockfileError(what, advice=advice)
    for table in ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies"):
        entries = package.get(table) or {}
        for depends, wanted in entries.items() if isinstance(entries, dict) else [(table, entries)]:
            if not _from_registry(wanted):
                what = f"{name}: {depends[:80]} comes from {str(wanted)[:80]!r}, which is no registry's."
                raise LockfileError(what, advice="Depend on versions of a registry only.")
    return data


def _from_registry(wanted: object) -> bool:
    if not isinstance(wanted, str):
        return False
    try:
        split_spec(wanted.removeprefix("npm:") if wanted.startswith("npm:") else f"x@{wanted or '*'}")
    except ValueError:
        return False
    return True


def _ask(
    room: Room, client: NpmClient, wanted: Iterable[Wanted]
) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """Ask the registry about each package once, several at a time."""
    by_name: dict[str, list[Wanted]] = {}
    for one in wanted:
        by_name.setdefault(one.locked.name, []).append(one)
    room.progress.start("ask about npm packages", len(by_name))

    def ask(name: str) -> Mapping[str, Mapping[str, Any]]:
        versions = [one.locked.version for one in by_name[name]]
        with TemporaryDirectory(dir=room.work, prefix="npm-ask-") as folder:
            answer = client.describe(name, versions, Path(folder), by_name[name][0].settings)
        room.progress.advance(1)
        return answer

    with ThreadPoolExecutor(ASKERS) as pool:
        answers = list(pool.map(ask, by_name))
    room.progress.finish()
    return {
        (name, version): said
        for name, answer in zip(by_name, answers, strict=True)
        for version, said in answer.items()
    }


def _held(room: Room, previous: Lock | None) -> dict[str, str]:
    """Return SHA-256 by SHA-512 text of the archives that the previous lock lists and the store holds."""
    held: dict[str, str] = {}
    for artifact in previous.artifacts if previous else ():
        if artifact.kind is not Kind.NPM:
            continue
        roles = {file.role: file.sha256 for file in artifact.files}
        archive, facts = roles.get(Role.DISTRIBUTION, ""), roles.get(Role.CORE_METADATA, "")
        try:
            known = decode(NpmVersion, room.blobs.read(facts), limit=NPM_LIMIT)
            if room.blobs.has(archive) and _held_digests(room, archive)[0] == sha512_hex(known.integrity):
                held[known.integrity] = archive
        except LockgateError:
            continue  # it is fetched again, and compared with what the registry promises
    return held


def _fetch(
    room: Room,
    client: NpmClient,
    missing: list[Wanted],
    said: Mapping[tuple[str, str], Mapping[str, Any]],
    held: dict[str, str],
) -> None:
    """Bring archives into the store, each compared with its SHA-512, and note what they are held as."""
    by_settings: dict[bytes | None, list[Wanted]] = {}
    for one in missing:
        by_settings.setdefault(one.settings, []).append(one)
    _demand_space(room, sum(_unpacked(said[one.key]) for one in missing))
    for settings, group in by_settings.items():
        room.progress.start(f"download {len(group)} npm packages", 0)
        with TemporaryDirectory(dir=room.work, prefix="npm-fetch-") as folder:
            paths = client.fetch([one.locked for one in group], Path(folder), room.progress.advance, settings)
            for one in group:
                held[one.locked.integrity] = _keep(room, one.locked, paths[one.key])
        room.progress.finish()


def _keep(room: Room, one: Locked, path: Path) -> str:
    """Bring an archive into the store; one with another SHA-512 never gets there."""
    with path.open("rb") as stream:
        if _digests(stream)[0] != sha512_hex(one.integrity):
            what = f"The registry's archive of {one.name} {one.version} does not hash to what the lock says."
            raise DigestMismatchError(what, expected=one.integrity)
        stream.seek(0)
        digest, _ = room.blobs.put_stream(stream, limit=room.limits.file_bytes)
    path.unlink()
    return digest


def _digests(stream: BinaryIO) -> tuple[str, str]:
    """Return SHA-512 and SHA-1 (which old clients compare) of an archive."""
    long, short = sha512(), sha1(usedforsecurity=False)
    while piece := stream.read(_BUFFER):
        long.update(piece)
        short.update(piece)
    return long.hexdigest(), short.hexdigest()


def _held_digests(room: Room, digest: str) -> tuple[str, str]:
    with room.blobs.open(digest) as stream:
        return _digests(stream)


def _unpacked(said: Mapping[str, Any]) -> int:
    dist = said.get("dist")
    size = dist.get("unpackedSize") if isinstance(dist, dict) else 0
    return size if isinstance(size, int) and size > 0 else 0


def _demand_space(room: Room, size: int) -> None:
    free = room.free()
    if size > free:
        what = f"Packages of {size} bytes (unpacked) are to be fetched and only {free} are free."
        raise DiskFullError(what, folder=room.work)


def _artifact(
    room: Room, one: Wanted, said: Mapping[str, Any], archive: str, attested: ArtifactFile | None
) -> Artifact:
    locked = one.locked
    filename = tarball_name(locked.name, locked.version)
    long, short = _held_digests(room, archive)
    if long != sha512_hex(locked.integrity):
        what = f"{filename} in the store is not what the lock says."
        raise DigestMismatchError(what, expected=locked.integrity)
    made = describe(locked, short, read_tarball(room.blobs.path(archive), filename, room.limits), said)
    facts = encode(made.version)
    if len(facts) > NPM_LIMIT:
        what = f"What is to be kept of {locked.name} {locked.version} is longer than {NPM_LIMIT} bytes."
        raise CollectLimitError(what, limit="NPM_LIMIT")
    path = f"npm/{locked.name}/{filename}"
    files: tuple[ArtifactFile, ...] = (
        ArtifactFile(
            path=path,
            role=Role.DISTRIBUTION,
            size=room.blobs.size(archive),
            sha256=archive,
            source=npm_purl(locked.name, locked.version),
            uploaded=made.version.published,
        ),
        ArtifactFile(path=f"{path}.json", role=Role.CORE_METADATA, size=len(facts), sha256=room.keep(facts)),
    )
    attributes = attributes_of(made)
    if attested is not None:
        files = (*files, attested)
        attributes["publishers"] = ", ".join(sources_of(room.blobs.read(attested.sha256)))
    _notes(room, made)
    return Artifact(
        purl=npm_purl(locked.name, locked.version),
        kind=Kind.NPM,
        name=locked.name,
        version=locked.version,
        files=files,
        licence=made.version.licence or "unknown",
        label=one.label,
        attributes={key: value for key, value in attributes.items() if value},
    )


def _notes(room: Room, made: Described) -> None:
    name = f"{made.version.name} {made.version.version}"
    if made.version.deprecated:
        room.note(f"{name} is deprecated upstream: {made.version.deprecated[:200]}")
    if made.version.install_script:
        room.note(f"{name} runs a script when it is installed.")
    if made.differs:
        room.note(f"{name}: its registry and its archive disagree about {', '.join(made.differs)}.")
