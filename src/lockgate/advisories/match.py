"""Is a version affected? OSV's evaluation, then everything that is known joined to the answer.

Source: OSV schema 1.7, "Evaluation". Four answers, and only one of them is clean: what cannot be
compared, is not known, or rests on old data never becomes "not affected".
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cmp_to_key
from hashlib import sha256
from typing import Any

import msgspec

from lockgate.advisories.limits import Limits
from lockgate.advisories.model import (
    Advisory,
    Entry,
    Event,
    Found,
    Matched,
    Outcome,
    Range,
    SetKind,
    Source,
)
from lockgate.advisories.names import Name, Question, question
from lockgate.advisories.ports import AdvisoryData, Row
from lockgate.advisories.versions import Key, UnreadableVersionError, key_of
from lockgate.advisories.vex import CLOSED, Claims
from lockgate.core.verdict import Severity

ENGINE = "lockgate-match/2"
"""Part of each basis: another way of comparing makes earlier answers void."""

AGE_SECONDS = 14 * 86400
"""How old the newest record of a data set may be, where the caller names no other limit."""

_SEVERITIES = list(Severity)


def affects(entry: Entry, ecosystem: str, version: str) -> bool:
    """Tell whether an entry affects a version.

    Raises:
        UnreadableVersionError: Nobody can tell; the text says why.

    """
    if version in entry.versions or _listed(entry, ecosystem, version):
        return True
    reason = entry.unreadable
    for part in entry.ranges:
        try:
            if _inside(part, ecosystem, version):
                return True
        except UnreadableVersionError as error:
            reason = reason or str(error)
    if reason:
        raise UnreadableVersionError(reason)
    return False


def _listed(entry: Entry, ecosystem: str, version: str) -> bool:
    """Tell whether the version is listed in another spelling (1.0 for 1.0.0, a local label)."""
    key = key_of(ecosystem, "ECOSYSTEM")
    if key is None or not entry.versions:
        return False
    try:
        wanted = key(version)
    except UnreadableVersionError:
        return False  # the ranges say so where it matters
    return any(_same(key, listed, wanted) for listed in entry.versions)


def _same(key: Key, listed: str, wanted: Any) -> bool:
    try:
        return bool(key(listed) == wanted)
    except UnreadableVersionError:
        return False  # it is compared as text already


def _inside(part: Range, ecosystem: str, version: str) -> bool:
    if _always(part):
        return True
    key = key_of(ecosystem, part.kind)
    if key is None:
        msg = f"nobody defines how versions of {ecosystem} sort"
        raise UnreadableVersionError(msg)
    wanted = key(version)
    if not _below_limit(part, key, wanted):
        return False
    inside = False
    for event, at in _sorted(part, key):
        if event.kind == "introduced":
            inside = inside or at is None or not _less(wanted, at)
        elif event.kind == "fixed":
            inside = inside and _less(wanted, at)
        elif event.kind == "last_affected":
            inside = inside and not _less(at, wanted)
    return inside


def _always(part: Range) -> bool:
    """Tell whether a range holds every version there is, however they sort."""
    return all(event.kind == "introduced" and event.version == "0" for event in part.events)


def _below_limit(part: Range, key: Key, wanted: Any) -> bool:
    limits = [event.version for event in part.events if event.kind == "limit"]
    return not limits or any(text == "*" or _less(wanted, key(text)) for text in limits)


def _sorted(part: Range, key: Key) -> list[tuple[Event, Any]]:
    """Return the events in the order of their versions; equal ones keep the order of the record."""
    keyed = [(e, None if _zero(e) else key(e.version)) for e in part.events if e.kind != "limit"]
    return sorted(keyed, key=cmp_to_key(_order))


def _zero(event: Event) -> bool:
    return event.kind == "introduced" and event.version == "0"


def _order(one: tuple[Any, Any], two: tuple[Any, Any]) -> int:
    if one[1] is None or two[1] is None:
        return (one[1] is not None) - (two[1] is not None)
    return -1 if _less(one[1], two[1]) else int(_less(two[1], one[1]))


def _less(one: Any, two: Any) -> bool:
    try:
        return bool(one < two)
    except Exception as error:  # a library's own comparison fails as it happens to fail
        msg = f"two versions cannot be compared: {type(error).__name__}"
        raise UnreadableVersionError(msg) from error


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old data may be, and the moment that this is judged by."""

    now: datetime
    age_seconds: int = AGE_SECONDS

    def stale(self, source: Source) -> bool:
        """Tell whether a data set is older than the limit; one without a date is."""
        return source.newest is None or self.now - source.newest > timedelta(seconds=self.age_seconds)


@dataclass(slots=True)
class _Gathered:
    """What was found for one package before it is joined."""

    hits: list[tuple[Row, Entry, str]]
    unreadable: str = ""


class Matcher:
    """Answers questions from advisory data. The data does not change while it is used."""

    def __init__(
        self,
        data: AdvisoryData,
        freshness: Freshness,
        limits: Limits | None = None,
        claims: Claims | None = None,
    ) -> None:
        """Use opened data, a limit of age, and claims that two persons approved."""
        self._data = data
        self._claims = claims or Claims(())
        self._limits = limits or Limits()
        osv = [source for source in data.sources if source.kind is SetKind.OSV]
        self._holes = {source.name for source in osv if source.missing}
        stale = {source.name for source in osv if freshness.stale(source)}
        self._covered: dict[str, tuple[Source, ...]] = {}
        for source in osv:
            for ecosystem in source.ecosystems:
                self._covered[ecosystem] = (*self._covered.get(ecosystem, ()), source)
        self._stale = {e: any(s.name in stale for s in covering) for e, covering in self._covered.items()}

    def match(self, purl: str, before: Matched | None = None) -> Matched:
        """Return the answer for one package.

        Args:
            purl: Its package URL, with a version.
            before: An earlier answer; its comparisons are taken over where nothing they rest on
                changed, and KEV and EPSS are joined to them anew.

        Raises:
            BadPackageError: Not a package URL with a version.

        """
        asked = question(purl)
        rows = [(name, version, self._rows(name)) for name, version in asked.names]
        basis = self._basis(asked, rows)
        stale = any(self._stale.get(name.ecosystem, False) for name, _ in asked.names)
        if before is not None and before.basis == basis and before.stale == stale:
            found = tuple(sorted((self._joined(f) for f in before.found), key=_rank))
            return msgspec.structs.replace(before, found=found)
        return self._answer(asked, rows, basis, stale=stale)

    def steps(self, purl: str) -> Iterator[str]:
        """Yield where was looked for a package and what each entry says of it.

        Raises:
            BadPackageError: Not a package URL with a version.

        """
        for name, version in question(purl).names:
            covering = ", ".join(s.name for s in self._covered.get(name.ecosystem, ())) or "no data set"
            release = f" release {name.release}" if name.release else ""
            yield f"{name.name} {version} in {name.ecosystem}{release}: covered by {covering}"
            for row in self._rows(name):
                for entry in self._data.entries(row):
                    yield f"{row.source}: {_said(entry, name.ecosystem, version)}"

    def _rows(self, name: Name) -> list[Row]:
        rows = self._data.rows(name.ecosystem, name.name)
        if not name.release:
            return list(rows)
        return [row for row in rows if not row.release or _same_release(row.release, name.release)]

    def _basis(self, asked: Question, rows: Iterable[tuple[Name, str, Sequence[Row]]]) -> str:
        state = sha256(f"{ENGINE}\n{asked.purl}\n".encode())
        for name, _, found in rows:
            covering = self._covered.get(name.ecosystem, ())
            state.update("".join(f"{s.name} {s.missing}\n" for s in covering).encode())
            state.update("".join(sorted(f"{r.source} {r.release} {r.basis}\n" for r in found)).encode())
        state.update("\n".join(self._claims.about(asked)).encode())
        return state.hexdigest()[:32]

    def _answer(
        self, asked: Question, rows: list[tuple[Name, str, list[Row]]], basis: str, *, stale: bool
    ) -> Matched:
        gathered = self._gather(rows)
        found = tuple(self._claimed(self._found(g, rows), asked) for g in self._groups(gathered.hits))
        closed = {name for f in found if f.vex in CLOSED for name in (f.id, *f.aliases)}
        gathered.hits = [hit for hit in gathered.hits if hit[1].id not in closed]
        outcome, reason = self._judge(asked, rows, gathered, stale=stale)
        fixed = self._fixed([hit[1] for hit in gathered.hits], rows) if gathered.hits else ""
        return Matched(
            purl=asked.purl,
            outcome=outcome,
            reason=reason,
            stale=stale,
            basis=basis,
            fixed=fixed,
            found=tuple(sorted(found, key=_rank)),
        )

    def _claimed(self, found: Found, asked: Question) -> Found:
        return msgspec.structs.replace(found, vex=self._claims.status(found, asked))

    def _gather(self, rows: Iterable[tuple[Name, str, Sequence[Row]]]) -> _Gathered:
        gathered = _Gathered([])
        for name, version, known in rows:
            for row in known:
                for entry in self._data.entries(row):
                    if not entry.id:
                        continue  # withdrawn
                    try:
                        if affects(entry, name.ecosystem, version):
                            gathered.hits.append((row, entry, version))
                    except UnreadableVersionError as error:
                        gathered.unreadable = gathered.unreadable or f"{entry.id}: {error}"
        return gathered

    def _judge(
        self,
        asked: Question,
        rows: Iterable[tuple[Name, str, Sequence[Row]]],
        gathered: _Gathered,
        *,
        stale: bool,
    ) -> tuple[Outcome, str]:
        if gathered.hits:
            return Outcome.AFFECTED, ""
        if unknown := self._unknown(asked, rows) or gathered.unreadable:
            return Outcome.UNKNOWN, unknown
        if stale:
            return Outcome.TOO_OLD, "the newest record is older than the limit"
        return Outcome.NOT_AFFECTED, ""

    def _unknown(self, asked: Question, rows: Iterable[tuple[Name, str, Sequence[Row]]]) -> str:
        """Return why the data cannot know a package; nothing where it can."""
        if not any(name.ecosystem in self._covered for name, _ in asked.names):
            return _nothing_for(asked)
        if not any(known for _, _, known in rows):
            return "no data set names this package"
        covering = {s.name for name, _ in asked.names for s in self._covered.get(name.ecosystem, ())}
        holes = sorted(covering & self._holes)
        return f"the data set {holes[0]} is incomplete" if holes else ""

    def _groups(self, hits: Sequence[tuple[Row, Entry, str]]) -> list[dict[str, Row]]:
        """Return the hits that speak of one vulnerability together: advisory → where it was found.

        Identifiers are followed over what the data knows of each, every one once, so that records
        that name each other in a circle end like all others.
        """
        groups: list[tuple[set[str], dict[str, Row]]] = []
        for row, entry, _ in hits:
            names = self._names(entry.id)
            found = {entry.id: row}
            apart = []
            for others, held in groups:
                if names & others:
                    names |= others
                    found = held | found
                else:
                    apart.append((others, held))
            groups = [*apart, (names, found)]
        return [found for _, found in groups]

    def _names(self, identifier: str) -> set[str]:
        names = {identifier}
        waiting = [identifier]
        while waiting and len(names) < self._limits.aliases:
            for _, known in self._data.advisories(waiting.pop()):
                fresh = set() if known.withdrawn else set(known.aliases) - names
                names |= fresh
                waiting.extend(sorted(fresh))
        return names

    def _found(self, group: dict[str, Row], rows: Sequence[tuple[Name, str, Sequence[Row]]]) -> Found:
        """Return one vulnerability of a package, joined over its identifiers."""
        names = set[str]().union(*(self._names(identifier) for identifier in group))
        known = [a for identifier in sorted(names) for _, a in self._data.advisories(identifier)]
        spoken = [a for a in known if not a.withdrawn]
        severities = [Severity(a.severity) for a in spoken if a.severity]
        first = min(names, key=_preferred)
        entries = [e for _, _, known_rows in rows for r in known_rows for e in self._data.entries(r)]
        found = Found(
            id=first,
            aliases=tuple(sorted(names - {first})),
            severity=max(severities, key=_SEVERITIES.index, default=None),
            score_tenths=max((a.score_tenths for a in spoken), default=-1),
            first_known=min((a.published for a in spoken if a.published), default=""),
            summary=_summary(spoken, first),
            fixed=self._fixed([e for e in entries if e.id in group], rows),
            sources=tuple(sorted({row.source for row in group.values()})),
            upstream=tuple(sorted(set[str]().union(*(a.upstream for a in spoken)) - names)),
        )
        return self._joined(found)

    def _joined(self, found: Found) -> Found:
        """Return a vulnerability with what KEV and EPSS say now of it and of what it answers upstream."""
        names = (found.id, *found.aliases, *found.upstream)
        cves = [name for name in names if name.startswith("CVE-")]
        exploited = next((e for e in map(self._data.exploited, cves) if e is not None), None)
        likely = max(map(self._data.likelihood, cves), default=-1)
        return msgspec.structs.replace(found, kev=exploited, epss_ppm=likely)

    def _fixed(self, entries: Sequence[Entry], rows: Sequence[tuple[Name, str, Sequence[Row]]]) -> str:
        """Return the first fixed version above the present one that none of the entries affects."""
        name, version = rows[-1][0], rows[-1][1]
        candidates: list[tuple[str, Any]] = []
        for part in (part for entry in entries for part in entry.ranges):
            key = key_of(name.ecosystem, part.kind)
            for event in part.events:
                if event.kind == "fixed" and key is not None:
                    try:
                        at = key(event.version)
                        if _less(key(version), at):
                            candidates.append((event.version, at))
                    except UnreadableVersionError:
                        continue  # such an entry has told why already
        candidates.sort(key=cmp_to_key(_order))
        for text, _ in candidates[: self._limits.aliases]:
            if not any(_may_affect(entry, name.ecosystem, text) for entry in entries):
                return text
        return ""


def _may_affect(entry: Entry, ecosystem: str, version: str) -> bool:
    try:
        return affects(entry, ecosystem, version)
    except UnreadableVersionError:
        return True


def _same_release(listed: str, wanted: str) -> bool:
    """Tell whether a release is the wanted one: ``22.04:LTS`` is ``22.04``, ``9::appstream`` is ``9``."""
    return listed == wanted or wanted in listed.split(":")


def _nothing_for(asked: Question) -> str:
    if asked.purl.startswith(("pkg:oci/", "pkg:docker/")):
        return "an image is matched by the packages in its layers: give its bill of materials"
    return f"no data set covers {asked.names[0][0].ecosystem}"


def _preferred(identifier: str) -> tuple[int, str]:
    """Sort identifiers as people look them up: CVE, GHSA, the rest."""
    order = ("CVE-", "GHSA-")
    return next((i for i, p in enumerate(order) if identifier.startswith(p)), len(order)), identifier


def _summary(known: Sequence[Advisory], first: str) -> str:
    texts = {advisory.id: advisory.summary for advisory in known if advisory.summary}
    return texts.get(first) or next(iter(texts.values()), "")


def _rank(found: Found) -> tuple[bool, int, int, str]:
    """Sort the worst first: exploited, severe (unknown counts as the worst), likely."""
    severity = len(_SEVERITIES) if found.severity is None else _SEVERITIES.index(found.severity)
    return found.kev is None, -severity, -found.epss_ppm, found.id


def _said(entry: Entry, ecosystem: str, version: str) -> str:
    if not entry.id:
        return "a withdrawn advisory"
    events = "; ".join(" ".join(f"{e.kind} {e.version}" for e in part.events) for part in entry.ranges)
    listed = f"{len(entry.versions)} listed versions" if entry.versions else ""
    try:
        answer = "affected" if affects(entry, ecosystem, version) else "not affected"
    except UnreadableVersionError as error:
        answer = f"cannot be told ({error})"
    return f"{entry.id}: {answer} [{', '.join(part for part in (events, listed) if part)}]"
