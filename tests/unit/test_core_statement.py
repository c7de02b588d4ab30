"""Who approved: distinct persons, not the requester, in time."""

from datetime import timedelta

import msgspec
import pytest

from corpora.trusted import NOW, STATEMENT, Site
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.roots import KeyExpiredError, KeyPurposeError, Root, UnknownKeyError
from lockgate.core.statement import (
    OwnRequestError,
    Statement,
    StatementExpiredError,
    TooFewApproversError,
    approved_by,
)
from lockgate.core.wire import decode, encode
from lockgate.trust.keys import Purpose, new_signer

SECOND = timedelta(seconds=1)


@pytest.fixture
def people() -> Site:
    return Site()


@pytest.fixture
def site(people: Site) -> Root:
    return people.root()


def test_two_distinct_approvers_are_enough(people: Site, site: Root) -> None:
    ids = [s.keyid for s in people.approvers]
    assert approved_by(STATEMENT, dict.fromkeys(ids[:2], True), site, NOW, need=2) == {"ap-1", "ap-2"}
    with pytest.raises(TooFewApproversError, match="2 of 3"):
        approved_by(STATEMENT, dict.fromkeys(ids[:2], True), site, NOW, need=3)
    with pytest.raises(TooFewApproversError, match="nobody"):
        approved_by(STATEMENT, {}, site, NOW, need=2)


def test_signatures_that_do_not_verify_do_not_count(people: Site, site: Root) -> None:
    ids = [s.keyid for s in people.approvers]
    with pytest.raises(TooFewApproversError, match=r"1 of 2 needed persons approved \(ap-1\)"):
        approved_by(STATEMENT, {ids[0]: True, ids[1]: False, "?": False}, site, NOW, need=2)


def test_one_person_with_two_keys_is_one_person(people: Site) -> None:
    people.approvers.append(new_signer(Purpose.APPROVER, "ap-1"))
    keys = {people.approvers[0].keyid: True, people.approvers[3].keyid: True}
    with pytest.raises(TooFewApproversError, match="1 of 2"):
        approved_by(STATEMENT, keys, people.root(), NOW, need=2)


def test_the_requester_is_refused_even_beside_enough_others(people: Site) -> None:
    people.approvers.append(new_signer(Purpose.APPROVER, "operator"))
    keys = {s.keyid: True for s in people.approvers}
    with pytest.raises(OwnRequestError, match="operator asked for this"):
        approved_by(STATEMENT, keys, people.root(), NOW, need=2)


def test_other_keys_are_refused_even_beside_enough_approvers(people: Site, site: Root) -> None:
    good = {s.keyid: True for s in people.approvers}
    for keyid, error in (
        (people.operator.keyid, KeyPurposeError),
        (people.holders[0].keyid, KeyPurposeError),
        ("f" * 64, UnknownKeyError),
    ):
        with pytest.raises(error):
            approved_by(STATEMENT, {**good, keyid: True}, site, NOW, need=2)


def test_an_approvers_key_must_not_have_expired(people: Site, site: Root) -> None:
    soon = msgspec.structs.replace(site.keys[people.approvers[0].keyid], expires=NOW)
    keys = {**site.keys, people.approvers[0].keyid: soon}
    good = {s.keyid: True for s in people.approvers}
    with pytest.raises(KeyExpiredError):
        approved_by(STATEMENT, good, msgspec.structs.replace(site, keys=keys), NOW, need=2)


def test_a_statement_holds_from_its_making_to_its_expiry(people: Site, site: Root) -> None:
    good = {s.keyid: True for s in people.approvers}
    assert approved_by(STATEMENT, good, site, STATEMENT.expires - SECOND, need=2)
    with pytest.raises(StatementExpiredError, match="2026-05-08 12:00 UTC"):
        approved_by(STATEMENT, good, site, STATEMENT.expires, need=2)
    skew = timedelta(seconds=site.policy.skew_seconds)
    assert approved_by(STATEMENT, good, site, NOW - skew, need=2)
    with pytest.raises(StatementExpiredError, match="future"):
        approved_by(STATEMENT, good, site, NOW - skew - SECOND, need=2)
    without = msgspec.structs.replace(site, policy=None)
    with pytest.raises(StatementExpiredError, match="future"):
        approved_by(STATEMENT, good, without, NOW - SECOND, need=2)


def test_no_field_of_a_statement_may_be_left_out_or_added() -> None:
    whole = msgspec.to_builtins(STATEMENT)
    assert decode(Statement, encode(whole)) == STATEMENT
    for name in whole:
        with pytest.raises(MalformedDocumentError):
            decode(Statement, encode({k: v for k, v in whole.items() if k != name}))
    for name, value in (
        ("extra", 1),
        ("channel_version", 0),
        ("nonce", "0" * 31),
        ("operation", "wave"),
        ("channel", "../x"),
        ("channel", "a/b"),
        ("channel", "A"),
        ("channel", "a\n"),
    ):
        with pytest.raises(MalformedDocumentError):
            decode(Statement, encode({**whole, name: value}))
