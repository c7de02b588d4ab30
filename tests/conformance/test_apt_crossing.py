"""A Debian package on its whole way: collected, sealed, inspected, approved, signed, served, installed."""

import json

import pytest

from corpora.aptclient import Apt
from corpora.debs import DebFile, SourceFiles, Upstream
from corpora.wholeway import WholeWay
from lockgate.core.artifact import Kind

PORT = 8752
LEAF = DebFile("leaf", "1:2.0+dfsg~rc1-1", fields={"Depends": "libtree1"})
TREE = DebFile("libtree1", "1.2-3", fields={"Source": "tree (1.2)"})

pytestmark = pytest.mark.slow


@pytest.fixture
def upstream(tmp_path):
    made = Upstream(tmp_path / "repository", debs=[LEAF, TREE], sources=[SourceFiles("tree", "1.2")])
    made.publish()
    return made


def test_a_debian_package_crosses_and_is_installed(upstream, namespace, tmp_path):
    manifest = (
        '[[apt]]\nname = "debian"\narchitectures = ["amd64"]\npackages = ["leaf"]\nsources = true\n'
        f'[[apt.upstream]]\nurl = "file://{upstream.root}"\nsuites = ["bookworm"]\n'
        f'keyring = "{upstream.keyring}"\n'
    )
    way = WholeWay(namespace, tmp_path)
    admitted = way.cross(manifest, Kind.APT)
    assert set(admitted) == {
        "pkg:deb/debian/leaf@1:2.0%2Bdfsg~rc1-1?arch=amd64",
        "pkg:deb/debian/libtree1@1.2-3?arch=amd64",
        "pkg:deb/debian/tree@1.2?arch=source",
        "pkg:generic/apt/debian/bookworm",
    }
    assert {a.outcome for a in admitted.values()} == {"clean"}

    with way.serving(PORT) as url:
        said = json.loads(
            way.lockgate("client-config", "apt", "--home", way.lane.high, "--url", url, "--json")
        )
        apt = Apt(namespace, tmp_path / "apt", said["files"][0]["text"])
        done = apt("update")
        assert "W:" not in done.stderr
        apt("install", "-y", "leaf")
        assert apt.says("leaf") == "leaf 1:2.0+dfsg~rc1-1"
        apt("source", "--download-only", "libtree1")
        assert (apt.folder / "tree_1.2.dsc").is_file()
