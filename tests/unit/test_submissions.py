"""Born inside: submissions enter by the gate alone, and never under a name that crossed, or the reverse."""

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from test_console_pages import ask
from typer.testing import CliRunner

from corpora.gates import Scripted
from corpora.homes import HighSide
from corpora.npmpackages import NpmPackage
from corpora.wheels import build_wheel
from lockgate.admit.custody import demand_custody
from lockgate.admit.errors import CustodyBrokenError
from lockgate.app.advice.cadence import plan_of
from lockgate.app.gate.gate import SandboxedInspection, execute, gate_parts, open_gate
from lockgate.app.high import rechecks
from lockgate.app.high.console import Readings
from lockgate.app.high.internal import drop_folder
from lockgate.app.high.rechecks import Taker
from lockgate.app.high.supervise import command
from lockgate.app.settings import load_settings
from lockgate.app.submit import folder as folders
from lockgate.app.submit.folder import take_all, watch_folder
from lockgate.app.submit.making import Offer, UnknownSubmissionError
from lockgate.app.submit.taking import DerivationError, NameTakenError, submissions, submit
from lockgate.app.trust import audit_log
from lockgate.cli.main import app
from lockgate.collect.errors import BadTarballError, BadWheelError
from lockgate.console.home import HomeData
from lockgate.console.pages import build_app
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.policy import CustodyRule, Policy
from lockgate.core.ports import Silent
from lockgate.core.statement import OwnRequestError
from lockgate.core.submission import FIRST
from lockgate.store import FileBlobs

WHEEL = build_wheel("team-tool", "1.0", padding=b"x")


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    return HighSide.new(tmp_path)


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def crossed(
    high: HighSide, sequence: int, kind: Kind, name: str, version: str = "9", **attributes: str
) -> Artifact:
    """Let something cross that has a name."""
    data = f"{kind} {name} {version}".encode()
    digest = FileBlobs(high.side.home.quarantine).put_bytes(data)
    file = ArtifactFile(path=f"documents/{name}", role=Role.DOCUMENT, size=len(data), sha256=digest)
    artifact = Artifact(
        purl=f"pkg:generic/{name}@{version}",
        kind=kind,
        name=name,
        version=version,
        files=(file,),
        attributes=attributes,
    )
    high.arrive_with(sequence, artifact)
    return artifact


def published(high: HighSide, number: int, people=("approver-1", "approver-2"), inspector=None) -> None:
    gate = open_gate(high.side)
    gate.inspect(number, inspector or Scripted())
    asked = gate.request(number, "stable", high.operator)
    execute(high.side, high.signed(asked, f"submission-{number}", people))


def test_a_wheel_that_was_made_inside_is_inspected_approved_and_served(high, tmp_path):
    wheel = written(tmp_path, WHEEL.filename, WHEEL.data)
    taken = submit(high.side, Offer(wheel, derived=()), "dora", "command")
    assert (taken.number, taken.artifact.purl) == (FIRST, "pkg:pypi/team-tool@1.0")
    assert open_gate(high.side).served("stable") is None
    published(high, taken.number, inspector=SandboxedInspection(high.side, Silent(), 1))
    snapshot = open_gate(high.side).served("stable")
    artifact = snapshot.admitted[0].artifact
    assert artifact.attributes["origin"] == "internal"
    assert artifact.attributes["submitted-by"] == "dora"
    assert "simple/team-tool/index.json" in {page.path for page in snapshot.generated}
    events = [event for _, event in audit_log(high.side).events()]
    assert any(e["kind"] == "intent" and e["action"] == "submit" for e in events)


def test_crossings_go_on_beside_submissions_and_are_counted_alone(high, tmp_path):
    high.publish(1, "one")
    taken = submit(high.side, Offer(written(tmp_path, "a.md", b"# A"), collection="notes"), "dora", "command")
    published(high, taken.number)
    high.publish(2, "two")
    names = {a.artifact.name for a in open_gate(high.side).served("stable").admitted}
    assert names == {"one", "two", "notes/a.md"}
    text = high.side.home.config.read_text()
    high.side.home.config.write_text(f'{text}\n[cadence]\nfirst = "2026-01-01"\nevery_days = 30\n')
    assert plan_of(load_settings(high.lane.high)).standing


def test_what_it_is_made_of_is_recorded_and_has_to_be_known(high, tmp_path):
    high.publish(1, "base")
    model = tmp_path / "tuned"
    written(model, "model.safetensors", b"weights")
    written(model, "config.json", b"{}")
    offer = Offer(model, model="team/tuned", derived=("pkg:generic/base@1",))
    taken = submit(high.side, offer, "dora", "command")
    assert taken.artifact.kind is Kind.MODEL
    assert taken.artifact.attributes["derived-from"] == "pkg:generic/base@1"
    _, said, artifact = submissions(high.side)[0]
    assert (said.derived, said.submitter, said.way) == (offer.derived, "dora", "command")
    assert {f.role for f in artifact.files} == {Role.WEIGHTS, Role.CONFIGURATION}
    with pytest.raises(DerivationError, match="pkg:generic/other"):
        submit(
            high.side, replace(offer, model="team/other", derived=("pkg:generic/other@1",)), "dora", "command"
        )


def test_a_name_that_crossed_is_refused_whatever_its_version_case_or_state(high, tmp_path):
    crossed(high, 1, Kind.PYTHON, "team-tool")  # in quarantine, not even inspected
    wheel = written(tmp_path, WHEEL.filename, WHEEL.data)
    with pytest.raises(NameTakenError, match="crossed as number 1"):
        submit(high.side, Offer(wheel), "dora", "command")
    crossed(high, 2, Kind.MODEL, "Team/Tuned")
    with pytest.raises(NameTakenError):
        submit(high.side, Offer(written(tmp_path, "m.gguf", b"GGUF"), model="team/tuned"), "dora", "command")
    assert submissions(high.side) == []
    outcome = [event for _, event in audit_log(high.side).events()][-1]
    assert outcome["facts"]["code"] == "LG-3fb8"


def test_a_crossing_that_brings_a_name_from_inside_is_held(high, tmp_path):
    taken = submit(high.side, Offer(written(tmp_path, WHEEL.filename, WHEEL.data)), "dora", "command")
    published(high, taken.number)
    crossed(high, 1, Kind.PYTHON, "team-tool")
    gate = open_gate(high.side)
    crossing = gate.inspect(1, Scripted())
    assert "was made inside" in crossing.held[0].reason
    assert not gate.assess(crossing).admitted


def test_a_submission_that_a_crossing_overtook_is_held(high, tmp_path):
    taken = submit(high.side, Offer(written(tmp_path, WHEEL.filename, WHEEL.data)), "dora", "command")
    crossed(high, 1, Kind.PYTHON, "team-tool")
    gate = open_gate(high.side)
    gate.inspect(1, Scripted())
    execute(high.side, high.signed(gate.request(1, "stable", high.operator), "crossed"))
    crossing = open_gate(high.side).inspect(taken.number, Scripted())
    assert "crossed" in crossing.held[0].reason


def test_a_crossing_that_says_it_was_made_inside_is_held(high):
    crossed(high, 1, Kind.DOCUMENT, "forged", origin="internal")
    assert "says that it was made inside" in open_gate(high.side).inspect(1, Scripted()).held[0].reason


def test_a_second_version_replaces_nothing_and_the_same_one_is_refused(high, tmp_path):
    first = submit(high.side, Offer(written(tmp_path, WHEEL.filename, WHEEL.data)), "dora", "command")
    newer = build_wheel("team-tool", "1.1")
    second = submit(high.side, Offer(written(tmp_path, newer.filename, newer.data)), "dora", "command")
    assert (first.number, second.number) == (FIRST, FIRST + 1)
    with pytest.raises(NameTakenError, match="submitted before"):
        submit(high.side, Offer(tmp_path / WHEEL.filename), "dora", "command")


def test_who_submits_does_not_approve(high, tmp_path):
    taken = submit(high.side, Offer(written(tmp_path, WHEEL.filename, WHEEL.data)), "approver-1", "command")
    with pytest.raises(OwnRequestError):
        published(high, taken.number)
    assert open_gate(high.side).served("stable") is None


def test_a_row_that_names_another_submitter_is_found_out(high, tmp_path):
    from lockgate.admit.model import CROSSINGS, Crossing, crossing_key
    from lockgate.app.stores import records_of
    from lockgate.core.wire import decode, encode

    taken = submit(high.side, Offer(written(tmp_path, WHEEL.filename, WHEEL.data)), "approver-1", "command")
    other = submit(high.side, Offer(written(tmp_path, "b.md", b"# B"), collection="notes"), "dora", "command")
    records = records_of(high.side)
    with records.transaction() as tx:
        row = decode(Crossing, tx.get(CROSSINGS, crossing_key(taken.number)))
        forged = msgspec.structs.replace(row, crate_sha256=other.crossing.crate_sha256)
        tx.put(CROSSINGS, crossing_key(taken.number), encode(forged))
    records.close()
    from lockgate.admit.errors import VerdictsAlteredError

    with pytest.raises(VerdictsAlteredError, match="not what was submitted"):
        published(high, taken.number)


def test_an_npm_archive_and_a_plain_file_keep_their_kinds(high, tmp_path):
    package = NpmPackage("@team/part", "2.0.0")
    taken = submit(high.side, Offer(written(tmp_path, "part.tgz", package.data)), "dora", "command")
    assert (taken.artifact.purl, taken.artifact.licence) == ("pkg:npm/%40team/part@2.0.0", "MIT")
    published(high, taken.number)
    served = open_gate(high.side).served("stable")
    assert "npm/@team/part/full.json" in {page.path for page in served.generated}
    plain = submit(high.side, Offer(written(tmp_path, "tool.bin", b"\x7f"), file="tool"), "dora", "command")
    assert plain.artifact.files[0].path == "files/tool/tool.bin"


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("team_tool-1.0-py3-none-any.whl", b"no zip", BadWheelError),
        ("part.tgz", b"no archive", BadTarballError),
        ("what.bin", b"", UnknownSubmissionError),
    ],
)
def test_what_is_not_what_its_name_says_is_refused_and_nothing_waits(high, tmp_path, name, data, error):
    with pytest.raises(error):
        submit(high.side, Offer(written(tmp_path, name, data)), "dora", "command")
    assert open_gate(high.side).crossings() == []


def test_links_are_not_followed(high, tmp_path):
    (tmp_path / "link.md").symlink_to("/etc/hostname")
    with pytest.raises(UnknownSubmissionError):
        submit(high.side, Offer(tmp_path / "link.md", collection="notes"), "dora", "command")
    written(tmp_path / "model", "model.gguf", b"GGUF")
    (tmp_path / "model" / "link").symlink_to("/etc/hostname")
    with pytest.raises(UnknownSubmissionError, match="link"):
        submit(high.side, Offer(tmp_path / "model", model="team/m"), "dora", "command")


def test_a_watched_folder_is_emptied_with_what_was_said(high, tmp_path):
    inbox = tmp_path / "inbox"
    written(inbox, WHEEL.filename, WHEEL.data)
    written(inbox, f"{WHEEL.filename}.toml", b'by = "dora"\nlabel = "internal"\n')
    written(inbox, "note.md", b"# Note")
    written(inbox, "note.md.toml", b'collection = "notes"\n')
    written(inbox, "strange.bin", b"?")
    written(inbox, "typo.md", b"# T")
    written(inbox, "typo.md.toml", b'colection = "notes"\n')
    written(inbox, ".hidden", b"?")
    said = []
    found = {each.name: each for each in take_all(high.side, inbox, "somebody", said.append)}
    assert {name: bool(each.number) for name, each in found.items()} == {
        WHEEL.filename: True,
        "note.md": True,
        "strange.bin": False,
        "typo.md": False,
    }
    assert [s.submitter for _, s, _ in submissions(high.side)] == ["somebody", "dora"]
    assert sorted(p.name for p in inbox.iterdir()) == [".hidden", "done", "refused"]
    assert "LG-1fb8" in (inbox / "refused" / "strange.bin.txt").read_text()
    assert (inbox / "done" / WHEEL.filename).read_bytes() == WHEEL.data
    written(inbox, WHEEL.filename, WHEEL.data)
    assert take_all(high.side, inbox, "dora", said.append)[0].code == "LG-3fb8"


def test_a_file_that_still_grows_is_left_alone(high, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "LOOK_SECONDS", 0.0)
    inbox, stop, looks = tmp_path / "inbox", threading.Event(), []
    growing = written(inbox, "note.md", b"# N")
    written(inbox, "note.md.toml", b'collection = "notes"\n')
    mark = folders._mark

    def looked(path):
        found = mark(path)
        looks.append(found)
        if len(looks) < 4:
            growing.write_bytes(b"# N" + b"x" * len(looks))
        return found

    monkeypatch.setattr(folders, "_mark", looked)
    watch_folder(high.side, inbox, "dora", lambda _: stop.set(), stop)
    assert len(looks) == 5
    assert (inbox / "done" / "note.md").read_bytes() == b"# Nxxx"


def test_the_services_take_what_clients_brought_where_something_is_open(high, monkeypatch):
    words = command("submit", "watch", "--once")
    environment = {**os.environ, "LOCKGATE_HOME": str(high.lane.high)}
    written(drop_folder(high.side), WHEEL.filename, WHEEL.data)
    closed = Taker(high.side, environment, words)
    closed.start()
    closed.stop()
    assert closed._child is None
    monkeypatch.setenv("LOCKGATE_SERVE__OPEN_PROJECTS", "team-*")
    monkeypatch.setenv("LOCKGATE_SERVE__TAKE_SUBMISSIONS", "false")
    assert Taker(high.side, environment)._every == 0
    monkeypatch.delenv("LOCKGATE_SERVE__TAKE_SUBMISSIONS")
    taker = Taker(high.side, environment, words)
    monkeypatch.setattr(rechecks, "FIRST_SECONDS", 0)
    taker.start()
    try:
        deadline = time.monotonic() + 120
        while not submissions(high.side):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        taker.stop()
    assert taker._child.poll() is not None
    done = drop_folder(high.side) / "done"
    assert not (done / WHEEL.filename).exists(), "what is in quarantine is not kept twice"


def test_the_commands(high, tmp_path):
    wheel = written(tmp_path, WHEEL.filename, WHEEL.data)
    home = ["--home", str(high.lane.high), "--json"]
    said = json.loads(CliRunner().invoke(app, ["submit", "add", str(wheel), "--by", "dora", *home]).stdout)
    assert said == {"number": FIRST, "purl": "pkg:pypi/team-tool@1.0"}
    listed = json.loads(CliRunner().invoke(app, ["submit", "list", *home]).stdout)
    assert listed[0]["state"] == "quarantined"
    inbox = written(tmp_path, "inbox/x.bin", b"?").parent
    watched = CliRunner().invoke(app, ["submit", "watch", str(inbox), "--once", *home])
    assert json.loads(watched.stdout)[0]["code"] == "LG-1fb8"


def test_the_console_shows_a_submission_and_its_artifact(high, tmp_path):
    taken = submit(high.side, Offer(written(tmp_path, WHEEL.filename, WHEEL.data)), "dora", "command")
    open_gate(high.side).inspect(taken.number, Scripted())
    data = HomeData(Readings(high.side))
    assert data.crossing(taken.number).row.state == "inspected"
    assert data.custody(taken.number) is None
    shown = data.artifact(taken.number, taken.artifact.purl)
    assert (shown.artifact, shown.custody, shown.problem) == (taken.artifact, None, "")
    page = ask(build_app(data), f"/crossings/{taken.number}/artifact?purl={quote(taken.artifact.purl)}")
    assert page.status == 200
    assert "team-tool" in page.text


def test_a_policy_that_demands_custody_asks_none_of_what_never_crossed(high, tmp_path):
    taken = submit(high.side, Offer(written(tmp_path, WHEEL.filename, WHEEL.data)), "dora", "command")
    parts = gate_parts(high.side)
    strict = replace(parts, site=msgspec.structs.replace(parts.site, policy=Policy(custody=CustodyRule())))
    demand_custody(strict, taken.crossing)
    high.arrive(1, "one")
    with pytest.raises(CustodyBrokenError):
        demand_custody(strict, open_gate(high.side).crossing(1))
