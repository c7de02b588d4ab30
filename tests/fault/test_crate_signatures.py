"""A courier without any key makes no second crate.json of one: both sides know a crossing by one digest."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from securesystemslib.signer import CryptoSigner

from crossing_lane import NOW, YEAR, Lane, nothing_recorded, refused, resign
from lockgate.core.roots import Purpose
from lockgate.core.wire import encode
from lockgate.crossing import Received, SealedCrate
from lockgate.crossing.errors import ManifestError, SealRequestError
from lockgate.crossing.mend import Mender, Trust
from lockgate.crossing.receipts import _fixed, _holds
from lockgate.trust.errors import SignatureError
from lockgate.trust.keys import P256_ORDER, Signer, one_form, verifies
from lockgate.trust.roots import make_supply_root, read_supply_root

CURVES = {
    "ecdsa-sha2-nistp256": (ec.SECP256R1(), P256_ORDER),
    "ecdsa-sha2-nistp384": (
        ec.SECP384R1(),
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    ),
}


def p256(person: str) -> Signer:
    return Signer(Purpose.SEALER, person, CryptoSigner(ec.generate_private_key(ec.SECP256R1())))


def lane_of(*sealers: Signer) -> Lane:
    """Return a lane whose supply root lists these sealers, of whom the first one seals."""
    lane = Lane()
    lane.signers[Purpose.SEALER] = sealers[0]
    keys = {s.keyid: s.held(NOW + YEAR) for s in (*lane.holders, *lane.signers.values(), *sealers)}
    lane.low_roots.append(make_supply_root(lane.supply_root(2, keys=keys), lane.holders[:2]))
    return lane


def second(signature: bytes, order: int = P256_ORDER) -> bytes:
    """Return the other form of an ECDSA signature, as anybody can make it."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, order - s)


def with_signature(crate: SealedCrate, change: Callable[[bytes], bytes]) -> None:
    file = crate.path / "crate.json"
    envelope = json.loads(file.read_bytes())
    signature = envelope["signatures"][0]
    signature["sig"] = b64encode(change(b64decode(signature["sig"]))).decode()
    file.write_bytes(encode(envelope))


def test_the_second_form_of_a_signature_is_refused_and_the_lane_goes_on(tmp_path: Path) -> None:
    lane = lane_of(p256("low-token"))
    crate = lane.seal(tmp_path / "outbox")
    file = crate.path / "crate.json"
    honest = file.read_bytes()
    with_signature(crate, second)
    forged = file.read_bytes()
    opener = lane.opener(tmp_path / "staging")
    where = refused(opener, crate, ManifestError).where
    text = forged[where["offset"] : where["offset"] + where["length"]]
    assert text == encode(json.loads(forged)["signatures"][0]["sig"])
    assert nothing_recorded(lane)
    assert len(lane.high_roots.versions()) == 1
    with pytest.raises(ManifestError):
        Mender(Trust(read_supply_root(lane.low_roots[-1]), NOW)).check(crate.path)
    file.write_bytes(honest)
    assert isinstance(opener.receive(crate.path), Received)
    following = lane.seal(tmp_path / "outbox")
    assert isinstance(opener.receive(following.path), Received), "both sides know the first one by one digest"


@pytest.mark.parametrize(
    "change",
    [
        lambda sig: b"\x30\x81" + sig[1:],
        lambda sig: sig + b"\0",
        lambda sig: b"\x30" + bytes([sig[1] + 1]) + b"\x02" + bytes([sig[3] + 1]) + b"\0" + sig[4:],
    ],
    ids=["long length", "byte behind", "leading nought"],
)
def test_another_encoding_of_a_signature_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    lane = lane_of(p256("low-token"))
    crate = lane.seal(tmp_path / "outbox")
    with_signature(crate, change)
    refused(lane.opener(tmp_path / "staging"), crate, SignatureError)
    assert nothing_recorded(lane)


def test_a_signature_that_is_not_needed_could_be_taken_away_and_is_refused(tmp_path: Path) -> None:
    first, other = p256("low-one"), p256("low-two")
    lane = lane_of(first, other)
    with pytest.raises(SealRequestError):
        lane.seal(tmp_path / "both", signers=(first, other))
    crate = lane.seal(tmp_path / "outbox")
    resign(lane, crate, first, other)
    forged = (crate.path / "crate.json").read_bytes()
    where = refused(lane.opener(tmp_path / "staging"), crate, ManifestError).where
    named = forged[where["offset"] : where["offset"] + where["length"]]
    assert named == encode(json.loads(forged)["signatures"])
    assert nothing_recorded(lane)
    resign(lane, crate, first)
    assert isinstance(lane.opener(tmp_path / "staging").receive(crate.path), Received)


@pytest.mark.parametrize("scheme", CURVES)
def test_a_key_signs_in_the_lower_form_and_nothing_else_changes(scheme: str) -> None:
    curve, order = CURVES[scheme]
    signer = Signer(Purpose.SEALER, "p", CryptoSigner(ec.generate_private_key(curve)))
    assert signer.public.scheme == scheme
    for number in range(20):
        message = b"message %d" % number
        signature = signer.sign(message)
        assert 0 < decode_dss_signature(signature)[1] <= order // 2
        assert verifies(signer.public, signature, message)
        other = second(signature, order)
        assert verifies(signer.public, other, message), "ECDSA takes both"
        assert one_form(signer.public, other) == signature == one_form(signer.public, signature)


def test_who_lets_a_receipt_out_chooses_nothing_in_its_signatures() -> None:
    signer = p256("approver")
    lower = signer.sign(b"receipt")
    assert _fixed(second(lower)) == _fixed(lower)
    assert _holds(signer.public, _fixed(lower), b"receipt")
    r, s = decode_dss_signature(second(lower))
    assert not _holds(signer.public, r.to_bytes(32, "big") + s.to_bytes(32, "big"), b"receipt")
    assert not _holds(signer.public, bytes(64), b"receipt")
