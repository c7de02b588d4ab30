"""What crosses of one version of an npm package besides its archive, and how such names and versions look.

Sources: the npm registry's "package metadata" document, semantic versioning 2.0.0 (precedence),
package-url specification ("npm").
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from lockgate.core.errors import MalformedDocumentError
from lockgate.core.wire import Document, Moment

NPM_FORMAT = "lockgate-npm/1"
NPM_LIMIT = 1 << 20
"""Longest document about one version, in bytes."""

LATEST = "latest"
"""The tag that a client takes where none is named."""

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


def described(facts: NpmVersion) -> dict[str, Any]:
    """Return what a registry's document says of a version for an installation, without its archive."""
    found: dict[str, Any] = {
        "name": facts.name,
        "version": facts.version,
        "deprecated": facts.deprecated,
        "dependencies": facts.dependencies,
        "optionalDependencies": facts.optional,
        "peerDependencies": facts.peers,
        "peerDependenciesMeta": {name: {"optional": True} for name in facts.optional_peers},
        "bundleDependencies": list(facts.bundled),
        "bin": facts.bin,
        "engines": facts.engines,
        "os": list(facts.os),
        "cpu": list(facts.cpu),
        "libc": list(facts.libc),
        "hasInstallScript": facts.install_script,
        "_hasShrinkwrap": facts.shrinkwrap,
    }
    return {key: value for key, value in found.items() if value}


def tags_of(known: Iterable[tuple[int, NpmVersion]]) -> dict[str, str]:
    """Return which version each tag of a package stands for: what the newest crossing says, then the highest.

    There is always a `latest`: without one from the registry it is the highest release.

    Args:
        known: The package's versions, at least one, each with the crossing that it came by.

    """
    ordered = sorted(known, key=lambda each: (version_key(each[1].version), each[1].version))
    tags: dict[str, tuple[int, str]] = {}
    for crossing, facts in ordered:
        for tag in facts.tags:
            if tag not in tags or tags[tag][0] <= crossing:
                tags[tag] = (crossing, facts.version)
    if LATEST not in tags:
        whole = [each for each in ordered if not is_prerelease(each[1].version)] or ordered
        tags[LATEST] = (whole[-1][0], whole[-1][1].version)
    return {tag: version for tag, (_, version) in sorted(tags.items())}


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
