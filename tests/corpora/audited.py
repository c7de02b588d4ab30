"""Logs in memory with a site root that names their key and witnesses; what audit tests start from."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lockgate.audit import AuditLog, Seen, Witness, WitnessRequest, sign_checkpoint
from lockgate.core.roots import ROOT_FORMAT, Purpose, Root, RootKind
from lockgate.store import MemoryRecords
from lockgate.trust.keys import Signer, new_signer

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ORIGIN = "lockgate/test/high"


@dataclass
class Audited:
    """A site with a log key, two witnesses and an approver."""

    now: datetime = NOW
    log_key: Signer = field(default_factory=lambda: new_signer(Purpose.LOG, "gate-log"))
    witnesses: list[Signer] = field(
        default_factory=lambda: [new_signer(Purpose.WITNESS, f"witness-{n}") for n in (1, 2)]
    )
    approver: Signer = field(default_factory=lambda: new_signer(Purpose.APPROVER, "ap-1"))
    need: int = 1

    @property
    def site(self) -> Root:
        listed = [self.log_key, self.approver, *self.witnesses]
        return Root(
            format=ROOT_FORMAT,
            kind=RootKind.SITE,
            lane="test",
            version=1,
            assurance="demo",
            expires=NOW + timedelta(days=365),
            keys={s.keyid: s.held(NOW + timedelta(days=365)) for s in listed},
            thresholds={Purpose.WITNESS: self.need},
        )

    def log(self, *numbers: int) -> AuditLog:
        """Return a log with one event for each number; the same numbers give the same log."""
        made = AuditLog(MemoryRecords(), ORIGIN, lambda: NOW)
        for n in numbers:
            made.append({"n": n})
        return made

    def note(self, log: AuditLog) -> str:
        return sign_checkpoint(log.checkpoint(), self.log_key)

    def request(self, log: AuditLog, old: int) -> WitnessRequest:
        return WitnessRequest(old, tuple(log.consistency(old)), self.note(log))

    def witness(self, state: Path, which: int = 0) -> Witness:
        return Witness(self.site, self.witnesses[which], Seen(state), lambda: self.now)
