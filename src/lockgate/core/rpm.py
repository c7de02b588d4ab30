"""What crosses of RPM packages and their repositories besides the bytes, and how names and paths look.

Sources: the repository metadata of createrepo_c (``primary``, ``filelists``, ``other``, ``updateinfo``),
modulemd documents (version 2), package-url specification ("rpm").
"""

import re
from enum import StrEnum
from typing import Annotated

import msgspec
from packageurl import PackageURL

from lockgate.core.artifact import Digest
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.places import is_repository, is_suite
from lockgate.core.wire import Document

RPM_FORMAT = "lockgate-rpm/1"
REPOSITORY_FORMAT = "lockgate-rpm-repository/1"
RPM_LIMIT = 1 << 26
"""Longest document about one package or repository, in bytes."""

NOARCH = "noarch"
SOURCE = "src"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,191}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9._+~^]{1,128}", re.ASCII)
_EPOCH = re.compile(r"[0-9]{1,9}", re.ASCII)
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9_]{0,31}", re.ASCII)
_FLAGS = frozenset({"", "EQ", "LT", "LE", "GT", "GE"})

Line = Annotated[str, msgspec.Meta(max_length=1 << 14, pattern=r"^[^\x00-\x1f\x7f\ufffe\uffff]*\Z")]
Text = Annotated[
    str, msgspec.Meta(max_length=1 << 20, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]*\Z")
]
"""Text that XML 1.0 can hold (section 2.2)."""

Number = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class Relation(StrEnum):
    """Why a package names another one; in the order in which an index lists them."""

    PROVIDES = "provides"
    REQUIRES = "requires"
    CONFLICTS = "conflicts"
    OBSOLETES = "obsoletes"
    SUGGESTS = "suggests"
    ENHANCES = "enhances"
    RECOMMENDS = "recommends"
    SUPPLEMENTS = "supplements"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a document: what it does not say is left out."""


class Capability(_Part, frozen=True):
    """One capability with its range; `pre` says that it is needed before the package's own scripts."""

    name: Line
    flags: Line = ""
    epoch: Line = ""
    version: Line = ""
    release: Line = ""
    pre: bool = False


class FileEntry(_Part, frozen=True):
    """One file of a package: its path, and ``dir`` or ``ghost`` where it is one."""

    path: Line
    type: Annotated[str, msgspec.Meta(pattern=r"^(dir|ghost)?\Z")] = ""


class Change(_Part, frozen=True):
    """One entry of a package's list of changes."""

    author: Line
    date: Number
    text: Text


class RpmPackage(Document, frozen=True):
    """One package as its signed index describes it, without what a mirror says itself: place and digest.

    `times` are those of the file and of the build, in seconds since 1970; `sizes` of the installed files and
    of the archive; `header` is where the package's header lies in it, in bytes.
    """

    format: str
    name: Line
    epoch: Line
    version: Line
    release: Line
    architecture: Line
    summary: Text = ""
    description: Text = ""
    packager: Text = ""
    url: Line = ""
    licence: Line = ""
    vendor: Line = ""
    group: Line = ""
    build_host: Line = ""
    source: Line = ""
    times: tuple[Number, Number] = (0, 0)
    sizes: tuple[Number, Number] = (0, 0)
    header: tuple[Number, Number] = (0, 0)
    relations: dict[Relation, tuple[Capability, ...]] = msgspec.field(default_factory=dict)
    files: tuple[FileEntry, ...] = ()
    changes: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that no index has."""
        good = (
            self.format == RPM_FORMAT
            and _NAME.fullmatch(self.name)
            and _EPOCH.fullmatch(self.epoch)
            and _VERSION.fullmatch(self.version)
            and _VERSION.fullmatch(self.release)
            and is_architecture(self.architecture)
            and all(c.flags in _FLAGS for each in self.relations.values() for c in each)
        )
        if not good:
            what = f"{self.name[:80]} {self.version[:80]} is not described as an RPM package can be."
            raise MalformedDocumentError(what)

    @property
    def evr(self) -> str:
        """Return its version as people write it: the epoch only where it is not zero."""
        head = "" if int(self.epoch) == 0 else f"{self.epoch}:"
        return f"{head}{self.version}-{self.release}"

    @property
    def nevra(self) -> str:
        """Return its full name, always with the epoch, as modules list it."""
        return f"{self.name}-{self.epoch}:{self.version}-{self.release}.{self.architecture}"


class Reference(_Part, frozen=True):
    """What an erratum points to: a report, or a vulnerability's identifier."""

    href: Line
    id: Line = ""
    type: Line = ""
    title: Line = ""


class ErratumPackage(_Part, frozen=True):
    """One package that an erratum brings; `suggests` are ``reboot``, ``restart`` and ``relogin``."""

    name: Line
    epoch: Line
    version: Line
    release: Line
    architecture: Line
    filename: Line = ""
    source: Line = ""
    suggests: tuple[Line, ...] = ()

    @property
    def nevra(self) -> str:
        """Return its full name, as `RpmPackage.nevra` does."""
        return f"{self.name}-{self.epoch or '0'}:{self.version}-{self.release}.{self.architecture}"


class Collection(_Part, frozen=True):
    """A list of an erratum's packages; `module` are name, stream, version, context and architecture."""

    packages: tuple[ErratumPackage, ...]
    short: Line = ""
    name: Line = ""
    module: tuple[Line, ...] = ()


class Erratum(_Part, frozen=True):
    """One erratum: what it is about, and the packages that bring it."""

    id: Line
    type: Line
    collections: tuple[Collection, ...]
    title: Text = ""
    sender: Line = ""
    status: Line = ""
    version: Line = ""
    severity: Line = ""
    issued: Line = ""
    updated: Line = ""
    rights: Text = ""
    release: Line = ""
    summary: Text = ""
    description: Text = ""
    solution: Text = ""
    references: tuple[Reference, ...] = ()


class Module(_Part, frozen=True):
    """One document of ``modules.yaml`` as it stood there: a stream with its packages, or something about one.

    `packages` are the full names of a stream's packages; of what is about a module it has none.
    """

    name: Line
    text: Text
    stream: Line = ""
    packages: tuple[Line, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a text that would be more than one document."""
        if any(line.startswith(("---", "...", "%")) for line in self.text.split("\n")):
            what = f"The document of the module {self.name[:80]!r} holds another one."
            raise MalformedDocumentError(what)


class RpmRepository(Document, frozen=True):
    """One repository for one architecture as its upstream signed it.

    `revision` is the upstream's own (seconds since 1970 where it counts so), `signed_by` the fingerprints of
    the keys that verified ``repomd.xml``, `repomd_sha256` the digest of the verified file. `errata` and
    `modules` are those about packages that were collected.
    """

    format: str
    repository: Line
    channel: Line
    architecture: Line
    revision: Line = ""
    signed_by: Annotated[tuple[Line, ...], msgspec.Meta(max_length=16)] = ()
    repomd_sha256: Digest = "0" * 64
    errata: tuple[Erratum, ...] = ()
    modules: tuple[Module, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that could not stand in an address."""
        good = (
            self.format == REPOSITORY_FORMAT
            and is_repository(self.repository)
            and is_channel(self.channel)
            and is_architecture(self.architecture)
        )
        if not good:
            what = f"{self.repository[:80]} {self.channel[:80]} is no repository of RPM packages."
            raise MalformedDocumentError(what)

    @property
    def folder(self) -> str:
        """Return the folder of its pages."""
        return f"rpm/{self.repository}/{self.channel}/{self.architecture}"


def is_architecture(text: str) -> bool:
    """Tell whether a text can name an architecture (``noarch`` and ``src`` among them)."""
    return _ARCHITECTURE.fullmatch(text) is not None


def is_channel(text: str) -> bool:
    """Tell whether a text can name one repository among those of a distribution (``baseos``)."""
    return is_suite(text) and "/" not in text


def rpm_purl(vendor: str, package: RpmPackage) -> str:
    """Return the package URL of a package; a source package has the architecture ``src``."""
    qualifiers = {"arch": package.architecture}
    if int(package.epoch):
        qualifiers["epoch"] = package.epoch
    return PackageURL(
        type="rpm",
        namespace=vendor,
        name=package.name,
        version=f"{package.version}-{package.release}",
        qualifiers=qualifiers,
    ).to_string()


def rpm_path(repository: str, package: RpmPackage) -> str:
    """Return where a package lies in a lock: one file, in how many repositories it may be listed."""
    return f"rpm/{repository}/{location(package)}"


def location(package: RpmPackage) -> str:
    """Return where a package lies in each repository that lists it."""
    name = f"{package.name}-{package.version}-{package.release}.{package.architecture}.rpm"
    return f"Packages/{package.name[:1].lower()}/{name}"
