"""Assertions of authenticators: each thing that the site root pins is demanded, nothing else believed."""

import dataclasses

import msgspec
import pytest

from corpora.authenticator import PRESENT, VERIFIED, Authenticator
from lockgate.core.errors import LockgateError
from lockgate.core.roots import PublicKey
from lockgate.core.wire import encode
from lockgate.trust.errors import AssertionRefusedError, CredentialError
from lockgate.trust.keys import verifies
from lockgate.trust.webauthn import (
    ASSERTION_LIMIT,
    Credential,
    check_assertion,
    counter_of,
    credential_of,
    padded,
    signature_bytes,
    unpadded,
)

MESSAGE = b"DSSEv1 4 type 9 statement"
KEYS = [Authenticator("anna"), Authenticator.eddsa("anna")]


@pytest.mark.parametrize("key", KEYS, ids=["es256", "eddsa"])
def test_a_statement_is_signed_and_counted(key: Authenticator) -> None:
    signature = signature_bytes(key.sign(MESSAGE))
    assert verifies(key.credential.public, signature, MESSAGE)
    assert check_assertion(key.credential.public, signature, MESSAGE) == counter_of(signature) == key.count
    assert credential_of(key.credential.public) == key.credential


REFUSED = {
    "another statement": ({"challenge": padded(b"x" * 32)}, {}, "another statement"),
    "enrolment instead of approval": ({"type": "webauthn.create"}, {}, "something else"),
    "payment": ({"type": "payment.get"}, {}, "something else"),
    "another origin": ({"origin": "http://localhost:8731"}, {}, "signed at"),
    "a look-alike": ({"origin": "http://localhost:8730.evil.example"}, {}, "signed at"),
    "inside another page": ({"crossOrigin": True}, {}, "signed at"),
    "below another page": ({"topOrigin": "https://evil.example"}, {}, "signed at"),
    "nobody present": ({}, {"flags": VERIFIED}, "did not verify"),
    "nobody verified": ({}, {"flags": PRESENT}, "did not verify"),
    "attested data": ({}, {"flags": PRESENT | VERIFIED | 0x40}, "more than"),
    "a tail": ({}, {"tail": b"\xa0"}, "more than"),
    "extensions that are not there": ({}, {"flags": PRESENT | VERIFIED | 0x80}, "more than"),
    "no challenge": ({"challenge": None}, {}, "cannot be read"),
}


@pytest.mark.parametrize(("client", "given", "match"), REFUSED.values(), ids=REFUSED)
def test_what_the_root_does_not_pin_is_refused(client: dict, given: dict, match: str) -> None:
    key = KEYS[0]
    signature = signature_bytes(key.sign(MESSAGE, **given, **client))
    with pytest.raises(AssertionRefusedError, match=match):
        check_assertion(key.credential.public, signature, MESSAGE)


def test_another_message_key_or_party_is_refused() -> None:
    key, other = Authenticator("anna"), Authenticator("anna")
    signature = signature_bytes(key.sign(MESSAGE))
    with pytest.raises(AssertionRefusedError, match="another statement"):
        check_assertion(key.credential.public, signature, MESSAGE + b"!")
    with pytest.raises(AssertionRefusedError, match="does not verify"):
        check_assertion(other.credential.public, signature, MESSAGE)
    elsewhere = Authenticator("anna", rp_id="evil.example", private=key.private)
    with pytest.raises(AssertionRefusedError, match="relying party"):
        check_assertion(key.credential.public, signature_bytes(elsewhere.sign(MESSAGE)), MESSAGE)


def test_no_byte_of_an_assertion_is_free_but_its_signature_counts() -> None:
    key = KEYS[1]
    signature = signature_bytes(key.sign(MESSAGE))
    for at in range(0, len(signature), 7):
        changed = signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :]
        with pytest.raises(LockgateError):
            check_assertion(key.credential.public, changed, MESSAGE)
    with pytest.raises(LockgateError):
        check_assertion(key.credential.public, b"{" * (ASSERTION_LIMIT + 1), MESSAGE)
    short = msgspec.structs.replace(key.sign(MESSAGE), authenticator_data=padded(b"x" * 36))
    with pytest.raises(AssertionRefusedError, match="cut short"):
        check_assertion(key.credential.public, encode(short), MESSAGE)


GOOD = KEYS[0].credential


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "http://console.example"},
        {"origin": "https://other.example"},
        {"origin": "http://localhost.evil.example:80"},
        {"origin": "https://localhost/x"},
        {"origin": "https://a@localhost"},
        {"origin": "https://LOCALHOST"},
        {"rp_id": ""},
        {"rp_id": "ost"},
        {"identifier": ""},
        {"identifier": "a b"},
        {"identifier": "####"},
        {"spki": padded(b"nothing")},
    ],
)
def test_a_credential_is_bound_to_one_secure_origin(changes: dict[str, str]) -> None:
    with pytest.raises(CredentialError):
        _ = dataclasses.replace(GOOD, **changes).public


def test_a_root_lists_a_credential_in_one_form_only() -> None:
    public = GOOD.public
    for text in (public.public + " x", public.public.replace(" ", "  ", 1), "a b c"):
        with pytest.raises(CredentialError):
            credential_of(PublicKey(keytype="webauthn", scheme="es256", public=text))
    with pytest.raises(CredentialError):
        credential_of(msgspec.structs.replace(public, scheme="eddsa"))
    with pytest.raises(CredentialError):
        unpadded("YQ==")
    assert Credential(*public.public.split(" ")) == GOOD
