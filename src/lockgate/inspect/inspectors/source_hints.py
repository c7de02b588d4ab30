"""One quick look at Python source or JavaScript that says which of the slow ones are worth while.

What `uses`, `code_signs` and `python_import` look for is put into rules for YARA-X, which looks for all of
it in one pass over the bytes; each rule matches at least wherever the slow look would find something. What
it cannot tell is left to the slow look: the rules decide nothing.
"""

import threading
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any
from unicodedata import is_normalized, normalize

import msgspec

from lockgate.inspect.inspectors import python_import, uses
from lockgate.inspect.inspectors.code_signs import Sign
from lockgate.inspect.inspectors.python_signs import PYTHON
from lockgate.inspect.inspectors.script_signs import SCRIPT
from lockgate.inspect.malware import compiled

_SPACE = r"[\s\x1c-\x1f\x80-\xff]"
"""What ``\\s`` matches in Python's texts, and more, in the bytes of UTF-8 (`str.isspace`)."""

_ACTS, _DECODES, _RUNS, _NAMES_RUN, _CALLS = "acts", "decodes", "runs", "names_run", "calls"
_BEFORE = rf"([.,(\n\r\\]{_SPACE}*|import{_SPACE}+)"
"""What stands before an attribute or an imported name, and hardly ever before a word of prose."""
_GAP = r"[\s\\]*"
_KINDS = {"py": PYTHON, "js": SCRIPT}
"""Kinds of source with the signs that are looked for in them."""


class Hints(msgspec.Struct, frozen=True):
    """The rules that match one source.

    `whole` says that nothing of it lies past what `uses` looks at, `written` that identifiers are what they
    look like: Python reads them in compatibility form (PEP 3131, NFKC).
    """

    kind: str
    seen: frozenset[str]
    ascii: bool
    whole: bool
    written: bool

    def uses(self, name: str) -> bool | None:
        """Return whether a kind of use is found; None where only the slow look can tell."""
        found = f"use_{name}" in self.seen
        return found if not found or (self.ascii and self.whole) else None

    def signs(self) -> tuple[Sign, ...]:
        """Return the signs that the source may show, in their order."""
        return tuple(sign for rule, sign in signs_of(self.kind) if not rule or rule in self.seen)

    def may_act(self) -> bool:
        """Return whether a call can be found that is made at import (`python_import.at_import`)."""
        acts, decodes = _ACTS in self.seen, _DECODES in self.seen
        if not self.written:
            return acts or (_RUNS in self.seen and decodes)
        return (acts and _CALLS in self.seen) or (_NAMES_RUN in self.seen and (acts or decodes))


def hints(raw: bytes, text: str, kind: str) -> Hints:
    """Return what one look at a source tells.

    Args:
        raw: The source in UTF-8.
        text: The same as text.
        kind: ``py`` or ``js``.

    """
    seen = _seen(raw, kind)
    plain = text.isascii()
    written = plain or is_normalized("NFKC", text)
    if not written and kind == "py":
        seen |= _seen(normalize("NFKC", text).encode("utf-8"), kind)
    return Hints(kind, seen, plain, len(text) <= uses.SCANNED, written)


def _seen(raw: bytes, kind: str) -> frozenset[str]:
    return frozenset([rule.identifier for rule in _scanner(kind).scan(raw).matching_rules])


def load() -> None:
    """Compile the rules ahead, for a process that forks many that look with them."""
    for kind in _KINDS:
        signs_of(kind)
        _scanner(kind)


_local = threading.local()


def _scanner(kind: str) -> Any:
    held: dict[str, Any] = _local.__dict__
    if kind not in held:
        import yara_x  # noqa: PLC0415  # only inside the sandbox

        held[kind] = yara_x.Scanner(_rules(kind))
        held[kind].fast_scan(True)  # noqa: FBT003  # the library's form
    return held[kind]


@cache
def _rules(kind: str) -> Any:
    return compiled("\n".join(_sources(kind)), "hints")


@cache
def signs_of(kind: str) -> tuple[tuple[str, Sign], ...]:
    """Return each sign with its rule; with none where its words are nothing that rules find quickly."""
    return tuple(
        (f"sign_{place}" if sign.quick or _rare(sign) else "", sign)
        for place, sign in enumerate(_KINDS[kind])
    )


def _rare(sign: Sign) -> bool:
    return bool(sign.needs) and all(word.strip() for group in sign.needs for word in group)


def _sources(kind: str) -> Iterator[str]:
    for use, patterns in uses.yara_patterns(kind, _SPACE).items():
        yield _rule(f"use_{use}", patterns)
    for name, sign in signs_of(kind):
        if name:
            yield _rule(name, map(_spaced, sign.quick)) if sign.quick else _grouped(name, sign.needs)
    if kind == "py":
        yield from _acting()


def _acting() -> Iterator[str]:
    """Yield the rules about what a module does when it is imported."""
    yield _rule(_ACTS, map(_literal, python_import.ACTS))
    yield _rule(_DECODES, map(_literal, (*python_import.MADE, *python_import.DECODERS)))
    yield _rule(_RUNS, map(_literal, python_import.RUNS))
    yield _rule(_NAMES_RUN, [rf"/(^|[^A-Za-z0-9_.])({'|'.join(sorted(python_import.RUNS))})\b/"])
    spoken = [rf"/{_BEFORE}{word}\b/" for word in python_import.SPOKEN]
    modules = [_module(name, functions) for name, functions in python_import.MODULES.items()]
    yield _rule(_CALLS, [*map(_literal, python_import.CALLED), *spoken, *modules])


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
    lines = [
        f"    $g{number}_{place} = {_literal(word)}"
        for number, group in enumerate(groups)
        for place, word in enumerate(group)
    ]
    wanted = " and ".join(f"any of ($g{number}_*)" for number in range(len(groups)))
    return f"rule {name} {{\n  strings:\n" + "\n".join(lines) + f"\n  condition:\n    {wanted}\n}}"
