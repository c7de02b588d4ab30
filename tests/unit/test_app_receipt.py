"""Receipts by commands: asked for, approved apart, let out as text and picture, read on the low side."""

import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from corpora.commands import Commands
from corpora.homes import HighSide, crate
from lockgate.app.crossing.leaving import LeavingApproval
from lockgate.app.crossing.receipt import (
    RECEIPT,
    REQUEST_FORMAT,
    REQUEST_TYPE,
    ReceiptRequest,
    read_request,
)
from lockgate.app.gate.gate import execute, open_gate
from lockgate.app.settings import load_settings
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, signer_from, site_root
from lockgate.core.receipt import Ending, Receipt
from lockgate.core.roots import Purpose
from lockgate.core.wire import encode
from lockgate.crossing import RecordSealLedger, sign_receipt
from lockgate.trust.dsse import sign
from lockgate.trust.keys import new_signer, save_signer

TUF = {name: name.encode() for name in ("timestamp.json", "snapshot.json", "targets.json")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lane whose high side published crossing 1, rejected crossing 2 and holds crossing 3."""
    folder = tmp_path_factory.mktemp("lane")
    high = HighSide.new(folder)
    high.publish(1, "first")
    high.arrive(2, "second")
    gate = open_gate(high.side)
    execute(high.side, high.signed(gate.request_reject(2, high.operator), "reject-2"))
    high.arrive(3, "third")
    ledger = RecordSealLedger(records_of(load_settings(high.lane.low)))
    for number in (1, 2, 3):
        ledger.begin()
        ledger.finish(number, crate(number), TUF)
    return folder


@pytest.fixture
def there(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "lane", tmp_path / "lane")
    return tmp_path


class Way:
    """The way of a receipt, by commands, in a folder with a lane."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lane = folder, folder / "lane"
        self.run = Commands()
        root = self.lane / "high/trust/site.dsse.json"
        pin = self.run.json("config", "show", "--home", self.lane / "high")["trust"]["site_pin"]
        self.device = ("--site-root", root, "--pin", pin, "--yes")

    def make(self, number: int, *more: object, person: str = "operator") -> dict[str, Any]:
        out = ("--out", self.folder / f"r{number}.json", "--home", self.lane / "high")
        return self.run.json("receipt", "make", number, "--key", self.lane / "people" / person, *out, *more)

    def sign(self, number: int, person: str) -> tuple[object, ...]:
        key = ("--key", self.lane / "people" / person, "--out", self.folder / f"r{number}.{person}.json")
        return ("receipt", "sign", self.folder / f"r{number}.json", *key, *self.device)

    def export(self, number: int, *people: str) -> tuple[object, ...]:
        signed = [self.folder / f"r{number}.{person}.json" for person in people]
        out = ("--out", self.folder / f"r{number}.txt", "--qr", self.folder / f"r{number}.png")
        return (
            "receipt",
            "export",
            self.folder / f"r{number}.json",
            *signed,
            *out,
            "--home",
            self.lane / "high",
        )

    def whole(self, number: int, *more: object) -> Path:
        self.make(number, *more)
        for person in ("approver-1", "approver-2"):
            self.run.json(*self.sign(number, person))
        return self.run.json(*self.export(number, "approver-1", "approver-2"))["receipt"]

    def read(self, file: object) -> tuple[object, ...]:
        return ("receipt", "read", file, "--home", self.lane / "low")

    def standings(self) -> list[str]:
        return [each["standing"] for each in self.run.json("receipt", "list", "--home", self.lane / "low")]


def test_a_receipt_crosses_back_as_a_picture(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    way = Way(there)
    way.whole(1, "--show-log")
    found = zxingcpp.read_barcodes(Image.open(there / "r1.png"), zxingcpp.BarcodeFormat.QRCode)
    assert [code.content_type.name for code in found] == ["Text"]
    monkeypatch.setattr("sys.stdin", StringIO(found[0].text + "\n"))
    said = way.run.json(*way.read("-"))
    served = way.run.json("gate", "list", "--home", way.lane / "high")["channels"]["stable"]
    assert (said["standing"], said["snapshot_sha256"]) == ("acknowledged", served["snapshot_sha256"])
    assert said["approvers"] == ["approver-1", "approver-2"]
    high = load_settings(way.lane / "high")
    assert 0 < said["log_size"] < audit_log(high).size()
    assert way.standings() == ["acknowledged", "unacknowledged", "unacknowledged"]
    text = way.run.run("receipt", "list", "--home", way.lane / "low").out
    assert "acknowledged" in text


def test_a_rejected_crossing_is_told_and_a_receipt_works_once(there: Path) -> None:
    way = Way(there)
    file = way.whole(2)
    assert way.run.json(*way.read(file))["standing"] == "rejected"
    assert way.run.refused(*way.read(file))[1]["code"] == "LG-3740"
    assert way.standings() == ["unacknowledged", "rejected", "unacknowledged"]
    actions = [
        e.get("action", e.get("status")) for _, e in audit_log(load_settings(way.lane / "low")).events()
    ]
    assert actions == ["read-receipt", "done", "read-receipt", "refused"]


def test_a_crossing_that_has_not_ended_has_no_receipt(there: Path) -> None:
    way = Way(there)
    operator = way.lane / "people/operator"
    for number in (3, 4):
        words = (
            "receipt",
            "make",
            number,
            "--key",
            operator,
            "--out",
            there / "x",
            "--home",
            way.lane / "high",
        )
        assert way.run.refused(*words)[1]["code"] == "LG-3741"
    assert not (there / "x").exists()


def test_a_crossing_has_one_receipt_however_often_it_is_asked_for(there: Path) -> None:
    way = Way(there)
    first = way.make(1, "--show-log")
    for more in ((), ("--show-log",)):
        assert {**way.make(1, *more), "request": 0} == {**first, "request": 0}


def test_one_person_the_requester_and_strangers_let_nothing_out(there: Path) -> None:
    way = Way(there)
    way.make(1)
    way.run.json(*way.sign(1, "approver-1"))
    assert way.run.refused(*way.export(1, "approver-1"))[1]["code"] == "LG-2020"
    assert way.run.refused(*way.export(1, "approver-1", "approver-1"))[1]["code"] == "LG-2020"
    assert way.run.refused(*way.sign(1, "operator"))[1]["code"] == "LG-3001"
    save_signer(new_signer(Purpose.APPROVER, "x"), there / "lane/people/x/approver.pem", b"p")
    (there / "lane/people/x/approver.pass").write_text("p")
    assert way.run.refused(*way.sign(1, "x"))[1]["code"] == "LG-2002"
    assert way.run.refused(*way.sign(1, "site-holder-1"))[0] != 0
    assert not (there / "r1.txt").exists()
    (there / "r1.approver-2.json").write_bytes((there / "r1.approver-1.json").read_bytes())
    assert way.run.refused(*way.export(1, "approver-1", "approver-2"))[1]["code"] == "LG-2020"


def test_a_request_made_beside_the_gate_lets_nothing_out(there: Path) -> None:
    """Whoever holds an operator's key cannot have other content approved and exported."""
    way, high = Way(there), load_settings(there / "lane/high")
    way.make(1)
    lie = Receipt(
        lane="harbour",
        crossing=1,
        crate_sha256=crate(1),
        ending=Ending.REJECTED,
        snapshot_sha256="0" * 64,
        log_size=0,
        log_root="0" * 64,
    )
    signer = signer_from(there / "lane/people/operator", Purpose.OPERATOR, site_root(high, None))
    request = ReceiptRequest(format=REQUEST_FORMAT, lane="harbour", requester="operator", body=lie.body.hex())
    (there / "r1.json").write_bytes(sign(REQUEST_TYPE, encode(request), [signer]))
    for person in ("approver-1", "approver-2"):
        way.run.json(*way.sign(1, person))
    assert way.run.refused(*way.export(1, "approver-1", "approver-2"))[1]["code"] == "LG-3741"
    other = ReceiptRequest(format=REQUEST_FORMAT, lane="harbour", requester="anna", body=lie.body.hex())
    (there / "r1.json").write_bytes(sign(REQUEST_TYPE, encode(other), [signer]))
    assert way.run.refused(*way.sign(1, "approver-1"))[1]["code"] == "LG-3403"


def test_forged_and_foreign_receipts_leave_the_ledger_as_it_was(there: Path, tmp_path: Path) -> None:
    way = Way(there)
    line = way.whole(1)
    text = Path(line).read_text()
    forged = there / "forged.txt"
    forged.write_text(text[:-10] + ("A" if text[-10] != "A" else "B") + text[-9:])
    assert way.run.refused(*way.read(forged))[1]["code"] in {"LG-2020", "LG-2102"}
    forged.write_text("LGR1.\n")
    assert way.run.refused(*way.read(forged))[1]["code"] == "LG-2020"
    assert way.standings() == ["unacknowledged"] * 3
    # Another lane of the same name, with people of its own.
    other = HighSide.new(tmp_path / "other")
    other.publish(1, "first")
    theirs = Way(tmp_path / "other").whole(1)
    assert way.run.refused(*way.read(theirs))[1]["code"] == "LG-2002"
    assert way.standings() == ["unacknowledged"] * 3


def test_the_requesters_own_approval_is_refused_at_the_gate_too(there: Path) -> None:
    """The operator holds an approver's key as well, and signs without the command that would refuse."""
    way, high = Way(there), load_settings(there / "lane/high")
    way.make(1)
    way.run.json(*way.sign(1, "approver-1"))
    site = site_root(high, None)
    own = signer_from(there / "lane/people/operator", Purpose.APPROVER, site)
    body = read_request((there / "r1.json").read_bytes(), site)[1].body
    forged = LeavingApproval(
        format=RECEIPT.approval_format,
        body=body.hex(),
        keyid=own.keyid,
        signature=sign_receipt(body, own).hex(),
    )
    (there / "r1.operator.json").write_bytes(encode(forged))
    assert way.run.refused(*way.export(1, "approver-1", "operator"))[1]["code"] == "LG-3001"
    assert not (there / "r1.txt").exists()
