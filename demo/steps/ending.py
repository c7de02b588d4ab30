"""The end: the proof of an answer, the packets that left, the report, and what is printed last."""

import json
import platform
import shlex
import tomllib
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lockgate import __version__
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
    render_report,
)
from lockgate.core.verdict import Outcome, worst
from steps.clients import Answer
from steps.custody import COURIER
from steps.shell import Shell

LIMITS = (
    "All keys of all people lie on one machine: separation of duties is not shown.",
    "The crate was copied between two folders; the network is a namespace of one kernel.",
    "Nobody outside this host holds a checkpoint of the log: its whole length is unwitnessed.",
    "The engine's machine code and the models' weights are admitted as opaque: only their form was checked.",
)


def prove(shell: Shell, answers: list[Answer]) -> dict[str, Any]:
    """Prove that an answer's outcome is in the log, and check that offline from the pin alone."""
    with shell.step("prove", "The proof: the log, one leaf, the packets that left"):
        leaf = int(answers[0].receipt["audit"]["outcome_leaf"])
        proof = shell.folder / "proof.json"
        shell.run("lockgate", "audit", "verify", "--home", shell.high, high=True)
        shell.run("lockgate", "audit", "prove", str(leaf), "--out", proof, "--home", shell.high, high=True)
        pin = tomllib.loads((shell.high / "lockgate.toml").read_text())["trust"]["site_pin"]
        root = shell.high / "trust" / "site.dsse.json"
        check = ["lockgate", "audit", "verify", "--proof", proof, "--site-root", root, "--pin", pin]
        told = shell.json(*check)
        print("      the proof holds, checked with nothing but the pinned site root")
        facts = {"leaf": leaf, "command": [str(word) for word in check], "told": told}
        facts["egress"] = _egress(shell)
        return facts


def _egress(shell: Shell) -> dict[str, Any]:
    if not shell.isolated:
        return {"isolated": False, "reason": shell.reason}
    before = shell.json("lockgate", "isolate", "status", "--home", shell.high)
    control = shell.json("lockgate", "isolate", "control", "--home", shell.high)
    after = shell.json("lockgate", "isolate", "status", "--home", shell.high, shown=False)
    print(f"      packets that left, by the kernel's counter: {after['left_packets']}")
    print(f"      positive control: {control['frames']} sent on purpose, counter rose by {control['rise']}")
    return {"isolated": True, "before": before, "control": control, "after": after}


def write_report(shell: Shell, answers: list[Answer], proof: dict[str, Any]) -> Path:
    """Write the one-page report."""
    show = ("lockgate", "gate", "show", str(shell.facts["crate"]["sequence"]), "--home", shell.high)
    shown = shell.json(*show, high=True, shown=False)
    data = ReportData(
        lane="demo",
        assurance="demo",
        made=datetime.now(UTC),
        version=__version__,
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        total_seconds=sum(shell.facts["seconds"][n] for n in shell.steps()),
        peak_bytes=shell.facts.get("peak_bytes"),
        crossing=_crossing(shell),
        stages=_stages(shell),
        outcomes=_outcomes(shown),
        artifacts=_artifacts(shell, shown),
        approvals=_approvals(shell),
        answers=tuple(_answer(a) for a in answers),
        proof=_proof(proof),
        egress=_egress_facts(proof["egress"]),
        limits=LIMITS,
    )
    target = shell.folder / "report.html"
    target.write_text(render_report(data))
    return target


def _crossing(shell: Shell) -> CrossingFacts:
    crate, statement, collected = (shell.facts[n] for n in ("crate", "statement", "collected"))
    return CrossingFacts(
        sequence=crate["sequence"],
        crate_id=crate["crate_id"],
        crate_sha256=crate["sha256"],
        crate_bytes=crate["bytes"],
        volumes=crate["volumes"],
        artifacts=collected["artifacts"],
        files=collected["files"],
        content_bytes=collected["bytes"],
        channel=statement["channel"],
        channel_version=statement["channel_version"],
        snapshot_sha256=statement["snapshot_sha256"],
        statement_sha256=statement["sha256"],
    )


def _stages(shell: Shell) -> tuple[Stage, ...]:
    took = shell.facts["seconds"]
    content, sealed = shell.facts["collected"]["bytes"], shell.facts["crate"]["bytes"]
    handed = shell.facts.get("handovers", 0)
    plan = (
        ("collect", Place.LOW, "collecting", content, "pip's own configuration"),
        ("seal", Place.LOW, "sealing", sealed, f"{shell.facts['crate']['volumes']} volumes"),
        ("carry", Place.GAP, "carrying", sealed, f"copied; {handed} signed hand-overs"),
        ("receive", Place.HIGH, "receiving", sealed, "verified, decrypted, quarantined"),
        ("inspect", Place.HIGH, "inspecting", content, "one sandbox a file"),
        ("publish", Place.HIGH, "publishing", content, "two approvers, one snapshot"),
        ("serve", Place.HIGH, "serve", None, "mirrors, engine, knowledge"),
        ("answer", Place.HIGH, "ask", None, "cited, with receipts"),
    )
    return tuple(Stage(name, place, took.get(key), size, note) for name, place, key, size, note in plan)


def _outcomes(shown: dict[str, Any]) -> tuple[OutcomeCount, ...]:
    files: dict[str, list[int]] = defaultdict(list)
    for verdict in shown["verdicts"]:
        files[verdict["outcome"]].append(verdict["size"])
    return tuple(OutcomeCount(Outcome(o), len(sizes), sum(sizes)) for o, sizes in sorted(files.items()))


def _artifacts(shell: Shell, shown: dict[str, Any]) -> tuple[ArtifactRow, ...]:
    said = {v["path"]: Outcome(v["outcome"]) for v in shown["verdicts"]}
    lock = json.loads((shell.low / "locks" / "lock.json").read_text())
    return tuple(
        ArtifactRow(
            name=a["name"],
            version=a["version"],
            kind=a["kind"],
            licence=a["licence"],
            bytes=sum(f["size"] for f in a["files"]),
            outcome=worst(said[f["path"]] for f in a["files"]),
            purl=a["purl"],
        )
        for a in lock["artifacts"]
    )


def _approvals(shell: Shell) -> tuple[ApprovalAct, ...]:
    statement = shell.facts["statement"]
    asked = ApprovalAct(statement["requester"], Act.REQUESTED, datetime.fromisoformat(statement["created"]))
    acts = (
        ApprovalAct(a["person"], Act(a["act"]), datetime.fromisoformat(a["at"]), a["reason"])
        for a in shell.facts["acts"]
    )
    return (asked, *acts)


def _answer(answer: Answer) -> AnswerFacts:
    receipt = answer.receipt["receipt"]
    model = receipt["model"]
    knowledge = receipt["knowledge"] or {"retrieved": []}
    return AnswerFacts(
        question=answer.question,
        text=answer.text,
        abstained=receipt["status"] == "abstained",
        citations=tuple(
            CitedSpan(
                **{k: c[k] for k in ("number", "quote", "title", "path", "document_sha256", "extractor")},
                **{k: c[k] for k in ("heading", "page", "start", "end")},
            )
            for c in answer.lockgate["citations"]
        ),
        receipt=ReceiptFacts(
            id=receipt["id"],
            model=model["purl"],
            model_sha256=model["loaded"]["sha256"],
            enforcement=model["loaded"]["enforcement"],
            crossing=model["crossing"],
            snapshot_sha256=receipt["snapshot_sha256"],
            documents=tuple(knowledge["retrieved"]),
            leaf=answer.receipt["audit"]["outcome_leaf"],
        ),
        seconds=answer.seconds,
    )


def _proof(proof: dict[str, Any]) -> ProofFacts:
    stored = json.loads(Path(proof["command"][4]).read_text())
    here = str(Path.cwd()) + "/"
    return ProofFacts(
        leaf=proof["leaf"],
        event=json.dumps(stored["event"]),
        size=proof["told"]["size"],
        root=proof["told"]["root"],
        path=tuple(stored["path"]),
        command=shlex.join(proof["command"]).replace(here, ""),
        result="the proof holds",
    )


def _egress_facts(egress: dict[str, Any]) -> EgressFacts:
    if not egress["isolated"]:
        return EgressFacts(isolated=False, reason=egress["reason"])
    after, control = egress["after"], egress["control"]
    return EgressFacts(
        isolated=True,
        packets=after["left_packets"],
        bytes=after["left_bytes"],
        control_sent=control["frames"],
        control_counted=control["rise"],
        control_arrived=control["arrived"],
        interfaces=tuple(
            f"{i['name']}: {', '.join(i['addresses']) or 'no address'}" for i in after["interfaces"]
        ),
    )


def _told(shell: Shell) -> str:
    receipt = shell.facts.get("receipt")
    return f"; by hand, a receipt of {receipt['bytes']} bytes" if receipt else ""


def _carried(shell: Shell) -> str:
    steps = shell.facts.get("handovers", 0)
    return f"clerk-low, {COURIER}, clerk-high: {steps} hand-overs signed and chained, the seal compared"


def print_end(shell: Shell, answers: list[Answer], proof: dict[str, Any], report: Path) -> None:
    """Print what was shown, in a few lines."""
    statement, crate = shell.facts["statement"], shell.facts["crate"]
    right = [a.right for a in answers if a.right is not None]
    model = answers[0].receipt["receipt"]["model"]["loaded"]
    egress = proof["egress"]
    here = str(Path.cwd()) + "/"
    left = f"{egress['after']['left_packets']} packets" if egress["isolated"] else "NOT COUNTED, not isolated"
    files, sealed = shell.facts["collected"]["files"], f"{crate['bytes'] / 1e6:.1f} MB"
    approvers = " and ".join(a["person"] for a in shell.facts["acts"] if a["act"] == "approved")
    seconds = sum(shell.facts["seconds"][name] for name in shell.steps())
    rows = {
        "What crossed": f"crossing {crate['sequence']}: {files} files, {sealed}, {crate['volumes']} volumes",
        "Who carried": _carried(shell),
        "Who approved": f"{approvers}; {statement['requester']} asked, and was refused as approver",
        "Snapshot": statement["snapshot_sha256"],
        "Model": f"{model['sha256'][:16]}…, {model['enforcement']}",
        "Answers": f"{sum(right)} of {len(right)} as expected, one of them that the documents do not say",
        "Audit": f"leaf {proof['leaf']} is in the log of {proof['told']['size']}, checked offline",
        "What left": left + _told(shell),
        "Memory": f"{shell.facts['peak_bytes'] / 2**30:.2f} GiB at most",
        "Time": f"{seconds:.0f} s",
        "Report": str(report).replace(here, ""),
    }
    print("\n\033[1mWhat you have seen\033[0m")
    for name, value in rows.items():
        print(f"  {name:<14} {value}")
    print("\n  The services go on. Ask more:  make ask Q='…'     Stop and remove all:  make demo-clean")
    if egress["isolated"]:
        window = f"lockgate isolate look --home {shell.high}".replace(here, "")
        print(f"  Console and chat in your browser, until Ctrl-C:  .venv/bin/{window}")
