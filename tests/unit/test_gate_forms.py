"""A release that writes pages otherwise: what was published before it is promoted, and no form is mixed."""

import dataclasses

import msgspec
import pytest

from corpora.gates import START, Projects, Scripted, World
from lockgate.admit.derived import DERIVED, Derived
from lockgate.admit.errors import SnapshotDerivationError
from lockgate.admit.model import CHANNELS, ChannelPointer
from lockgate.admit.promote import EARLIER, PAGES
from lockgate.approve import read_statement
from lockgate.core.artifact import Kind
from lockgate.core.emergency import EmergencyRule, Right
from lockgate.core.part_keys import is_of_projects, key_of_kind
from lockgate.core.parts import part_digests, parts_of, snapshot_digest
from lockgate.core.soak import CANDIDATE, STABLE
from lockgate.core.statement import Operation
from lockgate.core.wire import decode, encode
from lockgate.trust.attest import DERIVATION, JUDGEMENT, attest


class Spaced(Projects):
    """The same pages with an empty line at their ends."""

    def pages(self, admitted, read):
        yield from map(self.spaced, super().pages(admitted, read))

    def index(self, projects):
        yield from map(self.spaced, super().index(projects))

    @staticmethod
    def spaced(page):
        return dataclasses.replace(page, body=page.body.rstrip(b"\n") + b"\n")


class Newer(Spaced):
    """A later release, which says so."""

    def form(self):
        return "newer"


class Forms(World):
    """A world whose crossings bring Python packages; snapshots are in parts, or one document."""

    def __init__(self, parted_from: int = 1) -> None:
        super().__init__()
        self.parted_from = parted_from
        self.maker = Projects()
        self.with_policy(emergency=EmergencyRule(rights=tuple(Right), owed_seconds=3600, withdraw_limit=4))

    def put(self, sequence: int, *names: str, channel: str = CANDIDATE) -> None:
        self.arrive(sequence, *names, kind=Kind.PYTHON, ecosystem="pypi")
        self.gate.inspect(sequence, Scripted())
        self.gate.execute(self.signed(self.gate.request(sequence, channel, self.operator), "ap-1", "ap-2"))

    def promote(self) -> dict[str, str]:
        """Promote what is on candidate; return the facts that were signed."""
        asked = self.gate.request_promote(self.operator)
        self.gate.execute(self.signed(asked, "ap-1", "ap-2"))
        return dict(read_statement(asked).facts or {})

    def digest(self, channel: str) -> str:
        return snapshot_digest(self.gate.served(channel))

    def anew(self, channel: str) -> str:
        """Return the digest of what is served, with all pages made by the release of now."""
        served = self.gate.served(channel)
        return snapshot_digest(self.gate._snapshots.make("test", (), tuple(served.admitted), served.created))


@pytest.fixture(params=[1, 1000], ids=["parts", "one document"])
def world(request: pytest.FixtureRequest) -> Forms:
    return Forms(request.param)


def test_what_an_earlier_release_published_is_promoted_as_it_soaked(world: Forms) -> None:
    world.put(1, "one", "two")
    before = world.digest(CANDIDATE)
    world.maker = Newer()
    assert world.anew(CANDIDATE) != before
    assert world.promote()[PAGES] == EARLIER
    assert world.digest(STABLE) == before


def test_the_next_publication_makes_all_pages_of_another_form_anew(world: Forms) -> None:
    world.put(1, "one", "two", channel=STABLE)
    world.maker = Newer()
    assert world.gate.believed(STABLE, "newer") == frozenset()
    world.put(2, "six", channel=STABLE)
    assert world.digest(STABLE) == world.anew(STABLE)
    served = world.gate.served(STABLE)
    assert world.gate.believed(STABLE, "newer") == part_digests(served)
    assert bool(parts_of(served)) == bool(part_digests(served))
    world.put(3, "ten")
    assert PAGES not in world.promote()
    assert world.digest(STABLE) == world.anew(STABLE)


def test_what_was_signed_for_pages_of_another_form_is_asked_for_again(world: Forms) -> None:
    world.arrive_packages(1, "one")
    world.gate.inspect(1, Scripted())
    asked = world.signed(world.gate.request(1, STABLE, world.operator), "ap-1", "ap-2")
    world.maker = Newer()
    with pytest.raises(SnapshotDerivationError):
        world.gate.execute(asked)
    assert world.gate.served(STABLE) is None


def test_a_release_that_did_not_say_that_it_writes_otherwise_is_found_out(world: Forms) -> None:
    world.put(1, "one", "two")
    world.maker = Spaced()
    asked = world.signed(world.gate.request_promote(world.operator), "ap-1", "ap-2")
    with pytest.raises(SnapshotDerivationError, match="do not follow"):
        world.gate.execute(asked)
    assert world.gate.served(STABLE) is None


def test_pages_that_one_operator_signed_are_not_taken_over_in_an_earlier_form(world: Forms) -> None:
    world.put(1, "one", "two")
    world.gate.emergencies.act(Operation.WITHDRAW, CANDIDATE, ["pkg:pypi/one@1"], "bad", world.operator)
    before = world.maker
    world.maker = Newer()
    asked = world.signed(world.gate.request_promote(world.operator), "ap-1", "ap-2")
    with pytest.raises(SnapshotDerivationError):
        world.gate.execute(asked)
    world.maker = before
    world.gate.execute(asked)
    assert [each.artifact.name for each in world.gate.served(STABLE).admitted] == ["two"]


FORGERIES = ["none", "no envelope", "another key", "another kind", "another snapshot", "gone"]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_row_that_names_no_signature_that_fits_spares_nothing(world: Forms, forgery: str) -> None:
    world.put(1, "one", "two")
    digest = world.digest(CANDIDATE)
    assert world.gate.believed(CANDIDATE, world.maker.form()) == part_digests(world.gate.served(CANDIDATE))
    other = "1" * 64 if forgery == "another snapshot" else digest
    said = Derived(snapshot_sha256=other, form=world.maker.form(), made=START)
    signer = world.key("ap-1") if forgery == "another key" else world.inspector
    kind = JUDGEMENT if forgery == "another kind" else DERIVATION
    envelope = attest({"snapshot": other}, kind, said, signer)
    kept = world.quarantine.put_bytes(b"{}" if forgery == "no envelope" else envelope)
    if forgery == "gone":
        world.quarantine.discard(kept)
    with world.records.transaction() as tx:
        tx.put(DERIVED, digest, b"\xff" if forgery == "none" else kept.encode())
    assert world.gate.believed(CANDIDATE, world.maker.form()) == frozenset()
    world.maker = Newer()
    asked = world.signed(world.gate.request_promote(world.operator), "ap-1", "ap-2")
    assert PAGES not in (read_statement(asked).facts or {})
    with pytest.raises(SnapshotDerivationError):
        world.gate.execute(asked)


def test_an_inspector_that_the_site_no_longer_knows_vouches_for_nothing(world: Forms) -> None:
    world.put(1, "one", "two")
    keys = {keyid: key for keyid, key in world.site.keys.items() if keyid != world.inspector.keyid}
    world.site = msgspec.structs.replace(world.site, keys=keys)
    assert world.gate.believed(CANDIDATE, world.maker.form()) == frozenset()


def test_parts_of_pages_and_of_what_they_follow_from_are_believed_together_alone() -> None:
    """A row may point to parts that were signed, each for itself, and leave out one of them."""
    world = Forms()
    world.put(1, "one", channel=STABLE)
    world.arrive(2, "tool", "gadget", kind=Kind.NPM, ecosystem="npm")
    world.gate.inspect(2, Scripted())
    world.gate.execute(world.signed(world.gate.request(2, STABLE, world.operator), "ap-1", "ap-2"))
    served, form = world.gate.served(STABLE), world.maker.form()
    parts = parts_of(served)
    assert world.gate.believed(STABLE, form) == part_digests(served)
    left_out = parts.name(key_of_kind(Kind.NPM, "tool"))
    left = tuple(part for part in parts.index.branches if part != left_out)
    forged = world.blobs.put_bytes(encode(msgspec.structs.replace(parts.index, branches=left)))
    with world.records.transaction() as tx:
        pointer = decode(ChannelPointer, tx.get(CHANNELS, STABLE))
        tx.put(CHANNELS, STABLE, encode(msgspec.structs.replace(pointer, snapshot_sha256=forged)))
    assert [each.artifact.name for each in world.gate.served(STABLE).admitted] == ["one", "gadget"]
    projects = {part.sha256 for part in parts.index.branches if is_of_projects(part.key)}
    assert world.gate.believed(STABLE, form) == projects
