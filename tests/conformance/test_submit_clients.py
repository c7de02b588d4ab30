"""Unmodified clients bring what was made inside; others get it once two people admitted it."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from corpora.gates import Scripted
from corpora.homes import HighSide
from corpora.images import IMAGE, image
from corpora.mirrorserver import Server
from corpora.wheels import build_wheel
from lockgate.app.gate.gate import execute, open_gate
from lockgate.app.submit.folder import take_all
from lockgate.infer.keys import FileKeys, new_key

WHEEL = build_wheel("team-tool", "1.0", padding=os.urandom(300_000))


@pytest.fixture(scope="module")
def high(tmp_path_factory):
    high = HighSide.new(tmp_path_factory.mktemp("submit"))
    text = high.side.home.config.read_text()
    lines = '[serve]\nopen_projects = "team-*"\nopen_namespaces = "team"\nopen_models = "team/*"\n'
    opened = text.replace("[serve]\n", lines) if "[serve]\n" in text else f"{text}\n{lines}"
    high.side.home.config.write_text(opened)
    return high


class Site:
    """As much of a `MirrorSite` as its server needs."""

    def __init__(self, root):
        self.root = root


@pytest.fixture(scope="module")
def server(high):
    with Server(Site(high.lane.high), "lockgate.app.high.mirrors:mirror_app") as running:
        yield running


def key(high, name, *labels):
    secret, kept = new_key(name, labels, lambda: datetime.now(UTC), os.urandom)
    FileKeys(high.side.home.trust / "api-keys.json").add(kept)
    return secret


def admitted(high):
    """Take what waits to the gate, and have two people admit it; return what became of it."""
    found = take_all(high.side, None, "nobody", lambda _: None)
    assert [each.code for each in found] == [""] * len(found), found
    gate = open_gate(high.side)
    for each in found:
        gate.inspect(each.number, Scripted())
        asked = gate.request(each.number, "stable", high.operator)
        execute(high.side, high.signed(asked, f"submitted-{each.number}"))
    return found


def twine(server, secret, *, check=True):
    (server.home / WHEEL.filename).write_bytes(WHEEL.data)
    command = ("/usr/bin/twine", "upload", "--non-interactive", "--disable-progress-bar")
    return server.run(
        *command,
        "--repository-url",
        f"{server.url}/legacy/",
        WHEEL.filename,
        check=check,
        TWINE_USERNAME="__token__",
        TWINE_PASSWORD=secret,
    )


def test_twine_uploads_the_gate_takes_it_and_pip_installs_it(high, server):
    refused = twine(server, key(high, "others", "push:pypi/others"), check=False)
    assert refused.returncode != 0
    assert "403" in refused.stdout + refused.stderr
    twine(server, key(high, "team", "push:pypi/team-*"))
    found = admitted(high)
    assert [each.purl for each in found] == ["pkg:pypi/team-tool@1.0"]
    pip = (sys.executable, "-m", "pip", "download", "--no-deps", "-d", "out", "-i", f"{server.url}/simple/")
    server.run(*pip, "team-tool")
    assert (server.home / "out" / WHEEL.filename).read_bytes() == WHEEL.data
    artifact = open_gate(high.side).served("stable").admitted[0].artifact
    assert artifact.attributes["submitted-by"] == "team"


def test_skopeo_pushes_an_image_and_pulls_what_was_admitted(high, server):
    made = image({"tool": os.urandom(100_000)})
    layout = server.home / "made"
    for digest, data in {**made.manifests, **made.blobs}.items():
        file = layout / "blobs" / "sha256" / digest.removeprefix("sha256:")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    listed = [{"mediaType": IMAGE, "digest": made.root, "size": len(made.manifests[made.root])}]
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": listed}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    registry = server.url.removeprefix("http://")

    def copy(source, target, *, check=True):
        command = ("skopeo", "--insecure-policy", "copy", "--preserve-digests")
        plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
        return server.run(*command, *plain, source, target, check=check, TMPDIR=str(server.home))

    copy("oci:made", f"docker://{registry}/team/app:1.0")
    inside = f"docker://{registry}/inside/team/app:1.0"
    assert copy(inside, "oci:early:1", check=False).returncode != 0
    (found,) = admitted(high)
    assert made.root.removeprefix("sha256:") in found.purl
    copy(inside, "oci:pulled:1.0")
    blobs = (server.home / "pulled" / "blobs" / "sha256").iterdir()
    assert {f"sha256:{b.name}": b.read_bytes() for b in blobs} == {**made.manifests, **made.blobs}
    admitted_now = {a.artifact.name: a.artifact for a in open_gate(high.side).served("stable").admitted}
    artifact = admitted_now["inside/team/app"]
    assert artifact.attributes["submitted-by"] == "address 127.0.0.1"


def hf(server, secret, *words, check=True, **environment):
    given = {"HF_TOKEN": secret, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(server.home / "hf"), **environment}
    return server.run(str(Path(sys.executable).with_name("hf")), *words, check=check, **given)


def test_hf_uploads_a_model_with_large_files_and_downloads_what_was_admitted(high, server):
    contents = {
        "model.safetensors": os.urandom((9 << 20) + 3),
        "config.json": b"{}",
        "README.md": b"---\nbase_model: org/base\n---\n# Tuned\n",
        "deep/er/part.bin": os.urandom(100),
    }
    for name, data in contents.items():
        file = server.home / "tuned" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    refused = hf(
        server, key(high, "strange", "push:hf/other/*"), "upload", "team/tuned", "tuned", check=False
    )
    assert refused.returncode != 0
    assert "403" in refused.stdout + refused.stderr
    secret = key(high, "tuner", "push:hf/team/*")
    without_xet = hf(server, secret, "upload", "team/tuned", "tuned", check=False, HF_HUB_DISABLE_XET="0")
    assert without_xet.returncode != 0, "by Xet nothing goes over"
    hf(server, secret, "upload", "team/tuned", "tuned")
    (found,) = admitted(high)
    assert found.purl.startswith("pkg:huggingface/team/tuned@")
    hf(server, secret, "download", "team/tuned", "--local-dir", "got")
    got = server.home / "got"
    assert {name: (got / name).read_bytes() for name in contents} == contents
    artifacts = {a.artifact.name: a.artifact for a in open_gate(high.side).served("stable").admitted}
    assert artifacts["team/tuned"].attributes["submitted-by"] == "tuner"
