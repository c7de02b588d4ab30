"""Sealing on the low side: what was collected becomes a crate for the site's recipients."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from lockgate.app.crossing.collect import current_lock
from lockgate.app.keys import holds_key
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import audit_log, signer_from, site_root, supply_root, supply_root_versions, utc_now
from lockgate.core.errors import LockgateError
from lockgate.core.ports import Progress
from lockgate.core.roots import Purpose
from lockgate.crossing.contents import SealRequest
from lockgate.crossing.disk import alone
from lockgate.crossing.ledger import RecordSealLedger
from lockgate.crossing.media import Medium, medium_named, read_back, write_seconds
from lockgate.crossing.needs import Discs, spread_over
from lockgate.crossing.parity import parse_share
from lockgate.crossing.prepare import SealerParts
from lockgate.crossing.seal import BUSY_FILE, SealedCrate, Sealer
from lockgate.crossing.sealplan import Plan
from lockgate.trust.tuf import TufSigners


@dataclass(frozen=True, slots=True)
class SealChoices:
    """What one sealing does otherwise than the settings say; None leaves a setting as it is.

    `parity` is a share as text (``10%``). A crate builds on everything that was sent before and is not
    known to be lost or rejected; with `since` on crossings up to that number only, with `full` on none.
    `medium` names one (``bd25``), whose size volumes get. `to` is a folder on a medium that the crate is
    written to directly, instead of the outbox. A `cleartext` crate is signed and not sealed.
    """

    parity: str | None = None
    full: bool = False
    since: int | None = None
    medium: str | None = None
    to: Path | None = None
    cleartext: bool = False


AS_SET = SealChoices()


def _sealer(side: Side, choices: SealChoices = AS_SET) -> Sealer:
    supply = supply_root(side)[1]
    keys = {p: signer_from(side.home.keys, p, supply) for p in Purpose if holds_key(side.home.keys, p)}
    return Sealer(
        SealerParts(
            lane=side.lane,
            blobs=blobs_of(side),
            ledger=RecordSealLedger(records_of(side)),
            roots=supply_root_versions(side),
            site=site_root(side, utc_now()),
            signers=(keys[Purpose.SEALER],),
            tuf=TufSigners(keys[Purpose.TARGETS], keys[Purpose.SNAPSHOT], keys[Purpose.TIMESTAMP]),
            outbox=choices.to or side.home.outbox,
            volume_bytes=(
                medium_named(choices.medium).volume_bytes
                if choices.medium
                else side.settings.seal.volume_bytes
            ),
            valid=timedelta(days=side.settings.seal.expires_days),
            clock=utc_now,
            parity=parse_share(choices.parity or side.settings.seal.parity),
            cleartext=choices.cleartext,
        )
    )


def _request(side: Side, choices: SealChoices) -> SealRequest:
    collected = current_lock(side)
    return SealRequest(
        lock=collected.lock,
        lock_attestation=collected.attestation,
        sbom=collected.sbom,
        delta=not choices.full,
        since=choices.since,
    )


def plan_crate(side: Side, choices: SealChoices = AS_SET, progress: Progress | None = None) -> Plan:
    """Return what sealing would write; nothing is written."""
    return _sealer(side, choices).plan(_request(side, choices), progress)


@dataclass(frozen=True, slots=True)
class MediaNeed:
    """What goes on which piece of a medium, which may be lost, and about how long writing takes."""

    medium: Medium
    spread: Discs
    seconds: int

    @property
    def count(self) -> int:
        """Return the number of pieces."""
        return len(self.spread.discs)


def media_need(plan: Plan, medium: str) -> MediaNeed:
    """Return what a planned crate needs of a medium, parity and what is repeated on each included.

    Raises:
        MediumUnknownError: No such medium.
        MediumSpaceError: A volume is larger than it.

    """
    kind = medium_named(medium)
    sizes = [volume.size for volume in plan.volumes]
    sizes += [one.size for one in plan.parity for _ in range(one.group.parity)]
    return MediaNeed(kind, spread_over(plan, kind), write_seconds(sum(sizes), kind))


def _seal(side: Side, choices: SealChoices, progress: Progress) -> SealedCrate:
    sealer, request = _sealer(side, choices), _request(side, choices)
    if choices.to is None:
        return sealer.seal(request, progress)
    # One sealing at a time on a side, wherever it writes to.
    with alone(side.home.outbox / BUSY_FILE):
        crate = sealer.seal(request, progress)
        (choices.to / BUSY_FILE).unlink(missing_ok=True)  # nothing but the crate travels
        return crate


def seal_crate(side: Side, progress: Progress, choices: SealChoices = AS_SET) -> SealedCrate:
    """Seal the current lock into the outbox, recorded before and after.

    A crate that goes to a medium directly is read back from there before it counts as written.
    """
    log = audit_log(side)
    intent = log.intent("seal")
    try:
        side.home.outbox.mkdir(parents=True, exist_ok=True)
        crate = _seal(side, choices, progress)
    except LockgateError as error:
        log.outcome(intent, "refused", code=error.code, error=error.what)
        raise
    log.outcome(intent, "done", crossing=crate.manifest.sequence, crate=crate.crate_sha256)
    if choices.to is not None:
        read_back(crate.path, progress)
    return crate
