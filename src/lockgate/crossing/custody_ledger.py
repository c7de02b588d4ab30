"""What the high side keeps of chains of hand-overs: the longest one of each crossing, and a second one."""

from datetime import datetime, timedelta

from lockgate.core.custody import (
    REPORT_FORMAT,
    CustodyReport,
    Finding,
    FindingKind,
    SignedHandOver,
    Way,
    judge_chain,
)
from lockgate.core.errors import LockgateError
from lockgate.core.policy import Policy
from lockgate.crossing.custody import Custodians, extends, verify_chain
from lockgate.crossing.errors import CustodyForkError, CustodyOlderError
from lockgate.crossing.ledger import ledger_key
from lockgate.store import Records, Transaction

CUSTODY = "custody"
FORKS = "custody-fork"


class CustodyLedger:
    """Chains by crossing. One only grows; a second one for the same crate is kept as evidence."""

    def __init__(self, records: Records, custodians: Custodians) -> None:
        """Use what the records hold; every chain is verified again when it is read."""
        self._records = records
        self._custodians = custodians

    def chain(self, crossing: int, crate_sha256: str) -> tuple[SignedHandOver, ...]:
        """Return the chain of a crossing, verified again; nothing where there is none.

        Raises:
            LockgateError: What is on record does not verify; see `verify_chain`.

        """
        with self._records.transaction() as tx:
            return self._known(tx, crossing, crate_sha256)

    def _known(self, tx: Transaction, crossing: int, crate_sha256: str) -> tuple[SignedHandOver, ...]:
        data = tx.get(CUSTODY, ledger_key(crossing))
        return () if data is None else verify_chain(data, self._custodians, crossing, crate_sha256)

    def record(self, data: bytes, crossing: int, crate_sha256: str) -> tuple[SignedHandOver, ...]:
        """Keep a chain that verifies and goes on where the one on record ends; return it.

        Raises:
            CustodyForkError: It tells another way than the one on record; it is kept as evidence.
            CustodyOlderError: It has nothing that is not on record.
            LockgateError: It does not verify; see `verify_chain`.

        """
        offered = verify_chain(data, self._custodians, crossing, crate_sha256)
        with self._records.transaction() as tx:  # one, so that of two at a time none loses to a shorter one
            known = self._known(tx, crossing, crate_sha256)
            forked = not (extends(offered, known) or extends(known, offered))
            if not forked and not _adds(offered, known):
                what = f"The chain of crossing {crossing} that is on record has {len(known)} hand-overs."
                raise CustodyOlderError(what)
            tx.put(FORKS if forked else CUSTODY, ledger_key(crossing), data)
        if forked:
            what = f"Another chain for crossing {crossing} is on record."
            raise CustodyForkError(what, known=known[-1].sha256, offered=offered[-1].sha256)
        return offered

    def forked(self, crossing: int) -> bool:
        """Tell whether a second chain for a crossing was offered."""
        with self._records.transaction() as tx:
            return tx.get(FORKS, ledger_key(crossing)) is not None

    def report(
        self, crossing: int, crate_sha256: str, received: datetime, created: datetime | None, policy: Policy
    ) -> CustodyReport | None:
        """Return what approvers are shown; None where there is neither a chain nor a rule for one.

        Args:
            crossing: The crossing's number.
            crate_sha256: Digest of its ``crate.json``.
            received: When the gate took it in.
            created: When it was sealed, as ``crate.json`` says, or None where that is not held.
            policy: The site's policy.

        """
        rule, forked = policy.custody_rule, self.forked(crossing)
        chain: tuple[SignedHandOver, ...] = ()
        unproven: tuple[Finding, ...] = ()
        try:
            chain = self.chain(crossing, crate_sha256)
        except LockgateError as error:  # a key was revoked, or the record was altered
            what = f"What is on record does not verify ({error.code}): {error.what}"
            unproven = (Finding(kind=FindingKind.MISSING, step=-1, what=what[:400]),)
        if rule is None and not chain and not unproven:
            return None
        way = Way(created, received, timedelta(seconds=policy.skew_seconds), forked)
        return CustodyReport(
            format=REPORT_FORMAT,
            lane=self._custodians.site.lane,
            crossing=crossing,
            crate_sha256=crate_sha256,
            received=received,
            chain=chain,
            findings=unproven or judge_chain(chain, way, rule),
        )


def _adds(offered: tuple[SignedHandOver, ...], known: tuple[SignedHandOver, ...]) -> bool:
    """Tell whether a chain has everything of the one on record and more: hand-overs or signatures."""
    if len(offered) < len(known):
        return False
    pairs = list(zip(offered, known, strict=False))
    whole = all(set(old.signers) <= set(new.signers) for new, old in pairs)
    more = any(set(old.signers) < set(new.signers) for new, old in pairs)
    return whole and (more or len(offered) > len(known))
