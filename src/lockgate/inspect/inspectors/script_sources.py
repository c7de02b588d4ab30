"""Where values of JavaScript come from: the marks that words of a source have by themselves."""

import re

from lockgate.inspect.inspectors.script_kinds import (
    ASKED,
    CARRIER,
    COMMANDS,
    DECODED,
    DNS,
    HOME,
    HOST,
    KEPT,
    LOADS,
    MACHINE,
    NET,
    OPENS,
    OTHERS,
    PIECES,
    READ,
    RUNNER,
    SPELLED,
    STAYS,
)
from lockgate.inspect.inspectors.script_tokens import Source
from lockgate.inspect.inspectors.script_words import (
    CARRIERS,
    DECODERS,
    HOMES,
    HOSTS,
    KEEPERS,
    KEPT_PLACES,
    MACHINES,
    NETS,
    OPENERS,
    SCREENS,
    STAYING_PLACES,
    loads,
    runs,
    spelled,
)

_ROOT = re.compile(r"(?:[A-Z]:)?[/\\]+\Z")
_DISKS = frozenset({"fs", "node:fs", "fs/promises", "node:fs/promises", "fs-extra"})
_NAMED = (
    (KEPT_PLACES, KEPT),
    (STAYING_PLACES, STAYS),
    (CARRIERS, CARRIER),
    (re.compile(r"node_modules/"), OTHERS),
    (HOSTS, HOST),
    (KEEPERS, ASKED),
    (OPENERS, OPENS),
)
_ANY_NAMED = re.compile("|".join(f"(?:{pattern.pattern})" for pattern, _ in _NAMED))
"""One look that says whether any of them is there."""


class Sources:
    """Marks the words of one source."""

    def __init__(self, source: Source, marks: list[set[int]]) -> None:
        """Add to the marks, which are sets of the places of tokens, one for each kind."""
        self.source, self.marks = source, marks
        self.disk = any(
            kind == "text" and said[1:-1] in _DISKS
            for kind, said in zip(source.kinds, source.said, strict=True)
        )
        self._sources()

    def _sources(self) -> None:
        source = self.source
        for at, (kind, said) in enumerate(zip(source.kinds, source.said, strict=True)):
            if kind == "text":
                self._text(at, said[1:-1])
            elif kind == "name":
                self._name(at, said)

    def _text(self, at: int, said: str) -> None:
        source = self.source
        loads = source.word(at - 1) in {"from", "import"} or source.word(at - 2) in {"require", "import"}
        name = said.removeprefix("node:")
        if loads and name in NETS:
            self.marks[NET].add(at)
        elif loads and name in SCREENS:
            self.marks[READ].add(at)
        elif loads and name == "dns":
            self.marks[DNS].add(at)
        elif name == "child_process":
            self.marks[COMMANDS].add(at)
        else:
            self._place(at, said)

    def _place(self, at: int, said: str) -> None:
        """Mark what a text names: the first of what it may be."""
        for pattern, mark in _NAMED if _ANY_NAMED.search(said) else ():
            if pattern.search(said):
                self.marks[mark].add(at)
                return
        if self.disk and _ROOT.match(said) and self._alone(at):
            self.marks[HOME].add(at)

    def _alone(self, at: int) -> bool:
        """Return whether a word is all that a function is given that the source calls by a bare name."""
        source = self.source
        named = source.kinds[at - 2 : at - 1] == ["name"] and source.word(at - 3) not in {".", "?."}
        return named and source.word(at - 1) == "(" and source.word(at + 1) == ")"

    def _name(self, at: int, said: str) -> None:
        source = self.source
        before, after = source.word(at - 1), source.word(at + 1)
        if self._decodes(at, said, after):
            self.marks[DECODED].add(at)
            if source.kinds[at + 2 : at + 3] == ["text"] and spelled(source.word(at + 2)[1:-1]):
                self.marks[SPELLED].add(at)
        elif said == "env" and source.word(at - 2) == "process" and after not in {".", "[", "?."}:
            self.marks[READ].add(at)
        elif said in MACHINES and after == "(":
            self.marks[MACHINE].add(at)
        elif (said == "homedir" and after == "(") or (said in HOMES and source.word(at - 2) == "env"):
            self.marks[HOME].add(at)
        elif loads(said, before, after):
            self.marks[LOADS].add(at)
        elif (
            said == "join"
            and after == "("
            and source.word(at + 2) in {"''", '""'}
            and source.word(at - 2) == "]"
        ):
            self.marks[PIECES].add(at)
        elif self._answers(said, before, after):
            self.marks[NET].add(at)
        elif runs(said, before, after) or (said == "constructor" and source.word(at - 2) == "Function"):
            self.marks[RUNNER].add(at)

    def _answers(self, said: str, before: str, after: str) -> bool:
        if said == "resolveTxt":
            return after == "("
        return said in {"fetch", "WebSocket", "XMLHttpRequest"} and (before != "." or said != "fetch")

    def _decodes(self, at: int, said: str, after: str) -> bool:
        """Return whether a text comes out of a call that was not to be read where it stands."""
        source = self.source
        if said == "from" and source.word(at - 1) == "." and source.word(at - 2) == "Buffer":
            return source.word(source.pairs.get(at + 1, 0) - 1)[1:-1] in {"base64", "hex"}
        return bool(DECODERS.match(said) and after == "(") or self._backwards(at) or self._shifted(at)

    def _shifted(self, at: int) -> bool:
        """Return whether letters are exchanged for those some places on: ``(abc.indexOf(c) + 3) % 26``."""
        source = self.source
        if source.said[at] not in {"map", "replace", "replaceAll"} or source.word(at + 1) != "(":
            return False
        inside = source.said[at : min(source.pairs.get(at + 1, at), at + 80)]
        return "indexOf" in inside and "%" in inside

    def _backwards(self, at: int) -> bool:
        """Return whether a text's letters are turned round: ``.split('').reverse()``."""
        source = self.source
        if source.said[at] != "reverse" or source.word(at - 1) != "." or source.word(at - 2) != ")":
            return False
        opened = source.pairs.get(at - 2, 0)
        return source.word(opened - 1) == "split" and source.word(opened + 1) in {"''", '""'}
