"""Harm that Python source does with values: what it sends, runs, destroys, and where it makes itself stay.

The values are followed by `python_values`; here is where they may not arrive. What acts by itself, when it is
imported or installed, may do less than what somebody calls.
"""

import ast
import re
from collections.abc import Iterator

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors import python_places as places
from lockgate.inspect.inspectors.python_hints import WORDS
from lockgate.inspect.inspectors.python_known import Call
from lockgate.inspect.inspectors.python_places import HOLE, NOTHING, SENT, Mark
from lockgate.inspect.inspectors.python_values import Reader
from lockgate.inspect.inspectors.script_orders import ordered
from lockgate.inspect.tally import Tally

_SHOWN = 4
_SMALL = 12 << 10
"""Source that is read to the last line, in characters."""
_COMMANDS = re.compile(
    r"^(?:setuptools|distutils)\.|\.(?:install|develop|build_py|build_ext|egg_info|sdist|bdist_wheel|build)$"
)
_STARTED = (
    ".run",
    ".__init__",
    ".initialize_options",
    ".finalize_options",
    ".build_extension",
    ".build_extensions",
)
BUILD_HOOKS = (
    "build_wheel", "build_sdist", "build_editable", "get_requires_for_build_wheel",
    "get_requires_for_build_sdist", "get_requires_for_build_editable", "prepare_metadata_for_build_wheel",
    "prepare_metadata_for_build_editable",
)  # fmt: skip
"""What installers call of a package's own build backend (PEP 517, PEP 660)."""
_ENCODED = re.compile(r"^[-/](?:e|en|enc|encodedcommand)$", re.IGNORECASE)
_POWERSHELL = re.compile(r"(?:^|[/\\\s])p[o]wershell(?:\.exe)?\b|^pwsh\b", re.IGNORECASE)
_HIDES = re.compile(
    r"-w(?:indowstyle)?\s+h(?:idden)?\b|\s-e(?:nc\w*)?\s+[A-Za-z0-9+/=\0]{8}|downl[o]adstring|invoke-expre[s]sion|\bi[e]x\b"
    r"|\bi[w]r\s", re.IGNORECASE,
)  # fmt: skip
_SETS_INDEX = re.compile(r"index-url\s*[=\s]\s*http|^registry\s*=|global\.(?:extra-)?index-url", re.MULTILINE)
_SPEAKS_BY_COMMAND = re.compile(r"\b(?:curl|wget)\s[^\n]*(?:https?://|\$\()")
_INTERPRETERS = re.compile(r"(?:\S*/)?(?:python[\d.]*|(?:ba|z|da)?sh|node|perl|ruby)\Z")
_WRITES = ("w", "a", "x", "r+", "wb", "ab")
_SHELL = re.compile(r"(?:^|/)(?:ba|z|da|k)?sh$|^cmd(?:\.exe)?$|^p[o]wershell")
_OF_THE_HOST = re.compile(r"http://169\.254\.169\.254(?::80)?(?:/|\Z)")
_OPENS = frozenset({"builtins.open", "io.open", "codecs.open", "pathlib.Path().open"})
_PUTS = frozenset({"pathlib.Path().write_text", "pathlib.Path().write_bytes"})
_JOB = re.compile(r"^crontab$")
_DOMAIN = re.compile(r"\.[\w-]+\.[\w-]{2,}\.?$")
_MOVES = re.compile(r"(?:RtlMoveMemory|memmove|WriteProcessMemory|RtlCopyMemory)$")
_SPEAKS = frozenset(["urlopen", "urlretrieve", "post", "put", "create_connection", "connect", "sendall"])
_SPEAKING_WORDS = """
requests.get httpx.get http.client.HTTPSConnection().request http.client.HTTPConnection().request
"""
_SPEAKING = frozenset(_SPEAKING_WORDS.split())
_LOOKED_UP = frozenset({"builtins.exec", "builtins.eval", "builtins.__import__"})
_TAKES = frozenset({"remove", "unlink", "rmtree", "rmdir", "write_bytes", "write", "write_text", "truncate"})
Found = tuple[int, str, Severity, str]


class Harms:
    """Looks at each call that a reader meets."""

    def __init__(self, *, installs: bool) -> None:
        """Begin with nothing found."""
        self.installs = installs
        self.found: dict[tuple[int, str], Found] = {}
        self.seen: set[str] = set()
        self.goes = NOTHING
        self.at = 0

    def worth(self, reader: Reader) -> bool:
        """Return whether there is a place that something goes to which the source has."""
        return bool(self.goes & (reader.everything | Mark.BUILT)) or bool(self.seen)

    def met(self, reader: Reader, call: Call) -> None:
        """Note what a call does that it should not."""
        for code, severity, why in self._harms(call, reader):
            line = getattr(call.node, "lineno", 0)
            self.found.setdefault((line, code), (line, code, severity, why))

    def _harms(self, call: Call, reader: Reader) -> Iterator[tuple[str, Severity, str]]:
        yield from _hidden(call)
        name = call.name
        last = name.rpartition(".")[2]
        if name in places.RUNNERS or last in {"runsource", "runcode"}:
            self.goes |= Mark.DECODED | Mark.NET
            yield from _runs(call)
        if name in places.PROCESSES or places.PROCESS.fullmatch(name):
            self.goes |= Mark.DECODED | Mark.NET | Mark.STAYS | Mark.READ
            yield from self._starts(call, reader)
        if name.startswith(places.NETS):
            self.goes |= SENT | Mark.FACTS | Mark.READ_KEYS | Mark.WALKED
            yield from self._sends(call, last)
        if name in places.LOADERS and call.first().marks & Mark.FETCHED:
            yield "python-decoded-code", Severity.CRITICAL, f"{name} loads what was fetched"
        yield from self._stays(call, last)
        if last in _TAKES:
            self.goes |= Mark.HOME | Mark.WALKED
        if last in {"write", "write_text"}:
            self.goes |= Mark.STAYS | Mark.INDEX
        yield from _destroys(call, last)
        brought = call.marks() & (Mark.NET | Mark.DECODED) and call.marks() & Mark.MEMORY
        if brought and (_MOVES.search(last) or name.startswith("ctypes.CFUNCTYPE()")):
            yield "code-shellcode", Severity.HIGH, "What was fetched or decoded is put into memory that runs"
        self._remember(call, last)

    def _remember(self, call: Call, last: str) -> None:
        name = call.name
        if any(
            isinstance(value.const, str) and places.ADDRESSES.search(value.const) for value in call.every()
        ):
            self.seen.add("address")
        if places.LISTENS.search(name):
            self.seen.add("keys")
        if name in places.CLIPS or last == "clipboard_get":
            self.seen.add("clip")
        if name in places.PUTS or last == "clipboard_append":
            self.seen.add("put" if not call.marks() & Mark.CLIP else "copy")
        if last == "dup2" and call.marks() & Mark.SOCKET:
            self.seen.add("dup")
            self.at = call.node.lineno
        if name.startswith(places.NETS) and last in places.SENDS and last not in {"get", "open", "fetch"}:
            self.seen.add("sends")
        if name in places.PROCESSES or places.PROCESS.fullmatch(name):
            self.seen.add("starts")

    def _sends(self, call: Call, last: str) -> Iterator[tuple[str, Severity, str]]:
        marks = call.marks()
        if isinstance(where := call.first().const, str) and _OF_THE_HOST.match(where):
            return  # what the host's own service said goes back to it
        if last in places.SENDS and marks & SENT:
            what = "all settings of its environment" if marks & Mark.ENV else "what a person keeps for itself"
            if marks & Mark.SCREEN:
                yield "python-spies", Severity.HIGH, f"{last} sends pictures of the screen"
            else:
                yield "python-steals", Severity.HIGH, f"{last} sends {what}"
        if last in places.SENDS and call.told() & Mark.READ_KEYS:
            yield "python-steals", Severity.HIGH, f"{last} sends keys that a person keeps"
        if last in places.SENDS and marks & Mark.WALKED and marks & Mark.FILE:
            yield "python-steals", Severity.HIGH, f"{last} sends whatever lies in a person's home"
        if call.name in places.LOOKUPS and marks & (SENT | Mark.FACTS | Mark.READ_KEYS) and _named(call):
            yield "python-steals", Severity.HIGH, "It asks for a name that says what this machine is"
        if call.acts and last in places.SENDS and marks & Mark.FACTS:
            code = "install-network" if self.installs else "python-import-network"
            yield code, Severity.HIGH, f"{last} sends facts of this machine by itself"
        asks = last in _SPEAKS or call.name in _SPEAKING
        if self.installs and call.acts and asks:
            yield "install-network", Severity.HIGH, f"{call.name} speaks to the network while it is installed"

    def _starts(self, call: Call, reader: Reader) -> Iterator[tuple[str, Severity, str]]:
        name, first, marks = call.name, call.first(), call.first().marks
        words = [value.const for value in call.every() if isinstance(value.const, str)]
        words += [
            part
            for value in call.every()
            if isinstance(value.const, tuple)
            for part in value.const
            if isinstance(part, str)
        ]
        shell = name in places.SHELLS or bool(call.words.get("shell"))
        if shell and marks & Mark.NET and not marks & Mark.FETCHED and not _written(call):
            yield "python-remote-control", Severity.HIGH, f"{name} runs what somebody else sends"
        yield from self._orders(call, reader, shell=shell)
        if marks & Mark.FETCHED and (
            call.acts or {"start_new_session", "creationflags", "preexec_fn"} & set(call.words)
        ):
            yield "python-import-command", Severity.HIGH, f"{name} starts what was fetched"
        elif marks & Mark.FETCHED and marks & Mark.ASIDE and _program(call, reader) & Mark.FETCHED:
            yield "python-dropper", Severity.HIGH, f"{name} starts what was fetched and put aside"
        if marks & Mark.DECODED and (call.acts or shell):
            yield "python-decoded-code", Severity.CRITICAL, f"{name} runs what was decoded"
        if any(map(_POWERSHELL.search, words)) and (
            any(map(_HIDES.search, words)) or (any(map(_ENCODED.match, words)))
        ):
            yield "code-hidden-shell", Severity.HIGH, "A hidden or encoded command of PowerShell"
        if any(map(_SETS_INDEX.search, words)) and any("http://" in word for word in words):
            yield "python-persistence", Severity.HIGH, "It has packages come from another place"
        if call.acts and any(map(_JOB.match, words)) and "-" in words:
            yield "python-persistence", Severity.HIGH, "It gives itself to the jobs of the system"
        if first.marks & Mark.STAYS and call.acts:
            yield "python-persistence", Severity.HIGH, f"{name} has a program started by itself"

    def _orders(self, call: Call, reader: Reader, *, shell: bool) -> Iterator[tuple[str, Severity, str]]:
        """Yield what harms in a command as it is written, or in what it is given."""
        name, marks = call.name, call.first().marks
        said = call.said()
        if "input" in call.words and call.words["input"].marks & Mark.NET and _reads_code(call, reader):
            yield (
                "python-remote-control",
                Severity.HIGH,
                f"{name} gives an interpreter what somebody else sends",
            )
        if call.acts and _SETS_INDEX.search(said) and "http://" in said:
            yield "python-persistence", Severity.HIGH, "It has packages come from another place"
        if self.installs and call.acts and _SPEAKS_BY_COMMAND.search(said):
            yield "install-network", Severity.HIGH, f"{name} has a command speak to the network"
        for code, severity, why in ordered(said) if shell else ():
            yield code.replace("js-", "python-"), severity, why
        if places.SENDERS.match(said) and marks & (Mark.READ | Mark.SCREEN):
            yield "python-steals", Severity.HIGH, f"{name} has a command send what a person keeps for itself"

    def _stays(self, call: Call, last: str) -> Iterator[tuple[str, Severity, str]]:
        if last == "SetValueEx" and call.base.name == "winreg" and _run_key(call):
            yield "python-persistence", Severity.HIGH, "It has itself started at each login"
        writes, target = False, NOTHING
        said = " ".join(value.const for value in call.every() if isinstance(value.const, str))
        if (
            call.name in _PUTS
            or call.name == "builtins.open().write"
            or (last == "write" and call.base.name == "builtins.open()")
        ):
            writes, target = True, call.base.marks
        if not writes:
            return
        if target & Mark.STAYS and (call.acts or places.REACHES.search(said)):
            yield (
                "python-persistence",
                Severity.HIGH,
                "It writes to where programs are started from by themselves",
            )
        if target & Mark.INDEX and (call.acts or "http://" in said) and _SETS_INDEX.search(said):
            yield "python-persistence", Severity.HIGH, "It has packages come from another place"

    def rest(self) -> Iterator[Found]:
        """Yield what shows in a source only as a whole."""
        if {"keys", "sends"} <= self.seen:
            yield 0, "python-spies", Severity.HIGH, "It watches which keys are pressed, and sends them away"
        if {"clip", "put", "address"} <= self.seen:
            yield 0, "python-spies", Severity.HIGH, "It puts another receiver's address into the clipboard"
        if {"dup", "starts"} <= self.seen:
            yield self.at, "python-reverse-shell", Severity.CRITICAL, "A shell that calls back"


def _hidden(call: Call) -> Iterator[tuple[str, Severity, str]]:
    """Yield a name that was put together and that nobody puts together who has nothing to hide."""
    func = call.node.func
    hidden = Mark.BUILT | Mark.DECODED
    if call.name in {"builtins.__import__", "importlib.import_module"}:
        const, marks = call.first().const, call.first().marks
        if isinstance(const, str) and marks & hidden and places.DANGEROUS.search(const):
            yield (
                "code-hidden-name",
                Severity.HIGH,
                f"A name is put together so that nobody reads it: {const}",
            )
    elif call.name == "builtins.getattr" and len(call.given) > 1 and isinstance(call.given[1].const, str):
        name = f"{call.given[0].name}.{call.given[1].const}"
        if call.given[1].marks & hidden and places.DANGEROUS.search(name):
            yield "code-hidden-name", Severity.HIGH, f"A name is put together so that nobody reads it: {name}"
    elif call.name == "builtins.eval" and call.first().marks & hidden:
        const = call.first().const
        if isinstance(const, str) and places.DANGEROUS.search(f"builtins.{const}"):
            yield "code-hidden-name", Severity.HIGH, f"A name is put together: {const}"
    elif call.name in _LOOKED_UP and (isinstance(func, ast.Subscript) or call.hidden):
        yield "code-hidden-name", Severity.HIGH, f"{call.name} is looked up by its name"


def _runs(call: Call) -> Iterator[tuple[str, Severity, str]]:
    marks = call.first().marks
    last = call.name.rpartition(".")[2]
    if call.name == "types.FunctionType" and not marks & (Mark.WRITTEN | Mark.NET):
        return  # code that a program gives its own helper by a pipe or a file
    if marks & Mark.DECODED:
        yield "python-decoded-code", Severity.CRITICAL, f"{last} runs what was decoded"
    elif marks & Mark.NET and not marks & Mark.FETCHED:
        yield "python-decoded-code", Severity.CRITICAL, f"{last} runs what somebody else sends"


def _destroys(call: Call, last: str) -> Iterator[tuple[str, Severity, str]]:
    marks = call.first().marks
    path = call.name.startswith("pathlib.Path()") or call.base.name.startswith("pathlib.Path()")
    if (call.name in places.ENDS and marks & Mark.WALKED) or (
        path and last in {"unlink", "write_bytes", "write_text", "rmdir"} and call.base.marks & Mark.WALKED
    ):
        yield "python-destroys", Severity.CRITICAL, f"{last} takes what lies in a person's home"
    elif (
        last == "write"
        and call.base.name == "builtins.open()"
        and call.base.marks & Mark.WALKED
        and _garbled(call)
    ):
        yield "python-destroys", Severity.CRITICAL, "It locks what lies in a person's home"
    elif call.name == "shutil.rmtree" and marks & Mark.HOME:
        yield "python-destroys", Severity.CRITICAL, "rmtree takes a person's home"


def _garbled(call: Call) -> bool:
    """Return whether what is written was encrypted, or is random."""
    given = call.node.args[:1]
    return bool(given) and any(
        isinstance(item, ast.Attribute) and item.attr in {"encrypt", "urandom", "token_bytes"}
        for item in ast.walk(given[0])
    )


def _reads_code(call: Call, reader: Reader) -> bool:
    """Return whether an interpreter is started that reads its program from its input."""
    first = call.node.args[0] if call.node.args else None
    parts = first.elts if isinstance(first, ast.List | ast.Tuple) else []
    own = bool(parts) and reader.value(parts[0]).name == "sys.executable"
    words = call.said().replace(HOLE, "").split()
    named = bool(words) and bool(_INTERPRETERS.match(words[0]))
    rest = words[0 if own else 1 :]
    return (own or named) and (not rest or rest[0] in {"-", "-s", "-u", "-i"})


def _program(call: Call, reader: Reader) -> Mark:
    """Return what is known of the program that is started, without what it is given."""
    first = call.node.args[0] if call.node.args else None
    if isinstance(first, ast.List | ast.Tuple) and first.elts:
        return reader.value(first.elts[0]).marks
    return call.first().marks


def _named(call: Call) -> bool:
    """Return whether a name is put together below a domain of somebody's."""
    said = [
        item.value
        for given in call.node.args[:1]
        for item in ast.walk(given)
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    ]
    if isinstance(call.first().const, str):
        said.append(str(call.first().const))
    return any(map(_DOMAIN.search, said))


def _written(call: Call) -> bool:
    """Return whether a command begins with what stands in the source."""
    said = call.first().const
    if isinstance(said, str) and not said.startswith("\0"):
        return True
    return isinstance(said, tuple)


def _run_key(call: Call) -> bool:
    return bool((call.first().marks | call.marks()) & Mark.STAYS)


def _lines(text: str) -> list[int]:
    """Return the numbers of the lines in which a word of interest stands."""
    out: list[int] = []
    line, at = 1, 0
    for found in WORDS.finditer(text):
        line += text.count("\n", at, found.start())
        at = found.start()
        if not out or out[-1] != line:
            out.append(line)
    return out


def flows(tally: Tally, text: str, tree: ast.Module, *, acts: bool, installs: bool) -> None:
    """Note where a source sends, runs, destroys or starts what it should not.

    Args:
        tally: Takes the findings.
        text: The source.
        tree: The source as a syntax tree.
        acts: Its statements run by themselves, when it is imported.
        installs: It runs while a package is installed.

    """
    harms = Harms(installs=installs)
    reader = Reader(tree, harms.met, acts=acts, lines=_lines(text) if len(text) > _SMALL else ())
    if installs:
        reader.acting.update(f".{hook}" for hook in BUILD_HOOKS if f".{hook}" in reader.functions)
        for name, node in reader.classes.items():
            said = [ast.unparse(base) for base in node.bases]
            if any(_COMMANDS.search(f".{base}") or _COMMANDS.search(base) for base in said):
                reader.acting.update(f"{name}{end}" for end in _STARTED if f"{name}{end}" in reader.functions)
    reader.read(harms.worth)
    told: set[tuple[str, str]] = set()
    for line, code, severity, why in sorted([*harms.found.values(), *harms.rest()]):
        if (code, why) not in told and len(told) < _SHOWN:
            told.add((code, why))
            tally.note(code, severity, f"{why} (line {line})." if line else f"{why}.")
