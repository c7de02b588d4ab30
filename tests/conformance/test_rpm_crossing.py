"""An RPM package on its whole way: collected, sealed, inspected, approved, signed, served, installed."""

import json

import pytest

from corpora.dnfclient import Dnf
from corpora.rpms import RpmFile, RpmUpstream
from corpora.wholeway import WholeWay
from lockgate.core.artifact import Kind

PORT = 8757
LEAF = RpmFile("leaf", "1.0+git~rc1", epoch=1, lines=("Requires: libtree >= 1",))
TREE = RpmFile("libtree", "1.3")

pytestmark = pytest.mark.slow


def test_an_rpm_package_crosses_and_is_installed(namespace, tmp_path):
    upstream = RpmUpstream(tmp_path / "upstream/repository", packages=[LEAF, TREE])
    upstream.publish()
    manifest = (
        '[[rpm]]\nname = "rocky"\narchitectures = ["x86_64"]\npackages = ["leaf"]\n'
        f'[[rpm.upstream]]\nname = "base"\nurl = "file://{upstream.root}"\n'
        f'keyring = "{upstream.key.keyring}"\n'
    )
    way = WholeWay(namespace, tmp_path)
    admitted = way.cross(manifest, Kind.RPM).values()
    assert {a.outcome for a in admitted} == {"clean"}
    assert {"leaf", "libtree"} <= {a.artifact.name.rpartition("/")[2] for a in admitted}

    with way.serving(PORT) as url:
        said = way.lockgate("client-config", "dnf", "--home", way.lane.high, "--url", url, "--json")
        dnf = Dnf(namespace, tmp_path / "dnf", {f["path"]: f["text"] for f in json.loads(said)["files"]})
        dnf("install", "leaf")
        assert dnf.says("leaf") == "leaf 1.0+git~rc1"
        assert dnf.says("libtree") == "libtree 1.3"
