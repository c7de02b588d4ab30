"""Measuring what the network tells of a gateway's answers: asked, captured on the link, judged.

Keys ask the same questions of two topics in one random order: some whose answers are shaped, in one way or
in several, and some whose answers are not, as a control that shows that the measure sees what there is. Each
request has a connection of its own; the capture (packet(7)) keeps times and lengths of what comes back on it,
and no content. Times are the kernel's: how busy this process is hides nothing.
"""

import http.client
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from lockgate.core.errors import HostError, InputError
from lockgate.core.ports import Progress, Silent

SAMPLES_LEAST = 20
"""Fewest answers of a topic and a key: below it no interval means anything."""

_ALL = 0x0003  # ETH_P_ALL, packet(7)
_OUTGOING = 4  # PACKET_OUTGOING: loopback shows each packet twice
_IPV4, _IPV6, _TCP = 0x0800, 0x86DD, 6
_POLL_SECONDS = 0.2
_STAMPS = 35  # SO_TIMESTAMPNS, socket(7): when the kernel saw a packet, as a timespec of CLOCK_REALTIME
_LONGEST_PAUSE = 10  # seconds that a busy gateway may make this wait, whatever it says
_TRIES = 10  # of one request, where a key is still busy at the gateway

MEDICINE = (
    "A patient has had chest pain for two days. Which questions do I ask first?",
    "Which side effects does a beta blocker have, and when is it stopped?",
    "How is a child with a high fever and a rash examined?",
    "What do raised liver values mean after a change of medication?",
    "When is an antibiotic needed for a sore throat?",
    "How is a broken wrist splinted before the ambulance comes?",
    "Which tests belong to a first visit in pregnancy?",
    "A diabetic is confused and sweating. What is done at once?",
    "How long does a wound stay under a dressing after surgery?",
    "Which vaccines does a nurse need before working on a ward?",
    "What is told to a family about palliative care at home?",
    "How is the dose of a painkiller lowered step by step?",
)
LOGISTICS = (
    "Load the truck for Tuesday: what goes in first?",
    "How many pallets fit into a container of forty feet?",
    "Name the papers for a delivery abroad.",
    "The forklift is broken. What now?",
    "Count the stock of shelf nine.",
    "Which tyres are due?",
    "Plan the night shift of the depot.",
    "What does a parcel of three kilograms cost?",
    "Where is order 5512?",
    "Print a label for the north gate.",
    "Who drives on Sunday?",
    "Close the ramp for an hour.",
)


class CaptureError(HostError):
    """The link cannot be listened to."""

    code = "LG-5f60"
    advice = "Run it as root, or with CAP_NET_RAW, on the gateway's host, and name the interface."


class LeakSamplesError(InputError):
    """Too few answers were asked for, or came, to say anything."""

    code = "LG-1fa8"
    advice = "Ask for more samples, see that the gateway answers both keys, and raise their quotas."


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        url: The gateway's base address, without a path.
        model: The model that is asked.
        keys: Keys whose answers leave alike, by name: the control, and ways of shaping. They take turns.
        topics: Questions of each of the two topics.
        samples: Answers of each topic for each name.
        parallel: Requests at a time.
        each: Requests of one key at a time; `GatewayLimits.per_key` bounds them.
        interface: The link that is listened to.
        max_tokens: Longest answer.

    """

    url: str
    model: str
    keys: Mapping[str, Sequence[str]]
    topics: tuple[Sequence[str], Sequence[str]]
    samples: int
    parallel: int = 64
    each: int = 8
    interface: str = "lo"
    max_tokens: int = 128


@dataclass(frozen=True, slots=True)
class Try:
    """One request: where it came from, and when.

    Attributes:
        opened: When its connection was begun (monotonic seconds): a handshake after it is its own.
        began: When the request left.
        port: Its local port.

    """

    opened: float
    began: float
    port: int


Asked = tuple[Try, tuple[str, int] | None]
"""A request with its key and topic; none where it was refused and asked again."""


class Capture:
    """Listens on an interface for what one port sends; used as a context."""

    def __init__(self, interface: str, port: int) -> None:
        """Open the socket.

        Raises:
            CaptureError: Not allowed, or no such interface.

        """
        self._port = port
        self._seen: dict[int, list[tuple[float, int]]] = defaultdict(list)
        self._end: float | None = None
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))
        except (OSError, AttributeError) as error:
            what = f"No link can be listened to: {error}."
            raise CaptureError(what) from error
        try:
            self._socket.bind((interface, _ALL))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 20)
            self._socket.setsockopt(socket.SOL_SOCKET, _STAMPS, 1)
        except OSError as error:
            self._socket.close()
            what = f"The link {interface!r} cannot be listened to: {error}."
            raise CaptureError(what) from error
        self._socket.settimeout(_POLL_SECONDS)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Read what still waits, and end; a link that is never quiet ends with the first later packet."""
        self._end = time.monotonic()
        self._thread.join()
        self.close()

    def note(self, port: int, packets: Sequence[tuple[float, int]]) -> None:
        """Note packets (monotonic seconds, payload length) that went to a client's port."""
        self._seen[port].extend(packets)

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def take(self, port: int, since: float) -> list[tuple[float, int]]:
        """Return times (monotonic seconds) and payload lengths of what went to a client's port since then.

        Ask after the capture ended, the latest request first: a port may have been used again.
        """
        seen = self._seen.get(port, [])
        taken = [each for each in seen if each[0] >= since]
        self._seen[port] = seen[: len(seen) - len(taken)]
        return taken

    def _run(self) -> None:
        since = time.time() - time.monotonic()
        room = socket.CMSG_SPACE(16)
        while True:
            try:
                packet, said, _, place = self._socket.recvmsg(128, room)
            except TimeoutError:
                if self._end is not None:
                    return
                continue
            seconds, nanoseconds = struct.unpack("qq", said[0][2])
            at = seconds + nanoseconds / 1e9 - since
            if self._end is not None and at > self._end:
                return
            if place[2] != _OUTGOING and (found := payload_of(packet, place[1])):
                source, target, size = found
                if source == self._port and size:
                    self.note(target, [(at, size)])


def payload_of(packet: bytes, kind: int) -> tuple[int, int, int] | None:
    """Return source port, destination port and payload length of a TCP packet, from its first bytes.

    Args:
        packet: From its IP header on (RFC 791, RFC 8200); may be cut off after the TCP header.
        kind: The EtherType.

    """
    if kind == _IPV4 and len(packet) >= 20 and packet[9] == _TCP:  # noqa: PLR2004  # RFC 791
        start, whole = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")
    elif kind == _IPV6 and len(packet) >= 40 and packet[6] == _TCP:  # noqa: PLR2004  # RFC 8200
        start, whole = 40, 40 + int.from_bytes(packet[4:6], "big")
    else:
        return None
    if len(packet) < start + 14:
        return None
    source, target = struct.unpack_from("!HH", packet, start)
    return source, target, max(0, whole - start - (packet[start + 12] >> 4) * 4)


def traces(
    plan: Plan, order: Sequence[tuple[str, int, int]], tls: ssl.SSLContext | None, told: Progress | None
) -> dict[tuple[str, int], list[tuple[tuple[float, ...], tuple[int, ...]]]]:
    """Ask everything and return what the link showed, by key and topic.

    Args:
        plan: What is measured.
        order: Key, topic and question of each request, in the order they are asked.
        tls: How the gateway is spoken to over TLS.
        told: Told about each answer.

    Raises:
        CaptureError: The link cannot be listened to.
        LeakSamplesError: An answer did not come.

    """
    progress = told or Silent()
    parts = urlsplit(plan.url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    asked: list[Asked] = []
    free: dict[str, SimpleQueue[str]] = {name: SimpleQueue() for name in plan.keys}
    for name, keys in plan.keys.items():
        for key in (*keys,) * plan.each:
            free[name].put(key)
    progress.start("ask", len(order))
    capture = Capture(plan.interface, port)
    with capture, ThreadPoolExecutor(plan.parallel) as pool:

        def one(what: tuple[str, int, int]) -> list[Asked]:
            name, topic, number = what
            questions = plan.topics[topic]
            key = free[name].get()
            try:
                *refused, last = _ask(plan, (host, port), key, questions[number % len(questions)], tls)
            finally:
                free[name].put(key)
            return [*((each, None) for each in refused), (last, (name, topic))]

        for each in pool.map(one, order):
            asked.extend(each)
            progress.advance(1)
    progress.finish()
    return shown(asked, capture)


def shown(
    asked: Sequence[Asked], capture: Capture
) -> dict[tuple[str, int], list[tuple[tuple[float, ...], tuple[int, ...]]]]:
    """Return times and lengths of each answer's packets, by key and topic; refused tries take theirs away."""
    found: dict[tuple[str, int], list[tuple[tuple[float, ...], tuple[int, ...]]]] = defaultdict(list)
    for one, where in sorted(asked, key=lambda each: each[0].opened, reverse=True):
        seen = [each for each in capture.take(one.port, one.opened) if each[0] >= one.began]
        if where is not None:
            found[where].append((tuple(at - one.began for at, _ in seen), tuple(size for _, size in seen)))
    return found


def _ask(
    plan: Plan, place: tuple[str, int], key: str, question: str, tls: ssl.SSLContext | None
) -> list[Try]:
    """Ask one question on a connection of its own; return each try.

    A key that the gateway still holds for busy is asked for again: its place is free a moment after the last
    byte of its answer.
    """
    tries: list[Try] = []
    for _ in range(_TRIES):
        one, answer, said = _asked(plan, place, key, question, tls)
        tries.append(one)
        if answer.status != http.client.TOO_MANY_REQUESTS:
            break
        time.sleep(_pause(answer))
    if answer.status != http.client.OK:
        what = f"The gateway answered with status {answer.status}: {said[:200].decode('utf-8', 'replace')}"
        raise LeakSamplesError(what)
    return tries


def _pause(answer: http.client.HTTPResponse) -> int:
    """Return how long an answer asks to wait, in seconds (RFC 9110, 10.2.3), within a bound."""
    said = answer.headers.get("Retry-After", "")
    return min(int(said), _LONGEST_PAUSE) if re.fullmatch("[0-9]{1,9}", said) else 1


def _asked(
    plan: Plan, place: tuple[str, int], key: str, question: str, tls: ssl.SSLContext | None
) -> tuple[Try, http.client.HTTPResponse, bytes]:
    """Ask once; return what was tried and the answer, read to its end."""
    secure = urlsplit(plan.url).scheme == "https"
    connection = (
        http.client.HTTPSConnection(*place, context=tls, timeout=600)
        if secure
        else http.client.HTTPConnection(*place, timeout=600)
    )
    body = {
        "model": plan.model,
        "stream": True,
        "max_tokens": plan.max_tokens,
        "messages": [{"role": "user", "content": question}],
    }
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    opened = time.monotonic()
    try:
        connection.connect()
        one = Try(opened, time.monotonic(), int(connection.sock.getsockname()[1]))
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        return one, answer, answer.read()
    except (OSError, http.client.HTTPException) as error:
        what = f"The gateway did not answer: {error}."
        raise LeakSamplesError(what) from error
    finally:
        connection.close()
