"""Certificates, keys and signatures in DER: every value inside the one that holds it, up to the last byte.

Format: ITU-T X.690; what is a key by RFC 5208, RFC 8017 and RFC 5915. Nothing is verified or decrypted.
"""

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.inspectors.wires import der_value
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.secrets import published
from lockgate.inspect.tally import Context, Tally

_INTEGER, _OCTETS, _OBJECT, _SEQUENCE, _TAGGED = 0x02, 0x04, 0x06, 0x30, 0xA0
_DEPTH = 64
_KEYS = (
    [_INTEGER, _SEQUENCE, _OCTETS],
    [_INTEGER] * 9,
    [_INTEGER] * 6,
    [_INTEGER, _OCTETS, _TAGGED],
)
"""How private keys begin: PKCS #8, RSA, DSA, and those of curves."""


class DerInspector(Inspector):
    """Walks the values; what they mean is opaque."""

    name = "der"
    version = 1
    detects = frozenset({"der"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim all values; a private key is a finding."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        tally.opaque.add("der")
        count, tags = 0, list[int]()
        waiting = [(0, len(data), 0)]
        while waiting:
            at, end, depth = waiting.pop()
            demand(depth, _DEPTH, "der depth")
            while at < end:
                count = demand(count + 1, context.limits.entries, "entries")
                tag, start, stop = der_value(data, at, end)
                if not stop:
                    what = "A value is not coded as DER says, or ends past what holds it."
                    raise BrokenContentError(what, at=at)
                if depth == 1:
                    tags.append(tag)
                if tag & 0x20:
                    waiting.append((start, stop, depth + 1))
                at = stop
        tally.claim_all()
        if any(tags[: len(key)] == key for key in _KEYS):
            severity = Severity.INFO if published(context) else Severity.HIGH
            tally.note("secret-private-key", severity, "It is a private key.")
        look(tally, [texts_of(data)], context)
