"""An npm package on its whole way: collected, sealed, inspected, approved, served, installed by npm."""

import json

import pytest

from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from corpora.npmpackages import NpmPackage
from corpora.wholeway import WholeWay
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


def test_an_npm_package_crosses_and_is_installed(upstream, tmp_path):
    way = WholeWay(upstream, tmp_path)
    registry = {"npm_config_registry": f"{upstream.url}/npm/", "npm_config_cache": str(tmp_path / "cache")}
    admitted = way.cross('[[npm]]\npackages = ["@garden/tree"]\n', Kind.NPM, **registry)
    assert set(admitted) == {"pkg:npm/%40garden/tree@1.0.0", "pkg:npm/leaf@2.1.0"}
    assert {a.outcome for a in admitted.values()} == {"clean"}

    with way.serving(PORT) as url:
        project = tmp_path / "project"
        project.mkdir()
        said = json.loads(way.lockgate("client-config", "npm", "--url", url, "--json"))
        (project / ".npmrc").write_text(said["files"][0]["text"])
        (project / "package.json").write_text(json.dumps({"dependencies": {"@garden/tree": "^1"}}))
        place = ("env", "-C", str(project), f"HOME={project}")
        upstream.run(*place, "npm", "install", "--no-audit")
        assert (project / "node_modules/leaf/index.js").is_file()
        lock = json.loads((project / "package-lock.json").read_text())["packages"]
        assert lock["node_modules/leaf"]["integrity"] == LEAF.integrity
        assert upstream.run(*place, "npm", "view", "absent", check=False).returncode
    missed = json.loads(way.lockgate("request", "misses", "--home", way.lane.high, "--json"))
    assert {"protocol": "npm", "name": "absent", "count": 1} in missed
