"""The apt mirror's pages: package indexes and undated Release files of every suite.

Source: "DebianRepository/Format". A Release file gets its date when it is served, from the channel's
statement (`core.repository`); everything that it lists stands in the snapshot.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence

from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.deb import (
    ALL,
    DEB_LIMIT,
    AptSuite,
    DebPackage,
    PackageType,
)
from lockgate.core.digests import sha256
from lockgate.core.places import Place, places_of
from lockgate.core.repository import RELEASE
from lockgate.core.snapshot import Admitted
from lockgate.mirror.errors import AmbiguousSnapshotError, LayoutError
from lockgate.mirror.pages.base import BINARY_TYPE, TEXT_TYPE, Page, ReadBlob, decoded, of_kind, only_file
from lockgate.mirror.pages.packing import gzipped

FOLDER = "apt/"
BY_HASH = "by-hash/SHA256"
SUMS = "SHA256:"
"""The field of a Release file that lists the indexes."""


ENDINGS = ("", ".gz")
"""What the names of an index's forms end with. Every client of a repository reads one of these."""

Key = tuple[str, str]
"""Repository and suite."""


def pool(admitted: Sequence[Admitted]) -> dict[str, ArtifactFile]:
    """Return packages and source archives by path below ``/apt/``; the newest crossing's of one path.

    Raises:
        AmbiguousSnapshotError: One crossing brought two different files under one path.

    """
    found: dict[str, tuple[int, ArtifactFile]] = {}
    for entry in of_kind(admitted, Kind.APT):
        for file in entry.artifact.files:
            if file.role is not Role.DISTRIBUTION:
                continue
            if not file.path.startswith(FOLDER):
                what = f"{file.path!r} lies outside of the repositories."
                raise LayoutError(what)
            before = found.get(file.path)
            if before and before[0] == entry.crossing and before[1].sha256 != file.sha256:
                what = f"Crossing {entry.crossing} has two different files at {file.path!r}."
                raise AmbiguousSnapshotError(what, path=file.path)
            found[file.path] = (entry.crossing, file)
    return {path.removeprefix(FOLDER): file for path, (_, file) in sorted(found.items())}


def generate(admitted: Sequence[Admitted], read: ReadBlob) -> Iterator[Page]:
    """Yield the indexes of every suite in their forms, and its Release file without the date.

    Args:
        admitted: What the snapshot admits; other kinds are passed over.
        read: Reads what is known of packages and suites.

    Raises:
        LayoutError: An artifact does not say what it is, or says it of another one.

    """
    suites = suites_of(admitted, read)
    if not suites:
        return
    indexes = {key: {path: list[str]() for path in declared(about)} for key, about in suites.items()}
    for key, path, paragraph in paragraphs(admitted, suites, read):
        indexes[key].setdefault(path, []).append(paragraph)
    for key, about in sorted(suites.items()):
        listed: dict[str, tuple[str, int]] = {}
        for path, texts in sorted(indexes[key].items()):
            # A blank line ends the last one too: debootstrap passes over a paragraph without it.
            body = "".join(f"{text}\n" for text in sorted(texts)).encode()
            yield from index_pages(about, path, body, listed)
        yield release_page(about, listed)


def suites_of(admitted: Iterable[Admitted], read: ReadBlob) -> dict[Key, AptSuite]:
    """Return the suites, each as the newest crossing describes it.

    Raises:
        LayoutError: One is described by what bears another name.

    """
    found: dict[Key, AptSuite] = {}
    for entry in of_kind(admitted, Kind.APT):
        if is_package(entry):
            continue
        file = only_file(entry.artifact, Role.MANIFEST)
        about = decoded(AptSuite, entry.artifact, file, read, DEB_LIMIT)
        key = about.repository, about.suite
        if entry.artifact.name != suite_name(key):
            what = f"What is known of {entry.artifact.purl} is about {suite_name(key)}."
            raise LayoutError(what)
        found[key] = about
    return found


def is_package(entry: Admitted) -> bool:
    """Tell whether something is a package; a suite otherwise."""
    return bool(entry.artifact.attributes.get("places"))


def suite_name(key: Key) -> str:
    """Return the name of the artifact that describes a suite."""
    return f"{key[0]}/dists/{key[1]}"


def declared(about: AptSuite) -> list[str]:
    """Return the paths of the indexes that a suite has, with packages or without."""
    found = [f"{c}/binary-{a}/Packages" for c in about.components for a in about.architectures]
    return found + [f"{component}/source/Sources" for component in about.components if about.sources]


def paragraphs(
    admitted: Sequence[Admitted], suites: Mapping[Key, AptSuite], read: ReadBlob
) -> Iterator[tuple[Key, str, str]]:
    """Yield in which suite, and in which of its indexes, each package has which lines.

    In an index they stand in the order of these lines, which begin with name and version. A package of
    which another has a path, of a newer crossing, has none.

    Raises:
        LayoutError, AmbiguousSnapshotError: As `generate` and `pool`.

    """
    served = pool(admitted)
    for entry in of_kind(admitted, Kind.APT):
        if not is_package(entry):
            continue
        artifact = entry.artifact
        files = [file for file in artifact.files if file.role is Role.DISTRIBUTION]
        if not files:
            what = f"{artifact.purl} has no package."
            raise LayoutError(what)
        if any(served[file.path.removeprefix(FOLDER)].sha256 != file.sha256 for file in files):
            continue
        places = [each for each in places_of(artifact.attributes["places"]) if key_of(each) in suites]
        if places:
            yield from _listed(_package(artifact, read), files, places, suites)


def key_of(place: Place) -> Key:
    """Return of which suite a place is."""
    return place.repository, place.suite


def _package(artifact: Artifact, read: ReadBlob) -> DebPackage:
    """Return what is known of a package."""
    package = decoded(DebPackage, artifact, only_file(artifact, Role.CORE_METADATA), read, DEB_LIMIT)
    said = (package.version, package.architecture)
    if said != (artifact.version, artifact.attributes.get("architecture")):
        what = f"What is known of {artifact.purl} is about {package.name} {package.version}."
        raise LayoutError(what)
    return package


def _listed(
    package: DebPackage,
    files: Sequence[ArtifactFile],
    places: Iterable[Place],
    suites: Mapping[Key, AptSuite],
) -> Iterator[tuple[Key, str, str]]:
    for place in places:
        key = key_of(place)
        if package.type is PackageType.SOURCE:
            text = _source_paragraph(package, files, place.repository)
            yield key, f"{place.component}/source/Sources", text
            continue
        text = _binary_paragraph(package, files[0], place.repository)
        wanted = suites[key].architectures if package.architecture == ALL else (package.architecture,)
        for architecture in wanted:
            yield key, f"{place.component}/binary-{architecture}/Packages", text


def _binary_paragraph(package: DebPackage, file: ArtifactFile, repository: str) -> str:
    lines = [f"Package: {package.name}", f"Version: {package.version}", *_fields(package)]
    lines += [f"Filename: {_below(file, repository)}", f"Size: {file.size}", f"SHA256: {file.sha256}"]
    return "\n".join(lines) + "\n"


def _source_paragraph(package: DebPackage, files: Sequence[ArtifactFile], repository: str) -> str:
    folders = {_below(file, repository).rpartition("/")[0] for file in files}
    if len(folders) != 1:
        what = f"The source files of {package.name} {package.version} lie in several folders."
        raise LayoutError(what)
    lines = [f"Package: {package.name}", f"Version: {package.version}", *_fields(package)]
    lines += [f"Directory: {folders.pop()}", "Checksums-Sha256:"]
    lines += [f" {file.sha256} {file.size} {file.path.rpartition('/')[2]}" for file in files]
    return "\n".join(lines) + "\n"


def _fields(package: DebPackage) -> list[str]:
    return [f"{name}:{'' if value.startswith(chr(10)) else ' '}{value}" for name, value in package.fields]


def _below(file: ArtifactFile, repository: str) -> str:
    """Return a file's path inside its repository."""
    folder = f"{FOLDER}{repository}/"
    if not file.path.startswith(folder):
        what = f"{file.path!r} does not lie in the repository {repository!r}."
        raise LayoutError(what)
    return file.path.removeprefix(folder)


def folder_of(key: Key) -> str:
    """Return the folder of a suite's pages."""
    return f"{FOLDER}{suite_name(key)}"


def index_pages(
    about: AptSuite, path: str, body: bytes, listed: MutableMapping[str, tuple[str, int]]
) -> Iterator[Page]:
    """Yield the forms of an index; `listed` gets digest and size of each, by its path in the suite."""
    folder = folder_of((about.repository, about.suite))
    for ending in ENDINGS:
        form = gzipped(body) if ending else body
        page = Page(f"{folder}/{path}{ending}", BINARY_TYPE if ending else TEXT_TYPE, form)
        listed[f"{path}{ending}"] = sha256(form), len(form)
        yield page


def release_page(about: AptSuite, listed: Mapping[str, tuple[str, int]]) -> Page:
    """Return a suite's Release file; digest and size of the indexes' forms are listed by their paths."""
    components = sorted({path.rpartition("/binary-")[0] or path.rpartition("/source/")[0] for path in listed})
    architectures = sorted(
        {path.rpartition("/binary-")[2].partition("/")[0] for path in listed if "/binary-" in path}
    )
    fields = {
        "Origin": about.origin,
        "Label": about.label,
        "Suite": about.name,
        "Codename": about.codename,
        "Version": about.version,
        "NotAutomatic": "yes" if about.not_automatic else "",
        "ButAutomaticUpgrades": "yes" if about.but_automatic_upgrades else "",
        "Acquire-By-Hash": "yes",
        "Architectures": " ".join(architectures),
        "Components": " ".join(components),
        "Description": about.description,
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    lines += [SUMS, *(f" {digest} {size} {path}" for path, (digest, size) in sorted(listed.items()))]
    folder = folder_of((about.repository, about.suite))
    return Page(f"{folder}/{RELEASE}", TEXT_TYPE, ("\n".join(lines) + "\n").encode())
