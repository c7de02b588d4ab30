"""Ranges and orders as npm's own library reads them: the same answers over many cases."""

import json
import random
import shutil
import subprocess
from pathlib import Path

from lockgate.advisories import npm_range
from lockgate.advisories.match import affects
from lockgate.advisories.model import Entry, Event, Range
from lockgate.core.npm import version_key

_JUDGE = """
const semver = require(process.argv[1]);
const cases = JSON.parse(require('fs').readFileSync(0));
const loose = {includePrerelease: true, loose: true};
console.log(JSON.stringify(cases.map(([v, r]) => semver.satisfies(v, r, loose))));
"""
_ORDER = """
const semver = require(process.argv[1]);
const versions = JSON.parse(require('fs').readFileSync(0));
console.log(JSON.stringify(versions.sort(semver.compare)));
"""


def library():
    """Return where the machine's npm keeps the library that it compares versions with."""
    npm = shutil.which("npm")
    places = [Path(npm).resolve().parents[1] / "node_modules/semver"] if npm else []
    return next((p for p in [*places, Path("/usr/share/nodejs/semver")] if p.is_dir()), None)


CASES = 3000


class Dice:
    """The same throws every time."""

    def __init__(self, seed):
        self.random = random.Random(seed)  # noqa: S311  # test data

    def version(self):
        numbers = ".".join(str(self.random.randint(0, 3)) for _ in range(3))
        suffix = self.random.choice(["", "", "", "-0", "-1", "-2", "-10", "-a", "-a.1", "-rc.1", "-rc.2"])
        return numbers + suffix

    def entry(self):
        events = []
        for _ in range(self.random.randint(1, 3)):
            events.append(Event("introduced", self.random.choice(["0", self.version()])))
            if self.random.random() < 0.6:
                kind = self.random.choice(["fixed", "last_affected"])
                events.append(Event(kind, self.version()))
        listed = tuple(self.version() for _ in range(self.random.randint(0, 2)))
        return Entry("A", versions=listed, ranges=(Range("SEMVER", tuple(events)),))


def node(program, value):
    done = subprocess.run(
        ["node", "-e", program, str(library())],
        input=json.dumps(value),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


def test_npm_reads_our_ranges_as_we_mean_them():
    """Never less than we mean; more only where events at one version could be read in two orders."""
    dice = Dice(1)
    cases = [(dice.entry(), dice.version()) for _ in range(CASES)]
    ranges = [npm_range([entry]) for entry, _ in cases]
    ours = [affects(entry, "npm", version) for entry, version in cases]
    theirs = node(_JUDGE, [[version, text] for (_, version), text in zip(cases, ranges, strict=True)])
    told = list(zip(cases, ranges, ours, theirs, strict=True))
    assert 0.2 < sum(ours) / CASES < 0.8
    assert [(case, text) for case, text, mine, other in told if mine and not other] == []
    added = [(case, text) for case, text, mine, other in told if other and not mine]
    assert [one for one in added if not _equal_events(one[0][0])] == []


def _equal_events(entry):
    places = [version_key(e.version) for r in entry.ranges for e in r.events if e.version != "0"]
    zeros = sum(e.version == "0" for r in entry.ranges for e in r.events)
    return len(set(places)) < len(places) or zeros > 1


def test_versions_sort_as_npm_sorts_them():
    dice = Dice(2)
    listed = sorted({dice.version() for _ in range(500)})
    assert node(_ORDER, listed) == sorted(listed, key=version_key)
