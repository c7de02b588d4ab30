"""The programs beside which a diode is measured: how each is started, and one transfer with it."""

import platform
import subprocess
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from corpora.onewaylink import PORT, RECEIVER_ADDRESS, SENDER_ADDRESS, OneWayLink

MB = 1_000_000
WAIT = 120
ROOM = 64 * 1024 * 1024
"""Bytes of receive buffer that the peers get; their own is the system's default, too small for a burst."""

_DEFAULT_ROOM = Path("/proc/sys/net/core/rmem_default")
_LAST = 10
"""Seconds that a receiver gets when its sender is done."""


@dataclass(frozen=True)
class Ends:
    """The commands of both ends, and how long the sender's interpreter takes to start, in seconds."""

    send: list[str]
    receive: list[str]
    start: float = 0.0


def install(folder: Path) -> Path | None:
    """Make an environment with the peers; None where no index has them."""
    venv.create(folder, with_pip=True)
    command = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    ran = subprocess.run([*command, "hairgap-binaries", "pydiode"], check=False, capture_output=True)
    return folder if ran.returncode == 0 else None


def hairgap(peers: Path, rate: int) -> Ends:
    """Return hairgap with its own parity (1.2) and packets; larger ones hang its receiver.

    Its option ``-t`` counts microseconds, whatever its help says.
    """
    folder = next(peers.glob("lib/python*/site-packages/hairgap_binaries"))
    machine = f"linux-{platform.machine()}"
    port = ["-p", str(PORT)]
    send = [str(folder / f"{machine}-hairgaps"), *port, "-b", str(rate), "-k", "0", RECEIVER_ADDRESS]
    receive = [str(folder / f"{machine}-hairgapr"), *port, "-t", "3000000", RECEIVER_ADDRESS]
    return Ends(send, receive)


def pydiode(peers: Path, rate: int) -> Ends:
    """Return pydiode; it knows one size of packets."""
    program = [str(peers / "bin" / "pydiode")]
    began = time.perf_counter()
    subprocess.run([*program, "--help"], check=True, capture_output=True)
    start = time.perf_counter() - began
    send = [*program, "send", RECEIVER_ADDRESS, SENDER_ADDRESS, "--port", str(PORT)]
    send += ["--max-bitrate", str(rate * MB * 8)]
    return Ends(send, [*program, "receive", RECEIVER_ADDRESS, "--port", str(PORT)], start)


def listening(link: OneWayLink, ends: Ends, out: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start the receiver, and return it when its port is open."""
    there = subprocess.Popen(link.receiving(ends.receive), stdout=out, stderr=subprocess.DEVNULL)
    while f":{PORT:04X} " not in _sockets(there.pid) and there.poll() is None:
        time.sleep(0.01)  # between two looks: nothing tells when a port opens in another namespace
    return there


def sent(link: OneWayLink, ends: Ends, source: Path, there: "subprocess.Popen[bytes]") -> float:
    """Send a file to a receiver that listens; return the seconds until both ended or were ended."""
    began = time.perf_counter()
    with source.open("rb") as content:
        here = subprocess.Popen(
            link.sending(ends.send), stdin=content, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            here.wait(WAIT)
            there.wait(_LAST)
        except subprocess.TimeoutExpired:
            here.kill()
            there.kill()
        seconds = time.perf_counter() - began - ends.start
        here.wait()
        there.wait()
    return seconds


@contextmanager
def roomy() -> Iterator[None]:
    """Give sockets that ask for nothing a large receive buffer, where that is allowed."""
    before = _DEFAULT_ROOM.read_text("ascii")
    try:
        _DEFAULT_ROOM.write_text(str(ROOM), "ascii")
        yield
    finally:
        _DEFAULT_ROOM.write_text(before, "ascii")


def _sockets(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/net/udp").read_text("ascii")
    except OSError:
        return ""
