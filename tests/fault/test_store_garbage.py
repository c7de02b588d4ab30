"""Garbage collection: nothing that is held goes, whoever publishes meanwhile and whenever it is killed."""

import json
import os
import shutil
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from corpora.gates import START, World
from corpora.homes import HighSide
from corpora.kills import fast_folder, killed_before
from lockgate.app.record.garbage import collect_garbage
from lockgate.app.record.holding import HoldUnknownError, held_blobs
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, utc_now
from lockgate.cli.main import app
from lockgate.core.digests import sha256
from lockgate.core.ports import Silent
from lockgate.store import FileBlobs, MemoryBlobs, MemoryRecords, open_records
from lockgate.store.errors import BlobMissingError, BlobsSweptError
from lockgate.store.garbage import HOLD_DAYS, MARKS, Garbage, drop_old_holds, holding, pick_up, settle

HOUR = timedelta(hours=1)


class Store:
    """A store with its garbage, and a clock that a test moves. `live` is what is held."""

    def __init__(self):
        self.now = START
        self.records = MemoryRecords()
        self.blobs = MemoryBlobs(lambda: self.now)
        self.live: set[str] = set()

    def put(self, data: bytes) -> str:
        return self.blobs.put_bytes(data)

    def run(self, hours=0, live=None, **more):
        self.now += hours * HOUR
        garbage = Garbage(self.records, self.blobs, lambda: self.now, HOUR)
        return garbage.collect(live or (lambda: self.live), **more)

    def marks(self):
        with self.records.transaction() as tx:
            return {digest for digest, _ in tx.scan(MARKS)}


@pytest.fixture
def store() -> Store:
    return Store()


def test_garbage_is_young_then_marked_then_waits_then_goes(store):
    kept, waste = store.put(b"kept"), store.put(b"waste")
    store.live = {kept}
    assert store.run().marked == {}  # just written
    assert store.run(hours=1).marked == {waste: 5}
    assert store.run().waiting == {waste: 5}
    assert store.run(hours=1, dry=True).removed == {waste: 5}
    assert store.blobs.has(waste)
    found = store.run()
    assert (found.blobs, found.live, found.removed) == (2, 1, {waste: 5})
    assert not store.blobs.has(waste)
    assert store.blobs.has(kept)
    assert store.marks() == set()


def test_a_dry_run_changes_nothing(store):
    waste = store.put(b"waste")
    assert store.run(hours=1, dry=True).marked == {waste: 5}
    assert store.marks() == set()


def test_what_is_held_again_loses_its_mark(store):
    waste = store.put(b"waste")
    store.run(hours=1)
    store.live = {waste}
    assert store.run(hours=5).spared == {waste: 5}
    store.live = set()
    assert store.run().marked == {waste: 5}  # its grace begins anew
    assert store.blobs.has(waste)


def test_what_is_picked_up_after_it_was_asked_what_is_held_stays(store):
    waste = store.put(b"waste")
    store.run(hours=1)

    def live():  # a publication picks the blob up right after this question was answered
        pick_up(store.records, {waste})
        return set()

    found = store.run(hours=5, live=live)
    assert (found.removed, found.spared) == ({}, {waste: 5})
    assert store.blobs.has(waste)


def test_what_was_written_again_after_its_mark_stays(store):
    waste = store.put(b"waste")
    store.run(hours=1)
    store.now += 5 * HOUR
    store.put(b"waste")
    found = store.run()
    assert (found.removed, found.spared) == ({}, {waste: 5})
    assert store.blobs.has(waste)


def test_a_reference_that_comes_after_a_removal_does_not_take_effect(store):
    waste = store.put(b"waste")
    store.run(hours=1)
    began = pick_up(store.records, ())  # looked before, and did not say what it wants
    store.run(hours=5)

    def refer():
        with store.records.transaction() as tx:
            tx.put("channel", "stable", waste.encode())
            settle(tx, store.blobs, {waste}, began)

    with pytest.raises(BlobsSweptError):
        refer()
    with store.records.transaction() as tx:
        assert tx.get("channel", "stable") is None
    store.put(b"waste")
    with store.records.transaction() as tx:
        settle(tx, store.blobs, {waste}, began)


def test_a_reference_takes_the_mark_away_in_its_own_transaction(store):
    waste = store.put(b"waste")
    began = pick_up(store.records, {waste})
    store.run(hours=1)  # marks it meanwhile, since nothing refers to it yet
    with store.records.transaction() as tx:
        settle(tx, store.blobs, {waste}, began)
    assert store.marks() == set()


def test_a_turned_back_clock_removes_nothing_early(store):
    waste = store.put(b"waste")
    store.run(hours=1)
    store.now -= 3 * HOUR
    assert store.run().waiting == {waste: 5}


def test_work_in_progress_holds_and_what_it_left_when_killed_is_forgotten(store):
    waste = store.put(b"waste")
    store.run(hours=1)
    with holding(store.records, {waste}, lambda: store.now):
        assert store.marks() == set()
        with store.records.transaction() as tx:
            assert waste.encode() in next(tx.scan("garbage-hold"))[1]
    with store.records.transaction() as tx:
        assert list(tx.scan("garbage-hold")) == []
    left = holding(store.records, {waste}, lambda: store.now)
    left.__enter__()  # killed before its end
    drop_old_holds(store.records, store.now + timedelta(days=HOLD_DAYS))
    with store.records.transaction() as tx:
        assert len(list(tx.scan("garbage-hold"))) == 1
    drop_old_holds(store.records, store.now + timedelta(days=HOLD_DAYS, seconds=1))
    with store.records.transaction() as tx:
        assert list(tx.scan("garbage-hold")) == []


def test_a_publication_that_needs_a_marked_blob_wins():
    world = World()
    waste = world.blobs.put_bytes(b"a")
    garbage = Garbage(world.records, world.blobs, lambda: world.now, HOUR)
    garbage.collect(set)
    assert waste in garbage._marks()
    world.publish(1, "a", "b")
    world.now += 5 * HOUR
    garbage.collect(lambda: {sha256(b"b")})  # a run that asked what is held before the publication
    assert world.blobs.has(waste)


def test_a_publication_whose_blobs_are_swept_in_its_midst_changes_nothing_and_can_be_repeated(monkeypatch):
    world = World()
    world.publish(1, "a")
    world.arrive(2, "b")
    from corpora.gates import Scripted

    world.gate.inspect(2, Scripted())
    asked = world.signed(world.gate.request(2, "stable", world.operator), "ap-1", "ap-2")
    gate = world.gate
    wanted, commit = sha256(b"b"), gate._publisher._commit

    def swept(*arguments):
        with world.records.transaction() as tx:
            tx.put("garbage-sweep", "count", b"7")
        world.blobs.discard(wanted)
        monkeypatch.setattr(gate._publisher, "_commit", commit)
        commit(*arguments)

    monkeypatch.setattr(gate._publisher, "_commit", swept)
    before = world.files["stable"]
    with pytest.raises(BlobsSweptError):
        gate.execute(asked)
    assert world.files["stable"] == before
    gate.execute(asked)
    assert world.blobs.has(wanted)
    assert world.files["stable"] != before


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> HighSide:
    high = HighSide.new(tmp_path_factory.mktemp("garbage"))
    for number, names in enumerate((["one"], ["two"], ["three"]), 1):
        high.publish(number, *names)
    return high


def waste_of(side, *contents: bytes) -> list[str]:
    """Put blobs that nothing holds, long ago."""
    blobs = FileBlobs(side.home.blobs)
    digests = [blobs.put_bytes(data) for data in contents]
    for digest in digests:
        os.utime(blobs.path(digest), (0, 0))
    return digests


def long_ago(side):
    """Let everything in the store, and every mark, be old."""
    blobs = FileBlobs(side.home.blobs)
    for digest, _ in blobs.digests():
        os.utime(blobs.path(digest), (0, 0))
    records = records_of(side)
    with records.transaction() as tx:
        for digest, value in list(tx.scan(MARKS)):
            tx.put(
                MARKS,
                digest,
                json.dumps(
                    {**json.loads(value), "seen": "2020-01-01T00:00:00Z"},
                    separators=(",", ":"),
                    sort_keys=True,
                ).encode(),
            )
    records.close()


def test_what_channels_ever_served_is_held_with_all_that_serves_it(published):
    side = published.side
    everything = {digest for digest, _ in FileBlobs(side.home.blobs).digests()}
    assert {sha256(name) for name in (b"one", b"two", b"three")} <= everything
    assert held_blobs(side) == everything


def test_the_command_marks_and_later_removes_what_nothing_holds(published):
    side = published.side
    waste = waste_of(side, b"half a publication")[0]
    command = ["store", "gc", "--home", str(side.home.root), "--json"]
    said = json.loads(CliRunner().invoke(app, [*command, "--dry-run"]).stdout)
    assert said["marked"] == [waste]
    assert json.loads(CliRunner().invoke(app, command).stdout)["marked"] == [waste]
    assert json.loads(CliRunner().invoke(app, command).stdout)["waiting"] == [waste]
    long_ago(side)
    said = json.loads(CliRunner().invoke(app, command).stdout)
    assert (said["removed"], said["removed_bytes"]) == ([waste], len(b"half a publication"))
    event = [e for _, e in audit_log(side).events()][-1]
    assert event["facts"]["which"] == [waste]
    assert event["facts"]["removed"] == 1


def test_older_versions_keep_their_documents_and_lose_what_they_alone_name(tmp_path):
    high = HighSide.new(tmp_path)
    for number, name in enumerate(("one", "two", "three", "four"), 1):
        high.publish(number, name)
    side, blobs = high.side, FileBlobs(high.side.home.blobs)
    pages = {d for d, _ in blobs.digests()} - held_blobs(side, 2)
    assert pages  # listings of versions 1 and 2
    long_ago(side)
    collect_garbage(side, HOUR, 2, Silent(), dry=False)
    long_ago(side)
    found = collect_garbage(side, HOUR, 2, Silent(), dry=False)
    assert set(found.removed) == pages
    from lockgate.app.gate.gate import open_gate

    gate = open_gate(side)
    assert {a.artifact.name for a in gate.served("stable").admitted} == {"one", "two", "three", "four"}
    back = gate.request_rollback("stable", high.operator)
    from lockgate.app.gate.gate import execute

    execute(side, high.signed(back, "back"))
    assert {a.artifact.name for a in open_gate(side).served("stable").admitted} == {"one", "two", "three"}


def test_where_nobody_can_tell_what_is_held_nothing_goes(tmp_path):
    high = HighSide.new(tmp_path)
    high.publish(1, "one")
    side, blobs = high.side, FileBlobs(high.side.home.blobs)
    waste = waste_of(side, b"waste")[0]
    collect_garbage(side, HOUR, 0, Silent(), dry=False)
    long_ago(side)
    from lockgate.app.gate.gate import open_gate

    snapshot = blobs.path(open_gate(side).pointer("stable").snapshot_sha256)
    whole = snapshot.read_bytes()
    snapshot.chmod(0o644)
    snapshot.write_bytes(whole.replace(b"one", b"two"))
    with pytest.raises(HoldUnknownError):
        collect_garbage(side, HOUR, 0, Silent(), dry=False)
    snapshot.unlink()
    with pytest.raises(HoldUnknownError, match="not in the store"):
        collect_garbage(side, HOUR, 0, Silent(), dry=False)
    assert blobs.has(waste)
    snapshot.write_bytes(whole)
    assert list(collect_garbage(side, HOUR, 0, Silent(), dry=False).removed) == [waste]


def test_a_reader_that_has_a_blob_open_reads_it_to_its_end(tmp_path):
    blobs = FileBlobs(tmp_path / "blobs")
    records = open_records(f"sqlite:///{tmp_path / 'records.sqlite'}")
    digest = blobs.put_bytes(b"long" * 500_000)
    os.utime(blobs.path(digest), (0, 0))
    garbage = Garbage(records, blobs, utc_now, timedelta(0))
    garbage.collect(set)
    with blobs.open(digest) as reader:
        first = reader.read(10)
        assert list(garbage.collect(set).removed) == [digest]
        assert sha256(first + reader.read()) == digest
    with pytest.raises(BlobMissingError):
        blobs.open(digest)
    records.close()


def test_killed_at_every_step_it_loses_nothing_and_the_next_run_completes_it(published):
    side = published.side
    waste = waste_of(side, b"first waste", b"second waste")
    held = {d for d, _ in FileBlobs(side.home.blobs).digests()} - set(waste)
    collect_garbage(side, HOUR, 0, Silent(), dry=False)
    long_ago(side)
    whole = side.home.root
    base = fast_folder(whole.parent) / f"garbage-{os.getpid()}"
    try:
        step, steps = 1, None
        while steps is None:
            shutil.copytree(whole, base)
            copy = type(side)(type(side.home)(base), side.settings)
            steps = killed_before(step, lambda: collect_garbage(copy, HOUR, 0, Silent(), dry=False))  # noqa: B023
            blobs = FileBlobs(base / "blobs")
            assert held <= {d for d, _ in blobs.digests()}, f"killed before step {step}"
            collect_garbage(copy, HOUR, 0, Silent(), dry=False)
            assert {d for d, _ in blobs.digests()} == held, f"completed after step {step}"
            shutil.rmtree(base)
            step += 1
        assert steps.count("os.remove") >= len(waste)
    finally:
        shutil.rmtree(base, ignore_errors=True)
