"""A canary host reports by command, the gate takes it by command, and only that snapshot is promoted."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from corpora.commands import Commands
from corpora.gates import Scripted
from corpora.homes import HighSide
from corpora.rulebook import put_in_force
from lockgate.app.gate.canary import CanaryAddressError, CanaryMirrorError, parse_checks
from lockgate.app.gate.gate import execute, open_gate
from lockgate.core.soak import CANDIDATE, STABLE


class Mirror:
    """Answers ``/healthz`` with what a test sets, one value after the other."""

    def __init__(self) -> None:
        self.answers: list[dict[str, object]] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(mirror.answers.pop(0) if len(mirror.answers) > 1 else mirror.answers[0])
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def mirror():
    made = Mirror()
    yield made
    made.close()


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    high = HighSide.new(tmp_path)
    put_in_force(high, '[soak]\nminimum_seconds = 0\ncanaries = 1\nchecks = ["install"]\n')
    high.arrive(1, "a")
    gate = open_gate(high.side)
    gate.inspect(1, Scripted())
    execute(high.side, high.signed(gate.request(1, CANDIDATE, high.operator), "candidate"))
    return high


def serving(high: HighSide, **changes: object) -> dict[str, object]:
    pointer = open_gate(high.side).pointer(CANDIDATE)
    return {
        "status": "serving",
        "channel": CANDIDATE,
        "version": pointer.version,
        "snapshot": pointer.snapshot_sha256,
        **changes,
    }


def words(high: HighSide, mirror: Mirror, *checks: str, person: str = "canary-1") -> tuple[object, ...]:
    pin = Commands().json("config", "show", "--home", high.lane.high)["trust"]["site_pin"]
    key = ("--key", high.lane.people[person], "--lane", "harbour", "--pin", pin)
    root = ("--site-root", high.lane.high / "trust/site.dsse.json", "--out", high.folder / "report.json")
    named = (word for check in checks for word in ("--check", check))
    return "canary", "report", "--mirror", mirror.url, *key, *root, *named


def test_from_the_canary_to_stable_by_commands(high: HighSide, mirror: Mirror) -> None:
    run, home = Commands(), ("--home", high.lane.high)
    mirror.answers = [serving(high)]
    waiting = run.run("gate", "soak", *home, "--json")
    assert waiting.status == 1
    assert waiting.value["lacks"] == ["0 of 1 canary hosts found it healthy", "no canary host passed install"]
    code, error = run.refused("gate", "promote", "--key", high.lane.people["operator"], *home)
    assert (code, error["code"]) == (4, "LG-3809")
    ill = run.run(*words(high, mirror, "install=false"), "--json")
    assert (ill.status, ill.value["healthy"]) == (1, False)
    well = run.json(*words(high, mirror, "install=true", "golden-prompts=test 1 = 1"))
    assert well["seen"]["checks"] == {"install": True, "golden-prompts": True}
    ready = run.json("gate", "soak", "--report", high.folder / "report.json", *home)
    assert ready["ready"] is True
    asked = run.json("gate", "promote", "--key", high.lane.people["operator"], *home)
    assert asked["statement"]["facts"]["soaked"] == "canary-1 healthy"
    signed = high.signed(Path(asked["request"]).read_bytes(), "promotion")
    done = run.json("gate", "publish", *signed, *home)
    assert (done["operation"], done["channel"]) == ("promote", STABLE)
    channels = run.json("gate", "list", *home)["channels"]
    assert channels[STABLE]["snapshot_sha256"] == channels[CANDIDATE]["snapshot_sha256"]


def test_a_check_that_does_not_start_is_not_passed(high: HighSide, mirror: Mirror) -> None:
    mirror.answers = [serving(high)]
    ran = Commands().run(*words(high, mirror, "install=/nowhere/at/all"), "--json")
    assert ran.value["seen"]["checks"] == {"install": False}


@pytest.mark.parametrize("change", [{"channel": STABLE}, {"version": None}, {"snapshot": None}])
def test_another_channel_or_an_empty_one_is_not_reported(
    high: HighSide, mirror: Mirror, change: dict[str, object]
) -> None:
    mirror.answers = [serving(high, **change)]
    assert Commands().refused(*words(high, mirror, "a=true"))[1]["code"] == CanaryMirrorError.code


def test_a_channel_that_moves_while_checks_run_is_not_reported(high: HighSide, mirror: Mirror) -> None:
    mirror.answers = [serving(high), serving(high, version=9)]
    assert "moved" in Commands().refused(*words(high, mirror, "a=true"))[1]["error"]
    assert not (high.folder / "report.json").exists()


def test_who_is_no_canary_reports_nothing(high: HighSide, mirror: Mirror) -> None:
    mirror.answers = [serving(high)]
    assert Commands().run(*words(high, mirror, "a=true", person="approver-1"), "--json").status != 0


@pytest.mark.parametrize("wrong", [["a"], ["a="], ["a='"], ["a=true", "a=false"]])
def test_a_check_is_a_name_and_a_command(wrong: list[str]) -> None:
    with pytest.raises(CanaryAddressError):
        parse_checks(wrong)


def test_a_mirror_that_does_not_answer_is_an_error_of_the_host(high: HighSide, mirror: Mirror) -> None:
    for url, code in ((mirror.url, "LG-5f16"), ("ftp://a", "LG-1f62"), ("http://", "LG-1f62")):
        mirror.answers = [{"no": "answer"}]
        mirror_words = [url if word == mirror.url else word for word in words(high, mirror, "a=true")]
        assert Commands().refused(*mirror_words)[1]["code"] == code
