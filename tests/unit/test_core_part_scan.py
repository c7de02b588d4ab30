"""Picking some kinds out of a large snapshot: the same as by decoding everything, and nothing made up."""

import msgspec
import pytest

from corpora.everykind import add_every_kind
from corpora.mirrorsite import START, MirrorSite
from lockgate.admit.snapshots import SnapshotMaker
from lockgate.app.gate.gate import MirrorPages
from lockgate.core.artifact import Kind
from lockgate.core.digests import sha256
from lockgate.core.part_scan import pick
from lockgate.core.parts import Parts, SnapshotPartError, parts_of
from lockgate.core.wire import encode
from lockgate.store import MemoryBlobs

FOLDERS = {Kind.APT: "apt/", Kind.RPM: "rpm/", Kind.CONDA: "conda/", Kind.FILE: "files/"}


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Parts:
    site = MirrorSite(tmp_path_factory.mktemp("site"))
    add_every_kind(site)
    maker = SnapshotMaker(MemoryBlobs(), site.blobs, MirrorPages(), parted_from=0)
    return parts_of(maker.make("test", (), site.entries, START))


@pytest.mark.parametrize("kind", FOLDERS)
def test_what_is_picked_is_what_everything_has_of_it(parts: Parts, kind: Kind) -> None:
    every, found = parts.others(), pick(parts, {kind}, FOLDERS[kind])
    assert found.admitted == tuple(e for e in every.admitted if e.artifact.kind is kind)
    assert found.generated == tuple(p for p in every.generated if p.path.startswith(FOLDERS[kind]))
    assert found.admitted
    assert found.generated


def test_a_kind_that_is_not_there_has_nothing_and_a_name_that_looks_like_one_is_none(parts: Parts) -> None:
    assert pick(parts, set(), "nowhere/") == ((), ())
    title = {"title": 'a ","kind":"apt","name":"'}
    entry = next(e for e in parts.others().admitted if e.artifact.kind is Kind.DOCUMENT)
    artifact = msgspec.structs.replace(entry.artifact, attributes=entry.artifact.attributes | title)
    told = _swapped(parts, entry, msgspec.structs.replace(entry, artifact=artifact))
    assert pick(told, {Kind.APT}, "apt/") == pick(parts, {Kind.APT}, "apt/")


@pytest.mark.parametrize("what", ["artifact", "page", "form"])
def test_what_lies_in_another_part_than_its_own_is_refused(parts: Parts, what: str) -> None:
    entry = next(e for e in parts.others().admitted if e.artifact.kind is Kind.APT)
    if what == "artifact":
        moved = msgspec.structs.replace(entry.artifact, name="somebody/else")
        told = _swapped(parts, entry, msgspec.structs.replace(entry, artifact=moved))
    else:
        old = b'"apt/' if what == "page" else b'"crossing":1'
        told = _edited(
            parts, lambda data: data.replace(old, b'"apt/X' if what == "page" else b'"crossing":"x"')
        )
    with pytest.raises(SnapshotPartError, match="is not what its snapshot says"):
        pick(told, {Kind.APT}, "apt/")


def _swapped(parts: Parts, old: object, new: object) -> Parts:
    return _edited(parts, lambda data: data.replace(encode(old), encode(new)))


def _edited(parts: Parts, change) -> Parts:
    """Return parts with other bytes, as whoever signs such a document would have them."""
    blobs, branches = MemoryBlobs(), []
    for named in parts.index.branches:
        data = change(parts.bytes_of(named)) if named.key.startswith("more-") else parts.bytes_of(named)
        blobs.put_bytes(data)
        branches.append(msgspec.structs.replace(named, sha256=sha256(data)))
    index = msgspec.structs.replace(parts.index, branches=tuple(branches))
    return Parts(index, sha256(encode(index)), blobs)
