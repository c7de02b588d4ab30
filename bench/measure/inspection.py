"""What inspection costs: against SHA-256 of the same bytes, against a peer, and the sandbox against none.

All ratios come from one run. `safetensors_vs_sha256` and `gguf_vs_sha256` are rates over SHA-256's rate
(1: as fast as hashing). `torch_vs_modelaudit` is modelaudit's time over ours on a torch archive (its
telemetry is off; it is the program that `--modelaudit` names, or else taken from the index that pip is
configured for, into an environment of its own; without either the key is left out).
`small_files_vs_read_hash` is our time over `zipfile` inflating and hashing every member of small wheels, both
in one process; `sandbox_vs_bare` is the time in the warm sandbox, one forked child for each file, over
parsing the same files in this process. `packages_vs_read_hash` and `sandbox_vs_bare_packages` are the same
for the small packages of the running environment, packed as wheels. What is loaded and compiled once is
loaded before, on either side.
Beside both stand the steps that no way of doing it is without, alone: hashing, inflating and trying the rules
on each member; and forking, confining and ending a child that parses nothing (an empty file). `processors'
seconds` are those of all processes of the sandbox together, which other work on the machine hides less than
the time that passes.
`--wheels` compares the wheels of a folder as well, whose times are those of the processor. `--quick` takes
smaller files and fewer of them.
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

import structlog

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).parent))

import small_wheels

from corpora import inspection_content as make
from corpora.inspection_pickles import text, torch_zip
from lockgate.core.digests import sha256_stream
from lockgate.inspect import InspectItem, Limits, Sandbox, first_look, inspect_file, inspect_files
from lockgate.inspect.insecure import InsecureInProcessSandbox
from lockgate.inspect.warm import WarmSandbox

MIB = 1 << 20
_BLOCK = os.urandom(MIB)
_MODELAUDIT_ENVIRONMENT = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "NO_ANALYTICS": "1", "DO_NOT_TRACK": "1"}


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


def steps(paths: list[Path]) -> None:
    """Hash each file; inflate each member, check and hash it, and try the rules that its name asks for."""
    rules = {kind: first_look._scanner(kind).made for kind in ("py", "text")}  # noqa: SLF001  # without what is around
    for path in paths:
        hashlib.sha256(path.read_bytes()).digest()
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                data = archive.read(info)
                hashlib.sha256(data).digest()
                rules["py" if info.filename.endswith(".py") else "text"].scan(data)


def seconds_of_all(items: list[InspectItem], sandbox: Sandbox, jobs: int) -> float:
    """Return the processors' seconds that this process and all that it started take for some files."""
    before = _used()
    inspect_files(items, sandbox, jobs=jobs)
    return _used() - before


def _used() -> float:
    """Return the seconds used up to now (proc(5), /proc/pid/stat): a child's count once it was waited for."""
    used, todo = time.process_time(), _children(os.getpid())
    while todo:
        number = todo.pop()
        after_name = Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        used += sum(map(int, after_name[11:15])) / os.sysconf("SC_CLK_TCK")
        todo += _children(number)
    return used


def _children(number: int) -> list[int]:
    found = Path(f"/proc/{number}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text(encoding="ascii").split()]


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


def modelaudit(folder: Path, program: str | None) -> str | None:
    """Return modelaudit's program: the one that is named, or one from an environment made for it."""
    if program:
        return shutil.which(program)
    where = folder / "peer"
    subprocess.run([sys.executable, "-m", "venv", str(where)], check=True, capture_output=True)
    command = [str(where / "bin" / "pip"), "install", "--quiet", "modelaudit"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"There is no modelaudit: {done.stderr.strip()[-200:]}", file=sys.stderr)
        return None
    return str(where / "bin" / "modelaudit")


def against_modelaudit(path: Path, program: str, sandbox: Sandbox, rounds: int) -> dict[str, Any]:
    """Return the seconds that ours and modelaudit take on a torch archive, its start included."""
    what, limits = item(path), Limits()
    verdict = inspect_file(what, sandbox, limits)
    ours = best(lambda: inspect_file(what, sandbox, limits), rounds)
    command = [program, "scan", "--format", "json", str(path)]
    environment = {**os.environ, **_MODELAUDIT_ENVIRONMENT}
    said: list[bytes] = []
    theirs = best(
        lambda: said.append(
            subprocess.run(command, env=environment, capture_output=True, check=False).stdout
        ),
        1,
    )
    if b"files_scanned" not in said[-1]:
        sys.exit(f"modelaudit scanned nothing: {said[-1][-300:]!r}")
    return {
        "what": path.name,
        "outcome": str(verdict.outcome),
        "mib": round(what.size / MIB),
        "ours": ours,
        "peer": theirs,
    }


def small_files(
    folder: Path, count: int, sandbox: Sandbox, rounds: int
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return the seconds that small wheels take bare and sandboxed, with their bounds, and both ratios."""
    paths = small_wheels.made(folder, count)
    items = [item(path, "lock_demo-1.0-py3-none-any.whl", "python") for path in paths]
    nothing = folder / "nothing"
    nothing.touch()
    bare, jobs = InsecureInProcessSandbox(), os.cpu_count() or 1
    inspect_files(items[:1], bare, jobs=1)
    alone = best(lambda: inspect_files(items, bare, jobs=1), rounds)
    peer = best(lambda: inflated(paths), rounds)
    boxed = best(lambda: inspect_files(items, sandbox, jobs=jobs), rounds)
    one = best(lambda: inspect_files(items, sandbox, jobs=1), 1)
    empty = best(lambda: inspect_files([item(nothing)] * count, sandbox, jobs=jobs), rounds)
    bare_used = cpu(lambda: inspect_files(items, bare, jobs=1))
    boxed_used = seconds_of_all(items, sandbox, jobs)
    rows = [
        {"what": f"{count} wheels", "ours": alone, "peer": peer},
        {"what": f"{count} wheels, steps alone", "ours": best(lambda: steps(paths), rounds), "peer": peer},
        {"what": f"{count} wheels, sandboxed by {jobs}", "ours": boxed, "peer": alone},
        {"what": f"{count} wheels, sandboxed by 1", "ours": one, "peer": alone},
        {"what": f"{count} empty files, sandboxed by {jobs}", "ours": empty, "peer": alone},
        {
            "what": "processors' seconds, sandboxed",
            "ours": boxed_used,
            "peer": bare_used,
        },
    ]
    return rows, {"small_files_vs_read_hash": alone / peer, "sandbox_vs_bare": boxed / alone}


def packages(folder: Path, sandbox: Sandbox, rounds: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return the seconds that small packages as they are take bare and sandboxed, and both ratios."""
    paths = small_wheels.installed(folder / "installed")
    items = [item(path, kind="python") for path in paths]
    bare, jobs = InsecureInProcessSandbox(), os.cpu_count() or 1
    alone = best(lambda: inspect_files(items, bare, jobs=1), rounds)
    boxed = best(lambda: inspect_files(items, sandbox, jobs=jobs), rounds)
    peer = best(lambda: inflated(paths), rounds)
    rows = [
        {"what": f"{len(paths)} packages", "ours": alone, "peer": peer},
        {"what": f"{len(paths)} packages, sandboxed by {jobs}", "ours": boxed, "peer": alone},
    ]
    return rows, {"packages_vs_read_hash": alone / peer, "sandbox_vs_bare_packages": boxed / alone}


def real_wheels(folder: Path) -> dict[str, Any]:
    """Return the processor's seconds of ours and of inflating and hashing, over the wheels of a folder."""
    paths = sorted(folder.glob("*.whl"))
    items = [item(path, kind="python") for path in paths]
    bare = InsecureInProcessSandbox()
    inspect_files(items[:1], bare, jobs=1)
    ours, peer = (
        cpu(lambda: inspect_files(items, bare, jobs=1)),
        cpu(lambda: inflated(paths)),
    )
    return {"what": f"{len(paths)} wheels of {folder.name}", "ours": ours, "peer": peer}


def cpu(work: Callable[[], Any]) -> float:
    """Return the processor's seconds that something takes in this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller files, fewer of them")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--modelaudit", help="modelaudit's program; left out, it is installed for the while")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels to compare as well")
    parser.add_argument("--folder", type=Path, help="where the files are made")
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # the table stands alone
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
        if program := modelaudit(folder, options.modelaudit):
            row = against_modelaudit(torch_file(folder, torch), program, sandbox, rounds)
            rows.append(row)
            ratios["torch_vs_modelaudit"] = row["peer"] / row["ours"]
        else:
            print("modelaudit is not there: torch_vs_modelaudit is left out.", file=sys.stderr)
        more, told = small_files(folder, wheels, sandbox, rounds)
        rows += more
        ratios |= told
        more, told = packages(folder, sandbox, rounds)
        rows += more
        ratios |= told
        if options.wheels:
            rows.append(real_wheels(options.wheels))
    machine = {"python": platform.python_version(), "processors": os.cpu_count()}
    if options.json:
        print(json.dumps({"machine": machine, "ratios": ratios, "rows": rows}))
        return
    for row in rows:
        print(f"{row['what']:34} ours {row['ours']:10.3f}   peer {row['peer']:10.3f}")
    for name, value in ratios.items():
        print(f"{name:34} {value:.3f}")


if __name__ == "__main__":
    main()
