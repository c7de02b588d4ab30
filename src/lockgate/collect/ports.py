"""What collecting needs of the outside: a package client and a reader of web addresses."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what upstream can make a collection do; sizes in bytes, times in seconds."""

    manifest_bytes: int = 1 << 20
    file_bytes: int = 1 << 36
    page_bytes: int = 1 << 26
    metadata_bytes: int = 1 << 22
    provenance_bytes: int = 1 << 22
    directory_bytes: int = 1 << 25
    source_bytes: int = 1 << 33
    documents: int = 100_000
    document_bytes: int = 1 << 28
    report_bytes: int = 1 << 28
    log_bytes: int = 1 << 29
    client_seconds: int = 4 * 3600
    wheels: int = 20_000
    members: int = 200_000
    advisories: int = 500_000
    advisory_bytes: int = 1 << 24
    npm_packages: int = 50_000
    debs: int = 300_000
    rpms: int = 300_000
    condas: int = 300_000
    index_bytes: int = 1 << 30
    git_bytes: int = 8 << 30


@dataclass(frozen=True, slots=True)
class Target:
    """The environment that packages are for; empty fields mean the running interpreter."""

    python: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What the package client is to resolve.

    `find_links` are folders or addresses with wheels besides the client's configured sources.
    """

    requirements: tuple[str, ...]
    target: Target = Target()
    dependencies: bool = True
    find_links: tuple[str, ...] = ()
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Wheel:
    """One resolved wheel or source archive: where it lies, what it has to hash to, its bytes if known."""

    project: str
    version: str
    filename: str
    url: str
    sha256: str
    yanked: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Resolution:
    """The wheels that meet a request, and the index pages that were searched for each project."""

    wheels: tuple[Wheel, ...]
    pages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Packages(ABC):
    """A client of package indexes, with its own configuration."""

    @abstractmethod
    def resolve(self, request: Request, work: Path, seen: Callable[[int], None]) -> Resolution:
        """Return the wheels that meet a request.

        Args:
            request: What is wanted.
            work: An empty folder for temporary files.
            seen: Told about bytes as they arrive: where an index offers no metadata files, a
                client has to look into the wheels.

        Raises:
            UnresolvableError: No source has what is asked for, or the requirements conflict.
            TargetError: The target cannot be judged on this machine.
            NotAWheelError: Something resolves to a source distribution.
            UnreachableError, InstallerError, DiskFullError: The machine or its network.

        """

    @abstractmethod
    def download(
        self, request: Request, wheels: tuple[Wheel, ...], work: Path, seen: Callable[[int], None]
    ) -> Mapping[str, Path]:
        """Fetch wheels, whose digests the client checks.

        Args:
            request: The request that they come from (its target and sources).
            wheels: What to fetch; at least one.
            work: An empty folder; the files lie in it.
            seen: Told about bytes as they arrive.

        Returns:
            A path for each wheel, by its digest.

        Raises:
            DigestMismatchError: A source gave other bytes.
            UnreachableError, InstallerError, DiskFullError: The machine or its network.

        """


class Web(ABC):
    """Reads addresses that the configuration or the manifest names."""

    @abstractmethod
    def open(self, url: str, accept: str = "*/*") -> AbstractContextManager[tuple[str, BinaryIO]]:
        """Open an address.

        Yields:
            The media type of the answer (without parameters) and its body.

        Raises:
            UnreachableError: No answer, or one that is not a success.

        """
