"""From a table of the manifest to the packages that it needs, as signed indexes list them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lockgate.collect.apt.indexes import Listed, by_digest, demand_listed, files_of, sources_by_name
from lockgate.collect.apt.ports import AptClient, IndexFile, Setup, Source, Verified, Wish
from lockgate.collect.apt.release import sums_of
from lockgate.collect.apt.section import AptSection
from lockgate.collect.errors import CollectLimitError, UnresolvableError
from lockgate.collect.room import Room
from lockgate.collect.together import groups
from lockgate.core.deb import source_of
from lockgate.core.places import Place


@dataclass(slots=True)
class Resolved:
    """What one table needs.

    `binaries` and `sources` are paragraphs by digest, and by name and version; `releases` are what was
    verified of each suite, with the file itself and the components that are taken.
    """

    setup: Setup
    binaries: dict[str, list[Listed]] = field(default_factory=dict)
    sources: dict[tuple[str, str], list[Listed]] = field(default_factory=dict)
    releases: dict[str, tuple[Verified, bytes, set[str]]] = field(default_factory=dict)


def resolve(room: Room, client: AptClient, section: AptSection, work: Path) -> Resolved:
    """Return what a table needs.

    Raises:
        UnresolvableError, SourceMissingError: The table.
        BadReleaseError: A suite.
        CollectLimitError, InstallerError, UnreachableError: A bound or the machine.

    """
    setup = _setup(room, client, section, work)
    room.progress.start(f"update {section.name}", 0)
    indexes = client.update(setup, room.progress.advance)
    room.progress.finish()
    found = Resolved(setup)
    _verify(room, client, found, indexes)
    listed: dict[str, list[Listed]] = {}
    for index in indexes:
        if index.architecture != "source":
            for digest, each in by_digest(index):
                listed.setdefault(digest, []).append(each)
    for digest in listed if section.whole else _solve(room, client, section, setup):
        if digest not in listed:
            what = f"apt chose a package of {section.name} that no index lists by its SHA-256."
            raise UnresolvableError(what)
        found.binaries[digest] = listed[digest]
    if len(found.binaries) > room.limits.debs:
        what = f"{section.name} needs {len(found.binaries)} packages (bound: {room.limits.debs})."
        raise CollectLimitError(what, limit="debs")
    if section.sources:
        _sources(room, found, indexes)
    return found


def _setup(room: Room, client: AptClient, section: AptSection, work: Path) -> Setup:
    upstream = [Source(u.url, u.suites, u.components, str(room.named(u.keyring))) for u in section.upstream]
    return Setup(
        work=work,
        sources=tuple(upstream) or client.host_sources(section.suites),
        architectures=section.architectures or (client.architecture(),),
        deb_src=section.sources,
        status=room.named(section.status) if section.status else None,
    )


def _verify(room: Room, client: AptClient, found: Resolved, indexes: Iterable[IndexFile]) -> None:
    """Verify each Release file by its keys, and each index by what is signed."""
    sums: dict[Path, Mapping[str, tuple[str, int]]] = {}
    for index in indexes:
        if index.release not in sums:
            verified = client.verify(index, found.setup.work)
            sums[index.release] = sums_of(verified.text)
            found.releases[index.suite] = (verified, index.release.read_bytes(), set())
        if not demand_listed(index, dict(sums[index.release]), room.limits):
            room.note(f"The Release file of {index.suite} names compressed forms of {index.key} alone.")
        found.releases[index.suite][2].add(index.component)


def _solve(room: Room, client: AptClient, section: AptSection, setup: Setup) -> list[str]:
    """Return the digests of all that a table names, for each architecture by itself."""
    digests: dict[str, None] = {}
    for architecture in setup.architectures:
        room.progress.start(f"resolve {section.name} for {architecture}", 0)
        if section.status:
            wish = Wish((), architecture, section.recommends, upgrade=True)
            digests.update(dict.fromkeys(client.solve(setup, wish)))
        names = [*section.packages]
        names += [f"?and(?architecture({architecture}),?priority({p}))" for p in section.priorities]
        solve = partial(_together, client, setup, architecture, section)
        for group in groups(room, solve, section.name, tuple(names)):
            digests.update(dict.fromkeys(group))
        room.progress.finish()
    return list(digests)


def _together(
    client: AptClient, setup: Setup, architecture: str, section: AptSection, names: tuple[str, ...]
) -> list[str]:
    return client.solve(setup, Wish(names, architecture, section.recommends))


def _sources(room: Room, found: Resolved, indexes: Iterable[IndexFile]) -> None:
    """Find the source packages that the binaries were built from."""
    known: dict[tuple[str, str], list[Listed]] = {}
    for index in indexes:
        if index.architecture == "source":
            for key, each in sources_by_name(index):
                known.setdefault(key, []).append(each)
    for paragraphs in found.binaries.values():
        key = source_of(paragraphs[0].package())
        if key in known and files_of(known[key][0].fields()):
            found.sources[key] = known[key]
        else:
            room.note(f"The sources of {key[0]} {key[1]} are not in the suites.")


def places_in(section: AptSection, paragraphs: Iterable[Listed]) -> tuple[Place, ...]:
    """Return where indexes list a package."""
    return tuple(sorted({Place(section.name, each.index.suite, each.index.component) for each in paragraphs}))
