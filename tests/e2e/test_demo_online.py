"""The demonstration as a newcomer runs it: once, again, under a tracer, and cleaned up."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
pytestmark = pytest.mark.online
ENVIRONMENT = {**os.environ, "TERM": "dumb", "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin"}


def run(folder: Path, *options: str) -> str:
    ran = subprocess.run(
        [sys.executable, ROOT / "demo" / "run.py", "--folder", folder, *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=ENVIRONMENT,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    return ran.stdout


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("lane") / "demo"
    try:
        yield folder, run(folder)
    finally:
        run(folder, "--clean")
        assert not folder.exists()


def test_from_a_manifest_to_cited_answers(first: tuple[Path, str]) -> None:
    folder, told = first
    assert "refused, as it must be: LG-3001" in told
    assert "Answers        5 of 5 as expected" in told
    assert "What left      0 packets" in told
    assert "3 hand-overs on record" in told
    assert "341 bytes went back; the low side knows: crossing 1 acknowledged" in told
    assert "hashed, enforced (sealed memfd)" in told
    assert re.search(r"positive control: (\d+) sent on purpose, counter rose by \1", told)
    facts = json.loads((folder / "steps.json").read_text())
    assert facts["peak_bytes"] < 4 * 2**30


def test_the_report_stands_alone(first: tuple[Path, str]) -> None:
    page = (first[0] / "report.html").read_text()
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    assert "<script" not in page
    assert "Cormorant" in page


def test_a_second_run_skips_what_is_done(first: tuple[Path, str]) -> None:
    again = run(first[0], "--ask", "Where are spare keys kept?")
    assert "published already" in again
    assert "installed already" in again
    assert "Where are spare keys kept?" in again


def inside(folder: Path, *argv: str | Path) -> list[str]:
    """Return a command as it runs inside the demonstration's isolated network."""
    return [
        "lockgate",
        "isolate",
        "run",
        "--home",
        str(folder / "lane" / "high"),
        "--",
        *map(str, argv),
    ]


SERVICES = ("mirror", "gateway", "console")
LOCAL = re.compile(r'sa_family=AF_(?:UNIX|NETLINK)|inet_addr\("127\.|inet_pton\(AF_INET6, "::1"|AF_UNSPEC')


def test_no_service_calls_anywhere_but_loopback(first: tuple[Path, str], tmp_path: Path) -> None:
    """Every connect, sendto and sendmsg with an address, of all processes of all services."""
    folder, _ = first
    home = folder / "lane" / "high"
    log = tmp_path / "calls.log"
    subprocess.run(inside(folder, "lockgate", "high", "down", "--home", home), check=True, env=ENVIRONMENT)
    traced = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", log]
    services = subprocess.Popen(
        inside(folder, *traced, "lockgate", "high", "up", "--home", home), env=ENVIRONMENT
    )
    status = inside(folder, "lockgate", "high", "status", "--home", home, "--json")
    try:
        for _ in range(200):  # each asks every service, so this is no busy loop
            asked = subprocess.run(status, check=False, env=ENVIRONMENT, capture_output=True)
            if len(json.loads(asked.stdout)) == len(SERVICES) and asked.returncode == 0:
                break
            assert services.poll() is None
        ask = ["lockgate", "ask", "What is the codeword for radio silence?", "--home", home]
        subprocess.run(inside(folder, *ask, "--key-file", folder / "api-key"), check=True, env=ENVIRONMENT)
    finally:
        down = inside(folder, "lockgate", "high", "down", "--home", home)
        subprocess.run(down, check=True, env=ENVIRONMENT)
        assert services.wait(120) == 0
    calls = [line for line in log.read_text().splitlines() if "sa_family" in line]
    assert [c for c in calls if 'inet_addr("127.' in c], "the tracer saw nothing, so this test shows nothing"
    assert [c for c in calls if not LOCAL.search(c)] == []
