"""A demo lane's log with its witness: by file, as a picture and over HTTP; and approvers' devices."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from corpora.commands import Commands
from corpora.witnesses import serving
from lockgate.app.gate.gate import operator_key, write_request
from lockgate.app.lane.lane import NewLane, make_demo_lane
from lockgate.app.lane.qr import QR_BYTES, QrTooLongError, QrWriteError, write_qr
from lockgate.app.record.audit import bring_back, verify_log, witness_request
from lockgate.app.record.witness import (
    WitnessAddressError,
    WitnessRefusedError,
    WitnessUnreachableError,
    cosign_text,
    open_witness,
    submit,
)
from lockgate.app.settings import Side, load_settings
from lockgate.app.trust import audit_log, site_root
from lockgate.approve import request
from lockgate.audit import Witness
from lockgate.audit.errors import CosignatureError, ForkedLogError, TruncatedLogError
from lockgate.core.statement import NOTHING, STATEMENT_FORMAT, Operation, Statement
from lockgate.core.wire import whole_second

SECONDS = 180


@pytest.fixture
def lane(tmp_path: Path) -> NewLane:
    made = make_demo_lane(tmp_path / "lane", "test", datetime.now(UTC))
    log = audit_log(load_settings(made.high))
    for n in range(5):
        log.append({"n": n})
    return made


def high(lane: NewLane) -> Side:
    return load_settings(lane.high)


def witness_of(lane: NewLane, state: Path) -> Witness:
    root = (lane.high / "trust" / "site.dsse.json").read_bytes()
    return open_witness(lane.people["witness"], [root], lane.site_pin, state)


def test_by_file_through_the_commands(lane: NewLane, tmp_path: Path) -> None:
    run, home = Commands().run, ("--home", lane.high, "--json")
    own = ("--key", lane.people["witness"], "--site-root", lane.high / "trust" / "site.dsse.json")
    own = (*own, "--pin", lane.site_pin, "--state", tmp_path / "state", "--json")
    asked, done = tmp_path / "asked", tmp_path / "done"
    assert run("audit", "verify", *home).value["tail"] == 5
    assert run("audit", "checkpoint", "--out", asked, *home).value["size"] == 5
    assert run("witness", "cosign", asked, "--out", done, "--first", *own).value["witness"] == "witness"
    assert run("audit", "witnessed", done, *home).value["witnesses"] == ["witness"]
    audit_log(high(lane)).append({"n": 5})
    told = run("audit", "verify", "--against", done, *home).value
    assert (told["size"], told["witnessed"], told["tail"]) == (6, 5, 1)
    assert [w["size"] for w in told["witnesses"]] == [5]
    again = run("audit", "checkpoint", "--out", asked, *home).value
    assert (again["since"], again["size"]) == (5, 6)
    with pytest.raises(CosignatureError):
        bring_back(high(lane), witness_request(high(lane)).note)


def test_a_log_that_was_cut_is_found_by_a_kept_file(lane: NewLane, tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.write_text(witness_request(high(lane)).note)
    (lane.high / "audit.sqlite").rename(tmp_path / "old")
    for extra in lane.high.glob("audit.sqlite-*"):
        extra.unlink()
    log = audit_log(high(lane))
    with pytest.raises(TruncatedLogError):
        verify_log(high(lane), held)
    for n in (0, 1, 2, 3, 9):
        log.append({"n": n})
    assert verify_log(high(lane)).tail == 5
    with pytest.raises(ForkedLogError):
        verify_log(high(lane), held)


def test_by_picture(lane: NewLane, tmp_path: Path) -> None:
    picture = tmp_path / "asked.png"
    write_qr(witness_request(high(lane), 3).text, picture)
    (shown,) = zxingcpp.read_barcodes(Image.open(picture), zxingcpp.BarcodeFormat.QRCode)
    _, note = cosign_text(witness_of(lane, tmp_path / "s"), witness_request(high(lane), 0).text, first=True)
    assert shown.text == witness_request(high(lane), 3).text
    write_qr(note, tmp_path / "back.png")
    (back,) = zxingcpp.read_barcodes(Image.open(tmp_path / "back.png"), zxingcpp.BarcodeFormat.QRCode)
    assert bring_back(high(lane), back.text)[1] == ["witness"]
    with pytest.raises(QrTooLongError):
        write_qr("x" * (QR_BYTES + 1), tmp_path / "long.png")
    write_qr("x" * QR_BYTES, tmp_path / "full.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(QrWriteError):
        write_qr("x", tmp_path / "file" / "x.png")


def test_by_http(lane: NewLane, tmp_path: Path) -> None:
    witness = witness_of(lane, tmp_path / "state")
    with serving(witness, first=False) as address, pytest.raises(WitnessRefusedError, match="403"):
        submit(high(lane), address)
    with serving(witness, first=True) as address:
        assert submit(high(lane), address)[0].size == 5
        audit_log(high(lane)).append({"n": 5})
        assert submit(high(lane), address + "/")[1] == ["witness"]
        assert verify_log(high(lane)).tail == 0
        # What came back is lost: the witness names the size that it saw, and the log proves from there.
        with audit_log(high(lane))._records.transaction() as tx:
            tx.delete("audit-witnessed", "witness")
        audit_log(high(lane)).append({"n": 6})
        assert submit(high(lane), address)[0].size == 7
        with pytest.raises(WitnessRefusedError, match="404"):
            submit(high(lane), address + "/elsewhere")
        (lane.high / "audit.sqlite").unlink()
        for extra in lane.high.glob("audit.sqlite-*"):
            extra.unlink()
        audit_log(high(lane)).append({"another": 0})
        with pytest.raises(TruncatedLogError, match="saw 7"):
            submit(high(lane), address)
        for n in range(9):
            audit_log(high(lane)).append({"another": n})
        with pytest.raises(WitnessRefusedError, match="422"):
            submit(high(lane), address)
    with pytest.raises(WitnessUnreachableError):
        submit(high(lane), address)
    for odd in ("ftp://127.0.0.1", "127.0.0.1:1", "http://", "https://127.0.0.1", "http://u@127.0.0.1"):
        with pytest.raises(WitnessAddressError):
            submit(high(lane), odd)


def test_a_device_signs_only_what_continues_the_log_that_it_saw(lane: NewLane, tmp_path: Path) -> None:
    run, root = Commands().run, lane.high / "trust" / "site.dsse.json"
    side = high(lane)
    own = ("--key", lane.people["approver-1"], "--site-root", root, "--pin", lane.site_pin, "--yes", "--json")
    own = (*own, "--state", tmp_path / "seen")
    first = ask(side, lane, tmp_path / "first.json")
    assert run("approve", first, *own).value["log_seen"] is None
    second = ask(side, lane, tmp_path / "second.json")
    assert run("approve", second, *own).value["log_seen"] == 6
    assert run("approve", first, *own).error["code"] == "LG-2303"
    newer = tmp_path / "newer.json"
    wanted = ("--since", "7", "--request", first, "--out", newer, "--home", lane.high, "--json")
    assert run("audit", "evidence", *wanted).value["size"] == 7
    assert run("approve", first, "--log", newer, *own).value["log_seen"] == 7
    (lane.high / "audit.sqlite").unlink()
    for extra in lane.high.glob("audit.sqlite-*"):
        extra.unlink()
    for n in range(9):
        audit_log(side).append({"another": n})
    forged = ask(side, lane, tmp_path / "forged.json")
    signed = tmp_path / "signed.json"
    assert run("approve", forged, "--out", signed, *own).error["code"] == "LG-1302"
    evidence = ("--since", "7", "--request", forged, "--out", newer, "--home", lane.high, "--json")
    assert run("audit", "evidence", *evidence).status == 0
    assert run("approve", forged, "--log", newer, "--out", signed, *own).error["code"] == "LG-2301"
    assert not signed.exists()


def ask(side: Side, lane: NewLane, target: Path) -> Path:
    """Write a request as the gate does: the statement names the log, then the log goes on."""
    log, now = audit_log(side), whole_second(datetime.now(UTC))
    at = log.checkpoint()
    statement = Statement(
        format=STATEMENT_FORMAT,
        lane="test",
        operation=Operation.ROLLBACK,
        crossing=1,
        crate_sha256=NOTHING,
        snapshot_sha256=NOTHING,
        verdicts_sha256=NOTHING,
        waivers=(),
        policy_sha256=NOTHING,
        custody_sha256=NOTHING,
        channel="stable",
        channel_version=1,
        previous_sha256=NOTHING,
        requester="operator",
        log_checkpoint=f"{at.size} {at.root.hex()}",
        nonce="0" * 32,
        created=now,
        expires=now + timedelta(days=1),
    )
    site = site_root(side, None)
    envelope = request(statement, operator_key(side, lane.people["operator"]), site, now)
    log.append({"asked": target.name})
    return write_request(side, "unused", envelope, target)
