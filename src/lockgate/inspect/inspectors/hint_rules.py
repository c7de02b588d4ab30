"""The rules by which one look at Python source or JavaScript tells which of the slow ones are worth while.

What `uses`, `code_signs` and `python_import` look for, as rules for YARA-X; each rule matches at least
wherever the slow look would find something. What it cannot tell is left to the slow look.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from lockgate.inspect.inspectors import python_hints, python_import, uses
from lockgate.inspect.inspectors.code_signs import Sign
from lockgate.inspect.inspectors.python_signs import PYTHON
from lockgate.inspect.inspectors.script_signs import SCRIPT

_SPACE = r"[\s\x1c-\x1f\x80-\xff]"
"""What ``\\s`` matches in Python's texts, and more, in the bytes of UTF-8 (`str.isspace`)."""

ACTS, DECODES, RUNS, NAMES_RUN, CALLS = "acts", "decodes", "runs", "names_run", "calls"
FLOWS = "flow_"
"""How the names of rules begin for what `python_flow` finds."""
_BEFORE = rf"([.,(\n\r\\]{_SPACE}*|import{_SPACE}+)"
"""What stands before an attribute or an imported name, and hardly ever before a word of prose."""
_GAP = r"[\s\\]*"
_KINDS = {"py": PYTHON, "js": SCRIPT}
"""Kinds of source with the signs that are looked for in them."""


@cache
def signs_of(kind: str) -> tuple[tuple[str, Sign], ...]:
    """Return each sign with its rule; with none where its words are nothing that rules find quickly."""
    return tuple(
        (f"sign_{place}" if sign.quick or _rare(sign) else "", sign)
        for place, sign in enumerate(_KINDS[kind])
    )


def _rare(sign: Sign) -> bool:
    return bool(sign.needs) and all(word.strip() for group in sign.needs for word in group)


def sources(kind: str) -> Iterator[str]:
    """Yield the rules for a kind of source: ``py`` or ``js``."""
    for use, patterns in uses.yara_patterns(kind, _SPACE).items():
        yield _rule(f"use_{use}", patterns)
    for name, sign in signs_of(kind):
        if name:
            yield _rule(name, map(_spaced, sign.quick)) if sign.quick else _grouped(name, sign.needs)
    if kind == "py":
        yield from _acting()


def _acting() -> Iterator[str]:
    """Yield the rules about what a module does when it is imported."""
    yield _rule(ACTS, map(_literal, python_import.ACTS))
    yield _rule(DECODES, map(_literal, (*python_import.MADE, *python_import.DECODERS)))
    yield _rule(RUNS, map(_literal, python_import.RUNS))
    yield _rule(NAMES_RUN, [rf"/(^|[^A-Za-z0-9_.])({'|'.join(sorted(python_import.RUNS))})\b/"])
    spoken = [rf"/{_BEFORE}{word}\b/" for word in python_import.SPOKEN]
    modules = [_module(name, functions) for name, functions in python_import.MODULES.items()]
    for name, groups in python_hints.HINTS.items():
        yield _one_of_each(f"{FLOWS}{name}", groups)
    yield _rule(CALLS, [*map(_literal, python_import.CALLED), *spoken, *modules])


def _module(name: str, functions: Iterable[str]) -> str:
    """Return a pattern of a module's functions, or of what its import says behind it."""
    called = rf"\.{_GAP}({'|'.join(functions)}|#)"
    return rf"/\b{name}{_GAP}({called}|as\b|import\b|#)/"


def _spaced(pattern: str) -> str:
    return f"/{pattern}/".replace(r"\s", _SPACE)


def _literal(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _rule(name: str, strings: Iterable[str]) -> str:
    lines = "\n".join(f"    $s{place} = {string}" for place, string in enumerate(strings))
    return f"rule {name} {{\n  strings:\n{lines}\n  condition:\n    any of them\n}}"


def _grouped(name: str, groups: tuple[tuple[str, ...], ...]) -> str:
    """Return a rule that asks for one word of each group."""
    return _one_of_each(name, [[_literal(word) for word in group] for group in groups])


def _one_of_each(name: str, groups: Sequence[Sequence[str]]) -> str:
    """Return a rule that asks for one string of each group."""
    lines = [
        f"    $g{number}_{place} = {string}"
        for number, group in enumerate(groups)
        for place, string in enumerate(group)
    ]
    wanted = " and ".join(f"any of ($g{number}_*)" for number in range(len(groups)))
    return f"rule {name} {{\n  strings:\n" + "\n".join(lines) + f"\n  condition:\n    {wanted}\n}}"
