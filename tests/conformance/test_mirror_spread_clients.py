"""Unmodified clients of each protocol against a mirror whose snapshot is spread over parts."""

import json
import sys

import pytest

from corpora.aptclient import Apt
from corpora.debs import DebFile, suite
from corpora.gitrepo import OWN, GitRepo
from corpora.images import artifact_of, image
from corpora.lanekey import LaneKey
from corpora.mirrorserver import PORT, Server
from corpora.mirrorsite import COMMIT
from corpora.nodeclients import Node
from corpora.npmpackages import NpmPackage
from corpora.spreadsite import SpreadSite
from corpora.wheels import build_wheel
from lockgate.core.artifact import Artifact, Kind, Role
from lockgate.mirror import AptSource, AptSuites, client_config

URL = f"http://127.0.0.1:{PORT}"
IMAGE = image({"hello": b"amd\n"})


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    made = GitRepo(tmp_path_factory.mktemp("repo") / "work")
    made.step(1)
    return made


def fill(site, repo):
    site.add_suite(suite())
    site.add_deb(DebFile("leaf", "1.0", fields={"Depends": "libtree1"}), "bookworm")
    site.add_deb(DebFile("libtree1", "1.2-3", fields={"Source": "tree (1.2)"}), "bookworm")
    site.add_npm(NpmPackage("leaf", "2.1.0"))
    site.add_npm(NpmPackage("@garden/trunk", "1.0.0", {"dependencies": {"leaf": "^2"}}))
    site.add(artifact_of(site, "registry.test/team/app", IMAGE, "1.0"))
    site.add_git("group/tool", repo.bundle(), repo.refs())
    site.add_model("org/m", {"model.gguf": b"GGUF", "sub/config.json": b"{}"})
    site.add_wheels("tree", "1.0", build_wheel("tree", "1.0", requires=("leaf",)))
    site.add_wheels("leaf", "1.0", build_wheel("leaf", "1.0"))
    file = site.file("files/tool/tool.bin", b"tool", Role.OTHER)
    purl = "pkg:generic/tool@1"
    site.add(Artifact(purl=purl, kind=Kind.FILE, name="tool", version="1", files=(file,)))
    site.publish()
    return site


@pytest.fixture(scope="module")
def server(repo, tmp_path_factory):
    with Server(fill(SpreadSite(tmp_path_factory.mktemp("mirror")), repo)) as running:
        yield running


def test_apt_updates_and_downloads(server, tmp_path):
    key = LaneKey.at(server.site.root / "repository.key")
    known = AptSuites(
        key.certificate, key.key.fingerprint, (AptSource("debian", ("bookworm",), ("main",), sources=False),)
    )
    apt = Apt(server, tmp_path / "apt", client_config("apt", URL, known).files[0].text, architectures="amd64")
    done = apt("update")
    assert "W:" not in done.stderr
    assert "E:" not in done.stderr
    apt("install", "--download-only", "-y", "leaf")
    assert apt.held() == {"leaf_1.0_amd64.deb", "libtree1_1.2-3_amd64.deb"}


def test_npm_installs_what_is_depended_on(server, tmp_path):
    npm = Node(server, tmp_path / "project", "npm")
    npm.package(**{"@garden/trunk": "^1"})("install", "--no-audit")
    assert npm.says("leaf") == "leaf 2.1.0"


@pytest.mark.parametrize("name", ["registry.test/team/app", "team/app"])
def test_skopeo_copies_by_the_whole_name_and_without_the_host(server, tmp_path, name):
    source = f"docker://127.0.0.1:{PORT}/{name}:1.0"
    target = tmp_path / "image"
    words = ("--insecure-policy", "copy", "--src-tls-verify=false", "--preserve-digests", source)
    server.run("skopeo", *words, f"oci:{target}:1.0", TMPDIR=str(server.home))
    held = {f"sha256:{p.name}": p.read_bytes() for p in (target / "blobs/sha256").iterdir()}
    assert held == {**IMAGE.manifests, **IMAGE.blobs}


def test_git_clones(server, repo, tmp_path):
    own = {**OWN, "HOME": str(tmp_path), "GIT_TERMINAL_PROMPT": "0"}
    server.run("git", "clone", "-q", f"{URL}/git/group/tool.git", str(tmp_path / "tool"), **own)
    said = server.run("git", "-C", str(tmp_path / "tool"), "rev-parse", "HEAD", **own)
    assert said.stdout.strip() == repo.refs()["refs/heads/main"]


def test_the_hubs_client_downloads_a_revision(server, tmp_path):
    code = (
        "import json, pathlib, huggingface_hub as h\n"
        f"found = pathlib.Path(h.snapshot_download('org/m', revision={COMMIT!r}))\n"
        "files = [p for p in found.rglob('*') if p.is_file()]\n"
        "print(json.dumps({str(p.relative_to(found)): p.read_text() for p in files}))"
    )
    done = server.run(sys.executable, "-c", code, HF_HOME=str(tmp_path), HF_HUB_DISABLE_TELEMETRY="1")
    assert json.loads(done.stdout.splitlines()[-1]) == {"model.gguf": "GGUF", "sub/config.json": "{}"}


def test_pip_installs_and_curl_checks_the_sums(server, tmp_path):
    target = tmp_path / "pip"
    words = (sys.executable, "-m", "pip", "--isolated", "--no-input", "install", "--no-cache-dir", "tree")
    server.run(*words, "--target", str(target), "--index-url", f"{URL}/simple/")
    assert {p.name for p in target.glob("*.dist-info")} == {"tree-1.0.dist-info", "leaf-1.0.dist-info"}
    for name in ("SHA256SUMS", "tool.bin"):
        server.run("curl", "-sf", "-o", str(tmp_path / name), f"{URL}/files/files/tool/{name}")
    server.run("env", "-C", str(tmp_path), "sha256sum", "-c", "SHA256SUMS")
