"""What the gate needs of others: pages for a snapshot, and inspection."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.admit.model import Crossing
from lockgate.core.advised import Advised
from lockgate.core.artifact import Artifact, ArtifactFile, Kind
from lockgate.core.custody import CustodyReport
from lockgate.core.snapshot import Admitted
from lockgate.core.station import SignedReport
from lockgate.core.verdict import Verdict
from lockgate.core.weights import WeightsFacts


@dataclass(frozen=True, slots=True)
class Page:
    """A page that belongs to a snapshot: an index, a listing."""

    path: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Every:
    """All artifacts of some kinds, as they were and as they are, and digests of pages as they were, by path.

    What stays is the very same object in both.
    """

    before: Sequence[Admitted]
    after: Sequence[Admitted]
    pages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Held:
    """Artifacts that are known by a text, as they were and as they are; what stays is the same object."""

    before: Sequence[Admitted]
    after: Sequence[Admitted]


@dataclass(frozen=True, slots=True)
class Change:
    """Artifacts of some names that come into a snapshot, and what it has of any name.

    Attributes:
        names: Kind and name of whatever comes; none of them a Python project.
        before: Returns what there was of a kind and name.
        after: Returns what there is of it afterwards.
        page: Returns the bytes of a page as it was, by its path; None where there was none.
        holding: Returns those that have one of some package URLs or of some paths of files.
        every: Returns everything of some kinds, and the pages below a folder: all parts are read for it.

    """

    names: frozenset[tuple[Kind, str]]
    before: Callable[[Kind, str], Sequence[Admitted]]
    after: Callable[[Kind, str], Sequence[Admitted]]
    page: Callable[[str], bytes | None]
    holding: Callable[[Collection[str]], Held]
    every: Callable[[Collection[Kind], str], Every]


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a change does to the pages of a snapshot: all others stay as they are.

    Attributes:
        gone: Paths of pages that were there and are not, or are other ones now.
        pages: Pages that come.

    """

    gone: frozenset[str]
    pages: Sequence[Page]


class PageMaker(ABC):
    """Makes every page that the mirrors serve for a set of admitted artifacts."""

    @abstractmethod
    def form(self) -> str:
        """Return how pages are written: makers that say the same write the same pages."""

    @abstractmethod
    def pages(self, admitted: Sequence[Admitted], read: Callable[[str], bytes]) -> Iterable[Page]:
        """Yield the pages; `read` gives the bytes of a small blob by its digest."""

    def renewal(self, change: Change, read: Callable[[str], bytes]) -> Renewal | None:
        """Return what a change does to the pages, where that follows from what can be looked up.

        Args:
            change: What comes, and what there was, with pages of this maker's form.
            read: As for `pages`.

        Returns:
            None where everything has to be looked at: then all pages are made anew.

        """
        del change, read
        return None

    @abstractmethod
    def index(self, projects: Sequence[str]) -> Iterable[Page]:
        """Yield the pages that list all Python projects; `pages` yields them too, of what it is given.

        Args:
            projects: Normalised names (PEP 503) in their order.

        """


@dataclass(frozen=True, slots=True)
class ToInspect:
    """One file in quarantine and the artifact that it belongs to."""

    artifact: Artifact
    file: ArtifactFile
    on_disk: Path


class FileInspector(ABC):
    """Inspects files, each in its own sandbox."""

    @abstractmethod
    def inspect(self, items: Sequence[ToInspect]) -> list[Verdict]:
        """Return one verdict for each item, in order. Never raises for what a file contains."""

    def basis(self) -> dict[str, str]:
        """Return what its verdicts rest on now; a verdict that rests on something else is old."""
        return {}


class WeightsReader(ABC):
    """Compares weights with those of before."""

    @abstractmethod
    def compare(self, pairs: Sequence[tuple[ToInspect, ToInspect]]) -> Sequence[WeightsFacts]:
        """Return what changed for each new file and the one before it, in order."""


class CustodyReader(ABC):
    """Knows the way that a crossing's package came."""

    @abstractmethod
    def report(self, crossing: Crossing) -> CustodyReport | None:
        """Return what approvers are shown; None where there is neither a chain nor a rule for one."""


class StationReader(ABC):
    """Knows what scanners at transfer stations said of a crossing."""

    @abstractmethod
    def reports(self, crossing: Crossing, artifacts: Sequence[Artifact]) -> Sequence[SignedReport]:
        """Return the reports on record whose signatures hold and that are of this very crossing."""


class AdvisoryReader(ABC):
    """Knows what advisories say of artifacts."""

    @abstractmethod
    def advised(
        self, artifacts: Sequence[Artifact], contents: Mapping[str, Sequence[str]]
    ) -> Sequence[Advised]:
        """Return what is known against each, in order. Never raises for data that cannot be used.

        `contents` are the package URLs of what an artifact holds, by its own: an image is asked by them.
        """
