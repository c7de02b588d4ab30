"""The audit log's group commit: appends per second and median latency, grouped and one by one.

Each row is measured twice in the same run and on the same disk: with a transaction for each event
(as before) and with transactions that waiting threads share. The limit is what the disk takes:
how often one thread can append to a file and fsync it. `--quick` measures for a shorter time,
`--json` prints the ratios.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from lockgate.audit import AuditLog
from lockgate.audit.group import BATCH_EVENTS
from lockgate.store import open_records

THREADS = (1, 4, 8, 32)
ROUNDS = 3
FACTS = {"receipt": "0" * 32, "model_sha256": "0" * 64, "prompt_hmac": "0" * 64, "snapshot_sha256": "0" * 64}


def measure(folder: Path, threads: int, seconds: float, group: int) -> tuple[float, float]:
    """Return appends per second and the median latency in milliseconds."""
    base = Path(tempfile.mkdtemp(dir=folder))
    records = open_records(f"sqlite:///{base / 'audit.sqlite'}")
    log = AuditLog(records, "lockgate/bench/high", lambda: datetime.now(UTC), group=group)
    log.intent("warm-up")
    taken: list[float] = []
    stop = time.monotonic() + seconds

    def work() -> None:
        mine = []
        while (begun := time.monotonic()) < stop:
            log.intent("answer", **FACTS)
            mine.append(time.monotonic() - begun)
        taken.extend(mine)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    begun = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    rate = len(taken) / (time.monotonic() - begun)
    if log.verify().size != len(taken) + 1:
        raise SystemExit("The log does not hold what was appended.")
    records.close()
    return rate, statistics.median(taken) * 1000


def fsync_rate(folder: Path, seconds: float) -> float:
    """Return how often a second one thread can append a page to a file and make it durable."""
    count, page = 0, bytes(4096)
    with (folder / "fsync").open("wb", buffering=0) as file:
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            file.write(page)
            os.fsync(file.fileno())
            count += 1
        return count / (time.monotonic() - begun)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Half a second for each measurement.")
    parser.add_argument("--json", action="store_true", help="Print one object with the ratios.")
    parser.add_argument(
        "--folder", type=Path, default=None, help="Which disk to measure (default: temporary)."
    )
    options = parser.parse_args()
    seconds = 0.5 if options.quick else 3.0
    found: dict[str, float] = {}
    lines = []
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        limit = fsync_rate(folder, seconds)
        for threads in THREADS:
            # In turns, so that other work on the machine meets both; the medians are kept.
            rounds = [
                (measure(folder, threads, seconds, 1), measure(folder, threads, seconds, BATCH_EVENTS))
                for _ in range(ROUNDS)
            ]
            alone, alone_ms, grouped, grouped_ms = (
                statistics.median(each[way][what] for each in rounds) for way in (0, 1) for what in (0, 1)
            )
            found[f"group_vs_single_{threads}"] = round(grouped / alone, 3)
            found[f"p50_ratio_{threads}"] = round(grouped_ms / alone_ms, 3)
            found[f"group_appends_vs_fsync_{threads}"] = round(grouped / limit, 3)
            lines.append((threads, alone, alone_ms, grouped, grouped_ms))
    facts = f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    if options.json:
        print(json.dumps({"machine": facts, "fsync_per_second": round(limit), **found}))
        return
    print(f"{facts}; the disk takes {limit:,.0f} fsync/s from one thread")
    print("threads | one by one: appends/s, p50 ms | grouped: appends/s, p50 ms | ratio")
    for threads, alone, alone_ms, grouped, grouped_ms in lines:
        before, after = f"{alone:10,.0f} {alone_ms:18.2f}", f"{grouped:9,.0f} {grouped_ms:16.2f}"
        print(f"{threads:7} | {before} | {after} | {grouped / alone:5.2f}")


if __name__ == "__main__":
    main()
