"""Where a repository lists a package: names and places that Debian's and RPM's repositories share."""

import re

import msgspec

from lockgate.core.errors import MalformedDocumentError

_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9.+_-]{0,63}", re.ASCII)
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_~-]{0,63}(?:/[A-Za-z0-9][A-Za-z0-9.+_~-]{0,63}){0,3}", re.ASCII)


class Place(msgspec.Struct, frozen=True, order=True):
    """Where an index lists a package: repository, suite and component (or architecture)."""

    repository: str
    suite: str
    component: str

    def __str__(self) -> str:
        """Return it as an artifact's attribute ``places`` names it."""
        return f"{self.repository}:{self.suite}:{self.component}"


def places_of(text: str) -> tuple[Place, ...]:
    """Return the places that an artifact's attribute names.

    Raises:
        MalformedDocumentError: One of them is none.

    """
    found = []
    for part in text.split():
        repository, _, rest = part.partition(":")
        suite, _, component = rest.partition(":")
        if not (is_repository(repository) and is_suite(suite) and is_suite(component)):
            what = f"{part[:120]!r} is no place in a package repository."
            raise MalformedDocumentError(what)
        found.append(Place(repository, suite, component))
    return tuple(found)


def is_repository(text: str) -> bool:
    """Tell whether a text can be the name under which a repository is mirrored."""
    return _REPOSITORY.fullmatch(text) is not None


def is_suite(text: str) -> bool:
    """Tell whether a text can name a suite or a component (``bookworm``, ``stable/updates``)."""
    return _PATH.fullmatch(text) is not None and ".." not in text
