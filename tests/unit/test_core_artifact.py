"""Paths that stay where they belong, and locks that name nothing twice."""

from datetime import UTC, datetime

import msgspec
import pytest

from lockgate.core.artifact import (
    LOCK_FORMAT,
    PATH_LIMIT,
    Artifact,
    ArtifactFile,
    DoubledPackageError,
    Kind,
    Lock,
    Role,
    UnsafePathError,
    safe_path,
)
from lockgate.core.errors import InputError, MalformedDocumentError
from lockgate.core.wire import decode, encode

GOOD = [
    "a",
    "python/numpy/numpy-2.2.0-cp311-cp311-manylinux_2_17_x86_64.whl",
    "documents/handbook/01-water & power.md",
    "a/...",
    "a/.hidden",
    "ä/日本",
    "x" * PATH_LIMIT,
]
BAD = [
    "",
    "/",
    "/etc/passwd",
    "..",
    "../a",
    "a/../b",
    "a/..",
    ".",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "a\\b",
    "..\\a",
    "C:\\a",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\u202eb",
    "a\u2028b",
    "x" * (PATH_LIMIT + 1),
]


@pytest.mark.parametrize("path", GOOD)
def test_plain_relative_paths_are_returned_unchanged(path: str) -> None:
    assert safe_path(path) == path


@pytest.mark.parametrize("path", BAD)
def test_every_other_path_is_refused(path: str) -> None:
    with pytest.raises(UnsafePathError):
        safe_path(path)


def make_file(path: str, size: int = 1) -> ArtifactFile:
    return ArtifactFile(path=path, role=Role.OTHER, size=size, sha256="a" * 64)


def make_artifact(purl: str, *paths: str) -> Artifact:
    files = tuple(make_file(path, size) for size, path in enumerate(paths, 1))
    return Artifact(purl=purl, kind=Kind.FILE, name="n", version="1", files=files)


def make_lock(*artifacts: Artifact) -> Lock:
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return Lock(format=LOCK_FORMAT, lane="l", created=created, manifest_sha256="0" * 64, artifacts=artifacts)


def test_a_lock_with_distinct_paths_and_purls_reads_back() -> None:
    lock = make_lock(make_artifact("pkg:generic/a@1", "a", "b"), make_artifact("pkg:generic/b@1", "c"))
    assert decode(Lock, encode(lock)) == lock
    assert [artifact.size for artifact in lock.artifacts] == [3, 1]


def test_a_lock_never_names_one_path_twice() -> None:
    first = make_artifact("pkg:generic/a@1", "a", "b")
    for second in (make_artifact("pkg:generic/b@1", "b"), make_artifact("pkg:generic/b@1", "c", "c")):
        with pytest.raises(UnsafePathError, match="twice"):
            make_lock(first, second)


def test_a_lock_never_names_one_purl_twice() -> None:
    with pytest.raises(InputError, match="pkg:generic/a@1 twice"):
        make_lock(make_artifact("pkg:generic/a@1", "a"), make_artifact("pkg:generic/a@1", "b"))


def test_what_is_doubled_is_named_with_its_place_and_in_few_characters() -> None:
    long = "pkg:generic/\x1b[2J" + "a" * 100_000
    with pytest.raises(DoubledPackageError) as caught:
        make_lock(make_artifact("pkg:generic/b@1", "a"), make_artifact(long, "b"), make_artifact(long, "c"))
    assert caught.value.where == {"field": "$.artifacts[2].purl"}
    assert caught.value.what.isprintable()
    assert len(caught.value.what) < 200
    with pytest.raises(UnsafePathError) as other:
        make_lock(make_artifact("pkg:generic/a@1", "a"), make_artifact("pkg:generic/b@1", "b", "a"))
    assert other.value.where == {"field": "$.artifacts[1].files[1].path"}


def test_names_are_compared_once_however_many_there_are() -> None:
    """Comparing each with all others would take an hour for a lock of the longest length that is read."""

    class Counted(str):
        __slots__ = ()
        compared = 0

        def __eq__(self, other: object) -> bool:
            Counted.compared += 1
            return str.__eq__(self, other)  # type: ignore[arg-type]

        __hash__ = str.__hash__

    purls = [Counted(f"pkg:generic/a{number}@1") for number in range(500)]
    artifacts = [make_artifact(purl) for purl in (*purls, Counted(purls[-1]))]
    with pytest.raises(DoubledPackageError):
        make_lock(*artifacts)
    assert Counted.compared < 2 * len(purls)


def test_reading_checks_paths_doubles_digests_and_sizes_as_making_does() -> None:
    lock = make_lock(make_artifact("pkg:generic/a@1", "one", "two"))
    good = encode(lock)
    for old, new in (
        (b'"path":"two"', b'"path":"one"'),
        (b'"path":"two"', b'"path":"../two"'),
        (b'"sha256":"' + b"a" * 64, b'"sha256":"' + b"A" * 64),
        (b'"size":2', b'"size":-2'),
        (b'"size":2', b'"size":9007199254740993'),
        (b'"role":"other"', b'"role":"unheard"'),
    ):
        changed = good.replace(old, new)
        assert changed != good
        with pytest.raises((MalformedDocumentError, InputError)):
            decode(Lock, changed)


def test_values_cannot_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        make_file("a").path = "../b"  # type: ignore[misc]  # that is the point
    with pytest.raises(UnsafePathError):
        msgspec.structs.replace(make_file("a"), path="../b")


@pytest.mark.parametrize("tail", ["\n", "a", " ", "\0"])
def test_a_digest_ends_where_it_ends(tail: str) -> None:
    good = encode(make_file("a"))
    with pytest.raises(MalformedDocumentError):
        decode(ArtifactFile, encode({**msgspec.to_builtins(make_file("a")), "sha256": "a" * 64 + tail}))
    assert decode(ArtifactFile, good) == make_file("a")
