"""skopeo, podman and containerd in the situations of `client_matrix.toml`, each with the real mirror.

What a client does not do (it asks for no rest of a layer, say) is what the mirror counted.
"""

import json
import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from corpora.imageclients import Podman, running_containerd
from corpora.images import artifact_of, image
from corpora.mirrorserver import PORT, Server
from corpora.mirrorsite import MirrorSite
from corpora.proxies import CUTTING_PORT, HOLDING_PORT, cutting, holding

CLIENTS = ["skopeo", "podman", "containerd"]
NAME, ODD = "registry.test/team/app", "registry.test/a.b/c__d/e-f---g/1"
LARGE = os.urandom(3 << 20)
IMAGE = image({"big": LARGE})
LAYER = next(key for key, data in IMAGE.blobs.items() if len(data) > 1 << 20)
SENT = "lockgate_mirror_response_bytes_total"
TAG = "Odd_Tag.1-x" + "y" * 100


class Skopeo:
    """skopeo, which copies into a folder."""

    def __init__(self, server, folder, port):
        self.server, self.folder, self.port = server, folder, port

    def pull(self, name, tag, *, check=True):
        source = f"docker://127.0.0.1:{self.port}/{name}:{tag}"
        words = ("--insecure-policy", "copy", "--src-tls-verify=false", "--preserve-digests", source)
        return self.server.run(
            "skopeo", *words, f"oci:{self.folder}/got:1", check=check, TMPDIR=str(self.folder)
        )

    def held(self):
        return {f"sha256:{path.name}" for path in (self.folder / "got/blobs/sha256").glob("*")}


class Pod:
    """podman, which unpacks into a store."""

    def __init__(self, server, folder, port):
        self.podman, self.port = Podman(server, folder, f"http://127.0.0.1:{port}"), port

    def pull(self, name, tag, *, check=True):
        return self.podman.pull(f"127.0.0.1:{self.port}/{name}:{tag}", check=check)

    def held(self):
        found = json.loads(self.podman("images", "--digests", "--format", "json").stdout)
        return {name.partition("@")[2] for one in found for name in one["RepoDigests"]}


class Fetch:
    """containerd, which keeps contents."""

    def __init__(self, containerd):
        self.containerd = containerd

    def pull(self, name, tag, *, check=True):
        return self.containerd.fetch("all", f"{name}:{tag}", check=check)

    def held(self):
        return self.containerd.held("all")


class Pulling:
    """A pull in a thread, asked like a process."""

    def __init__(self, threads, own):
        self.done = threads.submit(own.pull, NAME, "1.0", check=False)

    def poll(self):
        return self.done.result().returncode if self.done.done() else None

    def communicate(self):
        return self.done.result().stderr, None


@contextmanager
def client(kind, server, port=PORT):
    """Give a client that holds nothing and asks the mirror by a port."""
    if kind == "containerd":
        with running_containerd(server, f"http://127.0.0.1:{port}") as containerd:
            yield Fetch(containerd)
        return
    with tempfile.TemporaryDirectory(prefix="pod") as folder:  # short: podman takes no other
        yield (Skopeo if kind == "skopeo" else Pod)(server, Path(folder), port)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("images"))
    site.add(artifact_of(site, NAME, IMAGE, "1.0"))
    site.add(artifact_of(site, ODD, IMAGE, TAG))
    site.publish()
    with Server(site) as running:
        yield running


@pytest.fixture(params=CLIENTS)
def kind(request):
    return request.param


def test_a_layer_that_breaks_off_is_whole_in_the_end(server, kind):
    """containerd asks for the rest; skopeo and podman say what broke off, and fetch it when run again."""
    before = server.answered("oci", 206)
    with cutting(server, LAYER.partition(":")[2]) as cut, client(kind, server, CUTTING_PORT) as own:
        done = own.pull(NAME, "1.0", check=False)
        assert LAYER in cut.seen(done)
        assert (done.returncode != 0) == (kind != "containerd")
        if kind != "containerd":
            assert "unexpected EOF" in done.stderr
            own.pull(NAME, "1.0")
        assert IMAGE.root in own.held()
    assert (server.answered("oci", 206) > before) == (kind == "containerd")


def test_what_is_held_is_not_sent_again(server, kind):
    with client(kind, server) as own:
        start = server.counted(SENT, protocol="oci")
        own.pull(NAME, "1.0")
        once = server.counted(SENT, protocol="oci")
        own.pull(NAME, "1.0")
        assert once - start > len(LARGE)
        assert server.counted(SENT, protocol="oci") - once < 10_000


def test_odd_names_and_tags_are_pulled(server, kind):
    with client(kind, server) as own:
        own.pull(ODD, TAG)
        assert IMAGE.root in own.held()


def test_what_is_missing_is_named(server, kind):
    before = server.answered("oci", 404)
    with client(kind, server) as own:
        for name, tag in ((NAME, "absent"), ("registry.test/absent/thing", "1")):
            done = own.pull(name, tag, check=False)
            assert done.returncode != 0
            assert re.search("manifest unknown|name unknown|not found", done.stderr)
    assert server.answered("oci", 404) > before


def test_two_clients_at_once_get_what_their_tag_named_while_the_channel_moves(kind, tmp_path):
    old, new = (image({"number": mark, "noise": os.urandom(1 << 20)}) for mark in (b"one", b"two"))
    layer = max(old.blobs, key=lambda key: len(old.blobs[key]))
    site = MirrorSite(tmp_path / "site")
    site.add(artifact_of(site, NAME, old, "1.0"))
    site.publish()
    ports = (HOLDING_PORT, HOLDING_PORT + 1)
    with (
        Server(site) as server,
        holding(server, layer.partition(":")[2], ports[0]) as one,
        holding(server, layer.partition(":")[2], ports[1]) as two,
        client(kind, server, ports[0]) as first,
        client(kind, server, ports[1]) as second,
        ThreadPoolExecutor(2) as threads,
    ):
        running = [Pulling(threads, own) for own in (first, second)]
        for held, pull in zip((one, two), running, strict=True):
            assert layer in held.seen(pull)
        site.entries.clear()
        site.add(artifact_of(site, NAME, new, "1.0"), crossing=2)
        site.publish()
        while json.loads(server.run("curl", "-sf", f"{server.url}/healthz").stdout)["version"] != 2:
            assert server.process.poll() is None
        for held in (one, two):
            held.release()
        for own, pull in zip((first, second), running, strict=True):
            done = pull.done.result(600)
            assert done.returncode == 0, done.stderr
            assert old.root in own.held()
            assert new.root not in own.held()
        with client(kind, server) as later:
            later.pull(NAME, "1.0")
            assert new.root in later.held()
