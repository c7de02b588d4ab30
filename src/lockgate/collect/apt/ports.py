"""What collecting Debian packages needs of the outside: apt, and a verifier of OpenPGP signatures."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """Suites of one address.

    Attributes:
        url: The address.
        suites: Their names.
        components: Which components of them.
        signed_by: What apt's ``Signed-By`` says: files, or a key in ASCII armour; empty for the keys
            that the host trusts for every repository.

    """

    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """What apt is to know: nothing else of the host but how to reach the network.

    `work` is a folder with nothing of another setup in it; `status` an installed system to upgrade.
    """

    work: Path
    sources: tuple[Source, ...]
    architectures: tuple[str, ...]
    deb_src: bool = False
    status: Path | None = None


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One index that apt fetched: what it lists, where it lies, and the Release file that names it."""

    source: Source
    suite: str
    component: str
    architecture: str
    key: str
    file: Path
    release: Path
    url: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be resolved: names in apt's notation and patterns, for one architecture."""

    names: tuple[str, ...]
    architecture: str
    recommends: bool = False
    upgrade: bool = False


@dataclass(frozen=True, slots=True)
class Download:
    """One file to fetch."""

    url: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Verified:
    """The text that was signed, and the fingerprints of the keys whose signatures verify."""

    text: bytes
    signed_by: tuple[str, ...]


class AptClient(ABC):
    """apt with folders of its own, and the keys of distributions."""

    @abstractmethod
    def architecture(self) -> str:
        """Return this host's architecture."""

    @abstractmethod
    def host_sources(self, suites: Sequence[str]) -> tuple[Source, ...]:
        """Return where this host's own configuration finds some suites.

        Raises:
            UnresolvableError: It does not name one of them.

        """

    @abstractmethod
    def update(self, setup: Setup, seen: Callable[[int], None]) -> list[IndexFile]:
        """Fetch the indexes of a setup; apt verifies each Release file and each index.

        Raises:
            BadReleaseError: A signature, a date or a digest is wrong.
            UnreachableError, InstallerError, DiskFullError: The machine or its network.

        """

    @abstractmethod
    def verify(self, index: IndexFile, work: Path) -> Verified:
        """Verify the Release file of an index with the keys that its source names.

        Raises:
            BadReleaseError: No signature of such a key verifies.
            InstallerError: There is no verifier.

        """

    @abstractmethod
    def solve(self, setup: Setup, wish: Wish) -> list[str]:
        """Return the SHA-256 of every package that a wish needs, by the indexes that `update` fetched.

        Raises:
            UnresolvableError: There is no such package, or they do not fit together.

        """

    @abstractmethod
    def fetch(
        self, setup: Setup, files: Sequence[Download], folder: Path, seen: Callable[[int], None]
    ) -> Mapping[str, Path]:
        """Fetch files into a folder that outlives the run, going on with what lies there in part.

        Returns:
            A path for each, by its digest.

        Raises:
            DigestMismatchError: Other bytes than the index promises.
            UnreachableError, InstallerError, DiskFullError: The machine or its network.

        """
