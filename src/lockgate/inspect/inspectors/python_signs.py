"""Signs of Python code that acts against whom it runs for: what it takes, destroys, and lets in.

As in `code_signs`: patterns that are bounded, nothing is executed, and none may find itself in this file.
"""

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.code_signs import PYTHON as GENERAL
from lockgate.inspect.inspectors.code_signs import sign
from lockgate.inspect.inspectors.folded import HIDDEN

_KEPT = (
    r"(?:\bid_(?:rsa|ed25519|ecdsa|dsa|\*)|\.ss[h]/id_|\.aws[/\\'\", ]{1,6}credentials|\.git-credentia[l]s"
    r"|\.ethereum[/\\'\", ]{1,6}keystore|\.electrum[/\\'\", ]{1,6}wallets|exodus\.wallet"
    r"|Exodus[/\\'\", ]{1,6}exodus|['\"/]Login[ ]Data['\"]|/etc/sha[d]ow|\.bash_h[i]story)"
)
"""What a person or a machine keeps for itself."""
_KEPT_WORDS = (
    "id_r|id_e|id_d|d_*|.ssh|credentials|keystore|wallet|Exodus|Login Data|shadow|_history"
    ",post|put|data|sendmail|storbinary|sendMessage|webhook"
)
_SENDS = (
    r"(?:\b(?:requests|httpx|session|client|r|rq)\s*\.\s*(?:post|put)\s*\(|\burlopen\s*\([^\n]{0,120}\bdata\s*=|\.sendmail\s*\("
    r"|\.storbinary\s*\(|/sendMessage|webhook)"
)
"""A call that gives something away, to a place that the code names."""

PYTHON = (
    *GENERAL,
    HIDDEN,
    sign(
        "python-decoded-code", Severity.CRITICAL, "Code is fetched or decoded, and run by a detour",
        r"\bexec\s*\(\s*\w+\s*\(\s*['\"]https?://", r"\bmap\s*\(\s*(?:exec|eval)\s*"
        r",", r"\btarget\s*=\s*exec\s*,",
        r"(?m)^[^\S\n]*@\s*exec\s*$", r"\[\s*['\"]exec['\"]\s*\]\s*\(",
        r"\bgetattr\s*\(\s*(?:builtins|__builtins__)\s*,\s*(?!['\"]|str\s*\()"
        r"(?![^\n]{1,80},\s*\w*(?:Exception|Error)\s*\))\w+(?:\.\w+)*\s*\(",
        r"\bexec\s*\(\s*['\"]{2}\s*\.\s*join\s*\(\s*\w+\s*\[\s*\w+\s*\]\s+for\b",
        r"\bCodeType\s*\(\s*\d+\s*,\s*\d+\s*,", r"\bglobals\s*\(\s*\)\s*\[\s*['\"]__builtins__['\"]\s*\]"
        r"\s*\[\s*['\"]",
        r"\bexec\s*\(\s*\w{1,20}\s*\.\s*urlopen\s*\(", r"\bexec\s*\(\s*bytes\s*\(\s*\w+\s*\^", r"\be"
        r"xec\s*\(\s*bytes"
        r"\s*\(\s*int\s*\(", r"\b__builtins__\b[^\n]{0,40}\.\s*__dict__\s*\[[^\]\n]{0,60}\]\s*\(",
        r"\b__import__\s*\([^\n]{0,60}\)\s*\.\s*__dict__\s*\[[^\]\n]{0,60}\]\s*\(",
        r"__subclasses__\s*\(\s*\)[^\n]{0,160}__globals__\s*\[",
        r"(?<![\w.])(?:c?[Pp]ickle|marshal|dill)\s*\.\s*loads\s*\(\s*(?:base64\s*\.\s*\w+|zlib\s*\.\s*decompress|bytes\.fromhex)"
        r"\s*\(\s*[rb]{0,2}['\"][A-Za-z0-9+/=\\]{24}",
        r"\b(?:exec|eval)\s*\(\s*(?:compile\s*\(\s*)?\w{1,20}\s*\.\s*(?:text|content)\s*[,)]",
        r"\bpythonapi\s*\.\s*PyRun_S[i]mple", r"\brun(?:source|code)\s*\(\s*(?:base64|zlib|marshal|b"
        r"ytes\s*\.\s*fromhex|codecs)\b",
        needs="exec|eval|getattr|CodeType|__builtins__|__import__|__subclasses__|loads|PyRun|runsource|runcode",
        quick=(
            r"(exec|eval)\s*\(\s*(compile\s*\(\s*)?[A-Za-z0-9_\x80-\xff]{1,80}\s*\.\s*(text|content)",
            r"PyRun_S", r"run(source|code)\s*\(",
            r"__dict__\s*\[", r"__subclasses__", r"\.\s*loads\s*\(\s*(base64|zlib|bytes)",
            r"exec\s*\(", r"map\s*\(\s*(exec|eval)", r"target\s*=\s*exec", r"@\s*exec", r"exec['\"]",
            r"getattr\s*\(\s*(builtins|__builtins__)", r"CodeType\s*\(", r"__builtins__['\"]",
        ),
    ),
    sign(
        "python-destroys", Severity.CRITICAL, "It removes or locks what is not its own",
        r"\brmtree\s*\(\s*(?:['\"](?:/|~|~/|[A-Z]:\\{1,2})['\"]"
        r"|os\.path\.expanduser\s*\(\s*['\"]~/?['\"]\s*\)|Path\.home\s*\(\s*\)\s*[,)])",
        r"\brmtree\s*\(\s*os\.path\.expanduser\s*\(\s*['\"]~/['\"]\s*\+",
        r"['\"]\s*find\s+(?:~|/|\$HOME)[^\n]{0,100}-exec\s+(?:shred|rm)\b",
        r"\bos\.walk\s*\([\s\S]{0,600}?\.encrypt\s*\([\s\S]{0,400}?\bos\.(?:remove|unlink|replace"
        r"|rename)\s*\(",
        needs="rmtree|encrypt|-exec",
    ),
    sign(
        "python-persistence", Severity.HIGH, "It makes itself stay: keys, jobs or what a shell reads first",
        r"CurrentVersion\\{1,2}Run\b[\s\S]{0,600}?\bSetValueEx\s*\(",
        r"(?:\.bashrc|\.zshrc|\.bash_profile|authorized_keys)['\"]\s*\)\s*,\s*['\"]ab?\+?['\"]",
        r"\bopen\s*\((?![^\n]{0,80}te?mp)[^\n]{0,120}?"
        r"(?:\.bashrc|\.zshrc|\.bash_profile|authorized_keys)['\"]\s*\)\s*,\s*['\"]wb?\+?['\"]",
        r"\bauthorized_keys['\"][\s\S]{0,120}?\bopen\s*\([^)\n]{0,60}['\"][aw]",
        r"\bopen\s*\([^\n]{0,80}authorized_keys['\"]\s*\)?\s*,\s*['\"][aw]",
        r"Start Menu['\"\\/,\s]{1,8}Programs['\"\\/,\s]{1,8}Startup\b[\s\S]{0,200}?\.(?:pyw?|exe|bat"
        r"|vbs)['\"]",
        r"\.config/systemd/user/[\s\S]{0,400}?ExecStart=[^\n]{0,80}"
        r"\b(?:curl|wget|python\S*\s+-c|bash\s+-c|sh\s+-c)\b",
        r"\bopen\s*\(\s*['\"]/etc/(?:hosts|passwd|sudoers|crontab|rc\.local)['\"]\s*,\s*['\"][aw]",
        r"\bschta[s]ks(?:\.exe)?\s+/create\b", r"\.git['\"/\\, ]{1,8}hooks\b[\s\S]{0,200}?\b(?:curl|"
        r"wget)\s+-",
        r"\bpip['\"/\\, ]{1,6}pip\.(?:conf|ini)\b[\s\S]{0,300}?index-url\s*=\s*http://",
        needs="SetValueEx|.bashrc|.zshrc|.bash_profile|authorized_keys|Startup|ExecStart|schtasks|hooks|index-url|/etc/",
    ),
    sign(
        "python-spies", Severity.HIGH, "It watches which keys are pressed, and sends them away",
        r"\b(?:pynput|pyxhook|keyboard)\b[\s\S]{0,2000}?\bListener\s*\(|\bpyxhook\.HookManager",
        needs="pynput|pyxhook,requests.post|urlopen|smtplib|webhook",
    ),
    sign(
        "python-spies", Severity.HIGH, "It takes pictures of the screen again and again, and sends them away",
        r"\bwhile\s+(?:True|1)\s*:[\s\S]{0,400}?(?:ImageGrab\s*\.\s*grab|pyautogui\s*\.\s*screenshot|mss\s*\(\s*\))"
        r"[\s\S]{0,400}?\b(?:requests\s*\.\s*post|urlopen|sendall|send_file|webhook)",
        needs="ImageGrab|pyautogui|mss,requests.post|urlopen|sendall|webhook",
    ),
    sign(
        "python-spies", Severity.HIGH, "It puts itself in place of what asks for a password, and sen"
        "ds that away",
        r"\b(?:urlopen|requests\s*\.\s*\w+|httpx\s*\.\s*\w+)\s*\([\s\S]{0,400}?\n\s*(?:getpass\s*\.\s*getpass|builtins\s*\.\s*input)\s*=\s*\w+",
        needs="getpass|builtins,urlopen|requests|httpx",
    ),
    sign(
        "python-spies", Severity.HIGH, "It looks at what functions hold while they run, and sends that away",
        r"\bf_locals\b[\s\S]{0,400}?\b(?:urlopen|requests\s*\.\s*(?:post|get)|httpx\s*\.\s*(?:post|get))\s*\("
        r"[\s\S]{0,600}?\bset(?:profile|trace)\s*\(",
        needs="f_locals,setprofile|settrace",
    ),
    sign(
        "python-spies", Severity.HIGH, "It puts itself into each request of another library, and sen"
        "ds on what it sees",
        r"\bdef\s+(?P<own>\w+)\s*\([^\n]{0,120}\n[\s\S]{0,600}?['\"]https?://[\s\S]{0,600}?"
        r"\n\s*requests\.(?:Session|sessions\.Session|api)\.\w+\s*=\s*(?P=own)\b",
        needs="requests.Session|requests.sessions|requests.api",
    ),
    sign(
        "python-spies", Severity.HIGH, "It puts another receiver's address into the clipboard",
        r"\bSetClipboardData\b[\s\S]{0,200}?0x['\"]?\s*\+|0x\[0-9a-fA-F\]\{40\}[\s\S]{0,800}?\bSetClipboardData\b",
        needs="SetClipboardData,0x",
    ),
    sign(
        "python-spies", Severity.HIGH, "It puts another receiver's address into the clipboard",
        r"\b(?:pyperclip|clipboard|win32clipboard)\b[\s\S]{0,1500}?(?:\[13\]|0x\[a-fA-F0-9\]\{40\}|bc1\[)",
        r"(?:\[13\]|0x\[a-fA-F0-9\]\{40\}|bc1\[)[\s\S]{0,1500}?\b(?:pyperclip|clipboard)\s*\.\s*copy\s*\(",
        needs="pyperclip|lipboard,[13|0x[a-f|bc1",
    ),
    sign(
        "python-remote-control", Severity.HIGH, "Commands that somebody else sends are run",
        r"\b(?:os\s*\.\s*(?:popen|system)|subprocess\s*\.\s*\w+)\s*\(\s*(?:m|msg|message|ctx|event|update)\w{0,8}(?:\.\w+)?\.(?:content|text|data)\b",
        r"\basync\s+for\s+(\w+)\s+in\s+\w+\s*:[\s\S]{0,200}?\bcreate_subprocess_shell\s*\(\s*\w+",
        r"\b\w+\s*=\s*\w+\.recv\s*\([^\n]{0,80}\n[\s\S]{0,400}?(?:subprocess\s*\.\s*\w+|os\s*\.\s*popen"
        r"|create_subprocess_shell)\s*\(\s*(?:c|cmd|command|data|msg|message)\b",
        r"\basync\s+for\s+(\w+)\s+in\s+\w+\s*:[\s\S]{0,200}?\bsubprocess\s*\.\s*\w+\s*\(\s*\w+\s*,[^\n]{0,60}shell\s*=\s*True",
        needs="create_subprocess_shell|recv|subprocess|popen|system,websocket|socket|message|msg|ctx|event|update|(m.",
    ),
    sign(
        "python-steals-keys", Severity.HIGH, "A function that makes keys is replaced by one that sends them",
        r"\brequests\s*\.\s*post\s*\([\s\S]{0,400}?\n\s*[\w.]*(?:Keypair|Account|PrivateKey|Mnemonic"
        r"|\bk)\.\w+(?:\.\w+)?\s*=\s*_?\w+\s*$",
        r"(?m)^(?:from\s+\S*(?:keypair|eth_account|mnemonic)\S*|import\s+\S*(?:keypair|eth_account"
        r"|mnemonic)\S*)[\s\S]{0,1500}?\brequests\s*\.\s*post\s*\([\s\S]{0,300}?\n[\w.]+\.\w+\s*=\s*_?\w"
        r"+\s*$",
        needs="Keypair|keypair|eth_account|mnemonic|Mnemonic,requests.post",
    ),
    sign(
        "python-steals", Severity.HIGH, "It reads keys and passwords that a person keeps, and sends "
        "them away",
        rf"{_KEPT}[\s\S]{{0,900}}?{_SENDS}",
        needs=_KEPT_WORDS,
    ),
    sign(
        "python-steals", Severity.HIGH, "It reads keys and passwords that a person keeps, and sends "
        "them away",
        r"security-credentials/[\s\S]{0,900}?\burlopen\s*\([^\n]{0,120}\bdata\s*=",
        r"\bos\.environ\b[^\n]{0,80}\)[\s\S]{0,200}?\.storbinary\s*\(|\.storbinary\s*\([^\n]{0,120}\bos\.environ\b",
        needs="security-credentials|storbinary",
    ),
)  # fmt: skip
"""For any Python source."""
