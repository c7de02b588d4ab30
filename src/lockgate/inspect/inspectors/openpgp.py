"""OpenPGP in packets: keys, signatures and messages, each packet to its last byte.

Format: RFC 9580, sections 4 and 5. Signatures are not verified here: trust roots say who may sign.
"""

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.strings import look
from lockgate.inspect.inspectors.wires import openpgp_packet
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.secrets import published
from lockgate.inspect.tally import Context, Tally

_SECRET = frozenset({5, 7})
_SEALED = frozenset({1, 3, 9, 18, 20})
_USER = 13
_LITERAL, _COMPRESSED = 11, 8


class OpenPgpInspector(Inspector):
    """Walks the packets; keys and signatures are opaque."""

    name = "openpgp"
    version = 1
    detects = frozenset({"openpgp"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim every packet; secret keys, and what is encrypted or packed, are findings."""
        tally.opaque.add("openpgp")
        at, count, tags, users = 0, 0, set[int](), list[str]()
        while at < len(data):
            tag, start, stop = openpgp_packet(data, at)
            count = demand(count + 1, context.limits.entries, "entries")
            if not stop:
                what = "A packet is not known or ends past the file."
                raise BrokenContentError(what, at=at)
            tags.add(tag)
            if tag == _USER and len(users) < context.limits.members:
                users.append(bytes(data[start:stop]).decode("utf-8", "replace"))
            at = stop
        if tags & {_LITERAL, _COMPRESSED}:
            tally.unfinished("openpgp-message", "It holds a message that is not looked into.")
        if tags & _SEALED:
            tally.unfinished("openpgp-encrypted", "It holds what is encrypted, which nobody can look at.")
        if tags & _SECRET:
            severity = Severity.INFO if published(context) else Severity.HIGH
            tally.note("secret-private-key", severity, "It holds a secret key of OpenPGP.")
        tally.claim_all()
        look(tally, users, context)
