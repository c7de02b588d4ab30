"""The isolated network of a side: made, found, checked."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lockgate.app.settings import Home
from lockgate.app.trust import utc_now
from lockgate.isolate import (
    HostCommands,
    IsolatedNetwork,
    Judgement,
    judge_isolation,
    name_servers,
    read_facts,
)
from lockgate.isolate.errors import NetworkGoneError

_RESOLVER = Path("/etc/resolv.conf")


def network_file(home: Home) -> Path:
    """Return where a side keeps the record of its isolated network."""
    return home.run / "isolation.json"


def create_network(home: Home, name: str, *, stay: bool) -> IsolatedNetwork:
    """Make the isolated network of a side; it outlives this process only with `stay`."""
    return IsolatedNetwork.create(name, network_file(home), clock=utc_now, stay=stay)


def open_network(home: Home) -> IsolatedNetwork:
    """Return the isolated network that a side has on record."""
    return IsolatedNetwork.open(network_file(home))


def destroy_network(home: Home, *, force: bool) -> str:
    """Remove the isolated network of a side, or what is left of one that broke; return its name.

    Raises:
        NetworkGoneError: None is on record.
        NetworkBusyError: Programs run inside, and `force` is not set.

    """
    file = network_file(home)
    try:
        network = IsolatedNetwork.open(file)
    except NetworkGoneError:
        IsolatedNetwork.sweep(file)
        return "What was left of a network that had ended"
    network.destroy(force=force)
    return network.record.name


def network_status(network: IsolatedNetwork) -> dict[str, Any]:
    """Return the facts of an isolated network as plain values."""
    state, total, left, arrived = network.state(), network.counters(), network.left(), network.arrived()
    return {
        "name": network.record.name,
        "created": network.record.created,
        "user_namespace": network.record.user_namespace,
        "left_packets": left.packets,
        "left_bytes": left.bytes,
        "control_packets": network.record.control_packets,
        "counted_packets": total.packets,
        "arrived_packets": arrived.packets,
        "interfaces": [
            {"name": i.name, "up": i.up, "addresses": list(i.addresses)} for i in state.interfaces
        ],
        "routes": [f"{r.destination} by {r.device}" for r in state.routes],
        "ruleset_sha256": state.ruleset_sha256,
        "running": network.running(),
    }


def check_here(allowed: tuple[str, ...], environment: Mapping[str, str] = os.environ) -> Judgement:
    """Return whether the namespace of this process has a way out, with reasons."""
    try:
        resolvers = name_servers(_RESOLVER.read_text(errors="replace"))
    except FileNotFoundError:
        resolvers = ()
    facts = read_facts(HostCommands())
    return judge_isolation(facts, resolvers=resolvers, environment=environment, allowed=allowed)
