"""Nothing calls out: every connect, send and look-up is traced while a part starts, works and stops.

The tracer reports each call with an address, of all processes and threads; what is neither loopback nor a
socket of this machine fails the test. A look-up shows twice: as a packet to a name server, and as the
reading of its configuration. A program that does both on purpose shows that the tracer sees them.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer.main

from corpora.ports import free_ports
from corpora.processes import SECONDS
from corpora.servers import until
from corpora.wholelane import WholeLane
from lockgate.cli.main import COMMANDS, app

TESTS = Path(__file__).parents[1]
LOCKGATE = str(Path(sys.executable).parent / "lockgate")
LOCAL = re.compile(
    r'sa_family=AF_(?:UNIX|NETLINK|UNSPEC)|inet_addr\("127\.|inet_pton\(AF_INET6, "::1"|"::ffff:127\.'
)
TRACED = "connect,sendto,sendmsg,sendmmsg,openat"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "LANG": "C.UTF-8",
    "PYTHONPATH": os.pathsep.join((str(TESTS.parent / "src"), str(TESTS))),
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Trace:
    """What a tracer saw."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.command = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", f"trace={TRACED}", "-o", str(log)]

    def _lines(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()

    def opened(self) -> int:
        return sum("openat(" in line for line in self._lines())

    def local(self) -> list[str]:
        """Return the calls with an address of this machine."""
        return [line for line in self._lines() if "sa_family" in line and LOCAL.search(line)]

    def out(self) -> list[str]:
        """Return the calls that leave this machine, and the look-ups."""
        calls = [line for line in self._lines() if "sa_family" in line and not LOCAL.search(line)]
        return calls + [line for line in self._lines() if "resolv.conf" in line]


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    assert shutil.which("strace"), "strace is one of scripts/system-packages"
    return Trace(tmp_path / "calls.log")


def python(trace: Trace, code: str, *arguments: object) -> None:
    command = [*trace.command, sys.executable, "-c", code, *map(str, arguments)]
    ran = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert trace.opened() > 0, "the tracer saw nothing, so this test shows nothing"


CALLING = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect_ex(("192.0.2.1", 9))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    try:
        s.sendto(b"x", ("192.0.2.2", 9))
    except OSError:
        pass
try:
    socket.getaddrinfo("lookup.invalid", 80)
except OSError:
    pass
"""


def test_the_tracer_sees_connections_packets_and_look_ups(trace: Trace) -> None:
    python(trace, CALLING)
    told = "\n".join(trace.out())
    assert "192.0.2.1" in told
    assert "192.0.2.2" in told
    assert "resolv.conf" in told


EVERY_MODULE = """
import importlib, pkgutil, sys
import lockgate
names = [m.name for m in pkgutil.walk_packages(lockgate.__path__, "lockgate.")]
rooms = {name.split(".")[1] for name in names}
assert len(rooms) > 14, rooms
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
assert len(names) > 200
"""


def test_importing_every_module_of_every_room(trace: Trace) -> None:
    python(trace, EVERY_MODULE)
    assert trace.out() == []


EVERY_HELP = """
from lockgate.cli.main import COMMANDS, main
for words in (["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)):
    try:
        main(words)
    except SystemExit as end:
        assert not end.code, words
"""


def test_help_of_every_command(trace: Trace) -> None:
    python(trace, EVERY_HELP)
    assert trace.out() == []


# --- every service that exists, found in the code -----------------------------------------------

LISTENS = re.compile(
    r"\b(?:run_app|TCPSite|UnixSite|SockSite|Server|create_server|create_unix_server|start_server"
    r"|start_unix_server|create_datagram_endpoint|\w*(?:HTTP|TCP|UDP)Server)\(|\.(?:listen|bind)\("
)
SOURCES = TESTS.parent / "src/lockgate"

LISTENERS = {
    "app/lane/agent.py": "test_the_agent_from_its_start_to_its_end",
    "app/record/witness.py": "test_the_witness_from_its_start_to_its_end",
    "console/counter.py": "test_the_counter_from_its_start_to_its_end",
    "crossing/diode/udp.py": "test_the_diodes_receiver_from_its_start_to_its_end",
    "infer/service.py": "test_the_gateway_with_its_engine_from_its_start_to_its_end",
    "mirror/run.py": "test_a_service_from_its_start_to_its_end",
}
"""Each module that listens anywhere, and the trace of the service that it makes."""

NO_SERVICE = {
    "app/check/leak_capture.py": "hears what passes on a link; nobody can connect to it",
    "app/check/window.py": "takes ports of loopback for a window",
    "app/high/forwarding.py": "passes on what a program of a red team asks, while it runs",
    "infer/identity/ldap.py": "LDAP's word for signing in",
    "infer/engines/supervised.py": "asks the kernel for a free port of loopback",
    "inspect/helper.py": "root makes namespaces for accounts of its host, who ask at a file",
    "inspect/selftest.py": "makes what a sandboxed process must not reach",
    "isolate/frames.py": "counts frames of a namespace",
    "isolate/window.py": "passes on what comes by loopback, while somebody looks into a demonstration",
    "store/records.py": "SQLAlchemy's word for its own events",
}

COMMANDS_THAT_SERVE = {
    "agent": "test_the_agent_from_its_start_to_its_end",
    "console serve": "test_a_service_from_its_start_to_its_end",
    "custody counter": "test_the_counter_from_its_start_to_its_end",
    "diode receive": "test_the_diodes_receiver_from_its_start_to_its_end",
    "gateway serve": "test_the_gateway_with_its_engine_from_its_start_to_its_end",
    "high up": "test_the_supervisor_with_its_services_from_up_to_down",
    "mirror serve": "test_a_service_from_its_start_to_its_end",
    "witness serve": "test_the_witness_from_its_start_to_its_end",
}


def leaves() -> set[str]:
    """Return every command that does something, by its words."""
    root = typer.main.get_command(app)
    waiting = [((name,), root.resolve_command(root.context_class(root), [name])[1]) for name in COMMANDS]
    found = set()
    while waiting:
        words, command = waiting.pop()
        inner = getattr(command, "commands", None)
        waiting += [((*words, name), each) for name, each in (inner or {}).items()]
        if inner is None:
            found.add(" ".join(words))
    return found


def listening() -> set[str]:
    found = (p for p in SOURCES.rglob("*.py") if LISTENS.search(p.read_text()))
    return {p.relative_to(SOURCES).as_posix() for p in found}


def test_every_module_that_listens_has_a_trace_of_its_service() -> None:
    assert listening() == LISTENERS.keys() | NO_SERVICE.keys(), "trace the new service, and name its trace"
    for trace in LISTENERS.values():
        assert callable(globals()[trace])


def test_every_command_that_serves_has_a_trace() -> None:
    there = leaves()
    serving = {words for words in there if words.endswith("serve")}
    assert serving <= COMMANDS_THAT_SERVE.keys(), "trace the new service, and name its trace"
    assert COMMANDS_THAT_SERVE.keys() <= there
    for trace in COMMANDS_THAT_SERVE.values():
        assert callable(globals()[trace])


# --- services, started and stopped -------------------------------------------------------------


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> WholeLane:
    """A lane with something published, whose services listen where nobody else does."""
    made = WholeLane.make(tmp_path_factory.mktemp("lane"))
    mirror, gateway, console = free_ports(3)
    with (made.high / "lockgate.toml").open("a") as settings:
        settings.write(
            f"\n[serve]\nmirror_port = {mirror}\ngateway_port = {gateway}\nconsole_port = {console}\n"
        )
    return made


def port(lane: WholeLane, name: str) -> int:
    settings = tomllib.loads((lane.high / "lockgate.toml").read_text())
    return int(settings["serve"][f"{name}_port"])


@contextmanager
def traced(trace: Trace, command: list[str], probe: list[str] | Callable[[], bool]) -> Iterator[None]:
    """Run a service under the tracer until it answers; afterwards end it as people do, and wait."""

    def ready() -> bool:
        if callable(probe):
            return probe()
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0

    log = trace.log.with_suffix(".out")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*trace.command, *command], env=ENVIRONMENT, stdout=out, stderr=out, start_new_session=True
        )
    try:
        until(ready, process, log)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise


def answers(number: int, path: str = "/healthz") -> list[str]:
    return ["curl", "-sf", "-o", os.devnull, f"http://127.0.0.1:{number}{path}"]


@pytest.mark.parametrize("name", ["mirror", "console"])
def test_a_service_from_its_start_to_its_end(lane: WholeLane, trace: Trace, name: str) -> None:
    command = [LOCKGATE, name, "serve", "--home", str(lane.high)]
    with traced(trace, command, answers(port(lane, name))):
        subprocess.run(answers(port(lane, name), "/"), check=False)
    assert trace.opened() > 0
    assert trace.out() == []


def test_the_supervisor_with_its_services_from_up_to_down(lane: WholeLane, trace: Trace) -> None:
    """With a witness that does not answer: it is asked where the configuration says, and stops nothing."""
    status = [LOCKGATE, "high", "status", "--home", str(lane.high)]
    (nobody,) = free_ports(1)
    with (lane.high / "lockgate.toml").open("a") as settings:
        settings.write(f'\n[audit]\nwitness = "http://127.0.0.1:{nobody}"\n')
    told = lane.high / "run/witness.json"

    def ready() -> bool:
        return told.is_file() and subprocess.run(status, capture_output=True, check=False).returncode == 0

    with traced(trace, [LOCKGATE, "high", "up", "--home", str(lane.high)], ready):
        subprocess.run([LOCKGATE, "high", "down", "--home", str(lane.high)], check=True, capture_output=True)
    assert [c for c in trace.local() if "127.0.0.1" in c], "it asks its services for their health"
    assert [c for c in trace.local() if f"htons({nobody})" in c], "it asks its witness"
    assert "LG-5f11" in told.read_text()
    assert trace.out() == []
    for name in ("mirror", "console"):  # standard output and standard error of a service are one file
        lines = (lane.high / f"run/{name}.log").read_text().splitlines()
        assert {"event", "level", "logger", "timestamp"} <= set.intersection(
            *(set(json.loads(x)) for x in lines)
        )


def test_the_witness_from_its_start_to_its_end(lane: WholeLane, trace: Trace, tmp_path: Path) -> None:
    (number,) = free_ports(1)
    pin = tomllib.loads((lane.high / "lockgate.toml").read_text())["trust"]["site_pin"]
    key = ["--key", str(lane.folder / "lane/people/witness"), "--state", str(tmp_path / "state")]
    root = ["--site-root", str(lane.high / "trust/site.dsse.json"), "--pin", pin]
    command = [LOCKGATE, "witness", "serve", *key, *root, "--port", str(number)]
    probe = ["curl", "-s", "-o", os.devnull, f"http://127.0.0.1:{number}/"]
    with traced(trace, command, probe):
        pass
    assert trace.opened() > 0
    assert trace.out() == []


def test_the_counter_from_its_start_to_its_end(lane: WholeLane, trace: Trace, tmp_path: Path) -> None:
    (number,) = free_ports(1)
    (tmp_path / "chains").mkdir()
    clerk = ["--key", str(lane.folder / "lane/people/clerk-high"), "--place", "Counter"]
    command = [LOCKGATE, "custody", "counter", str(tmp_path / "chains"), *clerk, "--home", str(lane.high)]
    probe = ["curl", "-s", "-o", os.devnull, f"http://127.0.0.1:{number}/"]
    with traced(trace, [*command, "--serve", "--port", str(number)], probe):
        pass
    assert trace.opened() > 0
    assert trace.out() == []


def test_the_diodes_receiver_from_its_start_to_its_end(lane: WholeLane, trace: Trace, tmp_path: Path) -> None:
    (number,) = free_ports(1)
    key = tmp_path / "diode.key"
    subprocess.run([LOCKGATE, "diode", "key", str(key)], check=True, capture_output=True)
    command = [LOCKGATE, "diode", "receive", "--key", str(key), "--home", str(lane.high)]
    bound = ["grep", "-q", f":{number:04X} ", "/proc/net/udp"]
    with traced(trace, [*command, "--listen", "127.0.0.1", "--port", str(number), "--stay"], bound):
        pass
    assert trace.opened() > 0
    assert trace.out() == []
    assert [call for call in trace.local() if "sendto(" in call or "sendmsg(" in call] == [], (
        "it only receives"
    )


AGENT = """
import sys
from pathlib import Path
from lockgate.app.lane.agent import open_agent, serve_pin
serve_pin(open_agent(Path(sys.argv[1])), "no-pin-of-anybody", 600.0)
"""


def test_the_agent_from_its_start_to_its_end(trace: Trace, tmp_path: Path) -> None:
    """Its socket is a file; the PIN is asked for before, on a terminal."""
    place = tmp_path / "run/pin"
    place.parent.mkdir(mode=0o700)
    with traced(trace, [sys.executable, "-c", AGENT, str(place)], ["test", "-S", str(place)]):
        pass
    assert trace.opened() > 0
    assert trace.out() == []


GATEWAY = """
import asyncio, hashlib, signal, sys
from pathlib import Path
from infer_doubles import NOW, Counting, HandbookKnowledge, MemoryLedger, MemorySource, make_key
from infer_program import install
from lockgate.infer import *
folder = Path(sys.argv[1])
(folder / "weights").write_bytes(b"Hello there .")
weights = ModelFile("weights", hashlib.sha256(b"Hello there .").hexdigest(), 13)
entropy = Counting()
secret, key = make_key(entropy)
model = AdmittedModel(name="m", purl="pkg:huggingface/a/b@" + "a" * 40, label="internal", licence="MIT",
                      weights=weights, files=(weights,), crossing=1, crate_sha256="c" * 64)
engine = LlamaEngine(model=weights, open_model=lambda: (folder / "weights").open("rb"),
                     installation=install(folder / "site"), config=LlamaConfig(folder / "run"),
                     limits=EngineLimits(), clock=lambda: NOW)
parts = Parts(source=MemorySource(model), engines={"m": engine},
              knowledge={"handbook": HandbookKnowledge()}, keys=MemoryKeys(key), ledger=MemoryLedger(),
              receipts=MemoryReceipts(), clock=lambda: NOW, entropy=entropy)

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serving(GatewayConfig(port=int(sys.argv[2])), parts):
        (folder / "key").write_text(secret)
        await stop.wait()

asyncio.run(main())
"""


def test_the_gateway_with_its_engine_from_its_start_to_its_end(trace: Trace, tmp_path: Path) -> None:
    """With the engine's double; `tests/e2e/test_demo_online.py` traces the real one."""
    (number,) = free_ports(1)
    (tmp_path / "run").mkdir()
    probe = answers(number)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
    with traced(trace, [sys.executable, "-c", GATEWAY, str(tmp_path), str(number)], probe):
        secret = (tmp_path / "key").read_text()
        asked = ["curl", "-sf", "-H", f"Authorization: Bearer {secret}", "-d", body]
        asked += ["-H", "Content-Type: application/json", f"http://127.0.0.1:{number}/v1/chat/completions"]
        said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        assert "Hello there ." in said
    assert [c for c in trace.local() if "127.0.0.1" in c], "it asks its engine"
    assert trace.out() == []
