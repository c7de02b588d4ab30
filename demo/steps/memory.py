"""How much memory the demonstration takes: proportional set sizes of all its processes, sampled."""

import os
import threading
from pathlib import Path

EVERY_SECONDS = 1.0


def _parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    return parents


def _ours(home: str) -> set[int]:
    """Return this process, what descends from it, and the detached services of the home."""
    parents = _parents()
    ours = {os.getpid()}
    for pid in sorted(parents):
        try:
            if f"LOCKGATE_HOME={home}".encode() in Path(f"/proc/{pid}/environ").read_bytes():
                ours.add(pid)
        except OSError:
            continue
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in ours} - ours
        ours |= more
        grown = bool(more)
    return ours


def _bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in text.splitlines() if line.startswith(("Pss:", "SwapPss:"))]
    return sum(int(words[1]) for words in lines) * 1024


class MemoryWatch:
    """Samples in a thread of its own and keeps the highest sum."""

    def __init__(self, home: Path) -> None:
        """Begin to sample."""
        self.peak = 0
        self._home = str(home)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._end.wait(EVERY_SECONDS):
            self.peak = max(self.peak, sum(_bytes(pid) for pid in _ours(self._home)))

    def stop(self) -> int:
        """Stop sampling and return the highest sum, in bytes."""
        self._end.set()
        self._thread.join()
        return self.peak
