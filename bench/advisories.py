"""How fast packages are matched against advisories, at first and after a few of them changed.

    python bench/advisories.py [--quick] [--json] [--folder FOLDER]

100,000 packages of three ecosystems meet 250,000 generated advisories in files. The peer is a bare loop
over the same pairs of versions and bounds in memory with `packaging`: no files, no aliases, no severity,
no fixed version. ``incremental_s`` is the same question after another data set changed one advisory in a
hundred. Loading is not part of the question; its time and peak are shown. Each step runs in a process of
its own, whose peak of memory counts.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from packaging.version import Version

sys.path.insert(0, str(Path(__file__).resolve().parent))

from crossing import Round, machine, measured

from lockgate.advisories import Freshness, Loading, Matched, Outcome, Shelf, Wish, load, match_all
from lockgate.core.ports import Silent

NOW = datetime(2026, 3, 10, tzinfo=UTC)
FRESH = Freshness(NOW, 14 * 86_400)
PACKAGES, ADVISORIES = 100_000, 250_000
QUICK = 10
ECOSYSTEMS = (("PyPI", "pkg:pypi/{}"), ("npm", "pkg:npm/{}"), ("Debian", "pkg:deb/debian/{}"))
NAMES_SHARE = 3
"""A name has this many advisories on average; half of the packages asked about have one."""


@dataclass(frozen=True)
class Row:
    """One measurement."""

    what: str
    wall_s: float
    cpu_s: float
    peak_rss_mb: float


@dataclass(frozen=True)
class Scene:
    """What is generated: where it lies and how much of it there is."""

    folder: Path
    packages: int
    advisories: int

    @property
    def names(self) -> int:
        """Return how many packages of each ecosystem have an advisory."""
        return self.advisories // NAMES_SHARE // len(ECOSYSTEMS)

    def record(self, number: int, salt: str) -> tuple[str, str, str, str]:
        """Return ecosystem, name and bounds of an advisory."""
        rng = random.Random(f"{salt}{number}")  # noqa: S311  # data, not keys
        ecosystem = ECOSYSTEMS[number % len(ECOSYSTEMS)][0]
        low = f"{rng.randint(0, 3)}.{rng.randint(0, 20)}.0"
        high = f"{rng.randint(3, 6)}.{rng.randint(0, 20)}.0"
        return ecosystem, f"package{rng.randrange(self.names)}", low, high

    def write(self, path: Path, share: int, salt: str) -> None:
        """Write an archive; one advisory in `share` is another one than under the first salt."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
            for number in range(self.advisories):
                changed = share and number % share == 0
                ecosystem, name, low, high = self.record(number, salt if changed else "first")
                base = ecosystem if ecosystem != "Debian" else "Debian:12"
                events = [{"introduced": low}, {"fixed": high}]
                affected = {
                    "package": {"ecosystem": base, "name": name},
                    "ranges": [{"type": "ECOSYSTEM", "events": events}],
                }
                record = {
                    "id": f"GEN-{number}",
                    "modified": "2026-03-09T00:00:00Z" if changed else "2026-03-01T00:00:00Z",
                    "published": "2026-01-01T00:00:00Z",
                    "aliases": [f"CVE-2026-{number}"],
                    "summary": "A generated advisory " * 4,
                    "severity": [
                        {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}
                    ],
                    "affected": [affected],
                }
                out.writestr(f"GEN-{number}.json", json.dumps(record))

    def purls(self) -> list[str]:
        """Return the package URLs that are asked about; half of the names are known."""
        rng = random.Random("packages")  # noqa: S311  # data, not keys
        found = []
        for number in range(self.packages):
            known = f"package{rng.randrange(self.names)}" if number % 2 else f"unknown{number}"
            version = f"{rng.randint(0, 7)}.{rng.randint(0, 20)}.{rng.randint(0, 9)}"
            pattern = ECOSYSTEMS[number % len(ECOSYSTEMS)][1]
            release = "?distro=debian-12" if "deb/" in pattern else ""
            found.append(f"{pattern.format(known)}@{version}{release}")
        return found

    def pairs(self) -> list[tuple[str, str, str]]:
        """Return version and bounds of each comparison that the question needs."""
        bounds: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for number in range(self.advisories):
            ecosystem, name, low, high = self.record(number, "first")
            bounds.setdefault((ecosystem, name), []).append((low, high))
        found = []
        for number, purl in enumerate(self.purls()):
            ecosystem = ECOSYSTEMS[number % len(ECOSYSTEMS)][0]
            name, _, version = purl.partition("?")[0].rpartition("/")[2].partition("@")
            found += [(version, low, high) for low, high in bounds.get((ecosystem, name), ())]
        return found

    def load(self, path: Path) -> None:
        """Load an archive."""
        load(Shelf(self.folder / "data"), path, Wish(name="osv/all"), Loading(NOW, Silent()))

    def match(self, before: Path | None, answers: Path) -> None:
        """Ask everything, after reading earlier answers if there are some, and write the answers."""
        earlier = msgspec.msgpack.decode(before.read_bytes(), type=list[Matched]) if before else []
        data = Shelf(self.folder / "data").open()
        found = match_all(data, self.purls(), FRESH, {answer.purl: answer for answer in earlier})
        data.close()
        answers.write_bytes(msgspec.msgpack.encode(found))


def row(what: str, found: Round) -> Row:
    """Return a measurement."""
    return Row(what, round(found.wall, 2), round(found.cpu, 2), round(found.peak, 1))


def bare(pairs: list[tuple[str, str, str]]) -> int:
    """Compare in a plain loop, as somebody would write it with `packaging`."""
    return sum(Version(low) <= Version(version) < Version(high) for version, low, high in pairs)


def run(scene: Scene) -> dict[str, object]:
    """Measure everything; return machine, ratios and rows."""
    facts = machine({"folder": scene.folder}) | {"load_before": os.getloadavg()}
    first, second = scene.folder / "first.zip", scene.folder / "second.zip"
    one, two = scene.folder / "one.msgpack", scene.folder / "two.msgpack"
    scene.write(first, 0, "")
    scene.write(second, 100, "second")
    loading = measured(lambda: scene.load(first))
    matching = measured(lambda: scene.match(None, one))
    pairs = scene.pairs()
    looping = measured(lambda: bare(pairs))
    loading_again = measured(lambda: scene.load(second))
    again = measured(lambda: scene.match(one, two))
    answers = msgspec.msgpack.decode(one.read_bytes(), type=list[Matched])
    affected = sum(answer.outcome is Outcome.AFFECTED for answer in answers)
    facts |= {
        "packages": scene.packages,
        "advisories": scene.advisories,
        "comparisons": len(pairs),
        "affected": affected,
        "found": sum(len(answer.found) for answer in answers),
        "load_after": os.getloadavg(),
    }
    rows = [
        row("load", loading),
        row("match", matching),
        row("bare packaging loop", looping),
        row("load again", loading_again),
        row("match again", again),
    ]
    ratios = {
        "match_100k_s": round(matching.wall, 2),
        "incremental_s": round(again.wall, 2),
        "peak_rss_mb": round(max(r.peak_rss_mb for r in rows), 1),
        "match_vs_packaging": round(matching.cpu / looping.cpu, 2),
        "load_250k_s": round(loading.wall, 2),
    }
    return {"machine": facts, "ratios": ratios, "rows": [asdict(r) for r in rows]}


def show(found: dict[str, object]) -> None:
    """Print the findings for people."""
    for part in ("machine", "ratios"):
        for name, value in found[part].items():  # type: ignore[attr-defined]
            print(f"{name:>20}: {value}")
    for line in found["rows"]:  # type: ignore[attr-defined]
        times = f"{line['wall_s']:8.2f} s, CPU {line['cpu_s']:8.2f} s"
        print(f"{line['what']:>20}: {times}, {line['peak_rss_mb']:8.1f} MB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--folder", type=Path, default=None, help="where the data is made")
    chosen = parser.parse_args()
    part = QUICK if chosen.quick else 1
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-", dir=chosen.folder) as folder:
        found = run(Scene(Path(folder), PACKAGES // part, ADVISORIES // part))
    if chosen.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
