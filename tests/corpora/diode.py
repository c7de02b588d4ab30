"""Crates and ends of a diode for tests: a receiver in a thread, a sender over loopback, packets by hand."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import numpy as np

from crossing_lane import filler
from lockgate.core.wire import encode
from lockgate.crossing.diode import (
    DiodeKey,
    Inlet,
    Receiver,
    ReceiverParts,
    ReceiveSettings,
    Report,
    Sender,
    SenderParts,
    SendJournal,
    SendSettings,
    Sent,
)
from lockgate.crossing.diode.table import Table, TableFile
from lockgate.crossing.diode.wire import HEADER, MAGIC, TAG_SIZE, Kind, SessionKey, tagging
from lockgate.crossing.erasure import code, rows_of

KEY = bytes(range(32))
NAME = "crate-000001-aabbcc"
HERE = "127.0.0.1"
SECONDS = 240


def fake_crate(parent: Path, *volumes: int, name: str = NAME) -> Path:
    """Make a folder with the names of a crate; the diode does not look inside."""
    crate = parent / name
    (crate / "roots").mkdir(parents=True)
    (crate / "crate.json").write_bytes(filler(f"{name} crate.json", 3000))
    (crate / "shards.idx").write_bytes(filler(f"{name} shards.idx", 900))
    (crate / "roots" / "1.root.json").write_bytes(filler(f"{name} root", 2000))
    for number, size in enumerate(volumes, 1):
        (crate / f"vol-{number:04d}.lgv").write_bytes(filler(f"{name} {number}", size))
    return crate


def content(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@dataclass
class Receiving:
    """A receiver at work in a thread."""

    inlet: Inlet
    receiver: Receiver
    results: list[Report | Exception] = field(default_factory=list)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        try:
            self.results.append(self.receiver.receive())
        except Exception as error:  # noqa: BLE001  # raised again where the result is asked for
            self.results.append(error)

    def result(self) -> Report:
        """Wait for the end; raise what it raised."""
        assert self.thread is not None
        self.thread.join(SECONDS)
        assert not self.thread.is_alive(), "the receiver did not come to its end"
        result = self.results.pop()
        if isinstance(result, Exception):
            raise result
        return result


@contextmanager
def receiving(inbox: Path, **settings: float) -> Iterator[Receiving]:
    """Give a receiver that has begun. With `now` its clock stands still, so that nothing falls silent."""
    parts: dict[str, Any] = {}
    if "now" in settings:
        now = settings.pop("now")
        parts["now"] = lambda: now
    if "free" in settings:
        free = int(settings.pop("free"))
        parts["free"] = lambda _: free
    bounds = ReceiveSettings(**({"silence": 5.0} | settings))  # type: ignore[arg-type]
    with (
        Inlet(HERE, 0) as inlet,
        Receiver.open(ReceiverParts(DiodeKey(KEY), inbox, inlet, **parts), bounds) as receiver,
    ):
        made = Receiving(inlet, receiver)
        made.start()
        yield made
        if made.thread is not None:
            made.thread.join(SECONDS)


def sender(port: int, journal: Path, **settings: int) -> Sender:
    """Return a sender to a port of this machine."""
    chosen = {"data": 20, "parity": 6, "rate": 40_000_000, "interleave": 1 << 20} | settings
    return Sender(SenderParts(DiodeKey(KEY), SendJournal(journal)), SendSettings(HERE, port, **chosen))


def transfer(crate: Path, inbox: Path, *only: str, **settings: int) -> tuple[Sent, Report]:
    """Send a crate to an inbox over loopback."""
    with receiving(inbox) as there:
        sent = sender(there.inlet.port, crate.parent / ".diode", **settings).send(crate, only)
        return sent, there.result()


@dataclass
class Forge:
    """Makes packets one by one, right or wrong in any field."""

    key: SessionKey = field(default_factory=lambda: DiodeKey(KEY).new_session(os.urandom))
    shard: int = 200
    number: int = 0

    def packet(
        self,
        kind: int,
        payload: bytes = b"",
        *,
        shape: tuple[int, int, int] = (0, 1, 0),
        stream: int = 0,
        block: int = 0,
        length: int = 0,
        number: int | None = None,
    ) -> bytes:
        """Return a packet with a right tag; `shape` is shard, data shards, parity shards."""
        if number is None:
            number, self.number = self.number, self.number + 1
        head = HEADER.pack(MAGIC, self.key.session, number, kind, *shape, stream, block, length)
        made = bytearray(head + payload + bytes(TAG_SIZE))
        self.key.tag([tagging(memoryview(made))])
        return bytes(made)

    def table(self, *files: tuple[str, int], raw: bytes | None = None, **changes: object) -> list[bytes]:
        """Return the packets of an announcement of files, by name and size."""
        facts = {
            "format": "lockgate-diode/1",
            "crate": NAME,
            "files": tuple(TableFile(name=n, size=s) for n, s in files),
            "shard": self.shard,
            "data": 4,
            "parity": 2,
            "interleave": 65536,
            "rate": 10**6,
        }
        data = encode(Table(**(facts | changes))) if raw is None else raw  # type: ignore[arg-type]
        count = -(-len(data) // self.shard)
        padded = data.ljust(count * self.shard, b"\0")
        return [
            self.packet(
                Kind.TABLE,
                padded[n * self.shard : (n + 1) * self.shard],
                shape=(n, count, 0),
                length=len(data),
            )
            for n in range(count)
        ]

    def block(self, stream: int, number: int, data: bytes, length: int, parity: int = 2) -> list[bytes]:
        """Return the packets of one block with this content."""
        count = -(-len(data) // self.shard)
        if count < 4:
            parity = min(parity, 8 + -(-parity * count // 4))
        shards = np.zeros((count + parity, self.shard), np.uint8)
        shards.reshape(-1)[: len(data)] = np.frombuffer(data, np.uint8)
        where = rows_of(shards)
        code(count, parity).encode(where[:count], where[count:], self.shard)
        return [
            self.packet(
                Kind.DATA,
                shards[n].tobytes(),
                shape=(n, count, parity),
                stream=stream,
                block=number,
                length=length,
            )
            for n in range(count + parity)
        ]

    def digest(self, stream: int, content: bytes) -> bytes:
        """Return the packet that says what a file with this content adds up to."""
        marks = [
            self.key.mark(stream, at // (4 * self.shard), memoryview(content)[at : at + 4 * self.shard])
            for at in range(0, len(content), 4 * self.shard)
        ]
        return self.said(stream, reduce(xor, marks).to_bytes(TAG_SIZE, "big"))

    def said(self, stream: int, total: bytes) -> bytes:
        return self.packet(Kind.DIGEST, total, stream=stream)

    def end(self) -> bytes:
        return self.packet(Kind.END, length=self.number)


def throw(port: int, packets: list[bytes]) -> None:
    """Send packets as they are."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outlet:
        for packet in packets:
            outlet.sendto(packet, (HERE, port))
