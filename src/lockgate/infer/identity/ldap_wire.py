"""LDAP on the wire: the few messages that signing in needs, in BER (RFC 4511, section 5.1).

Filters are built from parts and never written as text, so no name that somebody types can become syntax
(RFC 4515 is not used at all). Only what a directory may answer to these messages is read; every length is
checked against what is there, and nothing nests deeper than the message's own form.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lockgate.infer.errors import IdentitySourceError

MESSAGE_LIMIT = 1 << 20
"""Longest message of a directory that is read, in bytes."""

START_TLS = "1.3.6.1.4.1.1466.20037"
"""The request to go on in TLS (RFC 4511, section 4.14)."""

SUCCESS, SIZE_EXCEEDED = 0, 4
"""Result codes (RFC 4511, appendix A)."""

_INTEGER, _OCTETS, _BOOLEAN, _ENUMERATED, _SEQUENCE, _SET = 0x02, 0x04, 0x01, 0x0A, 0x30, 0x31
_BIND, _BIND_ANSWER, _UNBIND = 0x60, 0x61, 0x42
_SEARCH, _ENTRY, _DONE, _REFERENCE = 0x63, 0x64, 0x65, 0x73
_EXTENDED, _EXTENDED_ANSWER = 0x77, 0x78
_SUBTREE, _NEVER_FOLLOW = 2, 0
_LONG_FORM, _MULTI_BYTE_TAG = 0x80, 0x1F


@dataclass(frozen=True, slots=True)
class Result:
    """How an operation ended."""

    code: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One object that was found: its name, and its attributes by lower-case name."""

    name: str
    attributes: dict[str, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: below `base`, objects whose attributes have exactly these values."""

    base: str
    equal: tuple[tuple[str, str], ...]
    wanted: tuple[str, ...]
    most: int
    seconds: int


def _bad(what: str) -> IdentitySourceError:
    return IdentitySourceError(f"The directory's answer cannot be read: {what}.")


def _element(tag: int, body: bytes) -> bytes:
    if len(body) < _LONG_FORM:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_FORM | len(length))) + length + body


def _number(value: int, tag: int = _INTEGER) -> bytes:
    return _element(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _text(value: str, tag: int = _OCTETS) -> bytes:
    return _element(tag, value.encode())


def _message(number: int, operation: bytes) -> bytes:
    return _element(_SEQUENCE, _number(number) + operation)


def bind(number: int, name: str, password: str) -> bytes:
    """Return a simple bind (section 4.2). Whoever calls it has refused an empty password (section 6.3.1)."""
    body = _number(3) + _text(name) + _text(password, 0x80)
    return _message(number, _element(_BIND, body))


def start_tls(number: int) -> bytes:
    """Return the request to go on in TLS."""
    return _message(number, _element(_EXTENDED, _text(START_TLS, 0x80)))


def unbind(number: int) -> bytes:
    """Return the farewell (section 4.3)."""
    return _message(number, bytes((_UNBIND, 0)))


def search(number: int, wanted: Search) -> bytes:
    """Return a search (section 4.5.1); aliases are not followed, and all conditions have to hold."""
    conditions = b"".join(_element(0xA3, _text(name) + _text(value)) for name, value in wanted.equal)
    body = _text(wanted.base)
    body += _number(_SUBTREE, _ENUMERATED) + _number(_NEVER_FOLLOW, _ENUMERATED)
    body += _number(wanted.most) + _number(wanted.seconds) + _element(_BOOLEAN, b"\x00")
    body += _element(0xA0, conditions)
    body += _element(_SEQUENCE, b"".join(_text(name) for name in wanted.wanted))
    return _message(number, _element(_SEARCH, body))


def length_of(head: bytes) -> tuple[int, int] | None:
    """Return how long a message's head and body are, or nothing while too little of the head is there.

    Raises:
        IdentitySourceError: It is no message, or one longer than `MESSAGE_LIMIT`.

    """
    if len(head) < 2:  # noqa: PLR2004  # a tag and the first byte of a length
        return None
    if head[0] != _SEQUENCE:
        raise _bad("no message begins so")
    first = head[1]
    if first < _LONG_FORM:
        return 2, first
    count = first & 0x7F
    if not 1 <= count <= 4:  # noqa: PLR2004  # no LDAP message has an indefinite or longer length
        raise _bad("a length of no message")
    if len(head) < 2 + count:
        return None
    size = int.from_bytes(head[2 : 2 + count], "big")
    if size > MESSAGE_LIMIT:
        what = f"The directory sent a message of more than {MESSAGE_LIMIT} bytes."
        raise IdentitySourceError(what, limit="ldap_message_bytes")
    return 2 + count, size


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the elements that stand side by side."""
    at = 0
    while at < len(data):
        if at + 2 > len(data) or data[at] & _MULTI_BYTE_TAG == _MULTI_BYTE_TAG:
            raise _bad("an element breaks off")
        tag, size, at = data[at], data[at + 1], at + 2
        if size >= _LONG_FORM:
            count = size & 0x7F
            if not 1 <= count <= 4 or at + count > len(data):  # noqa: PLR2004  # as in `length_of`
                raise _bad("a length of no element")
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        if at + size > len(data):
            raise _bad("an element is longer than what it stands in")
        yield tag, data[at : at + size]
        at += size


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _bad("a name that is no UTF-8") from error


def read(body: bytes, number: int) -> Result | Entry | None:
    """Read the body of a message: how an operation ended, an object found, or nothing (a reference).

    References are not followed: they name other servers than the configured one.

    Raises:
        IdentitySourceError: It answers nothing that was asked.

    """
    parts = list(_elements(body))
    if len(parts) < 2 or parts[0][0] != _INTEGER:  # noqa: PLR2004  # a number and an operation
        raise _bad("a message without its number")
    if int.from_bytes(parts[0][1], "big", signed=True) != number:
        raise _bad("it answers what was not asked")
    tag, operation = parts[1]
    if tag in {_BIND_ANSWER, _DONE, _EXTENDED_ANSWER}:
        fields = list(_elements(operation))
        if not fields or fields[0][0] != _ENUMERATED:
            raise _bad("a result without its code")
        return Result(int.from_bytes(fields[0][1], "big", signed=True))
    if tag == _ENTRY:
        return _entry(operation)
    if tag == _REFERENCE:
        return None
    raise _bad("an operation that was not asked for")


def _entry(operation: bytes) -> Entry:
    fields = list(_elements(operation))
    if [tag for tag, _ in fields] != [_OCTETS, _SEQUENCE]:
        raise _bad("an object without its attributes")
    attributes: dict[str, tuple[bytes, ...]] = {}
    for tag, attribute in _elements(fields[1][1]):
        pair = list(_elements(attribute))
        if tag != _SEQUENCE or [kind for kind, _ in pair] != [_OCTETS, _SET]:
            raise _bad("an attribute without its values")
        values = tuple(value for _, value in _elements(pair[1][1]))
        attributes[_utf8(pair[0][1]).partition(";")[0].lower()] = values
    return Entry(_utf8(fields[0][1]), attributes)
