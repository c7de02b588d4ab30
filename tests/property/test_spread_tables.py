"""A mirror that looks things up in a snapshot's parts answers as one that holds a table of everything."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.debs import DebFile, SourceFiles
from corpora.everykind import add_every_kind
from corpora.images import artifact_of, image
from corpora.mirrorsite import START, MirrorSite, statement_for
from corpora.served import mappings_of, plain
from lockgate.admit.snapshots import SnapshotMaker
from lockgate.app.gate.gate import MirrorPages
from lockgate.core.artifact import Artifact, Kind, Role
from lockgate.core.parts import open_snapshot, parts_of, snapshot_digest
from lockgate.mirror.tables import build_table
from lockgate.store import MemoryBlobs

NEEDED = ("dists/", "repodata/")
"""In the names of what other artifacts cannot be served without."""


class Case:
    """Artifacts, and where pages and parts are kept; it prints as nothing, since Hypothesis prints it."""

    def __init__(self, site, pages):
        self.site = site
        self.pages = pages

    def tables(self, entries, before=None):
        """Return the table of one document, and that of parts, of the same artifacts."""
        made = []
        for parted_from in (1_000_000, 0):
            making = SnapshotMaker(self.pages, self.site.blobs, MirrorPages(), parted_from=parted_from)
            made.append(making.make("test", (), entries, START))
        flat, parted = made
        assert parts_of(flat) is None
        opened = open_snapshot(snapshot_digest(parted), self.pages)
        assert parts_of(opened).index.spread
        return build_table(statement_for(flat, 1), flat), build_table(
            statement_for(parted, 1), opened, before=before
        )


def add_strays(site):
    """Add files whose paths do not say their artifacts' names, and some that share a path."""
    for path, name in (("tools/x.bin", "one"), ("files/two/y.bin", "three"), ("documents/z.txt", "four")):
        file = site.file(path, name.encode(), Role.OTHER)
        purl = f"pkg:generic/{name}@9"
        site.add(Artifact(purl=purl, kind=Kind.FILE, name=name, version="9", files=(file,)), crossing=7)
    file = site.file("files/assets/z.bin", b"z", Role.OTHER)
    site.add(Artifact(purl="pkg:generic/assets@1", kind=Kind.FILE, name="assets", version="1", files=(file,)))
    file = site.file("documents/books/b.md", b"b", Role.DOCUMENT)
    purl = "pkg:generic/books/b.md@1"
    site.add(Artifact(purl=purl, kind=Kind.DOCUMENT, name="books/b.md", version="1", files=(file,)))
    stray = site.file("apt/debian/pool/main/o/other/odd.deb", b"odd", Role.DISTRIBUTION)
    site.add(Artifact(purl="pkg:deb/debian/odd@1", kind=Kind.APT, name="odd", version="1", files=(stray,)))
    site.entries[-1] = msgspec.structs.replace(
        site.entries[-1],
        artifact=_listed_as(site, site.entries[-1].artifact),
    )


def _listed_as(site, artifact):
    """Return a Debian package that says what it is, wherever its file lies."""
    deb = DebFile("odd", "1")
    known = site.file(
        "apt/debian/odd.json", msgspec.json.encode(deb.known, order="sorted"), Role.CORE_METADATA
    )
    attributes = {"places": "debian:bookworm:main", "architecture": deb.architecture}
    return msgspec.structs.replace(artifact, files=(*artifact.files, known), attributes=attributes)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("site"))
    add_every_kind(site)
    add_strays(site)
    site.add_source(SourceFiles("tree", "1.2", binary="libtree1"), "bookworm")
    site.add(artifact_of(site, "other.test/app", image({"alone": b"z"}), "1"))
    site.add(artifact_of(site, "other.test/single", image({"alone": b"z"}), "1"))
    return Case(site, MemoryBlobs())


def chosen(case, random):
    """Choose some of the artifacts, each brought by a crossing of its own: any may be the newer one."""
    order = random.sample(range(len(case.site.entries)), len(case.site.entries))
    return [
        msgspec.structs.replace(entry, crossing=1 + crossing)
        for entry, crossing in zip(case.site.entries, order, strict=True)
        if any(part in entry.artifact.name for part in NEEDED) or random.random() < 0.8
    ]


def check_same(flat, parted):
    """Demand the same answers at every address that there is, and at some that there are not."""
    found = mappings_of(parted)
    for what, expected in mappings_of(flat).items():
        looked = found[what]
        for key, value in expected.items():
            assert plain(looked.get(key)) == plain(value), (what, key)
        assert set(looked) == set(expected), what
        assert len(looked) == len(expected), what
        assert bool(looked) == bool(expected), what
        for key in sorted(expected)[::5]:
            for other in (key[:-1], f"{key}x", key.partition("/")[2], key.upper(), f"{key}/", "", "/"):
                assert (other in looked) == (other in expected), (what, other)
                assert plain(looked.get(other)) == plain(expected.get(other)), (what, other)
    assert parted.index == flat.index
    assert parted.npm_search == flat.npm_search
    assert parted.created == flat.created


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_each_address_answers_as_from_a_table_of_everything(case, random):
    flat, parted = case.tables(chosen(case, random))
    check_same(flat, parted)


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None)
def test_so_does_the_next_snapshot_which_takes_over_what_is_known(case, random):
    flat, parted = case.tables(chosen(case, random))
    if random.random() < 0.5:
        check_same(flat, parted)
    later, after = case.tables(chosen(case, random), before=parted)
    check_same(later, after)
    check_same(flat, parted)
