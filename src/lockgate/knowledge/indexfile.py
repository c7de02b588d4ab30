"""The index as one SQLite file: for each label its own tables, so that nothing is shared.

Frequencies of words in one label's documents never touch another's ranking. The file is a
derivative that can be rebuilt; what it holds is trusted only as far as it matches the manifest
whose digest the opener names.
"""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

import numpy as np

from lockgate.core.digests import sha256
from lockgate.core.wire import decode, encode
from lockgate.knowledge.chunk import Chunk
from lockgate.knowledge.errors import IndexAlteredError, IndexIoError, NoIndexError
from lockgate.knowledge.extraction import Extraction
from lockgate.knowledge.manifest import IndexedDocument, IndexManifest, labels_of
from lockgate.knowledge.ports import Vectors
from lockgate.knowledge.text import STOP_WORDS, tokens

MANIFEST_LIMIT = 256 * 1024 * 1024
"""Largest manifest of an index, in bytes."""
QUERY_WORDS = 64
"""Most words of a question that the lexical search uses."""


def chunks_digest(chunks: tuple[Chunk, ...]) -> str:
    """Return the digest over the spans of a document's chunks."""
    return sha256(encode([[chunk.section, chunk.start, chunk.end] for chunk in chunks]))


def vectors_digest(vectors: Vectors) -> str:
    """Return the digest over a document's vectors as little-endian 32-bit floats."""
    return sha256(np.ascontiguousarray(vectors, dtype="<f4").tobytes())


def body_of(extraction: Extraction, chunk: Chunk) -> str:
    """Return the text of a chunk."""
    return extraction.text[chunk.start : chunk.end]


def heading_of(title: str, extraction: Extraction, chunk: Chunk) -> str:
    """Return the title and headings above a chunk, each once."""
    return " > ".join(dict.fromkeys([title, *extraction.sections[chunk.section].headings]))


class IndexWriter:
    """Writes an index file, document by document, ordered by label and path."""

    def __init__(self, path: Path) -> None:
        """Begin a new file."""
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN;"  # the file is synced before its rename
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
            "CREATE TABLE partitions (number INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE);"
        )
        self._numbers: dict[str, int] = {}
        self._rows: Counter[str] = Counter()
        self._documents: Counter[str] = Counter()

    def _partition(self, label: str) -> int:
        if label in self._numbers:
            return self._numbers[label]
        number = self._numbers[label] = len(self._numbers) + 1
        self._connection.execute("INSERT INTO partitions VALUES (?, ?)", (number, label))
        self._connection.execute(
            f"CREATE TABLE chunks_{number} (id INTEGER PRIMARY KEY, document INTEGER NOT NULL,"
            " section INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL)"
        )
        self._connection.execute(
            f"CREATE TABLE vectors_{number} (id INTEGER PRIMARY KEY, vector BLOB NOT NULL)"
        )
        self._connection.execute(
            f"CREATE VIRTUAL TABLE words_{number} USING fts5"
            "(heading, body, content='', tokenize='porter unicode61 remove_diacritics 2')"
        )
        return number

    def add(
        self, label: str, title: str, extraction: Extraction, chunks: tuple[Chunk, ...], vectors: Vectors
    ) -> None:
        """Write one document's rows."""
        number = self._partition(label)
        place = self._documents[label]
        self._documents[label] += 1
        for chunk, vector in zip(chunks, np.asarray(vectors, dtype="<f4"), strict=True):
            self._rows[label] += 1
            row = self._rows[label]
            self._connection.execute(
                f"INSERT INTO chunks_{number} VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - a number of ours
                (row, place, chunk.section, chunk.start, chunk.end),
            )
            self._connection.execute(
                f"INSERT INTO vectors_{number} VALUES (?, ?)",  # noqa: S608 - a number of ours
                (row, vector.tobytes()),
            )
            self._connection.execute(
                f"INSERT INTO words_{number} (rowid, heading, body) VALUES (?, ?, ?)",  # noqa: S608 - the same
                (row, heading_of(title, extraction, chunk), body_of(extraction, chunk)),
            )

    def finish(self, manifest: IndexManifest) -> str:
        """Write the manifest, close the file and return the manifest's digest."""
        data = encode(manifest)
        self._connection.execute("INSERT INTO meta VALUES ('manifest', ?)", (data,))
        for number in self._numbers.values():
            self._connection.execute(f"INSERT INTO words_{number} (words_{number}) VALUES ('optimize')")  # noqa: S608 - a number of ours
        self._connection.execute("COMMIT")
        self._connection.close()
        return sha256(data)

    def close(self) -> None:
        """Give up; closing a finished file again is no fault."""
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Partition:
    """Everything of one label: its documents, and for each chunk its document and vector.

    Chunk ids count from 1; row i of `vectors` belongs to id i + 1.
    """

    number: int
    documents: tuple[IndexedDocument, ...]
    owners: tuple[int, ...]
    chunks: tuple[Chunk, ...]
    vectors: Vectors

    def rows_of(self, place: int) -> slice:
        """Return which rows belong to the document with that place."""
        begin = sum(document.chunks for document in self.documents[:place])
        return slice(begin, begin + self.documents[place].chunks)


class IndexFile:
    """An index, opened for reading and checked row by row against its manifest."""

    def __init__(self, path: Path, manifest_sha256: str) -> None:
        """Open and check.

        Args:
            path: The file.
            manifest_sha256: Digest of the manifest, as it was recorded when the index was built.

        Raises:
            NoIndexError: There is no such file.
            IndexAlteredError: Any row is not what the manifest says.

        """
        if not path.is_file():
            raise NoIndexError("There is no index here.", file=path.name)
        self._lock = Lock()
        self._connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
        )
        try:
            self.manifest = self._manifest(manifest_sha256)
            self.partitions = {
                label: self._partition(number, label) for number, label in self._labels(self.manifest)
            }
        except sqlite3.Error as error:
            self.close()
            raise IndexAlteredError("The index is no sound database of ours.", file=path.name) from error
        except BaseException:
            self.close()
            raise

    def _manifest(self, digest: str) -> IndexManifest:
        row = self._connection.execute("SELECT value FROM meta WHERE name = 'manifest'").fetchone()
        if row is None or not isinstance(row[0], bytes) or sha256(row[0]) != digest:
            raise IndexAlteredError("The index is not the one that was recorded.", expected=digest)
        return decode(IndexManifest, row[0], limit=MANIFEST_LIMIT)

    def _labels(self, manifest: IndexManifest) -> list[tuple[int, str]]:
        rows = [
            (int(number), str(label))
            for number, label in self._connection.execute(
                "SELECT number, label FROM partitions ORDER BY label"
            )
        ]
        if tuple(label for _, label in rows) != labels_of(manifest.documents):
            raise IndexAlteredError("The index has other labels than its manifest.")
        return rows

    def _partition(self, number: int, label: str) -> Partition:
        documents = tuple(document for document in self.manifest.documents if document.label == label)
        rows = self._connection.execute(
            f"SELECT id, document, section, start, end FROM chunks_{number} ORDER BY id"  # noqa: S608 - a number of ours
        ).fetchall()
        blobs = self._connection.execute(
            f"SELECT id, vector FROM vectors_{number} ORDER BY id"  # noqa: S608 - a number of ours
        ).fetchall()
        width = 4 * self.manifest.dimension
        owners = [place for place, document in enumerate(documents) for _ in range(document.chunks)]
        sound = (
            [row[0] for row in rows] == [row[0] for row in blobs] == list(range(1, len(owners) + 1))
            and [row[1] for row in rows] == owners
            and all(isinstance(row[1], bytes) and len(row[1]) == width for row in blobs)
        )
        if not sound:
            raise IndexAlteredError("Rows of the index are missing or displaced.", label=label)
        vectors = np.frombuffer(b"".join(row[1] for row in blobs), dtype="<f4")
        partition = Partition(
            number,
            documents,
            tuple(owners),
            tuple(Chunk(*row[2:]) for row in rows),
            vectors.reshape(len(blobs), self.manifest.dimension).astype(np.float32, copy=False),
        )
        _check(partition)
        return partition

    def words(self, label: str, question: str, limit: int) -> list[int]:
        """Return the ids of the chunks of a label that match a question's words, best first (BM25)."""
        wanted = dict.fromkeys(word for word in tokens(question) if word not in STOP_WORDS)
        if not wanted:
            return []
        query = " OR ".join(f'"{word}"' for word in list(wanted)[:QUERY_WORDS])
        partition = self.partitions[label]
        table = f"words_{partition.number}"
        best = f"SELECT rowid FROM {table} WHERE {table} MATCH ? ORDER BY bm25({table}), rowid LIMIT ?"  # noqa: S608 - a name of ours
        try:
            with self._lock, closing(self._connection.execute(best, (query, limit))) as cursor:
                found = [int(row[0]) for row in cursor]
        except sqlite3.OperationalError as error:
            raise IndexIoError("The index cannot be searched.", label=label) from error
        except sqlite3.DatabaseError as error:
            raise IndexAlteredError("The index's lexical tables are damaged.", label=label) from error
        if any(not 1 <= number <= len(partition.chunks) for number in found):
            raise IndexAlteredError("The index names chunks that it does not hold.", label=label)
        return found

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return the open index."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()


def _check(partition: Partition) -> None:
    bounds = [0]
    for document in partition.documents:
        bounds.append(bounds[-1] + document.chunks)
    for document, (begin, end) in zip(partition.documents, pairwise(bounds), strict=True):
        if (
            chunks_digest(partition.chunks[begin:end]) != document.chunks_sha256
            or vectors_digest(partition.vectors[begin:end]) != document.vectors_sha256
        ):
            raise IndexAlteredError("A document's rows were altered.", path=document.path)
