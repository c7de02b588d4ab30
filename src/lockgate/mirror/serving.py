"""From artifacts and pages to what their addresses answer, kind by kind.

The same is done with all of a snapshot, or with what has one name in a large one: only where pages come from
differs (`Pages`).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Protocol, TypeVar

from lockgate.core.artifact import ArtifactFile, Kind, Role
from lockgate.core.git import is_repository_name, refs_of
from lockgate.core.repository import is_release
from lockgate.core.snapshot import Admitted, Generated
from lockgate.mirror.entries import (
    Entry,
    GitEntries,
    ImageEntries,
    ModelEntries,
    NpmEntries,
    RevisionEntries,
    SignedEntries,
    Simple,
)
from lockgate.mirror.errors import AmbiguousSnapshotError, LayoutError
from lockgate.mirror.pages import apt, conda, rpm
from lockgate.mirror.pages.base import BINARY_TYPE, JSON_TYPE, media_type_of, of_kind
from lockgate.mirror.pages.files import SUMS, served_files
from lockgate.mirror.pages.huggingface import Revision, revisions
from lockgate.mirror.pages.npm import releases
from lockgate.mirror.pages.oci import Repository, repositories
from lockgate.mirror.pages.pypi import METADATA_SUFFIX, PROVENANCE_SUFFIX, distributions

T = TypeVar("T")


class Pages(Protocol):
    """The pages of a snapshot by their paths."""

    def find(self, path: str) -> Entry | None:
        """Return a page; None: there is none."""

    def get(self, path: str) -> Entry:
        """Return a page that has to be there."""

    def simple(self, folder: str) -> Simple:
        """Return both forms of an index page."""

    def each(self, keys: Collection[str], make: Callable[[str], T]) -> Mapping[str, T]:
        """Return what is made of each key from its pages."""

    def referrers(self, repository: str) -> Mapping[str, Entry]:
        """Return the lists of referrers of a repository by their subject."""


class WholePages:
    """All pages at hand, of a snapshot or of one part."""

    def __init__(self, generated: Iterable[Generated]) -> None:
        """Refuse two pages of one path."""
        self.by_path: dict[str, Entry] = {}
        for page in generated:
            if page.path in self.by_path:
                what = f"The snapshot has two pages called {page.path!r}."
                raise AmbiguousSnapshotError(what)
            self.by_path[page.path] = Entry(page.sha256, page.size, page.media_type, page=True)

    def find(self, path: str) -> Entry | None:
        """Return a page; None: there is none."""
        return self.by_path.get(path)

    def get(self, path: str) -> Entry:
        """Return a page that has to be there."""
        if path not in self.by_path:
            what = f"The snapshot has no page {path!r}, though it admits what the page is about."
            raise AmbiguousSnapshotError(what)
        return self.by_path[path]

    def simple(self, folder: str) -> Simple:
        """Return both forms of an index page."""
        return Simple(json=self.get(f"{folder}/index.json"), html=self.get(f"{folder}/index.html"))

    def each(self, keys: Collection[str], make: Callable[[str], T]) -> Mapping[str, T]:
        """Return what is made of each key from its pages."""
        return MappingProxyType({key: make(key) for key in keys})

    def referrers(self, repository: str) -> Mapping[str, Entry]:
        """Return the lists of referrers of a repository by their subject."""
        return MappingProxyType(self._referrers.get(repository, {}))

    @cached_property
    def _referrers(self) -> dict[str, dict[str, Entry]]:
        found: dict[str, dict[str, Entry]] = {}
        for path, page in self.by_path.items():
            folder, between, digest = path.partition("/_referrers/")
            if between and folder.startswith("oci/"):
                found.setdefault(folder.removeprefix("oci/"), {})[digest] = page
        return found


def _entry(file: ArtifactFile, media_type: str, *, immutable: bool = False) -> Entry:
    return Entry(file.sha256, file.size, media_type, immutable)


def projects(admitted: Sequence[Admitted], pages: Pages) -> dict[str, Simple]:
    """Return the pages of Python projects."""
    return {name: pages.simple(f"simple/{name}") for name in distributions(admitted)}


def packages(admitted: Sequence[Admitted]) -> dict[str, Entry]:
    """Return distributions with what lies beside them, by digest and name."""
    found: dict[str, Entry] = {}
    for files in distributions(admitted).values():
        for d in files:
            address = d.address.removeprefix("packages/")
            found[address] = _entry(d.file, BINARY_TYPE, immutable=True)
            if d.metadata:
                found[address + METADATA_SUFFIX] = _entry(d.metadata, BINARY_TYPE, immutable=True)
            if d.provenance:
                found[address + PROVENANCE_SUFFIX] = _entry(d.provenance, JSON_TYPE)
    return found


def npm_packages(admitted: Sequence[Admitted], pages: Pages) -> dict[str, NpmEntries]:
    """Return npm packages by name."""
    return {
        name: NpmEntries(
            full=pages.get(f"npm/{name}/full.json"),
            short=pages.get(f"npm/{name}/short.json"),
            archives=MappingProxyType(
                {r.filename: _entry(r.archive, BINARY_TYPE, immutable=True) for r in known}
            ),
        )
        for name, known in releases(admitted).items()
    }


def debs(admitted: Sequence[Admitted], pages: WholePages) -> SignedEntries:
    """Return what lies below ``/apt/``."""
    files = {path: _entry(file, BINARY_TYPE) for path, file in apt.pool(admitted).items()}
    indexes, releases = _indexes(pages, apt.FOLDER)
    for address, page in indexes.items():
        files[address] = page
        by_hash = f"{address.rpartition('/')[0]}/{apt.BY_HASH}/{page.sha256}"
        files[by_hash] = Entry(page.sha256, page.size, page.media_type, immutable=True, page=True)
    return SignedEntries(MappingProxyType(files), MappingProxyType(releases))


def rpms(admitted: Sequence[Admitted], pages: WholePages) -> SignedEntries:
    """Return what lies below ``/rpm/``."""
    files = {path: _entry(file, BINARY_TYPE) for path, file in rpm.pool(admitted).items()}
    indexes, releases = _indexes(pages, rpm.FOLDER)
    for address, page in indexes.items():  # each has its digest in its name
        files[address] = Entry(page.sha256, page.size, page.media_type, immutable=True, page=True)
    return SignedEntries(MappingProxyType(files), MappingProxyType(releases))


def condas(admitted: Sequence[Admitted], pages: WholePages) -> dict[str, Entry]:
    """Return what lies below ``/conda/``: packages, and each index under its name."""
    files = {path: _entry(file, BINARY_TYPE) for path, file in conda.pool(admitted).items()}
    for path, page in pages.by_path.items():
        if path.startswith(conda.FOLDER):
            files[path.removeprefix(conda.FOLDER)] = page
    return files


def _indexes(pages: WholePages, prefix: str) -> tuple[dict[str, Entry], dict[str, Entry]]:
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


def gits(admitted: Sequence[Admitted]) -> dict[str, GitEntries]:
    """Return repositories by name; the newest crossing's of one name."""
    found: dict[str, GitEntries] = {}
    for entry in of_kind(admitted, Kind.GIT):
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


def models(admitted: Sequence[Admitted], pages: Pages) -> dict[str, ModelEntries]:
    """Return models, data sets and spaces by the names by which clients know them."""
    return {model: _model(model, known, pages) for model, known in revisions(admitted).items()}


def _model(model: str, known: Sequence[Revision], pages: Pages) -> ModelEntries:
    by_commit = {revision.commit: revision for revision in known}
    return ModelEntries(
        main=known[-1].commit,
        references=pages.get(f"hub/{model}/refs.json"),
        revisions=pages.each(by_commit, lambda commit: _revision(by_commit[commit], pages)),
    )


def _revision(revision: Revision, pages: Pages) -> RevisionEntries:
    information, tree, commits = map(pages.get, revision.pages)
    return RevisionEntries(
        commit=revision.commit,
        information=information,
        tree=tree,
        commits=commits,
        files=MappingProxyType({p: _entry(f, BINARY_TYPE) for p, f in revision.files.items()}),
    )


def images(admitted: Sequence[Admitted], pages: Pages) -> dict[str, ImageEntries]:
    """Return repositories of images by name."""
    return {name: _image(repository, pages) for name, repository in repositories(admitted).items()}


def _image(repository: Repository, pages: Pages) -> ImageEntries:
    return ImageEntries(
        name=repository.name,
        listing=pages.get(repository.page("tags")),
        tags=MappingProxyType(dict(sorted(repository.tags.items()))),
        manifests=pages.each(repository.manifests, lambda sha256: _manifest(pages, repository, sha256)),
        blobs=MappingProxyType({s: _entry(f, BINARY_TYPE) for s, f in repository.blobs.items()}),
        referrers=pages.referrers(repository.name),
        linked=repository.linked,
    )


def _manifest(pages: Pages, repository: Repository, sha256: str) -> Entry:
    """Return a manifest's page, which has to be the manifest itself."""
    page = pages.get(repository.page(f"manifests/{sha256}"))
    if page.sha256 != sha256:
        what = f"The snapshot's page of a manifest of {repository.name} has other bytes."
        raise AmbiguousSnapshotError(what)
    return page


def files(admitted: Sequence[Admitted], pages: WholePages) -> dict[str, Entry]:
    """Return what lies below ``/files/``: a folder's listing stands under ``folder/``."""
    files: dict[str, Entry] = {}
    for path, page in pages.by_path.items():
        if path.startswith("files/"):
            address = path.removeprefix("files/")
            files[address if address.endswith(SUMS) else address.removesuffix("index.html")] = page
    for path, file in served_files(admitted).items():
        files[path] = _entry(file, media_type_of(path))
    return files
