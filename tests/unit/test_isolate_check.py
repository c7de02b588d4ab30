"""The judgement about ways out, and reading what ip and nft print."""

import json
from collections.abc import Sequence

import pytest

from lockgate.isolate import (
    Commands,
    Interface,
    Mark,
    NetworkFacts,
    Route,
    judge_isolation,
    name_servers,
    read_facts,
)
from lockgate.isolate.errors import CommandFailedError, CommandLimitError, ToolMissingError
from lockgate.isolate.facts import ruleset_digest
from lockgate.isolate.process import HostCommands, tool

LO = Interface("lo", "loopback", up=True, loopback=True, addresses=("127.0.0.1/8", "::1/128"))
GAP = Interface("gap0", "veth", up=True, loopback=False, addresses=())
ETH = Interface("eth0", "ether", up=True, loopback=False, addresses=("192.0.2.2/24",))
DEFAULT = Route(4, "default", "eth0", "192.0.2.1")


def facts(*interfaces: Interface, routes: tuple[Route, ...] = ()) -> NetworkFacts:
    return NetworkFacts(interfaces, routes, "")


def marks(judgement_facts: NetworkFacts, **more: object) -> dict[str, Mark]:
    return {p.topic: p.mark for p in judge_isolation(judgement_facts, **more).points}  # type: ignore[arg-type]


def test_a_machine_with_a_default_route_fails_with_reasons() -> None:
    judgement = judge_isolation(
        facts(LO, ETH, routes=(DEFAULT,)),
        resolvers=("192.0.2.53",),
        environment={"HTTPS_PROXY": "http://user:secret@192.0.2.9:3128"},
    )
    assert not judgement.passed
    failed = {p.topic: p.reason for p in judgement.points if p.mark is Mark.FAIL}
    assert failed == {
        "interface eth0": "It has an address (192.0.2.2/24).",
        "IPv4 route": "default leaves by eth0 to 192.0.2.1.",
        "name server": "192.0.2.53 is configured and routes exist.",
        "proxy variables": "HTTPS_PROXY set; and routes exist.",
    }
    assert "secret" not in str(judgement)


def test_the_same_files_and_variables_without_a_way_out_are_notes() -> None:
    judgement = judge_isolation(
        facts(LO, GAP), resolvers=("192.0.2.53", "127.0.0.53"), environment={"https_proxy": "192.0.2.9:3128"}
    )
    assert judgement.passed
    assert [p.topic for p in judgement.points if p.mark is Mark.NOTE] == [
        "name server",
        "name server",
        "proxy variables",
    ]


@pytest.mark.parametrize(
    ("interface", "mark"),
    [
        (LO, Mark.PASS),
        (GAP, Mark.PASS),
        (Interface("gap0", "veth", up=True, loopback=False, addresses=("fe80::1/64",)), Mark.FAIL),
        (Interface("wlan0", "ether", up=True, loopback=False, addresses=()), Mark.FAIL),
        (Interface("wlan0", "ether", up=False, loopback=False, addresses=()), Mark.NOTE),
        (Interface("wlan0", "ether", up=False, loopback=False, addresses=("192.0.2.1/24",)), Mark.FAIL),
        (Interface("lo", "loopback", up=True, loopback=True, addresses=("192.0.2.1/32",)), Mark.NOTE),
    ],
)
def test_each_interface_is_judged(interface: Interface, mark: Mark) -> None:
    assert marks(facts(interface))[f"interface {interface.name}"] is mark


def test_a_route_of_ipv6_alone_fails() -> None:
    route = Route(6, "default", "gap0", "")
    assert not judge_isolation(facts(LO, GAP, routes=(route,))).passed


def test_the_list_of_allowed_interfaces_is_the_callers() -> None:
    assert not judge_isolation(facts(LO, GAP), allowed=()).passed


def test_name_servers_are_read_as_the_resolver_does() -> None:
    text = (
        "# nameserver 192.0.2.1\nsearch example\nnameserver 192.0.2.2\nnameserver\nnameserver fe80::1%eth0\n"
    )
    assert name_servers(text) == ("192.0.2.2", "fe80::1%eth0")
    assert marks(facts(LO), resolvers=("not an address",))["name server"] is Mark.NOTE


class Scripted(Commands):
    """Answers from a table; what it lacks is refused."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers

    def run(self, argv: Sequence[str], *, stdin: bytes = b"") -> str:
        del stdin
        line = " ".join(argv)
        if line not in self.answers:
            what = f"{line} is refused."
            raise CommandFailedError(what)
        return self.answers[line]


def test_facts_are_read_from_what_the_tools_print() -> None:
    link = {
        "ifname": "eth0",
        "flags": ["UP"],
        "link_type": "ether",
        "addr_info": [{"local": "192.0.2.2", "prefixlen": 24}],
    }
    routes = [{"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"}, {"dst": "127.0.0.0/8", "dev": "lo"}]
    answers = {
        "in ip -j -d addr show": json.dumps([link, {}]),
        "in ip -j -4 route show table all": json.dumps(routes),
        "in ip -j -6 route show table all": "",
    }
    read = read_facts(Scripted(answers), ["in"])
    assert read == NetworkFacts((ETH,), (DEFAULT,), "")


def test_a_route_through_several_hops_is_not_overlooked() -> None:
    answers = {
        "ip -j -d addr show": "[]",
        "ip -j -4 route show table all": json.dumps(
            [
                {"dst": "default", "nexthops": [{"gateway": "192.0.2.1", "dev": "eth0"}]},
                {"type": "unreachable", "dst": "198.51.100.0/24"},
            ]
        ),
        "ip -j -6 route show table all": "[]",
    }
    assert read_facts(Scripted(answers)).routes == (DEFAULT,)


def test_the_digest_of_rules_is_blind_to_counts_and_handles() -> None:
    def listing(packets: int, handle: int, policy: str) -> str:
        chain = {"chain": {"name": "egress", "handle": handle, "policy": policy}}
        counter = {"counter": {"name": "left", "packets": packets, "bytes": packets * 60}}
        return json.dumps({"nftables": [{"metainfo": {"version": str(handle)}}, chain, counter]})

    assert ruleset_digest(listing(0, 1, "accept")) == ruleset_digest(listing(9, 2, "accept"))
    assert ruleset_digest(listing(0, 1, "accept")) != ruleset_digest(listing(0, 1, "drop"))


def test_a_tool_that_fails_or_is_missing_is_an_error() -> None:
    with pytest.raises(CommandFailedError, match="ls ended with status 2"):
        HostCommands().run(["ls", "/nonexistent"])
    with pytest.raises(ToolMissingError):
        tool("no-such-program")
    with pytest.raises(CommandFailedError, match="cannot be started"):
        HostCommands().run(["/no/such/program"])


def test_what_a_tool_may_take_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.isolate.process.OUTPUT_LIMIT", 3)
    with pytest.raises(CommandLimitError, match="printed 5 bytes"):
        HostCommands().run(["echo", "four"])
    monkeypatch.setattr("lockgate.isolate.process.COMMAND_SECONDS", 0.05)
    with pytest.raises(CommandLimitError, match="took longer"):
        HostCommands().run(["sleep", "60"])
