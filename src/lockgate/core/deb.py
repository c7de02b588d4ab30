"""What crosses of Debian packages and their suites besides the bytes, and how names and paths look.

Sources: Debian policy (control fields, 5.6; versions, 5.6.12), "DebianRepository/Format", package-url
specification ("deb"), deb822(5).
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

DEB_FORMAT = "lockgate-deb/1"
SUITE_FORMAT = "lockgate-apt-suite/1"
DEB_LIMIT = 1 << 20
"""Longest document about one package or suite, in bytes."""

FIELD_LIMIT = 1 << 19
"""Longest value of one field, in characters."""

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{0,127}", re.ASCII)
_VERSION = re.compile(r"(?:[0-9]{1,9}:)?[0-9A-Za-z][0-9A-Za-z.+~-]{0,255}", re.ASCII)
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_FIELD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_LIB = "lib"

ALL = "all"
SOURCE = "source"

OWN_FIELDS = frozenset(
    {
        "filename", "size", "md5sum", "sha1", "sha256", "sha512", "directory", "files",
        "checksums-sha1", "checksums-sha256", "checksums-sha512",
    }
)  # fmt: skip
"""Fields that a mirror writes itself, in lower case: where bytes lie, and what they hash to."""

Value = Annotated[str, msgspec.Meta(max_length=FIELD_LIMIT)]
Line = Annotated[str, msgspec.Meta(max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*\Z")]


class PackageType(StrEnum):
    """What a document is about."""

    BINARY = "binary"
    SOURCE = "source"


class DebPackage(Document, frozen=True):
    """One package as its signed index describes it, without what a mirror says itself.

    `fields` keep the index's order, since that is how people read them.
    """

    format: str
    type: PackageType
    name: Line
    version: Line
    architecture: Line
    fields: Annotated[tuple[tuple[Line, Value], ...], msgspec.Meta(max_length=200)]

    def __post_init__(self) -> None:
        """Refuse names that no index has, and fields that would break out of a paragraph."""
        names = [name.lower() for name, _ in self.fields]
        good = (
            self.format == DEB_FORMAT
            and is_name(self.name)
            and is_version(self.version)
            and is_architecture(self.architecture)
            and len(set(names)) == len(names)
            and not OWN_FIELDS & set(names)
            and not {"package", "version"} & set(names)
            and all(_FIELD.fullmatch(name) and is_value(value) for name, value in self.fields)
        )
        if not good:
            what = f"{self.name[:80]} {self.version[:80]} is not described as a Debian package can be."
            raise MalformedDocumentError(what)

    def field(self, name: str) -> str:
        """Return a field's value, empty where there is none."""
        return next((value for key, value in self.fields if key.lower() == name.lower()), "")


class AptSuite(Document, frozen=True):
    """A suite as its signed Release file names it: what clients pin and compare stays as it is.

    `released` is the upstream's own date, `signed_by` the fingerprints of the keys that verified it,
    `release_sha256` the digest of the verified file.
    """

    format: str
    repository: Line
    suite: Line
    components: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=64)]
    architectures: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=64)]
    origin: Line = ""
    label: Line = ""
    name: Line = ""
    codename: Line = ""
    version: Line = ""
    description: Line = ""
    not_automatic: bool = False
    but_automatic_upgrades: bool = False
    sources: bool = False
    released: Line = ""
    signed_by: Annotated[tuple[Line, ...], msgspec.Meta(max_length=16)] = ()
    release_sha256: Digest = "0" * 64

    def __post_init__(self) -> None:
        """Refuse names that could not stand in an address."""
        good = (
            self.format == SUITE_FORMAT
            and is_repository(self.repository)
            and is_suite(self.suite)
            and all(map(is_suite, self.components))
            and all(map(is_architecture, self.architectures))
        )
        if not good:
            what = f"{self.repository[:80]} {self.suite[:80]} is no suite of a Debian repository."
            raise MalformedDocumentError(what)


def is_name(text: str) -> bool:
    """Tell whether a text can name a package."""
    return _NAME.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Tell whether a text can be a version."""
    return _VERSION.fullmatch(text) is not None


def is_architecture(text: str) -> bool:
    """Tell whether a text can name an architecture (``all`` and ``source`` among them)."""
    return _ARCHITECTURE.fullmatch(text) is not None


def is_value(text: str) -> bool:
    """Tell whether a text can be a field's value: its further lines are indented and not blank."""
    first, *rest = text.split("\n")
    plain = all(c == "\n" or c == "\t" or (c.isprintable() or ord(c) > 0x7F) for c in text)  # noqa: PLR1714, PLR2004
    return plain and first == first.strip() and all(line[:1] in {" ", "\t"} and line.strip() for line in rest)


def deb_purl(vendor: str, name: str, version: str, architecture: str) -> str:
    """Return the package URL of a package; a source package has the architecture ``source``."""
    return PackageURL(
        type="deb", namespace=vendor, name=name, version=version, qualifiers={"arch": architecture}
    ).to_string()


def deb_filename(name: str, version: str, architecture: str) -> str:
    """Return what a package's file is called: without the version's epoch (policy, 5.6.12)."""
    return f"{name}_{version.partition(':')[2] or version}_{architecture}.deb"


def pool_folder(repository: str, component: str, source: str) -> str:
    """Return the folder of a source package's files, as Debian's own pool is laid out."""
    letter = source[:4] if source.startswith(_LIB) and len(source) > len(_LIB) else source[:1]
    return f"apt/{repository}/pool/{component}/{letter}/{source}"


def source_of(package: DebPackage) -> tuple[str, str]:
    """Return name and version of the source that a binary package was built from (policy, 5.6.1)."""
    name, _, version = package.field("Source").partition(" ")
    return name or package.name, version.strip("() ") or package.version
