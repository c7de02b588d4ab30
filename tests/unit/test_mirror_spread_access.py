"""Reading by labels where a snapshot is in parts: the same answers, and no table for who sees everything."""

import pytest
from msgspec.structs import replace

from corpora.everykind import add_every_kind
from corpora.mirrorsite import ask
from corpora.npmpackages import NpmPackage
from corpora.spreadsite import FlatSite, SpreadSite
from corpora.wheels import build_wheel
from lockgate.core.artifact import Kind
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.part_keys import key_of_kind, key_of_project
from lockgate.core.parts import Parts, parts_of
from lockgate.mirror import Access, Caller, Callers
from lockgate.mirror.access import Worlds
from lockgate.mirror.spread.labels import Labels
from lockgate.mirror.spread.survey import Survey

LABELS = {"all": {"internal", "restricted", "need", "other"}, "some": {"internal", "other"}}
PATHS = (
    "/simple/",
    "/simple/hidden/",
    "/simple/leaf/",
    "/npm/hidden",
    "/npm/leaf",
    "/npm/",
    "/npm/-/v1/search",
    "/npm/twig",
    "/api/models/org/m",
    "/v2/app/tool/tags/list",
    "/files/",
    "/files/a.txt",
    "/apt/debian/dists/bookworm/Release",
    "/conda/science/linux-64/repodata.json",
)


class Known(Callers):
    """Two callers. A test double."""

    def find(self, secret):
        return Caller(secret, frozenset(LABELS[secret])) if secret in LABELS else None


def filled(site):
    add_every_kind(site)
    site.add_wheels("hidden", "1", build_wheel("hidden", "1"))
    site.add_npm(NpmPackage("hidden", "1.0.0"))
    hide = {"hidden": "restricted"}
    site.entries = [
        replace(
            each, artifact=replace(each.artifact, label=hide.get(each.artifact.name, each.artifact.label))
        )
        for each in site.entries
    ]
    site.publish()
    return site


def app(site):
    rules = (("pkg:npm/twig@", "need"),)
    return site.app(access=Access(Known(), frozenset(), rules, site.blobs.read))


def answers(served, who):
    found = {}
    for path in PATHS:
        answer = ask(served, path, host="mirror", authorization=f"Bearer {who}")
        found[path] = answer.status, answer.body
    return found


@pytest.fixture
def site(tmp_path):
    return filled(SpreadSite(tmp_path / "spread"))


@pytest.mark.parametrize("who", LABELS)
def test_each_sees_what_they_see_of_one_document(site, tmp_path, who):
    found = answers(app(site), who)
    assert found == answers(app(filled(FlatSite(tmp_path / "flat"))), who)
    assert found["/npm/hidden"][0] == (200 if who == "all" else 404)
    assert found["/simple/hidden/"][0] == (200 if who == "all" else 404)
    assert found["/npm/twig"][0] == (200 if who == "all" else 404)
    assert found["/npm/leaf"][0] == 200


def test_who_sees_everything_is_answered_from_the_parts(site, monkeypatch):
    monkeypatch.setattr(Worlds, "_make", None)
    served = app(site)
    assert {status for status, _ in answers(served, "all").values()} == {200}
    assert ask(served, "/npm/leaf", host="mirror", authorization="Bearer some").status == 500


def test_a_world_is_made_of_each_part_read_once(site, monkeypatch):
    view = site.view()
    view.refresh()
    read, kept = [], Parts.bytes_of
    monkeypatch.setattr(Parts, "bytes_of", lambda parts, named: read.append(named.key) or kept(parts, named))
    access = Access(Known(), frozenset(), (), site.blobs.read)
    seen = access.visible(view.table.snapshot.admitted, {"internal"})
    assert {each.artifact.name for each in view.table.snapshot.admitted} - {
        e.artifact.name for e in seen
    } == {"hidden"}
    assert len(read) == 2 * len(parts_of(view.table.snapshot).index.branches)


def test_labels_are_read_of_new_parts_alone_and_of_projects_too(site, monkeypatch):
    read, kept = [], Parts.bytes_of
    monkeypatch.setattr(Parts, "bytes_of", lambda parts, named: read.append(named.key) or kept(parts, named))
    labels, first = Labels(), parts_of(site.snapshot())
    assert labels.of(first) == {"internal", "restricted"}
    assert len(read) == len(first.index.branches)
    read.clear()
    assert labels.of(first) == {"internal", "restricted"}
    assert read == []
    site.entries = [each for each in site.entries if each.artifact.name != "hidden"]
    assert labels.of(parts_of(site.snapshot())) == {"internal"}
    assert {key_of_project("hidden"), key_of_kind(Kind.NPM, "hidden")}.isdisjoint(read)


def test_a_part_that_says_no_label_or_no_name_is_refused(site, monkeypatch):
    """Whoever signed it: it is no part then."""
    parts = parts_of(site.snapshot())
    monkeypatch.setattr(Parts, "bytes_of", lambda *_: b'{"admitted":[{"artifact":{}}]}')
    for read in (lambda: Labels().of(parts), lambda: Survey(parts).result):
        with pytest.raises(MalformedDocumentError, match="cannot be read"):
            read()
