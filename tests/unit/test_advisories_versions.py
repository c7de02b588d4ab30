"""Version order and severity on the cases that their specifications print."""

import itertools

import pytest

from lockgate.advisories.cvss import score_tenths, severity_of
from lockgate.advisories.versions import UnreadableVersionError, debian, key_of, ordered, pypi, semver
from lockgate.core.verdict import Severity

SEMVER = [
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
]
DEBIAN = [
    "1.0~~",
    "1.0~~a",
    "1.0~",
    "1.0",
    "1.0-1~bpo1",
    "1.0-1",
    "1.0-1+b1",
    "1.0a",
    "1.0+",
    "1.0.1",
    "1.9",
    "1.10",
    "1:0.1",
]
PYPI = ["1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1!0.1"]


@pytest.mark.parametrize(("key", "order"), [(semver, SEMVER), (debian, DEBIAN), (pypi, PYPI)])
def test_each_ecosystem_has_its_own_order(key, order: list[str]) -> None:
    for low, high in itertools.combinations(order, 2):
        assert key(low) < key(high), (low, high)


def test_equal_versions_have_equal_keys() -> None:
    assert semver("v1.2") == semver("1.2.0+build.7")
    assert debian("0:1.0") == debian("1.0-0") == debian("1.00")
    assert pypi("1.0") == pypi("1.0.0+local")


@pytest.mark.parametrize(
    ("key", "text"), [(semver, "1.2.3.4"), (semver, ""), (debian, "1 0"), (pypi, "x"), (pypi, "1" * 201)]
)
def test_what_is_no_version_is_refused(key, text: str) -> None:
    with pytest.raises(UnreadableVersionError):
        key(text)


def test_every_named_ecosystem_sorts_and_others_do_not() -> None:
    for ecosystem in ordered():
        key = key_of(ecosystem, "ECOSYSTEM")
        assert key is not None
        assert key("1.2.3") < key("1.10.0"), ecosystem
    assert key_of("huggingface", "ECOSYSTEM") is None
    assert key_of("PyPI", "GIT") is None
    for ecosystem in ("Maven", "RubyGems", "NuGet", "Packagist", "Red Hat", "Alpine"):
        key = key_of(ecosystem, "ECOSYSTEM")
        with pytest.raises(UnreadableVersionError):
            key("1" * 201)  # type: ignore[misc]  # it is not None, see above


@pytest.mark.parametrize(
    ("vector", "tenths"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 98),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 100),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61),
        ("CVSS:3.0/AV:L/AC:H/PR:L/UI:N/S:U/C:N/I:N/A:L", 25),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0),
        ("AV:N/AC:L/Au:N/C:N/I:N/A:C", 78),
        ("AV:N/AC:M/Au:N/C:P/I:P/A:P", 68),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 93),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 100),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", 0),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N", -1),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:S/SA:N", -1),
        ("CVSS:4.0/AV:N/AV:P/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", -1),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/Z:1", -1),
        ("CVSS:4.0/AV:P/AC:L/AT:N/PR:L/UI:A/VC:N/VI:N/VA:H/SC:H/SI:L/SA:L", 69),
        ("CVSS:4.0/AV:P/AC:L/AT:N/PR:N/UI:A/VC:H/VI:N/VA:N/SC:L/SI:H/SA:H/E:P/CR:X/IR:M/MSI:H/MAV:N", 71),
        ("CVSS:4.0/AV:N/AC:H/AT:N/PR:L/UI:A/VC:L/VI:H/VA:N/SC:H/SI:L/SA:H", 71),
        ("CVSS:4.0/AV:L/AC:H/AT:P/PR:N/UI:A/VC:H/VI:L/VA:L/SC:N/SI:H/SA:H/E:A/CR:X/IR:X/MSI:L/MAV:P", 58),
        ("CVSS:4.0/AV:N/AC:H/AT:N/PR:H/UI:N/VC:L/VI:L/VA:N/SC:H/SI:H/SA:L", 53),
        ("CVSS:4.0/AV:A/AC:L/AT:P/PR:H/UI:P/VC:L/VI:L/VA:L/SC:N/SI:H/SA:H/E:U/CR:X/IR:H/MSI:S/MAV:A", 10),
        ("CVSS:4.0/AV:A/AC:H/AT:P/PR:H/UI:P/VC:H/VI:H/VA:N/SC:H/SI:H/SA:H", 72),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:H/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:U/CR:M/IR:H/MSI:N/MAV:L", 57),
        ("CVSS:4.0/AV:A/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:N/SC:N/SI:L/SA:H", 86),
        ("CVSS:4.0/AV:P/AC:H/AT:P/PR:N/UI:N/VC:N/VI:N/VA:L/SC:H/SI:H/SA:H/E:A/CR:H/IR:H/MSI:L/MAV:N", 70),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:L/VI:H/VA:N/SC:N/SI:H/SA:H", 93),
        ("CVSS:4.0/AV:P/AC:L/AT:N/PR:N/UI:P/VC:N/VI:N/VA:L/SC:N/SI:H/SA:H/E:U/CR:L/IR:M/MSI:N/MAV:X", 8),
        ("CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:N/VI:N/VA:H/SC:H/SI:L/SA:N", 90),
        ("CVSS:4.0/AV:P/AC:L/AT:N/PR:N/UI:P/VC:L/VI:N/VA:N/SC:N/SI:H/SA:N/E:A/CR:X/IR:X/MSI:L/MAV:A", 51),
        ("CVSS:3.1/AV:N", -1),
        ("", -1),
        ("AV:" * 500, -1),
    ],
)
def test_scores_are_those_that_the_standard_gives(vector: str, tenths: int) -> None:
    assert score_tenths(vector) == tenths


def test_severities_follow_the_score_and_else_the_word() -> None:
    wanted = [Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO]
    assert [severity_of(t, "") for t in (90, 70, 40, 1, 0)] == wanted
    assert severity_of(-1, "moderate") is Severity.MEDIUM
    assert severity_of(-1, "whatever") is None
