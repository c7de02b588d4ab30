"""Decisions about an authentic crate.json. Pure: no file is touched here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lockgate.core.digests import sha256
from lockgate.core.policy import Policy
from lockgate.core.roots import Purpose, Root
from lockgate.core.sequence import CrossingState, LedgerEntry, judge
from lockgate.core.wire import decode, span_of
from lockgate.crossing.errors import (
    BaseMissingError,
    CleartextRefusedError,
    ClockHeldError,
    CrateExpiredError,
    CrateGrammarError,
    FutureCrateError,
    ManifestError,
    NotARecipientError,
    OvertakenError,
    ReceiveWindowError,
    RecipientNotListedError,
    RootsListError,
    SealerMismatchError,
)
from lockgate.crossing.folder import naming
from lockgate.crossing.form import demand_consistent
from lockgate.crossing.format import (
    CRATE_FILE,
    CRATE_TYPE,
    MANIFEST_LIMIT,
    ROOTS_FOLDER,
    SHARDS_FILE,
    Manifest,
    root_name,
)
from lockgate.crossing.whereabouts import within_manifest
from lockgate.trust import dsse
from lockgate.trust.errors import RootChainError, WrongLaneError
from lockgate.trust.keys import RecipientKey, one_form
from lockgate.trust.roots import advance_supply_root, load_supply_root, read_supply_root


@dataclass(frozen=True, slots=True)
class SupplyChain:
    """The supply roots after reading roots/: the newest one, and those that are new to this side."""

    data: bytes
    root: Root
    fresh: tuple[tuple[bytes, Root], ...]


def follow_roots(held: Sequence[bytes], offered: Mapping[str, bytes], pin: str, lane: str) -> SupplyChain:
    """Return the newest supply root, reached from the pinned one over both thresholds each time.

    Args:
        held: This side's versions, oldest first.
        offered: What the crate brings, by version, oldest first.
        pin: Digest of the first version.
        lane: This side's lane.

    Raises:
        RootChainError: A version that is not signed by old and new holders, or a second root of a
            version that is held.
        RootsListError: A file is not named after its version.
        PinMismatchError, WrongLaneError, RootFileError: See `trust.roots`.

    """
    first = load_supply_root(held[0], pin, lane)
    known = [(held[0], first), *advance_supply_root(held[0], held[1:])]
    by_version = {root.version: data for data, root in known}
    data, root = known[-1]
    newer = []
    for version, candidate in offered.items():
        with naming(f"{ROOTS_FOLDER}/{root_name(version)}", len(candidate)):
            found = read_supply_root(candidate).version
            if str(found) != version:
                what = f"{root_name(version)} holds version {found} of the supply root."
                raise RootsListError(what, field="$.signed.version")
            if found < first.version:
                what = f"Version {found} is older than the pinned root."
                raise RootChainError(what)
            if found in by_version:
                advance_supply_root(by_version[found], [candidate])
            else:
                newer.append(candidate)
    fresh: list[tuple[bytes, Root]] = []
    for candidate in newer:
        name = root_name(read_supply_root(candidate).version)
        with naming(f"{ROOTS_FOLDER}/{name}", len(candidate)):
            fresh += advance_supply_root(data, [candidate])
        data, root = fresh[-1]
    return SupplyChain(data, root, tuple(fresh))


def authenticate(envelope: bytes, supply: Root, at: datetime) -> Manifest:
    """Return the manifest of a crate.json that its sealers signed.

    Raises:
        MalformedDocumentError, NotCanonicalError, TooLargeError, EnvelopeError: Not the one form
            that its content has.
        SignatureError, UnknownKeyError, KeyPurposeError, KeyExpiredError, ThresholdError: Not
            signed by who has to.
        SealerMismatchError: The named sealer did not sign.
        ManifestError: It could be another file with the same content and valid signatures.

    """
    with naming(CRATE_FILE, len(envelope)):
        opened = dsse.open_envelope(envelope, limit=MANIFEST_LIMIT)
        dsse.verify(opened, supply, Purpose.SEALER, at, CRATE_TYPE)
        _demand_one_envelope(envelope, opened, supply)
        with within_manifest(envelope):
            manifest = decode(Manifest, opened.payload, limit=MANIFEST_LIMIT, name=CRATE_FILE)
            sealer = manifest.sealer
            if sealer.keyid not in opened.signatures or supply.keys[sealer.keyid].person != sealer.person:
                what = f"crate.json names {sealer.person[:80]!r} as sealer, who did not sign it."
                raise SealerMismatchError(what, field="$.sealer")
    return manifest


def _demand_one_envelope(envelope: bytes, opened: dsse.Opened, supply: Root) -> None:
    """Demand that nobody without a key can make another valid envelope out of this one.

    Ledgers know a crate by the digest of its envelope. A courier who takes away a signature that is not
    needed, or turns one into its second form, would have both sides know one crossing by two digests.
    """
    need = supply.threshold(Purpose.SEALER)
    if len(opened.signatures) != need:
        start, length = span_of(envelope, "$.signatures")
        what = (
            f"crate.json has {len(opened.signatures)} signatures; exactly the {need} that are needed may be."
        )
        raise ManifestError(what, file=CRATE_FILE, offset=start, length=length)
    for number, (keyid, signature) in enumerate(opened.signatures.items()):
        if one_form(supply.keys[keyid].key, signature) != signature:
            start, length = span_of(envelope, f"$.signatures[{number}].sig")
            what = "A signature of crate.json is in the second form that ECDSA has, which is not taken."
            raise ManifestError(what, file=CRATE_FILE, offset=start, length=length, keyid=keyid)


def demand_form(manifest: Manifest, lane: str, folder: str) -> None:
    """Demand what this version reads, for this lane, consistent in itself.

    Raises:
        WrongLaneError: Sealed for another lane.
        ManifestError: It contradicts itself or asks for what this version does not read.

    """
    with naming(CRATE_FILE):
        if manifest.lane != lane:
            what = f"The crate was sealed for lane {manifest.lane[:80]!r}, this side is on {lane!r}."
            raise WrongLaneError(what, field="$.lane")
    demand_consistent(manifest, folder)


def demand_files(manifest: Manifest, roots: Mapping[str, bytes], names: frozenset[str]) -> None:
    """Demand that the folder holds nothing that crate.json does not list.

    Raises:
        CrateGrammarError: A volume that is not listed.
        RootsListError: roots/ holds other files than crate.json lists.

    """
    known = {CRATE_FILE, SHARDS_FILE, ROOTS_FOLDER, *(volume.name for volume in manifest.volumes)}
    known |= {volume.name for volume in manifest.parity.volumes} if manifest.parity else set()
    if foreign := sorted(names - known):
        what = f"{foreign[0]} is not among the volumes that crate.json lists."
        raise CrateGrammarError(what, file=foreign[0], offset=0)
    found = {version: sha256(data) for version, data in roots.items()}
    for version in sorted(found.keys() | manifest.roots.keys()):
        if found.get(version) != manifest.roots.get(version):
            file = f"{ROOTS_FOLDER}/{root_name(version)}"
            what = f"{file} is not the file that crate.json lists."
            raise RootsListError(what, file=file, offset=0, length=len(roots.get(version, b"")))


def demand_cleartext(policy: Policy) -> None:
    """Demand that a policy takes crates that are signed and not sealed.

    Raises:
        CleartextRefusedError: It does not.

    """
    if not policy.takes_cleartext:
        what = "The crate is not sealed, and the site's policy demands that it is."
        raise CleartextRefusedError(what, field="$.cleartext")


def choose_key(
    manifest: Manifest, site: Root, keys: Sequence[RecipientKey], at: datetime
) -> RecipientKey | None:
    """Return this side's key that the crate is sealed to; every recipient must be a published one.

    Returns:
        The key, or None for a crate in cleartext where the site's policy takes one.

    Raises:
        CleartextRefusedError: The crate is not sealed, and the policy demands that it is.
        RecipientNotListedError: A recipient that the site root does not publish.
        NotARecipientError: None of our keys is among them.

    """
    with naming(CRATE_FILE):
        if manifest.open_to_all:
            demand_cleartext(site.policy or Policy())
            return None
        for number, entry in enumerate(manifest.recipients):
            listed = site.recipients.get(entry.recipient)
            if listed is None or listed.suite != entry.suite or at >= listed.expires:
                what = (
                    f"The crate is sealed to {entry.recipient[:16]}…, which the site root does not publish."
                )
                field = f"$.recipients[{number}]"
                raise RecipientNotListedError(what, recipient=entry.recipient, field=field)
        ours = {entry.recipient for entry in manifest.recipients}
        for key in keys:
            if key.recipient_id in ours:
                return key
        what = "The crate is not sealed to any key of this side."
        raise NotARecipientError(what, field="$.recipients")


def demand_time(manifest: Manifest, policy: Policy, floor: datetime | None, at: datetime) -> None:
    """Judge a crate that is about to be recorded by this side's clock.

    Raises:
        ClockHeldError: The clock is behind what was proved.
        FutureCrateError: The crate is dated in the future.
        CrateExpiredError: Past its expiry.

    """
    skew = timedelta(seconds=policy.skew_seconds)
    with naming(CRATE_FILE):
        if floor is not None and at + skew < floor:
            what = f"The clock says {at:%Y-%m-%d %H:%M} UTC; {floor:%Y-%m-%d %H:%M} was proved before."
            raise ClockHeldError(what)
        if manifest.created > at + skew:
            what = f"The crate is dated {manifest.created:%Y-%m-%d %H:%M} UTC."
            raise FutureCrateError(what, field="$.created")
        if at >= manifest.expires:
            what = f"Crossing {manifest.sequence} expired on {manifest.expires:%Y-%m-%d %H:%M} UTC."
            raise CrateExpiredError(what, field="$.expires")


_HELD = frozenset({CrossingState.QUARANTINED, CrossingState.INSPECTED, CrossingState.PUBLISHED})


def demand_bases(manifest: Manifest, ledger: Mapping[int, LedgerEntry]) -> None:
    """Demand that this side holds every crossing that the crate builds on, and rejected none of them.

    Raises:
        BaseMissingError: One did not arrive, was not opened, was rejected, or is another crate.

    """
    with naming(CRATE_FILE):
        for number, digest in sorted(manifest.needs.items()):
            entry = ledger.get(number)
            if entry is not None and entry.crate_sha256 == digest and entry.state in _HELD:
                continue
            if entry is None:
                why = "did not arrive"
            elif entry.crate_sha256 != digest:
                why = "is on record with another digest"
            else:
                why = f"is {entry.state}"
            what = f"Crossing {manifest.sequence} builds on crossing {number}, which {why}."
            raise BaseMissingError(what, crossing=number, crate=digest, field=f"$.bases.{number}")


def demand_window(recorded: datetime, policy: Policy, at: datetime, sequence: int) -> None:
    """Demand that volumes follow their crate.json within the policy's window.

    Raises:
        ReceiveWindowError: They did not.

    """
    window = timedelta(seconds=policy.receive_seconds)
    with naming(CRATE_FILE):
        if at > recorded + window:
            what = f"Crossing {sequence} was recorded on {recorded:%Y-%m-%d}; its volumes came too late."
            raise ReceiveWindowError(what)


def next_entries(
    ledger: Mapping[int, LedgerEntry], manifest: Manifest, crate_sha256: str
) -> tuple[LedgerEntry, ...]:
    """Return what recording the crate adds to the ledger; see `core.sequence.judge`.

    Raises:
        ReplayedCrateError, EquivocationError, SequenceGapError, BrokenChainError: By the ledger.
        OvertakenError: A later crossing was opened already.

    """
    void = {int(number): digest for number, digest in manifest.void.items()}
    with naming(CRATE_FILE):
        entries = judge(ledger, manifest.sequence, crate_sha256, manifest.previous_sha256, void)
        unopened = {CrossingState.RECORDED, CrossingState.VOID}
        own = ledger.get(manifest.sequence)
        later = [n for n, e in ledger.items() if n > manifest.sequence and e.state not in unopened]
        if own is not None and own.state is CrossingState.RECORDED and later:
            what = f"Crossing {max(later)} was opened already, and {manifest.sequence} is older."
            raise OvertakenError(what, field="$.sequence")
    return entries
