"""The Hugging Face Hub mirror's pages: information, file trees, references and commits.

The shapes are those that `huggingface_hub` reads (its `ModelInfo`, `RepoFile`, `RepoFolder`
and `GitRefs`). Object ids are computed as git does: a blob's and a tree's SHA-1 (git book,
"Git Internals: Git Objects"); a large file's blob is its pointer (Git LFS specification, "The
Pointer"). No page names a `xetHash`, which would send clients to a service that is not here.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from packageurl import PackageURL

from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.snapshot import Admitted
from lockgate.core.wire import stamp
from lockgate.mirror.errors import AmbiguousSnapshotError, LayoutError
from lockgate.mirror.pages.base import Page, ReadBlob, json_page, of_kind

LFS_FROM = 10 * 1024 * 1024
"""Files longer than this are large files even when they are no weights, in bytes."""

# The first line of every pointer: the name of the format, which nobody ever fetches.
_POINTER_VERSION = "https://git-lfs.github.com/spec/v1"

_REVISION_DIGITS = 40
_LONG_AGO = "1970-01-01T00:00:00Z"
_OTHER_ADDRESSES = frozenset(
    {"api", "datasets", "files", "healthz", "metrics", "npm", "packages", "simple", "spaces", "v2"}
)
FOLDERS = {Kind.MODEL: "models", Kind.DATASET: "datasets", Kind.SPACE: "spaces"}
"""The folder of a lock, and the part of the API, that each kind of repository has."""

_TASKS = {"chat": "text-generation", "embed": "feature-extraction"}


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a repository: its commit, and its files by path inside the repository.

    `model` is the id by which clients know it, with ``datasets/`` or ``spaces/`` before it where it
    is no model.
    """

    model: str
    commit: str
    files: dict[str, ArtifactFile]
    artifact: Artifact

    @property
    def folder(self) -> str:
        """Return the folder of this revision's pages."""
        return f"hub/{self.model}/{self.commit}"

    @property
    def pages(self) -> tuple[str, str, str]:
        """Return the paths of its pages: information, tree and commits."""
        return f"{self.folder}/info.json", f"{self.folder}/tree.json", f"{self.folder}/commits.json"

    @property
    def identity(self) -> str:
        """Return the id of the repository among those of its kind."""
        prefix = "" if self.artifact.kind is Kind.MODEL else f"{FOLDERS[self.artifact.kind]}/"
        return self.model.removeprefix(prefix)

    @property
    def modified(self) -> str:
        """Return when its newest file was uploaded, as far as that is known."""
        uploads = [file.uploaded for file in self.files.values() if file.uploaded]
        return stamp(max(uploads)) if uploads else _LONG_AGO


def revisions(admitted: Iterable[Admitted]) -> dict[str, list[Revision]]:
    """Return every repository's revisions, oldest crossing first; the last one is `main`.

    Raises:
        LayoutError: A package URL or path is not that of a model.
        AmbiguousSnapshotError: One revision was admitted with two different contents.

    """
    models: dict[str, dict[str, Revision]] = {}
    for entry in of_kind(admitted, *FOLDERS):
        found = _revision(entry.artifact)
        before = models.setdefault(found.model, {}).pop(found.commit, found)
        if _contents(before) != _contents(found):
            what = f"Revision {found.commit} of {found.model} was admitted with two different contents."
            raise AmbiguousSnapshotError(what)
        models[found.model][found.commit] = found
    return {model: list(known.values()) for model, known in sorted(models.items())}


def is_large(file: ArtifactFile) -> bool:
    """Tell whether a file is served as a large file (by SHA-256) or as a git blob (by SHA-1)."""
    return file.role is Role.WEIGHTS or file.size > LFS_FROM


def generate(admitted: Sequence[Admitted], read: ReadBlob) -> Iterator[Page]:
    """Yield each repository's references, and each revision's information, full tree and commit.

    Args:
        admitted: What the snapshot admits; other kinds are passed over.
        read: Reads the small files, whose git ids have to be computed.

    Raises:
        LayoutError, AmbiguousSnapshotError: As `revisions`.

    """
    for model, known in revisions(admitted).items():
        yield references(model, known)
        for revision in known:
            yield from pages_of(revision, read)


def references(model: str, known: Sequence[Revision]) -> Page:
    """Return the page of a repository's references, of its revisions in their order."""
    main = {"name": "main", "ref": "refs/heads/main", "targetCommit": known[-1].commit}
    said = {"branches": [main], "converts": [], "tags": [], "pullRequests": []}
    return json_page(f"hub/{model}/refs.json", said)


def pages_of(revision: Revision, read: ReadBlob) -> Iterator[Page]:
    """Yield the pages of one revision, in the order of `Revision.pages`."""
    files = [_file_entry(path, file, read) for path, file in revision.files.items()]
    information, tree, commits = revision.pages
    yield json_page(information, _information(revision, files))
    yield json_page(tree, _with_folders(files))
    yield json_page(commits, [commit_of(revision)])


def _revision(artifact: Artifact) -> Revision:
    try:
        purl = PackageURL.from_string(artifact.purl)
    except ValueError as error:
        what = f"{artifact.purl!r} is not a package URL."
        raise LayoutError(what) from error
    commit = purl.version or ""
    hexadecimal = len(commit) == _REVISION_DIGITS and set(commit) <= set("0123456789abcdef")
    if purl.type != "huggingface" or not hexadecimal:
        what = f"{artifact.purl} does not name a model by its 40-digit revision."
        raise LayoutError(what)
    model = f"{purl.namespace}/{purl.name}" if purl.namespace else purl.name
    if model.count("/") > 1 or model.partition("/")[0] in _OTHER_ADDRESSES:
        what = f"A model cannot be called {model!r}: other pages have that address."
        raise LayoutError(what, purl=artifact.purl)
    folder = FOLDERS[artifact.kind]
    prefix, name = f"{folder}/{model}/", model
    model = model if artifact.kind is Kind.MODEL else f"{folder}/{model}"
    stray = next((file.path for file in artifact.files if not file.path.startswith(prefix)), None)
    if stray:
        what = f"The file {stray!r} does not lie in {prefix!r}."
        raise LayoutError(what, purl=artifact.purl)
    if name != artifact.name:  # what is called alike is looked up together
        what = f"{artifact.purl} is not the repository {artifact.name!r}."
        raise LayoutError(what, purl=artifact.purl)
    files = {file.path.removeprefix(prefix): file for file in artifact.files}
    return Revision(model=model, commit=commit, files=dict(sorted(files.items())), artifact=artifact)


def _contents(revision: Revision) -> dict[str, str]:
    return {path: file.sha256 for path, file in revision.files.items()}


def _git_id(kind: str, body: bytes) -> str:
    header = f"{kind} {len(body)}\0".encode()
    return hashlib.sha1(header + body, usedforsecurity=False).hexdigest()


def _file_entry(path: str, file: ArtifactFile, read: ReadBlob) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": path, "size": file.size}
    if is_large(file):
        lines = [f"version {_POINTER_VERSION}", f"oid sha256:{file.sha256}", f"size {file.size}", ""]
        pointer = "\n".join(lines).encode()
        entry["oid"] = _git_id("blob", pointer)
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": len(pointer)}
    else:
        entry["oid"] = _git_id("blob", read(file.sha256))
    return entry


def _with_folders(files: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the whole tree, folders included, in the order of the paths."""
    children: dict[str, dict[str, tuple[str, str]]] = {}
    for entry in files:
        folder, _, name = str(entry["path"]).rpartition("/")
        children.setdefault(folder, {})[name] = ("100644", str(entry["oid"]))
        while folder:
            folder = folder.rpartition("/")[0]
            children.setdefault(folder, {})
    folders: list[dict[str, object]] = []
    for folder in sorted(children, key=lambda f: (-f.count("/"), f)):
        if not folder:
            continue
        identity = _tree_id(children[folder])
        parent, _, name = folder.rpartition("/")
        children[parent][name] = ("40000", identity)
        folders.append({"type": "directory", "oid": identity, "size": 0, "path": folder})
    return sorted([*files, *folders], key=lambda entry: str(entry["path"]))


def _tree_id(children: dict[str, tuple[str, str]]) -> str:
    """Return the id of a git tree; git sorts a folder as if its name ended in a slash."""
    names = sorted(children, key=lambda n: f"{n}/" if children[n][0] == "40000" else n)
    rows = (f"{children[n][0]} {n}\0".encode() + bytes.fromhex(children[n][1]) for n in names)
    return _git_id("tree", b"".join(rows))


def commit_of(revision: Revision) -> dict[str, object]:
    """Return the one commit that a mirror knows of a revision, as the Hub lists commits."""
    return {
        "id": revision.commit,
        "title": "Admitted revision",
        "message": "",
        "authors": [],
        "date": revision.modified,
    }


def _information(revision: Revision, files: list[dict[str, object]]) -> dict[str, object]:
    attributes = revision.artifact.attributes
    task = _TASKS.get(attributes.get("task", ""))
    owner = revision.identity.partition("/")[0] if "/" in revision.identity else None
    information: dict[str, object] = {
        "id": revision.identity,
        "sha": revision.commit,
        "private": False,
        "gated": False,
        "disabled": False,
        "tags": [tag for tag in (attributes.get("format"), task) if tag],
        "siblings": [_sibling(entry) for entry in files],
    }
    if revision.artifact.kind is Kind.MODEL:
        information["modelId"] = revision.identity
    if owner:
        information["author"] = owner
    if task:
        information["pipeline_tag"] = task
    if revision.modified != _LONG_AGO:
        information["lastModified"] = revision.modified
    return information


def _sibling(entry: dict[str, object]) -> dict[str, object]:
    sibling = {"rfilename": entry["path"], "size": entry["size"], "blobId": entry["oid"]}
    lfs = entry.get("lfs")
    if isinstance(lfs, dict):
        sibling["lfs"] = {"sha256": lfs["oid"], "size": lfs["size"], "pointerSize": lfs["pointerSize"]}
    return sibling
