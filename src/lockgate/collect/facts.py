"""What is told of a version of a Python project: who publishes it, whether it is signed, what it runs.

All of it is known before anything large is fetched: from the index page, from the core metadata that lie
beside a wheel (PEP 658), and from the provenance object (PEP 740). What metadata say of people is a claim of
their author; whom the index lets publish stands in the provenance.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from packaging.metadata import parse_email

from lockgate.collect.found import Found
from lockgate.collect.room import Room
from lockgate.collect.simple import PageError, Project, publishers_of
from lockgate.collect.universal.pylock import SDIST_SUFFIX
from lockgate.collect.web import read_bounded
from lockgate.collect.wheels import people_of
from lockgate.core.artifact import Kind, Lock
from lockgate.core.errors import LockgateError

ASKERS = 4
"""How many versions are asked about at once."""

TEXT = 300
"""Characters that are kept of a reason."""

_STANDING = ("yanked", "signed", "install-script", "project-status", "project-status-reason")


@dataclass(frozen=True, slots=True)
class Version:
    """A version that would be collected: the bytes of its files, and the attributes that are known."""

    name: str
    version: str
    size: int
    attributes: Mapping[str, str]


def by_version(found: Iterable[Found]) -> dict[tuple[str, str], list[Found]]:
    """Return files by project and version, all in a fixed order."""
    groups: dict[tuple[str, str], list[Found]] = {}
    for one in sorted(found, key=lambda f: f.wheel.filename):
        groups.setdefault((one.wheel.project, one.wheel.version), []).append(one)
    return dict(sorted(groups.items()))


def standing(group: Sequence[Found]) -> dict[str, str]:
    """Return what its index says of a version and what kind of files it has, as attributes.

    It counts as signed where every file has provenance; a source archive runs its build at installation.
    """
    listed = [one.listed for one in group if one.listed]
    yanked = next((r for one in group if (r := one.listed.yanked if one.listed else one.wheel.yanked)), "")
    projects = [one.listed.project if one.listed else Project() for one in group]
    same = projects[0] if len({project.page for project in projects}) == 1 else Project()
    signed = len(listed) == len(group) and all(one.provenance for one in listed)
    builds = any(one.wheel.filename.endswith(SDIST_SUFFIX) for one in group)
    facts = {
        "yanked": yanked[:TEXT],
        "signed": "yes" if signed else "",
        "install-script": "build" if builds else "",
        **same.attributes(),
    }
    return {key: value for key, value in facts.items() if value}


def foreseen_versions(room: Room, found: Iterable[Found], previous: Lock | None) -> list[Version]:
    """Return the versions that would be collected, with what is known of them before they are fetched.

    Those that the previous lock has are not asked about again, but for what their index says of them today.
    """
    held = {(a.name, a.version): a for a in (previous.artifacts if previous else ()) if a.kind is Kind.PYTHON}
    groups = by_version(found)
    room.progress.start("ask about Python projects", len(groups))

    def look(key: tuple[str, str]) -> Version:
        group = groups[key]
        before = held.get(key)
        if before is None:
            known = {**standing(group), **_asked(room, group)}
        elif any(one.listed for one in group):
            kept = {k: v for k, v in before.attributes.items() if k not in _STANDING}
            known = {**kept, **standing(group)}
        else:
            known = before.attributes
        room.progress.advance(1)
        return Version(*key, sum(one.size for one in group), known)

    with ThreadPoolExecutor(ASKERS) as pool:
        versions = list(pool.map(look, groups))
    room.progress.finish()
    return versions


def _asked(room: Room, group: Sequence[Found]) -> dict[str, str]:
    """Ask for the small files beside a version's files: who made it by its metadata, who published it."""
    described = next((one for one in group if one.listed and one.listed.metadata), None)
    people = _people(room, described) if described else ""
    names = {name for one in group for name in _publishers(room, one)}
    facts = {"maintainers": people, "publishers": ", ".join(sorted(names))}
    return {key: value for key, value in facts.items() if value}


def _people(room: Room, one: Found) -> str:
    try:
        _, data = read_bounded(room.web, f"{one.wheel.url}.metadata", room.limits.metadata_bytes)
    except LockgateError as error:
        room.note(f"{one.wheel.filename}: its metadata are listed but were not given: {error}")
        return ""
    return people_of(parse_email(data)[0])


def _publishers(room: Room, one: Found) -> Iterator[str]:
    if one.listed is None or not one.listed.provenance:
        return
    try:
        _, data = read_bounded(
            room.web, one.listed.provenance, room.limits.provenance_bytes, "application/json"
        )
        yield from publishers_of(data)
    except (LockgateError, PageError) as error:
        room.note(f"{one.wheel.filename}: provenance is listed but was not given: {error}")
