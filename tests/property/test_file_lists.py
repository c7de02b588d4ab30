"""However files came, went and took one another's places, edited listings are those that are made of all."""

from hashlib import sha256

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.mirrorsite import START
from lockgate.admit.snapshots import SnapshotMaker, slot_of
from lockgate.app.gate.gate import MirrorPages
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.parts import part_digests, parts_of, snapshot_digest
from lockgate.core.snapshot import Admitted
from lockgate.core.statement import NOTHING
from lockgate.mirror.errors import AmbiguousSnapshotError
from lockgate.store import MemoryBlobs

NAMES = ("a", "a b", "a-b", "a.b", "a0", "é", "<&>'", "%61", "index.html", "SHA256SUMS", "\U0001f512")
folders = st.lists(st.sampled_from(NAMES[:6]), max_size=2)
paths = st.builds(lambda inner, name: "/".join((*inner, name)), folders, st.sampled_from(NAMES))


def one(name, *files, kind=Kind.FILE, version="1", purl="", body="x"):
    """Return an artifact with files of one content."""
    digest = sha256(body.encode()).hexdigest()
    held = tuple(ArtifactFile(path=path, sha256=digest, size=ord(body), role=Role.OTHER) for path in files)
    named = purl or f"pkg:generic/{name}@{version}"
    artifact = Artifact(purl=named, kind=kind, name=name, version=version, files=held)
    return Admitted(artifact, 1, NOTHING, NOTHING, "clean")


@st.composite
def artifacts(draw):
    """Return an artifact; few names, package URLs and paths, so that they meet."""
    name, version = draw(st.sampled_from("nmo")), draw(st.sampled_from("12"))
    return one(
        name,
        *sorted(draw(st.sets(paths, min_size=1, max_size=3))),
        kind=draw(st.sampled_from((Kind.FILE, Kind.RULES, Kind.DOCUMENT))),
        version=version,
        purl=f"pkg:generic/{draw(st.sampled_from((name, 'n')))}@{version}",
        body=draw(st.sampled_from("xyz")),
    )


def made(*more, store=None):
    """Return a snapshot, or the error for which there is none."""
    kept = store or MemoryBlobs()
    try:
        return SnapshotMaker(kept, kept, MirrorPages(), parted_from=0).make("test", *more)
    except AmbiguousSnapshotError as error:
        return error.what


@given(steps=st.lists(st.lists(artifacts(), min_size=1, max_size=3), min_size=2, max_size=6), data=st.data())
@settings(max_examples=200, deadline=None)
def test_files_that_take_one_another_s_places(steps, data):
    store = MemoryBlobs()
    served, believed, every = (), frozenset(), {}
    for step in steps:
        crossing = data.draw(st.integers(1, 3))
        fresh = list({slot_of(e): msgspec.structs.replace(e, crossing=crossing) for e in step}.values())
        every.update({slot_of(entry): entry for entry in fresh})
        whole = made((), list(every.values()), START)
        snapshot = made(served, fresh, START, believed, store=store)
        if isinstance(whole, str):
            assert isinstance(snapshot, str), "of several paths another one may be named"
            return
        assert list(snapshot.generated) == list(whole.generated)
        assert snapshot_digest(snapshot) == snapshot_digest(whole)
        served, believed = snapshot.admitted, part_digests(snapshot)


def test_a_file_more_is_told_without_a_look_at_the_other_files():
    store = MemoryBlobs()
    making = SnapshotMaker(store, store, MirrorPages(), parted_from=0)
    entries = [one(f"f{number}", f"d{number % 7}/f{number}.bin") for number in range(50)]
    first = making.make("test", (), entries, START)
    parts = parts_of(first)
    read = []
    parts.read, plain = (lambda named: read.append(named.key) or plain(named)), parts.read
    more = one("new", "d3/new.bin")
    second = making.make("test", first.admitted, [more], START, part_digests(first))
    assert snapshot_digest(second) == snapshot_digest(made((), [*entries, more], START))
    assert len(set(read)) < len(parts.index.branches) / 4
