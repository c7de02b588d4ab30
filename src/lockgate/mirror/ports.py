"""What the mirror needs of other rooms: a verified channel, and where blobs lie."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from lockgate.core.snapshot import Snapshot
from lockgate.core.statement import Statement
from lockgate.mirror.clients.names import MirrorNames
from lockgate.mirror.signed import SignedRepository


@dataclass(frozen=True, slots=True)
class VerifiedChannel:
    """A channel statement that bears the policy's signatures, and the snapshot it names.

    `owed` are the emergencies in effect that one operator signed and no second person yet; `repository`
    is what the gate signed of the snapshot for clients of package repositories, where it did.
    """

    statement: Statement
    snapshot: Snapshot
    owed: tuple[Statement, ...] = ()
    repository: SignedRepository | None = None


class ChannelVerifier(ABC):
    """Reads the channel's signed statement and checks everything about it.

    The adapter starts at the pinned site root, checks the approvers' signatures over the
    statement, re-hashes the snapshot, and refuses a channel version below the highest that it
    ever saw (it keeps that number in a state file of its own).
    """

    @abstractmethod
    def token(self) -> Hashable:
        """Return a value that changes whenever the channel may have changed (cheap: one stat)."""

    @abstractmethod
    def current(self) -> VerifiedChannel:
        """Return the verified channel.

        Raises:
            LockgateError: There is none, or anything about it does not verify.

        """


@dataclass(frozen=True, slots=True)
class KnownAdvisory:
    """One vulnerability of a package, as a client of a registry is told it.

    `ranges` is in npm's notation and names every version that is affected, `versions` are those that
    were asked about; `score_tenths` is the CVSS base score times ten, -1 where there is none.
    """

    id: str
    title: str
    severity: str
    ranges: str
    fixed: str
    versions: tuple[str, ...]
    score_tenths: int = -1


@dataclass(frozen=True, slots=True)
class Advice:
    """What is known against some packages, by name, and sentences on what the data cannot say."""

    found: Mapping[str, Sequence[KnownAdvisory]]
    notices: tuple[str, ...] = ()


class Advisor(ABC):
    """Tells what the loaded advisories say; packages of which nothing is known against are left out."""

    @abstractmethod
    def npm(self, packages: Mapping[str, Sequence[str]]) -> Advice:
        """Return what is known against versions of npm packages.

        Raises:
            LockgateError: Nobody can tell: no data is loaded, or none that speaks of npm.

        """


@dataclass(frozen=True, slots=True)
class RegistryKey:
    """A public key of an npm registry (ECDSA, P-256): its id, itself as DER (SPKI), and when it ends."""

    keyid: str
    key: bytes
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a mirror takes from outside of its snapshot.

    `address` is this mirror's own, as its clients reach it (``https://mirror.example``); empty: the
    one that each client asked. `names` are those of single protocols. `misses` is where names are kept that
    were asked for in vain, `uses` where it is kept which files were taken and by whom; `npm_keys` returns
    the keys by which npm registries signed.
    """

    advisor: Advisor | None = None
    address: str = ""
    names: MirrorNames = field(default_factory=MirrorNames)
    misses: Path | None = None
    uses: Path | None = None
    npm_keys: Callable[[], Sequence[RegistryKey]] | None = None


class BlobFiles(Protocol):
    """Where the bytes of a digest lie. The mirror opens, hashes and only reads them."""

    def path(self, digest: str) -> Path:
        """Return the path of a blob's file; a `LockgateError` where there is none."""


class Journal(Protocol):
    """The log: an intent before an effect is visible, an outcome after it."""

    def intent(self, action: str, **facts: Any) -> int:
        """Record that something is about to happen, and return the record's number."""

    def outcome(self, intent: int, status: str, **facts: Any) -> int:
        """Record how it ended."""
