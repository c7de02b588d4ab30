"""Planning and rebuilding stream: what they have in memory does not grow with the file."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "bench"))

from measure.delta_memory import measure_memory

pytestmark = [pytest.mark.slow, pytest.mark.alone]

MB = 1_000_000


def test_a_pair_of_files_larger_than_the_memory_is_planned_and_rebuilt(tmp_path: Path) -> None:
    # Two members of 110 and 115 MiB, old and new: nothing that holds a member whole stays below the bounds.
    found = measure_memory(tmp_path, share=0.1)
    assert int(str(found["new_bytes"])) > 200 * MB
    assert int(str(found["segments"])) > 10
    assert float(str(found["plan_peak_mb"])) < 600
    assert float(str(found["rebuild_peak_mb"])) < 400
    assert int(str(found["patch_bytes"])) < 6 * MB
    assert found["kept"] == []
