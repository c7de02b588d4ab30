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
    "http.client.HTTPConnection", "request.urlretrieve",
})  # fmt: skip
_SHELL = frozenset({"os.system", "os.popen", "os.startfile", "subprocess.getoutput", "commands.getoutput"})
_COMMANDS = frozenset({
    "subprocess.Popen", "subprocess.run", "subprocess.call", "subprocess.check_call",
    "subprocess.check_output", "Popen",
})  # fmt: skip
_SUSPICIOUS = re.compile(
    r"powershell|\bcurl\b|\bwget\b|https?://|/dev/tcp|\bcmd(?:\.exe)?\b|\bmshta\b|\bbash\b.*-c|base64|\bnc\b",
    re.IGNORECASE,
)
_LOOKUPS = frozenset({"socket.gethostbyname", "socket.getaddrinfo"})
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
)
"""Words without which no call to the network or to a shell can be found."""
REVERSED = "[::-1]"
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
)
SPOKEN = ("system", "popen")
MODULES = {
    "requests": ("get", "post", "put", "request"),
    "subprocess": ("Popen", "run", "call", "check_call", "check_output", "getoutput"),
}
"""Names of which one stands in every source with such a call: words that are hardly ever prose, functions of
``os``, and modules with their functions."""


def at_import(tally: Tally, tree: ast.AST) -> None:
    """Note calls to the network and to shells that importing the module makes."""
    known = _Names(tree)
    for call in _calls(tree):
        name = known.real(_dotted(call.func))
        line = f"(line {call.lineno})"
        if name in _NETWORK:
            tally.note(
                "python-import-network", Severity.HIGH, f"{name} is called when it is imported {line}."
            )
        elif name in _SHELL:
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


class _Names:
    """What names of a module stand for: imported under another name, or made by decoding."""

    def __init__(self, tree: ast.AST) -> None:
        self._stands: dict[str, str] = {}
        self._decoded: set[str] = set()
        for node in getattr(tree, "body", ()):
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
                if last.rpartition(".")[2] in DECODERS:
                    return True
            if isinstance(item, ast.Slice) and isinstance(item.step, ast.UnaryOp):
                return True
        return False


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that run at import, without those inside functions."""
    todo: list[ast.AST] = list(getattr(tree, "body", ()))
    for _ in range(_MOST):
        if not todo:
            return
        node = todo.pop()
        kind = type(node)
        if kind in _LATER:
            continue
        if isinstance(node, ast.If) and _guarded(node.test):
            todo.extend(node.orelse)
            continue
        if isinstance(node, ast.Call):
            yield node
        # As `ast.iter_child_nodes` yields them, which is a generator over another one.
        for name in kind._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                todo.append(value)
            elif isinstance(value, list):
                todo.extend(item for item in value if isinstance(item, ast.AST))


_LATER = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda})
"""What runs when it is called."""


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
