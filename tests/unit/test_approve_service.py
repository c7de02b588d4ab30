"""Asking, approving and judging: who may sign what, over exactly which bytes."""

from datetime import timedelta

import msgspec
import pytest

from corpora.trusted import LATER, NOW, STATEMENT, Site
from lockgate.approve import approve, combine, judge, read_statement, request
from lockgate.approve.errors import NotRequesterError
from lockgate.approve.service import STATEMENT_LIMIT
from lockgate.core.errors import LockgateError, MalformedDocumentError, NotCanonicalError, TooLargeError
from lockgate.core.roots import KeyExpiredError, KeyPurposeError, Purpose, Root, UnknownKeyError
from lockgate.core.statement import (
    STATEMENT_TYPE,
    Operation,
    OwnRequestError,
    StatementExpiredError,
    TooFewApproversError,
)
from lockgate.core.wire import encode
from lockgate.trust.dsse import add_signature, open_envelope, sign
from lockgate.trust.errors import EnvelopeError, SignatureError, WrongLaneError
from lockgate.trust.keys import new_signer


@pytest.fixture
def people() -> Site:
    return Site()


@pytest.fixture
def site(people: Site) -> Root:
    return people.root()


@pytest.fixture
def asked(people: Site, site: Root) -> bytes:
    return request(STATEMENT, people.operator, site, NOW)


def signed(people: Site, asked: bytes, *numbers: int) -> bytes:
    return combine([approve(asked, people.approvers[n], people.root(), NOW) for n in numbers])


def test_a_request_goes_round_and_two_approvals_make_it_hold(people: Site, site: Root, asked: bytes) -> None:
    assert read_statement(asked) == STATEMENT
    envelope = signed(people, asked, 0, 2)
    assert judge(envelope, site, NOW, need=2) == (STATEMENT, {"ap-1", "ap-3"})
    passed_on = approve(approve(asked, people.approvers[2], site, NOW), people.approvers[0], site, NOW)
    assert passed_on == envelope
    assert combine([envelope]) == combine([envelope, asked, envelope]) == envelope


def test_only_an_operator_asks_and_in_their_own_name(people: Site, site: Root) -> None:
    with pytest.raises(KeyPurposeError):
        request(STATEMENT, people.approvers[0], site, NOW)
    with pytest.raises(UnknownKeyError):
        request(STATEMENT, new_signer(Purpose.OPERATOR, "operator"), site, NOW)
    with pytest.raises(KeyExpiredError):
        request(STATEMENT, people.operator, site, LATER)
    with pytest.raises(NotRequesterError, match="operator cannot ask in the name of ap-1"):
        request(msgspec.structs.replace(STATEMENT, requester="ap-1"), people.operator, site, NOW)


def test_only_an_approver_approves_and_not_their_own_request(people: Site, asked: bytes) -> None:
    people.approvers.append(new_signer(Purpose.APPROVER, "operator"))
    site = people.root()
    with pytest.raises(OwnRequestError):
        approve(asked, people.approvers[3], site, NOW)
    for signer in (people.operator, people.holders[0]):
        with pytest.raises(KeyPurposeError):
            approve(asked, signer, site, NOW)
    with pytest.raises(UnknownKeyError):
        approve(asked, new_signer(Purpose.APPROVER, "ap-1"), site, NOW)
    with pytest.raises(KeyExpiredError):
        approve(asked, people.approvers[0], site, LATER)
    with pytest.raises(WrongLaneError):
        approve(asked, people.approvers[0], people.root(lane="other"), NOW)


def test_judging_needs_the_request_itself(people: Site, site: Root, asked: bytes) -> None:
    two = people.approvers[:2]
    with pytest.raises(NotRequesterError, match="operator did not sign"):
        judge(sign(STATEMENT_TYPE, encode(STATEMENT), two), site, NOW, need=2)
    another = new_signer(Purpose.OPERATOR, "second-operator")
    keys = {**site.keys, another.keyid: another.held(LATER)}
    wider = msgspec.structs.replace(site, keys=keys)
    with pytest.raises(NotRequesterError):
        judge(sign(STATEMENT_TYPE, encode(STATEMENT), [*two, another]), wider, NOW, need=2)
    both = add_signature(signed(people, asked, 0, 1), another)
    assert judge(both, wider, NOW, need=2)[1] == {"ap-1", "ap-2"}


def test_judging_counts_persons_and_refuses_every_stray_signature(
    people: Site, site: Root, asked: bytes
) -> None:
    for numbers in ((0,), (2,)):
        with pytest.raises(TooFewApproversError):
            judge(signed(people, asked, *numbers), site, NOW, need=2)
    with pytest.raises(TooFewApproversError):
        judge(asked, site, NOW, need=2)
    good = signed(people, asked, 0, 1)
    with pytest.raises(UnknownKeyError):
        judge(add_signature(good, new_signer(Purpose.APPROVER, "ap-3")), site, NOW, need=2)
    with pytest.raises(KeyPurposeError):
        judge(add_signature(good, people.holders[0]), site, NOW, need=2)
    fields = msgspec.json.decode(good)
    for at in range(3):
        broken = msgspec.json.decode(good)
        broken["signatures"][at]["sig"] = fields["signatures"][(at + 1) % 3]["sig"]
        with pytest.raises(SignatureError):
            judge(encode(broken), site, NOW, need=2)


def test_time_lane_and_revoked_keys_count_when_judged(people: Site, site: Root, asked: bytes) -> None:
    good = signed(people, asked, 0, 1)
    with pytest.raises(StatementExpiredError):
        judge(good, site, STATEMENT.expires, need=2)
    with pytest.raises(StatementExpiredError, match="future"):
        judge(good, site, NOW - timedelta(days=2), need=2)
    with pytest.raises(WrongLaneError):
        judge(good, people.root(lane="other"), NOW, need=2)
    fewer = {k: h for k, h in site.keys.items() if h.person != "ap-1"}
    with pytest.raises(UnknownKeyError):
        judge(good, msgspec.structs.replace(site, keys=fewer), NOW, need=2)


def test_what_is_no_statement_is_not_shown_for_signing(people: Site, site: Root) -> None:
    payload = encode(STATEMENT)
    cases: list[tuple[bytes, type[LockgateError]]] = [
        (sign("application/other", payload, [people.operator]), EnvelopeError),
        (sign(STATEMENT_TYPE, payload + b"\n", [people.operator]), NotCanonicalError),
        (sign(STATEMENT_TYPE, b"{}", [people.operator]), MalformedDocumentError),
        (
            sign(STATEMENT_TYPE, encode(msgspec.structs.replace(STATEMENT, format="new")), [people.operator]),
            MalformedDocumentError,
        ),
        (sign(STATEMENT_TYPE, b" " * STATEMENT_LIMIT, [people.operator]), TooLargeError),
    ]
    for envelope, error in cases:
        with pytest.raises(error):
            read_statement(envelope)
        with pytest.raises(error):
            approve(envelope, people.approvers[0], site, NOW)
        with pytest.raises(error):
            judge(envelope, site, NOW, need=2)


@pytest.mark.parametrize("field", [f for f in STATEMENT.__struct_fields__ if f not in {"format", "lane"}])
def test_any_change_of_any_field_voids_the_approvals(
    people: Site, site: Root, asked: bytes, field: str
) -> None:
    good = signed(people, asked, 0, 1)
    old = getattr(STATEMENT, field)
    if isinstance(old, Operation):
        new: object = Operation.ROLLBACK
    elif isinstance(old, int):
        new = old + 1
    elif isinstance(old, tuple):
        new = ("waived",)
    elif old is msgspec.UNSET:
        new = {"clock": "right"}
    elif isinstance(old, str):
        new = old.replace(old[0], "e" if old[0] != "e" else "f")
    else:
        new = old + timedelta(seconds=1)
    changed = sign(STATEMENT_TYPE, encode(msgspec.structs.replace(STATEMENT, **{field: new})), [])
    fields = msgspec.json.decode(good)
    moved = encode({**msgspec.json.decode(changed), "signatures": fields["signatures"]})
    assert open_envelope(moved).payload != open_envelope(good).payload
    with pytest.raises(SignatureError):
        judge(moved, site, NOW, need=2)
    with pytest.raises(EnvelopeError):
        combine([good, changed])
