"""The real verifier: the channel reader of the approval room, behind the mirror's port."""

from collections.abc import Callable, Hashable
from pathlib import Path

from lockgate.approve import ChannelReader
from lockgate.core.snapshot import Snapshot
from lockgate.core.statement import Statement
from lockgate.mirror.ports import ChannelVerifier, VerifiedChannel
from lockgate.mirror.signed import SignedRepository

Signed = Callable[[Statement, Snapshot], SignedRepository | None]
"""Returns what was signed for a statement; None where nothing was, or nothing verifies."""


class SignedChannel(ChannelVerifier):
    """Verifies the approvers' signatures over a channel file through the pinned site root.

    Args:
        reader: Checks signatures, policy, version floor and the snapshot's hash.
        file: The channel file that the reader reads.
        signed: Gives what the gate signed for clients of package repositories, verified.

    """

    def __init__(self, reader: ChannelReader, file: Path, signed: Signed | None = None) -> None:
        """Keep them; nothing is read yet."""
        self._reader = reader
        self._file = file
        self._signed = signed

    def token(self) -> Hashable:
        """Return inode, times and length of the channel file, and what tells of another site root."""
        try:
            facts = self._file.stat()
        except OSError:
            return None, self._reader.token()
        file = facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size
        return file, self._reader.token()

    def current(self) -> VerifiedChannel:
        """Return the verified channel.

        Raises:
            LockgateError: There is none, or it does not verify.

        """
        verified = self._reader.current()
        repository = self._signed(verified.statement, verified.snapshot) if self._signed else None
        return VerifiedChannel(verified.statement, verified.snapshot, verified.owed, repository)
