"""The manifest's table for Debian packages."""

import re
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import msgspec

from lockgate.collect.section import Label, Section, Text
from lockgate.core.deb import is_architecture
from lockgate.core.places import is_repository, is_suite

_WANTED = re.compile(
    r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](?::[a-z0-9-]{2,32})?(?:=[A-Za-z0-9.+:~*-]{1,128}|/[A-Za-z0-9._-]{1,64})?",
    re.ASCII,
)
_SCHEMES = frozenset({"https", "http", "file"})

Priority = Annotated[str, msgspec.Meta(pattern=r"^(required|important|standard|optional)\Z")]
Suites = Annotated[tuple[Text, ...], msgspec.Meta(max_length=64)]


class AptUpstream(Section, frozen=True):
    """A repository: its address, suites and components, and the keys that sign it.

    `keyring` is a file of OpenPGP keys, binary or in ASCII armour. Plain HTTP is accepted, since the
    signature and not the connection is what is believed.
    """

    url: Text
    suites: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=64)]
    keyring: Text
    components: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=64)] = ("main",)

    def __post_init__(self) -> None:
        """Refuse addresses and names that are none."""
        parts = urlsplit(self.url)
        if (
            parts.scheme not in _SCHEMES
            or "@" in parts.netloc
            or not self.url.isprintable()
            or " " in self.url
        ):
            msg = "url has to be a http:, https: or file: address without user"
            raise ValueError(msg)
        demand_suites(self.suites)
        demand_suites(self.components)


class AptSection(Section, frozen=True):
    """Debian packages with everything that they depend on, from suites whose signatures verify.

    `suites` are taken from this host's own apt sources; `upstream` tables name other addresses. `name` is
    what the mirror calls the repository; tables of one name share it.
    """

    name: Text
    suites: Suites = ()
    upstream: Annotated[tuple[AptUpstream, ...], msgspec.Meta(max_length=16)] = ()
    architectures: Annotated[tuple[Text, ...], msgspec.Meta(max_length=16)] = ()
    packages: Annotated[tuple[Text, ...], msgspec.Meta(max_length=5000)] = ()
    priorities: tuple[Priority, ...] = ()
    whole: bool = False
    status: Text | None = None
    recommends: bool = False
    sources: bool = False
    label: Label = "internal"

    EXAMPLE: ClassVar[str] = """
name = "debian"
suites = ["bookworm", "bookworm-security"]  # from this host's own apt sources
packages = ["jq", "curl=7.88.1-*"]
# priorities = ["required"]                 # all packages of a priority, for a minimal system
# whole = true                              # every package of the suites
# status = "server.status"                  # what upgrades this /var/lib/dpkg/status
# architectures = ["amd64", "arm64"]        # default: this host's
# recommends = true
# sources = true
# [[apt.upstream]]                          # in place of suites: other addresses
# url = "file:///srv/repository"
# suites = ["stable"]
# components = ["main"]
# keyring = "vendor.asc"
"""

    def brings(self) -> str:
        """Return what a collection takes from this table."""
        suites = [*self.suites, *(f"{s} of {u.url}" for u in self.upstream for s in u.suites)]
        wanted = [*self.packages, *(f"all of priority {p}" for p in self.priorities)]
        wanted += ["every package"] if self.whole else []
        wanted += [f"upgrades for {self.status}"] if self.status else []
        extra = " with sources" if self.sources else ""
        places = ", ".join(self.architectures) or "this host's architecture"
        what = ", ".join(wanted)
        return f"Debian packages{extra} for {places} out of {', '.join(suites)}, as {self.name!r}: {what}."

    def wants_files(self) -> tuple[str, ...]:
        """Return keyrings and the status file."""
        return (*(u.keyring for u in self.upstream), *([self.status] if self.status else []))

    def __post_init__(self) -> None:
        """Demand a source, something to take, and names that are no options of the client."""
        if not is_repository(self.name):
            msg = f"{self.name[:80]!r} cannot name a repository"
            raise ValueError(msg)
        if bool(self.suites) == bool(self.upstream):
            msg = "give either suites of this host's apt sources, or upstream tables"
            raise ValueError(msg)
        if not (self.packages or self.priorities or self.whole or self.status):
            msg = "give packages, priorities, whole or status"
            raise ValueError(msg)
        demand_suites(self.suites)
        for text in self.packages:
            if not _WANTED.fullmatch(text):
                msg = f"{text[:80]!r} is not a package (name, name=version, name:architecture, name/suite)"
                raise ValueError(msg)
        for text in self.architectures:
            if not is_architecture(text) or text in {"all", "source"}:
                msg = f"{text[:80]!r} is not an architecture"
                raise ValueError(msg)


def demand_suites(names: tuple[str, ...]) -> None:
    """Refuse names that no suite or component has.

    Raises:
        ValueError: One of them.

    """
    for name in names:
        if not is_suite(name):
            msg = f"{name[:80]!r} cannot name a suite or a component (flat repositories have none)"
            raise ValueError(msg)
