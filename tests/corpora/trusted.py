"""Roots of both kinds with people who hold their keys; what tests of trust start from."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from lockgate.core.policy import Policy
from lockgate.core.roots import ROOT_FORMAT, Purpose, Root, RootKind
from lockgate.core.statement import NOTHING, STATEMENT_FORMAT, Operation, Statement
from lockgate.trust.keys import Signer, new_signer
from lockgate.trust.roots import make_supply_root, sign_site_root
from lockgate.trust.tuf import TufSigners

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=365)


def make_signers(purpose: Purpose, *people: str) -> list[Signer]:
    return [new_signer(purpose, person) for person in people]


def make_root(side: RootKind, *signers: Signer, version: int = 1, **facts: object) -> Root:
    root = Root(
        format=ROOT_FORMAT,
        kind=side,
        lane="test",
        version=version,
        assurance="demo",
        expires=LATER,
        keys={s.keyid: s.held(LATER) for s in signers},
        thresholds={Purpose.SUPPLY_ROOT: 2, Purpose.SITE_ROOT: 2},
        policy=Policy() if side is RootKind.SITE else None,
    )
    return msgspec.structs.replace(root, **facts)


@dataclass
class Supply:
    """A supply root with its holders and online roles."""

    holders: list[Signer] = field(
        default_factory=lambda: make_signers(Purpose.SUPPLY_ROOT, "holder-1", "holder-2", "holder-3")
    )
    collector: Signer = field(default_factory=lambda: new_signer(Purpose.COLLECTOR, "collector"))
    targets: Signer = field(default_factory=lambda: new_signer(Purpose.TARGETS, "targets"))
    snapshot: Signer = field(default_factory=lambda: new_signer(Purpose.SNAPSHOT, "snapshot"))
    timestamp: Signer = field(default_factory=lambda: new_signer(Purpose.TIMESTAMP, "timestamp"))

    @property
    def online(self) -> TufSigners:
        return TufSigners(self.targets, self.snapshot, self.timestamp)

    def root(self, version: int = 1, **facts: object) -> Root:
        workers = (self.collector, self.targets, self.snapshot, self.timestamp)
        return make_root(RootKind.SUPPLY, *self.holders, *workers, version=version, **facts)

    def signed(self, version: int = 1, *signers: Signer, **facts: object) -> bytes:
        """Return the root signed by some holders (by the first two where none is named)."""
        return make_supply_root(self.root(version, **facts), signers or self.holders[:2])


@dataclass
class Site:
    """A site root with its holders, approvers and an operator."""

    holders: list[Signer] = field(
        default_factory=lambda: make_signers(Purpose.SITE_ROOT, "holder-1", "holder-2", "holder-3")
    )
    approvers: list[Signer] = field(
        default_factory=lambda: make_signers(Purpose.APPROVER, "ap-1", "ap-2", "ap-3")
    )
    operator: Signer = field(default_factory=lambda: new_signer(Purpose.OPERATOR, "operator"))

    def root(self, version: int = 1, **facts: object) -> Root:
        people = (*self.holders, *self.approvers, self.operator)
        return make_root(RootKind.SITE, *people, version=version, **facts)

    def signed(self, version: int = 1, *signers: Signer, **facts: object) -> bytes:
        """Return the root signed by some holders (by the first two where none is named)."""
        return sign_site_root(self.root(version, **facts), signers or self.holders[:2])


STATEMENT = Statement(
    format=STATEMENT_FORMAT,
    lane="test",
    operation=Operation.PUBLISH,
    crossing=1,
    crate_sha256="a" * 64,
    snapshot_sha256="b" * 64,
    verdicts_sha256="c" * 64,
    waivers=(),
    policy_sha256="d" * 64,
    custody_sha256=NOTHING,
    channel="stable",
    channel_version=1,
    previous_sha256=NOTHING,
    requester="operator",
    log_checkpoint="0 00",
    nonce="0" * 32,
    created=NOW,
    expires=NOW + timedelta(days=7),
)
"""What is asked for where a test says nothing else: crossing 1 on `stable`, by an operator, for a week."""
