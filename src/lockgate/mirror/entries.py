"""What the addresses of a snapshot answer: immutable values, and mappings of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from lockgate.core.snapshot import Snapshot
from lockgate.core.statement import Statement
from lockgate.mirror.signed import SignedRepository

if TYPE_CHECKING:
    from lockgate.mirror.spread.lookups import Lookups


@dataclass(frozen=True, slots=True)
class Entry:
    """What one address serves.

    `immutable` says that the address names its content, so that a client may keep it for ever;
    `page` that it is one of the snapshot's pages, which are asked for often.
    """

    sha256: str
    size: int
    media_type: str
    immutable: bool = False
    page: bool = False


@dataclass(frozen=True, slots=True)
class Simple:
    """One simple index page in its two forms."""

    json: Entry
    html: Entry


@dataclass(frozen=True, slots=True)
class RevisionEntries:
    """What is served for one revision of a repository; files by path inside the repository."""

    commit: str
    information: Entry
    tree: Entry
    commits: Entry
    files: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class ModelEntries:
    """What is served for one model: its references and its revisions by commit."""

    main: str
    references: Entry
    revisions: Mapping[str, RevisionEntries]

    def revision(self, name: str) -> RevisionEntries | None:
        """Return the revision that a branch or commit names."""
        commit = self.main if name in {"main", "refs/heads/main"} else name
        return self.revisions.get(commit)


@dataclass(frozen=True, slots=True)
class ImageEntries:
    """What is served for one repository of images, by hexadecimal SHA-256.

    `tags` are sorted; `referrers` are by the subject's digest; `linked` as in `oci.Repository`.
    """

    name: str
    listing: Entry
    tags: Mapping[str, str]
    manifests: Mapping[str, Entry]
    blobs: Mapping[str, Entry]
    referrers: Mapping[str, Entry]
    linked: bool


@dataclass(frozen=True, slots=True)
class Images:
    """Every repository of images: by name, and by name without its host where that is one."""

    by_name: Mapping[str, ImageEntries]
    aliases: Mapping[str, str]

    def holds(self, name: str, host: str = "") -> bool:
        """Tell whether a name, by itself or below `host`, stands for a repository without any alias."""
        return (bool(host) and f"{host}/{name}" in self.by_name) or name in self.by_name

    def find(self, name: str, host: str = "") -> ImageEntries | None:
        """Return the repository that a name stands for, looked for below `host` first."""
        found = self.by_name.get(f"{host}/{name}") if host else None
        found = found or self.by_name.get(name)
        alias = None if found else self.aliases.get(name)
        return self.by_name.get(alias) if alias else found


@dataclass(frozen=True, slots=True)
class NpmEntries:
    """What is served for one npm package: both packuments, and the archives by file name."""

    full: Entry
    short: Entry
    archives: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class SignedEntries:
    """What is served of signed repositories: packages, and indexes (apt's by their digest too); undated ones.

    `releases` are by the folder that they lie in (``debian/dists/bookworm``).
    """

    files: Mapping[str, Entry]
    releases: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class GitEntries:
    """What is served of one git repository: a bundle, and what it has to hold, the default first.

    `large` are the large files (Git LFS) by their SHA-256.
    """

    bundle: Entry
    refs: Mapping[str, str]
    large: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that one signed snapshot answers. A request looks at exactly one table.

    `lookups` is there where most of it is looked up in the snapshot's parts.
    """

    statement: Statement
    created: datetime
    index: Simple
    projects: Mapping[str, Simple]
    packages: Mapping[str, Entry]
    models: Mapping[str, ModelEntries]
    images: Images
    files: Mapping[str, Entry]
    npm: Mapping[str, NpmEntries]
    npm_search: Entry | None
    apt: SignedEntries
    rpm: SignedEntries
    conda: Mapping[str, Entry]
    git: Mapping[str, GitEntries]
    snapshot: Snapshot
    repository: SignedRepository | None = None
    lookups: "Lookups | None" = None
