"""Everything that a table answers, as plain values, so that tables of two kinds can be compared."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

MAPPINGS = ("projects", "packages", "models", "files", "npm", "conda", "git")


def plain(value):
    """Return entries without any mapping that looks things up."""
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in value}
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return value


def mappings_of(table):
    """Return every mapping of a table by what it is called."""
    found = {name: getattr(table, name) for name in MAPPINGS}
    for name in ("apt", "rpm"):
        entries = getattr(table, name)
        found |= {f"{name} files": entries.files, f"{name} releases": entries.releases}
    return found | {"images": table.images.by_name, "aliases": table.images.aliases}
