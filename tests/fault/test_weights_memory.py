"""Comparing weights takes bounded memory, whatever the files' length.

The peak is VmHWM (proc_pid_status(5)), which begins with the program; what getrusage(2) tells is inherited.
"""

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_KIB = 300 * 1024
RUN = """
import sys
from lockgate.core.wire import encode
from lockgate.inspect.limits import Limits
from lockgate.inspect.weights.entry import CompareArgs, compare_entry
from lockgate.inspect.worker import content
import json, msgspec
base, new = open(sys.argv[1], "rb"), open(sys.argv[2], "rb")
args = msgspec.json.encode(CompareArgs(base.fileno(), Limits()))
said = json.loads(compare_entry(content(new.fileno()), args))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(said["changed"], said["equal"], peak.split()[1])
"""
ROWS, COLUMNS = 65536, 1024


def write(path: Path, last: bytes) -> None:
    """A file of 384 MiB, mostly holes: an embedding and a matrix of one huge row; the last bytes differ."""
    size = ROWS * COLUMNS * 4
    header = {
        "embed": {"dtype": "F32", "shape": [ROWS, COLUMNS], "data_offsets": [0, size]},
        "one": {"dtype": "BF16", "shape": [1, size // 4], "data_offsets": [size, size + size // 2]},
    }
    raw = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.seek(size - len(last), 1)
        file.write(last)
        file.seek(size // 2 - len(last), 1)
        file.write(last)


@pytest.mark.slow
@pytest.mark.alone
def test_files_of_384_mib_are_compared_within_300_mib(tmp_path: Path) -> None:
    write(tmp_path / "old.safetensors", b"\0\0\0\0")
    write(tmp_path / "new.safetensors", b"\0\0\x80\x3f")
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "old.safetensors"), str(tmp_path / "new.safetensors")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    changed, equal, peak = map(int, run.stdout.split())
    assert (changed, equal) == (2, 0)
    assert peak < LIMIT_KIB
