"""Names that are hidden by how they are written: in pieces, by their letters' numbers, or in escapes.

A name like that of a shell's function is written as it is by everybody who has nothing to hide. The pieces
are put together here as the program would, and what comes out is compared with such names; nothing is
executed. Python and JavaScript write these forms alike.
"""

import re

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.code_signs import Sign

_TEXT = r"(?:'[^'\\\n]{0,60}'|\"[^\"\\\n]{0,60}\")"
_ESCAPED = r"\\(?:x[2-7][0-9a-fA-F]|u00[2-7][0-9a-fA-F]|1[0-7]{2})"
_NUMBER = r"(?:0x[0-9a-fA-F]{2}|\d{2,3})"
_FORMS = (
    rf"{_TEXT}(?:\s*\+\s*{_TEXT})+",
    rf"['\"]{{2}}\s*\.\s*join\s*\(\s*[\[(]\s*{_TEXT}(?:\s*,\s*{_TEXT}){{1,40}}\s*,?\s*[\])]",
    rf"\[\s*{_TEXT}(?:\s*,\s*{_TEXT}){{1,40}}\s*,?\s*\]\s*\.\s*join\s*\(\s*['\"]{{2}}\s*\)",
    rf"['\"][\w ./-]{{0,20}}(?:{_ESCAPED}[\w ./-]{{0,4}}){{3,200}}['\"]",
    rf"\bchr\s*\(\s*{_NUMBER}\s*\)(?:\s*\+\s*chr\s*\(\s*{_NUMBER}\s*\)){{2,2000}}",
    rf"\bfromCharCode\s*\(\s*{_NUMBER}(?:\s*,\s*{_NUMBER}){{2,2000}}\s*\)",
)
_LITERAL = re.compile(r"'([^'\\\n]*)'|\"([^\"\\\n]*)\"")
_CODE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|([0-7]{3}))")
_VALUE = re.compile(r"0x[0-9a-fA-F]{2}|\d{2,3}")
_WHOLE = frozenset({"exec", "eval", "execSync", "execFile", "execFileSync", "popen", "Popen", "check_output"})
"""Names that nothing else is called by: the whole text has to be one."""
_MODULES = frozenset({"https", "http", "axios", "base64", "zlib", "vm", "dns", "net", "fs", "urllib"})
"""Names of modules, which nobody writes in escapes."""
_INSIDE = re.compile(
    r"child[_]process|sub[p]rocess|os\.sys[t]em|power[s]hell|/bin/(?:ba)?sh\b|\b(?:curl|wget) (?:-|http|\d)"
    r"|\|\s?(?:ba)?sh\b|\b(?:exec|eval|__import__)\(|\bimport os\b|\bcmd\.exe|WScript\.Shell|b64deco[d]e"
    r"|marshal\.loads|api/webhooks/\d|\brundll32\b|\bregsvr32\b|\bmshta\b|\bcertutil\b|\bschtasks\b"
)


def hidden(written: str) -> str:
    """Return the name that a piece of source puts together; nothing where none comes out."""
    made = _put_together(written)
    if (made.strip() in _WHOLE and made.strip() not in written) or ("\\" in written and made in _MODULES):
        return made.strip()
    return next((found[0] for found in _INSIDE.finditer(made) if found[0] not in written), "")


def _put_together(written: str) -> str:
    if written.startswith(("chr", "fromCharCode")):
        return "".join(chr(int(value, 0)) for value in _VALUE.findall(written))
    if "\\" in written:
        return _CODE.sub(_character, written[1:-1])
    return "".join(one or other for one, other in _LITERAL.findall(written))


def _character(code: re.Match[str]) -> str:
    return chr(int(code[1] or code[2] or code[3], 8 if code[3] else 16))


_ODD = r"[\t-\r\x1c-\x1f\x80-\xff]"
"""White space but the usual one, in bytes of UTF-8: what begins with it costs little to look for."""


def _joined(quote: str) -> tuple[str, ...]:
    """Return what stands where two texts are joined, the first of which ends with a quote.

    Parted by how white space begins, so that no pattern begins with a mere sign of addition: those are many.
    """
    usual = rf"{quote}\+['\"]", rf"{quote} \+['\"]", rf"{quote}\+ ['\"]", rf"{quote} \+ ['\"]"
    before = rf"{quote}{_ODD}\s*\+\s*['\"]", rf"{quote} \s+\+\s*['\"]"
    behind = rf"{quote} ?\+{_ODD}\s*['\"]", rf"{quote} ?\+ \s+['\"]"
    return *usual, *before, *behind


HIDDEN = Sign(
    "code-hidden-name",
    Severity.HIGH,
    "A name is put together so that nobody reads it",
    re.compile("|".join(_FORMS)),
    (),
    (
        *_joined("'"),
        *_joined('"'),
        r"join\s*\(",
        r"\\(x[2-7][0-9a-fA-F]|u00[2-7][0-9a-fA-F]|1[0-7]{2})",
        r"\bchr\s*\(\s*[0-9\x80-\xff]",
        r"\bfromCharCode",
    ),
    hidden,
)
"""The sign for any Python source or JavaScript."""
