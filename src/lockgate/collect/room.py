"""What every module of a collection run shares: its adapters, bounds and notes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lockgate.collect.errors import SourceMissingError
from lockgate.collect.npm.ports import NpmClient
from lockgate.collect.ports import Limits, Packages, Web
from lockgate.collect.universal.ports import Locker
from lockgate.core.digests import sha256
from lockgate.core.ports import Progress
from lockgate.store import BlobStore


@dataclass(frozen=True, slots=True)
class Room:
    """One run of a collection.

    `work` is an existing folder for temporary files on the disk of the home; `free` tells how
    many bytes may still be written there. `notes` grows with what a person should know.
    """

    folder: Path
    work: Path
    blobs: BlobStore
    packages: Packages
    web: Web
    progress: Progress
    limits: Limits
    free: Callable[[], int]
    npm: NpmClient | None = None
    locker: Locker | None = None
    notes: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Keep a sentence for the run's log, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def named(self, name: str) -> Path:
        """Return a file of the manifest for a client that takes no white space in a path.

        Raises:
            SourceMissingError: It is not there, or lies where its client would not find it.

        """
        file = (self.folder / name).absolute()
        if not file.is_file() or any(c.isspace() for c in str(file)):
            what = f"{name} is not there, or has white space in its path."
            raise SourceMissingError(what, file=name)
        return file

    def keep(self, data: bytes) -> str:
        """Bring bytes into the store unless it holds them, and return their digest."""
        digest = sha256(data)
        return digest if self.blobs.has(digest) else self.blobs.put_bytes(data, expected=digest)
