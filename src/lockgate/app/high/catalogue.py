"""What is served, to be searched: by name, version, licence, advisory, admission, crossing and use."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from lockgate.admit.model import HISTORY, ChannelPointer
from lockgate.app.advice.advisories import place
from lockgate.app.advice.exposure import report
from lockgate.app.high.channel import channel_reader
from lockgate.app.high.mirrors import uses_file
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import site_root
from lockgate.approve import judge
from lockgate.approve.service import STATEMENT_LIMIT, read_statement
from lockgate.core.errors import LockgateError
from lockgate.core.policy import Policy
from lockgate.core.snapshot import Admitted
from lockgate.core.soak import CANDIDATE, STABLE
from lockgate.core.statement import Operation
from lockgate.core.submission import is_submission
from lockgate.core.wire import decode
from lockgate.mirror import Use, read_uses

TEXT_LIMIT = 200
"""Longest text that is searched for, in characters."""

ANY = "any"
"""Stands for every advisory."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Who let a crossing in, and when it took effect."""

    requester: str
    approvers: tuple[str, ...]
    when: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One served artifact with what people search for.

    `advisories` are those that are open against it; `users` are keys' names and addresses with how often they
    took one of its files; `last` is the last day that anybody did, empty where nobody is known to.
    """

    purl: str
    name: str
    version: str
    kind: str
    licence: str
    label: str
    size: int
    crossing: int
    inside: bool
    admission: Admission | None
    advisories: tuple[str, ...]
    users: tuple[tuple[str, int], ...]
    last: str

    @property
    def downloads(self) -> int:
        """Return how often its files were taken."""
        return sum(count for _, count in self.users)


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for; what is empty does not matter.

    `text` is found in names and package URLs, whatever its case; `advisory` in the ids of what is open, or
    ``any``; `by` is a person who asked for it or approved it; `user` took it; `unused` asks for what
    nobody is known to have taken.
    """

    text: str = ""
    version: str = ""
    licence: str = ""
    kind: str = ""
    label: str = ""
    advisory: str = ""
    by: str = ""
    user: str = ""
    crossing: int = 0
    unused: bool = False

    def takes(self, entry: Entry) -> bool:
        """Tell whether an artifact is among what is searched for."""
        text, people = self.text.casefold(), _people(entry.admission)
        return (
            (not text or text in entry.name.casefold() or text in entry.purl.casefold())
            and entry.version.casefold().startswith(self.version.casefold())
            and self.licence.casefold() in entry.licence.casefold()
            and self.kind in {"", entry.kind}
            and self.label in {"", entry.label}
            and (not self.advisory or _advised(self.advisory, entry.advisories))
            and (not self.by or self.by.casefold() in {person.casefold() for person in people})
            and (not self.user or self.user.casefold() in {who.casefold() for who, _ in entry.users})
            and self.crossing in {0, entry.crossing}
            and not (self.unused and entry.users)
        )


@dataclass(frozen=True)
class Catalogue:
    """Everything that is served; `problem` says why advisories are not told.

    There may be a million entries: what every page of the console asks is found out once.
    """

    version: int
    snapshot_sha256: str
    entries: tuple[Entry, ...]
    problem: str = ""

    def find(self, query: Query) -> Sequence[Entry]:
        """Return what is searched for, by package URL."""
        if query == Query():
            return self.entries
        return [entry for entry in self.entries if query.takes(entry)]

    def bytes_of(self, found: Sequence[Entry]) -> int:
        """Return the length of what was found, in bytes."""
        return self._bytes if found is self.entries else sum(entry.size for entry in found)

    @cached_property
    def _bytes(self) -> int:
        return sum(entry.size for entry in self.entries)

    @cached_property
    def kinds(self) -> Sequence[str]:
        """Return the different kinds that there are, sorted."""
        return sorted({entry.kind for entry in self.entries})

    @cached_property
    def labels(self) -> Sequence[str]:
        """Return the different labels that there are, sorted."""
        return sorted({entry.label for entry in self.entries})


def _people(admission: Admission | None) -> Sequence[str]:
    return (admission.requester, *admission.approvers) if admission else ()


def _advised(wanted: str, known: Iterable[str]) -> bool:
    return any(wanted.casefold() == ANY or wanted.casefold() in each.casefold() for each in known)


def catalogue_of(side: Side) -> Catalogue:
    """Return what the channel serves, verified, with who admitted it, what is open against it, and its use.

    Raises:
        LockgateError: Nothing is served, or it does not verify.

    """
    channel = channel_reader(side, "catalogue").current()
    statement = channel.statement
    admissions = _admissions(side)
    uses = _uses(side)
    problem, advised = "", dict[str, tuple[str, ...]]()
    try:
        found = report(side, place(side.home.root, None, None)).exposed
        advised = {each.purl: tuple(o.found.id for o in each.open) for each in found}
    except LockgateError as error:
        problem = error.what
    entries = [
        _entry(each, admissions.get(each.crossing), advised, uses) for each in channel.snapshot.admitted
    ]
    entries.sort(key=lambda entry: entry.purl)
    return Catalogue(statement.channel_version, statement.snapshot_sha256, tuple(entries), problem)


def _entry(
    admitted: Admitted,
    admission: Admission | None,
    advised: Mapping[str, tuple[str, ...]],
    uses: Mapping[str, Sequence[Use]],
) -> Entry:
    artifact = admitted.artifact
    mine = [use for file in artifact.files for use in uses.get(file.sha256, ())]
    counts: dict[str, int] = {}
    for use in mine:
        counts[use.who or "unknown"] = counts.get(use.who or "unknown", 0) + use.count
    return Entry(
        purl=artifact.purl,
        name=artifact.name,
        version=artifact.version,
        kind=artifact.kind,
        licence=artifact.licence,
        label=artifact.label,
        size=artifact.size,
        crossing=admitted.crossing,
        inside=is_submission(admitted.crossing),
        admission=admission,
        advisories=advised.get(artifact.purl, ()),
        users=tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))),
        last=max((use.last for use in mine), default=""),
    )


def _uses(side: Side) -> dict[str, list[Use]]:
    """Return what mirrors noted of all channels, by the digest of the file."""
    found: dict[str, list[Use]] = {}
    for channel in (STABLE, CANDIDATE):
        for use in read_uses(uses_file(side, channel)):
            found.setdefault(use.sha256, []).append(use)
    return found


def _admissions(side: Side) -> dict[int, Admission]:
    """Return who let each crossing in, from the statements that they signed, those that verify."""
    records, blobs = records_of(side), blobs_of(side)
    with records.transaction() as tx:
        pointers = [decode(ChannelPointer, value) for _, value in tx.scan(HISTORY)]
    records.close()
    site = site_root(side, None)
    need = (site.policy or Policy()).approvers
    found: dict[int, Admission] = {}
    for pointer in sorted(pointers, key=lambda p: p.published):
        try:
            envelope = blobs.read(pointer.statement_sha256, limit=STATEMENT_LIMIT)
            statement, people = judge(envelope, site, read_statement(envelope).created, need=need)
        except LockgateError:
            continue
        if statement.operation is Operation.PUBLISH:
            admission = Admission(statement.requester, tuple(sorted(people)), pointer.published)
            found.setdefault(statement.crossing, admission)
    return found
