"""The site root: pinned, signed by its own holders, rotated by the old and the new ones."""

from datetime import timedelta

import msgspec
import pytest

from corpora.trusted import LATER, NOW, Site, make_signers
from lockgate.core.errors import LockgateError, MalformedDocumentError, TooLargeError
from lockgate.core.roots import (
    KeyExpiredError,
    KeyPurposeError,
    Purpose,
    RootKind,
    ThresholdError,
    UnknownKeyError,
)
from lockgate.core.wire import encode
from lockgate.trust.dsse import open_envelope, sign
from lockgate.trust.errors import (
    EnvelopeError,
    PinMismatchError,
    RootChainError,
    RootFileError,
    SignatureError,
    WrongLaneError,
)
from lockgate.trust.roots import (
    ROOT_LIMIT,
    SITE_ROOT_TYPE,
    countersign_site_root,
    load_site_root,
    rotate_site_root,
    site_root_lane,
    site_root_pin,
)


@pytest.fixture(scope="module")
def site() -> Site:
    return Site()


@pytest.fixture(scope="module")
def first(site: Site) -> bytes:
    return site.signed(1)


def test_the_pinned_root_is_read_whole(site: Site, first: bytes) -> None:
    pin = site_root_pin(first)
    assert load_site_root(first, pin, "test", NOW) == site.root(1)
    assert site_root_lane(first) == "test"
    more = countersign_site_root(first, site.holders[2])
    assert site_root_pin(more) == pin
    assert load_site_root(more, pin, "test", NOW) == site.root(1)


def test_another_root_or_lane_is_refused(site: Site, first: bytes) -> None:
    pin = site_root_pin(first)
    for other in (Site().signed(1), site.signed(2), site.signed(1, assurance="production")):
        with pytest.raises(PinMismatchError):
            load_site_root(other, pin, "test", NOW)
    with pytest.raises(WrongLaneError):
        load_site_root(first, pin, "other", NOW)


def test_signatures_are_judged_even_under_the_right_pin(site: Site) -> None:
    root = site.root(1)
    pin = site_root_pin(site.signed(1))
    payload = encode(root)

    def load(envelope: bytes) -> None:
        load_site_root(envelope, pin, "test", NOW)

    with pytest.raises(ThresholdError):
        load(sign(SITE_ROOT_TYPE, payload, site.holders[:1]))
    with pytest.raises(ThresholdError):
        load(sign(SITE_ROOT_TYPE, payload, []))
    with pytest.raises(KeyPurposeError):
        load(sign(SITE_ROOT_TYPE, payload, [*site.holders[:2], site.approvers[0]]))
    with pytest.raises(UnknownKeyError):
        load(sign(SITE_ROOT_TYPE, payload, [*site.holders[:2], *make_signers(Purpose.SITE_ROOT, "x")]))
    with pytest.raises(EnvelopeError):
        load(sign("application/other", payload, site.holders[:2]))
    good, bad = (msgspec.json.decode(site.signed(n)) for n in (1, 2))
    with pytest.raises(SignatureError):
        load(encode({**good, "signatures": bad["signatures"]}))


def test_keys_of_holders_expire(site: Site, first: bytes) -> None:
    pin = site_root_pin(first)
    assert load_site_root(first, pin, "test", LATER - timedelta(seconds=1))
    with pytest.raises(KeyExpiredError):
        load_site_root(first, pin, "test", LATER)


def test_documents_of_another_kind_or_format_are_refused(site: Site) -> None:
    for facts in ({"kind": RootKind.SUPPLY}, {"format": "lockgate-root/2"}):
        envelope = site.signed(1, **facts)
        with pytest.raises(RootFileError):
            load_site_root(envelope, site_root_pin(envelope), "test", NOW)
    text = sign(SITE_ROOT_TYPE, b"no root", site.holders[:2])
    with pytest.raises(MalformedDocumentError):
        load_site_root(text, site_root_pin(text), "test", NOW)
    with pytest.raises(MalformedDocumentError):
        site_root_lane(text)
    with pytest.raises(TooLargeError):
        site_root_pin(b" " * (ROOT_LIMIT + 1))


def rotated(site: Site) -> Site:
    """Return the site after its holders were replaced, one of them kept."""
    fresh = make_signers(Purpose.SITE_ROOT, "holder-4", "holder-5")
    return Site([*fresh, site.holders[2]], site.approvers[:2], site.operator)


def test_a_rotation_is_signed_by_the_old_and_the_new_threshold(site: Site) -> None:
    after = rotated(site)
    envelope = after.signed(2, *after.holders[:2], *site.holders[:2])
    assert rotate_site_root(site.root(1), envelope, NOW) == after.root(2)
    shared = after.signed(2, after.holders[0], site.holders[2], site.holders[0])
    assert rotate_site_root(site.root(1), shared, NOW) == after.root(2)


def test_one_threshold_alone_does_not_rotate(site: Site) -> None:
    after = rotated(site)
    old, new = site.holders[:2], after.holders[:2]
    for signers in (old, new, [old[0], *new], [*old, new[0]]):
        with pytest.raises(ThresholdError):
            rotate_site_root(site.root(1), after.signed(2, *signers), NOW)


def test_a_rotation_bears_no_stray_signature(site: Site) -> None:
    after = rotated(site)
    good = [*after.holders[:2], *site.holders[:2]]
    stranger = make_signers(Purpose.SITE_ROOT, "stranger")[0]
    with pytest.raises(RootChainError):
        rotate_site_root(site.root(1), after.signed(2, *good, stranger), NOW)
    with pytest.raises(RootChainError):
        rotate_site_root(site.root(1), after.signed(2, *good, site.approvers[2]), NOW)


def test_a_rotation_is_the_next_version_of_the_same_root(site: Site) -> None:
    after = rotated(site)
    both = [*after.holders[:2], *site.holders[:2]]
    for version, facts in (
        (1, {}),
        (3, {}),
        (2, {"lane": "other"}),
        (2, {"kind": RootKind.SUPPLY}),
        (2, {"format": "lockgate-root/2"}),
    ):
        with pytest.raises((RootChainError, RootFileError)):
            rotate_site_root(site.root(1), after.signed(version, *both, **facts), NOW)
    wrong_type = sign("application/other", encode(after.root(2)), both)
    with pytest.raises(EnvelopeError):
        rotate_site_root(site.root(1), wrong_type, NOW)


def test_new_holders_whose_keys_expired_do_not_rotate(site: Site) -> None:
    after = rotated(site)
    both = [*after.holders[:2], *site.holders[:2]]
    with pytest.raises(ThresholdError):
        rotate_site_root(site.root(1), after.signed(2, *both), LATER)


def test_no_flipped_byte_of_a_rotation_is_accepted(site: Site) -> None:
    after = rotated(site)
    good = after.signed(2, *after.holders[:2], *site.holders[:2])
    assert open_envelope(good).payload == encode(after.root(2))
    for at in range(0, len(good), 7):
        changed = bytearray(good)
        changed[at] ^= 1
        with pytest.raises(LockgateError):
            rotate_site_root(site.root(1), bytes(changed), NOW)


def test_one_key_under_two_ids_makes_no_two_persons(site: Site) -> None:
    """Every holder could have missed it: the second one would sign with the first one's key."""
    root = site.root(1)
    keyid = site.holders[0].keyid
    twin = msgspec.structs.replace(root.keys[keyid], person="holder-9")
    doubled = msgspec.structs.replace(root, keys={**root.keys, "a" * 64: twin})
    envelope = sign(SITE_ROOT_TYPE, encode(doubled), [site.holders[0]])
    with pytest.raises(RootFileError, match="under another id"):
        load_site_root(envelope, site_root_pin(envelope), "test", NOW)
