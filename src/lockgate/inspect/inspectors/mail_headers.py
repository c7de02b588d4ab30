"""Headers of messages, read by Python's parser of structured headers within bounds.

That parser takes tens of microseconds for each character and, for parameters and comments, time that grows
with the square of their number; and it begins anew whenever a header is asked for.
"""

from email.headerregistry import BaseHeader, HeaderRegistry, UnstructuredHeader
from email.policy import EmailPolicy
from typing import TYPE_CHECKING

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.limits import demand

if TYPE_CHECKING:
    from email.message import EmailMessage

HEADER = 32 << 10
"""Longest structured header, in characters: some hundred recipients."""
PARAMETERS = 200
"""Most parameters of a header (RFC 2045, 5.1; a long one is in parts, RFC 2231)."""
TOGETHER = 1 << 20
"""Most characters of all headers of a message and its parts that are asked for."""
NESTED = 400
"""How deep parts lie in parts before Python's parser gives up, about."""
COMPARED = 100_000_000
"""How often a line may be compared with the boundary of a part that it could lie in (RFC 2046, 5.1.1): each
line is with each."""
_WITH_PARAMETERS = frozenset({"content-type", "content-disposition"})


class Headers:
    """Makes headers of their texts, each text once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._make = HeaderRegistry()
        self._made: dict[tuple[str, str], BaseHeader] = {}
        self._read = 0

    def __call__(self, name: str, value: str) -> BaseHeader:
        """Return a header as `email.headerregistry` reads it.

        Raises:
            OverLimitError: It is too long, has too many parts, or all together are too long.
            BrokenContentError: It ends inside its value.

        """
        known = self._made.get((name, value))
        if known is None:
            self._read += len(value)
            demand(self._read, TOGETHER, "mail headers")
            if not issubclass(self._make[name], UnstructuredHeader):
                demand(len(value), HEADER, "mail header")
            if name.lower() in _WITH_PARAMETERS:
                demand(value.count(";"), PARAMETERS, "mail parameters")
            try:
                known = self._made[name, value] = self._make(name, value)
            except (AttributeError, IndexError) as error:  # by CPython's parser, where a value is cut off
                raise BrokenContentError("A header of the message ends inside its value.") from error
        return known


def demand_flat(raw: bytes) -> None:
    """Refuse a message whose lines and boundaries are so many that each could be compared with each.

    Raises:
        OverLimitError: They are.

    """
    boundaries = min(raw.lower().count(b"boundary"), NESTED)
    lines = raw.count(b"\n") + raw.count(b"\r")
    demand(boundaries * lines, COMPARED, "mail lines by boundaries")


def policy() -> "EmailPolicy[EmailMessage]":
    """Return how one message is read: as `email.policy.default` does, within the bounds above."""
    return EmailPolicy(header_factory=Headers())
