"""Signs of code that was written to harm: what honest code does not need, by language.

Patterns, not understanding: obfuscated code that is decoded and run, shells that call back, downloads
that are run, stolen credentials. What runs while something is installed is held to a stricter list
than what runs when a program calls it. Each pattern is bounded; nothing is executed.

No pattern may find itself in this file: releases of Lockgate cross under the same inspection. Hence
brackets around a letter here and there.
"""

import re
from collections.abc import Callable
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
    quick: tuple[str, ...] = ()
    """The same more coarsely as patterns of YARA, of which one matches wherever `pattern` does."""
    reads: Callable[[str], str] | None = None
    """Says what stands behind a match; a match that nothing stands behind is none."""


def _group(pattern: str) -> str:
    """Return a pattern as a group of its own, with its flags inside."""
    found = re.match(r"\(\?([im])\)", pattern)
    return f"(?{found[1]}:{pattern[found.end() :]})" if found else f"(?:{pattern})"


def sign(
    code: str, severity: Severity, why: str, *patterns: str, needs: str = "", quick: tuple[str, ...] = ()
) -> Sign:
    """Make a sign; `needs` are groups of words, groups parted by commas."""
    groups = tuple(tuple(group.split("|")) for group in needs.split(",") if group)
    return Sign(code, severity, why, re.compile("|".join(_group(item) for item in patterns)), groups, quick)


_DECODE = (
    r"['\"](?:zlib|base64|marshal|gzip|bz2|lzma)['\"]\s*\)\s*\.\s*\w+|(?:base64\s*\.\s*)?(?:b64decode"
    r"|b32decode|b85decode|a85decode|urlsafe_b64decode)|zlib\s*\.\s*decompress"
    r"|bytes\s*\.\s*fromhex|marshal\s*\.\s*loads|codecs\s*\.\s*decode|bytearray\s*\.\s*fromhex"
    r"|\.\s*to_bytes\s*\(|lzma\s*\.\s*decompress|gzip\s*\.\s*decompress|Fernet\s*\(|unhexlify"
    r"|\.\s*join\s*\(\s*map\s*\(\s*chr"
)
_RUN = r"\b(?:exec|eval|__import__\s*\(\s*['\"]builtins['\"]\s*\)\s*\.\s*exec)\s*\("
_HOOKS = (
    r"discord(?:app)?\.com/api/webhooks/\d",
    r"api\.telegram\.org/bot\d",
    r"api\.telegram\.org/bot[\s\S]{0,4000}['\"]\d{8,10}:[\w-]{35}['\"]",
    r"['\"]\d{8,10}:[\w-]{35}['\"][\s\S]{0,4000}api\.telegram\.org/bot",
    r"hooks\.slack\.com/services/T",
    r"\.(?:oast\.(?:fun|live|me|online|pro|site)|oastify\.com|burp[c]ollaborator\.net|interact\.sh)\b",
    r"\.(?:requestbin\.net|pipedream\.net|requestcatcher\.com|ngrok(?:-free)?\.(?:io|app)|dnslog\.cn)\b",
    r"\.ceye\.io\b",
    r"\btransfer\.sh/|pastebin\.com/raw/|rentry\.co/\w+/raw|\bixi\.sh\b",
    r"burp[c]ollaborator|inter[a]ctsh|canarytokens\.com",
)

_NAMES = (
    "webhooks/|api.telegram.org|hooks.slack.com|oast|collaborator|interact|requestbin|pipedream|"
    "requestcatcher|ngrok|dnslog|ceye.io|transfer.sh|pastebin.com|rentry.co|ixi.|canarytokens"
)

_QUICK_NAMES = (
    r"com\/api\/webhooks\/",
    r"api\.telegram\.org\/bot",
    r"hooks\.slack\.com\/services",
    r"\.oast(\.|ify)",
    r"burp[c]ollaborator|interact\.sh|inter[a]ctsh|canarytokens\.com",
    r"\.(requestbin|pipedream|requestcatcher|ngrok|dnslog|ceye)",
    r"transfer\.sh\/|pastebin\.com\/raw|rentry\.co\/|ixi\.sh",
)

EXFILTRATION = sign(
    "code-exfiltration",
    Severity.HIGH,
    "An address that collects what others send",
    *_HOOKS,
    needs=_NAMES,
    quick=_QUICK_NAMES,
)

PYTHON = (
    sign(
        "python-decoded-code", Severity.CRITICAL, "Code is decoded and run at once",
        rf"{_RUN}[^\n]{{0,120}}?(?:{_DECODE})",
        rf"{_RUN}\s*compile\s*\([^\n]{{0,120}}?(?:{_DECODE})",
        r"\bgetattr\s*\(\s*__import__\s*\(\s*(?:bytes|['\"](?:builtins|os|subprocess)['\"])",
        r"\b__import__\s*\(\s*(?:['\"](?:base64|zlib|marshal)['\"])\s*\)\s*\.\s*\w+[^\n]{0,80}\bexec\b",
        r"\blambda\s+\w+\s*:\s*__import__\(['\"]zlib['\"]\)\.decompress",
        rf"{_RUN}\s*['\"]{{2}}\s*\.\s*join\s*\(\s*(?:chr|\[\s*chr|map\s*\(\s*chr)",
        rf"{_RUN}\s*(?:requests\s*\.\s*get|urllib\.request\.urlopen|urlopen|httpx\.get)\s*\(",
        needs="exec|eval|__import__,decode|decompress|fromhex|marshal|chr|to_bytes|Fernet|hexlify"
        "|urlopen|.get|builtins|base64|zlib",
        quick=(
            r"\b(exec|eval)\s*\([^\n]{0,480}(b64d|b32d|b85d|a85d|zlib|base64|marshal|gzip|bz2|lzma)",
            r"\b(exec|eval)\s*\([^\n]{0,480}(bytes|codecs|bytearray|Fernet|unhexlify|\.\s*join)",
            r"\b(exec|eval)\s*\([^\n]{0,480}\.\s*to_bytes",
            r"\b(exec|eval)\s*\(\s*(compile|['\"]|requests|url|httpx)",
            r"getattr\s*\(\s*__import__", r"__import__\s*\(\s*['\"](base64|zlib|marshal)",
        ),
    ),
    sign(
        "python-reverse-shell", Severity.CRITICAL, "A shell that calls back",
        r"dup2\s*\(\s*\w+\s*\.\s*fileno\s*\(\s*\)\s*,\s*0\s*\)[\s\S]{0,200}?dup2\s*\([^)]{0,40}\)?\s*,"
        r"\s*1\s*\)",
        r"\bpty\s*\.\s*spawn\s*\(\s*['\"]/?(?:bin/)?(?:ba|z|da)?sh",
        r"/dev/tcp/\S+/\d+",
        r"\bnc(?:at)?\s+(?:-\w+\s+)*-e\s+/bin/",
        needs="dup2|pty|/dev/tcp/|/bin/",
        quick=(r"dup2\s*\(", r"\bpty\s*\.\s*spawn", r"\/dev\/tcp\/", r"-e\s+\/bin\/"),
    ),
    EXFILTRATION,
    sign(
        "code-exfiltration", Severity.HIGH, "It sends all settings of its environment away",
        r"\.\s*(?:request|sendto|sendall|send)\s*\([^\n]{0,200}(?:dict\s*\(\s*os\.environ\s*\)|(?:repr|str)\s*\(\s*os\.environ\s*\))",
        r"\b(?:requests|httpx)\s*\.\s*(?:post|put)\s*\([^\n]{0,200}"
        r"(?:dict\s*\(\s*os\.environ\s*\)|os\.environ\.copy\s*\(|(?:data"
        r"|json)\s*=\s*os\.environ\b(?!\s*[\[.]))",
        needs="os.environ",
        quick=(r"\b(requests|httpx)\s*\.\s*(post|put)\s*\(", r"\.\s*(request|send)[a-z]{0,4}\s*\("),
    ),
    sign(
        "shell-download", Severity.HIGH, "A download is run at once",
        r"\b(?:os\s*\.\s*(?:system|popen)|subprocess\s*\.\s*\w+|create_subprocess_shell)\s*\(\s*[rbf]?['\"][^'\"\n]{0,200}"
        r"\b(?:curl|wget)\b[^'\"\n]{0,300}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b",
        r"['\"]-c['\"]\s*,\s*[rbf]?['\"][^'\"\n]{0,200}\b(?:curl|wget)\b[^'\"\n]{0,300}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b",
        needs="curl|wget",
    ),
    sign(
        "code-stealer", Severity.HIGH, "It reads the credentials that browsers or wallets keep",
        r"(?:Local[ ]Storage|Google\\{1,2}Chrome\\{1,2}User Data|\\{1,2}Login Data|/Login[ ]Data|key4\.db|"
        r"logins\.json)"
        r"[\s\S]{0,4000}(?:CryptUnprotectData|webhook|win32crypt|requests\.post|urlopen|AES\.new)",
        r"win32crypt\s*\.\s*CryptUnprotectData",
        needs="Login Data|Local Stor|User Data|key4|logins|win32crypt",
    ),
    sign(
        "code-stealer", Severity.HIGH, "It reads the secrets of a build out of another program's memory",
        r"Runner\.Work[e]r[\s\S]{0,3000}?/me[m]\b", r"/me[m]\b[\s\S]{0,3000}?(?:Runner\.Work[e]r|isSecre[t])",
        needs="Runner.Work|isSecr,/me",
    ),
    sign(
        "python-decoded-code", Severity.HIGH, "A file that is none of Python's is loaded as its byte code",
        r"\bSourceles[s]FileLoader\s*\([^\n]{0,160}['\"][^'\"\n]{1,60}\.(?!pyc['\"])\w{1,8}['\"]",
        needs="SourcelessFileLoader",
    ),
    sign(
        "python-decoded-code", Severity.HIGH, "A picture or a file of data is run as a program",
        r"['\"][\w./-]{1,80}\.(?:png|jpe?g|gif|ico|bmp|wav|dat)['\"][\s\S]{0,400}?\brunp[y]\s*\.\s*run_path\s*\(",
        needs="run_path",
    ),
    sign(
        "code-stealer", Severity.HIGH, "What makes keys is replaced by what sends them",
        r"\b(?:Keypair|Account|PrivateKey|SigningKey|Wallet)\s*\.\s*(?:from_\w+|__init__|sign\w*|create)\s*=[^=]",
        needs="Keypair|Account|PrivateKey|SigningKey|Wallet,urlopen|requests.|httpx|socket|aiohttp|send_transaction|send_raw_transaction",
    ),
    sign(
        "code-hidden-shell", Severity.HIGH, "A hidden or encoded command of PowerShell",
        r"(?i)powershell(?:\.exe)?['\",\s]{1,6}(?:[^\n]{0,80}?)(?:-e(?:nc|ncodedcommand)?\s+[A-Za-z0-9"
        r"+/=$]{16}"
        r"|-w(?:indowstyle)?\s+h(?:idden)?\b|downloadstring|invoke-expression)",
        r"(?i)\b(?:mshta|certutil)(?:\.exe)?\s+(?:-urlcache|https?:|javascript:)",
        needs="owershell|POWERSHELL|owerShell|mshta|certutil",
    ),
    sign(
        "code-shellcode", Severity.HIGH, "Bytes are put into memory and run",
        r"VirtualAlloc\w*\s*\([^\n]{0,200}0x40[\s\S]{0,2000}?\b(?:CreateThread|CreateRemoteThread"
        r"|CFUNCTYPE)\b",
        needs="VirtualAlloc,CreateThread|CreateRemoteThread|CFUNCTYPE",
    ),
    sign(
        "code-shellcode", Severity.HIGH, "Bytes are put into memory and run",
        r"\bPROT_EX[E]C\b[\s\S]{0,2000}?\bCFUNCTYPE\b",
        needs="CFUNCTYPE,urlopen|requests|b64decode|fromhex|decompress|recv|\\x90",
    ),
    sign(
        "python-obfuscated", Severity.MEDIUM, "Code that only its own decryptor can read",
        r"\b__pyarmo[r]__\s*\(\s*__name__\s*,", r"\bfrom\s+pytransform\s+import\s+pyarmo[r]_runtime\b",
        needs="__pyarmor__|pytransform",
    ),
    sign(
        "code-pushed-aside", Severity.HIGH, "A statement is pushed out of sight by a long run of spaces",
        r"(?m)^[^\n#'\"]{0,200}?;?(?: {120,}|\t{40,})(?:;|import |exec|eval|__import__|from )",
        r"(?m)^[^\n#]{0,200}?['\")\]](?: {120,}|\t{40,});",
        needs=" " * 120 + "|" + "\t" * 40,
    ),
)  # fmt: skip
"""For any Python source."""

INSTALL_PYTHON = (
    sign(
        "install-network", Severity.HIGH, "It speaks to the network while it is installed",
        r"\b(?:requests|httpx)\s*\.\s*(?:get|post|put|request)\s*\(",
        r"\burllib\d?(?:\.request)?\s*\.\s*(?:urlopen|urlretrieve|Request)\s*\(",
        r"\burl(?:open|retrieve)\s*\(", r"\bhttp\.client\.HTTPS?Connection\s*\(",
        r"\bsocket\s*\.\s*(?:socket|create_connection)\s*\(", r"\bsocket\s*\.\s*gethostbyname\s*\(\s*(?!"
        r"['\"])",
        r"\b(?:nslookup|dig|ping)\s[^'\"\n]{0,60}(?:\$\(|`|%)",
        r"['\"\s](?:curl|wget)\s+(?:-\w+\s+)*['\"]?https?://", r"\bftplib\s*\.\s*FTP\s*\(",
    ),
    sign(
        "install-command", Severity.HIGH, "It runs a command that is not a compiler's while it is installed",
        r"\bos\s*\.\s*(?:system|popen)\s*\(\s*[rbf]?['\"][^'\"\n]*\b(?:curl|wget|bash|powershell|chmod"
        r"|rm|nohup|start)\b",
        r"\bos\s*\.\s*startfile\s*\(", r"(?i)\bbitsadmin(?:\.exe)?\s+/transfer\b",
        r"['\"]install['\"][^\n]{0,80}['\"]--(?:extra-)?index-url['\"]\s*,\s*[rbf]?['\"]https?://(?!pypi"
        r"\.org)",
        r"\bsubprocess\s*\.\s*\w+\s*\(\s*\[?\s*[rbf]?['\"](?:curl|wget|bash|sh|cmd|powershell|python3?"
        r"|node|nslookup|ping)\b"
        r"[^\n]*(?:https?://|-c\b|/c\b|-enc|base64)",
    ),
    sign(
        "install-address", Severity.MEDIUM, "It has packages fetched from an address of its own",
        r"\bdependency_links\s*=\s*\[\s*[rbfu]?['\"]https?://(?!(?:www\.)?(?:github|gitlab|bitbucket)\.)",
        needs="dependency_links",
    ),
    sign(
        "install-runs-code", Severity.HIGH, "It runs code from a text while it is installed",
        r"(?m)^[^#\n]*\b(?:exec|eval)\s*\(\s*(?:base64|zlib|marshal|codecs|requests|urlopen|__import__)",
    ),
)  # fmt: skip
"""For what runs while a Python package is built or installed."""


def look(tally: Tally, text: str, signs: tuple[Sign, ...], what: str = "") -> None:
    """Note each sign that a text shows, with where."""
    searched = text[:_SCANNED]
    for item in signs:
        if not all(any(word in searched for word in group) for group in item.needs):
            continue
        told = 0
        for found in item.pattern.finditer(searched):
            shown = " ".join((item.reads(found[0]) if item.reads else found[0]).split())[:60]
            if not shown:
                continue
            if told == _SHOWN:
                break
            told += 1
            tally.note(item.code, item.severity, f"{what}{item.why}: {shown}", found.start())
