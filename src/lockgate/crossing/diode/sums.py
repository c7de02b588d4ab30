"""What a file's content adds up to: the sum of a mark for each of its blocks (docs/formats/diode-v1.md).

A mark is HMAC of the block's place and its GMAC under keys of the session, ten times as fast as SHA-256 of
all of it, and a sum does not depend on the order in which blocks come. It tells content from other content:
parts of two sendings, or what a power cut left. It is no proof of origin, as nothing of the diode is.
"""

import os

import numpy as np

from lockgate.crossing.diode.table import Cut
from lockgate.crossing.diode.wire import MARK_SIZE, SessionKey

SUM_SIZE = MARK_SIZE
"""Length of a sum, in bytes."""


class FileSum:
    """The sum over one file's blocks, as one session cuts it."""

    def __init__(self, key: SessionKey, stream: int, size: int, cut: Cut) -> None:
        """Begin with no block.

        Args:
            key: The session's key.
            stream: The file's number.
            size: Of the file in bytes.
            cut: How the session cuts files.

        """
        self._key = key
        self._stream = stream
        self._size = size
        self._cut = cut
        self._sum = 0
        self._added = bytearray(cut.blocks(size))

    def add(self, block: int, content: memoryview) -> None:
        """Add a block; one that was added counts once."""
        if not self._added[block]:
            self._added[block] = 1
            self._sum ^= self._key.mark(self._stream, block, content)

    def forget(self) -> None:
        """Begin again: somebody else may have changed the file."""
        self._sum = 0
        self._added = bytearray(len(self._added))

    def complete(self, handle: int) -> bytes:
        """Return the whole file's sum. Blocks that were not added are read from the file.

        Raises:
            EOFError: The file is shorter than was announced.

        """
        for block in np.flatnonzero(np.frombuffer(bytes(self._added), np.uint8) == 0).tolist():
            offset, length = self._cut.span(self._size, block)
            content = os.pread(handle, length, offset)
            if len(content) != length:
                msg = f"stream {self._stream} is shorter than announced"
                raise EOFError(msg)
            self.add(block, memoryview(content))
        return self._sum.to_bytes(SUM_SIZE, "big")
