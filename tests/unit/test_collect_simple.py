"""Index pages in JSON: what is taken from them, and what is not believed."""

import json
from datetime import UTC, datetime

import pytest

from lockgate.collect.simple import SIMPLE_JSON, PageError, read_page, read_provenance

PAGE = "https://index.invalid/simple/thing/"


def page(**file: object) -> bytes:
    entry = {"filename": "thing-1.0-py3-none-any.whl", "url": "x", "hashes": {"sha256": "a" * 64}, **file}
    return json.dumps({"meta": {"api-version": "1.4"}, "name": "thing", "files": [entry]}).encode()


def test_what_an_index_says_is_read() -> None:
    listed = read_page(
        SIMPLE_JSON,
        page(
            **{
                "size": 7,
                "upload-time": "2026-01-02T03:04:05.678901Z",
                "yanked": "broken",
                "core-metadata": {"sha256": "b" * 64},
                "provenance": "/integrity/thing",
            }
        ),
        PAGE,
    )["thing-1.0-py3-none-any.whl", "a" * 64]
    assert listed.size == 7
    assert listed.uploaded == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (listed.yanked, listed.metadata_sha256) == ("broken", "b" * 64)
    assert listed.provenance == "https://index.invalid/integrity/thing"


def test_a_page_may_say_little() -> None:
    listed = read_page(SIMPLE_JSON, page(yanked=True, **{"core-metadata": True}), PAGE)
    only = listed["thing-1.0-py3-none-any.whl", "a" * 64]
    assert (only.size, only.uploaded, only.yanked, only.metadata_sha256, only.provenance) == (
        None,
        None,
        "yanked",
        None,
        None,
    )


def test_what_an_index_says_of_a_project_is_read_and_bounded() -> None:
    said = json.loads(page(yanked=True))
    said["alternate-locations"] = [
        "https://a.invalid/thing/",
        "https://u:p@b.invalid/",
        "ftp://c.invalid/",
        "x y",
    ]
    said["project-status"] = {"status": "archived", "reason": "moved\n" + "x" * 1000}
    project = read_page(SIMPLE_JSON, json.dumps(said).encode(), PAGE)[
        "thing-1.0-py3-none-any.whl", "a" * 64
    ].project
    assert project.page == PAGE
    assert project.alternates == ("https://a.invalid/thing/", "https://b.invalid/")
    assert (project.status, len(project.reason), project.reason[:6]) == ("archived", 300, "moved ")
    for status in ("active", "<script>", ""):
        said["project-status"] = {"status": status, "reason": "why"}
        (listed,) = read_page(SIMPLE_JSON, json.dumps(said).encode(), PAGE).values()
        assert (listed.project.status, listed.project.reason) == ("", "")


@pytest.mark.parametrize(
    "address",
    ["https://elsewhere.invalid/p", "http://index.invalid/p", "file:///etc/passwd", "https://[", ""],
)
def test_provenance_elsewhere_is_not_asked_for(address: str) -> None:
    listed = read_page(SIMPLE_JSON, page(provenance=address), PAGE)
    assert listed["thing-1.0-py3-none-any.whl", "a" * 64].provenance is None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("text/html", page()),
        (SIMPLE_JSON, b"{"),
        (SIMPLE_JSON, b"[" * 100_000),
        (SIMPLE_JSON, b'{"meta":{"api-version":"2.0"},"files":[]}'),
        (SIMPLE_JSON, b'{"meta":{"api-version":"1.0"},"files":[{"filename":3}]}'),
        (SIMPLE_JSON, page(size="big")),
    ],
)
def test_other_pages_are_refused(kind: str, data: bytes) -> None:
    with pytest.raises(PageError):
        read_page(kind, data, PAGE)


def test_provenance_has_its_outer_form() -> None:
    assert len(read_provenance(b'{"version":1,"attestation_bundles":[]}')) == 64
    for wrong in (b"", b"[]", b'{"version":1}', b"<html>"):
        with pytest.raises(PageError):
            read_provenance(wrong)
