"""The PyPI mirror's pages: the simple repository API in HTML and JSON.

Sources: PEP 503 (HTML), PEP 592 (yanked), PEP 629 (version), PEP 691 (JSON), PEP 700 (sizes,
versions, upload times), PEP 658 and PEP 714 (core metadata), PEP 708 (the index that a project
was taken from, other locations), PEP 740 (provenance), PEP 792 (status of a project).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

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
from lockgate.mirror.pages.base import Page, ReadBlob, json_page, of_kind

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
SIMPLE_HTML = "application/vnd.pypi.simple.v1+html"
API_VERSION = "1.4"
"""Version of the simple API: 1.4 is the first with `project-status` (PEP 792)."""

QUARANTINED = "quarantined"
"""The status of a project none of whose files an index may offer (PEP 792)."""

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
        return self.file.path.rpartition("/")[2]

    @property
    def address(self) -> str:
        """Return where the file is served, relative to the server's root."""
        return f"packages/{self.file.sha256}/{self.filename}"


@dataclass(frozen=True, slots=True)
class Project:
    """What a page says of a project as a whole, by what its index said when it was collected.

    `tracks` are its pages on the indexes that every one of its files came from; empty where one came from
    elsewhere, since a client may then not take both for one project (PEP 708). `status` and what other
    locations it has are those of the newest crossing.
    """

    tracks: tuple[str, ...] = ()
    alternates: tuple[str, ...] = ()
    status: str = ""
    reason: str = ""

    def meta(self) -> Iterator[tuple[str, str]]:
        """Yield the names and contents of the HTML page's meta tags."""
        yield from (("pypi:tracks", address) for address in self.tracks)
        yield from (("pypi:alternate-locations", address) for address in self.alternates)
        if self.status:
            yield "pypi:project-status", self.status
            if self.reason:
                yield "pypi:project-status-reason", self.reason


def about(admitted: Iterable[Admitted]) -> dict[str, Project]:
    """Return what is known of each project as a whole, by normalised name."""
    found: dict[str, Project] = {}
    mixed: set[str] = set()
    for entry in of_kind(admitted, Kind.PYTHON):
        said = entry.artifact.attributes
        name, index = canonicalize_name(entry.artifact.name), said.get("index", "")
        mixed |= set() if index else {name}
        before = found.get(name, Project()).tracks
        found[name] = Project(
            tracks=() if name in mixed else tuple(sorted({*before, index})),
            alternates=tuple(said.get("alternate-locations", "").split()),
            status=said.get("project-status", ""),
            reason=said.get("project-status-reason", ""),
        )
    return found


def distributions(admitted: Sequence[Admitted]) -> dict[str, list[Distribution]]:
    """Return every distribution by normalised project name, both in a fixed order.

    A project that its index has in quarantine has none.

    Raises:
        LayoutError: A file's name does not say the project and version of its artifact.
        AmbiguousSnapshotError: Two different files have one name.

    """
    projects: dict[str, dict[str, Distribution]] = {}
    held = {name for name, project in about(admitted).items() if project.status == QUARANTINED}
    for entry in of_kind(admitted, Kind.PYTHON):
        if (name := canonicalize_name(entry.artifact.name)) in held:
            projects.setdefault(name, {})
            continue
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
    projects, known = distributions(admitted), about(admitted)
    yield from generate_index(list(projects))
    for name, files in projects.items():
        yield json_page(f"simple/{name}/index.json", _json_project(name, known[name], files), SIMPLE_JSON)
        path, title = f"simple/{name}/index.html", f"Links for {name}"
        yield _html(path, title, map(_html_link, files), known[name].meta())


def generate_index(projects: Sequence[str]) -> Iterator[Page]:
    """Yield the root list, in JSON and HTML; projects are normalised names in their order."""
    names = [{"name": name} for name in projects]
    root = {"meta": {"api-version": API_VERSION}, "projects": names}
    yield json_page("simple/index.json", root, SIMPLE_JSON)
    links = (f'<a href="{name}/">{name}</a>' for name in projects)
    yield _html("simple/index.html", "Simple index", links)


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
    filename = file.path.rpartition("/")[2]
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


def _json_project(name: str, project: Project, files: Iterable[Distribution]) -> dict[str, object]:
    meta: dict[str, object] = {"api-version": API_VERSION}
    if project.tracks:
        meta["tracks"] = list(project.tracks)
    body: dict[str, object] = {
        "meta": meta,
        "name": name,
        "versions": list(dict.fromkeys(d.version for d in files)),
        "files": [_json_file(d) for d in files],
    }
    if project.alternates:
        body["alternate-locations"] = list(project.alternates)
    if project.status:
        reason = {"reason": project.reason} if project.reason else {}
        body["project-status"] = {"status": project.status, **reason}
    return body


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


def _html(path: str, title: str, links: Iterable[str], meta: Iterable[tuple[str, str]] = ()) -> Page:
    tags = (f'<meta name="{name}" content="{escape(content)}">\n' for name, content in meta)
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="pypi:repository-version" content="{API_VERSION}">\n{"".join(tags)}'
        f"<title>{escape(title)}</title>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
    )
    body = head + "".join(f"{link}<br>\n" for link in links) + "</body>\n</html>\n"
    return Page(path=path, media_type=SIMPLE_HTML, body=body.encode())
