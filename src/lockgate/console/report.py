"""The report of a crossing: one page that stands alone, for people who decide."""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from markupsafe import Markup

from lockgate.console import picture
from lockgate.console.picture import Place, Stage
from lockgate.console.templating import asset, environment
from lockgate.core.verdict import Outcome

__all__ = [
    "Act",
    "AnswerFacts",
    "ApprovalAct",
    "ArtifactRow",
    "CitedSpan",
    "CrossingFacts",
    "EgressFacts",
    "OutcomeCount",
    "Place",
    "ProofFacts",
    "ReceiptFacts",
    "ReportData",
    "Stage",
    "render_report",
]


class Act(StrEnum):
    """What a person did about a statement."""

    REQUESTED = "requested"
    REFUSED = "refused"
    APPROVED = "approved"


@dataclass(frozen=True, slots=True)
class CrossingFacts:
    """What crossed. `snapshot_sha256` is what the channel serves now."""

    sequence: int
    crate_id: str
    crate_sha256: str
    crate_bytes: int
    volumes: int
    artifacts: int
    files: int
    content_bytes: int
    channel: str
    channel_version: int
    snapshot_sha256: str
    statement_sha256: str


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How many files of how many bytes ended with an outcome."""

    outcome: Outcome
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """One admitted artifact, with the least favourable outcome among its files."""

    name: str
    version: str
    kind: str
    licence: str
    bytes: int
    outcome: Outcome
    purl: str


@dataclass(frozen=True, slots=True)
class ApprovalAct:
    """One act: who, when, which act, and why it was refused if it was."""

    person: str
    act: Act
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CitedSpan:
    """A quote, byte for byte from the recorded extraction of a document.

    `start` and `end` count characters of the extraction; `page` is None where there are none.
    """

    number: int
    quote: str
    title: str
    path: str
    document_sha256: str
    extractor: str
    heading: str
    page: int | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ReceiptFacts:
    """What stands behind an answer. `enforcement` says how the model's load was checked."""

    id: str
    model: str
    model_sha256: str
    enforcement: str
    crossing: int
    snapshot_sha256: str
    documents: tuple[str, ...]
    leaf: int


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """One question and its answer.

    `text` is the answer as the gateway gave it: ``[n]`` behind a sentence that citation n
    supports, ``[unsupported]`` behind one that nothing supports. `abstained` is set when the
    documents hold no answer and Lockgate said so.
    """

    question: str
    text: str
    abstained: bool
    citations: tuple[CitedSpan, ...]
    receipt: ReceiptFacts
    seconds: float


@dataclass(frozen=True, slots=True)
class ProofFacts:
    """An inclusion proof: the leaf, what it says, the log's size and root, the path, the check."""

    leaf: int
    event: str
    size: int
    root: str
    path: tuple[str, ...]
    command: str
    result: str


@dataclass(frozen=True, slots=True)
class EgressFacts:
    """What left the high side's network.

    When `isolated` is false there is no count; `reason` says why the network was not made.
    """

    isolated: bool
    packets: int = 0
    bytes: int = 0
    control_sent: int = 0
    control_counted: int = 0
    control_arrived: int = 0
    interfaces: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that the report shows.

    `limits` are sentences on what this run does not show; `machine` is a line on where it ran.
    """

    lane: str
    assurance: str
    made: datetime
    version: str
    machine: str
    total_seconds: float
    peak_bytes: int | None
    crossing: CrossingFacts
    stages: tuple[Stage, ...]
    outcomes: tuple[OutcomeCount, ...]
    artifacts: tuple[ArtifactRow, ...]
    approvals: tuple[ApprovalAct, ...]
    answers: tuple[AnswerFacts, ...]
    proof: ProofFacts | None
    egress: EgressFacts
    limits: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A piece of an answer with the white space before it and the marks behind it."""

    before: str
    text: str
    numbers: tuple[int, ...]
    unsupported: bool


_MARKS = re.compile(r"(?:\s?\[(?:\d{1,4}|unsupported)\])+")
_NUMBER = re.compile(r"\[(\d+)\]")


def sentences(answer: AnswerFacts) -> tuple[Sentence, ...]:
    """Split an answer at its marks. A number that no citation bears stays part of the text."""
    known = {span.number for span in answer.citations}
    found: list[Sentence] = []
    begin = 0
    for match in _MARKS.finditer(answer.text):
        numbers = tuple(int(n) for n in _NUMBER.findall(match.group()))
        if any(n not in known for n in numbers):
            continue
        unsupported = "[unsupported]" in match.group()
        found.append(_sentence(answer.text[begin : match.start()], numbers, unsupported=unsupported))
        begin = match.end()
    if rest := answer.text[begin:].rstrip():
        found.append(_sentence(rest, (), unsupported=False))
    return tuple(found)


def _sentence(text: str, numbers: tuple[int, ...], *, unsupported: bool) -> Sentence:
    bare = text.lstrip()
    return Sentence(text[: len(text) - len(bare)], bare, numbers, unsupported)


def render_report(data: ReportData) -> str:
    """Return the report as one HTML page without scripts that loads nothing from anywhere."""
    style = f"{asset('base.css')}\n{asset('report.css')}"
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = environment().get_template("report.html")
    return page.render(
        data=data,
        wide=picture.wide(data.stages),
        narrow=picture.narrow(data.stages),
        answers=[(answer, sentences(answer)) for answer in data.answers],
        approvers=[act for act in data.approvals if act.act == Act.APPROVED],
        refused=[act for act in data.approvals if act.act == Act.REFUSED],
        cited=sum(bool(answer.citations) for answer in data.answers),
        style=Markup(style),  # noqa: S704  # our own style sheet; a test shows that it has no '<'
        style_digest=digest,
    )
