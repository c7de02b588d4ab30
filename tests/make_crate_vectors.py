"""Writes `docs/formats/vectors/`: crates, what opens them, and what has to come out.

Run it when the format changes, from the repository's root: `python tests/make_crate_vectors.py NAME`,
where NAME is one of `SETS`. The keys are made for the vectors and protect nothing.
"""

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from crossing_lane import NOW, Lane, filler
from lockgate.core.policy import Policy
from lockgate.core.wire import encode, stamp
from lockgate.crossing import Received

TARGET = Path(__file__).resolve().parents[1] / "docs" / "formats" / "vectors"
FILES = {
    "documents/handbook/01-pumps.md": b"# Pumps\n\nPump 7 is primed by hand.\n",
    "documents/handbook/02-empty.md": b"",
    "models/example/tiny/weights.bin": filler("weights", 3000),
}


@dataclass(frozen=True)
class Vectors:
    """One folder of vectors: how its crate is sealed, and which of its files got lost on the way."""

    folder: Path
    changes: dict[str, Any]
    lost: tuple[str, ...] = ()


SETS = {
    "plain": Vectors(TARGET, {"volume_bytes": 5000}),
    "parity": Vectors(
        TARGET / "parity",
        {"volume_bytes": 4096, "parity": Fraction(1, 2)},
        ("vol-0002.lgv", "par-0001.lgv"),
    ),
    "cleartext": Vectors(TARGET / "cleartext", {"volume_bytes": 8000, "cleartext": True}),
}


def main(name: str) -> int:
    """Write one folder anew; its subfolders stay."""
    chosen = SETS[name]
    lane = Lane(name="vectors")
    if chosen.changes.get("cleartext"):
        lane.policy = Policy(cleartext=True)
        lane.site = lane.site_root(lane.gate)
    chosen.folder.mkdir(exist_ok=True)
    for old in chosen.folder.glob("crate-*"):
        shutil.rmtree(old)
    with tempfile.TemporaryDirectory() as folder:
        crate = lane.seal(Path(folder) / "outbox", FILES, **chosen.changes)
        for lost in chosen.lost:
            (crate.path / lost).unlink()
        received = lane.opener(Path(folder) / "staging").receive(crate.path)
        if not isinstance(received, Received):
            return 1
        shutil.copytree(crate.path, chosen.folder / crate.path.name)
    pem = lane.gate.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (chosen.folder / "recipient.pem").write_bytes(pem)
    (chosen.folder / "1.root.json").write_bytes(lane.supply)
    (chosen.folder / "site.json").write_bytes(encode(lane.site))
    expected = {
        "lane": lane.name,
        "now": stamp(NOW),
        "supply_pin": lane.pin,
        "crate_sha256": crate.crate_sha256,
        "manifest": json.loads(encode(crate.manifest)),
        "targets": {path: target.sha256 for path, target in sorted(received.targets.items())},
    }
    (chosen.folder / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
