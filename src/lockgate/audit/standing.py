"""Where a log stands: what it holds, how much of it witnesses saw, and what nobody else saw yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lockgate.audit.checkpoint import Checkpoint
from lockgate.audit.errors import CosignatureError, ForkedLogError, TruncatedLogError
from lockgate.audit.log import AuditLog
from lockgate.audit.witness import cosignatures
from lockgate.core.roots import Purpose, Root


@dataclass(frozen=True, slots=True)
class Seal:
    """The newest checkpoint that one witness cosigned."""

    person: str
    checkpoint: Checkpoint
    moment: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """A log that was hashed again: its checkpoint, and what each witness cosigned of it.

    `witnessed` is the largest size that as many witnesses cosigned as the site root demands.
    """

    checkpoint: Checkpoint
    seals: tuple[Seal, ...]
    witnessed: int

    @property
    def tail(self) -> int:
        """Return how many of the newest leaves no witness confirms."""
        return self.checkpoint.size - self.witnessed


def demand_continues(older: Checkpoint, size: int, roots: dict[int, bytes]) -> None:
    """Demand that a log continues an older checkpoint of itself.

    Args:
        older: A checkpoint whose signature was verified.
        size: The log's size.
        roots: The log's roots by size, hashed again; the older checkpoint's among them.

    Raises:
        TruncatedLogError: The log is shorter.
        ForkedLogError: The log had another root at that size.

    """
    if older.size > size:
        what = f"The log has {size} leaves; its own key signed a checkpoint of {older.size}."
        raise TruncatedLogError(what, signed=older.size, found=size)
    if roots[older.size] != older.root:
        what = f"The log does not continue the checkpoint of {older.size} leaves that its own key signed."
        raise ForkedLogError(what, signed=older.root.hex(), found=roots[older.size].hex())


def _seals(note: str, origin: str, site: Root) -> list[Seal]:
    checkpoint, people = cosignatures(note, origin, site)
    return [Seal(person, checkpoint, moment) for person, moment in people.items()]


def standing(log: AuditLog, site: Root, against: Sequence[Checkpoint] = ()) -> Standing:
    """Hash the whole log again and compare it with all that is known of its past.

    Args:
        log: The log.
        site: The pinned site root: names the log's keys and the witnesses.
        against: Older checkpoints that somebody else held, their signatures verified.

    Raises:
        ProofError: The log was altered.
        CosignatureError: A kept note of a witness does not bear that witness's cosignature.
        ForkedLogError, TruncatedLogError: The log does not continue an older checkpoint.

    """
    seals: dict[str, Seal] = {}
    for person, note in log.witnessed().items():
        found = [seal for seal in _seals(note, log.origin, site) if seal.person == person]
        if not found:
            what = f"The note that is kept of witness {person[:80]!r} does not bear its cosignature."
            raise CosignatureError(what)
        seals[person] = found[0]
    older = [*against, *(seal.checkpoint for seal in seals.values())]
    size, roots = log.roots({each.size for each in older})
    for each in older:
        demand_continues(each, size, roots)
    need = site.threshold(Purpose.WITNESS)
    sizes = sorted((seal.checkpoint.size for seal in seals.values()), reverse=True)
    witnessed = sizes[need - 1] if len(sizes) >= need else 0
    ordered = tuple(sorted(seals.values(), key=lambda seal: seal.person))
    return Standing(Checkpoint(log.origin, size, roots[size]), ordered, witnessed)
