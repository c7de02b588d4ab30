"""Doubles of the ports, for tests: no model, no sandbox."""

import hashlib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from lockgate.core.digests import sha256
from lockgate.knowledge.ports import Embedder, Vectors
from lockgate.knowledge.text import content_words


class HashedWords(Embedder):
    """Embeds a text as its bag of content words, each hashed to a place. No model, no meaning."""

    def __init__(self, dimension: int = 256) -> None:
        """Choose the length of a row."""
        self._dimension = dimension

    @property
    def name(self) -> str:
        """Return a name that says what it is."""
        return "double:hashed-words"

    @property
    def identity(self) -> str:
        """Return a digest of name and dimension."""
        return sha256(f"{self.name}/{self._dimension}".encode())

    @property
    def dimension(self) -> int:
        """Return the length of a row."""
        return self._dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row for each text; a text without content words lies on the first axis."""
        rows = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for place, text in enumerate(texts):
            row = rows[place]
            for word in content_words(text):
                row[int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") % self._dimension] += 1
            if not row.any():
                row[0] = 1
            rows[place] = row / np.linalg.norm(row)
        return rows


class InsecureInProcessRunner:
    """Runs parsers in this very process: a hostile file can do everything. For tests only."""

    def run(self, entry: str, file: Path, args: bytes) -> bytes:
        """Call the function here and now."""
        module, _, function = entry.partition(":")
        answer = getattr(import_module(module), function)(memoryview(file.read_bytes()), args)
        if not isinstance(answer, bytes):
            what = f"{entry} answered {type(answer).__name__}"
            raise TypeError(what)
        return answer
