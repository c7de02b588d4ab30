"""Looking things up in a snapshot in parts: artifacts by kind and name, pages by path.

A look-up reads the one part that the name or path says, compares it with the digest that was signed, and the
last few parts are kept. What is made of them is kept as well, both by how many files they speak of.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from threading import Lock
from typing import Any, Generic, TypeVar

from lockgate.core.part_keys import is_of_projects, key_of_kind, key_of_page
from lockgate.core.parts import PART_FORMAT, Parts, SnapshotPart, page_in
from lockgate.core.snapshot import Admitted, Generated
from lockgate.mirror.entries import Entry, Simple
from lockgate.mirror.errors import AmbiguousSnapshotError
from lockgate.mirror.spread.addresses import Name
from lockgate.mirror.spread.survey import Survey, is_tried, name_of

FILES_READ = 50_000
"""How many files and pages those parts speak of that are kept, of all snapshots together."""

FILES_MADE = 20_000
"""How many files are in what is made for addresses and kept, for each snapshot that is served."""

T = TypeVar("T")


class Kept(Generic[T]):
    """Values by key, each with a weight; the one that was not asked for longest goes first."""

    def __init__(self, limit: int) -> None:
        """Keep nothing yet."""
        self._limit = limit
        self._lock = Lock()
        self._values: OrderedDict[Hashable, tuple[int, T]] = OrderedDict()
        self.weight = 0

    def get(self, key: Hashable, make: Callable[[], tuple[int, T]]) -> T:
        """Return what is kept under a key; else make it, with its weight. Many threads may ask."""
        with self._lock:
            kept = self._values.get(key)
            if kept is not None:
                self._values.move_to_end(key)
                return kept[1]
        made = make()
        with self._lock:
            before = self._values.pop(key, None)
            self.weight += made[0] - (before[0] if before else 0)
            self._values[key] = made
            while self.weight > self._limit and len(self._values) > 1:
                self.weight -= self._values.popitem(last=False)[1][0]
        return made[1]


class Lookups:
    """Everything that a snapshot in parts has beside Python projects, found by name and by path.

    Args:
        parts: The snapshot's, of version 3.
        before: Those of the snapshot that was served before: what both have is not read again.

    """

    def __init__(self, parts: Parts, before: "Lookups | None" = None) -> None:
        """Read nothing yet."""
        self.parts = parts
        self.survey: Survey = Survey(parts, before.survey if before else None)
        self.read: Kept[SnapshotPart] = before.read if before else Kept(FILES_READ)
        self._made: Kept[Any] = Kept(FILES_MADE)  # of this snapshot alone: it leads back to its index

    def kept(self, key: tuple[str, ...], make: Callable[[], tuple[int, Any]]) -> Any:
        """Return what was made under a key of this snapshot; else make it, with the number of its files."""
        return self._made.get(key, make)

    def named(self, names: Collection[Name]) -> list[Admitted]:
        """Return every artifact of some kinds and names.

        Raises:
            LockgateError: A part cannot be read, or is another one.

        """
        wanted = set(names)
        by_part: dict[str, list[str]] = {}
        for kind, name in sorted(wanted):
            by_part.setdefault(key_of_kind(kind, name), []).append(name_of(kind, name))
        return [
            each
            for key, found in by_part.items()
            for each in self._part(key, *found).admitted
            if (each.artifact.kind, each.artifact.name) in wanted
        ]

    def page(self, path: str) -> Generated | None:
        """Return a page; None: there is none.

        Raises:
            LockgateError: Its part cannot be read, or is another one.

        """
        names = [path] if is_tried(path) else []
        return page_in(self._part(key_of_page(path), *names), path)

    def every(self) -> Iterator[SnapshotPart]:
        """Go through all parts that hold no Python projects; none of them is kept."""
        for named in self.parts.index.branches:
            if not is_of_projects(named.key):
                yield self.parts.read(named)

    def _part(self, key: str, *names: str) -> SnapshotPart:
        """Return a part, or an empty one where it is known to have none of some names."""
        named = self.parts.name(key)
        if named is None or (names and all(self.survey.absent(named.sha256, name) for name in names)):
            return SnapshotPart(format=PART_FORMAT, key=key, admitted=(), generated=())

        def read() -> tuple[int, SnapshotPart]:
            part = self.parts.read(named)
            return 1 + len(part.generated) + sum(len(each.artifact.files) for each in part.admitted), part

        return self.read.get(named.sha256, read)


class PartedPages:
    """The pages of a snapshot in parts, each looked up when it is asked for."""

    def __init__(self, lookups: Lookups) -> None:
        """Read nothing yet."""
        self._lookups = lookups

    def find(self, path: str) -> Entry | None:
        """Return a page; None: there is none."""
        page = self._lookups.page(path)
        return None if page is None else Entry(page.sha256, page.size, page.media_type, page=True)

    def get(self, path: str) -> Entry:
        """Return a page that has to be there.

        Raises:
            AmbiguousSnapshotError: It is not.

        """
        found = self.find(path)
        if found is None:
            what = f"The snapshot has no page {path!r}, though it admits what the page is about."
            raise AmbiguousSnapshotError(what)
        return found

    def simple(self, folder: str) -> Simple:
        """Return both forms of an index page."""
        return Simple(json=self.get(f"{folder}/index.json"), html=self.get(f"{folder}/index.html"))

    def each(self, keys: Collection[str], make: Callable[[str], T]) -> Mapping[str, T]:
        """Return what is made of each key from its pages, when it is asked for."""
        return _OnDemand(keys, make)

    def referrers(self, repository: str) -> Mapping[str, Entry]:
        """Return the lists of referrers of a repository by their subject."""
        return _Below(self._lookups, self, f"oci/{repository}/_referrers/")


class _OnDemand(Mapping[str, T]):
    """A mapping whose values are made when they are asked for, and kept with it."""

    def __init__(self, keys: Collection[str], make: Callable[[str], T]) -> None:
        self._keys = dict.fromkeys(keys)
        self._make = make
        self._made: dict[str, T] = {}

    def __getitem__(self, key: str) -> T:
        if key not in self._made:
            if key not in self._keys:
                raise KeyError(key)
            self._made[key] = self._make(key)
        return self._made[key]

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class _Below(Mapping[str, Entry]):
    """The pages of one folder. They are in parts of their own: to list them, all parts are gone through."""

    def __init__(self, lookups: Lookups, pages: PartedPages, folder: str) -> None:
        self._lookups = lookups
        self._pages = pages
        self._folder = folder

    def __getitem__(self, name: str) -> Entry:
        found = self._pages.find(self._folder + name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        for part in self._lookups.every():
            for page in part.generated:
                if page.path.startswith(self._folder):
                    yield page.path.removeprefix(self._folder)

    def __len__(self) -> int:
        return sum(1 for _ in self)
