"""Admission rules under attack: taken away, altered, put back in time; and waivers that run out."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from corpora.gates import Scripted, World
from corpora.homes import HighSide
from corpora.rulebook import put_in_force, rules_text, write_rules
from lockgate.admit.errors import HeldBackError
from lockgate.app.gate.emergency import act
from lockgate.app.gate.gate import open_gate
from lockgate.app.gate.rules import RULES, RulesWithdrawnError, in_force
from lockgate.approve.errors import StatementChangedError
from lockgate.core.errors import LockgateError
from lockgate.core.rules import active_rules
from lockgate.core.statement import Operation
from lockgate.core.verdict import Outcome

HOLDING = '[[rule]]\nname = "all"\ninspectors = ["yara"]\n'


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    high = HighSide.new(tmp_path)
    high.publish(1, "a")
    put_in_force(high, "")
    put_in_force(high, HOLDING, 2)
    high.arrive(2, "b")
    return high


def trust(high: HighSide, name: str) -> Path:
    return high.lane.high / "trust" / name


def take_newest(high: HighSide) -> None:
    for name in ("policy-000002.toml", "policy-000002.dsse.json"):
        trust(high, name).unlink()


def take_all(high: HighSide) -> None:
    for file in (high.lane.high / "trust").glob("policy-*"):
        file.unlink()


def alter(high: HighSide) -> None:
    trust(high, "policy-000002.toml").write_text(rules_text("# nothing", 2))


def scribble(high: HighSide) -> None:
    """Leave bytes that are no rules at all; the newest document is damaged, and nobody wrote it so."""
    trust(high, "policy-000002.toml").write_bytes(b"\xff\x00 no rules")


def take_document(high: HighSide) -> None:
    trust(high, "policy-000002.toml").unlink()


def take_one_before(high: HighSide) -> None:
    """Take the document that the newest one says it follows."""
    trust(high, "policy-000001.toml").unlink()


def number_anew(high: HighSide) -> None:
    """Let the older document stand under the newer number."""
    for kind in ("toml", "dsse.json"):
        trust(high, f"policy-000002.{kind}").write_bytes(trust(high, f"policy-000001.{kind}").read_bytes())


def forge(high: HighSide) -> None:
    """Let one person sign a newer version."""
    signed = trust(high, "policy-000002.dsse.json").read_bytes()
    trust(high, "policy-000003.dsse.json").write_bytes(signed)
    trust(high, "policy-000003.toml").write_text(rules_text("", 3))


@pytest.mark.parametrize(
    "attack",
    [take_newest, take_all, alter, scribble, take_document, take_one_before, number_anew, forge],
)
def test_whoever_tampers_with_rules_stops_admission_and_lifts_nothing(high: HighSide, attack) -> None:
    attack(high)
    with pytest.raises(LockgateError):
        in_force(high.side)
    gate = open_gate(high.side)
    with pytest.raises(RulesWithdrawnError) as refused:
        gate.inspect(2, Scripted())
    assert refused.value.code == "LG-2f16"
    served = gate.served("stable")
    assert served is not None
    assert [a.artifact.name for a in served.admitted] == ["a"]
    key = high.lane.people["operator"]
    act(high.side, Operation.WITHDRAW, "stable", ["pkg:generic/a@1"], reason="bad", key=key)
    assert open_gate(high.side).emergencies.standing("stable").snapshot.admitted == ()


WAIVER = """
[[waiver]]
purl = "pkg:generic/{name}@1"
waives = "inspector:yara"
reason = "looked at it"
owner = "anna"
expires = 2026-05-02T12:00:00Z
"""


def rules_for(*names: str):
    return active_rules(rules_text(HOLDING + "".join(WAIVER.format(name=n) for n in names)).encode())


def test_an_expired_waiver_holds_what_wants_in_and_takes_nothing_away() -> None:
    world = World()
    world.rules = rules_for("a", "b")
    world.publish(1, "a")
    world.arrive(2, "b")
    world.gate.inspect(2, Scripted())
    request = world.gate.request(2, "stable", world.operator)
    assert "looked at it" in str(world.gate.execute(world.signed(request, "ap-1", "ap-2")).waivers)
    world.now += timedelta(days=2)
    world.arrive(3, "c")
    with pytest.raises(HeldBackError, match="yara"):
        world.gate.inspect(3, Scripted()) and world.gate.request(3, "stable", world.operator)
    world.rules = rules_for("a", "b", "c")
    with pytest.raises(HeldBackError, match="yara"):
        world.gate.request(3, "stable", world.operator)
    rollback = world.gate.request_rollback("stable", world.operator)
    world.gate.execute(world.signed(rollback, "ap-1", "ap-2"))
    served = world.gate.served("stable")
    assert served is not None
    assert [a.artifact.name for a in served.admitted] == ["a"]


def test_a_waiver_that_runs_out_between_request_and_publication_stops_it() -> None:
    world = World()
    world.rules = rules_for("a")
    world.arrive(1, "a")
    world.gate.inspect(1, Scripted())
    signed = world.signed(world.gate.request(1, "stable", world.operator), "ap-1", "ap-2")
    world.now += timedelta(days=1)
    with pytest.raises(StatementChangedError, match="waivers"):
        world.gate.execute(signed)
    assert world.gate.pointer("stable") is None


def test_a_statement_that_hides_its_waivers_is_refused() -> None:
    from lockgate.approve import read_statement, request

    world = World()
    world.rules = rules_for("a")
    world.arrive(1, "a")
    world.gate.inspect(1, Scripted())
    statement = read_statement(world.gate.request(1, "stable", world.operator))
    assert statement.waivers != ()
    hidden = msgspec.structs.replace(statement, waivers=())
    asked = request(hidden, world.operator, world.site, world.now)
    with pytest.raises(StatementChangedError, match="waivers"):
        world.gate.execute(world.signed(asked, "ap-1", "ap-2"))


def test_no_waiver_admits_what_nobody_read() -> None:
    world = World()
    world.rules = rules_for("a")
    world.arrive(1, "a")
    assert "incomplete" in world.gate.inspect(1, Scripted(a=Outcome.INCOMPLETE)).held[0].reason


def test_a_crash_between_the_files_and_the_record_is_completed_by_doing_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    high = HighSide.new(tmp_path)
    file = write_rules(tmp_path, HOLDING)
    signed = high.signed(RULES.propose_file(high.side, file, high.operator), "rules")

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("encode", "spend"):
        with monkeypatch.context() as patch:
            patch.setattr(f"lockgate.app.gate.versioned.{name}", cut)
            with pytest.raises(KeyboardInterrupt):
                RULES.activate(high.side, file, signed)
    assert RULES.activate(high.side, file, signed).facts["version"] == "1"
    found = in_force(high.side)
    assert found is not None
    assert found.document.version == 1
