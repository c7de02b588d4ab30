"""Reading single members out of wheels: bounded, unambiguous, and of the right project."""

import io
import struct
import warnings
import zipfile
from pathlib import Path

import pytest

from collect_doubles import make_wheel, make_zip
from lockgate.collect import Limits
from lockgate.collect.errors import BadWheelError, CollectLimitError, MemberMissingError, NotAWheelError
from lockgate.collect.wheels import find_member, licence_of, open_wheel, read_metadata, spdx, split_filename

NAME = "some_thing-1.0-py3-none-any.whl"


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "some.whl"
    path.write_bytes(data)
    return path


def test_core_metadata_is_read_and_kept_as_bytes(tmp_path: Path) -> None:
    filename, data = make_wheel("some-thing", "1.0")
    found = read_metadata(write(tmp_path, data), filename, Limits())
    assert found.licence == "MIT"
    assert found.requires_python == ">=3.9"
    assert found.raw.startswith(b"Metadata-Version: 2.4\nName: some-thing\n")


@pytest.mark.parametrize(
    "entries",
    [
        {},
        {"METADATA": b"Name: some-thing\nVersion: 1.0\n"},
        {"other-1.0.dist-info/METADATA": b"Name: some-thing\nVersion: 1.0\n"},
        {"some_thing-1.0.dist-info/METADATA": b"Name: other\nVersion: 1.0\n"},
        {"some_thing-1.0.dist-info/METADATA": b"Name: some-thing\nVersion: 1.1\n"},
        {"some_thing-1.0.dist-info/METADATA": b"Name: some-thing\nVersion: one\n"},
        {
            "some_thing-1.0.dist-info/METADATA": b"Name: some-thing\nVersion: 1.0\n",
            "some.thing-1.0.dist-info/METADATA": b"Name: some-thing\nVersion: 1.0\n",
        },
    ],
)
def test_metadata_of_another_project_is_refused(tmp_path: Path, entries: dict[str, bytes]) -> None:
    with pytest.raises(BadWheelError):
        read_metadata(write(tmp_path, make_zip(entries)), NAME, Limits())


def test_bounds_are_named(tmp_path: Path) -> None:
    filename, data = make_wheel("some-thing", "1.0", members={f"m/{n}": b"" for n in range(50)})
    path = write(tmp_path, data)
    with pytest.raises(CollectLimitError) as caught:
        read_metadata(path, filename, Limits(directory_bytes=1000))
    assert caught.value.where["limit"] == "directory_bytes"
    with pytest.raises(CollectLimitError):
        read_metadata(path, filename, Limits(metadata_bytes=10))


def test_a_member_there_twice_is_ambiguous(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr("a.gguf", b"one")
            archive.writestr("a.gguf", b"two")
    with (
        open_wheel(write(tmp_path, sink.getvalue()), Limits()) as archive,
        pytest.raises(BadWheelError),
    ):
        find_member(archive, "a.gguf", 100, "w.whl")


def test_an_encrypted_or_unusual_member_is_refused(tmp_path: Path) -> None:
    data = bytearray(make_zip({"a": b"text"}))
    central = data.index(b"PK\x01\x02")
    struct.pack_into("<H", data, central + 8, 1)
    with open_wheel(write(tmp_path, bytes(data)), Limits()) as archive, pytest.raises(BadWheelError):
        find_member(archive, "a", 100, "w.whl")


def test_a_missing_member_or_a_folder_is_named(tmp_path: Path) -> None:
    with open_wheel(write(tmp_path, make_zip({"d/": b"", "d/a": b"text"})), Limits()) as archive:
        for name in ("nothing", "d/"):
            with pytest.raises(MemberMissingError) as caught:
                find_member(archive, name, 100, "w.whl")
            assert caught.value.where["member"] == name
        with pytest.raises(CollectLimitError):
            find_member(archive, "d/a", 3, "w.whl")


def test_what_is_no_archive_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(BadWheelError):
        read_metadata(write(tmp_path, b"not a zip"), NAME, Limits())


@pytest.mark.parametrize("name", ["thing-1.0.tar.gz", "thing.whl", "../a-1.0-py3-none-any.whl.exe", ""])
def test_only_wheels_have_wheel_names(name: str) -> None:
    with pytest.raises(NotAWheelError):
        split_filename(name)


def test_names_and_versions_are_normalised() -> None:
    assert split_filename("Some_Thing-1.0.0-py3-none-any.whl") == ("some-thing", "1.0.0")


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ({"license_expression": "apache-2.0 or mit"}, "Apache-2.0 OR MIT"),
        ({"license": "BSD  3-Clause\n"}, "BSD 3-Clause"),
        ({"license": "UNKNOWN", "classifiers": ["License :: OSI Approved :: MIT License"]}, "MIT License"),
        ({"license": "x" * 5000, "classifiers": ["Topic :: X"]}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_licences_come_from_the_best_field(fields: dict[str, object], licence: str) -> None:
    assert licence_of(fields) == licence  # type: ignore[arg-type]


def test_only_spdx_is_an_expression() -> None:
    assert spdx("mit") == "MIT"
    assert spdx("BSD 3-Clause") is None
