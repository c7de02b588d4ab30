"""However Debian packages came, went and took one another's places, edited indexes are those made of all."""

from hashlib import sha256

import msgspec
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from corpora.mirrorsite import START
from lockgate.admit.snapshots import SnapshotMaker, slot_of
from lockgate.app.gate.gate import MirrorPages
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.deb import DEB_FORMAT, SUITE_FORMAT, AptSuite, DebPackage, PackageType
from lockgate.core.parts import part_digests, parts_of, snapshot_digest
from lockgate.core.snapshot import Admitted
from lockgate.core.statement import NOTHING
from lockgate.core.wire import encode
from lockgate.mirror.errors import AmbiguousSnapshotError, LayoutError
from lockgate.mirror.pages import apt
from lockgate.store import MemoryBlobs

STORE = MemoryBlobs()
NAMES = ("a", "a-b", "a.b", "a0", "aa")
VERSIONS = ("1", "1.0", "1:1", "1-1", "2")
PLACES = ("debian:s:main", "debian:t:main", "debian:s:main debian:t:main", "debian:s:extra", "other:s:main")


def file(path, role, body):
    STORE.put_bytes(body)
    return ArtifactFile(path=path, sha256=sha256(body).hexdigest(), size=len(body), role=role)


def suite(repository="debian", name="s", **more):
    """Return what describes a suite."""
    about = AptSuite(
        **{
            "format": SUITE_FORMAT,
            "repository": repository,
            "suite": name,
            "components": ("main",),
            "architectures": ("amd64", "arm64"),
            **more,
        }
    )
    at = f"{repository}/dists/{name}"
    held = file(f"apt/{at}/suite.json", Role.MANIFEST, encode(about))
    artifact = Artifact(purl=f"pkg:generic/{at}", kind=Kind.APT, name=at, version="1", files=(held,))
    return Admitted(artifact, 1, NOTHING, NOTHING, "clean")


def package(name, version="1", architecture="amd64", *, places="debian:s:main", pools=(), body="x", says="n"):
    """Return a package whose files lie in the pool under some names."""
    kind = PackageType.SOURCE if architecture == "source" else PackageType.BINARY
    fields = (("Architecture", architecture), ("Description", f"it is {says}\n é.\n ."))
    known = DebPackage(DEB_FORMAT, kind, name, version, architecture, fields)
    folder = f"apt/{places.partition(':')[0]}/pool"
    paths = [f"{folder}/{each}" for each in pools or (f"{name}_{version}_{architecture}",)]
    files = [file(each, Role.DISTRIBUTION, body.encode()) for each in paths]
    artifact = Artifact(
        purl=f"pkg:deb/debian/{name}@{version}?arch={architecture}",
        kind=Kind.APT,
        name=f"{places.partition(':')[0]}/{name}",
        version=version,
        files=(*files, file(f"{paths[0]}.json", Role.CORE_METADATA, encode(known))),
        attributes={"places": places, "architecture": architecture},
    )
    return Admitted(artifact, 1, NOTHING, NOTHING, "clean")


suites = st.builds(
    suite,
    st.sampled_from(("debian", "debian", "other")),
    st.sampled_from("st"),
    label=st.sampled_from(("", "mine")),
    architectures=st.sampled_from((("amd64", "arm64"),) * 4 + (("amd64",),)),
    sources=st.sampled_from((True, True, True, False)),
)
packages = st.builds(
    package,
    st.sampled_from(NAMES),
    st.sampled_from(VERSIONS),
    st.sampled_from(("amd64", "arm64", "all", "source", "riscv64")),
    places=st.sampled_from(PLACES),
    pools=st.sets(st.sampled_from("pqrs"), max_size=2).map(sorted),
    body=st.sampled_from("xyz"),
    says=st.sampled_from("mn"),
)


def made(*more, store=None):
    """Return a snapshot, or the error for which there is none."""
    kept = store or MemoryBlobs()
    try:
        return SnapshotMaker(kept, STORE, MirrorPages(), parted_from=0).make("test", *more)
    except (AmbiguousSnapshotError, LayoutError) as error:
        return error.what


@pytest.fixture(scope="module")
def anew():
    """Return how often all indexes were made."""
    return []


@pytest.fixture(autouse=True)
def _counted(monkeypatch, anew):
    whole = apt.generate
    monkeypatch.setattr(apt, "generate", lambda *given: anew.append(given) or whole(*given))


BEGIN = [suite(), suite(name="t"), suite("other"), package("b"), package("b", architecture="source")]


@given(
    steps=st.lists(st.lists(packages | suites, min_size=1, max_size=4), min_size=2, max_size=7),
    data=st.data(),
)
@settings(max_examples=200, deadline=None)
def test_packages_that_take_one_another_s_places(steps, data, anew):
    store = MemoryBlobs()
    served, believed, every = (), frozenset(), {}
    for step in (BEGIN, *steps):
        crossing = data.draw(st.integers(1, 3))
        fresh = list({slot_of(e): msgspec.structs.replace(e, crossing=crossing) for e in step}.values())
        every.update({slot_of(entry): entry for entry in fresh})
        whole = made((), list(every.values()), START)
        anew.clear()
        snapshot = made(served, fresh, START, believed, store=store)
        if isinstance(whole, str):
            assert isinstance(snapshot, str), "of several paths another one may be named"
            return
        event("all made anew" if anew else "edited")
        assert list(snapshot.generated) == list(whole.generated)
        assert snapshot_digest(snapshot) == snapshot_digest(whole)
        served, believed = snapshot.admitted, part_digests(snapshot)


@pytest.mark.parametrize(
    "more",
    [
        package("new"),
        package("p7", "9", "all"),
        package("p7", "1", says="other"),
        package("p7", "1", body="y"),
        package("new", architecture="source", places="debian:s:extra", pools=("new.dsc", "new.tar")),
        package("new", places="debian:none:main"),
        suite(label="mine", components=("main", "extra"), sources=True, architectures=("amd64",)),
    ],
)
def test_a_package_more_is_told_without_a_look_at_the_other_packages(more, anew):
    store = MemoryBlobs()
    making = SnapshotMaker(store, STORE, MirrorPages(), parted_from=0)
    about = suite(components=("main", "extra"), sources=True, architectures=("amd64",))
    entries = [about, *(package(f"p{number}") for number in range(50))]
    first = making.make("test", (), entries, START)
    parts = parts_of(first)
    read = []
    parts.read, plain = (lambda named: read.append(named.key) or plain(named)), parts.read
    anew.clear()
    second = making.make("test", first.admitted, [more], START, part_digests(first))
    assert not anew
    assert len(set(read)) < len(parts.index.branches) / 4
    every = {slot_of(entry): entry for entry in (*entries, more)}
    assert snapshot_digest(second) == snapshot_digest(made((), list(every.values()), START))


@pytest.mark.parametrize(
    "more",
    [
        suite(architectures=("amd64",)),
        suite(components=("main", "extra")),
        suite(name="t"),
        package("new", architecture="riscv64"),
        package("new", places="debian:s:extra"),
        package("new", pools=("p1", "p3")),
    ],
)
def test_where_indexes_come_or_a_path_has_another_holder_all_are_made_anew(more, anew):
    store = MemoryBlobs()
    making = SnapshotMaker(store, STORE, MirrorPages(), parted_from=0)
    entries = [suite(), package("p", pools=("p1", "p2")), package("q", pools=("q1",))]
    first = making.make("test", (), entries, START)
    anew.clear()
    more = msgspec.structs.replace(more, crossing=2)
    second = making.make("test", first.admitted, [more], START, part_digests(first))
    assert anew
    every = {slot_of(entry): entry for entry in (*entries, more)}
    assert snapshot_digest(second) == snapshot_digest(made((), list(every.values()), START))


def test_a_suite_that_is_described_under_another_name_is_refused():
    entry = suite()
    other = msgspec.structs.replace(entry.artifact, name="debian/dists/t")
    assert "is about debian/dists/s" in made((), [msgspec.structs.replace(entry, artifact=other)], START)


def test_a_package_whose_path_a_newer_one_has_is_not_listed_there():
    """Its bytes may lie under another path as well; what an index says of this one has to hold."""
    old, same = package("a", pools=("a1",), body="x"), package("c", pools=("c1",), body="x")
    new = msgspec.structs.replace(package("b", pools=("a1",), body="y"), crossing=2)
    pages = list(apt.generate([suite(), old, same, new], STORE.read))
    (index,) = (page.body.decode() for page in pages if page.path.endswith("binary-amd64/Packages"))
    assert "Package: a\n" not in index
    assert index.count("Filename: pool/a1") == 1
    assert index.count("Filename: pool/c1") == 1
