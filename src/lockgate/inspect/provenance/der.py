"""DER, read strictly: definite lengths in their shortest form, nothing left over, bounded.

Source: ITU-T X.690, sections 8 and 10.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from lockgate.inspect.provenance.errors import InvalidProvenanceError

SEQUENCE, SET, INTEGER, OCTETS, OID, UTF8, GENERALIZED_TIME = 0x30, 0x31, 0x02, 0x04, 0x06, 0x0C, 0x18
EXPLICIT_0, EXPLICIT_1 = 0xA0, 0xA1
MOST_NODES = 4096
"""Most elements of one sequence or set."""

_LONG_TAG, _LONG_LENGTH, _MOST_LENGTH = 0x1F, 0x80, 4


@dataclass(frozen=True, slots=True)
class Node:
    """One element: its tag, its content, and its whole encoding."""

    tag: int
    body: bytes
    raw: bytes

    def children(self) -> list["Node"]:
        """Return the elements inside.

        Raises:
            InvalidProvenanceError: They are no DER, or too many.

        """
        return list(_nodes(self.body))

    def need(self, tag: int) -> "Node":
        """Return itself when it has a tag.

        Raises:
            InvalidProvenanceError: It has another one.

        """
        if self.tag != tag:
            raise _broken()
        return self

    @property
    def number(self) -> int:
        """Return the value of an integer."""
        return int.from_bytes(self.need(INTEGER).body, "big", signed=True)

    @property
    def oid(self) -> str:
        """Return an object identifier in dotted form."""
        body = self.need(OID).body
        if not body or body[-1] & 0x80:
            raise _broken()
        values, value = [], 0
        for octet in body:
            value = value << 7 | octet & 0x7F
            if not octet & 0x80:
                values.append(value)
                value = 0
        first = min(values[0] // 40, 2)
        return ".".join(map(str, [first, values[0] - 40 * first, *values[1:]]))

    @property
    def moment(self) -> datetime:
        """Return a generalized time (RFC 3161: in UTC, with seconds, perhaps with a fraction)."""
        text = self.need(GENERALIZED_TIME).body.decode("ascii", "replace")
        whole, _, fraction = text.removesuffix("Z").partition(".")
        try:
            found = datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError as error:
            raise _broken() from error
        if not text.endswith("Z") or (fraction and not fraction.isdecimal()):
            raise _broken()
        return found


def parse(data: bytes) -> Node:
    """Return the one element that bytes are.

    Raises:
        InvalidProvenanceError: They are not exactly one element.

    """
    found = list(_nodes(data))
    if len(found) != 1:
        raise _broken()
    return found[0]


def at(nodes: list[Node], place: int) -> Node:
    """Return an element by its place.

    Raises:
        InvalidProvenanceError: There are fewer.

    """
    if place >= len(nodes):
        raise _broken()
    return nodes[place]


def _nodes(data: bytes) -> Iterator[Node]:
    place = count = 0
    while place < len(data):
        count += 1
        head = data[place : place + 2]
        if count > MOST_NODES or len(head) < 2 or head[0] & _LONG_TAG == _LONG_TAG:  # noqa: PLR2004  # tag, length
            raise _broken()
        start, length = place + 2, head[1]
        if length >= _LONG_LENGTH:
            octets = length - _LONG_LENGTH
            raw = data[start : start + octets]
            length = int.from_bytes(raw, "big")
            if not 1 <= octets <= _MOST_LENGTH or len(raw) < octets or not raw[0] or length < _LONG_LENGTH:
                raise _broken()
            start += octets
        end = start + length
        if end > len(data):
            raise _broken()
        yield Node(head[0], data[start:end], data[place:end])
        place = end


def _broken() -> InvalidProvenanceError:
    return InvalidProvenanceError("A structure in it is not DER, or not the one that belongs there.")
