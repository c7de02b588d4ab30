"""What a crate will be, prepared and checked before a byte of it is written."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import msgspec

from lockgate.core.digests import sha256
from lockgate.core.policy import Policy
from lockgate.core.ports import Clock, Entropy, Progress
from lockgate.core.roots import Purpose, Recipient, Root
from lockgate.core.wire import digest_of, whole_second
from lockgate.crossing.contents import (
    Sealing,
    SealRequest,
    attest_sealing,
    check_collection,
    targets_of,
    tuf_contents,
    whole_contents,
    with_sealing,
)
from lockgate.crossing.delta.bounds import Spool
from lockgate.crossing.disk import free_bytes
from lockgate.crossing.errors import CrateLimitError, RecipientNotListedError, SealRequestError
from lockgate.crossing.format import (
    CRATE_FORMAT,
    DELTA,
    FULL,
    NOTHING,
    RECIPIENTS_LIMIT,
    CrateRecipient,
    CrateSealer,
    Manifest,
    Parity,
    VolumeEntry,
)
from lockgate.crossing.layout import NO_PARITY, layout
from lockgate.crossing.parity import plan_parity
from lockgate.crossing.payload import Content, payload_prefix
from lockgate.crossing.placing import Rooms, place
from lockgate.crossing.ports import Cipher, SealLedger, Slot
from lockgate.crossing.sealplan import Plan, planned_contents
from lockgate.crossing.verify import demand_cleartext
from lockgate.crossing.volumes import CrateKeys, aes_gcm
from lockgate.store import BlobStore
from lockgate.trust.errors import WrongLaneError
from lockgate.trust.keys import Signer
from lockgate.trust.roots import read_supply_root
from lockgate.trust.tuf import TufSigners, build


@dataclass(frozen=True, slots=True)
class SealerParts:
    """Everything that sealing is joined from.

    Attributes:
        lane: The lane's name.
        blobs: The low side's store.
        ledger: The low side's ledger.
        roots: All supply root versions, oldest first; they travel with the crate.
        site: The site root; only its recipients may be sealed to.
        signers: Sealer keys; the first one is the sealer that keys are bound to.
        tuf: Keys of the update roles.
        outbox: Where crates appear.
        volume_bytes: Largest volume in bytes.
        parity: Parity volumes per volume.
        rooms: The media that the crate is sealed onto; None for the outbox.
        cleartext: Sign the crate and do not seal it, for sites whose scanners must see inside.
        valid: How long the crate may be admitted: cadence and grace.
        clock: The present moment.
        entropy: Randomness for keys, nonces and ids.
        cipher: The bulk cipher; tests put an instrumented one here.
        free: Tells the free bytes below a folder.

    """

    lane: str
    blobs: BlobStore
    ledger: SealLedger
    roots: Sequence[bytes]
    site: Root
    signers: tuple[Signer, ...]
    tuf: TufSigners
    outbox: Path
    volume_bytes: int
    valid: timedelta
    clock: Clock
    entropy: Entropy = os.urandom
    cipher: Cipher = aes_gcm
    free: Callable[[Path], int] = free_bytes
    parity: Fraction = NO_PARITY
    cleartext: bool = False
    rooms: Rooms | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything about a crate that is known before its volumes are written."""

    slot: Slot
    crate: str
    created: datetime
    expires: datetime
    recipients: dict[str, Recipient]
    prefix: bytes
    contents: tuple[Content, ...]
    tuf: dict[str, bytes]
    plan: Plan


class Preparer:
    """Works out what a crate will be, and refuses what the high side would refuse."""

    def __init__(self, parts: SealerParts) -> None:
        """Use the parts; nothing is written."""
        self._p = parts
        self.supply = read_supply_root(parts.roots[-1])

    def prepare(self, request: SealRequest, slot: Slot, spool: Spool, told: Progress) -> Prepared:
        """Return what a crate will be; patches go to the spool.

        Raises:
            SealRequestError, WrongLaneError, RecipientNotListedError: The request is refused.
            KeyExpiredError, KeyPurposeError, ThresholdError: The high side would refuse the keys.

        """
        p, created = self._p, whole_second(self._p.clock())
        for lane, what in (
            (request.lock.lane, "lock"),
            (p.site.lane, "site root"),
            (self.supply.lane, "root"),
        ):
            if lane != p.lane:
                sentence = f"The {what} is for lane {lane!r}, this side is on {p.lane!r}."
                raise WrongLaneError(sentence)
        self.demand_keys(created)
        recipients = self.recipients(request.recipients, created)
        targets = whole_contents(request, p.blobs)
        meta = {path: target.sha256 for path, target in targets_of(targets).items()}
        check_collection(request.lock_attestation, meta, self.supply, created)
        expires = created + p.valid
        crate = p.entropy(16).hex()
        sealing = Sealing(lane=p.lane, sequence=slot.sequence, crate=crate, created=created)
        targets = with_sealing(targets, attest_sealing(targets, sealing, p.signers))
        tuf = build(targets_of(targets), slot.sequence, p.tuf, expires, p.ledger.tuf())
        planned = planned_contents(request, targets, p.blobs, p.ledger, spool, told)
        contents = tuf_contents(tuf) + tuple(planned.contents)
        prefix = payload_prefix([content.entry for content in contents])
        content = sum(c.entry.length for c in contents)
        payload = len(prefix) + content
        bound = p.volume_bytes if p.rooms is None else self._bounded(p.rooms, payload)
        volumes = layout(payload, bound, p.lane, crate, tuple(recipients), share=p.parity)
        bases = {str(number): p.ledger.sent()[number].crate_sha256 for number in sorted(planned.numbers)}
        parity, places = (
            (plan_parity(volumes, p.parity), ()) if p.rooms is None else place(volumes, p.parity, p.rooms)
        )
        plan = Plan(
            *(slot.sequence, len(contents), content, payload, volumes, parity),
            entries=tuple(planned.files),
            bases=bases,
            places=places,
        )
        return Prepared(slot, crate, created, expires, recipients, prefix, contents, tuf, plan)

    def _bounded(self, rooms: Rooms, payload: int) -> int:
        return min(self._p.volume_bytes, rooms.volume_bound(payload, self._p.parity))

    def recipients(self, wanted: tuple[str, ...] | None, at: datetime) -> dict[str, Recipient]:
        """Return the recipients that a crate is sealed to, all published and none of them expired.

        Raises:
            RecipientNotListedError: One is not published, or there is none.
            CrateLimitError: More than one crate may have.

        """
        if self._p.cleartext:
            demand_cleartext(self._p.site.policy or Policy())
            return {}
        listed = {name: r for name, r in self._p.site.recipients.items() if at < r.expires}
        chosen = sorted(listed) if wanted is None else sorted(set(wanted))
        foreign = [name for name in chosen if name not in listed]
        if foreign:
            what = f"The site root does not publish the recipient {foreign[0][:16]}…, or it has expired."
            raise RecipientNotListedError(what, recipient=foreign[0])
        if not chosen:
            raise RecipientNotListedError("The site root publishes no recipient that has not expired.")
        if len(chosen) > RECIPIENTS_LIMIT:
            what = f"{len(chosen)} recipients are more than one crate may have."
            raise CrateLimitError(what, limit="recipients")
        return {name: listed[name] for name in chosen}

    def demand_keys(self, at: datetime) -> None:
        """Refuse to seal with keys that the high side would refuse."""
        if not self._p.signers:
            raise SealRequestError("There is no sealer key to sign with.")
        for signer in self._p.signers:
            self.supply.held(signer.keyid, Purpose.SEALER, at)
        self.supply.persons([s.keyid for s in self._p.signers], Purpose.SEALER, at)
        need = self.supply.threshold(Purpose.SEALER)
        if len({s.keyid for s in self._p.signers}) != need:
            what = (
                f"{len(self._p.signers)} keys were to sign; the supply root demands {need}, and no more may."
            )
            raise SealRequestError(what)
        tuf = self._p.tuf
        for signer, purpose in (
            (tuf.targets, Purpose.TARGETS),
            (tuf.snapshot, Purpose.SNAPSHOT),
            (tuf.timestamp, Purpose.TIMESTAMP),
        ):
            self.supply.held(signer.keyid, purpose, at)

    def keys(self, prepared: Prepared) -> CrateKeys:
        """Return what the keys of a crate's volumes are made from."""
        return CrateKeys(
            lane=self._p.lane,
            crate=prepared.crate,
            sealer=self._p.signers[0].keyid,
            recipients=prepared.recipients,
            entropy=self._p.entropy,
            cipher=self._p.cipher,
        )

    def manifest(
        self, prepared: Prepared, volumes: Sequence[VolumeEntry], parity: Parity | None, index: bytes
    ) -> Manifest:
        """Return the content of crate.json, after everything that it names was written."""
        sealer, bases = self._p.signers[0], prepared.plan.bases
        return Manifest(
            format=CRATE_FORMAT,
            lane=self._p.lane,
            sequence=prepared.slot.sequence,
            crate=prepared.crate,
            previous_sha256=prepared.slot.previous_sha256,
            void=prepared.slot.void,
            kind=DELTA if bases else FULL,
            base_sha256=digest_of(bases) if bases else NOTHING,
            recipients=tuple(
                CrateRecipient(recipient=name, suite=r.suite) for name, r in prepared.recipients.items()
            ),
            sealer=CrateSealer(keyid=sealer.keyid, person=self.supply.keys[sealer.keyid].person),
            roots={version: sha256(root) for version, root in self.roots().items()},
            volumes=tuple(volumes),
            shards_sha256=sha256(index),
            created=prepared.created,
            expires=prepared.expires,
            parity=parity,
            bases=dict(bases) if bases else msgspec.UNSET,
            cleartext=True if self._p.cleartext else msgspec.UNSET,
        )

    def roots(self) -> dict[str, bytes]:
        """Return the supply roots that travel with a crate, by version."""
        return {str(read_supply_root(root).version): root for root in self._p.roots}
