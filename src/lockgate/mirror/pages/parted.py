"""What is served of the Python projects of a large snapshot: looked up in the one part that has it.

A table of such a snapshot holds no project until somebody asks: the index that approvers signed says which
part a project is in, the part is read and compared with its digest, and the last few are kept.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import TypeVar

from lockgate.core.part_keys import is_of_projects, key_of_project, project_of
from lockgate.core.parts import PartName, Parts, SnapshotPart

PARTS_KEPT = 128
"""How many parts are kept as tables; beyond it the one that was not asked for longest is made again."""

T = TypeVar("T")

Make = Callable[[SnapshotPart], Mapping[str, T]]


class PartedMapping(Mapping[str, T]):
    """A mapping over all parts, each made into a table of its own when it is asked for.

    Args:
        parts: The snapshot's.
        project: Returns the project that a key is about; empty: of none.
        make: Makes the table of one part.
        size: Returns how many keys a part has; none: all tables are made to count.

    """

    def __init__(
        self,
        parts: Parts,
        project: Callable[[str], str],
        make: Make[T],
        size: Callable[[PartName], int] | None = None,
    ) -> None:
        """Make nothing yet."""
        self._parts = parts
        self._project = project
        self._make = make
        self._size = size
        self._lock = Lock()
        self._made: OrderedDict[str, Mapping[str, T]] = OrderedDict()

    def __getitem__(self, key: str) -> T:
        """Return what stands under a key; a part that is not there, or is another one, is no `KeyError`."""
        project = self._project(key)
        if not project:
            raise KeyError(key)
        part = key_of_project(project)
        named = self._parts.name(part)
        if named is None or project not in named.projects:
            raise KeyError(key)
        return self._table(part)[key]

    def _table(self, key: str) -> Mapping[str, T]:
        with self._lock:
            made = self._made.get(key)
            if made is not None:
                self._made.move_to_end(key)
                return made
        made = self._make(self._parts.part(key))
        with self._lock:
            self._made[key] = made
            while len(self._made) > PARTS_KEPT:
                self._made.popitem(last=False)
        return made

    def __iter__(self) -> Iterator[str]:
        """Go through all keys, one part after another; none of them is kept."""
        for named in self._parts.index.branches:
            if is_of_projects(named.key):
                yield from self._make(self._parts.read(named))

    def __len__(self) -> int:
        """Count all keys."""
        size = self._size
        if size is None:
            return sum(1 for _ in self)
        return sum(size(named) for named in self._parts.index.branches if is_of_projects(named.key))


def project_of_address(address: str) -> str:
    """Return the project that ``SHA256/FILENAME`` is of, by the file's name; empty where it says none.

    A wheel's name begins with its project, and has no dash in it; a source archive's ends with its version.
    """
    _, slash, name = address.partition("/")
    if not slash:
        return ""
    for beside in (".metadata", ".provenance"):
        name = name.removesuffix(beside)
    if name.endswith(".whl"):
        return project_of(name.partition("-")[0])
    stem = name.removesuffix(".zip") if name.endswith(".zip") else name.removesuffix(".tar.gz")
    return project_of(stem.rpartition("-")[0])
