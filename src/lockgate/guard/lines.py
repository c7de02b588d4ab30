"""JSON lines with texts to be checked."""

from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec

from lockgate.guard.errors import GuardLineError

LINE_LIMIT = 8 << 20
"""Longest line that is read, in bytes."""


class Line(msgspec.Struct, frozen=True):
    """One text and what it is called."""

    text: str
    id: Annotated[str, msgspec.Meta(max_length=256)] | int = ""


_lines = msgspec.json.Decoder(Line)


def open_lines(file: Path) -> BinaryIO:
    """Open a file of lines.

    Raises:
        GuardLineError: It cannot be read.

    """
    try:
        return file.open("rb")
    except OSError as error:
        what = f"{file} cannot be read: {error.strerror}."
        raise GuardLineError(what) from error


def read_line(data: bytes, number: int) -> Line:
    """Read one line.

    Raises:
        GuardLineError: It is too long, or no JSON object with a text.

    """
    if len(data) > LINE_LIMIT:
        what = f"Line {number} is longer than {LINE_LIMIT} bytes."
        raise GuardLineError(what, line=number)
    try:
        return _lines.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"Line {number} is no text to check: {str(error)[:200]}."
        raise GuardLineError(what, line=number) from error
