"""Server-sent events: reading an engine's stream within bounds, writing our own.

Format: WHATWG HTML, section 9.2 (server-sent events); the payloads are OpenAI chat chunks.
"""

import re

from lockgate.infer.errors import EngineGarbageError

_DATA = b"data: "
_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventParser:
    """Turns bytes, however they were cut, into the payloads of events.

    Args:
        event_bytes: Longest line, and longest event, in bytes.

    """

    def __init__(self, event_bytes: int) -> None:
        """Begin with nothing read."""
        self._limit = event_bytes
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return the payloads of the events that they complete.

        Raises:
            EngineGarbageError: A line or an event is over its bound.

        """
        text = self._rest + data if self._rest else data
        if not self._data and b"\r" not in text:
            if text.startswith(_DATA) and text.endswith(b"\n\n"):
                events = text[len(_DATA) : -2].split(b"\n\n" + _DATA)
                if text.count(b"\n") == 2 * len(events) and max(map(len, events)) + len(_DATA) <= self._limit:
                    self._rest = b""
                    return events
            *events, self._rest = text.split(b"\n\n")
            if len(self._rest) <= self._limit and all(map(self._plain, events)):
                return [event[6:] for event in events]
        held = b"\r" if text.endswith(b"\r") else b""  # its line feed may be still to come
        *lines, rest = _LINE_END.split(text[: len(text) - len(held)])
        self._rest = rest + held
        if len(self._rest) > self._limit:
            self._too_long()
        return [event for line in lines if (event := self._line(line)) is not None]

    def _plain(self, event: bytes) -> bool:
        """Tell whether an event is one line of data as every engine sends it."""
        return event.startswith(b"data: ") and b"\n" not in event and len(event) <= self._limit

    def _line(self, line: bytes) -> bytes | None:
        if not line:
            event, self._data, self._size = self._data, [], 0
            return b"\n".join(event) if event else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._size += len(line)
            if self._size > self._limit:
                self._too_long()
            self._data.append(value.removeprefix(b" "))
        return None

    def _too_long(self) -> None:
        what = f"The engine sent an event of more than {self._limit} bytes."
        raise EngineGarbageError(what, limit="engine.event_bytes")


class LineParser:
    """Turns bytes, however they were cut, into lines; used like `EventParser`.

    Args:
        event_bytes: Longest line in bytes.

    """

    def __init__(self, event_bytes: int) -> None:
        """Begin with nothing read."""
        self._limit = event_bytes
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return the lines that they complete, without empty ones.

        Raises:
            EngineGarbageError: A line is over its bound.

        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if max(len(self._rest), *(len(line) for line in lines), 0) > self._limit:
            what = f"The engine sent a line of more than {self._limit} bytes."
            raise EngineGarbageError(what, limit="engine.event_bytes")
        return [line for line in lines if line.strip()]


def event(payload: bytes) -> bytes:
    """Return one event that carries a payload without line ends."""
    return b"data: " + payload + b"\n\n"


DONE = event(b"[DONE]")
"""The event that ends an OpenAI stream."""
