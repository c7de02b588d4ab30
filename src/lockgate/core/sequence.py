"""The sequence ledger's rules: which crossing may be recorded next. Pure decisions."""

from collections.abc import Mapping
from enum import StrEnum

from lockgate.core.artifact import Digest
from lockgate.core.errors import TrustError
from lockgate.core.wire import Document


class CrossingState(StrEnum):
    """How far a crossing came. The last four are final."""

    RECORDED = "recorded"
    QUARANTINED = "quarantined"
    INSPECTED = "inspected"
    PUBLISHED = "published"
    REJECTED = "rejected"
    INCOMPLETE = "incomplete"
    VOID = "void"


FINAL = frozenset(
    {CrossingState.PUBLISHED, CrossingState.REJECTED, CrossingState.INCOMPLETE, CrossingState.VOID}
)


class LedgerEntry(Document, frozen=True):
    """One number of the ledger: the crate that consumed it and its state."""

    sequence: int
    crate_sha256: Digest
    state: CrossingState
    previous_sha256: Digest


class ReplayedCrateError(TrustError):
    """A crate whose number is already used up."""

    code = "LG-2010"
    advice = "This crate was here before. Fetch the next one."


class EquivocationError(TrustError):
    """Two different crates under one number."""

    code = "LG-2011"
    advice = "Hold the lane: a sealer signed two crates with one number. Two approvers must look."


class SequenceGapError(TrustError):
    """Crossings between the last one and this one are missing."""

    code = "LG-2012"
    advice = "Bring the missing crossings first, or have them declared void in a later crate."


class BrokenChainError(TrustError):
    """The crate does not continue the last one on record."""

    code = "LG-2013"
    advice = "The crate was sealed against a different history. Compare both ledgers."


def judge(
    ledger: Mapping[int, LedgerEntry],
    sequence: int,
    crate_sha256: str,
    previous_sha256: str,
    void: Mapping[int, str],
) -> tuple[LedgerEntry, ...]:
    """Return the entries that recording a crate adds to the ledger.

    Args:
        ledger: What is on record, by number.
        sequence: The crate's number.
        crate_sha256: Digest of its ``crate.json``.
        previous_sha256: Digest of the ``crate.json`` that it says precedes it (zeros for the first).
        void: Skipped numbers that the crate declares void, with their digests.

    Returns:
        Entries for the void numbers and for the crate itself; empty when this very crate is
        on record and not final (receiving resumes).

    Raises:
        ReplayedCrateError, EquivocationError, SequenceGapError, BrokenChainError: Refused; `field` names the
            field of ``crate.json`` that is wrong.

    """
    known = ledger.get(sequence)
    if known is not None:
        if known.crate_sha256 != crate_sha256:
            what = f"Crossing {sequence} is on record with another digest."
            raise EquivocationError(what, known=known.crate_sha256, offered=crate_sha256, field="$.sequence")
        if known.state in FINAL:
            what = f"Crossing {sequence} is already {known.state}."
            raise ReplayedCrateError(what, sequence=sequence, field="$.sequence")
        return ()
    last = max(ledger, default=0)
    if sequence <= last:
        what = f"Crossing {sequence} is older than {last}, the last on record."
        raise ReplayedCrateError(what, sequence=sequence, field="$.sequence")
    missing = [n for n in range(last + 1, sequence) if n not in void]
    if missing:
        what = f"Crossing {sequence} follows {last}, but {', '.join(map(str, missing[:8]))} did not arrive."
        raise SequenceGapError(what, missing=missing[0], field="$.sequence")
    _demand_void(ledger, last, sequence, void)
    before = void[sequence - 1] if sequence - 1 in void else (ledger[last].crate_sha256 if last else "0" * 64)
    if previous_sha256 != before:
        what = f"Crossing {sequence} does not continue the crate on record before it."
        raise BrokenChainError(what, expected=before, offered=previous_sha256, field="$.previous_sha256")
    entries = [
        LedgerEntry(sequence=n, crate_sha256=void[n], state=CrossingState.VOID, previous_sha256="0" * 64)
        for n in range(last + 1, sequence)
    ]
    entries.append(
        LedgerEntry(
            sequence=sequence,
            crate_sha256=crate_sha256,
            state=CrossingState.RECORDED,
            previous_sha256=previous_sha256,
        )
    )
    return tuple(entries)


def _demand_void(
    ledger: Mapping[int, LedgerEntry], last: int, sequence: int, void: Mapping[int, str]
) -> None:
    """Demand that what a crate declares void lies before it and is what is on record, where it is.

    A crossing that the low side gave up as lost may have arrived in the meantime. It stays what it became:
    refusing every later crate for it would lock the lane for ever.
    """
    for number, digest in void.items():
        known = ledger.get(number)
        if known is not None and known.crate_sha256 != digest:
            what = f"The crate declares another crossing {number} void than the one on record."
            raise EquivocationError(what, known=known.crate_sha256, offered=digest, field=f"$.void.{number}")
        if known is None and not last < number < sequence:
            what = f"The crate declares crossing {number} void, which is not between {last} and {sequence}."
            raise BrokenChainError(what, field=f"$.void.{number}")
