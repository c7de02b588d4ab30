"""What a station needs of a scanner: who it is, where files are staged for it, and what it says."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from lockgate.core.station import ScannerFacts
from lockgate.core.verdict import Outcome


@dataclass(frozen=True, slots=True)
class Staged:
    """One file as it lies before the scanner, under a name that nobody could guess."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Said:
    """What a scanner said of one file.

    `path` is where the file lies now; None says that the scanner took it away.
    """

    outcome: Outcome
    names: tuple[str, ...] = ()
    why: str = ""
    path: Path | None = None


class Scanner(ABC):
    """Shows files to a scanner that a site is told to use. What cannot be told is incomplete, never clean."""

    stage: Path
    """The folder that files are staged in."""

    @abstractmethod
    def identify(self) -> ScannerFacts:
        """Return who the scanner is now.

        Raises:
            ScannerError: It does not answer.

        """

    @abstractmethod
    def scan(self, staged: Staged) -> Said:
        """Return what the scanner says of a staged file. Never raises for what a file contains.

        Raises:
            ScannerError: The scanner is not there at all.

        """
