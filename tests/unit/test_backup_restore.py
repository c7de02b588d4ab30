"""Backup and restore of a high side: what comes back, what never goes back, who has to sign."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpora.homes import HighSide, crate
from lockgate.admit.model import CHANNELS, SPENT
from lockgate.app.crossing.receive import receive_crate
from lockgate.app.gate.gate import execute, open_gate
from lockgate.app.gate.holds import HOLDS, AdmissionHeldError
from lockgate.app.high.channel import channel_reader
from lockgate.app.record import restore as restoring
from lockgate.app.record.backup import (
    MANIFEST,
    BackupAlteredError,
    BackupFolderError,
    make_backup,
    open_backup,
)
from lockgate.app.record.merge import HistoriesDifferError
from lockgate.app.record.restore import Floor, FloorError, ask, prepare, read_receipt, restore
from lockgate.app.trust import audit_log, signer_from, site_root
from lockgate.approve.errors import StatementChangedError
from lockgate.audit import log_keys, sign_checkpoint
from lockgate.cli.main import app
from lockgate.core.ports import Silent
from lockgate.core.roots import KeyPurposeError, PublicKey, Purpose
from lockgate.core.sequence import ReplayedCrateError, judge
from lockgate.core.statement import OwnRequestError, TooFewApproversError
from lockgate.crossing.ledger import RecordLedger
from lockgate.store import FileBlobs, MemoryRecords
from lockgate.trust.errors import SignatureError

KNOWN = Floor(last_crossing=1, last_crate=crate(1))


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    made = HighSide.new(tmp_path)
    made.publish(1, "first")
    return made


def served(high: HighSide) -> list[str]:
    channel = channel_reader(high.side, "test").current()
    return sorted(a.artifact.name for a in channel.snapshot.admitted)


def note(high: HighSide) -> str:
    site = site_root(high.side, None)
    return sign_checkpoint(
        audit_log(high.side).checkpoint(), signer_from(high.side.home.keys, Purpose.LOG, site)
    )


def test_nothing_lost_and_nothing_changed(high: HighSide) -> None:
    high.backup()
    before = high.records()
    done = high.restore()
    assert (done.plan.lost, done.plan.anchored, done.missing_blobs) == (False, True, 0)
    after = high.records()
    assert {k: v for k, v in after.items() if k[0] not in {SPENT, "restore"}} == {
        k: v for k, v in before.items() if k[0] != SPENT
    }
    assert served(high) == ["first"]
    assert audit_log(high.side).verify().size > done.plan.log_size


def test_everything_lost_comes_back_and_admission_is_held_until_somebody_knows_the_floor(
    high: HighSide,
) -> None:
    high.arrive(2, "second")
    files = high.ask_to_publish(2)
    high.backup()
    log_before = audit_log(high.side).checkpoint().size
    high.lose()
    done = high.restore()
    assert (done.plan.lost, done.plan.anchored, done.plan.last_crossing) == (True, False, 2)
    assert served(high) == ["first"], "serving does not wait for the floor"
    assert audit_log(high.side).verify().size >= log_before

    with pytest.raises(AdmissionHeldError, match="no floor"):
        receive_crate(high.side, high.folder / "crate", Silent())
    with pytest.raises(AdmissionHeldError, match="no floor"):
        high.arrive(3, "third")
    with pytest.raises(AdmissionHeldError, match="no floor"):
        execute(high.side, files)
    assert served(high) == ["first"]

    anchored = high.restore(Floor(last_crossing=3, last_crate=crate(3)))
    assert (anchored.plan.lost, anchored.plan.anchored) == (True, True)
    assert not [key for key in high.records() if key[0] == HOLDS]
    with pytest.raises(AdmissionHeldError, match="older than a restore"):
        execute(high.side, files)


def test_what_crossed_after_the_backup_cannot_cross_again(high: HighSide) -> None:
    high.backup()
    high.publish(2, "second")
    high.lose()
    done = high.restore(Floor(last_crossing=2, last_crate=crate(2)))
    assert (done.plan.anchored, done.plan.last_crossing, done.plan.last_crate_sha256) == (True, 2, crate(2))
    ledger = RecordLedger(restoring.records_of(high.side)).entries()
    with pytest.raises(ReplayedCrateError):
        judge(ledger, 2, crate(2), crate(1), {})
    assert judge(ledger, 3, crate(3), crate(2), {})[-1].sequence == 3
    plan = read_receipt(done.receipt.read_bytes(), site_root(high.side, None))
    assert plan == done.plan
    assert plan.snapshots["stable"]


def test_the_newer_of_backup_and_present_wins(high: HighSide) -> None:
    high.backup()
    high.publish(2, "second")
    before = high.records()
    done = high.restore()
    assert (done.plan.lost, done.plan.last_crossing) == (False, 2)
    after = high.records()
    assert all(after[place] == value for place, value in before.items())
    assert json.loads(after[CHANNELS, "stable"])["version"] == 2
    assert served(high) == ["first", "second"]


@pytest.mark.parametrize("lost", ["records.sqlite", "audit.sqlite", "blobs", "channels"])
def test_each_part_comes_back_alone(high: HighSide, lost: str) -> None:
    high.backup()
    size = audit_log(high.side).checkpoint().size
    high.lose(lost)
    done = high.restore(KNOWN)
    assert done.plan.lost is (lost in {"records.sqlite", "audit.sqlite"})
    assert served(high) == ["first"]
    assert audit_log(high.side).verify().size >= size


def test_a_witnesss_checkpoint_is_a_floor_only_if_the_backup_reaches_it(
    high: HighSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = note(high)
    high.backup()
    high.publish(2, "second")
    late = note(high)
    high.lose("records.sqlite", "audit.sqlite")
    folder = high.folder / "backup"
    assert prepare(high.side, folder, Floor(checkpoint=early)).plan.anchored
    assert not prepare(high.side, folder, Floor(checkpoint=late)).plan.anchored
    # A site whose log has begun a new key: the old one signed what the witness holds.
    newer = PublicKey(keytype="ed25519", scheme="ed25519", public="0" * 64)
    monkeypatch.setattr(restoring, "log_keys", lambda site: (newer, *log_keys(site)))
    assert prepare(high.side, folder, Floor(checkpoint=early)).plan.anchored
    site = site_root(high.side, None)
    other = restoring.audit_log(high.side)
    other._records = MemoryRecords()
    other.append({"another": "log"})
    forged = sign_checkpoint(other.checkpoint(), signer_from(high.side.home.keys, Purpose.LOG, site))
    with pytest.raises(HistoriesDifferError, match="checkpoint names"):
        prepare(high.side, folder, Floor(checkpoint=forged))


def test_a_log_begun_after_the_loss_is_not_mixed_with_the_one_before(high: HighSide) -> None:
    high.backup()
    high.lose("audit.sqlite")
    audit_log(high.side).intent("somebody", went="on")
    with pytest.raises(HistoriesDifferError, match="logs differ"):
        prepare(high.side, high.folder / "backup", Floor())


def test_a_floor_below_the_records_is_refused(high: HighSide) -> None:
    high.publish(2, "second")
    high.backup()
    high.lose()
    for floor in (KNOWN, Floor(last_crossing=2, last_crate=crate(9))):
        with pytest.raises(FloorError):
            prepare(high.side, high.folder / "backup", floor)


def test_two_people_sign_exactly_this_restore(high: HighSide) -> None:
    high.backup()
    high.lose()
    folder = high.folder / "backup"
    request = ask(high.side, prepare(high.side, folder, KNOWN), high.operator)
    with pytest.raises(OwnRequestError):
        high.signed(request, "own", ["operator"])
    with pytest.raises(TooFewApproversError):
        restore(high.side, folder, KNOWN, high.signed(request, "one", ["approver-1"]))
    both = high.signed(request, "both")
    with pytest.raises(StatementChangedError, match="records or the floor"):
        restore(high.side, folder, Floor(), both)
    with pytest.raises(StatementChangedError, match="records or the floor"):
        restore(high.side, folder, Floor(last_crossing=2, last_crate=crate(2)), both)
    assert [place for place in high.records() if place[0] == SPENT] == []
    assert [place for place in high.records() if place[0] == HOLDS], "held since the loss is known"
    restore(high.side, folder, KNOWN, both)


def test_a_restores_approval_works_for_nothing_else(high: HighSide) -> None:
    high.backup()
    files = high.ask_to_restore()
    with pytest.raises(StatementChangedError, match="about the restore"):
        execute(high.side, files)
    high.arrive(2, "second")
    with pytest.raises(StatementChangedError, match="not about a restore"):
        restore(high.side, high.folder / "backup", Floor(), high.ask_to_publish(2))


def test_doing_it_again_completes_it_and_changes_nothing(high: HighSide) -> None:
    high.backup()
    high.lose()
    files = high.ask_to_restore(KNOWN)
    first = restore(high.side, high.folder / "backup", KNOWN, files)
    before = high.records()
    first.receipt.unlink()
    high.lose("channels")
    again = restore(high.side, high.folder / "backup", KNOWN, files)
    assert again == first
    assert high.records() == before
    assert served(high) == ["first"]


@pytest.mark.parametrize("step", ["_restore_log", "_restore_files", "_commit"])
@pytest.mark.parametrize("floor", [Floor(), KNOWN])
def test_a_restore_that_dies_is_done_again(
    high: HighSide, step: str, floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    high.backup()
    high.lose()
    files = high.ask_to_restore(floor)
    with monkeypatch.context() as patch:

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(restoring, step, die)
        with pytest.raises(KeyboardInterrupt):
            restore(high.side, high.folder / "backup", floor, files)
    with pytest.raises(AdmissionHeldError):
        receive_crate(high.side, high.folder / "crate", Silent())
    done = restore(high.side, high.folder / "backup", floor, files)
    assert done.plan.anchored is (floor == KNOWN)
    assert served(high) == ["first"]


def test_every_file_of_a_backup_is_checked(high: HighSide) -> None:
    made = high.backup()
    names = [file.path for file in made.manifest.files if file.size]
    assert {"records.jsonl", "audit.jsonl", "blobs.txt", "trust/site.dsse.json", "lockgate.toml"} <= set(
        names
    )
    for name in names:
        path = made.folder / name
        whole = path.read_bytes()
        for altered in (whole[:-1], whole + b"\n", bytes([whole[0] ^ 1]) + whole[1:]):
            path.write_bytes(altered)
            with pytest.raises(BackupAlteredError) as refused:
                open_backup(high.side, made.folder)
            assert refused.value.where["file"] == name
        path.unlink()
        with pytest.raises(BackupAlteredError, match="cannot be read"):
            open_backup(high.side, made.folder)
        path.write_bytes(whole)
    assert open_backup(high.side, made.folder) == made
    manifest = made.folder / MANIFEST
    envelope = json.loads(manifest.read_bytes())
    envelope["signatures"][0]["sig"] = "A" * 86 + "=="
    manifest.write_text(json.dumps(envelope, sort_keys=True, separators=(",", ":")))
    with pytest.raises(SignatureError):
        open_backup(high.side, made.folder)
    manifest.unlink()
    with pytest.raises(BackupFolderError, match="no finished backup"):
        open_backup(high.side, made.folder)


def test_a_backup_holds_no_key_and_only_an_operator_makes_one(high: HighSide) -> None:
    approver = signer_from(high.lane.people["approver-1"], Purpose.APPROVER, site_root(high.side, None))
    with pytest.raises(KeyPurposeError):
        make_backup(high.side, high.folder / "other", approver, Silent())
    made = high.backup()
    assert not [p for p in made.folder.rglob("*") if p.suffix in {".pem", ".pass"}]
    with pytest.raises(BackupFolderError, match="not empty"):
        high.backup()


def test_a_backup_without_blobs_says_how_many_are_missing(high: HighSide) -> None:
    made = high.backup(with_blobs=False)
    held = dict(FileBlobs(high.side.home.blobs).digests())
    assert dict(made.blobs()) == held
    high.lose("blobs")
    assert high.restore().missing_blobs == len(held)


def test_a_receipt_that_two_people_did_not_sign_is_refused(high: HighSide) -> None:
    high.backup()
    said = json.loads(high.restore().receipt.read_bytes())
    said["plan"]["last_crossing"] = 9
    altered = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(StatementChangedError, match="not the one that the approvers signed"):
        read_receipt(altered, site_root(high.side, None))


def test_the_commands_do_the_same(high: HighSide) -> None:
    folder, home = str(high.folder / "backup"), ["--home", str(high.lane.high)]
    key = str(high.lane.people["operator"])
    run = CliRunner().invoke
    made = run(app, ["backup", folder, "--key", key, "--blobs", "--json", *home])
    assert made.exit_code == 0, made.output
    high.lose()
    floor = ["--last-crossing", "1", "--last-crate", crate(1)]
    shown = run(app, ["restore", folder, *home])
    assert "records were lost; admission will be held" in " ".join(shown.output.split())
    asked = run(app, ["restore", folder, "--key", key, "--json", *floor, *home])
    assert asked.exit_code == 0, asked.output
    request = Path(json.loads(asked.output)["request"])
    signed = [word for file in high.signed(request.read_bytes(), "cli") for word in ("--signed", str(file))]
    done = run(app, ["restore", folder, *signed, *floor, *home])
    assert done.exit_code == 0, done.output
    assert "Restored; last crossing 1; admission goes on" in " ".join(done.output.split())
    assert served(high) == ["first"]
    assert open_gate(high.side).crossing(1).state == "published"
