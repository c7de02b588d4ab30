"""Admission rules on a high side: proposed, signed by two, in force; tried before, and no way back."""

from pathlib import Path

import pytest

from corpora.commands import Commands
from corpora.gates import Scripted
from corpora.homes import HighSide
from corpora.rulebook import put_in_force, rules_text, write_rules
from lockgate.admit.errors import HeldBackError
from lockgate.app.gate.gate import execute, open_gate, write_request
from lockgate.app.gate.rules import RULES, in_force, judging
from lockgate.app.high.approvals import WaitingRequests
from lockgate.app.high.console import Readings
from lockgate.approve.errors import ApprovalSpentError, StatementChangedError
from lockgate.console.home import HomeData
from lockgate.core.artifact import Artifact, Kind
from lockgate.core.rules import BadRulesError, RoleMissingError, policy_digest
from lockgate.core.statement import TooFewApproversError
from lockgate.core.verdict import Outcome

MORE = '[[rule]]\nname = "all"\ninspectors = ["yara"]\n'


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    return HighSide.new(tmp_path)


def role(*people: str) -> str:
    return f'[roles]\nsecurity = {list(people)}\n[[rule]]\nname = "all"\nroles = ["security"]\n'


def test_rules_come_in_force_by_two_and_bind_what_approvers_sign(high: HighSide) -> None:
    assert in_force(high.side) is None
    put_in_force(high, MORE)
    found = in_force(high.side)
    assert found is not None
    assert found.approvers == ("approver-1", "approver-2")
    gate = open_gate(high.side)
    assert gate._p.policy_sha256 == policy_digest(gate._p.policy, judging(found))
    high.arrive(1, "a")
    gate = open_gate(high.side)
    assert "yara read no file" in gate.inspect(1, Scripted()).held[0].reason
    with pytest.raises(HeldBackError):
        gate.request(1, "stable", high.operator)


def test_one_person_or_a_used_approval_changes_nothing(high: HighSide) -> None:
    file = write_rules(high.folder, MORE)
    request = RULES.propose_file(high.side, file, high.operator)
    with pytest.raises(TooFewApproversError):
        RULES.activate(high.side, file, high.signed(request, "one", ["approver-1"]))
    assert in_force(high.side) is None
    signed = high.signed(request, "both")
    RULES.activate(high.side, file, signed)
    with pytest.raises(ApprovalSpentError):
        RULES.activate(high.side, file, signed)


def test_another_document_than_the_signed_one_is_refused(high: HighSide) -> None:
    file = write_rules(high.folder, MORE)
    signed = high.signed(RULES.propose_file(high.side, file, high.operator), "rules")
    file.write_text(rules_text(""))
    with pytest.raises(StatementChangedError):
        RULES.activate(high.side, file, signed)
    assert in_force(high.side) is None


def test_versions_follow_one_another_and_never_come_back(high: HighSide) -> None:
    first = put_in_force(high, MORE)
    competing = write_rules(high.folder, "# another", 2)
    late = high.signed(RULES.propose_file(high.side, competing, high.operator), "late")
    competing.replace(high.folder / "late.toml")
    put_in_force(high, "", 2)
    for wrong in (first, write_rules(high.folder, "", 4)):
        with pytest.raises(BadRulesError, match="the next one on this side is 3"):
            RULES.checked(high.side, wrong)
    with pytest.raises(BadRulesError):
        RULES.activate(high.side, high.folder / "late.toml", late)
    found = in_force(high.side)
    assert found is not None
    assert found.document.version == 2


def test_a_publication_asked_for_under_other_rules_is_void(high: HighSide) -> None:
    high.arrive(1, "a")
    signed = high.ask_to_publish(1)
    put_in_force(high, "")
    with pytest.raises(StatementChangedError, match="policy changed"):
        execute(high.side, signed)
    execute(high.side, high.ask_to_publish(1))
    assert open_gate(high.side).served("stable") is not None


def test_a_request_that_nothing_can_carry_out_any_more_is_said_to_be_void(high: HighSide) -> None:
    """Approvers would sign it in vain: other rules are in force, or the channel serves something else."""
    for number, name in ((1, "a"), (2, "b")):
        high.arrive(number, name)
        gate = open_gate(high.side)
        gate.inspect(number, Scripted())
        write_request(high.side, f"publish-{number:06d}", gate.request(number, "stable", high.operator), None)

    def void() -> dict[str, str]:
        return {each.name: each.void for each in WaitingRequests(high.side).waiting()}

    assert void() == {"publish-000001": "", "publish-000002": ""}
    execute(high.side, high.signed((high.side.home.pending / "publish-000001.json").read_bytes(), "one"))
    assert void() == {"publish-000002": "stable moved on since"}
    write_request(high.side, "publish-000002", open_gate(high.side).request(2, "stable", high.operator), None)
    assert void() == {"publish-000002": ""}
    assert [m.what for m in HomeData(Readings(high.side)).overview().matters if "request" in m.what] != []
    put_in_force(high, "")
    assert void() == {"publish-000002": "the policy changed since"}
    shown = HomeData(Readings(high.side)).overview()
    assert [m.what for m in shown.matters if "request" in m.what] == []


def test_what_is_shown_as_held_is_what_would_be_held_now(high: HighSide) -> None:
    """Rules that came in force after the inspection hold as well; when nobody can tell, that is said."""
    run, home = Commands(), ("--home", high.lane.high)
    high.arrive(1, "a")
    open_gate(high.side).inspect(1, Scripted())
    put_in_force(high, MORE)
    shown = run.json("gate", "show", 1, *home)
    assert (shown["crossing"]["held"], shown["held_unsure"]) == ([], "")
    assert ["yara" in held["reason"] for held in shown["held"]] == [True]
    seen = HomeData(Readings(high.side))
    detail, facts = seen.crossing(1), seen.artifact(1, "pkg:generic/a@1")
    assert detail is not None
    assert facts is not None
    assert (len(detail.held), len(facts.held), detail.row.problem) == (1, 1, "")
    high.side.home.trust.joinpath("policy-000001.toml").write_text("# altered")
    shown = run.json("gate", "show", 1, *home)
    assert (shown["held"], "LG-2f16" in shown["held_unsure"]) == ([], True)
    assert "what is held now cannot be told" in run.run("gate", "show", 1, *home).out
    detail = seen.crossing(1)
    assert detail is not None
    assert "LG-2f16" in detail.row.problem


def test_somebody_of_each_role_has_to_be_among_the_approvers(high: HighSide) -> None:
    put_in_force(high, role("operator"))
    high.arrive(1, "a")
    with pytest.raises(RoleMissingError, match="'security'"):
        execute(high.side, high.ask_to_publish(1))
    put_in_force(high, role("approver-2"), 2)
    execute(high.side, high.ask_to_publish(1))
    assert open_gate(high.side).served("stable") is not None


def test_the_number_of_approvers_is_that_of_the_rule(high: HighSide) -> None:
    put_in_force(high, '[[rule]]\nname = "all"\napprovers = 3\n')
    high.arrive(1, "a")
    with pytest.raises(TooFewApproversError, match="what enters in crossing 1 demand 3"):
        execute(high.side, high.ask_to_publish(1))


def test_commands_from_the_document_to_the_rules_in_force(high: HighSide) -> None:
    run, home = Commands(), ("--home", high.lane.high)
    high.publish(1, "a")
    high.arrive(2, "b")
    open_gate(high.side).inspect(2, Scripted(b=Outcome.INCOMPLETE))
    file = write_rules(high.folder, MORE + "approvers = 3\n")
    assert run.json("policy", "check", file, *home)["sentences"] == ["rule all: inspectors=yara; approvers=3"]
    tried = run.json("policy", "test", file, *home)
    assert tried["artifacts"] == 2
    assert [(c["purl"], c["where"], len(c["before"]), len(c["after"])) for c in tried["changes"]] == [
        ("pkg:generic/a@1", "stable", 0, 1),
        ("pkg:generic/b@1", "quarantine", 1, 2),
    ]
    assert in_force(high.side) is None
    asked = run.json("policy", "propose", file, "--key", high.lane.people["operator"], *home)
    pin = run.json("config", "show", *home)["trust"]["site_pin"]
    signed = []
    for person in ("approver-1", "approver-2"):
        done = run.json(
            "policy",
            "sign",
            asked["request"],
            "--document",
            file,
            "--key",
            high.lane.people[person],
            "--site-root",
            high.lane.high / "trust/site.dsse.json",
            "--pin",
            pin,
            "--out",
            high.folder / f"{person}.json",
            "--state",
            high.folder / person,
            "--yes",
        )
        assert done["person"] == person
        signed.append(done["signed"])
    assert run.json("policy", "activate", file, *signed, *home) == {
        "version": 1,
        "approvers": ["approver-1", "approver-2"],
    }
    shown = run.json("policy", "show", *home)["rules"]
    assert shown["active"]["rules"]["rule"][0]["inspectors"] == ["yara"]
    assert (
        run.json("policy", "test", write_rules(high.folder, MORE + "approvers = 3\n", 2), *home)["changes"]
        == []
    )


def test_what_is_served_on_and_would_not_enter_anew_is_told_apart(high: HighSide) -> None:
    """Rules about advisories ask of what enters alone: without this a rule would seem to change nothing."""
    run, home = Commands(), ("--home", high.lane.high)
    high.publish(1, "a")
    model = Artifact(purl="pkg:huggingface/m@1", kind=Kind.FILE, name="m", version="1", files=())
    high.arrive_with(2, model)
    execute(high.side, high.ask_to_publish(2))
    file = write_rules(high.folder, '[[rule]]\nname = "known"\nhold_unknown = true\n')
    tried = run.json("policy", "test", file, *home)
    assert [(c["purl"], c["where"], c["anew"]) for c in tried["changes"]] == [
        ("pkg:huggingface/m@1", "stable", True)
    ]
    assert "does not know it" in tried["changes"][0]["after"][0]["reason"]
    told = " ".join(run.run("policy", "test", file, *home).out.split())
    assert told.startswith("0 of 2 artifacts would be judged otherwise, and 1 more if they came in anew:")
    assert "(crossing 2, stable; served on, only if it came in anew)" in told
    put_in_force(high, '[[rule]]\nname = "known"\nhold_unknown = true\n')
    assert [a.artifact.purl for a in open_gate(high.side).served("stable").admitted] == [
        "pkg:generic/a@1",
        "pkg:huggingface/m@1",
    ]


def test_an_approver_signs_no_request_about_another_document(high: HighSide) -> None:
    file = write_rules(high.folder, MORE)
    run, home = Commands(), ("--home", high.lane.high)
    asked = run.json("policy", "propose", file, "--key", high.lane.people["operator"], *home)
    other = high.folder / "other.toml"
    other.write_text(rules_text(""))
    words = ("--document", other, "--key", high.lane.people["approver-1"], "--site-root", "x", "--pin", "y")
    assert run.refused("policy", "sign", asked["request"], *words)[1]["code"] == StatementChangedError.code
