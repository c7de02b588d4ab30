"""Is there a way out of here? Facts about the present namespace, and a judgement with reasons."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lockgate.isolate.facts import Interface, NetworkFacts, Route
from lockgate.isolate.namespace import LINK

ALLOWED = (LINK,)
"""Interfaces that may be up, without an address, beside loopback."""

PROXY_VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")
RESOLVER_LIMIT = 64 * 1024
"""Most of a resolver's configuration that is read, in bytes."""


class Mark(StrEnum):
    """How one point came out. A note is no way out by itself."""

    PASS = "pass"  # noqa: S105  # a mark, not a password
    NOTE = "note"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was looked at: which, how it came out, and why."""

    topic: str
    mark: Mark
    reason: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """All points. It passes when none fails."""

    points: tuple[Point, ...]

    @property
    def passed(self) -> bool:
        """Return whether no way out was found."""
        return all(point.mark is not Mark.FAIL for point in self.points)


def judge_isolation(
    facts: NetworkFacts,
    *,
    resolvers: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    allowed: tuple[str, ...] = ALLOWED,
) -> Judgement:
    """Return whether a namespace has a way out, and every reason.

    Args:
        facts: From `read_facts`.
        resolvers: Name servers that the resolver is told to ask.
        environment: Environment variables; proxies are looked for.
        allowed: Interfaces that may be up without an address.

    """
    points = [
        *(_interface(i, allowed) for i in facts.interfaces),
        *_routes(facts.routes),
        *_resolvers(resolvers, facts.routes),
        *_proxies(environment or {}, facts.routes),
    ]
    return Judgement(tuple(points))


def name_servers(text: str) -> tuple[str, ...]:
    """Return the name servers that a resolv.conf lists (resolv.conf(5))."""
    lines = (line.split() for line in text[:RESOLVER_LIMIT].splitlines())
    return tuple(parts[1] for parts in lines if len(parts) > 1 and parts[0] == "nameserver")


def _interface(interface: Interface, allowed: tuple[str, ...]) -> Point:
    topic = f"interface {interface.name}"
    if interface.loopback:
        outside = [a for a in interface.addresses if not ipaddress.ip_interface(a).ip.is_loopback]
        if outside:
            return Point(topic, Mark.NOTE, f"Loopback carries {', '.join(outside)}.")
        return Point(topic, Mark.PASS, "Loopback only.")
    if interface.addresses:
        return Point(topic, Mark.FAIL, f"It has an address ({', '.join(interface.addresses)}).")
    if not interface.up:
        return Point(topic, Mark.NOTE, "It is down and has no address.")
    if interface.name not in allowed:
        return Point(topic, Mark.FAIL, "It is up and not on the list of allowed interfaces.")
    return Point(topic, Mark.PASS, "It is allowed and has no address.")


def _routes(routes: tuple[Route, ...]) -> list[Point]:
    if not routes:
        return [Point("routes", Mark.PASS, "No route leaves loopback, in IPv4 or IPv6.")]
    return [
        Point(
            f"IPv{route.family} route",
            Mark.FAIL,
            f"{route.destination} leaves by {route.device}{f' to {route.gateway}' if route.gateway else ''}.",
        )
        for route in routes
    ]


def _resolvers(resolvers: tuple[str, ...], routes: tuple[Route, ...]) -> list[Point]:
    if not resolvers:
        return [Point("name servers", Mark.PASS, "None is configured.")]
    points = []
    for server in resolvers:
        if _local(server):
            points.append(Point("name server", Mark.NOTE, f"{server} is on this machine; it may forward."))
        elif routes:
            points.append(Point("name server", Mark.FAIL, f"{server} is configured and routes exist."))
        else:
            points.append(Point("name server", Mark.NOTE, f"{server} is configured; no route leads there."))
    return points


def _local(server: str) -> bool:
    try:
        return ipaddress.ip_address(server.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _proxies(environment: Mapping[str, str], routes: tuple[Route, ...]) -> list[Point]:
    named = sorted(key for key, value in environment.items() if value and key.lower() in PROXY_VARIABLES)
    if not named:
        return [Point("proxy variables", Mark.PASS, "None is set.")]
    mark = Mark.FAIL if routes else Mark.NOTE
    tail = "and routes exist" if routes else "no route leads to a proxy outside"
    # The values may hold passwords: only the names are shown.
    return [Point("proxy variables", mark, f"{', '.join(named)} set; {tail}.")]
