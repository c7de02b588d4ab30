"""A statement crosses to an approver's machine as pictures and comes back so."""

from pathlib import Path

import pytest

from corpora.commands import Commands
from corpora.gates import Scripted
from corpora.homes import HighSide
from lockgate.app.gate.approve import request_pictures, unpack_pictures
from lockgate.app.gate.gate import open_gate, write_request
from lockgate.app.lane.qr_parts import QrPartsError
from lockgate.approve import read_statement


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    made = HighSide.new(tmp_path)
    made.arrive(1, "first")
    open_gate(made.side).inspect(1, Scripted())
    return made


@pytest.fixture
def request_file(high: HighSide) -> Path:
    envelope = open_gate(high.side).request(1, "stable", high.operator)
    return write_request(high.side, "publish-000001", envelope, None)


def carried(pictures: list[Path], folder: Path) -> list[Path]:
    """Copy pictures to another machine: nothing else goes with them."""
    folder.mkdir()
    for picture in pictures:
        (folder / picture.name).write_bytes(picture.read_bytes())
    return sorted(folder.iterdir(), reverse=True)


def test_pictures_there_and_back_publish(high: HighSide, request_file: Path) -> None:
    run, said = Commands(), []
    made = run.json("gate", "pictures", request_file)["pictures"]
    site = high.side.home.trust / "site.dsse.json"
    for name in ("approver-1", "approver-2"):
        there = carried([Path(p) for p in made], high.folder / name)
        trusted = ("--site-root", site, "--pin", high.side.settings.trust.site_pin)
        key = ("--key", high.lane.people[name], "--state", high.folder / f"{name}-seen")
        done = run.run("approve", *there, *key, *trusted, "--qr", "--yes")
        assert done.status == 0, done.err
        assert read_statement(request_file.read_bytes()).nonce in done.out.replace("\n", "")
        back = sorted((high.folder / name).glob(f"*.{name}.json.*.png"))
        assert back
        said += back
    done = run.json("gate", "publish", *said, "--home", high.lane.high)
    assert done["operation"] == "publish"
    assert open_gate(high.side).pointer("stable").version == 1


def test_pictures_that_lack_one_or_hold_two_requests_are_refused(high: HighSide, request_file: Path) -> None:
    made = request_pictures(request_file)
    lacking = [p for p in made if p.name != f"{request_file.name}.1.png"]
    assert len(lacking) == len(made) - 1
    with pytest.raises(QrPartsError):
        unpack_pictures(carried(lacking, high.folder / "there"))
    again = open_gate(high.side).request(1, "stable", high.operator)
    other = request_pictures(write_request(high.side, "other", again, high.folder / "other.json"))
    with pytest.raises(QrPartsError, match="more than one"):
        unpack_pictures([*made, *other])
    evidence = [p for p in made if ".log.json" in p.name]
    with pytest.raises(QrPartsError, match="no request"):
        unpack_pictures(evidence)
    text = high.folder / "slip.txt"
    text.write_text("no document")
    with pytest.raises(QrPartsError, match="nothing that belongs"):
        unpack_pictures([*made, text])
