"""Signs of code that was written to harm: what honest code does not need, by language.

Patterns, not understanding: obfuscated code that is decoded and run, shells that call back, downloads
that are run, stolen credentials. What runs while something is installed is held to a stricter list
than what runs when a program calls it. Each pattern is bounded; nothing is executed.

No pattern may find itself in this file: releases of Lockgate cross under the same inspection. Hence
brackets around a letter here and there.
"""

import re
from dataclasses import dataclass

from lockgate.core.verdict import Severity
from lockgate.inspect.tally import Tally

_SCANNED = 4 << 20
"""How much of one text is searched, in characters."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Sign:
    """A pattern, and what it means."""

    code: str
    severity: Severity
    why: str
    pattern: re.Pattern[str]
    needs: tuple[tuple[str, ...], ...]
    """Words of which each group must have one in the text: a quick look before the slow one."""


def _group(pattern: str) -> str:
    """Return a pattern as a group of its own, with its flags inside."""
    found = re.match(r"\(\?([im])\)", pattern)
    return f"(?{found[1]}:{pattern[found.end() :]})" if found else f"(?:{pattern})"


def _sign(code: str, severity: Severity, why: str, *patterns: str, needs: str = "") -> Sign:
    """Make a sign; `needs` are groups of words, groups parted by commas."""
    groups = tuple(tuple(group.split("|")) for group in needs.split(",") if group)
    return Sign(code, severity, why, re.compile("|".join(_group(item) for item in patterns)), groups)


_DECODE = (
    r"['\"](?:zlib|base64|marshal|gzip|bz2|lzma)['\"]\s*\)\s*\.\s*\w+|(?:base64\s*\.\s*)?(?:b64decode|b32decode|b85decode|a85decode|urlsafe_b64decode)|zlib\s*\.\s*decompress"
    r"|bytes\s*\.\s*fromhex|marshal\s*\.\s*loads|codecs\s*\.\s*decode|bytearray\s*\.\s*fromhex"
    r"|lzma\s*\.\s*decompress|gzip\s*\.\s*decompress|Fernet\s*\(|unhexlify|\.\s*join\s*\(\s*map\s*\(\s*chr"
)
_RUN = r"\b(?:exec|eval|__import__\s*\(\s*['\"]builtins['\"]\s*\)\s*\.\s*exec)\s*\("
_HOOKS = (
    r"discord(?:app)?\.com/api/webhooks/\d",
    r"api\.telegram\.org/bot\d",
    r"api\.telegram\.org/bot[\s\S]{0,4000}['\"]\d{8,10}:[\w-]{35}['\"]",
    r"['\"]\d{8,10}:[\w-]{35}['\"][\s\S]{0,4000}api\.telegram\.org/bot",
    r"hooks\.slack\.com/services/T",
    r"\.(?:oast\.(?:fun|live|me|online|pro|site)|oastify\.com|burp[c]ollaborator\.net|interact\.sh)\b",
    r"\.(?:requestbin\.net|pipedream\.net|requestcatcher\.com|ngrok(?:-free)?\.(?:io|app)|dnslog\.cn|ceye\.io)\b",
    r"\btransfer\.sh/|pastebin\.com/raw/|rentry\.co/\w+/raw|\bixi\.sh\b",
    r"burp[c]ollaborator|inter[a]ctsh|canarytokens\.com",
)

_NAMES = (
    "webhooks/|api.telegram.org|hooks.slack.com|oast|collaborator|interact|requestbin|pipedream|"
    "requestcatcher|ngrok|dnslog|ceye.io|transfer.sh|pastebin.com|rentry.co|ixi.|canarytokens"
)

_EXFILTRATION = _sign(
    "code-exfiltration", Severity.HIGH, "An address that collects what others send", *_HOOKS, needs=_NAMES
)

PYTHON = (
    _sign(
        "python-decoded-code", Severity.CRITICAL, "Code is decoded and run at once",
        rf"{_RUN}[^\n]{{0,120}}?(?:{_DECODE})",
        rf"{_RUN}\s*compile\s*\([^\n]{{0,120}}?(?:{_DECODE})",
        r"\bgetattr\s*\(\s*__import__\s*\(\s*(?:bytes|['\"](?:builtins|os|subprocess)['\"])",
        r"\b__import__\s*\(\s*(?:['\"](?:base64|zlib|marshal)['\"])\s*\)\s*\.\s*\w+[^\n]{0,80}\bexec\b",
        r"\blambda\s+\w+\s*:\s*__import__\(['\"]zlib['\"]\)\.decompress",
        rf"{_RUN}\s*['\"]{{2}}\s*\.\s*join\s*\(\s*(?:chr|\[\s*chr|map\s*\(\s*chr)",
        rf"{_RUN}\s*(?:requests\s*\.\s*get|urllib\.request\.urlopen|urlopen|httpx\.get)\s*\(",
        needs="exec|eval|__import__,decode|decompress|fromhex|marshal|chr|Fernet|hexlify|urlopen|.get|builtins|base64|zlib",
    ),
    _sign(
        "python-reverse-shell", Severity.CRITICAL, "A shell that calls back",
        r"dup2\s*\(\s*\w+\s*\.\s*fileno\s*\(\s*\)\s*,\s*0\s*\)[\s\S]{0,200}?dup2\s*\([^)]{0,40}\)?\s*,"
        r"\s*1\s*\)",
        r"\bpty\s*\.\s*spawn\s*\(\s*['\"]/?(?:bin/)?(?:ba|z|da)?sh",
        r"/dev/tcp/\S+/\d+",
        r"\bnc(?:at)?\s+(?:-\w+\s+)*-e\s+/bin/",
        needs="dup2|pty|/dev/tcp/|/bin/",
    ),
    _EXFILTRATION,
    _sign(
        "code-exfiltration", Severity.HIGH, "It sends all settings of its environment away",
        r"\b(?:requests|httpx)\s*\.\s*(?:post|put)\s*\([^\n]{0,200}"
        r"(?:dict\s*\(\s*os\.environ\s*\)|os\.environ\.copy\s*\(|(?:data|json)\s*=\s*os\.environ\b(?!\s*[\[.]))",
        needs="os.environ",
    ),
    _sign(
        "shell-download", Severity.HIGH, "A download is run at once",
        r"\b(?:os\s*\.\s*(?:system|popen)|subprocess\s*\.\s*\w+)\s*\(\s*[rbf]?['\"][^'\"\n]{0,200}"
        r"\b(?:curl|wget)\b[^'\"\n]{0,300}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b",
        needs="curl|wget",
    ),
    _sign(
        "code-stealer", Severity.HIGH, "It reads the credentials that browsers or wallets keep",
        r"(?:Local[ ]Storage|Google\\{1,2}Chrome\\{1,2}User Data|\\{1,2}Login Data|/Login[ ]Data|key4\.db|"
        r"logins\.json)"
        r"[\s\S]{0,4000}(?:CryptUnprotectData|webhook|win32crypt|requests\.post|urlopen|AES\.new)",
        r"win32crypt\s*\.\s*CryptUnprotectData",
        needs="Login Data|Local Stor|User Data|key4|logins|win32crypt",
    ),
    _sign(
        "code-hidden-shell", Severity.HIGH, "A hidden or encoded command of PowerShell",
        r"(?i)powershell(?:\.exe)?['\",\s]{1,6}(?:[^\n]{0,80}?)(?:-e(?:nc|ncodedcommand)?\s+[A-Za-z0-9"
        r"+/=$]{16}"
        r"|-w(?:indowstyle)?\s+h(?:idden)?\b|downloadstring|invoke-expression)",
        r"(?i)\b(?:mshta|certutil)(?:\.exe)?\s+(?:-urlcache|https?:|javascript:)",
        needs="owershell|POWERSHELL|owerShell|mshta|certutil",
    ),
    _sign(
        "code-shellcode", Severity.HIGH, "Bytes are put into memory and run",
        r"VirtualAlloc\w*\s*\([^\n]{0,200}0x40[\s\S]{0,2000}?\b(?:CreateThread|CreateRemoteThread|CFUNCTYPE)\b",
        needs="VirtualAlloc,CreateThread|CreateRemoteThread|CFUNCTYPE",
    ),
    _sign(
        "python-obfuscated", Severity.MEDIUM, "Code that only its own decryptor can read",
        r"\b__pyarmo[r]__\s*\(\s*__name__\s*,", r"\bfrom\s+pytransform\s+import\s+pyarmo[r]_runtime\b",
        needs="__pyarmor__|pytransform",
    ),
    _sign(
        "code-pushed-aside", Severity.HIGH, "A statement is pushed out of sight by a long run of spaces",
        r"(?m)^[^\n#'\"]{0,200}?;? {120,}(?:;|import |exec|eval|__import__|from )",
        needs=" " * 120,
    ),
)  # fmt: skip
"""For any Python source."""

INSTALL_PYTHON = (
    _sign(
        "install-network", Severity.HIGH, "It speaks to the network while it is installed",
        r"\b(?:requests|httpx)\s*\.\s*(?:get|post|put|request)\s*\(",
        r"\burllib\d?(?:\.request)?\s*\.\s*(?:urlopen|urlretrieve|Request)\s*\(",
        r"\burl(?:open|retrieve)\s*\(", r"\bhttp\.client\.HTTPS?Connection\s*\(",
        r"\bsocket\s*\.\s*(?:socket|create_connection)\s*\(",
        r"['\"\s](?:curl|wget)\s+(?:-\w+\s+)*['\"]?https?://", r"\bftplib\s*\.\s*FTP\s*\(",
    ),
    _sign(
        "install-command", Severity.HIGH, "It runs a command that is not a compiler's while it is installed",
        r"\bos\s*\.\s*(?:system|popen)\s*\(\s*[rbf]?['\"][^'\"\n]*\b(?:curl|wget|bash|powershell|chmod"
        r"|rm|nohup|start)\b",
        r"\bos\s*\.\s*startfile\s*\(",
        r"\bsubprocess\s*\.\s*\w+\s*\(\s*\[?\s*[rbf]?['\"](?:curl|wget|bash|sh|cmd|powershell|python3?"
        r"|node|nslookup|ping)\b"
        r"[^\n]*(?:https?://|-c\b|/c\b|-enc|base64)",
    ),
    _sign(
        "install-runs-code", Severity.HIGH, "It runs code from a text while it is installed",
        r"(?m)^[^#\n]*\b(?:exec|eval)\s*\(\s*(?:base64|zlib|marshal|codecs|requests|urlopen|__import__)",
    ),
)  # fmt: skip
"""For what runs while a Python package is built or installed."""

SCRIPT = (
    _sign(
        "js-decoded-code", Severity.CRITICAL, "Code is decoded and run at once",
        r"\beval\s*\(\s*(?:Buffer\s*\.\s*from|atob|unescape|decodeURIComponent|String\s*\.\s*fromCharC"
        r"ode)\s*\(",
        r"\bnew\s+Function\s*\(\s*(?:Buffer\s*\.\s*from|atob)\s*\(",
        r"\beval\s*\(\s*\w{1,40}\s*\(\s*['\"][A-Za-z0-9+/=]{200,}",
        r"\bmodule\._compile\s*\(\s*(?:Buffer\.from|atob)",
        needs="eval|Function|_compile",
    ),
    _sign(
        "js-obfuscated", Severity.HIGH, "Names and texts were garbled by an obfuscator",
        r"(?:\b_0x[0-9a-f]{4,6}\b[^\n]{0,400}?){12}",
        r"(?:\\x[0-9a-f]{2}){40}", r"\bvar _\$_[0-9a-f]{4}\s*=",
        needs="_0x|\\\\x|_$_",
    ),
    _EXFILTRATION,
    _sign(
        "js-reverse-shell", Severity.CRITICAL, "A shell that calls back", r"/dev/tcp/\S+/\d+",
        r"net\.(?:connect|Socket|createConnection)\b[\s\S]{0,600}?\.pipe\s*\(\s*\w+\.stdin\s*\)",
        r"spawn\s*\(\s*['\"](?:/bin/)?(?:ba)?sh['\"][\s\S]{0,300}net\.(?:connect|Socket|createConnection)",
        needs="/dev/tcp/|net.",
    ),
)  # fmt: skip
"""For any JavaScript."""

INSTALL_SCRIPT = (
    _sign(
        "install-network", Severity.HIGH, "It sends facts of this machine over the network",
        r"(?:os(?:['\"]\s*\))?\.(?:hostname|userInfo|networkInterfaces)\s*\(|JSON\.stringify\s*\(\s*process\.env\s*[,)])"
        r"[\s\S]{0,6000}?(?:https?(?:['\"]\s*\))?\.(?:request|get)|axios|fetch\s*\(|dns\.(?:lookup|resolve)|net\.connect)",
        r"(?:https?(?:['\"]\s*\))?\.(?:request|get)|axios|fetch\s*\(|dns\.(?:lookup|resolve))[\s\S]{0,6000}?"
        r"(?:os(?:['\"]\s*\))?\.(?:hostname|userInfo|networkInterfaces)\s*\(|JSON\.stringify\s*\(\s*process\.env\s*[,)])",
        r"(?:/etc/passwd|\.npmrc|\.ssh/id_|\.aws/credentials)"
        r"[\s\S]{0,6000}?(?:https?(?:['\"]\s*\))?\.(?:request|get)|fetch\s*\()",
        needs="http|fetch|axios|dns|net.",
    ),
    _sign(
        "install-command", Severity.HIGH, "It runs what it fetched, or hides a command",
        r"(?:exec|execSync|spawn|spawnSync)\s*\(\s*[`'\"][^`'\"\n]*(?:curl|wget|powershell|base64|\bnc"
        r"\b|/dev/tcp)",
        r"\b(?:curl|wget)\b[^\n|;]{0,300}\|\s*(?:ba|z|da)?sh\b",
    ),
)  # fmt: skip
"""For what runs while an npm package is installed."""

SHELL = (
    _sign(
        "shell-download", Severity.HIGH, "A download is run at once",
        r"\b(?:curl|wget)\b[^\n|;]{0,300}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b",
        r"\b(?:ba|z|da)?sh\s+(?:-c\s+)?['\"]?(?:<\(|\$\(|`)\s*(?:curl|wget)\b",
        r"\b(?:curl|wget)\b[^\n]{0,300}(?:&&|;|\n)\s*(?:sudo\s+)?chmod\s+(?:\+x|7\d\d)[^\n]{0,120}(?:&"
        r"&|;|\n)\s*\S*\./",
        needs="curl|wget",
    ),
    _sign(
        "shell-reverse", Severity.CRITICAL, "A shell that calls back", r"/dev/(?:tcp|udp)/[^\s/]+/\d+",
        r"\bnc(?:at)?\s+(?:-\w+\s+)*-e\s+/?\S*sh\b", r"\bmkfifo\b[^\n]{0,200}\bnc(?:at)?\b", r"\bsocat"
        r"\b[^\n]{0,80}exec:",
        needs="/dev/|nc|mkfifo|socat",
    ),
    _sign(
        "shell-decoded", Severity.CRITICAL, "A script is decoded and run at once",
        r"\bbase64\s+(?:-d|--decode|-D)\b[^\n]{0,200}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b",
        r"\beval\s+[\"'`$(]{1,4}\s*(?:echo|printf)\b[^\n]{0,4000}\|\s*(?:base64|xxd|openssl)",
        needs="base64|eval",
    ),
    _EXFILTRATION,
    _sign(
        "code-hidden-shell", Severity.HIGH, "A hidden or encoded command of PowerShell",
        r"(?i)powershell(?:\.exe)?\s[^\n]{0,200}?(?:-e(?:nc|ncodedcommand)?\s+[A-Za-z0-9+/=]{16}"
        r"|-w(?:indowstyle)?\s+h(?:idden)?\b|downloadstring|invoke-expression|\biex\b)",
        needs="owershell|POWERSHELL|owerShell|mshta|certutil",
    ),
)  # fmt: skip
"""For shell scripts, batch files, PowerShell, and the commands of package managers."""

INSTALL_SHELL = (
    _sign(
        "install-network", Severity.HIGH, "It speaks to the network while it is installed",
        r"(?m)^[^#\n]*\b(?:curl|wget|nc|ncat|scp|ftp)\s+(?:-\S+\s+)*['\"]?(?:https?://|ftp://|\$|\d+\."
        r"\d+\.\d+\.\d+|\S+@)",
    ),
    _sign(
        "install-persistence", Severity.HIGH, "It makes itself stay: keys, jobs or accounts",
        r"(?m)^[^#\n]*>>?\s*\S*(?:authorized_keys|/etc/sudoers|/etc/passwd|\.bashrc|crontab|/etc/ld\.s"
        r"o\.preload)",
        r"(?m)^[^#\n]*\bcrontab\s+-\s*$", r"(?m)^[^#\n]*\becho\b[^\n|]*\|\s*crontab\b", r"\bNOPASSWD\s"
        r"*:\s*ALL",
    ),
)  # fmt: skip
"""For scripts that run as root while a system package is installed."""


def look(tally: Tally, text: str, signs: tuple[Sign, ...], what: str = "") -> None:
    """Note each sign that a text shows, with where."""
    searched = text[:_SCANNED]
    for sign in signs:
        if not all(any(word in searched for word in group) for group in sign.needs):
            continue
        for count, found in enumerate(sign.pattern.finditer(searched)):
            if count == _SHOWN:
                break
            shown = " ".join(found[0].split())[:60]
            tally.note(sign.code, sign.severity, f"{what}{sign.why}: {shown}", found.start())
