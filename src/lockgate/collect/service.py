"""The use case of the low side: from a manifest to a lock whose bytes are all held."""

import errno
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from lockgate.collect.apt.ports import AptClient
from lockgate.collect.apt.service import apt_packages
from lockgate.collect.conda.ports import CondaSolver
from lockgate.collect.conda.service import conda_packages
from lockgate.collect.difference import Difference, compare
from lockgate.collect.documents import documents
from lockgate.collect.errors import (
    DiskFullError,
    DuplicateNameError,
    InstallerError,
    OnlyError,
    WorkFolderError,
)
from lockgate.collect.git.client import GitClient
from lockgate.collect.git.service import repositories as git_repositories
from lockgate.collect.hub import Hub, WebHub
from lockgate.collect.hub.service import repositories
from lockgate.collect.manifest import LoadedManifest, Manifest, load_manifest
from lockgate.collect.models import models
from lockgate.collect.npm.ports import NpmClient
from lockgate.collect.npm.service import npm_packages
from lockgate.collect.oci import ImageCopier, WebRegistry
from lockgate.collect.oci.service import Clients, Registries, images, ollama_models
from lockgate.collect.ports import Limits, Packages, Web
from lockgate.collect.pypi import artifacts, fetch, resolve_sections
from lockgate.collect.room import Room
from lockgate.collect.rpm.ports import RpmClient
from lockgate.collect.rpm.service import rpm_packages
from lockgate.collect.sbom import bill_of_materials
from lockgate.collect.sources import files
from lockgate.collect.universal.ports import Locker
from lockgate.core.artifact import LOCK_FORMAT, Artifact, Kind, Lock
from lockgate.core.ports import Clock, Progress
from lockgate.core.wire import whole_second
from lockgate.store import BlobStore
from lockgate.store.errors import StoreIoError

_KINDS = {"documents": str(Kind.DOCUMENT), "advisories": str(Kind.FILE), "trust_roots": str(Kind.FILE)}
"""What tables bring whose name is not the kind's own; tables of one kind are collected together."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def plain_registries(host: str, plain: bool) -> WebRegistry:  # noqa: FBT001  # the port's shape
    """Return a registry that is reached with the machine's own certificates and proxy."""
    return WebRegistry(host, plain=plain)


@dataclass(frozen=True, slots=True)
class Collected:
    """The outcome of a collection: every digest in `lock` is held by the blob store.

    `sbom` is CycloneDX 1.6 in JSON; `log` holds what a person should know (missing provenance,
    withdrawn versions).
    """

    lock: Lock
    sbom: bytes
    difference: Difference
    log: tuple[str, ...]


def collect(
    manifest: Path,
    *,
    blobs: BlobStore,
    work: Path,
    lane: str,
    clock: Clock,
    progress: Progress,
    packages: Packages,
    web: Web,
    locker: Locker | None = None,
    npm: NpmClient | None = None,
    apt: AptClient | None = None,
    rpm: RpmClient | None = None,
    conda: CondaSolver | None = None,
    git: GitClient | None = None,
    copier: ImageCopier | None = None,
    registries: Registries = plain_registries,
    hub: Hub | None = None,
    hub_endpoint: str = "",
    previous: Lock | None = None,
    only: Collection[str] = (),
    offline: bool = False,
    limits: Limits | None = None,
    free: Callable[[], int] | None = None,
) -> Collected:
    """Bring everything that a manifest asks for into the store, and return the lock over it.

    Nothing but blobs is written, each whole or not at all; a run that was cut off is repeated
    and finds what it already brought. When nothing changed since `previous`, that very lock is
    returned, so that its digest stays.

    Args:
        manifest: The TOML file; its paths are relative to its folder.
        blobs: Where bytes are kept.
        work: Folder for temporary files, made when missing, on the same disk as the store.
        lane: Name of the lane.
        clock: Gives the time that the lock carries.
        progress: Told about long work.
        packages: The package client.
        web: Reads index pages and addresses of the manifest.
        locker: The client that locks for several environments; needed where a table wants them.
        npm: The client of npm registries; needed where the manifest has npm packages.
        apt: apt with folders of its own; needed where the manifest has Debian packages.
        rpm: dnf with folders of its own; needed where the manifest has RPM packages.
        conda: A solver of conda's specs; needed where the manifest has conda packages.
        git: git; needed where the manifest has repositories of it.
        copier: The client of container registries; needed where the manifest has images.
        registries: Gives registries that are read directly.
        hub: Reads the Hugging Face Hub; over plain HTTP or TLS when left out.
        hub_endpoint: The Hub's address by the client's own setting; empty where it has none.
        previous: The lock before, if there is one.
        only: Tables of the manifest to collect; what other tables brought is taken from `previous` as it is.
            All of them when empty.
        offline: Use no package index, only local folders (`find_links`).
        limits: Bounds; the defaults when left out.
        free: Tells the free bytes in `work`; the disk's own number when left out.

    Raises:
        ManifestError, SourceMissingError, DuplicateNameError, MemberMissingError: The manifest.
        UnresolvableError, TargetError, NotAWheelError: The requirements.
        DigestMismatchError, BadWheelError: What a source gave.
        CollectLimitError: A bound.
        DiskFullError, InstallerError, UnreachableError: The machine.

    """
    bounds = limits or Limits()
    loaded = load_manifest(manifest, bounds)
    try:
        work.mkdir(parents=True, exist_ok=True)
        room = Room(
            folder=loaded.folder,
            work=work,
            blobs=blobs,
            packages=packages,
            web=web,
            npm=npm,
            locker=locker,
            progress=progress,
            limits=bounds,
            free=free or (lambda: shutil.disk_usage(work).free),
        )
        clients = Clients(copier, registries)
        chosen, kept = _chosen(loaded.content, only, previous)
        found = _gather(room, replace(loaded, content=chosen), previous, offline=offline)
        if chosen.apt:
            found += apt_packages(room, demand_apt(apt), chosen.apt, previous, offline=offline)
        if chosen.rpm:
            found += rpm_packages(room, demand_rpm(rpm), chosen.rpm, previous, offline=offline)
        if chosen.conda:
            found += conda_packages(room, demand_conda(conda), chosen.conda, previous, offline=offline)
        if chosen.git:
            found += git_repositories(room, demand_git(git), chosen.git, previous, offline=offline)
        found += images(room, clients, chosen.oci, previous, offline=offline)
        found += ollama_models(room, clients, chosen.ollama, offline=offline)
        found += repositories(room, hub or WebHub(), hub_endpoint, chosen.huggingface, offline=offline)
        found += kept
    except (OSError, StoreIoError) as error:
        raise _disk_error(error, work) from error
    lock = _lock(loaded, tuple(sorted(found, key=lambda a: a.purl)), lane, clock, previous)
    return Collected(lock, bill_of_materials(lock), compare(previous, lock), tuple(room.notes))


def _chosen(
    content: Manifest, only: Collection[str], previous: Lock | None
) -> tuple[Manifest, tuple[Artifact, ...]]:
    """Return the tables to collect, and what the previous lock has of the others.

    Raises:
        OnlyError: There is no such table in the manifest, or no lock to take the others from.

    """
    if not only:
        return content, ()
    tables = Manifest.__struct_fields__
    absent = [name for name in only if name not in tables or not getattr(content, name)]
    if absent or previous is None:
        what = f"The manifest has no table [[{absent[0][:40]}]]." if absent else "There is no lock to add to."
        raise OnlyError(what)
    kinds = {_KINDS.get(name, name) for name in only}
    chosen = structs.replace(content, **{t: () for t in tables if _KINDS.get(t, t) not in kinds})
    return chosen, tuple(a for a in previous.artifacts if str(a.kind) not in kinds)


def _gather(room: Room, loaded: LoadedManifest, previous: Lock | None, *, offline: bool) -> list[Artifact]:
    """Collect what is quick to check first, so that a mistake shows before a long download."""
    content = loaded.content
    single = (*content.file, *content.asset, *content.advisories, *content.rules, *content.trust_roots)
    found = [*documents(room, content.documents), *files(room, single)]
    wheels = resolve_sections(room, content.python, loaded.folder, offline=offline)
    found += models(room, content.model, previous, offline=offline)
    fetch(room, wheels)
    found += artifacts(room, wheels)
    if content.npm:
        found += npm_packages(room, demand_npm(room), content.npm, previous)
    return found


def demand_npm(room: Room) -> NpmClient:
    """Return the client of npm registries.

    Raises:
        InstallerError: There is none.

    """
    if room.npm is None:
        what = "The manifest has npm packages, and this collection has no client for them."
        raise InstallerError(what, advice="Install npm, or collect where it is installed.")
    return room.npm


def demand_apt(apt: AptClient | None) -> AptClient:
    """Return the client of Debian repositories.

    Raises:
        InstallerError: There is none.

    """
    if apt is None:
        what = "The manifest has Debian packages, and this collection has no client for them."
        raise InstallerError(what, advice="Collect on a machine that has apt.")
    return apt


def demand_rpm(rpm: RpmClient | None) -> RpmClient:
    """Return the client of RPM repositories.

    Raises:
        InstallerError: There is none.

    """
    if rpm is None:
        what = "The manifest has RPM packages, and this collection has no client for them."
        raise InstallerError(what, advice="Install dnf, or collect on a machine that has it.")
    return rpm


def demand_conda(conda: CondaSolver | None) -> CondaSolver:
    """Return the solver of conda's specs.

    Raises:
        InstallerError: There is none.

    """
    if conda is None:
        what = "The manifest has conda packages, and this collection has no solver for them."
        raise InstallerError(what, advice="Install lockgate with its extra `conda`.")
    return conda


def demand_git(git: GitClient | None) -> GitClient:
    """Return git.

    Raises:
        InstallerError: There is none.

    """
    if git is None:
        what = "The manifest has git repositories, and this collection has no client for them."
        raise InstallerError(what, advice="Install git, or collect where it is installed.")
    return git


def _disk_error(error: Exception, work: Path) -> DiskFullError | WorkFolderError:
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, OSError) and cause.errno in _FULL:
        what = "The disk is full."
        return DiskFullError(what, folder=work)
    what = f"The disk did not take or give what was collected: {error}."
    return WorkFolderError(what, folder=work)


def _lock(
    loaded: LoadedManifest,
    found: tuple[Artifact, ...],
    lane: str,
    clock: Clock,
    previous: Lock | None,
) -> Lock:
    paths: set[str] = set()
    for path in (file.path for artifact in found for file in artifact.files):
        if path in paths:
            what = f"Two entries of the manifest give the path {path}."
            raise DuplicateNameError(what)
        paths.add(path)
    lock = Lock(
        format=LOCK_FORMAT,
        lane=lane,
        created=whole_second(clock()),
        manifest_sha256=loaded.sha256,
        artifacts=found,
    )
    if previous is not None and _same(previous, lock):
        return previous
    return lock


def _same(one: Lock, other: Lock) -> bool:
    return (one.format, one.lane, one.manifest_sha256, one.artifacts) == (
        other.format,
        other.lane,
        other.manifest_sha256,
        other.artifacts,
    )
