"""Which absent things the mirror was asked for: a bounded list that outlives the server."""

import os
from collections import OrderedDict
from pathlib import Path
from typing import Annotated

import msgspec

from lockgate.core.wire import Document, encode

MISS_LIMIT = 1024
"""How many different missed names are remembered; beyond it the one missed longest ago goes."""

MISS_LENGTH = 200
"""Longest name that is remembered, in characters."""


MISSES_BYTES = 4 << 20
"""Longest file of missed names that is read, in bytes."""


class Miss(Document, frozen=True):
    """A name that was asked for and is not in the snapshot."""

    protocol: Annotated[str, msgspec.Meta(max_length=64)]
    name: Annotated[str, msgspec.Meta(max_length=MISS_LENGTH)]
    count: Annotated[int, msgspec.Meta(ge=1)]


def read_misses(file: Path) -> list[Miss]:
    """Return what a mirror noted, the latest last; nothing where the file is missing or not in its form.

    It is a help for people: names in it were chosen by clients, and nothing is decided by them.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MISSES_BYTES + 1)
        return msgspec.json.decode(data, type=list[Miss])[-MISS_LIMIT:]
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


class Misses:
    """Names that somebody asked for and that are not in the snapshot, with how often."""

    def __init__(self, file: Path | None = None) -> None:
        """Start with those that a file holds, which `save` writes; what it cannot hold is forgotten."""
        self._counts: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._file = file
        self._saved = True
        for miss in read_misses(file) if file is not None else ():
            self._counts[miss.protocol, miss.name] = miss.count

    def add(self, protocol: str, name: str) -> None:
        """Note one miss."""
        key = (protocol, name[:MISS_LENGTH])
        self._counts[key] = self._counts.pop(key, 0) + 1
        if len(self._counts) > MISS_LIMIT:
            self._counts.popitem(last=False)
        self._saved = False

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how often each (protocol, name) was missed, the latest last."""
        return dict(self._counts)

    def save(self) -> None:
        """Write them to their file as a whole, unless it holds them already.

        Raises:
            OSError: The disk refuses.

        """
        if self._file is None or self._saved:
            return
        self._saved = True
        rows = [Miss(protocol=p, name=n, count=c) for (p, n), c in list(self._counts.items())]
        partial = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        partial.write_bytes(encode(rows))
        partial.replace(self._file)
