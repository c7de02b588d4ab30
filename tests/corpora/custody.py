"""Packages on their way: hand-overs by clerks who hold keys and couriers who do not."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lockgate.core.custody import CUSTODY_FORMAT, CUSTODY_TYPE, HandOver
from lockgate.core.policy import CustodyRule, Policy
from lockgate.core.roots import ROOT_FORMAT, Purpose, Root, RootKind
from lockgate.core.wire import decode, encode
from lockgate.crossing.custody import (
    CHAIN_FORMAT,
    Custodians,
    CustodyChain,
    begin_chain,
    continue_chain,
    read_chain,
    verify_chain,
)
from lockgate.trust.dsse import Envelope, sign
from lockgate.trust.keys import Signer, new_signer

SEALED = datetime(2026, 5, 1, 6, tzinfo=UTC)
UNTIL = SEALED + timedelta(days=365)
LANE = "harbour"
CRATE = "c" * 64
ANNA = new_signer(Purpose.CUSTODIAN, "anna")
"""Clerk of the low side."""
BEN = new_signer(Purpose.CUSTODIAN, "ben")
"""Clerk on the way, listed by the site."""
CARA = new_signer(Purpose.CUSTODIAN, "cara")
"""Clerk of the high side."""


def root(kind: RootKind, *signers: Signer, policy: Policy | None = None) -> Root:
    return Root(
        format=ROOT_FORMAT,
        kind=kind,
        lane=LANE,
        version=1,
        assurance="demo",
        expires=UNTIL,
        keys={s.keyid: s.held(UNTIL) for s in signers},
        thresholds={},
        policy=policy,
    )


def custodians(*, low: tuple[Signer, ...] = (ANNA,), high: tuple[Signer, ...] = (BEN, CARA)) -> Custodians:
    return Custodians(root(RootKind.SITE, *high), root(RootKind.SUPPLY, *low))


KNOWN = custodians()
RULE = CustodyRule(maximum_seconds=4 * 3600)


@dataclass
class Package:
    """A package and its chain; `at` is the time that the next hand-over happens."""

    crossing: int = 7
    crate: str = CRATE
    known: Custodians = KNOWN
    at: datetime = SEALED + timedelta(hours=1)
    chain: bytes = b""
    seals: tuple[str, ...] = ("A104311", "A104312")
    media: tuple[str, ...] = ("BD-0017",)
    extra: dict[str, Any] = field(default_factory=dict)

    def statement(self, giver: str, receiver: str, clerk: str, **changes: Any) -> HandOver:
        before = verify_chain(self.chain, self.known)[-1] if self.chain else None
        facts: dict[str, Any] = {
            "format": CUSTODY_FORMAT,
            "lane": LANE,
            "crossing": self.crossing,
            "crate_sha256": self.crate,
            "step": before.handover.step + 1 if before else 0,
            "previous_sha256": before.sha256 if before else "0" * 64,
            "giver": giver,
            "receiver": receiver,
            "clerk": clerk,
            "at": self.at,
            "signed": self.at,
            "place": "a counter",
            "seals": self.seals,
            "media": self.media,
        }
        return HandOver(**(facts | changes))

    def go(self, giver: str, receiver: str, by: Signer, **changes: Any) -> "Package":
        """Hand the package over an hour after the last time."""
        this = self.statement(giver, receiver, by.person, **changes)
        made = (
            continue_chain(self.chain, this, by, self.known)
            if self.chain
            else begin_chain(this, by, self.known)
        )
        self.chain, self.at = made, self.at + timedelta(hours=1)
        return self

    def whole(self) -> "Package":
        """Go the whole way: packed, to a courier, through a counter to another courier, received."""
        self.go("anna", "anna", ANNA)
        self.go("anna", "courier-1", ANNA)
        self.go("courier-1", "ben", BEN)
        self.go("ben", "courier-2", BEN)
        return self.go("courier-2", "cara", CARA)

    @property
    def envelopes(self) -> tuple[Envelope, ...]:
        return read_chain(self.chain).handovers

    def of(self, *envelopes: Envelope) -> bytes:
        return encode(CustodyChain(format=CHAIN_FORMAT, handovers=envelopes))


def envelope(this: HandOver, *signers: Signer) -> Envelope:
    """Sign without any of the checks that honest programs make."""
    return decode(Envelope, sign(CUSTODY_TYPE, encode(this), signers))
