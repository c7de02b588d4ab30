"""Releases of Lockgate itself: what a release says, and whether it may follow the running version.

Pure data and pure rules. A release is signed by the role ``lockgate-release``, which the *site* root
names: whoever holds the low side, its roots included, can bring a release and cannot make one.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from packaging.version import InvalidVersion, Version

from lockgate.core.artifact import Digest, Size
from lockgate.core.errors import PolicyError, TrustError
from lockgate.core.wire import Document, Moment

RELEASE_FORMAT = "lockgate-release/1"
RELEASE_TYPE = "application/vnd.lockgate.release+json"
"""DSSE payload type of a release."""
RELEASE_SUFFIX = ".release.json"
"""How the file names of releases end."""

RELEASES = "release"
"""Collection of records that says which release is active."""

TRIAL_FORMAT = "lockgate-trial/1"
RELEASE_LIMIT = 1 << 20
"""Longest release document that is read, in bytes."""
FILES_LIMIT = 512
"""Most wheels of one release, and most packages that it runs with."""

FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]{0,199}\.whl\Z")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?\Z")]
VersionText = Annotated[str, msgspec.Meta(pattern=r"^[0-9][0-9a-z.+!]{0,63}\Z")]


class ReleaseRefusedError(TrustError):
    """A release is not one that this version may be followed by."""

    code = "LG-2014"
    advice = "Look who offered it. A release has to be newer than every version that was active here."


class NotTriedError(PolicyError):
    """A release was not tried, or what was tried is not what would be activated."""

    code = "LG-3010"
    advice = "Run `lockgate update try` and ask again."


class ReleaseFile(Document, frozen=True):
    """One wheel that the release brings."""

    name: FileName
    sha256: Digest
    size: Size


class Pinned(Document, frozen=True):
    """A package that the release runs with, in exactly this version; `name` is normalised (PEP 503)."""

    name: Name
    version: VersionText


class Release(Document, frozen=True):
    """What a release says of itself.

    `packages` are all that it runs with. Those that `files` do not bring are taken over from the
    running version, which has to have exactly that version of them. `optional` are pinned as well,
    and taken over where the running version has them.
    """

    format: str
    version: VersionText
    python: Annotated[str, msgspec.Meta(pattern=r"^3\.[0-9]{1,2}\Z")]
    created: Moment
    files: tuple[ReleaseFile, ...]
    packages: tuple[Pinned, ...]
    optional: tuple[Pinned, ...] = ()


class Trial(Document, frozen=True):
    """What trying a release in its slot gave; approvers sign its digest."""

    format: str
    release_sha256: Digest
    slot_sha256: Digest
    crates: dict[str, int]
    log_size: int
    log_root: Digest
    tried: Moment


class Installation(Document, frozen=True):
    """A release and the slot that it is installed in."""

    version: str
    release_sha256: Digest
    slot: str


class Active(Document, frozen=True):
    """The release that is active, and what was before it; `highest` never goes back.

    The version that came with the first kit has no release: its digest is all zeros, and `slot` is
    the place of its installation.
    """

    version: str
    release_sha256: Digest
    slot: str
    statement_sha256: Digest
    since: Moment
    highest: str
    highest_sha256: Digest
    previous: Installation | None = None


class Standing(StrEnum):
    """What a release is to the running version."""

    ACTIVE = "active"
    NEWER = "newer"
    OLDER = "older"


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion as error:
        what = f"{text[:64]!r} is no version."
        raise ReleaseRefusedError(what) from error


def demand_form(release: Release, python: str) -> None:
    """Demand a release of a format and interpreter that this version runs, consistent in itself.

    Raises:
        ReleaseRefusedError: It is not.

    """
    if fault := _fault(release, python):
        raise ReleaseRefusedError(fault)


def _fault(release: Release, python: str) -> str:
    if release.format != RELEASE_FORMAT:
        return f"The release has the format {release.format[:80]!r}, which this version does not read."
    if release.python != python:
        return f"The release runs on Python {release.python}, this machine has {python}."
    if (
        not 1 <= len(release.files) <= FILES_LIMIT
        or len(release.packages) + len(release.optional) > FILES_LIMIT
    ):
        return f"A release brings 1 to {FILES_LIMIT} wheels and runs with at most as many packages."
    names = [f.name for f in release.files]
    packages, optional = [p.name for p in release.packages], [p.name for p in release.optional]
    twice = set(packages) & set(optional)
    if twice or any(listed != sorted(set(listed)) for listed in (names, packages, optional)):
        return "The release names a file or a package twice, or out of order."
    own = [p.version for p in release.packages if p.name == "lockgate"]
    if own != [release.version]:
        return f"The release {release.version} does not run with lockgate {release.version}."
    _version(release.version)
    return ""


def standing(version: str, release_sha256: str, active: Active) -> Standing:
    """Return what a release is to what is active; one that was highest before may come back.

    Raises:
        ReleaseRefusedError: It has the number of another release that was active here.

    """
    if release_sha256 == active.release_sha256:
        return Standing.ACTIVE
    found, highest = _version(version), _version(active.highest)
    if found == highest and release_sha256 == active.highest_sha256:
        return Standing.NEWER
    if found == highest:
        what = f"Another release with the version {version} was active here."
        raise ReleaseRefusedError(what)
    return Standing.NEWER if found > highest else Standing.OLDER


def demand_newer(version: str, release_sha256: str, active: Active) -> None:
    """Demand a release that is newer than all that were active here.

    Raises:
        ReleaseRefusedError: It is active already, or older.

    """
    found = standing(version, release_sha256, active)
    if found is not Standing.NEWER:
        what = f"The release {version} is {found}; {active.highest} was active here."
        raise ReleaseRefusedError(what, version=version)


def activated(active: Active, new: Installation, statement: str, at: datetime) -> Active:
    """Return what is active after a release took over."""
    return Active(
        version=new.version,
        release_sha256=new.release_sha256,
        slot=new.slot,
        statement_sha256=statement,
        since=at,
        highest=new.version,
        highest_sha256=new.release_sha256,
        previous=Installation(version=active.version, release_sha256=active.release_sha256, slot=active.slot),
    )


def reverted(active: Active, statement: str, at: datetime) -> Active:
    """Return what is active after going back to the release before; nothing is before that.

    Raises:
        ReleaseRefusedError: There is none.

    """
    before = active.previous
    if before is None:
        raise ReleaseRefusedError("There is no release to go back to.")
    return Active(
        version=before.version,
        release_sha256=before.release_sha256,
        slot=before.slot,
        statement_sha256=statement,
        since=at,
        highest=active.highest,
        highest_sha256=active.highest_sha256,
    )
