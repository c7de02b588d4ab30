"""The one encoding of every document that Lockgate signs or hashes.

Documents are frozen structs; their bytes are JSON in canonical form: UTF-8, keys sorted, no
white space, integers only, times in UTC. This equals the JSON Canonicalization Scheme (RFC 8785) for integers
up to 2**53 and keys in the basic multilingual plane: keys are sorted by code point, where the
scheme sorts by UTF-16 unit. Reading refuses every byte string that is not its own canonical encoding, so no
byte of a document is free (duplicate keys, spacing and escapes included).
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, NoReturn, TypeVar, cast

import msgspec

from lockgate.core.errors import MalformedDocumentError, NotCanonicalError, TooLargeError
from lockgate.core.visible import shortened, visible

DOCUMENT_LIMIT = 64 * 1024 * 1024
"""Largest document that is read, in bytes, where the caller names no other bound."""

FIELD_LIMIT = 200
"""Most characters of a field's path that an error carries."""

SAID_OF_FAULT = 400
"""Most characters that an error carries of what is wrong with a document."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time in a document. One without its zone is malformed: it compares with no other."""

D = TypeVar("D")

_AT_BYTE = re.compile(r"\(byte (\d+)\)$")
_AT_FIELD = re.compile(r" - at `(.+)`$")
_OFFSET = re.compile(rb'(?<=T\d\d:\d\d:\d\d)(?:\.\d{1,9})?[+-]\d\d:\d\d"')
"""The end of a time in another zone than UTC, which msgspec keeps as it is; texts can look like it too."""

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_ONE_PAST = ("trailing characters", "invalid escape character")
"""Faults of which msgspec names the byte after."""


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything that is signed, hashed or stored as canonical JSON."""


def _refuse(value: Any) -> Any:
    msg = f"{type(value).__name__} has no canonical form"
    raise TypeError(msg)


def _refuse_fraction(text: str) -> NoReturn:
    msg = f"{text[:40]} is a number with a fraction or an exponent"
    raise ValueError(msg)


_encoder = msgspec.json.Encoder(order="sorted", enc_hook=_refuse)


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, float_hook=_refuse_fraction)


def encode(document: Any) -> bytes:
    """Return the canonical bytes of a document (or of plain lists, dicts, strings, integers)."""
    return _encoder.encode(document)


def digest_of(document: Any) -> str:
    """Return the SHA-256 (64 lower-case hex digits) of the canonical bytes."""
    return hashlib.sha256(encode(document)).hexdigest()


def decode(kind: type[D], data: bytes, *, limit: int = DOCUMENT_LIMIT, name: str = "") -> D:
    """Read a document and demand that the bytes are its canonical encoding.

    Args:
        kind: The struct type.
        data: The bytes.
        limit: Largest accepted length in bytes.
        name: What to call the document in errors.

    Raises:
        TooLargeError: Longer than `limit`.
        MalformedDocumentError: Not JSON, or not of this type.
        NotCanonicalError: Valid, but not in canonical form.

    """
    label = name or kind.__name__
    if len(data) > limit:
        what = f"{label} has {len(data)} bytes; at most {limit} are read."
        raise TooLargeError(what, limit="document_bytes")
    try:
        document: D = _decoder(cast("Any", kind)).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # It quotes names of fields as they are, of whatever length.
        what = f"{label} is malformed: {visible(shortened(str(error), SAID_OF_FAULT))}."
        raise MalformedDocumentError(what, document=label, **fault_place(error, data)) from error
    again = encode(document)
    if again != data:
        pairs = zip(again, data, strict=False)
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(again), len(data)))
        what = f"{label} is not in canonical form."
        raise NotCanonicalError(what, document=label, offset=at)
    elsewhere = _OFFSET.search(data)
    if elsewhere and not all(moment.utcoffset() == timedelta() for moment in _moments(document)):
        what = f"{label} is not in canonical form: a time of it is not in UTC."
        raise NotCanonicalError(what, document=label, offset=elsewhere.start())
    return document


def _moments(value: Any) -> Iterator[datetime]:
    """Yield every time in a document."""
    if isinstance(value, datetime):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _moments(getattr(value, name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _moments(each)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _moments(each)


def fault_place(error: Exception, data: bytes) -> dict[str, Any]:
    """Return where msgspec stumbled in a document, as facts for an error's `where`.

    `offset` counts the bytes of the document from 0, for what is no JSON. `field` is the path of a value that
    is not what belongs there (`$` is the document), of which msgspec tells no bytes. Nothing where it tells
    neither.
    """
    if isinstance(error, UnicodeDecodeError):  # it counts from the start of the string
        return {"offset": _first_not_utf8(data)}
    said = str(error)
    if isinstance(error, msgspec.ValidationError):
        field = _AT_FIELD.search(said)
        return {"field": field[1][:FIELD_LIMIT] if field else "$"}
    if byte := _AT_BYTE.search(said):
        return {"offset": int(byte[1]) - any(fault in said for fault in _ONE_PAST)}
    return {"offset": len(data)} if "truncated" in said else {}


def span_of(data: bytes, field: str) -> tuple[int, int]:
    """Return offset and length in bytes of a value in a JSON document, by its path.

    Args:
        data: The document.
        field: The path as `fault_place` tells it: `$.volumes[3].size`.

    Returns:
        The range of the value or, where the path leads on to what is not there or not in canonical form,
        of the last value on the way.

    """
    at, part = 0, data
    for name, number in _STEP.findall(field):
        found = _part(part, name or int(number))
        if found is None:
            break
        at, part = at + found[0], found[1]
    return at, len(part)


def _part(data: bytes, step: str | int) -> tuple[int, bytes] | None:
    """Return offset and bytes of one member of an object or a list in canonical form."""
    place, found = 1, None
    try:
        if isinstance(step, str):
            parts = [(encode(k), v) for k, v in _decoder(dict[str, msgspec.Raw]).decode(data).items()]
        else:
            parts = [(b"", value) for value in _decoder(list[msgspec.Raw]).decode(data)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    wanted = encode(step) if isinstance(step, str) else b""
    for number, (key, value) in enumerate(parts):
        start = place + len(key) + bool(key)
        raw = bytes(value)
        if key == wanted and (key or number == step):
            found = start, raw
        place = start + len(raw) + 1
    # Of spaces or doubled keys the lengths tell: then nobody knows where the members lie.
    return found if place == len(data) else None


def _first_not_utf8(data: bytes) -> int:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return len(data)


def checked(kind: type[D], facts: Mapping[str, object]) -> D:
    """Return a document, or a part of one, made of plain values within the bounds of its kind.

    Raises:
        MalformedDocumentError: They are none.

    """
    try:
        return msgspec.convert(facts, kind)
    except msgspec.ValidationError as error:
        what = f"{kind.__name__} is malformed: {visible(shortened(str(error), SAID_OF_FAULT))}."
        raise MalformedDocumentError(what) from error


def whole_second(moment: datetime) -> datetime:
    """Return the moment in UTC, cut to whole seconds, as documents carry it."""
    here = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return here.replace(microsecond=0)


def next_second(moment: datetime) -> datetime:
    """Return the whole second after the one that a document of this moment is dated by."""
    return whole_second(moment) + timedelta(seconds=1)


def stamp(moment: datetime) -> str:
    """Return a moment as RFC 3339 text in UTC with whole seconds."""
    return whole_second(moment).strftime("%Y-%m-%dT%H:%M:%SZ")
