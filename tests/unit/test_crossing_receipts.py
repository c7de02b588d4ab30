"""Receipts: one form, fixed length, as many persons as the policy says, nothing that could be free."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import CryptoSigner

from lockgate.core.policy import Policy
from lockgate.core.receipt import BODY_SIZE, Ending, Receipt, ReceiptFormError, read_body
from lockgate.core.roots import (
    ROOT_FORMAT,
    KeyExpiredError,
    KeyPurposeError,
    Purpose,
    Root,
    RootKind,
    ThresholdError,
    UnknownKeyError,
)
from lockgate.crossing import judge_receipt, pack_receipt, read_text, receipt_text, sign_receipt
from lockgate.crossing.errors import SubliminalSignatureError
from lockgate.trust.errors import SignatureError, WrongLaneError
from lockgate.trust.keys import Signer, new_signer

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
UNTIL = NOW + timedelta(days=90)
RECEIPT = Receipt(
    lane="plant",
    crossing=7,
    crate_sha256="c" * 64,
    ending=Ending.PUBLISHED,
    snapshot_sha256="5" * 64,
    log_size=123,
    log_root="a" * 64,
)


def p256(person: str) -> Signer:
    return Signer(Purpose.APPROVER, person, CryptoSigner(ec.generate_private_key(ec.SECP256R1())))


ANNA, BEN, CARA = new_signer(Purpose.APPROVER, "anna"), p256("ben"), new_signer(Purpose.APPROVER, "cara")
OTHER = new_signer(Purpose.APPROVER, "anna")
OPERATOR = new_signer(Purpose.OPERATOR, "operator")


def site(lane: str = "plant", approvers: int = 2) -> Root:
    return Root(
        format=ROOT_FORMAT,
        kind=RootKind.SITE,
        lane=lane,
        version=1,
        assurance="demo",
        expires=UNTIL,
        keys={s.keyid: s.held(UNTIL) for s in (ANNA, BEN, CARA, OTHER, OPERATOR)},
        thresholds={},
        policy=Policy(approvers=approvers),
    )


def signed(*signers: Signer, receipt: Receipt = RECEIPT) -> bytes:
    return pack_receipt(receipt.body, {s.keyid: sign_receipt(receipt.body, s) for s in signers})


def test_two_persons_make_a_receipt_of_fixed_length_that_is_the_same_each_time() -> None:
    whole = signed(BEN, ANNA)
    assert whole == signed(ANNA, BEN)
    assert len(whole) == BODY_SIZE + 2 * 96 == 341
    rejected = msgspec.structs.replace(
        RECEIPT,
        crossing=999_999,
        ending=Ending.REJECTED,
        snapshot_sha256="0" * 64,
        log_size=0,
        log_root="0" * 64,
    )
    assert len(signed(ANNA, BEN, receipt=rejected)) == len(whole)
    line = receipt_text(whole)
    assert set(line) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.")
    assert judge_receipt(read_text(line + "\r\n"), site(), NOW) == (RECEIPT, {"anna", "ben"})
    assert judge_receipt(signed(ANNA, BEN, receipt=rejected), site(), NOW)[0] == rejected


def test_every_byte_of_a_receipt_is_bound() -> None:
    whole = signed(ANNA, BEN)
    for at in range(len(whole)):
        for bit in (0, 7):
            altered = bytearray(whole)
            altered[at] ^= 1 << bit
            with pytest.raises((ReceiptFormError, SignatureError, UnknownKeyError, WrongLaneError)):
                judge_receipt(bytes(altered), site(), NOW)


@pytest.mark.parametrize("cut", [0, 1, BODY_SIZE, BODY_SIZE + 96, 340, 342, 437])
def test_another_length_is_refused(cut: int) -> None:
    longer = signed(ANNA, BEN, CARA)
    with pytest.raises(ReceiptFormError):
        judge_receipt(longer[:cut], site(), NOW)


def test_who_may_approve_a_receipt() -> None:
    one = {ANNA.keyid: sign_receipt(RECEIPT.body, ANNA)}
    with pytest.raises(ReceiptFormError):
        judge_receipt(pack_receipt(RECEIPT.body, one), site(), NOW)
    with pytest.raises(ThresholdError, match="1 of 2"):
        judge_receipt(signed(ANNA, OTHER), site(), NOW)
    with pytest.raises(KeyPurposeError):
        judge_receipt(signed(ANNA, OPERATOR), site(), NOW)
    with pytest.raises(UnknownKeyError):
        judge_receipt(signed(ANNA, new_signer(Purpose.APPROVER, "ben")), site(), NOW)
    with pytest.raises(KeyExpiredError):
        judge_receipt(signed(ANNA, BEN), site(), UNTIL)
    body, entries = RECEIPT.body, signed(ANNA, BEN)[BODY_SIZE:]
    with pytest.raises(ReceiptFormError, match="order"):
        judge_receipt(body + entries[96:] + entries[:96], site(), NOW)
    with pytest.raises(ReceiptFormError, match="twice"):
        judge_receipt(body + entries[:96] * 2, site(), NOW)
    assert judge_receipt(signed(ANNA, BEN, CARA), site(approvers=3), NOW)[1] == {"anna", "ben", "cara"}


def test_a_receipt_of_another_lane_is_refused() -> None:
    with pytest.raises(WrongLaneError):
        judge_receipt(signed(ANNA, BEN), site(lane="harbour"), NOW)
    assert read_body(RECEIPT.body, "harbour") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"snapshot_sha256": "0" * 64},
        {"ending": Ending.REJECTED},
        {"log_size": 0},
        {"log_root": "0" * 64},
        {"crate_sha256": "0" * 64},
    ],
)
def test_fields_that_contradict_one_another_are_refused(changes: dict) -> None:
    body = msgspec.structs.replace(RECEIPT, **changes).body
    with pytest.raises(ReceiptFormError, match="contradict"):
        read_body(body, "plant")


def test_a_key_that_chooses_something_in_its_signature_does_not_sign_receipts() -> None:
    private = ec.generate_private_key(ec.SECP256R1())

    class Token(CryptoSigner):
        """Signs as a token does: with a random nonce that nobody can look into."""

        def __init__(self) -> None:
            self.__dict__.update(vars(CryptoSigner(private)))
            self._inner, self._private_key = self._private_key, None

        def sign(self, payload):
            return CryptoSigner(self._inner).sign(payload)

    with pytest.raises(SubliminalSignatureError):
        sign_receipt(RECEIPT.body, Signer(Purpose.APPROVER, "token", Token()))


@pytest.mark.parametrize(
    "spoil", [str.lower, lambda t: t[:-1], lambda t: t + "A", lambda t: t + "=", lambda t: t[5:]]
)
def test_text_in_another_form_is_refused(spoil) -> None:
    with pytest.raises(ReceiptFormError):
        judge_receipt(read_text(spoil(receipt_text(signed(ANNA, BEN)))), site(), NOW)
