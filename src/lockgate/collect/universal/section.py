"""The keys of the manifest's table for Python packages that are about several environments and indexes."""

import re
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from packaging.utils import InvalidName, canonicalize_name

from lockgate.collect.section import Section, Text

IndexName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}\Z")]
Project = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Projects = Annotated[tuple[Project, ...], msgspec.Meta(max_length=500)]

_CREDENTIALS = re.compile(r"^[a-z]+://[^/]*@")


class IndexSection(Section, frozen=True):
    """An index for some projects alone: they are looked for there, and nowhere else.

    Without `url`, the address is the one that uv's own configuration gives an index of this name.
    """

    name: IndexName
    packages: Annotated[tuple[Project, ...], msgspec.Meta(min_length=1, max_length=500)]
    url: Text | None = None

    def __post_init__(self) -> None:
        """Refuse addresses without encryption, and names that are none."""
        projects(self.packages)
        parts = urlsplit(self.url or "https://")
        if parts.scheme not in {"https", "file"} or _CREDENTIALS.match(self.url or ""):
            msg = "give the address of an index as https: or file:, without user"
            raise ValueError(msg)


def projects(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of projects as they are compared.

    Raises:
        ValueError: One is no name.

    """
    try:
        return tuple(canonicalize_name(name, validate=True) for name in names)
    except InvalidName as error:
        raise ValueError(str(error)) from None
