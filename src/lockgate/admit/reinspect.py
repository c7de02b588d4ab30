"""Looking again at what was admitted, when rules, inspectors or databases are newer than its verdicts.

New verdicts are signed artifact by artifact and kept beside the first ones; the stricter of both counts
from then on, at publication, at rollback and when a model is loaded. A better one lifts nothing by itself.
Whatever stops a run, the next one goes on where it was: it looks at what is signed, not at what it remembers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lockgate.admit.assess import Assessor
from lockgate.admit.emergency import Emergencies
from lockgate.admit.errors import VerdictsAlteredError
from lockgate.admit.model import CHANNELS, HISTORY, RECHECKS, ChannelPointer, Crossing, Recheck, recheck_key
from lockgate.admit.parts import GateParts
from lockgate.admit.ports import FileInspector, ToInspect
from lockgate.admit.refusals import RefusalKeeper
from lockgate.core.artifact import Artifact
from lockgate.core.emergency import EmergencyBoundError
from lockgate.core.parts import open_snapshot
from lockgate.core.ports import Progress, Silent
from lockgate.core.sequence import CrossingState
from lockgate.core.snapshot import Admitted
from lockgate.core.statement import Operation
from lockgate.core.verdict import Finding, Severity, Verdict, same_meaning, stricter
from lockgate.core.wire import decode, whole_second
from lockgate.trust.attest import REINSPECTION, attest

if TYPE_CHECKING:
    from lockgate.core.emergency import Standing

BATCH_FILES = 64
"""Most files that one call of the inspector looks at: what a kill may cost."""

BATCH_BYTES = 1 << 30
"""Most bytes of one such call, where it is more than one file."""

_RANK = list(Severity)


@dataclass(frozen=True, slots=True)
class Old:
    """An admitted artifact whose newest verdicts rest on something else than verdicts made now would."""

    crossing: Crossing
    artifact: Artifact
    first: tuple[Verdict, ...]
    counts: tuple[Verdict, ...]
    """What counts of its files before it is looked at again."""

    served: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """An artifact of which newer verdicts say something else, and whether the policy holds it for that."""

    crossing: int
    purl: str
    before: str
    after: str
    codes: tuple[str, ...]
    held: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken from one channel, and what is beyond what the gate may take by itself."""

    channel: str
    withdrawn: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Looked:
    """How far a run came. `taken` speaks of every channel that serves something held."""

    total: int
    done: int = 0
    changed: tuple[Changed, ...] = ()
    taken: tuple[Taken, ...] = field(default=())


class Reinspector:
    """Looks again, signs, and takes away what the policy lets it."""

    def __init__(self, parts: GateParts, assessor: Assessor, emergencies: Emergencies) -> None:
        """Use the gate's parts, its reading of the records, and what takes away."""
        self._p = parts
        self._assessor = assessor
        self._emergencies = emergencies
        self._refusals = RefusalKeeper(parts)

    def old(self, basis: dict[str, str]) -> list[Old]:
        """Return what has to be looked at again, what is served first.

        Args:
            basis: What verdicts would rest on now.

        """
        served, ever = self._admitted()
        found = [
            each
            for crossing in self._assessor.crossings()
            if crossing.state is CrossingState.PUBLISHED
            for each in self._of(crossing, ever, served)
            if any(verdict.rests_on != basis for verdict in self._newest(each))
        ]
        return sorted(found, key=lambda each: (not each.served, each.crossing.sequence, each.artifact.purl))

    def _of(
        self, crossing: Crossing, ever: set[tuple[int, str]], served: set[tuple[int, str]]
    ) -> Iterator[Old]:
        by_path = {v.path: v for v in self._assessor.verdicts(crossing).verdicts}
        for artifact in self._assessor.lock(crossing).artifacts:
            key = (crossing.sequence, artifact.purl)
            if key in ever:
                first = tuple(by_path[file.path] for file in artifact.files)
                counts = tuple(self._assessor.effective(crossing, artifact, by_path))
                yield Old(crossing, artifact, first, counts, key in served)

    def _newest(self, each: Old) -> Sequence[Verdict]:
        newer = self._assessor.rechecked(each.crossing, each.artifact)
        return newer.verdicts if newer else each.first

    def _admitted(self) -> tuple[set[tuple[int, str]], set[tuple[int, str]]]:
        """Return what is served on any channel, and what ever was: a rollback may bring it back."""
        with self._p.records.transaction() as tx:
            now = {decode(ChannelPointer, value).snapshot_sha256 for _, value in tx.scan(CHANNELS)}
            then = {decode(ChannelPointer, value).snapshot_sha256 for _, value in tx.scan(HISTORY)}
        read = {digest: open_snapshot(digest, self._p.blobs) for digest in now | then}

        def names(digests: set[str]) -> set[tuple[int, str]]:
            return {(a.crossing, a.artifact.purl) for d in digests for a in read[d].admitted}

        return names(now), names(now | then)

    def run(
        self,
        inspector: FileInspector,
        *,
        pause: Callable[[int], None] = lambda _: None,
        told: Callable[[Looked], object] = lambda _: None,
        progress: Progress | None = None,
    ) -> Looked:
        """Look again at everything that is old, and take away what the policy says.

        Args:
            inspector: Inspects files, each in its sandbox.
            pause: Called with the bytes of each batch that was looked at, to keep a rate.
            told: Told after each batch how far it came, for whoever watches from outside.
            progress: Told of the bytes.

        """
        shown = progress or Silent()
        todo = self.old(inspector.basis())
        looked = Looked(total=len(todo), taken=self._act())  # what a kill left between signing and acting
        shown.start("reinspect", sum(each.artifact.size for each in todo))
        due, size = 0, 1
        for batch in _batches(todo):
            changed = self._look(batch, inspector)
            looked = replace(looked, done=looked.done + len(batch), changed=(*looked.changed, *changed))
            due += sum(each.held for each in changed)
            # The first change is acted on at once, more of them in ever larger groups: a channel takes a
            # bounded number of emergencies on end.
            if due >= size:
                looked, due, size = replace(looked, taken=self._act()), 0, size * 2
            told(looked)
            weight = sum(each.artifact.size for each in batch)
            shown.advance(weight)
            pause(weight)
        if due:
            looked = replace(looked, taken=self._act())
        shown.finish()
        return looked

    def _look(self, batch: Sequence[Old], inspector: FileInspector) -> list[Changed]:
        items = [
            ToInspect(each.artifact, file, self._p.blobs.path(file.sha256))
            for each in batch
            for file in each.artifact.files
        ]
        verdicts = iter(inspector.inspect(items))
        return [
            changed
            for each in batch
            if (changed := self._keep(each, tuple(next(verdicts) for _ in each.artifact.files)))
        ]

    def _keep(self, each: Old, made: tuple[Verdict, ...]) -> Changed | None:
        """Sign an artifact's new verdicts and put them on record; return what changed by them."""
        said = [(v.path, v.sha256, v.size) for v in made]
        if said != [(f.path, f.sha256, f.size) for f in each.artifact.files]:
            what = f"The inspector answered about something else than {each.artifact.purl}."
            raise VerdictsAlteredError(what, advice="Look again: `lockgate gate reinspect`.")
        sequence, purl = each.crossing.sequence, each.artifact.purl
        # What an earlier look found stays found, also where newer rules do not find it any more.
        counts = tuple(stricter(old, new) for old, new in zip(each.counts, made, strict=True))
        recheck = Recheck(
            crossing=sequence,
            crate_sha256=each.crossing.crate_sha256,
            purl=purl,
            inspected=whole_second(self._p.clock()),
            verdicts=counts,
        )
        differs = [
            (old, new) for old, new in zip(each.counts, counts, strict=True) if not same_meaning(old, new)
        ]
        envelope = attest({v.path: v.sha256 for v in made}, REINSPECTION, recheck, self._p.inspector)
        digest = self._p.quarantine.put_bytes(envelope)
        intent = None
        if differs:
            intent = self._p.audit.intent("verdict-changed", crossing=sequence, purl=purl, verdicts=digest)
        with self._p.records.transaction() as tx:
            tx.put(RECHECKS, recheck_key(sequence, purl), digest.encode())
        if intent is None:
            return None
        held = purl in self._held(each.crossing)
        old, new = max(differs, key=lambda pair: _worst(pair[1].findings))
        codes = {f.code for _, v in differs for f in v.findings if f.severity is not Severity.INFO}
        self._p.audit.outcome(intent, "done", outcome=new.outcome, held=held, codes=sorted(codes)[:16])
        return Changed(sequence, purl, old.outcome, new.outcome, tuple(sorted(codes)[:16]), held)

    def _held(self, crossing: Crossing) -> dict[str, str]:
        """Return what of a crossing the policy holds for what newer verdicts add to the first, and why."""
        by_path = {v.path: v for v in self._assessor.verdicts(crossing).verdicts}
        held = {h.purl: h.reason for h in reversed(self._assessor.assess(crossing, entering=False).held)}
        return {
            artifact.purl: held[artifact.purl]
            for artifact in self._assessor.lock(crossing).artifacts
            if artifact.purl in held and self._differs(crossing, artifact, by_path)
        }

    def _differs(self, crossing: Crossing, artifact: Artifact, by_path: dict[str, Verdict]) -> list[str]:
        """Return the digests of an artifact's files on which newer verdicts say more than the first."""
        first = [by_path[file.path] for file in artifact.files]
        counts = self._assessor.effective(crossing, artifact, by_path)
        return [new.sha256 for old, new in zip(first, counts, strict=True) if not same_meaning(old, new)]

    def _act(self) -> tuple[Taken, ...]:
        """Take from every channel what newer verdicts hold, as far as the policy lets the gate."""
        reasons = {
            (crossing.sequence, purl): reason
            for crossing in self._assessor.crossings()
            if crossing.state is CrossingState.PUBLISHED and self._has_newer(crossing)
            for purl, reason in self._held(crossing).items()
        }
        self._refusals.keep(self._digests(reasons))
        if not reasons:
            return ()
        with self._p.records.transaction() as tx:
            names = [name for name, _ in tx.scan(CHANNELS)]
        return tuple(taken for name in names if (taken := self._take(name, reasons)))

    def _has_newer(self, crossing: Crossing) -> bool:
        with self._p.records.transaction() as tx:
            return any(
                tx.get(RECHECKS, recheck_key(crossing.sequence, a.purl)) for a in self._locked(crossing)
            )

    def _locked(self, crossing: Crossing) -> tuple[Artifact, ...]:
        return self._assessor.lock(crossing).artifacts

    def _digests(self, reasons: dict[tuple[int, str], str]) -> dict[str, str]:
        """Return the files that must not be loaded, and why: the bad ones, not what came with them."""
        found: dict[str, str] = {}
        for sequence, purl in reasons:
            crossing = self._assessor.crossing(sequence)
            by_path = {v.path: v for v in self._assessor.verdicts(crossing).verdicts}
            artifact = next(a for a in self._locked(crossing) if a.purl == purl)
            bad = self._differs(crossing, artifact, by_path)
            found |= dict.fromkeys(bad, reasons[sequence, purl][:300])
        return found

    def _take(self, channel: str, reasons: dict[tuple[int, str], str]) -> Taken | None:
        standing = self._emergencies.standing(channel)
        bad = [a for a in standing.snapshot.admitted if (a.crossing, a.artifact.purl) in reasons]
        if not bad:
            return None
        bad.sort(key=lambda a: (-self._weight(a), a.artifact.purl))
        rule = self._p.policy.automatic_rule
        if rule is None:
            return Taken(channel, beyond=_names(bad))
        most = max(0, rule.withdraw_limit - standing.withdrawn)
        more = most + max(0, rule.hold_limit - standing.stopped)
        withdraw, hold, beyond = bad[:most], bad[most:more], bad[more:]
        try:
            self._away(Operation.AUTOMATIC_WITHDRAW, channel, withdraw)
            self._away(Operation.AUTOMATIC_HOLD, channel, hold)
        except EmergencyBoundError:
            present = {a.artifact.purl for a in self._after(channel).snapshot.admitted}
            gone = tuple(name for name in _names(bad) if name not in present)
            left = tuple(name for name in _names(bad) if name in present)
            return Taken(channel, withdrawn=gone, beyond=left)
        return Taken(channel, _names(withdraw), _names(hold), _names(beyond))

    def _after(self, channel: str) -> "Standing":
        return self._emergencies.standing(channel)

    def _away(self, operation: Operation, channel: str, which: Sequence[Admitted]) -> None:
        if not which:
            return
        with self._p.records.transaction() as tx:
            keys = [recheck_key(a.crossing, a.artifact.purl) for a in which]
            digests = {value.decode() for key in keys if (value := tx.get(RECHECKS, key))}
        reason = f"Newer verdicts on {len(which)} artifacts say more than those that were approved."
        self._emergencies.take_away(operation, channel, _names(which), reason, digests)

    def _weight(self, admitted: Admitted) -> int:
        newer = self._assessor.rechecked(self._assessor.crossing(admitted.crossing), admitted.artifact)
        return max((_worst(v.findings) for v in newer.verdicts), default=-1) if newer else -1


def _names(which: Sequence[Admitted]) -> tuple[str, ...]:
    return tuple(a.artifact.purl for a in which)


def _worst(findings: Sequence[Finding]) -> int:
    return max((_RANK.index(found.severity) for found in findings), default=-1)


def _batches(todo: Sequence[Old]) -> Iterator[list[Old]]:
    batch: list[Old] = []
    files = size = 0
    for each in todo:
        count = len(each.artifact.files)
        if batch and (files + count > BATCH_FILES or size + each.artifact.size > BATCH_BYTES):
            yield batch
            batch, files, size = [], 0, 0
        batch.append(each)
        files, size = files + count, size + each.artifact.size
    if batch:
        yield batch
