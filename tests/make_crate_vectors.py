"""Writes `docs/formats/vectors/`: a crate, what opens it, and what has to come out.

Run it when the format changes, from the repository's root: `python tests/make_crate_vectors.py`.
The keys are made for the vectors and protect nothing.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from crossing_lane import NOW, Lane, filler
from lockgate.core.wire import encode, stamp
from lockgate.crossing import Received

TARGET = Path(__file__).resolve().parents[1] / "docs" / "formats" / "vectors"
FILES = {
    "documents/handbook/01-pumps.md": b"# Pumps\n\nPump 7 is primed by hand.\n",
    "documents/handbook/02-empty.md": b"",
    "models/example/tiny/weights.bin": filler("weights", 3000),
}


def main() -> int:
    """Write the folder anew."""
    lane = Lane(name="vectors")
    with tempfile.TemporaryDirectory() as folder:
        crate = lane.seal(Path(folder) / "outbox", FILES, volume_bytes=5000)
        received = lane.opener(Path(folder) / "staging").receive(crate.path)
        if not isinstance(received, Received):
            return 1
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(crate.path, TARGET / crate.path.name)
    pem = lane.gate.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (TARGET / "recipient.pem").write_bytes(pem)
    (TARGET / "1.root.json").write_bytes(lane.supply)
    (TARGET / "site.json").write_bytes(encode(lane.site))
    expected = {
        "lane": lane.name,
        "now": stamp(NOW),
        "supply_pin": lane.pin,
        "crate_sha256": crate.crate_sha256,
        "manifest": json.loads(encode(crate.manifest)),
        "targets": {path: target.sha256 for path, target in sorted(received.targets.items())},
    }
    (TARGET / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
