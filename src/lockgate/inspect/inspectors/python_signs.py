"""Signs of Python code that acts against whom it runs for: what it takes, destroys, and lets in.

As in `code_signs`: patterns that are bounded, nothing is executed, and none may find itself in this file.
"""

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.code_signs import PYTHON as GENERAL
from lockgate.inspect.inspectors.code_signs import sign
from lockgate.inspect.inspectors.folded import HIDDEN

PYTHON = (
    *GENERAL,
    HIDDEN,
    sign(
        "python-decoded-code", Severity.CRITICAL, "Code is fetched or decoded, and run by a detour",
        r"\bexec\s*\(\s*\w+\s*\(\s*['\"]https?://", r"\bmap\s*\(\s*(?:exec|eval)\s*"
        r",", r"\btarget\s*=\s*exec\s*,",
        r"(?m)^\s*@\s*exec\s*$", r"\[\s*['\"]exec['\"]\s*\]\s*\(",
        r"\bgetattr\s*\(\s*(?:builtins|__builtins__)\s*,\s*(?!['\"])\w+(?:\.\w+)*\s*\(",
        r"\bexec\s*\(\s*['\"]{2}\s*\.\s*join\s*\(\s*\w+\s*\[\s*\w+\s*\]\s+for\b",
        r"\bCodeType\s*\(\s*\d+\s*,\s*\d+\s*,", r"\bglobals\s*\(\s*\)\s*\[\s*['\"]__builtins__['\"]\s*\]"
        r"\s*\[\s*['\"]",
        needs="exec|eval|getattr|CodeType|__builtins__",
        quick=(
            r"exec\s*\(", r"map\s*\(\s*(exec|eval)", r"target\s*=\s*exec", r"@\s*exec", r"exec['\"]",
            r"getattr\s*\(\s*(builtins|__builtins__)", r"CodeType\s*\(", r"__builtins__['\"]",
        ),
    ),
    sign(
        "python-destroys", Severity.CRITICAL, "It removes or locks what is not its own",
        r"\brmtree\s*\(\s*(?:['\"](?:/|~|~/|[A-Z]:\\{1,2})['\"]"
        r"|os\.path\.expanduser\s*\(\s*['\"]~/?['\"]\s*\)|Path\.home\s*\(\s*\)\s*[,)])",
        r"\bos\.walk\s*\([\s\S]{0,600}?\.encrypt\s*\([\s\S]{0,400}?\bos\.(?:remove|unlink|replace"
        r"|rename)\s*\(",
        needs="rmtree|encrypt",
    ),
    sign(
        "python-persistence", Severity.HIGH, "It makes itself stay: keys, jobs or what a shell reads first",
        r"CurrentVersion\\{1,2}Run\b[\s\S]{0,600}?\bSetValueEx\s*\(",
        r"(?:\.bashrc|\.zshrc|\.bash_profile|authorized_keys)['\"]\s*\)\s*,\s*['\"][aw]b?\+?['\"]",
        r"\bauthorized_keys['\"][\s\S]{0,120}?\bopen\s*\([^)\n]{0,60}['\"][aw]",
        needs="SetValueEx|.bashrc|.zshrc|.bash_profile|authorized_keys",
    ),
    sign(
        "python-spies", Severity.HIGH, "It watches which keys are pressed, and sends them away",
        r"\b(?:pynput|pyxhook|keyboard)\b[\s\S]{0,2000}?\bListener\s*\(|\bpyxhook\.HookManager",
        needs="pynput|pyxhook,requests.post|urlopen|smtplib|webhook",
    ),
    sign(
        "python-spies", Severity.HIGH, "It puts another receiver's address into the clipboard",
        r"\b(?:pyperclip|clipboard|win32clipboard)\b[\s\S]{0,1500}?(?:\[13\]|0x\[a-fA-F0-9\]\{40\}|bc1\[)",
        r"(?:\[13\]|0x\[a-fA-F0-9\]\{40\}|bc1\[)[\s\S]{0,1500}?\b(?:pyperclip|clipboard)\s*\.\s*copy\s*\(",
        needs="pyperclip|lipboard,[13|0x[a-f|bc1",
    ),
    sign(
        "python-remote-control", Severity.HIGH, "Commands that somebody else sends are run",
        r"\basync\s+for\s+(\w+)\s+in\s+\w+\s*:[\s\S]{0,200}?\bcreate_subprocess_shell\s*\(\s*\w+",
        r"\b\w+\s*=\s*\w+\.recv\s*\([^\n]{0,80}\n[\s\S]{0,400}?(?:subprocess\s*\.\s*\w+|os\s*\.\s*popen"
        r"|create_subprocess_shell)\s*\(\s*(?:c|cmd|command|data|msg|message)\b",
        needs="create_subprocess_shell|recv,websocket|socket",
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
)  # fmt: skip
"""For any Python source."""
