"""Writes `docs/formats/vectors/station/`: a lock, a station's report on it, and its key.

Run it when a format changes, from the repository's root: `python tests/make_station_vectors.py`. The key
follows from a fixed text and protects nothing.
"""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from lockgate.core.artifact import LOCK_FORMAT, Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.roots import Purpose
from lockgate.core.station import REPORT_FORMAT, FileScan, ScannerFacts, StationReport
from lockgate.core.verdict import Outcome
from lockgate.core.wire import encode
from lockgate.crossing.station import sign_report
from make_custody_vectors import CRATE, fixed

TARGET = Path(__file__).resolve().parents[1] / "docs" / "formats" / "vectors" / "station"
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
CONTENTS = {
    "documents/pump.md": b"# Pump\n",
    "files/macro.bin": b"not what it seems",
    "files/large.bin": b"x" * 99,
}


def lock() -> Lock:
    """Return a lock of three files."""
    files = [
        ArtifactFile(path=path, role=Role.OTHER, size=len(data), sha256=sha256(data).hexdigest())
        for path, data in CONTENTS.items()
    ]
    artifacts = tuple(
        Artifact(purl=f"pkg:generic/{f.path}@1", kind=Kind.FILE, name=f.path, version="1", files=(f,))
        for f in files
    )
    return Lock(
        format=LOCK_FORMAT,
        lane="harbour",
        created=NOW,
        manifest_sha256=sha256(b"manifest").hexdigest(),
        artifacts=artifacts,
    )


def report() -> StationReport:
    """Return what a station found: one clean file, one with findings, one longer than it was seen to read."""
    outcomes = (
        (Outcome.CLEAN, (), ""),
        (Outcome.FINDINGS, ("Doc.Macro-1",), ""),
        (Outcome.INCOMPLETE, (), "longer than the scanner was seen to read"),
    )
    listed = [file for artifact in lock().artifacts for file in artifact.files]
    scans = tuple(
        FileScan(path=f.path, sha256=f.sha256, size=f.size, outcome=outcome, names=names, why=why)
        for f, (outcome, names, why) in zip(listed, outcomes, strict=True)
    )
    return StationReport(
        format=REPORT_FORMAT,
        lane="harbour",
        crossing=42,
        crate_sha256=CRATE,
        lock_sha256=sha256(encode(lock())).hexdigest(),
        scanner=ScannerFacts(name="clamav", version="ClamAV 1.4.3/27500", adapter="command", database=NOW),
        largest=64,
        started=NOW,
        finished=NOW + timedelta(minutes=5),
        expires=NOW + timedelta(days=7),
        files=scans,
    )


def made() -> dict[str, bytes]:
    """Return the files of the vectors by name."""
    station = fixed(Purpose.SCANNER, "station-1")
    key = {
        "person": station.person,
        "purpose": station.purpose,
        "keytype": station.public.keytype,
        "public": station.public.public,
    }
    return {
        "lock.json": encode(lock()),
        "crate-000042-abcdef.station.json": sign_report(report(), station),
        "keys.json": json.dumps({station.keyid: key}, indent=1, sort_keys=True).encode() + b"\n",
    }


if __name__ == "__main__":
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, data in made().items():
        (TARGET / name).write_bytes(data)
