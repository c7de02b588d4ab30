"""What the knowledge room needs of others: an embedder, and a place to run parsers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""Rows of 32-bit numbers, each of length one."""


class Embedder(ABC):
    """Turns texts into vectors of length one; near texts have near vectors.

    The vector of a text depends on that text alone, never on its neighbours in a call.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Return what to call it: a package URL, or the name of a double."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """Return the digest of everything that decides its vectors."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Return the length of a row."""

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row for each text."""


class Runner(Protocol):
    """Runs one function of ours over one file, where a hostile file can do no harm."""

    def run(self, entry: str, file: Path, args: bytes) -> bytes:
        """Return what the function makes of the file.

        Args:
            entry: ``module:function``; it takes a `memoryview` of the file and `args`.
            file: A file to read; its digest is checked by the caller.
            args: Canonical bytes for the function.

        Raises:
            LockgateError: It failed, ran too long, or broke its bounds.

        """
