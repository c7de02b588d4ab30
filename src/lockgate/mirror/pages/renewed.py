"""What a few artifacts change in the pages of a large snapshot, without a look at the rest of it.

Pages of a repository of containers, and of a model, data set or space, follow from what has its name; a
packument also from which of its optional dependencies are here. Git repositories have no pages. Listings of
files, and indexes of Debian, RPM and conda packages, speak of everything of their kind by their protocol, and
are none of this module's; nor are Python projects, which have parts of their own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lockgate.core.artifact import Kind
from lockgate.core.snapshot import Admitted
from lockgate.mirror.pages import huggingface, npm, oci
from lockgate.mirror.pages.base import Page, ReadBlob
from lockgate.mirror.pages.npmlists import OPTIONAL, SEARCH, Lists

Look = Callable[[Kind, str], Sequence[Admitted]]
"""Returns what a snapshot has of a kind and name."""

KINDS = frozenset({Kind.NPM, Kind.GIT, *oci.FOLDERS, *huggingface.FOLDERS})
"""Kinds whose changes can be told."""


@dataclass(slots=True)
class Renewed:
    """Paths of pages that were there and are not, or are other ones now; pages that come."""

    gone: set[str] = field(default_factory=set)
    pages: list[Page] = field(default_factory=list)


def renewed(
    names: Iterable[tuple[Kind, str]],
    before: Look,
    after: Look,
    page: Callable[[str], bytes | None],
    read: ReadBlob,
) -> Renewed | None:
    """Return what becomes of a snapshot's pages where artifacts of some names change.

    Args:
        names: Kind and name of whatever changes.
        before: Looks up what there was.
        after: Looks up what there is.
        page: Returns the bytes of a page as it was, by its path.
        read: As for `generate_pages`.

    Returns:
        None where something is of a kind whose pages speak of everything.

    Raises:
        LayoutError, AmbiguousSnapshotError: As `generate_pages`.

    """
    chosen = sorted(set(names))
    if not KINDS.issuperset(kind for kind, _ in chosen):
        return None
    found = Renewed()
    for name in sorted({name for kind, name in chosen if kind in oci.FOLDERS}):
        _repository(name, before, after, read, found)
    for kind, name in chosen:
        if kind in huggingface.FOLDERS:
            _hub(before(kind, name), after(kind, name), read, found)
    packages = {name for kind, name in chosen if kind is Kind.NPM}
    if packages:
        _npm(packages, (before, after), page, read, found)
    return found


def _repository(name: str, before: Look, after: Look, read: ReadBlob, found: Renewed) -> None:
    """Make all pages of a repository anew; images and models of Ollama share its name."""
    was, now = ([each for kind in oci.FOLDERS for each in look(kind, name)] for look in (before, after))
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

    def __init__(self, after: Look) -> None:
        self._after = after
        self._known: dict[str, bool] = {}

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        if name not in self._known:
            self._known[name] = bool(self._after(Kind.NPM, name))
        return self._known[name]


def _npm(
    names: set[str],
    looks: tuple[Look, Look],
    page: Callable[[str], bytes | None],
    read: ReadBlob,
    found: Renewed,
) -> None:
    """Make the packuments of packages anew, of those that have one that came as optional, and the lists."""
    before, after = looks
    lists, known = Lists.of(page), _Known(after)
    found.gone.update(path for path in (SEARCH, OPTIONAL) if page(path) is not None)
    came = [name for name in names if not before(Kind.NPM, name)]
    depending = {each for name in came for each in lists.optional.get(name, ())}
    for name in sorted(names | depending):
        if before(Kind.NPM, name):
            found.gone.update((f"npm/{name}/short.json", f"npm/{name}/full.json"))
        for own, versions in npm.releases(after(Kind.NPM, name)).items():
            made = npm.packuments(own, versions, known, read)
            found.pages += (made.short, made.full)
            lists.drop(own)
            lists.add(own, made.searchable, made.optional)
    found.pages += lists.pages()
