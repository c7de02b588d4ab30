"""Sealing on the low side: what was collected becomes a crate for the site's recipients."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from lockgate.app.crossing.collect import current_lock
from lockgate.app.keys import holds_key
from lockgate.app.rehearsal.standing import demand_rehearsal
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import audit_log, signer_from, site_root, supply_root, supply_root_versions, utc_now
from lockgate.core.artifact import Lock
from lockgate.core.ports import Progress
from lockgate.core.roots import Purpose
from lockgate.crossing.contents import SealRequest
from lockgate.crossing.direct import DirectSealer, ListedMounts, Mounts, SealedMedia
from lockgate.crossing.ledger import RecordSealLedger
from lockgate.crossing.media import MEDIA, Medium, medium_named, write_seconds
from lockgate.crossing.media.write import free_room
from lockgate.crossing.needs import Discs, discs, spread_over
from lockgate.crossing.parity import parse_share
from lockgate.crossing.placing import Rooms
from lockgate.crossing.prepare import SealerParts
from lockgate.crossing.seal import SealedCrate, Sealer
from lockgate.crossing.sealplan import Plan
from lockgate.store.garbage import holding
from lockgate.trust.tuf import TufSigners


@dataclass(frozen=True, slots=True)
class SealChoices:
    """What one sealing does otherwise than the settings say; None leaves a setting as it is.

    `parity` is a share as text (``10%``). A crate builds on everything that was sent before and is not
    known to be lost or rejected; with `since` on crossings up to that number only, with `earliest` from that
    number on, with `full` on none.
    `medium` names one (``bd25``), whose size volumes get. `to` are folders on media that the crate is
    written to directly, instead of the outbox: side by side, or `one_by_one`, where each takes as much as
    the first and they are not there together. A `cleartext` crate is signed and not sealed.
    """

    parity: str | None = None
    full: bool = False
    since: int | None = None
    earliest: int | None = None
    medium: str | None = None
    to: tuple[Path, ...] = ()
    one_by_one: bool = False
    cleartext: bool = False


AS_SET = SealChoices()


@dataclass(frozen=True, slots=True)
class Resuming:
    """Go on with an unfinished sealing onto media; `replace` names a medium that is sealed again."""

    replace: int | None = None


def _rooms(choices: SealChoices) -> Rooms | None:
    if not choices.to:
        return None
    kind = medium_named(choices.medium) if choices.medium else MEDIA["fat32"]
    free = [free_room(folder) for folder in choices.to]
    if kind.capacity is not None:
        free = [min(room, kind.capacity) for room in free]
    return Rooms(tuple(free[:1] if choices.one_by_one else free), alike=choices.one_by_one)


def _parts(side: Side, choices: SealChoices = AS_SET) -> SealerParts:
    supply = supply_root(side)[1]
    keys = {p: signer_from(side.home.keys, p, supply) for p in Purpose if holds_key(side.home.keys, p)}
    return SealerParts(
        lane=side.lane,
        blobs=blobs_of(side),
        ledger=RecordSealLedger(records_of(side)),
        roots=supply_root_versions(side),
        site=site_root(side, utc_now()),
        signers=(keys[Purpose.SEALER],),
        tuf=TufSigners(keys[Purpose.TARGETS], keys[Purpose.SNAPSHOT], keys[Purpose.TIMESTAMP]),
        outbox=side.home.outbox,
        volume_bytes=(
            medium_named(choices.medium).volume_bytes if choices.medium else side.settings.seal.volume_bytes
        ),
        valid=timedelta(days=side.settings.seal.expires_days),
        clock=utc_now,
        parity=parse_share(choices.parity or side.settings.seal.parity),
        cleartext=choices.cleartext,
        rooms=_rooms(choices),
    )


def _request(side: Side, choices: SealChoices) -> SealRequest:
    collected = current_lock(side)
    return SealRequest(
        lock=collected.lock,
        lock_attestation=collected.attestation,
        sbom=collected.sbom,
        delta=not choices.full,
        since=choices.since,
        earliest=choices.earliest or side.settings.seal.build_from,
    )


def plan_crate(side: Side, choices: SealChoices = AS_SET, progress: Progress | None = None) -> Plan:
    """Return what sealing would write; nothing is written."""
    return Sealer(_parts(side, choices)).plan(_request(side, choices), progress)


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


def media_need(plan: Plan, medium: str | None) -> MediaNeed:
    """Return what a planned crate needs of a medium, parity and what is repeated on each included.

    Raises:
        MediumUnknownError: No such medium.
        MediumSpaceError: A volume is larger than it.

    """
    kind = medium_named(medium) if medium else MEDIA["fat32"]
    sizes = [volume.size for volume in plan.volumes]
    sizes += [one.size for one in plan.parity for _ in range(one.group.parity)]
    spread = discs(plan, plan.places) if plan.places else spread_over(plan, kind)
    return MediaNeed(kind, spread, write_seconds(sum(sizes), kind))


def seal_crate(side: Side, progress: Progress, choices: SealChoices = AS_SET) -> SealedCrate:
    """Seal the current lock into the outbox, recorded before and after.

    Raises:
        RehearsalDemandedError: The policy demands a rehearsal that passed, and there is none.

    """
    request = _request(side, choices)
    with _recorded(side) as done, _holding(side, request.lock):
        demand_rehearsal(side)
        crate = Sealer(_parts(side, choices)).seal(request, progress)
        done.update(crossing=crate.manifest.sequence, crate=crate.crate_sha256)
    return crate


def seal_onto_media(
    side: Side, progress: Progress, choices: SealChoices, mounts: Mounts, more: Resuming | None = None
) -> SealedMedia:
    """Seal the current lock straight onto media, or go on with what is unfinished; recorded before and after.

    Args:
        side: The low side.
        progress: Told about the bytes.
        choices: `to` names the media, or the place where they are mounted one after another.
        mounts: Tells where each medium is.
        more: How to go on with what is unfinished, whatever the present lock is.

    Raises:
        RehearsalDemandedError: The policy demands a rehearsal that passed, and there is none.

    """
    request = None if more else _request(side, choices)
    lock = request.lock if request else None  # what is unfinished holds its own
    with _recorded(side, media=[str(folder) for folder in choices.to]) as done, _holding(side, lock):
        if request is not None:
            demand_rehearsal(side)
        sealer = DirectSealer(_parts(side, choices), mounts)
        sealed = sealer.seal(request, progress, replace=more.replace if more else None)
        done.update(crossing=sealed.manifest.sequence, crate=sealed.crate_sha256)
    return sealed


def give_up_media(side: Side, folders: Sequence[Path]) -> int:
    """Discard an unfinished sealing onto media; return its number."""
    with _recorded(side, discard=[str(folder) for folder in folders]) as done:
        number = DirectSealer(_parts(side), ListedMounts(folders)).give_up(folders)
        done.update(discarded=number)
    return number


@contextmanager
def _holding(side: Side, lock: Lock | None) -> Iterator[None]:
    """Keep garbage collection away from what is sealed, whatever lock is the present one meanwhile."""
    records = records_of(side)
    try:
        artifacts = lock.artifacts if lock else ()
        with holding(records, {f.sha256 for a in artifacts for f in a.files}, utc_now):
            yield
    finally:
        records.close()


@contextmanager
def _recorded(side: Side, **facts: Any) -> Iterator[dict[str, Any]]:
    """Record an intent, then what came of it; the body adds the facts of a good outcome."""
    with audit_log(side).recorded("seal", **facts) as done:
        side.home.outbox.mkdir(parents=True, exist_ok=True)
        yield done
