"""From a table of the manifest to the packages that it needs, as signed indexes list them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lockgate.collect.errors import BadReleaseError, CollectLimitError, UnresolvableError
from lockgate.collect.room import Room
from lockgate.collect.rpm.errata import about, errata_of, hidden, kept, modules_of
from lockgate.collect.rpm.metadata import Repository, repository_of
from lockgate.collect.rpm.packages import Listed, listed, with_details
from lockgate.collect.rpm.ports import RpmClient, Wish
from lockgate.collect.rpm.section import RpmSection
from lockgate.collect.together import groups
from lockgate.core.artifact import Lock
from lockgate.core.digests import sha256
from lockgate.core.rpm import REPOSITORY_FORMAT, SOURCE, Erratum, Module, RpmRepository


@dataclass(slots=True)
class Taken:
    """What is taken of one repository: packages by digest, errata and modules about them."""

    repository: Repository
    packages: dict[str, Listed] = field(default_factory=dict)
    errata: tuple[Erratum, ...] = ()
    modules: tuple[Module, ...] = ()

    def about(self, distribution: str) -> RpmRepository:
        """Return what crosses of the repository."""
        return RpmRepository(
            format=REPOSITORY_FORMAT,
            repository=distribution,
            channel=self.repository.name,
            architecture=self.repository.architecture,
            revision=self.repository.revision,
            signed_by=self.repository.signed_by,
            repomd_sha256=sha256(self.repository.index),
            errata=self.errata,
            modules=self.modules,
        )


def resolve(
    room: Room, client: RpmClient, section: RpmSection, work: Path, previous: Lock | None
) -> list[Taken]:
    """Return what a table needs of each of its repositories.

    Raises:
        UnresolvableError, SourceMissingError: The table.
        BadReleaseError, DigestMismatchError: A repository; also one that is older than it was before.
        CollectLimitError, InstallerError, UnreachableError: A bound or the machine.

    """
    found: list[Taken] = []
    for architecture in section.architectures or (client.architecture(),):
        room.progress.start(f"read {section.name} for {architecture}", 0)
        mine = []
        for upstream in section.upstream:
            repository = repository_of(room, client, upstream, architecture, work)
            _demand_newer(section, repository, previous)
            mine.append(Taken(repository))
        room.progress.finish()
        _choose(room, client, section, mine, work / f"dnf-{architecture}")
        found += mine
    count = sum(len(taken.packages) for taken in found)
    if count > room.limits.rpms:
        what = f"{section.name} needs {count} packages (bound: {room.limits.rpms})."
        raise CollectLimitError(what, limit="rpms")
    return found


def artifact_name(distribution: str, repository: Repository) -> str:
    """Return the name of a repository's artifact."""
    return f"{distribution}/repodata/{repository.name}/{repository.architecture}"


def _demand_newer(section: RpmSection, repository: Repository, previous: Lock | None) -> None:
    """Refuse an index that is older than the one collected before: its signature alone would still verify."""
    name = artifact_name(section.name, repository)
    for artifact in previous.artifacts if previous else ():
        before = artifact.attributes.get("released", "")
        if artifact.name == name and before.isdecimal() and int(before) > repository.released:
            what = f"The index of {repository.name} is older than the one that was collected before."
            raise BadReleaseError(
                what, advice="If the distribution went back by intention, name the table's `name` anew."
            )


def _choose(room: Room, client: RpmClient, section: RpmSection, mine: list[Taken], work: Path) -> None:
    """Fill in what is taken of the repositories of one architecture."""
    limit = room.limits.index_bytes
    architecture = mine[0].repository.architecture
    chosen: dict[str, set[str]] | None = None
    if not section.whole:
        room.progress.start(f"resolve {section.name} for {architecture}", 0)
        chosen = _solve(room, client, section, mine, work)
        room.progress.finish()
    for taken in mine:
        files = taken.repository.files
        wanted = None if chosen is None else chosen.get(taken.repository.name, set())
        packages = {one.digest: one for one in listed(files["primary"], limit, wanted)}
        if wanted is not None and wanted - packages.keys():
            what = f"dnf chose a package of {taken.repository.name} that its index does not list."
            raise UnresolvableError(what)
        taken.packages = with_details(packages, files.get("filelists"), files.get("other"), limit)
        names = {one.package.nevra for one in packages.values()}
        if "updateinfo" in files:
            taken.errata = about(errata_of(files["updateinfo"], room.limits), names)
        if "modules" in files:
            taken.modules = kept(modules_of(files["modules"], room.limits), names)


def _solve(
    room: Room, client: RpmClient, section: RpmSection, mine: list[Taken], work: Path
) -> dict[str, set[str]]:
    """Return the digests of all that a table names, by repository."""
    work.mkdir()
    names = [*section.packages, *_of_errata(room, section, mine)]
    folders = {taken.repository.name: taken.repository.folder for taken in mine}
    architecture = mine[0].repository.architecture

    def solve(wanted: tuple[str, ...]) -> list[str]:
        wish = Wish(wanted, architecture, section.weak, section.modules, section.platform or "")
        return [f"{name} {digest}" for name, digest in client.solve(folders, wish, work)]

    found: dict[str, set[str]] = {}
    for group in groups(room, solve, section.name, tuple(dict.fromkeys(names))):
        for pair in group:
            name, _, digest = pair.partition(" ")
            found.setdefault(name, set()).add(digest)
    return found


def _of_errata(room: Room, section: RpmSection, mine: Iterable[Taken]) -> list[str]:
    """Return the names of what wanted errata bring: dnf takes their newest versions."""
    if not section.errata:
        return []
    found: dict[str, None] = {}
    for taken in mine:
        files = taken.repository.files
        if "updateinfo" not in files:
            continue
        brought = {
            package.nevra
            for erratum in errata_of(files["updateinfo"], room.limits)
            if {erratum.id, erratum.type} & set(section.errata)
            for collection in erratum.collections
            for package in collection.packages
            if package.architecture != SOURCE
        }
        if "modules" in files:
            brought -= hidden(modules_of(files["modules"], room.limits), section.modules)
        for one in listed(files["primary"], room.limits.index_bytes):
            if one.package.nevra in brought:
                found[f"{one.package.name}.{one.package.architecture}"] = None
    if not found:
        what = f"No erratum of {section.name} is called or of the type {', '.join(section.errata)[:200]}."
        raise UnresolvableError(what, advice="Look into the repository with `dnf updateinfo list`.")
    return sorted(found)
