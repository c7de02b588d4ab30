"""A reader that shares no code with ours reads what we write, and the published vectors."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from minimal_reader import RefusedError, digest, read_crate

from crossing_lane import SBOM_BYTES, Lane, filler, flipped
from lockgate.core.roots import Root
from lockgate.core.wire import decode, encode
from lockgate.crossing import MemorySupplyRoots, Opener, OpenerParts, Received, RecordLedger
from lockgate.store import MemoryBlobs, MemoryRecords
from lockgate.trust.keys import RecipientKey

FILES = {"files/big": filler("big", (1 << 20) + 9000), "documents/ä.md": "ä".encode(), "files/none": b""}
VECTORS = Path(__file__).parents[2] / "docs" / "formats" / "vectors"


@pytest.mark.parametrize("volume_bytes", [4096 * 5, 1 << 20, 1 << 23])
def test_a_second_reader_finds_the_same_files(tmp_path: Path, volume_bytes: int) -> None:
    lane = Lane()
    crate = lane.seal(tmp_path / "outbox", FILES, volume_bytes=volume_bytes)
    files = read_crate(crate.path, lane.supply, lane.gate.private)
    assert {path: files[path] for path in FILES} == FILES
    assert files["meta/sbom.cdx.json"] == SBOM_BYTES


def test_the_second_reader_refuses_too(tmp_path: Path) -> None:
    lane = Lane()
    crate = lane.seal(tmp_path / "outbox", FILES)
    for name in ("shards.idx", "vol-0001.lgv", "roots/1.root.json"):
        with flipped(crate.path / name, 50, 1), pytest.raises(RefusedError):
            read_crate(crate.path, lane.supply, lane.gate.private)


def test_the_published_vectors_read_as_they_say() -> None:
    expected = json.loads((VECTORS / "expected.json").read_text())
    (crate,) = VECTORS.glob("crate-*")
    files = read_crate(crate, (VECTORS / "1.root.json").read_bytes(), vector_key().private)
    found = {path: digest(data) for path, data in files.items() if not path.startswith("tuf/")}
    assert found == expected["targets"]
    assert digest((crate / "crate.json").read_bytes()) == expected["crate_sha256"]


def vector_key() -> RecipientKey:
    key = load_pem_private_key((VECTORS / "recipient.pem").read_bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return RecipientKey("vectors", key)


def test_our_own_reader_still_opens_the_published_vectors(tmp_path: Path) -> None:
    expected = json.loads((VECTORS / "expected.json").read_text())
    (crate,) = VECTORS.glob("crate-*")
    site = decode(Root, (VECTORS / "site.json").read_bytes())
    blobs = MemoryBlobs()
    opener = Opener(
        OpenerParts(
            lane=expected["lane"],
            site=site,
            supply_pin=expected["supply_pin"],
            roots=MemorySupplyRoots((VECTORS / "1.root.json").read_bytes()),
            ledger=RecordLedger(MemoryRecords()),
            keys=(vector_key(),),
            quarantine=blobs,
            staging=tmp_path,
            clock=lambda: datetime.fromisoformat(expected["now"]),
        )
    )
    received = opener.receive(crate)
    assert isinstance(received, Received)
    assert {path: target.sha256 for path, target in received.targets.items()} == expected["targets"]
    assert json.loads(encode(received.manifest)) == expected["manifest"]
    assert all(blobs.has(digest) for digest in expected["targets"].values())
