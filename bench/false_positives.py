"""How often inspection flags what is benign: real packages, documents and models of the registries.

    python bench/false_positives.py [--quick] [--json] [--folder FOLDER] [--only wheels,npm]

The packages are those of ``bench/measure/benign.toml``, as their registries offer them today. Each is
inspected as a crossing would; `flagged` are verdicts of `findings` without those that the list names as true
(a file that attacks in a test of a parser is one). Ratios are flagged over all files of a kind (goal: 0.01),
and `incomplete_KIND` the share of those that something is not understood of. `--folder` keeps what was
brought. Needs pip, npm and apt-get with their registries; a kind whose registry does not answer is left out.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measure import benign

from lockgate.app.gate.inspection import Inspected, inspect_paths
from lockgate.core.artifact import Kind
from lockgate.core.verdict import Outcome, Severity

QUICK = {"wheels": 8, "sdists": 2, "npm": 10, "debs": 10}
ARTIFACTS = {"wheels": Kind.PYTHON, "sdists": Kind.PYTHON, "npm": Kind.NPM, "debs": Kind.APT}
SHOWN = 6


@dataclass
class Row:
    """What became of the files of one kind."""

    kind: str
    files: int = 0
    mib: float = 0.0
    seconds: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)
    flagged: list[str] = field(default_factory=list)
    true: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def above(result: Inspected) -> list[str]:
    """Return the codes of a file's findings above information, the most frequent first."""
    codes = [f.code for f in result.verdict.findings if f.severity is not Severity.INFO]
    return [code for code, _ in Counter(codes).most_common()]


def is_true(name: str, codes: list[str], known: dict[str, str]) -> bool:
    """Return whether the list says that each finding of a file is true."""
    return all(
        any(name.startswith(k.rpartition(" ")[0]) and k.endswith(f" {code}") for k in known) for code in codes
    )


def measure(kind: str, files: list[Path], artifact: Kind | None, missing: list[str]) -> Row:
    """Inspect files and count."""
    row, known = Row(kind, missing=missing), benign.known()
    for result in inspect_paths(files, artifact):
        verdict, name = result.verdict, result.path.name
        row.files += 1
        row.mib += verdict.size / (1 << 20)
        row.seconds += result.seconds
        row.outcomes[verdict.outcome] = row.outcomes.get(verdict.outcome, 0) + 1
        if verdict.outcome is Outcome.FINDINGS:
            codes = above(result)
            told = [f for f in verdict.findings if f.severity is not Severity.INFO]
            for found in told[:SHOWN]:
                print(f"{name}: {found.severity} {found.code} {found.where}: {found.why}", file=sys.stderr)
            (row.true if is_true(name, codes, known) else row.flagged).append(f"{name}: {', '.join(codes)}")
        elif verdict.outcome is Outcome.INCOMPLETE:
            unread = [
                f for f in verdict.findings if f.code.endswith(("type", "malformed", "member", "limit"))
            ]
            why = "; ".join(
                f"{f.code} {f.where.rpartition('!')[2]}" for f in (unread or verdict.findings)[:SHOWN]
            )
            row.unread.append(f"{name}: {why}")
    row.seconds = round(row.seconds, 1)
    row.mib = round(row.mib, 1)
    return row


def run(folder: Path, only: set[str], *, quick: bool) -> dict[str, object]:
    """Bring, inspect and return the findings."""
    rows = []
    for kind in (kind for kind in benign.KINDS if not only or kind in only):
        missing = benign.bring(kind, benign.names(kind, QUICK[kind] if quick else 0), folder / kind)
        files = sorted((folder / kind).iterdir())
        if files:
            rows.append(measure(kind, files, ARTIFACTS[kind], missing))
    inside = [kind for kind in benign.INSIDE if not only or kind in only]
    missing = [] if quick or not inside else _carriers(folder)
    benign.copy_out(inside, _there(folder), folder)
    for kind in inside:
        if files := sorted((folder / kind).iterdir()):
            rows.append(measure(kind, files, None, missing))
            missing = []
    ratios = {f"flagged_{row.kind}": round(len(row.flagged) / row.files, 4) for row in rows}
    ratios |= {f"incomplete_{row.kind}": round(len(row.unread) / row.files, 4) for row in rows}
    every = sum(row.files for row in rows)
    ratios["flagged"] = round(sum(len(row.flagged) for row in rows) / max(1, every), 4)
    machine = {"cpu": platform.processor(), "cores": os.cpu_count(), "python": platform.python_version(),
               "load": os.getloadavg(), "date": time.strftime("%Y-%m-%d")}  # fmt: skip
    return {"machine": machine, "ratios": ratios, "rows": [asdict(row) for row in rows]}


def _carriers(folder: Path) -> list[str]:
    """Bring what documents and models are taken of besides; return what is not to be had."""
    return [
        name
        for kind in benign.KINDS
        for name in benign.bring(kind, benign.carriers(kind), folder / "carriers" / kind)
    ]


def _there(folder: Path) -> list[Path]:
    """Return the packages that were brought, carriers last."""
    folders = [place / kind for place in (folder, folder / "carriers") for kind in benign.KINDS]
    return [path for place in folders if place.is_dir() for path in sorted(place.iterdir())]


def show(found: dict[str, object]) -> None:
    """Print the findings for people."""
    heads = ("files", "MiB", "clean", "opaque", "incomplete", "findings", "true", "flagged", "seconds")
    print(f"{'':12}" + "".join(f"{head:>11}" for head in heads))
    for row in found["rows"]:  # type: ignore[attr-defined]
        counts = [row["outcomes"].get(name, 0) for name in ("clean", "opaque", "incomplete", "findings")]
        cells = [row["files"], row["mib"], *counts, len(row["true"]), len(row["flagged"]), row["seconds"]]
        print(f"{row['kind']:12}" + "".join(f"{cell:>11}" for cell in cells))
    for row in found["rows"]:  # type: ignore[attr-defined]
        for name in ("flagged", "true", "unread", "missing"):
            for line in row[name]:
                print(f"{row['kind']} {name}: {line}")
    for name, value in found["ratios"].items():  # type: ignore[attr-defined]
        print(f"{name:>24}{value:>10}")


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few packages of each kind")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--folder", type=Path, help="keeps what was brought, for the next run")
    parser.add_argument("--only", default="", help="kinds, with commas between")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        only = {kind for kind in options.only.split(",") if kind}
        found = run(options.folder or Path(made), only, quick=options.quick)
    if options.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
