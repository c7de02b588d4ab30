"""What the next crossing should bring: a small list that goes back, and the manifest it becomes.

The list comes from another machine: names and versions in it are checked before one becomes a
requirement, and nothing else of it is written.
"""

import re
from collections.abc import Callable, Iterable
from typing import Annotated

import msgspec

from lockgate.advisories.errors import BadPackageError
from lockgate.advisories.exposure import Exposed
from lockgate.advisories.names import parse_purl
from lockgate.advisories.versions import UnreadableVersionError, pypi
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.npm import is_name, is_version
from lockgate.core.wire import Document, decode

WANTED_FORMAT = "lockgate-wanted/1"
WANTED_LIMIT = 16 << 20
"""Longest list that is read, in bytes."""

_SPOKEN = {"pypi": "Python project", "npm": "npm package"}
_PROJECT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
Purl = Annotated[str, msgspec.Meta(max_length=2048)]


class Wanted(Document, frozen=True):
    """Package URLs of the first versions without a known vulnerability; of images, without a version."""

    format: str
    lane: str
    purls: Annotated[tuple[Purl, ...], msgspec.Meta(max_length=100_000)]


def wanted_of(lane: str, exposed: Iterable[Exposed]) -> Wanted:
    """Return what the next crossing should bring: of each affected package the version that is fixed.

    An image is named without a version where something that it holds is fixed: it has to be built anew.
    """
    found = set()
    for artifact in exposed:
        rebuilt = any(each.inside and each.found.fixed for each in artifact.open)
        if artifact.fixed or rebuilt:
            purl = parse_purl(artifact.purl)
            version = artifact.fixed or None
            found.add(purl._replace(version=version, qualifiers={}, subpath=None).to_string())
    return Wanted(format=WANTED_FORMAT, lane=lane, purls=tuple(sorted(found)))


def read_wanted(data: bytes) -> Wanted:
    """Return a list as it was carried back.

    Raises:
        MalformedDocumentError, NotCanonicalError, TooLargeError: Not such a list.

    """
    wanted = decode(Wanted, data, limit=WANTED_LIMIT, name="list of wanted packages")
    if wanted.format != WANTED_FORMAT:
        what = f"The list has the format {wanted.format[:80]!r}, which this version does not read."
        raise MalformedDocumentError(what)
    return wanted


def manifest_of(wanted: Wanted) -> str:
    """Return the list as a fragment of a manifest: each package in the named version or a later one.

    Python projects and npm packages stand in tables; other packages stand in comments, to be added
    under the tables of their own ecosystems.

    Raises:
        BadPackageError: An entry is no package URL with a version that its ecosystem has.

    """
    head = "What is open on the high side, in its first version without a known vulnerability."
    return _fragment(head, wanted.purls, _at_least)


def manifest_of_requests(purls: Iterable[str]) -> str:
    """Return requested packages as a fragment of a manifest: in exactly the version that is asked for.

    Raises:
        BadPackageError: An entry is no package URL, or its version is none of its ecosystem.

    """
    return _fragment("What the high side asked for, as its approvers signed it.", purls, _exactly)


def _fragment(head: str, purls: Iterable[str], spell: Callable[[str, str, str], str]) -> str:
    listed: dict[str, list[str]] = {"pypi": [], "npm": []}
    others: list[str] = []
    for text in purls:
        purl = parse_purl(text)
        if purl.type in listed:
            full = f"{purl.namespace}/{purl.name}" if purl.namespace else purl.name
            listed[purl.type].append(spell(purl.type, full, purl.version or ""))
        else:
            others.append(text)
    lines = [f"# {head}"]
    for kind, (table, key) in {"pypi": ("python", "requirements"), "npm": ("npm", "packages")}.items():
        if listed[kind]:
            entries = "".join(f'    "{entry}",\n' for entry in sorted(listed[kind]))
            lines.append(f"\n[[{table}]]\n{key} = [\n{entries}]")
    if others:
        lines.append("\n# Other ecosystems:")
        lines += [f"#   {purl}" for purl in others]
    return "\n".join(lines) + "\n"


def _at_least(kind: str, name: str, version: str) -> str:
    _demand(kind, name, version)
    return f"{name}>={version.partition('+')[0]}" if kind == "pypi" else f"{name}@>={version}"


def _exactly(kind: str, name: str, version: str) -> str:
    _demand(kind, name, version or "1.0.0")
    if not version:
        return name
    return f"{name}=={version}" if kind == "pypi" else f"{name}@{version}"


def _demand(kind: str, name: str, version: str) -> None:
    """Demand a name and a version of an ecosystem: they are written where a client reads requirements."""
    if kind == "npm":
        good = is_name(name) and is_version(version)
    else:
        good = _PROJECT.fullmatch(name) is not None and version.isprintable() and '"' not in version
        try:
            pypi(version)
        except UnreadableVersionError:
            good = False
    if not good:
        what = f"{name[:80]!r} {version[:40]!r} is no {_SPOKEN[kind]} with a version."
        raise BadPackageError(what)
