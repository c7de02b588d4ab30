"""Addresses of keys in tokens: RFC 7512, and nothing that is not understood."""

from pathlib import Path

import pytest

from lockgate.trust.errors import KeyAddressError
from lockgate.trust.keys_uri import ADDRESS_LIMIT, is_key_uri, parse_key_uri

GOOD = "pkcs11:token=my%20people;serial=0a1b;object=alice;id=%01%ff;type=private?module-path=/lib/t.so"


def test_an_address_is_read_in_full() -> None:
    address = parse_key_uri(f"{GOOD}&pin-source=file:/run/pin")
    assert address.module == Path("/lib/t.so")
    assert address.token == {"token": "my people", "serial": "0a1b"}
    assert address.label == "alice"
    assert address.identifier == b"\x01\xff"
    assert address.pin_source == Path("/run/pin")
    assert str(address) == "token 'my people', serial '0a1b', object 'alice', id 01ff"
    assert parse_key_uri(GOOD).pin_source is None


@pytest.mark.parametrize("source", ["/run/pin", "file:/run/pin", "file:///run/pin", "file:%2Frun%2Fpin"])
def test_a_pin_source_is_a_file(source: str) -> None:
    assert parse_key_uri(f"{GOOD}&pin-source={source}").pin_source == Path("/run/pin")


def test_only_addresses_are_taken_for_addresses() -> None:
    assert is_key_uri(GOOD)
    assert is_key_uri("PKCS11:token=a")
    assert not is_key_uri("people/alice")
    assert not is_key_uri("./pkcs11:folder")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("people/alice", "no pkcs11"),
        ("pkcs11:", "has to name"),
        ("pkcs11:token=a;object=b", "has to name"),
        ("pkcs11:object=b?module-path=/l", "has to name"),
        ("pkcs11:token=a?module-path=/l", "has to name"),
        ("pkcs11:token=a;token=b;object=c?module-path=/l", "twice"),
        ("pkcs11:token=a;object=c;type=public?module-path=/l", "another type"),
        ("pkcs11:token=a;object=c;slot-id=1?module-path=/l", "not understood: slot-id"),
        ("pkcs11:token=a;object=c;x-more=1?module-path=/l", "not understood: x-more"),
        ("pkcs11:token=a;object?module-path=/l", "of no known name"),
        ("pkcs11:token=a;object=c?module-path=l.so", "absolute path"),
        ("pkcs11:token=a;object=c?module-path=/l%00.so", "absolute path"),
        ("pkcs11:token=a;object=c?module-path=/l&pin-source=%7Ccat%20/pin", "absolute path"),
        ("pkcs11:token=a;object=c?module-path=/l&pin-source=https://host/pin", "absolute path"),
        ("pkcs11:token=a;object=c?module-name=l", "module-name"),
        ("pkcs11:token=a;object=%zz?module-path=/l", "broken percent"),
        ("pkcs11:token=%ff;object=c?module-path=/l", "UTF-8"),
        ("pkcs11:token=a b;object=c?module-path=/l", "no pkcs11"),
        (f"pkcs11:token={'a' * ADDRESS_LIMIT};object=c?module-path=/l", "no pkcs11"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, said: str) -> None:
    with pytest.raises(KeyAddressError, match=said):
        parse_key_uri(text)


@pytest.mark.parametrize(
    "text",
    [f"{GOOD}&pin-value=73914", "pkcs11:token=a;73914", f"{GOOD}&pin-valu%65=73914", f"{GOOD}&73914=a"],
)
def test_a_pin_in_an_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(KeyAddressError) as refused:
        parse_key_uri(text)
    assert "73914" not in str(refused.value) + str(refused.value.as_dict())
