"""Unmodified twine uploads what was made inside; pip gets it once two people admitted it."""

import os
import sys
from datetime import UTC, datetime

import pytest

from corpora.gates import Scripted
from corpora.homes import HighSide
from corpora.mirrorserver import Server
from corpora.wheels import build_wheel
from lockgate.app.gate.gate import execute, open_gate
from lockgate.app.submit.folder import take_all
from lockgate.infer.keys import FileKeys, new_key

WHEEL = build_wheel("team-tool", "1.0", padding=os.urandom(300_000))


@pytest.fixture(scope="module")
def high(tmp_path_factory):
    high = HighSide.new(tmp_path_factory.mktemp("twine"))
    text = high.side.home.config.read_text()
    opened = (
        text.replace("[serve]", '[serve]\nopen_projects = "team-*"')
        if "[serve]" in text
        else (f'{text}\n[serve]\nopen_projects = "team-*"\n')
    )
    high.side.home.config.write_text(opened)
    return high


class Site:
    """As much of a `MirrorSite` as its server needs."""

    def __init__(self, root):
        self.root = root


@pytest.fixture(scope="module")
def server(high):
    with Server(Site(high.lane.high), "lockgate.app.high.serving:mirror_app") as running:
        yield running


def key(high, name, *labels):
    secret, kept = new_key(name, labels, lambda: datetime.now(UTC), os.urandom)
    FileKeys(high.side.home.trust / "api-keys.json").add(kept)
    return secret


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
    found = take_all(high.side, None, "nobody", lambda _: None)
    assert [each.purl for each in found] == ["pkg:pypi/team-tool@1.0"]
    gate = open_gate(high.side)
    gate.inspect(found[0].number, Scripted())
    asked = gate.request(found[0].number, "stable", high.operator)
    execute(high.side, high.signed(asked, "uploaded"))
    pip = (sys.executable, "-m", "pip", "download", "--no-deps", "-d", "out", "-i", f"{server.url}/simple/")
    server.run(*pip, "team-tool")
    assert (server.home / "out" / WHEEL.filename).read_bytes() == WHEEL.data
    artifact = open_gate(high.side).served("stable").admitted[0].artifact
    assert artifact.attributes["submitted-by"] == "team"
