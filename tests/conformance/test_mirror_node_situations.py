"""pnpm and both yarns in the situations of `client_matrix.toml`, each with the real mirror.

What a client does not do (it asks for no range, or for a page again and again) is what the mirror counted.
"""

import json
import os
import shutil

import pytest

from corpora.mirrorserver import PORT, Server
from corpora.mirrorsite import MirrorSite
from corpora.nodeclients import Node
from corpora.npmpackages import NpmPackage
from corpora.proxies import CUTTING_PORT, HOLDING_PORT, cutting, holding

pytestmark = pytest.mark.online

CLIENTS = ["pnpm", "yarn1", "yarn4"]
BIG = NpmPackage("big", "1.0.0", files={"noise.bin": os.urandom(400_000)})
OLD = NpmPackage("old", "1.0.0", facts={"deprecated": "old has a hole, use new"})
PATIENT = {
    "pnpm": {"npm_config_fetch_timeout": "600000"},
    "yarn1": {"YARN_NETWORK_TIMEOUT": "600000"},
    "yarn4": {"YARN_HTTP_TIMEOUT": "600000"},
}
ODD = {"@Gar.den~x/Tree._trunk-1": "1.0.0-rc.1.x-y", "~tilde.x_Y-z": "0.0.0-0"}


def grown(major):
    """Return a package that needs another one of the same major version, and says what it found, and that."""
    tells = {"index.js": f"module.exports = 'tree {major} with ' + require('leaf');".encode()}
    wanted = {"dependencies": {"leaf": f"^{major}"}}
    return NpmPackage("tree", f"{major}.0.0", wanted, files=tells), NpmPackage("leaf", f"{major}.0.0")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("mirror"))
    for package in (BIG, OLD, *grown(1), *(NpmPackage(*odd) for odd in ODD.items())):
        site.add_npm(package)
    site.publish()
    with Server(site) as running:
        yield running


@pytest.fixture(params=CLIENTS)
def kind(request):
    return request.param


def project(kind, server, folder, port=PORT):
    audit = {"npm_config_audit": "false"}  # the proxies pass no bodies on
    return Node.of(kind, server, folder, port, **audit, **PATIENT[kind])


def test_a_download_that_breaks_off_ends_with_the_right_bytes(server, kind, tmp_path):
    """None of them asks for the rest: what broke off is asked for again, whole."""
    before = server.answered("npm", 206)
    with cutting(server, ".tgz") as cut:
        node = project(kind, server, tmp_path / "project", CUTTING_PORT).package(big="1")
        done = node("install")
        assert cut.seen(done) == "/npm/big/-/big-1.0.0.tgz"
    assert (node.folder / "node_modules/big/noise.bin").read_bytes() == BIG.files["noise.bin"]
    assert server.answered("npm", 206) == before


def test_names_and_versions_that_are_odd_are_installed(server, kind, tmp_path):
    node = project(kind, server, tmp_path / "project").package(**ODD)
    node("install")
    assert {name: node.says(name) for name in ODD} == {name: f"{name} {ODD[name]}" for name in ODD}


def test_a_deprecated_version_is_installed_and_its_reason_is_told(server, kind, tmp_path):
    """yarn 4 says nothing of it where it installs."""
    node = project(kind, server, tmp_path / "project").package(old="1.0.0")
    done = node("install")
    assert ("old has a hole, use new" in done.stdout + done.stderr) == (kind != "yarn4")
    assert node.says("old") == "old 1.0.0"


def test_a_missing_name_is_named(server, kind, tmp_path):
    before = server.answered("npm", 404)
    done = project(kind, server, tmp_path / "project").package(**{"@absent/thing": "1"})(
        "install", check=False
    )
    assert done.returncode != 0
    assert "@absent/thing" in (done.stdout + done.stderr).replace("%2f", "/").replace("%2F", "/")
    assert server.answered("npm", 404) > before


def test_yarn_4_asks_whether_a_page_changed_and_the_others_ask_for_it_whole(server, kind, tmp_path):
    node = project(kind, server, tmp_path / "project").package(tree="1")
    node("install")
    shutil.rmtree(node.folder / "node_modules")
    for lock in ("pnpm-lock.yaml", "yarn.lock"):
        (node.folder / lock).unlink(missing_ok=True)
    before = server.answered("npm", 200), server.answered("npm", 304)
    node("install")
    after = server.answered("npm", 200), server.answered("npm", 304)
    assert node.says("tree") == "tree 1 with leaf 1.0.0"
    pages, archives = 2, 0  # what is held of archives is not sent again
    whole, unchanged = (0, pages) if kind == "yarn4" else (pages, 0)
    assert (after[0] - before[0], after[1] - before[1]) == (whole + archives, unchanged)


def test_two_clients_at_once_see_one_snapshot_each_while_the_channel_moves(kind, tmp_path):
    site = MirrorSite(tmp_path / "site")
    for package in grown(1):
        site.add_npm(package)
    site.publish()
    with (
        Server(site, "corpora.mirrorsite:app_without_haste") as server,
        holding(server, "/leaf") as one,
        holding(server, "/leaf", HOLDING_PORT + 1) as two,
    ):
        nodes = [
            project(kind, server, tmp_path / f"at-{n}", HOLDING_PORT + n).package(tree="*") for n in range(2)
        ]
        running = [node.begin("install") for node in nodes]
        try:
            assert [h.seen(p) for h, p in zip((one, two), running, strict=True)] == ["/npm/leaf"] * 2
            site.entries.clear()
            for package in grown(2):
                site.add_npm(package, crossing=2)
            site.publish()
            while json.loads(server.run("curl", "-sf", f"{server.url}/healthz").stdout)["version"] != 2:
                assert server.process.poll() is None
            for held in (one, two):
                held.release()
            said = [process.communicate(timeout=600)[0] for process in running]
            assert [process.returncode for process in running] == [0, 0], said
        finally:
            for process in running:
                process.kill()
        assert [node.says("tree") for node in nodes] == ["tree 1 with leaf 1.0.0"] * 2
        later = project(kind, server, tmp_path / "later").package(tree="*")
        later("install")
        assert later.says("tree") == "tree 2 with leaf 2.0.0"
