"""Scores from CVSS 4.0 vectors: the table of measured macro vectors, and the steps between them.

Sources: FIRST, "CVSS v4.0 Specification", sections 8.2 (equivalence classes EQ1 to EQ6 and their highest
severity vectors) and 8.3 (interpolation); the 270 values, the depths and the highest vectors are the data
that FIRST publishes with its calculator. All arithmetic is exact: distances are whole steps, and the
score is rounded half up from a fraction.
"""

from collections.abc import Mapping
from fractions import Fraction

_ORDER = {
    "AV": "NALP", "PR": "NLH", "UI": "NPA", "AC": "LH", "AT": "NP",
    "VC": "HLN", "VI": "HLN", "VA": "HLN", "SC": "SHLN", "SI": "SHLN", "SA": "SHLN",
    "CR": "HML", "IR": "HML", "AR": "HML", "E": "APU",
}  # fmt: skip
"""The values of each metric, the worst first; one place is one step of severity distance."""

_MANDATORY = ("AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA")
_WORST = {"E": "A", "CR": "H", "IR": "H", "AR": "H"}
"""What a metric counts as that is not defined."""

_NO_SAFETY = frozenset({"SC", "SI", "SA"})
"""Metrics whose first value (safety) only their modified form may have; ``MSC`` has none either."""

_OTHERS = {
    "S": "XNP", "AU": "XNY", "R": "XAUI", "V": "XDC", "RE": "XLMH",
    "U": ("X", "Clear", "Green", "Amber", "Red"),
}  # fmt: skip
"""Supplemental metrics, which change no score."""

_VALUES: dict[str, tuple[int, ...]] = {
    "0000": (100, 98, 95, 100, 93, 91, 93, 89, 81),
    "0001": (99, 95, 92, 96, 87, 81, 90, 80, 68),
    "0010": (98, 95, 90, 93, 89, 81, 88, 78, 69),
    "0011": (95, 92, 84, 92, 81, 65, 80, 70, 48),
    "0021": (92, 82, 72, 79, 69, 50, 69, 55, 27),
    "0100": (99, 95, 92, 95, 90, 84, 92, 82, 72),
    "0101": (97, 92, 85, 91, 83, 71, 81, 71, 53),
    "0110": (95, 92, 85, 92, 80, 70, 84, 71, 50),
    "0111": (93, 85, 73, 82, 72, 59, 70, 52, 30),
    "0121": (86, 75, 52, 71, 52, 29, 63, 29, 17),
    "1000": (98, 94, 91, 94, 86, 77, 87, 74, 63),
    "1001": (95, 87, 81, 89, 74, 64, 75, 63, 49),
    "1010": (94, 88, 76, 86, 74, 59, 72, 57, 52),
    "1011": (89, 77, 67, 76, 58, 50, 57, 52, 25),
    "1021": (83, 70, 54, 65, 58, 26, 53, 21, 13),
    "1100": (95, 88, 76, 90, 75, 61, 77, 68, 52),
    "1101": (90, 76, 70, 77, 62, 53, 66, 59, 30),
    "1110": (89, 76, 62, 74, 57, 47, 61, 57, 24),
    "1111": (78, 67, 58, 59, 57, 23, 52, 29, 16),
    "1121": (71, 59, 30, 58, 26, 15, 23, 13, 6),
    "2000": (93, 86, 75, 86, 74, 56, 70, 52, 40),
    "2001": (87, 72, 58, 74, 61, 34, 54, 40, 22),
    "2010": (85, 74, 62, 72, 55, 46, 53, 34, 19),
    "2011": (75, 55, 51, 57, 41, 19, 36, 19, 8),
    "2021": (64, 51, 20, 47, 21, 11, 24, 9, 4),
    "2100": (88, 73, 60, 73, 59, 41, 54, 45, 20),
    "2101": (75, 53, 50, 55, 40, 20, 43, 22, 11),
    "2110": (75, 58, 40, 61, 48, 20, 46, 17, 8),
    "2111": (55, 45, 21, 51, 18, 9, 18, 7, 2),
    "2121": (53, 24, 14, 24, 12, 5, 10, 3, 1),
}
"""EQ1, EQ2, EQ3 and EQ6 → score times ten for each EQ4 and, inside it, each EQ5."""

_HIGHEST: dict[str, dict[str, tuple[str, ...]]] = {
    "AV PR UI": {"0": ("NNN",), "1": ("ANN", "NLN", "NNP"), "2": ("PNN", "ALP")},
    "AC AT": {"0": ("LN",), "1": ("HN", "LP")},
    "VC VI VA CR IR AR": {
        "00": ("HHHHHH",),
        "01": ("HHLMMH", "HHHMMM"),
        "10": ("LHHHHH", "HLHHHH"),
        "11": ("LHLHMH", "LHHHMM", "HLHMHM", "HLLMHH", "LLHHHM"),
        "21": ("LLLHHH",),
    },
    "SC SI SA": {"0": ("HSS",), "1": ("HHH",), "2": ("LLL",)},
}
"""Metrics of a class → the class → its highest severity vectors."""

_DEPTH = {
    "AV PR UI": {"0": 1, "1": 4, "2": 5},
    "AC AT": {"0": 1, "1": 2},
    "VC VI VA CR IR AR": {"00": 7, "01": 6, "10": 8, "11": 8, "21": 10},
    "SC SI SA": {"0": 6, "1": 5, "2": 4},
}
"""Metrics of a class → the class → how many steps lie between its highest and its lowest vector."""


def score_tenths_4(pairs: list[tuple[str, str]]) -> int:
    """Return the score times ten of a vector's metrics, as the vector gives them.

    Threat and environmental metrics count where they are given.

    Raises:
        KeyError: A metric is missing, unknown, given twice, or has a value that it cannot have.

    """
    given = dict(pairs)
    if len(given) != len(pairs):
        raise KeyError("twice")
    for pair in pairs:
        _demand_value(*pair)
    metrics = {name: _effective(given, name) for name in _ORDER}
    if all(metrics[name] == "N" for name in ("VC", "VI", "VA", "SC", "SI", "SA")):
        return 0
    classes = _classes(metrics)
    value = _looked_up(classes)
    if value is None:
        raise KeyError("class")
    drops = [
        (value - lower) * _share(metrics, group, _class_of(classes, group))
        for group in _HIGHEST
        if (lower := _next_lower(classes, group)) is not None
    ]
    # EQ5 has one vector in each class: it counts among the classes and never adds a distance.
    known = len(drops) + (classes[4] < "2")
    score = value - (sum(drops, Fraction(0)) / known if known else 0)
    return max(0, min(100, int(score + Fraction(1, 2))))


def _demand_value(name: str, value: str) -> None:
    if name in _OTHERS:
        fine = value in _OTHERS[name]
    elif name in _MANDATORY:
        fine = value in _ORDER[name] and not (name in _NO_SAFETY and value == "S")
    elif name in _WORST:
        fine = value in _ORDER[name] or value == "X"
    else:
        base = name.removeprefix("M")
        fine = base in _MANDATORY and base != name and (value in _ORDER[base] or value == "X")
        fine = fine and (name, value) != ("MSC", "S")
    if not fine or len(value) == 0:
        raise KeyError(name)


def _effective(given: Mapping[str, str], name: str) -> str:
    """Return what a metric counts as: its modified form, its own value, or the worst one."""
    changed = given.get(f"M{name}", "X") if name in _MANDATORY else "X"
    if changed != "X":
        return changed
    value = given.get(name, "X") if name in _WORST else given[name]
    return _WORST[name] if value == "X" else value


def _classes(metrics: Mapping[str, str]) -> str:
    """Return the macro vector: one digit for each of EQ1 to EQ6."""

    def worst(*names: str) -> list[bool]:
        return [metrics[name] == _ORDER[name][0] for name in names]

    open_to_all = worst("AV", "PR", "UI")
    one = 0 if all(open_to_all) else 1 if any(open_to_all) and metrics["AV"] != "P" else 2
    two = 0 if all(worst("AC", "AT")) else 1
    impact = worst("VC", "VI", "VA")
    three = 0 if all(impact[:2]) else 1 if any(impact) else 2
    after = [metrics[name] for name in ("SC", "SI", "SA")]
    four = 0 if "S" in after[1:] else 1 if "H" in after else 2
    five = _ORDER["E"].index(metrics["E"])
    needed = zip(impact, worst("CR", "IR", "AR"), strict=True)
    six = 0 if any(hit and need for hit, need in needed) else 1
    return f"{one}{two}{three}{four}{five}{six}"


def _looked_up(classes: str) -> int | None:
    """Return the value of a macro vector, or None where there is none of that kind."""
    row = _VALUES.get(classes[:3] + classes[5])
    four, five = int(classes[3]), int(classes[4])
    return row[four * 3 + five] if row and four < 3 and five < 3 else None  # noqa: PLR2004  # classes 0 to 2


def _class_of(classes: str, group: str) -> str:
    """Return the class of a group of metrics; EQ3 and EQ6 belong together."""
    return {
        "AV PR UI": classes[0],
        "AC AT": classes[1],
        "VC VI VA CR IR AR": classes[2] + classes[5],
        "SC SI SA": classes[3],
    }[group]


def _next_lower(classes: str, group: str) -> int | None:
    """Return the value of the next lower class of a group; of two ways down, the higher one."""
    alone = {"AV PR UI": 0, "AC AT": 1, "SC SI SA": 3}
    both: dict[str, tuple[int, ...]] = {"00": (5, 2), "10": (5,)}
    places = (alone[group],) if group in alone else both.get(classes[2] + classes[5], (2,))
    values = [_looked_up(f"{classes[:at]}{int(classes[at]) + 1}{classes[at + 1 :]}") for at in places]
    return max((value for value in values if value is not None), default=None)


def _share(metrics: Mapping[str, str], group: str, own: str) -> Fraction:
    """Return how far a vector lies below its class' highest one, as a share of the class' depth."""
    names = group.split()
    for highest in _HIGHEST[group][own]:
        steps = [
            _ORDER[name].index(metrics[name]) - _ORDER[name].index(top)
            for name, top in zip(names, highest, strict=True)
        ]
        if min(steps) >= 0:
            break
    return Fraction(sum(steps), _DEPTH[group][own])
