"""Attestations of a crossing: what each step signed, over every file, and what refuses a crate."""

import shutil
from pathlib import Path

import pytest

from corpora.ceremony import Ceremony
from crossing_lane import Lane, refused
from lockgate.app.settings import load_settings
from lockgate.app.trust import site_root, supply_root
from lockgate.core.roots import KeyPurposeError, Purpose
from lockgate.core.wire import digest_of
from lockgate.crossing import contents
from lockgate.crossing import prepare as prepare_room
from lockgate.crossing.errors import TargetSetError
from lockgate.trust.attest import ADMISSION, COLLECTION, INSPECTION, SEALING, check
from lockgate.trust.keys import Signer


def test_each_step_attests_every_file_and_anybody_can_check_it(tmp_path: Path) -> None:
    lane = Ceremony(tmp_path).make()
    lane.cross("The pump has two valves.", "gus", "hal")
    out = tmp_path / "evidence"
    said = lane.commands.json("gate", "attestations", 1, "--out", out, "--home", lane.high)
    files = {name: Path(file).read_bytes() for name, file in said["attestations"].items()}
    assert list(files) == ["collection", "sealing", "inspection", "admission"]
    side = load_settings(lane.high)
    supply, site = supply_root(side)[1], site_root(side, None)
    now = supply.expires.replace(year=supply.expires.year - 1, microsecond=0)
    read = {
        "collection": check(files["collection"], supply, Purpose.COLLECTOR, COLLECTION, now),
        "sealing": check(files["sealing"], supply, Purpose.SEALER, SEALING, now),
        "inspection": check(files["inspection"], site, Purpose.INSPECTOR, INSPECTION, now),
        "admission": check(files["admission"], site, Purpose.INSPECTOR, ADMISSION, now),
    }
    named = {name: {s.name for s in statement.subject} for name, statement in read.items()}
    document = {"documents/notes/01-pump.md"}
    meta = {"meta/lock.json", "meta/lock.dsse.json", "meta/sbom.cdx.json"}
    assert named["collection"] == {"meta/lock.json", "meta/sbom.cdx.json"}
    assert named["sealing"] == document | meta
    assert named["inspection"] == named["admission"] == document
    admission = read["admission"].predicate
    assert (admission["approvers"], admission["requester"]) == (["gus", "hal"], "ora")
    assert admission["snapshot_sha256"] == digest_of(_snapshot(lane))
    assert read["sealing"].predicate["sequence"] == 1
    refused = lane.commands.refused("gate", "attestations", 7, "--out", out, "--home", lane.high)
    assert refused[1]["code"] == "LG-1f14"
    lane.collect("Not admitted yet.")
    lane.commands.json("receive", lane.seal(), "--home", lane.high)
    said = lane.commands.json("gate", "attestations", 2, "--out", out, "--home", lane.high)
    assert list(said["attestations"]) == ["collection", "sealing"]


def _snapshot(lane: Ceremony):
    from lockgate.app.high.channel import channel_reader

    return channel_reader(load_settings(lane.high), "mirror").current().snapshot


def test_a_crate_whose_sealing_attestation_says_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = contents.attest_sealing

    def other_sequence(parts, sealing, sealers):
        return real(parts, type(sealing)(**{**_facts(sealing), "sequence": 9}), sealers)

    def one_less(parts, sealing, sealers):
        return real(list(parts)[1:], sealing, sealers)

    for forged in (other_sequence, one_less):
        lane = Lane()
        monkeypatch.setattr(prepare_room, "attest_sealing", forged)
        crate = lane.seal(tmp_path / forged.__name__)
        error = refused(lane.opener(tmp_path / "staging"), crate, TargetSetError)
        assert error.where["path"] == "meta/sealing.dsse.json"
        assert list(lane.quarantine.digests()) == []
        shutil.rmtree(tmp_path / "staging")

    def by_the_collector(parts, sealing, sealers):
        key = lane.signers[Purpose.COLLECTOR]
        return real(parts, sealing, [Signer(Purpose.SEALER, "x", key.raw)])

    lane = Lane()
    monkeypatch.setattr(prepare_room, "attest_sealing", by_the_collector)
    refused(lane.opener(tmp_path / "staging"), lane.seal(tmp_path / "out"), KeyPurposeError)


def _facts(sealing) -> dict[str, object]:
    return {name: getattr(sealing, name) for name in sealing.__struct_fields__}


def test_a_crate_without_a_sealing_attestation_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = Lane()
    monkeypatch.setattr(prepare_room, "with_sealing", lambda parts, _sealing: tuple(parts))
    error = refused(lane.opener(tmp_path / "staging"), lane.seal(tmp_path / "out"), TargetSetError)
    assert "brings no" in error.what
    assert error.where["path"] == "meta/sealing.dsse.json"
    assert list(lane.quarantine.digests()) == []
