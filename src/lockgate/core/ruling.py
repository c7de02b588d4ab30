"""What the admission rules make of one artifact. Pure decisions; the strictest rule of several counts."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

import msgspec

from lockgate.core.advised import Advised, judge_advisories
from lockgate.core.artifact import Artifact, Kind, Role
from lockgate.core.golden import Replay
from lockgate.core.licences import acceptable
from lockgate.core.policy import Held, Policy, judge
from lockgate.core.provenance import Demand, meets
from lockgate.core.rules import RoleMissingError, Rule, Rules, Waiver, Waives
from lockgate.core.verdict import Severity, Verdict

_SEVERITIES = list(Severity)
_MODELS = frozenset({Kind.MODEL, Kind.OLLAMA})
_NO_REPLAYS: Mapping[str, Replay] = {}


def ecosystem_of(purl: str) -> str:
    """Return the type of a package URL (purl specification, "type")."""
    return purl.removeprefix("pkg:").partition("/")[0]


def demanded(rules: Rules | None, artifact: Artifact) -> tuple[Rule, ...]:
    """Return the rules that an artifact falls under."""
    return tuple(
        rule
        for rule in (rules.rule if rules else ())
        if (not rule.ecosystems or ecosystem_of(artifact.purl) in rule.ecosystems)
        and (not rule.labels or artifact.label in rule.labels)
    )


def strictest(policy: Policy, rules: Iterable[Rule]) -> Policy:
    """Return a policy in which the rules' bounds count where they are stricter than the site's."""
    return reduce(_stricter, rules, policy)


def _stricter(policy: Policy, rule: Rule) -> Policy:
    severity = min(policy.maximum_severity, rule.maximum_severity or policy.maximum_severity, key=_rank)
    bounds = [bound for bound in (policy.advisory_bound, rule.maximum_advisory) if bound is not None]
    changes: dict[str, object] = {"maximum_severity": severity}
    if bounds:
        changes["maximum_advisory"] = min(bounds, key=_rank)
    if rule.hold_exploited:
        changes["hold_exploited"] = True
    return msgspec.structs.replace(policy, **changes)


def _rank(severity: Severity) -> int:
    return _SEVERITIES.index(severity)


@dataclass(frozen=True, slots=True)
class Ruling:
    """Why an artifact is held, and which waivers let something of it pass."""

    held: tuple[Held, ...]
    waived: tuple[str, ...]


class _Waivers:
    """The waivers for one artifact, and which of them were needed."""

    def __init__(self, waivers: Iterable[Waiver]) -> None:
        self._by_key = {waiver.waives: waiver for waiver in waivers}
        self._used: dict[str, Waiver] = {}

    def lets(self, kind: Waives, code: str = "") -> bool:
        """Tell whether something is waived."""
        key = f"{kind}:{code}" if code else str(kind)
        found = self._by_key.get(key)
        if found is not None:
            self._used[key] = found
        return found is not None

    @property
    def used(self) -> tuple[str, ...]:
        return tuple(sorted(waiver.sentence for waiver in self._used.values()))


def rule_on(
    policy: Policy,
    rules: Rules | None,
    artifact: Artifact,
    verdicts: Sequence[Verdict],
    *,
    advised: Advised,
    now: datetime | None,
    replays: Mapping[str, Replay] = _NO_REPLAYS,
) -> Ruling:
    """Return what the policy and the admission rules say of an artifact.

    Args:
        policy: The site root's.
        rules: The rules that two persons signed, where there are any.
        artifact: The artifact.
        verdicts: One for each of its files.
        advised: What advisories say of it.
        now: The moment that waivers are judged by; None where it entered before: an expired waiver
            holds what wants in, and takes nothing away from those who are served.
        replays: What golden prompts showed, by the digest of the model's file.

    """
    mine = demanded(rules, artifact)
    strict = strictest(policy, mine)
    waivers = _Waivers(
        waiver
        for waiver in (rules.waiver if rules else ())
        if waiver.purl == artifact.purl and (now is None or now < waiver.expires)
    )
    bound = _rank(strict.maximum_severity)
    above = {f.code for v in verdicts for f in v.findings if _rank(f.severity) > bound}
    lifted = frozenset(code for code in sorted(above) if waivers.lets(Waives.FINDING, code))
    held = [*judge(strict, artifact.purl, artifact.label, verdicts, lifted)]
    held += _advisories(strict, artifact.purl, advised, waivers)
    for rule in mine:
        held += _inspectors(rule, artifact.purl, verdicts, waivers)
        held += _licence(rule, artifact, waivers)
        held += _provenance(rule, artifact, verdicts, waivers)
        held += _unknown(rule, artifact.purl, advised, waivers)
        held += _golden(rule, artifact, replays) if now is not None else ()
    return Ruling(tuple(dict.fromkeys(held)), waivers.used)


def asks_advisories(rules: Rules | None) -> bool:
    """Tell whether any rule needs advisory data."""
    return any(
        rule.hold_unknown or rule.hold_exploited or rule.maximum_advisory is not None
        for rule in (rules.rule if rules else ())
    )


def _advisories(policy: Policy, purl: str, advised: Advised, waivers: _Waivers) -> Iterable[Held]:
    alone = (msgspec.structs.replace(advised, open=(each,)) for each in advised.open)
    without = msgspec.structs.replace(advised, open=())
    common = judge_advisories(policy, purl, without)
    yield from common
    for each, one in zip(advised.open, alone, strict=True):
        reasons = [held for held in judge_advisories(policy, purl, one) if held not in common]
        if reasons and not waivers.lets(Waives.ADVISORY, each.id):
            yield from reasons


def _inspectors(rule: Rule, purl: str, verdicts: Sequence[Verdict], waivers: _Waivers) -> Iterable[Held]:
    def reads(verdict: Verdict, name: str) -> bool:
        return any(each == name or each.startswith(f"{name}/") for each in verdict.inspectors)

    for name in rule.inspectors:
        if not any(reads(v, name) for v in verdicts) and not waivers.lets(Waives.INSPECTOR, name):
            yield _held(purl, rule, f"the inspector {name} read no file of it", "Inspect it again with it.")
    for name in rule.inspectors_every_file:
        unread = next((v for v in verdicts if not reads(v, name)), None)
        if unread is not None and not waivers.lets(Waives.INSPECTOR, name):
            reason = f"the inspector {name} did not read this file"
            yield _held(purl, rule, reason, "Inspect it again with it.", unread.path)


def _licence(rule: Rule, artifact: Artifact, waivers: _Waivers) -> Iterable[Held]:
    if not rule.licences and not rule.refused_licences:
        return
    accepted = {name.lower() for name in rule.licences}
    refused = {name.lower() for name in rule.refused_licences}

    def accepts(name: str) -> bool:
        return name not in refused and (not accepted or name in accepted)

    if not acceptable(artifact.licence, accepts) and not waivers.lets(Waives.LICENCE):
        reason = f"its licence is {artifact.licence[:120]!r}, which the rule does not accept"
        yield _held(artifact.purl, rule, reason, "Bring another version, name its licence, or waive it.")


_SIGNED_ROLES = {
    Kind.PYTHON: frozenset({Role.DISTRIBUTION}),
    Kind.NPM: frozenset({Role.DISTRIBUTION}),
}
"""Kinds whose signatures are over some of their files; of others every file has to be signed."""


def to_be_signed(artifact: Artifact) -> tuple[str, ...]:
    """Return the paths of the files that verified provenance has to be about.

    Of an image that is the manifest that its tags stand for: it names everything else by digest. What
    holds a signature signs itself.
    """
    if artifact.kind in {Kind.OCI, Kind.OLLAMA}:
        root = artifact.version.removeprefix("sha256:")
        return tuple(file.path for file in artifact.files if file.sha256 == root)
    roles = _SIGNED_ROLES.get(artifact.kind)
    return tuple(
        file.path
        for file in artifact.files
        if (file.role in roles if roles else file.role is not Role.PROVENANCE)
    )


def _provenance(
    rule: Rule, artifact: Artifact, verdicts: Sequence[Verdict], waivers: _Waivers
) -> Iterable[Held]:
    """Yield why a rule's demand on provenance is not met: the first reason of each file."""
    if rule.provenance is None:
        return
    by_path = {verdict.path: verdict.facts for verdict in verdicts}
    reasons = {path: why for path, facts in by_path.items() if (why := meets(Demand.INTACT, facts, (), ()))}
    if rule.provenance is Demand.VERIFIED:
        for path in to_be_signed(artifact):
            if why := meets(Demand.VERIFIED, by_path.get(path, ()), rule.signers, rule.issuers):
                reasons.setdefault(path, why)
    if reasons and not waivers.lets(Waives.PROVENANCE):
        for path, why in sorted(reasons.items()):
            yield _held(
                artifact.purl,
                rule,
                why,
                "Bring it signed, put newer trust roots in force, or waive it.",
                path,
            )


def _unknown(rule: Rule, purl: str, advised: Advised, waivers: _Waivers) -> Iterable[Held]:
    if not rule.hold_unknown or not advised.applies:
        return
    if (advised.unknown or advised.unasked) and not waivers.lets(Waives.UNKNOWN):
        yield _held(purl, rule, "the advisory data does not know it", "Bring data that does, or waive it.")


def _golden(rule: Rule, artifact: Artifact, replays: Mapping[str, Replay]) -> Iterable[Held]:
    """Hold a model whose golden prompts were not replayed, or are answered otherwise."""
    if isinstance(rule.golden_differing, msgspec.UnsetType) or artifact.kind not in _MODELS:
        return
    mine = [replays[file.sha256] for file in artifact.files if file.sha256 in replays]
    if not mine:
        reason = "its golden prompts were not replayed"
        yield _held(
            artifact.purl, rule, reason, "Bring a golden set with it, and run `lockgate gate replay`."
        )
    for each in mine:
        if each.problem or each.differing > rule.golden_differing:
            resolve = "Look at `lockgate gate show`; bring the model that the prompts were recorded with."
            reason = f"golden prompts hold it: {each.sentence[:160]}"
            yield _held(artifact.purl, rule, reason, resolve)


def _held(purl: str, rule: Rule, reason: str, resolve: str, path: str = "") -> Held:
    return Held(purl=purl, path=path, reason=f"By the rule {rule.name}, {reason}.", resolve=resolve)


def demanded_of(rules: Rules | None, artifacts: Iterable[Artifact]) -> tuple[int, frozenset[str]]:
    """Return how many persons must approve some artifacts by the rules, and which roles among them."""
    mine = [rule for artifact in artifacts for rule in demanded(rules, artifact)]
    roles = frozenset(role for rule in mine for role in rule.roles)
    return max((rule.approvers for rule in mine), default=0), roles


def demand_roles(rules: Rules | None, roles: Iterable[str], approvers: Collection[str]) -> None:
    """Demand that each role is among those who approved.

    Raises:
        RoleMissingError: One is not.

    """
    for role in sorted(roles):
        people = rules.roles.get(role, ()) if rules else ()
        if not set(people) & set(approvers):
            what = f"A rule demands that somebody of the role {role!r} approves ({', '.join(people)})."
            raise RoleMissingError(what, role=role)
