"""containerd and its client `ctr` fetch through the mirror with the very file that `client-config` prints.

Contents are fetched and never unpacked: a namespace without rights over its host mounts nothing.
"""

import pytest

from corpora.imageclients import running_containerd
from corpora.images import artifact_of, image, index, refers
from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite

AMD, ARM = image({"hello": b"amd\n"}), image({"hello": b"arm\n"}, "arm64")
BOTH = index(AMD, ARM)
SIGNED = refers(BOTH, by="a test")
NAME = "registry.test/team/app"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("images"))
    site.add(artifact_of(site, NAME, index(AMD, ARM).include(SIGNED), "1.0"))
    site.add(artifact_of(site, "other.test/library/base", AMD, "1"))
    site.publish()
    with Server(site) as running:
        yield running


@pytest.fixture(scope="module")
def containerd(server):
    with running_containerd(server) as made:
        yield made


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
