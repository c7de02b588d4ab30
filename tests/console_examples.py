"""Example data for the console's and the report's tests."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from lockgate.console.report import (
    Act,
    AnswerFacts,
    ApprovalAct,
    ArtifactRow,
    CitedSpan,
    CrossingFacts,
    EgressFacts,
    OutcomeCount,
    Place,
    ProofFacts,
    ReceiptFacts,
    ReportData,
    Stage,
)
from lockgate.core.verdict import Outcome

NOON = datetime(2030, 1, 2, 12, 0, 0, tzinfo=UTC)


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


STAGES = (
    Stage("Collect", Place.LOW, 21.4, 231_400_000, "34 artifacts from the registry, every hash checked"),
    Stage("Seal", Place.LOW, 2.9, 231_900_000, "4 volumes, AES-256-GCM, keys wrapped for the gate"),
    Stage("Carry", Place.GAP, 0.6, 231_900_000, "copied file by file, as media would be"),
    Stage("Receive", Place.HIGH, 3.1, 231_900_000, "signatures, sequence, shards, decryption, quarantine"),
    Stage("Inspect", Place.HIGH, 48.2, 231_400_000, "one sandboxed process for each of 76 files"),
    Stage("Approve", Place.HIGH, 0.3, None, "two people; the requester was refused"),
    Stage("Publish", Place.HIGH, 0.8, 231_400_000, "one snapshot, one pointer, all or nothing"),
    Stage("Serve", Place.HIGH, 6.5, 106_000_000, "mirrors, gateway, model hashed again at load"),
    Stage("Answer", Place.HIGH, 39.0, None, "five questions, five receipts"),
)

ARTIFACTS = (
    ArtifactRow(
        "smollm/smollm2-135m-instruct",
        digest("r")[:40],
        "model",
        "Apache-2.0",
        98_300_000,
        Outcome.OPAQUE,
        "pkg:huggingface/a@1",
    ),
    ArtifactRow(
        "numpy", "2.4.6", "python", "BSD-3-Clause", 16_900_000, Outcome.OPAQUE, "pkg:pypi/numpy@2.4.6"
    ),
    ArtifactRow("httpx", "0.28.1", "python", "BSD-3-Clause", 73_500, Outcome.CLEAN, "pkg:pypi/httpx@0.28.1"),
    ArtifactRow(
        "handbook/03-power-and-generators.md",
        digest("d")[:12],
        "document",
        "CC0-1.0",
        6_210,
        Outcome.CLEAN,
        "pkg:generic/h/3@1",
    ),
    ArtifactRow(
        "handbook/06-medical-store.pdf",
        digest("e")[:12],
        "document",
        "CC0-1.0",
        38_900,
        Outcome.CLEAN,
        "pkg:generic/h/6@1",
    ),
)

APPROVALS = (
    ApprovalAct("olga", Act.REQUESTED, NOON),
    ApprovalAct(
        "olga",
        Act.REFUSED,
        NOON + timedelta(seconds=4),
        "LG-3001: olga asked for this and cannot approve it.",
    ),
    ApprovalAct("ada", Act.APPROVED, NOON + timedelta(seconds=9)),
    ApprovalAct("ben", Act.APPROVED, NOON + timedelta(seconds=14)),
)


def receipt(name: str, leaf: int, *documents: str) -> ReceiptFacts:
    return ReceiptFacts(
        id=digest(name)[:32],
        model="pkg:huggingface/smollm/smollm2-135m-instruct",
        model_sha256=digest("model"),
        enforcement="hashed through the engine's own descriptor",
        crossing=1,
        snapshot_sha256=digest("snapshot"),
        documents=documents,
        leaf=leaf,
    )


def span(
    number: int, quote: str, title: str, path: str, *, page: int | None = None, heading: str = ""
) -> CitedSpan:
    return CitedSpan(
        number, quote, title, path, digest(path), "markdown/1", heading, page, 1210, 1210 + len(quote)
    )


POWER = "At full load the batteries last 18 minutes. After that, only the emergency lights stay on."
OXYGEN = "The medical store holds 8 oxygen cylinders of 10 litres each."

ANSWERS = (
    AnswerFacts(
        "How long do the batteries last at full load?",
        "At full load the batteries last 18 minutes. [1] The generators are tested every day. [unsupported]",
        abstained=False,
        citations=(
            span(
                1, POWER, "Power and generators", "handbook/03-power-and-generators.md", heading="Batteries"
            ),
        ),
        receipt=receipt("a1", 58, digest("handbook/03-power-and-generators.md")),
        seconds=7.4,
    ),
    AnswerFacts(
        "How many oxygen cylinders are there in the medical store?",
        "There are 8 oxygen cylinders of 10 litres each in the medical store. [1][2]",
        abstained=False,
        citations=(
            span(1, OXYGEN, "Medical store", "handbook/06-medical-store.pdf", page=2),
            span(
                2,
                "Oxygen: 8 cylinders,\nchecked on the first Monday.",
                "Inventory",
                "handbook/12-inventory.html",
                heading="Medical",
            ),
        ),
        receipt=receipt("a2", 64, digest("6"), digest("12")),
        seconds=6.1,
    ),
    AnswerFacts(
        "What is the salary of the head of operations?",
        "The knowledge base 'handbook' has nothing that supports an answer to this question.",
        abstained=True,
        citations=(),
        receipt=receipt("a3", 66),
        seconds=0.2,
    ),
)

COUNTED = EgressFacts(
    isolated=True,
    packets=0,
    bytes=0,
    control_sent=8,
    control_counted=8,
    control_arrived=8,
    interfaces=("lo: up, 127.0.0.1/8, ::1/128", "gap0: up, veth, no address, no route, IPv6 off"),
)
OPEN = EgressFacts(isolated=False, reason="The kernel refused a network namespace: Operation not permitted.")


def report_data(*, isolated: bool = True) -> ReportData:
    return ReportData(
        lane="harbour",
        assurance="demo",
        made=NOON + timedelta(minutes=3),
        version="0.1.0",
        machine="Two processors, 4 GB, Linux.",
        total_seconds=143.0,
        peak_bytes=1_420_000_000,
        crossing=CrossingFacts(
            sequence=1,
            crate_id="crate-000001-7f3a9c",
            crate_sha256=digest("crate"),
            crate_bytes=231_900_000,
            volumes=4,
            artifacts=34,
            files=76,
            content_bytes=231_400_000,
            channel="stable",
            channel_version=1,
            snapshot_sha256=digest("snapshot"),
            statement_sha256=digest("statement"),
        ),
        stages=STAGES,
        outcomes=(
            OutcomeCount(Outcome.CLEAN, 58, 31_300_000),
            OutcomeCount(Outcome.OPAQUE, 18, 200_100_000),
        ),
        artifacts=ARTIFACTS,
        approvals=APPROVALS,
        answers=ANSWERS,
        proof=ProofFacts(
            leaf=66,
            event="outcome of leaf 65: abstained, receipt 3d1f…",
            size=67,
            root=digest("root"),
            path=(digest("p1"), digest("p2"), digest("p3")),
            command=f"lockgate audit verify --proof p.json --site-root site.dsse.json --pin {digest('p')}",
            result="The proof holds: leaf 66 is in lockgate/harbour/high at size 67.",
        ),
        egress=COUNTED if isolated else OPEN,
        limits=(
            "Separation of duties: all keys of this demo lane were made on one machine.",
            "Inspection reads structure. It does not prove that weights or machine code are harmless.",
            "No witness outside this host holds a checkpoint of the log.",
        ),
    )
