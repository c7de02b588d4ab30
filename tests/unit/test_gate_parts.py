"""The gate with snapshots in parts: asking, approving, publishing, promoting, taking away, going back."""

import dataclasses
import functools
from pathlib import Path

import msgspec
import pytest

from corpora.gates import Projects, Scripted, World
from corpora.homes import HighSide
from lockgate.admit import GateParts
from lockgate.admit.errors import SnapshotDerivationError
from lockgate.admit.model import CHANNELS, ChannelPointer
from lockgate.app.gate import gate as app_gate
from lockgate.app.record.holding import HoldUnknownError, held_blobs
from lockgate.approve import ChannelReader, read_statement, request
from lockgate.approve.errors import SnapshotMismatchError
from lockgate.core.artifact import Kind
from lockgate.core.emergency import EmergencyRule, Right
from lockgate.core.part_keys import REST, key_of, key_of_project
from lockgate.core.parts import (
    open_snapshot,
    part_digests,
    parts_of,
    snapshot_digest,
)
from lockgate.core.snapshot import Generated
from lockgate.core.soak import CANDIDATE
from lockgate.core.statement import Operation
from lockgate.core.wire import decode, encode
from lockgate.store import FileBlobs

FORM = Projects().form()


class Evil(Projects):
    """Lists a project that nobody admitted."""

    def index(self, projects):
        return super().index([*projects, "zevil"])


class Lies(Projects):
    """Writes into each page what nobody admitted."""

    def pages(self, admitted, read):
        for each in super().pages(admitted, read):
            yield dataclasses.replace(each, body=each.body + b" and evil")

    def index(self, projects):
        for each in super().index(projects):
            yield dataclasses.replace(each, body=each.body + b" and lies")


class Packages(World):
    """A world whose crossings bring Python packages, and whose snapshots are in parts."""

    def __init__(self, parted_from: int = 1) -> None:
        super().__init__()
        self.parted_from = parted_from
        self.maker = Projects()

    def arrive(self, sequence, *names, **more):
        super().arrive(sequence, *names, **({"kind": Kind.PYTHON, "ecosystem": "pypi"} | more))

    def approved(self, sequence: int, channel: str = "stable") -> bytes:
        self.gate.inspect(sequence, Scripted())
        return self.signed(self.gate.request(sequence, channel, self.operator), "ap-1", "ap-2")

    def reader(self, file: Path, channel: str = "stable") -> ChannelReader:
        file.write_bytes(self.files[channel])
        return ChannelReader(self.site, channel, file, self.blobs, pages=self.made)

    def made(self, admitted, read):
        for each in self.maker.pages(admitted, read):
            digest = self.blobs.put_bytes(each.body)
            yield Generated(path=each.path, media_type=each.media_type, size=len(each.body), sha256=digest)


@pytest.fixture
def world() -> Packages:
    return Packages()


def names(snapshot) -> set[str]:
    return {a.artifact.purl.partition("/")[2].removesuffix("@1") for a in snapshot.admitted}


def test_what_was_signed_is_served_and_one_artifact_changes_one_part(world: Packages, tmp_path: Path) -> None:
    world.publish(1, "one", "two", "six")
    first = world.gate.served("stable")
    world.publish(2, "two-2")
    second = world.reader(tmp_path / "stable").current().snapshot
    assert names(second) == {"one", "two", "six", "two-2"}
    old, new = ({p.key: p.sha256 for p in parts_of(s).index.branches} for s in (first, second))
    assert {key for key in old if old[key] != new[key]} == {key_of_project("two")}
    assert old.keys() == new.keys()
    listed = {page.path: page for page in second.generated}
    assert world.blobs.read(listed["simple/index.json"].sha256) == b"one six two"
    assert world.blobs.read(listed["simple/two/index.json"].sha256) == b"pkg:pypi/two-2@1\npkg:pypi/two@1"


def test_a_channel_goes_from_one_document_to_parts_and_back(world: Packages, tmp_path: Path) -> None:
    world.parted_from = 3
    world.publish(1, "one", "two")
    assert parts_of(world.gate.served("stable")) is None
    world.publish(2, "six")
    assert parts_of(world.gate.served("stable")) is not None
    back = world.signed(world.gate.request_rollback("stable", world.operator), "ap-1", "ap-3")
    world.gate.execute(back)
    flat = world.reader(tmp_path / "stable").current().snapshot
    assert (parts_of(flat), names(flat)) == (None, {"one", "two"})
    again = world.signed(world.gate.request_rollback("stable", world.operator), "ap-1", "ap-3")
    world.gate.execute(again)
    assert names(world.reader(tmp_path / "stable").current().snapshot) == {"one", "two", "six"}


@pytest.mark.parametrize("forgery", ["page", "outcome", "stranger", "flat", "lane"])
def test_parts_prepared_by_hand_are_refused_though_approvers_signed_them(
    world: Packages, forgery: str
) -> None:
    world.arrive(2, "evil")
    world.gate.inspect(2, Scripted())
    second = world.gate.crossing(2)
    strangers = world.gate.assess(second).fresh(second)
    world.arrive(1, "one", "two")
    world.gate.inspect(1, Scripted())
    statement = read_statement(world.gate.request(1, "stable", world.operator))
    snapshot = open_snapshot(statement.snapshot_sha256, world.quarantine)
    good = tuple(snapshot.admitted)
    making = world.gate._snapshots
    forged = {
        "outcome": (msgspec.structs.replace(good[0], outcome="opaque"), *good[1:]),
        "stranger": (*good, *strangers),
    }.get(forgery, good)
    lane = "other" if forgery == "lane" else "test"
    if forgery == "page":
        making._pages = Evil()
    if forgery == "flat":
        making._parted_from = 10
    digest = snapshot_digest(making.make(lane, (), forged, snapshot.created))
    assert digest != statement.snapshot_sha256
    changed = msgspec.structs.replace(statement, snapshot_sha256=digest)
    signed = world.signed(request(changed, world.operator, world.site, world.now), "ap-1", "ap-2")
    with pytest.raises(SnapshotDerivationError):
        world.gate.execute(signed)
    assert world.gate.pointer("stable") is None


def test_a_channel_whose_part_is_gone_or_altered_is_not_taken_and_the_one_before_serves(
    world: Packages, tmp_path: Path
) -> None:
    world.publish(1, "one", "two")
    reader = world.reader(tmp_path / "stable")
    before = reader.current()
    world.publish(2, "two-2")
    new = part_digests(world.gate.served("stable")) - part_digests(before.snapshot)
    assert len(new) == 1
    (digest,) = new
    held = world.blobs._blobs[digest]
    for bad in (held[:-1], held.replace(b"two-2", b"two-3"), None):
        world.blobs._blobs.pop(digest, None)
        if bad is not None:
            world.blobs._blobs[digest] = bad
        (tmp_path / "stable").with_suffix(".new").write_bytes(world.files["stable"])
        (tmp_path / "stable").with_suffix(".new").replace(tmp_path / "stable")
        with pytest.raises(SnapshotMismatchError, match="part of the snapshot"):
            reader.current()
        assert names(before.snapshot) == {"one", "two"}, "what a mirror holds goes on"
        with pytest.raises(SnapshotMismatchError):
            world.reader(tmp_path / "fresh").current()
    world.blobs._blobs[digest] = held
    assert names(reader.current().snapshot) == {"one", "two", "two-2"}


def test_pages_that_enough_approvers_did_not_sign_are_made_anew(world: Packages) -> None:
    """A row, or one operator, may point to a snapshot of the same artifacts with other pages."""
    world.publish(1, "one", "two")
    served = world.gate.served("stable")
    world.arrive(2, "six")
    world.gate.inspect(2, Scripted())
    honest = read_statement(world.gate.request(2, "stable", world.operator)).snapshot_sha256
    making = world.gate._snapshots
    making._pages = Lies()
    forged = making.make("test", (), tuple(served.admitted), served.created)
    world.blobs.copy_all(world.quarantine, [digest for digest, _ in world.quarantine.digests()])
    with world.records.transaction() as tx:
        pointer = decode(ChannelPointer, tx.get(CHANNELS, "stable"))
        pointer = msgspec.structs.replace(pointer, snapshot_sha256=snapshot_digest(forged))
        tx.put(CHANNELS, "stable", encode(pointer))
    assert not part_digests(forged) & world.gate.believed("stable", FORM)
    asked = world.gate.request(2, "stable", world.operator)
    assert read_statement(asked).snapshot_sha256 == honest
    second = world.gate.crossing(2)
    fresh = world.gate.assess(second).fresh(second)
    taken = world.gate._snapshots.make("test", forged.admitted, fresh, served.created, part_digests(forged))
    assert snapshot_digest(taken) != honest, "believed, the lies would be signed"


def test_where_signatures_cannot_be_seen_no_part_is_believed(world: Packages) -> None:
    assert world.gate.believed(CANDIDATE, FORM) == frozenset()
    world.publish(1, "one", "two")
    whole = part_digests(world.gate.served("stable"))
    assert world.gate.believed("stable", FORM) == world.gate.believed(CANDIDATE, FORM) == whole
    del world.blobs._blobs[world.gate.pointer("stable").statement_sha256]
    assert world.gate.believed("stable", FORM) == frozenset()


def test_a_part_that_stays_must_be_held_or_nothing_is_asked(world: Packages) -> None:
    world.publish(1, "one", "two")
    part = parts_of(world.gate.served("stable")).name(key_of_project("one"))
    world.arrive(2, "two-2")
    world.gate.inspect(2, Scripted())
    second = world.gate.crossing(2)
    fresh = world.gate.assess(second).fresh(second)
    del world.quarantine._blobs[part.sha256]
    asked = read_statement(world.gate.request(2, "stable", world.operator))
    base = world.gate.base("stable")
    making = world.gate._snapshots
    believed = world.gate.believed("stable", FORM)
    made = making.make("test", base, fresh, asked.created, believed)
    assert snapshot_digest(made) == asked.snapshot_sha256
    del world.blobs._blobs[part.sha256]
    with pytest.raises(SnapshotDerivationError, match="is not in the store"):
        making.make("test", base, fresh, asked.created, believed)


def test_what_is_taken_away_by_one_is_made_anew_and_promoted_by_two(world: Packages, tmp_path: Path) -> None:
    rule = EmergencyRule(rights=tuple(Right), owed_seconds=3600, withdraw_limit=1)
    world.with_policy(emergency=rule)
    world.arrive(1, "one", "two")
    world.gate.execute(world.approved(1, CANDIDATE))
    world.gate.emergencies.act(Operation.WITHDRAW, CANDIDATE, ["pkg:pypi/one@1"], "bad", world.operator)
    left = world.reader(tmp_path / "candidate", CANDIDATE).current().snapshot
    assert names(left) == {"two"}
    assert {page.path for page in left.generated} == {
        "files/SHA256SUMS",
        "simple/index.json",
        "simple/two/index.json",
    }
    world.gate.execute(world.signed(world.gate.request_promote(world.operator), "ap-1", "ap-2"))
    stable = world.gate.served("stable")
    assert (names(stable), snapshot_digest(stable)) == ({"two"}, snapshot_digest(left))


def test_names_that_differ_in_case_are_one_name_in_whatever_part_they_are(world: Packages) -> None:
    """Clients take the highest version of a name, whoever made it: the gate has to see both."""
    world.arrive(1, "tool", "other", kind=Kind.NPM, ecosystem="npm")
    world.gate.execute(world.approved(1))
    world.arrive(2, "Tool", kind=Kind.NPM, ecosystem="npm")
    world.gate.inspect(2, Scripted())
    (mine,) = world.gate.assess(world.gate.crossing(2)).fresh(world.gate.crossing(2))
    served = next(a for a in world.gate.served("stable").admitted if a.artifact.name == "tool")
    assert key_of(mine.artifact) != key_of(served.artifact)
    assert list(world.gate._publisher._assessor._names([mine.artifact]).values()) == [served]


def test_garbage_collection_holds_every_part_and_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_gate, "GateParts", functools.partial(GateParts, parted_from=1))
    high = HighSide.new(tmp_path)
    for number, name in enumerate(("one", "two", "three"), 1):
        high.publish(number, name)
    side, blobs = high.side, FileBlobs(high.side.home.blobs)
    everything = {digest for digest, _ in blobs.digests()}
    assert held_blobs(side) == everything
    kept = held_blobs(side, 1)
    gate = app_gate.open_gate(side)
    served = gate.served("stable")
    assert part_digests(served) <= kept
    first = everything - kept
    assert first, "pages that the first version alone has"
    for digest in first:
        blobs.discard(digest)
    assert len(list(gate.served("stable").admitted)) == 3
    # The first version serves no more, but what it held can still be told: denied files, old verdicts.
    assert gate._publisher._served_digests() >= {f.sha256 for a in served.admitted for f in a.artifact.files}
    blobs.discard(parts_of(served).name(REST).sha256)
    with pytest.raises(HoldUnknownError):
        held_blobs(side)
