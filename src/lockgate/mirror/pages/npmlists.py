"""The pages of the npm mirror that speak of all packages: the search index, and who names whom as optional.

A packument leaves out optional dependencies that are not here. So when a package comes, the packuments of
those that name it change: the second page, which no client asks for, says whose these are, so that nothing
else has to be looked at.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from lockgate.mirror.pages.base import Page, json_page

SEARCH = "npm/-/search.json"
OPTIONAL = "npm/-/optional.json"

_found = msgspec.json.Decoder(list[dict[str, Any]])
_optional = msgspec.json.Decoder(dict[str, set[str]])


@dataclass(frozen=True, slots=True)
class Lists:
    """What these pages say.

    Attributes:
        found: How the search index lists each package, by its name.
        optional: Packages by the name of what they have as an optional dependency.

    """

    found: dict[str, dict[str, Any]]
    optional: dict[str, set[str]]

    @classmethod
    def of(cls, page: Callable[[str], bytes | None]) -> "Lists":
        """Return what pages say that `pages` made, read by their paths."""
        listed, optional = page(SEARCH), page(OPTIONAL)
        found = _found.decode(listed) if listed else []
        return cls({each["name"]: each for each in found}, _optional.decode(optional) if optional else {})

    def add(self, name: str, searchable: dict[str, Any], optional: Iterable[str]) -> None:
        """List a package that is not listed."""
        self.found[name] = searchable
        for target in optional:
            self.optional.setdefault(target, set()).add(name)

    def drop(self, name: str) -> None:
        """List a package no longer."""
        self.found.pop(name, None)
        for packages in self.optional.values():
            packages.discard(name)

    def pages(self) -> Iterator[Page]:
        """Yield the pages that there is something for."""
        if self.found:
            yield json_page(SEARCH, [self.found[name] for name in sorted(self.found)])
        optional = {target: sorted(names) for target, names in self.optional.items() if names}
        if optional:
            yield json_page(OPTIONAL, optional)
