"""A crate over a one-way link: UDP with erasure coding, paced, and a receiver that never sends."""

from lockgate.crossing.diode.journal import SendJournal
from lockgate.crossing.diode.keyfile import make_key, read_key
from lockgate.crossing.diode.receive import Receiver, ReceiverParts, ReceiveSettings
from lockgate.crossing.diode.report import Report
from lockgate.crossing.diode.send import Sender, SenderParts, SendSettings, Sent
from lockgate.crossing.diode.udp import Inlet, Outlet
from lockgate.crossing.diode.wire import DiodeKey

__all__ = [
    "DiodeKey",
    "Inlet",
    "Outlet",
    "ReceiveSettings",
    "Receiver",
    "ReceiverParts",
    "Report",
    "SendJournal",
    "SendSettings",
    "Sender",
    "SenderParts",
    "Sent",
    "make_key",
    "read_key",
]
