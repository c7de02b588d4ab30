"""A small library of documents under two labels, for tests of the knowledge room."""

from dataclasses import dataclass
from pathlib import Path

from lockgate.knowledge import (
    AdmittedDocument,
    Calibration,
    HashedWords,
    IndexReport,
    InsecureInProcessRunner,
    KnowledgeBase,
    index_snapshot,
)
from lockgate.store import BlobStore, MemoryBlobs

DOCUMENTS = {
    "documents/h/pumps.md": (
        "internal",
        (
            "# Pumps\n\nThe red pump delivers 40 litres a minute. It is checked every Tuesday.\n\n"
            "## Valves\n\nThe north valve is never closed in winter. The south valve leaks.\n"
        ),
    ),
    "documents/h/boat.html": (
        "internal",
        "<h1>Boat</h1><p>The boat is called Heron. It lands on the third Thursday.</p>",
    ),
    "documents/h/badges.md": (
        "public",
        "# Badges\n\nA white badge opens the mess. A lost badge is reported within 15 minutes.\n",
    ),
}
SECRETS = {
    "documents/s/secret.md": (
        "secret",
        "# Vault\n\nThe vault code is pump Tuesday 7741. The red pump hides it. The boat badge opens it.\n",
    ),
}
CALIBRATION = Calibration(threshold=0.2)
"""Fits the double's vectors."""
ALL = frozenset(["public", "internal"])
SNAPSHOT = "5" * 64


def admitted(blobs: BlobStore, path: str, label: str, text: str | bytes) -> AdmittedDocument:
    data = text.encode() if isinstance(text, str) else text
    digest = blobs.put_bytes(data)
    return AdmittedDocument(
        sha256=digest,
        size=len(data),
        path=path,
        title=Path(path).stem.capitalize(),
        purl=f"pkg:generic/h/{Path(path).name}@{digest[:12]}",
        label=label,
        crossing=3,
        crate_sha256="c" * 64,
    )


@dataclass
class Library:
    """Documents, where they lie, and the index that was built last."""

    folder: Path
    blobs: BlobStore
    documents: list[AdmittedDocument]
    report: IndexReport | None = None

    @property
    def file(self) -> Path:
        return self.folder / "index.sqlite"

    def index(self, *, keep: bool = False) -> IndexReport:
        earlier = self.report.manifest_sha256 if keep and self.report else None
        self.report = index_snapshot(
            self.documents,
            snapshot_sha256=SNAPSHOT,
            blobs=self.blobs,
            runner=InsecureInProcessRunner(),
            embedder=HashedWords(),
            target=self.file,
            earlier_sha256=earlier,
        )
        return self.report

    def open(self) -> KnowledgeBase:
        report = self.report or self.index()
        return KnowledgeBase.open(
            self.file,
            self.blobs,
            HashedWords(),
            manifest_sha256=report.manifest_sha256,
            calibration=CALIBRATION,
        )


def library(folder: Path, texts: dict[str, tuple[str, str]] | None = None) -> Library:
    blobs: BlobStore = MemoryBlobs()
    wanted = DOCUMENTS if texts is None else texts
    return Library(
        folder, blobs, [admitted(blobs, path, label, text) for path, (label, text) in wanted.items()]
    )
