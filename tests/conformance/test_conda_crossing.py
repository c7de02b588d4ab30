"""A conda package on its whole way: collected, sealed, inspected, approved, served, installed."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corpora.condas import CondaFile, CondaUpstream
from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from corpora.wholelane import WholeLane
from lockgate.core.artifact import Kind

PORT = 8756
LEAF = CondaFile("leaf", "1.0", ("tree >=1",))
TREE = CondaFile("tree", "1.3", subdir="noarch", extension=".tar.bz2")
CLIENT = Path(__file__).parent / "clients/conda_client.py"

pytestmark = pytest.mark.slow


@pytest.fixture
def namespace(tmp_path):
    """Return a namespace without a network, as any server has it."""
    site = MirrorSite(tmp_path / "none")
    site.add_document("a.txt", b"a")
    site.publish()
    with Server(site) as running:
        yield running


def test_a_conda_package_crosses_and_is_installed(namespace, tmp_path):
    def lockgate(*words):
        given = {"PYTHONPATH": os.pathsep.join(sys.path)}
        return namespace.run(sys.executable, "-m", "lockgate.cli.main", *map(str, words), **given)

    upstream = CondaUpstream(tmp_path / "channel", [LEAF, TREE])
    upstream.publish()
    lane = WholeLane.make(tmp_path / "whole")
    manifest = tmp_path / "whole/manifest.toml"
    manifest.write_text(
        f'[[conda]]\nname = "science"\nurl = "file://{upstream.root}"\n'
        'subdirs = ["linux-64"]\nspecs = ["leaf"]\n'
    )
    lockgate("collect", manifest, "--home", lane.low)
    lane.before("publish")
    lane.demand(lane.run("publish"))
    admitted = [a for a in lane.served().snapshot.admitted if a.artifact.kind is Kind.CONDA]
    assert {(a.artifact.name, a.outcome) for a in admitted} == {
        ("science/leaf", "clean"),
        ("science/tree", "clean"),
    }

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
        said = lockgate("client-config", "conda", "--home", lane.high, "--url", url, "--json").stdout
        alias = json.loads(said)["files"][0]["text"].splitlines()[0].removeprefix("channel_alias: ")
        folder = tmp_path / "client"
        folder.mkdir()
        namespace.run(sys.executable, str(CLIENT), f"{alias}/science", str(folder), "leaf")
        assert (folder / "prefix/share/leaf/says").read_text() == "leaf 1.0\n"
        assert (folder / "prefix/share/tree/says").read_text() == "tree 1.3\n"
    finally:
        serving.terminate()
        serving.wait(30)
