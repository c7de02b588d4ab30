"""Addresses of databases and object stores: what is accepted, and what is made safe."""

from pathlib import Path

import pytest

from lockgate.store.address import database, loopback, read_secret
from lockgate.store.errors import StoreAddressError
from lockgate.store.objects import S3Address, s3_store


@pytest.mark.parametrize("host", ["", "localhost", "127.0.0.1", "127.9.9.9", "::1", "/run/postgresql"])
def test_this_machine_is_known(host: str) -> None:
    assert loopback(host)
    assert not loopback("db.example")
    assert not loopback("10.0.0.1")


def test_another_machine_is_spoken_to_with_its_certificate_verified() -> None:
    assert database("postgresql://u@db.example/lockgate", None)[1]["sslmode"] == "verify-full"
    assert database("postgresql://u@127.0.0.1:5433/lockgate", None)[1]["sslmode"] == "prefer"
    assert "sslmode" not in database("postgresql://u@db.example/l?sslmode=verify-ca", None)[1]


def test_the_password_comes_from_its_file_and_stands_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    address, arguments = database("postgres://u@db.example/lockgate", file)
    assert address == "postgresql+psycopg://u@db.example/lockgate"
    assert arguments["password"] == "s3cret"
    assert arguments["passfile"] == "/dev/null"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u@h/d",
        "sqlite://",
        "postgresql+asyncpg://u@h/d",
        "postgresql://u:secret@h/d",
        "postgresql://u@h/d?password=secret",
        "postgresql://h/d",
        "postgresql://u@h/",
        "postgresql://u@[h/d",
        "",
    ],
)
def test_other_addresses_are_refused_without_repeating_a_secret(url: str) -> None:
    with pytest.raises(StoreAddressError) as refused:
        database(url, None)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff\xfe", b"x" * 5000])
def test_a_secrets_file_holds_one_bounded_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(StoreAddressError, match="secret file"):
        read_secret(file)
    with pytest.raises(StoreAddressError, match="cannot be read"):
        read_secret(tmp_path / "absent")


@pytest.mark.parametrize(
    ("endpoint", "key", "match"),
    [
        ("http://s3.example:8333", "id:secret", "https only"),
        ("ftp://127.0.0.1", "id:secret", "not an address"),
        ("https://user@s3.example", "id:secret", "not an address"),
        ("s3.example", "id:secret", "not an address"),
        ("https://s3.example", "secret", "id and a secret"),
        ("https://s3.example", ":secret", "id and a secret"),
    ],
)
def test_object_stores_that_would_be_spoken_to_unsafely_are_refused(
    tmp_path: Path, endpoint: str, key: str, match: str
) -> None:
    file = tmp_path / "key"
    file.write_text(key)
    with pytest.raises(StoreAddressError, match=match) as refused:
        s3_store(S3Address("bucket", "", endpoint, "us-east-1", file))
    assert "secret" not in str(refused.value).replace("and a secret with", "")
