"""The gate: two persons, exact statements, all or nothing, and what it refuses."""

from datetime import timedelta

import msgspec
import pytest

from corpora.gates import Scripted, World
from lockgate.admit.errors import (
    HeldBackError,
    NoSuchCrossingError,
    NothingToAdmitError,
    PredecessorError,
    SnapshotDerivationError,
    VerdictsAlteredError,
    WrongStateError,
)
from lockgate.admit.model import CHANNELS, CROSSINGS, Verdicts, crossing_key
from lockgate.approve import approve, combine, read_statement, request
from lockgate.approve.errors import ApprovalSpentError, NotRequesterError, StatementChangedError
from lockgate.core.errors import LockgateError, TrustError
from lockgate.core.policy import OpaqueRule, Policy
from lockgate.core.roots import KeyPurposeError, Purpose, RootExpiredError, UnknownKeyError
from lockgate.core.sequence import CrossingState
from lockgate.core.snapshot import Snapshot
from lockgate.core.statement import (
    STATEMENT_TYPE,
    OwnRequestError,
    StatementExpiredError,
    TooFewApproversError,
)
from lockgate.core.verdict import Outcome
from lockgate.core.wire import decode, encode
from lockgate.store.errors import StaleRecordError
from lockgate.trust.dsse import sign
from lockgate.trust.errors import EnvelopeError, SignatureError
from lockgate.trust.keys import new_signer


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def asked(world: World) -> bytes:
    world.arrive(1, "a", "b")
    world.gate.inspect(1, Scripted())
    return world.gate.request(1, "stable", world.operator)


def test_two_approvers_publish_and_everything_is_recorded(world: World, asked: bytes) -> None:
    statement = world.gate.execute(world.signed(asked, "ap-1", "ap-2"))
    served = world.gate.served("stable")
    assert served is not None
    assert {a.artifact.name for a in served.admitted} == {"a", "b"}
    assert all(world.blobs.has(f.sha256) for a in served.admitted for f in a.artifact.files)
    assert world.blobs.has(served.generated[0].sha256)
    assert read_statement(world.files["stable"]) == statement
    assert world.gate.crossing(1).state is CrossingState.PUBLISHED
    assert world.marks[1] == CrossingState.PUBLISHED
    events = [e for _, e in world.log.events()]
    intents = [i for i, e in enumerate(events) if e["kind"] == "intent"]
    assert {e["intent"] for e in events if e["kind"] == "outcome"} == set(intents)
    assert events[-1]["facts"]["approvers"] == ["ap-1", "ap-2"]


def test_the_requester_one_person_and_strangers_cannot_approve(world: World, asked: bytes) -> None:
    with pytest.raises(OwnRequestError):
        world.signed(asked, "operator")
    own = combine([sign(STATEMENT_TYPE, encode(read_statement(asked)), [world.key("operator")]), asked])
    both = combine([own, world.signed(asked, "ap-1")])
    with pytest.raises(OwnRequestError):
        world.gate.execute(both)
    with pytest.raises(TooFewApproversError):
        world.gate.execute(world.signed(asked, "ap-1"))
    with pytest.raises(TooFewApproversError):
        world.gate.execute(asked)
    with pytest.raises(UnknownKeyError):
        approve(asked, new_signer(Purpose.APPROVER, "ap-2"), world.site, world.now)
    with pytest.raises(KeyPurposeError):
        approve(asked, world.inspector, world.site, world.now)
    assert world.gate.pointer("stable") is None
    assert world.files == {}


def test_one_person_with_two_keys_counts_once(world: World, asked: bytes) -> None:
    second = new_signer(Purpose.APPROVER, "ap-1")
    keys = {**world.site.keys, second.keyid: second.held(world.site.expires)}
    world.site = msgspec.structs.replace(world.site, keys=keys)
    both = combine([world.signed(asked, "ap-1"), approve(asked, second, world.site, world.now)])
    with pytest.raises(TooFewApproversError, match="1 of 2"):
        world.gate.execute(both)


def test_nobody_asks_in_anothers_name(world: World, asked: bytes) -> None:
    statement = read_statement(asked)
    forged = msgspec.structs.replace(statement, requester="somebody")
    with pytest.raises(NotRequesterError):
        request(forged, world.operator, world.site, world.now)
    unasked = sign(STATEMENT_TYPE, encode(forged), [world.operator, world.key("ap-1"), world.key("ap-2")])
    with pytest.raises(NotRequesterError):
        world.gate.execute(unasked)
    silent = sign(STATEMENT_TYPE, encode(statement), [world.key("ap-1"), world.key("ap-2")])
    with pytest.raises(NotRequesterError):
        world.gate.execute(silent)


def test_a_rule_for_opaque_content_may_demand_more_persons(world: World) -> None:
    rules = (OpaqueRule(detected="elf", approvers=3),)
    world.site = msgspec.structs.replace(world.site, policy=Policy(opaque=rules))
    world.arrive(1, "a", "b")
    world.gate.inspect(1, Scripted(b=Outcome.OPAQUE))
    asked = world.gate.request(1, "stable", world.people["operator"][Purpose.OPERATOR])
    with pytest.raises(TooFewApproversError, match="opaque content in crossing 1 demand 3"):
        world.gate.execute(world.signed(asked, "ap-1", "ap-2"))
    assert world.gate.pointer("stable") is None
    world.gate.execute(world.signed(asked, "ap-1", "ap-2", "ap-3"))
    assert world.gate.served("stable") is not None


def test_a_rule_for_opaque_content_demands_nothing_of_what_is_understood(world: World) -> None:
    rules = (OpaqueRule(detected="elf", approvers=3),)
    world.site = msgspec.structs.replace(world.site, policy=Policy(opaque=rules))
    world.arrive(1, "a")
    world.gate.inspect(1, Scripted())
    asked = world.gate.request(1, "stable", world.people["operator"][Purpose.OPERATOR])
    world.gate.execute(world.signed(asked, "ap-1", "ap-2"))
    assert world.gate.served("stable") is not None


def test_a_changed_statement_voids_the_approvals(world: World, asked: bytes) -> None:
    signed = world.signed(asked, "ap-1", "ap-2")
    statement = read_statement(signed)
    changed = msgspec.structs.replace(statement, channel="candidate")
    with pytest.raises(EnvelopeError):
        combine([signed, sign(STATEMENT_TYPE, encode(changed), [world.key("ap-3")])])
    opened = msgspec.json.decode(signed)
    opened["payload"] = msgspec.json.decode(sign(STATEMENT_TYPE, encode(changed), []))["payload"]
    with pytest.raises(SignatureError):
        world.gate.execute(encode(opened))
    assert world.files == {}


def test_approvals_expire_work_once_and_follow_their_predecessor(world: World, asked: bytes) -> None:
    signed = world.signed(asked, "ap-1", "ap-2")
    before, world.now = world.now, world.now + timedelta(days=8)
    with pytest.raises(StatementExpiredError):
        world.gate.execute(signed)
    world.now = before - timedelta(days=3)
    with pytest.raises(StatementExpiredError, match="future"):
        world.gate.execute(signed)
    world.now = before
    world.gate.execute(signed)
    world.gate.execute(signed)  # the same again completes a crash and changes nothing
    assert world.gate.pointer("stable").version == 1
    with pytest.raises(ApprovalSpentError):
        world.gate.execute(world.signed(asked, "ap-1", "ap-3"))
    world.publish(2, "c")
    with pytest.raises(ApprovalSpentError):
        world.gate.execute(signed)
    assert world.gate.pointer("stable").version == 2


def test_two_requests_at_once_only_the_first_wins(world: World, asked: bytes) -> None:
    world.arrive(2, "z")
    world.gate.inspect(2, Scripted())
    other = world.gate.request(2, "stable", world.operator)
    world.gate.execute(world.signed(asked, "ap-1", "ap-2"))
    with pytest.raises(PredecessorError):
        world.gate.execute(world.signed(other, "ap-1", "ap-2"))


def test_policy_and_verdicts_must_be_those_that_were_signed(world: World, asked: bytes) -> None:
    signed = world.signed(asked, "ap-1", "ap-2")
    world.with_policy(approval_seconds=3600)
    with pytest.raises(StatementChangedError, match="policy"):
        world.gate.execute(signed)
    world.with_policy(approval_seconds=7 * 86400)
    world.now += timedelta(seconds=5)
    world.gate.inspect(1, Scripted())
    with pytest.raises(StatementChangedError, match="inspected again"):
        world.gate.execute(signed)


def test_held_artifacts_stay_in_quarantine_and_the_rest_may_enter(world: World) -> None:
    world.arrive(1, "good", "bad", "code")
    crossing = world.gate.inspect(1, Scripted(bad=Outcome.INCOMPLETE, code=Outcome.OPAQUE))
    assert [h.purl for h in crossing.held] == ["pkg:generic/bad@1"]
    with pytest.raises(HeldBackError):
        world.gate.request(1, "stable", world.operator)
    asked = world.gate.request(1, "stable", world.operator, partial=True)
    world.gate.execute(world.signed(asked, "ap-2", "ap-3"))
    served = world.gate.served("stable")
    assert {a.artifact.name: a.outcome for a in served.admitted} == {"good": "clean", "code": "opaque"}
    bad = next(a for a in world.gate.lock(crossing).artifacts if a.name == "bad")
    assert not world.blobs.has(bad.files[0].sha256)


def test_labels_outside_the_policy_and_empty_sets_are_refused(world: World) -> None:
    world.arrive(1, "a", label="secret")
    world.gate.inspect(1, Scripted())
    with pytest.raises(NothingToAdmitError):
        world.gate.request(1, "stable", world.operator, partial=True)


def test_rejected_digests_are_denied_for_good(world: World) -> None:
    world.arrive(1, "a")
    with pytest.raises(WrongStateError):
        world.gate.request(1, "stable", world.operator)
    world.gate.inspect(1, Scripted())
    world.gate.execute(world.signed(world.gate.request_reject(1, world.operator), "ap-1", "ap-2"))
    assert world.gate.crossing(1).state is CrossingState.REJECTED
    with pytest.raises(WrongStateError):
        world.gate.inspect(1, Scripted())
    world.arrive(2, "a")
    assert world.gate.inspect(2, Scripted()).held[0].reason == "Rejected before."


def test_rollback_moves_only_the_pointer_and_needs_two(world: World) -> None:
    world.publish(1, "doc-1")
    first = world.gate.pointer("stable")
    with pytest.raises(WrongStateError):
        world.gate.request_rollback("stable", world.operator)
    world.publish(2, "doc-2")
    assert [a.artifact.purl for a in world.gate.served("stable").admitted] == ["pkg:generic/doc-2@1"]
    asked = world.gate.request_rollback("stable", world.operator)
    with pytest.raises(TooFewApproversError):
        world.gate.execute(world.signed(asked, "ap-3"))
    world.gate.execute(world.signed(asked, "ap-3", "ap-1"))
    now = world.gate.pointer("stable")
    assert (now.version, now.snapshot_sha256) == (3, first.snapshot_sha256)
    assert world.marks == {1: CrossingState.PUBLISHED, 2: CrossingState.PUBLISHED}


def test_rows_are_not_trusted(world: World) -> None:
    world.arrive(1, "a")
    crossing = world.gate.inspect(1, Scripted(a=Outcome.INCOMPLETE))
    verdicts = world.gate.verdicts(crossing)
    better = msgspec.structs.replace(verdicts.verdicts[0], outcome=Outcome.CLEAN)
    forged = world.quarantine.put_bytes(
        encode(Verdicts(**{**msgspec.structs.asdict(verdicts), "verdicts": (better,)}))
    )
    row = encode(msgspec.structs.replace(crossing, verdicts_sha256=forged, held=()))
    with world.records.transaction() as tx:
        tx.put(CROSSINGS, crossing_key(1), row)
    with pytest.raises(VerdictsAlteredError):
        world.gate.request(1, "stable", world.operator)
    with world.records.transaction() as tx:
        tx.put(CROSSINGS, crossing_key(1), encode(crossing))
    lacking = msgspec.structs.replace(verdicts, verdicts=())
    with pytest.raises(VerdictsAlteredError):
        world.gate.inspect(1, _Says(lacking.verdicts))


class _Says:
    def __init__(self, verdicts):
        self.verdicts = verdicts

    def inspect(self, items):
        del items
        return list(self.verdicts)


def test_a_crash_between_record_and_file_is_completed(world: World, asked: bytes) -> None:
    signed = world.signed(asked, "ap-1", "ap-2")
    world.gate.execute(signed)
    world.files.clear()
    assert world.gate.recover() == ["stable"]
    assert world.files["stable"] == signed


def test_a_blob_altered_in_quarantine_is_not_published(world: World, asked: bytes) -> None:
    digest = world.gate.lock(world.gate.crossing(1)).artifacts[0].files[0].sha256
    world.quarantine._blobs[digest] = b"evil"
    with pytest.raises(TrustError):
        world.gate.execute(world.signed(asked, "ap-1", "ap-2"))
    assert world.gate.pointer("stable") is None
    assert world.files == {}
    last = world.log.event(world.log.size() - 1)
    assert (last["status"], last["facts"]["code"]) == ("refused", "LG-2201")


def test_one_number_cannot_hold_two_crates(world: World) -> None:
    world.arrive(1, "a")
    world.arrive(1, "a")
    crossing = world.gate.crossing(1)
    with pytest.raises(LockgateError):
        world.gate.quarantined(1, "crate-000001-ffffff", "f" * 64, crossing.lock_sha256)
    with pytest.raises(NoSuchCrossingError):
        world.gate.crossing(9)
    assert [c.sequence for c in world.gate.crossings()] == [1]


def test_a_row_that_changed_meanwhile_is_not_overwritten(world: World, asked: bytes) -> None:
    signed = world.signed(asked, "ap-1", "ap-2")
    with world.records.transaction() as tx:
        tx.put(CHANNELS, "other", b"{}")
    stale = world.gate.crossing(1)
    with world.records.transaction() as tx:
        tx.put(CROSSINGS, crossing_key(1), encode(msgspec.structs.replace(stale, crate_id="changed")))
    with pytest.raises(StaleRecordError):
        world.gate._save(stale, stale)
    world.gate.execute(signed)


def test_an_expired_root_stops_admission_and_nothing_else(world: World, asked: bytes) -> None:
    signed = world.signed(asked, "ap-1", "ap-2")
    world.gate.execute(signed)
    world.publish(2, "c")
    back = world.signed(world.gate.request_rollback("stable", world.operator), "ap-1", "ap-3")
    world.arrive(3, "d")
    world.gate.inspect(3, Scripted())
    late = world.signed(world.gate.request(3, "stable", world.operator), "ap-1", "ap-2")
    world.site = msgspec.structs.replace(world.site, expires=world.now)
    with pytest.raises(RootExpiredError):
        world.gate.request(3, "stable", world.operator)
    with pytest.raises(RootExpiredError):
        world.gate.execute(late)
    assert world.gate.served("stable") is not None
    world.gate.execute(back)
    assert world.gate.pointer("stable").version == 3


@pytest.mark.parametrize("forgery", ["page", "outcome", "lane", "stranger"])
def test_a_snapshot_prepared_by_hand_is_refused_though_approvers_signed_it(
    world: World, asked: bytes, forgery: str
) -> None:
    world.arrive(2, "z")
    world.gate.inspect(2, Scripted())
    second = world.gate.crossing(2)
    strangers = world.gate.assess(second).fresh(second)
    statement = read_statement(asked)
    snapshot = decode(Snapshot, world.quarantine.read(statement.snapshot_sha256))
    first = snapshot.admitted[0]
    forged = {
        "page": {"generated": (msgspec.structs.replace(snapshot.generated[0], sha256=first.crate_sha256),)},
        "outcome": {"admitted": (msgspec.structs.replace(first, outcome="opaque"), *snapshot.admitted[1:])},
        "lane": {"lane": "other"},
        "stranger": {"admitted": (*snapshot.admitted, *strangers)},
    }[forgery]
    digest = world.quarantine.put_bytes(encode(msgspec.structs.replace(snapshot, **forged)))
    changed = msgspec.structs.replace(statement, snapshot_sha256=digest)
    signed = world.signed(request(changed, world.operator, world.site, world.now), "ap-1", "ap-2")
    with pytest.raises(SnapshotDerivationError):
        world.gate.execute(signed)
    assert world.gate.pointer("stable") is None
