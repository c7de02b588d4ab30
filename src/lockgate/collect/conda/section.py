"""The manifest's table for conda packages."""

import re
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import msgspec

from lockgate.collect.section import Label, Section, Text
from lockgate.core.conda import NOARCH, is_channel, is_subdir

_VIRTUAL = re.compile(r"__[a-z0-9_]{1,32}(?:=[0-9][0-9a-z.]{0,31})?", re.ASCII)
_SPEC = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*[ A-Za-z0-9_.,*!<>=|~+^-]*", re.ASCII)
_SCHEMES = frozenset({"https", "file"})


class CondaSection(Section, frozen=True):
    """conda packages with everything that they depend on, from one channel.

    A channel's index bears no signature: it is taken over https or from a folder, never in the clear. `name`
    is what the mirror calls the channel; tables of one name share it.
    """

    name: Text
    url: Text
    subdirs: Annotated[tuple[Text, ...], msgspec.Meta(max_length=16)] = ()
    specs: Annotated[tuple[Text, ...], msgspec.Meta(max_length=2000)] = ()
    whole: bool = False
    virtual: Annotated[tuple[Text, ...], msgspec.Meta(max_length=32)] = ()
    label: Label = "internal"

    EXAMPLE: ClassVar[str] = """
name = "science"
url = "file:///srv/channel"                # or https:
specs = ["numpy >=2", "pandas 2.3.*"]
# whole = true                              # every package of the channel
# subdirs = ["linux-64", "osx-arm64"]       # default: this host's; noarch is always taken too
# virtual = ["__glibc=2.28", "__cuda=12.4"] # what the hosts have
"""

    def brings(self) -> str:
        """Return what a collection takes from this table."""
        wanted = "every package" if self.whole else ", ".join(self.specs)
        places = ", ".join(self.subdirs) or "this host's platform"
        return f"conda packages for {places} out of {self.url}, as the channel {self.name!r}: {wanted}."

    def __post_init__(self) -> None:
        """Demand one clear source, something to take, and names that are names."""
        if not is_channel(self.name):
            msg = f"{self.name[:80]!r} cannot name a channel"
            raise ValueError(msg)
        parts = urlsplit(self.url)
        if (
            parts.scheme not in _SCHEMES
            or "@" in parts.netloc
            or not self.url.isprintable()
            or " " in self.url
        ):
            msg = "url has to be a https: or file: address without user"
            raise ValueError(msg)
        if not (self.specs or self.whole):
            msg = "give specs or whole"
            raise ValueError(msg)
        for texts, fits, what in (
            (
                self.specs,
                lambda t: _SPEC.fullmatch(t) is not None,
                "a spec (name, name version, name version build)",
            ),
            (self.subdirs, lambda t: is_subdir(t) and t != NOARCH, "a platform (linux-64)"),
            (self.virtual, lambda t: _VIRTUAL.fullmatch(t) is not None, "a virtual package (__glibc=2.28)"),
        ):
            for text in texts:
                if not fits(text):
                    msg = f"{text[:80]!r} is not {what}"
                    raise ValueError(msg)
