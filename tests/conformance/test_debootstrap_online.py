"""debootstrap makes a minimal system out of the mirror, from what this machine's own apt sources gave."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from corpora.lanekey import LaneKey
from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from lockgate.collect import collect
from lockgate.collect.apt import AptCommand
from lockgate.core.ports import Silent
from lockgate.store import FileBlobs

pytestmark = [pytest.mark.online, pytest.mark.slow]

MANIFEST = """[[apt]]
name = "debian"
suites = ["{suite}"]
priorities = ["required"]
packages = ["apt", "debian-archive-keyring", "usr-is-merged", "hello"]
"""


def codename():
    """Return this machine's Debian release."""
    found = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    return found[1] if found else ""


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Return a site with the minimal system of this machine's own release."""
    folder = tmp_path_factory.mktemp("minimal")
    (folder / "manifest.toml").write_text(MANIFEST.format(suite=codename()))
    site = MirrorSite(folder / "site")
    found = collect(
        folder / "manifest.toml",
        blobs=FileBlobs(site.root / "blobs"),
        work=folder / "work",
        lane="test",
        clock=lambda: datetime.now(UTC),
        progress=Silent(),
        packages=None,
        web=None,
        apt=AptCommand(os.environ),
    )
    for artifact in found.lock.artifacts:
        site.add(artifact)
    site.publish()
    return site


@pytest.mark.skipif(os.getuid() != 0, reason="debootstrap changes owners and mounts")
def test_a_minimal_system_is_made_and_runs_what_crossed(filled, tmp_path):
    key = LaneKey.at(filled.root / "repository.key")
    ring = tmp_path / "lane.gpg"
    ring.write_bytes(key.key.certificate(key.key.certify(key.signer)))
    root = tmp_path / "system"
    with Server(filled) as server:
        command = ["debootstrap", "--variant=minbase", "--include=hello", f"--keyring={ring}", codename()]
        done = subprocess.run(
            ["nsenter", "-n", "-t", str(server.process.pid), *command, str(root), f"{server.url}/apt/debian"],
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        log = root / "debootstrap/debootstrap.log"
        assert done.returncode == 0, done.stdout[-3000:] + (log.read_text()[-3000:] if log.is_file() else "")
        assert f"Valid Release signature (key id {key.key.fingerprint})" in done.stdout + done.stderr
        said = subprocess.run(
            ["chroot", str(root), "/usr/bin/hello"], capture_output=True, text=True, check=True
        )
        assert "Hello, world!" in said.stdout
        status = (root / "var/lib/dpkg/status").read_text()
        assert status.count("\nStatus: install ok installed\n") >= 50
        assert server.metric("lockgate_mirror_misses_total") == 0
    shutil.rmtree(root)
