"""Which files clients took and who they were: a bounded record that outlives the server.

It is kept so that unused things stop crossing. Names are those of API keys, or addresses where none
was sent; nothing is decided by them.
"""

import os
from collections import OrderedDict
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.wire import Document, encode

USES_LIMIT = 50_000
"""How many pairs of a file and a client are remembered; beyond it the one seen longest ago goes."""
USES_BYTES = 32 << 20
"""Longest file of uses that is read, in bytes."""
NAME_LENGTH = 64


class Use(Document, frozen=True):
    """How often somebody took a file, and on which day last (``2026-05-01``)."""

    sha256: Digest
    who: Annotated[str, msgspec.Meta(max_length=NAME_LENGTH)]
    count: Annotated[int, msgspec.Meta(ge=1)]
    last: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}\Z")]


def read_uses(file: Path) -> list[Use]:
    """Return what a mirror noted, the latest last; nothing where the file is missing or not in its form."""
    try:
        with file.open("rb") as stream:
            data = stream.read(USES_BYTES + 1)
        return msgspec.json.decode(data, type=list[Use])[-USES_LIMIT:]
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


class Uses:
    """Counts what is taken.

    Args:
        file: Keeps them; none: they are forgotten with the process.
        today: The present day.

    """

    def __init__(self, file: Path | None, today: Callable[[], date]) -> None:
        """Start with those that the file holds."""
        self._file = file
        self._today = today
        self._counts: OrderedDict[tuple[str, str], tuple[int, str]] = OrderedDict()
        self._saved = True
        for use in read_uses(file) if file is not None else ():
            self._counts[use.sha256, use.who] = use.count, use.last

    def add(self, sha256: str, who: str) -> None:
        """Note that somebody took a file."""
        key = (sha256, who[:NAME_LENGTH])
        count, _ = self._counts.pop(key, (0, ""))
        self._counts[key] = count + 1, self._today().isoformat()
        if len(self._counts) > USES_LIMIT:
            self._counts.popitem(last=False)
        self._saved = False

    def all(self) -> list[Use]:
        """Return every use, the latest last."""
        return [
            Use(sha256=s, who=w, count=count, last=last)
            for (s, w), (count, last) in list(self._counts.items())
        ]

    def save(self) -> None:
        """Write them to their file as a whole, unless it holds them already.

        Raises:
            OSError: The disk refuses.

        """
        if self._file is None or self._saved:
            return
        self._saved = True
        partial = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        partial.write_bytes(encode(self.all()))
        partial.replace(self._file)
