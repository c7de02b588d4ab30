"""What speaks against a model that is to answer alone: its golden prompts, and what a red team found.

Both are looked up by the digest of the model's weights. Golden prompts were replayed at the gate, and what
they showed is signed by the inspector. Reports of the red team are files of the home, signed by nobody:
whoever can write there can make one up.
"""

from collections.abc import Sequence

from lockgate.admit.facts import FactKind, read_facts
from lockgate.admit.model import CROSSINGS, Crossing, crossing_key
from lockgate.app.gate.gate import reading_parts
from lockgate.app.high.redteam import reports_of
from lockgate.app.high.signed_models import SignedModels
from lockgate.app.settings import Side
from lockgate.app.trust import site_root
from lockgate.core.errors import LockgateError
from lockgate.core.golden import Replay
from lockgate.core.policy import Policy, PromotionRule
from lockgate.core.wire import decode
from lockgate.guard.redteam import compared
from lockgate.infer import PromotionCheck
from lockgate.infer.ports import AdmittedModel


class Versions:
    """The versions that a channel has, by the names that shares use."""

    def __init__(self, side: Side) -> None:
        """Read nothing yet."""
        self.side = side

    def find(self, name: str) -> AdmittedModel | None:
        """Return a version; nothing where the channel has none of that name, or does not verify."""
        try:
            return SignedModels(self.side, "models").current().named(name)
        except LockgateError:
            return None  # whoever needs to know something of it then finds that nothing is known


class GoldenCheck(PromotionCheck):
    """Golden prompts that were replayed when the version crossed.

    A set that was answered otherwise than recorded speaks against a version; having none does so where the
    policy demands one.
    """

    def __init__(self, versions: Versions, rule: PromotionRule | None) -> None:
        """Keep what is asked."""
        self._versions = versions
        self._rule = rule

    def against(self, name: str, old: str, new: str) -> str:
        """Return what speaks against the new version."""
        del name, old
        most = self._rule.golden_most if self._rule else None
        model = self._versions.find(new)
        found = self._replay(model) if model else None
        if found is None:
            return "" if most is None else f"No golden prompts were replayed with {new!r}."
        if found.problem or found.differing > (most or 0):
            return f"{new!r}: {found.sentence}"
        return ""

    def _replay(self, model: AdmittedModel) -> Replay | None:
        parts = reading_parts(self._versions.side)
        with parts.records.transaction() as tx:
            value = tx.get(CROSSINGS, crossing_key(model.crossing))
        known = read_facts(parts, decode(Crossing, value), FactKind.GOLDEN) if value else None
        replays = known[0].replays if known else ()
        return next((each for each in replays if each.model_sha256 == model.weights.sha256), None)


class RedTeamCheck(PromotionCheck):
    """The last run of the red team against each of two versions, with the same suite."""

    def __init__(self, versions: Versions, most_percent: int) -> None:
        """Keep what is asked.

        Args:
            versions: The versions.
            most_percent: The largest share of attacks of a category that may work, in percent.

        """
        self._versions = versions
        self._most = most_percent / 100

    def against(self, name: str, old: str, new: str) -> str:
        """Return what speaks against the new version."""
        del name
        model = self._versions.find(new)
        runs = reports_of(self._versions.side, model.weights.sha256) if model else []
        if not runs:
            return f"The red team has not attacked {new!r}."
        before = None
        if old:
            known = self._versions.find(old)
            same = reports_of(self._versions.side, known.weights.sha256) if known else []
            before = next((each for each in same if each.suite_sha256 == runs[0].suite_sha256), None)
            if known is not None and before is None:
                return f"The red team has not attacked {old!r}, the version before, with the same suite."
        found = compared(runs[0], before, self._most)
        said = [f"attacks of {each} worked too often" for each in found.too_many]
        said += [f"attacks of {each} worked more often than before" for each in found.worse]
        said += found.unsure
        return f"{new!r}: {'; '.join(said)}." if said else ""


def promotion_checks(side: Side) -> Sequence[PromotionCheck]:
    """Return what compares versions before one takes the other's place, as the site's policy has it."""
    rule = (site_root(side, None).policy or Policy()).promotion_rule
    versions = Versions(side)
    checks: list[PromotionCheck] = [GoldenCheck(versions, rule)]
    if rule is not None and rule.red_team_most is not None:
        checks.append(RedTeamCheck(versions, rule.red_team_most))
    return checks
