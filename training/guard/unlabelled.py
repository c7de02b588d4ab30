"""Texts that nobody labelled: what the teacher is asked about beside what is labelled.

They come from the wheels of training alone: questions of evaluations, all of a contest, prompts in programs,
documentation, translated sentences, and more of the grammars.
"""

import json
import random
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from carriers import carried
from grammar import FOLDER as GRAMMARS
from grammar import LANGUAGES, Grammar, Text, hidden_in, made
from harmless import asked_in, constants_of, translated

FOLDER = Path(__file__).parent / "asides"

SHORTEST, LONGEST = 12, 4000
"""Bounds of a text, in characters."""

PER_FOLDER, PER_WHEEL, PER_FILE, FILES, SENTENCES = 90, 3500, 10, 1200, 250
LARGEST = 400_000
"""Largest file that is read for prose, in bytes."""

ENGLISH = {"direct": 16_000, "indirect": 5000, "benign": 16_000, "documents": 4000}
OTHERS = {"direct": 900, "indirect": 300, "benign": 900, "documents": 200}
LINES = {"en": (9000, 5000), "de": (1800, 900), "fr": (1800, 900), "es": (1800, 900)}
FEWEST = (700, 350)
"""How many unseen orders and ordinary lines a language has: English, larger grammars, the others."""

_PROSE = (".py", ".md", "METADATA", ".rst", ".txt", ".yaml")


def texts(wheels: Path, seed: int) -> Iterator[str]:
    """Yield texts without labels, each cut to what is looked at."""
    rng = random.Random(f"unlabelled {seed}")  # noqa: S311  # repeatable
    for wheel in sorted(wheels.glob("*.whl")):
        if wheel.name.startswith(("numpy", "scipy", "pyyaml", "torch", "tokenizers", "gt_all")):
            continue
        with zipfile.ZipFile(wheel) as archive:
            for text in _taken(wheel.name.split("-")[0], archive, rng):
                if len(text) > SHORTEST:
                    yield text[:LONGEST]
    for language in LANGUAGES:
        yield from (t.text for t in made(language, ENGLISH if language == "en" else OTHERS, seed + 1))


def _taken(name: str, archive: zipfile.ZipFile, rng: random.Random) -> Iterator[str]:
    if name == "evals":
        yield from asked_in(archive, PER_FOLDER)
    if name == "prompt_armor":
        rows = archive.read("prompt_armor/data/attacks/known_attacks.jsonl").decode().splitlines()
        found = (json.loads(row) for row in rows if row.strip())
        yield from (str(row["text"]) for row in found if row["source"] == "satml-ctf-2024")
    prose = list(_prose(archive, rng))
    yield from rng.sample(prose, min(PER_WHEEL, len(prose)))
    for _, sentences in sorted(translated(archive, every=True).items()):
        distinct = sorted(set(sentences))
        yield from rng.sample(distinct, min(SENTENCES, len(distinct)))


def _prose(archive: zipfile.ZipFile, rng: random.Random) -> Iterator[str]:
    names = [name for name in sorted(archive.namelist()) if name.endswith(_PROSE)]
    for name in rng.sample(names, min(FILES, len(names))):
        if archive.getinfo(name).file_size > LARGEST:
            continue
        data = archive.read(name).decode(errors="ignore")
        parts = list(dict.fromkeys(constants_of(data) if name.endswith(".py") else data.split("\n\n")))
        yield from rng.sample(parts, min(PER_FILE, len(parts)))


def unseen(documents: list[Text], seed: int) -> Iterator[Text]:
    """Yield orders of the grammars of unseen text alone, carried and in documents, and ordinary lines."""
    rng = random.Random(f"unseen {seed}")  # noqa: S311  # repeatable
    for path in sorted(FOLDER.glob("*.toml")):
        grammar, language = Grammar(path.stem, FOLDER), path.stem
        own = Grammar(language if (GRAMMARS / f"{language}.toml").exists() else "en")
        there = [each for each in documents if each.language == language] or documents
        for kind, count, label in zip(
            ("attack", "ordinary"), LINES.get(language, FEWEST), (1, 0), strict=True
        ):
            for number, line in enumerate(grammar.lines(kind, count, rng)):
                group = f"aside {language} {kind} {number}"
                text = Text(line, None, label, "aside", language, "aside", group, line if label else "")
                yield from _placed(text, own, there, rng)


def _placed(text: Text, own: Grammar, documents: list[Text], rng: random.Random) -> Iterator[Text]:
    """Yield a line where it may stand."""
    place = rng.random()
    before, after = own.say("{doc}", rng), own.say("{doc}", rng)
    put = Text(
        carried(text.text, before, after, rng), None, text.foreign, "aside", text.language, "aside",
        text.group, text.order,
    )  # fmt: skip
    if not text.foreign:
        yield text
        if place < 1 / 3:
            yield put
    elif place < 1 / 4:
        yield text
    elif place < 1 / 2:
        yield put
    else:
        document = replace(rng.choice(documents), language=text.language)
        yield from hidden_in([document], [text], rng.randrange(1 << 30))
