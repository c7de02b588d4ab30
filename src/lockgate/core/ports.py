"""What every room takes through parameters: time, randomness, progress."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

Clock = Callable[[], datetime]
"""Returns the present moment, in UTC."""

Entropy = Callable[[int], bytes]
"""Returns that many random bytes, fit for keys."""


class Progress(Protocol):
    """Told about long work, so that a person can watch it."""

    def start(self, task: str, total: int) -> None:
        """Begin a task of `total` bytes (or items)."""

    def advance(self, count: int) -> None:
        """Report that much more done."""

    def finish(self) -> None:
        """End the task."""


class Silent:
    """A `Progress` that shows nothing."""

    def start(self, task: str, total: int) -> None:
        """Ignore it."""

    def advance(self, count: int) -> None:
        """Ignore it."""

    def finish(self) -> None:
        """Ignore it."""
