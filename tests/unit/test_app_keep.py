"""Keep lists by commands: asked for, approved apart, let out as text and picture, read on the low side."""

import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from corpora.commands import Commands
from corpora.homes import HighSide
from lockgate.app.gate.gate import open_gate
from lockgate.app.settings import load_settings
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import audit_log, signer_from, site_root
from lockgate.app.wishes.keep_high import (
    REQUEST_FORMAT,
    REQUEST_TYPE,
    KeepRequest,
    LockTooLongError,
    make_keep,
    read_keep_request,
)
from lockgate.app.wishes.keep_low import keep_text, read_keep_text
from lockgate.core import keep as keep_module
from lockgate.core.digests import sha256
from lockgate.core.keep import ARTIFACTS_LIMIT, KeepFormError, KeepList, body_size, read_keep
from lockgate.core.roots import Purpose
from lockgate.core.wire import decode, encode
from lockgate.crossing import RecordSealLedger
from lockgate.crossing.bases import listed
from lockgate.trust.dsse import open_envelope, sign

TUF = {name: name.encode() for name in ("timestamp.json", "snapshot.json", "targets.json")}
NAMES = [f"doc-{number}" for number in range(11)]
PURLS = [f"pkg:generic/{name}@1" for name in NAMES]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lane whose crossings 1 and 2 are in quarantine, and were sealed by the low side with those locks."""
    folder = tmp_path_factory.mktemp("lane")
    high = HighSide.new(folder)
    low = load_settings(high.lane.low)
    ledger = RecordSealLedger(records_of(low))
    for number, names in ((1, NAMES), (2, NAMES[:3])):
        high.arrive(number, *names)
        gate = open_gate(high.side)
        lock = gate.lock(gate.crossing(number))
        ledger.begin()
        ledger.finish(number, gate.crossing(number).crate_sha256, TUF, listed(number, lock, blobs_of(low)))
    return folder


@pytest.fixture
def there(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "lane", tmp_path / "lane")
    return tmp_path


class Way:
    """The way of a keep list, by commands, in a folder with a lane."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lane = folder, folder / "lane"
        self.run = Commands()
        root = self.lane / "high/trust/site.dsse.json"
        pin = self.run.json("config", "show", "--home", self.lane / "high")["trust"]["site_pin"]
        self.device = ("--site-root", root, "--pin", pin, "--yes")
        self.high, self.low = ("--home", self.lane / "high"), ("--home", self.lane / "low")

    def making(self, number: int, *dropped: str, person: str = "operator") -> tuple[object, ...]:
        drop = [word for purl in dropped for word in ("--drop", purl)]
        out = ("--out", self.folder / f"k{number}.json", *self.high)
        return ("keep", "make", number, *drop, "--key", self.lane / "people" / person, *out)

    def signing(self, number: int, person: str) -> tuple[object, ...]:
        key = ("--key", self.lane / "people" / person, "--out", self.folder / f"k{number}.{person}.json")
        return ("keep", "sign", self.folder / f"k{number}.json", *key, *self.device)

    def exporting(self, number: int, *people: str) -> tuple[object, ...]:
        signed = [self.folder / f"k{number}.{person}.json" for person in people]
        out = ("--out", self.folder / f"k{number}.txt", "--qr", self.folder / f"k{number}.png", *self.high)
        return ("keep", "export", self.folder / f"k{number}.json", *signed, *out)

    def whole(self, number: int, *dropped: str) -> Path:
        self.run.json(*self.making(number, *dropped))
        for person in ("approver-1", "approver-2"):
            self.run.json(*self.signing(number, person))
        return Path(self.run.json(*self.exporting(number, "approver-1", "approver-2"))["keep"])

    def read(self, file: object) -> tuple[object, ...]:
        return ("keep", "read", file, *self.low)


def test_a_keep_list_crosses_back_as_a_picture(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    way = Way(there)
    shown = way.run.run(*way.making(1, PURLS[3], PURLS[10])).out
    assert "2 of 11 artifacts need not come again" in shown
    asked = way.run.run(*way.signing(1, "approver-1")).out
    assert PURLS[3] in asked
    assert "at most 11 bits" in asked
    way.whole(1, PURLS[3], PURLS[10])
    (found,) = zxingcpp.read_barcodes(Image.open(there / "k1.png"), zxingcpp.BarcodeFormat.QRCode)
    monkeypatch.setattr("sys.stdin", StringIO(found.text + "\n"))
    said = way.run.json(*way.read("-"))
    assert said["dropped"] == [PURLS[3], PURLS[10]]
    assert said["approvers"] == ["approver-1", "approver-2"]
    # The present lock is another one: nothing was collected here yet.
    assert way.run.refused("keep", "show", *way.low)[1]["code"] == "LG-1f05"
    low = load_settings(way.lane / "low")
    present = open_gate(load_settings(way.lane / "high"))
    lock = present.lock(present.crossing(1))
    for name, data in (("lock.json", encode(lock)), ("lock.dsse.json", b""), ("sbom.cdx.json", b"")):
        low.home.locks.mkdir(exist_ok=True)
        (low.home.locks / name).write_bytes(data)
    assert way.run.json("keep", "show", *way.low)["still_collected"] == [PURLS[3], PURLS[10]]
    assert "2 of them are still in the present lock" in way.run.run("keep", "show", *way.low).out


def test_what_leaves_is_one_bit_for_each_artifact_and_nothing_that_could_be_chosen(there: Path) -> None:
    way = Way(there)
    signed = read_keep_text(way.whole(1, PURLS[0]).read_text())
    assert len(signed) == body_size(11) + 2 * 96
    assert signed[80:82] == bytes([0b0111_1111, 0b1110_0000])
    again = Path(way.whole(1, PURLS[0])).read_text()
    assert read_keep_text(again) == signed  # asked for and signed again: the same bytes
    error = way.run.refused(*way.making(1, PURLS[1]))[1]
    assert error["code"] == "LG-3f71"  # one list for each crossing: no second try at other bits
    events = [
        e.get("action", e.get("status")) for _, e in audit_log(load_settings(way.lane / "high")).events()
    ]
    assert events[-2:] == ["request-keep", "refused"]


def test_what_is_not_in_the_lock_cannot_be_dropped(there: Path) -> None:
    way = Way(there)
    assert way.run.refused(*way.making(1, "pkg:generic/other@1"))[1]["code"] == "LG-1f73"
    assert way.run.refused(*way.making(7))[1]["code"] == "LG-1801"


def test_one_person_the_requester_and_strangers_let_nothing_out(there: Path) -> None:
    way = Way(there)
    way.run.json(*way.making(1))
    way.run.json(*way.signing(1, "approver-1"))
    assert way.run.refused(*way.exporting(1, "approver-1"))[1]["code"] == "LG-2020"
    assert way.run.refused(*way.exporting(1, "approver-1", "approver-1"))[1]["code"] == "LG-2020"
    assert way.run.refused(*way.signing(1, "operator"))[1]["code"] == "LG-3001"
    assert not (there / "k1.txt").exists()


def test_bits_that_the_gate_did_not_make_do_not_leave(there: Path) -> None:
    """Whoever holds an operator's key cannot smuggle bits out over a lock of their own making."""
    way, high = Way(there), load_settings(there / "lane/high")
    gate = open_gate(high)
    lock = gate.lock(gate.crossing(1))
    empty = [msgspec.structs.replace(a, files=()) for a in lock.artifacts]
    own = msgspec.structs.replace(
        lock,
        artifacts=tuple(
            msgspec.structs.replace(a, purl=f"pkg:generic/n{n}@1", name=f"n{n}")
            for n, a in enumerate(empty * 90)
        ),
    )
    signer = signer_from(there / "lane/people/operator", Purpose.OPERATOR, site_root(high, None))
    for shown, digest in ((own, sha256(encode(own))), (lock, sha256(encode(lock)))):
        count = len(shown.artifacts)
        lie = KeepList(lane="harbour", crossing=1, lock_sha256=digest, count=count, dropped=(1, 2))
        asked = {"format": REQUEST_FORMAT, "lane": "harbour", "requester": "operator"}
        request = KeepRequest(**asked, body=lie.body.hex(), lock=shown)
        (there / "k1.json").write_bytes(sign(REQUEST_TYPE, encode(request), [signer]))
        for person in ("approver-1", "approver-2"):
            way.run.json(*way.signing(1, person))
        assert way.run.refused(*way.exporting(1, "approver-1", "approver-2"))[1]["code"] == "LG-3f71"
    wrong = KeepRequest(**asked, body=lie.body.hex(), lock=own)
    (there / "k1.json").write_bytes(sign(REQUEST_TYPE, encode(wrong), [signer]))
    assert way.run.refused(*way.signing(1, "approver-1"))[1]["code"] == "LG-2021"
    other = KeepRequest(**{**asked, "requester": "anna"}, body=lie.body.hex(), lock=lock)
    (there / "k1.json").write_bytes(sign(REQUEST_TYPE, encode(other), [signer]))
    assert way.run.refused(*way.signing(1, "approver-1"))[1]["code"] == "LG-3403"


def test_forged_and_foreign_lists_change_nothing(there: Path) -> None:
    way = Way(there)
    line = way.whole(1, PURLS[5]).read_text().strip()
    signed, kept = read_keep_text(line), there / "lane/low/locks/keep.txt"
    forged = {
        "another bit": signed[:80] + bytes([signed[80] ^ 1]) + signed[81:],
        "a padding bit": signed[:81] + bytes([signed[81] | 1]) + signed[82:],
        "another crossing": signed[:43] + b"\2" + signed[44:],
        "a signature less": signed[:-96],
        "more": signed + b"x",
        "another lane": signed[:8] + bytes(32) + signed[40:],
        "another count": signed[:79] + b"\x0c" + signed[80:],
        "cut": signed[:60],
    }
    for name, data in forged.items():
        (there / "forged.txt").write_text(keep_text(data))
        assert way.run.refused(*way.read(there / "forged.txt"))[0] != 0, name
    (there / "forged.txt").write_text(line.lower())
    assert way.run.refused(*way.read(there / "forged.txt"))[1]["code"] == "LG-2021"
    assert not kept.exists()
    assert way.run.json("keep", "show", *way.low)["dropped"] == []


def test_a_list_of_a_lock_that_was_not_sealed_here_is_refused(there: Path) -> None:
    way = Way(there)
    file = way.whole(2, PURLS[1])
    low = load_settings(way.lane / "low")
    ledger, blobs = RecordSealLedger(records_of(low)), blobs_of(low)
    other = ledger.contents()[1]
    with records_of(low).transaction() as tx:
        tx.put("seal-contents", "00000002", other.encode())
    assert way.run.refused(*way.read(file))[1]["code"] == "LG-1f74"
    assert blobs.has(ledger.contents()[1])


def test_an_older_list_does_not_displace_a_newer_one(there: Path) -> None:
    way = Way(there)
    first, second = way.whole(1, PURLS[5]), way.whole(2, PURLS[2])
    way.run.json(*way.read(second))
    assert way.run.json(*way.read(first))["dropped"] == [PURLS[5]]
    kept = (there / "lane/low/locks/keep.txt").read_text()
    assert kept == second.read_text().strip()


def test_a_lock_of_too_many_artifacts_is_refused(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.app.wishes.keep_high.ARTIFACTS_LIMIT", 10)
    high = load_settings(there / "lane/high")
    with pytest.raises(LockTooLongError):
        make_keep(high, 1, [], there / "lane/people/operator")


def test_a_request_shows_the_lock_that_its_bits_stand_for(there: Path) -> None:
    way = Way(there)
    way.run.json(*way.making(2, PURLS[0]))
    high = load_settings(there / "lane/high")
    request, keep = read_keep_request((there / "k2.json").read_bytes(), site_root(high, None))
    assert [request.lock.artifacts[place].purl for place in keep.dropped] == [PURLS[0]]
    envelope = open_envelope((there / "k2.json").read_bytes())
    assert decode(KeepRequest, envelope.payload).lock == request.lock


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_every_list_has_one_form(wanted: list[bool]) -> None:
    count, dropped = len(wanted), tuple(place for place, keep in enumerate(wanted) if not keep)
    keep = KeepList(lane="x", crossing=1, lock_sha256="a" * 64, count=count, dropped=dropped)
    assert len(keep.body) == body_size(count)
    assert read_keep(keep.body + b"behind", "x") == keep
    assert read_keep(keep.body, "y") is None
    with pytest.raises(KeepFormError):
        read_keep(keep.body[:-1], "x")


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_have_one_form(data: bytes) -> None:
    for body in (data, keep_module.MAGIC + keep_module.lane_mark("x") + data):
        try:
            found: Any = read_keep(body, "x")
        except KeepFormError:
            continue
        assert found is None or (found.count <= ARTIFACTS_LIMIT and body.startswith(found.body))
