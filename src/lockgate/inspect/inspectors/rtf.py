"""Rich text: objects, templates that are fetched, fields that run.

Format: Microsoft "Rich Text Format (RTF) Specification" 1.9.1. Readers are lenient, so the words are
looked for whatever surrounds them.
"""

import re

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_SIGNS = (
    (
        "rtf-object",
        Severity.CRITICAL,
        "It carries another file or a control",
        rb"\\obj(?:data|emb|ocx|html|link|autlink|update)\b",
    ),
    (
        "rtf-template",
        Severity.CRITICAL,
        "It fetches a template",
        rb"\\\*\s*\\template\b[^}]{0,200}(?:://|\\\\\\\\|\\u-?\d)",
    ),
    (
        "rtf-field",
        Severity.CRITICAL,
        "A field runs a command or fetches",
        (
            rb"\b(?:DDEAUTO|DDE|INCLUDETEXT|INCLUDEPICTURE)\b"
            rb"|\bHYPERLINK\b[ \"]{0,9}(?:file:|\\\\|smb:|ms-|javascript:|search-ms:)"
        ),
    ),
    ("rtf-binary", Severity.HIGH, "It carries binary data", rb"\\bin\d{3,}"),
    (
        "rtf-package",
        Severity.HIGH,
        "It carries a package",
        rb"(?i)(?:5061636b616765|4571756174696f6e2e33|d0cf11e0a1b11ae1)",
    ),
)
_PATTERNS = tuple((code, severity, why, re.compile(pattern)) for code, severity, why, pattern in _SIGNS)
_HIDDEN = re.compile(rb"\\v(?![a-z0-9])(?!0)([^{}\\]{12,})")
_BREAK = re.compile(rb"[\r\n]|\\bin0 ?")
_NUMBERED = re.compile(rb"\\'([0-9a-fA-F]{2})")
_BRACE = re.compile(rb"\\[\s\S]|[{}]")
_CONTROL = re.compile(rb"\\[a-z]+-?\d* ?|[{}]|\\'[0-9a-fA-F]{2}")


class RtfInspector(Inspector):
    """Reads rich text without laying it out."""

    name = "rtf"
    version = 3
    detects = frozenset({"rtf"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the text; note what it carries, fetches or hides."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        raw = bytes(data)
        joined = _plain(raw)
        for code, severity, why, pattern in _PATTERNS:
            if found := pattern.search(joined):
                tally.note(code, severity, f"{why}.", found.start())
        if found := _HIDDEN.search(joined):
            tally.note("document-hidden-text", Severity.HIGH, "Text that readers do not see.", found.start())
        orders(tally, _CONTROL.sub(b"", joined).decode("latin-1"), keen=True)
        end = _end(raw)
        if end is not None and not raw[end:].strip(b"\x00\r\n \t"):
            tally.claim_all()
        else:
            tally.unfinished("rtf-end", "The document does not end with its last group.", end or len(raw))


def _plain(raw: bytes) -> bytes:
    """Return rich text without line breaks, empty binary data, and letters written by their numbers."""
    said = _BREAK.sub(b"", raw)
    return _NUMBERED.sub(lambda found: bytes([int(found[1], 16)]), said)


def _end(raw: bytes) -> int | None:
    """Return where the outermost group ends, or None when it does not."""
    depth = 0
    for found in _BRACE.finditer(raw):
        depth += {b"{": 1, b"}": -1}.get(found[0], 0)
        if not depth:
            return found.end()
    return None
