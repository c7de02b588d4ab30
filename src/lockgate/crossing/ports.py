"""What the crossing needs of others: a ledger on each side, supply roots, a cipher."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from lockgate.core.artifact import Digest, Size
from lockgate.core.receipt import Receipt
from lockgate.core.sequence import LedgerEntry
from lockgate.core.wire import Document


class Aead(Protocol):
    """An authenticated cipher under one key."""

    def encrypt_into(self, nonce: bytes, data: memoryview, associated_data: bytes, buf: memoryview) -> int:
        """Write ciphertext and tag into a buffer of exactly that length; return the length."""

    def decrypt_into(self, nonce: bytes, data: memoryview, associated_data: bytes, buf: memoryview) -> int:
        """Write the plaintext into a buffer, or raise `cryptography.exceptions.InvalidTag`."""


Cipher = Callable[[bytes], Aead]
"""Makes the cipher for a key."""


class Slot(Document, frozen=True):
    """The number that the next crate gets, and what it follows."""

    sequence: int
    previous_sha256: Digest
    void: dict[str, Digest]


class Standing(StrEnum):
    """What the low side knows of a crossing that it sealed. All but the first are final."""

    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    LOST = "lost"


class Sent(Document, frozen=True):
    """A crossing that was sealed, and what a receipt said of it.

    `void` says that this side gave it up itself. `snapshot_sha256` is what the high side published
    with it, zeros before that; the log's size and root are zeros where the receipt shows none.
    """

    sequence: int
    crate_sha256: Digest
    standing: Standing = Standing.UNACKNOWLEDGED
    void: bool = False
    snapshot_sha256: Digest = "0" * 64
    log_size: int = 0
    log_root: Digest = "0" * 64


class SealLedger(ABC):
    """The low side's ledger: which number was used for which crate.

    A number that was begun and not finished is begun again by the next sealing: its unfinished
    crate never left the partial folder and is discarded with its keys.
    """

    @abstractmethod
    def peek(self) -> Slot:
        """Return what `begin` would return, and change nothing."""

    @abstractmethod
    def begin(self) -> Slot:
        """Reserve the next number."""

    @abstractmethod
    def tuf(self) -> dict[str, bytes]:
        """Return the update metadata of the newest crate by file name; nothing before the first."""

    @abstractmethod
    def finish(
        self, sequence: int, crate_sha256: str, tuf: Mapping[str, bytes], contents: str | None = None
    ) -> None:
        """Bind a reserved number to its crate, for ever, and keep its update metadata.

        `contents` is the digest of the list of what the crate carries, which later deltas build on.

        Raises:
            CrossingStateError: It is not reserved.

        """

    @abstractmethod
    def sealed(self, sequence: int) -> str | None:
        """Return the digest that a number is bound to, or None."""

    @abstractmethod
    def declare_void(self, sequence: int) -> None:
        """Give up a crate that was sealed and never arrived; later crates list it as void.

        Raises:
            CrossingStateError: It was not sealed, a crate after it was sealed and not given up, or a
                receipt says that it arrived.

        """

    @abstractmethod
    def contents(self) -> dict[int, str]:
        """Return the digest of the list of what each crossing carried, where one was kept."""

    @abstractmethod
    def sent(self) -> dict[int, Sent]:
        """Return every crossing that was sealed, by number, with what receipts said of it."""

    @abstractmethod
    def acknowledge(self, receipt: Receipt) -> Sent:
        """Record a receipt whose signatures were verified; what was learnt never changes again.

        Raises:
            ReceiptReplayedError: This receipt was read before.
            ReceiptConflictError: It names a crossing that was not sealed or another crate, contradicts
                an earlier receipt of the crossing, or shows a log that contradicts an earlier one.

        """


class Recorded(Document, frozen=True):
    """When a crate's manifest was recorded, which expiry is judged by."""

    sequence: int
    crate_sha256: Digest
    recorded: datetime


class Held(Document, frozen=True):
    """What opening a crate left in quarantine: the digests of the files below ``meta/``.

    `signers` are the ids of the supply keys that signed the crate, its documents and its update
    metadata, so that what a key signed is found when it turns out to be somebody else's. `starts` tells
    at which byte of the crate's payload each document began, so that a later error can name its place.
    """

    sequence: int
    crate_sha256: Digest
    meta: dict[str, Digest]
    signers: tuple[Digest, ...] | msgspec.UnsetType = msgspec.UNSET
    starts: dict[str, Size] | msgspec.UnsetType = msgspec.UNSET

    @property
    def signed_by(self) -> frozenset[str]:
        """Return the ids of the keys that signed, as far as they are on record."""
        return frozenset() if isinstance(self.signers, msgspec.UnsetType) else frozenset(self.signers)


class Ledger(ABC):
    """The high side's ledger and the trust state that moves with it."""

    @abstractmethod
    def entries(self) -> dict[int, LedgerEntry]:
        """Return everything on record, by number."""

    @abstractmethod
    def recorded(self, sequence: int) -> Recorded | None:
        """Return when a number's manifest was recorded."""

    @abstractmethod
    def held(self, sequence: int) -> Held | None:
        """Return what opening a crate left, or None before that."""

    @abstractmethod
    def floor(self) -> datetime | None:
        """Return the newest moment that a verified signature proved."""

    @abstractmethod
    def tuf(self) -> dict[str, bytes]:
        """Return the newest trusted update metadata by file name."""

    @abstractmethod
    def record(self, entries: Sequence[LedgerEntry], recorded: Recorded, floor: datetime) -> None:
        """Consume numbers and raise the floor, together.

        Raises:
            RecordExistsError: Another process consumed one of the numbers.

        """

    @abstractmethod
    def quarantined(self, held: Held, tuf: Mapping[str, bytes]) -> None:
        """Promote update metadata and the crossing's state, together."""


class Rebuilder(ABC):
    """Rebuilds a file from a patch: what it reads is hostile, so it runs where it can do no harm."""

    @abstractmethod
    def rebuild(self, patch: Path, bases: Mapping[str, Path], size: int) -> AbstractContextManager[BinaryIO]:
        """Give a stream of the file that a patch describes; the caller hashes what comes out.

        Args:
            patch: The patch's file.
            bases: The files that it builds on, by digest, in the patch's order; hashed by the caller.
            size: Length of the file in bytes; the stream never gives more.

        Raises:
            PatchError, PatchLimitError: By reading the stream: the patch is refused.

        """


class SupplyRoots(ABC):
    """The supply roots that a side holds. They are only ever added to."""

    @abstractmethod
    def versions(self) -> list[bytes]:
        """Return the roots, oldest first, unverified."""

    @abstractmethod
    def add(self, version: int, root: bytes) -> None:
        """Keep a verified root; durable on return."""
