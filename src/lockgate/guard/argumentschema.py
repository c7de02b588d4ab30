"""What the arguments of a tool must be: the part of JSON Schema that says so plainly.

Source: JSON Schema, draft 2020-12, validation vocabulary. Keywords that are not known here are an error
when a schema is set, never ignored: a rule that nobody carries out is worse than none.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lockgate.guard.errors import ArgumentSchemaError

DEPTH = 16
"""How deeply a schema may be nested."""

PATTERN_CHARACTERS = 4096
"""Longest text that a pattern is tried on, in characters; a longer one does not fit."""

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}
_COUNTS: dict[str, tuple[tuple[type, ...], Callable[[Any, int], bool], str]] = {
    "minLength": ((str,), lambda value, bound: len(value) >= bound, "is too short"),
    "maxLength": ((str,), lambda value, bound: len(value) <= bound, "is too long"),
    "minItems": ((list,), lambda value, bound: len(value) >= bound, "has too few items"),
    "maxItems": ((list,), lambda value, bound: len(value) <= bound, "has too many items"),
    "minimum": ((int, float), lambda value, bound: value >= bound, "is too small"),
    "maximum": ((int, float), lambda value, bound: value <= bound, "is too large"),
}
_KNOWN = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "pattern"}
    | {"description", "title", *_COUNTS}
)


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that was checked."""

    rules: Mapping[str, Any]


def checked(rules: Any, depth: int = 0) -> Schema:
    """Return a schema once everything in it is known here.

    Raises:
        ArgumentSchemaError: It is none, or has what is not known here.

    """
    if not isinstance(rules, dict) or depth > DEPTH:
        raise ArgumentSchemaError("A schema is an object, not too deeply nested.")
    if unknown := sorted(set(rules) - _KNOWN):
        what = f"The schema's keyword {unknown[0]!r} is not known here."
        raise ArgumentSchemaError(what)
    if rules.get("type", "object") not in _TYPES:
        what = f"The schema's type {str(rules['type'])[:40]!r} is none."
        raise ArgumentSchemaError(what)
    for name in _COUNTS:
        if name in rules and not _TYPES["integer"](rules[name]):
            what = f"The schema's {name} is no whole number."
            raise ArgumentSchemaError(what)
    _check_parts(rules, depth)
    return Schema(rules)


def _check_parts(rules: dict[str, Any], depth: int) -> None:
    if "pattern" in rules:
        try:
            re.compile(rules["pattern"])
        except (re.error, TypeError) as error:
            what = f"The schema's pattern cannot be read: {error}."
            raise ArgumentSchemaError(what) from error
    if not isinstance(rules.get("additionalProperties", True), bool):
        raise ArgumentSchemaError("additionalProperties is true or false here.")
    for name, kind in (("required", list), ("enum", list), ("properties", dict)):
        if not isinstance(rules.get(name, kind()), kind):
            what = f"The schema's {name} is not as it has to be."
            raise ArgumentSchemaError(what)
    for part in (*rules.get("properties", {}).values(), *([rules["items"]] if "items" in rules else ())):
        checked(part, depth + 1)


def misfit(value: Any, schema: Schema, where: str = "") -> str | None:
    """Return where and why a value does not fit a schema, or None where it does."""
    return next(_misfits(value, schema.rules, where), None)


def _misfits(value: Any, rules: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield everything in which a value does not fit."""
    name = where or "the whole"
    if "type" in rules and not _TYPES[rules["type"]](value):
        yield f"{name} is no {rules['type']}"
        return
    if "const" in rules and value != rules["const"]:
        yield f"{name} is not what it has to be"
    if "enum" in rules and value not in rules["enum"]:
        yield f"{name} is not on the list"
    for keyword, (kind, holds, said) in _COUNTS.items():
        if keyword in rules and isinstance(value, kind) and not holds(value, rules[keyword]):
            yield f"{name} {said}"
    if "pattern" in rules and isinstance(value, str) and not _has_form(value, rules["pattern"]):
        yield f"{name} does not have the form"
    if isinstance(value, dict):
        yield from _object_misfits(value, rules, where)
    if isinstance(value, list) and "items" in rules:
        for at, item in enumerate(value):
            yield from _misfits(item, rules["items"], f"{where}[{at}]")


def _has_form(value: str, pattern: str) -> bool:
    return len(value) <= PATTERN_CHARACTERS and re.search(pattern, value) is not None


def _object_misfits(value: dict[str, Any], rules: Mapping[str, Any], where: str) -> Iterator[str]:
    known = rules.get("properties", {})
    for name in sorted(set(rules.get("required", ())) - value.keys()):
        yield f"{where}.{name} is missing".lstrip(".")
    if rules.get("additionalProperties", True) is False:
        for name in sorted(value.keys() - known.keys()):
            yield f"{where}.{name[:40]} is not known".lstrip(".")
    for name, part in known.items():
        if name in value:
            yield from _misfits(value[name], part, f"{where}.{name}".lstrip("."))
