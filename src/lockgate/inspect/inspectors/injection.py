"""Phrases by which a document speaks to a model instead of to its reader.

A short list of the plainest orders; a person decides. The guards of the gateway look again, with more
rules and in context, when a passage is looked up.
"""

import re
import unicodedata

from lockgate.core.verdict import Severity
from lockgate.inspect.tally import Tally

_SEARCHED = 4 << 20
_SHOWN = 3
_BEFORE = (
    r"(?:all|any|the|your|every|these|those|of|its|my|prior|previous|preceding|earlier|above|foregoing|\s|,)"
)
_ORDERS = re.compile(
    rf"\b(?:ignore|disregard|forget|override|bypass)\b{_BEFORE}{{1,60}}\b"
    r"(?:instructions?|prompts?|rules|directions|guidelines|directives|context)\b"
    r"|\b(?:ignoriere|vergiss|missachte)\b[^.\n]{0,40}\b(?:anweisungen|regeln|instruktionen)\b"
    r"|\b(?:ignore[zr]?|oublie[zr]?)\b[^.\n]{0,40}\binstructions?\s+(?:précédentes|antérieures|ci-dessus)"
    r"|\b(?:ignora|olvida)\b[^.\n]{0,40}\binstrucciones\s+(?:anteriores|previas)"
    r"|\byou\s+are\s+now\s+(?:in\s+)?(?:developer\s+mode|DAN\b|jailbroken|unrestricted|an?\s+unfiltered)"
    r"|\b(?:reveal|print|repeat|output|show)\b[^.\n]{0,30}\b(?:your|the)\s+(?:system|initial|hidden)\s"
    r"+prompt\b"
    r"|\bnew\s+(?:system\s+)?instructions?\s*:|\bsystem\s+override\b|\[\s*system\s*\]\s*:?\s*you\b"
    r"|<\|(?:im_start|system|endoftext)\|>|\[INST\][\s\S]{0,200}\[/INST\]|<<SYS>>"
    r"|\bdo\s+not\s+(?:tell|inform|mention\s+(?:this|it)\s+to)\s+the\s+user\b"
    r"|\b(?:ai|llm|language\s+model|assistant)s?\b[^.\n]{0,60}\bmust\s+(?:now\s+)?(?:send|forward|uplo"
    r"ad|email|exfiltrate)\b"
    r"|\b(?:rate|score|rank|recommend|shortlist)\b[^.\n]{0,40}\bthis\s+(?:candidate|applicant|resume|p"
    r"aper|product)\b"
    r"[^.\n]{0,60}\b(?:highest|best|top|first|perfect|only\s+positive)",
    re.IGNORECASE,
)
_WORDS = re.compile(
    r"ignor|disregard|forget|override|bypass|vergiss|missachte|oublie|olvida|you\s+are\s+now|prompt|in"
    r"struction|"
    r"<\||\[inst|<<sys|the\s+user|must|candidate|applicant|resume|paper|product|system",
    re.IGNORECASE,
)
_INVISIBLE = re.compile("[\u00ad\u034f\u180e\u200b-\u200f\u2060-\u2064\ufeff\U000e0000-\U000e007f]")


def orders(tally: Tally, text: str, *, where: str = "", hidden: bool = False) -> None:
    """Note orders to a model.

    Args:
        tally: Takes the findings.
        text: What a machine reads, as text.
        where: What part of the document it is, for people.
        hidden: Readers do not see it.

    """
    searched = text[:_SEARCHED]
    tally.texts.append(searched)
    if not searched.isascii():
        searched = unicodedata.normalize("NFKC", _INVISIBLE.sub("", searched))
    if not _WORDS.search(searched):
        return
    for count, found in enumerate(_ORDERS.finditer(searched)):
        if count == _SHOWN:
            return
        severity = Severity.HIGH if hidden else Severity.MEDIUM
        said = " ".join(found[0].split())[:80]
        tally.note("prompt-injection", severity, f"{where}It orders a model: {said!r}.", found.start())
