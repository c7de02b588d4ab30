"""OSV records (OSV schema 1.7): strict reading of one, bounded in every list.

Keys that the schema does not name are passed over; a key that stands twice is refused, because
two readers could see two records.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import msgspec

from lockgate.advisories.cvss import score_tenths, severity_of
from lockgate.advisories.errors import AdvisoryLimitError, BadAdvisoryError
from lockgate.advisories.limits import Limits
from lockgate.advisories.model import Advisory, Entry, Event, Range
from lockgate.advisories.names import Name, name_in, name_of_purl
from lockgate.core.errors import LockgateError
from lockgate.core.wire import stamp

_SUMMARY = 300
_KINDS = frozenset({"introduced", "fixed", "last_affected", "limit"})
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,255}")
_SURROGATES = re.compile("[\ud800-\udfff]")

Text = Annotated[str, msgspec.Meta(max_length=1 << 20)]


class _Package(msgspec.Struct):
    ecosystem: Text = ""
    name: Text = ""
    purl: Text = ""


class _Range(msgspec.Struct):
    type: Text
    events: list[dict[str, Text]] = []


class _Severity(msgspec.Struct):
    score: Text = ""


class _Affected(msgspec.Struct):
    package: _Package | None = None
    ranges: list[_Range] = []
    versions: list[Text] = []
    severity: list[_Severity] = []


class _Record(msgspec.Struct):
    id: Text
    modified: datetime
    published: datetime | None = None
    withdrawn: datetime | None = None
    aliases: list[Text] | None = None
    upstream: list[Text] | None = None
    summary: Text = ""
    affected: list[_Affected] | None = None
    severity: list[_Severity] | None = None
    database_specific: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """One record: what holds for all packages, and what it says of each."""

    advisory: Advisory
    entries: tuple[tuple[Name, Entry], ...]
    modified: datetime


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        msg = "one object has one key twice"
        raise ValueError(msg)
    return table


def _no_constant(text: str) -> NoReturn:
    msg = f"{text} is no JSON"
    raise ValueError(msg)


def read_json(data: bytes, name: str) -> Any:
    """Return strict JSON: UTF-8, no key twice, no NaN, nesting as deep as the interpreter takes.

    Raises:
        BadAdvisoryError: It is not that.

    """
    try:
        return json.loads(data.decode(), object_pairs_hook=_pairs, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)[:200]
        what = f"{name[:200]!r} is not JSON that has one reading: {reason}."
        raise BadAdvisoryError(what, record=name[:200]) from error


def parse_osv(data: bytes, name: str, limits: Limits) -> Parsed:
    """Return one record.

    Args:
        data: Its bytes, already bounded by `limits.record_bytes`.
        name: What to call it in errors.
        limits: The bounds.

    Raises:
        BadAdvisoryError: Not an OSV record; the sentence says where.
        AdvisoryLimitError: One of its lists is too long.

    """
    raw = read_json(data, name)
    try:
        record = msgspec.convert(raw, _Record)
    except (msgspec.ValidationError, RecursionError) as error:
        what = f"{name[:200]!r} is no OSV record: {error}."
        raise BadAdvisoryError(what, record=name[:200]) from error
    _demand_names(record, name, limits)
    affected = record.affected or []
    _bounded("affected", len(affected), limits.affected, name)
    entries = [(key, _entry(record, a, limits)) for a in affected for key in _names(a, limits)]
    return Parsed(_advisory(record), _joined(entries), _moment(record.modified))


def _demand_names(record: _Record, name: str, limits: Limits) -> None:
    _bounded("aliases", len(record.aliases or ()), limits.aliases, name)
    _bounded("upstream", len(record.upstream or ()), limits.aliases, name)
    if not _ID.fullmatch(record.id):
        what = f"{name[:200]!r} has an identifier that is none: {record.id[:80]!r}."
        raise BadAdvisoryError(what, record=name[:200])


def _bounded(what: str, count: int, limit: int, name: str) -> None:
    if count > limit:
        sentence = f"{name[:200]!r} has {count} {what}; at most {limit} are read."
        raise AdvisoryLimitError(sentence, limit=what, record=name[:200])


def _moment(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _stamp(moment: datetime | None) -> str:
    return "" if moment is None else stamp(_moment(moment))


def _advisory(record: _Record) -> Advisory:
    vectors = [s.score for s in record.severity or ()]
    vectors += [s.score for a in record.affected or () for s in a.severity]
    tenths = max((score_tenths(vector) for vector in vectors), default=-1)
    severity = severity_of(tenths, *_words(record, vectors))
    text = _SURROGATES.sub("�", record.summary)
    summary = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return Advisory(
        id=record.id,
        aliases=_identifiers(record.aliases),
        published=_stamp(record.published or record.modified),
        modified=_stamp(record.modified),
        withdrawn=_stamp(record.withdrawn),
        severity=severity or "",
        score_tenths=tenths,
        summary=summary[:_SUMMARY],
        upstream=_identifiers(record.upstream),
    )


def _words(record: _Record, scores: list[str]) -> tuple[str, ...]:
    """Return severities in a database's own words: a field of that name, scores that are words (Ubuntu)."""
    label = (record.database_specific or {}).get("severity")
    return (label if isinstance(label, str) else "", *scores)


def _identifiers(listed: list[str] | None) -> tuple[str, ...]:
    """Return identifiers; public data has some with a comma behind, and what is none joins nothing."""
    cleaned = (identifier.strip(" ,;") for identifier in listed or ())
    return tuple(dict.fromkeys(identifier for identifier in cleaned if _ID.fullmatch(identifier)))


def _names(affected: _Affected, limits: Limits) -> list[Name]:
    """Return what packages are looked up by: ecosystem and name, and the package URL where it has another."""
    package = affected.package
    if package is None:
        return []
    for text in (package.ecosystem, package.name, package.purl):
        if len(text) > limits.name_length or _SURROGATES.search(text):
            what = f"A package's name is no text, or longer than {limits.name_length} characters."
            raise BadAdvisoryError(what, limit="name_length")
    names = [name_in(package.ecosystem, package.name)] if package.ecosystem and package.name else []
    if package.purl and not names:
        try:
            names = [name_of_purl(package.purl)]
        except LockgateError as error:
            raise BadAdvisoryError(error.what) from error
    return names


def _entry(record: _Record, affected: _Affected, limits: Limits) -> Entry:
    if record.withdrawn is not None:
        return Entry(id="")  # the name stays known, nothing of it is affected
    _bounded("versions", len(affected.versions), limits.versions, record.id)
    _bounded("events", sum(len(r.events) for r in affected.ranges), limits.events, record.id)
    ranges, unreadable = [], ""
    for part in affected.ranges:
        if part.type == "GIT":
            unreadable = unreadable or _only_commits(affected)
            continue
        events = [Event(kind, version) for event in part.events for kind, version in event.items()]
        if part.type not in {"ECOSYSTEM", "SEMVER"} or any(e.kind not in _KINDS for e in events):
            unreadable = f"a range of the type {part.type[:40]!r} has events that are not known"
        elif not any(e.kind == "introduced" for e in events):
            unreadable = "a range never says where the fault was introduced"
        else:
            ranges.append(Range(part.type, tuple(events)))
    if not affected.ranges and not affected.versions:
        unreadable = "it names neither ranges nor versions"
    listed = tuple(dict.fromkeys(affected.versions))
    return Entry(record.id, listed, tuple(ranges), unreadable, _stamp(record.modified))


def _only_commits(affected: _Affected) -> str:
    """Say why commits alone do not tell which release is affected; nothing where a list does."""
    told = affected.versions or any(r.type != "GIT" for r in affected.ranges)
    return "" if told else "it names commits only"


def _joined(entries: list[tuple[Name, Entry]]) -> tuple[tuple[Name, Entry], ...]:
    """Return one entry for each package: records may list one package several times."""
    by_name: dict[Name, Entry] = {}
    for name, entry in entries:
        known = by_name.get(name)
        if known is not None:
            versions = tuple(dict.fromkeys((*known.versions, *entry.versions)))
            reason = known.unreadable or entry.unreadable
            entry = Entry(  # noqa: PLW2901
                known.id, versions, known.ranges + entry.ranges, reason, known.modified
            )
        by_name[name] = entry
    return tuple(by_name.items())
