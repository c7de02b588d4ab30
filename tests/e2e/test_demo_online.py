"""The demonstration as a newcomer runs it: twice, then cleaned up."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.online


def run(folder: Path, *options: str) -> str:
    ran = subprocess.run(
        [sys.executable, ROOT / "demo" / "run.py", "--folder", folder, *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "TERM": "dumb"},
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    return ran.stdout


def test_the_demonstration_from_manifest_to_cited_answers(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    try:
        told = run(folder)
        assert "refused, as it must be: LG-3001" in told
        assert "Answers        5 of 5 as expected" in told
        assert "What left      0 packets" in told
        assert "hashed, enforced (sealed memfd)" in told
        assert re.search(r"positive control: (\d+) sent on purpose, counter rose by \1", told)
        page = (folder / "report.html").read_text()
        assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
        assert "<script" not in page
        facts = json.loads((folder / "steps.json").read_text())
        assert facts["peak_bytes"] < 4 * 2**30
        again = run(folder, "--ask", "Where are spare keys kept?", "--stop")
        assert "published already" in again
        assert "installed already" in again
        assert "Where are spare keys kept?" in again
    finally:
        run(folder, "--clean")
    assert not folder.exists()
