"""What is on record and what the policy says of it: read, checked against signatures, judged."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from lockgate.admit.derived import Derivations
from lockgate.admit.errors import (
    DeniedError,
    NoSuchCrossingError,
    SignerDistrustedError,
    VerdictsAlteredError,
    WrongStateError,
)
from lockgate.admit.facts import known_of
from lockgate.admit.model import (
    CHANNELS,
    CROSSINGS,
    ChannelPointer,
    Crossing,
    Recheck,
    Verdicts,
    crossing_key,
)
from lockgate.admit.parts import ReadingParts
from lockgate.admit.snapshots import merged
from lockgate.admit.strictures import Strictures
from lockgate.approve import verify_channel
from lockgate.core.advised import Advised
from lockgate.core.artifact import Artifact, Lock
from lockgate.core.closure import dependents
from lockgate.core.errors import LockgateError
from lockgate.core.parts import beside, open_snapshot, other_parts, part_digests, snapshot_digest
from lockgate.core.policy import Held
from lockgate.core.roots import Purpose, Root
from lockgate.core.ruling import asks_advisories, rule_on
from lockgate.core.snapshot import Admitted, Snapshot
from lockgate.core.soak import CANDIDATE, STABLE
from lockgate.core.station import Scans, judge_stations
from lockgate.core.submission import INTERNAL, ORIGIN, Submission, is_submission, name_key
from lockgate.core.verdict import Outcome, Verdict, stricter, worst
from lockgate.core.wire import decode, encode
from lockgate.trust.attest import INSPECTION, REINSPECTION, InTotoStatement, check
from lockgate.trust.dsse import open_envelope


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the policy says of a crossing: what may enter, what is held and why."""

    admitted: tuple[Artifact, ...]
    held: tuple[Held, ...]
    verdicts: Verdicts
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    waived: tuple[str, ...] = ()
    """The waivers that what may enter needs, as sentences."""

    def fresh(self, crossing: Crossing) -> tuple[Admitted, ...]:
        """Return what may enter as a snapshot lists it."""
        return tuple(
            Admitted(
                artifact=artifact,
                crossing=crossing.sequence,
                crate_sha256=crossing.crate_sha256,
                verdicts_sha256=crossing.verdicts_sha256,
                outcome=self.outcomes[artifact.purl],
            )
            for artifact in self.admitted
        )


class Assessor:
    """Reads crossings and channels and judges them; it changes nothing."""

    def __init__(self, parts: ReadingParts) -> None:
        """Use the gate's parts."""
        self._p = parts
        self._derivations = Derivations(parts)

    def crossings(self) -> list[Crossing]:
        """Return all crossings, oldest first."""
        with self._p.records.transaction() as tx:
            return [decode(Crossing, value) for _, value in tx.scan(CROSSINGS)]

    def crossing(self, sequence: int) -> Crossing:
        """Return one crossing.

        Raises:
            NoSuchCrossingError: Not known.

        """
        with self._p.records.transaction() as tx:
            value = tx.get(CROSSINGS, crossing_key(sequence))
        if value is None:
            what = f"There is no crossing {sequence}."
            raise NoSuchCrossingError(what)
        return decode(Crossing, value)

    def pointer(self, channel: str) -> ChannelPointer | None:
        """Return where a channel points, or None before the first publication."""
        with self._p.records.transaction() as tx:
            value = tx.get(CHANNELS, channel)
        return None if value is None else decode(ChannelPointer, value)

    def served(self, channel: str) -> Snapshot | None:
        """Return the snapshot that a channel points to, or None."""
        pointer = self.pointer(channel)
        if pointer is None:
            return None
        return open_snapshot(pointer.snapshot_sha256, self._p.blobs)

    def base(self, channel: str) -> tuple[Admitted, ...]:
        """Return what a publication on a channel adds to.

        On ``candidate`` that is also what ``stable`` serves, so that nothing of it is lost when the
        snapshot is promoted.
        """
        served = self.served(channel)
        stable = self.served(STABLE) if channel == CANDIDATE else None
        if stable is None or (served and snapshot_digest(stable) == snapshot_digest(served)):
            return served.admitted if served else ()
        return merged(stable, served) if served else stable.admitted

    def believed(self, channel: str, form: str) -> frozenset[str]:
        """Return the parts of what a publication adds to whose pages need not be made anew.

        Enough approvers signed them, by the site root alone and whatever rows say, and the gate signed that
        it made their pages in this form. Where one of both cannot be seen, no part is among them.

        Args:
            channel: Where something is published.
            form: How pages are written now, as `PageMaker.form` tells.

        """
        found: frozenset[str] = frozenset()
        for name in {channel, STABLE} if channel == CANDIDATE else {channel}:
            pointer = self.pointer(name)
            if pointer is not None:
                found |= self._signed_parts(pointer, form)
        return found

    def _signed_parts(self, pointer: ChannelPointer, form: str) -> frozenset[str]:
        try:
            envelope = self._p.blobs.read(pointer.statement_sha256)
            standing = verify_channel(envelope, self._p.site, self._p.blobs)
        except LockgateError:  # everything is made anew then, which costs time and nothing else
            return frozenset()
        signed = standing.signed_snapshot
        if self._derivations.form(snapshot_digest(signed)) != form:
            return frozenset()
        # A page may be in another part than what it follows from: those parts are signed together, or not.
        served = open_snapshot(pointer.snapshot_sha256, self._p.blobs)
        together = other_parts(signed) == other_parts(served)
        return part_digests(signed) if together else part_digests(signed) - other_parts(signed)

    def lock(self, crossing: Crossing) -> Lock:
        """Return the lock of a crossing, hashed again."""
        return decode(Lock, self._p.quarantine.read(crossing.lock_sha256), name="lock")

    def assess(self, crossing: Crossing, *, entering: bool = True) -> Assessment:
        """Apply the policy to a crossing's verdicts, after checking who signed them.

        Args:
            crossing: The crossing.
            entering: Whether it is about to enter. What entered before is not held for advisories:
                old data would else keep out the crossing that brings newer data or the fixed version.
                Nor does an expired waiver take away what it let in.
                Nor is it held for a station's report: those expire.

        Raises:
            WrongStateError: Not inspected yet.
            VerdictsAlteredError: The verdicts are not those that the inspector signed.
            LockgateError: Admission rules are in force and cannot be read.

        """
        verdicts = self.verdicts(crossing)
        by_path = {v.path: v for v in verdicts.verdicts}
        admitted: list[Artifact] = []
        held: list[Held] = []
        outcomes: dict[str, Outcome] = {}
        waived: set[str] = set()
        artifacts = self.lock(crossing).artifacts
        rules, scans = self._p.admission_rules, self.scans(crossing, artifacts)
        now = self._p.clock() if entering else None
        replays = known_of(self._p, crossing).replays if entering else {}
        stricter_by = Strictures.of(self._p.records, crossing, artifacts)
        effective = [
            _effective(artifact, by_path, self._newer(crossing, artifact, stricter_by.newer[artifact.purl]))
            for artifact in artifacts
        ]
        held_by = contents_of(artifacts, (verdict for mine in effective for verdict in mine))
        said = self._advised(artifacts, held_by, entering=entering)
        names = self._names(artifacts) if entering else {}
        for artifact, mine, advised in zip(artifacts, effective, said, strict=True):
            ruling = rule_on(self._p.policy, rules, artifact, mine, advised=advised, now=now, replays=replays)
            reasons = [*ruling.held, *_denied(artifact, stricter_by.denied)]
            reasons += judge_stations(self._p.policy, artifact, mine, scans, now) if now else ()
            reasons += judge_name(crossing.sequence, artifact, names) if entering else ()
            outcomes[artifact.purl] = worst(v.outcome for v in mine)
            held.extend(reasons)
            if not reasons:
                admitted.append(artifact)
                waived.update(ruling.waived)
        if entering and held:
            needs = {a.purl: _needs(by_path[file.path] for file in a.files) for a in artifacts}
            served = [each.artifact for each in self.base(STABLE)]
            held += dependents(artifacts, needs, {each.purl for each in held}, served)
            stopped = {each.purl for each in held}
            admitted = [artifact for artifact in admitted if artifact.purl not in stopped]
        return Assessment(tuple(admitted), tuple(held), verdicts, outcomes, tuple(sorted(waived)))

    def verdicts(self, crossing: Crossing) -> Verdicts:
        """Return a crossing's verdicts after checking the inspector's signature over them.

        Raises:
            WrongStateError: Not inspected yet.
            VerdictsAlteredError: Not what the inspector signed.

        """
        if not crossing.verdicts_sha256:
            what = f"Crossing {crossing.sequence} is not inspected yet."
            raise WrongStateError(what, advice="Run `lockgate gate inspect` first.")
        verdicts = decode(Verdicts, self._p.quarantine.read(crossing.verdicts_sha256), name="verdicts")
        envelope = self._p.quarantine.read(crossing.attestation_sha256)
        signed = check(envelope, self._p.site, Purpose.INSPECTOR, INSPECTION, verdicts.inspected)
        same = encode(signed.predicate) == encode(verdicts)
        if not same or verdicts.crate_sha256 != crossing.crate_sha256:
            what = f"The verdicts of crossing {crossing.sequence} are not those that were signed."
            raise VerdictsAlteredError(what)
        demand_complete(self.lock(crossing), verdicts)
        return verdicts

    def effective(
        self, crossing: Crossing, artifact: Artifact, first: Mapping[str, Verdict]
    ) -> list[Verdict]:
        """Return what counts of an artifact's files: the first verdicts, made stricter by newer ones.

        Raises:
            VerdictsAlteredError: The newer ones are not what the inspector signed.

        """
        return _effective(artifact, first, self.rechecked(crossing, artifact))

    def counting(self, crossing: Crossing) -> tuple[Verdict, ...]:
        """Return what counts of every file of a crossing, in the order of its lock: see `effective`."""
        first = {verdict.path: verdict for verdict in self.verdicts(crossing).verdicts}
        artifacts = self.lock(crossing).artifacts
        newer = Strictures.of(self._p.records, crossing, artifacts).newer
        return tuple(
            verdict
            for artifact in artifacts
            for verdict in _effective(artifact, first, self._newer(crossing, artifact, newer[artifact.purl]))
        )

    def rechecked(self, crossing: Crossing, artifact: Artifact) -> Recheck | None:
        """Return an artifact's newest verdicts after checking who signed them; None: only the first.

        Raises:
            VerdictsAlteredError: They are not what the inspector signed of these very bytes.

        """
        on_record = Strictures.of(self._p.records, crossing, (artifact,))
        return self._newer(crossing, artifact, on_record.newer[artifact.purl])

    def _newer(self, crossing: Crossing, artifact: Artifact, value: bytes | None) -> Recheck | None:
        """Return the newest verdicts that a record names, after checking them."""
        if value is None:
            return None
        envelope = self._p.quarantine.read(value.decode("ascii", "replace"))
        signed = read_recheck(envelope, self._p.site)
        said = [(v.path, v.sha256, v.size) for v in signed.verdicts]
        about = (signed.crossing, signed.crate_sha256, signed.purl)
        if about != (crossing.sequence, crossing.crate_sha256, artifact.purl) or said != [
            (f.path, f.sha256, f.size) for f in artifact.files
        ]:
            what = f"The newer verdicts on {artifact.purl} are about something else."
            raise VerdictsAlteredError(what, advice="Inspect it again: `lockgate gate reinspect`.")
        return signed

    def demand_believed(self, crossing: Crossing) -> None:
        """Demand that whoever signed a crossing is still believed; what entered before stays.

        Raises:
            SignerDistrustedError: A key that signed it was revoked or dropped since.

        """
        if bad := sorted(self._p.distrusted(crossing.sequence)):
            what = (
                f"Crossing {crossing.sequence} was signed by the key {bad[0][:16]}…, which no longer counts."
            )
            raise SignerDistrustedError(what, keyid=bad[0])

    def scans(self, crossing: Crossing, artifacts: Sequence[Artifact]) -> Scans:
        """Return what scanners at transfer stations said of a crossing, as far as it is on record."""
        stations = self._p.stations
        return Scans.of(stations.reports(crossing, artifacts) if stations else ())

    def _advised(
        self, artifacts: Sequence[Artifact], contents: Mapping[str, Sequence[str]], *, entering: bool
    ) -> Sequence[Advised]:
        """Return what advisories say; nobody is asked where the policy has no rule for it."""
        rules = self._p.admission_rules
        if not (entering and (self._p.policy.asks_advisories or asks_advisories(rules))):
            return [Advised(applies=False)] * len(artifacts)
        if self._p.advisories is None:
            return [Advised(unasked="This gate reads no advisories.")] * len(artifacts)
        return self._p.advisories.advised(artifacts, contents)

    def _names(self, artifacts: Collection[Artifact]) -> dict[str, Admitted]:
        """Return what is served, or soaks, by the name that nothing of the other origin may have."""
        wanted = {name_key(artifact) for artifact in artifacts}
        known = beside(self.base(CANDIDATE), artifacts)
        return {name: each for each in known if (name := name_key(each.artifact)) in wanted}

    def submission(self, crossing: Crossing) -> Submission:
        """Return what is known of a submission: its digest stands where a crossing has its crate's.

        Raises:
            VerdictsAlteredError: It speaks of another number or other artifacts.

        """
        said = decode(Submission, self._p.quarantine.read(crossing.crate_sha256), name="submission")
        if (said.number, said.lock_sha256) != (crossing.sequence, crossing.lock_sha256):
            what = f"What is on record as submission {crossing.sequence} is not what was submitted."
            raise VerdictsAlteredError(what)
        return said


def _effective(artifact: Artifact, first: Mapping[str, Verdict], newer: Recheck | None) -> list[Verdict]:
    by_path = {v.path: v for v in newer.verdicts} if newer else {}
    return [
        stricter(first[file.path], by_path[file.path]) if file.path in by_path else first[file.path]
        for file in artifact.files
    ]


def _denied(artifact: Artifact, denied: Collection[str]) -> list[Held]:
    return [
        Held(purl=artifact.purl, path=file.path, reason="Rejected before.", resolve=DeniedError.advice)
        for file in artifact.files
        if file.sha256 in denied
    ]


def judge_name(number: int, artifact: Artifact, names: Mapping[str, Admitted]) -> list[Held]:
    """Hold what has the name of something of the other origin, and what only says that it is from inside."""
    inside = is_submission(number)
    if not inside and artifact.attributes.get(ORIGIN) == INTERNAL:
        reason = "It crossed, and says that it was made inside."
        return [Held(purl=artifact.purl, path="", reason=reason, resolve="Ask the collector how that came.")]
    other = names.get(name_key(artifact))
    if other is None or is_submission(other.crossing) == inside:
        return []
    origin = "crossed" if inside else "was made inside"
    reason = f"{other.artifact.purl} has this name and {origin}: clients could not tell them apart."
    resolve = "Give what was made inside another name, or withdraw it."
    return [Held(purl=artifact.purl, path="", reason=reason, resolve=resolve)]


def read_recheck(envelope: bytes, site: Root) -> Recheck:
    """Return newer verdicts after checking that an inspector of the site signed them when they were made.

    Raises:
        VerdictsAlteredError: They are no such document.
        SignatureError, UnknownKeyError, KeyPurposeError, KeyExpiredError: Not signed by an inspector.

    """
    claimed = decode(InTotoStatement, open_envelope(envelope).payload, name="attestation")
    try:
        made = msgspec.convert(claimed.predicate, Recheck)
    except msgspec.ValidationError as error:
        what = f"The newer verdicts are malformed: {error}."
        raise VerdictsAlteredError(what, advice="Inspect it again: `lockgate gate reinspect`.") from error
    check(envelope, site, Purpose.INSPECTOR, REINSPECTION, made.inspected)
    return made


def contents_of(artifacts: Iterable[Artifact], verdicts: Iterable[Verdict]) -> dict[str, tuple[str, ...]]:
    """Return the package URLs of what each artifact holds, as its verdicts say: of images, their packages."""
    held = {verdict.path: verdict.contents for verdict in verdicts if verdict.contents}
    found = {a.purl: {purl for file in a.files for purl in held.get(file.path, ())} for a in artifacts}
    return {purl: tuple(sorted(packages)) for purl, packages in found.items() if packages}


def _needs(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    return tuple(need for verdict in verdicts for need in verdict.requires or ())


def demand_complete(lock: Lock, verdicts: Verdicts) -> None:
    """Refuse verdicts that miss a file of the lock or speak of other bytes."""
    said: dict[str, Verdict] = {v.path: v for v in verdicts.verdicts}
    for file in (f for a in lock.artifacts for f in a.files):
        verdict = said.get(file.path)
        if verdict is None or (verdict.sha256, verdict.size) != (file.sha256, file.size):
            what = f"There is no verdict over {file.path}."
            raise VerdictsAlteredError(what, file=file.path)
