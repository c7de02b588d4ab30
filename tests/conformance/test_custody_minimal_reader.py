"""A reader that shares no code with ours reads the published chain, receipt and keep list, and no others."""

import base64
import json
from pathlib import Path

import pytest
from minimal_custody import RefusedError, canonical, read_chain, read_keep, read_receipt

from corpora.custody import custodians
from lockgate.core.roots import Purpose
from lockgate.crossing.custody import verify_chain
from make_custody_vectors import CRATE, fixed, made

VECTORS = Path(__file__).parents[2] / "docs" / "formats" / "vectors" / "custody"
CHAIN, LINE = (VECTORS / "chain.json").read_bytes(), (VECTORS / "receipt.txt").read_text()
KEYS = json.loads((VECTORS / "keys.json").read_text())


def test_the_vectors_are_what_we_write_today() -> None:
    assert {path.name: path.read_bytes() for path in VECTORS.iterdir()} == made()


def test_a_second_reader_reads_the_chain() -> None:
    chain = read_chain(CHAIN, KEYS, "harbour", CRATE)
    assert [h["receiver"] for h in chain] == ["anna", "courier-7", "courier-8", "cara", "anna"]
    known = custodians(low=(fixed(Purpose.CUSTODIAN, "anna"),), high=(fixed(Purpose.CUSTODIAN, "cara"),))
    ours = verify_chain(CHAIN, known, 42, CRATE)
    assert [h["place"] for h in chain] == [s.handover.place for s in ours]
    assert ours[-1].signers == ("anna", "cara")


def test_a_second_reader_reads_the_receipt() -> None:
    said = read_receipt(LINE, KEYS, "harbour", 2)
    assert (said["crossing"], said["crate_sha256"], said["ending"]) == (42, CRATE, "published")
    assert (said["log_size"], said["approvers"]) == (1234, ["ada", "ben"])


def test_a_second_reader_reads_the_keep_list_and_refuses_others() -> None:
    line = (VECTORS / "keep.txt").read_text()
    said = read_keep(line, KEYS, "harbour", 2)
    assert (said["crossing"], said["count"], said["dropped"]) == (42, 11, [3, 10])
    assert said["approvers"] == ["ada", "ben"]
    signed = base64.b32decode(line[5:].strip() + "=" * (-len(line[5:].strip()) % 8))
    for at, lane in ((None, "plant"), (41, "harbour"), (79, "harbour"), (80, "harbour"), (150, "harbour")):
        broken = bytearray(signed)
        if at is not None:
            broken[at] ^= 1
        with pytest.raises(RefusedError):
            read_keep("LGK1." + base64.b32encode(bytes(broken)).decode().rstrip("="), KEYS, lane, 2)


def test_the_second_reader_refuses_too() -> None:
    value = json.loads(CHAIN)
    handovers = value["handovers"]
    altered = [
        {**value, "handovers": [handovers[1], handovers[0]]},
        {**value, "handovers": handovers[1:]},
        {**value, "handovers": [handovers[0], handovers[2]]},
        {**value, "handovers": [{**handovers[0], "signatures": []}]},
        {**value, "handovers": [{**handovers[0], "signatures": handovers[2]["signatures"]}]},
    ]
    for each in altered:
        with pytest.raises(RefusedError):
            read_chain(canonical(each), KEYS, "harbour", CRATE)
    with pytest.raises(RefusedError):
        read_chain(CHAIN, KEYS, "plant", CRATE)
    with pytest.raises(RefusedError):
        read_receipt(LINE, KEYS, "plant", 2)
    with pytest.raises(RefusedError):
        read_receipt(LINE, KEYS, "harbour", 3)
    signed = bytearray(base64.b32decode(LINE[5:].strip() + "=" * (-len(LINE[5:].strip()) % 8)))
    for at in (41, 76, 120, 200, 300):
        broken = bytearray(signed)
        broken[at] ^= 1
        with pytest.raises(RefusedError):
            read_receipt("LGR1." + base64.b32encode(bytes(broken)).decode().rstrip("="), KEYS, "harbour", 2)
