"""What is known of a value in Python source, and of a call."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from lockgate.inspect.inspectors.python_constants import Constant
from lockgate.inspect.inspectors.python_places import NOTHING, Mark, place

_NUMBERS = 4
_KEYS = 3
_LONGEST_NAME = 120
_WHO = frozenset({"headers", "auth", "cert", "cookies"})
Key = tuple[str, str]
"""A function or a class, and a name in it."""


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of a value.

    `name` is what it is called by its maker (`os.environ`), begins with a dot for what the source defines;
    `keys` are the names in the source of the file or buffer that it writes to.
    """

    const: Constant = None
    name: str = ""
    marks: Mark = NOTHING
    keys: tuple[Key, ...] = ()

    def also(self, other: "Value") -> "Value":
        """Return what is known where a value is this or another one."""
        return Value(
            self.const if self.const == other.const else None,
            self.name or other.name,
            self.marks | other.marks,
            (self.keys or other.keys)[:_KEYS],
        )


UNKNOWN = Value()


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it was met: what is called, what it is called on and given, and whether it acts by itself."""

    node: ast.Call
    name: str
    base: Value
    given: tuple[Value, ...]
    words: dict[str, Value]
    acts: bool
    hidden: Mark = NOTHING
    """How the name of what is called was put together, where it was."""

    def first(self) -> Value:
        """Return the first thing that is given."""
        return self.given[0] if self.given else next(iter(self.words.values()), UNKNOWN)

    def every(self) -> Iterator[Value]:
        """Yield everything that is given."""
        yield from self.given
        yield from self.words.values()

    def marks(self) -> Mark:
        """Return the marks of everything that is given."""
        found = NOTHING
        for value in self.every():
            found |= value.marks
        return found

    def said(self) -> str:
        """Return the words that are given and stand in the source, as a command line."""
        out: list[str] = []
        for value in self.every():
            parts = value.const if isinstance(value.const, tuple) else (value.const,)
            out.extend(part for part in parts if isinstance(part, str))
        return " ".join(out)

    def told(self) -> Mark:
        """Return the marks of what is said to somebody, without what says who asks."""
        found = NOTHING
        for value in (*self.given, *(value for word, value in self.words.items() if word not in _WHO)):
            found |= value.marks
        return found


def literal(const: Constant) -> Value:
    """Return the value of what stands in the source."""
    if isinstance(const, str):
        return Value(const, marks=Mark.WRITTEN | place(const))
    if isinstance(const, bytes):
        return Value(const, marks=Mark.WRITTEN)
    if isinstance(const, tuple) and len(const) >= _NUMBERS:
        return Value(const, marks=Mark.WRITTEN)
    return Value(const)


def named(name: str, marks: Mark = NOTHING) -> Value:
    """Return the value that a real name stands for."""
    if name in {"os.environ", "os.environb"}:
        marks |= Mark.ENV
    return Value(name=name if len(name) <= _LONGEST_NAME else "", marks=marks)
