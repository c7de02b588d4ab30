"""Which packets of a session came already, and how many were lost at which rate."""

WINDOW = 1 << 20
"""Packets that a late one may lie behind the newest; an older one is refused (RFC 4303, section 3.4.3)."""

SPAN_SECONDS = 0.25
"""Time over which a rate is measured."""


class Window:
    """Refuses each packet number that was there before, or is too old to tell."""

    def __init__(self, size: int = WINDOW) -> None:
        """Begin before the first packet."""
        self._size = size
        self._seen = bytearray(size)
        self.newest = -1
        self.count = 0
        self.refused = 0

    def fresh(self, number: int) -> bool:
        """Tell whether a number may still be taken. It is not noted: the packet may be forged."""
        ahead = number - self.newest
        return ahead > 0 or (ahead > -self._size and not self._seen[number % self._size])

    def note(self, number: int) -> None:
        """Note the number of a genuine packet."""
        size, newest = self._size, self.newest
        if number == newest + 1:
            self.newest = number
        elif number > newest:
            gap = number - newest - 1
            if gap >= size:
                self._seen = bytearray(size)
            elif gap:
                start, end = (newest + 1) % size, number % size
                if start <= end:
                    self._seen[start:end] = bytes(end - start)
                else:
                    self._seen[start:] = bytes(size - start)
                    self._seen[:end] = bytes(end)
            self.newest = number
        self._seen[number % size] = 1
        self.count += 1


class Rates:
    """The highest rate at which no more was lost than parity makes good with half of it to spare."""

    def __init__(self, packet: int, tolerable: float) -> None:
        """Begin.

        Args:
            packet: Length of a packet in bytes.
            tolerable: Share of packets that may be lost.

        """
        self._packet = packet
        self._tolerable = tolerable
        self._since = 0.0
        self._newest = -1
        self._count = 0
        self.safe = 0
        self.unsafe = 0

    def look(self, now: float, newest: int, count: int, *, last: bool = False) -> None:
        """Look at the newest number and the count of packets; measures when enough time went by."""
        if not self._since:
            self._since, self._newest, self._count = now, newest, count
            return
        seconds, sent = now - self._since, newest - self._newest
        if seconds < SPAN_SECONDS and not (last and sent > 0 and seconds > 0 and not self.safe):
            return
        lost = 1 - (count - self._count) / sent if sent > 0 else 0.0
        rate = int(sent * self._packet / seconds)
        if lost <= self._tolerable:
            self.safe = max(self.safe, rate)
        else:
            self.unsafe = min(self.unsafe or rate, rate)
        self._since, self._newest, self._count = now, newest, count
