"""What watching needs: one bounded request to a service of this host."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

REPLY_LIMIT = 2 * 1024 * 1024
"""Most of one answer that is read, in bytes."""

REPLY_SECONDS = 2.0
"""Longest wait for a service, in seconds, for each step (connection, answer)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: HTTP status and body."""

    status: int
    body: bytes


class Probe(ABC):
    """Asks one service of this host."""

    @abstractmethod
    def get(self, host: str, port: int, path: str) -> Reply:
        """Return the answer to a GET request.

        Raises:
            ServiceUnreachableError: No answer.
            ServiceReplyError: An answer that is not HTTP.
            ReplyTooLongError: More than `REPLY_LIMIT`.

        """
