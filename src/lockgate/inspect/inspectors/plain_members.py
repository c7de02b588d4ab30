"""Members of a package that one look tells all of: plain sources and metadata on which no rule matches.

Most members of most wheels are such. Nothing is decided by other means than by those of
`lockgate.inspect.engine`: where a condition does not hold, or anything shows, the member is inspected as any
content is. Where all hold, each of its steps has nothing to say, and that is what is told at once. Properties
in the tests hold the two to each other.
"""

import time
from functools import cache

from lockgate.core.artifact import Kind
from lockgate.inspect import first_look, malware, secrets
from lockgate.inspect.detect import ascii_text, extension, text_kind
from lockgate.inspect.inspectors import system_files
from lockgate.inspect.inspectors.python_source import PythonInspector
from lockgate.inspect.inspectors.source_hints import unruled
from lockgate.inspect.inspectors.texts import TextInspector
from lockgate.inspect.tally import Context

_PYTHON, _TEXT = "py", "text"
_SOURCES = frozenset({"py", "pyi"})
_TEXTS = frozenset(
    {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "LICENSE", "LICENSE.txt"}
)
"""Names of texts that no tool runs or reads as settings, and no reader here looks into by their name."""
_OTHERWISE = frozenset({Kind.RULES, Kind.DOCUMENT})
"""Kinds of artifacts whose texts are read otherwise."""
_RULES = (f"{malware.NAME}/{malware.VERSION}", f"{secrets.NAME}/{secrets.VERSION}")
_SAID = {
    kind: frozenset({f"{made.name}/{made.version}", *_RULES})
    for kind, made in ((_PYTHON, PythonInspector), (_TEXT, TextInspector))
}
_EMPTY: frozenset[str] = frozenset()
_CODING = b"coding"
"""Stands in every source that names a codec (PEP 263)."""


_TOLD = frozenset({"filename", "extension", "installs"})
"""What our rules ask about a name; where they ask for more, each member is inspected."""
_ENDINGS = frozenset({"", ".py", ".pyi", ".txt"})


class PlainMembers:
    """Looks at the members of one package."""

    def __init__(self, context: Context) -> None:
        """Take the bounds of a package's content; `context` is that of the package itself."""
        limits = context.limits
        self._budget = context.budget
        self._seconds = limits.rule_seconds
        self._most = min(limits.text_bytes, limits.source_bytes, limits.rule_member_bytes)
        self._scanners = {kind: first_look.scanner(kind) for kind in _SAID}

    @classmethod
    def of(cls, context: Context) -> "PlainMembers | None":
        """Return what looks at a package's members; None where each of them has to be inspected."""
        suits = (
            not (context.site or context.role or context.kind in _OTHERWISE or malware.packs())
            and all(unruled(_PYTHON))
            and all(map(_by_name, map(first_look.scanner, _SAID)))
        )
        return cls(context) if suits else None

    def said(self, name: str, content: memoryview) -> frozenset[str] | None:
        """Return the inspectors that have nothing to say of a member; None where it has to be inspected.

        Args:
            name: The member's path in the package.
            content: Its bytes.

        """
        if not content:
            return _EMPTY
        base = name.rpartition("/")[2]
        kind = _PYTHON if extension(name) in _SOURCES else _TEXT if base in _TEXTS else ""
        if not kind or len(content) > self._most or malware.installs(base) or system_files.anywhere(name):
            return None
        raw = bytes(content)
        if not ascii_text(raw) or raw.startswith((b"#!", b"%!")):
            return None
        if _may_show(raw) if kind == _PYTHON else text_kind(raw.decode("ascii"), name) != _TEXT:
            return None
        return _SAID[kind] if self._quiet(raw, kind, base) else None

    def _quiet(self, raw: bytes, kind: str, base: str) -> bool:
        """Return whether no rule matches a text, within the time that all rules have."""
        scanner, budget = self._scanners[kind], self._budget
        if budget.rule_seconds > self._seconds or base in (scanner.asked.get("filename") or ()):
            return False
        begun = time.monotonic()
        rules = scanner.unnamed(raw)
        budget.rule_seconds += time.monotonic() - begun
        return not rules and budget.rule_seconds <= self._seconds


def _may_show(raw: bytes) -> bool:
    """Return whether a source names its codec, or may show a sign that has no rule."""
    for word in _first_words():  # a loop of its own: most sources hold none of them
        if word in raw:
            break
    else:
        return False
    return _CODING in raw or any(
        all(any(word in raw for word in group) for group in groups) for groups in unruled(_PYTHON)
    )


@cache
def _first_words() -> tuple[bytes, ...]:
    """Return words of which one stands in every source that may show something."""
    return (_CODING, *(word for groups in unruled(_PYTHON) for word in groups[0]))


def _by_name(scanner: malware.Scanner) -> bool:
    """Return whether rules ask of a name nothing but whether it is one that they know."""
    asked = scanner.asked
    names, endings = asked.get("filename", _EMPTY), asked.get("extension", _EMPTY)
    return asked.keys() <= _TOLD and names is not None and endings is not None and not endings & _ENDINGS
