"""Signs of commands that were written to harm: scripts of shells, and what package managers run.

As in `code_signs`: patterns that are bounded, nothing is executed, and none may find itself in this file.
"""

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.code_signs import EXFILTRATION, sign

_A_SHELL = r"(?:/\S*/)?(?:ba|z|da|k|c|tc)?sh(?![\w.-])"
"""The name of a shell, and not of a script."""

SHELL = (
    sign(
        "shell-download", Severity.HIGH, "A download is run at once",
        r"\b(?:curl|wget)\b[^\n|;]{0,300}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b",
        r"\b(?:ba|z|da)?sh\s+(?:-c\s+)?['\"]?(?:<\(|\$\(|`)\s*(?:curl|wget)\b",
        r"\b(?:curl|wget)\b[^\n|;]{0,300}\|\s*(?:sudo\s+)?(?:python3?|perl|ruby|node|php)(?:\s+-)?\s*(?:$|[;&\n|)])",
        r"\b(?:curl|wget)\b[^\n;&|]{0,200}\s-(?:o|O)\s*(?P<saved>/\S{2,100}?)\s[^\n;&|]{0,200}(?:;|&&|\n)\s*(?:sudo\s+)?(?:ba|z|da)?sh\s+(?P=saved)(?!\S)",
        r"(?m)(?:^|[;&|])[^\S\n]*(?:source|\.|eval)\s+[\"']?(?:<\(|\$\(|`)\s*(?:curl|wget)\b(?=[^\n]{0,200}://)",
        r"\b(?:curl|wget)\b[^\n]{0,300}(?:&&|;|\n)\s*(?:sudo\s+)?chmod\s+(?:\+x|7\d\d)[^\n]{0,120}(?:&"
        r"&|;|\n)\s*\S*\./",
        r"\b(?:curl|wget)\b[^\n]{0,300}(?:&&|;|\n)\s*(?:sudo\s+)?chmod\s+(?:\+x|7\d\d)\s+(?P<fetched>\S{2,100}?)"
        r"['\"]?\s*(?:&&|;|\n)\s*(?:sudo\s+|nohup\s+)?(?P=fetched)(?![\w.])",
        needs="curl|wget",
    ),
    sign(
        "shell-reverse", Severity.CRITICAL, "A shell that calls back",
        r"(?<!echo >)(?<!echo > )(?<!'<)(?<!\"<)/dev/(?:tcp|udp)/(?!(?:127\.0\.0\.1|localhost)/)[^\s/]+/\d+",
        rf"\bnc(?:at)?\s+(?:-\w+\s+)*-e\s+{_A_SHELL}", r"\bmkfifo\b[^\n]{0,200}\bnc(?:at)?\b",
        r"(?i)\bsocat\b[^\n]{0,80}exec:",
        rf"\bnc(?:at)?\s[^\n]{{0,80}}\s-e\s+{_A_SHELL}", r"/inet/tcp/\d+/",
        r"\bztcp\s+\S+\s+\d+[\s\S]{0,80}?>&",
        r"\bsh\s+-i\b[^\n]{0,80}\|\s*openssl\s+s_client\b",
        r"\bperl\b[^\n]{0,120}\bSocket\b[^\n]{0,300}(?:`|\bexec\b|\bsystem\b|qx)",
        r"\bruby\b[^\n]{0,80}\bTCPSocket\b[^\n]{0,200}(?:\bexec\b|\bpopen\b|\bspawn\b)",
        needs="/dev/|nc|mkfifo|socat|s_client|/inet/|ztcp|Socket",
    ),
    sign(
        "shell-decoded", Severity.CRITICAL, "A script is decoded and run at once",
        r"\bbase64\s+(?:-d|--decode|-D)\b[^\n]{0,200}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b",
        r"\bxxd\s+-r\s+(?:-p|-ps)\b[^\n]{0,200}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b",
        r"(?m)^[^\S\n]*\$\(\s*echo\b[^\n)]{0,400}\|\s*(?:rev|tr|base64)\b[^\n]{0,40}\)",
        r"\bpython3?\s+-c\s+['\"][^\n]{0,400}?\bexec\s*\([^\n]{0,80}\b(?:url[o]pen|requests\.get|b64decode)\s*\(",
        r"\beval\s+[\"'`$(]{1,4}\s*(?:echo|printf)\b[^\n]{0,4000}\|\s*(?:base64|xxd|openssl)",
        r"\$\(\s*printf\s+['\"](?!(?:\\1[0-3][0-7]){1,8}['\"]\)\"\)\s)(?:\\\\?(?:x[0-9a-fA-F]{2}|1[0-7]{2})){2}",
        r"\beval\s+[\"']?\$\(\s*echo\b[^\n)]{0,40"
        r"0}\|\s*(?:rev|tr)\b",
        r"(?m)\b\w=\$\(\s*cat\s*<<[^\n]{1,60}\|\s*tr\b[\s\S]{0,4000}?\beval\b",
        r"(?:^|[\s;|&])(?=[\w'\"\\]{4,24}\s)(?=\S*[A-Za-z](?:['\"]{2}"
        r"|\\|['\"]\w['\"])\w)(?:[cC]['\"\\]*u['\"\\]*r['\"\\]*l|w['\"\\]*g['\"\\]*e['\"\\]*t"
        r"|b['\"\\]*a['\"\\]*s['\"\\]*h)\s",
        needs="base64|eval|printf|''|\"\"|\\|\"u\"|xxd|echo|exec",
    ),
    sign(
        "shell-destroys", Severity.CRITICAL, "It removes what is not its own, or brings the machine down",
        r"(?m)^[^#\n]*\brm\s+(?:-\S+\s+)*-\w*[rR]\w*\s+(?:-\S+\s+)*(?:--no-preserve-root\s+)?[\"']?/(?:"
        r"\*|\s|$|[;&|])",
        r"(?m)^[^#\n]*\bdd\s[^\n]{0,80}\bif=/dev/(?:zero|u?random)\s[^\n]{0,60}\bof=/dev/(?:sd|nvme|"
        r"vd|hd)\w+\b", r":\(\)\s*\{\s*:\s*\|\s*:\s*&\s*\}\s*;\s*:",
        needs="rm|:(|dd",
    ),
    sign(
        "shell-steals", Severity.HIGH, "Keys and settings of a person are packed and sent away",
        r"\b(?:tar|zip|cat|base64)\b[^\n]{0,120}(?:~|\$HOME|/root|/home/\S+)/\.(?:ssh|aws|kube|gnupg"
        r"|docker|npmrc|netrc)\b[^\n]{0,200}\|\s*(?:[^\n|]{0,80}\|\s*)?(?:curl|nc|ncat|wget|ssh)\b",
        r"\b(?:env|printenv|set)\s*\|[^\n]{0,80}\b(?:curl|nc|ncat)\b[^\n]{0,60}(?:-d|--data\S*|-F)\s*@-",
        r"\b(?:scp|rsync|sftp)\s[^\n]{0,120}(?<!-i )(?:~|\$HOME|/root)/\.ssh/id_\w+\s+\S+@", r"\bkub"
        r"ectl\s+get\s+secrets?\b[^\n]{0,80}\|[^\n]{0,80}\b(?:curl|nc|ncat|wget)\b",
        r"/proc/(?:self|\$\$|\d+)/environ\b[^\n]{0,160}\|[^\n]{0,80}\b(?:nc|ncat|curl|wget)\s",
        r"\bcat\s+[^\n|;]{0,80}/etc/shadow\b[^\n]{0,80}\|[^\n]{0,80}\b(?:nc|ncat|curl|wget|ssh|mail)\s",
        r"\bbase64\b[^\n]{0,60}/etc/(?:shadow|passwd)\b[\s\S]{0,120}?\b(?:dig|nslookup|host|ping|curl|nc)\s",
        r"\b(?:curl|wget)\s[^\n]{0,60}169\.254\.169\.254/\S*security-credentials[^\n]{0,120}\|[^\n]{0,60}"
        r"\b(?:curl|nc|ncat|wget)\b",
        needs="curl|nc|wget|ssh|base64",
    ),
    sign(
        "shell-intrusion", Severity.HIGH, "It switches off what protects the machine, or hides what it s"
        "tarts",
        r"(?m)^[^#\n]*\bchattr\s+\+i\s+\S*(?:authorized_keys|cron)", r"(?m)^[^#\n]*>>\s*\S*/\.ssh/author"
        r"ized_keys",
        r"\b(?:curl|wget)\b[^\n]{0,300}\b(?:chmod)\s+(?:\+x|7\d\d)\b[^\n]{0,200}\bnohup\b",
        r"\bNOPASSWD\s*:\s*ALL[^\n]{0,40}\|\s*(?:sudo\s+)?tee\b", r"\bpam_permit\.so[^\n]{0,60}\s/et"
        r"c/pam\.d/",
        r"(?m)^[^#\n]*\buseradd\s[^\n]{0,80}-o\b[^\n]{0,40}-u\s*0\b", r"(?m)^[^#\n]*\busermod\s[^\n]"
        r"{0,40}-u\s*0\b",
        r"(?m)^[^#\n]*\bcp\s+(?:-\S+\s+)*/(?:usr/)?bin/(?:ba|da|z|k)?sh\s+\S+[\s\S]{0,80}?\bchmod\s+"
        r"(?:[ug]*\+s|0?[4-7][0-7]{3})\s+",
        r"(?m)\bopenssl\s+s_client\b[^\n]{0,120}\|\s*(?:/bin/)?(?:ba|z|da)?sh\b",
        needs="chattr|authorized_keys|nohup|s_client|useradd|usermod|chmod|NOPASSWD|pam_permit",
    ),
    EXFILTRATION,
    sign(
        "code-hidden-shell", Severity.HIGH, "A hidden or encoded command of PowerShell",
        r"(?i)powershell(?:\.exe)?\s[^\n]{0,200}?(?:-e(?:nc|ncodedcommand)?\s+[A-Za-z0-9+/=]{16}"
        r"|-w(?:indowstyle)?\s+h(?:idden)?\b|downloadstring|invoke-expression|\biex\b)",
        needs="owershell|POWERSHELL|owerShell|mshta|certutil",
    ),
)  # fmt: skip
"""For shell scripts, batch files, PowerShell, and the commands of package managers."""

INSTALL_SHELL = (
    sign(
        "install-network", Severity.HIGH, "It speaks to the network while it is installed",
        r"(?m)^[^#\n]*\b(?:nslookup|dig|ping)\s[^\n]{0,80}(?:\$\(|`)",
        r"(?m)^[^#\n]*\b(?:curl|wget|nc|ncat|scp|ftp)\s+(?:-\S+\s+)*['\"]?(?:https?://|ftp://|\$|\d+\."
        r"\d+\.\d+\.\d+|\S+@)",
    ),
    sign(
        "install-persistence", Severity.HIGH, "It makes itself stay: keys, jobs or accounts",
        r"(?m)^[^#\n]*>>?\s*\S*(?:authorized_keys|/etc/sudoers|/etc/passwd|\.bashrc|crontab|/etc/ld\.s"
        r"o\.preload|/etc/systemd/system/\S+\.service)",
        r"(?m)^[^#\n]*\bcrontab\s+-\s*$", r"(?m)^[^#\n]*\becho\b[^\n|]*\|\s*crontab\b", r"\bNOPASSWD\s"
        r"*:\s*ALL",
    ),
)  # fmt: skip
"""For scripts that run as root while a system package is installed."""
