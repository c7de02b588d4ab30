"""What the next crossing should bring: a small list that goes back, and the manifest it becomes.

The list comes from another machine: names and versions in it are checked before one becomes a
requirement, and nothing else of it is written.
"""

import re
from collections.abc import Iterable
from typing import Annotated

import msgspec

from lockgate.advisories.errors import BadPackageError
from lockgate.advisories.exposure import Exposed
from lockgate.advisories.names import parse_purl
from lockgate.advisories.versions import UnreadableVersionError, pypi
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.wire import Document, decode

WANTED_FORMAT = "lockgate-wanted/1"
WANTED_LIMIT = 16 << 20
"""Longest list that is read, in bytes."""

_PROJECT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
Purl = Annotated[str, msgspec.Meta(max_length=2048)]


class Wanted(Document, frozen=True):
    """Package URLs of the first versions without a known vulnerability."""

    format: str
    lane: str
    purls: Annotated[tuple[Purl, ...], msgspec.Meta(max_length=100_000)]


def wanted_of(lane: str, exposed: Iterable[Exposed]) -> Wanted:
    """Return what the next crossing should bring: of each affected package the version that is fixed."""
    found = set()
    for artifact in exposed:
        if artifact.fixed:
            purl = parse_purl(artifact.purl)
            found.add(purl._replace(version=artifact.fixed, qualifiers={}, subpath=None).to_string())
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
    """Return the list as a fragment of a manifest.

    Python projects become requirements; other packages stand in comments, to be added under the
    tables of their own ecosystems.

    Raises:
        BadPackageError: An entry is no package URL with a version that its ecosystem has.

    """
    requirements, others = [], []
    for text in wanted.purls:
        purl = parse_purl(text)
        if purl.type == "pypi":
            requirements.append(_requirement(purl.name, purl.version or "", text))
        else:
            others.append(text)
    lines = ["# What is open on the high side, in its first version without a known vulnerability."]
    if requirements:
        listed = "".join(f'    "{requirement}",\n' for requirement in sorted(requirements))
        lines.append(f"\n[[python]]\nrequirements = [\n{listed}]")
    if others:
        lines.append("\n# Other ecosystems:")
        lines += [f"#   {purl}" for purl in others]
    return "\n".join(lines) + "\n"


def _requirement(name: str, version: str, text: str) -> str:
    try:
        pypi(version)
    except UnreadableVersionError:
        version = ""
    if not version or '"' in version or not version.isprintable() or not _PROJECT.fullmatch(name):
        what = f"{text[:120]!r} is no Python project with a version."
        raise BadPackageError(what)
    return f"{name}>={version.partition('+')[0]}"
