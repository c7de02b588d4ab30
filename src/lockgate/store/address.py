"""Addresses of databases: which are accepted, and how a connection to them is made safe."""

import ipaddress
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lockgate.store.errors import StoreAddressError

PASSWORD_LIMIT = 4096
"""Longest secret file that is read, in bytes."""
CONNECT_SECONDS = 10
"""How long a database may take to answer a new connection."""


def loopback(host: str) -> bool:
    """Tell whether a host is this machine itself (an address of its loopback, a socket folder, or empty)."""
    if not host or host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_secret(file: Path) -> str:
    """Return the one line of a secret's file.

    Raises:
        StoreAddressError: It cannot be read, or is longer than a secret may be.

    """
    try:
        with file.open("rb") as stream:
            data = stream.read(PASSWORD_LIMIT + 1)
        text = data.decode().strip()
    except (OSError, UnicodeDecodeError):
        what = f"The secret file {file} cannot be read."
        raise StoreAddressError(what) from None
    if not text or len(data) > PASSWORD_LIMIT or "\n" in text:
        what = f"The secret file {file} does not hold one line of at most {PASSWORD_LIMIT} bytes."
        raise StoreAddressError(what)
    return text


def database(url: str, password_file: Path | None) -> tuple[str, dict[str, Any]]:
    """Return the address and the connection arguments that SQLAlchemy takes.

    A server on another host is spoken to with ``sslmode=verify-full`` unless the address says
    otherwise. The password never stands in the address, so that it shows in no log or error.

    Raises:
        StoreAddressError: Another kind of database, a password inside the address, or a file of
            options of the client library's own (``service``, ``passfile``).

    """
    if url.startswith("sqlite:///"):
        return url, {}
    try:
        parts = urlsplit(url)
        host, secret = parts.hostname or "", parts.password
    except ValueError as error:
        what = f"The address of the database cannot be read: {error}."
        raise StoreAddressError(what) from None
    if parts.scheme not in {"postgresql", "postgres"}:
        what = f"Records are kept in sqlite:/// or postgresql://, not in {parts.scheme[:20]!r}."
        raise StoreAddressError(what)
    if secret is not None or "password=" in parts.query:
        raise StoreAddressError(
            "The address of the database holds a password.",
            advice="Keep the password in a file that only the service can read: store.password_file.",
        )
    if not parts.username or not parts.path.strip("/"):
        raise StoreAddressError("The address of the database names no user or no database.")
    arguments: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "passfile": os.devnull}
    if "sslmode=" not in parts.query:
        arguments["sslmode"] = "prefer" if loopback(host) else "verify-full"
    if password_file is not None:
        arguments["password"] = read_secret(password_file)
    return "postgresql+psycopg://" + url.partition("://")[2], arguments
