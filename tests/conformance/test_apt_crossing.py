"""A Debian package on its whole way: collected, sealed, inspected, approved, signed, served, installed."""

import json
import os
import subprocess
import sys
import time

import pytest

from corpora.aptclient import Apt
from corpora.debs import DebFile, SourceFiles, Upstream
from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from corpora.wholelane import WholeLane
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


@pytest.fixture
def namespace(tmp_path):
    """Return a namespace without a network, as any server has it."""
    site = MirrorSite(tmp_path / "none")
    site.add_document("a.txt", b"a")
    site.publish()
    with Server(site) as running:
        yield running


def test_a_debian_package_crosses_and_is_installed(upstream, namespace, tmp_path):
    def lockgate(*words):
        given = {"PYTHONPATH": os.pathsep.join(sys.path)}
        return namespace.run(sys.executable, "-m", "lockgate.cli.main", *map(str, words), **given)

    lane = WholeLane.make(tmp_path / "whole")
    manifest = tmp_path / "whole/manifest.toml"
    manifest.write_text(
        '[[apt]]\nname = "debian"\narchitectures = ["amd64"]\npackages = ["leaf"]\nsources = true\n'
        f'[[apt.upstream]]\nurl = "file://{upstream.root}"\nsuites = ["bookworm"]\n'
        f'keyring = "{upstream.keyring}"\n'
    )
    lockgate("collect", manifest, "--home", lane.low)
    lane.before("publish")
    lane.demand(lane.run("publish"))
    admitted = {a.artifact.purl: a for a in lane.served().snapshot.admitted if a.artifact.kind is Kind.APT}
    assert set(admitted) == {
        "pkg:deb/debian/leaf@1:2.0%2Bdfsg~rc1-1?arch=amd64",
        "pkg:deb/debian/libtree1@1.2-3?arch=amd64",
        "pkg:deb/debian/tree@1.2?arch=source",
        "pkg:generic/apt/debian/bookworm",
    }
    assert {a.outcome for a in admitted.values()} == {"clean"}

    command = [sys.executable, "-m", "lockgate.cli.main", "mirror", "serve"]
    command += ["--home", str(lane.high), "--port", str(PORT)]
    serving = subprocess.Popen(
        namespace.inside(*command),
        env={**namespace.environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{PORT}"
        deadline = time.monotonic() + 60
        while namespace.run("curl", "-sf", f"{url}/healthz", check=False).returncode:
            assert serving.poll() is None
            assert time.monotonic() < deadline
        said = json.loads(
            lockgate("client-config", "apt", "--home", lane.high, "--url", url, "--json").stdout
        )
        apt = Apt(namespace, tmp_path / "apt", said["files"][0]["text"])
        done = apt("update")
        assert "W:" not in done.stderr
        apt("install", "-y", "leaf")
        assert apt.says("leaf") == "leaf 1:2.0+dfsg~rc1-1"
        apt("source", "--download-only", "libtree1")
        assert (apt.folder / "tree_1.2.dsc").is_file()
    finally:
        serving.terminate()
        serving.wait(30)
