"""What inspection costs: against SHA-256 of the same bytes, against a peer, and the sandbox against none.

All ratios come from one run. `safetensors_vs_sha256` and `gguf_vs_sha256` are rates over SHA-256's rate
(1: as fast as hashing). `torch_vs_modelaudit` is modelaudit's time over ours on a torch archive (its
telemetry is off; it is looked for as the program that `--modelaudit` names, and without it the key is
left out). `small_files_vs_read_hash` is our time over `zipfile` inflating and hashing every member of
small wheels, both in one process; `sandbox_vs_bare` is the time in the warm sandbox, one forked child for
each file, over parsing the same files in this process. `--quick` takes smaller files and fewer of them.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from corpora import inspection_content as make
from corpora.inspection_pickles import text, torch_zip
from lockgate.core.digests import sha256_stream
from lockgate.inspect import InspectItem, Limits, Sandbox, inspect_file, inspect_files
from lockgate.inspect.insecure import InsecureInProcessSandbox
from lockgate.inspect.warm import WarmSandbox

MIB = 1 << 20
_BLOCK = os.urandom(MIB)
_MODELAUDIT_ENVIRONMENT = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "NO_ANALYTICS": "1"}


def _fill(path: Path, head: bytes, size: int) -> Path:
    """Write a file of a header and `size` bytes that do not compress."""
    with path.open("wb") as stream:
        stream.write(head)
        for _ in range(size // MIB):
            stream.write(_BLOCK)
    return path


def safetensors_file(folder: Path, size: int) -> Path:
    """Write a model of 100 tensors."""
    each = size // 100 // 4 * 4
    spans = [(n * each, (n + 1) * each) for n in range(99)]
    spans.append((99 * each, size))
    table = {
        f"layer.{n}": {"dtype": "U8", "shape": [end - start], "data_offsets": [start, end]}
        for n, (start, end) in enumerate(spans)
    }
    raw = json.dumps(table).encode()
    return _fill(folder / "m.safetensors", struct.pack("<Q", len(raw)) + raw, size)


def gguf_file(folder: Path, size: int) -> Path:
    """Write a model of 64 tensors of 32-bit floats."""
    each = size // 64
    tensors = [(f"t{n}", (each // 4,), 0, n * each) for n in range(64)]
    return _fill(folder / "m.gguf", make.gguf(tensors=tensors, body=b""), size)


def torch_file(folder: Path, size: int) -> Path:
    """Write a state dict with one storage."""
    count = size // 4
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n((" + text(b"storage") + b"ctorch\nFloatStorage\n" + text(b"0")
        + text(b"cpu") + b"J" + struct.pack("<i", count) + b"tQK\x00J" + struct.pack("<i", count)
        + b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip
    path = folder / "m.pt"
    body = _BLOCK * (size // MIB)
    path.write_bytes(torch_zip(b"\x80\x02}(" + text(b"w") + tensor + b"u.", storages={"0": body}))
    return path


def wheel_files(folder: Path, count: int) -> list[Path]:
    """Write small wheels of Python modules, each with other content."""
    paths = []
    for number in range(count):
        modules = {
            f"lock_demo/m{part}.py": "".join(
                f"def f{line}(value):\n    return value + {number * line + part}\n\n\n" for line in range(60)
            ).encode()
            for part in range(4)
        }
        paths.append(folder / f"{number}.whl")
        paths[-1].write_bytes(make.wheel(modules))
    return paths


def item(path: Path, name: str | None = None, kind: str = "model") -> InspectItem:
    """Return a file as an item, with its digest."""
    with path.open("rb") as stream:
        digest, size = sha256_stream(stream)
    return InspectItem(path=name or path.name, kind=kind, file=path, sha256=digest, size=size)


def best(work: Callable[[], Any], rounds: int) -> float:
    """Return the shortest of some runs, in seconds."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def hashed(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def inflated(paths: list[Path]) -> None:
    """Inflate and hash every member of some archives."""
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                hashlib.sha256(archive.read(info)).digest()


def against_hash(path: Path, sandbox: Sandbox, rounds: int) -> dict[str, Any]:
    """Return the rates of inspection and of SHA-256 over one large file, in MiB/s."""
    what, limits = item(path), Limits()
    verdict = inspect_file(what, sandbox, limits)
    ours = best(lambda: inspect_file(what, sandbox, limits), rounds)
    theirs = best(lambda: hashed(path), rounds)
    size = what.size / MIB
    return {
        "what": path.name,
        "outcome": str(verdict.outcome),
        "mib": round(size),
        "ours": size / ours,
        "peer": size / theirs,
    }


def against_modelaudit(path: Path, program: str, sandbox: Sandbox, rounds: int) -> dict[str, Any] | None:
    """Return the seconds that ours and modelaudit take on a torch archive, start-up of both included."""
    found = shutil.which(program)
    if found is None:
        return None
    what, limits = item(path), Limits()
    verdict = inspect_file(what, sandbox, limits)
    ours = best(lambda: inspect_file(what, sandbox, limits), rounds)
    command = [found, "scan", "--format", "json", str(path)]
    environment = {**os.environ, **_MODELAUDIT_ENVIRONMENT}
    theirs = best(
        lambda: subprocess.run(command, env=environment, capture_output=True, check=False),
        1,
    )
    return {
        "what": path.name,
        "outcome": str(verdict.outcome),
        "mib": round(what.size / MIB),
        "ours": ours,
        "peer": theirs,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller files, fewer of them")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--modelaudit", default="modelaudit", help="modelaudit's program")
    parser.add_argument("--folder", type=Path, help="where the files are made")
    options = parser.parse_args()
    large, torch, wheels = (64 * MIB, 32 * MIB, 150) if options.quick else (1024 * MIB, 210 * MIB, 2000)
    rounds = 2 if options.quick else 3
    with tempfile.TemporaryDirectory(dir=options.folder) as made, WarmSandbox() as sandbox:
        folder = Path(made)
        rows = [against_hash(safetensors_file(folder, large), sandbox, rounds)]
        rows.append(against_hash(gguf_file(folder, large), sandbox, rounds))
        ratios = {
            "safetensors_vs_sha256": rows[0]["ours"] / rows[0]["peer"],
            "gguf_vs_sha256": rows[1]["ours"] / rows[1]["peer"],
        }
        row = against_modelaudit(torch_file(folder, torch), options.modelaudit, sandbox, rounds)
        if row:
            rows.append(row)
            ratios["torch_vs_modelaudit"] = row["peer"] / row["ours"]
        else:
            print("modelaudit is not installed: torch_vs_modelaudit is left out.", file=sys.stderr)
        paths = wheel_files(folder, wheels)
        items = [item(path, "lock_demo-1.0-py3-none-any.whl", "python") for path in paths]
        bare = InsecureInProcessSandbox()
        alone = best(lambda: inspect_files(items, bare, jobs=1), 1)
        peer = best(lambda: inflated(paths), rounds)
        jobs = os.cpu_count() or 1
        boxed = best(lambda: inspect_files(items, sandbox, jobs=jobs), 1)
        one = best(lambda: inspect_files(items, sandbox, jobs=1), 1)
        rows.append({"what": f"{wheels} wheels", "ours": alone, "peer": peer})
        rows.append({"what": f"{wheels} wheels, sandboxed by {jobs}", "ours": boxed, "peer": alone})
        rows.append({"what": f"{wheels} wheels, sandboxed by 1", "ours": one, "peer": alone})
        ratios["small_files_vs_read_hash"] = alone / peer
        ratios["sandbox_vs_bare"] = boxed / alone
    machine = {"python": platform.python_version(), "processors": os.cpu_count()}
    if options.json:
        print(json.dumps({"machine": machine, "ratios": ratios, "rows": rows}))
        return
    for row in rows:
        print(f"{row['what']:32} ours {row['ours']:10.3f}   peer {row['peer']:10.3f}")
    for name, value in ratios.items():
        print(f"{name:32} {value:.3f}")


if __name__ == "__main__":
    main()
