"""What advisories say of an artifact that wants in, and what the policy makes of it."""

from lockgate.core.policy import Held, Policy
from lockgate.core.verdict import Severity
from lockgate.core.wire import Document

_SEVERITIES = list(Severity)
_LOAD = "Bring advisory data, publish it, and load it: `lockgate advisories load --admitted`."
_FIX = "Bring {fixed}, or close it by a VEX statement that two persons approve."


class OpenAdvisory(Document, frozen=True):
    """One open vulnerability; a severity that nothing tells is None, a fixed version is empty."""

    id: str
    severity: Severity | None
    exploited: bool
    fixed: str = ""


class Advised(Document, frozen=True):
    """What is known against one artifact.

    `applies` is false for what has no versions that advisories speak of; `unasked` says why nobody
    could be asked; `catalogue` tells whether a catalogue of exploited vulnerabilities is loaded;
    `age_seconds` is the age of the oldest data set, -1 where one names no date; `unknown` says that
    the data does not know the package.
    """

    applies: bool = True
    unasked: str = ""
    catalogue: bool = False
    age_seconds: int = -1
    unknown: bool = False
    open: tuple[OpenAdvisory, ...] = ()


def judge_advisories(policy: Policy, purl: str, advised: Advised) -> tuple[Held, ...]:
    """Return the reasons by which known vulnerabilities hold an artifact back.

    Fails closed: where the policy asks, missing or undated data and unrated findings hold. A policy
    that names no rule for advisories holds nothing.
    """
    if not policy.asks_advisories or not advised.applies:
        return ()
    if advised.unasked:
        return (_held(purl, f"What is known against it cannot be told: {advised.unasked}", _LOAD),)
    held: list[Held] = []
    limit = policy.advisory_age
    if limit is not None and not 0 <= advised.age_seconds <= limit:
        age = f"{advised.age_seconds} seconds old" if advised.age_seconds >= 0 else "without a date"
        held.append(_held(purl, f"Advisory data is {age}; the policy allows {limit} seconds.", _LOAD))
    if policy.holds_exploited and not advised.catalogue:
        held.append(_held(purl, "No catalogue of exploited vulnerabilities is loaded.", _LOAD))
    held.extend(
        _held(purl, reason, _FIX.format(fixed=each.fixed or "a version without it"))
        for each in advised.open
        if (reason := _against(policy, each))
    )
    return tuple(held)


def _against(policy: Policy, each: OpenAdvisory) -> str:
    if policy.holds_exploited and each.exploited:
        return f"{each.id} is known to be exploited."
    worst = policy.advisory_bound
    if worst is None:
        return ""
    if each.severity is None:
        return f"{each.id} has no known severity; the policy allows {worst}."
    above = _SEVERITIES.index(each.severity) > _SEVERITIES.index(worst)
    return f"{each.id} is {each.severity}; the policy allows {worst}." if above else ""


def _held(purl: str, reason: str, resolve: str) -> Held:
    return Held(purl=purl, path="", reason=reason, resolve=resolve)
