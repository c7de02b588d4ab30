"""Approvals that must not work, each with its own code: at the gate, at a decision, and where one serves."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from corpora.gates import Scripted, World
from lockgate.approve import ChannelReader, approve, combine, read_statement, request
from lockgate.core.errors import LockgateError
from lockgate.core.roots import Purpose
from lockgate.core.statement import STATEMENT_TYPE, Operation, Statement
from lockgate.core.wire import encode
from lockgate.trust.dsse import sign
from lockgate.trust.keys import new_signer

Attempt = Callable[[World, bytes], bytes]


def own_request(world: World, asked: bytes) -> bytes:
    keys = [world.operator, *_signers(world, "operator", "ap-1")]
    return sign(STATEMENT_TYPE, encode(read_statement(asked)), keys)


def one_person_two_keys(world: World, asked: bytes) -> bytes:
    second = new_signer(Purpose.APPROVER, "ap-1")
    keys = {**world.site.keys, second.keyid: second.held(world.site.expires)}
    world.site = msgspec.structs.replace(world.site, keys=keys)
    return combine([world.signed(asked, "ap-1"), approve(asked, second, world.site, world.now)])


def replayed(world: World, asked: bytes) -> bytes:
    used = world.signed(asked, "ap-1", "ap-2")
    world.gate.execute(used)
    world.publish(2, "next")
    return used


def replayed_by_others(world: World, asked: bytes) -> bytes:
    world.gate.execute(world.signed(asked, "ap-1", "ap-2"))
    return world.signed(asked, "ap-2", "ap-3")


def expired(world: World, asked: bytes) -> bytes:
    signed = world.signed(asked, "ap-1", "ap-2")
    world.now = read_statement(asked).expires
    return signed


def from_the_future(world: World, asked: bytes) -> bytes:
    signed = world.signed(asked, "ap-1", "ap-2")
    world.now -= timedelta(days=2)
    return signed


def another_crate(world: World, asked: bytes) -> bytes:
    return _agreed(world, asked, crate_sha256="e" * 64)


def another_snapshot(world: World, asked: bytes) -> bytes:
    snapshot = read_statement(asked).snapshot_sha256
    held = msgspec.json.decode(world.quarantine.read(snapshot))
    other = world.quarantine.put_bytes(encode({**held, "generated": []}))
    return _agreed(world, asked, snapshot_sha256=other)


def another_policy(world: World, asked: bytes) -> bytes:
    return _agreed(world, asked, policy_sha256="e" * 64)


def another_operation(world: World, asked: bytes) -> bytes:
    return _agreed(world, asked, operation=Operation.CLOCK)


def changed_after_the_first_signature(world: World, asked: bytes) -> bytes:
    """The first signature stays, the payload is another, and a second person signs that one."""
    first = msgspec.json.decode(world.signed(asked, "ap-1"))
    changed = msgspec.structs.replace(read_statement(asked), channel="candidate")
    second = msgspec.json.decode(sign(STATEMENT_TYPE, encode(changed), _signers(world, "ap-2")))
    both = sorted([*first["signatures"], *second["signatures"]], key=lambda s: s["keyid"])
    return encode({**second, "signatures": both})


def a_stranger(world: World, asked: bytes) -> bytes:
    thief = new_signer(Purpose.APPROVER, "ap-2")
    return combine(
        [world.signed(asked, "ap-1"), sign(STATEMENT_TYPE, encode(read_statement(asked)), [thief])]
    )


def a_key_of_another_purpose(world: World, asked: bytes) -> bytes:
    return combine(
        [world.signed(asked, "ap-1"), sign(STATEMENT_TYPE, encode(read_statement(asked)), [world.inspector])]
    )


def an_expired_key(world: World, asked: bytes) -> bytes:
    keyid = world.key("ap-2").keyid
    signed = world.signed(asked, "ap-1", "ap-2")
    held = msgspec.structs.replace(world.site.keys[keyid], expires=world.now)
    world.site = msgspec.structs.replace(world.site, keys={**world.site.keys, keyid: held})
    return signed


def nobody_asked(world: World, asked: bytes) -> bytes:
    return sign(STATEMENT_TYPE, encode(read_statement(asked)), _signers(world, "ap-1", "ap-2"))


def another_lane(world: World, asked: bytes) -> bytes:
    keys = [world.operator, *_signers(world, "ap-1", "ap-2")]
    return sign(STATEMENT_TYPE, encode(msgspec.structs.replace(read_statement(asked), lane="other")), keys)


REFUSED: dict[Attempt, str] = {
    own_request: "LG-3001",
    one_person_two_keys: "LG-3002",
    replayed: "LG-3402",
    replayed_by_others: "LG-3402",
    expired: "LG-3003",
    from_the_future: "LG-3003",
    another_crate: "LG-3401",
    another_snapshot: "LG-2802",
    another_policy: "LG-3401",
    another_operation: "LG-3401",
    changed_after_the_first_signature: "LG-2102",
    a_stranger: "LG-2002",
    a_key_of_another_purpose: "LG-2003",
    an_expired_key: "LG-2004",
    nobody_asked: "LG-3403",
    another_lane: "LG-2103",
}


def _signers(world: World, *people: str) -> list:
    return [world.key(person) for person in people]


def _agreed(world: World, asked: bytes, **changes: object) -> bytes:
    """Return a request with changes that the requester and two approvers signed after all."""
    changed: Statement = msgspec.structs.replace(read_statement(asked), **changes)
    return world.signed(request(changed, world.operator, world.site, world.now), "ap-1", "ap-2")


@pytest.fixture
def world() -> World:
    made = World()
    made.arrive(1, "doc-1")
    made.gate.inspect(1, Scripted())
    return made


@pytest.mark.parametrize("attempt", REFUSED, ids=lambda attempt: attempt.__name__)
def test_each_is_refused_with_its_code_and_changes_nothing(world: World, attempt: Attempt) -> None:
    envelope = attempt(world, world.gate.request(1, "stable", world.operator))
    files, pointer = dict(world.files), world.gate.pointer("stable")
    with pytest.raises(LockgateError) as refused:
        world.gate.execute(envelope)
    assert refused.value.code == REFUSED[attempt]
    assert (world.files, world.gate.pointer("stable")) == (files, pointer)
    last = world.log.event(world.log.size() - 1)
    assert (last["status"], last["facts"]["code"]) == ("refused", REFUSED[attempt])


def test_the_requester_cannot_sign_as_an_approver_beside_their_request(world: World) -> None:
    asked = world.gate.request(1, "stable", world.operator)
    with pytest.raises(LockgateError) as refused:
        approve(asked, world.key("operator"), world.site, world.now)
    assert refused.value.code == "LG-3001"


SERVED = [own_request, one_person_two_keys, changed_after_the_first_signature, a_stranger, nobody_asked]


@pytest.mark.parametrize("attempt", SERVED, ids=lambda attempt: attempt.__name__)
def test_who_serves_refuses_the_same(world: World, attempt: Attempt, tmp_path: Path) -> None:
    envelope = attempt(world, world.gate.request(1, "stable", world.operator))
    file = tmp_path / "stable.dsse.json"
    file.write_bytes(envelope)
    with pytest.raises(LockgateError) as refused:
        ChannelReader(world.site, "stable", file, world.quarantine).current()
    assert refused.value.code == REFUSED[attempt]
