"""What isolation needs of the machine: to run system tools."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

COMMAND_SECONDS = 20.0
"""Longest time that one system tool may take."""

OUTPUT_LIMIT = 4 * 1024 * 1024
"""Most output of one system tool, in bytes."""


class Commands(ABC):
    """Runs system tools such as ``ip`` and ``nft``."""

    @abstractmethod
    def run(self, argv: Sequence[str], *, stdin: bytes = b"") -> str:
        """Run a tool and return what it printed.

        Raises:
            ToolMissingError: It is not installed.
            CommandFailedError: It ended with another status than zero.
            CommandLimitError: It took longer than `COMMAND_SECONDS` or printed more than `OUTPUT_LIMIT`.

        """
