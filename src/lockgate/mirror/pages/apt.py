"""The apt mirror's pages: package indexes and undated Release files of every suite.

Source: "DebianRepository/Format". A Release file gets its date when it is served, from the channel's
statement (`core.repository`); everything that it lists stands in the snapshot.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.core.artifact import ArtifactFile, Kind, Role
from lockgate.core.deb import (
    ALL,
    DEB_LIMIT,
    AptSuite,
    DebPackage,
    PackageType,
)
from lockgate.core.digests import sha256
from lockgate.core.places import places_of
from lockgate.core.repository import RELEASE
from lockgate.core.snapshot import Admitted
from lockgate.mirror.errors import AmbiguousSnapshotError, LayoutError
from lockgate.mirror.pages.aptwritten import Paragraph, Written
from lockgate.mirror.pages.base import BINARY_TYPE, TEXT_TYPE, Page, ReadBlob, decoded, of_kind, only_file
from lockgate.mirror.pages.packing import gzipped, xz

FOLDER = "apt/"
BY_HASH = "by-hash/SHA256"


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite: what its upstream calls it, and the paragraphs of each index by the index's path."""

    about: AptSuite
    indexes: dict[str, list[tuple[tuple[str, ...], str]]] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Return the folder of its pages."""
        return f"{FOLDER}{self.about.repository}/dists/{self.about.suite}"


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


def generate(admitted: Sequence[Admitted], read: ReadBlob, written: Written | None = None) -> Iterator[Page]:
    """Yield the indexes of every suite in three forms, and its Release file without the date.

    Args:
        admitted: What the snapshot admits; other kinds are passed over.
        read: Reads what is known of packages and suites.
        written: What earlier indexes say of packages, whose pages enough approvers signed.

    Raises:
        LayoutError: An artifact does not say what it is, or says it of another one.

    """
    suites = _suites(admitted, read)
    if not suites:
        return
    served = {file.sha256 for file in pool(admitted).values()}
    for entry in of_kind(admitted, Kind.APT):
        if entry.artifact.attributes.get("places"):
            _list(entry, suites, served, read, written)
    for _, suite in sorted(suites.items()):
        yield from _pages(suite)


def _suites(admitted: Sequence[Admitted], read: ReadBlob) -> dict[tuple[str, str], Suite]:
    """Return the suites by repository and name, each as the newest crossing describes it."""
    found: dict[tuple[str, str], Suite] = {}
    for entry in of_kind(admitted, Kind.APT):
        if entry.artifact.attributes.get("places"):
            continue
        file = only_file(entry.artifact, Role.MANIFEST)
        about = decoded(AptSuite, entry.artifact, file, read, DEB_LIMIT)
        found[about.repository, about.suite] = Suite(about)
    for suite in found.values():
        for component in suite.about.components:
            for architecture in suite.about.architectures:
                suite.indexes[f"{component}/binary-{architecture}/Packages"] = []
            if suite.about.sources:
                suite.indexes[f"{component}/source/Sources"] = []
    return found


def _list(
    entry: Admitted,
    suites: Mapping[tuple[str, str], Suite],
    served: set[str],
    read: ReadBlob,
    written: Written | None,
) -> None:
    """Add a package to the indexes of its suites, unless a newer crossing's stands at its path."""
    artifact = entry.artifact
    files = [file for file in artifact.files if file.role is Role.DISTRIBUTION]
    if not files:
        what = f"{artifact.purl} has no package."
        raise LayoutError(what)
    if any(file.sha256 not in served for file in files):
        return
    if written is not None and _listed_again(entry, files[0], suites, written):
        return
    package = decoded(DebPackage, artifact, only_file(artifact, Role.CORE_METADATA), read, DEB_LIMIT)
    if (package.version, package.architecture) != (
        artifact.version,
        artifact.attributes.get("architecture"),
    ):
        what = f"What is known of {artifact.purl} is about {package.name} {package.version}."
        raise LayoutError(what)
    key = (package.name, package.version, package.architecture)
    for place in places_of(artifact.attributes["places"]):
        suite = suites.get((place.repository, place.suite))
        if suite is None:
            continue
        if package.type is PackageType.SOURCE:
            suite.indexes.setdefault(f"{place.component}/source/Sources", []).append(
                (key, _source_paragraph(package, files, place.repository))
            )
            continue
        paragraph = _binary_paragraph(package, files[0], place.repository)
        wanted = suite.about.architectures if package.architecture == ALL else (package.architecture,)
        for architecture in wanted:
            index = suite.indexes.setdefault(f"{place.component}/binary-{architecture}/Packages", [])
            index.append((key, paragraph))


def _listed_again(
    entry: Admitted, file: ArtifactFile, suites: Mapping[tuple[str, str], Suite], written: Written
) -> bool:
    """Add a package to the indexes of its suites as it stood in them; False where it did not, in one."""
    found = list[tuple[list[tuple[tuple[str, ...], str]], Paragraph]]()
    architecture = entry.artifact.attributes.get("architecture", "")
    for place in places_of(entry.artifact.attributes["places"]):
        suite = suites.get((place.repository, place.suite))
        if suite is None:
            continue
        wanted = suite.about.architectures if architecture == ALL else (architecture,)
        for each in wanted:
            index = f"{place.component}/binary-{each}/Packages"
            paragraph = written.of(entry, file, _below(file, place.repository), f"{suite.folder}/{index}")
            if paragraph is None:
                return False
            found.append((suite.indexes.setdefault(index, []), paragraph))
    for listed, paragraph in found:
        listed.append(paragraph)
    return True


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


def _pages(suite: Suite) -> Iterator[Page]:
    listed: list[tuple[str, str, int]] = []
    for path, paragraphs in sorted(suite.indexes.items()):
        # A blank line ends the last one too: debootstrap passes over a paragraph without it.
        text = "".join(f"{paragraph}\n" for _, paragraph in sorted(paragraphs)).encode()
        for ending, body in (("", text), (".gz", gzipped(text)), (".xz", xz(text))):
            media_type = BINARY_TYPE if ending else TEXT_TYPE
            yield Page(f"{suite.folder}/{path}{ending}", media_type, body)
            listed.append((f"{path}{ending}", sha256(body), len(body)))
    yield Page(f"{suite.folder}/{RELEASE}", TEXT_TYPE, _release(suite, listed))


def _release(suite: Suite, listed: Iterable[tuple[str, str, int]]) -> bytes:
    about = suite.about
    components = sorted(
        {path.rpartition("/binary-")[0] or path.rpartition("/source/")[0] for path in suite.indexes}
    )
    architectures = sorted(
        {path.rpartition("/binary-")[2].partition("/")[0] for path in suite.indexes if "/binary-" in path}
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
    lines += ["SHA256:", *(f" {digest} {size} {path}" for path, digest, size in listed)]
    return ("\n".join(lines) + "\n").encode()
