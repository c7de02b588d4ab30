"""Real wheels from the registry are understood to the last byte."""

import subprocess
import sys

import pytest

from lockgate.core.digests import sha256
from lockgate.core.verdict import Outcome, Severity
from lockgate.inspect import InspectItem, inspect_files
from lockgate.inspect.sandbox import ProcessSandbox


@pytest.mark.online
@pytest.mark.slow
def test_numpy_and_httpx_are_wholly_understood(tmp_path) -> None:
    download = [sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", "-d", str(tmp_path)]
    subprocess.run([*download, "numpy", "httpx"], check=True, capture_output=True)
    items = [
        InspectItem(
            path=file.name,
            kind="python",
            file=file,
            sha256=sha256(file.read_bytes()),
            size=file.stat().st_size,
        )
        for file in sorted(tmp_path.glob("*.whl"))
    ]
    verdicts = {v.path.split("-")[0]: v for v in inspect_files(items, ProcessSandbox())}
    assert {"numpy", "httpx", "h11", "anyio"} <= set(verdicts)
    for verdict in verdicts.values():
        assert verdict.covered == verdict.size, verdict
        assert {found.severity for found in verdict.findings} <= {Severity.INFO}
    assert verdicts["httpx"].outcome is Outcome.CLEAN
    assert verdicts["numpy"].opaque == ("elf", "pickle")
    assert verdicts["numpy"].outcome is Outcome.OPAQUE
