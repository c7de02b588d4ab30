"""How fast a crate is sealed and opened, beside what limits it and beside what people use today.

    python bench/crossing.py [--quick | --mib N] [--json] [--memory FOLDER] [--disk FOLDER]

Throughput is a ratio to the slower of SHA-256 and AES-256-GCM on one core, measured between the rounds
of the same run (opening hashes everything twice, so both hashes count), to ``tar | zstd | gpg``, to
``tar | age`` and, on a disk, to ``cp`` with fsync. Of several rounds the least disturbed one counts, on
both sides of each ratio: other programs can only make a round slower. ``CPU s`` is what a loaded machine
cannot hide.

What bounds it on two cores, in CPU seconds for 4 GiB (measured on an idle virtual EPYC with SHA
instructions): one SHA-256 2.37, AES-256-GCM 0.41, a mark 0.19, writing 0.38, reading 0.25. Sealing
hashes the sealed bytes alone (the plain ones have marks, see docs/adr/0024), opening both. ``steps_alone``
is that sum done on both cores with nothing around it: what ratio to a peer could be reached at best.

Where it may, the benchmark mounts a tmpfs of huge pages of its own (in a mount namespace, so that it
goes away with the process): on pages of 4 KiB, handing out memory costs about as much as hashing what
is written to it. Where a virtual machine's host takes freed memory back at once (free page reporting), it is
handed out slowly again, so memory is held and given up just before each round fills it, whichever program's
(`Reserve`). The machine's facts say which of both was used.
"""

import argparse
import hashlib
import json
import mmap
import os
import platform
import select
import shutil
import stat
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from crossing_lane import MIB, NOW, SBOM_BYTES, Lane
from lockgate.core.artifact import LOCK_FORMAT, Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.digests import sha256
from lockgate.core.roots import Purpose
from lockgate.crossing import Received, SealRequest, attest_collection
from lockgate.store import FileBlobs
from lockgate.store.marks import MarkKeyFile

GIB = 1 << 30
FILES = 8
VOLUME = GIB
SAMPLE = 256
"""MiB that the limits are measured on, each time."""

RESERVE_STEP, RESERVE_AHEAD, RESERVE_SLACK, RESERVE_SECONDS = 128 * MIB, 512 * MIB, GIB, 0.02
"""How memory is given up (see `Reserve`): bytes at once, ahead, and never held; seconds between two looks."""

_MADV_POPULATE_WRITE = 23  # madvise(2), Linux 5.14; the library has no name for it

ALONE = "LOCKGATE_BENCH_NAMESPACE"
"""Set in the run that has a mount namespace of its own."""


@dataclass(frozen=True)
class Row:
    """One measurement: the least disturbed round."""

    what: str
    mib_per_s: float
    wall_s: float
    cpu_s: float
    rounds_s: tuple[float, ...]
    peak_rss_mb: float | None = None


@dataclass(frozen=True)
class Round:
    """Wall and processor seconds of one piece of work, and its process's peak of memory."""

    wall: float
    cpu: float
    peak: float


class Reserve:
    """Memory that the machine holds, and that is given up while a folder or file grows into it.

    A virtual machine's host may take memory back that was free for two seconds, and hand it out slowly again:
    then everything that writes more than a second long waits for the host. So nearly all memory that is free
    is touched before a round, kept, and freed shortly before it is needed.
    """

    def __init__(self, *grows: Path) -> None:
        """Touch what is free; it is freed again as what lies below the paths grows."""
        self._grows = grows
        self._given = 0
        self._blocks = []
        for _ in range(max(0, meminfo("MemFree") - RESERVE_SLACK) // RESERVE_STEP):
            block = mmap.mmap(-1, RESERVE_STEP, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            block.madvise(mmap.MADV_HUGEPAGE)
            block.madvise(mmap.MADV_DONTFORK)  # or the child would keep what is given up here
            block.madvise(_MADV_POPULATE_WRITE)
            self._blocks.append(block)

    def follow(self) -> None:
        """Free what the growth since the last look, and the time to the next, call for."""
        grown = sum(_held(p) for top in self._grows for p in [top, *top.rglob("*")])
        while self._blocks and self._given < grown + RESERVE_AHEAD:
            self._blocks.pop().close()
            self._given += RESERVE_STEP

    def close(self) -> None:
        """Free what is left."""
        while self._blocks:
            self._blocks.pop().close()


def _held(path: Path) -> int:
    """Return the bytes of memory or disk that a file holds; none of what is renamed or gone meanwhile."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0
    return status.st_blocks * 512 if stat.S_ISREG(status.st_mode) else 0


def measured(work: Callable[[], object], reserve: Reserve | None = None) -> Round:
    """Do the work in a process of its own, whose memory and processor time are its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            inside = os.times()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            cpu += inside.children_user + inside.children_system
            os.write(write, json.dumps([wall, cpu, peak_mb()]).encode())
            status = 0
        except BaseException:  # noqa: BLE001  # said here, since the child ends without unwinding
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as pipe:
        while reserve and not select.select([pipe], [], [], RESERVE_SECONDS)[0]:
            reserve.follow()
        facts = pipe.read()
    if reserve:
        reserve.close()
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit("The measured work failed; its error stands above.")
    return Round(*json.loads(facts))


def peak_mb() -> float:
    """Return VmHWM of this process in MB (proc_pid_status(5))."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def meminfo(name: str) -> int:
    """Return a line of proc_meminfo(5) in bytes."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def row(what: str, size: int, rounds: list[Round], *, peak: bool = False) -> Row:
    """Return the least disturbed round as a row."""
    best = min(rounds, key=lambda r: r.wall)
    highest = round(max(r.peak for r in rounds), 1) if peak else None
    walls = tuple(round(r.wall, 3) for r in rounds)
    return Row(
        what, round(size / MIB / best.wall, 1), walls[rounds.index(best)], round(best.cpu, 3), walls, highest
    )


def limits() -> dict[str, Round]:
    """Measure hashing and encrypting on one core, in records as the crossing uses them."""
    data, sealed = os.urandom(MIB), memoryview(bytearray(MIB + 16))
    state, cipher = hashlib.sha256(), AESGCM(os.urandom(32))
    found = {}
    for name, step in (
        ("SHA-256", lambda _: state.update(data)),
        ("AES-256-GCM", lambda n: cipher.encrypt_into(n.to_bytes(12, "big"), data, b"", sealed)),
    ):
        wall, cpu = time.perf_counter(), time.process_time()
        for number in range(SAMPLE):
            step(number)
        found[name] = Round(time.perf_counter() - wall, time.process_time() - cpu, 0.0)
    return found


def floor() -> Round:
    """Do what sealing cannot go without, on two threads: copy in, encrypt, mark, hash, copy out, no more.

    There is no format, no file and no queue, and the few MiB stay in the caches: no sealing of this design is
    faster than this on the machine.
    """
    done = [threading.Thread(target=_steps, args=(SAMPLE,)) for _ in range(2)]
    wall, cpu = time.perf_counter(), time.process_time()
    for thread in done:
        thread.start()
    for thread in done:
        thread.join()
    return Round(time.perf_counter() - wall, time.process_time() - cpu, 0.0)


def _steps(count: int) -> None:
    source, target = memoryview(bytearray(os.urandom(MIB))), memoryview(bytearray(MIB + 16))
    plain, sealed = memoryview(bytearray(MIB)), memoryview(bytearray(MIB + 16))
    state, cipher, marking = hashlib.sha256(), AESGCM(os.urandom(32)), AESGCM(os.urandom(32))
    for number in range(count):
        nonce = number.to_bytes(12, "big")
        plain[:] = source
        cipher.encrypt_into(nonce, plain, b"", sealed)
        marking.encrypt(nonce, b"", plain)
        state.update(sealed)
        target[:] = sealed


class Scene:
    """A lane with content in a folder, sealed and opened again and again."""

    def __init__(self, folder: Path, size: int) -> None:
        """Make incompressible content of `size` bytes."""
        self.folder = folder
        self.size = size
        self.lane = Lane(low_blobs=FileBlobs(folder / "low", MarkKeyFile(folder / "low.key")))
        self.content = folder / "low"
        files = tuple(self._file(n, size // FILES) for n in range(FILES))
        artifacts = tuple(
            Artifact(purl=f"pkg:generic/{f.path}@1", kind=Kind.FILE, name=f.path, version="1", files=(f,))
            for f in files
        )
        lock = Lock(
            format=LOCK_FORMAT,
            lane=self.lane.name,
            created=NOW,
            manifest_sha256=sha256(b""),
            artifacts=artifacts,
        )
        attestation = attest_collection(lock, SBOM_BYTES, self.lane.signers[Purpose.COLLECTOR])
        self.request = SealRequest(lock, attestation, SBOM_BYTES)

    def _file(self, number: int, size: int) -> ArtifactFile:
        with tempfile.TemporaryFile(dir=self.folder) as file:
            for _ in range(size // MIB):
                file.write(os.urandom(MIB))
            file.seek(0)
            digest, _ = self.lane.low_blobs.put_stream(file)
        return ArtifactFile(path=f"files/{number}", role=Role.OTHER, size=size, sha256=digest)

    def seal(self) -> Round:
        """Seal everything; the crate stays until the next time."""
        shutil.rmtree(self.folder / "outbox", ignore_errors=True)
        sealer = self.lane.sealer(self.folder / "outbox", volume_bytes=VOLUME)
        return measured(lambda: sealer.seal(self.request), Reserve(self.folder / "outbox"))

    def open(self) -> Round:
        """Open the crate into an empty quarantine."""
        crate = next((self.folder / "outbox").glob("crate-*"))
        opener = self.lane.opener(self.folder / "staging", quarantine=FileBlobs(self.folder / "quarantine"))

        def work() -> None:
            if not isinstance(opener.receive(crate), Received):
                sys.exit("The crate was not received whole.")

        places = self.folder / "quarantine", self.folder / "staging"
        found = measured(work, Reserve(*places))
        shutil.rmtree(self.folder / "quarantine")
        shutil.rmtree(self.folder / "staging")
        return found

    def pipe(self, *commands: list[str], env: dict[str, str] | None = None) -> Round:
        """Pack the content through programs into a file."""
        target = self.folder / "packed"
        tar = ["tar", "-C", str(self.content), "-cf", "-", "."]

        def work() -> None:
            with target.open("wb") as packed:
                flow: list[subprocess.Popen[bytes]] = []
                for place, command in enumerate((tar, *commands)):
                    out = packed if place == len(commands) else subprocess.PIPE
                    source = flow[-1].stdout if flow else subprocess.DEVNULL
                    flow.append(subprocess.Popen(command, stdin=source, stdout=out, env=env))
                    if len(flow) > 1 and flow[-2].stdout:
                        flow[-2].stdout.close()
                if any([program.wait() for program in flow]):  # noqa: C419  # every one is waited for
                    sys.exit("A program of the pipe failed.")

        found = measured(work, Reserve(target))
        target.unlink()
        return found

    def copy(self) -> Round:
        """Copy the content with cp and make it durable."""
        target = self.folder / "copied"
        command = ["cp", "-r", "--reflink=never", str(self.content), str(target)]

        def work() -> None:
            subprocess.run(command, check=True)
            for path in (p for p in target.rglob("*") if p.is_file()):
                handle = os.open(path, os.O_RDONLY)
                os.fsync(handle)
                os.close(handle)

        found = measured(work, Reserve(target))
        shutil.rmtree(target)
        return found

    def write(self) -> Round:
        """Write as many bytes as there is content, and nothing else: what the medium alone takes."""
        target, data = self.folder / "written", os.urandom(MIB)

        def work() -> None:
            with target.open("wb", buffering=0) as file:
                for _ in range(self.size // MIB):
                    file.write(data)

        found = measured(work, Reserve(target))
        target.unlink()
        return found


@contextmanager
def memory_folder(chosen: Path | None) -> Iterator[tuple[Path, str]]:
    """Give a folder on tmpfs and a word about its pages; see the top of this file."""
    if chosen is None and ALONE in os.environ:
        with tempfile.TemporaryDirectory(prefix="lockgate-bench-") as folder:
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "huge=always,size=90%", "tmpfs", folder], check=True
            )
            try:
                yield Path(folder), "huge"
            finally:
                subprocess.run(["umount", folder], check=True)
        return
    yield chosen or Path("/dev/shm"), "as the system has them"  # noqa: S108


def alone() -> None:
    """Start this program again in a mount namespace of its own, where that is allowed."""
    command = ["unshare", "--mount", "--"]
    may = shutil.which("unshare") and subprocess.run([*command, "true"], check=False, capture_output=True)
    if ALONE not in os.environ and may and not may.returncode:
        os.environ[ALONE] = "1"
        os.execvp(command[0], [*command, sys.executable, *sys.argv])  # noqa: S606


@contextmanager
def scene(parent: Path, size: int) -> Iterator[Scene]:
    """Make a scene in a fresh folder that goes away afterwards."""
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".lockgate-bench-", dir=parent) as folder:
        yield Scene(Path(folder), size)


def gpg(stage: Scene, rounds: int) -> list[Round] | None:
    """Pack with tar, zstd and gpg (AES-256 under a passphrase; zstd compressed, gpg need not)."""
    if not shutil.which("gpg") or not shutil.which("zstd"):
        return None
    home = stage.folder / "gnupg"
    home.mkdir(mode=0o700)
    word = home / "passphrase"
    word.write_text(os.urandom(16).hex(), encoding="ascii")
    command = ["gpg", "--batch", "--quiet", "--no-options", "--pinentry-mode", "loopback", "-z", "0"]
    command += ["--passphrase-file", str(word), "--cipher-algo", "AES256", "--symmetric", "--output", "-"]
    env = os.environ | {"GNUPGHOME": str(home)}
    try:
        return [stage.pipe(["zstd", "-q", "-c"], command, env=env) for _ in range(rounds)]
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=env, check=False, capture_output=True)


def age(stage: Scene, rounds: int) -> list[Round] | None:
    """Pack with tar and age, to a recipient that is thrown away."""
    if not shutil.which("age"):
        return None
    made = subprocess.run(["age-keygen"], check=True, capture_output=True, text=True).stdout
    recipient = made.split("public key: ")[1].split()[0]
    return [stage.pipe(["age", "-r", recipient]) for _ in range(rounds)]


def help_round() -> Round:
    """Show the overview of the command, as people do first."""
    command = [str(Path(sys.executable).with_name("lockgate")), "--help"]
    return measured(lambda: subprocess.run(command, check=True, capture_output=True))


def machine(folders: dict[str, Path]) -> dict[str, object]:
    """Return the machine's facts."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if "model name" in line]
    kinds = {
        name: subprocess.run(
            ["stat", "-f", "-c", "%T", str(path)], check=True, capture_output=True, text=True
        ).stdout.strip()
        for name, path in folders.items()
    }
    return {
        "processor": cpu[0].split(":")[1].strip() if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssl": backend.openssl_version_text(),
        "filesystems": kinds,
    }


def run(size: int, rounds: int, memory: Path, disk: Path, pages: str) -> dict[str, object]:
    """Measure everything; return machine, ratios and rows."""
    facts = machine({"memory": memory, "disk": disk}) | {
        "memory_pages": pages,
        "free_pages_reported": Path("/sys/module/page_reporting/parameters/reported_kib").exists(),
        "content_mib": size // MIB,
        "load_before": os.getloadavg(),
    }
    rows: list[Row] = []
    hashing: list[Round] = []
    coding: list[Round] = []
    sealing: list[Round] = []
    opening: list[Round] = []
    least: list[Round] = []
    with scene(memory, size) as stage:
        for _ in range(rounds):
            for work in (lambda: sealing.append(stage.seal()), lambda: opening.append(stage.open())):
                found = limits()
                hashing.append(found["SHA-256"])
                coding.append(found["AES-256-GCM"])
                least.append(floor())
                work()
        shutil.rmtree(stage.folder / "outbox")
        writing = [stage.write() for _ in range(rounds)]
        peers = {
            "tar | zstd | gpg": gpg(stage, max(1, rounds - 1)),
            "tar | age": age(stage, max(1, rounds - 1)),
        }
    sha, aes = (
        row("SHA-256, one core", SAMPLE * MIB, hashing),
        row("AES-256-GCM, one core", SAMPLE * MIB, coding),
    )
    seal, opened = row("seal", size, sealing, peak=True), row("open", size, opening, peak=True)
    bound = row("sealing's steps, alone", 2 * SAMPLE * MIB, least)
    rows += [sha, aes, bound, row("write, memory", size, writing), seal, opened]
    packed = {name: row(name, size, found) for name, found in peers.items() if found}
    rows += packed.values()
    with scene(disk, size) as stage:
        copied = [stage.copy() for _ in range(rounds)]
        sealed = [stage.seal() for _ in range(rounds)]
        unsealed = [stage.open() for _ in range(rounds)]
    cp = row("cp + fsync, disk", size, copied)
    disks = [row("seal, disk", size, sealed, peak=True), row("open, disk", size, unsealed, peak=True)]
    rows += [cp, *disks]
    helping = [help_round() for _ in range(9)]
    slower = min(sha.mib_per_s, aes.mib_per_s)
    peaks = [r.peak_rss_mb for r in rows if r.peak_rss_mb is not None]
    ratios = {
        "seal_vs_limit": seal.mib_per_s / slower,
        "open_vs_limit": opened.mib_per_s / min(sha.mib_per_s / 2, aes.mib_per_s),
        "seal_vs_tar_gpg": _ratio(seal, packed.get("tar | zstd | gpg")),
        "seal_vs_tar_age": _ratio(seal, packed.get("tar | age")),
        "seal_vs_steps_alone": seal.mib_per_s / bound.mib_per_s,
        "steps_alone_vs_tar_gpg": _ratio(bound, packed.get("tar | zstd | gpg")),
        "steps_alone_vs_tar_age": _ratio(bound, packed.get("tar | age")),
        "seal_disk_vs_cp": _ratio(disks[0], cp),
        "open_disk_vs_cp": _ratio(disks[1], cp),
        "peak_rss_mb": max(peaks),
        "help_ms": statistics.median(r.wall for r in helping) * 1000,
    }
    rounded = {name: value if value is None else round(value, 2) for name, value in ratios.items()}
    facts["load_after"] = os.getloadavg()
    return {"machine": facts, "ratios": rounded, "rows": [asdict(r) for r in rows]}


def _ratio(ours: Row, theirs: Row | None) -> float | None:
    return None if theirs is None else ours.mib_per_s / theirs.mib_per_s


def show(found: dict[str, object]) -> None:
    """Print the findings for people."""
    for name, value in found["machine"].items():  # type: ignore[attr-defined]
        print(f"{name:>18}  {value}")
    print(f"\n{'':>24}{'MiB/s':>10}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}  rounds (wall s)")
    for line in found["rows"]:  # type: ignore[attr-defined]
        peak = "" if line["peak_rss_mb"] is None else f"{line['peak_rss_mb']:.0f}"
        numbers = f"{line['mib_per_s']:>10.0f}{line['wall_s']:>9.2f}{line['cpu_s']:>9.2f}{peak:>9}"
        print(f"{line['what']:>24}{numbers}  {' '.join(f'{s:.2f}' for s in line['rounds_s'])}")
    print()
    for name, value in found["ratios"].items():  # type: ignore[attr-defined]
        print(f"{name:>24}{'not installed' if value is None else value:>10}")


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="512 MiB instead of 4 GiB, in under a minute")
    parser.add_argument("--mib", type=int, default=4096, help="MiB of content (default: 4096)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--memory", type=Path, help="a folder on tmpfs (default: one of its own)")
    parser.add_argument("--disk", type=Path, default=Path.cwd(), help="a folder on a disk")
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # the result has stdout
    size, rounds = GIB // 2 if options.quick else options.mib * MIB, 3
    if meminfo("MemAvailable") < 5 * size:  # content, crate, staging and quarantine lie in memory at once
        sys.exit(f"This needs {5 * size // MIB} MiB of free memory; try --quick.")
    if options.memory is None:
        alone()
    with memory_folder(options.memory) as (memory, pages):
        found = run(size, rounds, memory, options.disk, pages)
    if options.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
