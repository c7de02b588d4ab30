"""What serves trusts signatures, not rows: reading a channel through its approvers' signatures.

Mirrors, the gateway and the indexer use this and nothing else to learn what they may serve. It
needs the pinned site root, the channel's signed statement and the snapshot's blob; it needs no
right to write records or blobs.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from lockgate.approve.errors import ChannelRollbackError, NothingPublishedError, SnapshotMismatchError
from lockgate.approve.service import STATEMENT_LIMIT
from lockgate.approve.verify import Pages, verify_channel
from lockgate.core.errors import LockgateError
from lockgate.core.parts import parts_of, rest_of
from lockgate.core.roots import Root
from lockgate.core.snapshot import Admitted, Snapshot
from lockgate.core.statement import Statement
from lockgate.store.ports import BlobStore
from lockgate.trust.errors import EnvelopeError

_FLOOR_DIGITS = 18


@dataclass(frozen=True, slots=True)
class VerifiedChannel:
    """A channel whose statement bears the policy's signatures, with the snapshot it names.

    `held` may not be newly loaded and may go on where it is loaded; `owed` are the emergencies that
    one operator signed and no second person yet.
    """

    statement: Statement
    approvers: frozenset[str]
    snapshot: Snapshot
    held: tuple[Admitted, ...] = ()
    owed: tuple[Statement, ...] = ()

    @property
    def usable(self) -> tuple[Admitted, ...]:
        """Return what may go on being used where it is loaded: what is served, and what is held.

        Of a snapshot in parts these are not the Python projects, which nothing here loads.
        """
        return (*rest_of(self.snapshot).admitted, *self.held)


class SiteRoots(ABC):
    """Where whoever serves learns by which site root it judges, while it runs."""

    @abstractmethod
    def token(self) -> Hashable:
        """Return something that differs when another root may be there; costs no more than a few stats."""

    @abstractmethod
    def newest(self) -> Root:
        """Return the newest root that followed from the pinned one; never one before an earlier answer.

        A root that does not follow changes nothing: the one before goes on counting.
        """


class FixedRoot(SiteRoots):
    """One root for good."""

    def __init__(self, root: Root) -> None:
        """Judge by this one."""
        self._root = root

    def token(self) -> Hashable:
        """Return the same each time."""
        return None

    def newest(self) -> Root:
        """Return the root."""
        return self._root


class ChannelReader:
    """Verifies a channel file each time it or the site root changes and never goes back to an older version.

    Args:
        site: The site root, or where the newest one is followed from the pinned one.
        channel: The channel's name.
        file: Its signed statement, as the gate writes it.
        blobs: Holds the snapshot.
        floor: A small file of the serving process's own that keeps the highest version served,
            or None to keep it in memory only.
        pages: Makes pages anew for whoever serves them; see `verify_channel`.

    """

    def __init__(
        self,
        site: Root | SiteRoots,
        channel: str,
        file: Path,
        blobs: BlobStore,
        floor: Path | None = None,
        *,
        pages: Pages | None = None,
    ) -> None:
        """Keep what is needed; nothing is read yet."""
        self._site = FixedRoot(site) if isinstance(site, Root) else site
        self._channel = channel
        self._file = file
        self._blobs = blobs
        self._floor_file = floor
        self._pages = pages
        self._seen: Hashable = (None, self._site.token())
        self._current: VerifiedChannel | None = None
        self._whole: frozenset[str] = frozenset()

    def changed(self) -> bool:
        """Tell whether the channel file or the root is another one than the last that was verified."""
        return self.token() != self._seen

    def token(self) -> Hashable:
        """Return something that differs when the channel file or the site root may have changed."""
        return self._mark(), self._site.token()

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            facts = self._file.stat()
        except FileNotFoundError:
            return None
        return facts.st_ino, facts.st_mtime_ns, facts.st_size

    def current(self) -> VerifiedChannel:
        """Return the verified channel, reading it again when its file changed.

        Raises:
            NothingPublishedError: No channel file, and none was ever verified.
            ChannelRollbackError: An older version than one that was served, or nobody can tell.
            SnapshotMismatchError: The snapshot is missing, altered or of another lane.
            LockgateError: The statement lacks the signatures that the policy demands.

        """
        seen = self.token()
        if self._current is not None and seen == self._seen:
            return self._current
        if self._mark() is None:
            what = f"The channel {self._channel!r} has no snapshot."
            raise NothingPublishedError(what)
        with self._file.open("rb") as stream:
            envelope = stream.read(STATEMENT_LIMIT + 1)
        try:
            verified = self._verify(envelope)
        except SnapshotMismatchError:  # names what it is about by its digest
            raise
        except LockgateError as error:
            error.where.setdefault("file", self._file)
            raise
        whole = self._hash(verified.snapshot)
        self._raise_floor(verified.statement.channel_version)
        self._seen, self._current, self._whole = seen, verified, whole
        return verified

    def _hash(self, snapshot: Snapshot) -> frozenset[str]:
        """Hash the parts of a snapshot that no earlier one had, so that none is missed when it is asked for.

        Raises:
            SnapshotMismatchError: One is missing or altered.

        """
        parts = parts_of(snapshot)
        if parts is None:
            return frozenset()
        try:
            return parts.hash(self._whole)
        except LockgateError as error:
            what = f"A part of the snapshot of {self._channel!r} cannot be read: {error.what}"
            raise SnapshotMismatchError(what, digest=parts.digest) from error

    def _verify(self, envelope: bytes) -> VerifiedChannel:
        standing = verify_channel(envelope, self._site.newest(), self._blobs, self._pages)
        statement = standing.statement
        if statement.channel != self._channel:
            what = f"The statement is about {statement.operation} on {statement.channel!r}."
            raise EnvelopeError(what)
        if statement.channel_version < self._floor():
            what = (
                f"Version {statement.channel_version} of {self._channel!r} is older than one served before."
            )
            raise ChannelRollbackError(what, floor=self._floor())
        return VerifiedChannel(statement, standing.approvers, standing.snapshot, standing.held, standing.owed)

    def _floor(self) -> int:
        held = self._current.statement.channel_version if self._current else 0
        if self._floor_file is None or not self._floor_file.is_file():
            return held
        with self._floor_file.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_FLOOR_DIGITS + 1)
        if not text.isascii() or not text.isdigit() or len(text) > _FLOOR_DIGITS:
            what = f"The version of {self._channel!r} that was served before cannot be read."
            advice = f"Compare the channel with what was approved last, then remove {self._floor_file}."
            raise ChannelRollbackError(what, advice=advice)
        return max(held, int(text))

    def _raise_floor(self, version: int) -> None:
        if self._floor_file is None or version <= self._floor():
            return
        self._floor_file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._floor_file.with_suffix(f".{os.getpid()}")
        with partial.open("w") as file:
            file.write(str(version))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._floor_file)
