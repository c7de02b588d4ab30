"""However a snapshot in parts came together, it is the same, and serves what one document would."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora.mirrorsite import START, MirrorSite, statement_for
from corpora.wheels import build_wheel
from lockgate.admit.snapshots import SnapshotMaker, _by_project
from lockgate.app.gate.gate import MirrorPages
from lockgate.core.part_changes import admitted_beside, named_beside
from lockgate.core.part_keys import key_of, key_of_page, key_of_project
from lockgate.core.parts import (
    named_by,
    open_snapshot,
    part_digests,
    parts_of,
    snapshot_digest,
)
from lockgate.core.snapshot import PARTED_FORMAT, SPREAD_FORMAT
from lockgate.core.wire import encode
from lockgate.mirror.tables import build_table
from lockgate.store import MemoryBlobs

NAMES = ("alpha", "beta", "gamma-ray", "delta", "epsilon")

packages = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(("1.0", "1.1", "2.0"))), unique=True, max_size=10
)
documents = st.lists(st.sampled_from(("a.txt", "b/c.md", "d.pdf")), unique=True)


def filled(folder, chosen, papers):
    site = MirrorSite(folder)
    for name, version in chosen:
        site.add_wheels(name, version, build_wheel(name, version))
    for path in papers:
        site.add_document(path, path.encode())
    return site


def maker(site, parted_from=1):
    return SnapshotMaker(MemoryBlobs(), site.blobs, MirrorPages(), parted_from=parted_from)


def lookups(table):
    """Return what a mirror answers, by every address."""
    return {
        "projects": dict(table.projects),
        "packages": dict(table.packages),
        "files": dict(table.files),
        "index": table.index,
    }


@given(packages, documents, st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_after_another_gives_what_all_at_once_gives(tmp_path_factory, chosen, papers, random):
    site = filled(tmp_path_factory.mktemp("site"), chosen, papers)
    whole = maker(site).make("test", (), site.entries, START) if site.entries else None
    if whole is None:
        return
    entries = random.sample(site.entries, len(site.entries))
    cuts = sorted(random.sample(range(1, len(entries)), random.randint(0, min(3, len(entries) - 1))))
    making = maker(site)
    served, believed = (), frozenset()
    for begin, end in zip([0, *cuts], [*cuts, len(entries)], strict=True):
        snapshot = making.make("test", served, entries[begin:end], START, believed)
        served = snapshot.admitted
        believed = part_digests(snapshot) if random.random() < 0.7 else frozenset()
    assert snapshot_digest(snapshot) == snapshot_digest(whole)
    kept = making.subset(snapshot, lambda _: True)
    assert snapshot_digest(kept) == snapshot_digest(whole), "each page follows from its artifacts"


@given(packages, documents)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_holds_and_serves_what_one_document_does(tmp_path_factory, chosen, papers):
    site = filled(tmp_path_factory.mktemp("site"), chosen, papers)
    flat = maker(site, parted_from=1000).make("test", (), site.entries, START)
    making = maker(site, parted_from=0)
    parted = making.make("test", (), site.entries, START)
    assert parts_of(parted) is not None
    assert parts_of(flat) is None
    assert {encode(a) for a in parted.admitted} == {encode(a) for a in flat.admitted}
    assert sorted(parted.generated, key=lambda p: p.path) == list(flat.generated)
    read = open_snapshot(snapshot_digest(parted), making._held)
    table, other = (build_table(statement_for(s, 1), s) for s in (read, flat))
    assert lookups(table) == lookups(other)
    assert len(table.projects) == len(other.projects)
    assert len(table.packages) == len(other.packages)
    for key in other.packages:
        assert table.packages[key] == other.packages[key]
    for name in NAMES:
        assert table.projects.get(name) == other.projects.get(name)
        assert (f"0/{name}-9.whl" in table.packages) is False


@given(packages.filter(len), st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_artifact_changes_its_part_and_the_rest(tmp_path_factory, chosen, data):
    site = filled(tmp_path_factory.mktemp("site"), chosen, ["a.txt"])
    making = maker(site)
    before = making.make("test", (), site.entries, START)
    name = data.draw(st.sampled_from(NAMES))
    site.add_wheels(name, "9.0", build_wheel(name, "9.0"))
    after = making.make("test", before.admitted, site.entries[-1:], START)
    old, new = (
        {part.key: part.sha256 for part in parts_of(snapshot).index.branches} for snapshot in (before, after)
    )
    changed = {key for key in old | new if old.get(key) != new.get(key)}
    expected = {key_of_project(name)}
    assert changed == (expected if name in dict(chosen) else expected | {"rest"})
    taken = making.subset(after, lambda a: a.artifact.version != "9.0")
    assert snapshot_digest(taken) == snapshot_digest(before), "taken away again, it is the one before"


@given(packages, packages, documents, st.integers(0, 2))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_one_has_beside_the_other_is_what_it_has_alone(tmp_path_factory, chosen, others, papers, flat):
    site = filled(tmp_path_factory.mktemp("site"), chosen, papers)
    split = len(site.entries)
    for name, version in others:
        site.add_wheels(name, version, build_wheel(name, version), crossing=2)
    making, single = maker(site, parted_from=0), maker(site, parted_from=1000)
    before = (single if flat == 1 else making).make("test", (), site.entries[:split], START)
    after = (single if flat == 2 else making).make("test", (), site.entries[split // 2 :], START)
    alone = [each for each in after.admitted if each not in list(before.admitted)]
    found = list(admitted_beside(after, before))
    assert found == (list(after.admitted) if flat else alone)
    wanted = named_beside(after, before)
    assert named_by(after) - named_by(before) <= wanted <= named_by(after)
    assert list(admitted_beside(after, None)) == list(after.admitted)
    assert named_beside(after, None) == named_by(after)


@given(packages, st.lists(st.sampled_from(("a.txt", "b/c.md", "d.pdf", "e.txt")), unique=True, min_size=2))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_file_changes_its_part_and_those_of_the_pages_that_list_it(tmp_path_factory, chosen, papers):
    site = filled(tmp_path_factory.mktemp("site"), chosen, papers)
    making = maker(site)
    *before, last = site.entries
    first = making.make("test", (), before, START)
    after = making.make("test", first.admitted, [last], START, part_digests(first))
    assert snapshot_digest(after) == snapshot_digest(making.make("test", (), site.entries, START))
    old, new = ({part.key: part.sha256 for part in parts_of(each).index.branches} for each in (first, after))
    pages = set(after.generated) ^ set(first.generated)
    expected = {key_of(last.artifact), *(key_of_page(page.path) for page in pages)}
    assert {key for key in old | new if old.get(key) != new.get(key)} == expected
    assert list(admitted_beside(after, first)) == [last]


@given(packages, documents)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_snapshot_of_version_2_stays_as_it_is_until_something_is_published(
    tmp_path_factory, chosen, papers
):
    site = filled(tmp_path_factory.mktemp("site"), chosen, papers)
    making = maker(site)
    projects, others = _by_project(site.entries)
    old = making._parted("test", sorted(projects.items()), others, START, spread=False)
    assert old.format == PARTED_FORMAT
    assert snapshot_digest(making.subset(old, lambda _: True)) == snapshot_digest(old)
    site.add_document("new.txt", b"new")
    after = making.make("test", old.admitted, site.entries[-1:], START, part_digests(old))
    assert after.format == SPREAD_FORMAT
    assert snapshot_digest(after) == snapshot_digest(making.make("test", (), site.entries, START))
    taken = making.subset(after, lambda a: a.artifact.name != site.entries[-1].artifact.name)
    tables = [build_table(statement_for(each, 1), each) for each in (old, taken)]
    assert lookups(tables[0]) == lookups(tables[1])
