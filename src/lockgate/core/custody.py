"""Custody: signed hand-overs of a crate's package, chained, and what a chain shows. Pure decisions.

The documents stand in docs/formats/custody-v1.md. Who signed is `lockgate.crossing.custody`'s business;
here a chain is judged whose signatures and links hold already. Media and seals are named by what is
printed on them: a chain speaks of the package, `crate_sha256` of what is inside.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.errors import InputError
from lockgate.core.policy import CustodyRule
from lockgate.core.wire import Document, Moment

CUSTODY_FORMAT = "lockgate-custody/1"
CUSTODY_TYPE = "application/vnd.lockgate.custody+json"
"""DSSE payload type of a hand-over."""

REPORT_FORMAT = "lockgate-custody-report/1"

STEPS_LIMIT = 64
"""Most hand-overs of one crate."""

SEALS_LIMIT = 32
"""Most seals on one package."""

MEDIA_LIMIT = 256
"""Most media in one package."""

PHOTOS_LIMIT = 32
"""Most photographs that one hand-over names."""

PAPER_SECONDS = 900
"""A hand-over that is signed later than this, in seconds, counts as taken from paper."""

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f-\x9f]+\Z")]
"""A name or place: one line without control characters."""

Note = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]

Mark = Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9][A-Z0-9-]{0,39}\Z")]
"""What is printed on a seal or a medium, as `plain_mark` writes it."""

_MARK = re.compile(r"[A-Z0-9][A-Z0-9-]{0,39}")


class MarkError(InputError):
    """A seal's number or a medium's label cannot be used."""

    code = "LG-1020"
    advice = "A seal or label has letters, digits and hyphens, at most 40; name each once."


class HandOver(Document, frozen=True):
    """One hand-over: who gave the package to whom, when, where, and how it looked.

    `clerk` is who says so and signs; where `giver` and `receiver` are one person, the package was packed
    (first step) or packed again (`note` says why). `at` is when it happened, `signed` when it was
    signed: the two differ for what was written on paper first. `previous_sha256` is the digest of the
    hand-over before it, zeros for the first.
    """

    format: str
    lane: str
    crossing: Annotated[int, msgspec.Meta(ge=1, le=10**6 - 1)]
    crate_sha256: Digest
    step: Annotated[int, msgspec.Meta(ge=0, lt=STEPS_LIMIT)]
    previous_sha256: Digest
    giver: Line
    receiver: Line
    clerk: Line
    at: Moment
    signed: Moment
    place: Line
    seals: Annotated[tuple[Mark, ...], msgspec.Meta(max_length=SEALS_LIMIT)]
    media: Annotated[tuple[Mark, ...], msgspec.Meta(min_length=1, max_length=MEDIA_LIMIT)]
    photos: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=PHOTOS_LIMIT)] = ()
    note: Note = ""

    @property
    def packed(self) -> bool:
        """Tell whether the package was packed or packed again, and stayed where it was."""
        return self.giver == self.receiver


class SignedHandOver(Document, frozen=True):
    """A hand-over whose signatures hold, with who signed it and who of them the site root lists."""

    handover: HandOver
    sha256: Digest
    signers: tuple[str, ...]
    site_signers: tuple[str, ...]


class FindingKind(StrEnum):
    """What a chain can show."""

    MISSING = "missing"
    FORK = "fork"
    GAP = "gap"
    SEAL = "seal"
    MEDIUM = "medium"
    CUSTODIAN = "custodian"
    UNFINISHED = "unfinished"
    DELAY = "delay"
    CLOCK = "clock"
    PACKED_AGAIN = "packed-again"
    PAPER = "paper"


BREAKS = frozenset(
    {
        FindingKind.MISSING,
        FindingKind.FORK,
        FindingKind.GAP,
        FindingKind.SEAL,
        FindingKind.MEDIUM,
        FindingKind.CUSTODIAN,
        FindingKind.UNFINISHED,
    }
)
"""Findings that break a chain: where the policy demands one, nothing is admitted with them."""


class Finding(Document, frozen=True):
    """One thing that approvers must see. `step` is -1 where it is about no single hand-over."""

    kind: FindingKind
    step: int
    what: str


class CustodyReport(Document, frozen=True):
    """What approvers are shown of a crate's way, and what their statement binds by digest."""

    format: str
    lane: str
    crossing: int
    crate_sha256: Digest
    received: Moment
    chain: tuple[SignedHandOver, ...]
    findings: tuple[Finding, ...]

    @property
    def breaks(self) -> tuple[Finding, ...]:
        """Return the findings that break the chain."""
        return broken(self.findings)


def broken(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return those of some findings that break a chain."""
    return tuple(finding for finding in findings if finding.kind in BREAKS)


class Way(msgspec.Struct, frozen=True):
    """What is known of a crate's way apart from its chain.

    `created` is when it was sealed (None where that is not known), `received` when this side took it in;
    `skew` is how far clocks may disagree; `forked` says that a second chain for the crate was offered.
    """

    created: datetime | None
    received: datetime
    skew: timedelta
    forked: bool = False


def plain_mark(text: str) -> str:
    """Return a seal's number or a medium's label in its one form: upper case, without spaces.

    Raises:
        MarkError: It has other characters than letters, digits and hyphens, or too many.

    """
    plain = "".join(text.upper().split())
    if not _MARK.fullmatch(plain):
        what = f"{text[:60]!r} is not the number of a seal or the label of a medium."
        raise MarkError(what)
    return plain


def plain_marks(texts: Sequence[str]) -> tuple[str, ...]:
    """Return several of them, sorted.

    Raises:
        MarkError: One cannot be used, or is there twice.

    """
    marks = sorted(plain_mark(text) for text in texts)
    if len(set(marks)) != len(marks):
        raise MarkError("A seal or medium is named twice.")
    return tuple(marks)


def judge_chain(chain: Sequence[SignedHandOver], way: Way, rule: CustodyRule | None) -> tuple[Finding, ...]:
    """Return what a chain shows, in the order of its steps. Without a rule nothing is too late.

    Args:
        chain: The hand-overs, whose signatures and links hold.
        way: What is known apart from it.
        rule: The policy's rule for custody.

    """
    found: list[Finding] = []
    if way.forked:
        found.append(Finding(kind=FindingKind.FORK, step=-1, what="There is a second chain for this crate."))
    if not chain:
        found.append(Finding(kind=FindingKind.MISSING, step=-1, what="There is no chain of hand-overs."))
        return tuple(found)
    for step, signed in enumerate(chain):
        before = chain[step - 1].handover if step else None
        found += [Finding(kind=kind, step=step, what=what) for kind, what in _step(signed, before, way, rule)]
    found += [Finding(kind=kind, step=-1, what=what) for kind, what in _end(chain[-1], way, rule)]
    return tuple(found)


_Said = list[tuple[FindingKind, str]]


def _step(signed: SignedHandOver, before: HandOver | None, way: Way, rule: CustodyRule | None) -> _Said:
    this = signed.handover
    found: _Said = []
    if before is not None:
        if this.giver != before.receiver:
            what = f"{before.receiver} had the package, and {this.giver} gave it: a hand-over is missing."
            found.append((FindingKind.GAP, what))
        found += _package(this, before)
    if rule is not None and rule.custodians:
        known = set(rule.custodians)
        strangers = sorted({this.giver, this.receiver, this.clerk} - known)
        found += [(FindingKind.CUSTODIAN, f"{who} is not a custodian by name.") for who in strangers]
    found += _clock(this, before, way)
    since = before.at if before else way.created
    return found if since is None else found + _delay(this.at, since, rule)


def _package(this: HandOver, before: HandOver) -> _Said:
    if this.packed and this.note and this.clerk == this.giver:
        what = f"{this.clerk} packed it again ({this.note}): {_change(before.seals, this.seals)}."
        return [(FindingKind.PACKED_AGAIN, what)]
    found: _Said = []
    if this.seals != before.seals:
        found.append(
            (FindingKind.SEAL, f"The seals are not those of before: {_change(before.seals, this.seals)}.")
        )
    if this.media != before.media:
        found.append(
            (FindingKind.MEDIUM, f"The media are not those of before: {_change(before.media, this.media)}.")
        )
    return found


def _change(before: Sequence[str], after: Sequence[str]) -> str:
    return f"{', '.join(before) or 'none'} became {', '.join(after) or 'none'}"


def _clock(this: HandOver, before: HandOver | None, way: Way) -> _Said:
    found: _Said = []
    if this.at > this.signed:
        found.append((FindingKind.CLOCK, "It is said to have happened after it was signed."))
    elif (this.signed - this.at).total_seconds() > PAPER_SECONDS:
        what = f"Signed {_span(this.signed - this.at)} after it happened: taken from paper."
        found.append((FindingKind.PAPER, what))
    if before is not None and (this.at < before.at or this.signed < before.signed):
        found.append((FindingKind.CLOCK, "It is dated before the hand-over that it follows."))
    if way.created is None:
        if before is None:
            found.append((FindingKind.CLOCK, "When the crate was sealed is not on record here."))
    elif this.at < way.created - way.skew:
        found.append((FindingKind.CLOCK, "It is dated before the crate was sealed."))
    if this.signed > way.received + way.skew:
        found.append((FindingKind.CLOCK, "It was signed after the crate was received."))
    return found


def _delay(at: datetime, since: datetime, rule: CustodyRule | None) -> _Said:
    spent = at - since
    if rule is None or spent.total_seconds() <= rule.maximum_seconds:
        return []
    limit = _span(timedelta(seconds=rule.maximum_seconds))
    return [(FindingKind.DELAY, f"{_span(spent)} passed before it; at most {limit} may.")]


def _end(last: SignedHandOver, way: Way, rule: CustodyRule | None) -> _Said:
    found: _Said = []
    this = last.handover
    if this.receiver not in last.site_signers:
        what = f"The chain ends with {this.receiver}; no custodian of the site signed for having the package."
        found.append((FindingKind.UNFINISHED, what))
    found += _delay(way.received, this.at, rule)
    return found


def _span(length: timedelta) -> str:
    minutes = round(length.total_seconds() / 60)
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
