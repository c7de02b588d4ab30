"""Reads harmless texts out of wheels: what people ask, tell models to be, write for readers and translate.

Programs in them are parsed for the texts in them and never run.
"""

import ast
import gzip
import json
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice

from grammar import Text

Reader = Callable[[zipfile.ZipFile, random.Random], Iterator[Text]]
"""Yields the texts of a wheel."""

_SENTENCES = re.compile(r"^msgid (.*?)^msgstr (.*?)(?=^\s*$|^#|\Z)", re.MULTILINE | re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_LANGUAGES = {
    "de": "de", "fr": "fr", "es": "es", "it": "it", "pt_BR": "pt", "nl": "nl", "pl": "pl", "ru": "ru",
    "ja": "ja", "sv": "sv", "tr": "tr", "cs": "cs", "uk": "uk", "zh_Hans": "zh", "de_DE": "de",
    "fr_FR": "fr", "es_ES": "es", "it_IT": "it", "pl_PL": "pl", "tr_TR": "tr", "uk_UA": "uk", "cs_CZ": "cs",
    "zh_Hans_CN": "zh",
}  # fmt: skip
_ABOUT_ATTACKS = re.compile(
    r"jailbreak|inject|attack|adversar|red_?team|harm|safety|toxic|override|naughty|sandbag|steganogra"
    r"|promptbench|guardrail|self_prompting|make_me_say|poison"
)
"""Files and folders whose texts may be no harmless ones."""

_OTHER_LICENCES = re.compile(r"/(?:text_compression|schelling_point|theory_of_mind|already_said_that)/")
"""What the licence of openai/evals names as under licences of others."""

_SPEAKS_TO = re.compile(r"\b(?:you|your|please|answer|respond|reply|output|write)\b")
"""Words of a request: such a text is harmless from a user and may not be in a document."""

PER_FOLDER = 24
"""Most texts that are taken of one folder of evaluations."""


def evaluations(archive: zipfile.ZipFile, _: random.Random) -> Iterator[Text]:
    """Yield what hundreds of people ask models in their evaluations (openai/evals)."""
    root, taken = "evals/registry/data/", {}
    for name in sorted(archive.namelist()):
        if not (name.startswith(root) and name.endswith(".jsonl")):
            continue
        if _ABOUT_ATTACKS.search(name) or _OTHER_LICENCES.search(name):
            continue
        folder = name.removeprefix(root).split("/")[0]
        with archive.open(name) as lines:
            for line in islice(lines, 0, 120, 5):
                for text in _asked(line):
                    if taken.setdefault(folder, 0) < PER_FOLDER:
                        taken[folder] += 1
                        yield Text(
                            text[:6000], 0, None, "evaluation", "en", "openai-evals", f"evals {folder}"
                        )


def asked_in(archive: zipfile.ZipFile, per_folder: int) -> Iterator[str]:
    """Yield what people ask models in their evaluations, so much of each folder, without labels."""
    root, taken = "evals/registry/data/", {}
    for name in sorted(archive.namelist()):
        if not (name.startswith(root) and name.endswith(".jsonl")):
            continue
        if _ABOUT_ATTACKS.search(name) or _OTHER_LICENCES.search(name):
            continue
        folder = name.removeprefix(root).split("/")[0]
        with archive.open(name) as lines:
            for line in islice(lines, per_folder):
                for text in _asked(line):
                    if taken.setdefault(folder, 0) < per_folder:
                        taken[folder] += 1
                        yield text


def _asked(line: bytes) -> Iterator[str]:
    """Yield the last turn of a user, and what the system says before it with it."""
    try:
        asked = json.loads(line).get("input")
    except (ValueError, AttributeError):
        return
    if isinstance(asked, str):
        yield asked
    elif isinstance(asked, list) and all(isinstance(turn, dict) for turn in asked):
        said = [str(turn.get("content", "")) for turn in asked if turn.get("role") == "user"]
        system = " ".join(str(turn.get("content", "")) for turn in asked if turn.get("role") == "system")
        if said:
            yield said[-1]
        if system:
            yield f"{system}\n{said[-1] if said else ''}"


def prompts_in_code(source: str, most: int, per_file: int = 12) -> Reader:
    """Return a reader of the longer texts in a package's programs and YAML: prompts and explanations."""

    def read(archive: zipfile.ZipFile, rng: random.Random) -> Iterator[Text]:
        found: list[Text] = []
        for name in sorted(archive.namelist()):
            if _ABOUT_ATTACKS.search(name.lower()) or not name.endswith((".py", ".yaml", ".yml", ".txt")):
                continue
            data = archive.read(name).decode(errors="ignore")
            texts = list(dict.fromkeys(constants_of(data) if name.endswith(".py") else [data]))
            group = f"{source} {name.rsplit('/', 1)[0]}"
            for text in rng.sample(texts, min(per_file, len(texts))):
                there = None if _SPEAKS_TO.search(text.lower()) else 0
                found.append(Text(text[:5000], 0, there, "prompts in code", "en", source, group))
        yield from rng.sample(found, min(most, len(found)))

    return read


def constants_of(program: str) -> Iterator[str]:
    """Yield the longer texts in a program that are not about attacks."""
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value.strip()
            if len(text) > 60 and text.count(" ") > 6 and not _ABOUT_ATTACKS.search(text.lower()):
                yield text


def translations(source: str, most: int) -> Reader:
    """Return a reader of a package's translated sentences, single and together as a document."""

    def read(archive: zipfile.ZipFile, rng: random.Random) -> Iterator[Text]:
        for language, sentences in sorted(translated(archive).items()):
            distinct = sorted(set(sentences))
            rng.shuffle(distinct)
            share = most if language in {"en", "de", "fr", "es"} else most // 4
            for number in range(min(share, len(distinct))):
                if number % 3:
                    text = distinct[number]
                else:
                    text = rng.choice((" ", "\n", "\n\n")).join(rng.choices(distinct, k=rng.randint(3, 25)))
                group = f"{source} {language} {number % 9}"
                yield Text(text[:4000], 0, 0, "translation", language, source, group)

    return read


def translated(archive: zipfile.ZipFile, *, every: bool = False) -> dict[str, list[str]]:
    """Return the sentences of a wheel's catalogues by their language, the originals as English.

    Args:
        archive: The wheel.
        every: Languages that the grammars lack too, by their own names.

    """
    by_language: dict[str, list[str]] = {}
    for name in sorted(archive.namelist()):
        code = name.split("/")[-3] if name.count("/") > 2 else ""
        language = _LANGUAGES.get(code, code if every else "")
        if not language or not name.endswith(".po"):
            continue
        for original, other in _SENTENCES.findall(archive.read(name).decode(errors="ignore")):
            if "msgid" in original:  # with a plural: several sentences run together
                continue
            for code, part in ((language, other), ("en", original)):
                text = "".join(_QUOTED.findall(part)).replace("\\n", "\n").replace('\\"', '"')
                if len(text) > 25:
                    by_language.setdefault(code, []).append(text)
    return by_language


def programs(source: str, most: int) -> Reader:
    """Return a reader of parts of a package's programs."""

    def read(archive: zipfile.ZipFile, rng: random.Random) -> Iterator[Text]:
        names = [
            name for name in sorted(archive.namelist()) if name.endswith((".py", ".js", ".html", ".css"))
        ]
        for name in rng.sample(names, min(most, len(names))):
            data = archive.read(name).decode(errors="ignore")
            at = rng.randrange(max(1, len(data) - 1500))
            if not _ABOUT_ATTACKS.search(name.lower()) and len(data) > 100:
                text = data[at : at + rng.choice((200, 600, 1500))]
                yield Text(text, 0, 0, "program", "xx", f"code {source}", f"code {name}")

    return read


def service_documents(archive: zipfile.ZipFile, rng: random.Random) -> Iterator[Text]:
    """Yield what the documentation of hundreds of services says (botocore)."""
    names = [
        name for name in sorted(archive.namelist()) if name.endswith(("service-2.json", "service-2.json.gz"))
    ]
    for name in rng.sample(names, min(160, len(names))):
        data = archive.read(name)
        described = json.loads(gzip.decompress(data) if name.endswith(".gz") else data)
        found = sorted(set(_documentation(described)))
        group = f"botocore {name.split('/')[2]}"
        for text in rng.sample(found, min(14, len(found))):
            yield Text(text[:6000], 0, 0, "service documentation", "en", "botocore", group)
        if found:
            together = "\n\n".join(rng.choices(found, k=rng.randint(3, 12)))[:5000]
            yield Text(together, 0, 0, "service documentation", "en", "botocore", group)


def _documentation(value: object) -> Iterator[str]:
    """Yield the longer texts under `documentation`, without their tags."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "documentation" and isinstance(each, str):
                text = re.sub(r"<[^>]+>", "", each).strip()
                if len(text) > 120:
                    yield text
            else:
                yield from _documentation(each)
    elif isinstance(value, list):
        for each in value:
            yield from _documentation(each)
