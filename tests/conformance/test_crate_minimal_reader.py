"""A reader that shares no code with ours reads what we write, and the published vectors."""

import json
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from minimal_reader import RefusedError, digest, read_crate

from crossing_lane import SBOM_BYTES, Lane, filler, flipped
from lockgate.core.policy import Policy
from lockgate.core.roots import Root
from lockgate.core.wire import decode, encode
from lockgate.crossing import MemorySupplyRoots, Opener, OpenerParts, Received, RecordLedger
from lockgate.store import MemoryBlobs, MemoryRecords
from lockgate.trust.keys import RecipientKey

FILES = {"files/big": filler("big", (1 << 20) + 9000), "documents/ä.md": "ä".encode(), "files/none": b""}
VECTORS = Path(__file__).parents[2] / "docs" / "formats" / "vectors"
FOLDERS = [
    pytest.param(VECTORS, id="plain"),
    pytest.param(VECTORS / "parity", id="parity"),
    pytest.param(VECTORS / "cleartext", id="cleartext"),
]


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


def test_a_second_reader_reads_cleartext() -> None:
    with TemporaryDirectory() as folder:
        lane = Lane(policy=Policy(cleartext=True))
        lane.site = lane.site_root(lane.gate)
        crate = lane.seal(Path(folder), FILES, cleartext=True)
        files = read_crate(crate.path, lane.supply, lane.gate.private)
        assert {path: files[path] for path in FILES} == FILES
        with flipped(crate.path / "vol-0001.lgv", 5000, 1), pytest.raises(RefusedError):
            read_crate(crate.path, lane.supply, lane.gate.private)


def test_a_second_reader_rebuilds_from_parity(tmp_path: Path) -> None:
    lane = Lane()
    crate = lane.seal(tmp_path / "outbox", FILES, volume_bytes=300_000, parity=Fraction(1, 2))
    assert (len(crate.manifest.volumes), len(list(crate.path.glob("par-*")))) == (4, 2)
    (crate.path / "vol-0004.lgv").unlink()
    with flipped(crate.path / "vol-0002.lgv", 50, 1), flipped(crate.path / "vol-0001.lgv", 1000, 1):
        files = read_crate(crate.path, lane.supply, lane.gate.private)
        assert {path: files[path] for path in FILES} == FILES
        (crate.path / "par-0001.lgv").unlink()
        with pytest.raises(RefusedError):
            read_crate(crate.path, lane.supply, lane.gate.private)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_published_vectors_read_as_they_say(folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    (crate,) = folder.glob("crate-*")
    files = read_crate(crate, (folder / "1.root.json").read_bytes(), vector_key(folder).private)
    found = {path: digest(data) for path, data in files.items() if not path.startswith("tuf/")}
    assert found == expected["targets"]
    assert digest((crate / "crate.json").read_bytes()) == expected["crate_sha256"]


def vector_key(folder: Path) -> RecipientKey:
    key = load_pem_private_key((folder / "recipient.pem").read_bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return RecipientKey("vectors", key)


@pytest.mark.parametrize("folder", FOLDERS)
def test_our_own_reader_still_opens_the_published_vectors(folder: Path, tmp_path: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    (crate,) = folder.glob("crate-*")
    site = decode(Root, (folder / "site.json").read_bytes())
    blobs = MemoryBlobs()
    opener = Opener(
        OpenerParts(
            lane=expected["lane"],
            site=site,
            supply_pin=expected["supply_pin"],
            roots=MemorySupplyRoots((folder / "1.root.json").read_bytes()),
            ledger=RecordLedger(MemoryRecords()),
            keys=(vector_key(folder),),
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
