"""A conda package on its whole way: collected, sealed, inspected, approved, served, installed."""

import json
import sys
from pathlib import Path

import pytest

from corpora.condas import CondaFile, CondaUpstream
from corpora.wholeway import WholeWay
from lockgate.core.artifact import Kind

PORT = 8756
LEAF = CondaFile("leaf", "1.0", ("tree >=1",))
TREE = CondaFile("tree", "1.3", subdir="noarch", extension=".tar.bz2")
CLIENT = Path(__file__).parent / "clients/conda_client.py"

pytestmark = pytest.mark.slow


def test_a_conda_package_crosses_and_is_installed(namespace, tmp_path):
    upstream = CondaUpstream(tmp_path / "channel", [LEAF, TREE])
    upstream.publish()
    manifest = (
        f'[[conda]]\nname = "science"\nurl = "file://{upstream.root}"\n'
        'subdirs = ["linux-64"]\nspecs = ["leaf"]\n'
    )
    way = WholeWay(namespace, tmp_path)
    admitted = way.cross(manifest, Kind.CONDA).values()
    assert {(a.artifact.name, a.outcome) for a in admitted} == {
        ("science/leaf", "clean"),
        ("science/tree", "clean"),
    }

    with way.serving(PORT) as url:
        said = way.lockgate("client-config", "conda", "--home", way.lane.high, "--url", url, "--json")
        alias = json.loads(said)["files"][0]["text"].splitlines()[0].removeprefix("channel_alias: ")
        folder = tmp_path / "client"
        folder.mkdir()
        namespace.run(sys.executable, str(CLIENT), f"{alias}/science", str(folder), "leaf")
        assert (folder / "prefix/share/leaf/says").read_text() == "leaf 1.0\n"
        assert (folder / "prefix/share/tree/says").read_text() == "tree 1.3\n"
