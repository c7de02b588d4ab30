"""One artifact of a crossing, with all that is known of it: what an approver looks at before signing."""

from dataclasses import dataclass

from lockgate.admit import Crossing
from lockgate.admit.assess import Assessor, contents_of
from lockgate.admit.difference import Differ, previous_of
from lockgate.admit.facts import known_of
from lockgate.admit.today import held_today
from lockgate.advisories import Matched
from lockgate.app.advice.advisories import known_against, place
from lockgate.app.gate.gate import reading_parts
from lockgate.app.settings import Side
from lockgate.core.artifact import LOCK_FORMAT, Artifact, Lock
from lockgate.core.custody import CustodyReport
from lockgate.core.difference import Change, Difference
from lockgate.core.errors import LockgateError
from lockgate.core.golden import Replay
from lockgate.core.policy import Held
from lockgate.core.soak import STABLE
from lockgate.core.verdict import Verdict
from lockgate.core.weights import WeightsFacts


@dataclass(frozen=True, slots=True)
class ArtifactFacts:
    """What is known of one artifact of a crossing.

    Attributes:
        crossing: The crossing's number, and its state.
        state: Where the crossing is.
        artifact: The artifact, as the collector's signed lock lists it.
        verdicts: Over its files; none before inspection.
        held: Why it stays in quarantine; nothing: it may enter.
        before: The package URL of the version that is served now; empty: none is.
        changes: What approving would change about it; None where that cannot be told.
        problem: Why it cannot.
        weights: Its weights against those of before.
        replays: Its golden prompts, replayed.
        advisories: What the loaded data says of it.
        advisories_problem: Why it says nothing.
        custody: How its package came.

    """

    crossing: int
    state: str
    artifact: Artifact
    verdicts: tuple[Verdict, ...]
    held: tuple[Held, ...]
    before: str
    changes: tuple[Change, ...] | None
    problem: str
    weights: tuple[WeightsFacts, ...]
    replays: tuple[Replay, ...]
    advisories: tuple[Matched, ...]
    advisories_problem: str
    custody: CustodyReport | None


class ArtifactReadings:
    """Reads crossings as approvers look at them: it holds no key and writes nothing."""

    def __init__(self, side: Side) -> None:
        """Read this side; nothing is read yet."""
        self._side = side

    def artifacts(self, crossing: Crossing) -> tuple[Artifact, ...]:
        """Return what a crossing brought, by its signed lock."""
        return self._assessor().lock(crossing).artifacts

    def verdicts(self, crossing: Crossing) -> tuple[Verdict, ...]:
        """Return what counts of every file of an inspected crossing."""
        return self._assessor().counting(crossing)

    def held(self, crossing: Crossing) -> tuple[tuple[Held, ...], str]:
        """Return what is held of a crossing now, and why nobody can tell; see `held_today`."""
        return held_today(self._assessor(), crossing)

    def difference(self, crossing: Crossing) -> Difference:
        """Return what approving a crossing for ``stable`` would change.

        Raises:
            LockgateError: It was not inspected, or nothing can be judged.

        """
        parts = reading_parts(self._side)
        return Differ(parts, Assessor(parts)).draw(crossing, STABLE)

    def facts(self, crossing: Crossing, purl: str) -> ArtifactFacts | None:
        """Return what is known of one artifact, or None where the crossing brought none of that name."""
        parts = reading_parts(self._side)
        assessor = Assessor(parts)
        lock = assessor.lock(crossing)
        artifact = next((each for each in lock.artifacts if each.purl == purl), None)
        if artifact is None:
            return None
        drawn, problem = self._drawn(crossing)
        known = known_of(parts, crossing)
        digests = [file.sha256 for file in artifact.files]
        served = previous_of(artifact, assessor.base(STABLE))
        verdicts = _verdicts(assessor, crossing, artifact)
        where, contents = place(self._side.home.root, None, None), contents_of((artifact,), verdicts)
        advised = known_against(where, _alone(lock, artifact), contents)
        return ArtifactFacts(
            crossing=crossing.sequence,
            state=crossing.state,
            artifact=artifact,
            verdicts=verdicts,
            held=tuple(each for each in self.held(crossing)[0] if each.purl == purl),
            before=served.artifact.purl if served else "",
            changes=drawn.of(purl) if drawn else None,
            problem=problem,
            weights=tuple(known.weights[d] for d in digests if d in known.weights),
            replays=tuple(known.replays[d] for d in digests if d in known.replays),
            advisories=tuple(advised.report.answers),
            advisories_problem=advised.why,
            custody=parts.custody.report(crossing) if parts.custody else None,
        )

    def _assessor(self) -> Assessor:
        return Assessor(reading_parts(self._side))

    def _drawn(self, crossing: Crossing) -> tuple[Difference | None, str]:
        try:
            return self.difference(crossing), ""
        except LockgateError as error:
            return None, f"{error.code}: {error.what}"


def _verdicts(assessor: Assessor, crossing: Crossing, artifact: Artifact) -> tuple[Verdict, ...]:
    """Return what counts of an artifact's files: what newer rules found counts beside the first verdicts."""
    if not crossing.verdicts_sha256:
        return ()
    first = {verdict.path: verdict for verdict in assessor.verdicts(crossing).verdicts}
    return tuple(assessor.effective(crossing, artifact, first))


def _alone(lock: Lock, artifact: Artifact) -> Lock:
    return Lock(
        format=LOCK_FORMAT,
        lane=lock.lane,
        created=lock.created,
        manifest_sha256=lock.manifest_sha256,
        artifacts=(artifact,),
    )
