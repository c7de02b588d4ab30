"""The internal authority: it vouches for its own network alone, and clients hold it to that."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lockgate.trust.authority import (
    DAYS_LIMIT,
    Authority,
    Bounds,
    Names,
    Use,
    chain_pem,
    key_pem,
    new_key,
)
from lockgate.trust.errors import CertificateNameError

NOW = datetime.now(UTC).replace(microsecond=0)
BOUNDS = Bounds.of(["plant.internal"], ["10.20.0.0/16", "2001:db8::/32"])


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.make("Plant CA", BOUNDS, NOW)


def test_names_and_addresses_are_told_apart() -> None:
    names = Names.of(["Mirror.Plant.Internal.", "*.plant.internal", "10.20.0.5", "2001:db8::1"])
    assert names.dns == ("mirror.plant.internal", "*.plant.internal")
    assert str(names) == "mirror.plant.internal, *.plant.internal, 10.20.0.5, 2001:db8::1"


@pytest.mark.parametrize(
    "word",
    ["", "a b", "-x.internal", "x_y", "*", "a..b", "*.*.plant.internal", "x" * 64, "ä.internal", "a\n"],
)
def test_what_is_no_host_name(word: str) -> None:
    with pytest.raises(CertificateNameError):
        Names.of([word])


@pytest.mark.parametrize("network", ["10.20.0.1/16", "10.20.0.0/33", "plant", ""])
def test_what_is_no_network(network: str) -> None:
    with pytest.raises(CertificateNameError, match="no network"):
        Bounds.of(["plant.internal"], [network])


@pytest.mark.parametrize(
    "name",
    [
        *("evil.example", "plant.internal.evil.example", "xplant.internal", "*.internal", "internal"),
        *("10.21.0.1", "192.0.2.1", "2001:db9::1", "128.0.0.1"),
    ],
)
def test_the_authority_vouches_for_nothing_outside(authority: Authority, name: str) -> None:
    with pytest.raises(CertificateNameError, match="may not vouch"):
        authority.issue("x", new_key().public_key(), NOW, names=Names.of([name]), use=Use.SERVER, days=10)


@pytest.mark.parametrize("holder", ["", "x" * 65, "a,CN=b", "a\nb", " x", "ä"])
def test_holders_have_plain_names(authority: Authority, holder: str) -> None:
    with pytest.raises(CertificateNameError, match="no name for a certificate"):
        authority.issue(holder, new_key().public_key(), NOW, names=Names(), use=Use.CLIENT, days=10)


def test_a_server_needs_a_name(authority: Authority) -> None:
    with pytest.raises(CertificateNameError, match="at least one name"):
        authority.issue("x", new_key().public_key(), NOW, names=Names(), use=Use.SERVER, days=10)


def test_validity_is_bounded(authority: Authority) -> None:
    key = new_key().public_key()
    names = Names.of(["plant.internal"])
    long = authority.issue("x", key, NOW, names=names, use=Use.SERVER, days=5000)
    assert long.not_valid_after_utc - NOW == timedelta(days=DAYS_LIMIT)
    late = NOW + timedelta(days=3640)
    assert (
        authority.issue("x", key, late, names=names, use=Use.SERVER, days=300).not_valid_after_utc
        == authority.certificate.not_valid_after_utc
    )


def test_bounds_are_read_back_from_the_certificate(authority: Authority) -> None:
    assert authority.bounds == BOUNDS
    assert "localhost" in BOUNDS.domains


Files = Callable[[x509.Certificate, bytes], tuple[Path, Path]]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    def write(certificate: x509.Certificate, key: bytes) -> tuple[Path, Path]:
        cert, private = tmp_path / f"{certificate.serial_number}.pem", tmp_path / "key.pem"
        cert.write_bytes(chain_pem([certificate]))
        private.write_bytes(key)
        return cert, private

    return write


def shake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """Let both ends speak TLS in memory until both are content."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_hostname=name),
        server.wrap_bio(up, down, server_side=True),
    ]
    waiting = set(ends)
    for _ in range(20):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.discard(end)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    # With TLS 1.3 a server judges the client's certificate after the client is content.
    ends[1].write(b"ok")
    assert ends[0].read(2) == b"ok"


def contexts(authority: Authority, cert: Path, key: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    client = ssl.create_default_context(cadata=chain_pem([authority.certificate]).decode())
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    return server, client


@pytest.mark.parametrize("name", ["mirror.plant.internal", "10.20.0.5", "localhost"])
def test_strict_clients_accept_what_it_issues(authority: Authority, files: Files, name: str) -> None:
    private = new_key()
    made = authority.issue(
        "mirror", private.public_key(), NOW, names=Names.of([name]), use=Use.SERVER, days=30
    )
    server, client = contexts(authority, *files(made, key_pem(private)))
    shake(server, client, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server, client, "other.plant.internal")


@pytest.mark.parametrize("name", ["bank.example", "192.0.2.1"])
def test_clients_refuse_what_a_stolen_authority_key_says_of_others(
    authority: Authority, files: Files, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Bounds, "demand", lambda self, names: None)
    private = new_key()
    made = authority.issue("x", private.public_key(), NOW, names=Names.of([name]), use=Use.SERVER, days=30)
    server, client = contexts(authority, *files(made, key_pem(private)))
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        shake(server, client, name)


def test_a_clients_certificate_is_no_servers(authority: Authority, files: Files) -> None:
    private = new_key()
    made = authority.issue(
        "analyst", private.public_key(), NOW, names=Names.of(["localhost"]), use=Use.CLIENT, days=30
    )
    server, client = contexts(authority, *files(made, key_pem(private)))
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        shake(server, client, "localhost")


def test_the_list_of_revoked_is_signed_and_numbered(authority: Authority) -> None:
    pem = authority.revoked({7: NOW, 3: NOW}, 12, NOW)
    found = x509.load_pem_x509_crl(pem)
    assert found.is_signature_valid(authority.private.public_key())
    assert [each.serial_number for each in found] == [3, 7]
    assert found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 12


def test_the_key_of_a_service_is_plain_pem() -> None:
    private = new_key()
    read = serialization.load_pem_private_key(key_pem(private), None)
    assert read.public_key() == private.public_key()
