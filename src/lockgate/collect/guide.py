"""What people need to write a manifest: an example, a check, an explanation, and its JSON Schema."""

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from lockgate.collect.manifest import LoadedManifest, Manifest
from lockgate.collect.section import Section

SCHEMA_ID = "urn:lockgate:manifest:v1"
_FIRST = "python"
_HEAD = """# What the closed network needs. Paths are relative to this file's folder.
# Check it with `lockgate manifest check`, read it back with `lockgate manifest explain`,
# then bring it with `lockgate collect`. Every table may stand several times; each may have
# a `label`. Tables that begin with a hash sign are examples: remove the signs to use them.
"""


@dataclass(frozen=True, slots=True)
class Explained:
    """One table of a manifest: its name and number, what it brings, which of its files are missing."""

    table: str
    number: int
    brings: str
    label: str
    missing: tuple[str, ...]


def explain(loaded: LoadedManifest) -> list[Explained]:
    """Return what each table of a manifest would bring, and what it lacks on this disk."""
    found = []
    for table in Manifest.__struct_fields__:
        for number, section in enumerate(getattr(loaded.content, table), start=1):
            missing = [name for name in section.wants_files() if not (loaded.folder / name).exists()]
            label = getattr(section, "label", "")
            found.append(Explained(table, number, section.brings(), label, tuple(missing)))
    return found


def example() -> str:
    """Return a manifest to begin with: one table that can be used, the others behind hash signs."""
    parts = [_HEAD]
    for table, kind in _tables():
        about = (kind.__doc__ or "").strip().splitlines()[0]
        lines = [f"[[{table}]]", *kind.EXAMPLE.strip().splitlines()]
        shown = lines if table == _FIRST else [f"# {line}".rstrip() for line in lines]
        parts.append("\n".join(["", f"# {about}", *shown, ""]))
    return "".join(parts)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a manifest.

    It says what the reader of manifests says, but for what one key demands of another.
    """
    found: dict[str, Any] = msgspec.json.schema(Manifest)
    named = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **found}
    return {key: _text(key, value) for key, value in named.items()}


def _tables() -> Iterator[tuple[str, type[Section]]]:
    hints = typing.get_type_hints(Manifest)
    for table in Manifest.__struct_fields__:
        yield table, typing.get_args(hints[table])[0]


def _plain(value: Any) -> Any:
    """Return a schema whose patterns end as ECMA-262 writes it, and whose texts are single lines."""
    if isinstance(value, dict):
        return {key: _text(key, entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list) else value


def _text(key: str, value: Any) -> Any:
    if key == "pattern" and isinstance(value, str):
        return value.replace(r"\Z", "$")
    if key == "description" and isinstance(value, str):
        return " ".join(value.split())
    return _plain(value)
