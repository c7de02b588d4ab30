"""What the receiving end says about a session."""

from dataclasses import asdict, dataclass
from typing import Any

from lockgate.crossing.diode.session import Session

EVIDENCE = "emulated: this software never sends, which is no proof that the link cannot"
"""What every report says: hardware enforces a direction, software does not (NIST SP 800-53, AC-4(7))."""


@dataclass(slots=True)
class Useless:
    """Packets that belong to no session: not of this format, forged, too late, too many sessions."""

    foreign: int = 0
    forged: int = 0
    ended: int = 0
    crowded: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a session.

    Attributes:
        crate: Name of the crate; empty when no announcement came through.
        whole: Whether everything of the crate is in the inbox.
        missing: Names of files that are not.
        ended: Whether the sender said that it was done.
        content: Bytes of files that this session brought.
        packets: Packets that came.
        lost: Packets that were sent and did not come, as far as their numbers tell.
        loss: The same as a share.
        margin: Share of its parity that the worst block had left; 1 is all of it, below 0 is too little.
        lost_blocks: Blocks that could not be restored.
        seconds: From the first packet to the last.
        rate: Bytes of packets per second that came.
        safe_rate: Highest rate, in bytes of packets per second, at which losses left half of the parity.
        unsafe_rate: Lowest rate at which they did not; 0 when there was none.
        overflows: Packets that this host's kernel dropped because its buffer was full.
        buffer: Bytes of that buffer.
        refused: Packets that were not used, by reason.
        evidence: What this is evidence of.

    """

    crate: str
    whole: bool
    missing: tuple[str, ...]
    ended: bool
    content: int
    packets: int
    lost: int
    loss: float
    margin: float
    lost_blocks: int
    seconds: float
    rate: int
    safe_rate: int
    unsafe_rate: int
    overflows: int
    buffer: int
    refused: dict[str, int]
    evidence: str = EVIDENCE

    def as_dict(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` prints."""
        return asdict(self)


def report(session: Session, useless: Useless, overflows: int, buffer: int) -> Report:
    """Return the report about a session that has ended."""
    table, arrival, rates = session.table, session.arrival, session.rates
    came = session.window.count
    sent = max(session.total, session.window.newest + 1)
    margin = session.margin()
    missing = arrival.missing() if arrival else ()
    seconds = session.latest - session.first
    tally = session.tally
    return Report(
        crate=table.crate if table else "",
        whole=arrival is not None and not missing,
        missing=missing,
        ended=session.ended,
        content=session.content,
        packets=came,
        lost=max(0, sent - came),
        loss=round(max(0, sent - came) / sent, 6) if sent else 0.0,
        margin=round(margin.share, 3),
        lost_blocks=margin.lost,
        seconds=round(seconds, 3),
        rate=int(session.packet_bytes / seconds) if seconds > 0 else 0,
        safe_rate=rates.safe if rates else 0,
        unsafe_rate=rates.unsafe if rates else 0,
        overflows=overflows,
        buffer=buffer,
        refused=asdict(useless)
        | {
            "forged": useless.forged + tally.forged,
            "replayed": tally.replayed,
            "contradictory": tally.contradictory,
            "early": tally.early,
            "evicted_blocks": tally.evicted,
        },
    )
