"""What matching needs of advisory data, whoever keeps it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.advisories.model import Advisory, Entry, Exploited, Source


@dataclass(frozen=True, slots=True)
class Row:
    """What one data set says of one package in one release of its ecosystem.

    `basis` is the digest of the entries: while it is the same, so are they.
    """

    source: str
    release: str
    basis: str
    packed: bytes


class AdvisoryData(ABC):
    """Advisory data, ready to be asked. Nothing in it changes while it is open."""

    @property
    @abstractmethod
    def sources(self) -> tuple[Source, ...]:
        """Return the loaded data sets."""

    @abstractmethod
    def rows(self, ecosystem: str, name: str) -> Sequence[Row]:
        """Return what each data set says of a package, in every release; none where it is not known."""

    @abstractmethod
    def entries(self, row: Row) -> tuple[Entry, ...]:
        """Return the entries of a row."""

    @abstractmethod
    def advisories(self, identifier: str) -> Sequence[tuple[str, Advisory]]:
        """Return each data set's name and advisory under an identifier."""

    @abstractmethod
    def named(self, alias: str) -> Sequence[str]:
        """Return the identifiers of advisories that list an alias."""

    @abstractmethod
    def record(self, source: str, identifier: str) -> bytes:
        """Return the bytes of a record as they were loaded."""

    @abstractmethod
    def exploited(self, cve: str) -> Exploited | None:
        """Return what the KEV catalogue says of a CVE, or None."""

    @abstractmethod
    def likelihood(self, cve: str) -> int:
        """Return the EPSS probability of a CVE in millionths, or -1."""
