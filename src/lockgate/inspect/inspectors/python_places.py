"""What Python calls by which names: where values come from, where they may not go, and places on disks.

Names are dotted and real, as `python_values` resolves them: a call's result is the call's name with brackets.
"""

import re
from enum import IntFlag, auto
from functools import lru_cache


class Mark(IntFlag):
    """What is known of a value."""

    WRITTEN = auto()
    """It stands in the source."""
    BUILT = auto()
    """It was put together from pieces that stand in the source."""
    DECODED = auto()
    FILE = auto()
    """It was read from some file."""
    NET = auto()
    """Somebody else sent it."""
    ENV = auto()
    """The whole environment, or what was chosen from all of it."""
    FACTS = auto()
    """Which machine and whose it is."""
    KEPT = auto()
    """A place of what a person keeps for itself."""
    KEYS = auto()
    """A place of credentials that honest programs read too."""
    READ = auto()
    """What lay in a kept place."""
    READ_KEYS = auto()
    HOME = auto()
    WALKED = auto()
    """Whatever lies in a person's home or on the disk."""
    STAYS = auto()
    """A place from which programs are started by themselves."""
    INDEX = auto()
    """Settings that say where packages come from."""
    FETCHED = auto()
    """A file that was fetched."""
    CLIP = auto()
    SCREEN = auto()
    SOCKET = auto()
    MEMORY = auto()
    """Memory that may be run."""
    ASIDE = auto()
    """A place for what is not to stay."""
    PICTURE = auto()
    """What lies in a file of no code."""


NOTHING = Mark(0)
ORIGIN = Mark.WRITTEN | Mark.FILE | Mark.NET | Mark.DECODED
SENT = Mark.ENV | Mark.READ | Mark.SCREEN

_KEPT = re.compile(
    r"(?:^|[/\\])\.ss[h](?:[/\\]|$)(?!config|known)|\bid_(?:rsa|ed25519|ecdsa|dsa)\b(?!\.pub)|/etc/shadow"
    r"|\.(?:bash|zsh)_history|Login[ ]Data|(?:Default|Network|Chrome|User Data)\b.*[/\\]Cookies$"
    r"|Local[ ]Storage[/\\]+leveldb|Local Extension Settings|key[4]\.db|login[s]\.json|Exodus\b"
    r"|cookies\.sqlite"
    r"|\.?[Ee]lectrum[/\\]wallets|[Ee]thereum[/\\]keystore|\bwallet\.dat\b"
    r"|Library/Keychains\b|\blogin\.keychain"
    r"|\bAtomic[/\\]|MetaMask|\.gnupg\b|\btdata\b|\.config/(?:google-chrome|chromium)\b|\.mozilla/firefox|\.electrum"
)
_KEYS = re.compile(
    r"\.git-credentials|\.netrc|\.aws[/\\]credentials|\.docker[/\\]config|\.kube[/\\]config|\.npmrc|\.pypirc"
    r"|serviceaccount/token|169\.254\.169\.254.*(?:credentials|(?<!api/)token|user-data)"
)
_STAYS = re.compile(
    r"(?:^|[/\\])\.(?:bashrc|bash_profile|zshrc|zprofile|profile)$|authorized_key[s]$|[/\\]LaunchAgents\b|/autostart/|^/etc/cron"
    r"|systemd/(?:user|system)/[^/]*|Programs[/\\]+Startup\b|/etc/rc\.local|CurrentVersion\\+Run\b|(?:site|user)customize\.py$"
    r"|(?:^|[/\\])[\w-]{1,60}\.pth$|startup/[\w-]+\.(?:py|ipy)$|[/\\]hooks[/\\][a-z-]+$"
)
_INDEX = re.compile(r"[/\\]pip\.(?:conf|ini)$|\.npmrc$|\.pypirc$|uv\.toml$")
_ASIDE = re.compile(r"^/(?:tmp|var/tmp|dev/shm)/")
_LONGEST = 300
HOLE = "\0"
"""Stands in a text for what is not known."""
_WHOLE = re.compile(r"(?:~|[A-Za-z]:)?[/\\]*(?:Documents|Desktop|Pictures|Downloads|\.\.|\*\*?|\0|[/\\])*\Z")
REACHES = re.compile(
    r"https?://|\bcurl\b|\bwget\b|\bpython3?\b|\bbash\s+-|\bsh\s+-|/dev/tcp|base64|\bexec\b|\bimport\b|ExecStart=|Exec=|ssh-(?:rsa|ed25519)"
)
ADDRESSES = re.compile(
    r"\[13\]|\bbc1|0x\[a-f|0x\[A-F|0x\[0-9a|T\[A-Za-z|\[1-9A-HJ-NP-Z|\[a-km-zA-HJ-NP-Z1-9\]\{"
)
"""Patterns of addresses that payments go to."""


@lru_cache(4096)
def place(text: str) -> Mark:
    """Return what a path or a part of one is the place of."""
    if len(text) > _LONGEST:
        return NOTHING
    found = NOTHING
    for pattern, mark in (
        (_KEPT, Mark.KEPT),
        (_KEYS, Mark.KEYS),
        (_STAYS, Mark.STAYS),
        (_INDEX, Mark.INDEX),
        (_ASIDE, Mark.ASIDE),
    ):
        if pattern.search(text):
            found |= mark
    return found


def whole(text: str) -> bool:
    """Return whether a path names all of a disk or of a home, or what people put there."""
    return bool(_WHOLE.match(text))


NETS = (
    "requests.", "httpx.", "urllib.request.", "urllib2.", "urllib3.", "http.client.", "httplib.", "aiohttp.",
    "socket.", "websocket.", "websockets.", "ftplib.", "smtplib.", "paramiko.", "telnetlib.", "pycurl.",
    "curl_cffi.", "cloudscraper.", "socketio.", "dns.resolver.",
)  # fmt: skip
"""Modules that speak to others."""
_SEND_WORDS = """
post put patch request send sendall sendto sendmail send_message storbinary urlopen get emit open fetch
send_file sendfile stream put_nowait
"""
SENDS = frozenset(_SEND_WORDS.split())
_ASK_WORDS = """
get post put request urlopen recv recvfrom recv_into getresponse urlretrieve fetch read readline makefile open
"""
ASKS = frozenset(_ASK_WORDS.split())
LOOKUPS = frozenset({
    "socket.gethostbyname", "socket.getaddrinfo", "socket.gethostbyname_ex", "dns.resolver.resolve",
    "dns.resolver.query", "dns.resolver.Resolver().resolve",
})  # fmt: skip
CONNECTS = frozenset({"socket.create_connection", "socket.socket().connect", "socket.socket().connect_ex"})
_SHELL_WORDS = "os.system os.popen subprocess.getoutput subprocess.getstatusoutput commands.getoutput"
SHELLS = frozenset(
    [*_SHELL_WORDS.split(), "asyncio.create_subprocess_shell", "asyncio.subprocess.create_subprocess_shell"]
)
_PROCESS_WORDS = """
subprocess.Popen subprocess.run subprocess.call subprocess.check_call subprocess.check_output os.startfile
os.posix_spawn os.posix_spawnp pty.spawn asyncio.create_subprocess_exec
"""
PROCESSES = SHELLS | frozenset(_PROCESS_WORDS.split())
PROCESS = re.compile(r"os\.(?:exec|spawn)[lv]p?e?")
_RUNNER_WORDS = """
builtins.exec builtins.eval types.FunctionType runpy.run_path new.function
code.InteractiveInterpreter().runsource code.InteractiveInterpreter().runcode
"""
RUNNERS = frozenset(_RUNNER_WORDS.split())
LOADERS = frozenset(
    {"ctypes.CDLL", "ctypes.WinDLL", "ctypes.cdll.LoadLibrary", "ctypes.windll.LoadLibrary", "runpy.run_path"}
)
FACTS = frozenset({
    "socket.gethostname", "socket.getfqdn", "getpass.getuser", "os.getlogin", "os.uname", "platform.node",
    "platform.uname", "platform.platform", "uuid.getnode", "psutil.net_if_addrs", "platform.system",
})  # fmt: skip
_DECODE_WORDS = """
base64.b64decode base64.urlsafe_b64decode base64.standard_b64decode base64.b32decode base64.b16decode
base64.b85decode base64.a85decode base64.decodebytes binascii.unhexlify binascii.a2b_hex binascii.a2b_base64
builtins.bytes.fromhex builtins.bytearray.fromhex zlib.decompress bz2.decompress
lzma.decompress gzip.decompress codecs.decode marshal.loads zlib.decompressobj().decompress
"""
DECODES = frozenset(_DECODE_WORDS.split())
CIPHERS = ("cryptography.", "Crypto.", "Cryptodome.", "nacl.", "pyaes.")
_ASIDE_WORDS = "gettempdir mkdtemp mkstemp mktemp NamedTemporaryFile"
ASIDES = frozenset(f"tempfile.{word}" for word in _ASIDE_WORDS.split())
KEEPERS = re.compile(
    r"\bfind-(?:generic|internet)-password\b|\bdump-keychain\b|\bgit credential(?:-\w+)? (?:fill|get)\b"
    r"|\bhidden answer\b|\bsecret-tool (?:lookup|search)\b|\bpbpaste\b|\b[gG]et-[cC]lipboard\b"
    r"|\bscreencapture\b"
)
"""Commands that ask what keeps secrets, the clipboard or the screen, or ask a person for a password."""
SENDERS = re.compile(r"^(?:\S*/)?(?:curl|wget|nc|ncat)(?:\s|\Z)")
PICTURES = re.compile(r"\.(?:png|jpe?g|gif|ico|bmp|wav|mp3|woff2?|ttf)\Z")
RESOURCES = frozenset({"pkgutil.get_data", "importlib.resources.read_binary"})
ENDS = frozenset({
    "os.remove", "os.unlink", "shutil.rmtree", "os.rmdir", "os.truncate", "os.removedirs",
})  # fmt: skip
"""Calls that take away what their first argument names."""
CLIPS = frozenset(
    {"pyperclip.paste", "clipboard.paste", "win32clipboard.GetClipboardData", "tkinter.Tk().clipboard_get"}
)
PUTS = frozenset({
    "pyperclip.copy", "clipboard.copy", "win32clipboard.SetClipboardText", "win32clipboard.SetClipboardData",
    "tkinter.Tk().clipboard_append",
})  # fmt: skip
SCREENS = frozenset(
    {"PIL.ImageGrab.grab", "pyautogui.screenshot", "mss.mss().grab", "mss.mss().shot", "pyscreenshot.grab"}
)
LISTENS = re.compile(
    r"pynput\.keyboard\.Listener|keyboard\.(?:on_press|hook|read_event|record)|pyxhook\.HookManager"
)
DANGEROUS = re.compile(
    r"(?:builtins\.)?(?:exec|eval|compile|__import__)$|os\.(?:system|popen|exec\w*|spawn\w*)$|subprocess(?:\.\w+)?$"
    r"|^(?:os|socket|ctypes|marshal|pty|base64|zlib|requests|urllib\.request)$|marshal\.loads$"
)
"""Names that nobody puts together who has nothing to hide."""
