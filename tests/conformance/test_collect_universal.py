"""The machine's own uv locks for several environments, from indexes on loopback: what is taken."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collect_doubles import make_wheel, pip_environment, sha
from corpora.simpleindex import SimpleIndex, build_sdist, serving_index
from lockgate.collect import Collected, PipPackages, UrlWeb, collect
from lockgate.collect.errors import (
    DigestMismatchError,
    IndexPinError,
    InstallerError,
    NoFileError,
    UnresolvableError,
)
from lockgate.collect.universal import UvLocker
from lockgate.core.artifact import Artifact, Role
from lockgate.core.ports import Silent
from lockgate.store import FileBlobs


def renamed(wheel: tuple[str, bytes], tags: str) -> tuple[str, bytes]:
    name, data = wheel
    return name.replace("py3-none-any", tags), data


class Low:
    """A low side whose uv and pip know an index on loopback and nothing else."""

    def __init__(self, folder: Path, index: SimpleIndex, **environ: str) -> None:
        self.folder = folder
        self.environ = {
            **pip_environment(),
            "UV_DEFAULT_INDEX": index.url,
            "UV_CACHE_DIR": str(folder / "uv-cache"),
            "UV_NO_CONFIG": "1",
            "HOME": str(folder),
            **environ,
        }
        del self.environ["PIP_NO_INDEX"]
        self.blobs = FileBlobs(folder / "blobs")

    def collect(self, manifest: str, **options: Any) -> Collected:
        path = self.folder / "m.toml"
        path.write_text(f"[[python]]\n{manifest}\n")
        return collect(
            path,
            blobs=self.blobs,
            work=self.folder / "work",
            lane="test",
            clock=lambda: datetime(2026, 3, 4, tzinfo=UTC),
            progress=Silent(),
            packages=PipPackages(self.environ),
            locker=UvLocker(self.environ),
            web=UrlWeb(),
            **options,
        )


@pytest.fixture
def index():
    with serving_index() as made:
        yield made


@pytest.fixture
def other():
    with serving_index() as made:
        yield made


def names(found: Collected) -> dict[str, list[str]]:
    return {
        f"{a.name} {a.version}": [f.path.rpartition("/")[2] for f in a.files if f.role is Role.DISTRIBUTION]
        for a in found.lock.artifacts
    }


def artifact(found: Collected, name: str) -> Artifact:
    return next(a for a in found.lock.artifacts if a.name == name)


def test_each_environment_gets_the_file_that_its_installer_would_choose(tmp_path, index):
    old, new = (
        make_wheel("native", "1.0"),
        make_wheel("native", "2.0", requires=["only-here; sys_platform == 'win32'"]),
    )
    index.offer(
        renamed(old, "cp311-cp311-manylinux_2_17_x86_64"),
        renamed(old, "cp311-cp311-win_amd64"),
        renamed(new, "cp312-cp312-manylinux_2_17_x86_64"),
        renamed(new, "cp312-cp312-manylinux_2_28_x86_64"),
        renamed(new, "cp312-cp312-manylinux_2_39_x86_64"),
        renamed(new, "cp312-abi3-win_amd64"),
        renamed(new, "cp312-cp312-macosx_14_0_arm64"),
        make_wheel("only-here", "1.0"),
    )
    for name in index.files:
        index.said[name] = {"requires-python": ">=3.12" if "-2.0-" in name else ">=3.9"}
    found = Low(tmp_path, index).collect(
        'requirements = ["native"]\npythons = ["3.11", "3.12"]\n'
        'platforms = ["manylinux_2_28_x86_64", "win_amd64"]'
    )
    assert names(found) == {
        "native 1.0": [
            "native-1.0-cp311-cp311-manylinux_2_17_x86_64.whl",
            "native-1.0-cp311-cp311-win_amd64.whl",
        ],
        "native 2.0": [
            "native-2.0-cp312-abi3-win_amd64.whl",
            "native-2.0-cp312-cp312-manylinux_2_28_x86_64.whl",
        ],
        "only-here 1.0": ["only_here-1.0-py3-none-any.whl"],
    }
    file = artifact(found, "native").files[0]
    assert file.uploaded == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert artifact(found, "native").attributes["index"] == f"{index.url}native/"
    assert all(
        sha(FileBlobs(tmp_path / "blobs").read(f.sha256)) == f.sha256
        for a in found.lock.artifacts
        for f in a.files
    )


def test_a_platform_without_a_file_is_named(tmp_path, index):
    index.offer(
        renamed(make_wheel("native", "1.0"), "cp312-cp312-manylinux_2_28_x86_64"),
        renamed(make_wheel("native", "1.0"), "cp311-cp311-manylinux_2_28_x86_64"),
    )
    with pytest.raises(NoFileError) as caught:
        Low(tmp_path, index).collect(
            'requirements = ["native"]\npythons = ["3.11", "3.12"]\nplatforms = ["manylinux_2_17_x86_64"]'
        )
    assert "native 1.0 has no wheel for Python 3.11 on manylinux_2_17_x86_64" in caught.value.what


def test_a_pinned_project_is_never_looked_for_elsewhere(tmp_path, index, other):
    """Dependency confusion: the public index has the internal name too, in a higher version."""
    index.offer(make_wheel("tree", "1.0", requires=["inner"]), make_wheel("inner", "99.0"))
    other.offer(make_wheel("inner", "1.0+cu121"), make_wheel("tree", "50.0"), make_wheel("unwanted", "1.0"))
    low = Low(tmp_path, index, UV_INDEX=f"internal={other.url}")
    found = low.collect(
        'requirements = ["tree"]\n[[python.index]]\nname = "internal"\npackages = ["Inner", "unwanted"]'
    )
    assert names(found) == {
        "inner 1.0+cu121": ["inner-1.0+cu121-py3-none-any.whl"],
        "tree 1.0": ["tree-1.0-py3-none-any.whl"],
    }
    assert index.looked_for() == {"tree"}
    assert "tree" not in other.looked_for()
    assert artifact(found, "inner").purl == "pkg:pypi/inner@1.0%2Bcu121"
    assert artifact(found, "inner").attributes["index"] == f"{other.url}inner/"


def test_a_folder_of_files_does_not_stand_in_for_a_pinned_index(tmp_path, index, other):
    index.offer(make_wheel("tree", "1.0", requires=["inner"]))
    other.offer(make_wheel("inner", "1.0"))
    links = tmp_path / "links"
    links.mkdir()
    name, data = make_wheel("inner", "99.0")
    (links / name).write_bytes(data)
    low = Low(tmp_path, index, UV_INDEX=f"internal={other.url}", PIP_FIND_LINKS=str(links))
    pinned = '[[python.index]]\nname = "internal"\npackages = ["inner"]'
    assert list(names(low.collect(f'requirements = ["tree"]\n{pinned}'))) == ["inner 1.0", "tree 1.0"]
    with pytest.raises(IndexPinError):
        low.collect(f'requirements = ["tree"]\n{pinned}', offline=True)
    low.environ.pop("UV_INDEX")
    with pytest.raises(IndexPinError) as caught:
        low.collect(f'requirements = ["tree"]\n{pinned}')
    assert "no address" in caught.value.what


BACKEND = "open({ran!r}, 'w').write('ran')\nfrom setuptools import setup\nsetup()\n"


def test_source_archives_come_with_what_building_them_needs_and_are_never_run(tmp_path, index):
    ran = str(tmp_path / "ran")
    legacy = build_sdist(
        "legacy",
        "1.0",
        {
            "setup.py": BACKEND.format(ran=ran).encode(),
            "legacy.egg-info/requires.txt": b"leaf>=1\n[fast]\nspeed\n",
        },
    )
    table = b'[build-system]\nrequires = ["builder>=2"]\nbuild-backend = "own"\nbackend-path = ["."]\n'
    modern = build_sdist(
        "modern", "2.0", {"pyproject.toml": table, "own.py": BACKEND.format(ran=ran).encode()}, metadata="2.2"
    )
    index.offer(
        legacy,
        modern,
        make_wheel("leaf", "1.5"),
        make_wheel("speed", "3.0"),
        make_wheel("setuptools", "80.0"),
    )
    index.offer(make_wheel("builder", "2.1", requires=["helper"]), make_wheel("helper", "1.0"))
    low = Low(tmp_path, index)
    with pytest.raises(UnresolvableError) as caught:
        low.collect('requirements = ["legacy"]\npythons = ["3.11"]')
    assert "legacy" in caught.value.what
    found = low.collect(
        'requirements = ["legacy[fast]", "modern"]\nsdists = ["legacy", "modern", "leaf", "absent"]'
    )
    assert list(names(found)) == [
        "builder 2.1",
        "helper 1.0",
        "leaf 1.5",
        "legacy 1.0",
        "modern 2.0",
        "setuptools 80.0",
        "speed 3.0",
    ]
    assert names(found)["legacy 1.0"] == ["legacy-1.0.tar.gz"]
    assert [f.role for f in artifact(found, "legacy").files] == [Role.DISTRIBUTION]
    assert artifact(found, "legacy").attributes["install-script"] == "build"
    assert "install-script" not in artifact(found, "leaf").attributes
    assert any("legacy-1.0.tar.gz" in note and "authors wrote down" in note for note in found.log)
    assert not Path(ran).exists()


def test_a_wheel_is_preferred_where_one_fits(tmp_path, index):
    machine = platform.machine()
    index.offer(
        build_sdist("native", "1.0", {}, metadata="2.2", requires=["leaf"]),
        renamed(make_wheel("native", "1.0", requires=["leaf"]), f"cp311-cp311-manylinux_2_17_{machine}"),
        make_wheel("leaf", "1.0"),
        make_wheel("setuptools", "80.0"),
    )
    manifest = 'requirements = ["native"]\nsdists = ["native"]\n'
    low = Low(tmp_path, index)
    one = low.collect(f'{manifest}pythons = ["3.11"]\nplatforms = ["manylinux_2_28_{machine}"]')
    assert list(names(one)) == ["leaf 1.0", "native 1.0"]
    assert [name.rpartition(".")[2] for name in names(one)["native 1.0"]] == ["whl"]
    both = low.collect(f'{manifest}pythons = ["3.11", "3.12"]\nplatforms = ["manylinux_2_28_{machine}"]')
    assert sorted(name.rpartition(".")[2] for name in names(both)["native 1.0"]) == ["gz", "whl"]
    assert "setuptools 80.0" in names(both)


def test_a_download_that_breaks_off_is_made_again_and_other_bytes_are_refused(tmp_path, index):
    name, data = make_wheel("leaf", "1.0", members={"leaf/data.bin": os.urandom(200_000)})
    index.offer((name, data))
    low = Low(tmp_path, index)
    low.collect('requirements = ["leaf"]\npythons = ["3.11"]')
    low.blobs = FileBlobs(tmp_path / "again")
    index.cut[name] = 1000
    found = low.collect('requirements = ["leaf"]\npythons = ["3.11"]')
    assert low.blobs.read(artifact(found, "leaf").files[0].sha256) == data
    assert name not in index.cut
    low.blobs = FileBlobs(tmp_path / "third")
    index.files[name] = data[:-1] + b"!"
    index.said[name] = {"hashes": {"sha256": sha(data)}}
    with pytest.raises(DigestMismatchError):
        low.collect('requirements = ["leaf"]\npythons = ["3.11"]')


def test_pips_own_index_is_asked_where_uv_names_none(tmp_path, index):
    index.offer(make_wheel("leaf", "1.0"))
    low = Low(tmp_path, index, PIP_INDEX_URL=index.url)
    del low.environ["UV_DEFAULT_INDEX"]
    assert list(names(low.collect('requirements = ["leaf"]\npythons = ["3.11"]'))) == ["leaf 1.0"]
    assert index.looked_for() == {"leaf"}


def test_a_page_of_files_is_a_source_too(tmp_path, index):
    name, data = make_wheel("leaf", "2.0+local.1")
    page = f'<!DOCTYPE html><a href="/files/{name.replace("+", "%2B")}#sha256={sha(data)}">{name}</a>'
    index.files[name] = data
    links = tmp_path / "links"
    links.mkdir()
    (links / "page.html").write_text(page.replace("/files/", f"{index.url.removesuffix('simple/')}files/"))
    low = Low(tmp_path, index)
    found = low.collect(
        'requirements = ["leaf"]\npythons = ["3.11"]\nfind_links = ["links/page.html"]', offline=True
    )
    assert names(found) == {"leaf 2.0+local.1": [name]}
    assert index.looked_for() == set()


def test_without_uv_it_is_said(tmp_path, index):
    low = Low(tmp_path, index)
    locker = UvLocker({**low.environ, "PATH": str(tmp_path)}, python=str(tmp_path / "python"))
    with pytest.raises(InstallerError):
        locker._program("lock", tmp_path)
