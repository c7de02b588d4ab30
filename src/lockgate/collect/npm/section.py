"""The manifest's table for npm packages."""

import re
from typing import Annotated, ClassVar

import msgspec

from lockgate.collect.section import Label, Section, Text
from lockgate.core.npm import is_name

_RANGE = re.compile(r"[A-Za-z0-9 .*<>=^~|+_-]{1,200}", re.ASCII)
Platform = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(aix|android|darwin|freebsd|linux|netbsd|openbsd|sunos|win32)-[a-z0-9]{2,16}"
        r"(-(glibc|musl))?\Z"
    ),
]


class NpmSection(Section, frozen=True):
    """npm packages with everything that they depend on: a list, a package.json, or a package-lock.json.

    `platforms` (``linux-x64``, ``linux-x64-musl``) leaves optional packages out that are for others
    only; `development` says whether a project's development dependencies are wanted too.
    """

    packages: Annotated[tuple[Text, ...], msgspec.Meta(max_length=2000)] = ()
    package_json: Text | None = None
    lockfile: Text | None = None
    platforms: tuple[Platform, ...] = ()
    development: bool = True
    label: Label = "internal"

    EXAMPLE: ClassVar[str] = """
packages = ["left-pad@^1", "@scope/name"]  # or package_json = "web/package.json"
                                           # or lockfile = "web/package-lock.json"
# platforms = ["linux-x64"]                # leaves optional packages for others out
# development = false
"""

    def brings(self) -> str:
        """Return what a collection takes from this table."""
        what = ", ".join(self.packages)
        if self.package_json is not None:
            what = f"whatever meets {self.package_json}"
        elif self.lockfile is not None:
            what = f"exactly what {self.lockfile} names"
        places = f" for {', '.join(self.platforms)}" if self.platforms else ""
        without = "" if self.development else ", without development dependencies"
        return f"npm packages{places} with everything they depend on{without}: {what}."

    def wants_files(self) -> tuple[str, ...]:
        """Return the project's file."""
        return tuple(name for name in (self.package_json, self.lockfile) if name is not None)

    def __post_init__(self) -> None:
        """Demand exactly one source, and names of a registry only."""
        given = [bool(self.packages), self.package_json is not None, self.lockfile is not None]
        if sum(given) != 1:
            msg = "give one of packages, package_json and lockfile"
            raise ValueError(msg)
        for text in self.packages:
            split_spec(text)


def split_spec(text: str) -> tuple[str, str]:
    """Return name and range (or tag) of ``name``, ``name@range`` or ``@scope/name@range``.

    Raises:
        ValueError: It names something else than a package of a registry.

    """
    name, at, wanted = text[1:].partition("@")
    name = text[:1] + name
    if not is_name(name) or (at and not _RANGE.fullmatch(wanted)):
        msg = f"{text[:80]!r} is not a package of a registry (name, name@range, name@tag)"
        raise ValueError(msg)
    return name, wanted or "*"
