"""What a YAML file asks its reader to make or call: Python tags and Hydra's ``_target_``.

Looked for in the text: tags as readers put them together (handles that a file declares, characters that it
writes as in addresses), and keys written with escapes, which are findings themselves.
"""

import re
from urllib.parse import unquote

from lockgate.core.verdict import Severity
from lockgate.inspect.limits import demand
from lockgate.inspect.tally import Tally

_TAG = re.compile(r"(?<![\w\"'%])!(?:<([^>\s]{1,300})>|((?:[\w-]{0,60}!)?)([^\s,\[\]{}]{1,300}))")
"""A tag: verbatim, or a handle (``!``, ``!!``, ``!name!``) and what follows it (YAML 1.2.2, 6.9.1)."""
_HANDLE = re.compile(r"(?m)^%TAG[ \t]+(![\w-]{0,60}!?)[ \t]+(\S{1,300})")
_CORE = "tag:yaml.org,2002:"
_PYTHON = re.compile(rf"{re.escape(_CORE)}python/([a-z/]+)(?::([\w.]*))?")
_MOST_TAGS = 1_000_000
_ABROAD = re.compile(
    rf"!ruby/(?!regexp|range|sym)\w+(?::[\w:]+)?|{re.escape(_CORE)}js/(?:function|undefined)"
    rf"|{re.escape(_CORE)}(?:javax?|com|org|sun|ch|groovy)\.[\w.$]+"
)
"""Objects of Ruby (Psych), functions of JavaScript (js-yaml) and classes of Java (SnakeYAML)."""
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


def tags(tally: Tally, text: str, *, abroad: bool = False) -> None:
    """Note Python tags that make objects or import modules.

    Args:
        tally: Takes the findings.
        text: The text.
        abroad: Tags by which readers in other languages make objects count, too.

    """
    handles = {"!": {"!"}, "!!": {_CORE}}
    for found in _HANDLE.finditer(text):
        handles.setdefault(found[1], set()).add(found[2])
    for count, found in enumerate(_TAG.finditer(text)):
        demand(count, _MOST_TAGS, "tags of a YAML file")
        verbatim, handle, rest = found.groups()
        prefixes = sorted(handles.get(f"!{handle}", ()))
        for tag in map(unquote, [verbatim] if verbatim else [prefix + rest for prefix in prefixes]):
            _made(tally, tag, found.start(), abroad=abroad)


def _made(tally: Tally, tag: str, at: int, *, abroad: bool) -> None:
    """Note what a tag, put together, makes."""
    if python := _PYTHON.match(tag):
        severity = Severity.CRITICAL if python[1].startswith(_CALLING) else Severity.INFO
        what = f"A tag makes {python[1]} {python[2] or ''} when the file is read."
        tally.note("yaml-python-tag", severity, what, at)
    elif abroad and (made := _ABROAD.match(tag)):
        what = f"A tag makes {made[0].removeprefix(_CORE)[:80]} when the file is read."
        tally.note("yaml-object-tag", Severity.HIGH, what, at)


def targets(tally: Tally, name: str, text: str) -> None:
    """Note what Hydra would call by the names in a configuration."""
    for found in _TARGET.finditer(text):
        target = found[1]
        if not _KNOWN.fullmatch(target) or _HARMFUL.search(target):
            why = f"{name} has {target[:80]} called when the model is loaded."
            tally.note("yaml-target", Severity.HIGH, why, found.start())
    if _ESCAPED_KEY.search(text):
        tally.note("yaml-escaped-key", Severity.HIGH, f"{name} writes a key so that people cannot read it.")
