"""Building an index from the documents of a snapshot; unchanged documents keep their rows."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lockgate.core.errors import HostError, LockgateError
from lockgate.core.ports import Progress, Silent
from lockgate.core.wire import encode
from lockgate.knowledge.chunk import CHUNKER, Chunk, chunks_of
from lockgate.knowledge.errors import (
    IndexIoError,
    IndexTooLargeError,
    UnreadableDocumentError,
)
from lockgate.knowledge.extract import ENTRY, ExtractArgs, MediaType, extractor_of, media_type_of
from lockgate.knowledge.extraction import EXTRACTION_LIMIT, Extraction, read_extraction
from lockgate.knowledge.indexfile import (
    IndexFile,
    IndexWriter,
    body_of,
    chunks_digest,
    heading_of,
    vectors_digest,
)
from lockgate.knowledge.manifest import (
    CHUNKS_LIMIT,
    DOCUMENTS_LIMIT,
    INDEX_FORMAT,
    AdmittedDocument,
    IndexedDocument,
    IndexManifest,
    SkippedDocument,
)
from lockgate.knowledge.ports import Embedder, Runner, Vectors
from lockgate.store import BlobStore
from lockgate.store.errors import BlobMismatchError


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What was built: the manifest and its digest, and how many documents kept their rows."""

    manifest: IndexManifest
    manifest_sha256: str
    reused: int

    @property
    def chunks(self) -> int:
        """Return how many chunks the index holds."""
        return sum(document.chunks for document in self.manifest.documents)


@dataclass(frozen=True, slots=True)
class _Rows:
    extraction: Extraction
    extraction_sha256: str
    chunks: tuple[Chunk, ...]
    vectors: Vectors
    reused: bool


class _Earlier:
    """Rows of the previous index, found by document, title, extractor and embedder."""

    def __init__(self, index: IndexFile | None, embedder: Embedder) -> None:
        self._rows: dict[tuple[str, str, str], tuple[IndexedDocument, tuple[Chunk, ...], Vectors]] = {}
        if (
            index is None
            or index.manifest.embedder_identity != embedder.identity
            or index.manifest.chunker != CHUNKER
        ):
            return
        for partition in index.partitions.values():
            for place, document in enumerate(partition.documents):
                rows = partition.rows_of(place)
                key = (document.sha256, document.title, document.extractor)
                self._rows[key] = (document, partition.chunks[rows], partition.vectors[rows])

    def rows(self, document: AdmittedDocument, extractor: str, blobs: BlobStore) -> _Rows | None:
        found = self._rows.get((document.sha256, document.title, extractor))
        if found is None or not blobs.has(found[0].extraction_sha256):
            return None
        known, chunks, vectors = found
        data = blobs.read(known.extraction_sha256, limit=EXTRACTION_LIMIT)
        extraction = read_extraction(data, document.sha256)
        return _Rows(extraction, known.extraction_sha256, chunks, vectors, reused=True)


@dataclass(frozen=True, slots=True)
class Indexer:
    """Builds indexes with one embedder and one place to run parsers."""

    blobs: BlobStore
    runner: Runner
    embedder: Embedder

    def build(
        self,
        documents: Sequence[AdmittedDocument],
        snapshot_sha256: str,
        target: Path,
        earlier: IndexFile | None = None,
        progress: Progress | None = None,
    ) -> IndexReport:
        """Write a new index beside the target and rename it over it.

        Args:
            documents: What to index, from a verified snapshot.
            snapshot_sha256: Digest of that snapshot.
            target: The index file.
            earlier: The index so far, opened under its recorded digest, whose rows may be kept.
            progress: Told of each document.

        Raises:
            IndexTooLargeError: Too many documents or chunks.
            IndexIoError: The disk refused; the earlier index stands.

        """
        if len(documents) > DOCUMENTS_LIMIT:
            what = f"There are {len(documents)} documents; at most {DOCUMENTS_LIMIT} are indexed."
            raise IndexTooLargeError(what, limit="index_documents")
        progress = progress or Silent()
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
        partial.unlink(missing_ok=True)
        progress.start("index", len(documents))
        try:
            report = self._fill(
                partial, documents, snapshot_sha256, _Earlier(earlier, self.embedder), progress
            )
            _publish(partial, target)
        except OSError as error:
            what = f"The index could not be written: {error.strerror}."
            raise IndexIoError(what, file=target.name) from error
        finally:
            partial.unlink(missing_ok=True)
            progress.finish()
        return report

    def _fill(
        self,
        path: Path,
        documents: Sequence[AdmittedDocument],
        snapshot_sha256: str,
        earlier: _Earlier,
        progress: Progress,
    ) -> IndexReport:
        done: list[IndexedDocument] = []
        skipped: list[SkippedDocument] = []
        reused = total = 0
        writer = IndexWriter(path)
        try:
            for document in sorted(documents, key=lambda one: (one.label, one.path)):
                rows = self._rows(document, earlier)
                if isinstance(rows, SkippedDocument):
                    skipped.append(rows)
                else:
                    total += len(rows.chunks)
                    if total > CHUNKS_LIMIT:
                        what = f"There are more than {CHUNKS_LIMIT} chunks."
                        raise IndexTooLargeError(what, limit="index_chunks")
                    reused += rows.reused
                    writer.add(document.label, document.title, rows.extraction, rows.chunks, rows.vectors)
                    done.append(_indexed(document, rows))
                progress.advance(1)
            manifest = IndexManifest(
                format=INDEX_FORMAT,
                snapshot_sha256=snapshot_sha256,
                embedder=self.embedder.name,
                embedder_identity=self.embedder.identity,
                dimension=self.embedder.dimension,
                chunker=CHUNKER,
                documents=tuple(done),
                skipped=tuple(skipped),
            )
            return IndexReport(manifest, writer.finish(manifest), reused)
        finally:
            writer.close()

    def _rows(self, document: AdmittedDocument, earlier: _Earlier) -> _Rows | SkippedDocument:
        try:
            media_type = media_type_of(document.path)
            if media_type is None:
                raise UnreadableDocumentError("The document is of no type that is read.", path=document.path)
            return earlier.rows(document, extractor_of(media_type), self.blobs) or self._new(
                document, media_type
            )
        except (HostError, BlobMismatchError):
            raise
        except LockgateError as error:
            return SkippedDocument(
                sha256=document.sha256,
                path=document.path,
                label=document.label,
                code=error.code,
                reason=error.what,
            )

    def _new(self, document: AdmittedDocument, media_type: MediaType) -> _Rows:
        self.blobs.read(document.sha256, limit=max(document.size, 1))  # hashes it again
        args = encode(ExtractArgs(media_type=media_type, title=document.title))
        data = self.runner.run(ENTRY, self.blobs.path(document.sha256), args)
        extraction = read_extraction(data, document.sha256)
        if extraction.extractor != extractor_of(media_type):
            raise UnreadableDocumentError("Another extractor answered.", extractor=extraction.extractor)
        chunks = chunks_of(extraction)
        texts = [
            f"{heading_of(document.title, extraction, chunk)}\n{body_of(extraction, chunk)}"
            for chunk in chunks
        ]
        vectors = self.embedder.embed(texts) if texts else np.zeros((0, self.embedder.dimension), np.float32)
        return _Rows(extraction, self.blobs.put_bytes(data), chunks, vectors, reused=False)


def _indexed(document: AdmittedDocument, rows: _Rows) -> IndexedDocument:
    return IndexedDocument(
        sha256=document.sha256,
        path=document.path,
        title=document.title,
        purl=document.purl,
        label=document.label,
        crossing=document.crossing,
        crate_sha256=document.crate_sha256,
        extractor=rows.extraction.extractor,
        extraction_sha256=rows.extraction_sha256,
        chunks=len(rows.chunks),
        chunks_sha256=chunks_digest(rows.chunks),
        vectors_sha256=vectors_digest(rows.vectors),
    )


def _publish(partial: Path, target: Path) -> None:
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
