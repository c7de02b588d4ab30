"""An npm package on its whole way: collected, sealed, inspected, approved, served, installed by npm."""

import json
import os
import subprocess
import sys
import time

import pytest

from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from corpora.npmpackages import NpmPackage
from corpora.wholelane import WholeLane
from lockgate.core.artifact import Kind

PORT = 8750
LEAF = NpmPackage("leaf", "2.1.0", facts={"tags": ("latest",)})
TREE = NpmPackage("@garden/tree", "1.0.0", {"dependencies": {"leaf": "^2"}})

pytestmark = pytest.mark.slow


@pytest.fixture
def upstream(tmp_path):
    site = MirrorSite(tmp_path / "upstream")
    for package in (LEAF, TREE):
        site.add_npm(package)
    site.publish()
    with Server(site) as running:
        yield running


def lockgate(upstream, *words, **settings):
    """Run a command where the upstream is all there is of a network."""
    given = {"PYTHONPATH": os.pathsep.join(sys.path), **settings}
    return upstream.run(sys.executable, "-m", "lockgate.cli.main", *map(str, words), **given)


def test_an_npm_package_crosses_and_is_installed(upstream, tmp_path):
    lane = WholeLane.make(tmp_path / "whole")
    manifest = tmp_path / "whole/manifest.toml"
    manifest.write_text('[[npm]]\npackages = ["@garden/tree"]\n')
    registry = {"npm_config_registry": f"{upstream.url}/npm/", "npm_config_cache": str(tmp_path / "cache")}
    lockgate(upstream, "collect", manifest, "--home", lane.low, **registry)
    lane.before("publish")
    lane.demand(lane.run("publish"))
    admitted = {a.artifact.purl: a for a in lane.served().snapshot.admitted if a.artifact.kind is Kind.NPM}
    assert set(admitted) == {"pkg:npm/%40garden/tree@1.0.0", "pkg:npm/leaf@2.1.0"}
    assert {a.outcome for a in admitted.values()} == {"clean"}

    command = [sys.executable, "-m", "lockgate.cli.main", "mirror", "serve"]
    command += ["--home", str(lane.high), "--port", str(PORT)]
    serving = subprocess.Popen(
        upstream.inside(*command),
        env={**upstream.environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{PORT}"
        deadline = time.monotonic() + 60
        while upstream.run("curl", "-sf", f"{url}/healthz", check=False).returncode:
            assert serving.poll() is None
            assert time.monotonic() < deadline
        project = tmp_path / "project"
        project.mkdir()
        said = json.loads(lockgate(upstream, "client-config", "npm", "--url", url, "--json").stdout)
        (project / ".npmrc").write_text(said["files"][0]["text"])
        (project / "package.json").write_text(json.dumps({"dependencies": {"@garden/tree": "^1"}}))
        place = ("env", "-C", str(project), f"HOME={project}")
        upstream.run(*place, "npm", "install", "--no-audit")
        assert (project / "node_modules/leaf/index.js").is_file()
        lock = json.loads((project / "package-lock.json").read_text())["packages"]
        assert lock["node_modules/leaf"]["integrity"] == LEAF.integrity
        assert upstream.run(*place, "npm", "view", "absent", check=False).returncode
    finally:
        serving.terminate()
        serving.wait(30)
    missed = json.loads(lockgate(upstream, "request", "misses", "--home", lane.high, "--json").stdout)
    assert {"protocol": "npm", "name": "absent", "count": 1} in missed
