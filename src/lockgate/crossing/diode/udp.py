"""UDP sockets: many packets with one call of the kernel, on both ends.

Python has no ``recvmmsg`` and no names for segmentation offload, so numbers and structures of Linux's
interface stand here: ``setsockopt(17, 103)`` is UDP_SEGMENT, ``(17, 104)`` is UDP_GRO (linux/udp.h).
"""

import contextlib
import ctypes
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lockgate.crossing.diode.errors import DiodeSettingError, DiodeSocketError
from lockgate.crossing.diode.wire import IP_UDP, OVERHEAD, Packet, taken_apart

UDP_SEGMENT = 103
UDP_GRO = 104
SO_RCVBUFFORCE = 33

RECEIVE_BUFFER = 256 * 1024 * 1024
"""Bytes that the kernel may hold for the receiver. At a quarter of it whole groups were lost in bursts."""

SEGMENTS_LIMIT = 64
"""Most packets in one call with segmentation offload (UDP_MAX_SEGMENTS of older kernels)."""

SEND_LIMIT = 65507
"""Most bytes in one call: the longest UDP payload."""

SLOTS = 32
"""Messages that one call receives at most; each may hold many packets."""

SLOT_SIZE = (1 << 16) + 9 * 1024
"""Bytes of a slot. Were they a power of two, all would begin in the same few lines of the cache."""

_SLOTS = range(0, SLOTS * SLOT_SIZE, SLOT_SIZE)
_CONTROL_SIZE = 64
_CONTROL = struct.Struct("@Niii")
"""A control message with one int: length, level, type, value (cmsg(3))."""

_MSG_WAITFORONE = 0x10000
_SNMP = Path("/proc/net/snmp")


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """``struct mmsghdr`` of recvmmsg(2), the inner structure laid out flat."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("_pad", ctypes.c_int),
        ("received", ctypes.c_uint),
    )


def _address(text: str, port: int) -> tuple[int, tuple[str, int]]:
    """Return version of IP and address. Names are not looked up: a diode has no way to ask."""
    try:
        return ipaddress.ip_address(text).version, (text, port)
    except ValueError:
        what = f"{text[:80]!r} is not an IP address."
        raise DiodeSettingError(what) from None


def _new_socket(version: int) -> socket.socket:
    return socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)  # noqa: PLR2004


@contextlib.contextmanager
def _naming(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = f"{what}: {error.strerror}."
        raise DiodeSocketError(said) from error


def shard_size(address: str, mtu: int) -> int:
    """Return how many bytes of a shard fit into a packet of the link.

    Raises:
        DiodeSettingError: Not an IP address.

    """
    return min(mtu - IP_UDP[_address(address, 0)[0]], SEND_LIMIT) - OVERHEAD


def _column(messages: ctypes.Array[_Message], field: Any) -> NDArray[Any]:
    """Return one field of all messages as an array over them."""
    kind = np.dtype(f"u{field.size}")
    return np.ndarray((len(messages),), kind, memoryview(messages), field.offset, (ctypes.sizeof(_Message),))


class Outlet:
    """The sending end: a socket that is never read from."""

    def __init__(self, address: str, port: int, packet: int) -> None:
        """Open the socket.

        Args:
            address: IP address of the receiver.
            port: UDP port of the receiver.
            packet: Length of every full packet in bytes.

        Raises:
            DiodeSettingError: Not an IP address.
            DiodeSocketError: The kernel refused.

        """
        version, self._target = _address(address, port)
        self._packet = packet
        with _naming("The sending socket cannot be opened"):
            self._socket = _new_socket(version)
        self._segments = max(1, min(SEGMENTS_LIMIT, SEND_LIMIT // packet))
        try:
            self._segmented = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("@H", packet))]
            self._socket.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, packet)
            self._socket.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
        except OSError:
            self._segments = 1

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self._socket.close()

    @property
    def burst(self) -> int:
        """Return how many bytes of full packets one call takes."""
        return self._segments * self._packet

    def send(self, packets: memoryview) -> None:
        """Send bytes that are full packets one after the other, at most `burst`, or one shorter packet.

        Raises:
            DiodeSocketError: The kernel refused: no route, or packets longer than the link takes.

        """
        extra = self._segmented if len(packets) > self._packet else []
        try:
            self._socket.sendmsg([packets], extra, 0, self._target)
        except OSError as error:
            what = f"A packet cannot be sent: {error.strerror}."
            raise DiodeSocketError(what) from error


class Inlet:
    """The receiving end: a socket that is never written to."""

    def __init__(self, address: str, port: int, buffer: int = RECEIVE_BUFFER) -> None:
        """Bind the socket.

        Args:
            address: IP address to listen at.
            port: UDP port to listen at.
            buffer: Bytes that the kernel may hold; asked for by force where that is allowed.

        Raises:
            DiodeSettingError: Not an IP address.
            DiodeSocketError: The address is taken, or not of this machine.

        """
        version, place = _address(address, port)
        with _naming(f"The diode cannot listen at {address} port {port}"):
            self._socket = _new_socket(version)
            try:
                self._socket.bind(place)
                self._set_buffer(buffer)
            except OSError:
                self._socket.close()
                raise
        with contextlib.suppress(OSError):  # an older kernel gives packets one by one
            self._socket.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        self.port = int(self._socket.getsockname()[1])
        self._receive = ctypes.CDLL(None, use_errno=True).recvmmsg
        self._memory = bytearray(SLOTS * SLOT_SIZE)
        self._view = memoryview(self._memory)
        self._seconds = -1.0
        self._usual = 0
        self._places: list[list[Packet]] = []
        self._firsts: list[Packet] = []
        self._prepare()

    def _set_buffer(self, size: int) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        # The kernel counts its own overhead too and doubles what is asked for.
        self.buffer = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2

    def _prepare(self) -> None:
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._control = ctypes.create_string_buffer(SLOTS * _CONTROL_SIZE)
        control = ctypes.addressof(self._control)
        self._vectors = (_Vector * SLOTS)(*[_Vector(start + n * SLOT_SIZE, SLOT_SIZE) for n in range(SLOTS)])
        self._messages = (_Message * SLOTS)()
        for number, message in enumerate(self._messages):
            message.vectors = ctypes.pointer(self._vectors[number])
            message.vector_count = 1
            message.control = control + number * _CONTROL_SIZE
            message.control_length = _CONTROL_SIZE
        # The fields that change with each call, as columns.
        self._lengths = _column(self._messages, _Message.received)
        self._controls = _column(self._messages, _Message.control_length)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self._socket.close()

    def expect(self, length: int) -> None:
        """Have packets of this length taken apart before they come; others cost more time."""
        if length != self._usual:
            self._usual, view = length, self._view
            count = min(SEGMENTS_LIMIT, SLOT_SIZE // length)
            self._places = [
                [taken_apart(view[a : a + length]) for a in range(at, at + count * length, length)]
                for at in _SLOTS
            ]
            self._firsts = [places[0] for places in self._places]

    def receive(self, seconds: float) -> list[Packet]:
        """Return the packets that one call of the kernel gives; none when nothing came in that time.

        They are good until the next call.

        Raises:
            DiodeSocketError: The kernel refused.

        """
        if seconds != self._seconds:
            whole = int(seconds)
            wait = struct.pack("@ll", whole, int((seconds - whole) * 1e6))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
            self._seconds = seconds
        count = self._receive(self._socket.fileno(), self._messages, SLOTS, _MSG_WAITFORONE, None)
        if count < 0:
            problem = ctypes.get_errno()
            if problem in {errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED}:
                return []
            what = f"Packets cannot be received: {os.strerror(problem)}."
            raise DiodeSocketError(what)
        lengths = self._lengths[:count].tolist()
        controls = self._controls[:count].tolist()
        self._controls[:count] = _CONTROL_SIZE
        if self._usual and lengths.count(self._usual) == count and not any(controls):
            return self._firsts[:count]
        packets: list[Packet] = []
        for number, (length, control) in enumerate(zip(lengths, controls, strict=True)):
            step = (self._segment(number) if control else 0) or length
            packets += self._apart(number, length, step)
        return packets

    def _apart(self, number: int, length: int, step: int) -> list[Packet]:
        """Return the packets of a message of `length` bytes of which each but the last has `step`."""
        known = self._places[number][: length // step] if step and step == self._usual else []
        start, end = number * SLOT_SIZE, number * SLOT_SIZE + length
        done = start + len(known) * step
        if done == end and known:
            return known
        view = self._view
        rest = range(done, end, step) if step else (start,)
        return known + [taken_apart(view[at : min(at + step, end)]) for at in rest]

    def _segment(self, number: int) -> int:
        """Return how long each packet of a message is that the kernel put together; 0 where it is one."""
        _, level, kind, value = _CONTROL.unpack_from(self._control, number * _CONTROL_SIZE)
        return value if level == socket.IPPROTO_UDP and kind == UDP_GRO and value > 0 else 0


def receive_errors() -> int:
    """Return how many packets this host's kernel dropped because a receive buffer was full.

    Source: ``RcvbufErrors`` of UDP in /proc/net/snmp, over all sockets of the network namespace.
    """
    try:
        lines = [line.split() for line in _SNMP.read_text("ascii").splitlines() if line.startswith("Udp:")]
    except OSError:
        return 0
    names, values = lines[0], lines[1]
    return int(values[names.index("RcvbufErrors")])
