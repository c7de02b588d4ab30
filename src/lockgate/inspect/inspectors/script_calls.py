"""What calls of JavaScript give back and leave on the disk: read, asked for, listed, fetched into a file."""

import re
from typing import TYPE_CHECKING

from lockgate.inspect.inspectors.script_kinds import (
    ASKED,
    CARRIER,
    COMMANDS,
    DECODED,
    HOME,
    HOST,
    KEPT,
    LISTED,
    NET,
    OTHERS,
    PIECES,
    READ,
    RUNNER,
    SAVED,
)
from lockgate.inspect.inspectors.script_words import HOSTS, READERS, VENDORS

if TYPE_CHECKING:
    from lockgate.inspect.inspectors.script_marks import Walk

STARTS = frozenset(["exec", "execSync", "spawn", "spawnSync", "execFile", "execFileSync", "fork"])
_SAVES = re.compile(r"(?:writeFile|outputFile|appendFile)(?:Sync)?\Z")
_PIPES = frozenset({"pipe", "pipeline", "pipeTo"})
_JOINS = frozenset({"join", "resolve"})
_LONG_ENOUGH = 4
"""Letters of a file's name that tell it from others."""
_STEPS, _DEEP, _SOME = 60, 4, 400
_MANY = 2


class Calls:
    """Looks at the calls of a source between two passes of its marks."""

    def __init__(self, walk: "Walk") -> None:
        """Look at a source whose edges are known."""
        self.walk, self.source = walk, walk.source
        vendors: set[str] = set()
        for kind, said in zip(self.source.kinds, self.source.said, strict=True):
            if kind == "text" and (found := VENDORS.search(said)):
                vendors.update(filter(None, found.groups()))
        self.greedy = len(vendors) >= _MANY
        """Whether the keys of several vendors are asked for."""

    def mark(self) -> None:
        """Add the marks that calls make."""
        for first, opened, stop in self.walk.calls:
            self._read(opened, stop)
            self._asked(first, opened, stop)
            self._saved(first, opened)
        for start, end, key in self.walk.passed:
            if self.walk.has(SAVED, start, end):
                continue
            if any(at in self.walk.marks[SAVED] for at in self.walk.uses.get(key, ())):
                self._keep(start, end)

    def _read(self, opened: int, stop: int) -> None:
        walk, marks = self.walk, self.walk.marks
        last, place = self.source.said[opened - 1], opened - 1
        reads = bool(READERS.match(last))
        if reads and walk.has(KEPT, opened, stop):
            marks[READ].add(place)
        if reads and walk.has(CARRIER, opened, stop):
            marks[DECODED].add(place)
        if reads and last.startswith("readdir") and self._home(opened, stop):
            marks[LISTED].add(place)
        hidden = walk.has(PIECES, opened, stop) or walk.has(DECODED, opened, stop)
        if last == "get" and self.source.word(self.source.chain(place)) == "Reflect" and hidden:
            marks[RUNNER].add(place)
        said = self.source.said
        if last in _JOINS and "cwd" in said[opened : min(stop, opened + _STEPS)]:
            texts = [
                said[at][1:-1].strip("/") for at in range(opened, stop) if self.source.kinds[at] == "text"
            ]
            if "node_modules" in texts or any(text.split("/")[0] == ".." for text in texts):
                marks[OTHERS].add(place)

    def _asked(self, first: int, opened: int, stop: int) -> None:
        """Mark what a command or a cloud's host says of secrets."""
        walk, place = self.walk, opened - 1
        starts = walk.has(COMMANDS, first, opened) or (walk.small and self.source.said[place] in STARTS)
        if starts and (walk.has(ASKED, opened, stop) or (self.greedy and walk.small)):
            walk.marks[READ].add(place)
        words = self._words(opened, stop)
        if starts and ("find-generic-password" in words or {"credential", "fill"} <= words):
            walk.marks[READ].add(place)
        if walk.has(NET, first, opened) and speaks_to_host(walk, opened, stop):
            walk.marks[READ].add(place)

    def _words(self, start: int, end: int) -> set[str]:
        stop = min(end, start + _STEPS)
        return {self.source.said[at][1:-1] for at in range(start, stop) if self.source.kinds[at] == "text"}

    def _saved(self, first: int, opened: int) -> None:
        """Mark the file that an answer is written to."""
        source, walk = self.source, self.walk
        last = source.said[opened - 1]
        if not walk.small or not (last == "createWriteStream" or _SAVES.match(last)):
            return
        given = source.arguments(opened)
        if not given:
            return
        if _SAVES.match(last) and len(given) > 1 and walk.has(NET, *given[1]):
            self._keep(*given[0])
        if last != "createWriteStream":
            return
        poured = source.word(first - 1) == "=" and (first - 2) in walk.marks[NET]
        if poured or any(
            source.said[other - 1] in _PIPES and other < first < end and walk.has(NET, begin, first)
            for begin, other, end in walk.calls
        ):
            self._keep(*given[0])

    def _keep(self, start: int, end: int) -> None:
        """Mark a file wherever it is named again."""
        source, walk = self.source, self.walk
        if end == start + 1 and source.kinds[start] == "name":
            walk.marks[SAVED].update(walk.uses.get(walk.owner(start, source.said[start]), ()))
            return
        texts = [source.said[at][1:-1] for at in range(start, end) if source.kinds[at] == "text"]
        name = texts[-1] if texts else ""
        if len(name) < _LONG_ENOUGH:
            return
        for at, (kind, said) in enumerate(zip(source.kinds, source.said, strict=True)):
            if kind == "text" and name in said and not start <= at < end:
                walk.marks[SAVED].add(at)

    def _home(self, start: int, end: int) -> bool:
        return self.walk.has(HOME, start, end) and not self.walk.below(start, end)


def speaks_to_host(walk: "Walk", start: int, end: int) -> bool:
    """Return whether an address stands there at which a cloud's host tells its own keys."""
    return bool(walk.marks[HOST]) and bool(HOSTS.search(spoken(walk, start, end)))


def called(walk: "Walk", opened: int) -> str:
    """Return the name of what is called, also where it is put together in brackets."""
    source = walk.source
    last = source.said[opened - 1]
    if last != "]":
        return last
    start = source.pairs.get(opened - 1, opened - 1)
    return spoken(walk, start + 1, opened - 1) or last


def spoken(walk: "Walk", start: int, end: int, deep: int = _DEEP) -> str:
    """Return what an expression says as far as it stands in the source; an x for each name that is not known.

    Args:
        walk: The source.
        start: Its first token.
        end: The token behind it.
        deep: How many names are followed.

    """
    source, out = walk.source, ""
    for at in range(start, min(end, start + _STEPS)):
        if len(out) > _SOME:
            break
        if source.kinds[at] == "text":
            out += source.said[at][1:-1]
        elif source.kinds[at] == "name" and source.word(at - 1) not in {".", "?."}:
            key = walk.owner(at, source.said[at])
            given = [edge for edge in walk.edges_of(key) if edge[0] <= edge[1]]
            alone = len(given) == 1 and deep and not given[0][0] <= at < given[0][1]
            out += spoken(walk, *given[0], deep - 1) if alone else "x"
    return out
