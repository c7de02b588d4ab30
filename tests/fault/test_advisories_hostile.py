"""Hostile advisory data: refused with a reason, the previous state serving, nothing left behind."""

import gzip
import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora.advisories import FRESH, NOW, archive, epss, fill, kev, osv, shelf_of
from lockgate.advisories import Limits, Loading, Outcome, Shelf, Wish, load, match_all
from lockgate.advisories.errors import (
    AdvisoryLimitError,
    BadAdvisoryError,
    DataSetAlteredError,
    NotAdvisoryDataError,
    OlderDataError,
)
from lockgate.advisories.osv import parse_osv
from lockgate.core.errors import LockgateError
from lockgate.core.ports import Silent

GOOD = osv("A-1", "demo", ("introduced", "0"), ("fixed", "2"))
SMALL = Limits(
    record_bytes=10_000, records=3, total_bytes=20_000, archive_bytes=100_000, directory_bytes=1_000,
    affected=5, events=6, versions=7, aliases=8, depth=2, faults=2, rows=5, table_bytes=1_000,
)  # fmt: skip


def small(shelf: Shelf, path: Path, wish: Wish | None = None) -> None:
    load(shelf, path, wish or Wish(name="osv/x"), Loading(NOW, Silent(), SMALL))


def still_serves(shelf: Shelf) -> None:
    data = shelf.open()
    assert match_all(data, ["pkg:pypi/demo@1"], FRESH)[0].outcome is Outcome.AFFECTED
    assert match_all(data, ["pkg:pypi/demo@3"], FRESH)[0].outcome is Outcome.NOT_AFFECTED
    data.close()
    assert len(list(shelf.folder.joinpath("sets").iterdir())) == len(shelf.sources())


def packed(path: Path, *members: tuple[str, bytes], **more: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **more) as out:
        for name, data in members:
            out.writestr(name, data)
    return path


def bytes_of(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode()


RECORDS = {
    "a key twice": b'{"id": "A-9", "id": "A-8", "modified": "2026-01-01T00:00:00Z"}',
    "nested too deep": b'{"id": "A-9", "modified": "2026-01-01T00:00:00Z", "x": '
    + b"[" * 4000
    + b"]" * 4000
    + b"}",
    "no JSON": b"\x80\x04\x95",
    "a number without end": b'{"id": ' + b"9" * 5000 + b"}",
    "no number": b'{"id": NaN}',
    "a list": b"[]",
    "no id": b'{"modified": "2026-01-01T00:00:00Z"}',
    "an id that is a path": b'{"id": "../../etc/passwd", "modified": "2026-01-01T00:00:00Z"}',
    "no date": b'{"id": "A-9", "modified": "soon"}',
    "events that are text": bytes_of(GOOD).replace(b'[{"introduced": "0"}, {"fixed": "2"}]', b'"all"'),
    "a half surrogate": bytes_of(
        {**GOOD, "affected": [{"package": {"ecosystem": "PyPI", "name": "\ud800"}}]}
    ),
    "a purl that is none": bytes_of({**GOOD, "affected": [{"package": {"purl": "no purl"}}]}),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_bad_record_refuses_its_data_set(tmp_path: Path, name: str) -> None:
    shelf = shelf_of(tmp_path, [GOOD])
    file = packed(
        tmp_path / "bad.zip", ("good.json", bytes_of(osv("B-1", "other"))), ("bad.json", RECORDS[name])
    )
    with pytest.raises(BadAdvisoryError):
        fill(shelf, file)
    still_serves(shelf)


@pytest.mark.parametrize("name", RECORDS)
def test_a_data_set_with_a_hole_never_gives_a_clean_answer(tmp_path: Path, name: str) -> None:
    shelf = Shelf(tmp_path / "advisories")
    file = packed(tmp_path / "bad.zip", ("good.json", bytes_of(GOOD)), ("bad.json", RECORDS[name]))
    source = fill(shelf, file, Wish(incomplete=True))
    assert (source.records, source.missing, len(source.faults)) == (1, 1, 1)
    data = shelf.open()
    hit, unclear = match_all(data, ["pkg:pypi/demo@1", "pkg:pypi/demo@3"], FRESH)
    assert hit.outcome is Outcome.AFFECTED
    assert unclear.outcome is Outcome.UNKNOWN
    assert "incomplete" in unclear.reason
    data.close()


MANY = [
    (
        "affected",
        {
            "affected": [
                {"package": {"ecosystem": "PyPI", "name": f"n{n}"}, "versions": ["1"]} for n in range(6)
            ]
        },
    ),
    ("events", osv("A-1", "demo", *(("introduced", str(n)) for n in range(7)))),
    ("versions", osv("A-1", "demo", versions=[str(n) for n in range(8)])),
    ("aliases", {"aliases": [f"B-{n}" for n in range(9)]}),
]


@pytest.mark.parametrize(("limit", "more"), MANY)
def test_each_list_of_a_record_has_a_bound(limit: str, more: dict[str, Any]) -> None:
    with pytest.raises(AdvisoryLimitError) as caught:
        parse_osv(bytes_of({**GOOD, **more}), "record", SMALL)
    assert caught.value.where["limit"] == limit


def test_bounds_of_archives_and_folders_are_named(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, [GOOD])
    noise = os.urandom(60_000).hex().encode()
    cases = {
        "record_bytes": packed(tmp_path / "1.zip", ("a.json", b" " * 5_000_000)),
        "records": packed(
            tmp_path / "2.zip", *((f"{n}.json", bytes_of({**GOOD, "id": f"A-{n}"})) for n in range(4))
        ),
        "total_bytes": packed(
            tmp_path / "3.zip",
            *((f"{n}.json", bytes_of({**GOOD, "id": f"A-{n}", "details": "x" * 9_000})) for n in range(3)),
        ),
        "archive_bytes": packed(tmp_path / "4.zip", ("a.txt", noise), ("b.txt", noise)),
        "directory_bytes": packed(tmp_path / "5.zip", *((f"{n:0100}.txt", b"") for n in range(20))),
        "depth": tmp_path / "6",
    }
    (tmp_path / "6/a/b/c").mkdir(parents=True)
    for limit, path in cases.items():
        with pytest.raises(AdvisoryLimitError) as caught:
            small(shelf, path)
        assert caught.value.where["limit"] == limit
        still_serves(shelf)
    faults = packed(tmp_path / "7.zip", *((f"{n}.json", b"{}") for n in range(3)))
    with pytest.raises(AdvisoryLimitError) as caught:
        small(shelf, faults, Wish(incomplete=True))
    assert caught.value.where["limit"] == "faults"


def test_the_same_identifier_twice_is_refused(tmp_path: Path) -> None:
    file = packed(tmp_path / "twice.zip", ("a.json", bytes_of(GOOD)), ("b.json", bytes_of(GOOD)))
    with pytest.raises(BadAdvisoryError, match="Two records"):
        fill(Shelf(tmp_path / "advisories"), file)


def test_damaged_and_strange_archives_are_refused(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, [GOOD])
    whole = packed(tmp_path / "whole.zip", ("../../up.json", bytes_of(osv("B-1", "other"))))
    data = bytearray(whole.read_bytes())
    data[60] ^= 0xFF
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(data)
    squeezed = tmp_path / "lzma.zip"
    with zipfile.ZipFile(squeezed, "w", zipfile.ZIP_LZMA) as out:
        out.writestr("a.json", bytes_of(GOOD))
    for path in (damaged, squeezed):
        with pytest.raises(BadAdvisoryError):
            fill(shelf, path)
        still_serves(shelf)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole.read_bytes()[:-30])
    with pytest.raises(LockgateError):
        fill(shelf, cut)
    fill(shelf, whole, Wish(name="osv/up"))
    assert not list(tmp_path.parent.glob("up.json"))


def test_links_pipes_and_empty_places_are_no_data(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, [GOOD])
    (tmp_path / "empty").mkdir()
    (tmp_path / "link.json").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe.json")
    inside = tmp_path / "links"
    inside.mkdir()
    (inside / "a.json").symlink_to(tmp_path / "all.zip")
    for name in ("empty", "link.json", "pipe.json", "missing", "links"):
        with pytest.raises(NotAdvisoryDataError):
            fill(shelf, tmp_path / name)
    still_serves(shelf)


def test_tables_are_bounded_and_strict(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, [GOOD])
    for text in (
        '{"catalogVersion": "1"}',
        (
            '{"catalogVersion": "1", "dateReleased": "2026-01-01T00:00:00Z", '
            '"vulnerabilities": [{"cveID": "", "dateAdded": ""}]}'
        ),
    ):
        (tmp_path / "kev.json").write_text(text)
        with pytest.raises(BadAdvisoryError):
            fill(shelf, tmp_path / "kev.json")
    for scores in (
        {"CVE-1": "2"},
        {"CVE-1": "nan"},
        {"CVE-1": "-1"},
        {"C" * 40: "0.1"},
        {"CVE-1": "0.1,0.2"},
    ):
        with pytest.raises(BadAdvisoryError):
            fill(shelf, epss(tmp_path / "epss.csv", scores))
    for head in ("#model_version:1\ncve,epss,percentile\n", "#model_version:1,score_date:2026-01-01\na,b\n"):
        (tmp_path / "epss.csv").write_text(head)
        with pytest.raises(BadAdvisoryError):
            fill(shelf, tmp_path / "epss.csv")
    (tmp_path / "cut.csv.gz").write_bytes(epss(tmp_path / "e.csv.gz", {"CVE-1": "0.1"}).read_bytes()[:-9])
    with pytest.raises(BadAdvisoryError):
        fill(shelf, tmp_path / "cut.csv.gz")
    bomb = tmp_path / "bomb.csv.gz"
    bomb.write_bytes(
        gzip.compress(b"#model_version:1,score_date:2026-01-01\ncve,epss,percentile\n" + b"\n" * 2_000_000)
    )
    with pytest.raises(AdvisoryLimitError) as caught:
        small(shelf, bomb)
    assert caught.value.where["limit"] in {"table_bytes", "rows"}
    still_serves(shelf)


def test_older_data_is_refused_unless_it_is_wished(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, [GOOD])
    older = archive(tmp_path / "older.zip", [{**GOOD, "modified": "2026-03-01T00:00:00Z"}])
    with pytest.raises(OlderDataError):
        fill(shelf, older)
    still_serves(shelf)
    fill(shelf, older, Wish(older=True))
    fill(shelf, kev(tmp_path / "kev.json", "CVE-1"))
    with pytest.raises(OlderDataError):
        fill(shelf, kev(tmp_path / "kev.json", released="2026-01-01T00:00:00Z"))
    still_serves(shelf)


def test_an_altered_data_set_is_noticed_when_it_is_opened(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, [GOOD])
    (file,) = shelf.folder.joinpath("sets").iterdir()
    file.chmod(0o600)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataSetAlteredError):
        shelf.open()


def test_what_a_killed_load_left_is_swept_and_never_read(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, [GOOD])
    left = shelf.folder / "sets/.new-99999"
    left.write_bytes(b"half")
    (shelf.folder / ".current.json").write_bytes(b"half")
    fill(shelf, kev(tmp_path / "kev.json", "CVE-1"))
    assert not left.exists()
    still_serves(shelf)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["id", "modified", "aliases", "affected", "severity", "withdrawn", "database_specific"]
)
PARTS = st.sampled_from(["package", "ranges", "versions", "severity"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.dictionaries(KEYS, JSON, max_size=3), inner=st.dictionaries(PARTS, JSON, max_size=2))
def test_whatever_a_record_says_it_is_read_or_refused(changes: dict[str, Any], inner: dict[str, Any]) -> None:
    record = {**GOOD, "affected": [{**GOOD["affected"][0], **inner}], **changes}
    with suppress(BadAdvisoryError, AdvisoryLimitError):
        parse_osv(json.dumps(record).encode("utf-8", "surrogatepass"), "record", SMALL)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200))
def test_whatever_the_bytes_are_they_are_refused_or_read(data: bytes) -> None:
    with suppress(BadAdvisoryError, AdvisoryLimitError):
        parse_osv(data, "record", SMALL)
