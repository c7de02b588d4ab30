"""The real verifier: the channel reader of the approval room, behind the mirror's port."""

from collections.abc import Hashable
from pathlib import Path

from lockgate.approve import ChannelReader
from lockgate.mirror.ports import ChannelVerifier, VerifiedChannel


class SignedChannel(ChannelVerifier):
    """Verifies the approvers' signatures over a channel file through the pinned site root.

    Args:
        reader: Checks signatures, policy, version floor and the snapshot's hash.
        file: The channel file that the reader reads.

    """

    def __init__(self, reader: ChannelReader, file: Path) -> None:
        """Keep both; nothing is read yet."""
        self._reader = reader
        self._file = file

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
        return VerifiedChannel(verified.statement, verified.snapshot, verified.owed)
