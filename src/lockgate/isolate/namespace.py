"""A network of its own for the high side: loopback, and one link that leads nowhere and is counted."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from lockgate.core.ports import Clock
from lockgate.core.wire import Document, decode, encode, whole_second
from lockgate.isolate.errors import (
    CommandFailedError,
    ControlFailedError,
    CounterAlteredError,
    NetworkBusyError,
    NetworkExistsError,
    NetworkGoneError,
    RightMissingError,
)
from lockgate.isolate.facts import Counters, NetworkFacts, read_counter, read_facts, read_received
from lockgate.isolate.holder import Holder, start_holder
from lockgate.isolate.ports import Commands
from lockgate.isolate.process import HostCommands, end, members, network_of, start_time, tool

LINK = "gap0"
"""The link's end inside: no address, no route, no IPv6."""

FAR = "far0"
"""Its other end, in a namespace that holds nothing else."""

TABLE = "lockgate"
COUNTER = "left"
CONTROL_FRAMES = 8
"""Frames that the positive control sends."""

_STATE_LIMIT = 64 * 1024
_NO_IPV6 = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"
_DROPPED = "-sys_admin,-net_admin,-net_raw,-sys_ptrace,-sys_module,-sys_rawio,-sys_boot,-bpf,-perfmon"
_RULES = f"""\
table netdev {TABLE} {{
  counter {COUNTER} {{
  }}
  chain egress {{
    type filter hook egress device "{LINK}" priority 0; policy accept;
    counter name "{COUNTER}"
  }}
}}
"""


class NetworkRecord(Document, frozen=True, omit_defaults=True):
    """What is on disk about an isolated network, so that other processes find it.

    A record without interfaces and rules was made by an older version: such a network can be
    used and destroyed, and gives no count.
    """

    name: str
    created: datetime
    user_namespace: bool
    inside_pid: int
    inside_started: int
    far_pid: int
    far_started: int
    control_packets: int
    control_bytes: int
    interfaces: dict[str, int] = msgspec.field(default_factory=dict)
    ruleset_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Control:
    """A positive control: frames sent on purpose, and the counter before and after.

    `arrived` is by how much the statistics of the link's far end rose.
    """

    frames: int
    before: Counters
    after: Counters
    arrived: Counters

    @property
    def rise(self) -> int:
        """Return by how many packets the counter rose."""
        return self.after.packets - self.before.packets


class IsolatedNetwork:
    """A network namespace without a way out, kept by a holder process.

    Make one with `create` or find the one on record with `open`. As a context manager it is
    destroyed at the end, with everything that still runs inside.

    What is counted is what leaves through the link, by the kernel's packet filter (an nft
    ``netdev`` egress hook with policy accept). Commands run inside without the rights to open
    raw sockets, to change the network or to enter another namespace; root outside stays root.
    """

    def __init__(
        self, file: Path, record: NetworkRecord, holders: tuple[Holder, Holder], tools: Commands
    ) -> None:
        """Use `create` or `open`."""
        self._file = file
        self._record = record
        self._inside, self._far = holders
        self._commands = tools

    @classmethod
    def create(
        cls,
        name: str,
        file: Path,
        *,
        clock: Clock,
        stay: bool = False,
        user_namespace: bool | None = None,
        commands: Commands | None = None,
    ) -> "IsolatedNetwork":
        """Make a network and put it on record.

        Args:
            name: For people.
            file: Where the record goes.
            clock: Stamps the record.
            stay: Whether it outlives this process.
            user_namespace: Whether to use a user namespace; by default only when not root.
            commands: Runs the system tools.

        Raises:
            NetworkExistsError: One is on record there and alive.
            RightMissingError: The kernel does not let this user.
            ToolMissingError: A system tool is missing.

        """
        tools = commands or HostCommands()
        _free(file)
        user = os.geteuid() != 0 if user_namespace is None else user_namespace
        for needed in ("ip", "nft", "nsenter", "unshare", "setpriv", "setsid"):
            tool(needed)
        inside = start_holder((), user=user, stay=stay)
        far: Holder | None = None
        try:
            far = start_holder(
                _enter(inside.pid, user=user, network=False) if user else (), user=False, stay=stay
            )
            _furnish(tools, _enter(inside.pid, user=user), _enter(far.pid, user=user), far.pid)
            facts = read_facts(tools, _enter(inside.pid, user=user))
            record = NetworkRecord(
                name=name,
                created=whole_second(clock()),
                user_namespace=user,
                inside_pid=inside.pid,
                inside_started=inside.started,
                far_pid=far.pid,
                far_started=far.started,
                interfaces={i.name: i.index for i in facts.interfaces},
                ruleset_sha256=facts.ruleset_sha256,
                control_packets=0,
                control_bytes=0,
            )
            _write(file, record)
        except BaseException as error:
            for holder in (inside, far):
                if holder is not None:
                    holder.kill()
            if isinstance(error, CommandFailedError):
                what = f"The isolated network cannot be set up: {error.what}"
                raise RightMissingError(what, **error.where) from error
            raise
        return cls(file, record, (inside, far), tools)

    @classmethod
    def open(cls, file: Path, *, commands: Commands | None = None) -> "IsolatedNetwork":
        """Return the network on record.

        Raises:
            NetworkGoneError: None is, or its holder has ended.

        """
        record = _read(file)
        inside, far = _holders(record)
        if not (inside.alive() and far.alive()):
            what = f"The isolated network {record.name} has ended."
            raise NetworkGoneError(what)
        return cls(file, record, (inside, far), commands or HostCommands())

    @staticmethod
    def sweep(file: Path) -> None:
        """End what is left of a network whose holders did not both live on, and forget it.

        Raises:
            NetworkGoneError: None is on record.

        """
        for holder in _holders(_read(file)):
            holder.kill()
        file.unlink(missing_ok=True)

    @property
    def record(self) -> NetworkRecord:
        """Return what is on record."""
        return self._record

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs `argv` inside, without the rights that lead out again."""
        confine = [tool("setpriv"), f"--bounding-set={_DROPPED}", "--inh-caps=-all", "--no-new-privs", "--"]
        return [*self._enter(), *confine, *argv]

    def counters(self) -> Counters:
        """Return what the kernel counted leaving, positive controls included.

        Raises:
            CounterAlteredError: Something else could have let packets leave uncounted.

        """
        state = self.state()
        interfaces = {i.name: i.index for i in state.interfaces}
        if interfaces != self._record.interfaces:
            names = ", ".join(sorted(interfaces))
            what = "The interfaces are not those that the network was made with."
            raise CounterAlteredError(what, interfaces=names)
        if state.ruleset_sha256 != self._record.ruleset_sha256:
            raise CounterAlteredError("The rules that count what leaves were changed.")
        return read_counter(self._commands, self._enter(), TABLE, COUNTER)

    def left(self) -> Counters:
        """Return what left apart from the positive controls on record."""
        now = self.counters()
        controls = self._record
        return Counters(now.packets - controls.control_packets, now.bytes - controls.control_bytes)

    def arrived(self) -> Counters:
        """Return what the link's far end received, by the device's own statistics: a second witness."""
        return read_received(self._commands, _enter(self._far.pid, user=self._record.user_namespace), FAR)

    def state(self) -> NetworkFacts:
        """Return the interfaces, routes and rules inside."""
        return read_facts(self._commands, self._enter())

    def positive_control(self, frames: int = CONTROL_FRAMES) -> Control:
        """Send frames through the link from inside, and show that the counter counts them.

        Raises:
            ControlFailedError: The counter did not rise by exactly that many.
            CounterAlteredError: The network is not as it was made.

        """
        before, far = self.counters(), self.arrived()
        script = [sys.executable, "-I", "-m", "lockgate.isolate.frames", LINK, str(frames)]
        self._commands.run([*self._enter(), *script])
        after, now = self.counters(), self.arrived()
        arrived = Counters(now.packets - far.packets, now.bytes - far.bytes)
        control = Control(frames, before, after, arrived)
        if control.rise != frames:
            what = f"{frames} frames were sent and {control.rise} counted."
            raise ControlFailedError(what)
        self._note_control(control)
        return control

    def running(self) -> list[int]:
        """Return the processes inside, apart from the holder."""
        network = network_of(self._inside.pid)
        return [] if network is None else [pid for pid in members(network) if pid != self._inside.pid]

    def destroy(self, *, force: bool = False) -> None:
        """Remove the network, its link, its holders and its record.

        Args:
            force: Whether to end what still runs inside.

        Raises:
            NetworkBusyError: Something runs inside and `force` is not given.

        """
        busy = self.running()
        if busy and not force:
            what = f"{len(busy)} programs still run inside the isolated network."
            raise NetworkBusyError(what, pids=", ".join(map(str, busy[:8])))
        if self._inside.alive() and LINK in {i.name for i in self.state().interfaces}:
            self._commands.run([*self._enter(), "ip", "link", "del", LINK])
        for pid in busy:
            started = start_time(pid)
            if started is not None:
                end(pid, started)
        self._far.kill()
        self._inside.kill()
        self._file.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Destroy it, with everything inside."""
        self.destroy(force=True)

    def _enter(self) -> list[str]:
        return _enter(self._inside.pid, user=self._record.user_namespace)

    def _note_control(self, control: Control) -> None:
        old = self._record
        self._record = msgspec.structs.replace(
            old,
            control_packets=old.control_packets + control.rise,
            control_bytes=old.control_bytes + control.after.bytes - control.before.bytes,
        )
        _write(self._file, self._record)


def _enter(pid: int, *, user: bool, network: bool = True) -> list[str]:
    users = ["--user", "--preserve-credentials"] if user else []
    return [tool("nsenter"), "--target", str(pid), *users, *(["--net"] if network else []), "--"]


def _furnish(tools: Commands, inside: Sequence[str], far: Sequence[str], far_pid: int) -> None:
    """Put loopback, link and counter in place; IPv6 is off for links before the first one exists."""
    for side in (inside, far):
        tools.run([*side, "/bin/sh", "-c", _NO_IPV6])
    tools.run([*inside, "ip", "link", "set", "lo", "up"])
    tools.run(
        [*inside, "ip", "link", "add", LINK, "type", "veth", "peer", "name", FAR, "netns", str(far_pid)]
    )
    tools.run([*inside, "nft", "-f", "-"], stdin=_RULES.encode())
    tools.run([*far, "ip", "link", "set", FAR, "up"])
    tools.run([*inside, "ip", "link", "set", LINK, "up"])


def _free(file: Path) -> None:
    try:
        there = IsolatedNetwork.open(file)
    except NetworkGoneError:
        if file.exists():
            IsolatedNetwork.sweep(file)
        return
    what = f"The isolated network {there.record.name} is already there."
    raise NetworkExistsError(what, pid=there.record.inside_pid)


def _read(file: Path) -> NetworkRecord:
    try:
        return decode(NetworkRecord, file.read_bytes(), limit=_STATE_LIMIT, name="isolation record")
    except FileNotFoundError:
        raise NetworkGoneError("There is no isolated network on record.") from None


def _holders(record: NetworkRecord) -> tuple[Holder, Holder]:
    return (
        Holder(record.inside_pid, record.inside_started),
        Holder(record.far_pid, record.far_started),
    )


def _write(file: Path, record: NetworkRecord) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    draft.write_bytes(encode(record))
    draft.replace(file)
