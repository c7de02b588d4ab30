"""The PyPI mirror's pages: the simple repository API in HTML and JSON.

Sources: PEP 503 (HTML), PEP 592 (yanked), PEP 629 (version), PEP 691 (JSON), PEP 700 (sizes,
versions, upload times), PEP 658 and PEP 714 (core metadata), PEP 740 (provenance).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import PurePosixPath

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from lockgate.core.artifact import ArtifactFile, Kind, Role
from lockgate.core.snapshot import Admitted
from lockgate.core.wire import stamp
from lockgate.mirror.errors import AmbiguousSnapshotError, LayoutError
from lockgate.mirror.pages import Page, ReadBlob, json_page, of_kind

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
SIMPLE_HTML = "application/vnd.pypi.simple.v1+html"
API_VERSION = "1.3"
"""Version of the simple API: 1.3 is the first with `provenance` (PEP 740)."""

METADATA_SUFFIX = ".metadata"
PROVENANCE_SUFFIX = ".provenance"


@dataclass(frozen=True, slots=True)
class Distribution:
    """One wheel or source archive with what is served beside it."""

    project: str
    version: str
    file: ArtifactFile
    metadata: ArtifactFile | None
    provenance: ArtifactFile | None
    requires_python: str
    yanked: str

    @property
    def filename(self) -> str:
        """Return the last part of the path, which is the file's name on the index."""
        return PurePosixPath(self.file.path).name

    @property
    def address(self) -> str:
        """Return where the file is served, relative to the server's root."""
        return f"packages/{self.file.sha256}/{self.filename}"


def distributions(admitted: Iterable[Admitted]) -> dict[str, list[Distribution]]:
    """Return every distribution by normalised project name, both in a fixed order.

    Raises:
        LayoutError: A file's name does not say the project and version of its artifact.
        AmbiguousSnapshotError: Two different files have one name.

    """
    projects: dict[str, dict[str, Distribution]] = {}
    for entry in of_kind(admitted, Kind.PYTHON):
        for found in _of_artifact(entry):
            files = projects.setdefault(found.project, {})
            before = files.setdefault(found.filename, found)
            if before.file.sha256 != found.file.sha256:
                what = f"Two different files are called {found.filename!r}."
                raise AmbiguousSnapshotError(what, first=before.file.sha256, second=found.file.sha256)
    return {
        project: sorted(files.values(), key=lambda d: (Version(d.version), d.filename))
        for project, files in sorted(projects.items())
    }


def generate(admitted: Sequence[Admitted], read: ReadBlob) -> Iterator[Page]:
    """Yield the index pages: the root list and one page per project, each in HTML and JSON.

    Args:
        admitted: What the snapshot admits; other kinds are passed over.
        read: Not needed here: everything these pages say stands in the lock.

    Raises:
        LayoutError, AmbiguousSnapshotError: As `distributions`.

    """
    del read
    projects = distributions(admitted)
    meta = {"api-version": API_VERSION}
    names = [{"name": name} for name in projects]
    yield json_page("simple/index.json", {"meta": meta, "projects": names}, SIMPLE_JSON)
    links = (f'<a href="{name}/">{name}</a>' for name in projects)
    yield _html("simple/index.html", "Simple index", links)
    for name, files in projects.items():
        versions = list(dict.fromkeys(d.version for d in files))
        body = {"meta": meta, "name": name, "versions": versions, "files": [_json_file(d) for d in files]}
        yield json_page(f"simple/{name}/index.json", body, SIMPLE_JSON)
        yield _html(f"simple/{name}/index.html", f"Links for {name}", map(_html_link, files))


def _of_artifact(entry: Admitted) -> Iterator[Distribution]:
    artifact = entry.artifact
    project = canonicalize_name(artifact.name)
    beside = {f.path: f for f in artifact.files if f.role in {Role.CORE_METADATA, Role.PROVENANCE}}
    for file in artifact.files:
        if file.role is not Role.DISTRIBUTION:
            continue
        _check_name(file, project, artifact.version)
        yield Distribution(
            project=project,
            version=artifact.version,
            file=file,
            metadata=beside.get(file.path + METADATA_SUFFIX),
            provenance=beside.get(file.path + PROVENANCE_SUFFIX),
            requires_python=artifact.attributes.get("requires-python", ""),
            yanked=artifact.attributes.get("yanked", ""),
        )


def _check_name(file: ArtifactFile, project: str, version: str) -> None:
    """Demand that a file's name says what its artifact says: installers believe the name."""
    filename = PurePosixPath(file.path).name
    try:
        if filename.endswith(".whl"):
            said, number, _, _ = parse_wheel_filename(filename)
        else:
            said, number = parse_sdist_filename(filename)
        same = (said, number) == (project, Version(version))
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion) as error:
        what = f"{filename!r} is not the name of a wheel or source archive of {project} {version}."
        raise LayoutError(what, path=file.path) from error
    if not same:
        what = f"{filename!r} says {said} {number}, its artifact says {project} {version}."
        raise LayoutError(what, path=file.path)


def _json_file(d: Distribution) -> dict[str, object]:
    core = {"sha256": d.metadata.sha256} if d.metadata else False
    entry: dict[str, object] = {
        "filename": d.filename,
        "url": f"../../{d.address}",
        "hashes": {"sha256": d.file.sha256},
        "size": d.file.size,
        "core-metadata": core,
        "data-dist-info-metadata": core,
        "yanked": d.yanked or False,
    }
    if d.requires_python:
        entry["requires-python"] = d.requires_python
    if d.file.uploaded:
        entry["upload-time"] = stamp(d.file.uploaded)
    if d.provenance:
        entry["provenance"] = f"../../{d.address}{PROVENANCE_SUFFIX}"
    return entry


def _html_link(d: Distribution) -> str:
    facts = {"href": f"../../{d.address}#sha256={d.file.sha256}"}
    if d.requires_python:
        facts["data-requires-python"] = d.requires_python
    if d.metadata:
        facts["data-core-metadata"] = facts["data-dist-info-metadata"] = f"sha256={d.metadata.sha256}"
    if d.provenance:
        facts["data-provenance"] = f"../../{d.address}{PROVENANCE_SUFFIX}"
    if d.yanked:
        facts["data-yanked"] = d.yanked
    attributes = " ".join(f'{key}="{escape(value)}"' for key, value in facts.items())
    return f"<a {attributes}>{escape(d.filename)}</a>"


def _html(path: str, title: str, links: Iterable[str]) -> Page:
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="pypi:repository-version" content="{API_VERSION}">\n'
        f"<title>{escape(title)}</title>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
    )
    body = head + "".join(f"{link}<br>\n" for link in links) + "</body>\n</html>\n"
    return Page(path=path, media_type=SIMPLE_HTML, body=body.encode())
