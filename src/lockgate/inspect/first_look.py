"""One pass over a text by all rules of our own: those for malicious content, for secrets, and for sources.

Each set has its own reader (`malware`, `secrets`, `inspectors.source_hints`); most texts match no rule of
any, and three passes over a small one cost three times as much as one. Nothing is decided here: a reader is
told which of its rules match, as if it had tried them alone.
"""

import threading
import time
from functools import cache
from typing import Any

import msgspec

from lockgate.core.artifact import Kind
from lockgate.inspect import malware, secrets
from lockgate.inspect.detect import extension
from lockgate.inspect.inspectors import hint_rules
from lockgate.inspect.inspectors.uses import SCRIPTS
from lockgate.inspect.limits import Limits
from lockgate.inspect.rulesets import GENERAL, OWN
from lockgate.inspect.rulesets import SCRIPTS as SCRIPTS_PACK
from lockgate.inspect.tally import Context, Tally

_TYPES = frozenset({*secrets.TYPES, "unknown"})
"""Types of content that more than one set is tried on."""

_PYTHON, _SCRIPT, _TEXT = "py", "js", "text"
_KINDS = (_PYTHON, _SCRIPT, _TEXT)
_HINTS = "hints"
_RULES = Kind.RULES
_NO_HINTS: frozenset[str] = frozenset()


class Seen(msgspec.Struct, frozen=True):
    """What matched one text: rules of the general pack and of that for scripts, as YARA-X tells them.

    `secret` says that some rule for secrets matched; `hints` are the rules of `kind` for sources.
    """

    raw: bytes
    kind: str
    general: tuple[Any, ...] = ()
    scripts: tuple[Any, ...] = ()
    secret: bool = False
    hints: frozenset[str] = _NO_HINTS


def wants(data: memoryview, tally: Tally, context: Context) -> bool:
    """Return whether content is a text that all rules are tried on, within their bounds."""
    return (
        tally.detected in _TYPES
        and context.kind != _RULES
        and len(data) <= context.limits.rule_member_bytes
        and context.budget.rule_seconds <= context.limits.rule_seconds
    )


def look(raw: bytes, tally: Tally, context: Context) -> Seen:
    """Try all rules on a text; the time counts against that of the rules.

    Args:
        raw: The text.
        tally: Its detected type.
        context: Its name.

    """
    ending = extension(context.name)
    kind = _PYTHON if tally.detected == "python" else _SCRIPT if ending in SCRIPTS else _TEXT
    facts = malware.facts_of(tally, context, ending)
    begun = time.monotonic()
    rules = _scanner(kind).scan(raw, facts)
    context.budget.rule_seconds += time.monotonic() - begun
    return _parted(raw, kind, rules) if rules else Seen(raw, kind)


def hinted(raw: bytes, kind: str) -> frozenset[str]:
    """Return which rules for sources match a text that is not the content itself.

    Args:
        raw: The text in UTF-8.
        kind: ``py`` or ``js``.

    """
    return _parted(raw, kind, _scanner(kind).again(raw)).hints


def scanner(kind: str) -> malware.Scanner:
    """Return this thread's scanner with all rules for ``py``, ``js`` or ``text``."""
    return _scanner(kind)


def load() -> None:
    """Compile all rules ahead, for a process that forks many that look with them."""
    for kind in _KINDS:
        _scanner(kind)


def _parted(raw: bytes, kind: str, rules: Any) -> Seen:
    sets: dict[str, list[Any]] = {}
    for rule in rules:
        sets.setdefault(rule.namespace, []).append(rule)
    return Seen(
        raw,
        kind,
        tuple(sets.get(malware.OWN_RULES, ())),
        tuple(sets.get(malware.SCRIPT_RULES, ())),
        secrets.NAME in sets,
        frozenset(rule.identifier for rule in sets.get(_HINTS, ())),
    )


_local = threading.local()


def _scanner(kind: str) -> malware.Scanner:
    """Return this thread's scanner for a kind of text."""
    held: dict[str, malware.Scanner] = _local.__dict__
    if kind not in held:
        held[kind] = malware.scanner_of(_rules(kind), Limits().rule_matches)
    return held[kind]


@cache
def _rules(kind: str) -> malware.Rules:
    """Return the compiled rules for a kind of text, each set in a namespace of its own."""
    parts = {malware.OWN_RULES: _pack(GENERAL), secrets.NAME: _pack(secrets.PACK)}
    if kind == _TEXT:
        parts[malware.SCRIPT_RULES] = _pack(SCRIPTS_PACK)
    else:
        parts[_HINTS] = "\n".join(hint_rules.sources(kind))
    return malware.Rules.of(parts)


def _pack(name: str) -> str:
    return (OWN / name).read_text(encoding="utf-8")
