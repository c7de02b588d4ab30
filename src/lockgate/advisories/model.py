"""What is kept of advisory data and what a question is answered with. Data only."""

from enum import StrEnum
from typing import Annotated

import msgspec

from lockgate.core.verdict import Severity
from lockgate.core.wire import Document, Moment


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One event of a range (OSV schema 1.7): ``introduced``, ``fixed``, ``last_affected``, ``limit``."""

    kind: str
    version: str


class Range(msgspec.Struct, frozen=True, array_like=True):
    """A range of versions in the order in which its record lists the events."""

    kind: str
    events: tuple[Event, ...]


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What one record says of one package.

    `unreadable` says why it cannot be evaluated; then the answer is unknown, never clean. An entry
    without an `id` was withdrawn: the package is known, and nothing of it is affected by it.
    """

    id: str
    versions: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()
    unreadable: str = ""
    modified: str = ""


class Advisory(msgspec.Struct, frozen=True, array_like=True):
    """What is known of an advisory whatever the package: times are RFC 3339 text in UTC.

    `aliases` are other names of the same vulnerability, `upstream` the vulnerabilities that a distribution
    or another that packages software again answers with it: one advisory may be about many.
    """

    id: str
    aliases: tuple[str, ...]
    published: str
    modified: str
    withdrawn: str
    severity: str
    score_tenths: int
    summary: str
    upstream: tuple[str, ...] = ()


class SetKind(StrEnum):
    """What a data set is."""

    OSV = "osv"
    KEV = "kev"
    EPSS = "epss"


class Source(Document, frozen=True):
    """One loaded data set.

    `newest` is the latest moment that its own content names (never later than when it was loaded),
    `sha256` that of the database made from it, `origin` that of the file that it was made from (empty
    for a folder), `faults` why some records could not be read.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/+-]{0,127}\Z")]
    kind: SetKind
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    ecosystems: tuple[str, ...]
    records: int
    newest: Moment | None
    loaded: Moment
    missing: int = 0
    faults: tuple[str, ...] = ()
    origin: str = ""


class Outcome(StrEnum):
    """The four answers. Only `NOT_AFFECTED` is a clean one."""

    AFFECTED = "affected"
    NOT_AFFECTED = "not affected"
    UNKNOWN = "unknown to the database"
    TOO_OLD = "database too old"


class Exploited(Document, frozen=True):
    """A vulnerability of the KEV catalogue: dates as the catalogue writes them."""

    added: str
    due: str
    ransomware: bool


class Found(Document, frozen=True):
    """One vulnerability of one package, with everything that is known under its aliases.

    `score_tenths` is the CVSS base score times ten (-1: none), `epss_ppm` the probability in
    millionths (-1: not in the table); `fixed` is the first version that no entry of this
    vulnerability affects; `vex` the status of an approved statement; `upstream` the vulnerabilities that a
    distribution's advisory is about.
    """

    id: str
    aliases: tuple[str, ...]
    severity: Severity | None
    score_tenths: int
    first_known: str
    summary: str
    fixed: str
    sources: tuple[str, ...]
    kev: Exploited | None = None
    epss_ppm: int = -1
    vex: str = ""
    upstream: tuple[str, ...] = ()


class Matched(Document, frozen=True):
    """The answer for one package.

    `basis` is the digest of everything that the comparison rested on: while it is the same, the
    same findings hold. `fixed` is the first known version that no advisory affects; `stale` says
    that the data is older than its limit whatever the outcome.
    """

    purl: str
    outcome: Outcome
    reason: str
    stale: bool
    basis: str
    fixed: str = ""
    found: tuple[Found, ...] = ()
