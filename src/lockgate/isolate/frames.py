"""Sends a few frames through one interface, past every route. Run inside a namespace, by itself.

``python -m lockgate.isolate.frames INTERFACE COUNT``
"""

import socket
import sys

ETHERTYPE = 0x88B5
"""Local experimental Ethertype 1 (IEEE 802, clause 9.2.4): nothing answers it."""

_PAYLOAD = b"lockgate positive control".ljust(46, b"\0")  # 46 bytes: the least that Ethernet carries


def frame(number: int) -> bytes:
    """Return one Ethernet frame to the broadcast address, from a locally administered one."""
    source = b"\x02" + number.to_bytes(5, "big")
    return b"\xff" * 6 + source + ETHERTYPE.to_bytes(2, "big") + _PAYLOAD


def send(interface: str, count: int) -> None:
    """Send `count` frames; needs CAP_NET_RAW in the namespace."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        for number in range(count):
            raw.send(frame(number))


if __name__ == "__main__":
    send(sys.argv[1], int(sys.argv[2]))
