"""New rules look again at what was admitted: what changes is signed, refused and taken, within bounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest

from corpora.gates import OnePage, Scripted, World
from lockgate.admit import FileInspector, Gate, ToInspect
from lockgate.admit.errors import HeldBackError, VerdictsAlteredError
from lockgate.admit.model import CHANNELS, RECHECKS, recheck_key
from lockgate.approve import ChannelReader, read_statement
from lockgate.core.digests import sha256
from lockgate.core.emergency import EmergencyBoundError, NoEmergencyRightError
from lockgate.core.errors import LockgateError
from lockgate.core.policy import AutomaticRule, EmergencyRule, Right
from lockgate.core.refusals import Refusals
from lockgate.core.roots import KeyPurposeError
from lockgate.core.snapshot import Generated
from lockgate.core.statement import STATEMENT_TYPE, Operation
from lockgate.core.verdict import Finding, Outcome, Severity, Verdict
from lockgate.core.wire import decode, encode
from lockgate.trust.dsse import open_envelope, sign

NAMES = ("doc-1", "one-1", "two-1", "six-1")
RULE = AutomaticRule(withdraw_limit=2, hold_limit=1)
WORM = Finding(code="rule-worm", severity=Severity.CRITICAL, where="@0", why="It is a worm.")


def purl(name: str) -> str:
    return f"pkg:generic/{name}@1"


@dataclass
class Newer(FileInspector):
    """Finds worms where a test says that they are; its verdicts rest on a version of its rules."""

    bad: Sequence[str] = ()
    rules: str = "2"
    severity: Severity = Severity.CRITICAL
    seen: list[str] = field(default_factory=list)
    before: Callable[[int], None] = lambda _: None

    def basis(self) -> dict[str, str]:
        return {"rules": self.rules}

    def inspect(self, items: Sequence[ToInspect]) -> list[Verdict]:
        self.before(len(self.seen))
        self.seen += [item.file.path for item in items]
        return [
            msgspec.structs.replace(
                made,
                basis=self.basis(),
                outcome=Outcome.FINDINGS if item.file.path[10:] in self.bad else made.outcome,
                findings=(msgspec.structs.replace(WORM, severity=self.severity),)
                if item.file.path[10:] in self.bad
                else (),
            )
            for item, made in zip(items, Scripted().inspect(items), strict=True)
        ]


class Site:
    """A gate with a channel file and a mirror's reader over it."""

    def __init__(self, folder: Path, rule: AutomaticRule | None = RULE) -> None:
        self.world, self.folder = World(), folder
        self.world.with_policy(emergency=EmergencyRule(rights=tuple(Right), withdraw_limit=2))
        if rule is not None:
            self.world.with_policy(automatic=rule)
        self.lists: list[bytes] = []
        self.world.publish(1, *NAMES)

    @property
    def gate(self) -> Gate:
        return Gate(replace(self.world.gate._p, write_refusals=self.lists.append))

    def served(self) -> list[str]:
        file = self.folder / "stable.dsse.json"
        file.write_bytes(self.world.files["stable"])
        reader = ChannelReader(self.world.site, "stable", file, self.world.blobs, pages=self.pages)
        verified = reader.current()
        self.held = [a.artifact.name for a in verified.held]
        self.owed = verified.owed
        return sorted(a.artifact.name for a in verified.snapshot.admitted)

    @staticmethod
    def pages(admitted, read):
        return [
            Generated(path=p.path, media_type=p.media_type, size=len(p.body), sha256=sha256(p.body))
            for p in OnePage().pages(admitted, read)
        ]

    def look(self, *bad: str, **changes: object):
        return self.gate.reinspector.run(Newer(bad, **changes))

    def refused(self) -> dict[str, str]:
        return decode(Refusals, open_envelope(self.lists[-1]).payload).refused


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_newer_rules_find_is_withdrawn_at_once_and_nobody_owes_a_signature(site: Site) -> None:
    found = site.look("one-1")
    assert (found.total, found.done) == (4, 4)
    assert [(c.purl, c.before, c.after, c.codes, c.held) for c in found.changed] == [
        (purl("one-1"), "clean", "findings", ("rule-worm",), True)
    ]
    assert [(t.channel, t.withdrawn, t.held, t.beyond) for t in found.taken] == [
        ("stable", (purl("one-1"),), (), ())
    ]
    assert site.served() == ["doc", "six", "two"]
    assert (site.held, site.owed) == ([], ())
    statement = read_statement(site.world.files["stable"])
    assert (statement.operation, statement.requester) == (Operation.AUTOMATIC_WITHDRAW, "gate-inspector")
    assert site.refused() == {sha256(b"one-1"): "rule-worm (critical) at @0: It is a worm."}
    events = [event for _, event in site.world.log.events()]
    assert [e["facts"]["purl"] for e in events if e.get("action") == "verdict-changed"] == [purl("one-1")]


def test_only_what_is_old_is_looked_at(site: Site) -> None:
    inspector = Newer()
    assert site.gate.reinspector.run(inspector).changed == ()
    assert len(inspector.seen) == 4
    again = Newer()
    assert site.gate.reinspector.run(again).total == 0
    assert again.seen == []
    assert len(site.gate.reinspector.old({"rules": "3"})) == 4
    assert site.served() == ["doc", "one", "six", "two"]
    assert site.lists == [], "nothing is refused, and nothing ever was"


def test_what_is_beyond_the_cap_is_held_and_what_is_beyond_that_is_told_and_left(site: Site) -> None:
    found = site.look("one-1", "two-1", "six-1", "doc-1")
    (taken,) = found.taken
    assert (len(taken.withdrawn), len(taken.held), len(taken.beyond)) == (2, 1, 1)
    assert [purl(f"{name}-1") for name in site.served()] == list(taken.beyond)
    assert [purl(f"{name}-1") for name in site.held] == list(taken.held)
    again = site.look("one-1", "two-1", "six-1", "doc-1", rules="3")
    assert again.taken[0].beyond == taken.beyond, "a second run takes no more than the first"
    assert len(site.refused()) == 4, "none of them is loaded anew"


def test_the_worst_is_withdrawn_before_what_is_less_bad(site: Site) -> None:
    site.world.with_policy(automatic=AutomaticRule(withdraw_limit=1, hold_limit=9))

    class Mixed(Newer):
        def inspect(self, items):
            low = {"documents/doc-1": Severity.HIGH, "documents/six-1": Severity.MEDIUM}
            made = super().inspect(items)
            return [
                msgspec.structs.replace(
                    v,
                    findings=tuple(
                        msgspec.structs.replace(f, severity=low.get(v.path, f.severity)) for f in v.findings
                    ),
                )
                for v in made
            ]

    (taken,) = site.gate.reinspector.run(Mixed(("doc-1", "six-1", "two-1"))).taken[-1:]
    assert site.served() == ["one"]
    assert set(taken.held) | set(taken.withdrawn) <= {purl(n) for n in ("doc-1", "six-1", "two-1")}
    assert purl("two-1") not in {purl(f"{name}-1") for name in site.held}


def test_without_a_rule_nothing_is_taken_and_everything_is_told(tmp_path: Path) -> None:
    site = Site(tmp_path, None)
    found = site.look("one-1")
    assert found.taken[0].beyond == (purl("one-1"),)
    assert site.served() == ["doc", "one", "six", "two"]
    assert list(site.refused()) == [sha256(b"one-1")], "whoever loads it is told"
    with pytest.raises(NoEmergencyRightError):
        site.gate.emergencies.take_away(Operation.AUTOMATIC_WITHDRAW, "stable", [purl("one-1")], "x", [])


def test_what_policy_lets_pass_stays(site: Site) -> None:
    found = site.look("one-1", severity=Severity.LOW)
    assert [(c.after, c.held) for c in found.changed] == [("findings", False)]
    assert found.taken == ()
    assert "one" in site.served()


def test_a_better_verdict_lifts_nothing(site: Site) -> None:
    site.look("one-1")
    found = site.look(rules="3")
    assert found.changed == ()
    assert "one" not in site.served()
    assert list(site.refused()) == [sha256(b"one-1")]


def test_what_was_taken_comes_back_neither_by_rollback_nor_with_the_next_crossing(site: Site) -> None:
    before = site.world.files["stable"]
    site.look("one-1")
    asked = site.gate.request_rollback("stable", site.world.operator)
    with pytest.raises(HeldBackError, match="rule-worm"):
        site.gate.execute(site.world.signed(asked, "ap-1", "ap-2"))
    site.world.publish(2, "next-1")
    assert site.served() == ["doc", "next", "six", "two"]
    assert read_statement(before).channel_version == 1


class KilledError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("step", range(24))
def test_a_kill_at_any_step_is_gone_on_from(tmp_path: Path, step: int, monkeypatch) -> None:
    """Every write of records, blobs and channel may be the last before the kill."""
    site = Site(tmp_path, AutomaticRule(withdraw_limit=4))
    monkeypatch.setattr("lockgate.admit.reinspect.BATCH_FILES", 1)
    left = [step]

    def one(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError

    parts = site.gate._p
    real = {"put": type(parts.records).transaction, "blob": type(parts.quarantine).put_bytes}

    def transaction(self):
        one()
        return real["put"](self)

    def put_bytes(self, data):
        one()
        return real["blob"](self, data)

    with monkeypatch.context() as patch:
        patch.setattr(type(parts.records), "transaction", transaction)
        patch.setattr(type(parts.quarantine), "put_bytes", put_bytes)
        try:
            site.look("one-1", "six-1")
            killed = False
        except KilledError:
            killed = True
    assert killed or step > 10
    site.gate.recover()
    site.served()  # whatever is there verifies
    site.look("one-1", "six-1")
    assert site.served() == ["doc", "two"]
    assert set(site.refused()) == {sha256(b"one-1"), sha256(b"six-1")}
    assert site.look("one-1", "six-1").total == 0


def test_a_kill_between_signing_and_withdrawing_is_made_good_by_the_next_run(site: Site, monkeypatch) -> None:
    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("lockgate.admit.emergency.Emergencies.take_away", die)
        with pytest.raises(KilledError):
            site.look("one-1")
    assert "one" in site.served()
    found = site.look("one-1")
    assert (found.total, found.taken[0].withdrawn) == (0, (purl("one-1"),))
    assert "one" not in site.served()


def test_what_is_signed_already_is_not_looked_at_twice(site: Site, monkeypatch) -> None:
    monkeypatch.setattr("lockgate.admit.reinspect.BATCH_FILES", 1)

    def die(seen: int) -> None:
        if seen == 2:
            raise KilledError

    first = Newer(before=die)
    with pytest.raises(KilledError):
        site.gate.reinspector.run(first)
    second = Newer()
    assert site.gate.reinspector.run(second).total == 2
    assert sorted(first.seen + second.seen) == sorted(f"documents/{name}" for name in NAMES)


def rows(site: Site, name: str) -> bytes:
    with site.world.records.transaction() as tx:
        return tx.get(RECHECKS, recheck_key(1, purl(name)))


def put(site: Site, name: str, value: bytes) -> None:
    with site.world.records.transaction() as tx:
        tx.put(RECHECKS, recheck_key(1, purl(name)), value)


def test_newer_verdicts_that_nobody_signed_stop_the_gate(site: Site) -> None:
    site.look("one-1")
    good = rows(site, "two-1")
    put(site, "one-1", good)  # a verdict on something else
    with pytest.raises(VerdictsAlteredError, match="something else"):
        site.gate.assess(site.gate.crossing(1))
    envelope = site.world.quarantine.read(good.decode())
    forged = sign(
        open_envelope(envelope).payload_type, open_envelope(envelope).payload, [site.world.operator]
    )
    put(site, "one-1", site.world.quarantine.put_bytes(forged).encode())
    with pytest.raises(KeyPurposeError):
        site.gate.assess(site.gate.crossing(1))


def by_hand(site: Site, operation: Operation, keep: Sequence[str], signer, **facts: str) -> None:
    """Give whoever serves a statement of the gate's own kind, signed by some key."""
    present = site.world.files["stable"]
    statement = read_statement(present)
    snapshot = site.gate.served("stable")
    kept = tuple(a for a in snapshot.admitted if a.artifact.name in keep)
    after = msgspec.structs.replace(snapshot, admitted=kept, generated=tuple(site.pages(kept, None)))
    gone = " ".join(sorted(a.artifact.purl for a in snapshot.admitted if a not in kept))
    made = msgspec.structs.replace(
        statement,
        operation=operation,
        channel_version=statement.channel_version + 1,
        previous_sha256=statement.snapshot_sha256,
        snapshot_sha256=site.world.blobs.put_bytes(encode(after)),
        requester=signer.person,
        facts={"base": site.world.blobs.put_bytes(present), "reason": "x", "artifacts": gone, **facts},
    )
    site.world.files["stable"] = sign(STATEMENT_TYPE, encode(made), [signer])


AWAY, STOP = Operation.AUTOMATIC_WITHDRAW, Operation.AUTOMATIC_HOLD


def test_whoever_serves_accepts_no_more_from_the_gate_than_the_policy_says(site: Site) -> None:
    signer = site.world.inspector
    for operation, keep in ((AWAY, ["doc"]), (STOP, ["doc", "one"])):
        before = site.world.files["stable"]
        by_hand(site, operation, keep, signer)
        with pytest.raises(EmergencyBoundError, match="the gate would"):
            site.served()
        site.world.files["stable"] = before
    by_hand(site, AWAY, ["doc", "one", "six"], signer)
    assert site.served() == ["doc", "one", "six"]


def test_only_the_inspectors_key_signs_for_the_gate_and_it_signs_nothing_else(site: Site) -> None:
    before = site.world.files["stable"]
    by_hand(site, AWAY, ["doc", "one", "six"], site.world.operator)
    with pytest.raises(LockgateError, match="is for operator"):
        site.served()
    site.world.files["stable"] = before
    by_hand(site, Operation.WITHDRAW, ["doc", "one", "six"], site.world.inspector)
    with pytest.raises(LockgateError, match="is for inspector"):
        site.served()


def test_what_operators_may_withdraw_is_counted_apart_from_the_gate(site: Site) -> None:
    site.look("one-1", "two-1")
    assert site.served() == ["doc", "six"]
    purls = [purl("doc-1"), purl("six-1")]
    site.gate.emergencies.act(Operation.WITHDRAW, "stable", purls, "it bites", site.world.operator)
    assert site.served() == []
    assert [s.operation for s in site.owed] == [Operation.WITHDRAW]


def test_two_persons_begin_the_count_anew(site: Site) -> None:
    site.look("one-1", "two-1")
    site.world.publish(2, "new-1", "other-1")
    found = site.look("one-1", "two-1", "new-1", "other-1", rules="3")
    assert found.taken[0].beyond == ()
    assert site.served() == ["doc", "six"]
    with site.world.records.transaction() as tx:
        assert [name for name, _ in tx.scan(CHANNELS)] == ["stable"]
