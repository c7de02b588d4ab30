"""The RPM mirror's pages: indexes of every repository, and their undated ``repomd.xml``.

Source: the repository metadata that createrepo_c writes. What is listed follows from the snapshot alone;
``repomd.xml`` gets its times when it is served, from the channel's statement (`core.repository`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.digests import sha256
from lockgate.core.places import Place, places_of
from lockgate.core.repository import REPOMD, UNDATED
from lockgate.core.rpm import RPM_LIMIT, RpmPackage, RpmRepository, location
from lockgate.core.snapshot import Admitted
from lockgate.mirror.errors import AmbiguousSnapshotError, LayoutError
from lockgate.mirror.pages.base import BINARY_TYPE, XML_TYPE, Page, ReadBlob, decoded, of_kind, only_file
from lockgate.mirror.pages.packing import gzipped
from lockgate.mirror.pages.rpmxml import Markup, filelists, other, primary, updateinfo

FOLDER = "rpm/"
KEYS = "keys.asc"

_REPODATA = "repodata"


@dataclass(frozen=True, slots=True)
class Channel:
    """One repository: what its upstream calls it, and its packages with their files by full name."""

    about: RpmRepository
    packages: dict[str, tuple[RpmPackage, ArtifactFile]] = field(default_factory=dict)


def pool(admitted: Sequence[Admitted]) -> dict[str, ArtifactFile]:
    """Return packages and keys by path below ``/rpm/``; the newest crossing's of one path.

    A package lies in each repository that lists it, so that an index names nothing outside of its own.

    Raises:
        AmbiguousSnapshotError: One crossing brought two different files under one path.
        LayoutError: A package lies outside of its distribution.

    """
    found: dict[str, tuple[int, ArtifactFile]] = {}
    for entry in of_kind(admitted, Kind.RPM):
        for path, file in _served(entry.artifact):
            before = found.get(path)
            if before and before[0] == entry.crossing and before[1].sha256 != file.sha256:
                what = f"Crossing {entry.crossing} has two different files at {path!r}."
                raise AmbiguousSnapshotError(what, path=path)
            found[path] = (entry.crossing, file)
    return {path: file for path, (_, file) in sorted(found.items())}


def generate(admitted: Sequence[Admitted], read: ReadBlob) -> Iterator[Page]:
    """Yield the indexes of every repository, and its ``repomd.xml`` without times.

    Args:
        admitted: What the snapshot admits; other kinds are passed over.
        read: Reads what is known of packages and repositories.

    Raises:
        LayoutError: An artifact does not say what it is, or says it of another one.

    """
    channels = _channels(admitted, read)
    if not channels:
        return
    served = {file.sha256 for file in pool(admitted).values()}
    for entry in of_kind(admitted, Kind.RPM):
        if _is_package(entry.artifact):
            _list(entry.artifact, channels, served, read)
    for _, channel in sorted(channels.items()):
        yield from _pages(channel)


def _is_package(artifact: Artifact) -> bool:
    return bool(artifact.attributes.get("places"))


def _served(artifact: Artifact) -> Iterator[tuple[str, ArtifactFile]]:
    """Yield under which paths files of an artifact are served."""
    for file in artifact.files:
        if file.role is Role.DISTRIBUTION:
            for place in places_of(artifact.attributes.get("places", "")):
                inside = f"{FOLDER}{place.repository}/"
                if not file.path.startswith(inside):
                    what = f"{file.path!r} does not lie in the distribution {place.repository!r}."
                    raise LayoutError(what)
                folder = f"{place.repository}/{place.suite}/{place.component}"
                yield f"{folder}/{file.path.removeprefix(inside)}", file
        elif file.path.endswith(f"/{KEYS}") and file.path.startswith(FOLDER):
            yield file.path.removeprefix(FOLDER), file


def _channels(admitted: Sequence[Admitted], read: ReadBlob) -> dict[Place, Channel]:
    """Return the repositories by their place, each as the newest crossing describes it."""
    found: dict[Place, Channel] = {}
    for entry in of_kind(admitted, Kind.RPM):
        if not _is_package(entry.artifact):
            file = only_file(entry.artifact, Role.MANIFEST)
            about = decoded(RpmRepository, entry.artifact, file, read, RPM_LIMIT)
            found[Place(about.repository, about.channel, about.architecture)] = Channel(about)
    return found


def _list(artifact: Artifact, channels: Mapping[Place, Channel], served: set[str], read: ReadBlob) -> None:
    """Add a package to its repositories, unless a newer crossing's stands at its path."""
    file = only_file(artifact, Role.DISTRIBUTION)
    if file.sha256 not in served:
        return
    known = only_file(artifact, Role.CORE_METADATA)
    package = decoded(RpmPackage, artifact, known, read, RPM_LIMIT)
    said = (package.evr, package.architecture)
    if said != (artifact.version, artifact.attributes.get("architecture")) or not file.path.endswith(
        f"/{location(package)}"
    ):
        what = f"What is known of {artifact.purl} is about {package.name} {package.evr}."
        raise LayoutError(what)
    for place in places_of(artifact.attributes["places"]):
        if place in channels:
            channels[place].packages[package.nevra] = (package, file)


def _pages(channel: Channel) -> Iterator[Page]:
    """Yield the pages of one repository; each index bears its digest in its name."""
    packages = [channel.packages[name] for name in sorted(channel.packages)]
    texts = {
        "primary.xml": primary(packages),
        "filelists.xml": filelists(packages),
        "other.xml": other(packages),
        "updateinfo.xml": updateinfo(channel.about.errata, set(channel.packages)),
        "modules.yaml": _modules(channel),
    }
    listed = []
    for name, text in texts.items():
        if text:
            body = gzipped(text)
            path = f"{_REPODATA}/{sha256(body)}-{name}.gz"
            yield Page(f"{channel.about.folder}/{path}", BINARY_TYPE, body)
            listed.append((name.partition(".")[0], path, body, text))
    yield Page(f"{channel.about.folder}/{_REPODATA}/{REPOMD}", XML_TYPE, _repomd(listed))


def _modules(channel: Channel) -> bytes:
    """Return the modules of which something is admitted, as their upstream wrote them."""
    names = {
        module.name
        for module in channel.about.modules
        if any(package in channel.packages for package in module.packages)
    }
    texts = [
        f"---\n{module.text}...\n"
        for module in channel.about.modules
        if module.name in names
        and (not module.packages or any(package in channel.packages for package in module.packages))
    ]
    return "".join(texts).encode()


def _repomd(listed: Iterable[tuple[str, str, bytes, bytes]]) -> bytes:
    """Return ``repomd.xml`` with places for the times that it gets when it is served."""
    markup = Markup("repomd", xmlns="http://linux.duke.edu/metadata/repo")
    markup.text("revision", UNDATED)
    for kind, path, body, text in listed:
        with markup.within("data", type=kind):
            markup.text("checksum", sha256(body), type="sha256")
            markup.text("open-checksum", sha256(text), type="sha256")
            markup.empty("location", href=path)
            markup.text("timestamp", UNDATED)
            markup.text("size", str(len(body)))
            markup.text("open-size", str(len(text)))
    return markup.finish()
