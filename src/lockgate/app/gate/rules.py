"""Admission rules on a high side: proposed as TOML, signed by two persons, kept as files and verified anew.

How versions are kept and verified: `app.gate.versioned`. Whoever takes files away stops admission and
lifts no rule.
"""

from collections.abc import Iterable

from lockgate.app.gate.versioned import InForce, Numbered
from lockgate.app.settings import Side
from lockgate.app.trust import site_root, utc_now
from lockgate.core.errors import TrustError
from lockgate.core.policy import Policy
from lockgate.core.rules import RULES_LIMIT, ActiveRules, BadRulesError, Rules, faults_at, read_rules
from lockgate.core.statement import Operation


class RulesWithdrawnError(TrustError):
    """Admission rules that were in force are gone, or are not what was signed."""

    code = "LG-2f16"
    advice = (
        "Nothing is admitted until they are back: put the two files of the newest version into trust/ "
        "again, or restore a backup. Serving goes on."
    )


def _faults(side: Side, rules: Rules) -> Iterable[str]:
    return faults_at(rules, site_root(side, None).policy or Policy(), utc_now())


RULES: Numbered[Rules] = Numbered(
    name="admission rules",
    operation=Operation.POLICY,
    prefix="policy-",
    ending=".toml",
    limit=RULES_LIMIT,
    read=read_rules,
    withdrawn=RulesWithdrawnError,
    floor=("policy-floor", "rules"),
    refused=BadRulesError,
    faults=_faults,
)


def in_force(side: Side) -> InForce[Rules] | None:
    """Return the rules in force, their signatures verified now; None where there never were any.

    Raises:
        RulesWithdrawnError: A version that was in force is gone, or not what was signed.
        LockgateError: Its signatures do not verify.

    """
    return RULES.in_force(side)


def judging(present: InForce[Rules] | None) -> ActiveRules | None:
    """Return rules in force as the gate judges by them."""
    if present is None:
        return None
    return ActiveRules(rules=present.document, document_sha256=present.document_sha256)
