"""Collecting conda packages with rattler's solver, out of a channel that rattler indexed."""

import importlib
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from corpora.condas import CondaFile, CondaUpstream
from lockgate.collect import collect, parse_manifest, plan
from lockgate.collect.conda import Rattler
from lockgate.collect.conda.repodata import listed
from lockgate.collect.errors import (
    BadReleaseError,
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    DuplicateNameError,
    InstallerError,
    ManifestError,
    SourceMissingError,
    UnresolvableError,
)
from lockgate.collect.ports import Limits
from lockgate.core.artifact import Kind
from lockgate.core.conda import CondaPackage
from lockgate.core.ports import Silent
from lockgate.core.wire import decode
from lockgate.store import FileBlobs

LEAF = CondaFile("leaf", "1.0", ("tree >=1", "__glibc >=2.17"), build="h0_1", build_number=1)
OLD = CondaFile("tree", "1.2", subdir="noarch", extension=".tar.bz2")
TREE = CondaFile("tree", "1.3", subdir="noarch", constrains=("root >=2",))
ROOT = CondaFile("root", "1!2.0+local")
GPU = CondaFile("fast", "1", ("__cuda >=12",))
LEFT = CondaFile("left", "1", ("tree 1.2.*",))
RIGHT = CondaFile("right", "1", ("tree 1.3.*",))
BOTH = CondaFile("root", "1!2.0+local", extension=".tar.bz2")


@pytest.fixture
def upstream(tmp_path):
    made = CondaUpstream(tmp_path / "channel", [LEAF, OLD, TREE, ROOT, GPU, LEFT, RIGHT, BOTH])
    made.publish()
    return made


@dataclass
class Low:
    """A low side's store and work folder, and one manifest."""

    root: Path
    upstream: CondaUpstream
    lock: object = None
    notes: tuple = ()
    previous: object = None
    options: dict = field(default_factory=dict)

    def __post_init__(self):
        self.blobs = FileBlobs(self.root / "blobs")
        self.solver = Rattler()

    def manifest(self, **facts):
        given = {"name": "science", "url": f"file://{self.upstream.root}", "subdirs": ["linux-64"], **facts}
        file = self.root / "manifest.toml"
        lines = [f"{key} = {str(v).lower() if isinstance(v, bool) else repr(v)}" for key, v in given.items()]
        file.write_text("\n".join(["[[conda]]", *lines, ""]))
        return file

    def collect(self, manifest=None, **facts):
        found = collect(
            manifest or self.manifest(**facts),
            blobs=self.blobs,
            work=self.root / "work",
            lane="harbour",
            clock=lambda: datetime(2026, 5, 1, tzinfo=UTC),
            progress=Silent(),
            packages=None,
            web=None,
            conda=self.solver,
            previous=self.previous,
            **{"limits": Limits(), "free": None, **self.options},
        )
        self.lock, self.notes = found.lock, found.log
        return {a.files[0].path.removeprefix("conda/science/"): a for a in found.lock.artifacts}


@pytest.fixture
def low(tmp_path, upstream):
    return Low(tmp_path, upstream)


def test_a_package_comes_with_what_it_depends_on(low):
    found = low.collect(specs=["leaf"])
    assert set(found) == {"linux-64/leaf-1.0-h0_1.conda", "noarch/tree-1.3-0.conda"}
    leaf = found["linux-64/leaf-1.0-h0_1.conda"]
    assert leaf.purl == "pkg:conda/leaf@1.0?build=h0_1&channel=science&subdir=linux-64&type=conda"
    assert (leaf.kind, leaf.name, leaf.version, leaf.licence) == (
        Kind.CONDA,
        "science/leaf",
        "1.0-h0_1",
        "MIT",
    )
    package, known = leaf.files
    assert low.blobs.read(package.sha256) == LEAF.data
    described = decode(CondaPackage, low.blobs.read(known.sha256))
    assert described.depends == ("tree >=1", "__glibc >=2.17")
    assert (described.build_number, described.timestamp) == (1, 1_777_636_800_000)
    tree = decode(CondaPackage, low.blobs.read(found["noarch/tree-1.3-0.conda"].files[1].sha256))
    assert (tree.noarch, tree.subdir, tree.constrains) == ("generic", "noarch", ("root >=2",))


def test_versions_virtual_packages_and_whole_channels_are_taken_when_asked_for(low):
    assert set(low.collect(specs=["tree 1.2.*"])) == {"noarch/tree-1.2-0.tar.bz2"}
    with pytest.raises(UnresolvableError, match=r"rattler: .*__cuda"):
        low.collect(specs=["fast"])
    assert set(low.collect(specs=["fast"], virtual=["__cuda=12.4"])) == {"linux-64/fast-1-0.conda"}
    whole = set(low.collect(whole=True))
    assert len(whole) == 7
    assert "linux-64/root-1!2.0+local-0.conda" in whole
    assert "linux-64/root-1!2.0+local-0.tar.bz2" not in whole  # the newer form of the same package


def test_packages_that_conflict_are_resolved_one_by_one(low):
    assert set(low.collect(specs=["left", "right"])) == {
        "linux-64/left-1-0.conda",
        "linux-64/right-1-0.conda",
        "noarch/tree-1.2-0.tar.bz2",
        "noarch/tree-1.3-0.conda",
    }
    assert any("do not fit on one system" in note for note in low.notes)


def test_what_is_missing_is_named_and_what_was_asked_for_twice_keeps_its_lock(low):
    with pytest.raises(UnresolvableError, match=r"rattler: .*absent"):
        low.collect(specs=["absent"])
    with pytest.raises(SourceMissingError):
        low.collect(specs=["leaf"], subdirs=["osx-arm64"])
    low.collect(specs=["leaf"])
    low.previous = low.lock
    low.collect(specs=["leaf"])
    assert low.lock is low.previous


def test_a_plan_tells_versions_and_sizes_before_anything_is_fetched(low):
    found = plan(
        low.manifest(specs=["leaf"]),
        blobs=low.blobs,
        work=low.root / "work",
        progress=Silent(),
        packages=None,
        web=None,
        conda=low.solver,
    )
    assert {(f.name, f.now, f.size) for f in found} == {
        ("science/leaf", ("1.0-h0_1",), len(LEAF.data)),
        ("science/tree", ("1.3-0",), len(TREE.data)),
    }
    assert not list(low.blobs.digests())


def test_a_package_that_is_not_what_the_index_says_is_refused(low, upstream):
    file = upstream.root / "linux-64" / ROOT.filename
    file.write_bytes(ROOT.data[:-1] + b"\x01")
    with pytest.raises(DigestMismatchError, match="does not hash"):
        low.collect(specs=["root"])
    file.write_bytes(ROOT.data + b"\x00")
    with pytest.raises(CollectLimitError):
        low.collect(specs=["root"])
    assert not list(low.blobs.digests())


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": None},
        {"sha256": "0" * 63},
        {"name": "../leaf"},
        {"version": "2.0"},
        {"build": "a/b"},
        {"depends": "tree"},
        {"size": -1},
        {"license": "MIT\nGPL"},
        {"timestamp": 1.5},
    ],
)
def test_an_index_that_describes_a_package_otherwise_is_refused(low, upstream, change):
    def alter(index):
        record = index["packages.conda"][LEAF.filename]
        record.update(change)

    upstream.rewrite(alter)
    with pytest.raises(BadReleaseError, match=r"leaf-1\.0"):
        low.collect(whole=True)


def test_an_index_that_is_none_or_too_long_is_refused(low, upstream, tmp_path):
    packed = upstream.root / "linux-64/repodata.json.zst"
    good = packed.read_bytes()
    packed.write_bytes(good[:20] + bytes((good[20] ^ 255,)) + good[21:])
    with pytest.raises(BadReleaseError):
        low.collect(whole=True)
    packed.write_bytes(good)
    low.options = {"limits": Limits(index_bytes=len(good) + 10)}
    with pytest.raises(CollectLimitError):
        low.collect(whole=True)
    file = tmp_path / "index.json"
    for text in ("[]", "{", '{"packages": 7}'):
        file.write_text(text)
        with pytest.raises(BadReleaseError, match="no repodata"):
            list(listed(file, "linux-64"))


def test_bounds_a_full_disk_and_two_labels_are_named(low):
    low.options = {"limits": Limits(condas=1)}
    with pytest.raises(CollectLimitError) as caught:
        low.collect(specs=["leaf"])
    assert caught.value.where["limit"] == "condas"
    low.options = {"free": lambda: 10}
    with pytest.raises(DiskFullError):
        low.collect(specs=["leaf"])
    low.options = {}
    one = low.manifest(specs=["leaf"]).read_text()
    two = low.manifest(specs=["tree"], label="other").read_text()
    (low.root / "manifest.toml").write_text(one + two)
    with pytest.raises(DuplicateNameError, match="two labels"):
        low.collect(low.root / "manifest.toml")


def test_offline_a_channel_elsewhere_is_what_the_lock_has_of_it(low):
    low.collect(specs=["leaf"])
    low.previous = low.lock
    shutil.rmtree(low.upstream.root)
    low.options = {"offline": True}
    found = low.collect(specs=["leaf"], url="https://channel.example/science")
    assert set(found) == {"linux-64/leaf-1.0-h0_1.conda", "noarch/tree-1.3-0.conda"}
    low.previous = None
    with pytest.raises(UnresolvableError, match="offline"):
        low.collect(specs=["leaf"], url="https://channel.example/science")


def test_without_its_solver_a_manifest_says_what_to_install(low, monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(InstallerError, match="not installed") as caught:
        low.collect(specs=["leaf"])
    assert "extra `conda`" in caught.value.what_to_do


@pytest.mark.parametrize(
    "lines",
    [
        'url = "http://channel.example"\nspecs = ["a"]',
        'url = "https://user@channel.example"\nspecs = ["a"]',
        'url = "https://channel.example"',
        'url = "https://channel.example"\nspecs = ["-c other"]',
        'url = "https://channel.example"\nspecs = ["other::a"]',
        'url = "https://channel.example"\nspecs = ["a[url=x]"]',
        'url = "https://channel.example"\nspecs = ["a"]\nsubdirs = ["noarch"]',
        'url = "https://channel.example"\nspecs = ["a"]\nsubdirs = ["../x"]',
        'url = "https://channel.example"\nspecs = ["a"]\nvirtual = ["glibc=2"]',
    ],
)
def test_a_table_asks_for_packages_of_one_clear_channel(lines):
    with pytest.raises(ManifestError):
        parse_manifest(f'[[conda]]\nname = "science"\n{lines}\n'.encode())
    good = '[[conda]]\nname = "science"\nurl = "https://channel.example"\nspecs = ["a >=1,<2 py*"]\n'
    assert parse_manifest(good.encode())
