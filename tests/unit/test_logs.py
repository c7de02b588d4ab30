"""Logs: JSON lines on standard error, whoever writes them, without secrets; standard output stays pure."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from corpora.commands import Commands
from lockgate.app.high.supervise import last_line
from lockgate.app.logs import (
    DEPTH_LIMIT,
    HIDDEN,
    LEVEL_VARIABLE,
    TEXT_LIMIT,
    LogLevelError,
    configure_logs,
)

SECRET = "hunter2hunter2hunter2"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Give back to the other tests what logging was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("lockgate").setLevel(logging.NOTSET)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what was logged; nothing of it may be on standard output."""
    said = capsys.readouterr()
    assert said.out == ""
    return [json.loads(line) for line in said.err.splitlines()]


def test_events_of_ours_and_of_libraries_have_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    configure_logs()  # a second time adds no second line
    structlog.get_logger("lockgate.mirror").warning("blob refused", digest="ab", at=7)
    logging.getLogger("aiohttp.server").error("Error handling %s", "request")
    ours, theirs = lines(capsys)
    when = ours.pop("timestamp")
    assert when.endswith("Z")
    assert ours == {
        "event": "blob refused", "level": "warning", "logger": "lockgate.mirror", "digest": "ab", "at": 7,
    }  # fmt: skip
    assert (theirs["event"], theirs["logger"]) == ("Error handling request", "aiohttp.server")


def test_lines_go_where_standard_error_is_at_that_moment(capsys: pytest.CaptureFixture[str]) -> None:
    log = structlog.get_logger("lockgate")
    configure_logs()
    stream, sys.stderr = sys.stderr, sys.stdout
    try:
        log.info("moved")
    finally:
        sys.stderr = stream
    said = capsys.readouterr()
    assert (json.loads(said.out)["event"], said.err) == ("moved", "")


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_is_the_least_that_is_written(
    level: str, count: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(LEVEL_VARIABLE, raising=False)
    configure_logs(level)
    for name in ("debug", "info", "warning", "error"):
        getattr(structlog.get_logger("lockgate"), name)("said")
    assert len(lines(capsys)) == count
    logging.getLogger("library").info("working")
    assert len(lines(capsys)) == (level == "debug")
    monkeypatch.setenv(LEVEL_VARIABLE, "error")
    configure_logs(level)
    logging.getLogger("other").warning("said")
    assert lines(capsys) == []


def test_a_level_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEVEL_VARIABLE, "loud")
    with pytest.raises(LogLevelError):
        configure_logs()
    status, error = Commands().refused("policy", "explain")
    assert (status, error["code"]) == (LogLevelError.exit_status, "LG-1f16")


@pytest.mark.parametrize(
    ("facts", "left"),
    [
        ({"password": SECRET}, "password"),
        ({"api_key": SECRET}, "api_key"),
        ({"headers": {"Authorization": SECRET, "Accept": "text/html"}}, "text/html"),
        ({"asked": [{"pin": SECRET}]}, "asked"),
        ({"error": f"connection to postgresql://gate:{SECRET}@db/records failed"}, "postgresql://gate:"),
        ({"error": f"401 for 'Bearer {SECRET}'"}, "401 for"),
        ({"address": f"pkcs11:token=people;object=a?pin-value={SECRET}"}, "token=people"),
        ({"url": f"https://store/b/k?X-Amz-Signature={SECRET}&x=1"}, "&x=1"),
        ({"body": f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\n-----END EC PRIVATE KEY-----\nafter"}, "after"),
        ({"body": f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{SECRET}"}, "body"),
        ({"key": f"lg-0123456789ab-{SECRET}"}, "lg-0123456789ab"),
        ({"thing": Path("/run/password=" + SECRET)}, "/run/password="),
        ({"raw": f"password={SECRET}".encode()}, "raw"),
        ({f"Bearer {SECRET}": 1}, "Bearer"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
def test_secrets_are_taken_out(facts: dict[str, Any], left: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    structlog.get_logger("lockgate").error("failed", **facts)
    logging.getLogger("library").error("failed: %s", json.dumps(facts, default=str))
    said = capsys.readouterr().err
    assert SECRET not in said
    for line in said.splitlines():
        assert HIDDEN in line
        assert left in json.dumps(json.loads(line))


def test_what_is_no_secret_stays(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    facts = {"tokens": 12, "digest": "ab" * 32, "key": "3f9a", "path": "/v1/models", "keyid": "c" * 64}
    structlog.get_logger("lockgate").info("served", **facts, none=None, yes=True)
    (line,) = lines(capsys)
    assert {name: line[name] for name in facts} == facts
    assert (line["none"], line["yes"]) == (None, True)


def test_a_traceback_shows_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()

    def fail(passphrase: str) -> None:
        raise ValueError(len(passphrase))

    for log in (structlog.get_logger("lockgate"), logging.getLogger("library")):
        try:
            fail(SECRET)
        except ValueError:
            log.exception("unexpected failure")
    ours, theirs = lines(capsys)
    for line in (ours, theirs):
        assert "ValueError: 21" in line["exception"]
        assert SECRET not in json.dumps(line)


def test_an_event_is_one_bounded_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    deep: Any = "end"
    for _ in range(10 * DEPTH_LIMIT):
        deep = [deep]
    structlog.get_logger("lockgate").info("said\n{}", text="x" * (3 * TEXT_LIMIT), deep=deep)
    (line,) = lines(capsys)
    assert line["event"] == "said\n{}"
    assert len(line["text"]) == TEXT_LIMIT + 1
    assert json.dumps(line["deep"]).count("[[") < 10 * DEPTH_LIMIT


def test_a_secret_that_the_cut_goes_through_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    structlog.get_logger("lockgate").info("said", text="x" * (TEXT_LIMIT - 30) + f" Bearer {SECRET}")
    assert "hunter2" not in capsys.readouterr().err


def test_results_are_alone_on_standard_output_when_a_command_logs(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("plain")
    command = [sys.executable, "-m", "lockgate.cli.main", "inspect", str(file), "--json"]
    ran = subprocess.run(
        [*command, "--insecure-in-process"], capture_output=True, text=True, check=True, timeout=120
    )
    assert json.loads(ran.stdout)["sandbox"].startswith("none")
    (line,) = [json.loads(line) for line in ran.stderr.splitlines()]
    assert (line["event"], line["logger"]) == ("insecure_sandbox", "lockgate.inspect")


def test_what_ends_a_supervised_command_is_an_event(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lockgate.cli.main", "mirror", "serve", "--home", str(tmp_path)]
    environment = {**os.environ, "LOCKGATE_SUPERVISED": "1"}
    log = tmp_path / "mirror.log"
    with log.open("wb") as out:
        ran = subprocess.run(command, stdout=out, stderr=out, env=environment, check=False, timeout=120)
    assert ran.returncode != 0
    (line,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert (line["event"], line["code"], line["level"]) == ("service ends", "LG-1f01", "error")
    assert last_line(log) == f"LG-1f01: {line['error']}"


def test_the_last_line_of_a_log_that_is_no_event_is_shown_as_it_is(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert last_line(log) == "no log"
    for text in ("42\n", "[]\n", "null\n", '{"a": 1}\n', "plain\n\n"):
        log.write_text(text)
        assert last_line(log) == text.strip()
