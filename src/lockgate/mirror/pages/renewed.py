"""What a few artifacts change in the pages of a large snapshot.

Pages of a repository of containers, and of a model, data set or space, follow from what has its name; a
packument also from which of its optional dependencies are here. Git repositories have no pages. Listings of
files, and indexes of Debian packages, are edited as they were (`filelists`, `aptedited`). Indexes of RPM and
conda packages speak of everything of their kind by their protocol: all of the kind is looked at, and those
pages come that are other ones. Python projects have parts of their own and are none of this module's.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lockgate.core.artifact import Kind
from lockgate.core.digests import sha256
from lockgate.core.snapshot import Admitted
from lockgate.mirror.pages import apt, aptedited, conda, filelists, files, huggingface, npm, oci, rpm
from lockgate.mirror.pages.base import Page, ReadBlob
from lockgate.mirror.pages.npmlists import OPTIONAL, SEARCH, Lists

LOCAL = frozenset({Kind.NPM, Kind.GIT, *oci.FOLDERS, *huggingface.FOLDERS})
"""Kinds whose changes are told by looking names up."""

INDEXED = {Kind.APT: apt, Kind.RPM: rpm, Kind.CONDA: conda}
"""Kinds of which indexes list everything, and what makes these."""

FILES = "files/"


class Every(Protocol):
    """All artifacts of some kinds, and digests of their pages as they were; what stays is the same object."""

    @property
    def before(self) -> Sequence[Admitted]:
        """Return them as they were."""

    @property
    def after(self) -> Sequence[Admitted]:
        """Return them as they are."""

    @property
    def pages(self) -> Mapping[str, str]:
        """Return the digests of pages as they were, by path."""


class Held(Protocol):
    """What was found by a text, as it was and as it is; what stays is the same object."""

    @property
    def before(self) -> Sequence[Admitted]:
        """Return what was there."""

    @property
    def after(self) -> Sequence[Admitted]:
        """Return what is there, with what comes."""


class Asked(Protocol):
    """What changes, and what can be looked up: `before` and `after` by kind and name, pages as they were."""

    @property
    def names(self) -> Iterable[tuple[Kind, str]]:
        """Return kind and name of whatever changes."""

    @property
    def before(self) -> Callable[[Kind, str], Sequence[Admitted]]:
        """Look up what there was."""

    @property
    def after(self) -> Callable[[Kind, str], Sequence[Admitted]]:
        """Look up what there is."""

    @property
    def page(self) -> Callable[[str], bytes | None]:
        """Look up the bytes of a page as it was, by its path."""

    @property
    def holding(self) -> Callable[[Collection[str]], "Held"]:
        """Look for those that have one of some package URLs, or of some paths of files."""

    @property
    def every(self) -> Callable[[Collection[Kind], str], Every]:
        """Look at everything of some kinds, and at the pages below a folder."""


@dataclass(slots=True)
class Renewed:
    """Paths of pages that were there and are not, or are other ones now; pages that come."""

    gone: set[str] = field(default_factory=set)
    pages: list[Page] = field(default_factory=list)


def renewed(asked: Asked, read: ReadBlob) -> Renewed:
    """Return what becomes of a snapshot's pages where artifacts of some names change.

    Args:
        asked: What changes.
        read: As for `generate_pages`.

    Raises:
        LayoutError, AmbiguousSnapshotError: As `generate_pages`.

    """
    chosen = sorted(set(asked.names))
    kinds = {kind for kind, _ in chosen}
    found = Renewed()
    for name in sorted({name for kind, name in chosen if kind in oci.FOLDERS}):
        _repository(name, asked, read, found)
    for kind, name in chosen:
        if kind in huggingface.FOLDERS:
            _hub(asked.before(kind, name), asked.after(kind, name), read, found)
    packages = {name for kind, name in chosen if kind is Kind.NPM}
    if packages:
        _npm(packages, asked, read, found)
    for kind, generator in INDEXED.items():
        if kind in kinds:
            named = [each for each in chosen if each[0] is kind]
            if kind is Kind.APT and _packages(named, asked, read, found):
                continue
            every = asked.every({kind}, generator.FOLDER)
            _compare(every.pages, generator.generate(every.after, read), found)
    named = [each for each in chosen if each[0] in files.KINDS]
    if named and not _listings(named, asked, found):
        _files(asked.every(files.KINDS, FILES), read, found)
    return found


def _held(named: Iterable[tuple[Kind, str]], asked: Asked) -> tuple[Held, set[str]]:
    """Return what has a package URL or a path of what comes, goes or changes; those texts."""
    texts = set[str]()
    for kind, name in named:
        was, now = asked.before(kind, name), asked.after(kind, name)
        other = [each for each in (*was, *now) if each not in was or each not in now]
        texts.update(each.artifact.purl for each in other)
        texts.update(file.path for each in other for file in each.artifact.files)
    return asked.holding(texts), texts


def _packages(named: Iterable[tuple[Kind, str]], asked: Asked, read: ReadBlob, found: Renewed) -> bool:
    """Edit the indexes in which a Debian package comes, goes or changes; False: that does not do."""
    held, texts = _held(named, asked)
    every = (each for each in (*held.before, *held.after) if each.artifact.kind is Kind.APT)
    if any(file.path not in texts for each in every for file in each.artifact.files):
        return False  # one that has another path too, where nobody looked for what else has that
    before, after = aptedited.State(held.before, asked.before), aptedited.State(held.after, asked.after)
    edited = aptedited.edited(before, after, asked.page, read)
    if edited is None:
        return False
    found.gone |= edited[0]
    found.pages += edited[1]
    return True


def _listings(named: Iterable[tuple[Kind, str]], asked: Asked, found: Renewed) -> bool:
    """Edit the listings of those folders in which a file comes, goes or changes; False: that does not do."""
    held, texts = _held(named, asked)
    stay = set(map(id, held.after))
    leave = (each for each in held.before if id(each) not in stay)
    if any(file.path not in texts for each in leave for file in each.artifact.files):
        return False  # one that is called otherwise, with files that nobody looked for
    edited = filelists.edited(held.before, held.after, asked.page)
    if edited is None:
        return False
    found.gone |= edited[0]
    found.pages += edited[1]
    return True


def _compare(before: Mapping[str, str], pages: Iterable[Page], found: Renewed) -> None:
    """Take those pages that are other ones than before, and know all others of before as gone."""
    gone = set(before)
    for page in pages:
        if before.get(page.path) == sha256(page.body):
            gone.remove(page.path)
        else:
            found.pages.append(page)
    found.gone |= gone


def _files(every: Every, read: ReadBlob, found: Renewed) -> None:
    """Make the pages of those folders anew in which a file came, went or changed, and of all above them."""
    stay = {id(each) for each in every.before}.intersection(map(id, every.after))
    other = (each for each in (*every.before, *every.after) if id(each) not in stay)
    folders = files.folders_of(file.path for each in other for file in each.artifact.files)
    before = {
        path: digest
        for path, digest in every.pages.items()
        if path.removeprefix(FILES).rpartition("/")[0] in folders
    }
    _compare(before, files.generate(every.after, read, folders), found)


def _repository(name: str, asked: Asked, read: ReadBlob, found: Renewed) -> None:
    """Make all pages of a repository anew; images and models of Ollama share its name."""
    was, now = ([e for kind in oci.FOLDERS for e in look(kind, name)] for look in (asked.before, asked.after))
    found.gone.update(page.path for page in oci.generate(was, read))
    found.pages += oci.generate(now, read)


def _hub(was: Sequence[Admitted], now: Sequence[Admitted], read: ReadBlob, found: Renewed) -> None:
    """Make the references of a repository anew, and the pages of the revisions that are other ones."""
    earlier = {r.commit: r for known in huggingface.revisions(was).values() for r in known}
    for model, known in huggingface.revisions(now).items():
        if earlier:
            found.gone.add(huggingface.references(model, known).path)
        found.pages.append(huggingface.references(model, known))
        for revision in known:
            before = earlier.pop(revision.commit, None)
            if before is None or before.artifact != revision.artifact:
                found.gone.update(before.pages if before else ())
                found.pages += huggingface.pages_of(revision, read)
    found.gone.update(path for revision in earlier.values() for path in revision.pages)


class _Known:
    """The names of all npm packages that there are, looked up one by one."""

    def __init__(self, after: Callable[[Kind, str], Sequence[Admitted]]) -> None:
        self._after = after
        self._known: dict[str, bool] = {}

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        if name not in self._known:
            self._known[name] = bool(self._after(Kind.NPM, name))
        return self._known[name]


def _npm(names: set[str], asked: Asked, read: ReadBlob, found: Renewed) -> None:
    """Make the packuments of packages anew, of those that have one that came as optional, and the lists."""
    lists, known = Lists.of(asked.page), _Known(asked.after)
    found.gone.update(path for path in (SEARCH, OPTIONAL) if asked.page(path) is not None)
    came = [name for name in names if not asked.before(Kind.NPM, name)]
    depending = {each for name in came for each in lists.optional.get(name, ())}
    for name in sorted(names | depending):
        if asked.before(Kind.NPM, name):
            found.gone.update((f"npm/{name}/short.json", f"npm/{name}/full.json"))
        for own, versions in npm.releases(asked.after(Kind.NPM, name)).items():
            made = npm.packuments(own, versions, known, read)
            found.pages += (made.short, made.full)
            lists.drop(own)
            lists.add(own, made.searchable, made.optional)
    found.pages += lists.pages()
