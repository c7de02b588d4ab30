"""What a walk over a pickle knows of values, and how long the arguments of its opcodes are."""

from dataclasses import dataclass, field
from typing import Any, Final

ANY: Final = object()
"""A value of which nothing needs to be known."""

FIXED = {
    "K": 1, "M": 2, "J": 4, "G": 8, "q": 1, "r": 4, "h": 1, "j": 4,
    "\x80": 1, "\x82": 1, "\x83": 2, "\x84": 4, "\x95": 8,
}  # fmt: skip
COUNTED = {
    "T": 4, "U": 1, "B": 4, "C": 1, "X": 4, "\x8a": 1, "\x8b": 4,
    "\x8c": 1, "\x8d": 8, "\x8e": 8, "\x96": 8,
}  # fmt: skip
LINES = {"F": 1, "I": 1, "L": 1, "S": 1, "V": 1, "P": 1, "c": 2, "i": 2, "g": 1, "p": 1}
TEXTUAL = frozenset("FILSVPigp")
FOREIGN = frozenset("\x82\x83\x84\x97\x98")
PUSH_ANY = frozenset("GFL]\x8b\x8f\x96\x97BC\x8e\x82\x83\x84")
PLAIN = {"N": None, "\x88": True, "\x89": False}
INTEGERS = frozenset("KMJ\x8a")
STRINGS = frozenset("X\x8c\x8dVSTU")
BYTES = frozenset("BC\x8e\x96TU")
"""Values in bytes; Python 2 wrote them as texts."""


@dataclass(frozen=True, slots=True)
class Global:
    """A name that loading would import."""

    module: str
    name: str

    def __str__(self) -> str:
        """Return module and name with a dot between."""
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Made:
    """What calling a global would give: what was called, with what, and the state it was given."""

    what: Global | None
    args: tuple[Any, ...] | None
    state: Any = None


@dataclass(slots=True)
class Walk:
    """What a walk saw: the globals, calls, how far it came, and why it ended early."""

    globals: list[Global] = field(default_factory=list)
    calls: int = 0
    codecs: bool = False
    """``_codecs.encode`` is called with another encoding than Latin-1, which pickle itself writes."""
    texts: list[str] = field(default_factory=list)
    """The texts of the stream, as they came."""
    packed: list[bytes] = field(default_factory=list)
    """Bytes in the stream, or in letters in it, that begin as a pickle does or as one that is compressed."""
    more_packed: bool = False
    """Whether more of them came than are kept."""
    persistent: list[Any] = field(default_factory=list)
    """Persistent ids, as far as they are known."""
    protocol: int = 0
    end: int = 0
    complete: bool = False
    textual: bool = False
    foreign: bool = False
    """Extension codes, out-of-band buffers, or calls of what was computed: nobody can tell what runs."""
    odd: bool = False
    """What no writer makes and loaders disagree about: marks in the middle, broken frame bounds."""
    endless: bool = False
    trouble: str = ""
