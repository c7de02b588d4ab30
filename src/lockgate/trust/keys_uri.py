"""Addresses of keys in tokens: ``pkcs11:`` URIs (RFC 7512), as far as they name one private key.

Stricter than the RFC where looseness would cost: an attribute that is not understood refuses the
address, a PIN inside it is refused (a URI is shown and logged), and no command is run for a PIN.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from lockgate.trust.errors import KeyAddressError

SCHEME = "pkcs11:"

ADDRESS_LIMIT = 2048
"""Longest address that is read, in characters."""

_TOKEN = ("token", "manufacturer", "serial", "model")
_PATH = (*_TOKEN, "object", "id", "type")
_QUERY = ("module-path", "pin-source")
_REFUSED = {
    "pin-value": "An address is shown and logged; write the PIN into a file and name it by pin-source.",
    "module-name": "Name the token's library by its place: module-path=/…",
}
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class KeyAddress:
    """Where a private key is: a library, a token, an object; and where its PIN is read from."""

    module: Path
    token: dict[str, str]
    label: str | None
    identifier: bytes | None
    pin_source: Path | None

    def __str__(self) -> str:
        """Return the address as people read it; nothing in it is secret."""
        parts = [f"{name} {value!r}" for name, value in self.token.items()]
        parts += [f"object {self.label!r}"] if self.label is not None else []
        parts += [f"id {self.identifier.hex()}"] if self.identifier is not None else []
        return ", ".join(parts)


def is_key_uri(text: str) -> bool:
    """Tell whether a text is meant as an address of a key in a token."""
    return text[: len(SCHEME)].lower() == SCHEME


def _attributes(text: str, separator: str, known: tuple[str, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if name in _REFUSED:
            what = f"The address of the key has the attribute {name}."
            raise KeyAddressError(what, advice=_REFUSED[name])
        # What is refused is not repeated: somebody may have put a PIN there.
        if not equals or name not in known:
            shown = name if re.fullmatch(r"[a-z-]{1,24}", name) and equals else "of no known name"
            what = f"The address of the key has an attribute that is not understood: {shown}."
            raise KeyAddressError(what)
        if name in found:
            what = f"The address of the key names {name} twice."
            raise KeyAddressError(what)
        if _BAD_ESCAPE.search(value):
            what = f"The attribute {name} has a broken percent escape."
            raise KeyAddressError(what)
        found[name] = unquote_to_bytes(value)
    return found


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        what = f"The attribute {name} is not UTF-8."
        raise KeyAddressError(what) from error


def _place(name: str, value: bytes) -> Path:
    text = _text(name, value)
    for prefix in ("file://", "file:"):
        if name == "pin-source" and text.startswith(f"{prefix}/"):
            text = text.removeprefix(prefix)
            break
    if not text.startswith("/") or "\0" in text:
        what = f"The attribute {name} is not the absolute path of a file."
        raise KeyAddressError(what)
    return Path(text)


def parse_key_uri(text: str) -> KeyAddress:
    """Return the parts of an address.

    Example: ``pkcs11:token=people;object=alice?module-path=/usr/lib/…/lib.so&pin-source=file:/…/pin``.

    Raises:
        KeyAddressError: Not such an address, or with attributes that are not understood.

    """
    if not is_key_uri(text) or len(text) > ADDRESS_LIMIT or not re.fullmatch(r"[!-~]+", text):
        what = f"This is no pkcs11: address of at most {ADDRESS_LIMIT} printable characters."
        raise KeyAddressError(what)
    path, _, query = text[len(SCHEME) :].partition("?")
    named, asked = _attributes(path, ";", _PATH), _attributes(query, "&", _QUERY)
    if named.get("type", b"private") != b"private":
        raise KeyAddressError("The address names another type of object than a private key.")
    token = {name: _text(name, named[name]) for name in _TOKEN if name in named}
    if not token or not {"object", "id"} & set(named) or "module-path" not in asked:
        raise KeyAddressError("The address has to name a token, an object or its id, and module-path.")
    return KeyAddress(
        module=_place("module-path", asked["module-path"]),
        token=token,
        label=_text("object", named["object"]) if "object" in named else None,
        identifier=named.get("id"),
        pin_source=_place("pin-source", asked["pin-source"]) if "pin-source" in asked else None,
    )
