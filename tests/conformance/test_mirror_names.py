"""Clients at names of their own over TLS, resolved by a hosts file of a namespace without a network."""

import hashlib
import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from corpora.aptclient import Apt
from corpora.debs import DebFile, suite
from corpora.gitrepo import GitRepo
from corpora.images import artifact_of, image
from corpora.lanekey import LaneKey
from corpora.mirrorserver import PORT, Server
from corpora.mirrorsite import MirrorSite
from corpora.npmpackages import NpmPackage
from corpora.wheels import build_wheel
from lockgate.app.high.authority import AuthorityFolder
from lockgate.mirror import AptSource, AptSuites, MirrorNames, client_config, dns_config
from lockgate.trust.authority import Bounds, Names, Use

PROTOCOLS = ("apt", "git", "huggingface", "npm", "oci", "pypi")
NAMES = " ".join(f"{protocol}={protocol}.mirror.plant.internal" for protocol in PROTOCOLS)
URL = f"https://mirror.plant.internal:{PORT}"
KNOWN = MirrorNames.of(NAMES)
LEAF = build_wheel("leaf", "2.0")
WORDS = DebFile("words", "7")
IMAGE = image()
REPOSITORY = "code.example/group/tool"
MOUNT = 'mount --bind "$0" /etc/hosts && exec "$@"'


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """Return a mirror with names, its authority's certificate, and what makes a client know the names."""
    folder, now = tmp_path_factory.mktemp("named"), datetime.now(UTC)
    authority = AuthorityFolder(folder / "ca")
    authority.make("Plant CA", Bounds.of(["plant.internal"]), now)
    names = [*KNOWN.by_protocol.values(), "mirror.plant.internal", "127.0.0.1"]
    authority.issue("mirror", Names.of(names), Use.SERVER, folder / "tls", days=30, now=now)
    (folder / "names").write_text(NAMES)
    hosts = folder / "hosts"
    hosts.write_text(dns_config(KNOWN, URL, ["127.0.0.1"]).files[1].text)
    site = MirrorSite(folder)
    site.add_wheels("leaf", "2.0", LEAF)
    site.add_npm(NpmPackage("@garden/leaf", "2.1.0", facts={"tags": ("latest",)}))
    site.add_suite(suite())
    site.add_deb(WORDS, "bookworm")
    site.add(artifact_of(site, "registry.test/team/app", IMAGE, "1.0"))
    site.add_model("org/m", {"config.json": b"{}", "model.gguf": b"weights"})
    repo = GitRepo(folder / "work")
    repo.step(0)
    site.add_git(REPOSITORY, repo.bundle(), repo.refs())
    site.publish()
    with Server(site, "corpora.mirrorsite:app_with_names", tls=folder / "tls") as running:
        inside = ("unshare", "--mount", "sh", "-c", MOUNT, str(hosts))
        yield running, str(authority.certificate_file), inside


def asked(mirror, client, folder, *command):
    """Run a client with nothing but what is printed for it."""
    server, authority, inside = mirror
    config = client_config(client, URL, authority=authority, names=KNOWN)
    for file in config.files:
        path = folder / file.path.removeprefix("~/").removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    settings = {"HOME": str(folder), "PATH": server.environment()["PATH"], "LANG": "C.UTF-8"}
    settings |= dict(config.environment)
    words = [f"{key}={value}" for key, value in settings.items()]
    return server.run(*inside, "env", "-i", "-C", str(folder), *words, *command)


def test_pip_fetches_at_the_name_of_its_protocol(mirror, tmp_path):
    asked(mirror, "pip", tmp_path, sys.executable, "-m", "pip", "download", "leaf", "-d", "out")
    assert (tmp_path / "out" / LEAF.filename).read_bytes() == LEAF.data


def test_npm_installs_at_the_root_of_its_name(mirror, tmp_path):
    (tmp_path / "package.json").write_text(json.dumps({"dependencies": {"@garden/leaf": "2"}}))
    asked(mirror, "npm", tmp_path, "npm", "install", "--no-audit")
    assert (tmp_path / "node_modules/@garden/leaf/index.js").is_file()
    lock = json.loads((tmp_path / "package-lock.json").read_text())["packages"]
    found = lock["node_modules/@garden/leaf"]["resolved"]
    assert found == f"https://npm.mirror.plant.internal:{PORT}/@garden/leaf/-/leaf-2.1.0.tgz"


def test_git_clones_from_the_address_that_it_knows(mirror, tmp_path):
    asked(mirror, "git", tmp_path, "git", "clone", f"https://{REPOSITORY}.git", "out")
    assert (tmp_path / "out" / "file-0.py").read_bytes() == b"x = 1\n"
    plain = tmp_path / "plain"
    plain.mkdir()
    asked(mirror, "git", plain, "git", "clone", f"{KNOWN.url('git', URL)}/{REPOSITORY}", "out")
    assert (plain / "out" / "file-0.py").is_file()


def test_skopeo_copies_from_the_name_of_its_protocol(mirror, tmp_path):
    _, authority, _ = mirror
    trusted = tmp_path / "certs"
    trusted.mkdir()
    shutil.copy(authority, trusted / "ca.crt")
    host = KNOWN.url("oci", URL).removeprefix("https://")
    copy = ("skopeo", "--insecure-policy", "copy", "--src-cert-dir", str(trusted))
    for number, name in enumerate(("registry.test/team/app", "team/app")):
        place = tmp_path / f"out-{number}"
        asked(mirror, "podman", tmp_path, *copy, f"docker://{host}/{name}:1.0", f"oci:{place}:1.0")
        for data in (*IMAGE.manifests.values(), *IMAGE.blobs.values()):
            assert (place / "blobs/sha256" / hashlib.sha256(data).hexdigest()).read_bytes() == data


def test_the_hub_is_downloaded_from_its_name(mirror, tmp_path):
    program = str(Path(sys.executable).with_name("hf"))
    asked(mirror, "huggingface", tmp_path, program, "download", "org/m", "--local-dir", "out")
    assert (tmp_path / "out" / "model.gguf").read_bytes() == b"weights"


class Inside:
    """Commands that know the names, in the server's namespace."""

    def __init__(self, mirror):
        self.server, _, self.inside = mirror

    def run(self, *command, **given):
        return self.server.run(*self.inside, *command, **given)


def test_apt_updates_and_downloads_at_the_root_of_its_name(mirror, tmp_path):
    server, authority, _ = mirror
    key = LaneKey.at(server.site.root / "repository.key")
    sources = (AptSource("debian", ("bookworm",), ("main",)),)
    known = AptSuites(key.certificate, key.key.fingerprint, sources)
    listed, trusting = client_config("apt", URL, known, authority=authority, names=KNOWN).files
    assert f"URIs: https://apt.mirror.plant.internal:{PORT}/debian\n" in listed.text
    apt = Apt(Inside(mirror), tmp_path / "apt", listed.text)
    assert "certificate" in apt("update", check=False).stderr.lower(), "the machine trusts no such authority"
    assert not list((tmp_path / "apt/lists").glob("*InRelease"))
    (tmp_path / "apt/etc/apt.conf.d" / Path(trusting.path).name).write_text(trusting.text)
    done = apt("update")
    assert "W:" not in done.stderr
    apt("install", "--download-only", "--yes", "words")
    (held,) = apt.held()
    assert (tmp_path / "apt/archives" / held).read_bytes() == WORDS.data


def test_a_name_that_leads_here_and_is_not_known_is_refused(mirror):
    server, authority, _ = mirror
    told = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", authority)
    ask = (*told, "-H", "Host: other.plant.internal", f"{server.url}/simple/leaf/")
    assert server.run(*ask).stdout == "421"
    assert server.run(*told, f"{server.url}/simple/leaf/").stdout == "200"
