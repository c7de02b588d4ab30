"""Reads JSON the strict way: no duplicate keys, no numbers that JSON does not have."""

import json
from typing import Any, NoReturn

from lockgate.inspect.errors import BrokenContentError


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for index, key in enumerate(keys) if key in keys[:index])
        what = f"The key {twice[:80]!r} stands twice in one object."
        raise DuplicateKeyError(what)
    return out


def _no_number(text: str) -> NoReturn:
    what = f"{text} is no number in JSON."
    raise BrokenContentError(what)


class DuplicateKeyError(BrokenContentError):
    """One object has one key twice, so two readers can see two values."""

    code = "LG-1605"
    advice = "Bring a version in which no key stands twice in one object."


def loads(text: str) -> Any:
    """Return the value of a JSON text (RFC 8259).

    Raises:
        DuplicateKeyError: An object has a key twice.
        BrokenContentError: It is no JSON.

    """
    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        what = f"It is no JSON: {error.msg}."
        raise BrokenContentError(what, at=error.pos) from error
    except RecursionError as error:
        what = "It is nested deeper than any reader follows."
        raise BrokenContentError(what) from error
    except ValueError as error:
        what = f"It is no JSON: {error}."
        raise BrokenContentError(what) from error


def depth(value: Any) -> int:
    """Return how deep a value is nested (a plain value is 0)."""
    level = 0
    layer = [value]
    while layer := [item for item in layer if isinstance(item, dict | list)]:
        level += 1
        layer = [child for item in layer for child in (item.values() if isinstance(item, dict) else item)]
    return level
