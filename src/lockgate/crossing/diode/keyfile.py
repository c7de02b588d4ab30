"""The file with the key that both ends of a diode share."""

import os
import re
from pathlib import Path

from lockgate.core.ports import Entropy
from lockgate.crossing.diode.errors import DiodeKeyError
from lockgate.crossing.diode.wire import KEY_SIZE, DiodeKey

_TEXT = re.compile(rb"[0-9a-f]{64}\n?")
_READ_LIMIT = 100


def make_key(path: Path, entropy: Entropy = os.urandom) -> None:
    """Write a new key: 64 hexadecimal digits, readable by its owner alone.

    Raises:
        DiodeKeyError: The file is there, or cannot be written.

    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        what = f"The key file {path.name} cannot be made: {error.strerror}."
        raise DiodeKeyError(what) from error
    with os.fdopen(handle, "wb") as file:
        file.write(entropy(KEY_SIZE).hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_key(path: Path) -> DiodeKey:
    """Return the key in a file.

    Raises:
        DiodeKeyError: No such file, or it is not a key.

    """
    try:
        with path.open("rb") as file:
            text = file.read(_READ_LIMIT)
    except OSError as error:
        what = f"The key file {path.name} cannot be read: {error.strerror}."
        raise DiodeKeyError(what) from error
    if not _TEXT.fullmatch(text):
        what = f"The key file {path.name} does not hold 64 lower-case hexadecimal digits."
        raise DiodeKeyError(what)
    return DiodeKey(bytes.fromhex(text.decode()))
