"""Delivery to a registry that gives tokens, another Lockgate's open namespace, and skopeo pulling from it."""

import os
import sys
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from corpora.gates import Scripted
from corpora.homes import HighSide
from corpora.images import artifact_of, image, index
from corpora.mirrorserver import Server
from lockgate.app.gate.gate import execute, open_gate
from lockgate.core.artifact import ArtifactFile, Role
from lockgate.infer.keys import FileKeys, new_key
from lockgate.store import FileBlobs

NAME = "registry.test/team/app"


class Quarantine:
    """Puts the files of artifacts into a high side's quarantine."""

    def __init__(self, high):
        self.blobs = FileBlobs(high.side.home.quarantine)

    def file(self, path, data, role=Role.OTHER):
        self.blobs.put_bytes(data)
        return ArtifactFile(path=path, role=role, size=len(data), sha256=sha256(data).hexdigest())

    def add(self, artifact):
        return artifact


class Site:
    """As much of a `MirrorSite` as its server needs."""

    def __init__(self, root):
        self.root = root


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    high = HighSide.new(tmp_path_factory.mktemp("source"))
    made = index(image({"big": os.urandom(2 << 20)}), image({"a": b"b"}, "arm64"))
    high.arrive_with(1, artifact_of(Quarantine(high), NAME, made, "1.0", "latest"))
    gate = open_gate(high.side)
    gate.inspect(1, Scripted())
    execute(high.side, high.signed(gate.request(1, "stable", high.operator), "image"))
    return high


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    high = HighSide.new(tmp_path_factory.mktemp("target"))
    home = high.side.home
    text = home.config.read_text()
    lines = 'mirror_access = "labels"\nopen_namespaces = "team"\n'
    home.config.write_text(
        text.replace("[serve]\n", f"[serve]\n{lines}") if "[serve]" in text else f"{text}\n[serve]\n{lines}"
    )
    secret, kept = new_key("robot", ("push:team",), lambda: datetime.now(UTC), os.urandom)
    FileKeys(home.trust / "api-keys.json").add(kept)
    with Server(Site(high.lane.high), "lockgate.app.high.mirrors:mirror_app") as running:
        running.key = secret
        yield running


def deliver(source, target, *more, check=True):
    command = (sys.executable, "-m", "lockgate.cli.main", "deliver", target.url, "--kind", "oci")
    home = ("--prefix", "team/mirror", "--home", str(source.lane.high))
    return target.run(*command, *home, *more, check=check)


def test_an_image_is_delivered_with_a_token_and_pulled_by_skopeo(source, target, tmp_path):
    key = tmp_path / "key"
    key.write_text(f"robot:{target.key}\n")
    assert "LG-5fbd" in deliver(source, target, check=False).stderr  # without a key
    done = deliver(source, target, "--credentials", str(key))
    assert "1 of 1 artifacts are there" in done.stdout
    assert "piece by piece" in done.stdout
    deliver(source, target, "--credentials", str(key), "--compare")
    host = target.url.removeprefix("http://")
    target.run(
        "skopeo",
        "--insecure-policy",
        "copy",
        "--all",
        "--src-tls-verify=false",
        "--src-creds",
        f"robot:{target.key}",
        f"docker://{host}/team/mirror/{NAME}:1.0",
        f"oci:{tmp_path}/out:1",
        TMPDIR=str(tmp_path),
    )
    assert (tmp_path / "out/index.json").is_file()
