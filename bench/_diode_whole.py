"""How many transfers arrive whole where packets are lost, program by program; part of ``bench/diode.py``.

"files" are transfers of one file of 20 MB each. "small files" have 1 to 8 kB, as a crate's smaller files and
roots have: some packets each. With hairgap and pydiode each is a transfer of its own; with us they are the
volumes of crates, and each that arrived whole counts. Everybody sends at the same rate, with the program's
own settings for parity, into receive buffers that are large enough.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from _diode_peers import WAIT, Ends, hairgap, listening, pydiode, roomy, sent

from corpora.onewaylink import PORT, RECEIVER_ADDRESS, OneWayLink

MB = 1_000_000
MTU = 1500
LOSSES = (10, 50)
"""Packets of a thousand that are lost."""

RATE = 60
"""MB per second on the link: what every program kept up with on two cores."""

LONG = 20 * MB
LONGS = 20
"""Transfers of that length, for each program and loss."""

SMALLS = tuple(range(1000, 8000, 70))
"""Lengths of small files, in bytes."""

ROUNDS = 8
"""How often all small files are sent."""

PART = {"pydiode": 10}
"""Of so many transfers one is made: pydiode starts two interpreters for each, and waits long for losses."""

Batch = Callable[[OneWayLink, list[Path], Path], int]
"""Sends files over a link, and returns how many of them arrived whole in a folder."""


@dataclass(frozen=True)
class Count:
    """How many transfers of one program and kind were whole under one condition."""

    what: str
    kind: str
    mtu: int
    loss_percent: float
    rate_mb_s: int
    whole: int
    runs: int


def counts(folder: Path, program: list[str], peers: Path | None) -> Iterator[Count]:
    """Send everything with every program, and count.

    Args:
        folder: Where content and what arrives lie meanwhile.
        program: The command of both of our own ends (``corpora.diode_ends``).
        peers: The peers' environment; None leaves them out.

    """
    batches: dict[str, Batch] = {"lockgate": _Ours(program, folder)}
    if peers:
        batches |= {"hairgap": _Peer(hairgap(peers, RATE)), "pydiode": _Peer(pydiode(peers, RATE))}
    kinds = {"files": [LONG], "small files": list(SMALLS)}
    for kind, sizes in kinds.items():
        files = _made(folder / kind, sizes)
        for loss in LOSSES:
            for what, batch in batches.items():
                part = PART.get(what, 1)
                times = max(1, (LONGS if kind == "files" else ROUNDS) // part)
                some = files if kind == "files" else files[::part]
                whole = 0
                with roomy(), OneWayLink(mtu=MTU, loss_per_mille=loss) as link:
                    for _ in range(times):
                        target = folder / "arrived"
                        target.mkdir()
                        whole += batch(link, some, target)
                        shutil.rmtree(target)
                yield Count(what, kind, MTU, loss / 10, RATE, whole, times * len(some))
        shutil.rmtree(folder / kind)


def shares(found: list[Count]) -> dict[str, float]:
    """Return the share of whole transfers of both kinds, by loss; a peer's has its name in front."""
    parts: dict[str, list[Count]] = {}
    for row in found:
        name = "" if row.what == "lockgate" else f"{row.what}_"
        parts.setdefault(f"{name}whole_{row.loss_percent:g}pct", []).append(row)
    return {
        name: round(sum(row.whole for row in rows) / sum(row.runs for row in rows), 4)
        for name, rows in parts.items()
    }


class _Peer:
    """Sends each file by itself."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends

    def __call__(self, link: OneWayLink, files: list[Path], target: Path) -> int:
        whole = 0
        for file in files:
            arrived = target / file.name
            with arrived.open("wb") as out:
                sent(link, self._ends, file, listening(link, self._ends, out))
            whole += _digest(arrived) == _digest(file)
        return whole


class _Ours:
    """Sends the files as the volumes of one crate."""

    def __init__(self, program: list[str], folder: Path) -> None:
        self._program = program
        self._crate = folder / "out" / "crate-000001-bebebe"
        self._journal = folder / "journal"

    def __call__(self, link: OneWayLink, files: list[Path], target: Path) -> int:
        names = self._lay_out(files)
        given = {"address": RECEIVER_ADDRESS, "port": PORT, "inbox": str(target), "silence": 2.0}
        sending = {"crate": str(self._crate), "journal": str(self._journal), "only": []}
        sending["settings"] = {"address": RECEIVER_ADDRESS, "port": PORT, "mtu": MTU, "rate": RATE * MB}
        receive = link.receiving([*self._program, "receive", json.dumps(given)])
        with subprocess.Popen(receive, stdout=subprocess.PIPE, text=True) as there:
            there.stdout.readline()
            send = link.sending([*self._program, "send", json.dumps(sending)])
            subprocess.run(send, check=True, timeout=WAIT, stdout=subprocess.DEVNULL)
            there.communicate(timeout=WAIT)
        place = target / self._crate.name
        whole = sum(_digest(place / name) == _digest(file) for name, file in names.items())
        shutil.rmtree(self._crate)
        return whole

    def _lay_out(self, files: list[Path]) -> dict[str, Path]:
        """Make the crate's folder: the files are its volumes, what describes it is made up."""
        (self._crate / "roots").mkdir(parents=True)
        for name in ("crate.json", "shards.idx", "roots/1.root.json"):
            (self._crate / name).write_bytes(os.urandom(4000))
        names = {f"vol-{number:04d}.lgv": file for number, file in enumerate(files, 1)}
        for name, file in names.items():
            os.link(file, self._crate / name)
        return names


def _made(folder: Path, sizes: list[int]) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number:04d}" for number in range(len(sizes))]
    for file, size in zip(files, sizes, strict=True):
        file.write_bytes(os.urandom(size))
    return files


def _digest(path: Path) -> str:
    if not path.is_file():
        return "missing"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
