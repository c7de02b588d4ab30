"""``lockgate isolate`` as an operator runs it."""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from corpora.ports import free_ports
from lockgate.app.settings import load_settings
from lockgate.app.trust import audit_log
from lockgate.isolate.process import end, start_time

CONFIG = f"""
[lane]
name = "harbour"
side = "high"
assurance = "demo"
[trust]
supply_pin = "{"a" * 64}"
site_pin = "{"b" * 64}"
"""


def lockgate(*argv: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "lockgate.cli.main", *argv]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "lockgate.toml").write_text(CONFIG)
    yield str(tmp_path)
    lockgate("isolate", "destroy", "--force", "--home", str(tmp_path))


def test_a_network_from_making_to_removing_it(home: str) -> None:
    made = lockgate("isolate", "create", "--home", home)
    assert made.returncode == 0, made.stderr
    assert "packets that left: 0 (0 bytes)" in made.stdout

    control = json.loads(lockgate("isolate", "control", "--frames", "5", "--home", home, "--json").stdout)
    assert control == {"frames": 5, "before": 0, "after": 5, "rise": 5, "arrived": 5}
    status = json.loads(lockgate("isolate", "status", "--home", home, "--json").stdout)
    counts = {k: v for k, v in status.items() if k.endswith("packets")}
    assert counts == {"left_packets": 0, "control_packets": 5, "counted_packets": 5, "arrived_packets": 5}
    assert status["name"] == "harbour"
    assert status["routes"] == []

    check = [sys.executable, "-m", "lockgate.cli.main", "isolate", "check"]
    inside = lockgate("isolate", "run", "--home", home, "--", *check)
    assert inside.returncode == 0, inside.stdout
    assert "PASS: no way out was found." in inside.stdout

    assert lockgate("isolate", "destroy", "--home", home).stdout == "harbour is gone.\n"
    gone = lockgate("isolate", "status", "--home", home, "--json")
    assert gone.returncode == 2
    assert json.loads(gone.stderr)["code"] == "LG-1d01"


@contextmanager
def running(*line: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program of Python; it is over behind this, whatever the test finds."""
    with subprocess.Popen(
        [sys.executable, "-m", *line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def fetched(port: int) -> bytes:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.request("GET", "/page.txt")
        return connection.getresponse().read()


def test_a_window_leads_in_and_nothing_out(home: str) -> None:
    console, gateway, mirror = free_ports(3)
    ports = f"\n[serve]\nconsole_port = {console}\ngateway_port = {gateway}\nmirror_port = {mirror}\n"
    (Path(home) / "lockgate.toml").write_text(CONFIG + ports)
    folder = Path(home) / "pages"
    folder.mkdir()
    (folder / "page.txt").write_bytes(b"seen from outside" * 50_000)
    assert lockgate("isolate", "create", "--home", home).returncode == 0
    serve = [sys.executable, "-m", "http.server", str(console), "--bind", "127.0.0.1", "--directory", folder]
    look = ("lockgate.cli.main", "isolate", "look", "--home", home)
    with (
        running("lockgate.cli.main", "isolate", "run", "--home", home, "--", *map(str, serve)) as inside,
        running(*look) as window,
    ):
        assert window.stdout is not None
        told = [window.stdout.readline().split() for _ in range(3)]
        assert told == [
            ["console", f"http://127.0.0.1:{console}"],
            ["chat", f"http://127.0.0.1:{gateway}/chat"],
            ["mirrors", f"http://127.0.0.1:{mirror}"],
        ]
        deadline = time.monotonic() + 120
        while not _answers(console):
            assert inside.poll() is None
            assert window.poll() is None
            assert time.monotonic() < deadline, "the page was not seen"
            time.sleep(0.05)
        assert fetched(console) == b"seen from outside" * 50_000
        with pytest.raises(OSError):  # noqa: PT011  # nobody listens inside: hung up, one way or another
            fetched(gateway)
        with running(*look) as second:
            _, said = second.communicate(timeout=120)
        assert second.returncode == 6
        assert "LG-5f31" in said
        window.terminate()
        assert window.wait(120) == 0
    status = json.loads(lockgate("isolate", "status", "--home", home, "--json").stdout)
    assert status["left_packets"] == 0
    intent, outcome = (event for _, event in audit_log(load_settings(Path(home))).events())
    assert (intent["action"], intent["facts"]["ports"]) == (
        "isolate-look",
        sorted([console, gateway, mirror]),
    )
    assert (outcome["intent"], outcome["status"]) == (0, "done")


def _answers(port: int) -> bool:
    try:
        return bool(fetched(port))
    except OSError:
        return False


def test_a_window_closes_with_whoever_looks(home: str) -> None:
    console, gateway, mirror = free_ports(3)
    ports = f"\n[serve]\nconsole_port = {console}\ngateway_port = {gateway}\nmirror_port = {mirror}\n"
    (Path(home) / "lockgate.toml").write_text(CONFIG + ports)
    assert lockgate("isolate", "create", "--home", home).returncode == 0
    with running("lockgate.cli.main", "isolate", "look", "--home", home) as window:
        assert window.stdout is not None
        assert window.stdout.readline().split()[0] == "console"
        window.kill()
    deadline = time.monotonic() + 120
    while not _is_free(console):
        assert time.monotonic() < deadline, "somebody still listens"
        time.sleep(0.05)


def _is_free(port: int) -> bool:
    with socket.socket() as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def test_a_production_side_has_no_windows(home: str) -> None:
    (Path(home) / "lockgate.toml").write_text(CONFIG.replace('"demo"', '"production"'))
    refused = lockgate("isolate", "look", "--home", home)
    assert refused.returncode == 4
    assert "LG-3f30" in refused.stderr


def test_what_is_left_of_a_broken_network_is_removed(home: str) -> None:
    made = json.loads(lockgate("isolate", "create", "--home", home, "--json").stdout)
    assert made["left_packets"] == 0
    record = json.loads((Path(home) / "run" / "isolation.json").read_text())
    end(record["inside_pid"], record["inside_started"])
    gone = lockgate("isolate", "destroy", "--home", home)
    assert gone.stdout == "What was left of a network that had ended is gone.\n"
    assert start_time(record["far_pid"]) is None
    again = lockgate("isolate", "destroy", "--home", home, "--json")
    assert json.loads(again.stderr)["code"] == "LG-1d01"


def test_a_place_with_a_default_route_fails_the_check() -> None:
    furnish = (
        "ip link add out0 type veth peer name out1; ip address add 192.0.2.2/24 dev out0;"
        'ip link set out0 up; ip route add default via 192.0.2.1; exec "$@"'
    )
    check = [sys.executable, "-m", "lockgate.cli.main", "isolate", "check", "--json"]
    argv = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", furnish, "sh", *check]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    value = json.loads(done.stdout)
    assert value["passed"] is False
    failed = [(p["topic"], p["reason"]) for p in value["points"] if p["mark"] == "fail"]
    assert ("interface out0", "It has an address (192.0.2.2/24).") in failed
    assert ("IPv4 route", "default leaves by out0 to 192.0.2.1.") in failed
