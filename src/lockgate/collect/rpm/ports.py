"""What collecting RPM packages needs of the outside: dnf's solver, and verifiers of signatures."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be resolved: names in dnf's notation, for one architecture.

    `modules` are streams to enable before (``nodejs:20``), `platform` the one that they are for.
    """

    names: tuple[str, ...]
    architecture: str
    weak: bool = False
    modules: tuple[str, ...] = ()
    platform: str = ""


class RpmClient(ABC):
    """dnf with folders of its own, and the keys of distributions."""

    @abstractmethod
    def architecture(self) -> str:
        """Return this host's architecture."""

    @abstractmethod
    def verify(self, file: Path, signature: Path, keyring: Path, work: Path) -> tuple[str, ...]:
        """Return the fingerprints of the keys whose detached signature over a file verifies.

        Raises:
            BadReleaseError: None does.
            InstallerError: There is no verifier.

        """

    @abstractmethod
    def solve(self, repositories: Mapping[str, Path], wish: Wish, work: Path) -> Sequence[tuple[str, str]]:
        """Return repository and digest of every package that a wish needs; nothing is fetched or run.

        Args:
            repositories: Folders with verified metadata, by name.
            wish: What is wanted.
            work: An existing folder for what dnf writes.

        Raises:
            UnresolvableError: There is no such package, or they do not fit together.
            InstallerError: dnf is missing or failed.

        """

    @abstractmethod
    def check(self, packages: Sequence[Path], keyring: Path, work: Path) -> None:
        """Verify the signature that each package bears, with the keys of a file and no others.

        Raises:
            BadPackageError: One bears none, or none of these keys'.
            InstallerError: There is no verifier.

        """
