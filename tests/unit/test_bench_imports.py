"""Every benchmark finds what it imports: a name that moved is told here, not minutes into a measurement."""

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PROGRAMS = sorted({*(TOP / "bench").glob("*.py"), *(TOP / "bench/measure").glob("*.py")})
LOAD = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='looked_at')"
NAMESAKE = TOP / "bench" / "inspect.py"
"""It bears the name of a module of the standard library, and hands over to `measure/inspection.py`."""


def loaded(path):
    """Return how a program's definitions are run, and nothing that it does when it is the main one."""
    given = {"PYTHONPATH": str(TOP / "tests"), "PATH": "/usr/bin:/bin", "PYTHONSAFEPATH": "1"}
    command = f"import sys; sys.path.append({str(path.parent)!r}); {LOAD}"
    return subprocess.run(
        [sys.executable, "-c", command, str(path)],
        check=False, capture_output=True, text=True, env=given, cwd=TOP,
    )  # fmt: skip


@pytest.mark.parametrize("path", [p for p in PROGRAMS if p != NAMESAKE], ids=lambda path: path.name)
def test_a_benchmark_finds_what_it_imports(path):
    done = loaded(path)
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_gone_is_told(tmp_path):
    program = tmp_path / "bench.py"
    program.write_text("from corpora.mirrorsite import nothing_of_the_kind\n")
    assert "nothing_of_the_kind" in loaded(program).stderr
