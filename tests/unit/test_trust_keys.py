"""Keys: made, kept in encrypted files that are never replaced, and what they sign."""

from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from corpora.trusted import LATER
from lockgate.core.digests import sha256
from lockgate.core.roots import PublicKey, Purpose
from lockgate.trust.errors import KeyFileError, UnwrapError
from lockgate.trust.keys import (
    RECIPIENT_SUITE,
    Signer,
    keyid_of,
    load_recipient_key,
    load_signer,
    new_recipient_key,
    new_signer,
    recipient_id,
    save_recipient_key,
    save_signer,
    verifies,
)
from lockgate.trust.sealing import unwrap, wrap

PASSPHRASE = b"correct horse"


def write_pem(path: Path, private: object, passphrase: bytes | None = PASSPHRASE) -> Path:
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)  # type: ignore[attr-defined]  # any key
    path.write_bytes(pem)
    return path


def test_a_signing_key_comes_back_with_its_passphrase(tmp_path: Path) -> None:
    signer = new_signer(Purpose.APPROVER, "anna")
    path = tmp_path / "people" / "anna" / "approver.pem"
    save_signer(signer, path, PASSPHRASE)
    again = load_signer(path, PASSPHRASE, Purpose.APPROVER, "anna")
    assert again.keyid == signer.keyid
    assert verifies(signer.public, again.sign(b"message"), b"message")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert b"ENCRYPTED" in path.read_bytes()


@pytest.mark.parametrize("passphrase", [b"wrong", b"", PASSPHRASE + b"\n"])
def test_another_passphrase_does_not_open_it(tmp_path: Path, passphrase: bytes) -> None:
    save_signer(new_signer(Purpose.APPROVER, "anna"), tmp_path / "a.pem", PASSPHRASE)
    save_recipient_key(new_recipient_key("gate"), tmp_path / "r.pem", PASSPHRASE)
    with pytest.raises(KeyFileError, match="does not open with this passphrase"):
        load_signer(tmp_path / "a.pem", passphrase, Purpose.APPROVER, "anna")
    with pytest.raises(KeyFileError):
        load_recipient_key(tmp_path / "r.pem", passphrase, "gate")


def test_a_key_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    save_signer(new_signer(Purpose.APPROVER, "anna"), path, PASSPHRASE)
    before = path.read_bytes()
    link = tmp_path / "link.pem"
    link.symlink_to(tmp_path / "elsewhere.pem")
    for target in (path, link):
        with pytest.raises(KeyFileError, match="cannot be written"):
            save_signer(new_signer(Purpose.APPROVER, "anna"), target, PASSPHRASE)
        with pytest.raises(KeyFileError):
            save_recipient_key(new_recipient_key("gate"), target, PASSPHRASE)
    assert path.read_bytes() == before
    assert not (tmp_path / "elsewhere.pem").exists()


def test_no_key_is_written_without_a_passphrase(tmp_path: Path) -> None:
    for save, key in (
        (save_signer, new_signer(Purpose.LOG, "log")),
        (save_recipient_key, new_recipient_key("g")),
    ):
        with pytest.raises(KeyFileError, match="passphrase"):
            save(key, tmp_path / "a.pem", b"")  # type: ignore[operator]  # a pair of each kind
    assert list(tmp_path.iterdir()) == []


def test_missing_damaged_open_and_foreign_files_are_no_keys(tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_bytes(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIx\n")
    files = [
        tmp_path / "absent.pem",
        tmp_path,
        tmp_path / "text.pem",
        write_pem(tmp_path / "open.pem", Ed25519PrivateKey.generate(), None),
        write_pem(tmp_path / "rsa.pem", rsa.generate_private_key(65537, 2048)),
        write_pem(tmp_path / "p384.pem", ec.generate_private_key(ec.SECP384R1())),
        write_pem(tmp_path / "k1.pem", ec.generate_private_key(ec.SECP256K1())),
    ]
    for file in files:
        with pytest.raises(KeyFileError):
            load_signer(file, PASSPHRASE, Purpose.APPROVER, "anna")
        with pytest.raises(KeyFileError):
            load_recipient_key(file, PASSPHRASE, "gate")
    save_signer(new_signer(Purpose.LOG, "log"), tmp_path / "ed25519.pem", PASSPHRASE)
    with pytest.raises(KeyFileError, match="holds no P-256 key"):
        load_recipient_key(tmp_path / "ed25519.pem", PASSPHRASE, "gate")


def test_p256_keys_sign_too(tmp_path: Path) -> None:
    path = write_pem(tmp_path / "p256.pem", ec.generate_private_key(ec.SECP256R1()))
    signer = load_signer(path, PASSPHRASE, Purpose.APPROVER, "anna")
    assert signer.public.scheme == "ecdsa-sha2-nistp256"
    signature = signer.sign(b"message")
    assert verifies(signer.public, signature, b"message")
    assert not verifies(signer.public, signature, b"another")
    assert not verifies(signer.public, signature[:-1], b"message")
    save_signer(signer, tmp_path / "again.pem", PASSPHRASE)
    assert load_signer(tmp_path / "again.pem", PASSPHRASE, Purpose.APPROVER, "").keyid == signer.keyid


def test_a_signature_verifies_with_its_key_and_message_alone() -> None:
    signer, other = new_signer(Purpose.LOG, "log"), new_signer(Purpose.LOG, "log")
    signature = signer.sign(b"message")
    assert verifies(signer.public, signature, b"message")
    assert not verifies(other.public, signature, b"message")
    for bad in (b"", signature[:-1], signature + b"\0", bytes(64), signature[::-1]):
        assert not verifies(signer.public, bad, b"message")
    for public in (
        PublicKey(keytype="ed25519", scheme="ed25519", public="00"),
        PublicKey(keytype="ed25519", scheme="ed25519", public="not hex"),
        PublicKey(keytype="ed25519", scheme="unheard", public=signer.public.public),
        PublicKey(keytype="unheard", scheme="ed25519", public=signer.public.public),
        PublicKey(keytype="ecdsa", scheme="ecdsa-sha2-nistp256", public="no pem"),
    ):
        assert not verifies(public, signature, b"message")


def test_the_key_id_is_that_of_the_update_framework() -> None:
    raw = CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    signer = Signer(Purpose.LOG, "log", raw)
    public = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    assert signer.public == PublicKey(keytype="ed25519", scheme="ed25519", public=public)
    canonical = f'{{"keytype":"ed25519","keyval":{{"public":"{public}"}},"scheme":"ed25519"}}'
    assert signer.keyid == keyid_of(signer.public) == raw.public_key.keyid == sha256(canonical.encode())
    held = signer.held(LATER)
    assert (held.purpose, held.person, held.expires) == (Purpose.LOG, "log", LATER)


def test_what_is_sealed_to_a_recipient_opens_for_it_alone_and_in_its_place(tmp_path: Path) -> None:
    key = new_recipient_key("gate")
    path = tmp_path / "recipient.pem"
    save_recipient_key(key, path, PASSPHRASE)
    key = load_recipient_key(path, PASSPHRASE, "gate")
    published = key.published(LATER)
    assert recipient_id(published.public) == key.recipient_id
    secret = bytes(range(32))
    wrapped = wrap(secret, published, b"volume 1")
    assert len(wrapped) == 65 + 32 + 16
    assert unwrap(wrapped, key, b"volume 1") == secret
    assert wrap(secret, published, b"volume 1") != wrapped
    with pytest.raises(UnwrapError):
        unwrap(wrapped, key, b"volume 2")
    with pytest.raises(UnwrapError, match="'other'"):
        unwrap(wrapped, new_recipient_key("other"), b"volume 1")
    for at in range(0, len(wrapped), 3):
        changed = bytearray(wrapped)
        changed[at] ^= 1
        with pytest.raises(UnwrapError):
            unwrap(bytes(changed), key, b"volume 1")
    for cut in (b"", wrapped[:65], wrapped[:-1], wrapped + b"\0"):
        with pytest.raises(UnwrapError):
            unwrap(cut, key, b"volume 1")


def test_nothing_is_sealed_to_what_is_no_recipient() -> None:
    good = new_recipient_key("gate").published(LATER)
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    pem = p384.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    ed = Ed25519PrivateKey.generate().public_key()
    edpem = ed.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    for changes in ({"suite": "none"}, {"public": "no pem"}, {"public": pem}, {"public": edpem}):
        with pytest.raises(KeyFileError):
            wrap(b"secret", msgspec.structs.replace(good, **changes), b"")
    assert good.suite == RECIPIENT_SUITE
