"""Two crossings of real packages: the second is a delta, rebuilt in the sandbox, and ends as a full one."""

import subprocess
import sys
from pathlib import Path

import pytest

from crossing_lane import Lane
from lockgate.app.crossing.rebuild import SandboxRebuilder
from lockgate.crossing import Received
from lockgate.inspect.sandbox import ProcessSandbox
from lockgate.store import FileBlobs

WHEELS = {1: ("idna==3.9", "markupsafe==3.0.1"), 2: ("idna==3.10", "markupsafe==3.0.2")}
PACKAGES = {1: "lodash@4.17.20", 2: "lodash@4.17.21"}

pytestmark = pytest.mark.online


def fetched(folder: Path, crossing: int) -> dict[str, bytes]:
    """Fetch a crossing's packages by their own clients."""
    folder.mkdir()
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(folder), *WHEELS[crossing]], check=True)
    subprocess.run(
        ["npm", "pack", "--silent", PACKAGES[crossing]], cwd=folder, check=True, capture_output=True
    )
    kinds = {".whl": "python", ".tgz": "npm"}
    return {f"{kinds[p.suffix]}/{p.name}": p.read_bytes() for p in sorted(folder.iterdir())}


def test_a_delta_of_real_packages_ends_as_a_full_crossing(tmp_path: Path) -> None:
    files = {number: fetched(tmp_path / str(number), number) for number in (1, 2)}
    held: list[dict[str, str]] = []
    sizes = []
    for delta in (False, True):
        folder = tmp_path / f"delta-{delta}"
        lane = Lane(low_blobs=FileBlobs(folder / "low"), quarantine=FileBlobs(folder / "quarantine"))
        opener = lane.opener(folder / "staging", rebuilder=SandboxRebuilder(ProcessSandbox()))
        for number in (1, 2):
            crate = lane.sealer(folder / "outbox").seal(lane.request(files[number], delta=delta))
            received = opener.receive(crate.path)
            assert isinstance(received, Received)
        for path, data in files[2].items():
            assert lane.quarantine.read(received.targets[path].sha256) == data
        assert crate.manifest.kind == ("delta" if delta else "full")
        sizes.append(crate.manifest.plaintext_size)
        held.append({p: t.sha256 for p, t in received.targets.items() if not p.startswith("meta/")})
    assert held[0] == held[1]
    assert sizes[1] < sizes[0] // 3
