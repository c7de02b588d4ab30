"""Our keys in OpenPGP's form, judged by the verifiers that apt of Debian 12 (gpgv) and 13 (sqv) call."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import CryptoSigner

from lockgate.core.roots import PublicKey, Purpose
from lockgate.trust.errors import KeyFormError
from lockgate.trust.keys import Signer, new_signer
from lockgate.trust.openpgp import BORN, Kind, OpenPgpKey, armor, clearsigned

WHEN = datetime(2026, 5, 1, 12, tzinfo=UTC)
TEXT = (
    b"Origin: Debian\nDescription: a - dash and a tab\t\n- begins with one\n\nSHA256:\n 00 1 main/Packages\n"
)


def ecdsa_signer() -> Signer:
    return Signer(Purpose.REPOSITORY, "gate", CryptoSigner(ec.generate_private_key(ec.SECP256R1())))


@pytest.fixture(params=["ed25519", "p256"])
def signer(request):
    return new_signer(Purpose.REPOSITORY, "gate") if request.param == "ed25519" else ecdsa_signer()


@pytest.fixture
def key(signer):
    return OpenPgpKey(signer.public, "Lockgate lane harbour")


def verified(tmp_path, key, certificate, *files, tool):
    ring = tmp_path / "ring.gpg"
    ring.write_bytes(certificate)
    commands = {
        "gpgv": ["gpgv", "--homedir", tmp_path, "--keyring", ring, *files],
        "sqv": ["sqv", "--keyring", ring, *files],
    }
    return subprocess.run(commands[tool], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("tool", ["gpgv", "sqv"])
def test_detached_signatures_verify_and_altered_content_does_not(tmp_path, signer, key, tool):
    certificate = key.certificate(key.certify(signer))
    raw = key.sign(signer, Kind.BINARY, TEXT, WHEN)
    file, signature = tmp_path / "Release", tmp_path / "Release.gpg"
    file.write_bytes(TEXT)
    signature.write_text(armor(key.signature(Kind.BINARY, TEXT, WHEN, raw), "SIGNATURE"))
    assert verified(tmp_path, key, certificate, signature, file, tool=tool).returncode == 0
    file.write_bytes(TEXT + b" ")
    assert verified(tmp_path, key, certificate, signature, file, tool=tool).returncode != 0


def test_clear_text_verifies_with_dashes_and_white_space(tmp_path, signer, key):
    certificate = key.certificate(key.certify(signer))
    raw = key.sign(signer, Kind.TEXT, TEXT, WHEN)
    file = tmp_path / "InRelease"
    file.write_bytes(clearsigned(key, TEXT, key.signature(Kind.TEXT, TEXT, WHEN, raw)))
    done = verified(tmp_path, key, certificate, file, tool="gpgv")
    assert done.returncode == 0, done.stderr
    assert "Lockgate lane harbour" in done.stderr
    file.write_bytes(file.read_bytes().replace(b"Debian", b"Ubuntu"))
    assert verified(tmp_path, key, certificate, file, tool="gpgv").returncode != 0


def test_every_signature_verifies_whatever_zeros_its_numbers_begin_with(tmp_path, signer, key):
    certificate = key.certificate(key.certify(signer))
    for number in range(40):
        text = f"Release {number}\n".encode()
        raw = key.sign(signer, Kind.BINARY, text, WHEN)
        file, signature = tmp_path / "Release", tmp_path / "Release.gpg"
        file.write_bytes(text)
        signature.write_bytes(key.signature(Kind.BINARY, text, WHEN, raw))
        assert verified(tmp_path, key, certificate, signature, file, tool="gpgv").returncode == 0


def test_an_armoured_certificate_is_read_by_gpg_under_its_fingerprint(tmp_path, signer, key):
    file = tmp_path / "lane.asc"
    file.write_text(armor(key.certificate(key.certify(signer)), "PUBLIC KEY BLOCK"))
    command = ["gpg", "--homedir", tmp_path, "--batch", "--with-colons", "--show-keys", file]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert f":{key.fingerprint}:" in shown
    assert f":{int(BORN.timestamp())}:" in shown


def test_a_raw_signature_belongs_to_one_text_time_kind_and_key(signer, key):
    raw = key.sign(signer, Kind.BINARY, TEXT, WHEN)
    assert key.verifies(Kind.BINARY, TEXT, WHEN, raw)
    assert not key.verifies(Kind.TEXT, TEXT, WHEN, raw)
    assert not key.verifies(Kind.BINARY, TEXT, WHEN + timedelta(seconds=1), raw)
    assert not key.verifies(Kind.BINARY, TEXT[1:], WHEN, raw)
    other = OpenPgpKey(new_signer(Purpose.REPOSITORY, "gate").public, key.user)
    assert not other.verifies(Kind.BINARY, TEXT, WHEN, raw)
    assert key.certifies(key.certify(signer))
    assert not OpenPgpKey(signer.public, "somebody else").certifies(key.certify(signer))
    with pytest.raises(KeyFormError):
        other.sign(signer, Kind.BINARY, TEXT, WHEN)


def test_keys_of_other_types_are_refused():
    with pytest.raises(KeyFormError):
        _ = OpenPgpKey(PublicKey(keytype="rsa", scheme="rsassa-pss-sha256", public="x"), "lane").body
