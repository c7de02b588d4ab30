"""Somebody owns the console, its store and its sessions: no approval can be forged, and none reused."""

from pathlib import Path

import msgspec
import pytest

from corpora.authenticator import Authenticator, list_in_root
from corpora.gates import Scripted
from corpora.homes import HighSide
from lockgate.app.gate.gate import execute, open_gate, write_request
from lockgate.app.high.approvals import (
    Enrolment,
    NoSuchRequestError,
    PersonNameError,
    Proof,
    WaitingRequests,
    begin_card,
    finish_card,
)
from lockgate.app.trust import site_root, utc_now
from lockgate.approve import read_statement
from lockgate.approve.errors import ApprovalSpentError, CounterBackError
from lockgate.core.ceremony import CARD_TYPE, CeremonyError, Changes, Entry, next_root
from lockgate.core.errors import LockgateError
from lockgate.core.roots import Purpose, UnknownKeyError
from lockgate.core.statement import STATEMENT_TYPE, OwnRequestError, TooFewApproversError
from lockgate.core.wire import encode
from lockgate.trust.ceremony import read_card
from lockgate.trust.dsse import attach, open_envelope, pae, sign
from lockgate.trust.errors import AssertionRefusedError, CredentialError
from lockgate.trust.webauthn import padded, signature_bytes, unpadded

REQUEST = "publish-000001"


class Console:
    """A high side with three authenticators: two approvers and the operator, who is one too."""

    def __init__(self, folder: Path) -> None:
        self.high = HighSide.new(folder)
        self.keys = {n: Authenticator(n) for n in ("approver-1", "approver-2", "operator")}
        expires = site_root(self.high.side, None).expires
        list_in_root(self.high, *(key.held(expires) for key in self.keys.values()))
        self.high.arrive(1, "a")
        gate = open_gate(self.high.side)
        gate.inspect(1, Scripted())
        self.envelope = gate.request(1, "stable", self.high.operator)
        write_request(self.high.side, REQUEST, self.envelope, None)

    @property
    def waiting(self) -> WaitingRequests:
        return WaitingRequests(self.high.side)

    def message(self, envelope: bytes | None = None) -> bytes:
        return open_envelope(envelope or self.envelope).message

    def sign(self, person: str, **client: object):
        return self.keys[person].sign(self.message(), **client)

    def hand_in(self, person: str, assertion=None) -> Path:
        key = self.keys[person]
        done = self.waiting.hand_in(REQUEST, key.credential.identifier, assertion or key.sign(self.message()))
        return self.high.side.home.root / done.file

    def forged(self, name: str, envelope: bytes, *signers: tuple[str, object]) -> Path:
        """Write an envelope with assertions straight into the store, past every check of the console."""
        for person, assertion in signers:
            envelope = attach(envelope, self.keys[person].keyid, signature_bytes(assertion))
        file = self.high.folder / f"{name}.json"
        file.write_bytes(envelope)
        return file


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


def test_two_security_keys_publish(console: Console) -> None:
    files = [console.hand_in(name) for name in ("approver-1", "approver-2")]
    assert [w.signed for w in console.waiting.waiting()] == [("approver-1", "approver-2")]
    shown = console.waiting.shown(REQUEST, "http://localhost:8730")
    assert {person for person, _ in shown.credentials} == set(console.keys)
    assert unpadded(shown.payload) == encode(shown.statement)
    assert console.waiting.shown(REQUEST, "http://localhost:1").credentials == ()
    execute(console.high.side, files)
    assert open_gate(console.high.side).served("stable") is not None


def test_what_was_carried_out_waits_no_more_and_signed_copies_are_no_requests(console: Console) -> None:
    pending = console.high.side.home.pending
    (copy,) = console.high.signed(console.envelope, "copy", ["approver-2"])
    (pending / f"{REQUEST}.approver-2.json").write_bytes(copy.read_bytes())
    (pending / f"{REQUEST}.approver-1.json").write_bytes(console.envelope)  # nobody approved in this one
    assert [(w.name, w.signed, w.expired) for w in console.waiting.waiting()] == [
        (REQUEST, ("approver-2",), False)
    ]
    other = msgspec.structs.replace(read_statement(console.envelope), nonce="ab" * 16)
    (pending / f"{REQUEST}.other.json").write_bytes(
        sign(STATEMENT_TYPE, encode(other), [console.high.operator])
    )
    assert [w.name for w in console.waiting.waiting()] == [REQUEST, f"{REQUEST}.other"]
    execute(console.high.side, [console.hand_in("approver-1"), copy])
    assert [w.name for w in console.waiting.waiting()] == [f"{REQUEST}.other"]


def test_a_signed_copy_whose_signature_does_not_verify_names_nobody(console: Console) -> None:
    forged = attach(console.envelope, console.keys["approver-1"].keyid, b"no signature")
    (console.high.side.home.pending / f"{REQUEST}.forged.json").write_bytes(forged)
    assert console.waiting.waiting()[0].signed == ()


def test_a_security_key_and_a_key_file_publish_together(console: Console) -> None:
    by_file = console.high.signed(console.envelope, "file", ["approver-2"])
    execute(console.high.side, [console.hand_in("approver-1"), *by_file])
    assert open_gate(console.high.side).served("stable") is not None


def test_one_person_with_a_security_key_and_a_key_file_counts_once(console: Console) -> None:
    by_file = console.high.signed(console.envelope, "file", ["approver-1"])
    with pytest.raises(TooFewApproversError):
        execute(console.high.side, [console.hand_in("approver-1"), *by_file])


def test_a_signature_on_another_statement_counts_for_nothing(console: Console) -> None:
    other = msgspec.structs.replace(read_statement(console.envelope), snapshot_sha256="e" * 64)
    forged = sign(STATEMENT_TYPE, encode(other), [console.high.operator])
    signatures = [(name, console.sign(name)) for name in ("approver-1", "approver-2")]
    with pytest.raises(AssertionRefusedError, match="another statement"):
        execute(console.high.side, [console.forged("other", forged, *signatures)])
    assert open_gate(console.high.side).pointer("stable") is None


def test_a_signature_that_was_used_is_not_used_again(console: Console) -> None:
    files = [console.hand_in(name) for name in ("approver-1", "approver-2")]
    execute(console.high.side, files)
    rollback = console.high
    rollback.publish(2, "b")
    with pytest.raises(ApprovalSpentError):
        execute(console.high.side, files)


@pytest.mark.parametrize(
    "client",
    [
        {"origin": "http://localhost:9999"},
        {"origin": "https://evil.example"},
        {"crossOrigin": True},
        {"type": "webauthn.create"},
    ],
)
def test_what_was_signed_elsewhere_is_refused_by_console_and_gate(console: Console, client) -> None:
    with pytest.raises(AssertionRefusedError):
        console.hand_in("approver-1", console.sign("approver-1", **client))
    assert console.waiting.waiting()[0].signed == ()
    signatures = [
        ("approver-1", console.sign("approver-1", **client)),
        ("approver-2", console.sign("approver-2")),
    ]
    with pytest.raises(AssertionRefusedError):
        execute(console.high.side, [console.forged("elsewhere", console.envelope, *signatures)])


def test_one_persons_signature_is_not_anothers(console: Console) -> None:
    mine = console.sign("approver-1")
    with pytest.raises(AssertionRefusedError, match="does not verify"):
        console.hand_in("approver-2", mine)
    both = [("approver-1", mine), ("approver-2", mine)]
    with pytest.raises(AssertionRefusedError):
        execute(console.high.side, [console.forged("both", console.envelope, *both)])


def test_the_requester_and_strangers_hand_in_nothing(console: Console) -> None:
    with pytest.raises(OwnRequestError):
        console.hand_in("operator")
    signatures = [("approver-1", console.sign("approver-1")), ("operator", console.sign("operator"))]
    with pytest.raises(OwnRequestError):
        execute(console.high.side, [console.forged("own", console.envelope, *signatures)])
    stranger = Authenticator("approver-2")
    with pytest.raises(CredentialError):
        console.waiting.hand_in(REQUEST, stranger.credential.identifier, stranger.sign(console.message()))
    forged = attach(console.envelope, stranger.keyid, signature_bytes(stranger.sign(console.message())))
    file = console.high.folder / "stranger.json"
    file.write_bytes(forged)
    with pytest.raises(UnknownKeyError):
        execute(console.high.side, [file])
    with pytest.raises(NoSuchRequestError):
        console.waiting.hand_in("../../trust/site.dsse", "x", console.sign("approver-1"))


def test_a_counter_that_goes_back_is_refused_though_everything_verifies(console: Console) -> None:
    console.keys["approver-1"].count = 40
    execute(console.high.side, [console.hand_in(n) for n in ("approver-1", "approver-2")])
    console.high.arrive(2, "b")
    gate = open_gate(console.high.side)
    gate.inspect(2, Scripted())
    console.envelope = gate.request(2, "stable", console.high.operator)
    console.keys["approver-1"].count = 10
    copied = [(n, console.sign(n)) for n in ("approver-1", "approver-2")]
    with pytest.raises(CounterBackError, match="counted 11; it had counted 41"):
        execute(console.high.side, [console.forged("copied", console.envelope, *copied)])
    assert open_gate(console.high.side).pointer("stable").version == 1
    console.keys["approver-1"].count = 41
    risen = [(n, console.sign(n)) for n in ("approver-1", "approver-2")]
    execute(console.high.side, [console.forged("risen", console.envelope, *risen)])


def test_an_authenticator_that_does_not_count_says_nought_for_ever(console: Console) -> None:
    for sequence in (1, 2):
        if sequence == 2:
            console.high.arrive(2, "b")
            gate = open_gate(console.high.side)
            gate.inspect(2, Scripted())
            console.envelope = gate.request(2, "stable", console.high.operator)
        for key in console.keys.values():
            key.count = -1
        signed = [(n, console.sign(n)) for n in ("approver-1", "approver-2")]
        execute(console.high.side, [console.forged(f"n{sequence}", console.envelope, *signed)])
    assert open_gate(console.high.side).pointer("stable").version == 2


def test_the_same_statement_may_be_carried_out_again_after_a_failure(console: Console) -> None:
    files = [console.hand_in(n) for n in ("approver-1", "approver-2")]
    console.high.lane.high.joinpath("quarantine").rename(console.high.folder / "away")
    with pytest.raises(LockgateError):
        execute(console.high.side, files)
    target = console.high.lane.high / "quarantine"
    if target.exists():
        target.rename(console.high.folder / "empty")
    (console.high.folder / "away").rename(target)
    execute(console.high.side, files)


def test_a_card_is_signed_by_its_own_credential_and_lists_approvers_alone(console: Console) -> None:
    new = Authenticator("dora")
    asked = Enrolment("dora", new.origin, new.credential.identifier, new.credential.spki)
    payload = begin_card("harbour", asked)
    proof = new.sign(pae(CARD_TYPE, payload))
    card, identifier, aloud = finish_card("harbour", Proof(padded(payload), "", proof))
    entry = read_card(card)
    assert (entry.identifier, entry.card.person) == (identifier, "dora")
    assert aloud
    with pytest.raises(AssertionRefusedError):
        finish_card(
            "harbour", Proof(padded(payload), "", Authenticator("dora").sign(pae(CARD_TYPE, payload)))
        )
    with pytest.raises(LockgateError):
        finish_card("other", Proof(padded(payload), "", proof))
    with pytest.raises(PersonNameError):
        begin_card("harbour", msgspec.structs.replace(asked, person="<b>"))
    site, now = site_root(console.high.side, None), utc_now()
    rotated = next_root(site, site.expires, Changes(add=(entry,)), at=now)
    assert rotated.keys[identifier].person == "dora"
    wrong = msgspec.structs.replace(entry.card, purpose=Purpose.OPERATOR)
    with pytest.raises(CeremonyError, match="authenticator"):
        next_root(site, site.expires, Changes(add=(Entry(identifier, wrong),)), at=now)
