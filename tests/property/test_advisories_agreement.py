"""A second evaluation: 10,000 random versions and ranges, judged by `packaging` and by `univers`."""

import random
from itertools import pairwise

import pytest
from packaging.version import Version
from univers import versions as univers

from lockgate.advisories.match import affects
from lockgate.advisories.model import Entry, Event, Range

PAIRS = 10_000


def _numbers(rng: random.Random) -> str:
    return ".".join(str(rng.choice((0, 1, 2, 9, 10, 11))) for _ in range(rng.randint(1, 4)))


def pypi(rng: random.Random) -> str:
    epoch = rng.choice(("", "", "", "1!"))
    pre = rng.choice(("", "", "a1", "b2", "rc1", "rc10"))
    return epoch + _numbers(rng) + pre + rng.choice(("", "", ".post1")) + rng.choice(("", "", ".dev3"))


def npm(rng: random.Random) -> str:
    numbers = ".".join(str(rng.choice((0, 1, 2, 9, 10))) for _ in range(3))
    return numbers + rng.choice(("", "", "-alpha", "-alpha.1", "-alpha.beta", "-rc.2", "-rc.10", "-1"))


def debian(rng: random.Random) -> str:
    epoch = rng.choice(("", "", "1:", "2:"))
    tail = rng.choice(
        ("", "~rc1", "+dfsg", "a", "~~", "+git2024", "-1", "-1~deb12u1", "-1+b2", "-10", "-2.1")
    )
    return epoch + _numbers(rng) + tail


SCHEMES = {
    "PyPI": (pypi, Version),
    "PyPI by univers": (pypi, univers.PypiVersion),
    "npm": (npm, univers.SemverVersion),
    "Debian": (debian, univers.DebianVersion),
    "Red Hat": (debian, univers.RpmVersion),
    "Maven": (npm, univers.MavenVersion),
}


def case(rng: random.Random, make, kind) -> tuple[list[Event], str]:
    """Return ordered bounds as events in a random order, and a version, often one of the bounds."""
    bounds = sorted((make(rng) for _ in range(rng.randint(1, 5))), key=kind)
    bounds = [b for n, b in enumerate(bounds) if n == 0 or kind(bounds[n - 1]) < kind(b)]
    events = []
    for number, bound in enumerate(bounds):
        closing = rng.choice(("fixed", "last_affected"))
        events.append(Event("introduced" if number % 2 == 0 else closing, bound))
    if rng.random() < 0.3:
        events[0] = Event("introduced", "0")
    rng.shuffle(events)
    return events, rng.choice([make(rng), make(rng), rng.choice(bounds)])


def independent(events: list[Event], version: str, kind) -> bool:
    """Say whether a version lies in one of the intervals; made from the text of the schema alone."""
    rest = sorted(
        (e for e in events if e.version != "0" or e.kind != "introduced"), key=lambda e: kind(e.version)
    )
    first = [e for e in events if e not in rest]
    ordered = [*first, *rest]
    wanted = kind(version)
    for begin, end in pairwise([*ordered, None]):
        if begin is None or begin.kind != "introduced":
            continue
        above = begin in first or wanted >= kind(begin.version)
        below = end is None or (
            wanted < kind(end.version) if end.kind == "fixed" else wanted <= kind(end.version)
        )
        if above and below:
            return True
    return False


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_matcher_agrees_with_an_independent_evaluation(scheme: str) -> None:
    make, kind = SCHEMES[scheme]
    rng = random.Random(f"lockgate {scheme}")  # noqa: S311  # cases, not keys
    ecosystem = scheme.partition(" by ")[0]
    answers = set()
    for _ in range(PAIRS):
        events, version = case(rng, make, kind)
        entry = Entry("A-1", (), (Range("ECOSYSTEM", tuple(events)),))
        answer = affects(entry, ecosystem, version)
        assert answer == independent(events, version, kind), (events, version)
        answers.add(answer)
    assert answers == {True, False}
