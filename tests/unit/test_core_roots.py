"""Roots: a key for one purpose, a holder, an expiry; thresholds count persons."""

from datetime import timedelta

import msgspec
import pytest

from corpora.trusted import LATER, NOW, make_root
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.roots import (
    HeldKey,
    KeyExpiredError,
    KeyPurposeError,
    PublicKey,
    Purpose,
    Root,
    RootKind,
    ThresholdError,
    UnknownKeyError,
)
from lockgate.core.wire import decode, encode

SECOND = timedelta(seconds=1)


def held(purpose: Purpose, person: str) -> HeldKey:
    public = PublicKey(keytype="ed25519", scheme="ed25519", public="00")
    return HeldKey(key=public, purpose=purpose, person=person, expires=LATER)


@pytest.fixture
def root() -> Root:
    keys = {
        "a1": held(Purpose.APPROVER, "anna"),
        "a2": held(Purpose.APPROVER, "anna"),
        "b1": held(Purpose.APPROVER, "bert"),
        "c1": held(Purpose.SITE_ROOT, "cleo"),
    }
    return make_root(RootKind.SITE, keys=keys, thresholds={"approver": 2, "site-root": 0, "inspector": -3})


def test_a_key_serves_its_purpose_until_the_second_that_it_expires(root: Root) -> None:
    assert root.held("a1", Purpose.APPROVER, LATER - SECOND).person == "anna"
    for at in (LATER, LATER + SECOND):
        with pytest.raises(KeyExpiredError):
            root.held("a1", Purpose.APPROVER, at)


@pytest.mark.parametrize("purpose", [p for p in Purpose if p is not Purpose.APPROVER])
def test_a_key_serves_no_other_purpose(root: Root, purpose: Purpose) -> None:
    with pytest.raises(KeyPurposeError):
        root.held("a1", purpose, NOW)


def test_a_key_that_is_not_listed_is_unknown(root: Root) -> None:
    for keyid in ("", "a", "a11", "A1"):
        with pytest.raises(UnknownKeyError):
            root.held(keyid, Purpose.APPROVER, NOW)


def test_thresholds_count_persons_not_keys(root: Root) -> None:
    with pytest.raises(ThresholdError, match="1 of 2"):
        root.persons(["a1", "a2", "a1"], Purpose.APPROVER, NOW)
    assert root.persons(["a1", "a2", "b1"], Purpose.APPROVER, NOW) == {"anna", "bert"}
    with pytest.raises(ThresholdError) as refused:
        root.persons([], Purpose.APPROVER, NOW)
    assert refused.value.where["signed"] == "nobody"


def test_one_wrong_key_refuses_all(root: Root) -> None:
    with pytest.raises(KeyPurposeError):
        root.persons(["a1", "b1", "c1"], Purpose.APPROVER, NOW)
    with pytest.raises(UnknownKeyError):
        root.persons(["a1", "b1", "?"], Purpose.APPROVER, NOW)


def test_at_least_one_person_must_sign_whatever_the_root_says(root: Root) -> None:
    for purpose in (Purpose.SITE_ROOT, Purpose.INSPECTOR, Purpose.LOG):
        assert root.threshold(purpose) == 1
        with pytest.raises(ThresholdError):
            root.persons([], purpose, NOW)


def test_a_threshold_for_a_purpose_that_does_not_exist_is_malformed(root: Root) -> None:
    data = encode(root).replace(b'"approver":2', b'"approvers":2')
    with pytest.raises(MalformedDocumentError):
        decode(Root, data)


def test_roots_read_back_and_refuse_what_is_out_of_bounds(root: Root) -> None:
    assert decode(Root, encode(root)) == root
    for field, value in (("version", 0), ("version", 1_000_001), ("kind", "both")):
        with pytest.raises(MalformedDocumentError):
            decode(Root, encode({**msgspec.to_builtins(root), field: value}))
