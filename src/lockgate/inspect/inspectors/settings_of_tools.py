"""Settings by which a tool runs something: those of git, npm and Ollama, by the names of their files.

Sources: git-config(1), gitmodules(5); npm's "npmrc"; Ollama's "Modelfile reference".
"""

import re
from collections.abc import Callable

from lockgate.core.verdict import Severity
from lockgate.inspect.tally import Tally

_LONGEST = 1 << 20
_SHOWN = 3
_GIT = re.compile(
    r"(?im)^[ \t]*(fsmonitor|sshCommand|hooksPath|gitProxy|askPass|editor|pager|external|textconv|cl"
    r"ean|smudge|process|uploadpack"
    r"|receivepack|helper|program)[ \t]*=[ \t]*+(?!true\b|false\b|cat\b|less\b|vim?\b|nano\b|git-lfs"
    r"\b|store\b|cache\b|osxkeychain\b|manager\b)"
    r"([^\n]{1,200})$"
)
_GIT_SECTION = re.compile(r"(?m)^[ \t]*\[core\b")
_MODULE = re.compile(
    r"(?im)^[ \t]*(?:url[ \t]*=[ \t]*(?:-|ext::|fd::|[^\n]{0,200}\$\()|update[ \t]*=[ \t]*!|path[ \t"
    r"]*=[ \t]*(?:-|[^\n]*\.\.))[^\n]{0,200}"
)
_NPM = re.compile(
    r"(?im)^[ \t]*(?:(?:[@\w:/.-]*:)?registry[ \t]*=[ \t]*http://[^\n]{1,200}|(?:script-shell|node-options|git|shell|init-module|onload-script)"
    r"[ \t]*=[ \t]*[^\n]{1,200}|strict-ssl[ \t]*=[ \t]*false)"
)
_OLLAMA = re.compile(r"(?im)^[ \t]*(?:ADAPTER|FROM)[ \t]+(?:/|~|\.\./|[^\n]*/\.\./|https?://)[^\n]{0,200}")


def _git(text: str) -> re.Pattern[str] | None:
    return _GIT if _GIT_SECTION.search(text) else None


_FILES: dict[str, tuple[Callable[[str], re.Pattern[str] | None], str, str]] = {
    "config": (_git, "git-setting", "git runs a command by it"),
    ".gitconfig": (_git, "git-setting", "git runs a command by it"),
    ".gitmodules": (lambda _: _MODULE, "git-setting", "git runs a command by it, or writes elsewhere"),
    ".npmrc": (lambda _: _NPM, "npm-setting", "npm runs or trusts something else by it"),
    "Modelfile": (lambda _: _OLLAMA, "model-outside", "the model is made of what lies elsewhere"),
}


def check(tally: Tally, name: str, text: str) -> None:
    """Note settings of a tool that have it run something, where the file is named so.

    Args:
        tally: Takes the findings.
        name: The file's name, without its folder.
        text: What it says.

    """
    if name not in _FILES or len(text) > _LONGEST:
        return
    choose, code, why = _FILES[name]
    pattern = choose(text)
    for count, found in enumerate(pattern.finditer(text) if pattern else ()):
        if count == _SHOWN:
            break
        tally.note(code, Severity.HIGH, f"{name}: {why}: {' '.join(found[0].split())[:80]}", found.start())
