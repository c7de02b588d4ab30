"""Keys in a token (SoftHSM): any of them signs hand-overs, only deterministic ones approve receipts."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from corpora.custody import ANNA, SEALED, UNTIL, Package, custodians
from corpora.softhsm import ED25519, SoftToken, soft_token
from lockgate.core.policy import Policy
from lockgate.core.receipt import Ending, Receipt
from lockgate.core.roots import Purpose
from lockgate.crossing import judge_receipt, pack_receipt, sign_receipt
from lockgate.crossing.custody import verify_chain
from lockgate.crossing.errors import SubliminalSignatureError
from lockgate.trust.keys import Signer, new_signer
from lockgate.trust.keys_token import load_token_signer, pin_for
from lockgate.trust.keys_uri import parse_key_uri

RECEIPT = Receipt(
    lane="harbour",
    crossing=7,
    crate_sha256="c" * 64,
    ending=Ending.REJECTED,
    snapshot_sha256="0" * 64,
    log_size=0,
    log_root="0" * 64,
)


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    with soft_token(tmp_path_factory.mktemp("softhsm")) as made:
        made.make("p256", 1)
        made.make("edith", 2, ED25519)
        yield made


def key(token: SoftToken, label: str, purpose: Purpose) -> Signer:
    address = parse_key_uri(token.uri(f"object={label}"))
    return load_token_signer(address, pin_for(address), purpose, label)


@pytest.mark.parametrize("label", ["p256", "edith"])
def test_a_clerks_token_signs_hand_overs(token: SoftToken, label: str) -> None:
    clerk = key(token, label, Purpose.CUSTODIAN)
    known = custodians(high=(clerk,))
    package = Package(known=known).go("anna", "anna", ANNA).go("anna", label, clerk)
    assert verify_chain(package.chain, known)[-1].site_signers == (label,)


def test_only_a_token_that_signs_deterministically_approves_receipts(token: SoftToken) -> None:
    with pytest.raises(SubliminalSignatureError):
        sign_receipt(RECEIPT.body, key(token, "p256", Purpose.APPROVER))
    edith, other = key(token, "edith", Purpose.APPROVER), new_signer(Purpose.APPROVER, "other")
    signatures = {s.keyid: sign_receipt(RECEIPT.body, s) for s in (edith, other)}
    site = msgspec.structs.replace(
        custodians().site, keys={s.keyid: s.held(UNTIL) for s in (edith, other)}, policy=Policy()
    )
    judged = judge_receipt(pack_receipt(RECEIPT.body, signatures), site, SEALED + timedelta(days=1))
    assert judged == (RECEIPT, {"edith", "other"})
