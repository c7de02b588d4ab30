"""What collecting for several environments at once needs of the outside: a client that locks for all."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lockgate.collect.ports import Resolution
from lockgate.collect.universal.places import Place


@dataclass(frozen=True, slots=True)
class Index:
    """An index that some projects are pinned to; an empty `url` is the client's own of this name."""

    name: str
    projects: tuple[str, ...]
    url: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """What a project depends on, as its source archive says without being run."""

    project: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be locked, for which environments, and from where.

    `sources` are the projects that may come as source archives, each with what it depends on: none of them
    is built to find that out.
    """

    requirements: tuple[str, ...]
    places: tuple[Place, ...]
    indexes: tuple[Index, ...] = ()
    find_links: tuple[str, ...] = ()
    sources: tuple[Described, ...] = ()
    offline: bool = False

    def pinned(self) -> dict[str, Index]:
        """Return the index of each project that is pinned to one."""
        return {name: index for index in self.indexes for name in index.projects}


class Locker(ABC):
    """A package client that resolves for several environments at once, and never runs what it resolves."""

    @abstractmethod
    def resolve(self, scope: Scope, work: Path, seen: Callable[[int], None]) -> Resolution:
        """Return the files that every environment of a scope needs: wheels, and source archives where named.

        Args:
            scope: What is wanted.
            work: An empty folder for temporary files.
            seen: Told about bytes as they arrive.

        Raises:
            UnresolvableError: No source has what is asked for, or the requirements conflict.
            NoFileError: A project has nothing that fits one of the environments.
            IndexPinError: A project comes from another index than the one that it is pinned to.
            UnreachableError, InstallerError, DiskFullError: The machine or its network.

        """
