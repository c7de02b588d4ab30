"""containerd and its client `ctr` fetch through the mirror with the very file that `client-config` prints.

Contents are fetched and never unpacked: a namespace without rights over its host mounts nothing.
"""

import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from corpora.images import artifact_of, image, index, refers
from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from lockgate.mirror import client_config

AMD, ARM = image({"hello": b"amd\n"}), image({"hello": b"arm\n"}, "arm64")
BOTH = index(AMD, ARM)
SIGNED = refers(BOTH, by="a test")
NAME = "registry.test/team/app"
CONFIG = """
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{folder}/socket"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("images"))
    site.add(artifact_of(site, NAME, index(AMD, ARM).include(SIGNED), "1.0"))
    site.add(artifact_of(site, "other.test/library/base", AMD, "1"))
    site.publish()
    with Server(site) as running:
        yield running


class Containerd:
    """A containerd that knows the mirror alone, in its namespace."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        (folder / "config.toml").write_text(CONFIG.format(folder=folder))
        (hosts,) = client_config("containerd", server.url).files
        place = folder / "certs.d" / "_default" / "hosts.toml"
        place.parent.mkdir(parents=True)
        place.write_text(hosts.text)

    def ctr(self, space, *words, check=True):
        """Run its client in one of its own namespaces, which see nothing of one another."""
        address = ("--address", str(self.folder / "socket"), "--namespace", space)
        return self.server.run("ctr", *address, *words, check=check)

    def fetch(self, space, reference, *options, check=True):
        hosts = ("--hosts-dir", str(self.folder / "certs.d"))
        return self.ctr(space, "content", "fetch", *hosts, *options, reference, check=check)

    def held(self, space):
        """Return the digests of what it holds."""
        return {line.split()[0] for line in self.ctr(space, "content", "ls").stdout.splitlines()[1:]}

    def wait(self, daemon):
        deadline = time.monotonic() + 180
        while self.ctr("none", "version", check=False).returncode:
            assert daemon.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module")
def containerd(server):
    with tempfile.TemporaryDirectory(prefix="ctr") as name:  # short: the address of its socket is bounded
        folder = Path(name)
        made = Containerd(server, folder)
        command = server.inside("containerd", "--config", str(folder / "config.toml"))
        with (folder / "log").open("w") as log:
            daemon = subprocess.Popen(command, stdout=log, stderr=log, env=server.environment())
            try:
                made.wait(daemon)
                yield made
            finally:
                daemon.terminate()
                daemon.wait(60)


def test_every_platform_is_fetched_under_the_name_of_its_own_registry(containerd):
    containerd.fetch("all", f"{NAME}:1.0", "--all-platforms")
    assert containerd.held("all") == {*BOTH.manifests, *BOTH.blobs}
    listed = containerd.ctr("all", "images", "ls").stdout
    assert BOTH.root in listed
    assert "linux/amd64,linux/arm64" in listed


def test_one_platform_is_fetched_by_digest_and_an_image_of_another_registry_by_tag(containerd):
    containerd.fetch("one", f"{NAME}@{ARM.root}", "--platform", "linux/arm64")
    assert containerd.held("one") == {*ARM.manifests, *ARM.blobs}
    containerd.fetch("one", "other.test/library/base:1")
    assert containerd.held("one") == {*ARM.manifests, *ARM.blobs, *AMD.manifests, *AMD.blobs}


def test_what_is_missing_is_not_found_and_no_other_registry_is_asked(containerd):
    for reference in (f"{NAME}:absent", "registry.test/absent/thing:1"):
        done = containerd.fetch("none", reference, check=False)
        assert done.returncode != 0
        assert f"{reference}: not found" in done.stderr
    assert containerd.held("none") == set()
