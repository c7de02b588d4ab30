"""Where private keys are: files in a folder, or objects in a token named by a ``pkcs11:`` address.

In a folder, ``<name>.pem`` is a key with its passphrase in ``<name>.pass``; ``<name>.uri`` in its
place holds the address of a key in a token. A PIN comes from a file or from a person, never from
the command line.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lockgate.core.roots import Purpose
from lockgate.trust.errors import KeyAddressError, KeyFileError
from lockgate.trust.keys import RecipientKey, Signer, load_recipient_key, load_signer
from lockgate.trust.keys_token import load_token_recipient, load_token_signer, pin_for, read_pin
from lockgate.trust.keys_uri import ADDRESS_LIMIT, KeyAddress, is_key_uri, parse_key_uri

Ask = Callable[[], str]


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """A key in a token, and how its PIN is asked for where the address names no file for it."""

    address: KeyAddress
    ask: Ask | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Return a name that is fit for a file."""
        label = self.address.label or next(iter(self.address.token.values()))
        return re.sub(r"[^A-Za-z0-9_-]+", "-", label)[:64]


KeyPlace = Path | TokenPlace
"""A folder of key files, or one key in a token."""


def key_place(text: str, pin_file: Path | None = None, prompt: Ask | None = None) -> KeyPlace:
    """Return the place that an operator named.

    Args:
        text: A folder, or a ``pkcs11:`` address.
        pin_file: Holds the token's PIN; wins over the address's pin-source.
        prompt: Asks a person for the PIN; used when no file holds it.

    Raises:
        KeyAddressError: A malformed address.
        KeyFileError: A PIN file for a folder of key files.

    """
    if not is_key_uri(text):
        if pin_file is not None:
            raise KeyFileError("A PIN file goes with a pkcs11: address; a key file has a passphrase file.")
        return Path(text)
    address = parse_key_uri(text)
    if pin_file is not None:
        return TokenPlace(address, lambda: read_pin(pin_file))
    return TokenPlace(address, prompt if address.pin_source is None else None)


def holds_key(folder: Path, name: str) -> bool:
    """Tell whether a folder has a key of this name, as a file or by address."""
    return any((folder / f"{name}.{kind}").is_file() for kind in ("pem", "uri"))


def signing_key(place: KeyPlace, purpose: Purpose, person: str = "") -> Signer:
    """Return the signing key at a place; in a folder it is named like its purpose.

    Raises:
        KeyFileError, KeyAddressError: Not there, not readable, or there twice.
        TokenError, TokenFailedError: The token does not give it.

    """
    found = _address_in(place, purpose) if isinstance(place, Path) else place
    if isinstance(found, TokenPlace):
        return load_token_signer(found.address, pin_for(found.address, found.ask), purpose, person)
    return load_signer(found / f"{purpose}.pem", _passphrase(found, purpose), purpose, person)


def opening_key(folder: Path, name: str) -> RecipientKey:
    """Return the key in a folder that crates are opened with: ``recipient.pem`` or ``recipient.uri``.

    Raises:
        KeyFileError, KeyAddressError: Not there, not readable, or there twice.
        TokenError, TokenFailedError: The token does not give it.

    """
    found = _address_in(folder, "recipient")
    if isinstance(found, TokenPlace):
        return load_token_recipient(found.address, pin_for(found.address, found.ask), name)
    return load_recipient_key(folder / "recipient.pem", _passphrase(folder, "recipient"), name)


def _address_in(folder: Path, name: str) -> KeyPlace:
    """Return the token that a folder's address names, or the folder itself when it holds key files."""
    file = folder / f"{name}.uri"
    if not file.is_file():
        return folder
    if (folder / f"{name}.pem").exists():
        what = f"{folder} holds {name}.pem and {name}.uri; only one of them can be the key."
        raise KeyFileError(what, advice="Take away the one that the root does not list.")
    try:
        with file.open("rb") as stream:
            text = stream.read(ADDRESS_LIMIT + 2).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        what = f"The key's address {file} cannot be read."
        raise KeyAddressError(what, file=file) from error
    return TokenPlace(parse_key_uri(text))


def _passphrase(folder: Path, name: str) -> bytes:
    try:
        return (folder / f"{name}.pass").read_bytes().strip()
    except OSError as error:
        if not os.path.lexists(folder / f"{name}.pem"):
            what = f"{folder} holds no {name}.pem." if folder.is_dir() else f"There is no folder {folder}."
            advice = f"Name the folder with {name}.pem and {name}.pass: each role has a key of its own."
            raise KeyFileError(what, advice=advice) from error
        what = f"The passphrase file {folder / name}.pass cannot be read: {error.strerror}."
        raise KeyFileError(what) from error
