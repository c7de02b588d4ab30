"""The manifest's table for git repositories."""

import re
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import msgspec

from lockgate.collect.section import Label, Section, Text
from lockgate.core.git import is_commit, is_ref, is_repository_name

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class GitSection(Section, frozen=True):
    """A git repository: branches and tags by name, and commits, each with all that it was made of.

    `name` is the path on the mirror; without it, host and path of the address. Submodules are other
    repositories: name them in tables of their own.
    """

    url: Text
    refs: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=1000)]
    name: Text | None = None
    licence: Text = "unknown"
    label: Label = "internal"

    EXAMPLE: ClassVar[str] = """
url = "tools/helper"                        # a path, or a https: address
refs = ["main", "v1.2.0"]                   # branches, tags, commits of 40 digits; the first is the default
# name = "tools/helper"                     # default: host and path of the address
"""

    @property
    def mirrored(self) -> str:
        """Return the path on the mirror."""
        if self.name is not None:
            return self.name
        parts = urlsplit(self.url)
        return f"{parts.hostname or ''}{parts.path}".strip("/").removesuffix(".git")

    @property
    def local(self) -> bool:
        """Return whether it lies on this machine."""
        return not _ADDRESS.match(self.url)

    def brings(self) -> str:
        """Return what a collection takes from this table."""
        return f"The git repository {self.mirrored} at {', '.join(self.refs)}, with its history."

    def wants_files(self) -> tuple[str, ...]:
        """Return the repository, where it is a local one."""
        return (self.url,) if self.local else ()

    def __post_init__(self) -> None:
        """Refuse transports that run programs, and names that git reads in another way."""
        parts = urlsplit(self.url) if not self.local else None
        if (parts and (parts.scheme != "https" or "@" in parts.netloc)) or self.url.startswith("-"):
            msg = "url has to be a path, or a https: address without user"
            raise ValueError(msg)
        if not is_repository_name(self.mirrored):
            msg = f"{self.mirrored[:80]!r} cannot name a repository; give a name"
            raise ValueError(msg)
        for ref in self.refs:
            if not is_commit(ref) and not is_ref(f"refs/heads/{ref}"):
                msg = f"{ref[:80]!r} is no branch, tag or commit"
                raise ValueError(msg)
