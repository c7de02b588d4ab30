"""How fast a crate crosses a one-way link, beside raw UDP, hairgap and pydiode on the same link.

    python bench/diode.py [--quick] [--json] [--memory FOLDER]

The link is that of ``tests/corpora/onewaylink.py``: a veth pair without segmentation offload between two
namespaces, losses drawn packet by packet. Each program sends the same content from memory to memory at
several rates; its best whole run counts. A run that is not whole counts for nothing. Times are those of the
transfer without the start of an interpreter, from the first packet to the last byte.

Raw UDP is our own sockets (packets of the same length, the same calls of the kernel, the same buffers)
without parity, tags, sums and files: the fastest paced rate that loses less than 0.1 %. It sends one
megabyte again and again, which stays in the cache. "raw files" reads a file and writes one besides, which is
the same job without protection. Both ends share this machine's cores, so each ratio to them is one of
processor time: on two hosts an end has cores of its own. The peers come from the package index that pip is
configured for, into a virtual environment that goes away again.
"""

import argparse
import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from corpora import diode_ends  # noqa: E402  # found beside the tests
from corpora.onewaylink import (  # noqa: E402  # the same
    PORT,
    RECEIVER_ADDRESS,
    SENDER_ADDRESS,
    OneWayLink,
)
from lockgate.crossing.diode import Inlet, Outlet  # noqa: E402  # of this tree
from lockgate.crossing.diode.pace import Pace  # noqa: E402  # the same

MB = 1_000_000
WAIT = 120
PROGRAM = [sys.executable, diode_ends.__file__]
MTUS = (9000, 1500)
LOSSES = (0, 10, 50)
"""Packets of a thousand that are lost."""

RATES = {9000: (300, 500, 800, 1500), 1500: (80, 110, 140, 180)}
PEER_RATES = {9000: (100, 200, 400), 1500: (60, 90, 120)}
"""MB per second on the link."""

RAW_LOSS = 0.001
ROOM = 64 * 1024 * 1024
"""Bytes of receive buffer that the peers get; their own is the system's default, too small for a burst."""

_DEFAULT_ROOM = Path("/proc/sys/net/core/rmem_default")


@dataclass(frozen=True)
class Run:
    """One transfer; `mb_s` counts content, `cpu_s_per_gb` both ends."""

    whole: bool
    mb_s: float
    cpu_s_per_gb: float
    rate: int


@dataclass(frozen=True)
class Row:
    """The best whole run of one program under one condition, and how many were whole."""

    what: str
    mtu: int
    loss_percent: float
    mb_s: float
    cpu_s_per_gb: float
    rate_mb_s: int
    whole: int
    runs: int


class Scene:
    """Content in memory, and a link for each run."""

    def __init__(self, folder: Path, size: int, peers: Path | None) -> None:
        """Make the content: one crate for us, the same bytes as one file for the peers."""
        self.folder = folder
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

    def ours(self, mtu: int, loss: int, rate: int) -> Run:
        """Send the crate with Lockgate's own programs."""
        inbox = self.folder / "in"
        shutil.rmtree(inbox, ignore_errors=True)
        given = {"address": RECEIVER_ADDRESS, "port": PORT, "inbox": str(inbox), "silence": 2.0}
        settings = {"address": RECEIVER_ADDRESS, "port": PORT, "mtu": mtu, "rate": rate * MB}
        sending = {"crate": str(self.crate), "journal": str(self.folder / "journal"), "only": []}
        sending["settings"] = settings
        with OneWayLink(mtu=mtu, loss_per_mille=loss) as link:
            receive = link.receiving([*PROGRAM, "receive", json.dumps(given)])
            there = subprocess.Popen(receive, stdout=subprocess.PIPE, text=True)
            there.stdout.readline()
            send = link.sending([*PROGRAM, "send", json.dumps(sending)])
            sent = json.loads(subprocess.run(send, check=True, capture_output=True, timeout=WAIT).stdout)
            said = json.loads(there.communicate(timeout=WAIT)[0])
        whole = said["whole"] and _digest(inbox / self.crate.name / self.file.name) == self.digest
        return self._run(whole, said["at"] - sent["began"], sent["cpu"] + said["cpu"], rate)

    def hairgap(self, mtu: int, loss: int, rate: int) -> Run:
        """Send the file with hairgap: its own parity (1.2) and packets; larger ones hang its receiver.

        Its option ``-t`` counts microseconds, whatever its help says.
        """
        folder = next(self.peers.glob("lib/python*/site-packages/hairgap_binaries"))
        machine = f"linux-{platform.machine()}"
        send = [
            folder / f"{machine}-hairgaps",
            "-p",
            PORT,
            "-b",
            rate,
            "-k",
            "0",
            RECEIVER_ADDRESS,
        ]
        receive = [folder / f"{machine}-hairgapr", "-p", PORT, "-t", "3000000", RECEIVER_ADDRESS]
        return self._peer(send, receive, (mtu, loss, rate), 0.0)

    def pydiode(self, mtu: int, loss: int, rate: int) -> Run:
        """Send the file with pydiode; it knows one size of packets."""
        program = [self.peers / "bin" / "pydiode"]
        began = time.perf_counter()
        subprocess.run([*program, "--help"], check=True, capture_output=True)
        start = time.perf_counter() - began
        send = [*program, "send", RECEIVER_ADDRESS, SENDER_ADDRESS, "--port", PORT]
        send += ["--max-bitrate", rate * MB * 8]
        receive = [*program, "receive", RECEIVER_ADDRESS, "--port", PORT]
        return self._peer(send, receive, (mtu, loss, rate), start)

    def _peer(self, send: list[Any], receive: list[Any], place: tuple[int, int, int], start: float) -> Run:
        mtu, loss, rate = place
        target = self.folder / "peer"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with roomy(), OneWayLink(mtu=mtu, loss_per_mille=loss) as link, target.open("wb") as out:
            there = subprocess.Popen(link.receiving(receive), stdout=out, stderr=subprocess.DEVNULL)
            while f":{PORT:04X} " not in _sockets(there.pid) and there.poll() is None:
                time.sleep(0.01)
            began = time.perf_counter()
            with self.file.open("rb") as content:
                here = subprocess.Popen(
                    link.sending(send), stdin=content, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                try:
                    here.wait(WAIT)
                    there.wait(10)
                except subprocess.TimeoutExpired:
                    here.kill()
                    there.kill()
                seconds = time.perf_counter() - began - start
                here.wait()
                there.wait()
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
        with OneWayLink(mtu=mtu, loss_per_mille=loss) as link:
            script = [sys.executable, __file__, "--raw"]
            there = subprocess.Popen(
                link.receiving([*script, "receive", json.dumps(given)]), stdout=subprocess.PIPE, text=True
            )
            there.stdout.readline()
            send = link.sending([*script, "send", json.dumps(given)])
            sent = json.loads(subprocess.run(send, check=True, capture_output=True, timeout=WAIT).stdout)
            said = json.loads(there.communicate(timeout=WAIT)[0])
        lost = 1 - said["packets"] / sent["packets"]
        return self._run(lost < RAW_LOSS, said["at"] - sent["began"], sent["cpu"] + said["cpu"], rate)

    def _run(self, whole: object, seconds: float, cpu: float, rate: int) -> Run:
        return Run(bool(whole), self.size / MB / seconds if whole else 0.0, cpu / self.size * 1000 * MB, rate)


@contextmanager
def roomy() -> Iterator[None]:
    """Give sockets that ask for nothing a large receive buffer, where that is allowed."""
    before = _DEFAULT_ROOM.read_text("ascii")
    try:
        _DEFAULT_ROOM.write_text(str(ROOM), "ascii")
        yield
    finally:
        _DEFAULT_ROOM.write_text(before, "ascii")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sockets(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/net/udp").read_text("ascii")
    except OSError:
        return ""


def raw_receive(given: dict[str, Any]) -> None:
    """Count packets until they stop; write them where a file is given."""
    target, keep = Path(given.get("target", os.devnull)), "target" in given
    with target.open("wb", buffering=0) as file, Inlet(RECEIVER_ADDRESS, PORT) as inlet:
        print("ready", flush=True)
        count, at, cpu = 0, 0.0, 0.0
        while not (packets := inlet.receive(1.0)):
            pass
        cpu = diode_ends.processor_seconds()
        while packets:
            count += len(packets)
            if keep:
                os.writev(file.fileno(), packets)
            at = time.time()
            packets = inlet.receive(1.0)
        print(json.dumps({"packets": count, "at": at, "cpu": diode_ends.processor_seconds() - cpu}))


def raw_send(given: dict[str, Any]) -> None:
    """Send paced packets of the largest size."""
    packet = given["mtu"] - 28
    source = Path(given.get("source", os.devnull))
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
    )


def install(folder: Path) -> Path | None:
    """Make an environment with the peers; None where no index has them."""
    venv.create(folder, with_pip=True)
    command = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    ran = subprocess.run([*command, "hairgap-binaries", "pydiode"], check=False, capture_output=True)
    return folder if ran.returncode == 0 else None


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
    with tempfile.TemporaryDirectory(prefix=".lockgate-bench-", dir=memory) as folder:
        peers = install(Path(folder) / "peers")
        stage = Scene(Path(folder), size, peers)
        for mtu in MTUS:
            rates, others = RATES[mtu], PEER_RATES[mtu]
            raw = [400, 800, 1600, 3200] if mtu == max(MTUS) else [100, 200, 300]
            rows.append(sweep("raw UDP", stage.raw, mtu, 0, raw[1:3] if quick else raw))
            rows.append(sweep("raw files", stage.raw_files, mtu, 0, raw[1:2] if quick else raw))
            for loss in (0, 50) if quick else LOSSES:
                rows.append(sweep("lockgate", stage.ours, mtu, loss, list(rates[1:3] if quick else rates)))
                if peers:
                    few = list(others[:1] if quick else others)
                    rows.append(sweep("hairgap", stage.hairgap, mtu, loss, few))
                    rows.append(sweep("pydiode", stage.pydiode, mtu, loss, few[:1] if loss else few[:2]))
        if not quick:
            rows += [_again(stage, row) for row in rows if (row.mtu, row.loss_percent) == (1500, 5.0)]
    facts["load_after"] = os.getloadavg()
    return {"machine": facts, "ratios": ratios(rows), "rows": [asdict(row) for row in rows]}


def _again(stage: Scene, row: Row) -> Row:
    """Run ten more times at a row's best rate: how many are whole."""
    works = {"lockgate": stage.ours, "hairgap": stage.hairgap, "pydiode": stage.pydiode}
    return sweep(row.what, works[row.what], row.mtu, int(row.loss_percent * 10), [row.rate_mb_s] * 10)


def ratios(rows: list[Row]) -> dict[str, float | None]:
    """Return the ratios; None where no run of a peer was whole."""

    def speed(what: str, mtu: int, loss: float) -> float:
        return max(
            (r.mb_s for r in rows if (r.what, r.mtu, r.loss_percent) == (what, mtu, loss)), default=0.0
        )

    def least(what: str, mtu: int, losses: list[float]) -> float | None:
        found = [speed("lockgate", mtu, n) / s for n in losses if (s := speed(what, mtu, n))]
        return round(min(found), 2) if found else None

    losses = sorted({r.loss_percent for r in rows})
    pydiode = [n for mtu in MTUS if (n := least("pydiode", mtu, losses)) is not None]
    five = [r for r in rows if (r.what, r.mtu, r.loss_percent) == ("lockgate", 1500, 5.0)][-1]
    return {
        "vs_hairgap_9000": least("hairgap", 9000, losses),
        "vs_hairgap_1500": least("hairgap", 1500, [0.0]),
        "vs_pydiode_min": min(pydiode, default=None),
        "vs_raw_udp_9000": least("raw UDP", 9000, [0.0]),
        "vs_raw_files_9000": least("raw files", 9000, [0.0]),
        "whole_5pct": round(five.whole / five.runs, 2),
    }


def show(found: dict[str, Any]) -> None:
    """Print the findings for people."""
    for name, value in found["machine"].items():
        print(f"{name:>14}  {value}")
    print(f"\n{'':>12}{'MTU':>7}{'lost %':>8}{'MB/s':>8}{'CPU s/GB':>10}{'at MB/s':>9}{'whole':>9}")
    for row in found["rows"]:
        whole = f"{row['whole']}/{row['runs']}"
        print(
            f"{row['what']:>12}{row['mtu']:>7}{row['loss_percent']:>8}{row['mb_s']:>8.0f}"
            f"{row['cpu_s_per_gb']:>10.2f}{row['rate_mb_s']:>9}{whole:>9}"
        )
    print()
    for name, value in found["ratios"].items():
        print(f"{name:>18}{'no whole run' if value is None else value:>14}")


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="60 MB at fewer rates, in under a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"), help="a folder on tmpfs")  # noqa: S108
    parser.add_argument("--raw", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.raw:
        {"send": raw_send, "receive": raw_receive}[options.raw[0]](json.loads(options.raw[1]))
        return
    found = run((60 if options.quick else 200) * MB, quick=options.quick, memory=options.memory)
    if options.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
