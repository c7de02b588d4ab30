"""How fast a crate crosses a one-way link, beside raw UDP, hairgap and pydiode on the same link.

    python bench/diode.py [--quick | --whole] [--json] [--memory FOLDER]

The link is that of ``tests/corpora/onewaylink.py``: a veth pair without segmentation offload between two
namespaces, losses drawn packet by packet. Each program sends the same content from memory to memory at
several rates; its best whole run counts. A run that is not whole counts for nothing. Times are those of the
transfer without the start of an interpreter, from the first packet to the last byte.

Raw UDP is our own sockets (packets of the same length, the same calls of the kernel, the same buffers)
without parity, tags, sums and files: the fastest paced rate that loses less than 0.1 %. It sends one
megabyte again and again, which stays in the cache. "raw files" reads a file and writes one besides, which is
the same job without protection. Both ends share this machine's cores, so each ratio to them is one of
processor time: on two hosts an end has cores of its own.

All programs read from and write to a memory file system of large pages, where this user may mount one, so
that it is the program that is measured and not the faults of small pages. Memory that was free for a while
may belong to a virtual machine's host and come back slowly, so enough of it is held until a run begins,
whichever program's. "lean" is our sender as a link that loses nothing allows it: parity 6 instead of 40 for
200 shards. "bound" is what lean could reach at most on these cores: all of them busy without a pause with
nothing but the rows "least" above it, which are what raw UDP costs in this run and the pieces that
`_diode_bound` measures. How many transfers are whole where packets are lost is counted over many short ones
(`_diode_whole`); `--whole` does that alone. The peers come from the package index that pip is configured for,
into a virtual environment that goes away again.
"""

import argparse
import hashlib
import json
import mmap
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as our commands do: its threads spin when they start
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from _diode_bound import least_seconds, link_share  # noqa: E402  # after numpy's variable
from _diode_peers import WAIT, Ends, hairgap, install, listening, pydiode, roomy, sent  # noqa: E402
from _diode_whole import Count, counts, shares  # noqa: E402  # the same

from corpora import diode_ends  # noqa: E402  # found beside the tests
from corpora.onewaylink import PORT, RECEIVER_ADDRESS, OneWayLink  # noqa: E402  # the same
from lockgate.crossing.diode import Inlet, Outlet  # noqa: E402  # of this tree
from lockgate.crossing.diode.pace import Pace  # noqa: E402  # the same

MB = 1_000_000
PROGRAM = [sys.executable, diode_ends.__file__]
MTUS = (9000, 1500)
LOSSES = (0, 10, 50)
"""Packets of a thousand that are lost."""

RATES = {9000: (500, 700, 900, 1200), 1500: (80, 110, 140, 180)}
PEER_RATES = {9000: (100, 200, 400), 1500: (60, 90, 120)}
"""MB per second on the link."""

LEAN = 6
"""Parity shards for 200 data shards on a link that loses nothing."""

LONG = 4
"""How much more content is sent beside raw UDP, so that it is not the start of either that is compared."""

WARM = 400 * MB
"""Bytes of memory touched before each run beside the content: buffers of both ends and of the kernel."""

RAW_LOSS = 0.001


@dataclass(frozen=True)
class Run:
    """One transfer; `mb_s` counts content, `cpu_s_per_gb` both ends."""

    whole: bool
    mb_s: float
    cpu_s_per_gb: float
    rate: int


@dataclass(frozen=True)
class Row:
    """The best whole run of one program under one condition, and at which rates none was whole."""

    what: str
    mtu: int
    loss_percent: float
    mb_s: float
    cpu_s_per_gb: float
    rate_mb_s: int
    whole: int
    runs: int
    failed_at: tuple[int, ...] = ()


class Scene:
    """Content in memory, and a link for each run."""

    def __init__(self, folder: Path, journal: Path, size: int, peers: Path | None) -> None:
        """Make the content: one crate for us, the same bytes as one file for the peers."""
        self.folder = folder
        self.journal = journal
        self.size = size
        self.peers = peers
        self.crate = folder / "out" / "crate-000001-bebebe"
        (self.crate / "roots").mkdir(parents=True)
        (self.crate / "crate.json").write_bytes(os.urandom(4000))
        (self.crate / "shards.idx").write_bytes(os.urandom(size // 30_000))
        (self.crate / "roots" / "1.root.json").write_bytes(os.urandom(4000))
        self.file = self.crate / "vol-0001.lgv"
        with self.file.open("wb") as file:
            for _ in range(size // MB):
                file.write(os.urandom(MB))
        self.digest = _digest(self.file)

    def ours(self, mtu: int, loss: int, rate: int, **more: int) -> Run:
        """Send the crate with Lockgate's own programs."""
        inbox = self.folder / "in"
        shutil.rmtree(inbox, ignore_errors=True)
        given = {"address": RECEIVER_ADDRESS, "port": PORT, "inbox": str(inbox), "silence": 2.0}
        settings = {"address": RECEIVER_ADDRESS, "port": PORT, "mtu": mtu, "rate": rate * MB} | more
        sending = {"crate": str(self.crate), "journal": str(self.journal), "only": [], "wait": True}
        sending["settings"] = settings
        with OneWayLink(mtu=mtu, loss_per_mille=loss) as link:
            receive = link.receiving([*PROGRAM, "receive", json.dumps(given)])
            send = link.sending([*PROGRAM, "send", json.dumps(sending)])
            sent, said = both(send, receive, self.size)
        whole = said["whole"] and _digest(inbox / self.crate.name / self.file.name) == self.digest
        return self._run(whole, said["at"] - sent["began"], sent["cpu"] + said["cpu"], rate)

    def lean(self, mtu: int, loss: int, rate: int) -> Run:
        """Send the crate with little parity."""
        return self.ours(mtu, loss, rate, parity=LEAN)

    def hairgap(self, mtu: int, loss: int, rate: int) -> Run:
        """Send the file with hairgap."""
        return self._peer(hairgap(self.peers, rate), mtu, loss, rate)

    def pydiode(self, mtu: int, loss: int, rate: int) -> Run:
        """Send the file with pydiode."""
        return self._peer(pydiode(self.peers, rate), mtu, loss, rate)

    def _peer(self, ends: Ends, mtu: int, loss: int, rate: int) -> Run:
        target = self.folder / "peer"
        target.unlink(missing_ok=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with roomy(), OneWayLink(mtu=mtu, loss_per_mille=loss) as link, target.open("wb") as out:
            with warm_memory(self.size):
                there = listening(link, ends, out)
            seconds = sent(link, ends, self.file, there)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return self._run(_digest(target) == self.digest, seconds, cpu, rate)

    def raw(self, mtu: int, loss: int, rate: int) -> Run:
        """Send as many bytes through the same sockets, and count them."""
        return self._raw({"mtu": mtu, "rate": rate * MB, "bytes": self.size}, loss)

    def raw_files(self, mtu: int, loss: int, rate: int) -> Run:
        """Send a file through the same sockets, and write what comes as it comes."""
        files = {"source": str(self.file), "target": str(self.folder / "peer")}
        return self._raw({"mtu": mtu, "rate": rate * MB, "bytes": self.size} | files, loss)

    def _raw(self, given: dict[str, Any], loss: int) -> Run:
        mtu, rate = given["mtu"], given["rate"] // MB
        (self.folder / "peer").unlink(missing_ok=True)
        with OneWayLink(mtu=mtu, loss_per_mille=loss) as link:
            script = [sys.executable, __file__, "--raw"]
            receive = link.receiving([*script, "receive", json.dumps(given)])
            send = link.sending([*script, "send", json.dumps(given)])
            sent, said = both(send, receive, self.size)
        lost = 1 - said["packets"] / sent["packets"]
        return self._run(lost < RAW_LOSS, said["at"] - sent["began"], sent["cpu"] + said["cpu"], rate)

    def _run(self, whole: object, seconds: float, cpu: float, rate: int) -> Run:
        return Run(bool(whole), self.size / MB / seconds if whole else 0.0, cpu / self.size * 1000 * MB, rate)


def both(send: list[str], receive: list[str], size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Start both ends, let the sender begin when each is ready, and return what they say at last."""
    with ExitStack() as stack:
        with warm_memory(size):
            there, here = (
                stack.enter_context(
                    subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                )
                for argv in (receive, send)
            )
            stack.callback(there.kill)
            stack.callback(here.kill)
            there.stdout.readline()
            here.stdout.readline()
        sent = json.loads(here.communicate("begin\n", timeout=WAIT)[0])
        return sent, json.loads(there.communicate(timeout=WAIT)[0])


@contextmanager
def warm_memory(size: int) -> Iterator[None]:
    """Hold touched memory until both ends are about to begin, so that neither waits for the host's."""
    with mmap.mmap(-1, WARM + size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        np.frombuffer(memory, np.uint8)[:: mmap.PAGESIZE] = 1
        yield


@contextmanager
def large_pages(folder: Path) -> Iterator[bool]:
    """Mount a memory file system of large pages at a folder; tell whether this user may."""
    mount = ["mount", "-t", "tmpfs", "-o", "huge=always", "lockgate-bench", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def raw_receive(given: dict[str, Any]) -> None:
    """Count packets until they stop; write them where a file is given."""
    target, keep = Path(given.get("target", os.devnull)), "target" in given
    with target.open("wb", buffering=0) as file, Inlet(RECEIVER_ADDRESS, PORT) as inlet:
        inlet.expect(given["mtu"] - 28)
        print("ready", flush=True)
        count, at, cpu = 0, 0.0, 0.0
        while not (packets := inlet.receive(1.0)):
            pass
        cpu = diode_ends.processor_seconds()
        while packets:
            count += len(packets)
            if keep:
                os.writev(file.fileno(), [packet[0] for packet in packets])
            at = time.time()
            packets = inlet.receive(1.0)
        print(json.dumps({"packets": count, "at": at, "cpu": diode_ends.processor_seconds() - cpu}))


def raw_send(given: dict[str, Any]) -> None:
    """Send paced packets of the largest size."""
    packet = given["mtu"] - 28
    source = Path(given.get("source", os.devnull))
    print("ready", flush=True)
    sys.stdin.readline()
    with source.open("rb", buffering=0) as file, Outlet(RECEIVER_ADDRESS, PORT, packet) as outlet:
        pace = Pace(outlet, given["rate"], time.monotonic, time.sleep)
        part = memoryview(bytearray(packet * (1024 * 1024 // packet)))
        began, cpu, sent = time.time(), diode_ends.processor_seconds(), 0
        while sent < given["bytes"]:
            if "source" in given:
                file.readinto(part)
            pace.send(part)
            sent += len(part)
        cpu = diode_ends.processor_seconds() - cpu
    print(json.dumps({"packets": sent // packet, "began": began, "cpu": cpu}))


def sweep(what: str, work: Callable[[int, int, int], Run], mtu: int, loss: int, rates: list[int]) -> Row:
    """Run at each rate; the best whole one counts."""
    runs = [work(mtu, loss, rate) for rate in rates]
    best = max(runs, key=lambda run: run.mb_s)
    return Row(
        what,
        mtu,
        loss / 10,
        round(best.mb_s, 1),
        round(best.cpu_s_per_gb, 2),
        best.rate,
        sum(run.whole for run in runs),
        len(runs),
        tuple(run.rate for run in runs if not run.whole),
    )


def bound(scene: Scene, mtu: int, raw: Row) -> list[Row]:
    """Return what lean has to do at least, piece by piece for one core, and what both cores reach with it."""
    packet = mtu - 28
    pieces = {"link": raw.cpu_s_per_gb * link_share(packet, LEAN)}
    pieces |= least_seconds(scene.file, scene.folder / "peer", packet, LEAN)
    cores, whole = len(os.sched_getaffinity(0)), sum(pieces.values())
    return [
        *(_piece(f"least {name}", mtu, seconds, 1) for name, seconds in pieces.items()),
        _piece("bound", mtu, whole, cores),
    ]


def _piece(what: str, mtu: int, seconds: float, cores: int) -> Row:
    return Row(what, mtu, 0.0, round(1000 * cores / seconds, 1), round(seconds, 2), 0, 1, 1)


def machine() -> dict[str, object]:
    """Return the machine's facts."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if "model name" in line]
    return {
        "processor": cpu[0].split(":")[1].strip() if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg(),
        "link": "emulated: veth between two namespaces, no segmentation offload",
    }


def run(size: int, *, quick: bool, memory: Path) -> dict[str, object]:
    """Measure everything; return machine, ratios and rows."""
    facts = machine() | {"content_mb": size // MB}
    rows: list[Row] = []
    prefix = ".lockgate-bench-"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix, dir=memory)))
        content = folder / "content"
        content.mkdir()
        large = stack.enter_context(large_pages(content))
        facts["memory_file_system"] = "large pages" if large else "as it is"
        peers = install(folder / "peers")
        stage = Scene(content, folder / "journal", size, peers)
        long = Scene(content / "long", folder / "journal", LONG * size, None)
        for mtu in MTUS:
            rates, others = RATES[mtu], PEER_RATES[mtu]
            ours = list(rates[1:3] if quick else rates)
            raw = [400, 800, 1600, 3200] if mtu == max(MTUS) else [100, 200, 300]
            rows.append(sweep("raw UDP", long.raw, mtu, 0, raw[1:3] if quick else raw))
            rows.append(sweep("raw files", long.raw_files, mtu, 0, raw[1:3] if quick else raw))
            if mtu == max(MTUS):
                rows += bound(long, mtu, next(row for row in rows if row.what == "raw UDP"))
                rows.append(sweep("lean", long.lean, mtu, 0, ours))
                rows.append(sweep("full parity", long.ours, mtu, 0, ours[:1] if quick else ours))
            for loss in (0, 50) if quick else LOSSES:
                rows.append(sweep("lockgate", stage.ours, mtu, loss, ours))
                if peers:
                    few = list(others[:1] if quick else others)
                    rows.append(sweep("hairgap", stage.hairgap, mtu, loss, few))
                    rows.append(sweep("pydiode", stage.pydiode, mtu, loss, few[:1] if loss else few[:2]))
        counted = [] if quick else list(counts(content, PROGRAM, peers))
    facts["load_after"] = os.getloadavg()
    return _found(facts, ratios(rows) | shares(counted), rows, counted)


def count(memory: Path) -> dict[str, object]:
    """Count whole transfers alone."""
    facts = machine()
    with tempfile.TemporaryDirectory(prefix=".lockgate-bench-", dir=memory) as folder:
        peers = install(Path(folder) / "peers")
        counted = list(counts(Path(folder), PROGRAM, peers))
    facts["load_after"] = os.getloadavg()
    return _found(facts, shares(counted), [], counted)


def _found(
    facts: dict[str, object], ratios: dict[str, float | None], rows: list[Row], counted: list[Count]
) -> dict[str, object]:
    table = [asdict(row) for row in rows] + [asdict(row) for row in counted]
    return {"machine": facts, "ratios": ratios, "rows": table}


def ratios(rows: list[Row]) -> dict[str, float | None]:
    """Return the ratios; None where no run of a peer was whole."""

    def speed(what: str, mtu: int, loss: float) -> float:
        return max(
            (r.mb_s for r in rows if (r.what, r.mtu, r.loss_percent) == (what, mtu, loss)), default=0.0
        )

    def least(what: str, mtu: int, losses: list[float], own: str = "lockgate") -> float | None:
        found = [speed(own, mtu, n) / s for n in losses if (s := speed(what, mtu, n))]
        return round(min(found), 2) if found else None

    losses = sorted({r.loss_percent for r in rows})
    pydiode = [n for mtu in MTUS if (n := least("pydiode", mtu, losses)) is not None]
    five = [r for r in rows if (r.what, r.mtu, r.loss_percent) == ("lockgate", 1500, 5.0)][-1]
    return {
        "vs_hairgap_9000": least("hairgap", 9000, losses),
        "vs_hairgap_1500": least("hairgap", 1500, [0.0]),
        "vs_pydiode_min": min(pydiode, default=None),
        "vs_raw_udp_9000": least("raw UDP", 9000, [0.0], "lean"),
        "vs_raw_files_9000": least("raw files", 9000, [0.0], "lean"),
        "vs_raw_udp_9000_full_parity": least("raw UDP", 9000, [0.0], "full parity"),
        "bound_vs_raw_udp_9000": least("raw UDP", 9000, [0.0], "bound"),
        "vs_bound_9000": least("bound", 9000, [0.0], "lean"),
        "whole_5pct": round(five.whole / five.runs, 2),
    }


def show(found: dict[str, Any]) -> None:
    """Print the findings for people."""
    for name, value in found["machine"].items():
        print(f"{name:>14}  {value}")
    print(f"\n{'':>14}{'MTU':>7}{'lost %':>8}{'MB/s':>8}{'CPU s/GB':>10}{'at MB/s':>9}{'whole':>9}")
    for row in found["rows"]:
        whole, kind = f"{row['whole']}/{row['runs']}", row.get("kind")
        times = "".rjust(18) if kind else f"{row['mb_s']:>8.0f}{row['cpu_s_per_gb']:>10.2f}"
        failed = ", ".join(map(str, row.get("failed_at", ())))
        print(
            f"{row['what']:>14}{row['mtu']:>7}{row['loss_percent']:>8}{times}{row['rate_mb_s']:>9}{whole:>9}"
            f"  {kind or (failed and f'not at {failed}')}"
        )
    print()
    for name, value in found["ratios"].items():
        print(f"{name:>34}{'no whole run' if value is None else value:>14}")


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="60 MB at fewer rates, in under a minute")
    parser.add_argument("--whole", action="store_true", help="only how many transfers are whole")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"), help="a folder on tmpfs")  # noqa: S108
    parser.add_argument("--raw", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.raw:
        {"send": raw_send, "receive": raw_receive}[options.raw[0]](json.loads(options.raw[1]))
        return
    if options.whole:
        found = count(options.memory)
    else:
        found = run((60 if options.quick else 200) * MB, quick=options.quick, memory=options.memory)
    if options.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
