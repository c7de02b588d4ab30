"""A double of the console's data: values that a test sets."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import structs

from lockgate.admit.errors import AdmissionProofError, AmbiguousNameError, NotAdmittedError
from lockgate.admit.proof import LetIn
from lockgate.advisories import Age, Exposed, Found, Matched, Open, SetKind, Source, totals
from lockgate.advisories import Outcome as Answer
from lockgate.advisories.model import Exploited
from lockgate.app.advice.exposure import ExposureReport
from lockgate.app.gate.who import Traced
from lockgate.app.high.appeals import SealedAppealError
from lockgate.app.high.approvals import HandedIn, NoSuchRequestError, Shown, Waiting
from lockgate.app.high.artifacts import ArtifactFacts
from lockgate.app.high.catalogue import Admission, Catalogue, Entry
from lockgate.app.high.models import ModelRow
from lockgate.app.wishes.high import Standing
from lockgate.audit import Checkpoint
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
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.custody import (
    CUSTODY_FORMAT,
    REPORT_FORMAT,
    CustodyReport,
    FindingKind,
    HandOver,
    SignedHandOver,
)
from lockgate.core.custody import Finding as CustodyFinding
from lockgate.core.difference import Change, Difference, Risk
from lockgate.core.golden import Divergence, Engine, Replay
from lockgate.core.policy import Held
from lockgate.core.provenance import Fact, Scheme, State
from lockgate.core.snapshot import Admitted
from lockgate.core.statement import NOTHING, STATEMENT_FORMAT, Operation, Statement
from lockgate.core.verdict import Finding, Outcome, Severity, Verdict
from lockgate.core.weights import Compared, Remark, WeightsFacts
from lockgate.core.wish import Wish, WishState, plain_purl
from lockgate.guard.appeals import APPEAL_FORMAT, Appeal, AppealState, Met, Origin, Passage
from lockgate.guard.errors import (
    AppealDecidedError,
    AppealTextError,
    OwnAppealError,
    UnknownAppealError,
)
from lockgate.guard.replay import Ruling
from lockgate.guard.service import Outcome as Decided
from lockgate.infer.cards import ModelCard, licence_facts
from lockgate.infer.identity import Identity
from lockgate.mirror import ClientConfig, client_config
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
    first_known="2029-01-01T00:00:00Z",
    summary="",
    fixed="2.0",
    sources=("osv",),
    epss_ppm=910_000,
    kev=Exploited(added="2029-01-01", due="2029-02-01", ransomware=False),
)
OLD = Open(found=BAD, days_known=9, days_exposed=7, inside="pkg:deb/debian/old@1")
EXPOSED = [
    exposed("pkg:pypi/fine@1.0", Answer.NOT_AFFECTED, newest="1.0", behind=0),
    exposed("pkg:pypi/strange@1.0", Answer.UNKNOWN),
    exposed("pkg:pypi/old@1.0", Answer.AFFECTED, OLD, newest="2.0"),
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


ENGINE = Engine(name="pkg:pypi/llama@1", sha256=digest("engine"), context=2048, seed=1)
MODEL = "models/a/b/model.gguf"
CHANGES = (
    Change(
        risk=Risk.GOLDEN,
        purl="pkg:huggingface/a/b@2",
        before="pkg:huggingface/a/b@1",
        what="1 of 5 golden prompts are answered otherwise; capital at token 3: 'Paris' became 'Berlin'.",
    ),
    Change(
        risk=Risk.WEIGHTS,
        purl="pkg:huggingface/a/b@2",
        before="pkg:huggingface/a/b@1",
        what="weights-row token_embd.weight: Row 777 holds 91.1 % of the change; 1 of 49152 rows changed.",
    ),
    Change(
        risk=Risk.NETWORK,
        purl="pkg:pypi/httpx@0.28.1",
        before="pkg:pypi/httpx@0.27.0",
        what="It uses the network for the first time: httpx/_client.py.",
    ),
    Change(
        risk=Risk.FACTS,
        purl="pkg:huggingface/a/b@2",
        before="pkg:huggingface/a/b@1",
        what="Weights: 1 of 272 tensors changed (0.0028 % of all elements).",
    ),
)
DIFFERENCE = Difference(
    format="lockgate-difference/1",
    crossing=2,
    channel="stable",
    previous_sha256=digest("snapshot"),
    verdicts_sha256=digest("verdicts"),
    facts_sha256=digest("facts"),
    entering=14,
    bytes=121_000_000,
    changes=CHANGES,
    omitted=2,
    all_sha256=digest("all"),
    quiet=12,
    quiet_sha256=digest("quiet"),
    left=("pkg:generic/disk",),
)
WEIGHTS = WeightsFacts(
    path=MODEL,
    sha256=digest(MODEL),
    size=1000,
    base_path="models/a/b/old.gguf",
    base_sha256=digest("old"),
    base_size=1000,
    compared=Compared(
        format="lockgate-weights/1",
        tool="weights/1 gguf",
        tensors=272,
        equal=271,
        changed=1,
        recast=0,
        added=0,
        removed=0,
        elements=1_000_000,
        elements_changed=28,
        shown=(),
        remarks=(
            Remark(
                code="weights-row",
                where="token_embd.weight",
                why="Row 777 holds 91.1 % of the change; 1 of 49152 rows changed.",
            ),
        ),
    ),
)
REPLAY = Replay(
    model_sha256=digest(MODEL),
    golden_sha256=digest("golden"),
    engine=ENGINE,
    recorded_by=ENGINE,
    prompts=5,
    differing=1,
    divergences=(Divergence(id="capital", at=3, expected="Paris", found="Berlin"),),
)
FACT = Fact(scheme=Scheme.MODEL, state=State.VERIFIED, identity="models@example.org", signed=NOON, roots=3)
ARTIFACT = ArtifactFacts(
    crossing=2,
    state="inspected",
    artifact=Artifact(
        purl="pkg:huggingface/a/b@2",
        kind=Kind.MODEL,
        name="a/b",
        version="2",
        licence="Apache-2.0",
        files=(ArtifactFile(path=MODEL, role=Role.WEIGHTS, size=1000, sha256=digest(MODEL)),),
    ),
    verdicts=(msgspec.structs.replace(verdict(MODEL, Outcome.OPAQUE), provenance=(FACT,), opaque=("gguf",)),),
    held=(),
    before="pkg:huggingface/a/b@1",
    changes=tuple(change for change in CHANGES if "huggingface" in change.purl),
    problem="",
    weights=(WEIGHTS,),
    replays=(REPLAY,),
    advisories=(
        Matched(
            purl="pkg:huggingface/a/b@2",
            outcome=Answer.AFFECTED,
            reason="",
            stale=False,
            basis="",
            found=(BAD,),
        ),
    ),
    advisories_problem="",
    custody=WAY,
)
STOPPED = replace(
    ARTIFACT,
    artifact=msgspec.structs.replace(
        ARTIFACT.artifact, purl="pkg:generic/disk", name="disk", kind=Kind.FILE, version="1"
    ),
    verdicts=(VERDICTS[3],),
    held=HELD,
    before="",
    changes=(),
    weights=(),
    replays=(),
    advisories=(),
    advisories_problem="No advisory data is loaded.",
    custody=None,
)


def entry(purl: str, kind: str = "python", **facts: Any) -> Entry:
    name, _, version = purl.partition("/")[2].partition("@")
    plain: dict[str, Any] = {
        "licence": "MIT",
        "label": "internal",
        "size": 1_200_000,
        "crossing": 1,
        "inside": False,
        "admission": Admission("olga", ("ada", "ben"), NOON),
        "advisories": (),
        "users": (),
        "last": "",
    }
    return Entry(purl=purl, name=name, version=version, kind=kind, **{**plain, **facts})


CLIENTS = [client_config(name, "http://mirror.test:8710") for name in ("pip", "uv", "huggingface", "git")]

CATALOGUE = Catalogue(
    4,
    digest("snapshot"),
    (
        *(entry(f"pkg:pypi/part-{n:03d}@1.{n}") for n in range(118)),
        entry(
            "pkg:pypi/old@1.0",
            advisories=("GHSA-aaaa-bbbb-cccc", "CVE-2029-1234"),
            users=(("analysts", 41), ("10.0.0.7", 2)),
            last="2030-01-01",
            licence="Apache-2.0",
        ),
        entry(
            "pkg:huggingface/team/tuned@0123456789abcdef0123456789abcdef01234567",
            "model",
            crossing=900_001,
            inside=True,
            label="restricted",
            size=2_400_000_000,
            admission=Admission("dora", ("ada", "cem"), NOON),
            users=(("a-very-long-name-of-a-key-that-somebody-made-for-a-pipeline-01", 1),),
            last="2030-01-02",
        ),
        entry("pkg:npm/%40scope/left-pad@1.3.0", "npm", licence="<script>alert(1)</script>", admission=None),
    ),
    "No advisory data is loaded for models.",
)


STATEMENT = Statement(
    format=STATEMENT_FORMAT,
    lane="harbour",
    operation=Operation.PUBLISH,
    crossing=2,
    crate_sha256=digest("crate 2"),
    snapshot_sha256=digest("snapshot"),
    verdicts_sha256=digest("verdicts"),
    waivers=(),
    policy_sha256=digest("policy"),
    custody_sha256=NOTHING,
    channel="stable",
    channel_version=2,
    previous_sha256=NOTHING,
    requester="olga",
    log_checkpoint="",
    nonce="0" * 32,
    created=NOON,
    expires=NOON + timedelta(days=7),
)
TRACED = Traced(
    LetIn(
        sha256=digest(MODEL),
        path=MODEL,
        admitted=Admitted(
            artifact=ARTIFACT.artifact,
            crossing=2,
            crate_sha256=digest("crate 2"),
            verdicts_sha256=digest("verdicts"),
            outcome=Outcome.OPAQUE,
        ),
        verdict=ARTIFACT.verdicts[0],
        inspector="high-inspector",
        inspected=NOON,
        statement=STATEMENT,
        approvers=("ada", "ben"),
        site_version=3,
        collectors=("low-collector",),
        sealers=("low-sealer",),
        leaf=41,
        recorded="2030-01-02T12:20:00Z",
        checkpoint=Checkpoint(origin="harbour", size=57, root=bytes(32)),
    ),
    b'{"format":"a proof"}',
    ("stable 1",),
)


class Fixed(ConsoleData):
    """Shows what it was given; an error in place of content is raised."""

    def __init__(self, overview: Overview | Exception = OVERVIEW, *details: CrossingDetail) -> None:
        self._overview = overview
        self.asked: list[Standing] = []
        self.traced: list[str] = []
        self.found = ARTIFACT
        self.asks: tuple[Waiting, ...] = ()
        self.appealed: list[Appeal] = []
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

    def clients(self) -> list[ClientConfig]:
        return CLIENTS

    def models(self) -> list[ModelRow]:
        return self.served

    def catalogue(self) -> Catalogue:
        return CATALOGUE

    def trace(self, what: str) -> Traced:
        self.traced.append(what)
        if what in {"a/b", TRACED.let_in.sha256}:
            return TRACED
        if what == "twice":
            raise AmbiguousNameError("2 artifacts are called twice: pkg:generic/a, pkg:generic/b.")
        if what == "unproven":
            raise AdmissionProofError("Crossing 9 is not on record.")
        text = f"{what!r} is no file, and nothing that was ever published here is called so."
        raise NotAdmittedError(text)

    def difference(self, sequence: int) -> Difference:
        return DIFFERENCE

    def artifact(self, sequence: int, purl: str) -> ArtifactFacts | None:
        return {each.artifact.purl: each for each in (self.found, STOPPED)}.get(purl)

    def shown_with(self, name: str) -> Difference | None:
        raise NoSuchRequestError("No such request waits.")

    def exposure(self) -> ExposureReport:
        return EXPOSURE

    def wishes(self) -> list[Standing]:
        return self.asked

    def wish(self, purl: str, reason: str, owner: Identity) -> None:
        number = len(self.asked) + 1
        made = Wish(number=number, purl=plain_purl(purl), reason=reason, owner=owner.name, created=NOON)
        self.asked.append(Standing(made, WishState.REQUESTED))

    def appeals(self) -> list[Appeal]:
        return self.appealed

    def appeal(self, receipt: str, reason: str, text: str, owner: Identity) -> Appeal:
        if not text:
            raise AppealTextError("The texts are missing.")
        made = Appeal(
            format=APPEAL_FORMAT,
            number=len(self.appealed) + 1,
            receipt=receipt,
            caller=owner.id,
            name=owner.name,
            model="small",
            status="blocked",
            requested=NOON,
            findings=(
                Met(where="user", what="override", action="block"),
                Met(where="user", what="classifier:linear-0123456789ab:0.913", action="block"),
            ),
            reason=reason,
            origin=Origin.SUPPLIED,
            passages=(Passage(channel="user", text=text),),
            sealed=None,
            created=NOON,
        )
        self.appealed.append(made)
        return made

    def replay_appeal(self, number: int) -> list[Ruling]:
        appeal = self._appealed(number)
        if appeal.sealed is not None:
            raise SealedAppealError("The texts are sealed.")
        return [Ruling(outcome=Decided.BLOCK, rules=("override",)) for _ in appeal.passages]

    def decide_appeal(self, number: int, *, grant: bool, reason: str, reviewer: Identity) -> Appeal:
        appeal = self._appealed(number)
        if appeal.sealed is not None:
            raise SealedAppealError("The texts are sealed.")
        if appeal.state is not AppealState.OPEN:
            raise AppealDecidedError("It is decided already.")
        if reviewer.id == appeal.caller:
            raise OwnAppealError("Nobody decides about their own.")
        state = AppealState.GRANTED if grant else AppealState.REFUSED
        facts = {"state": state, "decided": NOON, "decider": reviewer.id, "decision": reason}
        self.appealed[number - 1] = msgspec.structs.replace(appeal, **facts)
        return self.appealed[number - 1]

    def _appealed(self, number: int) -> Appeal:
        if not 0 < number <= len(self.appealed):
            raise UnknownAppealError("There is none of this number.")
        return self.appealed[number - 1]

    def waiting(self) -> tuple[Waiting, ...]:
        return self.asks

    def statement(self, name: str, origin: str) -> Shown:
        raise NoSuchRequestError("No such request waits.")

    def hand_in(self, name: str, credential: str, assertion: Assertion) -> HandedIn:
        raise NoSuchRequestError("No such request waits.")


DETAIL = CrossingDetail(
    row=ROW,
    inspected=NOON + timedelta(minutes=5),
    verdicts=VERDICTS,
    held=HELD,
    artifacts={"models/a/b/model.bin": "pkg:huggingface/a/b@2", "files/disk.img": "pkg:generic/disk"},
)


def app() -> Shell:
    """The console over these values, for a server."""
    return build_app(Fixed())
