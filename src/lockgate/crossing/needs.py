"""What a planned crate takes on each kind of medium."""

from dataclasses import dataclass

from lockgate.crossing.media.sizes import MEDIA, RESERVE, write_seconds
from lockgate.crossing.sealplan import Plan

_DOCUMENTS = 1 << 20
"""About how many bytes crate.json and roots/ take, which every piece repeats."""


@dataclass(frozen=True, slots=True)
class MediumNeed:
    """What a crate takes on one kind of medium: pieces, bytes in all, and seconds to write and read back."""

    medium: str
    pieces: int
    size: int
    seconds: int


def per_medium(plan: Plan) -> list[MediumNeed]:
    """Return what a crate takes on each kind of medium, with volumes as large as that medium's files.

    A medium whose pieces differ in size counts as one piece.
    """
    repeated, content, found = plan.index_bytes + _DOCUMENTS, plan.sealed + plan.parity_bytes, []
    for name, medium in MEDIA.items():
        room = None if medium.capacity is None else medium.capacity - RESERVE - repeated
        pieces = 1 if room is None else -(-content // room) if room > 0 else 0
        if pieces:
            size = content + pieces * repeated
            found.append(MediumNeed(name, pieces, size, write_seconds(size, medium)))
    return found
