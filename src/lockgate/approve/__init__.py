"""Who asked, who may answer, what exactly they sign; and what serves by their signatures."""

from lockgate.approve.channel import ChannelReader, FixedRoot, SiteRoots, VerifiedChannel
from lockgate.approve.counters import demand_counting
from lockgate.approve.service import approve, combine, judge, read_statement, request
from lockgate.approve.verify import verify_channel

__all__ = [
    "ChannelReader",
    "FixedRoot",
    "SiteRoots",
    "VerifiedChannel",
    "approve",
    "combine",
    "demand_counting",
    "judge",
    "read_statement",
    "request",
    "verify_channel",
]
