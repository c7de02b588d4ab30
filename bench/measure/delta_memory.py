"""Peak memory of planning and rebuilding a made pair of 2 GiB; part of ``bench/delta.py --memory``.

Each step runs in a process of its own and tells its peak (VmHWM, proc_pid_status(5)), libraries included.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lockgate.crossing.bases import PathFile
from lockgate.crossing.delta.bounds import MIB, blocks
from lockgate.crossing.delta.choose import Chooser
from lockgate.crossing.delta.chunks import ChunkIndex
from lockgate.crossing.delta.plan import OldFile
from lockgate.crossing.delta.rebuild import rebuild
from lockgate.crossing.delta.recipe import read_recipe
from lockgate.crossing.deltas import spooled

MEMBERS = {"weights.bin": (1100, 8), "native.so": (1150, 6)}
"""MiB of content and bits of entropy for each byte. The second member is deflated, to three quarters."""

BLOCK = 4096
CHANGED = 200
"""One block of so many is another one in the new version."""

MOVED = 1
"""MiB of the beginning of a member that the new version has again at its end, out of reach of any window."""


def chance(*seed: int, size: int, bits: int) -> np.ndarray:
    """Return bytes of so many bits of entropy each."""
    found = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, size, np.uint8)
    return found & np.uint8((1 << bits) - 1)


def content(member: int, size: int, bits: int, *, newer: bool) -> Iterator[bytes]:
    """Yield a member's content, MiB by MiB; the newer one has changed blocks, and more in middle and end."""
    for number in range(size):
        if newer and number == size // 2:
            yield chance(member, number, 7, size=MIB, bits=bits).tobytes()
        data = chance(member, number, size=MIB, bits=bits)
        if newer:
            places = np.random.Generator(np.random.PCG64((member, number, 8))).random(MIB // BLOCK)
            for place in np.flatnonzero(places < 1 / CHANGED):
                fresh = chance(member, number, 9, int(place), size=BLOCK, bits=bits)
                data[place * BLOCK : (place + 1) * BLOCK] = fresh
        yield data.tobytes()
    if newer:
        for number in range(MOVED):
            yield chance(member, number, size=MIB, bits=bits).tobytes()


def make(path: Path, *, newer: bool, share: float) -> None:
    """Write a zip of a stored and a deflated member, of a share of the full size."""
    for number, (name, (size, bits)) in enumerate(MEMBERS.items()):
        method = zipfile.ZIP_DEFLATED if number else zipfile.ZIP_STORED
        # Level 1: writing would take minutes otherwise.
        with (
            zipfile.ZipFile(path, "a" if number else "w", method, compresslevel=1) as archive,
            archive.open(name, "w", force_zip64=True) as file,
        ):
            for data in content(number, int(size * share), bits, newer=newer):
                file.write(data)


def peak_mb() -> float:
    """Return the most memory that this process had, in megabytes."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return round(int(kib) * 1024 / 1e6, 1)


def file_sha256(path: Path) -> str:
    """Return a file's digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plan(old: Path, new: Path, patch: Path) -> dict[str, object]:
    """Plan a patch and write it to a file."""
    before = OldFile(old.name, file_sha256(old), PathFile(old, old.stat().st_size))
    sha256, begun = file_sha256(new), time.perf_counter()
    with spooled(patch.parent) as spool, ThreadPoolExecutor(2) as pool:

        def index() -> ChunkIndex:
            chunks = ChunkIndex()
            chunks.add(before)
            return chunks

        choice = Chooser(pool, spool, index).choose(
            new.name, sha256, PathFile(new, new.stat().st_size), before
        )
        seconds = time.perf_counter() - begun
        if choice.patch is None:
            sys.exit("No patch was found.")
        with patch.open("wb") as file:
            for block in blocks(choice.patch, 0, choice.size):
                file.write(block)
        recipe, _ = read_recipe(choice.patch)
    segments = [segment for stream in recipe.streams for segment in stream.segments]
    return {
        "plan_peak_mb": peak_mb(),
        "plan_s": round(seconds, 1),
        "plan_cpu_s": round(time.process_time(), 1),
        "patch_bytes": choice.size,
        "kind": choice.kind,
        "kept": list(choice.kept),
        "segments": len(segments),
        "segment_most_mib": round(max(s.size for s in segments) / MIB, 1),
        "window_most_mib": round(max(s.high - s.low for s in segments) / MIB, 1),
    }


def again(old: Path, new: Path, patch: Path) -> dict[str, object]:
    """Rebuild the new file."""
    wanted, begun = file_sha256(new), time.perf_counter()
    state = hashlib.sha256()
    for data in rebuild(PathFile(patch, patch.stat().st_size), [PathFile(old, old.stat().st_size)]):
        state.update(data)
    if state.hexdigest() != wanted:
        sys.exit("The rebuilt file is another one.")
    return {"rebuild_peak_mb": peak_mb(), "rebuild_s": round(time.perf_counter() - begun, 1)}


def fresh_bytes(share: float) -> int:
    """Return about how many bytes of the new version are new: what no patch can do without."""
    return sum(int(int(size * share) * MIB / CHANGED + MIB) * bits // 8 for size, bits in MEMBERS.values())


def measure_memory(folder: Path, share: float = 1.0) -> dict[str, object]:
    """Make the pair, plan and rebuild it; return peaks and what segments cost."""
    old, new, patch = (folder / name for name in ("old.whl", "new.whl", "patch"))
    make(old, newer=False, share=share)
    make(new, newer=True, share=share)
    found: dict[str, object] = {"old_bytes": old.stat().st_size, "new_bytes": new.stat().st_size}
    for step in ("plan", "again"):
        words = [sys.executable, __file__, step, str(old), str(new), str(patch)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        found |= json.loads(done.stdout)
    moved = sum(MOVED * MIB * bits // 8 for _, bits in MEMBERS.values())
    fresh = fresh_bytes(share)
    found |= {"really_new_bytes": fresh, "moved_out_of_reach_bytes": moved}
    found["segments_cost_bytes"] = int(str(found["patch_bytes"])) - fresh
    return found


if __name__ == "__main__":
    STEPS = {"plan": plan, "again": again}
    print(json.dumps(STEPS[sys.argv[1]](*map(Path, sys.argv[2:5]))))
    sys.exit(os.EX_OK)
