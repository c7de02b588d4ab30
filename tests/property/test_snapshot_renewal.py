"""However artifacts of all kinds came one after another, the pages are those that are made of all at once."""

from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.debs import DebFile, suite
from corpora.everykind import add_every_kind
from corpora.mirrorsite import START, MirrorSite
from corpora.npmpackages import NpmPackage
from lockgate.admit import PageMaker, renewal
from lockgate.admit.snapshots import SnapshotMaker, slot_of
from lockgate.app.gate.gate import MirrorPages
from lockgate.core.artifact import Kind, Role
from lockgate.core.part_keys import is_of_projects, key_of, key_of_page
from lockgate.core.parts import part_digests, parts_of, snapshot_digest
from lockgate.mirror.errors import LayoutError
from lockgate.mirror.pages import files
from lockgate.mirror.pages.npmlists import OPTIONAL, SEARCH
from lockgate.mirror.pages.renewed import INDEXED, LOCAL
from lockgate.store import MemoryBlobs


@dataclass
class Case:
    site: MirrorSite
    entries: list

    def maker(self, pages=None):
        return SnapshotMaker(MemoryBlobs(), self.site.blobs, pages or MirrorPages(), parted_from=0)

    def of_kinds(self, *kinds):
        return [entry for entry in self.entries if entry.artifact.kind in kinds]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Return artifacts of every kind, some of which replace one another."""
    site = MirrorSite(tmp_path_factory.mktemp("site"))
    add_every_kind(site)
    return Case(site, site.entries)


def check_one_after_another(case, entries, data, sequence):
    """Bring artifacts in any order, some at a time: each snapshot is the one that is made of all at once.

    `sequence` returns which crossing brings those of a step, by its number.
    """
    order = data.draw(st.permutations(range(len(entries))))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(order) - 1), max_size=5)))
    making = case.maker()
    served, believed, every = (), frozenset(), {}
    for step, (begin, end) in enumerate(zip([0, *cuts], [*cuts, len(order)], strict=True), 1):
        came, crossing = [entries[at] for at in order[begin:end]], sequence(step)
        fresh = [msgspec.structs.replace(entry, crossing=crossing) for entry in came]
        every.update({slot_of(entry): entry for entry in fresh})
        snapshot = making.make("test", served, fresh, START, believed)
        whole = case.maker().make("test", (), list(every.values()), START)
        assert list(snapshot.generated) == list(whole.generated)
        assert snapshot_digest(snapshot) == snapshot_digest(whole)
        served = snapshot.admitted
        believed = part_digests(snapshot) if data.draw(st.integers(0, 4)) else frozenset()
    again = data.draw(st.sampled_from(sorted(every)))
    left = making.subset(snapshot, lambda entry: slot_of(entry) != again)
    back = making.make("test", left.admitted, [every[again]], START, part_digests(left))
    assert snapshot_digest(back) == snapshot_digest(snapshot), "taken away and brought again, it is the same"


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_artifacts_of_all_kinds_one_after_another(case, data):
    check_one_after_another(case, case.entries, data, int)


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_artifacts_whose_pages_are_renewed_one_after_another(case, data):
    entries = case.of_kinds(*LOCAL, Kind.PYTHON)
    check_one_after_another(case, entries, data, lambda _: data.draw(st.integers(1, 3)))


class Counted(MirrorPages):
    """The mirrors' pages, with a note of how often all of them were made, and of what was renewed."""

    def __init__(self):
        self.whole = 0
        self.renewals = []

    def pages(self, admitted, read):
        self.whole += 1
        return super().pages(admitted, read)

    def renewal(self, change, read):
        self.renewals.append(super().renewal(change, read))
        return self.renewals[-1]


def one_more(case, last, *, believed=part_digests, pages=None):
    """Bring one artifact where everything else is served; return the maker of pages and both snapshots."""
    pages = pages or Counted()
    making = case.maker(pages)
    before = making.make("test", (), [entry for entry in case.entries if entry is not last], START)
    pages.whole, pages.renewals = 0, []
    after = making.make("test", before.admitted, [last], START, believed(before))
    assert snapshot_digest(after) == snapshot_digest(case.maker().make("test", (), case.entries, START))
    return pages, before, after


def changed(before, after):
    """Return the keys of the parts that two snapshots do not share."""
    old, new = ({part.key: part.sha256 for part in parts_of(each).index.branches} for each in (before, after))
    return {key for key in old | new if old.get(key) != new.get(key)}


@pytest.mark.parametrize("kind", sorted(LOCAL))
def test_one_more_reads_and_writes_its_own_parts_alone(case, kind):
    last = case.of_kinds(kind)[-1]
    pages, before, after = one_more(case, last)
    assert pages.whole == 0
    (found,) = pages.renewals
    touched = {key_of_page(path) for path in (*found.gone, *(page.path for page in found.pages))}
    assert changed(before, after) <= {key_of(last.artifact), *touched}
    assert found.pages or kind is Kind.GIT
    assert len(found.pages) < 12


def test_the_pages_of_every_kind_are_known(case):
    known = LOCAL | set(INDEXED) | set(files.KINDS)
    assert known == set(Kind) - {Kind.PYTHON}
    assert {entry.artifact.kind for entry in case.entries} == set(Kind)


@pytest.mark.parametrize("kind", sorted(set(Kind) - LOCAL - {Kind.PYTHON}))
def test_of_what_lists_everything_those_pages_come_that_are_other_ones(case, kind):
    pages, before, after = one_more(case, case.of_kinds(kind)[-1])
    assert pages.whole == 0
    (found,) = pages.renewals
    old, new = ({page.path: page.sha256 for page in each.generated} for each in (before, after))
    other = {path for path in new if old.get(path) != new[path]}
    assert other
    assert {page.path for page in found.pages} == other
    assert found.gone == {path for path in old if old[path] != new.get(path)}


class Read(Counted):
    """A note of the bytes that are read to renew pages."""

    def renewal(self, change, read):
        self.read = []
        return super().renewal(change, lambda digest: self.read.append(digest) or read(digest))


def test_of_debian_packages_that_stay_nothing_that_is_known_is_read_again(case):
    packages = [e for e in case.of_kinds(Kind.APT) if e.artifact.attributes.get("places")]
    binaries = [e for e in packages if e.artifact.attributes["architecture"] != "source"]
    last = binaries[-1]
    pages, *_ = one_more(case, last, pages=Read())
    known = {f.sha256 for e in binaries for f in e.artifact.files if f.role is Role.CORE_METADATA}
    assert len(known) > 1
    assert known.intersection(pages.read) == {
        f.sha256 for f in last.artifact.files if f.role is Role.CORE_METADATA
    }


def test_what_takes_the_place_of_another_name_takes_it_away_there(case, tmp_path):
    """A package of two distributions has one package URL: the newest stands for both."""
    site = MirrorSite(tmp_path)
    site.add_suite(suite())
    site.add_deb(DebFile("leaf", "1"), "bookworm")
    site.add_document("a.txt", b"1")
    mine = Case(site, site.entries)
    making = mine.maker()
    before = making.make("test", (), site.entries, START)
    site.add_deb(DebFile("leaf", "1"), "bookworm", repository="other")
    after = making.make("test", before.admitted, [site.entries[-1]], START, part_digests(before))
    every = {slot_of(entry): entry for entry in site.entries}
    assert len(every) == len(site.entries) - 1
    assert snapshot_digest(after) == snapshot_digest(making.make("test", (), list(every.values()), START))
    assert "debian/leaf" not in {entry.artifact.name for entry in after.admitted}


def test_where_many_names_come_everything_is_gone_through(case, monkeypatch):
    monkeypatch.setattr(renewal, "FEW", 0)
    pages, *_ = one_more(case, case.of_kinds(Kind.OCI)[-1])
    assert (pages.whole, pages.renewals) == (1, [])


def unsigned(before):
    """Believe all parts but one of those that hold no Python projects."""
    keys = [part for part in parts_of(before).index.branches if not is_of_projects(part.key)]
    return part_digests(before) - {keys[0].sha256}


@pytest.mark.parametrize("believed", [unsigned, lambda _: frozenset()])
def test_where_one_part_is_not_believed_all_pages_are_made_anew(case, believed):
    pages, *_ = one_more(case, case.of_kinds(Kind.OCI)[-1], believed=believed)
    assert pages.whole >= 1
    assert pages.renewals == []


class Simple(Counted):
    """A maker that cannot tell what a change does."""

    renewal = PageMaker.renewal


def test_who_cannot_tell_what_a_change_does_makes_all_pages(case):
    pages, *_ = one_more(case, case.of_kinds(Kind.OCI)[-1], pages=Simple())
    assert pages.whole == 1


def test_a_package_that_was_left_out_as_optional_comes_and_whoever_names_it_says_so(case, tmp_path):
    site = MirrorSite(tmp_path)
    wanted = {"optionalDependencies": {"twig": "1", "bud": "npm:stem@1"}}
    site.add_npm(NpmPackage("leaf", "1.0.0", wanted))
    site.add_npm(NpmPackage("alone", "1.0.0"))
    mine = Case(site, site.entries)
    site.add_npm(NpmPackage("stem", "1.0.0"))
    pages, *_ = one_more(mine, site.entries[-1])
    (found,) = pages.renewals
    named = {page.path for page in found.pages}
    assert {"npm/leaf/short.json", "npm/stem/full.json", SEARCH, OPTIONAL} <= named
    assert "npm/alone/short.json" not in named
    short = next(page.body for page in found.pages if page.path == "npm/leaf/short.json")
    assert b"npm:stem@1" in short
    assert b"twig" not in short


def test_a_model_under_another_name_than_its_package_url_is_refused(case):
    (model, *_) = case.of_kinds(Kind.MODEL)
    artifact = msgspec.structs.replace(model.artifact, name="org/other")
    other = msgspec.structs.replace(model, artifact=artifact)
    with pytest.raises(LayoutError, match="is not the repository 'org/other'"):
        case.maker().make("test", (), [other], START)
