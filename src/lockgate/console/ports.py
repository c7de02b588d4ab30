"""What the console shows, and where it asks for it. It reads, and takes signatures that it does not judge."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lockgate.app.advice.exposure import ExposureReport
from lockgate.app.gate.who import Traced
from lockgate.app.high.approvals import HandedIn, Shown, Waiting
from lockgate.app.high.artifacts import ArtifactFacts
from lockgate.app.high.catalogue import Catalogue
from lockgate.app.high.models import ModelRow
from lockgate.app.wishes.high import Standing
from lockgate.core.custody import CustodyReport
from lockgate.core.difference import Difference
from lockgate.core.policy import Held
from lockgate.core.statement import Operation
from lockgate.core.verdict import Outcome, Verdict
from lockgate.guard.appeals import Appeal
from lockgate.guard.replay import Ruling
from lockgate.infer.identity import Identity
from lockgate.mirror import ClientConfig
from lockgate.trust.webauthn import Assertion

CATALOGUE_SECONDS = 30.0
"""How long what is served is shown as it was read, use included."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many files ended with an outcome, and their length in bytes."""

    outcome: Outcome
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CrossingRow:
    """One crossing. `tallies` is None before it was inspected; `problem` says why it cannot be shown."""

    sequence: int
    crate_id: str
    crate_sha256: str
    state: str
    received: datetime
    finished: datetime | None
    held: int
    tallies: tuple[Tally, ...] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class CrossingDetail:
    """One crossing with its verdicts; `inspected` is None before there are any."""

    row: CrossingRow
    inspected: datetime | None
    verdicts: tuple[Verdict, ...]
    held: tuple[Held, ...]
    artifacts: Mapping[str, str] = field(default_factory=dict)
    """Path of a file → package URL of its artifact."""


@dataclass(frozen=True, slots=True)
class KindRow:
    """What the channel serves of one kind, with the outcomes of its artifacts."""

    kind: str
    artifacts: int
    bytes: int
    outcomes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ChannelCard:
    """What is served, as verified through its approvers' signatures just now."""

    name: str
    version: int
    snapshot_sha256: str
    approvers: tuple[str, ...]
    requester: str
    approved: datetime
    kinds: tuple[KindRow, ...]


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One statement that took effect: `asked` is when it was made, `effective` when it took effect."""

    operation: Operation
    crossing: int
    version: int
    requester: str
    approvers: tuple[str, ...]
    asked: datetime
    effective: datetime
    snapshot_sha256: str


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """How one service is: `condition` is ``up``, ``failing`` or ``down``; `page` is its page for people."""

    name: str
    condition: str
    detail: str
    page: str = ""


@dataclass(frozen=True, slots=True)
class Matter:
    """Something that somebody has to look at; `page` is where, or nothing. A grave one does not wait."""

    what: str
    advice: str = ""
    page: str = ""
    grave: bool = False


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page; `matters` are what somebody has to look at, the grave ones first.

    Without a `channel`, `channel_problem` says why, with the error's code; `approvals_problem`
    says why approvals cannot be shown, and is empty when they can.
    """

    now: datetime
    channel: ChannelCard | None
    channel_problem: str
    crossings: tuple[CrossingRow, ...]
    approvals: tuple[ApprovalRow, ...]
    approvals_problem: str
    services: tuple[ServiceRow, ...]
    matters: tuple[Matter, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """When a root, a key in it, or a recipient ends."""

    root: str
    what: str
    person: str
    identifier: str
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Alerts:
    """What has to be looked at.

    Attributes:
        debt: How urgent second signatures are: 0 none is owed, 1 one is due, 2 one is overdue; -1 when the
            channel does not verify.
        debt_seconds: Time left for the first of them; None when none is owed.
        witnesses: Address of each witness that is asked, whether it cosigned when asked last, and
            how many seconds ago it cosigned last (None: never).
        held: How many crossings that wait an operator holds.
        verdicts: How many artifacts newer verdicts say something else of, how many of those are served though
            the policy holds them, and how many still wait to be looked at again; None before the first look.

    """

    debt: int
    debt_seconds: float | None
    witnesses: tuple[tuple[str, bool, float | None], ...]
    held: int
    verdicts: tuple[int, int, int] | None = None


class ConsoleData(ABC):
    """Answers what the pages ask."""

    @property
    @abstractmethod
    def lane(self) -> str:
        """Return the lane's name."""

    @property
    @abstractmethod
    def assurance(self) -> str:
        """Return the lane's assurance: ``demo`` or ``production``."""

    @abstractmethod
    def alerts(self) -> Alerts:
        """Return what has to be looked at."""

    @abstractmethod
    def overview(self) -> Overview:
        """Return the first page's content."""

    @abstractmethod
    def endings(self) -> tuple[Ending, ...]:
        """Return when both roots and their keys end, the earliest first."""

    @abstractmethod
    def crossing(self, sequence: int) -> CrossingDetail | None:
        """Return one crossing, or None when there is no such number."""

    @abstractmethod
    def clients(self) -> list[ClientConfig]:
        """Return what each client has to know of the mirrors; apt and dnf only where something is served.

        Raises:
            LockgateError: The channel does not verify.

        """

    @abstractmethod
    def models(self) -> list[ModelRow]:
        """Return what is known of the models that are served.

        Raises:
            NothingPublishedError: Nothing is served.

        """

    @abstractmethod
    def catalogue(self) -> Catalogue:
        """Return what is served with who admitted it and who uses it; at most `CATALOGUE_SECONDS` old.

        Raises:
            NothingPublishedError: Nothing is served.

        """

    @abstractmethod
    def trace(self, what: str) -> Traced:
        """Return who let something in, proven; no path is looked at.

        Raises:
            NotAdmittedError, AmbiguousNameError, AdmissionProofError: See `trace_named`.

        """

    @abstractmethod
    def difference(self, sequence: int) -> Difference:
        """Return what approving a crossing would change.

        Raises:
            LockgateError: It was not inspected, or nothing can be judged.

        """

    @abstractmethod
    def artifact(self, sequence: int, purl: str) -> ArtifactFacts | None:
        """Return one artifact of a crossing with all that is known of it, or None where there is none."""

    @abstractmethod
    def shown_with(self, name: str) -> Difference | None:
        """Return the difference that a waiting statement binds; None where it binds none.

        Raises:
            DifferenceUnshownError: It binds one that is not there, or another.

        """

    @abstractmethod
    def exposure(self) -> ExposureReport:
        """Return how exposed what is served is.

        Raises:
            NothingPublishedError: Nothing is served.
            NoAdvisoryDataError: No advisory data is loaded.

        """

    @abstractmethod
    def wishes(self) -> list[Standing]:
        """Return what is asked for and how far it came, by number."""

    @abstractmethod
    def wish(self, purl: str, reason: str, owner: Identity) -> None:
        """Ask for a package in somebody's name.

        Raises:
            WishError, TooManyWishesError, MalformedDocumentError: See `make_wish`.

        """

    @abstractmethod
    def appeals(self) -> Sequence[Appeal]:
        """Return the appeals against the guards, by number."""

    @abstractmethod
    def appeal(self, receipt: str, reason: str, text: str, owner: Identity) -> Appeal:
        """Record an appeal in somebody's name; see `AppealDesk.file`."""

    @abstractmethod
    def replay_appeal(self, number: int) -> Sequence[Ruling]:
        """Return what the guards of now decide about each text of an appeal.

        Raises:
            UnknownAppealError: There is none of this number.
            SealedAppealError: Its texts are sealed to auditors: the console has nobody's key.

        """

    @abstractmethod
    def decide_appeal(self, number: int, *, grant: bool, reason: str, reviewer: Identity) -> Appeal:
        """Decide about an appeal in somebody's name.

        Raises:
            UnknownAppealError, AppealDecidedError, OwnAppealError: See `Appeals.decide`.
            SealedAppealError: Its texts are sealed to auditors: the console has nobody's key.
            MalformedDocumentError: The reason is too long.

        """

    @abstractmethod
    def waiting(self) -> tuple[Waiting, ...]:
        """Return the requests that wait for approvals."""

    @abstractmethod
    def statement(self, name: str, origin: str) -> Shown:
        """Return a statement as it is shown at an origin; see `WaitingRequests.shown`."""

    @abstractmethod
    def hand_in(self, name: str, credential: str, assertion: Assertion) -> HandedIn:
        """Keep a signature that a browser made; see `WaitingRequests.hand_in`."""

    @abstractmethod
    def custody(self, sequence: int) -> CustodyReport | None:
        """Return how a crossing's package came; None where nothing is on record and nothing demanded."""
