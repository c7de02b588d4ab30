"""The manifest's table for RPM packages."""

import re
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import msgspec

from lockgate.collect.section import Label, Section, Text
from lockgate.core.places import is_repository
from lockgate.core.rpm import NOARCH, SOURCE, is_architecture, is_channel

_WANTED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~^:*?-]{0,255}", re.ASCII)
_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}:[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)
_ERRATA = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,63}", re.ASCII)
_SCHEMES = frozenset({"https", "http", "file"})
BASEARCH = "$basearch"

Platform = Annotated[str, msgspec.Meta(pattern=r"^platform:[a-z0-9.]{1,32}\Z")]


class RpmUpstream(Section, frozen=True):
    """A repository: its address or its list of mirrors, and the keys that sign its index and its packages.

    ``$basearch`` in an address stands for each architecture. `keyring` is a file of OpenPGP keys in ASCII
    armour. Plain HTTP is accepted, since the signature and not the connection is what is believed: so an
    `unsigned_index` (the distribution signs packages alone) is accepted from https: and file: addresses only.
    """

    name: Text
    keyring: Text
    url: Text = ""
    mirrorlist: Text = ""
    unsigned_index: bool = False

    def __post_init__(self) -> None:
        """Refuse addresses and names that are none."""
        if not is_channel(self.name):
            msg = f"{self.name[:80]!r} cannot name a repository"
            raise ValueError(msg)
        if bool(self.url) == bool(self.mirrorlist):
            msg = "give either url or mirrorlist"
            raise ValueError(msg)
        if not is_address(self.url or self.mirrorlist):
            msg = "url and mirrorlist have to be http:, https: or file: addresses without user"
            raise ValueError(msg)
        if self.unsigned_index and urlsplit(self.url or self.mirrorlist).scheme == "http":
            msg = "an unsigned index is not accepted over http:"
            raise ValueError(msg)


class RpmSection(Section, frozen=True):
    """RPM packages with everything that they depend on, from repositories whose signatures verify.

    `name` is what the mirror calls the distribution; tables of one name share it. `errata` are types
    (``security``) or identifiers: what they bring is taken in its newest version.
    """

    name: Text
    upstream: Annotated[tuple[RpmUpstream, ...], msgspec.Meta(min_length=1, max_length=32)]
    architectures: Annotated[tuple[Text, ...], msgspec.Meta(max_length=16)] = ()
    packages: Annotated[tuple[Text, ...], msgspec.Meta(max_length=5000)] = ()
    errata: Annotated[tuple[Text, ...], msgspec.Meta(max_length=1000)] = ()
    whole: bool = False
    modules: Annotated[tuple[Text, ...], msgspec.Meta(max_length=100)] = ()
    platform: Platform | None = None
    weak: bool = False
    label: Label = "internal"

    EXAMPLE: ClassVar[str] = """
name = "rocky"
packages = ["jq", "nginx-1.20.1-*"]
# errata = ["security"]                     # what errata of a type, or an erratum, bring
# whole = true                              # every package of the repositories
# modules = ["nodejs:20"]                   # streams to take packages from
# platform = "platform:el9"                 # what modules are for
# architectures = ["x86_64", "aarch64"]     # default: this host's
# weak = true                               # recommended packages too
[[rpm.upstream]]
name = "baseos"
url = "file:///srv/rocky/BaseOS/$basearch/os"  # or mirrorlist
keyring = "vendor.asc"
# unsigned_index = true                     # the distribution signs packages alone
"""

    def brings(self) -> str:
        """Return what a collection takes from this table."""
        wanted = [*self.packages, *(f"errata {e}" for e in self.errata), *(["every package"] * self.whole)]
        sources = ", ".join(f"{u.name} of {u.url or u.mirrorlist}" for u in self.upstream)
        places = ", ".join(self.architectures) or "this host's architecture"
        extra = f" with modules {', '.join(self.modules)}" if self.modules else ""
        return f"RPM packages{extra} for {places} out of {sources}, as {self.name!r}: {', '.join(wanted)}."

    def wants_files(self) -> tuple[str, ...]:
        """Return the keyrings."""
        return tuple(u.keyring for u in self.upstream)

    def __post_init__(self) -> None:
        """Demand something to take, and names that are no options of the client."""
        if not is_repository(self.name):
            msg = f"{self.name[:80]!r} cannot name a distribution"
            raise ValueError(msg)
        names = [u.name for u in self.upstream]
        if len(set(names)) != len(names):
            msg = "two upstream tables have one name"
            raise ValueError(msg)
        if not (self.packages or self.errata or self.whole):
            msg = "give packages, errata or whole"
            raise ValueError(msg)
        if self.modules and self.platform is None:
            msg = "modules need the platform that they are for"
            raise ValueError(msg)
        for texts, pattern, what in (
            (self.packages, _WANTED, "a package (name, name.arch, name-version-release; no group)"),
            (self.errata, _ERRATA, "a type of errata or the name of one"),
            (self.modules, _STREAM, "a stream of a module (name:stream)"),
        ):
            for text in texts:
                if not pattern.fullmatch(text):
                    msg = f"{text[:80]!r} is not {what}"
                    raise ValueError(msg)
        for text in self.architectures:
            if not is_architecture(text) or text in {NOARCH, SOURCE}:
                msg = f"{text[:80]!r} is not an architecture"
                raise ValueError(msg)


def is_address(text: str) -> bool:
    """Tell whether a text is an address from which repositories are taken."""
    parts = urlsplit(text)
    return parts.scheme in _SCHEMES and "@" not in parts.netloc and text.isprintable() and " " not in text
