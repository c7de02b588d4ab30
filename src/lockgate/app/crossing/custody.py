"""Custody joined to a side: who may sign, crates as they lie on a medium, hand-overs, the gate's reading.

A counter needs of its home nothing but the configuration and ``trust/``; the clerk's key lies apart,
in a folder of the clerk's own or in a token.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from lockgate.admit import Crossing
from lockgate.admit.ports import CustodyReader
from lockgate.app.files import NamedFileError
from lockgate.app.keys import KeyPlace, signing_key
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, site_root, supply_root, supply_root_versions, utc_now
from lockgate.core.custody import (
    CUSTODY_FORMAT,
    CustodyReport,
    Finding,
    HandOver,
    SignedHandOver,
    Way,
    judge_chain,
    plain_marks,
)
from lockgate.core.digests import sha256, sha256_stream, words
from lockgate.core.errors import PolicyError, TrustError
from lockgate.core.policy import Policy
from lockgate.core.roots import Purpose
from lockgate.core.statement import NOTHING
from lockgate.core.submission import is_submission
from lockgate.core.wire import decode, whole_second
from lockgate.crossing.custody import (
    Custodians,
    begin_chain,
    continue_chain,
    countersign_chain,
    verify_chain,
)
from lockgate.crossing.custody_ledger import CustodyLedger
from lockgate.crossing.errors import CustodyPlaceError
from lockgate.crossing.folder import CrateFolder
from lockgate.crossing.format import CRATE_FILE, MANIFEST_LIMIT, Manifest
from lockgate.crossing.ledger import RecordLedger
from lockgate.crossing.verify import authenticate, demand_form, follow_roots
from lockgate.crossing.whereabouts import within_manifest
from lockgate.store import FileBlobs
from lockgate.trust.dsse import open_envelope
from lockgate.trust.keys import Signer
from lockgate.trust.roots import ROOT_LIMIT

CHAIN_SUFFIX = ".custody.json"
"""A chain lies beside its crate's folder, named like it with this ending."""

_SLIP = "LGC1"


class StopAndCallError(TrustError):
    """The package is not what the chain says that it is; nothing was signed."""

    code = "LG-2f50"
    advice = (
        "Stop. Keep the package in sight and call the number on the slip. Sign in spite of it only "
        "when you were told so, with --despite and a --note that says who told you."
    )


class NoChainError(PolicyError):
    """A crossing has no chain on record."""

    code = "LG-3f50"
    advice = "Record the chain that came with the package: `lockgate custody record`."


@dataclass(frozen=True, slots=True)
class Crate:
    """A crate as it lies in a folder, its ``crate.json`` verified and its volumes not."""

    manifest: Manifest
    sha256: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a clerk saw: the seals, the media where they could be seen, when, where.

    `media` is None where they could not be seen in their package; `at` is None for now.
    """

    place: str
    seals: tuple[str, ...]
    media: tuple[str, ...] | None = None
    at: datetime | None = None
    photos: tuple[str, ...] = ()
    note: str = ""


def custodians_of(side: Side) -> Custodians:
    """Return who may sign hand-overs; neither root's expiry stops carrying."""
    return Custodians(site_root(side, None), supply_root(side)[1])


def read_crate(side: Side, folder: Path) -> Crate:
    """Return a crate whose ``crate.json`` a sealer of this lane signed; it is not recorded.

    Raises:
        LockgateError: Not a crate of this lane, or not signed as it has to be.

    """
    with CrateFolder(folder) as crate:
        offered = crate.roots(ROOT_LIMIT)
        envelope = crate.read(CRATE_FILE, MANIFEST_LIMIT)
    pin = side.settings.trust.supply_pin
    chain = follow_roots(supply_root_versions(side), offered, pin, side.lane)
    manifest = authenticate(envelope, chain.root, utc_now())
    with within_manifest(envelope):
        demand_form(manifest, side.lane, folder.name)
    return Crate(manifest, sha256(envelope))


def clerk_key(place: KeyPlace, custodians: Custodians) -> Signer:
    """Return a custodian's key with the person that a root names for it."""
    signer = signing_key(place, Purpose.CUSTODIAN)
    held = custodians.site.keys.get(signer.keyid) or custodians.supply.keys.get(signer.keyid)
    return replace(signer, person=held.person if held else "unknown")


def photo_digest(path: Path) -> str:
    """Return the SHA-256 of a photograph's file.

    Raises:
        NamedFileError: It cannot be read.

    """
    try:
        with path.open("rb") as stream:
            return sha256_stream(stream)[0]
    except OSError as error:
        what = f"{path} cannot be read: {error.strerror}."
        raise NamedFileError(what) from error


def begin(side: Side, crate: Crate, key: KeyPlace, seen: Seen) -> bytes:
    """Return the chain of a crate that was just packed by the clerk whose key it is."""
    custodians = custodians_of(side)
    signer = clerk_key(key, custodians)
    first = _handover(
        (side.lane, crate.manifest.sequence, crate.sha256, 0, NOTHING),
        (signer.person, signer.person, signer.person),
        seen,
        seen.media or (),
    )
    return begin_chain(first, signer, custodians)


def hand_over(
    side: Side, chain: bytes, key: KeyPlace, parties: tuple[str, str], seen: Seen, *, despite: bool = False
) -> bytes:
    """Return a chain with one more hand-over that the clerk signed.

    Args:
        side: The counter's side.
        chain: The chain so far.
        key: The clerk's key.
        parties: Who gave and who has it now; an empty name stands for the clerk.
        seen: What the clerk saw.
        despite: Sign although it is not what the chain says; `seen.note` has to say why.

    Raises:
        StopAndCallError: Other seals, media or persons than the chain says; nothing was signed.
        LockgateError: The chain does not verify, or the key is no custodian's.

    """
    custodians = custodians_of(side)
    before = verify_chain(chain, custodians)[-1]
    signer = clerk_key(key, custodians)
    giver, receiver = (name or signer.person for name in parties)
    last = before.handover
    packed = giver == receiver and bool(seen.note)
    trouble = [] if packed else differences(last, giver, seen)
    if trouble and not (despite and seen.note):
        raise StopAndCallError(" ".join(trouble), step=last.step + 1)
    media = last.media if seen.media is None else seen.media
    facts = (last.lane, last.crossing, last.crate_sha256, last.step + 1, before.sha256)
    this = _handover(facts, (giver, receiver, signer.person), seen, media)
    return continue_chain(chain, this, signer, custodians)


def differences(last: HandOver, giver: str, seen: Seen) -> list[str]:
    """Return in sentences what is not as the last hand-over says."""
    found = []
    if giver != last.receiver:
        found.append(f"{giver} is not who has the package by the last hand-over.")
    found += _differing("seal", seen.seals, last.seals)
    return found if seen.media is None else found + _differing("medium", seen.media, last.media)


def _differing(name: str, seen: Sequence[str], expected: Sequence[str]) -> list[str]:
    """Name what is too much and count what is missing: what should be there is not read out."""
    found = [f"{mark} is no {name} of this package." for mark in sorted(set(seen) - set(expected))]
    missing = len(set(expected) - set(seen))
    return [*found, f"Missing: {missing} of {len(expected)} ({name})."] if missing else found


def _handover(
    facts: tuple[str, int, str, int, str], parties: tuple[str, str, str], seen: Seen, media: tuple[str, ...]
) -> HandOver:
    now = whole_second(utc_now())
    return HandOver(
        format=CUSTODY_FORMAT,
        lane=facts[0],
        crossing=facts[1],
        crate_sha256=facts[2],
        step=facts[3],
        previous_sha256=facts[4],
        giver=parties[0],
        receiver=parties[1],
        clerk=parties[2],
        at=whole_second(seen.at) if seen.at else now,
        signed=now,
        place=seen.place,
        seals=plain_marks(seen.seals),
        media=plain_marks(media),
        photos=tuple(sorted(set(seen.photos))),
        note=seen.note,
    )


def countersign(side: Side, chain: bytes, key: KeyPlace) -> bytes:
    """Return a chain whose last hand-over the other party signed as well."""
    custodians = custodians_of(side)
    return countersign_chain(chain, clerk_key(key, custodians), custodians)


def check_chain(side: Side, chain: bytes, crate: Crate | None = None) -> tuple[SignedHandOver, ...]:
    """Return the hand-overs of a chain, verified; of this crate where one is given."""
    custodians = custodians_of(side)
    if crate is None:
        return verify_chain(chain, custodians)
    return verify_chain(chain, custodians, crate.manifest.sequence, crate.sha256)


def slip_code(lane: str, crossing: int, crate_sha256: str) -> str:
    """Return what a slip's QR picture says; it fits the alphanumeric mode (ISO/IEC 18004)."""
    return f"{_SLIP}:{lane}:{crossing}:{crate_sha256}".upper()


def short_code(crossing: int, crate_sha256: str) -> str:
    """Return what people read and type where nothing scans: the number and 48 bits of the digest."""
    digits = crate_sha256[:12].upper()
    return f"{crossing}-{digits[:4]}-{digits[4:8]}-{digits[8:]}"


def demand_package(text: str, last: HandOver) -> None:
    """Demand that a scanned slip, or a typed short code, is of the package that a chain speaks of.

    Raises:
        CustodyPlaceError: It is of another one.

    """
    said = "".join(text.split()).replace("-", "").upper()
    scanned = slip_code(last.lane, last.crossing, last.crate_sha256).replace("-", "")
    typed = short_code(last.crossing, last.crate_sha256).replace("-", "")
    if said not in {scanned, typed}:
        what = f"The slip says {text[:80]!r}; the chain is of crossing {last.crossing} on lane {last.lane!r}."
        raise CustodyPlaceError(what)


def draw_slip(side: Side, crate: Crate, chain: Sequence[SignedHandOver]) -> bytes:
    """Return the slip of a crate as PDF: facts of its verified ``crate.json``, hand-overs of a chain."""
    from lockgate.crossing.slip import Slip, SlipLine, slip_pdf  # noqa: PLC0415  # drawing is heavy

    manifest, last = crate.manifest, chain[-1].handover if chain else None
    return slip_pdf(
        Slip(
            lane=side.lane,
            crossing=manifest.sequence,
            crate=manifest.folder,
            code=short_code(manifest.sequence, crate.sha256),
            scan=slip_code(side.lane, manifest.sequence, crate.sha256),
            spoken=words(crate.sha256),
            sha256=crate.sha256,
            sealed=f"{manifest.created:%Y-%m-%d %H:%M} UTC",
            expires=f"{manifest.expires:%Y-%m-%d}",
            volumes=len(manifest.volumes),
            seals=last.seals if last else (),
            media=last.media if last else (),
            call=side.settings.custody.call,
            lines=tuple(
                SlipLine(
                    f"{this.at:%m-%d %H:%M}",
                    f"packed by {this.giver}" if this.packed else this.giver,
                    this.receiver,
                )
                for this in (signed.handover for signed in chain)
            ),
        )
    )


class RecordedCustody(CustodyReader):
    """The gate's reading: chains in the records, the crate's own date from its ``crate.json``."""

    def __init__(self, side: Side) -> None:
        """Read a high side."""
        self._side = side
        self._custodians = custodians_of(side)
        self._policy = self._custodians.site.policy or Policy()

    def report(self, crossing: Crossing) -> CustodyReport | None:
        """Return what approvers are shown; None where there is neither a chain nor a rule for one."""
        if is_submission(crossing.sequence):
            return None  # nothing was carried, and no crate is there to be dated
        records = records_of(self._side)
        try:
            return CustodyLedger(records, self._custodians).report(
                crossing.sequence,
                crossing.crate_sha256,
                crossing.received,
                self._sealed(crossing.crate_sha256),
                self._policy,
            )
        finally:
            records.close()

    def _sealed(self, crate_sha256: str) -> datetime | None:
        """Return when a crate was sealed, from the crate.json that was kept under its own digest."""
        kept = FileBlobs(self._side.home.quarantine)
        if not kept.has(crate_sha256):
            return None
        payload = open_envelope(kept.read(crate_sha256, limit=MANIFEST_LIMIT), limit=MANIFEST_LIMIT).payload
        return decode(Manifest, payload, limit=MANIFEST_LIMIT, name=CRATE_FILE).created


def keep_manifest(side: Side, crate: Path, crate_sha256: str) -> None:
    """Keep a received crate's ``crate.json`` in quarantine under its own digest."""
    with CrateFolder(crate) as folder:
        envelope = folder.read(CRATE_FILE, MANIFEST_LIMIT)
    if sha256(envelope) == crate_sha256:
        FileBlobs(side.home.quarantine).put_bytes(envelope)


def record_chain(side: Side, sequence: int, chain: bytes) -> tuple[SignedHandOver, ...]:
    """Keep a chain for a crossing that was received; return its hand-overs.

    Raises:
        NoChainError: The crossing was not received.
        CustodyForkError: It tells another way than the one on record; it is kept as evidence.
        CustodyOlderError: It has nothing that is not on record.
        LockgateError: It does not verify.

    """
    records = records_of(side)
    with (
        closing(records),
        audit_log(side).recorded("custody", crossing=sequence, chain=sha256(chain)) as said,
    ):
        entry = RecordLedger(records).entries().get(sequence)
        if entry is None:
            what = f"Crossing {sequence} was not received here."
            raise NoChainError(what, advice="Receive the crate first: `lockgate receive`.")
        ledger = CustodyLedger(records, custodians_of(side))
        done = ledger.record(chain, sequence, entry.crate_sha256)
        said.update(handovers=len(done), last=done[-1].sha256)
    return done


def findings_so_far(side: Side, chain: Sequence[SignedHandOver], crate: Crate | None) -> tuple[Finding, ...]:
    """Return what a chain shows while it travels: as if the crate were received now."""
    policy = site_root(side, None).policy or Policy()
    sealed = crate.manifest.created if crate else chain[0].handover.at
    way = Way(sealed, utc_now(), timedelta(seconds=policy.skew_seconds))
    return judge_chain(chain, way, policy.custody_rule)
