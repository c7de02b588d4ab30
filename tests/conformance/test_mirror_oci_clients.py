"""Unmodified clients of container registries against the mirror, where there is no network but loopback."""

import json
import os
import tempfile
import threading
from pathlib import Path

import pytest

from corpora.imageclients import Podman
from corpora.images import artifact_of, image, index, refers, titled
from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from corpora.pythonclients import installed_python_clients

AMD = image({"hello": b"amd\n", "big": os.urandom(3 << 20)})
ARM = image({"hello": b"arm\n"}, "arm64")
BOTH = index(AMD, ARM)
SIGNED = refers(BOTH, by="a test")
DATA = {"table.csv": b"a,b\n1,2\n", "weights.bin": os.urandom(90_000)}
HOST = "127.0.0.1:8710"
NAME = "registry.test/team/app"
SOURCE = f"docker://{HOST}/{NAME}"
PLAIN = ("--src-tls-verify=false", "--insecure-policy")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("oci"))
    site.add(artifact_of(site, NAME, index(AMD, ARM).include(SIGNED), "1.0", "latest"))
    site.add(artifact_of(site, "registry.test/team/data", titled(DATA), "2"))
    site.publish()
    with Server(site) as running:
        yield running


def skopeo(server, *arguments, check=True):
    return server.run("skopeo", *arguments, check=check, TMPDIR=str(server.home))


def copied(server, folder):
    """Return the blobs of an OCI layout by digest."""
    blobs = server.home / folder / "blobs" / "sha256"
    return {f"sha256:{path.name}": path.read_bytes() for path in blobs.iterdir()}


def test_skopeo_copies_all_platforms_byte_for_byte(server):
    skopeo(
        server,
        *PLAIN[1:],
        "copy",
        "--src-tls-verify=false",
        "--all",
        "--preserve-digests",
        f"{SOURCE}:1.0",
        "oci:all:1.0",
    )
    assert copied(server, "all") == {**BOTH.manifests, **BOTH.blobs}
    listed = json.loads((server.home / "all" / "index.json").read_text())["manifests"]
    assert [entry["digest"] for entry in listed] == [BOTH.root]


def test_skopeo_copies_one_platform_by_digest(server):
    reference = f"{SOURCE}@{ARM.root}"
    skopeo(
        server,
        PLAIN[1],
        "copy",
        PLAIN[0],
        "--preserve-digests",
        "--override-arch",
        "arm64",
        reference,
        "oci:arm:1",
    )
    assert copied(server, "arm") == {**ARM.manifests, **ARM.blobs}


def test_skopeo_inspects_and_lists_tags(server):
    raw = skopeo(server, "inspect", "--raw", "--tls-verify=false", f"{SOURCE}:latest").stdout
    assert raw.encode() == BOTH.manifests[BOTH.root]
    inspected = skopeo(
        server, "--override-arch", "amd64", "inspect", "--tls-verify=false", f"{SOURCE}:1.0"
    ).stdout
    facts = json.loads(inspected)
    assert facts["Digest"] == BOTH.root
    assert facts["RepoTags"] == ["1.0", "latest"]
    tags = json.loads(skopeo(server, "list-tags", "--tls-verify=false", SOURCE).stdout)
    assert tags["Tags"] == ["1.0", "latest"]


def test_skopeo_says_plainly_what_is_missing(server):
    for reference in (f"{SOURCE}:absent", f"docker://{HOST}/absent/thing:1"):
        done = skopeo(server, "inspect", "--tls-verify=false", reference, check=False)
        assert done.returncode != 0
        assert "manifest unknown" in done.stderr or "name unknown" in done.stderr


def test_skopeo_cannot_push(server):
    done = skopeo(
        server, PLAIN[1], "copy", "--dest-tls-verify=false", "oci:all:1.0", f"{SOURCE}:mine", check=False
    )
    assert done.returncode != 0


def test_buildah_pulls_through_the_mirror_of_another_registry(server):
    """The image is asked for under its own registry's name, which is mirrored here."""
    store = server.home / "store"
    conf = server.home / "registries.conf"
    conf.write_text(
        '[[registry]]\nprefix = "registry.test"\nlocation = "registry.test"\n'
        f'[[registry.mirror]]\nlocation = "{HOST}/registry.test"\ninsecure = true\n'
    )
    policy = server.home / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    options = ["--root", str(store), "--runroot", str(server.home / "runroot"), "--storage-driver", "vfs"]
    options += ["--registries-conf", str(conf)]
    server.run(
        "buildah",
        *options,
        "pull",
        "--signature-policy",
        str(policy),
        f"{NAME}:1.0",
        BUILDAH_ISOLATION="chroot",
    )
    shown = json.loads(server.run("buildah", *options, "images", "--json", "--digests").stdout)
    assert [(entry["names"], entry["digest"]) for entry in shown] == [([f"{NAME}:1.0"], BOTH.root)]


@pytest.fixture
def short_folder():
    """A folder with a short name: podman takes no other for what it keeps while it runs."""
    with tempfile.TemporaryDirectory(prefix="pod") as folder:
        yield Path(folder)


def test_podman_pulls_through_the_mirror_and_runs_nothing(server, short_folder):
    """What is not there is said by its name."""
    podman = Podman(server, short_folder)
    podman.pull("--arch", "arm64", f"{HOST}/{NAME}:1.0")
    assert ARM.root in podman.digests()
    (about,) = json.loads(podman("image", "inspect", f"{HOST}/{NAME}:1.0").stdout)
    assert about["Architecture"] == "arm64"
    missing = podman.pull(f"{HOST}/{NAME}:absent", check=False)
    assert missing.returncode != 0
    assert "manifest unknown" in missing.stderr


def test_two_podmans_through_a_channel_switch_each_hold_the_old_image_or_the_new_one(tmp_path, short_folder):
    """What the old tag named is gone from the new snapshot, and still comes whole."""
    images = [image({"number": mark, "noise": os.urandom(1 << 20)}) for mark in (b"one", b"two")]
    site = MirrorSite(tmp_path)
    site.add(artifact_of(site, NAME, images[0], "1.0"))
    site.publish()
    with Server(site) as own:
        clients = []
        for number in range(2):
            folder = short_folder / str(number)
            folder.mkdir()
            clients.append(Podman(own, folder))
        results = {}

        def pull(number):
            results[number] = clients[number].pull(f"{HOST}/{NAME}:1.0", check=False)

        threads = [threading.Thread(target=pull, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        site.entries.clear()
        site.add(artifact_of(site, NAME, images[1], "1.0"), crossing=2)
        site.publish()
        for thread in threads:
            thread.join()
        for number, done in results.items():
            assert done.returncode == 0, done.stderr
            assert clients[number].digests() & {made.root for made in images}


@pytest.mark.online
@pytest.mark.slow
def test_oras_pulls_files_that_are_no_image(server):
    """The ORAS project's own client for Python: an artifact of two files, each under its title."""
    code = (
        "from oras.client import OrasClient\n"
        "client = OrasClient(insecure=True, tls_verify=False)\n"
        f"print(*client.get_tags('{HOST}/registry.test/team/data'))\n"
        f"client.pull(target='{HOST}/registry.test/team/data:2', outdir='pulled')\n"
    )
    python = str(installed_python_clients() / "python")
    assert server.run(python, "-c", code).stdout.splitlines()[0] == "2"
    for name, data in DATA.items():
        assert (server.home / "pulled" / name).read_bytes() == data


def test_an_interrupted_blob_is_resumed(server):
    key = next(key for key, data in AMD.blobs.items() if len(data) > 1 << 20)
    part = server.home / "layer"
    part.write_bytes(AMD.blobs[key][: 1 << 20])
    server.run("curl", "-sSf", "-C", "-", "-o", str(part), f"{server.url}/v2/{NAME}/blobs/{key}")
    assert part.read_bytes() == AMD.blobs[key]
    tag = (
        server.run("curl", "-sSfI", f"{server.url}/v2/{NAME}/manifests/1.0")
        .stdout.lower()
        .split("etag: ")[1]
        .split()[0]
    )
    asked = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"If-None-Match: {tag}")
    assert server.run(*asked, f"{server.url}/v2/{NAME}/manifests/1.0").stdout == "304"


def test_two_clients_at_once_through_a_channel_switch_each_get_a_whole_image(tmp_path):
    site = MirrorSite(tmp_path)
    site.add(artifact_of(site, NAME, BOTH, "1.0"))
    site.publish()
    with Server(site) as own:
        results = {}

        def pull(number):
            arguments = (
                PLAIN[1],
                "copy",
                PLAIN[0],
                "--all",
                "--preserve-digests",
                f"{SOURCE}:1.0",
                f"oci:o{number}:1",
            )
            results[number] = skopeo(own, *arguments, check=False)

        clients = [threading.Thread(target=pull, args=(number,)) for number in range(2)]
        for client in clients:
            client.start()
        site.add(artifact_of(site, NAME, ARM, "1.0"), crossing=2)
        site.publish()
        for client in clients:
            client.join()
        for number, done in results.items():
            assert done.returncode == 0, done.stderr
            held = copied(own, f"o{number}")
            assert BOTH.root in held or ARM.root in held
        raw = skopeo(own, "inspect", "--raw", "--tls-verify=false", f"{SOURCE}:1.0").stdout
        assert raw.encode() == ARM.manifests[ARM.root]
