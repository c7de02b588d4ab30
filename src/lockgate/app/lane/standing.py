"""What becomes of what a key signed: which crossings it touched, and how long every key still lives."""

from dataclasses import dataclass
from datetime import datetime

from lockgate.admit import Crossing
from lockgate.admit.model import CHANNELS, CROSSINGS, ChannelPointer, crossing_key
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import site_root, supply_root
from lockgate.core.ceremony import CeremonyError
from lockgate.core.digests import checked
from lockgate.core.parts import open_snapshot
from lockgate.core.roots import Root
from lockgate.core.statement import NOTHING
from lockgate.core.wire import decode
from lockgate.crossing import RecordLedger
from lockgate.store import Transaction

_SHORTEST = 4
"""Digits of an id below which it is a slip of the hand."""

WARN_DAYS = 30
"""Days before an expiry from which on it is a warning."""


def distrusted_signers(side: Side, sequence: int) -> frozenset[str]:
    """Return the signers of a crossing that the site root revokes or that no supply root lists any more."""
    records = records_of(side)
    held = RecordLedger(records).held(sequence)
    records.close()
    signers = held.signed_by if held else frozenset()
    listed = supply_root(side)[1].keys
    revoked = site_root(side, None).revoked_keys
    return frozenset(keyid for keyid in signers if keyid in revoked or keyid not in listed)


@dataclass(frozen=True, slots=True)
class Affected:
    """A crossing that a key signed: how far it came, and what of it the channels serve."""

    sequence: int
    crate_sha256: str
    state: str
    artifacts: tuple[str, ...]
    channels: tuple[str, ...]


def supply_key(side: Side, text: str) -> str:
    """Return the id of the supply key that a person means: the id itself, or its beginning, of one alone.

    Known are the keys of the supply root in force, and those that signed a crossing on record.

    Raises:
        CeremonyError: None begins so, or several do.

    """
    if len(text) == len(NOTHING):
        return checked(text)
    records = records_of(side)
    ledger = RecordLedger(records)
    held = [ledger.held(sequence) for sequence in ledger.entries()]
    records.close()
    known = {*supply_root(side)[1].keys, *(keyid for each in held if each for keyid in each.signed_by)}
    meant = [keyid for keyid in known if keyid.startswith(text)]
    if len(meant) != 1 or len(text) < _SHORTEST:
        what = f"{len(meant)} supply keys on this side begin with {text[:64]!r}; it has to be one."
        raise CeremonyError(what, advice="`lockgate root show` tells the keys; give more of the id.")
    return meant[0]


def affected(side: Side, keyid: str) -> list[Affected]:
    """Return the crossings that a supply key signed, oldest first: what people have to look at again.

    What entered stays valid: two people looked at it and signed it, whoever sealed it.
    """
    checked(keyid)
    records = records_of(side)
    ledger = RecordLedger(records)
    found = []
    with records.transaction() as tx:
        served = _served(side, tx)
    for sequence, entry in sorted(ledger.entries().items()):
        held = ledger.held(sequence)
        if held is None or keyid not in held.signed_by:
            continue
        with records.transaction() as tx:
            value = tx.get(CROSSINGS, crossing_key(sequence))
        state = decode(Crossing, value).state if value else entry.state
        mine = {c: {a for n, a in listed if n == sequence} for c, listed in served.items()}
        artifacts = sorted(set().union(*mine.values())) if mine else []
        channels = sorted(c for c, names in mine.items() if names)
        found.append(Affected(sequence, entry.crate_sha256, state, tuple(artifacts), tuple(channels)))
    records.close()
    return found


def _served(side: Side, tx: Transaction) -> dict[str, list[tuple[int, str]]]:
    blobs = blobs_of(side)
    served = {}
    for channel, value in tx.scan(CHANNELS):
        digest = decode(ChannelPointer, value).snapshot_sha256
        snapshot = open_snapshot(digest, blobs)
        served[channel] = [(a.crossing, a.artifact.purl) for a in snapshot.admitted]
    return served


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a root or a key in it ends."""

    root: str
    what: str
    person: str
    identifier: str
    expires: datetime

    def days_left(self, at: datetime) -> int:
        """Return whole days until it ends; negative when it has ended."""
        return (self.expires - at).days


def expiries(side: Side, at: datetime) -> list[Expiry]:
    """Return when both roots, their keys and recipients end, the earliest first.

    Keys that were retired are left out: their end is meant.
    """
    found: list[Expiry] = []
    for root in (supply_root(side)[1], site_root(side, None)):
        found.append(Expiry(root.kind, "root", "", "", root.expires))
        found += [
            Expiry(root.kind, h.purpose, h.person, k, h.expires)
            for k, h in root.keys.items()
            if not _retired(root, k, at)
        ]
        found += [Expiry(root.kind, "recipient", r.name, i, r.expires) for i, r in root.recipients.items()]
    return sorted(found, key=lambda each: (each.expires, each.root, each.what, each.person))


def _retired(root: Root, keyid: str, at: datetime) -> bool:
    """Tell whether a key ended and another one for its purpose took over."""
    old = root.keys[keyid]
    return old.expires <= at and any(
        h.purpose is old.purpose and at < h.expires for k, h in root.keys.items() if k != keyid
    )
