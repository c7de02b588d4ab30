"""Scores from CVSS vectors: version 2 and 3.x by their published equations, version 4.0 by its table.

An advisory without a vector that can be read takes the word of its own database
(``database_specific.severity``), or has no severity.
Sources: FIRST, "CVSS v3.1 Specification" section 7.1 and appendix A; "CVSS v2 Guide" section 3.2.1.
"""

import math
from collections.abc import Mapping

from lockgate.advisories.cvss4 import score_tenths_4
from lockgate.core.verdict import Severity

_V3: dict[str, dict[str, float]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    **{name: {"H": 0.56, "L": 0.22, "N": 0.0} for name in ("C", "I", "A")},
}
_PRIVILEGES = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}
_V2: dict[str, dict[str, float]] = {
    "AV": {"L": 0.395, "A": 0.646, "N": 1.0},
    "AC": {"H": 0.35, "M": 0.61, "L": 0.71},
    "Au": {"M": 0.45, "S": 0.56, "N": 0.704},
    **{name: {"N": 0.0, "P": 0.275, "C": 0.66} for name in ("C", "I", "A")},
}
_LONGEST = 512
_FOUR = "CVSS:4.0"
_LABELS = {
    "NEGLIGIBLE": Severity.LOW,
    "LOW": Severity.LOW,
    "MODERATE": Severity.MEDIUM,
    "MEDIUM": Severity.MEDIUM,
    "IMPORTANT": Severity.HIGH,
    "HIGH": Severity.HIGH,
    "CRITICAL": Severity.CRITICAL,
}
_BOUNDS = ((90, Severity.CRITICAL), (70, Severity.HIGH), (40, Severity.MEDIUM), (1, Severity.LOW))


def score_tenths(vector: str) -> int:
    """Return the base score times ten, or -1 where the vector has none that is computed here."""
    if len(vector) > _LONGEST:
        return -1
    head, _, rest = vector.partition("/")
    three = head in {"CVSS:3.0", "CVSS:3.1"}
    pairs = [part.partition(":")[::2] for part in (rest if three or head == _FOUR else vector).split("/")]
    metrics = dict(pairs)
    try:
        if head == _FOUR:
            return score_tenths_4(pairs)
        return _three(metrics) if three else _two(metrics)
    except KeyError:
        return -1


def _three(metrics: Mapping[str, str]) -> int:
    scope = metrics["S"]
    privileges = _PRIVILEGES[scope][metrics["PR"]]
    value = {name: _V3[name][metrics[name]] for name in _V3}
    base = 1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"])
    changed = scope == "C"
    impact = 7.52 * (base - 0.029) - 3.25 * (base - 0.02) ** 15 if changed else 6.42 * base
    if impact <= 0:
        return 0
    exploitability = 8.22 * value["AV"] * value["AC"] * privileges * value["UI"]
    return _round_up(min((impact + exploitability) * (1.08 if changed else 1), 10))


def _round_up(score: float) -> int:
    """Return the smallest tenth that is not below the score, robust against binary fractions."""
    exact = round(score * 100_000)
    return exact // 10_000 if exact % 10_000 == 0 else math.floor(exact / 10_000) + 1


def _two(metrics: Mapping[str, str]) -> int:
    value = {name: _V2[name][metrics[name]] for name in _V2}
    impact = 10.41 * (1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"]))
    exploitability = 20 * value["AV"] * value["AC"] * value["Au"]
    return round(10 * (0.6 * impact + 0.4 * exploitability - 1.5) * (1.176 if impact else 0))


def severity_of(tenths: int, *labels: str) -> Severity | None:
    """Return the severity of a score, else the worst of a database's own words, else None."""
    if tenths < 0:
        known = [_LABELS[label.upper()] for label in labels if label.upper() in _LABELS]
        return max(known, key=list(Severity).index, default=None)
    return next((severity for bound, severity in _BOUNDS if tenths >= bound), Severity.INFO)
