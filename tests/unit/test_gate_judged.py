"""One artifact more has the gate judge that one alone, unless something else decides about the others now."""

import msgspec
import pytest

from corpora.gates import START, Scripted, World
from corpora.rulebook import rules_text
from lockgate.admit.errors import HeldBackError
from lockgate.admit.judged import JUDGED, Judged, Judgements
from lockgate.admit.model import CHANNELS, DENIED, RECHECKS, ChannelPointer, Recheck, recheck_key
from lockgate.core.digests import sha256
from lockgate.core.emergency import EmergencyRule, Right
from lockgate.core.policy import OpaqueRule
from lockgate.core.roots import Purpose, UnknownKeyError
from lockgate.core.rules import active_rules
from lockgate.core.statement import Operation
from lockgate.core.verdict import Outcome, Verdict
from lockgate.core.wire import decode
from lockgate.store.errors import BlobMissingError
from lockgate.trust.attest import FACTS, JUDGEMENT, REINSPECTION, attest
from lockgate.trust.keys import new_signer

DEMAND = """
[[rule]]
name = "looked-at-twice"
inspectors = ["yara"]
"""

WAIVER = """
[[waiver]]
purl = "pkg:pypi/{name}@1"
waives = "inspector:yara"
reason = "read by hand"
owner = "ap-1"
expires = 2026-05-20T00:00:00Z
"""


class Judging(World):
    """A gate whose channel has two crossings that were judged as a whole; the first is opaque."""

    def __init__(self) -> None:
        super().__init__()
        self.parted_from = 1
        self.with_policy(opaque=(OpaqueRule(detected="elf", approvers=2),))
        for number, name in enumerate(("one", "two"), 1):
            self.publish_one(number, name)

    def publish_one(self, number: int, name: str) -> None:
        self.execute(self.approved(number, name))

    def approved(self, number: int, name: str) -> bytes:
        self.arrive_packages(number, name)
        self.gate.inspect(number, Scripted(one=Outcome.OPAQUE))
        return self.signed(self.gate.request(number, "stable", self.operator), "ap-1", "ap-2")

    def execute(self, envelope: bytes) -> None:
        self.gate.execute(envelope)

    def names(self) -> set[str]:
        return {a.artifact.name for a in self.gate.served("stable").admitted}

    def forget_first_verdicts(self) -> None:
        """Lose what the first crossing is judged by, which shows whether it is judged."""
        self.quarantine.discard(self.gate.crossing(1).verdicts_sha256)

    def put(self, collection: str, key: str, value: bytes) -> None:
        with self.records.transaction() as tx:
            tx.put(collection, key, value)


@pytest.fixture
def world() -> Judging:
    return Judging()


def test_what_was_judged_is_not_judged_again(world: Judging) -> None:
    world.forget_first_verdicts()
    world.publish_one(3, "new")
    world.publish_one(4, "next")
    assert world.names() == {"one", "two", "new", "next"}


def test_a_rolled_back_channel_is_judged_and_then_known(world: Judging) -> None:
    back = world.gate.request_rollback("stable", world.operator)
    world.execute(world.signed(back, "ap-1", "ap-3"))
    world.forget_first_verdicts()
    world.publish_one(3, "new")
    assert world.names() == {"one", "new"}


def denied(world: Judging) -> None:
    world.put(DENIED, sha256(b"one"), b"9")


def found(world: Judging) -> None:
    """Look again, and find something."""
    data, crossing = b"one", world.gate.crossing(1)
    verdict = Verdict(
        path="documents/one",
        sha256=sha256(data),
        size=len(data),
        detected="text",
        outcome=Outcome.INCOMPLETE,
        covered=0,
        findings=(),
        inspectors=("scripted 2",),
    )
    recheck = Recheck(
        crossing=1,
        crate_sha256=crossing.crate_sha256,
        purl="pkg:pypi/one@1",
        inspected=START,
        verdicts=(verdict,),
    )
    envelope = attest({verdict.path: verdict.sha256}, REINSPECTION, recheck, world.inspector)
    digest = world.quarantine.put_bytes(envelope)
    world.put(RECHECKS, recheck_key(1, recheck.purl), digest.encode())


def forbidden(world: Judging) -> None:
    world.with_policy(opaque=())


def ruled(world: Judging) -> None:
    """Demand an inspector that read nothing, and waive that for all but the first artifact."""
    waived = [WAIVER.format(name=name) for name in ("two", "new")]
    world.rules = active_rules(rules_text(DEMAND + "".join(waived)).encode())


@pytest.mark.parametrize("change", [denied, found, forbidden, ruled])
def test_what_decides_otherwise_now_has_all_of_it_judged(world: Judging, change) -> None:
    served = world.names()
    change(world)
    envelope = world.approved(3, "new")
    with pytest.raises(HeldBackError, match="one"):
        world.execute(envelope)
    assert world.names() == served


def test_an_inspector_that_counts_no_longer_has_all_of_it_judged(world: Judging) -> None:
    """Another inspector signed what was judged last; the first verdicts stand and fall with theirs."""
    first, other = world.inspector, new_signer(Purpose.INSPECTOR, "other-inspector")
    both = {**world.site.keys, other.keyid: other.held(world.site.expires)}
    world.site, world.inspector = msgspec.structs.replace(world.site, keys=both), other
    world.publish_one(3, "three")
    world.publish_one(4, "four")
    left = {keyid: held for keyid, held in both.items() if keyid != first.keyid}
    world.site = msgspec.structs.replace(world.site, keys=left)
    envelope = world.approved(5, "new")
    with pytest.raises(UnknownKeyError):
        world.execute(envelope)


def test_after_an_emergency_all_of_it_is_judged(world: Judging) -> None:
    rule = EmergencyRule(rights=tuple(Right), owed_seconds=3600, withdraw_limit=1)
    world.with_policy(emergency=rule)
    world.publish_one(3, "new")
    world.gate.emergencies.act(Operation.WITHDRAW, "stable", ["pkg:pypi/new@1"], "bad", world.operator)
    world.forget_first_verdicts()
    with pytest.raises(BlobMissingError):
        world.publish_one(4, "next")


FORGERIES = ["nothing", "no envelope", "another key", "another kind", "another snapshot", "another basis"]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_row_that_names_no_signature_that_fits_spares_nothing(world: Judging, forgery: str) -> None:
    denied(world)
    with world.records.transaction() as tx:
        pointer = decode(ChannelPointer, tx.get(CHANNELS, "stable"))
    making = Judgements(world.parts)
    said = Judged(
        snapshot_sha256="1" * 64 if forgery == "another snapshot" else pointer.snapshot_sha256,
        basis=making.basis(world.gate.served("stable")),
        made=START,
    )
    if forgery == "another basis":
        basis = msgspec.structs.replace(said.basis, strictures_sha256="0" * 64)
        said = msgspec.structs.replace(said, basis=basis)
    signer = world.key("ap-1") if forgery == "another key" else world.inspector
    kind = FACTS if forgery == "another kind" else JUDGEMENT
    envelope = attest({"snapshot": said.snapshot_sha256}, kind, said, signer)
    digest = world.quarantine.put_bytes(b"{}" if forgery == "no envelope" else envelope)
    world.put(JUDGED, "stable", b"\xff" if forgery == "nothing" else digest.encode())
    approved = world.approved(3, "new")
    with pytest.raises(HeldBackError, match="one"):
        world.execute(approved)


def test_a_single_document_is_judged_whole_each_time() -> None:
    world = World()
    world.publish(1, "one")
    world.quarantine.discard(world.gate.crossing(1).verdicts_sha256)
    with pytest.raises(BlobMissingError):
        world.publish(2, "two")
