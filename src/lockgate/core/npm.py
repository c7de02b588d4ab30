"""What crosses of one version of an npm package besides its archive, and how such names and versions look.

Sources: the npm registry's "package metadata" document, semantic versioning 2.0.0 (precedence),
package-url specification ("npm").
"""

import re
from typing import Annotated

import msgspec

from lockgate.core.errors import MalformedDocumentError
from lockgate.core.wire import Document, Moment

NPM_FORMAT = "lockgate-npm/1"
NPM_LIMIT = 1 << 20
"""Longest document about one version, in bytes."""

NAME_LIMIT = 214
"""Longest package name, in characters; the registry's own bound."""

_NAME = re.compile(r"(?:@[A-Za-z0-9~][A-Za-z0-9._~-]*/)?[A-Za-z0-9~][A-Za-z0-9._~-]*", re.ASCII)
_VERSION = re.compile(
    r"(0|[1-9]\d{0,15})\.(0|[1-9]\d{0,15})\.(0|[1-9]\d{0,15})"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_VERSION_LIMIT = 256

Line = Annotated[str, msgspec.Meta(max_length=2048)]
Table = Annotated[dict[Line, Line], msgspec.Meta(max_length=5000)]
Lines = Annotated[tuple[Line, ...], msgspec.Meta(max_length=5000)]


class NpmSignature(Document, frozen=True):
    """A registry's signature over ``name@version:integrity``."""

    keyid: Line
    sig: Line


class NpmVersion(Document, frozen=True):
    """One version: what its archive's own package.json says, and what the registry said of it.

    `integrity` (sha512 in base64) and `shasum` (SHA-1 in hex) are those of the archive; `tags` are the
    distribution tags that pointed at this version; `scripts` are those that an installation
    would run, `install_script` says that there is one (a ``binding.gyp`` counts).
    """

    format: str
    name: Line
    version: Line
    integrity: Annotated[str, msgspec.Meta(pattern=r"^sha512-[A-Za-z0-9+/]{86}==\Z")]
    shasum: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}\Z")]
    files: int = 0
    unpacked: int = 0
    signatures: Annotated[tuple[NpmSignature, ...], msgspec.Meta(max_length=16)] = ()
    published: Moment | None = None
    tags: Annotated[tuple[Line, ...], msgspec.Meta(max_length=100)] = ()
    deprecated: Line = ""
    install_script: bool = False
    shrinkwrap: bool = False
    scripts: Table = msgspec.field(default_factory=dict)
    dependencies: Table = msgspec.field(default_factory=dict)
    optional: Table = msgspec.field(default_factory=dict)
    peers: Table = msgspec.field(default_factory=dict)
    optional_peers: Lines = ()
    bundled: Lines = ()
    bin: Table = msgspec.field(default_factory=dict)
    engines: Table = msgspec.field(default_factory=dict)
    os: Lines = ()
    cpu: Lines = ()
    libc: Lines = ()
    description: Line = ""
    keywords: Lines = ()
    licence: Line = ""
    homepage: Line = ""
    repository: Line = ""
    maintainers: Lines = ()

    def __post_init__(self) -> None:
        """Refuse names and versions that no registry has."""
        if self.format != NPM_FORMAT or not is_name(self.name) or not is_version(self.version):
            what = f"{self.name[:80]}@{self.version[:80]} is no npm package version."
            raise MalformedDocumentError(what)


def is_name(name: str) -> bool:
    """Tell whether a package can be called so (``left-pad``, ``@scope/name``).

    Names that begin with a dash are left out, though old ones exist: ``/-/`` begins the
    registry's own addresses.
    """
    return len(name) <= NAME_LIMIT and _NAME.fullmatch(name) is not None


def is_version(version: str) -> bool:
    """Tell whether a text is a semantic version."""
    return len(version) <= _VERSION_LIMIT and _VERSION.fullmatch(version) is not None


def tarball_name(name: str, version: str) -> str:
    """Return what a registry calls the archive of a version: without the scope."""
    return f"{name.rpartition('/')[2]}-{version}.tgz"


def npm_purl(name: str, version: str) -> str:
    """Return the package URL of a version; a scope is its name space."""
    from packageurl import PackageURL  # noqa: PLC0415  # not there where the sandbox reads such documents

    scope, _, own = name.rpartition("/")
    return PackageURL(type="npm", namespace=scope or None, name=own, version=version).to_string()


def version_key(version: str) -> tuple[object, ...]:
    """Return what versions sort by (semantic versioning 2.0.0, 11); build metadata counts for nothing.

    Raises:
        MalformedDocumentError: It is no semantic version.

    """
    match = _VERSION.fullmatch(version)
    if match is None:
        what = f"{version[:80]!r} is no semantic version."
        raise MalformedDocumentError(what)
    numbers = tuple(int(part) for part in match.group(1, 2, 3))
    if match[4] is None:
        return (*numbers, 1, ())
    parts = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in match[4].split("."))
    return (*numbers, 0, parts)


def is_prerelease(version: str) -> bool:
    """Tell whether a version comes before a release (``2.0.0-rc.1``)."""
    match = _VERSION.fullmatch(version)
    return match is not None and match[4] is not None
