"""What an index was built from: the document whose digest stands for the whole index."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from lockgate.core.artifact import Digest, Kind, Role, Size
from lockgate.core.parts import rest_of
from lockgate.core.snapshot import Snapshot
from lockgate.core.wire import Document

INDEX_FORMAT: Final = "lockgate-index/1"
DOCUMENTS_LIMIT = 100_000
"""Most documents of one knowledge base."""
CHUNKS_LIMIT = 500_000
"""Most chunks of one knowledge base."""

Count = Annotated[int, msgspec.Meta(ge=0, le=CHUNKS_LIMIT)]


@dataclass(frozen=True, slots=True)
class AdmittedDocument:
    """A document of a verified snapshot, with what its citations will name."""

    sha256: str
    size: int
    path: str
    title: str
    purl: str
    label: str
    crossing: int
    crate_sha256: str


def documents_of(snapshot: Snapshot, collection: str | None = None) -> tuple[AdmittedDocument, ...]:
    """Return the documents of a snapshot (of one collection, or all), by path.

    The snapshot must have been verified by its caller: labels and digests are taken from it.
    """
    return tuple(
        sorted(
            (
                AdmittedDocument(
                    sha256=file.sha256,
                    size=file.size,
                    path=file.path,
                    title=admitted.artifact.attributes.get("title") or admitted.artifact.name,
                    purl=admitted.artifact.purl,
                    label=admitted.artifact.label,
                    crossing=admitted.crossing,
                    crate_sha256=admitted.crate_sha256,
                )
                for admitted in rest_of(snapshot).admitted
                if admitted.artifact.kind is Kind.DOCUMENT
                and collection in {None, admitted.artifact.attributes.get("collection")}
                for file in admitted.artifact.files
                if file.role is Role.DOCUMENT
            ),
            key=lambda document: document.path,
        )
    )


class IndexedDocument(Document, frozen=True):
    """One document in an index: where it came from, its extraction, and its chunks' digests.

    `chunks_sha256` and `vectors_sha256` cover the document's rows in order.
    """

    sha256: Digest
    path: str
    title: str
    purl: str
    label: str
    crossing: Size
    crate_sha256: Digest
    extractor: str
    extraction_sha256: Digest
    chunks: Count
    chunks_sha256: Digest
    vectors_sha256: Digest


class SkippedDocument(Document, frozen=True):
    """A document that could not be read, and why."""

    sha256: Digest
    path: str
    label: str
    code: str
    reason: str


class IndexManifest(Document, frozen=True):
    """Everything that an index holds, by digest. Documents are ordered by label and path."""

    format: str
    snapshot_sha256: Digest
    embedder: str
    embedder_identity: Digest
    dimension: Annotated[int, msgspec.Meta(ge=1, le=8192)]
    chunker: str
    documents: tuple[IndexedDocument, ...]
    skipped: tuple[SkippedDocument, ...]


def labels_of(documents: Iterable[IndexedDocument]) -> tuple[str, ...]:
    """Return the labels of some documents, each once, in order."""
    return tuple(sorted({document.label for document in documents}))
