"""From a snapshot to what every address answers: pure, immutable, built once per snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from lockgate.core.artifact import ArtifactFile, Kind, Role
from lockgate.core.git import is_repository_name, refs_of
from lockgate.core.parts import Parts, SnapshotPart, parts_of, rest_of
from lockgate.core.repository import is_release
from lockgate.core.snapshot import Generated, Snapshot
from lockgate.core.statement import Statement
from lockgate.mirror.errors import AmbiguousSnapshotError, LayoutError
from lockgate.mirror.pages import apt, conda, rpm
from lockgate.mirror.pages.base import BINARY_TYPE, JSON_TYPE, media_type_of, of_kind
from lockgate.mirror.pages.files import SUMS, served_files
from lockgate.mirror.pages.huggingface import revisions
from lockgate.mirror.pages.npm import releases
from lockgate.mirror.pages.npmlists import SEARCH
from lockgate.mirror.pages.oci import Repository, aliases, repositories
from lockgate.mirror.pages.parted import PartedMapping, project_of_address
from lockgate.mirror.pages.pypi import METADATA_SUFFIX, PROVENANCE_SUFFIX, distributions
from lockgate.mirror.signed import SignedRepository


@dataclass(frozen=True, slots=True)
class Entry:
    """What one address serves.

    `immutable` says that the address names its content, so that a client may keep it for ever;
    `page` that it is one of the snapshot's pages, which are asked for often.
    """

    sha256: str
    size: int
    media_type: str
    immutable: bool = False
    page: bool = False


@dataclass(frozen=True, slots=True)
class Simple:
    """One simple index page in its two forms."""

    json: Entry
    html: Entry


@dataclass(frozen=True, slots=True)
class RevisionEntries:
    """What is served for one revision of a repository; files by path inside the repository."""

    commit: str
    information: Entry
    tree: Entry
    commits: Entry
    files: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class ModelEntries:
    """What is served for one model: its references and its revisions by commit."""

    main: str
    references: Entry
    revisions: Mapping[str, RevisionEntries]

    def revision(self, name: str) -> RevisionEntries | None:
        """Return the revision that a branch or commit names."""
        commit = self.main if name in {"main", "refs/heads/main"} else name
        return self.revisions.get(commit)


@dataclass(frozen=True, slots=True)
class ImageEntries:
    """What is served for one repository of images, by hexadecimal SHA-256.

    `tags` are sorted; `referrers` are by the subject's digest; `linked` as in `oci.Repository`.
    """

    name: str
    listing: Entry
    tags: Mapping[str, str]
    manifests: Mapping[str, Entry]
    blobs: Mapping[str, Entry]
    referrers: Mapping[str, Entry]
    linked: bool


@dataclass(frozen=True, slots=True)
class Images:
    """Every repository of images: by name, and by name without its host where that is one."""

    by_name: Mapping[str, ImageEntries]
    aliases: Mapping[str, str]

    def find(self, name: str, host: str = "") -> ImageEntries | None:
        """Return the repository that a name stands for, looked for below `host` first."""
        found = self.by_name.get(f"{host}/{name}") if host else None
        return found or self.by_name.get(name) or self.by_name.get(self.aliases.get(name, ""))


@dataclass(frozen=True, slots=True)
class NpmEntries:
    """What is served for one npm package: both packuments, and the archives by file name."""

    full: Entry
    short: Entry
    archives: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class SignedEntries:
    """What is served of signed repositories: packages, and indexes (apt's by their digest too); undated ones.

    `releases` are by the folder that they lie in (``debian/dists/bookworm``).
    """

    files: Mapping[str, Entry]
    releases: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class GitEntries:
    """What is served of one git repository: a bundle, and what it has to hold, the default first.

    `large` are the large files (Git LFS) by their SHA-256.
    """

    bundle: Entry
    refs: Mapping[str, str]
    large: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that one signed snapshot answers. A request looks at exactly one table."""

    statement: Statement
    created: datetime
    index: Simple
    projects: Mapping[str, Simple]
    packages: Mapping[str, Entry]
    models: Mapping[str, ModelEntries]
    images: Images
    files: Mapping[str, Entry]
    npm: Mapping[str, NpmEntries]
    npm_search: Entry | None
    apt: SignedEntries
    rpm: SignedEntries
    conda: Mapping[str, Entry]
    git: Mapping[str, GitEntries]
    snapshot: Snapshot
    repository: SignedRepository | None = None


def build_table(
    statement: Statement, snapshot: Snapshot, repository: SignedRepository | None = None
) -> Table:
    """Return the table of a verified snapshot.

    Args:
        statement: What publishes the snapshot.
        snapshot: What is served.
        repository: What the gate signed of it for clients of package repositories, verified.

    Raises:
        AmbiguousSnapshotError: Two pages under one path, a page without its other form, or an
            artifact without its pages.
        LayoutError: An artifact that its protocol cannot serve.

    """
    whole, parts = snapshot, parts_of(snapshot)
    snapshot = rest_of(whole)
    pages = _Pages(snapshot.generated)
    index = pages.simple("simple")
    return Table(
        statement=statement,
        created=snapshot.created,
        index=index,
        projects=_parted_projects(parts) if parts else MappingProxyType(_projects(snapshot)),
        packages=_parted_packages(parts) if parts else MappingProxyType(_packages(snapshot)),
        models=MappingProxyType(_models(snapshot, pages)),
        images=_images(snapshot, pages),
        files=MappingProxyType(_files(snapshot, pages)),
        npm=MappingProxyType(_npm(snapshot, pages)),
        npm_search=pages.by_path.get(SEARCH),
        apt=_apt(snapshot, pages),
        rpm=_rpm(snapshot, pages),
        conda=MappingProxyType(_conda(snapshot, pages)),
        git=MappingProxyType(_git(snapshot)),
        snapshot=whole,
        repository=repository,
    )


class _Pages:
    """The snapshot's generated pages by path."""

    def __init__(self, generated: tuple[Generated, ...]) -> None:
        self.by_path: dict[str, Entry] = {}
        for page in generated:
            if page.path in self.by_path:
                what = f"The snapshot has two pages called {page.path!r}."
                raise AmbiguousSnapshotError(what)
            self.by_path[page.path] = Entry(page.sha256, page.size, page.media_type, page=True)

    def get(self, path: str) -> Entry:
        """Return a page that has to be there."""
        if path not in self.by_path:
            what = f"The snapshot has no page {path!r}, though it admits what the page is about."
            raise AmbiguousSnapshotError(what)
        return self.by_path[path]

    def simple(self, folder: str) -> Simple:
        """Return both forms of an index page."""
        return Simple(json=self.get(f"{folder}/index.json"), html=self.get(f"{folder}/index.html"))


def _entry(file: ArtifactFile, media_type: str, *, immutable: bool = False) -> Entry:
    return Entry(file.sha256, file.size, media_type, immutable)


def _projects(snapshot: Snapshot | SnapshotPart) -> dict[str, Simple]:
    pages = _Pages(snapshot.generated)
    return {name: pages.simple(f"simple/{name}") for name in distributions(snapshot.admitted)}


def _parted_projects(parts: Parts) -> Mapping[str, Simple]:
    return PartedMapping(parts, str, _projects, lambda part: len(part.projects))


def _parted_packages(parts: Parts) -> Mapping[str, Entry]:
    return PartedMapping(parts, project_of_address, _packages)


def _packages(snapshot: Snapshot | SnapshotPart) -> dict[str, Entry]:
    packages: dict[str, Entry] = {}
    for files in distributions(snapshot.admitted).values():
        for d in files:
            address = d.address.removeprefix("packages/")
            packages[address] = _entry(d.file, BINARY_TYPE, immutable=True)
            if d.metadata:
                packages[address + METADATA_SUFFIX] = _entry(d.metadata, BINARY_TYPE, immutable=True)
            if d.provenance:
                packages[address + PROVENANCE_SUFFIX] = _entry(d.provenance, JSON_TYPE)
    return packages


def _npm(snapshot: Snapshot, pages: _Pages) -> dict[str, NpmEntries]:
    return {
        name: NpmEntries(
            full=pages.get(f"npm/{name}/full.json"),
            short=pages.get(f"npm/{name}/short.json"),
            archives=MappingProxyType(
                {r.filename: _entry(r.archive, BINARY_TYPE, immutable=True) for r in known}
            ),
        )
        for name, known in releases(snapshot.admitted).items()
    }


def _apt(snapshot: Snapshot, pages: _Pages) -> SignedEntries:
    files = {path: _entry(file, BINARY_TYPE) for path, file in apt.pool(snapshot.admitted).items()}
    indexes, releases = _indexes(pages, apt.FOLDER)
    for address, page in indexes.items():
        files[address] = page
        by_hash = f"{address.rpartition('/')[0]}/{apt.BY_HASH}/{page.sha256}"
        files[by_hash] = Entry(page.sha256, page.size, page.media_type, immutable=True, page=True)
    return SignedEntries(MappingProxyType(files), MappingProxyType(releases))


def _rpm(snapshot: Snapshot, pages: _Pages) -> SignedEntries:
    files = {path: _entry(file, BINARY_TYPE) for path, file in rpm.pool(snapshot.admitted).items()}
    indexes, releases = _indexes(pages, rpm.FOLDER)
    for address, page in indexes.items():  # each has its digest in its name
        files[address] = Entry(page.sha256, page.size, page.media_type, immutable=True, page=True)
    return SignedEntries(MappingProxyType(files), MappingProxyType(releases))


def _conda(snapshot: Snapshot, pages: _Pages) -> dict[str, Entry]:
    """Return what lies below ``/conda/``: packages, and each index under its name."""
    files = {path: _entry(file, BINARY_TYPE) for path, file in conda.pool(snapshot.admitted).items()}
    for path, page in pages.by_path.items():
        if path.startswith(conda.FOLDER):
            files[path.removeprefix(conda.FOLDER)] = page
    return files


def _indexes(pages: _Pages, prefix: str) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """Return the pages of a protocol by address, and the undated ones by the folder that they lie in."""
    plain: dict[str, Entry] = {}
    releases: dict[str, Entry] = {}
    for path, page in pages.by_path.items():
        if path.startswith(prefix):
            address = path.removeprefix(prefix)
            if is_release(path):
                releases[address.rpartition("/")[0]] = page
            else:
                plain[address] = page
    return plain, releases


def _git(snapshot: Snapshot) -> dict[str, GitEntries]:
    """Return repositories by name; the newest crossing's of one name."""
    found: dict[str, GitEntries] = {}
    for entry in of_kind(snapshot.admitted, Kind.GIT):
        artifact = entry.artifact
        bundles = [file for file in artifact.files if file.role is Role.DISTRIBUTION]
        large = {file.sha256: file for file in artifact.files if file.role is not Role.DISTRIBUTION}
        folder = f"git/{artifact.name}/lfs"
        stray = any(not file.path.startswith(f"{folder}/{oid}/") for oid, file in large.items())
        if not is_repository_name(artifact.name) or len(bundles) != 1 or stray:
            what = f"{artifact.purl} is no bundle of one repository with its large files."
            raise LayoutError(what)
        refs = MappingProxyType(refs_of(artifact.attributes.get("refs", "")))
        entries = MappingProxyType({oid: _entry(file, BINARY_TYPE) for oid, file in large.items()})
        found[artifact.name] = GitEntries(_entry(bundles[0], BINARY_TYPE), refs, entries)
    return found


def _models(snapshot: Snapshot, pages: _Pages) -> dict[str, ModelEntries]:
    models: dict[str, ModelEntries] = {}
    for model, known in revisions(snapshot.admitted).items():
        entries = {
            revision.commit: RevisionEntries(
                commit=revision.commit,
                information=pages.get(f"{revision.folder}/info.json"),
                tree=pages.get(f"{revision.folder}/tree.json"),
                commits=pages.get(f"{revision.folder}/commits.json"),
                files=MappingProxyType({p: _entry(f, BINARY_TYPE) for p, f in revision.files.items()}),
            )
            for revision in known
        }
        models[model] = ModelEntries(
            main=known[-1].commit,
            references=pages.get(f"hub/{model}/refs.json"),
            revisions=MappingProxyType(entries),
        )
    return models


def _images(snapshot: Snapshot, pages: _Pages) -> Images:
    referrers = _referrers(pages)
    found: dict[str, ImageEntries] = {}
    for name, repository in repositories(snapshot.admitted).items():
        found[name] = ImageEntries(
            name=name,
            listing=pages.get(repository.page("tags")),
            tags=MappingProxyType(dict(sorted(repository.tags.items()))),
            manifests=MappingProxyType({s: _manifest(pages, repository, s) for s in repository.manifests}),
            blobs=MappingProxyType({s: _entry(f, BINARY_TYPE) for s, f in repository.blobs.items()}),
            referrers=MappingProxyType(referrers.get(name, {})),
            linked=repository.linked,
        )
    return Images(MappingProxyType(found), MappingProxyType(aliases(found)))


def _manifest(pages: _Pages, repository: Repository, sha256: str) -> Entry:
    """Return a manifest's page, which has to be the manifest itself."""
    page = pages.get(repository.page(f"manifests/{sha256}"))
    if page.sha256 != sha256:
        what = f"The snapshot's page of a manifest of {repository.name} has other bytes."
        raise AmbiguousSnapshotError(what)
    return page


def _referrers(pages: _Pages) -> dict[str, dict[str, Entry]]:
    """Return the lists of referrers by repository and subject."""
    found: dict[str, dict[str, Entry]] = {}
    for path, page in pages.by_path.items():
        folder, between, digest = path.partition("/_referrers/")
        if between and folder.startswith("oci/"):
            found.setdefault(folder.removeprefix("oci/"), {})[digest] = page
    return found


def _files(snapshot: Snapshot, pages: _Pages) -> dict[str, Entry]:
    """Return what lies below ``/files/``: a folder's listing stands under ``folder/``."""
    files: dict[str, Entry] = {}
    for path, page in pages.by_path.items():
        if path.startswith("files/"):
            address = path.removeprefix("files/")
            files[address if address.endswith(SUMS) else address.removesuffix("index.html")] = page
    for path, file in served_files(snapshot.admitted).items():
        files[path] = _entry(file, media_type_of(path))
    return files
