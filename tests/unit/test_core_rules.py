"""Admission rules: read strictly, only ever stricter, and waived by name, for a reason, until a moment."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from corpora.rulebook import rules_text
from lockgate.core.advised import Advised, OpenAdvisory
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.errors import TooLargeError
from lockgate.core.licences import acceptable
from lockgate.core.policy import OpaqueRule, Policy
from lockgate.core.rules import (
    ENTRIES_LIMIT,
    RULES_LIMIT,
    BadRulesError,
    RoleMissingError,
    active_rules,
    faults_at,
    policy_digest,
    read_rules,
)
from lockgate.core.ruling import Ruling, demand_roles, demanded_of, rule_on
from lockgate.core.verdict import Finding, Outcome, Severity, Verdict
from lockgate.core.wire import digest_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
FILE = ArtifactFile(path="python/a.whl", role=Role.DISTRIBUTION, size=10, sha256="a" * 64)
OTHER = ArtifactFile(path="python/a.txt", role=Role.OTHER, size=10, sha256="b" * 64)
WHEEL = Artifact(
    purl="pkg:pypi/a@1", kind=Kind.PYTHON, name="a", version="1", files=(FILE, OTHER), licence="MIT"
)
WAIVER = '[[waiver]]\npurl = "{purl}"\nwaives = "{waives}"\nreason = "looked at it"\nowner = "anna"\n'


def waiver(waives: str, purl: str = "pkg:pypi/a@1", expires: str = "2026-06-01T00:00:00Z") -> str:
    return WAIVER.format(purl=purl, waives=waives) + f"expires = {expires}\n"


def verdict(file: ArtifactFile = FILE, *codes: str, severity: Severity = Severity.HIGH, **facts: object):
    findings = tuple(Finding(code=code, severity=severity, where="x", why="y") for code in codes)
    outcome = Outcome.FINDINGS if findings else Outcome.CLEAN
    given = Verdict(
        path=file.path,
        sha256=file.sha256,
        size=10,
        detected="wheel",
        outcome=outcome,
        covered=10,
        findings=findings,
        inspectors=("zip/1",),
    )
    return msgspec.structs.replace(given, **facts)


def ruled(body: str, *verdicts: Verdict, artifact: Artifact = WHEEL, now=NOW, advised=None) -> Ruling:
    rules = read_rules(rules_text(body).encode())
    found = advised or Advised(applies=False)
    return rule_on(Policy(), rules, artifact, verdicts or (verdict(),), advised=found, now=now)


def reasons(body: str, *verdicts: Verdict, **given: object) -> list[str]:
    return [held.reason for held in ruled(body, *verdicts, **given).held]


def test_a_document_says_everything_in_sentences() -> None:
    body = (
        '[roles]\nsecurity = ["anna", "ben"]\n'
        '[[rule]]\nname = "wheels"\necosystems = ["pypi"]\nmaximum_severity = "info"\nroles = ["security"]\n'
        + waiver("finding:X-1")
    )
    rules = read_rules(rules_text(body).encode())
    assert list(rules.sentences()) == [
        "role security: anna, ben",
        "rule wheels: ecosystems=pypi; maximum_severity=info; roles=security",
        "waiver: finding:X-1 in pkg:pypi/a@1 until 2026-06-01T00:00:00Z, owned by anna: looked at it",
    ]
    silent = read_rules(rules_text('[[rule]]\nname = "n"\n').encode())
    assert list(silent.sentences()) == ["rule n: demands nothing"]


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("= 3", "not TOML"),
        ("strange = 1", "unknown field"),
        ('[[rule]]\nname = "a"\nunknown = 1', "unknown field"),
        ('[[rule]]\nname = "a"\n[[rule]]\nname = "a"', "Two rules"),
        ('[[rule]]\nname = "a"\nroles = ["nobody"]', "lists nobody"),
        ("[roles]\nempty = []", "lists nobody"),
        ('[[rule]]\nname = "a\\nb"', "malformed"),
        ('[[rule]]\nname = "a"\napprovers = 17', "malformed"),
        ('[[rule]]\nname = "a"\nmaximum_severity = "bad"', "malformed"),
        (waiver("everything"), "Nothing is waived"),
        (waiver("label"), "Nothing is waived"),
        (waiver("incomplete"), "Nothing is waived"),
        (waiver("finding"), "Nothing is waived"),
        (waiver("licence:MIT"), "Nothing is waived"),
        (waiver("licence", expires="2026-06-01"), "malformed"),
        (waiver("licence", expires="2026-06-01T00:00:00"), "malformed"),
        (waiver("licence").replace("looked at it", ""), "malformed"),
        (waiver("licence", purl="a"), "malformed"),
        ("\n".join(f'[[rule]]\nname = "r{n}"' for n in range(ENTRIES_LIMIT + 1)), "bound: entries"),
    ],
)
def test_a_document_with_a_mistake_is_refused(body: str, match: str) -> None:
    with pytest.raises(BadRulesError, match=match):
        read_rules(rules_text(body).encode())


def test_format_version_and_length_are_bound() -> None:
    with pytest.raises(BadRulesError, match="this version reads"):
        read_rules(b'format = "lockgate-policy/2"\nversion = 1')
    with pytest.raises(BadRulesError):
        read_rules(rules_text(version=0).encode())
    with pytest.raises(BadRulesError):
        read_rules(b"\xff")
    with pytest.raises(TooLargeError):
        read_rules(b"#" * (RULES_LIMIT + 1))


def test_what_cannot_be_signed_now_is_named() -> None:
    def faults(body: str) -> list[str]:
        return list(faults_at(read_rules(rules_text(body).encode()), Policy(), NOW))

    assert faults(waiver("licence")) == []
    assert "is over" in faults(waiver("licence", expires="2026-05-01T12:00:00Z"))[0]
    assert "longer than 400 days" in faults(waiver("licence", expires="2028-05-01T12:00:00Z"))[0]
    assert "label 'secret'" in faults('[[rule]]\nname = "a"\nlabels = ["secret"]')[0]


def test_without_rules_the_policy_alone_decides_and_is_bound_as_before() -> None:
    found = rule_on(Policy(), None, WHEEL, [verdict(FILE, "X-1")], advised=Advised(), now=NOW)
    assert ["X-1" in held.reason for held in found.held] == [True]
    assert policy_digest(Policy(), None) == digest_of(Policy())
    documents = [rules_text().encode(), rules_text("# other").encode()]
    assert len({policy_digest(Policy(), active_rules(d)) for d in documents} | {digest_of(Policy())}) == 3


SEVERITY = '[[rule]]\nname = "r"\n{scope}\nmaximum_severity = "{severity}"\n'


def test_a_rule_is_only_ever_stricter_and_only_in_its_scope() -> None:
    low = verdict(FILE, "X-1", severity=Severity.LOW)
    high = verdict(FILE, "X-1", severity=Severity.HIGH)
    strict = SEVERITY.format(scope='ecosystems = ["pypi"]', severity="info")
    assert reasons("", low) == []
    assert "X-1 (low)" in reasons(strict, low)[0]
    assert reasons(SEVERITY.format(scope='ecosystems = ["npm"]', severity="info"), low) == []
    assert reasons(SEVERITY.format(scope='labels = ["public"]', severity="info"), low) == []
    assert "X-1 (low)" in reasons(SEVERITY.format(scope='labels = ["internal"]', severity="info"), low)[0]
    assert "X-1 (high)" in reasons(SEVERITY.format(scope="", severity="critical"), high)[0]


def test_required_inspectors_must_have_read_the_artifact_or_every_file() -> None:
    both = verdict(), verdict(OTHER)
    some = '[[rule]]\nname = "r"\ninspectors = ["{}"]\n'
    every = '[[rule]]\nname = "r"\ninspectors_every_file = ["{}"]\n'
    assert reasons(some.format("zip"), *both) == []
    assert "inspector yara read no file" in reasons(some.format("yara"), *both)[0]
    one = verdict(inspectors=("zip/1", "yara/3")), verdict(OTHER)
    assert reasons(some.format("yara"), *one) == []
    assert "yara did not read this file" in reasons(every.format("yara"), *one)[0]
    assert ruled(every.format("yara"), *one).held[0].path == OTHER.path
    assert reasons(every.format("yar"), *one) != []
    assert reasons(every.format("yara") + waiver("inspector:yara"), *one) == []


def test_a_waiver_lifts_one_finding_of_one_artifact_until_it_expires() -> None:
    bad = verdict(FILE, "X-1", "X-2")
    one = waiver("finding:X-1")
    assert "X-2 (high)" in reasons(one, bad)[0]
    both = one + waiver("finding:X-2")
    assert ruled(both, bad).held == ()
    assert [text.partition(" ")[0] for text in ruled(both, bad).waived] == ["finding:X-1", "finding:X-2"]
    other = msgspec.structs.replace(WHEEL, purl="pkg:pypi/a@2")
    assert len(reasons(both, bad, artifact=other)) == 1
    expired = NOW + timedelta(days=31)
    assert len(reasons(both, bad, now=expired)) == 1
    assert reasons(both, bad, now=None) == []


def test_a_waiver_lifts_nothing_that_nobody_read_and_no_label() -> None:
    waived = waiver("finding:X-1")
    unread = verdict(FILE, "X-1", covered=9)
    assert "9 of 10 bytes" in reasons(waived, unread)[0]
    opaque = verdict(FILE, "X-1", opaque=("elf",))
    assert "Opaque content (elf)" in reasons(waived, opaque)[0]
    admitted = Policy(opaque=(OpaqueRule(detected="elf"),))
    rules = read_rules(rules_text(waived).encode())
    assert rule_on(admitted, rules, WHEEL, [opaque], advised=Advised(applies=False), now=NOW).held == ()
    secret = msgspec.structs.replace(WHEEL, label="secret")
    assert "label 'secret'" in reasons(waived, verdict(FILE, "X-1"), artifact=secret)[0]
    silent = verdict(outcome=Outcome.FINDINGS)
    assert "names none" in reasons(waived, silent)[0]


def test_a_waiver_that_nothing_needs_is_not_named() -> None:
    assert ruled(waiver("finding:X-1") + waiver("licence")).waived == ()


BAD = OpenAdvisory(id="A-1", severity=Severity.HIGH, exploited=True)
WORSE = OpenAdvisory(id="A-2", severity=Severity.CRITICAL, exploited=False)


def test_rules_hold_known_vulnerabilities_and_waivers_name_each() -> None:
    known = Advised(catalogue=True, age_seconds=1, open=(BAD, WORSE))
    bound = '[[rule]]\nname = "r"\nmaximum_advisory = "medium"\nhold_exploited = true\n'
    assert [r.partition(" ")[0] for r in reasons(bound, advised=known)] == ["A-1", "A-2"]
    assert [r.partition(" ")[0] for r in reasons(bound + waiver("advisory:A-1"), advised=known)] == ["A-2"]
    assert "cannot be told" in reasons(bound, advised=Advised(unasked="Gone."))[0]
    assert "No catalogue" in reasons(bound, advised=Advised(age_seconds=1))[0]
    assert reasons(bound + waiver("advisory:A-1"), advised=Advised(unasked="Gone.")) != []


def test_a_package_that_the_data_does_not_know_is_held_where_a_rule_says_so() -> None:
    rule = '[[rule]]\nname = "r"\nhold_unknown = true\n'
    assert reasons("", advised=Advised(unknown=True)) == []
    assert "does not know it" in reasons(rule, advised=Advised(unknown=True))[0]
    assert "does not know it" in reasons(rule, advised=Advised(unasked="Gone."))[0]
    assert reasons(rule, advised=Advised()) == []
    assert reasons(rule, advised=Advised(applies=False, unknown=True)) == []
    assert reasons(rule + waiver("unknown-to-database"), advised=Advised(unknown=True)) == []


def test_licences_are_judged_as_expressions() -> None:
    allow = '[[rule]]\nname = "r"\nlicences = ["MIT", "Apache-2.0"]\n'
    deny = '[[rule]]\nname = "r"\nrefused_licences = ["AGPL-3.0-only"]\n'

    def under(licence: str, rule: str) -> bool:
        return reasons(rule, artifact=msgspec.structs.replace(WHEEL, licence=licence)) == []

    assert under("mit", allow)
    assert under("GPL-3.0-only OR Apache-2.0", allow)
    assert not under("GPL-3.0-only", allow)
    assert not under("unknown", allow)
    assert under("GPL-3.0-only", deny)
    assert not under("AGPL-3.0-only AND MIT", deny)
    assert not under("unknown", deny)
    assert not under("not an expression !", deny)
    assert under("AGPL-3.0-only", deny + waiver("licence"))


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ("MIT", True),
        ("(MIT)", True),
        ("MIT AND GPL-2.0-only", False),
        ("MIT OR GPL-2.0-only", True),
        ("GPL-2.0-only OR MIT AND GPL-2.0-only", False),
        ("(GPL-2.0-only OR MIT) AND MIT", True),
        ("MIT WITH Some-exception", True),
        ("MIT WITH", False),
        ("MIT WITH (MIT)", False),
        ("MIT MIT", False),
        ("AND MIT", False),
        ("(MIT", False),
        ("MIT)", False),
        ("", False),
        ("()", False),
        ("NOASSERTION", False),
        ("MIT OR NONE", True),
        ("(" * 40 + "MIT" + ")" * 40, False),
        ("MIT" + " OR MIT" * 1000, False),
    ],
)
def test_an_expression_is_acceptable_or_not(expression: str, *, fits: bool) -> None:
    assert acceptable(expression, lambda name: name == "mit") is fits


def test_the_number_of_approvers_and_their_roles_come_from_what_enters() -> None:
    body = (
        '[roles]\nsecurity = ["anna"]\nmodels = ["ben", "cara"]\n'
        '[[rule]]\nname = "w"\necosystems = ["pypi"]\napprovers = 3\nroles = ["security"]\n'
        '[[rule]]\nname = "all"\nroles = ["models"]\n'
        '[[rule]]\nname = "n"\necosystems = ["npm"]\napprovers = 9\n'
    )
    rules = read_rules(rules_text(body).encode())
    need, roles = demanded_of(rules, [WHEEL])
    assert (need, roles) == (3, {"security", "models"})
    demand_roles(rules, roles, {"anna", "cara", "dora"})
    with pytest.raises(RoleMissingError, match="'models'"):
        demand_roles(rules, roles, {"anna", "dora"})
    assert demanded_of(None, [WHEEL]) == (0, frozenset())
    assert demanded_of(rules, []) == (0, frozenset())
