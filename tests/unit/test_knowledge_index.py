"""Building an index, opening it, and asking it by label."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from corpora.library import ALL, DOCUMENTS, SECRETS, SNAPSHOT, admitted, library
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.snapshot import SNAPSHOT_FORMAT, Admitted, Snapshot
from lockgate.core.wire import decode
from lockgate.knowledge import HashedWords, InsecureInProcessRunner, KnowledgeBase, documents_of
from lockgate.knowledge.errors import (
    IndexAlteredError,
    IndexIoError,
    IndexTooLargeError,
    NoIndexError,
    NoLabelsError,
    QuestionTooLongError,
)
from lockgate.knowledge.extract import extractor_of, media_type_of
from lockgate.knowledge.extraction import Extraction
from lockgate.knowledge.index import Indexer
from lockgate.knowledge.retrieve import PER_DOCUMENT, fuse
from lockgate.store.errors import BlobMismatchError


def test_a_span_quotes_its_recorded_extraction(tmp_path: Path) -> None:
    books = library(tmp_path)
    with books.open() as base:
        span = base.retrieve("When is the red pump checked?", ALL)[0]
    extraction = decode(Extraction, books.blobs.read(span.extraction_sha256))
    assert extraction.text[span.start : span.end] == span.quote
    assert span.quote == "The red pump delivers 40 litres a minute. It is checked every Tuesday."
    document = books.documents[0]
    assert (span.document_sha256, span.path, span.purl) == (document.sha256, document.path, document.purl)
    assert (span.heading, span.page, span.label, span.crossing) == ("Pumps", None, "internal", 3)
    media_type = media_type_of(document.path)
    assert media_type is not None
    assert span.extractor == extractor_of(media_type)


def test_the_manifest_names_snapshot_and_provenance(tmp_path: Path) -> None:
    report = library(tmp_path).index()
    assert report.manifest.snapshot_sha256 == SNAPSHOT
    assert [(one.label, one.path) for one in report.manifest.documents] == [
        ("internal", "documents/h/boat.html"),
        ("internal", "documents/h/pumps.md"),
        ("public", "documents/h/badges.md"),
    ]
    assert report.chunks == 4
    assert {one.crate_sha256 for one in report.manifest.documents} == {"c" * 64}


def test_the_same_documents_make_the_same_index(tmp_path: Path) -> None:
    books = library(tmp_path)
    first = books.index()
    books.documents.reverse()
    assert books.index().manifest_sha256 == first.manifest_sha256


def test_unchanged_documents_keep_their_rows(tmp_path: Path) -> None:
    books = library(tmp_path)
    first = books.index()
    text = DOCUMENTS["documents/h/boat.html"][1].replace("Heron", "Gull")
    books.documents[1] = admitted(books.blobs, "documents/h/boat.html", "internal", text)
    second = books.index(keep=True)
    assert second.reused == 2
    assert books.index().manifest_sha256 == second.manifest_sha256 != first.manifest_sha256
    with books.open() as base:
        assert "Gull" in base.retrieve("What is the boat called?", ALL)[0].quote


def test_kept_rows_come_only_from_the_recorded_index(tmp_path: Path) -> None:
    books, other = library(tmp_path), library(tmp_path / "other", DOCUMENTS | SECRETS)
    books.index()
    other.index()
    other.file.replace(books.file)
    with pytest.raises(IndexAlteredError):
        books.index(keep=True)


def test_what_cannot_be_read_is_named_and_the_rest_is_indexed(tmp_path: Path) -> None:
    books = library(tmp_path)
    books.documents += [
        admitted(books.blobs, "documents/h/bad.pdf", "internal", b"no pdf"),
        admitted(books.blobs, "documents/h/table.xlsx", "internal", b"sheet"),
    ]
    report = books.index()
    assert [(one.path, one.code) for one in report.manifest.skipped] == [
        ("documents/h/bad.pdf", "LG-1b01"),
        ("documents/h/table.xlsx", "LG-1b01"),
    ]
    assert len(report.manifest.documents) == 3


def test_an_altered_document_stops_the_build_and_the_earlier_index_stands(tmp_path: Path) -> None:
    books = library(tmp_path)
    report = books.index()
    books.blobs._blobs[books.documents[0].sha256] = b"altered"  # type: ignore[attr-defined]
    with pytest.raises(BlobMismatchError):
        books.index()
    books.report = report
    with books.open() as base:
        assert base.manifest == report.manifest
    assert [path.name for path in tmp_path.iterdir()] == ["index.sqlite"]


def test_a_parser_that_answers_for_another_document_is_not_believed(tmp_path: Path) -> None:
    class Swapping(InsecureInProcessRunner):
        def run(self, entry: str, file: Path, args: bytes) -> bytes:
            other = tmp_path / "other.md"
            other.write_text("# Other\n\nAnother text.\n")
            return super().run(entry, other, args)

    books = library(tmp_path / "index")
    report = Indexer(books.blobs, Swapping(), HashedWords()).build(books.documents, SNAPSHOT, books.file)
    assert {one.code for one in report.manifest.skipped} == {"LG-2b02"}
    assert report.manifest.documents == ()


def test_nobody_without_labels_sees_anything(tmp_path: Path) -> None:
    with library(tmp_path).open() as base:
        with pytest.raises(NoLabelsError):
            base.retrieve("When is the pump checked?", frozenset())
        assert base.retrieve("When is the pump checked?", frozenset(["unknown"])) == ()
        assert {span.label for span in base.retrieve("badge pump boat", frozenset(["public"]))} == {"public"}


@pytest.mark.parametrize("question", ["red pump Tuesday", "vault code 7741", "boat badge", "the", ""])
def test_secret_documents_leave_no_trace_for_others(tmp_path: Path, question: str) -> None:
    with_secrets = library(tmp_path / "a", DOCUMENTS | SECRETS)
    without = library(tmp_path / "b")
    with with_secrets.open() as one, without.open() as other:
        spans = one.retrieve(question, ALL)
        assert spans == other.retrieve(question, ALL)
        support = one.support(question, spans)
        assert support == other.support(question, spans)
    assert not any("vault" in span.quote.lower() for span in spans)


def test_each_label_has_its_own_lexical_statistics(tmp_path: Path) -> None:
    def scores(folder: Path, texts: dict[str, tuple[str, str]]) -> list[object]:
        with library(folder, texts).open() as base:
            index = base._index
            words = f"words_{index.partitions['internal'].number}"
            query = f"SELECT rowid, bm25({words}) FROM {words} WHERE {words} MATCH 'pump'"  # noqa: S608 - our own
            return index._connection.execute(query).fetchall()

    alone = scores(tmp_path / "a", DOCUMENTS)
    assert alone == scores(tmp_path / "b", DOCUMENTS | SECRETS)
    assert alone


def test_one_document_cannot_fill_the_answer(tmp_path: Path) -> None:
    flood = "# Pump\n\n" + "\n\n".join(f"## Part {n}\n\nThe pump has part {n}." for n in range(20))
    books = library(tmp_path, DOCUMENTS | {"documents/h/flood.md": ("internal", flood)})
    with books.open() as base:
        spans = base.retrieve("Which part has the pump?", ALL, 10)
    assert sum(span.path.endswith("flood.md") for span in spans) == PER_DOCUMENT
    assert len(spans) > PER_DOCUMENT


def test_ranks_are_fused() -> None:
    first, second, third = ("a", 1), ("a", 2), ("b", 1)
    assert fuse([[first, second], [second, third]]) == [second, first, third]
    assert fuse([[third], [first]]) == [first, third]
    assert fuse([]) == []


def test_questions_with_signs_of_the_query_language_are_only_words(tmp_path: Path) -> None:
    with library(tmp_path).open() as base:
        for question in (
            'pump" OR *',
            "NEAR(pump",
            "heading:pump AND NOT",
            "pump -valve ^ {}",
            "'; DROP TABLE meta",
        ):
            assert base.retrieve(question, ALL)


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    books = library(tmp_path)
    with books.open() as base, pytest.raises(QuestionTooLongError):
        base.retrieve("x" * 5000, ALL)
    monkeypatch.setattr("lockgate.knowledge.index.CHUNKS_LIMIT", 2)
    with pytest.raises(IndexTooLargeError, match="chunks"):
        books.index()
    monkeypatch.setattr("lockgate.knowledge.index.DOCUMENTS_LIMIT", 2)
    with pytest.raises(IndexTooLargeError, match="documents"):
        books.index()
    assert [path.name for path in tmp_path.iterdir()] == ["index.sqlite"]


def test_a_disk_that_refuses_leaves_the_earlier_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = library(tmp_path)
    report = books.index()
    before = books.file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("lockgate.knowledge.index.os.fsync", full)
    with pytest.raises(IndexIoError, match="No space"):
        books.index()
    assert books.file.read_bytes() == before
    books.report = report
    books.open().close()


def test_there_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(NoIndexError):
        KnowledgeBase.open(tmp_path / "x", library(tmp_path).blobs, HashedWords(), manifest_sha256="0" * 64)


def test_an_index_of_another_embedder_is_refused(tmp_path: Path) -> None:
    books = library(tmp_path)
    digest = books.index().manifest_sha256
    with pytest.raises(IndexAlteredError, match="another embedding model"):
        KnowledgeBase.open(books.file, books.blobs, HashedWords(64), manifest_sha256=digest)


def test_an_index_without_documents_answers_nothing(tmp_path: Path) -> None:
    with library(tmp_path, {}).open() as base:
        assert base.retrieve("anything", ALL) == ()
        assert not base.support("anything", ()).supported


def test_documents_of_a_snapshot() -> None:
    def item(name: str, kind: Kind, role: Role, attributes: dict[str, str]) -> Admitted:
        file = ArtifactFile(path=f"documents/{name}", role=role, size=5, sha256="a" * 64)
        artifact = Artifact(
            purl=f"pkg:generic/{name}",
            kind=kind,
            name=name,
            version="1",
            files=(file,),
            attributes=attributes,
        )
        return Admitted(
            artifact=artifact, crossing=2, crate_sha256="b" * 64, verdicts_sha256="c" * 64, outcome="clean"
        )

    snapshot = Snapshot(
        format=SNAPSHOT_FORMAT,
        lane="l",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        admitted=(
            item("z.md", Kind.DOCUMENT, Role.DOCUMENT, {"collection": "h", "title": "Zed"}),
            item("a.md", Kind.DOCUMENT, Role.DOCUMENT, {"collection": "h"}),
            item("o.md", Kind.DOCUMENT, Role.DOCUMENT, {"collection": "other"}),
            item("l.md", Kind.DOCUMENT, Role.LICENCE, {"collection": "h"}),
            item("w.whl", Kind.PYTHON, Role.DISTRIBUTION, {}),
        ),
        generated=(),
    )
    assert [(one.path, one.title, one.label) for one in documents_of(snapshot, "h")] == [
        ("documents/a.md", "a.md", "internal"),
        ("documents/z.md", "Zed", "internal"),
    ]
    assert len(documents_of(snapshot)) == 3
