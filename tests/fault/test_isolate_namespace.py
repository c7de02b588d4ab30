"""The isolated network, on the real kernel: what leaves is counted, and nothing is left behind."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate.core.wire import encode
from lockgate.isolate import Counters, IsolatedNetwork, judge_isolation, read_facts
from lockgate.isolate.errors import (
    CommandFailedError,
    ControlFailedError,
    CounterAlteredError,
    NetworkBusyError,
    NetworkExistsError,
    NetworkGoneError,
    RightMissingError,
)
from lockgate.isolate.namespace import CONTROL_FRAMES
from lockgate.isolate.process import HostCommands, end, members, network_of, start_time


def clock() -> datetime:
    return datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


MODES = [pytest.param(True, id="user-namespace")]
if os.geteuid() == 0:
    MODES.append(pytest.param(False, id="root"))


@pytest.fixture(params=MODES)
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IsolatedNetwork]:
    file = tmp_path / "run" / "isolation.json"
    with IsolatedNetwork.create("high", file, clock=clock, user_namespace=request.param) as made:
        yield made


def inside(network: IsolatedNetwork, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(network.command(argv), capture_output=True, text=True, timeout=120, check=False)


def test_nothing_has_left_and_the_control_is_counted_exactly(network: IsolatedNetwork) -> None:
    assert network.counters() == Counters(0, 0)
    control = network.positive_control()
    assert (control.frames, control.rise) == (CONTROL_FRAMES, CONTROL_FRAMES)
    assert control.arrived.packets == CONTROL_FRAMES
    assert network.counters().packets == CONTROL_FRAMES
    assert network.left() == Counters(0, 0)
    assert network.arrived().packets == CONTROL_FRAMES


def test_inside_there_is_loopback_and_a_link_without_address_route_or_ipv6(network: IsolatedNetwork) -> None:
    state = network.state()
    assert [(i.name, i.up) for i in state.interfaces] == [("lo", True), ("gap0", True)]
    link = state.interfaces[1]
    assert (link.kind, link.addresses) == ("veth", ())
    assert state.routes == ()
    assert inside(network, "cat", "/proc/sys/net/ipv6/conf/gap0/disable_ipv6").stdout == "1\n"
    assert judge_isolation(state, resolvers=("192.0.2.53",)).passed


def test_programs_inside_reach_loopback_and_nothing_else(network: IsolatedNetwork) -> None:
    script = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    with socket.create_connection(server.getsockname(), timeout=5):
        print("loopback")
try:
    socket.create_connection(("198.51.100.1", 80), timeout=5)
except OSError as error:
    print(error.errno)
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
except PermissionError:
    print("no raw sockets")
"""
    done = inside(network, sys.executable, "-I", "-c", script)
    assert done.stdout.split("\n")[:3] == ["loopback", "101", "no raw sockets"], (
        done.stderr
    )  # 101: ENETUNREACH
    assert network.counters() == Counters(0, 0)


def test_programs_inside_cannot_change_the_network_or_leave_it(network: IsolatedNetwork) -> None:
    assert inside(network, "ip", "link", "set", "gap0", "down").returncode != 0
    assert inside(network, "nft", "flush", "ruleset").returncode != 0
    assert inside(network, "nsenter", "--target", str(os.getpid()), "--net", "true").returncode != 0
    assert inside(network, "unshare", "--user", "--map-root-user", "true").returncode == 0
    nested = [
        "unshare",
        "--user",
        "--map-root-user",
        "nsenter",
        "--target",
        str(os.getpid()),
        "--net",
        "true",
    ]
    assert inside(network, *nested).returncode != 0


def test_an_added_address_changes_the_facts_and_the_judgement(network: IsolatedNetwork) -> None:
    before = network.state()
    HostCommands().run([*network._enter(), "ip", "address", "add", "192.0.2.7/24", "dev", "gap0"])
    after = network.state()
    assert after.ruleset_sha256 == before.ruleset_sha256
    assert [r.destination for r in after.routes if r.device == "gap0"][:1] == ["192.0.2.0/24"]
    assert not judge_isolation(after).passed


def test_the_digest_of_the_rules_changes_with_the_rules_alone(network: IsolatedNetwork) -> None:
    before = network.state().ruleset_sha256
    network.positive_control()
    assert network.state().ruleset_sha256 == before
    HostCommands().run([*network._enter(), "nft", "add", "table", "inet", "more"])
    assert network.state().ruleset_sha256 != before


def test_frames_that_are_not_counted_fail_the_control(network: IsolatedNetwork) -> None:
    class Swallow(HostCommands):
        def run(self, argv: Sequence[str], *, stdin: bytes = b"") -> str:
            return "" if "lockgate.isolate.frames" in argv else super().run(argv, stdin=stdin)

    again = IsolatedNetwork.open(network._file, commands=Swallow())
    with pytest.raises(ControlFailedError, match="8 frames were sent and 0 counted"):
        again.positive_control()
    assert again.record.control_packets == 0


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("nft flush chain netdev lockgate egress", "rules"),
        ("nft flush ruleset", "rules"),
        ("nft add table inet more", "rules"),
        ("ip link del gap0", "interfaces"),
        ("ip link add gap0 type veth peer name gap1", "interfaces"),
        ("ip link add way0 type veth peer name out0", "interfaces"),
    ],
)
def test_a_changed_network_gives_no_count(network: IsolatedNetwork, change: str, what: str) -> None:
    if "add gap0" in change:
        HostCommands().run([*network._enter(), "ip", "link", "del", "gap0"])
    HostCommands().run([*network._enter(), *change.split()])
    with pytest.raises(CounterAlteredError, match=what):
        network.counters()
    with pytest.raises(CounterAlteredError, match=what):
        network.positive_control()


def test_another_process_finds_it_and_there_is_only_one(network: IsolatedNetwork) -> None:
    network.positive_control(3)
    again = IsolatedNetwork.open(network._file)
    assert again.record == network.record
    assert again.left() == Counters(0, 0)
    with pytest.raises(NetworkExistsError):
        IsolatedNetwork.create("second", network._file, clock=clock)


def test_what_runs_inside_is_in_the_way_of_destroying(network: IsolatedNetwork) -> None:
    with subprocess.Popen(
        network.command(["sh", "-c", "echo up; exec sleep 600"]), stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        assert network.running() == [child.pid]
        with pytest.raises(NetworkBusyError):
            network.destroy()
        assert network.counters() == Counters(0, 0)
        network.destroy(force=True)
        assert child.wait(timeout=120) == -signal.SIGKILL
    with pytest.raises(NetworkGoneError):
        IsolatedNetwork.open(network._file)


def test_destroying_leaves_no_process_no_namespace_and_no_file(network: IsolatedNetwork) -> None:
    record = network.record
    namespaces = [network_of(record.inside_pid), network_of(record.far_pid)]
    assert None not in namespaces
    assert len({*namespaces, network_of(os.getpid())}) == 3
    network.destroy()
    assert [start_time(record.inside_pid), start_time(record.far_pid)] == [None, None]
    assert [members(n) for n in namespaces if n is not None] == [[], []]
    assert list(network._file.parent.iterdir()) == []
    network.destroy()  # once more does no harm


def test_a_network_of_an_older_version_is_used_and_destroyed_and_gives_no_count(
    network: IsolatedNetwork,
) -> None:
    old = json.loads(network._file.read_bytes())
    del old["interfaces"], old["ruleset_sha256"]
    network._file.write_bytes(encode(old))
    again = IsolatedNetwork.open(network._file)
    assert inside(again, "true").returncode == 0
    with pytest.raises(CounterAlteredError):
        again.counters()
    again.destroy()
    assert start_time(again.record.inside_pid) is None


def test_a_network_that_lost_a_holder_is_gone_and_its_rest_is_swept(tmp_path: Path) -> None:
    file = tmp_path / "isolation.json"
    broken = IsolatedNetwork.create("first", file, clock=clock)
    record = broken.record
    broken._inside.kill()
    assert start_time(record.far_pid) == record.far_started
    with pytest.raises(NetworkGoneError, match="first has ended"):
        IsolatedNetwork.open(file)
    with IsolatedNetwork.create("second", file, clock=clock) as second:
        assert start_time(record.far_pid) is None
        assert second.counters() == Counters(0, 0)
    broken._far.kill()


def test_a_network_whose_link_is_gone_can_still_be_destroyed(network: IsolatedNetwork) -> None:
    HostCommands().run([*network._enter(), "ip", "link", "del", "gap0"])
    network.destroy()
    assert start_time(network.record.far_pid) is None


CREATE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from lockgate.isolate import IsolatedNetwork
stay = sys.argv[2] == "stay"
made = IsolatedNetwork.create("x", Path(sys.argv[1]), clock=lambda: datetime.now(UTC), stay=stay)
print(made.record.inside_pid, made.record.far_pid, flush=True)
if not stay:
    sys.stdin.read()
"""


def test_the_holders_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "isolation.json"
    argv = [sys.executable, "-c", CREATE, str(file), "leave"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        handles = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(handles) == 2
        parent.kill()
        for handle in handles:
            assert select.select([handle], [], [], 20)[0], "a holder outlived its parent"
            os.close(handle)
    with pytest.raises(NetworkGoneError, match="has ended"):
        IsolatedNetwork.open(file)


def test_holders_that_stay_outlive_their_parent_until_destroyed(tmp_path: Path) -> None:
    file = tmp_path / "isolation.json"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CREATE, str(file), "stay"], capture_output=True, check=True
    )
    assert done.stderr == b""
    network = IsolatedNetwork.open(file)
    assert network.positive_control(2).rise == 2
    network.destroy()
    assert start_time(network.record.inside_pid) is None


def test_a_user_who_may_not_is_told_what_to_do(tmp_path: Path) -> None:
    refuse = 'echo 0 > /proc/sys/user/max_net_namespaces; exec "$@"'
    create = [sys.executable, "-c", CREATE, str(tmp_path / "isolation.json"), "leave"]
    argv = ["unshare", "--user", "--map-root-user", "sh", "-c", refuse, "sh", *create]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "LG-5d02: The kernel refused a network namespace: unshare:" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_refused_step_leaves_no_holder_behind(tmp_path: Path) -> None:
    class NoFilter(HostCommands):
        def __init__(self) -> None:
            self.targets: list[int] = []

        def run(self, argv: Sequence[str], *, stdin: bytes = b"") -> str:
            self.targets.append(int(argv[argv.index("--target") + 1]))
            if "nft" in argv:
                raise CommandFailedError("nft ended with status 1: Operation not permitted.")
            return super().run(argv, stdin=stdin)

    commands = NoFilter()
    with pytest.raises(RightMissingError, match="Operation not permitted"):
        IsolatedNetwork.create("x", tmp_path / "isolation.json", clock=clock, commands=commands)
    assert {start_time(pid) for pid in commands.targets} == {None}
    assert list(tmp_path.iterdir()) == []


def test_the_number_of_an_ended_holder_is_not_mistaken_for_it() -> None:
    started = start_time(os.getpid())
    assert started is not None
    end(os.getpid(), started - 1)  # another process under this number: left alone
    assert start_time(os.getpid()) == started


def test_facts_are_of_the_namespace_that_is_asked(network: IsolatedNetwork) -> None:
    commands = HostCommands()
    fresh = ["unshare", "--user", "--map-root-user", "--net"]
    facts = read_facts(commands, fresh)
    assert [(i.name, i.up) for i in facts.interfaces] == [("lo", False)]
    assert facts.routes == ()
    assert facts.ruleset_sha256 != network.state().ruleset_sha256
    seen = json.loads(inside(network, "ip", "-j", "link", "show", "dev", "gap0").stdout)
    assert seen[0]["ifname"] == "gap0"
