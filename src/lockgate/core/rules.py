"""Admission rules: a versioned TOML document beside the site root's policy, which two persons sign.

The site root says what holds for everything, and its holders change it. The rules say what holds for an
ecosystem or a label, and approvers change them. A rule can only demand more than the site root does. A
waiver lets one thing pass that would be held, for a reason, by an owner, until a moment; what no person
can answer for (a label that is not ours, a rejected digest, bytes that nobody read) has no waiver.
"""

import tomllib
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from lockgate.core.digests import sha256
from lockgate.core.errors import InputError, PolicyError, TooLargeError
from lockgate.core.policy import Policy
from lockgate.core.provenance import Demand
from lockgate.core.soak import SoakRule
from lockgate.core.verdict import Severity
from lockgate.core.wire import Document, Moment, digest_of

RULES_FORMAT = "lockgate-policy/1"
RULES_LIMIT = 256 * 1024
"""Longest document of rules that is read, in bytes."""

ENTRIES_LIMIT = 256
"""Most rules, and most waivers, of one document: people read all of them before they sign."""

WAIVER_DAYS = 400
"""Longest life of a waiver, in days from when it is signed."""

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}\Z")]
Sentence = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,500}\Z")]
Purl = Annotated[str, msgspec.Meta(pattern=r"^pkg:[a-z0-9.+-]+/[!-~]{1,500}\Z")]


class BadRulesError(InputError):
    """A document of admission rules is malformed or contradicts itself."""

    code = "LG-1021"
    advice = "Mend the line that the error names, then look with `lockgate policy check FILE`."


class RoleMissingError(PolicyError):
    """Enough persons approved, and none of them has a role that a rule demands."""

    code = "LG-3011"
    advice = "Somebody with that role signs the statement too: `lockgate policy show` lists them."


class Waives(StrEnum):
    """What a waiver may be about. The others name no code; these two name one after a colon."""

    FINDING = "finding"
    ADVISORY = "advisory"
    LICENCE = "licence"
    INSPECTOR = "inspector"
    UNKNOWN = "unknown-to-database"
    PROVENANCE = "provenance"


_NAMED = frozenset({Waives.FINDING, Waives.ADVISORY, Waives.INSPECTOR})


class Rule(Document, frozen=True):
    """What is demanded of artifacts of some ecosystems and labels; empty: of all.

    Attributes:
        name: For people.
        ecosystems: Types of package URLs (``pypi``, ``huggingface``).
        labels: Labels of the manifest.
        inspectors: Each must have read some file of the artifact; ``site/NAME`` is one of the site's own.
        inspectors_every_file: Each must have read every file of the artifact.
        maximum_severity: Worst finding that enters.
        maximum_advisory: Worst known vulnerability that enters.
        hold_exploited: Whether what is known to be exploited is held.
        hold_unknown: Whether a package that the advisory data does not know is held.
        licences: SPDX identifiers that are accepted; empty: all but `refused_licences`.
        refused_licences: SPDX identifiers that are not.
        provenance: Least provenance: ``intact`` (none is invalid or expired) or ``verified`` (of each file).
        signers: Identities, repositories (``…/*``: all below) or keys whose signature counts; empty: any.
        issuers: Who may vouch for signers; empty: anybody in the trust roots.
        golden_differing: Most golden prompts that a model may answer otherwise than it did where they were
            recorded; a model without a replay is held. Left out: none is demanded.
        approvers: How many persons must approve.
        roles: Roles of which each must be among them.

    """

    name: Name
    ecosystems: tuple[Name, ...] = ()
    labels: tuple[Sentence, ...] = ()
    inspectors: tuple[Name, ...] = ()
    inspectors_every_file: tuple[Name, ...] = ()
    maximum_severity: Severity | None = None
    maximum_advisory: Severity | None = None
    hold_exploited: bool = False
    hold_unknown: bool = False
    licences: tuple[Name, ...] = ()
    refused_licences: tuple[Name, ...] = ()
    provenance: Demand | None = None
    signers: tuple[Sentence, ...] = ()
    issuers: tuple[Sentence, ...] = ()
    golden_differing: Annotated[int, msgspec.Meta(ge=0, le=256)] | msgspec.UnsetType = msgspec.UNSET
    approvers: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    roles: tuple[Name, ...] = ()

    @property
    def sentence(self) -> str:
        """Return the rule as approvers read it."""
        fields = msgspec.to_builtins(self)
        plain = msgspec.to_builtins(Rule(name=self.name))
        said = [f"{key}={_text(value)}" for key, value in fields.items() if value != plain.get(key)]
        return f"rule {self.name}: {'; '.join(said) or 'demands nothing'}"


class Waiver(Document, frozen=True):
    """One thing that is let pass although a rule holds it, until it expires.

    `waives` is ``finding:CODE``, ``advisory:ID``, ``inspector:NAME``, ``licence`` or
    ``unknown-to-database``.
    """

    purl: Purl
    waives: Annotated[str, msgspec.Meta(pattern=r"^[a-z-]+(:[!-~]{1,128})?\Z")]
    reason: Sentence
    owner: Name
    expires: Moment

    @property
    def sentence(self) -> str:
        """Return the waiver as approvers read it."""
        return (
            f"{self.waives} in {self.purl} until {self.expires:%Y-%m-%dT%H:%M:%SZ}, "
            f"owned by {self.owner}: {self.reason}"
        )


class Rules(Document, frozen=True):
    """One version of the admission rules.

    `roles` lists the persons of each role; with `soak`, crossings go to ``candidate`` first, and
    ``stable`` takes over only what soaked there.
    """

    format: str
    version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    roles: dict[Name, tuple[Name, ...]] = msgspec.field(default_factory=dict)
    soak: SoakRule | None = None
    rule: tuple[Rule, ...] = ()
    waiver: tuple[Waiver, ...] = ()

    def sentences(self) -> Iterator[str]:
        """Yield everything that the document says, as approvers read and sign it."""
        for role, people in sorted(self.roles.items()):
            yield f"role {role}: {', '.join(people)}"
        if self.soak is not None:
            yield self.soak.sentence
        yield from (rule.sentence for rule in self.rule)
        yield from (f"waiver: {waiver.sentence}" for waiver in self.waiver)


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def read_rules(data: bytes) -> Rules:
    """Return the rules that a TOML document holds.

    Raises:
        TooLargeError: Longer than `RULES_LIMIT`.
        BadRulesError: Not TOML, not of this form, or it contradicts itself.

    """
    if len(data) > RULES_LIMIT:
        what = f"The rules have {len(data)} bytes; at most {RULES_LIMIT} are read."
        raise TooLargeError(what, limit="rules_bytes")
    try:
        rules = msgspec.convert(tomllib.loads(data.decode()), Rules)
    except msgspec.ValidationError as error:
        what = f"The rules are malformed: {error}."
        raise BadRulesError(what) from error
    except (ValueError, RecursionError) as error:  # numbers with thousands of digits are no TOMLDecodeError
        what = f"The rules are not TOML: {error}."
        raise BadRulesError(what) from error
    for fault in _faults(rules):
        raise BadRulesError(fault)
    return rules


def _faults(rules: Rules) -> Iterator[str]:
    if rules.format != RULES_FORMAT:
        yield f"The rules have the format {rules.format[:80]!r}; this version reads {RULES_FORMAT!r}."
    for name, entries in (("rules", rules.rule), ("waivers", rules.waiver)):
        if len(entries) > ENTRIES_LIMIT:
            yield f"There are {len(entries)} {name}; at most {ENTRIES_LIMIT} are read (bound: entries)."
    names = [rule.name for rule in rules.rule]
    yield from (f"Two rules are called {name!r}." for name in sorted(set(names)) if names.count(name) > 1)
    for rule in rules.rule:
        if (rule.signers or rule.issuers) and rule.provenance is not Demand.VERIFIED:
            yield f"The rule {rule.name!r} names signers and does not demand verified provenance."
        if missing := sorted(set(rule.roles) - rules.roles.keys()):
            yield f"The rule {rule.name!r} names the role {missing[0]!r}, which lists nobody."
    yield from (f"The role {role!r} lists nobody." for role, people in rules.roles.items() if not people)
    for waiver in rules.waiver:
        kind, colon, _ = waiver.waives.partition(":")
        if kind not in list(Waives) or bool(colon) != (kind in _NAMED):
            yield (
                f"Nothing is waived by {waiver.waives!r}: it is finding:CODE, advisory:ID, inspector:NAME,"
                " licence, provenance or unknown-to-database."
            )


def faults_at(rules: Rules, policy: Policy, now: datetime) -> Iterator[str]:
    """Yield why rules cannot be signed now: labels nobody may hold, waivers that are over or too long."""
    for rule in rules.rule:
        if strange := sorted(set(rule.labels) - set(policy.labels)):
            yield f"The rule {rule.name!r} names the label {strange[0]!r}, which this site may not hold."
    for waiver in rules.waiver:
        seconds = (waiver.expires - now).total_seconds()
        if seconds <= 0:
            yield f"The waiver of {waiver.waives} in {waiver.purl} is over."
        elif seconds > WAIVER_DAYS * 86_400:
            yield f"The waiver of {waiver.waives} in {waiver.purl} lasts longer than {WAIVER_DAYS} days."


class ActiveRules(Document, frozen=True):
    """Rules with the digest of the document that they were read from; two persons signed that digest."""

    rules: Rules
    document_sha256: str


def active_rules(data: bytes) -> ActiveRules:
    """Return a document's rules with its digest."""
    return ActiveRules(rules=read_rules(data), document_sha256=sha256(data))


def policy_digest(policy: Policy, active: ActiveRules | None) -> str:
    """Return the digest that statements bind the policy by: of the site's alone, or with the rules."""
    if active is None:
        return digest_of(policy)
    return digest_of({"policy": digest_of(policy), "rules": active.document_sha256})
