"""Searching what is served: each field by itself, admissions from signatures, use as mirrors noted it."""

import json
from datetime import date
from pathlib import Path

import pytest
from test_console_pages import ask
from test_mirror_access import access, basic
from test_mirror_access import ask as ask_mirror
from test_submissions import published

from console_double import CATALOGUE, Fixed
from corpora.homes import HighSide
from corpora.mirrorsite import MirrorSite
from corpora.wheels import build_wheel
from lockgate.advisories.errors import NoAdvisoryDataError
from lockgate.app.advice import exposure
from lockgate.app.advice.advisories import place
from lockgate.app.high.catalogue import Query, catalogue_of
from lockgate.app.high.console import Readings
from lockgate.app.high.mirrors import uses_file
from lockgate.app.submit.making import Offer
from lockgate.app.submit.taking import submit
from lockgate.console.home import HomeData
from lockgate.console.pages import build_app
from lockgate.core.digests import sha256
from lockgate.core.wire import encode
from lockgate.mirror import Asked, Use, read_uses
from lockgate.mirror.uses import USES_LIMIT, Uses


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (Query(), 121),
        (Query(text="PART-00"), 10),
        (Query(text="pkg:npm/"), 1),
        (Query(version="1.11"), 9),
        (Query(licence="apache"), 1),
        (Query(kind="model"), 1),
        (Query(label="restricted"), 1),
        (Query(advisory="cve-2029"), 1),
        (Query(advisory="any"), 1),
        (Query(by="CEM"), 1),
        (Query(by="olga"), 119),
        (Query(user="Analysts"), 1),
        (Query(crossing=900_001), 1),
        (Query(unused=True), 119),
        (Query(text="old", kind="model"), 0),
    ],
)
def test_each_field_narrows_the_search(query, count):
    assert len(CATALOGUE.find(query)) == count


def test_everything_is_shown_without_going_through_it_again():
    everything = CATALOGUE.find(Query())
    assert everything is CATALOGUE.entries
    assert CATALOGUE.bytes_of(everything) == CATALOGUE.bytes_of(list(everything)) > 0
    models = CATALOGUE.find(Query(kind="model"))
    assert 0 < CATALOGUE.bytes_of(models) == sum(e.size for e in models) < CATALOGUE.bytes_of(everything)
    assert CATALOGUE.kinds is CATALOGUE.kinds
    assert list(CATALOGUE.kinds) == sorted({e.kind for e in everything})
    assert list(CATALOGUE.labels) == sorted({e.label for e in everything})


def test_no_snapshot_is_gone_through_where_there_is_no_advisory_data(high, monkeypatch):
    class Unread:
        def current(self):
            return self  # has nothing that could be read

    monkeypatch.setattr(exposure, "channel_reader", lambda *_: Unread())
    with pytest.raises(NoAdvisoryDataError):
        exposure.report(high.side, place(high.side.home.root, None, None))


def test_the_page_keeps_what_was_searched_for_and_says_no_to_nonsense():
    app = build_app(Fixed())
    found = ask(app, "/catalogue?advisory=any&by=ada")
    assert found.status == 200
    assert "pkg:pypi/old@1.0" in found.text
    assert 'value="any"' in found.text
    assert "form-action 'self'" in found.headers["content-security-policy"]
    assert "form-action 'none'" in ask(app, "/").headers["content-security-policy"]
    assert "page=2" in ask(app, "/catalogue?by=olga").text
    assert "by=olga" in ask(app, "/catalogue?by=olga").text
    assert ask(app, f"/catalogue?text={'x' * 201}").status == 400
    for wrong in ("page=0", "page=3", "page=x", "crossing=x", "crossing=99999999"):
        assert ask(app, f"/catalogue?{wrong}").status in {400, 404}
    escaped = ask(app, "/catalogue?text=%22%3E%3Cscript%3E")
    assert '"><script>' not in escaped.text


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    return HighSide.new(tmp_path)


def test_who_admitted_what_comes_from_signatures_and_use_from_the_mirrors(high, tmp_path):
    high.publish(1, "one")
    high.publish(2, "two")
    wheel = build_wheel("team-tool", "1.0")
    (tmp_path / wheel.filename).write_bytes(wheel.data)
    taken = submit(high.side, Offer(tmp_path / wheel.filename), "dora", "command")
    published(high, taken.number)
    uses = uses_file(high.side, "stable")
    uses.parent.mkdir(parents=True, exist_ok=True)
    digest = sha256(b"one")
    noted = [
        Use(sha256=digest, who="analysts", count=3, last="2026-05-02"),
        Use(sha256=digest, who="10.0.0.7", count=1, last="2026-05-04"),
    ]
    uses.write_bytes(encode(noted))
    catalogue = catalogue_of(high.side)
    one, two, tool = catalogue.find(Query())
    assert (one.users, one.downloads, one.last) == ((("analysts", 3), ("10.0.0.7", 1)), 4, "2026-05-04")
    assert (two.users, two.last) == ((), "")
    assert [e.name for e in catalogue.find(Query(unused=True))] == ["two", "team-tool"]
    assert one.admission.approvers == ("approver-1", "approver-2")
    assert (one.crossing, two.crossing, tool.inside) == (1, 2, True)
    assert "advisory data" in catalogue.problem
    assert [e.name for e in catalogue.find(Query(by="approver-1"))] == ["one", "two", "team-tool"]


def test_a_statement_that_does_not_verify_admits_nobody(high):
    from lockgate.admit.model import HISTORY, ChannelPointer
    from lockgate.app.stores import blobs_of, records_of
    from lockgate.core.wire import decode

    high.publish(1, "one")
    high.publish(2, "two")
    records = records_of(high.side)
    with records.transaction() as tx:
        key, value = next((k, v) for k, v in tx.scan(HISTORY) if decode(ChannelPointer, v).version == 1)
        envelope = blobs_of(high.side).read(decode(ChannelPointer, value).statement_sha256)
        said = json.loads(envelope)
        said["signatures"] = said["signatures"][:1]
        forged = blobs_of(high.side).put_bytes(encode(said))
        pointer = decode(ChannelPointer, value)
        import msgspec

        tx.put(HISTORY, key, encode(msgspec.structs.replace(pointer, statement_sha256=forged)))
    records.close()
    one, two = catalogue_of(high.side).find(Query())
    assert one.admission is None
    assert two.admission is not None


def test_the_console_reads_it_anew_when_the_channel_moves(high):
    high.publish(1, "one")
    data = HomeData(Readings(high.side))
    assert len(data.catalogue().entries) == 1
    assert data.catalogue() is data.catalogue()
    high.publish(2, "two")
    assert len(data.catalogue().entries) == 2


def test_mirrors_count_files_that_are_taken_from_their_beginning_by_key_or_address(tmp_path):
    site = MirrorSite(tmp_path)
    wheel = build_wheel("seen", "1")
    site.add_wheels("seen", "1", wheel)
    site.publish()
    file = tmp_path / "uses.json"
    app = site.app(access=access(site, "internal"), asked=Asked(uses=file))
    table = app.state.site.view
    table.refresh()
    address = f"/packages/{next(key for key in table.table.packages if key.endswith('.whl'))}"
    key = basic("secret-of-analysts")
    assert ask_mirror(app, address, authorization=key).status == 200
    assert ask_mirror(app, address, authorization=key, range="bytes=0-9").status == 206
    assert ask_mirror(app, address, authorization=key, range="bytes=10-19").status == 206
    assert ask_mirror(app, address, method="HEAD", authorization=key).status == 200
    assert ask_mirror(app, address).status == 200
    assert ask_mirror(app, "/simple/seen/").status == 200
    counted = {(use.who, use.sha256): use.count for use in app.state.site.uses.all()}
    assert counted == {("key", wheel.sha256): 2, ("client", wheel.sha256): 1}
    app.state.site.uses.save()
    assert [use.count for use in read_uses(file)] == [2, 1]
    again = Uses(file, lambda: date(2026, 5, 9))
    again.add(wheel.sha256, "key")
    assert [(u.who, u.count) for u in again.all()] == [("client", 1), ("key", 3)]


def test_what_is_noted_of_use_is_bounded_and_a_file_in_another_form_is_nothing(tmp_path):
    uses = Uses(None, lambda: date(2026, 5, 1))
    for number in range(USES_LIMIT + 2):
        uses.add("0" * 64, f"client {number}")
    assert len(uses.all()) == USES_LIMIT
    assert uses.all()[0].who == "client 2"
    for text in ("{}", "[", '[{"sha256":"x","who":"","count":1,"last":"2026-05-01"}]'):
        (tmp_path / "uses.json").write_text(text)
        assert read_uses(tmp_path / "uses.json") == []
