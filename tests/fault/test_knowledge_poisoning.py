"""Somebody who can write the index or the record cannot make it say something else."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from corpora.library import ALL, Library, library
from lockgate.core.errors import TrustError
from lockgate.core.wire import decode, encode
from lockgate.knowledge.errors import IndexAlteredError, QuoteAlteredError
from lockgate.knowledge.extraction import Extraction
from lockgate.knowledge.retrieve import verify
from lockgate.store.errors import BlobMismatchError

QUESTION = "When is the red pump checked?"


@pytest.fixture
def books(tmp_path: Path) -> Library:
    found = library(tmp_path)
    found.index()
    return found


ALTERATIONS = {
    "span": "UPDATE chunks_1 SET end = end - 1 WHERE id = 1",
    "moved": "UPDATE chunks_1 SET document = 1 - document",
    "missing": "DELETE FROM chunks_1 WHERE id = 1",
    "added": "INSERT INTO chunks_1 VALUES (99, 0, 0, 0, 5)",
    "section": "UPDATE chunks_1 SET section = 1 WHERE id = 2",
    "type": "UPDATE chunks_1 SET start = 'zero' WHERE id = 1",
    "vector": "UPDATE vectors_1 SET vector = (SELECT vector FROM vectors_1 WHERE id = 2) WHERE id = 1",
    "short vector": "UPDATE vectors_1 SET vector = x'00' WHERE id = 1",
    "text vector": "UPDATE vectors_1 SET vector = 'x' WHERE id = 1",
    "label": "UPDATE partitions SET label = 'public2' WHERE label = 'public'",
    "swapped labels": "UPDATE partitions SET number = -number; UPDATE partitions SET number = 3 + number",
    "lost label": "DELETE FROM partitions WHERE label = 'public'",
    "new label": "INSERT INTO partitions VALUES (3, 'secret')",
    "manifest": "UPDATE meta SET value = CAST(replace(CAST(value AS TEXT), 'Pumps', 'Pipes') AS BLOB)",
    "no manifest": "DELETE FROM meta",
    "no table": "DROP TABLE vectors_1",
}


@pytest.mark.parametrize("statement", ALTERATIONS.values(), ids=ALTERATIONS.keys())
def test_an_altered_index_does_not_open(books: Library, statement: str) -> None:
    with closing(sqlite3.connect(books.file)) as connection:
        before = connection.total_changes
        connection.executescript(statement)
        assert connection.total_changes > before or statement.startswith("DROP")
        connection.commit()
    with pytest.raises(IndexAlteredError):
        books.open()


def test_a_file_that_is_no_database_does_not_open(books: Library) -> None:
    books.file.write_bytes(b"x" * 4096)
    with pytest.raises(IndexAlteredError):
        books.open()


def test_poisoned_words_only_shuffle_true_quotes_or_fail(books: Library) -> None:
    with closing(sqlite3.connect(books.file)) as connection:
        connection.execute("INSERT INTO words_1 (rowid, heading, body) VALUES (3, '', 'red pump red pump')")
        connection.commit()
    with books.open() as base:
        for span in base.retrieve(QUESTION, ALL):
            verify(span, books.blobs)
    with closing(sqlite3.connect(books.file)) as connection:
        connection.execute("INSERT INTO words_1 (rowid, heading, body) VALUES (77, '', 'red pump')")
        connection.commit()
    with books.open() as base, pytest.raises(IndexAlteredError, match="does not hold"):
        base.retrieve(QUESTION, ALL)


def rewrite(books: Library, change: Callable[[str], str]) -> None:
    assert books.report is not None
    for document in books.report.manifest.documents:
        data = books.blobs.read(document.extraction_sha256)
        found = decode(Extraction, data)
        fields = {name: getattr(found, name) for name in found.__struct_fields__}
        altered = encode(Extraction(**(fields | {"text": change(found.text)})))
        books.blobs._blobs[document.extraction_sha256] = altered  # type: ignore[attr-defined]


def test_an_altered_extraction_is_not_quoted(books: Library) -> None:
    rewrite(books, lambda text: text.replace("Tuesday", "Tuesdai"))
    with books.open() as base, pytest.raises(BlobMismatchError):
        base.retrieve(QUESTION, ALL)


def test_an_extraction_altered_after_retrieval_is_not_cited(books: Library) -> None:
    with books.open() as base:
        support = base.support(QUESTION, base.retrieve(QUESTION, ALL))
        citer = base.citer(support)
        assert [one.text for one in citer.feed("The red pump is checked every Tuesday. It")] != []
        rewrite(books, lambda text: text.replace("Tuesday", "Tuesdai"))
        with pytest.raises(BlobMismatchError):
            citer.feed("The red pump delivers 40 litres a minute. So")


def test_a_changed_span_is_refused(books: Library) -> None:
    with books.open() as base:
        span = base.retrieve(QUESTION, ALL)[0]
    verify(span, books.blobs)
    for changed in (
        replace(span, quote=span.quote.replace("40", "90")),
        replace(span, start=span.start + 1),
        replace(span, end=span.end - 1),
        replace(span, extractor="other/1"),
        replace(span, start=span.end, quote=""),
    ):
        with pytest.raises(QuoteAlteredError):
            verify(changed, books.blobs)
    with pytest.raises(TrustError):
        verify(replace(span, document_sha256="0" * 64), books.blobs)
