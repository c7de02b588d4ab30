"""API keys: random secrets of which only the SHA-256 is kept.

A key reads ``lg-<id>-<secret>``: 48 bits that name it and 256 random bits that prove it. With that
much entropy a plain hash needs no salt and no stretching (NIST SP 800-63B, look-up secrets).
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

import msgspec

from lockgate.core.errors import TooLargeError, about
from lockgate.core.ports import Clock, Entropy
from lockgate.core.wire import Document, decode, encode, whole_second
from lockgate.infer.errors import BadApiKeyError, KeyNameError
from lockgate.infer.ports import ApiKey, KeyStore

KEYS_FORMAT = "lockgate-api-keys/1"
KEYS_LIMIT = 8 << 20
"""Largest file of API keys that is read, in bytes."""

_NAME_LIMIT = 64
_TOKEN = re.compile(r"lg-([0-9a-f]{12})-([A-Za-z0-9_-]{43})")


class _Keys(Document, frozen=True):
    format: str
    keys: tuple[ApiKey, ...] = msgspec.field(default=())


def new_key(name: str, labels: tuple[str, ...], clock: Clock, entropy: Entropy) -> tuple[str, ApiKey]:
    """Return a fresh secret, to be shown once, and what is kept of it.

    Raises:
        KeyNameError: The name is empty, too long, or has characters that do not print.

    """
    if not 1 <= len(name) <= _NAME_LIMIT or not name.isprintable():
        what = f"An API key cannot be named {name[:80]!r}."
        raise KeyNameError(what)
    key_id = entropy(6).hex()
    secret = f"lg-{key_id}-{base64.urlsafe_b64encode(entropy(32)).rstrip(b'=').decode()}"
    kept = ApiKey(
        id=key_id,
        name=name,
        sha256=hashlib.sha256(secret.encode()).hexdigest(),
        labels=tuple(sorted(set(labels))),
        created=whole_second(clock()),
    )
    return secret, kept


def is_key(header: str | None) -> bool:
    """Tell whether an ``Authorization`` header is meant to hold an API key, right or wrong."""
    scheme, _, token = (header or "").partition(" ")
    return scheme.lower() == "bearer" and token.lstrip().startswith("lg-")


def authenticate(header: str | None, store: KeyStore) -> ApiKey:
    """Return the key that an ``Authorization`` header proves to hold.

    Raises:
        BadApiKeyError: There is no such header, or the key is malformed, unknown or wrong.

    """
    scheme, _, token = (header or "").partition(" ")
    match = _TOKEN.fullmatch(token.strip()) if scheme.lower() == "bearer" else None
    if match is None:
        what = "The request carries no API key." if not header else "The API key is malformed."
        raise BadApiKeyError(what)
    key = store.find(match[1])
    kept = key.sha256 if key else "0" * 64
    same = hmac.compare_digest(hashlib.sha256(match[0].encode()).hexdigest(), kept)
    if key is None or not same:
        what = "The API key is not on record."
        raise BadApiKeyError(what)
    return key


class MemoryKeys(KeyStore):
    """API keys in memory: the double of `FileKeys`."""

    def __init__(self, *keys: ApiKey) -> None:
        """Begin with some keys."""
        self._keys = {key.id: key for key in keys}

    def find(self, key_id: str) -> ApiKey | None:
        """Return the key with that id."""
        return self._keys.get(key_id)

    def add(self, key: ApiKey) -> None:
        """Put a key on record.

        Raises:
            KeyNameError: Another key has its name.

        """
        if any(other.name == key.name for other in self._keys.values()):
            what = f"There is an API key named {key.name!r} already."
            raise KeyNameError(what)
        self._keys[key.id] = key

    def remove(self, name: str) -> None:
        """Take a key off the record.

        Raises:
            KeyNameError: No key has that name.

        """
        found = [key.id for key in self._keys.values() if key.name == name]
        if not found:
            what = f"No API key is named {name[:80]!r}."
            raise KeyNameError(what)
        del self._keys[found[0]]

    def all(self) -> tuple[ApiKey, ...]:
        """Return every key, by name."""
        return tuple(sorted(self._keys.values(), key=lambda key: key.name))


class FileKeys(KeyStore):
    """API keys in one canonical file (mode 0600); changes by others are seen at once."""

    def __init__(self, path: Path) -> None:
        """Name the file; it may not exist yet."""
        self._path, self._name = path, os.fspath(path)
        self._seen: tuple[int, int, int] | None = None
        self._keys = MemoryKeys()

    def find(self, key_id: str) -> ApiKey | None:
        """Return the key with that id."""
        return self._current().find(key_id)

    def all(self) -> tuple[ApiKey, ...]:
        """Return every key, by name."""
        return self._current().all()

    def add(self, key: ApiKey) -> None:
        """Put a key on record; see `MemoryKeys.add`."""
        keys = self._current()
        keys.add(key)
        self._write(keys)

    def remove(self, name: str) -> None:
        """Take a key off the record; see `MemoryKeys.remove`."""
        keys = self._current()
        keys.remove(name)
        self._write(keys)

    def _current(self) -> MemoryKeys:
        try:
            state = os.stat(self._name)  # noqa: PTH116  # asked for with each request
        except FileNotFoundError:
            self._seen, self._keys = None, MemoryKeys()
            return self._keys
        seen = (state.st_ino, state.st_mtime_ns, state.st_size)
        if seen != self._seen:
            if state.st_size > KEYS_LIMIT:
                what = f"The file of API keys has more than {KEYS_LIMIT} bytes."
                raise TooLargeError(what, limit="api_keys_bytes")
            with about(self._path):
                document = decode(
                    _Keys, self._path.read_bytes(), limit=KEYS_LIMIT, name="The file of API keys"
                )
            self._keys, self._seen = MemoryKeys(*document.keys), seen
        return self._keys

    def _write(self, keys: MemoryKeys) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        data = encode(_Keys(format=KEYS_FORMAT, keys=keys.all()))
        replace_file(self._path, data)
        self._seen = None


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in place at once, readable by its owner alone, and durable on return."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
