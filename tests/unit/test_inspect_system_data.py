"""Keys, vocabularies and values that libraries write are read to their last byte."""

import struct
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from corpora.inspection_case import inspected
from corpora.inspection_systems_data import keyring, r_items, vocabulary
from lockgate.core.verdict import Severity

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The lock keeper")])
_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateBuilder().subject_name(_NAME).issuer_name(_NAME).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(_DAY).not_valid_after(_DAY + timedelta(days=9))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return made.sign(key, SHA256()).public_bytes(Encoding.DER)


def test_certificates_and_public_keys_are_read() -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    keys = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for data in (_certificate(), keys):
        part = inspected(data, "a.der")
        assert (part.detected, part.complete, part.findings) == ("der", True, ())
        assert part.covered == len(data)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("kind", ["rsa", "dsa", "curve"])
def test_private_keys_are_found(form: PrivateFormat, kind: str) -> None:
    key = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "dsa": lambda: dsa.generate_private_key(2048),
        "curve": lambda: ec.generate_private_key(ec.SECP256R1()),
    }[kind]()
    data = key.private_bytes(Encoding.DER, form, NoEncryption())
    found = {each.code: each.severity for each in inspected(data, "a.key").findings}
    assert found["secret-private-key"] is Severity.HIGH


@pytest.mark.parametrize("kind", ["python", "npm", "oci", "ollama"])
def test_keys_that_were_published_for_all_are_told_and_stop_nothing(kind: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for data in (der, keyring(secret=True)):
        found = {each.code: each.severity for each in inspected(data, "tests/a.key", kind).findings}
        assert found["secret-private-key"] is Severity.INFO


def test_a_short_private_key_is_never_taken_for_read() -> None:
    """It is shorter than what is taken for DER, so that it stays unknown."""
    data = ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
    part = inspected(data, "a.key")
    assert not part.complete
    assert part.findings


def test_what_a_key_says_of_its_owner_is_looked_at() -> None:
    part = inspected(keyring(), "a.gpg", "document")
    assert part.complete
    assert "secrets" in {name.partition("/")[0] for name in part.inspectors}


@pytest.mark.parametrize(
    "value",
    [
        {"params": {"kernel": msgspec.msgpack.Ext(1, bytes(5000)), "bias": [0.5] * 40}},
        {"config": {str(n): n * 2**20 for n in range(300)}, "names": ["lock" * 99], "raw": bytes(70_000)},
    ],
)
def test_values_of_msgpack_are_read(value: object) -> None:
    data = msgspec.msgpack.encode(value)
    part = inspected(data, "a.msgpack")
    assert (part.detected, part.complete, part.covered) == ("msgpack", True, len(data))
    assert not inspected(data[:-1], "a.msgpack").complete


def test_a_vocabulary_without_its_end_is_not_whole() -> None:
    data = vocabulary()
    at = data.index(b"\x1a\x0c\x0a\x08identity")
    assert inspected(data, "tokenizer.model").complete
    assert not inspected(data[:at], "tokenizer.model").complete


def test_what_data_of_r_reaches_for_is_told() -> None:
    part = inspected(r_items(), "a.rds", "python")
    assert part.complete
    assert any(use.startswith("subprocess") for use in part.uses)
    assert "r-code" in {found.code for found in part.findings}


def test_a_table_that_is_its_own_entry_is_no_endless_work() -> None:
    start, count = 24, 40
    end = start + 8 + 24 * count
    items = b"".join(
        struct.pack("<3IHBx2I", n, 0xFFFFFFFF, end, 0, ord("H"), start, end) for n in range(count)
    )
    data = struct.pack("<8s4I", b"GVariant", 0, 0, start, end) + struct.pack("<2I", 0, 0) + items + bytes(8)
    part = inspected(data, "a.gresource")
    assert not part.complete
    assert "gvdb-malformed" in {found.code for found in part.findings}
