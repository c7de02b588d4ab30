"""Use cases: load data sets, ask them, show what they say and how old they are."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from lockgate.advisories.database import SetWriter
from lockgate.advisories.errors import (
    AdvisoryLimitError,
    BadAdvisoryError,
    BadPackageError,
    NoSuchAdvisoryError,
    OlderDataError,
)
from lockgate.advisories.limits import Limits
from lockgate.advisories.match import Freshness, Matcher
from lockgate.advisories.model import Advisory, Matched, Outcome, SetKind, Source
from lockgate.advisories.osv import parse_osv
from lockgate.advisories.ports import AdvisoryData
from lockgate.advisories.reading import epss_table, kev_catalogue, open_regular, osv_records, read_bounded
from lockgate.advisories.shelf import Shelf
from lockgate.advisories.vex import Claims
from lockgate.core.digests import sha256_stream
from lockgate.core.ports import Progress
from lockgate.core.wire import whole_second

_HEAD = 4096
_STEP = 500
_NAMED = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """How to load.

    `name` overrides the data set's own, `incomplete` takes one with records that cannot be read,
    `older` one that is older than what holds.
    """

    name: str = ""
    incomplete: bool = False
    older: bool = False


@dataclass(slots=True)
class _Seen:
    """What a data set says of itself while it is read."""

    records: int = 0
    newest: datetime | None = None
    faults: list[str] = field(default_factory=list)
    ecosystems: Counter[str] = field(default_factory=Counter)

    def date(self, moment: datetime, now: datetime) -> None:
        """Keep the newest moment; one in the future makes no data fresh."""
        if moment <= now and (self.newest is None or moment > self.newest):
            self.newest = moment


@dataclass(frozen=True, slots=True)
class Loading:
    """What loading takes through parameters: the moment, who is told, the bounds."""

    now: datetime
    progress: Progress
    limits: Limits = field(default_factory=Limits)


def load(shelf: Shelf, path: Path, wish: Wish, using: Loading) -> Source:
    """Load a data set; it replaces the one of the same name in one step, or nothing changes.

    Args:
        shelf: Where the data lies.
        path: A folder or archive of OSV records, one record, a KEV catalogue, an EPSS table.
        wish: How to load it.
        using: The moment of loading, who is told how many records were read, the bounds.

    Raises:
        NotAdvisoryDataError: Nothing that is read as advisory data.
        BadAdvisoryError: A record cannot be read and holes are not wished.
        OlderDataError: What holds is newer.
        AdvisoryLimitError: A bound was reached.
        AdvisoryStoreError: The disk refused.

    """
    kind = kind_of(path)
    using.progress.start(f"reading {wish.name or path.name}", 0)
    with shelf.loading() as file:
        writer = SetWriter(file)
        seen = _Seen()
        try:
            _READERS[kind](writer, path, wish, seen, using)
            ecosystems = writer.finish()
        finally:
            writer.close()
        held = shelf.sources()
        name = wish.name or _name(kind, seen, ecosystems)
        _demand_newer(held, name, seen, wish)
        source = Source(
            name=name,
            kind=kind,
            sha256=shelf.keep(file),
            ecosystems=ecosystems,
            records=seen.records,
            newest=seen.newest and whole_second(seen.newest),
            loaded=whole_second(using.now),
            missing=len(seen.faults),
            faults=tuple(seen.faults[:_NAMED]),
            origin=_origin(path),
        )
        shelf.switch([*(s for s in held if s.name != name), source])
    using.progress.finish()
    return source


def _origin(path: Path) -> str:
    if path.is_dir():
        return ""
    with open_regular(path) as stream:
        return sha256_stream(stream)[0]


def kind_of(path: Path) -> SetKind:
    """Return what a path holds, by its content.

    Raises:
        NotAdvisoryDataError: It cannot be read.

    """
    if path.is_dir():
        return SetKind.OSV
    with open_regular(path) as stream:
        head = stream.read(_HEAD)
    if head.startswith((b"\x1f\x8b", b"#model_version")):
        return SetKind.EPSS
    return SetKind.KEV if b'"catalogVersion"' in head else SetKind.OSV


def _load_osv(writer: SetWriter, path: Path, wish: Wish, seen: _Seen, using: Loading) -> None:
    limits = using.limits
    for name, data in osv_records(path, limits):
        try:
            parsed = parse_osv(data, name, limits)
            writer.add(parsed, data)
        except (BadAdvisoryError, AdvisoryLimitError) as error:
            if not wish.incomplete:
                raise
            seen.faults.append(error.what)
            if len(seen.faults) > limits.faults:
                what = f"{path.name} has more than {limits.faults} records that cannot be read."
                raise AdvisoryLimitError(what, limit="faults") from error
            continue
        seen.records += 1
        seen.date(parsed.modified, using.now)
        seen.ecosystems.update({key.ecosystem for key, _ in parsed.entries})
        if seen.records % _STEP == 0:
            using.progress.advance(_STEP)


def _load_kev(writer: SetWriter, path: Path, wish: Wish, seen: _Seen, using: Loading) -> None:
    del wish  # a table has no records that could be left out
    catalogue = kev_catalogue(read_bounded(path, using.limits.table_bytes, "table_bytes"), path.name)
    writer.add_exploited(catalogue.rows)
    seen.records = len(catalogue.rows)
    seen.date(catalogue.released, using.now)


def _load_epss(writer: SetWriter, path: Path, wish: Wish, seen: _Seen, using: Loading) -> None:
    del wish  # a table has no records that could be left out

    def counted(rows: Iterable[tuple[str, int]]) -> Iterable[tuple[str, int]]:
        for row in rows:
            seen.records += 1
            yield row

    with open_regular(path) as stream:
        table = epss_table(stream, path, using.limits)
        writer.add_likelihoods(counted(table.rows))
    seen.date(table.scored, using.now)


_READERS = {SetKind.OSV: _load_osv, SetKind.KEV: _load_kev, SetKind.EPSS: _load_epss}


def _name(kind: SetKind, seen: _Seen, ecosystems: Sequence[str]) -> str:
    """Return the name of a data set: the ecosystem that most of its records are about."""
    if kind is not SetKind.OSV:
        return str(kind)
    chosen = max(ecosystems, key=seen.ecosystems.__getitem__, default="")
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._+-") else "-" for c in chosen)
    return f"osv/{plain[:80] or 'none'}"


def _demand_newer(held: Sequence[Source], name: str, seen: _Seen, wish: Wish) -> None:
    before = next((source for source in held if source.name == name), None)
    if before is None or before.newest is None or wish.older:
        return
    if seen.newest is None or whole_second(seen.newest) < before.newest:
        present = seen.newest or "an unknown day"
        what = f"The newest record of {name} is from {present}; one from {before.newest} is loaded."
        raise OlderDataError(what, source=name)


def match_all(
    data: AdvisoryData,
    purls: Iterable[str],
    freshness: Freshness,
    before: Mapping[str, Matched] | None = None,
    *,
    limits: Limits | None = None,
    claims: Claims | None = None,
) -> list[Matched]:
    """Return the answer for each package; one that cannot be asked about is unknown.

    Args:
        data: What is asked.
        purls: Package URLs.
        freshness: The limit of age and the present moment.
        before: Earlier answers by package URL, taken over where what they rest on is unchanged.
        limits: The bounds.
        claims: VEX claims that two persons approved.

    """
    matcher = Matcher(data, freshness, limits, claims)
    earlier = before or {}
    answers = []
    for purl in purls:
        try:
            answers.append(matcher.match(purl, earlier.get(purl)))
        except BadPackageError as error:
            answers.append(
                Matched(purl=purl, outcome=Outcome.UNKNOWN, reason=error.what, stale=False, basis="")
            )
    return answers


NOT_CLEAN = {Outcome.AFFECTED: 4, Outcome.UNKNOWN: 8, Outcome.TOO_OLD: 8}
"""Exit statuses: 4 something is affected, 8 nothing is known to be, and that is no clean answer."""


def exit_status(outcomes: Iterable[Outcome]) -> int:
    """Return the exit status of some outcomes: 0 only when there are some, each `not affected`."""
    present = {NOT_CLEAN.get(outcome, 0) for outcome in outcomes}
    return 4 if 4 in present else max(present, default=8)  # noqa: PLR2004  # see NOT_CLEAN


def status_of(answers: Iterable[Matched]) -> int:
    """Return the exit status of some answers."""
    return exit_status(answer.outcome for answer in answers)


@dataclass(frozen=True, slots=True)
class Shown:
    """One advisory as one data set holds it."""

    source: str
    advisory: Advisory
    record: Any


def show(data: AdvisoryData, identifier: str) -> list[Shown]:
    """Return every record under an identifier or one of its aliases.

    Raises:
        NoSuchAdvisoryError: None is loaded.

    """
    names = [identifier, *data.named(identifier)]
    shown = [
        Shown(source, advisory, msgspec.json.decode(data.record(source, advisory.id)))
        for name in dict.fromkeys(names)
        for source, advisory in data.advisories(name)
    ]
    if not shown:
        what = f"No loaded record has the identifier {identifier[:80]!r}."
        raise NoSuchAdvisoryError(what)
    return shown


@dataclass(frozen=True, slots=True)
class Age:
    """How old a data set is; `seconds` is -1 where it names no date."""

    source: Source
    seconds: int
    stale: bool


def ages(sources: Iterable[Source], freshness: Freshness) -> list[Age]:
    """Return the age of each data set: now minus the newest moment in it."""
    now = freshness.now.astimezone(UTC)
    return [
        Age(s, int((now - s.newest).total_seconds()) if s.newest else -1, freshness.stale(s)) for s in sources
    ]


@dataclass(frozen=True, slots=True)
class Explained:
    """Why an answer is what it is: where was looked, and what each entry says."""

    answer: Matched
    looked: tuple[str, ...]


def explain(data: AdvisoryData, purl: str, freshness: Freshness, claims: Claims | None = None) -> Explained:
    """Return an answer with the steps that led to it.

    Raises:
        BadPackageError: Not a package URL with a version.

    """
    matcher = Matcher(data, freshness, None, claims)
    return Explained(matcher.match(purl), tuple(matcher.steps(purl)))
