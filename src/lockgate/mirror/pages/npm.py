"""The npm mirror's pages: a full and an abbreviated packument for each package, and what lists all of them.

Sources: npm registry documentation, "package metadata" (both forms) and "search". Clients want
absolute addresses of archives, and nobody who signs a page knows by which name its readers
will reach this mirror: pages hold `REGISTRY` in their place, and the server puts its own
address there.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.npm import (
    LATEST,
    NPM_LIMIT,
    NpmVersion,
    described,
    is_name,
    is_version,
    npm_purl,
    tags_of,
    tarball_name,
    version_key,
)
from lockgate.core.snapshot import Admitted
from lockgate.core.wire import decode, stamp
from lockgate.mirror.errors import AmbiguousSnapshotError, LayoutError
from lockgate.mirror.pages.base import JSON_TYPE, Page, ReadBlob, json_page, of_kind
from lockgate.mirror.pages.npmlists import Lists

ABBREVIATED = "application/vnd.npm.install-v1+json"
REGISTRY = "{registry}"
"""What stands for the registry's own address at the beginning of an archive's address."""

MARK = f'"tarball":"{REGISTRY}/'.encode()
"""How that looks in a page. No text of a package can look so: quotes inside of one are escaped."""


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a package: its archive, and the file with what is known of it."""

    name: str
    version: str
    archive: ArtifactFile
    facts: ArtifactFile
    crossing: int

    @property
    def filename(self) -> str:
        """Return what the archive is called."""
        return tarball_name(self.name, self.version)


def releases(admitted: Iterable[Admitted]) -> dict[str, list[Release]]:
    """Return every version by package name, lowest version first.

    Raises:
        LayoutError: An artifact has another shape, or its package URL another name.
        AmbiguousSnapshotError: One version was admitted with two different archives.

    """
    packages: dict[str, dict[str, Release]] = {}
    for entry in of_kind(admitted, Kind.NPM):
        found = _release(entry)
        before = packages.setdefault(found.name, {}).get(found.version)
        if before is not None and before.archive.sha256 != found.archive.sha256:
            what = f"{found.name} {found.version} was admitted with two different archives."
            raise AmbiguousSnapshotError(what, first=before.archive.sha256, second=found.archive.sha256)
        packages[found.name][found.version] = found  # what the newest crossing knows of it counts
    return {
        name: sorted(known.values(), key=lambda r: (version_key(r.version), r.version))
        for name, known in sorted(packages.items())
    }


def generate(admitted: Sequence[Admitted], read: ReadBlob) -> Iterator[Page]:
    """Yield both packuments of each package, and the lists of all packages where there is one.

    Args:
        admitted: What the snapshot admits; other kinds are passed over.
        read: Reads what is known of each version, at most `NPM_LIMIT` bytes.

    Raises:
        LayoutError, AmbiguousSnapshotError: As `releases`.
        MalformedDocumentError, NotCanonicalError: What is known of a version is not in its format.

    """
    packages = releases(admitted)
    lists = Lists({}, {})
    for name, known in packages.items():
        made = packuments(name, known, packages, read)
        yield from (made.short, made.full)
        lists.add(name, made.searchable, made.optional)
    yield from lists.pages()


@dataclass(frozen=True, slots=True)
class Packuments:
    """The pages of one package, how the search index lists it, and its optional dependencies."""

    short: Page
    full: Page
    searchable: dict[str, Any]
    optional: frozenset[str]


def packuments(name: str, known: Sequence[Release], packages: Container[str], read: ReadBlob) -> Packuments:
    """Return both packuments of a package, and what lists say of it.

    Args:
        name: The package.
        known: Its versions, lowest first.
        packages: The names of all packages that there are.
        read: Reads what is known of each version.

    Raises:
        LayoutError, MalformedDocumentError, NotCanonicalError: As `generate`.

    """
    versions = [_facts(release, read) for release in known]
    tags = tags_of((r.crossing, v) for r, v in zip(known, versions, strict=True))
    entries = {v.version: _version(v, packages) for v in versions}
    short = {"name": name, "dist-tags": tags, "versions": entries, **_times(versions)}
    latest = next(v for v in versions if v.version == tags[LATEST])
    full = {v.version: {**entries[v.version], **_person(v), "_id": f"{name}@{v.version}"} for v in versions}
    about = {"_id": name, "name": name, "dist-tags": tags, "versions": full, **_person(latest)}
    return Packuments(
        json_page(f"npm/{name}/short.json", short, ABBREVIATED),
        json_page(f"npm/{name}/full.json", {**about, **_times(versions)}, JSON_TYPE),
        _searchable(latest),
        frozenset(_target(other, wanted) for v in versions for other, wanted in v.optional.items()),
    )


def _release(entry: Admitted) -> Release:
    artifact = entry.artifact
    name, version = artifact.name, artifact.version
    if not is_name(name) or not is_version(version) or artifact.purl != npm_purl(name, version):
        what = f"{artifact.purl[:200]} does not name a version of an npm package."
        raise LayoutError(what)
    path = f"npm/{name}/{tarball_name(name, version)}"
    archive, facts = (
        _one(artifact, path, Role.DISTRIBUTION),
        _one(artifact, f"{path}.json", Role.CORE_METADATA),
    )
    return Release(name, version, archive, facts, entry.crossing)


def _one(artifact: Artifact, path: str, role: Role) -> ArtifactFile:
    found = next((f for f in artifact.files if f.path == path and f.role is role), None)
    if found is None:
        what = f"{artifact.purl} lacks the file {path!r}."
        raise LayoutError(what)
    return found


def _facts(release: Release, read: ReadBlob) -> NpmVersion:
    if release.facts.size > NPM_LIMIT:
        what = f"What is known of {release.name} {release.version} is longer than {NPM_LIMIT} bytes."
        raise LayoutError(what)
    facts = decode(NpmVersion, read(release.facts.sha256), limit=NPM_LIMIT, name=release.facts.path)
    if (facts.name, facts.version) != (release.name, release.version):
        what = f"{release.facts.path} speaks of {facts.name} {facts.version}."
        raise LayoutError(what)
    return facts


def _times(versions: Sequence[NpmVersion]) -> dict[str, Any]:
    published = {v.version: _moment(v.published) for v in versions if v.published}
    if not published:
        return {}
    moments = published.values()
    return {
        "time": {"created": min(moments), "modified": max(moments), **published},
        "modified": max(moments),
    }


def _moment(moment: datetime) -> str:
    """Return a moment as registries write it, with milliseconds."""
    return stamp(moment).replace("Z", ".000Z")


def _version(facts: NpmVersion, packages: Container[str]) -> dict[str, Any]:
    """Return what an installation needs of a version.

    An optional package that did not cross at all (it is for another platform) is left out: some
    clients give up where a registry does not know it.
    """
    dist: dict[str, Any] = {
        "integrity": facts.integrity,
        "shasum": facts.shasum,
        "tarball": f"{REGISTRY}/{facts.name}/-/{tarball_name(facts.name, facts.version)}",
        "fileCount": facts.files,
        "unpackedSize": facts.unpacked,
        "signatures": [{"keyid": s.keyid, "sig": s.sig} for s in facts.signatures],
    }
    found = described(facts)
    if wanted := {k: v for k, v in facts.optional.items() if _target(k, v) in packages}:
        found["optionalDependencies"] = wanted
    else:
        found.pop("optionalDependencies", None)
    return {"dist": {k: v for k, v in dist.items() if v}, **found}


def _target(name: str, wanted: str) -> str:
    """Return the package that an entry names, which may be another one (``npm:other@1``)."""
    if not wanted.startswith("npm:"):
        return name
    alias = wanted.removeprefix("npm:")
    return alias[:1] + alias[1:].partition("@")[0]


def _person(facts: NpmVersion) -> dict[str, Any]:
    """Return what people want to know of a version."""
    found: dict[str, Any] = {
        "description": facts.description,
        "keywords": list(facts.keywords),
        "license": facts.licence,
        "homepage": facts.homepage,
        "repository": {"type": "git", "url": facts.repository} if facts.repository else None,
        "maintainers": [_maintainer(text) for text in facts.maintainers],
        "scripts": facts.scripts,
    }
    return {key: value for key, value in found.items() if value}


def _maintainer(text: str) -> dict[str, str]:
    name, _, address = text.rstrip(">").partition(" <")
    return {"name": name, "email": address} if address else {"name": name}


def _searchable(facts: NpmVersion) -> dict[str, Any]:
    scope = facts.name.partition("/")[0].removeprefix("@") if "/" in facts.name else "unscoped"
    people = [{"username": m["name"], **m} for m in map(_maintainer, facts.maintainers)]
    found: dict[str, Any] = {
        "name": facts.name,
        "scope": scope,
        "version": facts.version,
        "description": facts.description,
        "keywords": list(facts.keywords),
        "maintainers": people,
        "publisher": people[0] if people else {"username": "unknown"},
        "links": {"homepage": facts.homepage} if facts.homepage else {},
    }
    if facts.published:
        found["date"] = _moment(facts.published)
    return found
