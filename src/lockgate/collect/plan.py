"""What a collection would bring, told before anything large is fetched: versions, sizes, what is new.

What registries resolve is looked up (Python projects, npm, Debian, RPM and conda packages, tags of images and
what refers to them, references of git repositories, commits of a Hub). Documents are read; files and models
are pinned by the manifest itself.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lockgate.collect.apt.ports import AptClient
from lockgate.collect.apt.service import foreseen as foreseen_debs
from lockgate.collect.conda.ports import CondaSolver
from lockgate.collect.conda.service import foreseen as foreseen_condas
from lockgate.collect.difference import warnings
from lockgate.collect.documents import foreseen as foreseen_documents
from lockgate.collect.facts import foreseen_versions
from lockgate.collect.git.client import GitClient
from lockgate.collect.git.service import foreseen as foreseen_git
from lockgate.collect.hub import Hub
from lockgate.collect.hub.service import foreseen as foreseen_hub
from lockgate.collect.hub.service import kept as hub_kept
from lockgate.collect.manifest import Manifest, load_manifest
from lockgate.collect.models import foreseen as foreseen_models
from lockgate.collect.npm.ports import NpmClient
from lockgate.collect.npm.service import foreseen
from lockgate.collect.oci.foreseen import SeenImage, foreseen_images
from lockgate.collect.oci.service import Clients
from lockgate.collect.ports import Limits, Packages, Web
from lockgate.collect.pypi import resolve_sections
from lockgate.collect.room import Room
from lockgate.collect.rpm.ports import RpmClient
from lockgate.collect.rpm.service import foreseen as foreseen_rpms
from lockgate.collect.service import demand_apt, demand_conda, demand_npm, demand_rpm
from lockgate.collect.sources import foreseen as foreseen_files
from lockgate.collect.universal.ports import Locker
from lockgate.core.artifact import Kind, Lock
from lockgate.core.ports import Progress
from lockgate.store import BlobStore

_ASKED = {Kind.PYTHON, Kind.NPM, Kind.APT, Kind.RPM, Kind.CONDA}
"""What a registry resolves by version."""
_PINNED = {Kind.DOCUMENT, Kind.FILE, Kind.RULES, Kind.MODEL, Kind.DATASET, Kind.SPACE}
"""What the manifest, a folder or a commit of a Hub says before anything is fetched."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One name whose versions would change.

    `size` counts the bytes that would be fetched as far as the source says (for npm: unpacked), 0 where it
    says nothing; `warnings` are what a person should look at.
    """

    kind: str
    name: str
    before: tuple[str, ...]
    now: tuple[str, ...]
    size: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """One version as its source describes it before it is fetched."""

    kind: Kind
    name: str
    version: str
    size: int
    attributes: Mapping[str, str]


def plan(
    manifest: Path,
    *,
    blobs: BlobStore,
    work: Path,
    progress: Progress,
    packages: Packages,
    web: Web,
    locker: Locker | None = None,
    npm: NpmClient | None = None,
    apt: AptClient | None = None,
    rpm: RpmClient | None = None,
    conda: CondaSolver | None = None,
    images: Clients | None = None,
    git: GitClient | None = None,
    hub: Hub | None = None,
    hub_endpoint: str = "",
    previous: Lock | None = None,
    offline: bool = False,
    limits: Limits | None = None,
    free: Callable[[], int] | None = None,
) -> tuple[Foreseen, ...]:
    """Return what collecting a manifest would change against the previous lock; nothing is kept.

    Raises:
        LockgateError: As `collect`, but for what only fetched bytes can show.

    """
    bounds = limits or Limits()
    loaded = load_manifest(manifest, bounds)
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
    content = loaded.content
    wheels = resolve_sections(room, content.python, loaded.folder, offline=offline)
    versions = foreseen_versions(room, wheels, previous)
    seen = [Seen(Kind.PYTHON, one.name, one.version, one.size, one.attributes) for one in versions]
    if content.npm:
        found = foreseen(room, demand_npm(room), content.npm)
        seen += [Seen(Kind.NPM, name, version, size, facts) for name, version, size, facts in found]
    if content.apt:
        debs = foreseen_debs(room, demand_apt(apt), content.apt)
        seen += [Seen(Kind.APT, name, version, size, facts) for name, version, size, facts in debs]
    if content.rpm:
        rpms = foreseen_rpms(room, demand_rpm(rpm), content.rpm, previous)
        seen += [Seen(Kind.RPM, name, version, size, facts) for name, version, size, facts in rpms]
    if content.conda:
        condas = foreseen_condas(room, demand_conda(conda), content.conda)
        seen += [Seen(Kind.CONDA, name, version, size, facts) for name, version, size, facts in condas]
    seen += _pinned(room, content, previous)
    asked = None if offline else hub
    hubs = (
        hub_kept(content.huggingface, previous)
        if asked is None
        else foreseen_hub(room, asked, hub_endpoint, content.huggingface)
    )
    seen += [Seen(kind, name, version, size, {}) for kind, name, version, size in hubs]
    told = list(compare_seen(previous, seen, _ASKED | _PINNED))
    local = [section for section in content.git if section.local or not offline]
    if git is not None and len(local) == len(content.git):
        for name, before, now in foreseen_git(room, git, local, previous):
            told += [Foreseen(str(Kind.GIT), name, before, now, 0, ())] if before != now else []
    if images is not None and not offline:
        found_images = foreseen_images(room, images, content.oci, content.ollama, previous)
        told += _compare_images(found_images, previous)
    return tuple(told)


def _pinned(room: Room, content: Manifest, previous: Lock | None) -> Iterator[Seen]:
    """Yield what the manifest itself pins, and documents."""
    for name, version, size, facts in foreseen_documents(room, content.documents):
        yield Seen(Kind.DOCUMENT, name, version, size, facts)
    for name, version, size, facts in foreseen_models(room, content.model, previous):
        yield Seen(Kind.MODEL, name, version, size, facts)
    single = (*content.file, *content.asset, *content.advisories, *content.rules, *content.trust_roots)
    for kind, name, version, size in foreseen_files(room, single, previous):
        yield Seen(kind, name, version, size, {})


def _compare_images(seen: Iterable[SeenImage], previous: Lock | None) -> Iterator[Foreseen]:
    """Yield images whose tags stand for another digest, or that something new refers to."""
    for one in seen:
        before = {
            artifact.version
            for artifact in (previous.artifacts if previous else ())
            if (artifact.kind, artifact.name) == (one.kind, one.name)
        }
        now = {f"sha256:{digest}" for digest in one.digests}
        if before != now or one.warnings:
            versions = tuple(sorted(before)), tuple(sorted(now))
            yield Foreseen(str(one.kind), one.name, *versions, 0, tuple(one.warnings))


def compare_seen(previous: Lock | None, seen: Iterable[Seen], kinds: set[Kind]) -> tuple[Foreseen, ...]:
    """Return the names of some kinds whose versions or warnings differ from the previous lock."""
    old: dict[tuple[Kind, str], dict[str, Mapping[str, str]]] = {}
    for artifact in previous.artifacts if previous else ():
        if artifact.kind in kinds:
            old.setdefault((artifact.kind, artifact.name), {})[artifact.version] = artifact.attributes
    new: dict[tuple[Kind, str], dict[str, Seen]] = {}
    sizes: dict[tuple[Kind, str], int] = {}
    for one in seen:
        key = one.kind, one.name
        new.setdefault(key, {})[one.version] = one
        fresh = one.version not in old.get(key, {})
        sizes[key] = sizes.get(key, 0) + (one.size if fresh else 0)
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, now = old.get(key, {}), new.get(key, {})
        said = warnings(before.values(), [one.attributes for one in now.values()]) if now else ()
        if before.keys() != now.keys() or said:
            versions = tuple(sorted(before)), tuple(sorted(now))
            found.append(Foreseen(str(key[0]), key[1], *versions, sizes.get(key, 0), said))
    return tuple(found)
