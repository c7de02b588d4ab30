"""Looking again on a real high side: the sandbox, a pack that crossed, the command, a kill, the services."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpora.homes import HighSide
from lockgate.admit.model import RECHECKS, recheck_key
from lockgate.app.gate.gate import execute
from lockgate.app.gate.rechecked import last_run
from lockgate.app.gate.reinspect import ReinspectingError, reinspect
from lockgate.app.high.channel import channel_reader
from lockgate.app.high.console import Readings
from lockgate.app.high.rechecks import Rechecker
from lockgate.app.high.refusals import RefusalsLostError, SignedRefusals, refusals_file
from lockgate.app.high.roots import InstalledRoots
from lockgate.app.high.signed_models import NotLoadableError, SignedModels
from lockgate.app.stores import records_of
from lockgate.cli.main import app, main
from lockgate.console.home import HomeData
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.errors import LockgateError
from lockgate.core.ports import Silent
from lockgate.core.refusals import REFUSALS_TYPE, Refusals
from lockgate.core.wire import decode, encode
from lockgate.store import FileBlobs
from lockgate.trust.dsse import open_envelope, sign

PACK = b'rule harbour_worm { strings: $a = "the-harbour-worm" condition: $a }'
BAD, FINE = b"here is the-harbour-worm\n", b"nothing here\n"
SECONDS = 120.0


def artifact(high: HighSide, name: str, data: bytes, kind: Kind = Kind.FILE) -> Artifact:
    digest = FileBlobs(high.side.home.quarantine).put_bytes(data)
    file = ArtifactFile(path=f"files/{name}.txt", role=Role.OTHER, size=len(data), sha256=digest)
    return Artifact(purl=f"pkg:generic/{name}@1", kind=kind, name=name, version="1", files=(file,))


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    """A high side that serves two texts, and then a pack of rules by which one of them is bad."""
    high = HighSide.new(tmp_path)
    high.arrive_with(1, artifact(high, "bad", BAD), artifact(high, "fine", FINE))
    execute(high.side, high.ask_to_publish(1))
    high.arrive_with(2, artifact(high, "rules", PACK, Kind.RULES))
    execute(high.side, high.ask_to_publish(2))
    return high


def run(high: HighSide, *words: str) -> tuple[int, dict]:
    made = CliRunner().invoke(app, ["gate", "reinspect", *words, "--json", "--home", str(high.lane.high)])
    return made.exit_code, json.loads(made.stdout)


def served(high: HighSide) -> list[str]:
    return sorted(a.artifact.name for a in channel_reader(high.side, "test").current().snapshot.admitted)


def sha(high: HighSide, data: bytes) -> str:
    return FileBlobs(high.side.home.quarantine).put_bytes(data)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.05)


def test_a_pack_that_crossed_takes_away_what_it_finds_and_no_engine_loads_it(high: HighSide) -> None:
    models = SignedModels(high.side)
    models.open(sha(high, BAD)).close()
    status, due = run(high, "--dry-run")
    assert (status, due["files"]) == (0, 3)
    assert served(high) == ["bad", "fine", "rules"], "a dry run changes nothing"
    status, state = run(high)
    assert status == 0
    assert [(c["purl"], c["before"], c["after"], c["codes"]) for c in state["changed"]] == [
        ("pkg:generic/bad@1", "clean", "findings", ["rule-harbour-worm"])
    ]
    assert [t["withdrawn"] for t in state["taken"]] == [["pkg:generic/bad@1"]]
    assert served(high) == ["fine", "rules"]
    for each in (models, SignedModels(high.side)):
        with pytest.raises(NotLoadableError):
            each.open(sha(high, BAD))
    SignedModels(high.side).open(sha(high, FINE)).close()
    assert run(high, "--dry-run")[1]["artifacts"] == []
    state_now = last_run(high.side)
    assert state_now is not None
    assert state_now.finished
    assert len(state_now.changed) == 1


def test_who_looks_at_a_crossing_sees_what_newer_rules_found(
    high: HighSide, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first verdict stays what the inspector signed then; what counts is the stricter of both."""
    run(high)
    words = ["gate", "show", "1", "--home", str(high.lane.high)]
    shown = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert [(v["path"], v["outcome"]) for v in shown["verdicts"]] == [
        ("files/bad.txt", "findings"),
        ("files/fine.txt", "clean"),
    ]
    assert shown["stricter"] == ["files/bad.txt"]
    with pytest.raises(SystemExit):
        main(words)
    told = " ".join(capsys.readouterr().out.split())
    assert "newer rules say more of files/bad.txt than the clean of its crossing" in told
    home = HomeData(Readings(high.side))
    detail, facts = home.crossing(1), home.artifact(1, "pkg:generic/bad@1")
    assert detail is not None
    assert facts is not None
    assert [v.outcome for v in detail.verdicts] == ["findings", "clean"]
    assert [f.code for v in facts.verdicts for f in v.findings] == ["rule-harbour-worm"]
    records = records_of(high.side)
    with records.transaction() as tx:
        signed = tx.get(RECHECKS, recheck_key(1, "pkg:generic/bad@1"))
    records.close()
    assert signed is not None
    FileBlobs(high.side.home.quarantine).path(signed.decode()).unlink()
    detail = home.crossing(1)
    assert detail is not None
    assert (detail.row.problem != "", detail.verdicts) == (True, ())


def refusals(high: HighSide, service: str = "gateway") -> SignedRefusals:
    return SignedRefusals(high.side, InstalledRoots(high.side), service)


def test_the_list_of_what_may_not_be_loaded_can_be_neither_removed_aged_nor_forged(high: HighSide) -> None:
    reinspect(high.side, Silent())
    reader, file = refusals(high), refusals_file(high.side)
    assert "rule-harbour-worm" in (reader.reason(sha(high, BAD)) or "")
    assert reader.reason(sha(high, FINE)) is None
    good = file.read_bytes()
    file.unlink()
    with pytest.raises(RefusalsLostError, match="is gone"):
        reader.reason(sha(high, FINE))
    with pytest.raises(RefusalsLostError, match="is gone"):
        refusals(high).reason(sha(high, FINE))
    reinspect(high.side, Silent())
    assert file.read_bytes() == good, "the next look writes it again"
    opened = open_envelope(good)
    made = decode(Refusals, opened.payload)
    changed = {**json.loads(opened.payload), "refused": {}, "number": made.number + 1}
    file.write_bytes(sign(REFUSALS_TYPE, encode(changed), [high.operator]))
    with pytest.raises(LockgateError, match="is for operator"):
        reader.reason(sha(high, BAD))
    (high.side.home.run / "gateway-refusals.number").write_text(str(made.number + 1))
    file.write_bytes(good)
    with pytest.raises(RefusalsLostError, match="older than"):
        reader.reason(sha(high, BAD))


def start(high: HighSide, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lockgate.cli.main", "gate", "reinspect", *words]
    return subprocess.Popen([*command, "--home", str(high.lane.high)], stdout=subprocess.DEVNULL)


def test_a_run_that_is_killed_keeps_nobody_out_and_is_gone_on_from(high: HighSide) -> None:
    # At one byte a second it waits for ever after the first batch, with its verdicts signed.
    slow = start(high, "--rate", "1")
    try:
        until(lambda: (run_now := last_run(high.side)) is not None and run_now.done)
        with pytest.raises(ReinspectingError):
            reinspect(high.side, Silent())
    finally:
        os.kill(slow.pid, signal.SIGKILL)
        slow.wait()
    state = reinspect(high.side, Silent())
    assert (state.total, state.finished is not None) == (0, True)
    assert [c.purl for c in state.changed] == ["pkg:generic/bad@1"], "what the killed run found is not lost"
    assert served(high) == ["fine", "rules"]


@pytest.mark.slow
def test_the_services_look_again_by_themselves_and_stop_with_their_supervisor(
    high: HighSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKGATE_REINSPECT__EVERY_SECONDS", "1")
    environment = {**os.environ, "LOCKGATE_HOME": str(high.lane.high)}
    rechecker = Rechecker(high.side, environment)
    rechecker.start()
    try:
        until(lambda: (now := last_run(high.side)) is not None and now.finished)
    finally:
        rechecker.stop()
    assert served(high) == ["fine", "rules"]
    assert rechecker._child is not None
    assert rechecker._child.poll() is not None


def test_zero_seconds_means_never(high: HighSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKGATE_REINSPECT__EVERY_SECONDS", "0")
    rechecker = Rechecker(high.side, {})
    rechecker.start()
    rechecker.stop()
    assert rechecker._child is None
