"""What the gate is joined from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lockgate.core.errors import LockgateError
from lockgate.core.parts import PARTED_FROM
from lockgate.core.policy import Policy
from lockgate.core.roots import Root
from lockgate.core.rules import ActiveRules, Rules, policy_digest

if TYPE_CHECKING:
    from lockgate.admit.ports import AdvisoryReader, CustodyReader, PageMaker, StationReader, WeightsReader
    from lockgate.audit import AuditLog
    from lockgate.core.ports import Clock, Entropy
    from lockgate.core.sequence import CrossingState
    from lockgate.store.ports import BlobStore, Records, Transaction
    from lockgate.trust.keys import Signer


def nobody(sequence: int) -> frozenset[str]:
    """Distrust no signer of a crossing: where there is no ledger of who signed."""
    del sequence
    return frozenset()


def unwritten(envelope: bytes) -> None:
    """Write no list of what may not be loaded: where nothing is loaded."""
    del envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingParts:
    """What reading and judging need: no key, and nothing that writes.

    `distrusted` gives the ids of a crossing's signers that are no longer believed; `rules` are the
    admission rules that two persons signed, and `rules_lost` says why they cannot be read.
    """

    records: "Records"
    blobs: "BlobStore"
    quarantine: "BlobStore"
    site: Root
    clock: "Clock"
    distrusted: Callable[[int], frozenset[str]] = nobody
    custody: "CustodyReader | None" = None
    advisories: "AdvisoryReader | None" = None
    stations: "StationReader | None" = None
    rules: ActiveRules | None = None
    rules_lost: LockgateError | None = None

    @property
    def policy(self) -> Policy:
        """Return the site's policy."""
        return self.site.policy or Policy()

    @property
    def admission_rules(self) -> Rules | None:
        """Return the admission rules, or None where two persons never signed any.

        Raises:
            LockgateError: There are some, and they cannot be read: nothing can be judged.

        """
        if self.rules_lost is not None:
            raise self.rules_lost
        return self.rules.rules if self.rules else None

    @property
    def policy_sha256(self) -> str:
        """Return the digest that statements bind the policy and its admission rules by."""
        return policy_digest(self.policy, self.rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateParts(ReadingParts):
    """Everything that the gate is joined from.

    `demand_open` refuses where admission is held; `write_refusals` puts the signed list of what may not be
    loaded where models are loaded. Snapshots of `parted_from` artifacts or more are written in parts.
    """

    audit: "AuditLog"
    inspector: "Signer"
    pages: "PageMaker"
    entropy: "Entropy"
    write_channel: Callable[[str, bytes], None]
    mark_ledger: "Callable[[Transaction, int, CrossingState], None]"
    demand_open: Callable[[], None]
    weights: "WeightsReader | None" = None
    write_refusals: Callable[[bytes], None] = unwritten
    parted_from: int = PARTED_FROM
