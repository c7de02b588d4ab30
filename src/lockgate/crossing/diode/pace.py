"""How fast packets leave."""

from collections.abc import Callable

from lockgate.crossing.diode.udp import Outlet

LAG_SECONDS = 0.01
"""How much of a delay the pacing catches up with; a longer one is not made good by a burst."""

NAP_SECONDS = 0.0005
"""Least time to sleep for."""


class Pace:
    """Sends no faster than the rate."""

    def __init__(
        self, outlet: Outlet, rate: int, now: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        """Begin now.

        Args:
            outlet: Where packets go.
            rate: Bytes of packets per second.
            now: Seconds that only ever grow.
            sleep: Waits for that many seconds.

        """
        self._outlet = outlet
        self._rate = rate
        self._now = now
        self._sleep = sleep
        self._due = now()
        self.packet_bytes = 0

    def send(self, packets: memoryview, seal: Callable[[int, int], None] | None = None) -> None:
        """Send bytes that are full packets, or one shorter packet.

        Args:
            packets: What to send.
            seal: Told from where to where in bytes goes next.

        """
        burst = self._outlet.burst
        for at in range(0, len(packets), burst):
            part = packets[at : at + burst]
            if seal is not None:
                seal(at, at + len(part))
            self.wait()
            self._outlet.send(part)
            self._due += len(part) / self._rate
            self.packet_bytes += len(part)

    def wait(self, more: float = 0.0) -> None:
        """Wait until the next packet may be sent, and for some seconds more."""
        self._due += more
        now = self._now()
        if self._due - now > NAP_SECONDS:
            self._sleep(self._due - now)
        self._due = max(self._due, now - LAG_SECONDS)
