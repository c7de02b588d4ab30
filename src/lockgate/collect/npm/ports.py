"""What collecting npm packages needs of the outside: a client of registries."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Locked:
    """One package version that a lock file names, with the digest that its archive has to have.

    `os`, `cpu` and `libc` are what an optional package says it is for; empty: for all.
    """

    name: str
    version: str
    integrity: str
    optional: bool = False
    development: bool = False
    os: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()
    libc: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Project:
    """A project as npm sees it: its package.json, and its own .npmrc when it has one."""

    package_json: bytes
    settings: bytes | None = None


class NpmClient(ABC):
    """A client of npm registries, with its own configuration. It runs no script of any package."""

    @abstractmethod
    def lock(self, project: Project, work: Path, seen: Callable[[int], None]) -> bytes:
        """Resolve a project and return its package-lock.json (version 3).

        Args:
            project: What is wanted.
            work: An empty folder for temporary files.
            seen: Told about bytes as they arrive.

        Raises:
            UnresolvableError: No registry has what is asked for, or the ranges conflict.
            UnreachableError, InstallerError, DiskFullError: The machine or its network.

        """

    @abstractmethod
    def describe(
        self, name: str, versions: Sequence[str], work: Path, settings: bytes | None = None
    ) -> Mapping[str, Mapping[str, Any]]:
        """Return what the registry says of some versions of a package, by version.

        Each is the version's own entry with ``time`` and ``dist-tags`` of the package beside it.

        Raises:
            UnresolvableError: The registry has not all of them.
            UnreachableError, InstallerError: The machine or its network.

        """

    @abstractmethod
    def attested(
        self, name: str, address: str, work: Path, limit: int, settings: bytes | None = None
    ) -> bytes:
        """Return what the registry keeps as attestations of a version.

        Args:
            name: The package, whose scope may have a registry of its own.
            address: Where they lie by the version's entry; of it the path counts alone, and the registry
                that the client is set up with is asked for it, as npm itself does.
            work: An empty folder for temporary files.
            limit: Longest answer, in bytes.
            settings: The project's own .npmrc.

        Raises:
            UnreachableError, CollectLimitError: The registry does not give them, or too much.
            InstallerError: The client does not work.

        """

    @abstractmethod
    def fetch(
        self,
        wanted: Iterable[Locked],
        work: Path,
        seen: Callable[[int], None],
        settings: bytes | None = None,
    ) -> Mapping[tuple[str, str], Path]:
        """Fetch archives as they are in the registry.

        Args:
            wanted: What to fetch.
            work: An empty folder; the files lie in it.
            seen: Told about bytes as they arrive.
            settings: The project's own .npmrc.

        Returns:
            A path for each, by name and version.

        Raises:
            DigestMismatchError: The registry gave other bytes than it promises.
            UnreachableError, InstallerError, DiskFullError: The machine or its network.

        """
