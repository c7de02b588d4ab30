"""Receiving on the high side: a crate from the inbox becomes a crossing in quarantine."""

from pathlib import Path

from lockgate.admit import Crossing
from lockgate.app.crossing.custody import keep_manifest
from lockgate.app.crossing.rebuild import rebuilder
from lockgate.app.gate.admission import demand_admission
from lockgate.app.gate.gate import open_gate
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import audit_log, recipient_key, site_root, utc_now
from lockgate.core.errors import LockgateError
from lockgate.core.ports import Progress
from lockgate.crossing.ledger import FileSupplyRoots, RecordLedger
from lockgate.crossing.open import Opener, OpenerParts, Received, Waiting
from lockgate.store import FileBlobs


def receive_crate(side: Side, crate: Path, progress: Progress) -> tuple[Received | Waiting, Crossing | None]:
    """Verify a crate, decrypt it and quarantine its contents; resumes where an earlier run ended.

    Returns:
        What was received, and the crossing at the gate; None while volumes are missing.

    Raises:
        AdmissionHeldError, ClockNotBelievedError: Admission is held.
        LockgateError: Refused, with the step's own error; the log says so, nothing else changed.

    """
    demand_admission(side)
    log = audit_log(side)
    intent = log.intent("open", crate=crate.name)
    staging = side.home.quarantine / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    opener = Opener(
        OpenerParts(
            lane=side.lane,
            site=site_root(side, utc_now()),
            supply_pin=side.settings.trust.supply_pin,
            roots=FileSupplyRoots(side.home.trust),
            ledger=RecordLedger(records_of(side)),
            keys=(recipient_key(side),),
            quarantine=FileBlobs(side.home.quarantine),
            staging=staging,
            clock=utc_now,
            rebuilder=rebuilder(),
            bases=(blobs_of(side),),
        )
    )
    try:
        received = opener.receive(crate, progress)
    except LockgateError as error:
        log.outcome(intent, "refused", code=error.code, error=error.what)
        raise
    if isinstance(received, Waiting):
        log.outcome(intent, "waiting", crate=received.crate_sha256)
        return received, None
    repaired = sorted({part.file for part in received.repaired})
    log.outcome(intent, "done", crate=received.crate_sha256, **({"repaired": repaired} if repaired else {}))
    keep_manifest(side, crate, received.crate_sha256)
    manifest = received.manifest
    gate = open_gate(side)
    crossing = gate.quarantined(
        manifest.sequence, manifest.folder, received.crate_sha256, received.lock_sha256
    )
    return received, crossing
