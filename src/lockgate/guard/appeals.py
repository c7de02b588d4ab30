"""Appeals against decisions of the guards: made by whoever was refused, decided by a person, and kept.

A granted appeal loosens nothing. It becomes a case of the site's own set: a text that is harmless, which
replays and red teams judge guards by from then on.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec

from lockgate.core.ports import Clock
from lockgate.core.wire import Document, Moment, checked, decode, encode, whole_second
from lockgate.guard.errors import (
    AppealDecidedError,
    AppealedAlreadyError,
    AppealLimitError,
    OwnAppealError,
    UnknownAppealError,
)
from lockgate.guard.sealedtext import SealedText
from lockgate.store import Records, Transaction

APPEAL_FORMAT = "lockgate-appeal/1"
CASE_FORMAT = "lockgate-guard-case/1"

APPEALS_LIMIT = 10_000
"""How many appeals are kept; decided ones count, since nobody appeals twice."""

OPEN_LIMIT = 16
"""Most appeals of one caller that wait."""

TEXT_BYTES = 256 * 1024
"""Longest texts of one appeal, in bytes as they are kept."""

CASES_LIMIT = 1000
"""Most cases of the site's own set: each run against a model asks all of them."""

KEPT_LIMIT = 10_000
"""Most requests whose texts are kept for auditors."""

KEPT_TIME = timedelta(days=30)
"""How long they are kept."""

APPEALS, CASES, KEPT = "guard-appeal", "guard-case", "guard-kept"
"""Collections: appeals by number, the site's cases, and texts that are kept for auditors by receipt."""

_DOCUMENT = 1 << 20
_EACH = 256

Said = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Short = Annotated[str, msgspec.Meta(max_length=300)]


class AppealState(StrEnum):
    """What became of an appeal."""

    OPEN = "open"
    GRANTED = "granted"
    REFUSED = "refused"


class Origin(StrEnum):
    """Where the texts of an appeal come from."""

    KEPT = "kept"
    SUPPLIED = "supplied"


class Passage(Document, frozen=True):
    """A text as guards met it: `channel` is ``user``, ``retrieved``, ``tool``, or ``answer``."""

    channel: str
    text: str


class Met(Document, frozen=True):
    """What a guard met, as the receipt says."""

    where: Short
    what: Short
    action: Short
    count: int = 1


class Appeal(Document, frozen=True):
    """One appeal.

    `caller` is the id of whoever asked and appeals, `name` what people call them. `passages` are the texts;
    where auditors are named they are sealed to them, and stand in `sealed` alone.
    """

    format: str
    number: Annotated[int, msgspec.Meta(ge=1, le=999_999)]
    receipt: str
    caller: Short
    name: Short
    model: Short
    status: str
    requested: Moment
    findings: Annotated[tuple[Met, ...], msgspec.Meta(max_length=_EACH)]
    reason: Said
    origin: Origin
    passages: tuple[Passage, ...]
    sealed: SealedText | None
    created: Moment
    state: AppealState = AppealState.OPEN
    decided: Moment | None = None
    decider: Short = ""
    decision: Annotated[str, msgspec.Meta(max_length=500)] = ""


class SiteCase(Document, frozen=True):
    """A text that a person called harmless: `appeal` is the number of the appeal that was granted."""

    format: str
    appeal: int
    passage: Passage
    granted: Moment
    decider: Short


class KeptTexts(Document, frozen=True):
    """The texts of one request, sealed to the auditors."""

    sealed: SealedText
    kept: Moment


class Appeals:
    """The appeals, the site's cases and the kept texts, in one database.

    Args:
        records: The database.
        clock: The present moment.

    """

    def __init__(self, records: Records, clock: Clock) -> None:
        """Keep the parts."""
        self._records = records
        self._clock = clock

    def add(self, appeal: Appeal) -> Appeal:
        """Keep an appeal; its number and time are given here.

        Raises:
            AppealedAlreadyError: There is one about this receipt.
            AppealLimitError: There are as many as are kept, or as one caller may have waiting.

        """
        with self._records.transaction() as tx:
            known = _all(tx)
            if any(each.receipt == appeal.receipt for each in known):
                what = f"There is an appeal about the receipt {appeal.receipt} already."
                raise AppealedAlreadyError(what)
            if len(known) >= APPEALS_LIMIT:
                what = f"There are {len(known)} appeals; at most {APPEALS_LIMIT} are kept."
                raise AppealLimitError(what, limit="APPEALS_LIMIT")
            waiting = sum(e.caller == appeal.caller and e.state is AppealState.OPEN for e in known)
            if waiting >= OPEN_LIMIT:
                what = f"{waiting} of your appeals wait; at most {OPEN_LIMIT} may."
                raise AppealLimitError(what, limit="OPEN_LIMIT")
            number = max((each.number for each in known), default=0) + 1
            made = msgspec.structs.replace(appeal, number=number, created=self._now())
            tx.insert(APPEALS, _key(number), encode(made))
        return made

    def all(self) -> Sequence[Appeal]:
        """Return all appeals by number."""
        with self._records.transaction() as tx:
            return _all(tx)

    def get(self, number: int) -> Appeal:
        """Return one appeal.

        Raises:
            UnknownAppealError: There is none of this number.

        """
        with self._records.transaction() as tx:
            return _one(tx, number)

    def decide(
        self, number: int, state: AppealState, reason: str, decider: str, passages: Sequence[Passage] = ()
    ) -> Appeal:
        """Grant or refuse an appeal that waits.

        Args:
            number: The appeal.
            state: Granted or refused.
            reason: Why; whoever appealed reads it.
            decider: Who decides.
            passages: Where it is granted, the texts that are harmless.

        Raises:
            UnknownAppealError, AppealDecidedError: The number.
            OwnAppealError: It is the decider's own.
            AppealLimitError: The site's own set is full.

        """
        now = self._now()
        with self._records.transaction() as tx:
            appeal = _one(tx, number)
            if appeal.state is not AppealState.OPEN:
                what = f"Appeal {number} is {appeal.state} already."
                raise AppealDecidedError(what)
            if decider in {appeal.name, appeal.caller}:
                what = f"{decider} appealed and cannot decide about it."
                raise OwnAppealError(what)
            decided = msgspec.structs.replace(
                appeal, state=state, decided=now, decider=decider, decision=reason
            )
            decided = checked(Appeal, msgspec.to_builtins(decided))
            tx.put(APPEALS, _key(number), encode(decided))
            if len(list(tx.scan(CASES))) + len(passages) > CASES_LIMIT:
                what = f"The site's own set has at most {CASES_LIMIT} cases."
                raise AppealLimitError(what, limit="CASES_LIMIT")
            for at, passage in enumerate(passages):
                case = SiteCase(
                    format=CASE_FORMAT, appeal=number, passage=passage, granted=now, decider=decider
                )
                tx.insert(CASES, f"{_key(number)}-{at:03d}", encode(case))
        return decided

    def cases(self) -> Sequence[SiteCase]:
        """Return the site's own set, in the order of its appeals."""
        with self._records.transaction() as tx:
            found = [decode(SiteCase, data, limit=_DOCUMENT, name="case") for _, data in tx.scan(CASES)]
        return sorted(found, key=lambda case: case.appeal)

    def keep(self, receipt: str, sealed: SealedText) -> None:
        """Keep the sealed texts of a request; what is too old goes, and the oldest of too many."""
        now = self._now()
        with self._records.transaction() as tx:
            tx.put(KEPT, receipt, encode(KeptTexts(sealed=sealed, kept=now)))
            if int(receipt[:2], 16) == 0:  # one in 256: looking through all of them is slow
                _forget(tx, now)

    def kept(self, receipt: str) -> SealedText | None:
        """Return the sealed texts of a request; nothing where none are kept, or not any more."""
        with self._records.transaction() as tx:
            data = tx.get(KEPT, receipt)
        found = decode(KeptTexts, data, limit=_DOCUMENT, name="kept texts") if data else None
        return found.sealed if found and self._now() - found.kept < KEPT_TIME else None

    def _now(self) -> datetime:
        return whole_second(self._clock())


def _key(number: int) -> str:
    return f"{number:06d}"


def _all(tx: Transaction) -> list[Appeal]:
    found = [decode(Appeal, data, limit=_DOCUMENT, name="appeal") for _, data in tx.scan(APPEALS)]
    return sorted(found, key=lambda appeal: appeal.number)


def _one(tx: Transaction, number: int) -> Appeal:
    data = tx.get(APPEALS, _key(number))
    if data is None:
        what = f"There is no appeal {number}."
        raise UnknownAppealError(what)
    return decode(Appeal, data, limit=_DOCUMENT, name="appeal")


def _forget(tx: Transaction, now: datetime) -> None:
    found = [
        (decode(KeptTexts, data, limit=_DOCUMENT, name="kept texts").kept, key) for key, data in tx.scan(KEPT)
    ]
    found.sort(reverse=True)
    for at, (kept, key) in enumerate(found):
        if at >= KEPT_LIMIT or now - kept >= KEPT_TIME:
            tx.delete(KEPT, key)
