"""Snapshots in parts: one encoding of one content, and every part is the one that was signed."""

import gc
import hashlib
import json
from pathlib import Path

import msgspec
import pytest

from corpora.mirrorsite import START, admitted
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.errors import LockgateError, MalformedDocumentError, NotCanonicalError
from lockgate.core.part_keys import MORE, REST, is_of_projects, key_of, key_of_page, key_of_project
from lockgate.core.parts import (
    PartedSnapshot,
    Parts,
    SnapshotPart,
    SnapshotPartError,
    beside,
    made_part,
    named_by,
    namesakes,
    of_parts,
    of_project,
    open_snapshot,
    part_digests,
    parts_of,
    rest_of,
    snapshot_digest,
)
from lockgate.core.snapshot import PARTED_FORMAT, SNAPSHOT_FORMAT, SPREAD_FORMAT, Generated, Snapshot
from lockgate.core.wire import encode
from lockgate.store import MemoryBlobs
from lockgate.store.errors import BlobMismatchError, BlobMissingError

VECTORS = Path(__file__).parents[2] / "docs/formats/vectors/snapshot"


def package(name: str, version: str = "1", kind: Kind = Kind.PYTHON):
    digest = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
    file = ArtifactFile(path=f"python/{name}-{version}.whl", role=Role.DISTRIBUTION, size=3, sha256=digest)
    purl = f"pkg:pypi/{name}@{version}"
    return admitted(Artifact(purl=purl, kind=kind, name=name, version=version, files=(file,)))


def page(path: str) -> Generated:
    return Generated(
        path=path, media_type="text/plain", size=1, sha256=hashlib.sha256(path.encode()).hexdigest()
    )


class Tree:
    """A snapshot in parts that a test alters before it is put together."""

    format = PARTED_FORMAT

    def __init__(self) -> None:
        self.blobs = MemoryBlobs()
        self.parts = {}
        for name in ("alpha", "beta"):
            key = key_of_project(name)
            self.add(key, [package(name), package(name, "2")], [page(f"simple/{name}/index.json")])
        self.add(REST, [package("doc", kind=Kind.DOCUMENT)], [page("simple/index.json")])

    def add(self, key, artifacts, pages) -> None:
        self.parts[key], data = made_part(key, artifacts, pages)
        self.blobs.put_bytes(data)

    def index(self) -> PartedSnapshot:
        names = tuple(self.parts[key] for key in sorted(self.parts))
        return PartedSnapshot(branches=names, created=START, format=self.format, lane="test")

    def digest(self, **changes: object) -> str:
        return self.blobs.put_bytes(encode(msgspec.structs.replace(self.index(), **changes)))

    def refused(self, digest: str, error: type[LockgateError], match: str) -> None:
        """Demand that nobody gets through the snapshot."""
        with pytest.raises(error, match=match):
            list(open_snapshot(digest, self.blobs).admitted)


class Spread(Tree):
    """The same content in version 3, with a page of the document."""

    format = SPREAD_FORMAT

    def __init__(self) -> None:
        super().__init__()
        self.document, self.listing = package("doc", kind=Kind.DOCUMENT), page("files/index.html")
        self.add(key_of(self.document.artifact), [self.document], [])
        self.add(key_of_page(self.listing.path), [], [self.listing])
        self.add(REST, [], [page("simple/index.json")])


@pytest.fixture
def tree() -> Tree:
    return Tree()


@pytest.fixture
def spread() -> Spread:
    return Spread()


def test_a_snapshot_in_parts_reads_as_one_does_that_is_one_document(tree: Tree) -> None:
    digest = tree.digest()
    snapshot = open_snapshot(digest, tree.blobs)
    assert snapshot_digest(snapshot) == digest
    assert len(snapshot.admitted) == len(list(snapshot.admitted)) == 5
    assert snapshot.admitted[-1].artifact.name == "doc"
    assert sorted(p.path for p in snapshot.generated) == [
        "simple/alpha/index.json",
        "simple/beta/index.json",
        "simple/index.json",
    ]
    assert snapshot == open_snapshot(digest, tree.blobs)
    assert [a.artifact.version for a in of_project(snapshot, "beta")] == ["1", "2"]
    assert of_project(snapshot, "gamma") == ()
    like = [package("Beta", "7").artifact, package("doc", "7", kind=Kind.FILE).artifact]
    assert {a.artifact.name for a in beside(snapshot.admitted, like)} == {"beta", "doc"}
    assert list(beside(tuple(snapshot.admitted), like)) == list(snapshot.admitted)
    assert list(namesakes(tuple(snapshot.admitted), like[0])) == list(snapshot.admitted)
    assert {a.artifact.name for a in namesakes(snapshot.admitted, like[1])} == {"doc"}
    assert {a.artifact.name for a in namesakes(snapshot.admitted, like[0])} == {"beta"}
    assert [a.artifact.name for a in rest_of(snapshot).admitted] == ["doc"]
    assert part_digests(snapshot) == {part.sha256 for part in tree.parts.values()} < named_by(snapshot)
    files = {f.sha256 for a in snapshot.admitted for f in a.artifact.files}
    assert files | {p.sha256 for p in snapshot.generated} < named_by(snapshot)


def test_only_what_is_asked_for_is_read(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    snapshot = open_snapshot(tree.digest(), tree.blobs)
    kept = tree.blobs.read
    monkeypatch.setattr(
        tree.blobs, "read", lambda digest, **more: read.append(digest) or kept(digest, **more)
    )
    assert len(of_project(snapshot, "alpha")) == 2
    assert read == [tree.parts[key_of_project("alpha")].sha256]
    rest_of(snapshot)
    rest_of(snapshot)
    assert read[1:] == [tree.parts[REST].sha256]


def test_a_snapshot_that_is_one_document_is_read_as_before(tree: Tree) -> None:
    flat = Snapshot(
        format=SNAPSHOT_FORMAT, lane="test", created=START, admitted=(package("alpha"),), generated=()
    )
    snapshot = open_snapshot(tree.blobs.put_bytes(encode(flat)), tree.blobs)
    assert snapshot == flat
    assert parts_of(snapshot) is None
    assert rest_of(snapshot) is snapshot
    assert part_digests(snapshot) == frozenset()


def test_pages_that_were_taken_out_stay_out(tree: Tree) -> None:
    """A page that one person signed alone is in no snapshot that somebody reads (`approve.verify`)."""
    snapshot = msgspec.structs.replace(open_snapshot(tree.digest(), tree.blobs), generated=())
    assert rest_of(snapshot).generated == ()
    assert [a.artifact.name for a in rest_of(snapshot).admitted] == ["doc"]
    assert parts_of(snapshot) is None


def test_a_part_that_is_missing_or_altered_is_refused(tree: Tree) -> None:
    digest, part = tree.digest(), tree.parts[key_of_project("alpha")].sha256
    good = tree.blobs.read(part)
    for altered in (good[:-1], good + b" ", good.replace(b'"outcome":"clean"', b'"outcome":"dirty"'), b""):
        tree.blobs._blobs[part] = altered
        tree.refused(digest, BlobMismatchError, "altered")
    del tree.blobs._blobs[part]
    tree.refused(digest, BlobMissingError, "not held")
    snapshot = open_snapshot(digest, tree.blobs)
    parts = parts_of(snapshot)
    with pytest.raises(BlobMissingError):
        parts.hash()
    assert parts.hash({part}) == part_digests(snapshot), "one that was hashed before is not hashed again"


def test_a_part_under_anothers_name_is_refused(tree: Tree) -> None:
    """Swapped, from another snapshot, or of another key: though whoever made the index signed it."""
    one, two = (tree.parts[key_of_project(name)] for name in ("alpha", "beta"))
    tree.parts[one.key] = msgspec.structs.replace(one, sha256=two.sha256)
    tree.parts[two.key] = msgspec.structs.replace(two, sha256=one.sha256)
    tree.refused(tree.digest(), MalformedDocumentError, "not what its snapshot says")
    foreign = [package("beta")], [package("doc", kind=Kind.DOCUMENT)], [package("alpha")]
    for artifacts, path in zip(foreign, ("alpha", "alpha", "beta"), strict=True):
        tree = Tree()
        tree.add(one.key, artifacts, [page(f"simple/{path}/index.json")])
        tree.refused(tree.digest(), MalformedDocumentError, "not what its snapshot says")


@pytest.mark.parametrize(
    "said",
    [{"admitted": 1}, {"admitted": 3}, {"generated": 0}, {"projects": ()}, {"projects": ("alpha", "zz")}],
)
def test_what_the_index_says_of_a_part_must_be_so(tree: Tree, said: dict[str, object]) -> None:
    key = key_of_project("alpha")
    tree.parts[key] = msgspec.structs.replace(tree.parts[key], **said)
    tree.refused(tree.digest(), MalformedDocumentError, "not what its snapshot says")


def test_the_index_has_one_order_and_no_part_that_could_be_left_out(tree: Tree) -> None:
    names = tree.index().branches
    empty, data = made_part("000", [], [])
    tree.blobs.put_bytes(data)
    for branches in ((), names[::-1], (names[0], *names), names[:-1], (empty, *names)):
        raw = msgspec.json.decode(encode(tree.index()))
        raw["branches"] = msgspec.json.decode(encode(list(branches)))
        digest = tree.blobs.put_bytes(encode(raw))
        tree.refused(digest, MalformedDocumentError, "order of their keys|lacks its last part")


@pytest.mark.parametrize("what", ["admitted", "generated"])
def test_a_part_has_one_order_and_nothing_twice(tree: Tree, what: str) -> None:
    key = key_of_project("alpha")
    pages = [page("simple/alpha/index.html"), page("simple/alpha/index.json")]
    tree.add(key, [package("alpha"), package("alpha", "2")], pages)
    good = msgspec.json.decode(tree.blobs.read(tree.parts[key].sha256))
    for items in (good[what][::-1], [good[what][0], *good[what]]):
        bad = encode({**good, what: items})
        digest = tree.blobs.put_bytes(bad)
        count = msgspec.structs.replace(tree.parts[key], sha256=digest, **{what: len(items)})
        tree.parts[key] = count
        tree.refused(tree.digest(), MalformedDocumentError, "twice, or not in its order")
    with pytest.raises(MalformedDocumentError, match="twice"):
        made_part(key, [package("alpha"), package("alpha")], [])


def test_bytes_that_are_not_canonical_are_refused(tree: Tree) -> None:
    data = encode(tree.index())
    digest = tree.blobs.put_bytes(data.replace(b'"created":', b'"created": '))
    tree.refused(digest, NotCanonicalError, "canonical")
    key = key_of_project("alpha")
    spaced = tree.blobs.read(tree.parts[key].sha256).replace(b'"format":', b'"format": ')
    tree.parts[key] = msgspec.structs.replace(tree.parts[key], sha256=tree.blobs.put_bytes(spaced))
    tree.refused(tree.digest(), NotCanonicalError, "canonical")


def test_each_format_is_written_in_its_own_way(tree: Tree) -> None:
    tree.refused(tree.digest(format=SNAPSHOT_FORMAT), MalformedDocumentError, "is written as")
    flat = Snapshot(format=PARTED_FORMAT, lane="test", created=START, admitted=(), generated=())
    tree.refused(tree.blobs.put_bytes(encode(flat)), MalformedDocumentError, "is written as")
    part = SnapshotPart(format="lockgate-snapshot-part/2", key=REST, admitted=(), generated=())
    digest = tree.blobs.put_bytes(encode(part))
    tree.parts[REST] = msgspec.structs.replace(
        tree.parts[REST], sha256=digest, admitted=0, generated=0, projects=()
    )
    tree.refused(tree.digest(), MalformedDocumentError, "not what its snapshot says")
    tree.refused(tree.parts[REST].sha256, MalformedDocumentError, "snapshot is malformed")


@pytest.mark.parametrize(
    "key",
    ["00", "0000", "00A", "rest\n", "REST", "../", "more-", "more-00", "more-0000", "more-00A", "000-000"],
)
def test_a_key_is_three_digits_or_the_rest(tree: Tree, key: str) -> None:
    raw = msgspec.json.decode(encode(tree.index()))
    raw["branches"][0]["key"] = key
    tree.refused(tree.blobs.put_bytes(encode(raw)), MalformedDocumentError, "malformed")


def test_a_part_longer_than_the_bound_is_refused(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = tree.digest()
    monkeypatch.setattr("lockgate.core.parts.PART_LIMIT", 100)
    tree.refused(digest, LockgateError, "longer than 100 bytes")


def test_pages_stand_beside_the_artifacts_of_their_project() -> None:
    assert key_of_page("simple/alpha/index.html") == key_of_project("alpha")
    for path in ("simple/index.html", "files/SHA256SUMS", "npm/simple/x", "simple"):
        assert key_of_page(path, spread=False) == REST
        assert key_of_page(path).startswith(MORE) == (path != "simple/index.html")
    assert key_of_page("simple/index.html") == REST
    assert [key for key in ("0a1", "more-0a1", REST) if is_of_projects(key)] == ["0a1"]


def test_a_spread_snapshot_reads_as_one_does_that_is_one_document(spread: Spread) -> None:
    digest = spread.digest()
    snapshot = open_snapshot(digest, spread.blobs)
    assert snapshot_digest(snapshot) == digest
    assert sorted(a.artifact.name for a in snapshot.admitted) == ["alpha", "alpha", "beta", "beta", "doc"]
    rest = rest_of(snapshot)
    assert rest.admitted == (spread.document,)
    assert [each.path for each in rest.generated] == ["files/index.html", "simple/index.json"]
    newer = package("doc", "7", kind=Kind.DOCUMENT).artifact
    assert list(namesakes(snapshot.admitted, newer)) == [spread.document]
    assert list(namesakes(snapshot.admitted, package("doc", kind=Kind.FILE).artifact)) == []
    assert [a.artifact.version for a in namesakes(snapshot.admitted, package("Beta").artifact)] == ["1", "2"]
    other = package("Doc", kind=Kind.NPM).artifact
    assert list(beside(snapshot.admitted, [other])) == [spread.document], (
        "what is the same name is not said here"
    )
    both = beside(snapshot.admitted, [other, package("beta").artifact])
    assert [a.artifact.name for a in both] == ["beta", "beta", "doc"]
    assert [a.artifact.name for a in beside(snapshot.admitted, [package("gamma").artifact])] == []
    assert part_digests(snapshot) == {part.sha256 for part in spread.parts.values()} < named_by(snapshot)


def test_what_is_no_project_stays_in_its_own_part(spread: Spread) -> None:
    """Each thing in each place where it does not belong, though whoever made the index signed it."""
    documents, pages = key_of(spread.document.artifact), key_of_page(spread.listing.path)
    assert len({documents, pages, REST}) == 3
    for place, artifacts, listed in (
        (pages, [spread.document], [spread.listing]),
        (REST, [spread.document], [page("simple/index.json")]),
        (documents, [spread.document], [spread.listing]),
        (documents, [spread.document, package("alpha")], []),
        (REST, [], [page("simple/index.json"), spread.listing]),
        (REST, [], [page("simple/index.json"), page("simple/alpha/index.json")]),
        (key_of_project("alpha"), [package("alpha"), spread.document], []),
    ):
        tree = Spread()
        tree.add(place, artifacts, listed)
        tree.refused(tree.digest(), SnapshotPartError, "not what its snapshot says")
    assert SnapshotPartError.code == "LG-1010"


def test_parts_of_one_version_are_none_of_another(tree: Tree, spread: Spread) -> None:
    for other in (PARTED_FORMAT, "lockgate-snapshot/4"):
        raw = msgspec.json.decode(encode(spread.index()))
        raw["format"] = other
        spread.refused(spread.blobs.put_bytes(encode(raw)), SnapshotPartError, "version 3")
    # Version 2's parts under version 3's name: the document stands in the last one.
    tree.refused(tree.digest(format=SPREAD_FORMAT), SnapshotPartError, "not what its snapshot says")


def test_no_part_of_a_spread_snapshot_is_absent_empty_or_there_twice(spread: Spread) -> None:
    digest, documents = spread.digest(), spread.parts[key_of(spread.document.artifact)]
    names = spread.index().branches
    empty, data = made_part("more-000", [], [])
    spread.blobs.put_bytes(data)
    pages, data = made_part(key_of_project("gamma"), [], [page("simple/gamma/index.json")])
    spread.blobs.put_bytes(data)
    for added in ((documents,), (empty,), (pages,)):
        raw = msgspec.json.decode(encode(spread.index()))
        every = sorted((*names, *added), key=lambda part: part.key)
        raw["branches"] = msgspec.json.decode(encode(every))
        twice = spread.blobs.put_bytes(encode(raw))
        spread.refused(twice, SnapshotPartError, "order of their keys|without artifacts")
    del spread.blobs._blobs[documents.sha256]
    spread.refused(digest, BlobMissingError, "not held")
    with pytest.raises(BlobMissingError):
        rest_of(open_snapshot(digest, spread.blobs))


def test_a_part_is_no_document_of_its_own(tree: Tree) -> None:
    with pytest.raises(TypeError, match="no canonical form"):
        encode(of_parts(Parts(tree.index(), tree.digest(), tree.blobs)))


def place_of_its_own(item: dict[str, object]) -> str:
    """Return the part of an artifact or page of version 3, by what the document says alone."""
    if "path" in item:
        name, project = item["path"], item["path"].startswith("simple/")
        if project and name.count("/") == 1:
            return "rest"
        name = name.split("/")[1] if project else name
    else:
        artifact = item["artifact"]
        project = artifact["kind"] == "python"
        name = artifact["name"] if project else f"{artifact['kind']} {artifact['name']}"
    return ("" if project else "more-") + hashlib.sha256(name.encode()).hexdigest()[:3]


@pytest.mark.parametrize("kind", [Tree, Spread])
def test_the_vectors_are_read_and_written_byte_by_byte(kind: type[Tree]) -> None:
    """The examples of docs/formats/snapshot-v2.md, checked once without any code of ours."""
    made, folder = kind(), VECTORS if kind is Tree else VECTORS.with_name("snapshot-v3")
    blobs = MemoryBlobs()
    for file in folder.iterdir():
        blobs.put_bytes(file.read_bytes())
    data = (folder / "snapshot.json").read_bytes()
    index = json.loads(data)
    assert json.dumps(index, sort_keys=True, separators=(",", ":")).encode() == data
    assert [part["key"] for part in index["branches"]] == sorted(made.parts)
    assert len(list(folder.iterdir())) == len(index["branches"]) + 1
    for part in index["branches"]:
        held = (folder / f"part-{part['key']}.json").read_bytes()
        assert hashlib.sha256(held).hexdigest() == part["sha256"]
        for project in part["projects"]:
            assert hashlib.sha256(project.encode()).hexdigest()[:3] == part["key"]
        said = json.loads(held)
        assert (len(said["admitted"]), len(said["generated"])) == (part["admitted"], part["generated"])
        for item in (*said["admitted"], *said["generated"]):
            if kind is Spread or part["key"] != "rest":
                assert place_of_its_own(item) == part["key"]
    assert snapshot_digest(open_snapshot(hashlib.sha256(data).hexdigest(), blobs)) == made.digest()


def test_no_search_for_cycles_goes_through_what_a_snapshot_lists() -> None:
    made = Tree()
    snapshot = open_snapshot(made.digest(), made.blobs)
    artifacts = [each.artifact for each in snapshot.admitted]
    listed = [*snapshot.admitted, *snapshot.generated, *artifacts, *(f for a in artifacts for f in a.files)]
    assert len(listed) == 5 + 3 + 5 + 5
    assert not any(map(gc.is_tracked, listed))
