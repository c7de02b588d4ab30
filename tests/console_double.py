"""A double of the console's data: values that a test sets."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from msgspec import structs

from lockgate.advisories import Age, Exposed, Found, Open, SetKind, Source, totals
from lockgate.advisories import Outcome as Answer
from lockgate.advisories.model import Exploited
from lockgate.app.advice.exposure import ExposureReport
from lockgate.app.high.approvals import HandedIn, NoSuchRequestError, Shown, Waiting
from lockgate.app.high.models import ModelRow
from lockgate.console.pages import build_app
from lockgate.console.ports import (
    Alerts,
    ApprovalRow,
    ChannelCard,
    ConsoleData,
    CrossingDetail,
    CrossingRow,
    Ending,
    KindRow,
    Overview,
    ServiceRow,
    Tally,
)
from lockgate.console.shell import Shell
from lockgate.core.artifact import Kind
from lockgate.core.custody import (
    CUSTODY_FORMAT,
    REPORT_FORMAT,
    CustodyReport,
    FindingKind,
    HandOver,
    SignedHandOver,
)
from lockgate.core.custody import Finding as CustodyFinding
from lockgate.core.policy import Held
from lockgate.core.statement import Operation
from lockgate.core.verdict import Finding, Outcome, Severity, Verdict
from lockgate.infer.cards import ModelCard, licence_facts
from lockgate.trust.webauthn import Assertion

NOON = datetime(2030, 1, 2, 12, 0, 0, tzinfo=UTC)


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def verdict(
    path: str, outcome: Outcome, *, covered: int = 1000, findings: tuple[Finding, ...] = ()
) -> Verdict:
    return Verdict(
        path=path,
        sha256=digest(path),
        size=1000,
        detected="wheel",
        outcome=outcome,
        covered=covered,
        findings=findings,
        inspectors=("zip/1",),
    )


PICKLE = Finding(code="INS-PICKLE", severity=Severity.HIGH, where="model.bin:17", why="It loads os.system.")
VERDICTS = (
    verdict("python/httpx/httpx-0.28.1-py3-none-any.whl", Outcome.CLEAN),
    verdict("python/numpy/numpy-2.4.6-cp311-cp311-linux.whl", Outcome.OPAQUE),
    verdict("models/a/b/model.bin", Outcome.FINDINGS, findings=(PICKLE,)),
    verdict("files/disk.img", Outcome.INCOMPLETE, covered=999),
)
HELD = (
    Held(
        purl="pkg:generic/disk",
        path="files/disk.img",
        reason="Inspection is incomplete: 999 of 1000 bytes understood as wheel.",
        resolve="Repack it in a supported format, or install an inspector for it.",
    ),
)
TALLIES = tuple(Tally(outcome, 1, 1000) for outcome in Outcome)
ROW = CrossingRow(
    sequence=2,
    crate_id="crate-000002-7f3a9c",
    crate_sha256=digest("crate 2"),
    state="inspected",
    received=NOON,
    finished=None,
    held=1,
    tallies=TALLIES,
)
DONE = replace(
    ROW,
    sequence=1,
    crate_id="crate-000001-aa01bc",
    state="published",
    received=NOON - timedelta(days=7),
    finished=NOON - timedelta(days=7, minutes=-20),
    held=0,
    tallies=(Tally(Outcome.CLEAN, 58, 31_300_000), Tally(Outcome.OPAQUE, 18, 200_100_000)),
)
CARD = ChannelCard(
    name="stable",
    version=1,
    snapshot_sha256=digest("snapshot"),
    approvers=("ada", "ben"),
    requester="olga",
    approved=NOON - timedelta(days=7, minutes=-19),
    kinds=(
        KindRow("document", 16, 310_000, (("clean", 16),)),
        KindRow("model", 2, 121_000_000, (("opaque", 2),)),
        KindRow("python", 14, 110_000_000, (("clean", 9), ("opaque", 5))),
    ),
)
OVERVIEW = Overview(
    now=NOON + timedelta(hours=1),
    channel=CARD,
    channel_problem="",
    crossings=(ROW, DONE),
    approvals=(
        ApprovalRow(
            operation=Operation.PUBLISH,
            crossing=1,
            version=1,
            requester="olga",
            approvers=("ada", "ben"),
            asked=NOON - timedelta(days=7, minutes=-19),
            effective=NOON - timedelta(days=7, minutes=-20),
            snapshot_sha256=digest("snapshot"),
        ),
    ),
    approvals_problem="",
    services=(
        ServiceRow("mirror", "up", "status: ok, channel version: 1"),
        ServiceRow("gateway", "failing", "HTTP 503: engine: loading"),
        ServiceRow("indexer", "down", "Nothing answers on 127.0.0.1:8740: Connection refused."),
    ),
)
EMPTY = replace(
    OVERVIEW,
    channel=None,
    channel_problem="LG-1401: Nothing is published.",
    crossings=(),
    approvals=(),
    services=(),
)


def handed(step: int, giver: str, receiver: str, *, seals: tuple[str, ...], note: str = "") -> SignedHandOver:
    at = NOON - timedelta(hours=9 - 3 * step)
    this = HandOver(
        format=CUSTODY_FORMAT,
        lane="harbour",
        crossing=2,
        crate_sha256=digest("crate 2"),
        step=step,
        previous_sha256="0" * 64,
        giver=giver,
        receiver=receiver,
        clerk=giver if step < 2 else receiver,
        at=at,
        signed=at,
        place="Low counter" if step < 2 else "High counter",
        seals=seals,
        media=("BD-0017",),
        note=note,
    )
    return SignedHandOver(
        handover=this, sha256=digest(str(step)), signers=(this.clerk,), site_signers=(this.clerk,)
    )


WAY = CustodyReport(
    format=REPORT_FORMAT,
    lane="harbour",
    crossing=2,
    crate_sha256=digest("crate 2"),
    received=NOON,
    chain=(
        handed(0, "anna", "anna", seals=("A104311",)),
        handed(1, "anna", "courier-7", seals=("A104311",)),
        handed(2, "courier-7", "cara", seals=("A104312",), note="told to by the security officer"),
    ),
    findings=(
        CustodyFinding(
            kind=FindingKind.SEAL, step=2, what="The seals are not those of before: A104311 became A104312."
        ),
        CustodyFinding(
            kind=FindingKind.DELAY, step=2, what="3 h 0 min passed before it; at most 1 h 0 min may."
        ),
    ),
)


def exposed(purl: str, outcome: Answer, *found: Open, newest: str = "", behind: int = -1) -> Exposed:
    return Exposed(
        purl=purl,
        kind=Kind.PYTHON,
        outcome=outcome,
        reason="",
        stale=False,
        released=None,
        admitted=NOON,
        newest=newest,
        days_behind=behind,
        fixed="2.0" if found else "",
        open=found,
        licence="MIT",
    )


BAD = Found(
    id="GHSA-aaaa-bbbb-cccc",
    aliases=(),
    severity=Severity.HIGH,
    score_tenths=75,
    first_known="",
    summary="",
    fixed="2.0",
    sources=("osv",),
    kev=Exploited(added="2029-01-01", due="2029-02-01", ransomware=False),
)
EXPOSED = [
    exposed("pkg:pypi/fine@1.0", Answer.NOT_AFFECTED, newest="1.0", behind=0),
    exposed("pkg:pypi/strange@1.0", Answer.UNKNOWN),
    exposed("pkg:pypi/old@1.0", Answer.AFFECTED, Open(found=BAD, days_known=9, days_exposed=7), newest="2.0"),
]
OSV = Source(
    name="osv-pypi",
    kind=SetKind.OSV,
    sha256=digest("osv"),
    ecosystems=("PyPI",),
    records=3,
    newest=NOON,
    loaded=NOON,
)
EXPOSURE = ExposureReport(
    1, digest("snapshot"), EXPOSED, totals(EXPOSED), [Age(OSV, 20 * 86_400, stale=True)]
)


_CARD = ModelCard(
    name="small",
    version="b" * 40,
    family="Llama",
    architecture="LlamaForCausalLM",
    format="safetensors",
    quantisation="",
    weights=8_000_000_000,
    context_tokens=131_072,
    chat_template_sha256="c" * 64,
    tools=True,
    json=True,
    knowledge_cutoff="2023-12",
    label="internal",
    licence=licence_facts("llama3.1"),
    base="",
)
_ROW = ModelRow(
    name="small",
    purl="pkg:huggingface/org/small@b",
    sha256="e" * 64,
    crossing=2,
    configured=True,
    aliases=("assistant",),
    card=_CARD,
    trouble="",
)
MODELS = (
    _ROW,
    structs.replace(_ROW, name="odd", aliases=(), card=structs.replace(_CARD, licence=licence_facts("own"))),
    structs.replace(_ROW, name="broken", aliases=(), card=None, trouble="LG-1a22: The file ends early."),
)


class Fixed(ConsoleData):
    """Shows what it was given; an error in place of content is raised."""

    def __init__(self, overview: Overview | Exception = OVERVIEW, *details: CrossingDetail) -> None:
        self._overview = overview
        self.ways = {2: WAY}
        self.served = list(MODELS)
        self.alerting = Alerts(0, None, (), 0)
        self._details = {d.row.sequence: d for d in details or (DETAIL,)}

    @property
    def lane(self) -> str:
        return "harbour"

    @property
    def assurance(self) -> str:
        return "demo"

    def endings(self) -> tuple[Ending, ...]:
        return (Ending("site", "approver", "ap-1", "ab" * 8, 86_400.0),)

    def alerts(self) -> Alerts:
        return self.alerting

    def overview(self) -> Overview:
        if isinstance(self._overview, Exception):
            raise self._overview
        return self._overview

    def crossing(self, sequence: int) -> CrossingDetail | None:
        return self._details.get(sequence)

    def custody(self, sequence: int) -> CustodyReport | None:
        return self.ways.get(sequence)

    def models(self) -> list[ModelRow]:
        return self.served

    def exposure(self) -> ExposureReport:
        return EXPOSURE

    def waiting(self) -> tuple[Waiting, ...]:
        return ()

    def statement(self, name: str, origin: str) -> Shown:
        raise NoSuchRequestError("No such request waits.")

    def hand_in(self, name: str, credential: str, assertion: Assertion) -> HandedIn:
        raise NoSuchRequestError("No such request waits.")


DETAIL = CrossingDetail(row=ROW, inspected=NOON + timedelta(minutes=5), verdicts=VERDICTS, held=HELD)


def app() -> Shell:
    """The console over these values, for a server."""
    return build_app(Fixed())
