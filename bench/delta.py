"""How few bytes a new version takes on media, beside other ways of sending it, in the same run.

    python bench/delta.py [--quick] [--json] [--folder FOLDER] [--memory]

Packages are fetched by pip, npm and apt with each client's own configuration and kept in a folder; a pair
that cannot be had is named and left out, and `packages_pairs` says how many there were. The models are made
with numpy. Each pair's ratio is Lockgate's bytes (patch and its entry in the index) to those of the best
peer: ``zstd -19 --patch-from`` and ``xdelta3 -9`` on the raw files, ``bsdiff`` up to 64 MB, a chunk store
(FastCDC, 64 KiB on average as casync cuts, each missing chunk by ``zstd -19``), and carrying the whole file.
`worst_pair` is the largest ratio after 4 KiB are taken off. What peers gave is kept beside the packages, by
the digests of both files and the version of the program: it does not depend on the run, as times do.

`plan_mb_s` is megabytes of new files for each second of planning, which includes rebuilding; since a member
must be compressed again to be compared, `plan_vs_rebuild` says how much of that time rebuilding alone takes.

``--memory`` makes a pair of zips of 2 GiB, with a stored and a deflated member of more than 1 GiB each, and
prints the peak memory of planning and rebuilding, and what patching in segments costs.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import zstandard
from pyfastcdc import FastCDC

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from crossing import machine
from measure.delta_memory import measure_memory

from lockgate.core.wire import encode
from lockgate.crossing.bases import PathFile
from lockgate.crossing.delta.choose import Chooser
from lockgate.crossing.delta.chunks import ChunkIndex
from lockgate.crossing.delta.plan import OldFile
from lockgate.crossing.delta.rebuild import rebuild
from lockgate.crossing.deltas import spooled
from lockgate.crossing.payload import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

MB = 1_000_000
BSDIFF_MOST = 64 * MB
PIP = (
    ("numpy", "2.2.0", "2.2.1"),
    ("transformers", "4.48.0", "4.48.1"),
    ("scipy", "1.15.1", "1.15.2"),
    ("pandas", "2.2.2", "2.2.3"),
    ("django", "5.1.4", "5.1.5"),
    ("xgboost", "2.1.2", "2.1.3"),
)
NPM = (("lodash", "4.17.20", "4.17.21"), ("react-dom", "18.3.0", "18.3.1"), ("typescript", "5.7.2", "5.7.3"))
APT = (
    *("libpython3.11-stdlib", "libssl3", "git", "openssl", "libxml2", "libcurl4", "perl-base"),
    *("libpython3.13-stdlib", "libssl3t64", "tzdata", "linux-libc-dev", "openssh-client", "curl"),
)
"""Packages of Debian 12 and 13. The first of which apt offers two versions are taken, the newest two of each:
what an archive holds changes with every point release and security update."""

APT_PAIRS = 3
QUICK = {"numpy", "transformers", "lodash", "react-dom"}


@dataclass(frozen=True)
class Row:
    """One pair: bytes of each way, and the ratio to the best peer."""

    pair: str
    group: str
    new: int
    lockgate: int
    kind: str
    zstd: int
    xdelta3: int
    bsdiff: int | None
    chunks: int
    blob: int
    ratio: float
    worst: float
    plan_s: float
    plan_cpu_s: float
    rebuild_s: float
    kept: int


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a program; return what it printed, nothing where it failed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def only(folder: Path) -> Path | None:
    """Return the one file of a folder."""
    found = [path for path in folder.iterdir() if path.is_file()]
    return found[0] if len(found) == 1 else None


def pip(folder: Path, name: str, version: str) -> Path | None:
    """Fetch a wheel."""
    words = ("download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder))
    run(sys.executable, "-m", "pip", *words, f"{name}=={version}")
    return only(folder)


def npm(folder: Path, name: str, version: str) -> Path | None:
    """Fetch an npm package."""
    run("npm", "pack", "--silent", f"{name}@{version}", cwd=folder)
    return only(folder)


def apt(folder: Path, name: str, version: str) -> Path | None:
    """Fetch a Debian package."""
    run("apt-get", "--quiet=2", "download", f"{name}={version}", cwd=folder)
    return only(folder)


def apt_versions(name: str) -> list[str]:
    """Return the versions that apt offers, the newest first."""
    lines = run("apt-cache", "madison", name).splitlines()
    return list(dict.fromkeys(line.split("|")[1].strip() for line in lines))


def apt_pairs() -> list[tuple[str, str, str]]:
    """Return packages with an older and a newer version that apt offers."""
    found = [(name, versions[1], versions[0]) for name in APT if len(versions := apt_versions(name)) > 1]
    return found[:APT_PAIRS] + [("a Debian package", "", "")] * (APT_PAIRS - len(found))


def packages(folder: Path, *, quick: bool) -> tuple[list[tuple[str, str, Path, Path]], list[str]]:
    """Fetch the pairs; return them, and what is not obtainable."""
    wanted: list[tuple[Callable[[Path, str, str], Path | None], str, str, str]] = []
    wanted += [(pip, *pair) for pair in PIP] + [(npm, *pair) for pair in NPM]
    wanted += [(apt, *pair) for pair in apt_pairs()]
    pairs, missing = [], []
    for fetch, name, before, after in wanted:
        if quick and name not in QUICK and fetch is not apt:
            continue
        files = []
        for version in (before, after):
            place = folder / f"{name}-{version}".replace(":", "_")
            place.mkdir(parents=True, exist_ok=True)
            files.append(only(place) or (fetch(place, name, version) if version else None))
        if files[0] and files[1]:
            pairs.append(("packages", f"{name} {before} → {after}", files[0], files[1]))
        else:
            missing.append(f"{name} {before} {after}".strip())
            print(f"not obtainable here, left out: {missing[-1]}", file=sys.stderr)
        if quick and fetch is apt:
            break
    return pairs, missing


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write a safetensors file of bfloat16 tensors, given as their 16 bits."""
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {
            "dtype": "BF16",
            "shape": list(values.shape),
            "data_offsets": [at, at + values.nbytes],
        }
        at += values.nbytes
    head = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for values in tensors.values():
            file.write(values.tobytes())


def bf16(values: np.ndarray) -> np.ndarray:
    """Return the upper halves of 32-bit floats."""
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def write_gguf(path: Path, note: str, tensors: dict[str, np.ndarray]) -> None:
    """Write a GGUF file of F16 tensors."""

    def string(text: str) -> bytes:
        return len(text).to_bytes(8, "little") + text.encode()

    head = (
        b"GGUF" + (3).to_bytes(4, "little") + len(tensors).to_bytes(8, "little") + (1).to_bytes(8, "little")
    )
    head += string("general.description") + (8).to_bytes(4, "little") + string(note)
    at = 0
    for name, values in tensors.items():
        head += string(name) + (1).to_bytes(4, "little") + values.size.to_bytes(8, "little")
        head += (1).to_bytes(4, "little") + at.to_bytes(8, "little")
        at += values.nbytes + -values.nbytes % 32
    with path.open("wb") as file:
        file.write(head + b"\0" * (-len(head) % 32))
        for values in tensors.values():
            file.write(values.tobytes() + b"\0" * (-values.nbytes % 32))


def models(folder: Path, *, quick: bool) -> list[tuple[str, str, Path, Path]]:
    """Make the model pairs: a fine-tune, the same with one layer changed alone, and a GGUF."""
    chance = np.random.default_rng(1)
    width = 256 if quick else 1024
    base = {f"layers.{n}.weight": chance.normal(0, 0.02, (width, width)) for n in range(8)}
    moved = {name: w + chance.normal(0, 0.0001, w.shape) for name, w in base.items()}
    one = base | {"layers.3.weight": moved["layers.3.weight"]}
    half = {name: w.astype(np.float16).ravel() for name, w in base.items()}
    half_one = half | {"layers.5.weight": moved["layers.5.weight"].astype(np.float16).ravel()}
    old, tuned, single = (folder / f"{name}.safetensors" for name in ("base", "tuned", "single"))
    for path, tensors in ((old, base), (tuned, moved), (single, one)):
        write_safetensors(path, {name: bf16(w) for name, w in tensors.items()})
    before, after = folder / "before.gguf", folder / "after.gguf"
    write_gguf(before, "the base", half)
    write_gguf(after, "the base, with one tensor trained further", half_one)
    return [
        ("models", "fine-tune, all layers", old, tuned),
        ("models", "fine-tune, one layer", old, single),
        ("models", "GGUF, metadata and a tensor", before, after),
    ]


def chunk_store(old: Path, new: Path) -> int:
    """Return the bytes of the chunks that a store of the old file lacks, each compressed alone."""

    def digests(path: Path) -> dict[bytes, tuple[int, int]]:
        return {hashlib.sha256(c.data).digest(): (c.offset, c.length) for c in FastCDC(65536).cut_file(path)}

    held, data = digests(old), new.read_bytes()
    packer = zstandard.ZstdCompressor(level=19)
    missing = [place for digest, place in digests(new).items() if digest not in held]
    return sum(len(packer.compress(data[at : at + length])) + 32 for at, length in missing)


def versions() -> str:
    """Return the peers' versions, and those of what the chunk store's measurement uses."""
    first = [run("zstd", "--version").split("v", 1)[-1], run("xdelta3", "-V")[:40]]
    return "|".join([*(text.splitlines()[0] if text else "" for text in first), zstandard.__version__])


def peers(old: Path, new: Path, scratch: Path, kept: Path) -> dict[str, int | None]:
    """Return the bytes of each peer, from an earlier run where it is known."""
    key = hashlib.sha256(f"{digest_of(old)} {digest_of(new)} {versions()} 2".encode()).hexdigest()
    known = json.loads(kept.read_text()) if kept.exists() else {}
    if key not in known:
        known[key] = peers_measured(old, new, scratch)
        kept.write_text(json.dumps(known))
    return dict(known[key])


def peers_measured(old: Path, new: Path, scratch: Path) -> dict[str, int | None]:
    """Return the bytes of each peer."""
    out = scratch / "patch"
    wide = str(1 << 31)
    commands = {
        "zstd": ("zstd", "-q", "-f", "-19", "--long=31", f"--patch-from={old}", str(new), "-o", str(out)),
        # Without -D it unpacks gzip, and packs again by the gzip program: other bytes than the file's.
        "xdelta3": ("xdelta3", "-q", "-f", "-9", "-e", "-D", "-B", wide, "-s", str(old), str(new), str(out)),
    }
    if max(old.stat().st_size, new.stat().st_size) <= BSDIFF_MOST:
        commands["bsdiff"] = ("bsdiff", str(old), str(new), str(out))
    found: dict[str, int | None] = {"bsdiff": None}
    for name, command in commands.items():
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        found[name] = out.stat().st_size
        out.unlink()
    return found | {"chunks": chunk_store(old, new), "blob": new.stat().st_size}


def digest_of(path: Path) -> str:
    """Return a file's digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def measure(pair: tuple[str, str, Path, Path], scratch: Path, kept: Path) -> Row:
    """Measure one pair."""
    group, name, old, new = pair
    before = OldFile(old.name, digest_of(old), PathFile(old, old.stat().st_size))
    sha256, size = digest_of(new), new.stat().st_size
    with spooled(scratch) as spool, ThreadPoolExecutor(2) as pool:
        begun, cpu = time.perf_counter(), time.process_time()
        index = ChunkIndex()

        def held() -> ChunkIndex:
            index.add(before)
            return index

        choice = Chooser(pool, spool, held).choose(new.name, sha256, PathFile(new, size), before)
        planned, cpu = time.perf_counter() - begun, time.process_time() - cpu
        carried, seconds = size, 0.0
        if choice.patch is not None:
            begun = time.perf_counter()
            state = hashlib.sha256()
            for part in rebuild(choice.patch, [before.file] if choice.bases else []):
                state.update(part)
            seconds = time.perf_counter() - begun
            if state.hexdigest() != sha256:
                sys.exit(f"{name}: the rebuilt file is another one")
            entry = Entry(
                path=new.name,
                kind="patch",
                size=size,
                sha256=sha256,
                carried=choice.size,
                carried_sha256=sha256,
                bases=choice.bases,
            )
            carried = choice.size + len(encode(entry))
    other = peers(old, new, scratch, kept)
    best = min(value for value in other.values() if value is not None)
    return Row(
        *(name, group, size, carried, choice.kind),
        **other,
        ratio=round(carried / best, 4),
        worst=round(max(0, carried - 4096) / best, 4),
        plan_s=round(planned, 2),
        plan_cpu_s=round(cpu, 2),
        rebuild_s=round(seconds, 2),
        kept=len(choice.kept),
    )


def ratios(rows: list[Row]) -> dict[str, float]:
    """Return the keys that are compared from run to run."""
    found: dict[str, float] = {}
    for group in ("packages", "models"):
        own = [row.ratio for row in rows if row.group == group]
        if own:
            found[f"{group}_geomean"] = round(statistics.geometric_mean(own), 4)
        found[f"{group}_pairs"] = len(own)
    found["worst_pair"] = max(row.worst for row in rows)
    for name in ("numpy", "transformers"):
        for row in rows:
            if row.pair.startswith(name):
                found[f"{name}_percent"] = round(100 * row.lockgate / row.new, 3)
    for group, prefix in (("", ""), ("packages", "packages_"), ("models", "models_")):
        own = [row for row in rows if row.group.startswith(group)]
        size = sum(row.new for row in own) / MB
        planned, rebuilt = (
            max(0.01, sum(getattr(row, key) for row in own)) for key in ("plan_s", "rebuild_s")
        )
        found[f"{prefix}plan_mb_s"] = round(size / planned, 2)
        found[f"{prefix}rebuild_mb_s"] = round(size / rebuilt, 2)
        found[f"{prefix}plan_vs_rebuild"] = round(rebuilt / planned, 2)
    return found


def show(rows: list[Row], found: dict[str, float], missing: list[str]) -> None:
    """Print the table."""
    ways = ("new", "lockgate", "zstd", "xdelta3", "bsdiff", "chunks")
    print(f"{'pair':<46}" + "".join(f"{way:>11}" for way in ways) + f"{'ratio':>8}  plan s  CPU s  rebuild s")
    for row in rows:
        sizes = [getattr(row, way) for way in ways]
        cells = "".join(f"{'-' if size is None else size:>11}" for size in sizes)
        times = f"{row.plan_s:>8.2f}{row.plan_cpu_s:>7.2f}{row.rebuild_s:>11.2f}"
        print(f"{row.pair[:44]:<46}{cells}{row.ratio:>8.3f}{times}  {row.kind}")
    for name in missing:
        print(f"not obtainable here, left out: {name}")
    for name, value in found.items():
        print(f"{name:<24}{value}")


def kept_folder() -> Path:
    """Return the folder that fetched packages are kept in (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lockgate" / "bench"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer and smaller pairs")
    parser.add_argument("--json", action="store_true", help="one object instead of a table")
    parser.add_argument("--folder", type=Path, default=kept_folder(), help="what was fetched is kept here")
    parser.add_argument("--memory", action="store_true", help="peak memory on a made pair of 2 GiB")
    given = parser.parse_args()
    missing = [name for name in ("zstd", "xdelta3", "bsdiff") if not shutil.which(name)]
    if missing:
        sys.exit(f"Install {', '.join(missing)} first.")
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-", dir=given.folder) as scratch:
        if given.memory:
            print(json.dumps(measure_memory(Path(scratch)), indent=None if given.json else 2))
            return os.EX_OK
        pairs, missing = packages(given.folder, quick=given.quick)
        pairs += models(Path(scratch), quick=given.quick)
        rows = []
        for pair in pairs:
            rows.append(measure(pair, Path(scratch), given.folder / "peers.json"))
            print(f"{pair[1]}: {rows[-1].lockgate} bytes, ratio {rows[-1].ratio}", file=sys.stderr)
        facts = machine({"folder": given.folder}) | {"load": os.getloadavg()}
    found = ratios(rows)
    if given.json:
        table = [asdict(row) for row in rows]
        print(json.dumps({"machine": facts, "ratios": found, "rows": table, "missing": missing}))
    else:
        show(rows, found, missing)
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
