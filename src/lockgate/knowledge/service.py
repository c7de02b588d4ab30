"""The use cases: index a snapshot's documents, and answer from what was indexed."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lockgate.core.ports import Progress
from lockgate.knowledge.answerable import MINILM, Calibration, Support, weigh
from lockgate.knowledge.cite import Citer
from lockgate.knowledge.index import Indexer, IndexReport
from lockgate.knowledge.indexfile import IndexFile
from lockgate.knowledge.manifest import AdmittedDocument, IndexManifest
from lockgate.knowledge.ports import Embedder, Runner
from lockgate.knowledge.prompt import ChatMessage, messages_for
from lockgate.knowledge.retrieve import Retriever, Span
from lockgate.store import BlobStore

SPANS = 6
"""How many spans are retrieved for a question."""


def index_snapshot(
    documents: Sequence[AdmittedDocument],
    *,
    snapshot_sha256: str,
    blobs: BlobStore,
    runner: Runner,
    embedder: Embedder,
    target: Path,
    earlier_sha256: str | None = None,
    progress: Progress | None = None,
) -> IndexReport:
    """Index the documents of a verified snapshot into one file, replaced atomically.

    Args:
        documents: What `documents_of` found in the snapshot.
        snapshot_sha256: The snapshot's digest.
        blobs: Holds the documents, and takes their extractions.
        runner: Where parsers run.
        embedder: Makes the vectors.
        target: The index file.
        earlier_sha256: Recorded manifest digest of the index that stands at `target`; with it, rows of
            unchanged documents are kept. Without it nothing is trusted and all are made anew.
        progress: Told of each document.

    Raises:
        IndexAlteredError: The earlier index is not the recorded one.
        IndexTooLargeError: Too many documents or chunks.
        IndexIoError: The disk refused; the earlier index stands.

    """
    indexer = Indexer(blobs, runner, embedder)
    if earlier_sha256 is None:
        return indexer.build(documents, snapshot_sha256, target, None, progress)
    with IndexFile(target, earlier_sha256) as earlier:
        return indexer.build(documents, snapshot_sha256, target, earlier, progress)


class KnowledgeBase:
    """An index, opened under its recorded digest. Methods block; they may be called from threads."""

    def __init__(
        self, index: IndexFile, blobs: BlobStore, embedder: Embedder, calibration: Calibration = MINILM
    ) -> None:
        """Join the parts; see `open`."""
        self._index = index
        self._blobs = blobs
        self._embedder = embedder
        self._calibration = calibration
        self._retriever = Retriever(index, blobs, embedder)

    @classmethod
    def open(
        cls,
        path: Path,
        blobs: BlobStore,
        embedder: Embedder,
        *,
        manifest_sha256: str,
        calibration: Calibration = MINILM,
    ) -> Self:
        """Open an index and check every row against its manifest.

        Args:
            path: The index file.
            blobs: Holds the recorded extractions.
            embedder: The one that the index was built with.
            manifest_sha256: Digest of the manifest, as recorded when the index was built.
            calibration: Weights and threshold that fit the embedder.

        Raises:
            NoIndexError: There is no index.
            IndexAlteredError: It is not the recorded one, or of another embedder.

        """
        index = IndexFile(path, manifest_sha256)
        try:
            return cls(index, blobs, embedder, calibration)
        except BaseException:
            index.close()
            raise

    @property
    def manifest(self) -> IndexManifest:
        """Return what the index was built from."""
        return self._index.manifest

    def retrieve(self, question: str, labels: frozenset[str], count: int = SPANS) -> tuple[Span, ...]:
        """Return the best spans that a holder of these labels may see; see `Retriever.retrieve`."""
        return self._retriever.retrieve(question, labels, count)

    def support(self, question: str, spans: Sequence[Span]) -> Support:
        """Rank the spans' sentences and decide whether they suffice for an answer."""
        return weigh(question, spans, self._embedder, self._calibration)

    def messages(self, support: Support) -> tuple[ChatMessage, ...]:
        """Return the conversation that puts the question and its evidence to a model."""
        return messages_for(support)

    def citer(self, support: Support) -> Citer:
        """Return a citer for one answer."""
        return Citer(support, self._embedder, self._blobs)

    def close(self) -> None:
        """Let go of the index."""
        self._index.close()

    def __enter__(self) -> Self:
        """Return the open knowledge base."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
