"""HPKE without the private key: RFC 9180's numbers, and the other implementation both ways."""

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lockgate.trust.hpke import ENCAPSULATED, Aead, key_schedule, open_base, shared_secret

INFO = b"Ode on a Grecian Urn"
TEXT = b"Beauty is truth, truth beauty"
VECTORS = {
    # RFC 9180, appendix A.3.1: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode.
    Aead.AES_128_GCM: {
        "ours": "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
        "theirs": "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f95"
        "1c0900be863c403ce65c9bfcb9382657222d18c4",
        "shared": "c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8",
        "key": "868c066ef58aae6dc589b6cfdd18f97e",
        "nonce": "4e0bc5018beba4bf004cca59",
        "exporter": "14ad94af484a7ad3ef40e9f3be99ecc6fa9036df9d4920548424df127ee0d99f",
        "sealed": "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f"
        "9076ac232e3ab2523f39513434",
    },
    # The same suite with AES-256-GCM: from the vectors file that the RFC's authors publish beside it.
    Aead.AES_256_GCM: {
        "ours": "317f915db7bc629c48fe765587897e01e282d3e8445f79f27f65d031a88082b2",
        "theirs": "04c06b4f6bebc7bb495cb797ab753f911aff80aefb86fd8b6fcc35525f3ab5f03e0b21bd31a86c6048af3cb2d9"
        "8e0d3bf01da5cc4c39ff5370d331a4f1f7d5a4e0",
        "shared": "48893fecd82f7c3456af6a42d8f56325d21e08c10fa81299986aaff54cde7b49",
        "key": "ee16802a936d5f544771131900ee6973d0551de9e852ece2ef34bf0d5f9e1d1d",
        "nonce": "9bc50980832a7b4b58c40161",
        "exporter": "a8e9a7e62621879fdc89cea7da8e6153458f463e2851baaf009a7461d699cfb6",
        "sealed": "58c61a45059d0c5704560e9d88b564a8b63f1364b8d1fcb3c4c6ddc1d2917424"
        "65e902cd216f8908da49f8f96f",
    },
}
SUITES = {Aead.AES_128_GCM: AEAD.AES_128_GCM, Aead.AES_256_GCM: AEAD.AES_256_GCM}


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@pytest.mark.parametrize("aead", Aead)
def test_the_published_vectors(aead: Aead) -> None:
    want = {name: bytes.fromhex(value) for name, value in VECTORS[aead].items()}
    ours = ec.derive_private_key(int.from_bytes(want["ours"], "big"), ec.SECP256R1())
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), want["theirs"])
    shared = shared_secret(ours.exchange(ec.ECDH(), theirs), want["theirs"], point(ours.public_key()))
    assert shared == want["shared"]
    schedule = key_schedule(shared, INFO, aead)
    assert schedule.key == want["key"]
    assert schedule.base_nonce == want["nonce"]
    assert schedule.exporter_secret == want["exporter"]
    assert open_base(want["theirs"] + want["sealed"], ours, INFO, aead=aead, aad=b"Count-0") == TEXT


@pytest.mark.parametrize("aead", Aead)
def test_the_other_implementation_both_ways(aead: Aead) -> None:
    ours = ec.generate_private_key(ec.SECP256R1())
    suite = Suite(KEM.P256, KDF.HKDF_SHA256, SUITES[aead])
    for secret in (b"", b"k", bytes(range(32)), bytes(5000)):
        assert (
            open_base(suite.encrypt(secret, ours.public_key(), b"place"), ours, b"place", aead=aead) == secret
        )
        ephemeral = ec.generate_private_key(ec.SECP256R1())
        encapsulated = point(ephemeral.public_key())
        agreed = ephemeral.exchange(ec.ECDH(), ours.public_key())
        made = key_schedule(shared_secret(agreed, encapsulated, point(ours.public_key())), b"place", aead)
        sealed = encapsulated + AESGCM(made.key).encrypt(made.base_nonce, secret, None)
        assert suite.decrypt(sealed, ours, b"place") == secret


def test_what_is_altered_cut_or_elsewhere_does_not_open() -> None:
    ours = ec.generate_private_key(ec.SECP256R1())
    suite = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    sealed = suite.encrypt(bytes(32), ours.public_key(), b"place")
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises((ValueError, InvalidTag)):
            open_base(bytes(changed), ours, b"place")
    for length in (0, 1, ENCAPSULATED - 1, ENCAPSULATED, ENCAPSULATED + 15, len(sealed) - 1):
        with pytest.raises((ValueError, InvalidTag)):
            open_base(sealed[:length], ours, b"place")
    with pytest.raises(InvalidTag):
        open_base(sealed, ours, b"another place")
    with pytest.raises(InvalidTag):
        open_base(sealed, ec.generate_private_key(ec.SECP256R1()), b"place")
    with pytest.raises(InvalidTag):
        open_base(sealed, ours, b"place", aad=b"more")


def test_points_off_the_curve_never_reach_the_key() -> None:
    class Spy:
        def __init__(self):
            self.key = ec.generate_private_key(ec.SECP256R1())
            self.asked = 0

        def public_key(self):
            return self.key.public_key()

        def exchange(self, algorithm, peer):
            self.asked += 1
            return self.key.exchange(algorithm, peer)

    spy = Spy()
    good = point(ec.generate_private_key(ec.SECP256R1()).public_key())
    hybrid = bytes([6 + (good[-1] & 1)]) + good[1:]
    for bad in (bytes(65), b"\x04" + bytes(64), good[:64] + bytes([good[64] ^ 1]), hybrid):
        with pytest.raises(ValueError, match=r"."):
            open_base(bad + bytes(48), spy, b"")
    assert spy.asked == 0
    with pytest.raises(InvalidTag):
        open_base(good + bytes(48), spy, b"")
    assert spy.asked == 1
