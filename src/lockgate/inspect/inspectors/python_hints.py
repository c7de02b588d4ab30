"""Which Python source values are followed in: what stands in one in which something can be found.

A first look by YARA-X (`hint_rules`) and one by words, so that sources without cost nothing.
"""

import re

_SENDING = (
    r"/\b(urlopen|getaddrinfo|gethostbyname|sendall|sendto|sendmail|storbinary|HTTPS?Connection)\b/",
    r"/\bpost\s*\(/",
    r"/\b(import|from)[ \t]+(requests|httpx|socket|ftplib|aiohttp)\b/",
    r"/, *requests\b/",
)
_PACKED = (
    r"/(b64|b32|b16|b85|a85)decode/",
    '"decompress"',
    '"unhexlify"',
    '"fromhex"',
    r"/\bbytes\s*\([^\n]{1,60} \^ /",
)
_DECODING = (
    *_PACKED,
    r"/\b(codecs|marshal)\b/",
    '"[::-1]"',
    r"/\bchr\s*[(,]/",
    '" ^ "',
    r"/\.decrypt\s*\(/",
    r"/\bbytes\s*\(\s*[A-Za-z_0-9]+\s*\[/",
)
_BRINGING = (
    r"/\b(urlopen|urlretrieve|recv|HTTPS?Connection)\b/",
    r"/\b(requests|httpx|websockets?)\s*\.\s*(get|post|connect)\s*\(/",
    r"/\bimport[ \t]+(requests|httpx)\b/",
)
_STARTING = (
    r"/\bos\s*\.\s*(system|popen|exec|spawn|posix_spawn|startfile)/",
    r"/\b(subprocess|Popen|getoutput|create_subprocess_|CDLL|run_path|startfile|popen)\b/",
)
_WRITING = (r"/\b(open|write_text|write_bytes|SetValueEx)\s*\(/",)
_RUNNING = (
    r"/(^|[^A-Za-z0-9_.`'\"-])(exec|eval)\s*[(,;)\n]/",
    r"/\bFunctionType\s*\(/",
    r"/\brun(source|code|_path)\s*\(/",
    r"/\bimport[ \t]+(exec|eval)\b/",
    r"/\[\s*['\"](exec|eval|ev|ex)['\"]/",
)
_LOOKING = (
    r"/\bgetattr\s*\(\s*(builtins|__builtins__|os|subprocess)\s*,\s*[A-Za-z_]/",
    r"/\b(getattr|__import__|import_module)\s*\([^\n]{0,80}(['\"] ?\+ ?['\"]|\[::)/",
    r"/\b(getattr|__import__|import_module)\s*\([^\n]{0,80}['\"]{2}\s*\.\s*join\s*\(/",
    r"/\b(getattr|__import__|import_module)\s*\([^\n]{0,80}(chr\s*\(|decode)/",
    r"/\b(getattr|__import__|import_module)\s*\([^\n]{0,80}['\"] ['\"]/",
    r"/(__builtins__|vars\s*\(\s*builtins|builtins\s*\.\s*__dict__)/",
    r"/\beval\s*\(\s*['\"][a-z]{1,6}['\"]\s*\+/",
)
_ALL_SETTINGS = (
    r"/[(=,]\s*([A-Za-z_]+\s*\.\s*)?environ\s*[),}\n]/",
    r"/\benviron\s*\.\s*(items|copy|keys|values)\b/",
    r"/\bfor\s+[^\n]{1,40}\s+in\s+([A-Za-z_]+\s*\.\s*)?environ\b/",
)
_KEPT = (
    r"/(Login Data|leveldb|Local Extension|id_(rsa|ed25519|ecdsa)|['\"\/]\.ss[h]\b)/",
    r"/(key[4]\.db|login[s]\.json)/",
    r"/(wallet\.dat|\bwallets\b|Exodus|lectrum|_history['\"]|\.aws\b|\.npmrc|\.netrc|\.pypirc)/",
    r"/(git-credentials|\bCookies['\"]|cookies\.sqlite|169\.254\.169\.254|serviceaccount|\.mozilla)/",
    r"/(google-chrome|\.docker\b|\.kube\b|\.gnupg|\btdata\b|\/etc\/shadow)/",
)
_FACTS = (
    r"/\b(gethostname|getuser|getlogin|uname|getnode|getfqdn|net_if_addrs)\s*\(/",
    r"/\bplatform\s*\.\s*(node|uname)\b/",
)
_HOMES = (
    r"/(expanduser\s*\(\s*['\"]~[\/\\]?(Documents|Desktop)?['\"]|\.home\s*\()/",
    r"/['\"](HOME|USERPROFILE|APPDATA)['\"]/",
    r"/walk\s*\(\s*['\"](\/|[A-Z]:)/",
)
_STAYING = (
    r"/(\.bashrc|\.zshrc|['\"\/]\.profile|\.bash_profile|autostart|systemd|CurrentVersion|LaunchAgents)/",
    r"/((site|user)customize|authorized_key[s]|getsitepackages|purelib|usersite|getusersitepackages)/",
    r"/(pip\.(conf|ini)|\.npmrc|\.pypirc|Startup['\"\/\\]|\/etc\/cron|profile_default)/",
    r"/(post|pre)-(checkout|commit|merge|push)/",
)
_ENDING = (r"/\b(remove|unlink|rmtree|write_bytes|write_text|encrypt|post|sendall)\s*\(/",)
HINTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "run": (_RUNNING, (*_DECODING, *_BRINGING, r"/, (2|8|16)\)/")),
    "look": (_LOOKING,),
    "environ": (_ALL_SETTINGS, _SENDING),
    "kept": (_KEPT, _SENDING),
    "facts": (_FACTS, _SENDING),
    "walk": ((r"/\b(walk|rglob|iterdir|listdir|glob)\s*\(/",), _ENDING, _HOMES),
    "wipe": (('"rmtree"',), _HOMES[:1]),
    "stays": (_STAYING, _WRITING),
    "jobs": ((r"/(['\"]crontab['\"]|index-url)/",), _STARTING),
    "shell": (('"dup2"',), ('"socket"',)),
    "clip": ((r"/(clipboard|pyperclip)/",), (r"/(\[13\]|bc1|0x\[|T\[A|\[1-9A-H)/",)),
    "keys": ((r"/\b(pynput|pyxhook|import keyboard|ImageGrab|pyautogui|mss)\b/",), _SENDING),
    "memory": ((r"/(VirtualAlloc|PROT_EXE[C]|RtlMoveMemory|memmove)/",), (*_DECODING, *_BRINGING)),
    "orders": (_BRINGING, _STARTING),
    "hidden": (_PACKED, _STARTING),
    "keepers": (
        (
            r"/(find-(generic|internet)-password|dump-keychain|hidden answer)/",
            r"/(['\"]credential['\"]|git credential)/",
            r"/(Keychains|login\.keychain|secret-tool|pbpaste|[gG]et-[cC]lipboard|screencapture|get_credentials)/",
        ),
        (*_SENDING, r"/['\"](curl|wget)\b/"),
    ),
    "senders": (_KEPT, (r"/['\"](curl|wget|nc|ncat)\b/",)),
    "pictures": ((r"/\.(png|jpe?g|gif|ico|bmp|wav|mp3|ttf|woff2?)['\"]/",), _STARTING, _WRITING),
    "powershell": ((r"/[pP]ower[sS]hell|power['\"]|pwsh/",), _STARTING),
}
"""What stands in a source in which something can be found, as groups of patterns of YARA: one of each."""

WORDS = re.compile(
    r"\b(?:exec|eval|compile|getattr|__import__|import_module|environ|getenv|urlopen|urlretrieve|requests|httpx|socket|recv\w*"
    r"|HTTPS?Connection|aiohttp|websockets?|subprocess|Popen|popen|system|startfile|getoutput|CDLL|FunctionType|run(?:source|code|_path)"
    r"|(?:b64|b32|b16|b85|a85)decode|decompress|unhexlify|fromhex|codecs|marshal|chr|decrypt|encrypt|bytes|__builtins__|builtins|vars"
    r"|gethostname|getuser|getlogin|uname|getnode|getfqdn|gethostbyname|getaddrinfo|expanduser|home|walk|rglob|iterdir|listdir|glob"
    r"|dup2|pty|clipboard\w*|pyperclip|pynput|keyboard|ImageGrab|pyautogui|mss|VirtualAlloc\w*|mmap|memmove|RtlMoveMemory|winreg"
    r"|ctypes|sendmail|storbinary|rmtree|write_text|write_bytes|open|atexit)\b|\[::|[\w)\]] \^ "
)
"""Words by one of which something of interest begins or ends in a function."""
