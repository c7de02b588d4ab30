"""What publishing a crossing would change on a channel, drawn from signed verdicts and facts."""

from collections.abc import Iterable, Sequence
from functools import cache

from lockgate.admit.assess import Assessor
from lockgate.admit.facts import known_of
from lockgate.admit.model import Crossing, Verdicts
from lockgate.admit.parts import ReadingParts
from lockgate.core.artifact import Artifact
from lockgate.core.difference import Difference, Version, draw
from lockgate.core.errors import LockgateError
from lockgate.core.parts import namesakes
from lockgate.core.snapshot import Admitted
from lockgate.core.statement import NOTHING
from lockgate.core.verdict import Verdict
from lockgate.core.wire import decode


def previous_of(artifact: Artifact, served: Iterable[Admitted]) -> Admitted | None:
    """Return what is served of an artifact now: itself, or the version that came last."""
    near = namesakes(served, artifact)
    mine = [a for a in near if (a.artifact.kind, a.artifact.name) == (artifact.kind, artifact.name)]
    return max(
        mine, key=lambda a: (a.artifact.purl == artifact.purl, a.crossing, a.artifact.purl), default=None
    )


class Differ:
    """Draws differences; it changes nothing."""

    def __init__(self, parts: ReadingParts, assessor: Assessor) -> None:
        """Read by these."""
        self._p = parts
        self._assessor = assessor

    def draw(self, crossing: Crossing, channel: str) -> Difference:
        """Return what publishing would change; what is held stays where it is.

        Raises:
            WrongStateError: Not inspected yet.
            LockgateError: Verdicts or facts are not what was signed, or nothing can be judged.

        """
        assessment = self._assessor.assess(crossing)
        served = self._assessor.base(channel)
        pointer = self._assessor.pointer(channel)
        said = {verdict.path: verdict for verdict in assessment.verdicts.verdicts}
        said_before = cache(self._verdicts)
        pairs = []
        for artifact in assessment.admitted:
            old = previous_of(artifact, served)
            new = Version(artifact, tuple(said[file.path] for file in artifact.files))
            pairs.append((new, _version(old, said_before(old.verdicts_sha256)) if old else None))
        bound = {
            "previous_sha256": pointer.snapshot_sha256 if pointer else NOTHING,
            "verdicts_sha256": crossing.verdicts_sha256,
        }
        held = assessment.held
        return draw((crossing.sequence, channel), pairs, known_of(self._p, crossing), held, bound)

    def _verdicts(self, digest: str) -> tuple[Verdict, ...] | None:
        """Return the verdicts that something entered by; None where they are gone."""
        try:
            return decode(Verdicts, self._p.blobs.read(digest), name="verdicts").verdicts
        except LockgateError:
            return None


def _version(old: Admitted, said: Sequence[Verdict] | None) -> Version:
    paths = {file.path for file in old.artifact.files}
    mine = None if said is None else tuple(verdict for verdict in said if verdict.path in paths)
    return Version(old.artifact, mine)
