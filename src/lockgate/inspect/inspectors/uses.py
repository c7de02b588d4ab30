"""What a source reaches for outside of its own program: the network, other programs, machine code, new code.

No sign of harm: most packages do some of it. It is kept so that approvers see what a new version began to
do. Told by what is imported or called, by patterns; who hides it on purpose leaves signs of another kind
(`code_signs`).
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from lockgate.inspect.tally import Tally

if TYPE_CHECKING:
    from lockgate.inspect.inspectors.source_hints import Hints

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
SCRIPTS = frozenset({"js", "cjs", "mjs", "ts", "jsx", "tsx"})


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


PYTHON = _looks(_MODULES, _CALLS, _import)
SCRIPT = _looks(_NODE_MODULES, _NODE_CALLS, _require)


def yara_patterns(kind: str, space: str) -> dict[str, list[str]]:
    """Return the looks at a kind of source as patterns of YARA: the same where all letters are ASCII.

    Elsewhere they match more: a letter that is none in ASCII ends a word for them.

    Args:
        kind: ``py`` or ``js``.
        space: What stands for one white space.

    """
    if kind == "py":
        modules, calls, looks = _MODULES, _CALLS, PYTHON
        reach = r"/\b(import|from)[ \t]+{}/"
    else:
        modules, calls, looks = _NODE_MODULES, _NODE_CALLS, SCRIPT
        reach = rf"/(require\(|from|import\(?){space}*['\"](node:)?{{}}['\"]/"
    return {
        name: [reach.format(re.escape(word)) for word in modules.get(name, ())]
        + [rf"/(^|[^A-Za-z0-9_.]){re.escape(word)}/".replace("\\ ", " ") for word in calls.get(name, ())]
        for name in looks
    }


def use(tally: Tally, text: str, kind: str, hints: "Hints | None" = None) -> None:
    """Note what a source reaches for.

    Args:
        tally: Takes the uses.
        text: The source.
        kind: The extension of its name.
        hints: What a quick look at the source has told already.

    """
    if hints and not hints.seen:
        return
    looks = PYTHON if kind == "py" else SCRIPT if kind in SCRIPTS else {}
    if len(text) > SCANNED:
        text = text[:SCANNED]
    for name, words in looks.items():
        found = hints.uses(name) if hints else None
        if found is None:
            found = any(word in text and pattern.search(text) for word, pattern in words)
        if found:
            tally.use(name)
