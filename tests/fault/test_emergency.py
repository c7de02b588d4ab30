"""Emergencies: one operator takes away at once and nothing else; who serves checks that from signatures."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from corpora.gates import OnePage, World
from corpora.homes import HighSide
from lockgate.admit.errors import NoSuchArtifactError, NothingOwedError, PredecessorError
from lockgate.admit.model import CHANNELS
from lockgate.app.high.channel import channel_reader
from lockgate.approve import ChannelReader, approve, read_statement
from lockgate.approve.errors import ChannelRollbackError, SnapshotMismatchError
from lockgate.cli.main import app
from lockgate.core.digests import sha256
from lockgate.core.emergency import Debt, EmergencyBoundError, NoEmergencyRightError, judge_debt
from lockgate.core.errors import LockgateError
from lockgate.core.policy import EmergencyRule, Right
from lockgate.core.snapshot import Generated
from lockgate.core.statement import (
    STATEMENT_TYPE,
    Operation,
    OwnRequestError,
    TooFewApproversError,
)
from lockgate.core.wire import encode
from lockgate.mirror import SignedChannel, SignedView
from lockgate.mirror.metrics import Metrics
from lockgate.trust.dsse import sign

RULE = EmergencyRule(rights=tuple(Right), owed_seconds=3600, withdraw_limit=2)
HOLD, WITHDRAW, BACK = Operation.HOLD, Operation.WITHDRAW, Operation.EMERGENCY_ROLLBACK


def purl(name: str) -> str:
    return f"pkg:generic/{name}@1"


class Site:
    """A gate with a channel file, and a mirror's reader over both."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.world.with_policy(emergency=RULE)
        self.folder = folder
        self.world.publish(1, "doc-1", "one-1", "two-1", "six-1")

    @property
    def file(self) -> Path:
        target = self.folder / "stable.dsse.json"
        data = self.world.files["stable"]
        if not target.is_file() or target.read_bytes() != data:
            target.with_suffix(".new").write_bytes(data)
            target.with_suffix(".new").replace(target)
        return target

    def reader(self) -> ChannelReader:
        """Return a service that has just started; its version floor stays from the one before."""
        return ChannelReader(
            self.world.site, "stable", self.file, self.world.blobs, self.folder / "floor", pages=self.pages
        )

    @staticmethod
    def pages(admitted, read):
        return [
            Generated(path=p.path, media_type=p.media_type, size=len(p.body), sha256=sha256(p.body))
            for p in OnePage().pages(admitted, read)
        ]

    def served(self) -> list[str]:
        return sorted(a.artifact.purl for a in self.reader().current().snapshot.admitted)

    def act(self, operation: Operation, *names: str) -> bytes:
        emergencies = self.world.gate.emergencies
        purls = [purl(name) for name in names]
        return emergencies.act(operation, "stable", purls, "it bites", self.world.operator)

    def forge(self, after_changes=None, *, envelope: bytes | None = None, **changes: object) -> bytes:
        """Sign an emergency by hand, with the operator's real key, and give it to whoever serves."""
        statement = read_statement(envelope or self.world.files["stable"])
        if after_changes is not None:
            held = self.reader().current().snapshot
            snapshot = msgspec.structs.replace(held, **after_changes)
            changes["snapshot_sha256"] = self.world.blobs.put_bytes(encode(snapshot))
        forged = sign(
            STATEMENT_TYPE, encode(msgspec.structs.replace(statement, **changes)), [self.world.operator]
        )
        self.world.files["stable"] = forged
        return forged

    def by_hand(self, operation: Operation, artifacts: str = "", **changes: object) -> dict[str, object]:
        """Return the changes that make an emergency out of the channel's present statement."""
        present = self.world.files["stable"]
        statement = read_statement(present)
        facts = {"base": self.world.blobs.put_bytes(present), "reason": "x", "artifacts": artifacts}
        return {
            "operation": operation,
            "channel_version": statement.channel_version + 1,
            "previous_sha256": statement.snapshot_sha256,
            "facts": facts,
            **changes,
        }


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_one_operator_withdraws_is_served_no_more_at_once(site: Site) -> None:
    running = site.reader()
    running.current()
    site.act(WITHDRAW, "one-1")
    assert site.file.is_file()
    now = running.current()
    assert purl("one-1") not in {a.artifact.purl for a in now.snapshot.admitted}
    assert (now.held, now.statement.requester) == ((), "operator")
    assert now.snapshot.generated == tuple(site.pages(now.snapshot.admitted, None))
    assert site.served() == [purl("doc-1"), purl("six-1"), purl("two-1")]
    assert now.owed == (now.statement,)


def test_what_is_held_goes_on_where_it_is_loaded_until_it_is_withdrawn(site: Site) -> None:
    site.act(HOLD, "one-1", "two-1")
    now = site.reader().current()
    assert [a.artifact.purl for a in now.held] == [purl("one-1"), purl("two-1")]
    assert len(now.usable) == 4
    assert len(now.snapshot.admitted) == 2
    site.act(WITHDRAW, "one-1")
    later = site.reader().current()
    assert [a.artifact.purl for a in later.held] == [purl("two-1")]
    assert later.snapshot == now.snapshot
    assert len(later.owed) == 2


def test_a_rollback_goes_to_the_snapshot_before_and_no_further(site: Site) -> None:
    before = site.served()
    site.world.publish(2, "doc-2")
    site.act(BACK)
    assert site.served() == before
    with pytest.raises(EmergencyBoundError, match="only a publication by two"):
        site.act(BACK)
    asked = site.world.gate.request_rollback("stable", site.world.operator)
    site.world.gate.execute(site.world.signed(asked, "ap-1", "ap-2"))
    assert purl("doc-2") in site.served(), "two persons undo what one did"
    with pytest.raises(EmergencyBoundError, match="only a publication by two"):
        site.act(BACK)


def test_a_forged_rollback_names_the_snapshot_before_or_is_refused(site: Site) -> None:
    """Also one that was served once, two publications ago."""
    first = read_statement(site.world.files["stable"]).snapshot_sha256
    site.world.publish(2, "doc-2")
    site.world.publish(3, "doc-3")
    good = site.world.files["stable"]
    site.forge(**site.by_hand(BACK, snapshot_sha256=first))
    demand_stopped(site, EmergencyBoundError)
    site.world.files["stable"] = good
    site.act(BACK)
    assert purl("doc-2") in site.served()


def test_health_and_metrics_say_that_a_signature_is_owed_and_overdue(site: Site) -> None:
    site.act(HOLD, "one-1")
    reader, world = site.reader(), site.world
    view = SignedView(SignedChannel(reader, site.file), lambda: 0.0)
    owed = reader.current()
    assert owed.owed
    view._owed = owed.owed
    metrics = Metrics(view, lambda: world.now)

    def value(name: str) -> float:
        return metrics.registry.get_sample_value(f"lockgate_mirror_{name}")

    assert (value("second_signature"), value("second_signature_seconds")) == (1, 3600)
    world.now += timedelta(seconds=3600)
    assert (value("second_signature"), value("second_signature_seconds")) == (2, 0)
    assert view.status.debt(world.now) is Debt.OVERDUE


def test_two_undo_a_chain_of_emergencies(site: Site) -> None:
    before = site.served()
    site.act(HOLD, "one-1")
    site.act(WITHDRAW, "two-1")
    asked = site.world.gate.request_rollback("stable", site.world.operator)
    with pytest.raises(TooFewApproversError):
        site.world.gate.execute(site.world.signed(asked, "ap-1"))
    site.world.gate.execute(site.world.signed(asked, "ap-1", "ap-2"))
    assert site.served() == before
    assert site.world.gate.emergencies.owed() == ()


def test_what_was_withdrawn_stays_away_from_the_next_publication(site: Site) -> None:
    site.act(WITHDRAW, "one-1")
    site.world.publish(2, "new-1")
    assert site.served() == [purl("doc-1"), purl("new-1"), purl("six-1"), purl("two-1")]
    assert site.world.gate.emergencies.owed() == ()


def test_one_operator_withdraws_no_more_than_the_policy_says(site: Site) -> None:
    site.act(WITHDRAW, "one-1")
    site.act(WITHDRAW, "two-1")
    with pytest.raises(EmergencyBoundError, match="3 artifacts would be withdrawn; 2 may be") as refused:
        site.act(WITHDRAW, "six-1")
    assert refused.value.code == "LG-3005"
    site.act(HOLD, "six-1")
    with pytest.raises(NoSuchArtifactError):
        site.act(HOLD, "never-1")


@pytest.mark.parametrize("right", list(Right))
def test_without_the_policys_right_nothing_happens(site: Site, right: Right) -> None:
    site.world.publish(2, "doc-2")
    others = tuple(r for r in Right if r is not right)
    site.world.with_policy(emergency=msgspec.structs.replace(RULE, rights=others))
    operation = {Right.HOLD: HOLD, Right.WITHDRAW: WITHDRAW, Right.ROLLBACK: BACK}[right]
    with pytest.raises(NoEmergencyRightError) as refused:
        site.act(operation, *(() if right is Right.ROLLBACK else ("one-1",)))
    assert refused.value.code == "LG-3004"
    site.world.with_policy(emergency=msgspec.UNSET)
    with pytest.raises(NoEmergencyRightError):
        site.act(operation)


def test_the_second_signature_is_another_persons_and_pays_once(site: Site) -> None:
    world = site.world
    first, asked = site.act(HOLD, "one-1"), site.act(WITHDRAW, "two-1")
    gate = world.gate
    owed = gate.emergencies.owed()
    assert [s.operation for s in owed] == [HOLD, WITHDRAW]
    assert judge_debt(owed, world.now) is Debt.DUE
    assert judge_debt(owed, world.now + timedelta(seconds=3600)) is Debt.OVERDUE
    with pytest.raises(OwnRequestError):
        approve(asked, world.key("operator"), world.site, world.now)
    with pytest.raises(TooFewApproversError):
        gate.emergencies.ratify(asked)
    with pytest.raises(NothingOwedError):
        gate.emergencies.ratify(world.signed(first, "ap-1"))
    world.now += timedelta(days=1)
    paid = world.signed(asked, "ap-1")
    gate.emergencies.ratify(paid)
    assert (gate.emergencies.owed(), judge_debt((), world.now)) == ((), Debt.NONE)
    now = site.reader().current()
    assert (now.owed, now.approvers) == ((), {"ap-1"})
    with pytest.raises(NothingOwedError):
        gate.emergencies.ratify(paid)


# --- who serves decides it anew ----------------------------------------------------------------


def demand_stopped(site: Site, error: type[LockgateError]) -> None:
    """Demand that a service that starts now serves nothing."""
    with pytest.raises(error):
        site.reader().current()


def test_an_operators_key_alone_brings_nothing_in(site: Site) -> None:
    """Signed with the real key, past the gate, by somebody who can write blobs and channel files."""
    world = site.world
    good, held = world.files["stable"], site.reader().current().snapshot
    stranger = msgspec.structs.replace(held.admitted[0], outcome="opaque")
    cases = [
        (HOLD, {"admitted": (*held.admitted[1:], stranger)}, held.admitted[0].artifact.purl),
        (HOLD, {"admitted": (*held.admitted, stranger)}, purl("one-1")),
        (WITHDRAW, {"admitted": held.admitted[:-1], "created": held.created + timedelta(1)}, purl("two-1")),
        (WITHDRAW, {"admitted": held.admitted[3:]}, " ".join(a.artifact.purl for a in held.admitted[:3])),
        (WITHDRAW, {"admitted": held.admitted[1:]}, purl("two-1")),
        (BACK, {"admitted": held.admitted[1:]}, ""),
    ]
    for operation, changes, names in cases:
        site.forge(changes, **site.by_hand(operation, names))
        demand_stopped(site, EmergencyBoundError)
        world.files["stable"] = good
    site.forge(channel_version=2)
    demand_stopped(site, TooFewApproversError)
    world.files["stable"] = good
    assert len(site.served()) == 4


def test_pages_that_one_person_signed_are_not_believed(site: Site) -> None:
    held = site.reader().current().snapshot
    evil = Generated(path="files/SHA256SUMS", media_type="text/plain", size=1, sha256="f" * 64)
    changes = {"admitted": held.admitted[1:], "generated": (evil,)}
    site.forge(changes, **site.by_hand(HOLD, held.admitted[0].artifact.purl))
    demand_stopped(site, SnapshotMismatchError)
    blind = ChannelReader(site.world.site, "stable", site.file, site.world.blobs)
    assert blind.current().snapshot.generated == (), "who makes no pages anew gets none"


def test_an_emergency_follows_a_verified_statement_with_the_next_number(site: Site) -> None:
    held = site.reader().current().snapshot
    name = held.admitted[0].artifact.purl
    changes = {"admitted": held.admitted[1:], "generated": tuple(site.pages(held.admitted[1:], None))}
    good = site.world.files["stable"]
    for wrong in ({"channel_version": 3}, {"channel": "candidate"}):
        site.forge(changes, **site.by_hand(HOLD, name, **wrong))
        demand_stopped(site, EmergencyBoundError)
        site.world.files["stable"] = good
    site.forge(changes, **site.by_hand(HOLD, name, facts={"artifacts": name}))
    demand_stopped(site, SnapshotMismatchError)
    site.world.files["stable"] = good
    lonely = sign(STATEMENT_TYPE, encode(read_statement(good)), [site.world.operator])
    facts = {"artifacts": name, "base": site.world.blobs.put_bytes(lonely)}
    site.forge(changes, **site.by_hand(HOLD, name, facts=facts))
    demand_stopped(site, TooFewApproversError)


def test_removing_the_emergency_stops_and_does_not_open(site: Site) -> None:
    """Whoever can write rows and channel files puts back what was there before the emergency."""
    world = site.world
    base, row = world.files["stable"], None
    with world.records.transaction() as tx:
        row = tx.get(CHANNELS, "stable")
    running = site.reader()
    running.current()
    site.act(WITHDRAW, "one-1")
    assert site.file.is_file()
    assert len(running.current().snapshot.admitted) == 3
    with world.records.transaction() as tx:
        tx.put(CHANNELS, "stable", row)
    world.gate.recover()
    assert world.files["stable"] == base
    assert site.file.is_file()
    demand_stopped(site, ChannelRollbackError)
    with pytest.raises(ChannelRollbackError):
        running.current()


def test_a_publication_that_was_asked_for_before_an_emergency_is_void(site: Site) -> None:
    world = site.world
    world.arrive(2, "new-1")
    from corpora.gates import Scripted

    world.gate.inspect(2, Scripted())
    signed = world.signed(world.gate.request(2, "stable", world.operator), "ap-1", "ap-2")
    site.act(HOLD, "one-1")
    with pytest.raises(PredecessorError):
        world.gate.execute(signed)


def test_a_crash_between_record_and_file_is_completed(site: Site) -> None:
    envelope = site.act(WITHDRAW, "one-1")
    site.world.files.clear()
    site.world.gate.recover()
    assert site.world.files["stable"] == envelope


def test_every_emergency_is_in_the_log(site: Site) -> None:
    site.act(HOLD, "one-1")
    events = [event for _, event in site.world.log.events()]
    intent = next(e for e in events if e.get("action") == "hold")
    assert intent["facts"]["artifacts"] == purl("one-1")
    assert intent["facts"]["operator"] == "operator"
    assert events[-1]["status"] == "done"


# --- on a side, by command ---------------------------------------------------------------------


def test_the_command_line_holds_lists_and_ratifies(tmp_path: Path) -> None:
    high = HighSide.new(tmp_path)
    high.publish(1, "one", "two")
    home, run = ["--home", str(high.lane.high)], CliRunner()
    key = ["--key", str(high.lane.people["operator"]), "--reason", "it bites"]
    assert "No second signature" in run.invoke(app, ["gate", "owed", *home]).output
    done = run.invoke(app, ["gate", "withdraw", purl("one"), *key, *home])
    assert done.exit_code == 0, done.output
    assert run.invoke(app, ["gate", "hold", "what", *key, *home]).exit_code != 0
    owed = run.invoke(app, ["gate", "owed", *home])
    assert (owed.exit_code, "due" in owed.output) == (0, True)
    served = channel_reader(high.side, "test").current()
    assert [a.artifact.name for a in served.snapshot.admitted] == ["two"]
    request = high.side.home.pending / "withdraw-000002.json"
    signed = high.signed(request.read_bytes(), "second", ["approver-2"])
    paid = run.invoke(app, ["gate", "ratify", *map(str, signed), *home])
    assert paid.exit_code == 0, paid.output
    assert "No second signature" in run.invoke(app, ["gate", "owed", *home]).output
    held = run.invoke(app, ["gate", "hold", "crossing:1", *key, *home])
    assert held.exit_code == 0, held.output
    assert channel_reader(high.side, "test").current().snapshot.admitted == ()
    back = run.invoke(app, ["gate", "emergency-rollback", *key, *home])
    assert back.exit_code != 0
