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
)
"""Words without which nothing here can be found."""


def at_import(tally: Tally, tree: ast.AST) -> None:
    """Note calls to the network and to shells that importing the module makes."""
    for call in _calls(tree):
        name = _dotted(call.func)
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


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that run at import, without those inside functions."""
    todo: list[ast.AST] = list(getattr(tree, "body", ()))
    for _ in range(_MOST):
        if not todo:
            return
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and _guarded(node.test):
            todo.extend(node.orelse)
            continue
        if isinstance(node, ast.Call):
            yield node
        todo.extend(ast.iter_child_nodes(node))


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
