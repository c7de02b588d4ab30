"""How long a snapshot of many artifacts takes: made, copied, changed by one, switched to, started with.

    python bench/_mirror_publish.py publish FOLDER COUNT KIND
    python bench/_mirror_publish.py serve FOLDER BEFORE AFTER KIND

Each prints one JSON object. They are processes of their own, so that the most memory that each needed
(``VmHWM``) is its own, and so that the disk is really waited for. The artifacts are named and not there,
but for what pages are made from (`_mirror_kinds`).
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from _mirror_kinds import OTHERS, made

from lockgate.admit.snapshots import SnapshotMaker
from lockgate.app.gate.gate import MirrorPages
from lockgate.core.parts import open_snapshot, part_digests, parts_of, snapshot_digest
from lockgate.core.snapshot import Snapshot
from lockgate.core.statement import NOTHING, STATEMENT_FORMAT, Operation, Statement
from lockgate.mirror.entries import Table
from lockgate.mirror.tables import build_table
from lockgate.store import FileBlobs

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
LOOKUPS = 2000


def timed(seconds: dict[str, float], name: str, work: Callable[[], Snapshot]) -> Snapshot:
    """Note wall and processor seconds of a piece of work."""
    wall, cpu = time.perf_counter(), time.process_time()
    made = work()
    seconds[name] = time.perf_counter() - wall
    seconds[f"{name}_cpu"] = time.process_time() - cpu
    return made


def memory_mb() -> float:
    """Return the most memory that this process ever had resident, in MB."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def copied(snapshot: Snapshot, known: frozenset[str], quarantine: FileBlobs, blobs: FileBlobs) -> Snapshot:
    """Copy parts and pages into the store, as the gate does with all that a snapshot names."""
    parts = parts_of(snapshot)
    if parts is None:
        sys.exit("Fewer artifacts than a snapshot in parts has.")
    new = [named for named in parts.index.branches if named.sha256 not in known]
    pages = {page.sha256 for named in new for page in parts.read(named).generated}
    wanted = sorted(pages | {named.sha256 for named in new} | {parts.digest})
    blobs.copy_all(quarantine, [digest for digest in wanted if not blobs.has(digest)])
    return snapshot


def publish(folder: Path, count: int, kind: str) -> dict[str, object]:
    """Publish many artifacts, then one more, as the gate makes and keeps their snapshots."""
    quarantine, blobs = FileBlobs(folder / "quarantine"), FileBlobs(folder / "blobs")
    making = SnapshotMaker(quarantine, blobs, MirrorPages())
    seconds: dict[str, float] = {}
    entries = made(kind, range(count), quarantine.put_all)
    held = memory_mb()
    first = timed(seconds, "made", lambda: making.make("bench", (), entries, START))
    timed(seconds, "copied", lambda: copied(first, frozenset(), quarantine, blobs))
    entries.clear()

    one_more = made(kind, range(count, count + 1), quarantine.put_all)

    def change() -> Snapshot:
        served = open_snapshot(snapshot_digest(first), blobs)
        believed = part_digests(served)  # as after two approvals of what is served
        after = making.make("bench", served.admitted, one_more, START, believed)
        return copied(after, part_digests(served), quarantine, blobs)

    second = timed(seconds, "changed", change)
    return {
        "seconds": seconds,
        "before": snapshot_digest(first),
        "after": snapshot_digest(second),
        "artifacts_mb": held,
        "most_mb": memory_mb(),
    }


def table_of(digest: str, blobs: FileBlobs, known: frozenset[str], before: Table | None = None) -> Table:
    """Return what a mirror answers from, after hashing every part that it did not know."""
    snapshot = open_snapshot(digest, blobs)
    parts = parts_of(snapshot)
    if parts is not None:
        parts.hash(known)
    statement = Statement(
        format=STATEMENT_FORMAT,
        lane="bench",
        operation=Operation.PUBLISH,
        crossing=1,
        crate_sha256=NOTHING,
        snapshot_sha256=digest,
        verdicts_sha256=NOTHING,
        waivers=(),
        policy_sha256=NOTHING,
        custody_sha256=NOTHING,
        channel="stable",
        channel_version=1,
        previous_sha256=NOTHING,
        requester="operator",
        log_checkpoint="",
        nonce="0" * 32,
        created=START,
        expires=START,
    )
    return build_table(statement, snapshot, before=before)


def named(table: Table, kind: str) -> Mapping[str, object]:
    """Return what a mirror answers by the names of a kind."""
    tables: dict[str, Mapping[str, object]] = {
        "python": table.projects,
        "npm": table.npm,
        "huggingface": table.models,
        "oci": table.images.by_name,
        "files": table.files,
        "apt": table.apt.files,
    }
    return tables[kind]


def asked_of(table: Table, kind: str) -> list[tuple[Mapping[str, object], str]]:
    """Return what is looked up: some two thousand names, all over, and where."""
    if kind == "mixed":
        return [one for each in ("python", *OTHERS) for one in asked_of(table, each)]
    held = named(table, kind)
    names = [f"p{number}" for number in range(len(held))] if kind == "python" else list(held)
    return [(held, name) for name in names[:: max(1, len(names) // LOOKUPS)]]


def serve(folder: Path, before: str, after: str, kind: str) -> dict[str, object]:
    """Start with one snapshot, look things up in it, and switch to the next."""
    blobs = FileBlobs(folder / "blobs")
    seconds: dict[str, float] = {}
    tables: list[Table] = []

    def table(digest: str, known: frozenset[str]) -> Snapshot:
        tables.append(table_of(digest, blobs, known, tables[-1] if tables else None))
        return tables[-1].snapshot

    first = timed(seconds, "started", lambda: table(before, frozenset()))
    started_mb = memory_mb()
    began = time.perf_counter()
    if tables[0].lookups is not None:
        _ = tables[0].lookups.survey.result  # as the server does behind its first answers
    surveyed = time.perf_counter() - began
    asked = asked_of(tables[0], kind)
    began = time.perf_counter()
    found = sum(name in held and bool(held[name]) for held, name in asked)
    looked = (time.perf_counter() - began) / len(asked)
    if found != len(asked):
        sys.exit("Something that is served was not found.")
    began = time.perf_counter()
    held, name = asked[-1]
    for _ in asked:
        held[name]
    again = (time.perf_counter() - began) / len(asked)
    timed(seconds, "switched", lambda: table(after, part_digests(first)))
    seconds["surveyed"] = surveyed
    lookups = {"lookup_ms": looked * 1000, "lookup_kept_us": again * 1e6}
    return {"seconds": seconds, "started_mb": started_mb, "most_mb": memory_mb(), **lookups}


def main() -> None:
    """Do one of the two and print what it took."""
    what, folder, *more = sys.argv[1:]
    if what == "publish":
        done = publish(Path(folder), int(more[0]), more[1])
    else:
        done = serve(Path(folder), more[0], more[1], more[2])
    print(json.dumps(done))


if __name__ == "__main__":
    main()
