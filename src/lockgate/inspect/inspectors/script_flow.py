"""Harm that JavaScript does with values: what it sends away, and what it runs that does not stand in it.

The values are followed by `script_marks`; here is where they may not arrive.
"""

import re
from collections.abc import Iterator

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.script_calls import STARTS, called, speaks_to_host, spoken
from lockgate.inspect.inspectors.script_kinds import (
    COMMANDS,
    DECODED,
    DNS,
    HOME,
    LISTED,
    LOADS,
    MACHINE,
    NET,
    OPENS,
    OTHERS,
    PIECES,
    READ,
    RUNNER,
    SAVED,
    SECRET,
    SPELLED,
    STAYS,
)
from lockgate.inspect.inspectors.script_marks import Walk
from lockgate.inspect.inspectors.script_orders import ORDERS, ordered
from lockgate.inspect.inspectors.script_parts import Part, parts
from lockgate.inspect.inspectors.script_tokens import read
from lockgate.inspect.inspectors.script_words import (
    HOSTS,
    KEEPERS,
    KEPT_PLACES,
    NETS,
    RUNS,
    SCREENS,
    SECRETS,
    STAYING_PLACES,
    VENDORS,
)
from lockgate.inspect.tally import Tally

_MOST = 64 << 10
"""Longest source that is walked as a whole, in characters: of a longer one parts are."""
_SMALL, _LINE = 16 << 10, 200
"""Sources longer than this, with lines longer than this on average, were made by a tool."""
_SHOWN = 3
_NET = re.compile(
    rf"['\"`](?:node:)?(?:{'|'.join(map(re.escape, sorted(NETS)))})['\"`]|\bfetch\b|WebSocket|XMLHttpRequest"
    r"|\bresolveTxt\b"
)
_RUN = re.compile(
    r"\beval\b|\bFunction\b|runIn\w{0,8}Context|\bScript\b|\bcreateRequire\b|_compile\b|child_process|\bReflect\b|\brequire\b|\._load\b|getBuiltinModule"
    r"|\b(?:globalThis|window|global|self)\s*\[|\.\s*constructor\b|\bWorker\b|\bfs\b"
    r"|\bimport\s*\(\s*['\"`]data:"
)
_CODED = re.compile(
    r"Buffer\s*\.\s*from|\batob\b|\bunescape\b|fromCharCode|(?:[iI]nflate|[uU]nzip|Decompress)\w*\s*\(|createDecipher"
    r"|\bindexOf\b[^\n]{0,80}%|\.\s*reverse\s*\(\s*\)\s*\.\s*join|\breadFile\w*\s*\([\s\S]{0,120}?\.(?:png|jpe?g|gif|ico|woff2?|ttf|dat|bin|map|mp3|wav|pdf)['\"`]"
)
_SPELLED = re.compile(r"(?:\batob|\bBuffer\s*\.\s*from)\s*\(\s*['\"`]")
_PIECED = re.compile(r"\.\s*join\s*\(\s*(?:''|\"\"|``)\s*\)")
_ANSWERS = re.compile(r"\breq(?:uest)?\s*\.\s*(?:body|query|params|headers)\b")
_ASKED_FOR = re.compile(
    "|".join(
        (
            KEEPERS.pattern, VENDORS.pattern, HOSTS.pattern,
            r"['\"]credential['\"]|find-generic-password", *sorted(SCREENS),
        )
    )
)  # fmt: skip
_ROOTED = re.compile(r"\w\(['\"`](?:[A-Z]:)?[/\\]{1,2}['\"`]\)")
_KEYS_GIVEN = re.compile(rf"\b(?:{'|'.join(sorted(SECRETS))})\b")
_SYSTEMS = re.compile(r"(?:^|[/\\])(?:(?:ba|z|da)?sh|cmd(?:\.exe)?|p[o]wershell(?:\.exe)?|pwsh)\Z")
_ORDERS_OF_SYSTEMS = frozenset({"-c", "/c", "-lc", "-Command", "-command", "/C"})
_INTERPRETS = re.compile(
    r"^(?:\S*/)?(?:python[\d.]*|node|bun|deno|(?:ba|z|da)?sh|[wc]script(?:\.exe)?|mshta|osascript|p[o]wershell)\b"
)
_ASIDE = re.compile(r"^/tmp/|^/var/tmp/|^/dev/shm/|[/\\]\.\w")
_PLACES_ASIDE = frozenset({"tmpdir", "TEMP", "TMP", "APPDATA", "LOCALAPPDATA", "homedir"})
_TAKE = re.compile(r"\benv\b(?!\s*[.\[])|\bhostname\b|userInfo|networkInterfaces")
_HOME = re.compile(r"homedir|\benv\s*\.\s*(?:HOME|USERPROFILE)\b")
_MAKERS = frozenset(
    {"function", "=>", "Set", "Map", "Array", "Promise", "Date", "RegExp", "Function", "Object"}
)
_SHELLS = frozenset({"exec", "execSync"})
_HOSTS, _HERE = frozenset({"host", "hostname"}), frozenset({"localhost", "127.0.0.1", "::1"})
_WORLD = frozenset({"globalThis", "window", "global", "self"})
_DOMAIN = re.compile(r"^\.[\w-]+|\.[\w-]+\.[\w-]+$")
_LOOKS_UP = re.compile(r"lookup\Z|resolve\w*\Z|reverse\Z")
_WRITERS = re.compile(r"(?:writeFile|appendFile|createWriteStream)(?:Sync)?\Z")
_ENDERS = re.compile(r"(?:unlink|rm|rmdir|writeFile|truncate|createWriteStream)(?:Sync)?\Z")
_REMOVES = re.compile(r"(?:rm|rmdir|remove|emptyDir|rimraf)(?:Sync)?\Z")
_SENDS = frozenset(["end", "write", "send", "post", "put", "request", "sendBeacon", "fetch", "get", "patch"])
_CARRIES = re.compile(r"https?:|\bcurl\b|\bwget\b|\bnode\s+-e\b|\bsh\s+-c\b")


def flows(tally: Tally, text: str, what: str = "", *, installs: bool = False) -> None:
    """Note where a source sends what it should not, or runs what does not stand in it.

    Args:
        tally: Takes the findings.
        text: JavaScript.
        what: Stands before what is said.
        installs: It runs while a package is installed; only what counts there alone is noted.

    """
    if len(text) > _SMALL and len(text) > _LINE * text.count("\n"):
        return  # a tool took names and lines away, and one letter stands for many things
    told: set[str] = set()
    for part in (
        parts(text, lambda said: _may(said, installs=installs)) if len(text) > _MOST else [Part(text)]
    ):
        if not _may(part.text, installs=installs):
            continue
        walk = Walk(read(part.text))
        if not walk.worth(installs=installs) and not _orders(part.text):
            continue
        walk.spread()
        harm = _Harms(walk)
        for at, code, severity, why in harm.at_install() if installs else harm.harms():
            if len(text) > _MOST and code == "code-hidden-name":
                continue  # names of one function are those of another where functions are cut
            if why not in told and len(told) < _SHOWN:
                told.add(why)
                tally.note(code, severity, f"{what}{why}", part.place(walk.source.at[at]))


def _may(text: str, *, installs: bool) -> bool:
    """Return whether a source has the words without which nothing can be found."""
    asks = bool(_NET.search(text))
    brings = asks or bool(_CODED.search(text))
    if (brings and _RUN.search(text)) or (asks and _goes_out(text)) or _goes_round(text):
        return True
    if ("dns" in text or "sendBeacon" in text) and (_TAKE.search(text) or KEPT_PLACES.search(text)):
        return True
    if "child_process" in text and _orders(text):
        return True
    return installs and bool(STAYING_PLACES.search(text) or "#!" in text)


def _orders(text: str) -> bool:
    """Return whether a source may hold a command that harms, or be given one."""
    return any(pattern.search(text) for pattern in (ORDERS, _ANSWERS, _PIECED))


def _goes_out(text: str) -> bool:
    """Return whether a source that speaks to somebody has what should not go or come that way."""
    if any(pattern.search(text) for pattern in (_TAKE, KEPT_PLACES, _ASKED_FOR, _KEYS_GIVEN, _SPELLED)):
        return True
    return "node_modules" in text or "cwd" in text


def _goes_round(text: str) -> bool:
    """Return whether a source goes through a home or a disk, or writes who may come in."""
    lists = "readdir" in text or "recursive" in text
    if lists and (_HOME.search(text) or ("fs" in text and _ROOTED.search(text))):
        return True
    return "authorized_keys" in text and "AAAA" in text


class _Harms:
    """Looks at the calls of a source whose values were followed."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.source, self.calls, self.has, self.small = walk.source, walk.calls, walk.has, walk.small
        self.own = {function.name for function in walk.functions}
        said = self.source.said
        self.renamed = {
            said[at + 2] for at in range(len(said) - 2) if said[at] in _SHELLS and said[at + 1] in {":", "as"}
        }

    def harms(self) -> Iterator[tuple[int, str, Severity, str]]:
        """Yield what harms whenever it runs, with the token that does it."""
        for first, opened, stop in self.calls:
            yield from self._runs(first, opened, stop)
            yield from self._sends(first, opened, stop)
            last = self.source.said[opened - 1]
            given = self.source.arguments(opened)[:1]
            if given and _ENDERS.match(last) and self.has(LISTED, *given[0]):
                yield opened, "js-destroys", Severity.CRITICAL, f"{last} takes what lies in a person's home"
            if _WRITERS.match(last) and self._lets_in(opened, stop):
                yield opened, "js-persistence", Severity.HIGH, f"{last} lets the owner of a key in"
            if given and (_ENDERS.match(last) or last.startswith("readdir")) and self.has(SPELLED, *given[0]):
                why = f"{last} is given a place that was not to be read"
                yield opened, "code-hidden-name", Severity.HIGH, why
            if _WRITERS.match(last) and self._alters(opened):
                yield opened, "js-alters", Severity.HIGH, f"{last} puts what a server answers into a package"
            if (
                given
                and _REMOVES.match(last)
                and self._home(*given[0])
                and self._says("recursive", opened, stop)
            ):
                yield opened, "js-destroys", Severity.CRITICAL, f"{last} takes a person's home"

    def _lets_in(self, opened: int, stop: int) -> bool:
        """Return whether a key that stands here is written to where keys open a machine."""
        given = self.source.arguments(opened)
        return bool(given) and self.has(STAYS, *given[0]) and self.has(OPENS, opened, stop)

    def _alters(self, opened: int) -> bool:
        """Return whether what somebody sent is written to where another package lies."""
        given = self.source.arguments(opened)
        return len(given) > 1 and self.has(OTHERS, *given[0]) and self.has(NET, *given[1])

    def _home(self, start: int, end: int) -> bool:
        """Return whether a path is a person's home itself."""
        return self.has(HOME, start, end) and all(self.source.kinds[at] != "text" for at in range(start, end))

    def _says(self, word: str, start: int, end: int) -> bool:
        return any(self.source.said[at] == word for at in range(start, min(end, start + 60)))

    def _runs(self, first: int, opened: int, stop: int) -> Iterator[tuple[int, str, Severity, str]]:
        source, last = self.source, self.source.said[opened - 1]
        named = source.pairs.get(opened - 1, opened - 1) if last == ")" else opened - 1
        runner = last in RUNS and (last != "eval" or first == opened - 1)
        if last.startswith("runIn") and source.word(opened - 3) == ")":
            runner = False  # what a script that was made is given to know
        runner = runner or (last in {"Script", "compileFunction"} and self._of_machines(opened))
        runner = runner or (last not in self.own and self.has(RUNNER, named, opened))
        runner = runner or self._made_runner(first, opened, stop)
        if runner and self.has(NET, opened, stop):
            yield opened, "js-remote-code", Severity.CRITICAL, f"{last} runs what a server answers"
        if runner and self.has(DECODED, opened, stop):
            yield opened, "js-decoded-code", Severity.CRITICAL, f"{last} runs what was decoded"
        loads = last in {"require", "import"} or (
            last not in self.own and self.has(LOADS, opened - 1, opened)
        )
        own = source.word(opened + 1)[1:].startswith(("./", "../"))  # a file of the same package
        text = last != "import" and not own and not self._is_function(opened)
        if loads and text and self.has(DECODED, opened, stop):
            yield opened, "code-hidden-name", Severity.HIGH, "A module is named by what was decoded"
        if loads and self.has(SAVED, opened, stop) and not self._data(opened):
            yield opened, "js-dropper", Severity.HIGH, f"{last} loads a file that was fetched"
        data = last == "import" and self._written(opened, stop).startswith("data:")
        if data and self.has(NET, opened, stop):
            yield opened, "js-remote-code", Severity.CRITICAL, "import runs what a server answers"
        if last == "]" and self._of_the_world(opened - 1):
            yield opened, "code-hidden-name", Severity.HIGH, "A function is named by what was decoded"
        yield from self._starts(first, opened, stop)

    def _is_function(self, opened: int) -> bool:
        """Return whether all that a call is given is a function of the source, which is no module's name.

        Bundles hand their loader over so. A name that anything else than a function may be given is none.
        """
        source, given = self.source, self.source.arguments(opened)
        if len(given) != 1 or given[0][1] - given[0][0] != 1 or source.said[given[0][0]] not in self.own:
            return False
        key = self.walk.owner(given[0][0], source.said[given[0][0]])
        declared = any(source.word(at - 1) == "function" for at in self.walk.uses[key])
        return declared and all(self._handed_on(at) for at in self.walk.uses[key])

    def _handed_on(self, at: int) -> bool:
        """Return whether a name is called, asked for a part or given to a call, and not assigned to."""
        after = self.source.word(at + 1)
        return after in {".", "("} or (after == ")" and self.source.word(at + 2) in {";", ")", "."})

    def _data(self, opened: int) -> bool:
        """Return whether what is loaded is named as data: ``.json`` is parsed, never run."""
        return any(spoken(self.walk, *given).endswith(".json") for given in self.source.arguments(opened)[:1])

    def _of_machines(self, opened: int) -> bool:
        """Return whether a call is one of Node's virtual machines: ``vm.Script``."""
        source = self.source
        if source.word(opened - 2) == ".":
            return source.word(opened - 3) == "vm"
        return any(said[1:-1] in {"vm", "node:vm"} for said in source.said if said[:1] in {"'", '"'})

    def _written(self, start: int, end: int) -> str:
        source = self.source
        return "x".join(source.said[at][1:-1] for at in range(start, end) if source.kinds[at] == "text")

    def _starts(self, first: int, opened: int, stop: int) -> Iterator[tuple[int, str, Severity, str]]:
        """Yield what is started that does not stand in the source, or should not be."""
        source, last = self.source, called(self.walk, opened)
        starts = self.has(COMMANDS, first, opened) and (
            last in STARTS
            or (
                self.small
                and last not in self.own
                and (source.said[opened - 1] == "]" or first == opened - 1)
            )
        )
        given = source.arguments(opened)
        if not starts or not given:
            return
        renamed = first == opened - 1 and last in self.renamed
        written = self._written(*given[0])
        texts = bool(written.strip())
        if last in _SHELLS or renamed:
            written = written if texts else spoken(self.walk, *given[0])
            for code, severity, why in ordered(written, aside=self._says("cwd", opened, stop)):
                yield opened, code, severity, f"{last}: {why}"
            if self._of_a_request(*given[0]) or (not texts and self.has(NET, *given[0])):
                yield opened, "js-remote-control", Severity.HIGH, f"{last} runs what somebody else sends"
        elif self.small and self._sent(given):
            yield opened, "js-remote-control", Severity.HIGH, f"{last} runs what somebody else sends"
        if self.has(SAVED, opened, stop) and self._hides(given, opened, stop):
            yield opened, "js-dropper", Severity.HIGH, f"{last} starts what was fetched"
        if self.has(DECODED, opened, stop):
            yield opened, "js-decoded-code", Severity.HIGH, f"{last} runs what was decoded"

    def _of_a_request(self, start: int, end: int) -> bool:
        """Return whether a value is what somebody asked a server."""
        said = self.source.said
        return any(
            said[at] in {"req", "request"}
            and self.source.word(at + 1) in {".", "?."}
            and self.source.word(at + 2) in {"body", "query", "params", "headers"}
            for at in range(start, min(end, start + 12))
        )

    def _sent(self, given: list[tuple[int, int]]) -> bool:
        """Return whether what is started comes from elsewhere: all of it, or the order of a shell."""
        start, end = given[0]
        rest = given[-1][1]
        if self.has(NET, start, end) and not any(self.source.kinds[i] == "text" for i in range(start, rest)):
            return True
        words = [self.source.said[i][1:-1] for i in range(end, rest) if self.source.kinds[i] == "text"]
        shell = bool(_SYSTEMS.search(spoken(self.walk, start, end))) and bool(_ORDERS_OF_SYSTEMS & set(words))
        return shell and self.has(NET, end, rest) and len(words) == 1

    def _hides(self, given: list[tuple[int, int]], opened: int, stop: int) -> bool:
        """Return whether what was fetched is started aside, by an interpreter, or unseen."""
        said = self.source.said
        if said[opened - 1] == "fork" or self._says("detached", opened, stop):
            return True
        if _INTERPRETS.match(self._written(*given[0])) or self._says("windowsHide", opened, stop):
            return True
        words = [
            word
            for at in range(opened, stop)
            if self.source.kinds[at] == "name"
            for start, end in self.walk.edges_of(self.walk.owner(at, said[at]))
            for word in said[start : min(end, start + 40)]
        ]
        return any(word in _PLACES_ASIDE or _ASIDE.search(word[1:-1]) for word in words)

    def _made_runner(self, first: int, opened: int, stop: int) -> bool:
        """Return whether what makes functions is got from a function or a class, or a thread runs a text."""
        said = self.source.said
        if said[opened - 1] == "Worker":
            return self._says("eval", opened, stop)
        if said[opened - 1] in {"construct", "apply"} and said[first] == "Reflect":
            return self.source.word(opened + 1) in {"Function", "eval"}
        named = self.source.pairs.get(opened - 1, first) if said[opened - 1] == ")" else first
        words = said[min(named, first) : min(opened, first + 60)]
        return "constructor" in words[-2:] and bool(_MAKERS & set(words))

    def _of_the_world(self, closed: int) -> bool:
        """Return whether what all programs share is asked for something by a name in pieces."""
        start = self.source.pairs.get(closed, closed)
        hidden = self.has(DECODED, start, closed) or self.has(PIECES, start, closed)
        return hidden and self.source.word(start - 1) in _WORLD

    def _sends(self, first: int, opened: int, stop: int) -> Iterator[tuple[int, str, Severity, str]]:
        last = self.source.said[opened - 1]
        asks = self.has(NET, first, opened) and (last in _SENDS or (first == opened - 1 and self.small))
        if (asks or last == "sendBeacon") and self.has(READ, opened, stop) and not self._here(opened, stop):
            yield (
                opened,
                "js-steals",
                Severity.HIGH,
                f"{last} sends what a person or machine keeps for itself",
            )
        given = self.source.arguments(opened)
        if asks and self.has(SECRET, opened, stop) and self._abroad(opened, stop):
            yield opened, "js-steals", Severity.HIGH, f"{last} sends a key that it was given"
        if asks and given and self.has(SPELLED, *given[0]):
            yield (
                opened,
                "code-hidden-name",
                Severity.HIGH,
                f"{last} asks at an address that was not to be read",
            )
        looks = bool(_LOOKS_UP.match(last)) and self.has(DNS, first, opened) and self._named(opened, stop)
        if looks:
            yield opened, "js-steals", Severity.HIGH, f"{last} asks for a name that says what this machine is"

    def _abroad(self, opened: int, stop: int) -> bool:
        """Return whether a call names the address that it speaks to."""
        return any(
            self.source.kinds[at] == "text" and self.source.said[at][1:-1].startswith(("http:", "https:"))
            for at in range(opened, min(stop, opened + 8))
        )

    def _here(self, opened: int, stop: int) -> bool:
        """Return whether a call speaks to nobody but this machine, or the host that it runs on."""
        if speaks_to_host(self.walk, opened, stop):
            return True
        said = self.source.said
        hosts = [said[at + 2] for at in range(opened, stop - 2) if said[at] in _HOSTS and said[at + 1] == ":"]
        return len(hosts) == 1 and hosts[0][1:-1] in _HERE

    def _named(self, opened: int, stop: int) -> bool:
        """Return whether a name is put together below a domain, of what the machine is or keeps."""
        below = (self.source.said[i][1:-1] for i in range(opened, stop) if self.source.kinds[i] == "text")
        told = self.has(MACHINE, opened, stop) or self.has(READ, opened, stop)
        return told and any(_DOMAIN.search(text) for text in below)

    def at_install(self) -> Iterator[tuple[int, str, Severity, str]]:
        """Yield what harms where it runs while a package is installed."""
        source = self.source
        hooks = any(
            kind == "text" and "hooks" in said for kind, said in zip(source.kinds, source.said, strict=True)
        )
        for first, opened, stop in self.calls:
            last = source.said[opened - 1]
            given = source.arguments(opened)
            asks = self.has(NET, first, opened) and (last in _SENDS or (first == opened - 1 and self.small))
            if asks and self.has(MACHINE, opened, stop):
                yield opened, "install-network", Severity.HIGH, f"{last} sends facts of this machine"
            if given and _WRITERS.match(last) and self.has(STAYS, *given[0]):
                yield opened, "install-persistence", Severity.HIGH, f"{last} has it started at each login"
            if hooks and _WRITERS.match(last) and self._hooks(opened, stop):
                yield opened, "install-persistence", Severity.HIGH, f"{last} has git run a program"

    def _hooks(self, opened: int, stop: int) -> bool:
        """Return whether a call writes a command that reaches out, and the source names git's hooks."""
        texts = [self.source.said[i] for i in range(opened, stop) if self.source.kinds[i] == "text"]
        return any(text.startswith(("'#!", '"#!')) and _CARRIES.search(text) for text in texts)
