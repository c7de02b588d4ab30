"""Makes texts out of the grammars: attacks and harmless texts of each family and language."""

import random
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from carriers import carried

_PLACES = re.compile(r"[.!?:;]\s|\n")
_FIELDS = ("content", "body", "note", "review", "description", "title", "subject", "comment", "id", "from")

CARRIED = 0.45
"""Which share of orders, and of harmless documents, stands in something of a known form."""

FOLDER = Path(__file__).parent / "grammar"
LANGUAGES = (
    "en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "tr", "zh", "ja", "ko", "ar", "hi", "sv",
    "cs", "uk", "id",
)  # fmt: skip
DEPTH = 9
"""How often what fills a slot may name slots again."""

_SLOT = re.compile(r"(?<!\{)\{([a-z_0-9]+)\}(?!\})")


@dataclass(frozen=True, slots=True)
class Text:
    """One text with its labels.

    Attributes:
        text: As somebody would write it.
        user: 1 where it attacks as a user's turn, 0 where it is harmless there, None where neither is said.
        foreign: The same where it stands in a document or a tool's answer.
        family: What kind it is; families are held out as a whole.
        language: Its language (ISO 639-1), or ``xx``.
        source: Where it comes from; sources are held out as a whole.
        group: Texts of one group are too alike to stand on both sides of a split.
        order: The part of it that attacks; empty where all of it does, or nothing.

    """

    text: str
    user: int | None
    foreign: int | None
    family: str
    language: str
    source: str
    group: str
    order: str = ""


class Grammar:
    """The grammar of one language."""

    def __init__(self, language: str, folder: Path = FOLDER) -> None:
        """Read it, with the files beside it that are named after it."""
        self.language = language
        self._parts: dict[str, dict[str, list[str]]] = {}
        self._once: set[str] = set()
        for path in (folder / f"{language}.toml", *sorted(folder.glob(f"{language}-*.toml"))):
            found = tomllib.loads(path.read_text())
            self._once |= set(found.pop("once", ()))
            for kind, parts in found.items():
                self._parts.setdefault(kind, {}).update(parts)

    def lines(self, kind: str, count: int, rng: random.Random) -> Iterator[str]:
        """Yield lines of a kind, over its families alike."""
        families = self.families(kind)
        for templates in families.values():
            for number in range(count // len(families)):
                yield self.say(templates[number % len(templates)], rng)

    def say(self, template: str, rng: random.Random) -> str:
        """Fill a template's slots, and those of what fills them; some are filled alike all over a text."""
        alike: dict[str, str] = {}

        def member(match: re.Match[str]) -> str:
            name = match[1]
            if name not in self._once:
                return rng.choice(self._parts["slots"][name])
            return alike.setdefault(name, rng.choice(self._parts["slots"][name]))

        for _ in range(DEPTH):
            filled = _SLOT.sub(member, template)
            if filled == template:
                break
            template = filled
        text = re.sub(r" +", " ", template.replace("{{", "{").replace("}}", "}"))
        text = re.sub(r" ([.,;])(?= |$)", r"\1", text).strip(" ")
        return text[:1].upper() + text[1:] if rng.random() < 0.8 else text

    def families(self, kind: str) -> dict[str, list[str]]:
        """Return the templates of a kind, by family."""
        return self._parts[kind]


_LABELS = {"direct": (1, 1), "indirect": (None, 1), "benign": (0, None), "documents": (0, 0)}
_ANYWHERE = frozenset({"ask", "code", "quoted", "words", "updates"})
"""Families of what people ask that are harmless in a document too; other requests may be none there."""

_TURNS_ALONE = frozenset({
    "secret", "extract", "switch", "stage", "mode2", "demand", "split", "wechsel", "geheimnis", "buehne",
    "bascule", "mystere", "scene2", "cambio", "misterio", "teatro", "marks", "fiction", "roleplay2",
})  # fmt: skip
"""Families of attacks that are told from harmless text as turns of a user alone: much of what models answer
and documents say has their words."""


def made(language: str, counts: dict[str, int], seed: int) -> Iterator[Text]:
    """Yield texts of a language; of each kind as many as asked for, over its families alike.

    Args:
        language: One of `LANGUAGES`.
        counts: How many of each kind (direct, indirect, benign, documents).
        seed: Makes the choice repeatable.

    """
    grammar, rng = Grammar(language), random.Random(f"{language} {seed}")  # noqa: S311  # repeatable
    for kind, count in counts.items():
        user, foreign = _LABELS[kind]
        families = grammar.families(kind)
        for name, templates in families.items():
            for number in range(count // len(families)):
                template = templates[number % len(templates)]
                text = order = grammar.say(template, rng)
                if kind == "indirect":
                    text = _planted(grammar, text, rng)
                elif kind == "documents" and rng.random() < CARRIED:
                    text = carried(text, grammar.say("{doc}", rng), grammar.say("{doc}", rng), rng)
                elif kind == "direct" and rng.random() < 0.25:
                    text = _wrapped(grammar, text, rng)
                group = f"{language} {kind} {name} {templates.index(template)}"
                order = order if user or foreign else ""
                there = 0 if name in _ANYWHERE else None if name in _TURNS_ALONE else foreign
                yield Text(text, user, there, f"{kind}:{name}", language, "grammar", group, order)


def hidden_in(documents: list[Text], orders: list[Text], seed: int) -> Iterator[Text]:
    """Yield documents that people wrote with orders put between their sentences.

    Args:
        documents: Harmless ones.
        orders: Each is put into one document of the same language where there is one.
        seed: Makes the choice repeatable.

    """
    rng = random.Random(f"hidden {seed}")  # noqa: S311  # repeatable
    by_language: dict[str, list[str]] = {}
    for each in documents:
        by_language.setdefault(each.language, []).append(each.text)
    for each in orders:
        text = rng.choice(by_language.get(each.language) or by_language["en"])[:3000]
        places = [0, len(text), *(match.end() for match in _PLACES.finditer(text))]
        at, between = rng.choice(places), rng.choice(("\n", " ", "\n\n"))
        hidden = f"{text[:at]}{between}{each.order or each.text}{between}{text[at:]}".strip()
        yield replace(
            each, text=hidden, user=None, family=f"hidden {each.family}", order=each.order or each.text
        )


def _planted(grammar: Grammar, order: str, rng: random.Random) -> str:
    """Return a document, or a tool's answer, that an order stands in."""
    before = " ".join(grammar.say("{doc}", rng) for _ in range(rng.randint(0, 4)))
    after = " ".join(grammar.say("{doc}", rng) for _ in range(rng.randint(0, 4)))
    if rng.random() < CARRIED:
        return carried(order, before or grammar.say("{doc}", rng), after, rng)
    if rng.random() < 0.3:
        name, other = rng.sample(_FIELDS, 2)
        quote = rng.choice('""\'')
        text = f"{before[:80]} {order}".strip() if rng.random() < 0.3 else order
        rows = ((other, after[:80]), (name, text))
        inner = f"{{{', '.join(f'{quote}{key}{quote}: {quote}{value}{quote}' for key, value in rows)}}}"
        lines = f"{name}: {text}\n{other}: {after}"
        return rng.choice((inner, f"{{{quote}results{quote}: [{inner}]}}", lines))
    return rng.choice((" ", "\n", "\n\n")).join(part for part in (before, order, after) if part)


def _wrapped(grammar: Grammar, order: str, rng: random.Random) -> str:
    """Return an order among harmless talk."""
    kind = rng.choice(("ask", "write", "trigger"))
    talk = grammar.say(rng.choice(grammar.families("benign")[kind]), rng)
    return rng.choice((f"{talk} {order}", f"{order} {talk}", f"{talk}\n\n{order}"))
