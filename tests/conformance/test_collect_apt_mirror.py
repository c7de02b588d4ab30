"""A mirror of a mirror: collected by apt with a break in the middle, and served byte for byte."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.debs import DebFile, SourceFiles, suite
from corpora.lanekey import LaneKey
from corpora.mirrorserver import PORT, Server
from corpora.mirrorsite import MirrorSite, ask
from lockgate.app.lane.lane import make_demo_lane
from lockgate.app.settings import load_settings
from lockgate.app.trust import utc_now
from lockgate.core.artifact import Lock
from lockgate.core.wire import decode
from lockgate.store import FileBlobs

TREE = DebFile("libtree1", "1.2-3", fields={"Source": "tree (1.2)"}, files={"noise": os.urandom(300_000)})
LEAF = DebFile("leaf", "1:2.0+dfsg~rc1-1", fields={"Depends": "libtree1"})
SOURCE = SourceFiles("tree", "1.2", binary="libtree1")
CUT = 8713


@pytest.fixture
def server(tmp_path):
    site = MirrorSite(tmp_path / "first")
    site.add_suite(suite(sources=True))
    site.add_deb(LEAF, "bookworm")
    site.add_deb(TREE, "bookworm")
    site.add_source(SOURCE, "bookworm")
    site.publish()
    with Server(site) as running:
        yield running


@pytest.fixture
def cutting(server):
    """Return a proxy in the namespace that cuts the first answer for every package."""
    script = str(Path(__file__).parents[1] / "corpora/cuttingproxy.py")
    command = server.inside(sys.executable, script, str(CUT), str(PORT), ".deb")
    proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert proxy.stdout.readline() == "ready\n"
    yield proxy
    proxy.kill()
    proxy.communicate()


def test_a_mirror_of_a_mirror_serves_the_same_and_a_broken_collection_goes_on(server, cutting, tmp_path):
    lane = make_demo_lane(tmp_path / "lane", "second", utc_now())
    key = LaneKey.at(server.site.root / "repository.key")
    (tmp_path / "first.asc").write_text(key.certificate)
    (tmp_path / "manifest.toml").write_text(
        '[[apt]]\nname = "debian"\narchitectures = ["amd64"]\nwhole = true\nsources = true\n'
        f'[[apt.upstream]]\nurl = "http://127.0.0.1:{CUT}/apt/debian"\nsuites = ["bookworm"]\n'
        'keyring = "first.asc"\n'
    )

    def collect(*, check=True):
        command = [sys.executable, "-m", "lockgate.cli.main", "collect", str(tmp_path / "manifest.toml")]
        given = {"PYTHONPATH": os.pathsep.join(sys.path), "http_proxy": ""}
        return server.run(*command, "--home", str(lane.low), "--json", check=check, **given)

    # apt repeats a request that breaks off, and goes on where it was: one run is enough.
    value = json.loads(collect().stdout)
    assert value["artifacts"] == 4
    parts = [
        line
        for line in server.run("curl", "-sf", f"{server.url}/metrics").stdout.splitlines()
        if 'protocol="apt",status="206"' in line
    ]
    assert float(parts[0].rsplit(" ", 1)[1]) >= 1

    side = load_settings(lane.low)
    lock = decode(Lock, (side.home.locks / "lock.json").read_bytes())
    second, low = MirrorSite(tmp_path / "second"), FileBlobs(side.home.blobs)
    for artifact in lock.artifacts:
        for file in artifact.files:
            second.blobs.put_bytes(low.read(file.sha256))
        second.add(artifact)
    second.publish()
    one, two = server.site.app(), second.app()
    for path in ("main/binary-amd64/Packages", "main/binary-amd64/Packages.gz"):
        address = f"/apt/debian/dists/bookworm/{path}"
        assert ask(one, address).body == ask(two, address).body
    release = "/apt/debian/dists/bookworm/Release"
    assert ask(one, release).body.split(b"SHA256:")[0] == ask(two, release).body.split(b"SHA256:")[0]
    pool = "/apt/debian/pool/main/t/tree/libtree1_1.2-3_amd64.deb"
    assert ask(two, pool).body == TREE.data
