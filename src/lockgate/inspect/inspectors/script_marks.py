"""Marks on values of JavaScript: what is read, fetched or decoded, and where it goes.

A walk over the source's tokens, not a parser: each assignment, parameter and loop is an edge from an
expression to a name, and marks go along edges until nothing changes. Names count in the function that
declares them. Nothing is executed; what the walk does not understand carries no mark.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator

from lockgate.inspect.inspectors.script_calls import Calls
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
    MARKS,
    NET,
    OTHERS,
    READ,
    RUNNER,
    SECRET,
    SPELLED,
    STAYS,
)
from lockgate.inspect.inspectors.script_sources import Sources
from lockgate.inspect.inspectors.script_tokens import Function, Source, functions
from lockgate.inspect.inspectors.script_words import NAMING, RUNS, SECRETS, WALLETS

_FEW = 1500
"""Tokens of a source in which a call by a bare name is told to be one of a module's."""
_DENSE = 60
"""Tokens of a line, on average, where a tool took lines away, and one letter stands for many things."""
_SHARED = frozenset({"exports", "module", "window", "globalThis", "global", "self", "this"})
"""Names that hold so much that what one part of them is says nothing of another."""
_DEEP = 40
"""How many functions around a name are asked whether they declare it."""
_PASSES = 8
_SAVES = re.compile(r"(?:writeFile|outputFile|appendFile|createWriteStream)(?:Sync)?\Z")
_RUNS = RUNS | {"Script", "compileFunction"}
_DATA = ("'data:", '"data:')
_ADDS = frozenset({"push", "unshift", "add", "set", "append", "write", "concat"})


class Walk:
    """Marks on the tokens of one source, and the edges that they go along."""

    def __init__(self, source: Source) -> None:
        """Read what a source declares, and mark where something comes from."""
        self.source = source
        self.small = len(source.said) < _FEW
        self.functions = functions(source)
        self.inside = _inside(source, self.functions)
        self.parents = _parents(self.functions, self.inside)
        self.declared: list[set[str]] = [set() for _ in range(len(self.functions) + 1)]
        self.uses: dict[tuple[int, str], list[int]] = defaultdict(list)
        self.marks: list[set[int]] = [set() for _ in range(MARKS)]
        self.sorted: list[list[int]] = [[] for _ in range(MARKS)]
        self.edges: list[tuple[int, int, tuple[int, str]]] = []
        self.errors: list[tuple[int, int, tuple[int, str]]] = []
        """As edges, which only answers of servers go along."""
        self.calls: list[tuple[int, int, int]] = []
        self.given: dict[tuple[int, str], list[tuple[int, int]]] = defaultdict(list)
        self.handed: dict[tuple[int, str], list[tuple[int, Function]]] = defaultdict(list)
        """Functions that a parameter stands for."""
        self.passed: list[tuple[int, int, tuple[int, str]]] = []
        """What parameters stand for: an expression, and whose parameter it is."""
        Sources(source, self.marks)

    def worth(self, *, installs: bool) -> bool:
        """Return whether anything can be found: something is taken, and there is a place for it to go."""
        marks, words = self.marks, set(self.source.said)
        brings = bool(marks[NET] or marks[DECODED] or marks[CARRIER])
        runs = bool(words & _RUNS or marks[COMMANDS] or marks[RUNNER] or "Reflect" in words)
        loads = "require" in words or "import" in words
        runs = runs or (loads and any(map(_SAVES.match, words) if marks[NET] else ()))
        runs = runs or ("import" in words and any(word.startswith(_DATA) for word in words))
        sends = bool(marks[NET] or marks[DNS] or "sendBeacon" in words)
        takes = bool(marks[READ] or marks[KEPT] or marks[MACHINE] or marks[ASKED] or marks[HOST])
        takes = takes or bool(words & SECRETS)
        ends = bool(marks[HOME]) and any(word.startswith("readdir") or word == "recursive" for word in words)
        names = bool(marks[DECODED]) and bool(words & NAMING or marks[LOADS] or "constructor" in words)
        names = names or bool(marks[SPELLED])
        stays = bool(marks[STAYS]) or (installs and "#!" in "".join(words))
        alters = bool((marks[OTHERS] or "cwd" in words) and marks[NET])
        return (brings and runs) or (sends and takes) or ends or names or stays or alters

    def has(self, kind: int, start: int, end: int) -> bool:
        """Return whether a token from `start` up to `end` has a mark."""
        marks = self.sorted[kind]
        at = bisect_left(marks, start)
        return at < len(marks) and marks[at] < end

    def edges_of(self, key: tuple[int, str]) -> list[tuple[int, int]]:
        """Return the expressions that a name may stand for."""
        if not self.given:
            for start, end, target in self.edges:
                self.given[target].append((start, end))
        return self.given.get(key, [])

    def owner(self, at: int, name: str) -> tuple[int, str]:
        """Return the function that declares a name where it is used, with the name."""
        where = self.inside[at] if at < len(self.inside) else 0
        for _ in range(_DEEP):
            if not where or name in self.declared[where]:
                break
            where = self.parents[where]
        return where, name

    def _declare(self) -> None:
        for number, function in enumerate(self.functions, 1):
            self.declared[number].update(function.parameters)
        said = self.source.said
        for at, word in enumerate(said):
            if word in {"var", "let", "const"}:
                self._declare_list(at + 1)
            elif word == "function" and self.source.kinds[at + 1 : at + 2] == ["name"]:
                self.declared[self.inside[at]].add(said[at + 1])

    def _declare_list(self, at: int) -> None:
        """Keep the names of one declaration, up to its first value."""
        source, into = self.source, self.declared[self.inside[at] if at < len(self.inside) else 0]
        if source.word(at) in {"{", "["}:
            stop = min(source.pairs.get(at, at), at + 200)
            into.update(source.said[i] for i in range(at, stop) if source.kinds[i] == "name")
            return
        for _ in range(100):
            if at >= len(source.said) or source.kinds[at] != "name":
                return
            into.add(source.said[at])
            at = source.end(at)
            if source.word(at) != ",":
                return
            at += 1

    def _index(self) -> None:
        source = self.source
        for at, kind in enumerate(source.kinds):
            if kind == "name" and source.word(at - 1) not in {".", "?."}:
                self.uses[self.owner(at, source.said[at])].append(at)

    def _edges(self) -> None:
        source = self.source
        named = {item.name: (number, item) for number, item in enumerate(self.functions, 1) if item.name}
        starts = {item.start: (number, item) for number, item in enumerate(self.functions, 1)}
        for at, word in enumerate(source.said):
            if word in {"=", "+=", "||=", "??="} and source.kinds[at] == "mark":
                self._assigned(at)
                self._listens(at, starts)
            elif word in {"of", "in"}:
                self._looped(at)
            elif word == "catch":
                self._caught(at)
            elif word == "from" and source.kinds[at + 1 : at + 2] == ["text"]:
                self._imported(at)
            elif word == "return":
                self._returned(at)
            elif word == "(" and at and (source.kinds[at - 1] == "name" or source.said[at - 1] in {"]", ")"}):
                self._called(at, named, starts)
        for item in self.functions if len(source.said) < _DENSE * sum(source.fresh) else ():
            if item.name and source.word(item.body) != "{":  # an arrow that returns what stands behind it
                self.edges.append((item.body, item.end, self.owner(max(0, item.start - 1), item.name)))
        self._answered()

    def _listens(self, at: int, starts: dict[int, tuple[int, Function]]) -> None:
        """Give what listens to an object what the object says: ``socket.onmessage = (event) => ...``."""
        source = self.source
        if not source.said[at - 1].startswith("on") or source.word(at - 2) != ".":
            return
        made = next((starts[i] for i in range(at + 1, at + 4) if i in starts), None)
        if made and self._is_function(at + 1):
            for name in made[1].parameters:
                self.edges.append((source.chain(at - 1), at - 1, (made[0], name)))

    def _answered(self) -> None:
        """Give functions that are handed over what they are called with under a parameter's name."""
        for first, opened, _ in self.calls if self.handed else ():
            if first != opened - 1:
                continue
            for number, function in self.handed.get(self.owner(first, self.source.said[first]), ()):
                for (start, end), name in zip(
                    self.source.arguments(opened), function.parameters, strict=False
                ):
                    self.edges.append((start, end, (number, name)))

    def _edge(self, start: int, end: int, target: int) -> None:
        if end > start and self.source.said[target] not in _SHARED:
            self.edges.append((start, end, self.owner(target, self.source.said[target])))

    def _assigned(self, at: int) -> None:
        source, end = self.source, self.source.end(at + 1)
        if end > at + 1 and self._is_function(at + 1):
            return
        if source.said[at - 1] in {"}", "]"} and source.word(source.pairs.get(at - 1, 0) - 1) in {
            "var", "let", "const", "(", ";", ",",
        }:  # fmt: skip
            if source.said[end - 1] == "env" and source.said[at - 1] == "}":
                return  # single settings, by their names
            start = source.pairs.get(at - 1, at - 1)
            for i in range(start, min(at, start + 200)):
                if source.kinds[i] == "name" and source.word(i + 1) != ":":
                    self._edge(at + 1, end, i)
            return
        first = source.chain(at - 1)
        if source.kinds[first] == "name":
            self._edge(at + 1, end, first)

    def _is_function(self, at: int) -> bool:
        source = self.source
        word = source.word(at)
        if word == "async":
            at += 1
            word = source.word(at)
        after = source.pairs.get(at, at) + 1 if word == "(" else at + 1
        return word == "function" or source.word(after) == "=>"

    def _looped(self, at: int) -> None:
        """Give the names of a loop what it goes through."""
        source = self.source
        start = source.pairs.get(at - 1, at - 1) if source.said[at - 1] in {"]", "}"} else at - 1
        for i in range(start, at):
            if source.kinds[i] == "name":
                self._edge(at + 1, source.end(at + 1), i)

    def _caught(self, at: int) -> None:
        """Give an error what a server may have answered where it was raised."""
        source = self.source
        start = source.pairs.get(at - 1, at)
        if source.word(start - 1) == "try" and source.word(at + 1) == "(" and source.word(at + 3) == ")":
            self.errors.append((start, at - 1, self.owner(at + 2, source.said[at + 2])))

    def _imported(self, at: int) -> None:
        for i in range(at - 1, max(-1, at - 100), -1):
            if self.source.said[i] == "import":
                return
            if self.source.kinds[i] == "name" and self.source.said[i] not in {"as", "type"}:
                self._edge(at + 1, at + 2, i)

    def _returned(self, at: int) -> None:
        number = self.inside[at]
        name = self.functions[number - 1].name if number else ""
        if name:
            function = self.functions[number - 1]
            self.edges.append((at + 1, self.source.end(at + 1), self.owner(max(0, function.start - 1), name)))

    def _called(
        self, at: int, named: dict[str, tuple[int, Function]], starts: dict[int, tuple[int, Function]]
    ) -> None:
        """Keep a call, and give parameters what the call is about."""
        source = self.source
        first = source.chain(at - 1)
        if source.word(first - 1) == "function" or source.word(source.pairs.get(at, at) + 1) == "=>":
            return
        self.calls.append((first, at, source.pairs.get(at, at)))
        last = source.said[at - 1]
        known = named.get(last)
        for place, (start, end) in enumerate(source.arguments(at)):
            begin = start + (source.word(start) == "async")
            inline = starts.get(begin) or starts.get(begin + 1) or starts.get(begin + 2)
            if inline and inline[1].start < end and self._is_function(start):
                for name in inline[1].parameters:
                    self.edges.append((first, start, (inline[0], name)))
                if known and place < len(known[1].parameters):
                    self.handed[known[0], known[1].parameters[place]].append(inline)
            elif known and place < len(known[1].parameters):
                self.edges.append((start, end, (known[0], known[1].parameters[place])))
                self.passed.append((start, end, (known[0], known[1].parameters[place])))
            if place == 1 and last.startswith("copyFile") and source.kinds[start] == "name":
                self._edge(at + 1, start, start)
            if last == "pipe" and source.kinds[start] == "name":
                self._edge(first, at, start)
            if last in _ADDS and source.kinds[first] == "name" and first < at - 1:
                self._edge(start, end, first)

    def spread(self) -> None:
        """Let the marks go along all edges."""
        self._declare()
        self._index()
        self._edges()
        self._keys()
        calls = Calls(self)
        known: set[tuple[int, tuple[int, str]]] = set()
        told: list[set[int]] = [set() for _ in self.marks]
        for _ in range(_PASSES):
            self.sorted = [sorted(marks) for marks in self.marks]
            calls.mark()
            self.sorted = [sorted(marks - old) for marks, old in zip(self.marks, told, strict=True)]
            told = [set(marks) for marks in self.marks]
            moving = [kind for kind, marks in enumerate(self.sorted) if marks and kind != HOST]
            if not moving:
                break
            self._along(moving, known)
        self.sorted = [sorted(marks) for marks in self.marks]

    def _along(self, moving: list[int], known: set[tuple[int, tuple[int, str]]]) -> None:
        answers = [NET] if NET in moving else []
        steps = [(edge, moving) for edge in self.edges] + [(edge, answers) for edge in self.errors]
        for (start, end, target), kinds in steps:
            for kind in kinds:
                if (kind, target) in known or not self.has(kind, start, end):
                    continue
                if kind == HOME and self.below(start, end):
                    continue
                known.add((kind, target))
                self.marks[kind].update(self._occurrences(kind, target))

    def _occurrences(self, kind: int, target: tuple[int, str]) -> Iterator[int]:
        for at in self.uses.get(target, ()):
            if kind == READ and self.source.word(at + 1) in {".", "?."} and self.source.word(at + 3) != "(":
                continue  # one setting of all, by its name
            yield at

    def below(self, start: int, end: int) -> bool:
        """Return whether a path goes to one place below: texts are more than what parts names."""
        source = self.source
        return any(
            source.kinds[i] == "text"
            and source.said[i][1:-1].strip("./\\")
            and source.word(i - 2) != "require"
            for i in range(start, min(end, start + 200))
        )

    def _keys(self) -> None:
        """Mark the keys that functions of a wallet are given."""
        if not any(map(WALLETS.match, self.source.said)):
            return
        for number, function in enumerate(self.functions, 1):
            for name in SECRETS.intersection(function.parameters):
                self.marks[SECRET].update(self.uses.get((number, name), ()))


def _inside(source: Source, made: list[Function]) -> list[int]:
    """Return the innermost function of each token: 0 outside of all, else its number from 1."""
    out = [0] * (len(source.said) + 1)
    stack: list[tuple[int, int]] = []
    following = iter(
        [*((item.start, item.end, number) for number, item in enumerate(made, 1)), (1 << 60, 0, 0)]
    )
    start, end, number = next(following)
    for at in range(len(source.said)):
        while stack and at > stack[-1][0]:
            stack.pop()
        while start <= at:
            stack.append((end, number))
            start, end, number = next(following)
        out[at] = stack[-1][1] if stack else 0
    return out


def _parents(made: list[Function], inside: list[int]) -> list[int]:
    """Return for each function by its number the one around it."""
    return [0] + [inside[item.start - 1] if item.start else 0 for item in made]
