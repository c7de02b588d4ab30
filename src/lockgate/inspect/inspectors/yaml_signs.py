"""What a YAML file asks its reader to make or call: Python tags and Hydra's ``_target_``.

Looked for in the text: a reader that is led astray by an odd form would still need these words, and
keys written with escapes are findings themselves.
"""

import re

from lockgate.core.verdict import Severity
from lockgate.inspect.tally import Tally

_TAG = re.compile(
    r"(?:!!python/|!<tag:yaml\.org,2002:python/|tag:yaml\.org,2002:python/)([a-z/]+)(?::([\w.]*))?"
)
_CALLING = ("object", "module", "apply", "new")
_TARGET = re.compile(r"[\"']?_target_[\"']?\s*:\s*[\"']?([\w.$<>-]+)")
_ESCAPED_KEY = re.compile(r"\"[^\"\n]*\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})[^\"\n]*\"\s*:")
_KNOWN = re.compile(
    r"(?:nemo|nemo_text_processing)\.(?:collections|core|utils)\.[\w.]+|(?:pytorch_lightning"
    r"|lightning)\.[\w.]+"
    r"|torch\.(?:optim|nn)\.[\w.]+|omegaconf\.[\w.]+|megatron\.core\.[\w.]+"
)
_HARMFUL = re.compile(
    r"(?:^|\.)(?:system|popen|Popen|exec|eval|run|call|check_output|loads?|open|urlopen|_\w+)$"
)


_ELSEWHERE = re.compile(
    r"(?:os|posix|nt|subprocess|builtins|sys|shutil|importlib|pickle|marshal|runpy|ctypes|socket"
    r"|webbrowser|urllib|requests)"
    r"\.[\w.]+|hydra\.utils\.(?:get_method|get_class|get_object)"
)


def calls(tally: Tally, name: str, text: str) -> None:
    """Note what Hydra would call outside of anything that makes models."""
    for found in _TARGET.finditer(text) if "_target_" in text else ():
        if _ELSEWHERE.fullmatch(found[1]):
            why = f"{name} has {found[1][:80]} called when it is read."
            tally.note("yaml-target", Severity.HIGH, why, found.start())


def tags(tally: Tally, text: str) -> None:
    """Note Python tags that make objects or import modules."""
    if "python/" not in text:
        return
    for found in _TAG.finditer(text):
        calls = found[1].startswith(_CALLING)
        severity = Severity.CRITICAL if calls else Severity.INFO
        what = f"A tag makes {found[1]} {found[2] or ''} when the file is read."
        tally.note("yaml-python-tag", severity, what, found.start())


def targets(tally: Tally, name: str, text: str) -> None:
    """Note what Hydra would call by the names in a configuration."""
    for found in _TARGET.finditer(text):
        target = found[1]
        if not _KNOWN.fullmatch(target) or _HARMFUL.search(target):
            why = f"{name} has {target[:80]} called when the model is loaded."
            tally.note("yaml-target", Severity.HIGH, why, found.start())
    if _ESCAPED_KEY.search(text):
        tally.note("yaml-escaped-key", Severity.HIGH, f"{name} writes a key so that people cannot read it.")
