r"""Marks: what lets a store read its own bytes again, surely and for a small part of the price of a digest.

A mark is made while a content is hashed: the tag of GMAC (AES-256-GCM of nothing, NIST SP 800-38D) over the
content and its digest, under a key that only this store's owner has. Whoever changes a blob, moves a mark
to another blob or makes one up does not have the key; whoever takes a mark away has the blob hashed again.
So a mark says what the digest says, to the one who made it. To everybody else it says nothing: it never
leaves the host, and who receives the content hashes it.

Layout: magic ``LGMK1\n``, 8 bytes that name the key, 16 bytes of salt, 16 bytes of tag. The key of one mark
is HMAC-SHA256 of ``lockgate-mark/1`` and the salt under the store's key; it makes this one tag, so that the
nonce (zeros) is used once.
"""

import hashlib
import hmac
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from lockgate.store.errors import StoreIoError

KEY_SIZE = 32
"""Length of a store's key in bytes."""

_MAGIC = b"LGMK1\n"
_NAME_SIZE = 8
_SALT_SIZE = 16
_TAG_SIZE = 16
_SALT = slice(len(_MAGIC) + _NAME_SIZE, len(_MAGIC) + _NAME_SIZE + _SALT_SIZE)
MARK_SIZE = _SALT.stop + _TAG_SIZE
"""Length of a mark in bytes."""

_USE = b"lockgate-mark/1"


class ContentCheck(Protocol):
    """Judges a content that is read once, piece by piece."""

    def update(self, piece: memoryview, /) -> None:
        """Take the next bytes."""

    def holds(self) -> bool:
        """Tell, once and at the end, whether it was the right content."""


class DigestCheck:
    """Demands a SHA-256."""

    def __init__(self, digest: str) -> None:
        """Begin at the first byte."""
        self._expected = digest
        self._state = hashlib.sha256()
        self.update = self._state.update

    def holds(self) -> bool:
        """Tell whether the bytes hash to the digest."""
        return self._state.hexdigest() == self._expected


class Marking:
    """The tag of one content, as it grows."""

    def __init__(self, key: bytes, name: bytes, salt: bytes) -> None:
        """Begin at the first byte."""
        self._head = _MAGIC + name + salt
        once = hmac.digest(key, _USE + salt, "sha256")
        self._state = Cipher(algorithms.AES(once), modes.GCM(bytes(12))).encryptor()
        self.update = self._state.authenticate_additional_data

    def mark(self, digest: str) -> bytes:
        """Return the mark of what was given, which has this digest; nothing can be given after it."""
        self.update(bytes.fromhex(digest))
        self._state.finalize()
        return self._head + self._state.tag


class MarkCheck:
    """Demands the content that a mark was made of."""

    def __init__(self, marking: Marking, digest: str, mark: bytes) -> None:
        """Begin at the first byte."""
        self._marking, self._digest, self._expected = marking, digest, mark
        self.update = marking.update

    def holds(self) -> bool:
        """Tell whether the bytes and the digest give the mark."""
        return hmac.compare_digest(self._marking.mark(self._digest), self._expected)


class Marks(Protocol):
    """Makes and checks the marks of one store."""

    def begin(self) -> Marking:
        """Begin the mark of a new content."""

    def check(self, digest: str, mark: bytes) -> ContentCheck | None:
        """Return what judges a content by its mark; None where the mark is not one of this key."""


class MarkKey:
    """The key that one store's marks are made with."""

    def __init__(self, key: bytes) -> None:
        """Use a key of `KEY_SIZE` random bytes."""
        self._key = key
        self._name = hmac.digest(key, b"lockgate-mark-key/1", "sha256")[:_NAME_SIZE]

    def begin(self) -> Marking:
        """Begin the mark of a new content."""
        return Marking(self._key, self._name, secrets.token_bytes(_SALT_SIZE))

    def check(self, digest: str, mark: bytes) -> ContentCheck | None:
        """Return what judges a content by its mark; None where the mark is not one of this key."""
        if len(mark) != MARK_SIZE or not mark.startswith(_MAGIC + self._name):
            return None
        return MarkCheck(Marking(self._key, self._name, mark[_SALT]), digest, mark)


class MarkKeyFile:
    """A key in a file, read when it is needed first; a file that is missing is made, for its owner alone."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is read yet."""
        self._path = path

    @cached_property
    def _key(self) -> MarkKey:
        return _key_in(self._path)

    def begin(self) -> Marking:
        """Begin the mark of a new content.

        Raises:
            StoreIoError: The key cannot be read or made, or the file holds something else.

        """
        return self._key.begin()

    def check(self, digest: str, mark: bytes) -> ContentCheck | None:
        """Return what judges a content by its mark; None where the mark is not one of this key.

        Raises:
            StoreIoError: As for `begin`.

        """
        return self._key.check(digest, mark)


def _key_in(path: Path) -> MarkKey:
    """Return the key in a file, made where it is missing.

    Raises:
        StoreIoError: It cannot be read or written, or holds something else.

    """
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        what = f"The key of the store's marks cannot be used: {error.strerror}."
        raise StoreIoError(what, file=str(path)) from error
    if len(key) != KEY_SIZE:
        advice = "Take the file away: a new key is made, and what has marks of the old one is hashed again."
        what = "The key of the store's marks has another length."
        raise StoreIoError(what, file=str(path), advice=advice)
    return MarkKey(key)


def _make(path: Path) -> None:
    """Write a new key under its name, whole; one that another process wrote meanwhile stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with open(partial, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(secrets.token_bytes(KEY_SIZE))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, path)
        except FileExistsError:
            return
    finally:
        partial.unlink(missing_ok=True)
