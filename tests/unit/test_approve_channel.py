"""What serves trusts signatures: a channel is read through its approvers' signatures, or not at all."""

import os
from pathlib import Path

import msgspec
import pytest

from corpora.gates import START, Scripted, World
from lockgate.approve import ChannelReader, combine, read_statement
from lockgate.approve.errors import (
    ChannelRollbackError,
    NothingPublishedError,
    NotRequesterError,
    SnapshotMismatchError,
)
from lockgate.core.errors import LockgateError, MalformedDocumentError, NotCanonicalError, TooLargeError
from lockgate.core.roots import Purpose, UnknownKeyError
from lockgate.core.snapshot import Snapshot
from lockgate.core.statement import (
    STATEMENT_TYPE,
    Operation,
    OwnRequestError,
    Statement,
    TooFewApproversError,
)
from lockgate.core.wire import encode
from lockgate.trust.dsse import sign
from lockgate.trust.errors import EnvelopeError, SignatureError, WrongLaneError
from lockgate.trust.keys import new_signer


class Served:
    """A world with a published snapshot, a channel file and a reader over it."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.envelope = self.world.publish(1, "a")
        self.file = folder / "stable.dsse.json"
        self.floor = folder / "run" / "mirror-stable.version"
        self.write(self.envelope)
        self.reader = self.new_reader()

    def new_reader(self, channel: str = "stable") -> ChannelReader:
        return ChannelReader(self.world.site, channel, self.file, self.world.blobs, self.floor)

    def write(self, envelope: bytes) -> None:
        """Replace the channel file as the gate does: a new file under the same name."""
        partial = self.file.with_suffix(".partial")
        partial.write_bytes(envelope)
        partial.replace(self.file)

    def forged(self, *signers: str, **changes: object) -> bytes:
        """Return the published statement with changes, asked and signed by real people."""
        statement = msgspec.structs.replace(read_statement(self.envelope), **changes)
        keys = [self.world.operator, *(self.world.key(name) for name in signers)]
        return sign(STATEMENT_TYPE, encode(statement), keys)

    def demand_refused(self, envelope: bytes, error: type[LockgateError]) -> None:
        """Demand that neither a new nor a running reader takes the file, and that the old one holds on."""
        running = self.new_reader()
        before = running.current()
        self.write(envelope)
        for reader in (self.new_reader(), running):
            with pytest.raises(error):
                reader.current()
            assert reader.changed()
        self.write(self.envelope)
        assert running.current() == before


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


def test_what_two_persons_signed_is_served(served: Served) -> None:
    assert served.reader.changed()
    verified = served.reader.current()
    assert verified.statement == read_statement(served.envelope)
    assert verified.approvers == {"ap-1", "ap-2"}
    assert [a.artifact.name for a in verified.snapshot.admitted] == ["a"]
    assert not served.reader.changed()
    assert served.reader.current() is verified, "an unchanged file is not verified again"


def test_a_newer_file_is_taken_when_it_changes(served: Served) -> None:
    served.reader.current()
    newer = served.world.publish(2, "b")
    assert not served.reader.changed()
    served.write(newer)
    assert served.reader.changed()
    assert served.reader.current().statement.channel_version == 2
    assert served.floor.read_text() == "2"


def test_before_the_first_publication_nothing_is_served(served: Served) -> None:
    served.file.unlink()
    assert not served.new_reader().changed()
    with pytest.raises(NothingPublishedError, match="'stable' has no snapshot"):
        served.new_reader().current()


def test_a_file_that_vanished_is_no_snapshot_but_the_caller_may_go_on_with_the_old_one(
    served: Served,
) -> None:
    before = served.reader.current()
    served.file.unlink()
    assert served.reader.changed()
    with pytest.raises(NothingPublishedError):
        served.reader.current()
    served.write(served.envelope)
    assert served.reader.current() == before


def test_too_few_or_wrong_persons_are_refused(served: Served) -> None:
    served.demand_refused(served.forged(), TooFewApproversError)
    served.demand_refused(served.forged("ap-1"), TooFewApproversError)
    served.demand_refused(served.forged("ap-1", "operator"), OwnRequestError)
    served.demand_refused(served.forged("ap-1", "ap-2", requester="ap-3"), NotRequesterError)
    stranger = sign(
        STATEMENT_TYPE,
        encode(read_statement(served.envelope)),
        [served.world.operator, served.world.key("ap-1"), new_signer(Purpose.APPROVER, "ap-2")],
    )
    served.demand_refused(stranger, UnknownKeyError)


def test_a_policy_that_asks_for_more_persons_is_obeyed(served: Served) -> None:
    served.world.with_policy(approvers=3)
    with pytest.raises(TooFewApproversError, match="2 of 3"):
        served.new_reader().current()
    served.write(served.forged("ap-1", "ap-2", "ap-3"))
    assert len(served.new_reader().current().approvers) == 3


def test_statements_of_another_kind_channel_or_lane_are_refused(served: Served) -> None:
    served.demand_refused(served.forged("ap-1", "ap-2", operation=Operation.REJECT), EnvelopeError)
    served.demand_refused(served.forged("ap-1", "ap-2", channel="candidate"), EnvelopeError)
    served.demand_refused(served.forged("ap-1", "ap-2", lane="other"), WrongLaneError)
    served.demand_refused(
        served.forged("ap-1", "ap-2", format="lockgate-statement/2"), MalformedDocumentError
    )
    with pytest.raises(EnvelopeError):
        served.new_reader("candidate").current()
    other_type = sign("application/other", b"{}", [served.world.key("ap-1")])
    served.demand_refused(other_type, EnvelopeError)


def test_a_real_rejection_does_not_serve(served: Served) -> None:
    world = served.world
    world.arrive(2, "b")
    world.gate.inspect(2, Scripted())
    rejection = world.signed(world.gate.request_reject(2, world.operator), "ap-1", "ap-2")
    world.gate.execute(rejection)
    served.demand_refused(rejection, EnvelopeError)


def test_a_rollback_that_was_approved_serves_the_older_snapshot(served: Served) -> None:
    world = served.world
    first = served.reader.current()
    served.write(world.publish(2, "a-2"))
    assert served.reader.current().statement.channel_version == 2
    back = world.signed(world.gate.request_rollback("stable", world.operator), "ap-2", "ap-3")
    world.gate.execute(back)
    served.write(back)
    now = served.reader.current()
    assert (now.statement.channel_version, now.snapshot) == (3, first.snapshot)


def test_an_older_file_put_back_is_refused_even_after_a_restart(served: Served) -> None:
    running = served.reader
    running.current()
    newer = served.world.publish(2, "b")
    served.write(newer)
    running.current()
    served.write(served.envelope)
    for reader in (running, served.new_reader()):
        with pytest.raises(ChannelRollbackError, match="Version 1") as refused:
            reader.current()
        assert refused.value.where["floor"] == 2
    served.write(newer)
    assert running.current().statement.channel_version == 2
    assert served.new_reader().current().statement.channel_version == 2


def test_without_a_floor_file_the_running_process_still_never_goes_back(served: Served) -> None:
    reader = ChannelReader(served.world.site, "stable", served.file, served.world.blobs)
    newer = served.world.publish(2, "b")
    served.write(newer)
    reader.current()
    served.write(served.envelope)
    with pytest.raises(ChannelRollbackError):
        reader.current()
    assert not served.floor.exists()


@pytest.mark.parametrize("text", ["", "x", "-1", "\u00b2", "1\n2", "9" * 5000])
def test_a_damaged_floor_is_refused_rather_than_forgotten(served: Served, text: str) -> None:
    served.floor.parent.mkdir()
    served.floor.write_text(text)
    with pytest.raises(ChannelRollbackError, match="cannot be read"):
        served.reader.current()


def test_a_refused_file_does_not_raise_the_floor(served: Served) -> None:
    served.reader.current()
    served.write(served.forged("ap-1", channel_version=9))
    with pytest.raises(TooFewApproversError):
        served.reader.current()
    assert served.floor.read_text() == "1"


def store(served: Served, **changes: object) -> bytes:
    """Keep a changed snapshot as a blob and return a statement over it that two persons signed."""
    snapshot = msgspec.structs.replace(served.reader.current().snapshot, **changes)
    digest = served.world.blobs.put_bytes(encode(snapshot))
    return served.forged("ap-1", "ap-2", snapshot_sha256=digest, channel_version=2)


def test_the_snapshot_must_be_the_one_that_was_signed(served: Served) -> None:
    digest = read_statement(served.envelope).snapshot_sha256
    held = served.world.blobs._blobs
    good = held[digest]
    for altered in (good.replace(b'"outcome":"clean"', b'"outcome":"dirty"'), good + b"\n", b""):
        held[digest] = altered
        with pytest.raises(SnapshotMismatchError, match="altered"):
            served.new_reader().current()
    del held[digest]
    with pytest.raises(SnapshotMismatchError, match="not held"):
        served.new_reader().current()


def test_signed_bytes_that_are_no_snapshot_of_this_lane_are_refused(served: Served) -> None:
    for envelope in (store(served, lane="other"), store(served, format="lockgate-snapshot/2")):
        served.write(envelope)
        with pytest.raises(SnapshotMismatchError):
            served.new_reader().current()
    digest = served.world.blobs.put_bytes(b"{}")
    served.write(served.forged("ap-1", "ap-2", snapshot_sha256=digest))
    with pytest.raises(SnapshotMismatchError):
        served.new_reader().current()


def test_altered_and_foreign_files_are_refused(served: Served) -> None:
    good = served.envelope
    served.demand_refused(b"", MalformedDocumentError)
    served.demand_refused(good + b"\n", NotCanonicalError)
    served.demand_refused(good[: len(good) // 2], MalformedDocumentError)
    served.demand_refused(b"[" * (1 << 20) + b"[", TooLargeError)
    served.demand_refused(encode({"payload": "", "payloadType": "x", "signatures": []}), EnvelopeError)
    fields = msgspec.json.decode(good)
    payload = msgspec.json.decode(served.forged(channel_version=2))["payload"]
    served.demand_refused(encode({**fields, "payload": payload}), SignatureError)


def test_expiry_stops_admission_never_serving(served: Served) -> None:
    """The reader has no clock: what was approved in time is served for as long as nothing newer is."""
    statement = read_statement(served.envelope)
    soon = {
        keyid: msgspec.structs.replace(held, expires=statement.created.replace(hour=13))
        for keyid, held in served.world.site.keys.items()
    }
    served.world.site = msgspec.structs.replace(served.world.site, keys=soon, expires=START)
    assert served.new_reader().current().statement == statement


def test_the_reader_needs_no_right_to_write_but_its_own_floor(served: Served) -> None:
    served.reader.current()
    assert sorted(p.name for p in served.file.parent.iterdir()) == ["run", "stable.dsse.json"]
    assert [p.name for p in served.floor.parent.iterdir()] == ["mirror-stable.version"]
    inode = served.floor.stat().st_ino
    served.new_reader().current()
    assert served.floor.stat().st_ino == inode, "an equal floor is not written again"


def test_merged_approvals_serve_whatever_their_order(served: Served) -> None:
    statement = read_statement(served.envelope)
    apart = [sign(STATEMENT_TYPE, encode(statement), [served.world.key(n)]) for n in ("ap-3", "ap-1")]
    asked = sign(STATEMENT_TYPE, encode(statement), [served.world.operator])
    served.write(combine([*apart, asked]))
    verified = served.reader.current()
    assert verified.approvers == {"ap-1", "ap-3"}
    assert isinstance(verified.statement, Statement)
    assert isinstance(verified.snapshot, Snapshot)
    assert os.fspath(served.file).endswith("stable.dsse.json")
