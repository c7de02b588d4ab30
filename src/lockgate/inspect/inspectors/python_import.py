"""What Python source does as soon as it is imported: statements outside of functions.

A module that speaks to the network or hands a command to a shell while it is imported acts before
anybody has called it. ``if __name__ == "__main__"`` and ``if TYPE_CHECKING`` are left out.
"""

import ast
import re
from collections.abc import Iterator

from lockgate.core.verdict import Severity
from lockgate.inspect.tally import Tally

_NETWORK = frozenset({
    "requests.get", "requests.post", "requests.put", "requests.request", "urllib.request.urlopen",
    "urlopen", "urllib.request.urlretrieve", "urlretrieve", "urllib2.urlopen", "httpx.get", "httpx.post",
    "request.urlopen", "socket.create_connection", "http.client.HTTPSConnection",
    "http.client.HTTPConnection", "request.urlretrieve", "ftplib.FTP", "ftplib.FTP_TLS", "smtplib.SMTP",
    "smtplib.SMTP_SSL",
})  # fmt: skip
_ACTS_AWAY = frozenset(
    name for name in _NETWORK if name.rpartition(".")[2] not in {"get", "urlopen", "urlretrieve"}
)
"""Those that do more than ask for what an address gives."""
CELLS = "cells"
"""The role of the program that a notebook's cells make."""
_SHELL = frozenset({"os.system", "os.popen", "os.startfile", "subprocess.getoutput", "commands.getoutput"})
_COMMANDS = frozenset({
    "subprocess.Popen", "subprocess.run", "subprocess.call", "subprocess.check_call",
    "subprocess.check_output", "Popen",
})  # fmt: skip
_SUSPICIOUS = re.compile(
    r"powershell|\bcurl\b|\bwget\b|https?://|/dev/tcp|\bcmd(?:\.exe)?\b|\bmshta\b|\bbash\b.*-c|base64|\bnc\b"
    r"|\bpip3? install\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"(?:brew --prefix|(?:pkg|llvm|mysql|pg|xml2|xslt)[_-]config(?: --[a-z-]{1,30}){1,4})"
    r"(?: [\w@.+-]{1,60}){0,3}"
)
"""Commands of builds that change nothing."""
_SCREEN = re.compile(r"(?i)|cls|clear|color(?: [0-9a-f]{1,2})?|chcp \d{3,5}(?: ?> ?nul)?")
"""Commands that empty the screen or set its colours; an empty one has Windows understand escapes."""
_BY_ADDRESS = frozenset({"urlopen", "urlretrieve"})
_LOOKUPS = frozenset({"socket.gethostbyname", "socket.getaddrinfo"})
_STARTS = frozenset({"Thread", "Timer", "Process", "submit", "register", "call_soon", "call_later"})
"""Calls that have a function run which they are given."""
RUNS = frozenset({"exec", "eval"})
DECODERS = frozenset({
    "b64decode", "urlsafe_b64decode", "b32decode", "b85decode", "a85decode", "decompress", "unhexlify",
    "decrypt", "fromhex", "to_bytes",
})  # fmt: skip
_MOST = 20_000
ACTS = (
    "urlopen",
    "urlretrieve",
    "request",
    "httpx",
    "http.client",
    "socket",
    "os.",
    "subprocess",
    "commands",
    "Popen",
    "from os ",
    "ftplib",
    "smtplib",
)
"""Words without which no call to the network or to a shell can be found."""
MADE = ("[::-1]", "chr", "bytes(", "bytearray(")
CALLED = (
    "urlopen",
    "urlretrieve",
    "httpx",
    "HTTPSConnection",
    "HTTPConnection",
    "create_connection",
    "gethostbyname",
    "getaddrinfo",
    "startfile",
    "getoutput",
    "Popen",
    "ftplib",
    "smtplib",
)
SPOKEN = ("system", "popen")
MODULES = {
    "requests": ("get", "post", "put", "request"),
    "subprocess": ("Popen", "run", "call", "check_call", "check_output", "getoutput"),
}
"""Names of which one stands in every source with such a call: words that are hardly ever prose, functions of
``os``, and modules with their functions."""


def at_import(tally: Tally, tree: ast.AST, *, cells: bool = False) -> None:
    """Note calls to the network and to shells that importing the module makes.

    Args:
        tally: Takes the findings.
        tree: The module.
        cells: It is the cells of a notebook, which nothing imports: whoever runs them sees what is fetched.

    """
    calls, bodies = _calls(tree)
    known = _Names(bodies)
    for call in calls:
        name = known.real(_dotted(call.func))
        line = f"(line {call.lineno})"
        if name in (_ACTS_AWAY if cells else _NETWORK) and not _nowhere(name, call):
            tally.note(
                "python-import-network", Severity.HIGH, f"{name} is called when it is imported {line}."
            )
        elif name in _SHELL and not _asks(call):
            tally.note(
                "python-import-command", Severity.HIGH, f"{name} is called when it is imported {line}."
            )
        elif name in _COMMANDS and _SUSPICIOUS.search(" ".join(_texts(call))):
            tally.note(
                "python-import-command", Severity.HIGH, f"{name} starts a shell when it is imported {line}."
            )
        elif name in _LOOKUPS and call.args and isinstance(call.args[0], ast.BinOp | ast.JoinedStr):
            why = f"{name} asks for a name that is put together when it is imported {line}."
            tally.note("python-import-network", Severity.HIGH, why)
        elif name in RUNS and call.args and known.decoded(call.args[0]):
            why = f"{name} runs what was decoded, when it is imported {line}."
            tally.note("python-decoded-code", Severity.CRITICAL, why)


def _asks(call: ast.Call) -> bool:
    """Return whether a call only asks where a library lies or clears the screen, as it is written out.

    Either of two commands may be given, one for each system.
    """
    given = [*call.args, *(word.value for word in call.keywords)]
    if len(given) != 1:
        return False
    said = [given[0].body, given[0].orelse] if isinstance(given[0], ast.IfExp) else given
    return all(
        isinstance(one, ast.Constant)
        and isinstance(one.value, str)
        and bool(_QUESTION.fullmatch(one.value) or _SCREEN.fullmatch(one.value))
        for one in said
    )


def _nowhere(name: str, call: ast.Call) -> bool:
    """Return whether an address is empty: it is refused unasked, which tells what may be given."""
    first = call.args[0] if call.args else None
    empty = isinstance(first, ast.Constant) and first.value == ""
    return empty and name.rpartition(".")[2] in _BY_ADDRESS


class _Names:
    """What names of a module stand for: imported under another name, or made by decoding."""

    def __init__(self, bodies: list[list[ast.stmt]]) -> None:
        self._stands: dict[str, str] = {}
        self._decoded: set[str] = set()
        for node in (node for body in bodies for node in body):
            if isinstance(node, ast.Import):
                self._stands |= {item.asname: item.name for item in node.names if item.asname}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                self._stands |= {
                    item.asname or item.name: f"{node.module}.{item.name}" for item in node.names
                }
            elif isinstance(node, ast.Assign):
                self._assigned(node)

    def _assigned(self, node: ast.Assign) -> None:
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if self.decoded(node.value):
            self._decoded.update(names)
        elif isinstance(node.value, ast.Name) and node.value.id in RUNS:
            self._stands |= dict.fromkeys(names, node.value.id)

    def real(self, name: str) -> str:
        """Return a dotted name as it is without what this module calls it."""
        first, dot, rest = name.partition(".")
        return f"{self._stands.get(first, first)}{dot}{rest}"

    def decoded(self, node: ast.expr) -> bool:
        """Return whether a value is decoded or turned around where it stands, or was before."""
        for item in ast.walk(node):
            if isinstance(item, ast.Name) and item.id in self._decoded:
                return True
            if isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute | ast.Name):
                last = item.func.attr if isinstance(item.func, ast.Attribute) else self.real(item.func.id)
                if last.rpartition(".")[2] in DECODERS or _made(item, last):
                    return True
            if isinstance(item, ast.Slice) and isinstance(item.step, ast.UnaryOp):
                return True
        return False


def _calls(tree: ast.AST) -> tuple[list[ast.Call], list[list[ast.stmt]]]:
    """Return the calls that run at import, and the bodies that they stand in.

    Those inside functions are left out, but for functions of the module that it calls itself or gives to a
    thread, at import.
    """
    body: list[ast.stmt] = list(getattr(tree, "body", ()))
    functions = dict(_functions(body))
    bodies, calls = [body], []
    todo: list[ast.AST] = list(body)
    for _ in range(_MOST):
        if not todo:
            break
        node = todo.pop()
        kind = type(node)
        if kind in _LATER:
            continue
        if isinstance(node, ast.If) and _guarded(node.test):
            todo.extend(node.orelse)
            continue
        if isinstance(node, ast.Call):
            calls.append(node)
            for name in _started(node):
                if (function := functions.pop(name, None)) is not None:
                    bodies.append(function.body)
                    todo.extend(function.body)
        todo.extend(_children(node))
    return calls, bodies


def _functions(body: list[ast.stmt]) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield the functions of a module by the names that call them; a class makes its objects by one."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from (
                (node.name, item)
                for item in node.body
                if isinstance(item, ast.FunctionDef) and item.name == "__init__"
            )


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what `ast.iter_child_nodes` does, which is a generator over another one."""
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, ast.AST):
            yield value
        elif isinstance(value, list):
            yield from (item for item in value if isinstance(item, ast.AST))


def _started(call: ast.Call) -> list[str]:
    """Return the names of functions that a call runs: its own, or those that it hands to a thread."""
    first = [call.func.id] if isinstance(call.func, ast.Name) else []
    last = call.func.attr if isinstance(call.func, ast.Attribute) else "".join(first)
    if last in _STARTS:
        given = [*call.args, *(word.value for word in call.keywords)]
        first += [item.id for item in given if isinstance(item, ast.Name)]
    return first


_LATER = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda})
"""What runs when it is called."""


def _made(call: ast.Call, name: str) -> bool:
    """Return whether a call makes a text of numbers: what nobody who has nothing to hide runs."""
    if name in {"bytes", "bytearray"}:
        return any(
            (isinstance(item, ast.BinOp) and isinstance(item.op, ast.BitXor)) or _parses(item)
            for given in call.args
            for item in ast.walk(given)
        )
    return name == "join" and any(
        (isinstance(item, ast.Call) and isinstance(item.func, ast.Name) and item.func.id in {"chr", "ord"})
        or (isinstance(item, ast.Name) and item.id == "chr")
        for given in call.args
        for item in ast.walk(given)
    )


def _parses(node: ast.AST) -> bool:
    """Return whether a node reads a number from a text of another base."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "int"
        and len(node.args) > 1
    )


def _guarded(test: ast.expr) -> bool:
    names = {item.id for item in ast.walk(test) if isinstance(item, ast.Name)}
    names |= {item.attr for item in ast.walk(test) if isinstance(item, ast.Attribute)}
    return bool(names & {"__name__", "TYPE_CHECKING"})


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _texts(call: ast.Call) -> Iterator[str]:
    for node in ast.walk(call):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
