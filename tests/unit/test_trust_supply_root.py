"""The supply root: pinned, then rotated by the holders of the old and of the new one."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tuf.api.metadata import Metadata
from tuf.api.metadata import Root as TufRoot

from corpora.trusted import Supply, make_signers
from lockgate.core.errors import LockgateError
from lockgate.core.roots import Purpose, RootKind
from lockgate.trust import roots
from lockgate.trust.errors import PinMismatchError, RootChainError, RootFileError, WrongLaneError
from lockgate.trust.roots import (
    CHAIN_LIMIT,
    ROOT_LIMIT,
    advance_supply_root,
    countersign_supply_root,
    load_supply_root,
    make_supply_root,
    read_supply_root,
    supply_root_pin,
)


@pytest.fixture(scope="module")
def supply() -> Supply:
    return Supply()


@pytest.fixture(scope="module")
def first(supply: Supply) -> bytes:
    return supply.signed(1)


def edited(data: bytes, edit: Callable[[dict[str, Any]], object]) -> bytes:
    """Return root metadata that was changed and written compactly again (its signatures break)."""
    fields = json.loads(data)
    edit(fields)
    return json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()


def resigned(supply: Supply, data: bytes, edit: Callable[[dict[str, Any]], object]) -> bytes:
    """Return the changed root, signed again by two holders: a holder's mistake, not a forgery."""
    metadata = Metadata[TufRoot].from_bytes(edited(data, edit))
    metadata.signatures.clear()
    for holder in supply.holders[:2]:
        metadata.sign(holder.raw, append=True)
    return metadata.to_bytes(roots._COMPACT)


def test_the_pinned_root_is_read_whole(supply: Supply, first: bytes) -> None:
    assert load_supply_root(first, supply_root_pin(first), "test") == supply.root(1)
    assert Metadata[TufRoot].from_bytes(first).signed.roles["targets"].keyids == [supply.targets.keyid]


def test_the_pin_covers_what_is_signed_not_who_signed(supply: Supply, first: bytes) -> None:
    more = countersign_supply_root(first, supply.holders[2])
    assert more != first
    assert supply_root_pin(more) == supply_root_pin(first)
    assert load_supply_root(more, supply_root_pin(first), "test") == supply.root(1)


def test_another_root_than_the_pinned_one_is_refused(supply: Supply, first: bytes) -> None:
    for other in (Supply().signed(1), supply.signed(2), supply.signed(1, lane="other")):
        with pytest.raises(PinMismatchError):
            load_supply_root(other, supply_root_pin(first), "test")
    with pytest.raises(WrongLaneError):
        load_supply_root(first, supply_root_pin(first), "other")


def test_a_root_that_its_holders_did_not_sign_is_refused(supply: Supply) -> None:
    root = supply.root(1)
    twin = make_signers(Purpose.SUPPLY_ROOT, "holder-1")[0]
    both = msgspec.structs.replace(root, keys={**root.keys, twin.keyid: twin.held(root.expires)})
    one_person = make_supply_root(both, [supply.holders[0], twin])
    for data in (make_supply_root(root, []), make_supply_root(root, supply.holders[:1]), one_person):
        with pytest.raises(RootChainError):
            load_supply_root(data, supply_root_pin(data), "test")


def test_a_stray_signature_refuses_the_root(supply: Supply, first: bytes) -> None:
    stranger = make_signers(Purpose.SUPPLY_ROOT, "stranger")[0]
    broken = edited(first, lambda f: f["signatures"][0].update(sig="00" * 64))
    for data in (
        countersign_supply_root(first, stranger),
        countersign_supply_root(first, supply.targets),
        countersign_supply_root(broken, supply.holders[2]),
    ):
        with pytest.raises(RootChainError, match="unknown or invalid signature"):
            load_supply_root(data, supply_root_pin(first), "test")


def test_what_is_no_compact_root_metadata_is_refused(supply: Supply, first: bytes) -> None:
    targets = edited(first, lambda f: f["signed"].update(_type="targets", targets={}, keys=None, roles=None))
    for data in (
        b"",
        b"{}",
        b"[" * 10_000,
        first[:-1],
        first + b"\n",
        json.dumps(json.loads(first), indent=1).encode(),
        edited(first, lambda f: f["signed"].update(extra=1.5)),
        edited(first, lambda f: f["signed"]["lockgate"]["holders"].update({"0" * 64: {}})),
        targets,
        b" " * (ROOT_LIMIT + 1),
        edited(first, lambda f: f["signed"].pop("lockgate")),
        edited(first, lambda f: f["signed"]["lockgate"].pop("holders")),
        edited(first, lambda f: f["signed"]["lockgate"]["holders"].pop(supply.collector.keyid)),
        edited(first, lambda f: f["signed"]["lockgate"].update(kind="site")),
        edited(first, lambda f: f["signed"]["lockgate"].update(format="lockgate-root/2")),
        edited(first, lambda f: f["signed"]["lockgate"].update(policy={"approvers": 0})),
        edited(first, lambda f: f["signed"]["lockgate"].update(lockgate=1.5)),
        edited(first, lambda f: f["signed"]["lockgate"].update(thresholds={"unheard": 2})),
        edited(first, lambda f: f["signed"].update(lockgate="text")),
    ):
        with pytest.raises(RootFileError):
            read_supply_root(data)


def test_both_readings_of_the_root_must_say_the_same(supply: Supply, first: bytes) -> None:
    """A TUF client reads the roles, we read the holders: neither may know more than the other."""
    targets, sealer = supply.targets.keyid, supply.collector.keyid
    for edit in (
        lambda f: f["signed"]["lockgate"]["holders"][targets].update(purpose="sealer"),
        lambda f: f["signed"]["lockgate"]["holders"][sealer].update(purpose="targets"),
        lambda f: f["signed"]["roles"]["timestamp"]["keyids"].append(targets),
        lambda f: f["signed"]["roles"]["root"]["keyids"].pop(),
        lambda f: f["signed"]["roles"]["root"].update(threshold=1),
        lambda f: f["signed"]["lockgate"]["thresholds"].update({"supply-root": 1}),
        lambda f: f["signed"]["lockgate"]["thresholds"].update({"targets": 2}),
    ):
        for data in (edited(first, edit), resigned(supply, first, edit)):
            with pytest.raises(RootFileError):
                read_supply_root(data)


def test_an_altered_extension_breaks_pin_and_signatures(supply: Supply, first: bytes) -> None:
    holder = supply.holders[0].keyid
    altered = edited(first, lambda f: f["signed"]["lockgate"]["holders"][holder].update(person="mallory"))
    assert read_supply_root(altered).keys[holder].person == "mallory"
    with pytest.raises(PinMismatchError):
        load_supply_root(altered, supply_root_pin(first), "test")
    with pytest.raises(RootChainError):
        load_supply_root(altered, supply_root_pin(altered), "test")
    newer = edited(supply.signed(2), lambda f: f["signed"]["lockgate"].update(assurance="production"))
    with pytest.raises(RootChainError):
        advance_supply_root(first, [newer])


def rotated(supply: Supply) -> Supply:
    """Return the supply side after its holders were replaced, one of them kept."""
    fresh = make_signers(Purpose.SUPPLY_ROOT, "holder-4", "holder-5")
    return Supply(
        [*fresh, supply.holders[2]], supply.collector, supply.targets, supply.snapshot, supply.timestamp
    )


def test_a_rotation_is_signed_by_the_old_and_the_new_threshold(supply: Supply, first: bytes) -> None:
    after = rotated(supply)
    second = after.signed(2, *after.holders[:2], *supply.holders[:2])
    third = after.signed(3)
    assert advance_supply_root(first, []) == []
    assert advance_supply_root(first, [second, third]) == [(second, after.root(2)), (third, after.root(3))]
    assert advance_supply_root(second, [first, second, third]) == [(third, after.root(3))]


def test_one_threshold_alone_does_not_rotate(supply: Supply, first: bytes) -> None:
    after = rotated(supply)
    old, new, both = supply.holders[:2], after.holders[:2], supply.holders[2]
    for signers in (old, new, [old[0], *new], [*old, new[0]], [old[0], new[0], both][:2]):
        with pytest.raises(RootChainError):
            advance_supply_root(first, [after.signed(2, *signers)])
    assert advance_supply_root(first, [after.signed(2, old[0], new[0], both)])


def test_a_gap_a_second_version_and_another_lane_are_refused(supply: Supply, first: bytes) -> None:
    with pytest.raises(RootChainError, match="3 does not follow 1"):
        advance_supply_root(first, [supply.signed(3)])
    with pytest.raises(RootChainError, match="two supply roots with version 1"):
        advance_supply_root(first, [supply.signed(1, assurance="production")])
    second = supply.signed(2)
    with pytest.raises(RootChainError, match="two supply roots with version 2"):
        advance_supply_root(first, [second, supply.signed(2, assurance="production")])
    with pytest.raises(WrongLaneError):
        advance_supply_root(first, [supply.signed(2, lane="other")])
    with pytest.raises(RootChainError, match=f"at most {CHAIN_LIMIT}"):
        advance_supply_root(first, [first] * (CHAIN_LIMIT + 1))


def test_the_trusted_root_may_come_again_with_more_signatures_but_no_stray_one(
    supply: Supply, first: bytes
) -> None:
    assert advance_supply_root(first, [countersign_supply_root(first, supply.holders[2])]) == []
    stranger = make_signers(Purpose.SUPPLY_ROOT, "stranger")[0]
    with pytest.raises(RootChainError):
        advance_supply_root(first, [countersign_supply_root(first, stranger)])
    with pytest.raises(RootChainError):
        advance_supply_root(first, [countersign_supply_root(supply.signed(2), stranger)])


def test_no_flipped_byte_of_a_newer_root_is_accepted(supply: Supply, first: bytes) -> None:
    second = supply.signed(2)
    for at in range(0, len(second), 7):
        changed = bytearray(second)
        changed[at] ^= 1
        try:
            chain = advance_supply_root(first, [bytes(changed)])
        except LockgateError:
            continue
        assert chain == [], f"offset {at}"  # it became version 0: older, ignored


def test_a_site_root_is_no_supply_root(supply: Supply) -> None:
    with pytest.raises(RootFileError):
        read_supply_root(make_supply_root(supply.root(1, kind=RootKind.SITE), supply.holders[:2]))


@pytest.mark.parametrize("free", ["case", "field"])
def test_no_byte_of_a_signature_is_free(first: bytes, free: str) -> None:
    def loosen(document: dict[str, Any]) -> None:
        signature = document["signatures"][0]
        if free == "case":
            signature["sig"] = signature["sig"].upper()
        else:
            signature["note"] = "x"

    with pytest.raises(RootFileError, match="canonical"):
        supply_root_pin(edited(first, loosen))
