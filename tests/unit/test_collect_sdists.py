"""Source archives: what is read out of them, and that nothing hostile in them is believed or run."""

import gzip
import io
import tarfile
from dataclasses import replace

import pytest

from corpora.simpleindex import build_sdist, pack_sdist
from lockgate.collect import Limits
from lockgate.collect.errors import BadSdistError, CollectLimitError
from lockgate.collect.universal.sdists import DEFAULT_BUILD, read_sdist

INFO = b"Metadata-Version: 2.1\nName: Some.Thing\nVersion: 1.0\nLicense: MIT\nRequires-Python: >=3.9\n"
NAME = "some_thing-1.0.tar.gz"


def read(tmp_path, data, name=NAME, limits=None):
    path = tmp_path / "blob"
    path.write_bytes(data)
    return read_sdist(path, name, limits or Limits())


def archive(**members):
    files = {
        "PKG-INFO": INFO,
        **{name.replace("__", "/").replace("_dot_", "."): d for name, d in members.items()},
    }
    return pack_sdist("some_thing-1.0", files)


def test_core_metadata_and_the_default_build(tmp_path):
    source = read(tmp_path, archive(setup_dot_py=b"raise SystemExit"))
    assert (source.metadata.licence, source.metadata.requires_python) == ("MIT", ">=3.9")
    assert (source.requires, source.promised) == ((), False)
    assert (source.build, source.own_backend) == (DEFAULT_BUILD, True)


def test_what_the_metadata_promises_counts_first(tmp_path):
    table = b'[build-system]\nrequires = ["hatchling>=1"]\nbuild-backend = "hatchling.build"\n'
    project = b'[project]\nname = "x"\ndependencies = ["other"]\n'
    name, data = build_sdist(
        "Some-Thing", "1.0", {"pyproject.toml": table + project}, metadata="2.2", requires=["leaf>=1"]
    )
    source = read(tmp_path, data, name)
    assert (source.requires, source.promised) == (("leaf>=1",), True)
    assert (source.build, source.own_backend) == (("hatchling>=1",), False)


def test_a_projects_own_table_counts_where_the_metadata_are_dynamic(tmp_path):
    project = b'[project]\nname = "x"\ndependencies = ["leaf"]\n'
    extras = b"[project.optional-dependencies]\nFast_Mode = [\"speed; python_version > '3'\"]\n"
    source = read(tmp_path, archive(pyproject_dot_toml=project + extras))
    assert source.promised
    assert source.requires == ("leaf", 'speed; python_version > "3" and extra == "fast-mode"')
    dynamic = project + b'dynamic = ["dependencies"]\n'
    written = read(
        tmp_path, archive(pyproject_dot_toml=dynamic, **{"x_dot_egg-info__requires_dot_txt": b"written"})
    )
    assert (written.requires, written.promised) == (("written",), False)


def test_what_setuptools_wrote_is_read_with_its_sections(tmp_path):
    text = b"leaf>=1\n\n[:sys_platform == 'win32']\nwin\n[Fast]\nspeed\n[more:os_name == 'nt']\nextra-win\n"
    source = read(tmp_path, archive(**{"src__x_dot_egg-info__requires_dot_txt": text}))
    assert source.requires == (
        "leaf>=1",
        'win; sys_platform == "win32"',
        'speed; extra == "fast"',
        'extra-win; os_name == "nt" and extra == "more"',
    )


@pytest.mark.parametrize(
    "members",
    [
        {"pyproject_dot_toml": b"[build-system"},
        {"pyproject_dot_toml": b"build-system = 3"},
        {"pyproject_dot_toml": b"[build-system]\n"},
        {"pyproject_dot_toml": b'[build-system]\nrequires = "x"\n'},
        {"pyproject_dot_toml": b"[build-system]\nrequires = [3]\n"},
        {"pyproject_dot_toml": b'[build-system]\nrequires = ["x @ https://evil.invalid/x.whl"]\n'},
        {"pyproject_dot_toml": b'[build-system]\nrequires = ["--index-url https://evil.invalid"]\n'},
        {"pyproject_dot_toml": b'[project]\nname = "x"\ndependencies = ["x @ git+https://evil.invalid/x"]\n'},
        {"pyproject_dot_toml": b"\xff\xfe"},
        {"PKG-INFO": INFO.replace(b"Some.Thing", b"other")},
        {"PKG-INFO": INFO.replace(b"1.0", b"2.0")},
        {"PKG-INFO": b""},
    ],
)
def test_what_says_something_else_is_refused(tmp_path, members):
    with pytest.raises(BadSdistError):
        read(tmp_path, archive(**members))


def raw(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for info, data in members:
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "data",
    [
        b"no archive",
        gzip.compress(b"no tar" * 1000, mtime=0),
        archive()[:80],
        raw((member("some_thing-1.0/PKG-INFO"), INFO), (member("some_thing-1.0/PKG-INFO"), INFO)),
        raw((member("some_thing-1.0/PKG-INFO", tarfile.SYMTYPE, "/etc/passwd"), b"")),
        raw((member("some_thing-1.0/PKG-INFO", tarfile.LNKTYPE, "x"), b"")),
        raw((member("a/PKG-INFO"), INFO), (member("b/PKG-INFO"), INFO)),
        raw((member("some_thing-1.0/deep/PKG-INFO"), INFO)),
    ],
    ids=["text", "no tar", "cut", "twice", "symbolic link", "hard link", "two folders", "no metadata"],
)
def test_what_cannot_be_read_in_one_way_is_refused(tmp_path, data):
    with pytest.raises(BadSdistError):
        read(tmp_path, data)


@pytest.mark.parametrize(
    ("bound", "limits"),
    [
        ("source_bytes", {"source_bytes": 1 << 16}),
        ("metadata_bytes", {"metadata_bytes": 10}),
        ("members", {"members": 1}),
    ],
)
def test_bounds_are_named(tmp_path, bound, limits):
    data = archive(big_dot_bin=bytes(1 << 20), pyproject_dot_toml=b"#" * 100)
    with pytest.raises(CollectLimitError) as caught:
        read(tmp_path, data, limits=replace(Limits(), **limits))
    assert caught.value.where["limit"] == bound


def test_a_header_that_claims_gigabytes_is_not_read_into_memory(tmp_path):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    bomb = gzip.compress(header.tobuf(tarfile.USTAR_FORMAT if header.size < 1 << 33 else tarfile.GNU_FORMAT))
    with pytest.raises(CollectLimitError) as caught:
        read(tmp_path, bomb)
    assert caught.value.where["limit"] == "directory_bytes"
