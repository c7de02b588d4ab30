"""What becomes of values in scripts of shells: from a variable, a pipe or a file to a command.

Statements are told apart by their ends (POSIX.1-2017, XCU 2.9), not parsed: a variable holds what its last
plain assignment says, or carries what a substitution reads. Nothing is executed.
"""

import re
from collections.abc import Iterator

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.code_signs import PYTHON, look
from lockgate.inspect.tally import Tally

_MOST = 256 << 10
_LONGEST = 4000
"""Longest statement that is looked at, in characters."""
_SHOWN = 3
_NAMES = 500
_SPLIT = re.compile(r"\n|;|&&|\|\|")
_ASSIGNED = re.compile(
    r"^(?:export\s+|local\s+|readonly\s+|for\s+)?([A-Za-z_]\w{0,60})(?:=|\s+in\s)(.*)$", re.DOTALL
)
_PLAIN = re.compile(r"(?:'([^'$`]{0,200})'|\"([^\"$`\\]{0,200})\"|([^\s'\"$`\\;&|()<>]{0,200}))\s*\Z")
_USED = re.compile(r"\$(?:([A-Za-z_]\w{0,60})|\{([A-Za-z_]\w{0,60})\})")
_FETCHES = re.compile(r"(?:^|[\s(|`])(?:curl|wget|fetch|aria2c)\s")
_SENDS = re.compile(r"(?:^|[\s(|`])(?:curl|wget|nc|ncat|socat|telnet|ssh|scp|sftp|mail|sendmail)\s")
_ASKS_NAMES = re.compile(r"(?:^|[\s(|`])(?:nslookup|dig|host|drill|ping)\s")
_SAVED = re.compile(
    r"\s(?:-\w*[oO]|--output(?:-document)?)[\s=]*(\"?\$?[\w{}/.~-]{1,120}\"?)|>\s*(\"?\$?[\w{}/.~-]{1,120}\"?)"
)
_MACHINE = re.compile(r"(?:\$\(|`)\s*(?:whoami|hostname|id|uname|logname|hostid)\b")
_KEPT = re.compile(
    r"(?:\$\(|`)[^)`]{0,200}(?:\b(?:printenv|env)\b\s*(?:[|)]|\"?\$)|\.ss[h]/id_|\.aws/cred|\.netrc|/etc/shadow"
    r"|\.git-credentials|\.docker/config|\.kube/config|Login[ ]Data|\.npmrc)"
)
_ASKED = re.compile(
    r"\bread\s+(?:-\w+\s+){0,4}(?:\"[^\"]{0,80}\"\s+|'[^']{0,80}'\s+|\S{1,40}\s+)?([A-Za-z_]\w{0,60})\s*$"
)
_QUIET = re.compile(r"\bstty\s+-echo\b|\bread\s+-\w*s")
_DECODES = re.compile(
    r"\bbase64\s+(?:-\w*[dD]|--decode)\b|\bopenssl\s+(?:base64|enc)\b[^|]*\s-d\b|\bxxd\s+-\w*r\b|\buudecode\b"
    r"|\bbase32\s+-d\b"
)
_INTERPRETS = re.compile(
    r"\|\s*(?:sudo\s+|exec\s+)?(?:\S*/)?(?:ba|z|da|k)?sh\b(?!\s+\S*\.)|\|\s*(?:python3?|perl|ruby)\s*(?:-\s*)?(?:$|\s*[)&>\"'])"
)
_EVALUATES = re.compile(r"^(?:eval|source|\.|(?:ba|z|da)?sh\s+-c|(?:ba|z)sh\s+<<<)\s")
_STARTS = re.compile(r"^(?:(?:nohup|sudo|exec|setsid|env|command|(?:ba|z|da)?sh|\.|source)\s+)+")
_PART = re.compile(r"\$\{([A-Za-z_]\w{0,60}):(\d{1,3}):(\d{1,3})\}")
_REACHES = re.compile(r"https?://|\bcurl\b|\bwget\b")
_BESIDE = re.compile(r"\}?\.\w")
_BEGINS = re.compile(r"^(?:(?:then|do|else|if|while|\{|\(|!|case\s+\S{1,80}\s+in|[^\s()'\"$]{1,120}\))\s+)+")
"""What stands before a command and is none: words of the shell, and the patterns of a choice."""
_HIDDEN_COMMANDS = frozenset(
    {"curl", "wget", "bash", "nc", "ncat", "base64", "eval", "python", "python3", "crontab"}
)
_UNGUARDS = re.compile(
    r"\bsetenforce\s+0|\biptables\s+-F\b|\b(?:stop|disable|mask)\s+(?:auditd|apparmor|firewalld|falco|ufw|clamav-daemon)\b"
    r"|\bauditctl\s+-e\s*0|\bufw\s+disable\b"
)
_FORGETS = re.compile(
    r"\bhistory\s+-c\b|\bunset\s+HISTFILE\b|HISTFILE=/dev/null|\brm\s+-\w+\s+/var/log/(?:\*|\s|$)|>\s*/var/log/wtmp"
)
_HOOKED = re.compile(r"\bgit\s+config\s+(?:--global|--system)\s+core\.hook[s]Path\b")
_ANSWERED = re.compile(r"^[\"']?(?:\$\(|`)\s*(?:curl|wget)\s(?=[^)`]*(?:://|\$))")
_BEHIND = re.compile(r"^(?:(?:nohup|sudo|exec|setsid|env|command)\s+)+")
_HANDED = re.compile(
    r"^(?:echo|printf\s+(?:%s|['\"]%s\S*))\s[^|]*\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\s*$|<<<\s*[\"']?\$"
)
_PACKS = re.compile(
    r"^(?:cp|tar|zip|rsync)\s[^\n]*(?:~|\$HOME|\$\{HOME\}|/root)/\.(?:ss[h]|aws|gnupg|kube|docker|mozilla)\b(?!/config)"
)
_UPLOADS = re.compile(
    r"(?:^|[\s(|`])(?:curl|wget)\s[^\n]*(?:@[\"']?\$|@-|-T\s|--upload-file|--post-file)|\|\s*(?:nc|ncat)\s"
)
_FOLDERS = re.compile(r"(?:^|[\s\"'/])\.(?:ss[h]|aws|gnupg|kube|docker|mozilla|config/gcloud)\b(?!/config)")
_COPIED = re.compile(r"^(?:cp|tar|zip|rsync|mv)\s")
_GONE_THROUGH = re.compile(r"\|\s*while\s+(?:IFS=\S*\s+)?read\s+(?:-\w+\s+)*([A-Za-z_]\w{0,60})")
_STARTED_LATER = re.compile(r"^Exec(?:Start|StartPre)=-?(\S{1,200})")
_PUT = re.compile(r">\s*(\"?\$?[\w{}/.~-]{1,120}\"?)")
_ESCAPED = re.compile(
    r"^\$'((?:\\x[0-9a-fA-F]{2}|\\[0-7]{3}){2,20})'|^\$\(\s*printf\s+['\"]?((?:\\x[0-9a-fA-F]{2}|\\[0-7]{3}){2,20})"
)
_SPELLED = re.compile(r"printf\s+(?:--\s+)?['\"]((?:\\x[0-9a-fA-F]{2}|\\[0-7]{3}){5,4000})")
_CODE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|([0-7]{3}))")
_COMMAND_LINE = re.compile(r"[a-z][\w./-]{1,30}(?:\s+[\x21-\x7e]+){1,60}$")
_CALLS_BACK = re.compile(
    r"(?m)^[^#\n]*\b(?:ba|da|z)?sh\s+-i\b[^|\n]{0,40}\|\s*(?:nc|ncat|netcat)\s"
    r"|\bsocket\b[\s\S]{0,400}?\bdup2\s*\([\s\S]{0,300}?(?:\bsubprocess\b|\bpty\.spawn|\bos\.system|/bin/)"
)
_WIPES = re.compile(
    r"(?m)^[^#\n]*\bfind\s+[\"']?(?:\$HOME|\$\{HOME\}|~|/home)/?[\"']?\s+-type\s+f\s*(?:-print0?\s*)?"
    r"(?:\|[^\n]{0,80}\bshred\b|\|\s*xargs[^\n]{0,40}\brm\b|-exec\s+(?:shred|rm)\b|-delete\b)"
)
_LETS_IN = re.compile(r"(?m)^[^#\n]*\|\s*(?:sudo\s+)?tee\s+(?:-a|--append)\s+\S*\.ss[h]/author[i]zed_keys")

_GIVES = re.compile(
    r"(?m)^[^#\n]*\b(?:curl|wget|nc|ncat)\s[^\n]{0,300}?(?:<\(|\$\(|`)\s*(?:(?:sudo\s+)?(?:env|printenv|set)\s*(?:[;|)`]|&&)"
    r"|[^\n)`]{0,200}(?:\.ss[h]/id_|\.aws/cred|/etc/shadow|\.git-credentials|\.docker/config|\.kube/config|\.npmrc))"
)
_INSIDE = re.compile(
    r"(?m)^[^#\n]*\bpython3?\b[^\n|;&]{0,40}<<-?\s*['\"]?(\w{1,40})['\"]?[^\n]{0,80}\n([\s\S]{0,20000}?)\n\s*\1$"
    r"|^[^#\n]*\bpython3?\s+-c\s+'([^']{10,4000})'"
)
"""Python that stands in a script."""
_UNPACKS = re.compile(
    r"\b(?:xz|gzip|bzip2|zstd|lzma)\s+(?:-\w+\s+)*-\w*[dD]\w*|\b(?:gunzip|zcat|xzcat|bunzip2|bzcat)\b"
)
_CARRIES = re.compile(
    r"\btail\s+-n\s*\+\d+\s+[\"']?\$\{?(?:0|BASH_SOURCE)[^\n]{0,200}?>\s*[\"']?(?P<to>\S{0,100}/\.[\w.-]{1,40})"
    r"[\s\S]{0,400}?(?:^|[;&|\n])\s*(?:nohup\s+|exec\s+)?[\"']?(?P=to)(?![\w.])"
)

_ANYWHERE = (
    (_CALLS_BACK, "shell-reverse", Severity.CRITICAL, "A shell that calls back"),
    (_WIPES, "shell-destroys", Severity.CRITICAL, "It takes what lies in a person's home"),
    (_GIVES, "shell-steals", Severity.HIGH, "It sends what a person or machine keeps for itself"),
    (_CARRIES, "shell-decoded", Severity.HIGH, "It starts a hidden program that stands behind it"),
    (_LETS_IN, "shell-intrusion", Severity.HIGH, "It lets somebody's key in"),
)
"""What harms wherever it stands."""


def _letters(written: str) -> str:
    """Return what escapes of letters stand for."""
    return _CODE.sub(lambda code: chr(int(code[1] or code[2], 16 if code[1] else 8)), written)


def flows(tally: Tally, text: str, what: str = "") -> None:
    """Note where a script hides a command, or sends, starts or runs what it should not.

    Args:
        tally: Takes the findings.
        text: A script of a shell.
        what: Stands before what is said.

    """
    if len(text) > _MOST:
        return
    told: set[str] = set()
    for at, code, severity, why in _Script(text).harms():
        if why not in told and len(told) < _SHOWN:
            told.add(why)
            tally.note(code, severity, f"{what}{why}", at)


class _Script:
    """The statements of a script, in their order."""

    def __init__(self, text: str) -> None:
        """Begin with no variable known."""
        self.text = text
        self.plain: dict[str, str] = {}
        self.machine: set[str] = set()
        self.kept: set[str] = set()
        self.decoded: set[str] = set()
        self.saved: set[str] = set()
        self.answers: set[str] = set()
        self.packed: set[str] = set()
        self.folders: set[str] = set()
        self.unpacked: set[str] = set()
        self.quiet = bool(_QUIET.search(text))

    def harms(self) -> Iterator[tuple[int, str, Severity, str]]:
        """Yield what harms, with where it stands."""
        for at, said in _statements(self.text):
            self._remember(said)
            self._pack(said)
            yield from ((at, *harm) for harm in self._commands(said))
        for spelled in _SPELLED.finditer(self.text):
            said = _letters(spelled[1])
            if said[:1].isalpha() and _COMMAND_LINE.match(said):
                why = f"A command is written in escapes: {said[:60]}"
                yield spelled.start(), "code-hidden-name", Severity.HIGH, why
        for pattern, code, severity, why in _ANYWHERE:
            if found := pattern.search(self.text):
                yield found.start(), code, severity, why
        yield from self._inside()
        if (found := _UNGUARDS.search(self.text)) and _FORGETS.search(self.text):
            why = "It stops what watches the machine, and removes its traces"
            yield found.start(), "shell-intrusion", Severity.HIGH, why
        if (found := _HOOKED.search(self.text)) and _REACHES.search(self.text):
            why = "It has git run hooks of its own in every repository"
            yield found.start(), "shell-intrusion", Severity.HIGH, why

    def _inside(self) -> Iterator[tuple[int, str, Severity, str]]:
        """Yield what Python that stands in the script shows."""
        for found in _INSIDE.finditer(self.text):
            inner = Tally(len(self.text), "", _SHOWN)
            look(inner, found[2] or found[3], PYTHON)
            for each in inner.findings:
                yield found.start(), each.code, each.severity, each.why

    def _remember(self, said: str) -> None:
        """Keep what a statement gives to a variable, or has saved."""
        if len(self.plain) + len(self.saved) > _NAMES:
            return
        if found := _ASSIGNED.match(said):
            name, value = found[1], found[2]
            plain = _PLAIN.match(value)
            if plain:
                self.plain[name] = plain[1] or plain[2] or plain[3] or ""
            used = {one or other for one, other in _USED.findall(value)}
            for read, into in ((_MACHINE, self.machine), (_KEPT, self.kept), (_DECODES, self.decoded)):
                if read.search(value) or used & into:
                    into.add(name)
            if _FOLDERS.search(value) and said.startswith("for"):
                self.folders.add(name)
            self.answers.update([name] if _ANSWERED.match(value) or used & self.answers else ())
        elif self.quiet and (asked := _ASKED.search(said)):
            self.kept.add(asked[1])
        self._put(said)

    def _put(self, said: str) -> None:
        """Keep which variable names what lies in a person's folders, and where what was decoded is put."""
        if (through := _GONE_THROUGH.search(said)) and _FOLDERS.search(said):
            self.folders.add(through[1])
        if (decodes := _DECODES.search(said)) and (put := _PUT.search(said, decodes.end())):
            self.unpacked.add(self._expanded(put[1]))

        if _FETCHES.search(self._expanded(said)):
            for found in _SAVED.finditer(said):
                if (place := self._expanded(found[1] or found[2])) not in {"/dev/null", "-"}:
                    self.saved.add(place)

    def _pack(self, said: str) -> None:
        """Keep which variables name where a person's folders were packed."""
        used = {one or other for one, other in _USED.findall(said)}
        if _PACKS.search(said) or (_COPIED.match(said) and used & self.folders):
            self.packed.update(used - self.folders - {"HOME"})

    def _commands(self, said: str) -> Iterator[tuple[str, Severity, str]]:
        word = said.split(None, 1)[0]
        pieces = word.count("$") > 1 or ("$" in word and not word.startswith(("$", '"$')))
        if pieces and (made := self._expanded(word)) in _HIDDEN_COMMANDS:
            yield "code-hidden-name", Severity.HIGH, f"A command is put together from pieces: {made}"
        first = _STARTS.sub("", said).split(None, 1)
        started = self._expanded(first[0]) if first else ""
        if started in self.saved and not _FETCHES.search(said) and ("/" in started or started != word):
            yield "shell-download", Severity.HIGH, f"It starts what it fetched: {started[:60]}"
        used = {one or other for one, other in _USED.findall(said)}
        if used & (self.machine | self.kept) and _ASKS_NAMES.search(said) and _BESIDE.search(said):
            yield "shell-steals", Severity.HIGH, "It asks for a name that says what this machine is"
        if used & self.kept and _SENDS.search(self._expanded(said)):
            yield "shell-steals", Severity.HIGH, "It sends what a person or machine keeps for itself"
        plain = _BEHIND.sub("", said)
        if used & self.answers and (_EVALUATES.match(plain) or _HANDED.search(said)):
            yield "shell-download", Severity.HIGH, "It runs what a server answered"
        yield from self._unpacked(said, started)
        if used & (self.packed | self.folders) and _UPLOADS.search(said):
            yield "shell-steals", Severity.HIGH, "It sends what it packed of a person's folders"
        yield from self._decoded(said, plain, used)

    def _unpacked(self, said: str, started: str) -> Iterator[tuple[str, Severity, str]]:
        if started in self.unpacked and not _DECODES.search(said):
            yield "shell-decoded", Severity.HIGH, f"It starts what it decoded: {started[:60]}"
        later = _STARTED_LATER.match(said)
        if later and later[1] in self.unpacked | self.saved:
            yield "shell-intrusion", Severity.HIGH, f"What it brought starts with the system: {later[1][:60]}"

    def _decoded(self, said: str, plain: str, used: set[str]) -> Iterator[tuple[str, Severity, str]]:
        if (found := _ESCAPED.match(said)) and (name := _letters(found[1] or found[2])) in _HIDDEN_COMMANDS:
            yield "code-hidden-name", Severity.HIGH, f"A command is written in escapes: {name}"
        decodes = _DECODES.search(said) or _UNPACKS.search(said)
        if decodes and (_INTERPRETS.search(said, decodes.end()) or _EVALUATES.match(plain)):
            yield "shell-decoded", Severity.CRITICAL, "It runs what was decoded"
        if used & self.decoded and (_EVALUATES.match(said) or _INTERPRETS.search(said)):
            yield "shell-decoded", Severity.CRITICAL, "It runs what was decoded before"

    def _expanded(self, said: str) -> str:
        def value(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            return self.plain.get(name, found[0])

        def part(found: re.Match[str]) -> str:
            start, size = int(found[2]), int(found[3])
            return self.plain[found[1]][start : start + size] if found[1] in self.plain else found[0]

        return _USED.sub(value, _PART.sub(part, said[:_LONGEST])).strip("\"'")[:_LONGEST]


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement with where it begins; comments, and lines that go on, as one."""
    at = 0
    joined = text.replace("\\\n", "  ")
    for found in [*_SPLIT.finditer(joined), None]:
        end = found.start() if found else len(joined)
        said = joined[at:end].strip()
        if said and not said.startswith("#") and len(said) <= _LONGEST:
            yield at, _BEGINS.sub("", said)
        at = found.end() if found else end
