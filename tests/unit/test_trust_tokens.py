"""Keys in tokens (SoftHSM): they sign and open as keys in files do, and fail with a reason."""

import os
from pathlib import Path
from types import SimpleNamespace

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from corpora.softhsm import ED25519, P384, PIN, SoftToken, soft_token
from corpora.trusted import LATER
from lockgate.core.roots import Purpose
from lockgate.trust.errors import KeyFileError, TokenError, TokenFailedError, UnwrapError
from lockgate.trust.keys import new_recipient_key, save_recipient_key, save_signer, tuf_key, verifies
from lockgate.trust.keys_token import (
    PIN_LIMIT,
    TokenSigner,
    load_token_recipient,
    load_token_signer,
    pin_for,
    read_pin,
)
from lockgate.trust.keys_uri import parse_key_uri
from lockgate.trust.sealing import unwrap, wrap


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory):
    with soft_token(tmp_path_factory.mktemp("softhsm")) as made:
        made.make("alice", 1)
        made.make("edith", 2, ED25519)
        made.make("gate", 3, derive=True)
        made.make("large", 4, P384)
        made.make("twin", 5)
        made.make("twin", 6)
        yield made


def signer(token: SoftToken, label: str):
    address = parse_key_uri(token.uri(f"object={label}"))
    return load_token_signer(address, pin_for(address), Purpose.APPROVER, label)


def recipient(token: SoftToken, label: str = "gate"):
    address = parse_key_uri(token.uri(f"object={label}"))
    return load_token_recipient(address, pin_for(address), label)


@pytest.mark.parametrize(("label", "scheme"), [("alice", "ecdsa-sha2-nistp256"), ("edith", "ed25519")])
def test_a_key_in_a_token_signs(token: SoftToken, label: str, scheme: str) -> None:
    made = signer(token, label)
    assert made.public.scheme == scheme
    for message in (b"", b"message", bytes(100_000)):
        signature = made.sign(message)
        assert verifies(made.public, signature, message)
        assert not verifies(made.public, signature, message + b"!")
    assert made.keyid == signer(token, label).keyid == made.raw.public_key.keyid
    assert made.held(LATER).person == label


def test_a_key_is_found_by_id_and_by_serial(token: SoftToken) -> None:
    assert (
        TokenSigner(parse_key_uri(token.uri("id=%01")), PIN).public_key
        == signer(token, "alice").raw.public_key
    )
    with token.opened() as session:
        serial = session.token.serial.decode()
    found = TokenSigner(parse_key_uri(token.uri(f"serial={serial};object=edith")), PIN)
    assert found.public_key == signer(token, "edith").raw.public_key


def test_a_library_asks_for_it_by_address(token: SoftToken) -> None:
    made = signer(token, "alice")
    bare = token.uri("object=alice").split("&")[0]
    again = TokenSigner.from_priv_key_uri(bare, tuf_key(made.public), lambda _: PIN)
    assert verifies(made.public, bytes.fromhex(again.sign(b"m").signature), b"m")
    with pytest.raises(TokenError, match="another key"):
        TokenSigner.from_priv_key_uri(token.uri("object=edith"), tuf_key(made.public))


def test_a_crate_key_opens_in_the_token(token: SoftToken) -> None:
    key = recipient(token)
    secret = bytes(range(32))
    wrapped = wrap(secret, key.published(LATER), b"volume 1")
    assert unwrap(wrapped, key, b"volume 1") == secret
    assert recipient(token).recipient_id == key.recipient_id
    with pytest.raises(UnwrapError):
        unwrap(wrapped, key, b"volume 2")
    with pytest.raises(UnwrapError):
        unwrap(b"\x04" + bytes(112), key, b"volume 1")
    with pytest.raises(UnwrapError):
        unwrap(wrap(secret, new_recipient_key("other").published(LATER), b"volume 1"), key, b"volume 1")


def test_the_tokens_agreement_is_that_of_the_curve(token: SoftToken) -> None:
    key = recipient(token)
    peer = ec.generate_private_key(ec.SECP256R1())
    want = peer.exchange(ec.ECDH(), key.private.public_key())
    assert key.private.exchange(ec.ECDH(), peer.public_key()) == want


def test_a_token_serves_two_keys_in_turn_and_children(token: SoftToken) -> None:
    first, second = signer(token, "alice"), signer(token, "edith")
    for each in (first, second, first):
        assert verifies(each.public, each.sign(b"m"), b"m")
    child = os.fork()
    if child == 0:
        done = 1
        try:
            done = 0 if verifies(first.public, first.sign(b"child"), b"child") else 2
        finally:
            os._exit(done)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("object=nobody", "0 objects"),
        ("object=twin", "2 objects"),
        ("object=large", "neither P-256 nor Ed25519"),
        ("object=alice;id=%02", "0 objects"),
        ("serial=00;object=alice", "0 tokens"),
        ("manufacturer=nobody;object=alice", "0 tokens"),
    ],
)
def test_what_is_not_there_or_not_one(token: SoftToken, named: str, said: str) -> None:
    with pytest.raises(TokenError, match=said) as refused:
        TokenSigner(parse_key_uri(token.uri(named)), PIN)
    assert PIN not in str(refused.value)


def test_a_recipient_key_has_to_be_p256_and_stays_inside(token: SoftToken, tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="P-256"):
        recipient(token, "edith")
    with pytest.raises(KeyFileError, match="stays in its token"):
        save_recipient_key(recipient(token), tmp_path / "r.pem", b"pass")
    with pytest.raises(KeyFileError, match="stays in its token"):
        save_signer(signer(token, "alice"), tmp_path / "a.pem", b"pass")
    assert not list(tmp_path.iterdir())


def test_a_wrong_pin_is_said_and_not_shown(token: SoftToken, tmp_path: Path) -> None:
    wrong = "pin-wrong-55221"
    with pytest.raises(TokenError, match="PinIncorrect") as refused:
        TokenSigner(parse_key_uri(token.uri("object=alice")), wrong)
    assert wrong not in f"{refused.value} {refused.value.as_dict()} {refused.value.__cause__!r}"
    made = signer(token, "alice")
    assert PIN not in f"{made!r} {made.raw!r} {made.raw._key!r}"


def test_a_library_that_is_none(token: SoftToken, tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_bytes(b"no library")
    for place in (tmp_path / "lib.so", tmp_path / "missing.so"):
        with pytest.raises(TokenError, match="cannot be loaded"):
            TokenSigner(parse_key_uri(token.uri("object=alice", module=str(place))), PIN)


def test_without_the_extra_the_reason_is_said(token: SoftToken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pkcs11", None)
    with pytest.raises(TokenFailedError, match="cannot speak to tokens"):
        signer(token, "alice")


def test_a_token_that_signs_with_another_key_is_caught(
    token: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, other = signer(token, "alice"), signer(token, "edith")
    monkeypatch.setattr(made.raw, "_key", SimpleNamespace(sign=other.raw._key.sign))
    with pytest.raises(TokenFailedError, match="does not verify"):
        made.sign(b"m")


def test_a_token_that_fails_while_it_works(token: SoftToken, monkeypatch: pytest.MonkeyPatch) -> None:
    made = signer(token, "alice")

    def removed(*_: object, **__: object) -> None:
        raise pkcs11.DeviceRemoved

    monkeypatch.setattr("lockgate.trust.keys_token._TokenKey._object", removed)
    with pytest.raises(TokenFailedError, match="DeviceRemoved"):
        made.sign(b"m")


def test_pins_come_from_files_that_only_their_owner_reads(token: SoftToken, tmp_path: Path) -> None:
    file = tmp_path / "pin"
    file.write_bytes(b"1234\r\n")
    file.chmod(0o640)
    with pytest.raises(TokenError, match="read by others"):
        read_pin(file)
    file.chmod(0o400)
    assert read_pin(file) == "1234"
    for bad in (b"", b"\n", b"1" * (PIN_LIMIT + 1), b"\xff\xfe"):
        file.unlink()
        file.write_bytes(bad)
        file.chmod(0o600)
        with pytest.raises(TokenError):
            read_pin(file)
    with pytest.raises(TokenError, match="FileNotFoundError"):
        read_pin(tmp_path / "missing")
    address = parse_key_uri(token.uri("object=alice").split("&")[0])
    with pytest.raises(TokenError, match="no PIN"):
        pin_for(address)
    assert pin_for(address, lambda: "asked") == "asked"
