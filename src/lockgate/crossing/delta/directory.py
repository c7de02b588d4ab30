"""The central directory of a zip without the places of its members (APPNOTE.TXT, 4.3.12).

A place is written as its distance (modulo 2**32) from where the member before ends, which is the same
in two versions of a file, while places all move with the first member that grows.
"""

import struct

from lockgate.crossing.delta.errors import PatchError

SIGNATURE = b"PK\x01\x02"
_ENTRY = struct.Struct("<20xI4x3H8xI")
"""Compressed size, lengths of name, extra field and comment, place."""

HEAD = 46
LOCAL_HEAD = 30
_PLACE = 42
_MODULUS = 1 << 32


def _walk(directory: bytes, *, restore: bool) -> bytes:
    out, at, expected = bytearray(directory), 0, 0
    while at < len(directory):
        if not directory.startswith(SIGNATURE, at) or at + HEAD > len(directory):
            raise PatchError("A zip's directory of a patch is malformed.")
        size, name, extra, comment, value = _ENTRY.unpack_from(directory, at)
        place = (value + expected) % _MODULUS if restore else value
        written = place if restore else (value - expected) % _MODULUS
        struct.pack_into("<I", out, at + _PLACE, written)
        expected = place + LOCAL_HEAD + name + size
        at += HEAD + name + extra + comment
    if at != len(directory):
        raise PatchError("A zip's directory of a patch ends in the middle.")
    return bytes(out)


def relative_directory(directory: bytes) -> bytes:
    """Return a directory with distances where places stood.

    Raises:
        PatchError: It is malformed.

    """
    return _walk(directory, restore=False)


def restore_directory(directory: bytes) -> bytes:
    """Undo `relative_directory`.

    Raises:
        PatchError: It is malformed.

    """
    return _walk(directory, restore=True)
