"""What a source reaches for outside of its own program: the network, other programs, machine code, new code.

No sign of harm: most packages do some of it. It is kept so that approvers see what a new version began to
do. Told by what is imported or called, by patterns; who hides it on purpose leaves signs of another kind
(`code_signs`).
"""

import re
from collections.abc import Callable

from lockgate.inspect.tally import Tally

SCANNED = 1 << 20
"""How much of one source is searched, in characters."""

_MODULES = {
    "network": (
        "socket", "ssl", "urllib", "urllib3", "httpx", "requests", "aiohttp", "ftplib", "smtplib", "imaplib",
        "telnetlib", "xmlrpc", "websocket", "paramiko", "grpc", "pycurl", "boto3", "http",
    ),
    "subprocess": ("subprocess", "pty", "pexpect"),
    "native": ("ctypes", "cffi"),
    "code": ("marshal", "dill", "cloudpickle", "runpy"),
}  # fmt: skip
_NODE_MODULES = {
    "network": (
        "net",
        "tls",
        "dgram",
        "http",
        "https",
        "http2",
        "axios",
        "node-fetch",
        "got",
        "undici",
        "ws",
    ),
    "subprocess": ("child_process", "worker_threads", "execa", "cross-spawn", "shelljs"),
    "native": ("bindings", "node-gyp-build", "ffi-napi", "node-addon-api"),
    "code": ("vm",),
}
_CALLS = {
    "subprocess": ("os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn", "os.startfile"),
    "code": ("exec(", "eval(", "pickle.load", "torch.load"),
    "network": ("open_connection(", "create_connection("),
}
_NODE_CALLS = {
    "network": ("fetch(", "XMLHttpRequest", "WebSocket("),
    "native": ("process.dlopen",),
    "code": ("eval(", "new Function("),
}
_SCRIPTS = frozenset({"js", "cjs", "mjs", "ts", "jsx", "tsx"})


def _import(word: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:import|from)[ \t]+{re.escape(word)}")


def _require(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?:require\(|from|import\(?)\s*['\"](?:node:)?{re.escape(word)}['\"]")


def _call(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.]){re.escape(word)}")


_Looks = dict[str, tuple[tuple[str, re.Pattern[str]], ...]]
"""Kind → words that are looked for first, since that is quick, and the pattern that has to match then."""


def _looks(
    modules: dict[str, tuple[str, ...]],
    calls: dict[str, tuple[str, ...]],
    reach: Callable[[str], re.Pattern[str]],
) -> _Looks:
    return {
        kind: tuple(
            [(word, reach(word)) for word in modules.get(kind, ())]
            + [(word, _call(word)) for word in calls.get(kind, ())]
        )
        for kind in {**modules, **calls}
    }


_PYTHON = _looks(_MODULES, _CALLS, _import)
_SCRIPT = _looks(_NODE_MODULES, _NODE_CALLS, _require)


def use(tally: Tally, text: str, kind: str) -> None:
    """Note what a source reaches for; `kind` is the extension of its name."""
    looks = _PYTHON if kind == "py" else _SCRIPT if kind in _SCRIPTS else {}
    if len(text) > SCANNED:
        text = text[:SCANNED]
    for name, words in looks.items():
        if any(word in text and pattern.search(text) for word, pattern in words):
            tally.use(name)
