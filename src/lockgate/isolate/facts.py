"""What the kernel says about the network around a process."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lockgate.core.wire import digest_of
from lockgate.isolate.errors import CommandFailedError
from lockgate.isolate.ports import Commands


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface. `addresses` are with prefix length, such as ``192.0.2.1/24``.

    `index` is the kernel's number: an interface that is made again has another one.
    """

    name: str
    kind: str
    up: bool
    loopback: bool
    addresses: tuple[str, ...]
    index: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """One route that leaves the loopback interface."""

    family: int
    destination: str
    device: str
    gateway: str


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Interfaces, routes beyond loopback, and the digest of the packet filter's rules.

    `ruleset_sha256` is over the canonical JSON of ``nft -j list ruleset`` without counts and
    handles, so it changes with the rules alone; empty where this user may not read the rules.
    """

    interfaces: tuple[Interface, ...]
    routes: tuple[Route, ...]
    ruleset_sha256: str


@dataclass(frozen=True, slots=True)
class Counters:
    """What a counter of the kernel stands at."""

    packets: int
    bytes: int


def read_facts(commands: Commands, inside: Sequence[str] = ()) -> NetworkFacts:
    """Return the facts of a network namespace.

    Args:
        commands: Runs ``ip`` and ``nft``.
        inside: What to put before a command so that it runs in the namespace; nothing for this one.

    """
    links = _parse(commands.run([*inside, "ip", "-j", "-d", "addr", "show"]))
    routes = [
        route
        for family in (4, 6)
        for entry in _parse(
            commands.run([*inside, "ip", "-j", f"-{family}", "route", "show", "table", "all"])
        )
        for route in _routes(family, entry)
    ]
    try:
        rules = ruleset_digest(commands.run([*inside, "nft", "-j", "list", "ruleset"]))
    except CommandFailedError:
        rules = ""
    return NetworkFacts(tuple(_interface(link) for link in links), tuple(routes), rules)


def read_counter(commands: Commands, inside: Sequence[str], table: str, name: str) -> Counters:
    """Return what a named counter of a netdev table stands at.

    Raises:
        CommandFailedError: There is no such counter.

    """
    text = commands.run([*inside, "nft", "-j", "list", "counter", "netdev", table, name])
    for item in json.loads(text)["nftables"]:
        if "counter" in item:
            return Counters(int(item["counter"]["packets"]), int(item["counter"]["bytes"]))
    what = f"The packet filter has no counter {name}."
    raise CommandFailedError(what, table=table)


def read_received(commands: Commands, inside: Sequence[str], device: str) -> Counters:
    """Return what an interface has received since it was made, by the device's own statistics."""
    link = _parse(commands.run([*inside, "ip", "-j", "-s", "link", "show", "dev", device]))[0]
    received = link["stats64"]["rx"]
    return Counters(int(received["packets"]), int(received["bytes"]))


def ruleset_digest(listing: str) -> str:
    """Return the digest of ``nft -j list ruleset``, blind to counts, handles and nft's version."""
    return digest_of([_rule(item) for item in json.loads(listing)["nftables"] if "metainfo" not in item])


def _parse(text: str) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = json.loads(text or "[]")
    return [entry for entry in parsed if entry]  # ip prints {} for what a filter left out


def _interface(link: dict[str, Any]) -> Interface:
    flags = link.get("flags", [])
    return Interface(
        name=link["ifname"],
        kind=link.get("linkinfo", {}).get("info_kind", link.get("link_type", "")),
        up="UP" in flags,
        loopback="LOOPBACK" in flags,
        addresses=tuple(f"{a['local']}/{a['prefixlen']}" for a in link.get("addr_info", []) if "local" in a),
        index=link.get("ifindex", 0),
    )


def _routes(family: int, entry: dict[str, Any]) -> list[Route]:
    """Read a route and its hops; one that only refuses has no device and leads nowhere."""
    hops = [entry, *entry.get("nexthops", [])]
    destination = entry.get("dst", "?")
    return [
        Route(family, destination, hop["dev"], hop.get("gateway", ""))
        for hop in hops
        if hop.get("dev", "lo") != "lo"
    ]


def _rule(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rule(v) for k, v in value.items() if k not in {"handle", "packets", "bytes"}}
    return [_rule(v) for v in value] if isinstance(value, list) else value
