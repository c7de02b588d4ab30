"""VEX statements: read strictly, applied narrowly, and only as two persons signed them."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from corpora.advisories import FRESH, osv, shelf_of
from corpora.homes import HighSide
from lockgate.advisories import Claims, Limits, Matched, Outcome, claims_of, match_all
from lockgate.advisories.errors import AdvisoryLimitError, BadVexError
from lockgate.app.advice.advisories import ask as ask_packages
from lockgate.app.advice.advisories import place
from lockgate.app.advice.vex import (
    WITHDRAWALS,
    NotAppliedError,
    applied,
    apply,
    approved,
    ask_to_apply,
    withdraw,
)
from lockgate.app.stores import records_of
from lockgate.app.trust import utc_now
from lockgate.approve.errors import ApprovalSpentError, StatementChangedError
from lockgate.cli.main import main
from lockgate.core.errors import LockgateError
from lockgate.core.statement import TooFewApproversError

OPENVEX = "://".join(("https", "openvex.dev/ns/v0.2.0"))  # noqa: FLY002  # no address is written out


def openvex(*claims: tuple[str, str, str], why: str = "vulnerable_code_not_present", **more: Any) -> bytes:
    statements = [
        {"vulnerability": {"name": v}, "products": [{"@id": p, **more}], "status": s, "justification": why}
        for v, p, s in claims
    ]
    return json.dumps({"@context": OPENVEX, "statements": statements}).encode()


def cyclonedx(vulnerability: str, ref: str, state: str, detail: str = "not reachable") -> bytes:
    found = {"id": vulnerability, "analysis": {"state": state, "detail": detail}, "affects": [{"ref": ref}]}
    component = {"bom-ref": "one", "purl": "pkg:pypi/demo@1"}
    return json.dumps(
        {"bomFormat": "CycloneDX", "components": [component], "vulnerabilities": [found]}
    ).encode()


RECORDS = [
    osv("A-1", "demo", ("introduced", "0"), ("fixed", "2"), aliases=["CVE-1"]),
    osv("A-2", "demo", ("introduced", "0"), ("fixed", "3")),
]


def ask(folder: Path, purl: str, *documents: bytes) -> Matched:
    data = shelf_of(folder, RECORDS).open()
    claims = Claims(c for document in documents for c in claims_of(document, "vex"))
    try:
        return match_all(data, [purl], FRESH, claims=claims)[0]
    finally:
        data.close()


@pytest.mark.parametrize(
    "document",
    [
        openvex(("CVE-1", "pkg:pypi/demo@1", "not_affected")),
        openvex(("A-1", "pkg:pypi/Demo", "fixed")),
        cyclonedx("CVE-1", "one", "false_positive"),
        cyclonedx("CVE-1", "pkg:pypi/demo@1", "resolved"),
    ],
)
def test_a_claim_closes_its_finding_and_no_other(tmp_path: Path, document: bytes) -> None:
    answer = ask(tmp_path / "a", "pkg:pypi/demo@1", document)
    assert (answer.outcome, answer.fixed) == (Outcome.AFFECTED, "3")
    assert {f.id: bool(f.vex) for f in answer.found} == {"CVE-1": True, "A-2": False}
    both = ask(tmp_path / "b", "pkg:pypi/demo@1", document, openvex(("A-2", "pkg:pypi/demo", "not_affected")))
    assert (both.outcome, both.fixed, len(both.found)) == (Outcome.NOT_AFFECTED, "", 2)


def test_a_distributions_advisory_is_closed_by_claims_about_everything_that_it_answers(
    tmp_path: Path,
) -> None:
    purl = "pkg:deb/debian/demo@1?distro=debian-12"
    about = "pkg:deb/debian/demo?distro=debian-12"
    record = osv("DSA-1-1", "demo", ecosystem="Debian:12", upstream=["CVE-1", "CVE-2"])
    data = shelf_of(tmp_path, [record]).open()

    def status(*claims: tuple[str, str]) -> str:
        said = openvex(*((name, about, status) for name, status in claims))
        (found,) = match_all(data, [purl], FRESH, claims=Claims(claims_of(said, "vex")))[0].found
        return found.vex

    assert status(("CVE-1", "not_affected")) == ""
    assert status(("CVE-1", "not_affected"), ("CVE-2", "fixed")) == "fixed"
    assert status(("CVE-1", "not_affected"), ("CVE-2", "affected")) == "affected"
    assert status(("DSA-1-1", "not_affected")) == "not_affected"
    assert status(("DSA-1-1", "not_affected"), ("CVE-2", "affected")) == "affected"
    data.close()


@pytest.mark.parametrize(
    "document",
    [
        openvex(("CVE-1", "pkg:pypi/demo@1.0", "not_affected")),
        openvex(("CVE-1", "pkg:npm/demo@1", "not_affected")),
        openvex(("CVE-2", "pkg:pypi/demo@1", "not_affected")),
        openvex(("CVE-1", "pkg:pypi/demo@1", "under_investigation")),
        cyclonedx("CVE-1", "one", "exploitable"),
        openvex(("CVE-1", "pkg:pypi/demo@1", "not_affected"), ("CVE-1", "pkg:pypi/demo", "affected")),
    ],
)
def test_other_versions_packages_and_statuses_close_nothing(tmp_path: Path, document: bytes) -> None:
    answer = ask(tmp_path, "pkg:pypi/demo@1", document)
    assert (answer.outcome, answer.fixed) == (Outcome.AFFECTED, "3")
    assert all(f.vex in {"", "affected", "under_investigation"} for f in answer.found)


BAD = {
    "no JSON": b"x",
    "a key twice": b'{"@context": "a", "@context": "b"}',
    "another format": b"{}",
    "a list": b"[]",
    "no claim": openvex(),
    "no reason": openvex(("CVE-1", "pkg:pypi/demo@1", "not_affected"), why=""),
    "a reason with control characters": openvex(("CVE-1", "pkg:pypi/demo@1", "fixed"), why="a\x1b[2Jb"),
    "a status that is none": openvex(("CVE-1", "pkg:pypi/demo@1", "fine")),
    "no package URL": openvex(("CVE-1", "demo", "not_affected")),
    "no vulnerability": openvex(("CVE 1\n", "pkg:pypi/demo@1", "not_affected")),
    "parts of a product only": openvex(
        ("CVE-1", "pkg:pypi/demo@1", "fixed"), subcomponents=[{"@id": "pkg:pypi/x@1"}]
    ),
    "a state that is none": cyclonedx("CVE-1", "one", "whatever"),
    "a reference to nothing": cyclonedx("CVE-1", "two", "resolved"),
    "no detail": cyclonedx("CVE-1", "one", "resolved", ""),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_a_whole_claim_is_refused(name: str) -> None:
    with pytest.raises(BadVexError):
        claims_of(BAD[name], "vex")


def test_nobody_is_asked_to_read_more_claims_than_people_read() -> None:
    many = openvex(*((f"CVE-{n}", "pkg:pypi/demo@1", "fixed") for n in range(4)))
    with pytest.raises(AdvisoryLimitError) as caught:
        claims_of(many, "vex", Limits(claims=3))
    assert caught.value.where["limit"] == "claims"


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    high = HighSide.new(tmp_path)
    high.publish(1, "handbook")
    shelf_of(tmp_path, RECORDS).folder.rename(high.side.home.advisories)
    return high


def outcome(high: HighSide) -> Outcome:
    where = place(high.lane.high, None, 400)
    return ask_packages(where, ["pkg:pypi/demo@2"], {}).answers[0].outcome


def vex_of(high: HighSide, status: str = "not_affected") -> Path:
    file = high.folder / f"vex-{status}.json"
    file.write_bytes(openvex(("A-2", "pkg:pypi/demo@2", status)))
    return file


def test_two_persons_sign_the_claims_themselves(high: HighSide) -> None:
    side, file = high.side, vex_of(high)
    assert outcome(high) is Outcome.AFFECTED
    request = ask_to_apply(side, file, high.operator)
    with pytest.raises(TooFewApproversError):
        apply(side, file, high.signed(request, "alone", ["approver-1"]))
    assert outcome(high) is Outcome.AFFECTED
    signed = high.signed(request, "vex")
    done = apply(side, file, signed)
    assert done.facts["claim 001"] == "A-2 not_affected pkg:pypi/demo@2: vulnerable_code_not_present"
    assert outcome(high) is not Outcome.AFFECTED
    with pytest.raises(ApprovalSpentError):
        apply(side, file, signed)


def test_another_document_under_the_same_signatures_is_refused(high: HighSide) -> None:
    side, file = high.side, vex_of(high, "under_investigation")
    signed = high.signed(ask_to_apply(side, file, high.operator), "vex")
    with pytest.raises(StatementChangedError):
        apply(side, vex_of(high), signed)
    assert outcome(high) is Outcome.AFFECTED


def test_files_without_valid_signatures_are_not_applied(high: HighSide) -> None:
    side, file = high.side, vex_of(high)
    apply(side, file, high.signed(ask_to_apply(side, file, high.operator), "vex"))
    (document,) = [f for f in (side.home.advisories / "vex").iterdir() if "dsse" not in f.name]
    good = document.read_bytes()
    document.write_bytes(good.replace(b"A-2", b"A-1"))
    assert approved(side).claims == ()
    assert "not the one that was signed" in approved(side).refused[0]
    assert outcome(high) is Outcome.AFFECTED
    document.write_bytes(good)
    envelope = document.with_name(document.name.replace(".json", ".dsse.json"))
    envelope.write_bytes(envelope.read_bytes()[:-20])
    assert approved(side).claims == ()
    assert outcome(high) is Outcome.AFFECTED


def test_statements_about_something_else_are_not_taken(high: HighSide) -> None:
    high.arrive(2, "more")
    files = high.ask_to_publish(2)
    with pytest.raises(LockgateError):
        apply(high.side, vex_of(high), files)


def test_the_commands_ask_and_apply(high: HighSide, capsys: pytest.CaptureFixture[str]) -> None:
    file, home = vex_of(high), ["--home", str(high.lane.high)]
    words = ["advisories", "vex", str(file), *home, "--json"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([*words, "--key", str(high.lane.people["operator"])])
    request = Path(json.loads(capsys.readouterr().out)["request"])
    signed = high.signed(request.read_bytes(), "vex")
    with pytest.raises(SystemExit) as ended:
        main(["advisories", "vex", str(file), *map(str, signed), *home, "--json"])
    assert ended.value.code in {0, None}
    assert json.loads(capsys.readouterr().out)["applied"] is True


def test_one_operator_withdraws_a_document_and_putting_its_files_back_brings_it_back_not(
    high: HighSide, capsys: pytest.CaptureFixture[str]
) -> None:
    side, file = high.side, vex_of(high)
    apply(side, file, high.signed(ask_to_apply(side, file, high.operator), "vex"))
    folder = side.home.advisories / "vex"
    kept = {each: each.read_bytes() for each in folder.iterdir()}
    (holds,) = applied(side)
    assert outcome(high) is not Outcome.AFFECTED
    with pytest.raises(NotAppliedError):
        withdraw(side, "0" * 64, "no", high.operator)
    words = ["advisories", "vex-withdraw", holds.document, "--home", str(high.lane.high), "--json"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*words, "--key", str(high.lane.people["operator"]), "--reason", "it is reachable"])
    assert ended.value.code in {0, None}
    assert json.loads(capsys.readouterr().out)["operator"] == "operator"
    assert outcome(high) is Outcome.AFFECTED
    assert "withdrew" in approved(side).refused[0]
    for each in folder.iterdir():
        each.unlink()
    for each, data in kept.items():
        each.write_bytes(data)
    assert applied(side) == ()
    assert outcome(high) is Outcome.AFFECTED
    with pytest.raises(NotAppliedError):
        withdraw(side, holds.document, "again", high.operator)


def test_the_withdrawal_outlives_its_row_by_the_signed_file(high: HighSide) -> None:
    side, file = high.side, vex_of(high)
    apply(side, file, high.signed(ask_to_apply(side, file, high.operator), "vex"))
    made = withdraw(side, applied(side)[0].document, "it is reachable", high.operator)
    records = records_of(side)
    with records.transaction() as tx:
        tx.delete(WITHDRAWALS, made.document)
    records.close()
    assert applied(side) == ()
    marker = side.home.advisories / "vex" / f"{made.document}.withdrawn.json"
    marker.write_bytes(b"nothing that can be read")
    assert applied(side) == ()
    assert outcome(high) is Outcome.AFFECTED


def test_what_two_persons_approve_after_a_withdrawal_counts_again(
    high: HighSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    side, file = high.side, vex_of(high)
    apply(side, file, high.signed(ask_to_apply(side, file, high.operator), "vex"))
    withdraw(side, applied(side)[0].document, "it is reachable", high.operator)
    later = utc_now() + timedelta(minutes=5)
    for module in ("lockgate.app.gate.decisions", "lockgate.app.trust", "corpora.homes"):
        monkeypatch.setattr(f"{module}.utc_now", lambda: later)
    apply(side, file, high.signed(ask_to_apply(side, file, high.operator), "vex-again"))
    assert len(applied(side)) == 1
    assert outcome(high) is not Outcome.AFFECTED
