"""A one-way link in software: two network namespaces, a veth pair, and counters that prove the direction.

It is emulated: the kernel's packet filter drops what the receiver's end would send, where a real diode has
no light to send with. Loss is drawn by the packet filter on the receiver's end, packet by packet, which is
why offload of segmentation is off; an outage is an element of a set that the kernel itself forgets again.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from lockgate.isolate.holder import Holder, start_holder
from lockgate.isolate.process import HostCommands, tool

SENDER, RECEIVER = "dio-tx", "dio-rx"
"""Names of the two ends."""

SENDER_MAC, RECEIVER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
SENDER_ADDRESS, RECEIVER_ADDRESS = "192.0.2.1", "192.0.2.2"
PORT = 7411

_NO_IPV6 = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"

_RECEIVER_RULES = f"""\
table netdev diode {{
  counter back {{ }}
  counter lost {{ }}
  set outage {{ type inet_service; flags timeout; }}
  chain egress {{
    type filter hook egress device "{RECEIVER}" priority 0; policy drop;
    counter name "back"
  }}
  chain ingress {{
    type filter hook ingress device "{RECEIVER}" priority 0; policy accept;
    udp dport @outage counter name "lost" drop
    LOSS
  }}
}}
"""
_SENDER_RULES = f"""\
table netdev diode {{
  counter back {{ }}
  chain ingress {{
    type filter hook ingress device "{SENDER}" priority 0; policy drop;
    counter name "back"
  }}
}}
"""


@dataclass(frozen=True)
class LinkCounts:
    """What the kernel counted, in packets."""

    tried_back: int
    """What the receiver's end tried to send: its egress hook saw it, and dropped it."""
    came_back: int
    """What reached the sender's end."""
    transmitted: int
    """The receiver's device's own statistics."""
    lost: int
    """What the receiver's end was made to lose."""


class OneWayLink:
    """A link from a sending to a receiving namespace. As a context it goes away at the end."""

    def __init__(self, *, mtu: int = 9000, loss_per_mille: int = 0) -> None:
        """Make the namespaces, the link and the counters.

        Args:
            mtu: Of both ends, in bytes.
            loss_per_mille: How many packets of a thousand are lost, at random.

        """
        self._commands = HostCommands()
        self._user = os.geteuid() != 0
        self._holders: list[Holder] = []
        try:
            self._holders.append(start_holder((), user=self._user, stay=False))
            self._holders.append(start_holder(self._enter(0, "--user"), user=False, stay=False))
            self._furnish(mtu, loss_per_mille)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End both namespaces; the kernel removes the link with them."""
        for holder in self._holders:
            holder.kill()

    def sending(self, argv: Sequence[object]) -> list[str]:
        """Return the command that runs at the sending end."""
        return [*self._enter(0), *map(str, argv)]

    def receiving(self, argv: Sequence[object]) -> list[str]:
        """Return the command that runs at the receiving end."""
        return [*self._enter(1), *map(str, argv)]

    def outage(self, milliseconds: int) -> None:
        """Lose everything for a while; the kernel ends it."""
        element = f"{{ {PORT} timeout {milliseconds}ms }}"
        self._run(1, "nft", "add", "element", "netdev", "diode", "outage", element)

    def arrived(self) -> int:
        """Return how many packets reached the receiver's device."""
        statistics = json.loads(self._run(1, "ip", "-j", "-s", "link", "show", "dev", RECEIVER))
        return int(statistics[0]["stats64"]["rx"]["packets"])

    def counts(self) -> LinkCounts:
        """Return the counters."""
        statistics = json.loads(self._run(1, "ip", "-j", "-s", "link", "show", "dev", RECEIVER))
        here, there = self._counters(1), self._counters(0)
        return LinkCounts(
            here["back"], there["back"], statistics[0]["stats64"]["tx"]["packets"], here["lost"]
        )

    def _counters(self, end: int) -> dict[str, int]:
        listed: dict[str, list[dict[str, Any]]] = json.loads(self._run(end, "nft", "-j", "list", "counters"))
        rows = [row["counter"] for row in listed["nftables"] if "counter" in row]
        return {row["name"]: row["packets"] for row in rows}

    def _enter(self, end: int, which: str = "--net") -> list[str]:
        users = ["--user", "--preserve-credentials"] if self._user else []
        net = ["--net"] if which == "--net" else []
        if not users + net:
            return []
        return [tool("nsenter"), "--target", str(self._holders[end].pid), *users, *net, "--"]

    def _run(self, end: int, *argv: str, stdin: bytes = b"") -> str:
        return self._commands.run([*self._enter(end), *argv], stdin=stdin)

    def _furnish(self, mtu: int, loss: int) -> None:
        ends = (
            (SENDER, SENDER_MAC, SENDER_ADDRESS, RECEIVER_ADDRESS, RECEIVER_MAC),
            (RECEIVER, RECEIVER_MAC, RECEIVER_ADDRESS, SENDER_ADDRESS, SENDER_MAC),
        )
        for end in (0, 1):
            self._run(end, "/bin/sh", "-c", _NO_IPV6)
            self._run(end, "ip", "link", "set", "lo", "up")
        peer = ["peer", "name", RECEIVER, "netns", str(self._holders[1].pid)]
        self._run(0, "ip", "link", "add", SENDER, "mtu", str(mtu), "type", "veth", *peer)
        for end, (name, own_mac, own, *_) in enumerate(ends):
            self._run(end, "ip", "link", "set", name, "mtu", str(mtu), "address", own_mac)
            self._run(end, "ip", "addr", "add", f"{own}/24", "dev", name)
        self._run(0, "ethtool", "-K", SENDER, "tx-udp-segmentation", "off")
        rule = f'numgen random mod 1000 < {loss} counter name "lost" drop' if loss else ""
        self._run(1, "nft", "-f", "-", stdin=_RECEIVER_RULES.replace("LOSS", rule).encode())
        self._run(0, "nft", "-f", "-", stdin=_SENDER_RULES.encode())
        for end, (name, _, _, other, other_mac) in enumerate(ends):
            self._run(end, "ip", "link", "set", name, "up")
            self._run(end, "ip", "neigh", "add", other, "lladdr", other_mac, "dev", name, "nud", "permanent")
