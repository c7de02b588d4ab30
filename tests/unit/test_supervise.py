"""The supervisor with small real services."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from corpora.ports import free_port
from lockgate.app.high import supervise
from lockgate.app.high.supervise import AlreadyUpError, Service, ServiceDownError, Supervisor


def web(name: str, port: int) -> Service:
    return Service(
        name,
        (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"),
        f"http://127.0.0.1:{port}/",
    )


def test_starts_shows_and_stops(tmp_path: Path) -> None:
    boss = Supervisor(tmp_path, os.environ)
    boss.start(web("a", free_port()))
    boss.start(web("b", free_port()))
    assert [(s.name, s.alive, s.ready) for s in supervise.status(tmp_path)] == [
        ("a", True, True),
        ("b", True, True),
    ]
    with pytest.raises(AlreadyUpError):
        supervise.demand_down(tmp_path)
    pids = [s.pid for s in supervise.status(tmp_path)]
    boss.stop()
    assert supervise.status(tmp_path) == []
    assert not any(supervise.process_alive(pid) for pid in pids)
    supervise.demand_down(tmp_path)
    assert supervise.down(tmp_path) is False


def test_a_service_that_ends_says_why(tmp_path: Path) -> None:
    failing = Service(
        "bad", (sys.executable, "-c", "raise SystemExit('no model here')"), "http://127.0.0.1:9/"
    )
    with pytest.raises(ServiceDownError, match="no model here"):
        Supervisor(tmp_path, os.environ).start(failing)


SCRIPT = """
    import os, sys
    from pathlib import Path
    from lockgate.app.high.supervise import Service, Supervisor
    from lockgate.app.logs import configure_logs
    configure_logs()
    port = sys.argv[2]
    boss = Supervisor(Path(sys.argv[1]), os.environ)
    boss.start(Service("a", (sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1"),
                       f"http://127.0.0.1:{port}/"))
    print("up", flush=True)
    boss.watch()
    boss.stop()
"""


def test_what_ended_before_anybody_watched_is_restarted(tmp_path: Path) -> None:
    port = free_port()
    early = textwrap.dedent(SCRIPT).replace(
        "boss.watch()",
        "first = boss._processes['a']; first.kill(); first.wait(); boss.watch()",
    )
    with (tmp_path / "boss.log").open("wb") as err:
        boss = subprocess.Popen(
            [sys.executable, "-c", early, str(tmp_path), str(port)], stdout=subprocess.PIPE, stderr=err
        )
    assert boss.stdout is not None
    assert boss.stdout.readline() == b"up\n"
    for _ in range(2400):
        now = supervise.status(tmp_path)[0]
        if now.restarts == 1 and now.ready:
            break
        supervise.wait_for_end([boss.pid], 0.05)
    assert (now.restarts, now.ready) == (1, True)
    assert supervise.down(tmp_path) is True
    assert boss.wait(120) == 0
    boss.stdout.close()


def test_what_ends_is_restarted_and_down_ends_all(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path), str(port)]
    log = tmp_path / "boss.log"
    with log.open("wb") as err:
        boss = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err)
    assert boss.stdout is not None
    assert boss.stdout.readline() == b"up\n"
    first = supervise.status(tmp_path)[0]
    os.kill(first.pid, signal.SIGKILL)
    for _ in range(2400):
        now = supervise.status(tmp_path)[0]
        if now.restarts == 1 and now.ready:
            break
        supervise.wait_for_end([boss.pid], 0.05)
    assert (now.restarts, now.ready) == (1, True)
    assert supervise.down(tmp_path) is True
    assert boss.wait(120) == 0
    assert not supervise.process_alive(now.pid)
    boss.stdout.close()
    events = [json.loads(line) for line in log.read_text().splitlines()]
    told = [(e["event"], e.get("status"), e.get("restarts")) for e in events]
    assert told == [
        ("service starts", None, 0),
        ("service ended", -signal.SIGKILL, None),
        ("service starts", None, 1),
        ("service stopped", -signal.SIGTERM, None),
    ]
