"""The ranges of a file that planning tells apart: compressed members, tensors, and what lies around them."""

from dataclasses import dataclass

from lockgate.crossing.delta.recipe import Codec

MEMBERS_LIMIT = 200_000
"""Most members of one file that are told apart."""


class NoLayoutError(Exception):
    """A file is not plainly of a format (never leaves the planner)."""


@dataclass(frozen=True, slots=True)
class Span:
    """A range of a file.

    Attributes:
        offset: Where it begins, in bytes.
        length: How long it is in the file.
        codec: How it is compressed.
        parameter: What decoding needs (LZMA2: a preset with a large enough dictionary).
        size: Decoded length.
        name: The member's name; empty for what lies around members.
        width: Bytes of one element of a tensor, 0 for other content.
        directory: Whether it is the central directory of a zip.

    """

    offset: int
    length: int
    codec: Codec = Codec.RAW
    parameter: int = 0
    size: int = 0
    name: str = ""
    width: int = 0
    directory: bool = False

    @property
    def end(self) -> int:
        """Return where it ends in the file."""
        return self.offset + self.length


def around(offset: int, end: int) -> list[Span]:
    """Return the span between two members, if there is anything."""
    if end < offset:
        raise NoLayoutError
    return [Span(offset, end - offset, size=end - offset)] if end > offset else []
