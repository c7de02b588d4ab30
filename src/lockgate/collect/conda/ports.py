"""What collecting conda packages needs of the outside: a solver."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be resolved: specs in conda's notation for one platform, on a host with virtual packages."""

    specs: tuple[str, ...]
    subdir: str
    virtual: tuple[str, ...] = ()


class CondaSolver(ABC):
    """A solver of conda's specs."""

    @abstractmethod
    def subdir(self) -> str:
        """Return this host's platform."""

    @abstractmethod
    def solve(self, url: str, indexes: Mapping[str, Path], wish: Wish) -> Sequence[tuple[str, str]]:
        """Return platform and file name of every package that a wish needs.

        Args:
            url: The channel's address; nothing is asked of it.
            indexes: ``repodata.json`` of the platform and of ``noarch``.
            wish: What is wanted.

        Raises:
            UnresolvableError: A spec is none, there is no such package, or they do not fit together.
            InstallerError: The solver is not installed.

        """
