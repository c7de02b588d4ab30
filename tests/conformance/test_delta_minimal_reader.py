"""A reader that shares no code with ours rebuilds what our patches describe, and the published vectors."""

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from minimal_patch import groups
from minimal_reader import digest, read_crate

from crossing_lane import Lane
from delta_files import PAIRS
from lockgate.core.roots import Root
from lockgate.core.wire import decode, encode
from lockgate.crossing import MemorySupplyRoots, Opener, OpenerParts, Received, RecordLedger
from lockgate.crossing.delta.grouping import write_grouped
from lockgate.crossing.rebuilding import InsecureInProcessRebuilder
from lockgate.store import MemoryBlobs, MemoryRecords
from lockgate.trust.keys import RecipientKey

VECTORS = Path(__file__).parents[2] / "docs" / "formats" / "vectors" / "delta"


def test_a_second_reader_rebuilds_the_same_files(tmp_path: Path) -> None:
    lane = Lane()
    # The tokens of foreign compressors are ours alone: the second reader has no encoder for them.
    pairs = {case: pair for case, pair in PAIRS.items() if "foreign" not in case}
    old = {f"{n}/pkg-1.0-{name}": old for n, (name, old, _) in enumerate(pairs.values())}
    new = {f"{n}/pkg-1.1-{name}": new for n, (name, _, new) in enumerate(pairs.values())}
    lane.sealer(tmp_path / "outbox").seal(lane.request(old))
    crate = lane.sealer(tmp_path / "outbox").seal(lane.request(new, delta=True))
    held = {digest(data): data for data in old.values()}
    files = read_crate(crate.path, lane.supply, lane.gate.private, held)
    assert {path: files[path] for path in new} == new
    assert crate.manifest.plaintext_size < sum(map(len, new.values())) // 3


@pytest.mark.parametrize("spread", [0.3, 2, 40, 5000])
def test_a_second_reader_reads_groups_of_any_width(spread: float) -> None:
    chance = np.random.default_rng(int(spread))
    base = chance.normal(0, 1, 4000).astype(np.float16)
    steps = (chance.standard_t(3, 4000) * spread).astype(np.int16)
    zigzag = (steps << 1 ^ steps >> 15).view(np.uint16)
    assert groups(write_grouped(zigzag.tobytes(), base.tobytes()), base.tobytes()) == zigzag.tolist()


def test_the_published_vectors_read_as_they_say() -> None:
    expected = json.loads((VECTORS / "expected.json").read_text())
    first, second = sorted(VECTORS.glob("crate-*"))
    root, key = (VECTORS / "1.root.json").read_bytes(), vector_key().private
    held = {digest(data): data for data in read_crate(first, root, key).values()}
    files = read_crate(second, root, key, held)
    found = {path: digest(data) for path, data in files.items() if not path.startswith("tuf/")}
    assert found == expected["targets"]
    assert digest((second / "crate.json").read_bytes()) == expected["crate_sha256"]


def vector_key() -> RecipientKey:
    key = load_pem_private_key((VECTORS / "recipient.pem").read_bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return RecipientKey("vectors", key)


def test_our_own_reader_still_opens_the_published_vectors(tmp_path: Path) -> None:
    expected = json.loads((VECTORS / "expected.json").read_text())
    opener = Opener(
        OpenerParts(
            lane=expected["lane"],
            site=decode(Root, (VECTORS / "site.json").read_bytes()),
            supply_pin=expected["supply_pin"],
            roots=MemorySupplyRoots((VECTORS / "1.root.json").read_bytes()),
            ledger=RecordLedger(MemoryRecords()),
            keys=(vector_key(),),
            quarantine=MemoryBlobs(),
            staging=tmp_path,
            clock=lambda: datetime.fromisoformat(expected["now"]),
            rebuilder=InsecureInProcessRebuilder(),
        )
    )
    for crate in sorted(VECTORS.glob("crate-*")):
        received = opener.receive(crate)
        assert isinstance(received, Received)
    assert {path: target.sha256 for path, target in received.targets.items()} == expected["targets"]
    assert json.loads(encode(received.manifest)) == expected["manifest"]
