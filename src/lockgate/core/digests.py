"""SHA-256 digests as text, and hashing of streams."""

import hashlib
import re
from typing import BinaryIO

from lockgate.core.errors import InputError

CHUNK, _FIRST = 1 << 20, 1 << 16
"""Bytes read at a time when a stream is hashed."""

_HEX = re.compile(r"[0-9a-f]{64}")


class BadDigestError(InputError):
    """A text is not a SHA-256 digest."""

    code = "LG-1002"
    advice = "A digest is 64 lower-case hexadecimal digits."


def checked(digest: str) -> str:
    """Return the digest when it is 64 lower-case hexadecimal digits.

    Raises:
        BadDigestError: It is not.

    """
    if not _HEX.fullmatch(digest):
        what = f"{digest[:80]!r} is not a SHA-256 digest."
        raise BadDigestError(what)
    return digest


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_stream(stream: BinaryIO) -> tuple[str, int]:
    """Return the SHA-256 and the length in bytes of the rest of a stream."""
    state = hashlib.sha256()
    size, chunk = 0, _FIRST
    view = memoryview(bytearray(chunk))
    while count := stream.readinto(view):  # type: ignore[attr-defined]  # every binary file has it
        state.update(view[:count])
        size += count
        if count == chunk and chunk < CHUNK:  # most files are small, and a large buffer is cleared first
            chunk = CHUNK
            view = memoryview(bytearray(chunk))
    return state.hexdigest(), size


def words(digest: str) -> str:
    """Return the first 128 bits of a digest as eight proquints, to compare aloud.

    Source: arXiv:0901.4016, "Identifiers that are Readable, Spellable, and Pronounceable".
    """
    consonants, vowels = "bdfghjklmnprstvz", "aiou"
    raw = bytes.fromhex(checked(digest))[:16]
    quints = []
    for at in range(0, 16, 2):
        n = int.from_bytes(raw[at : at + 2], "big")
        quints.append(
            consonants[n >> 12]
            + vowels[n >> 10 & 3]
            + consonants[n >> 6 & 15]
            + vowels[n >> 4 & 3]
            + consonants[n & 15]
        )
    return "-".join(quints)
