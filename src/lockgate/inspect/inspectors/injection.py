"""Phrases by which a document speaks to a model instead of to its reader.

A short list of the plainest orders; a person decides. The guards of the gateway look again, with more
rules and in context, when a passage is looked up.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import islice

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.addressed import asked
from lockgate.inspect.inspectors.encoded_orders import decoded
from lockgate.inspect.inspectors.likely import likeliest
from lockgate.inspect.inspectors.turns import turns
from lockgate.inspect.tally import Tally

_SEARCHED = 4 << 20
_SHOWN = 3
_WHICH = r"(?:all|any|the|your|every|these|those|of|its|my|prior|previous|preceding|earlier|above|foregoing)"
_BEFORE = rf"(?:{_WHICH}|\s|,)"
_ORDERS = re.compile(
    rf"(?<!\bthe )(?<!\bstandard )\b(?:ignore|disregard|forget|override|bypass)\b{_BEFORE}{{1,60}}\b"
    r"(?:instructions?|prompts?)\b"
    rf"|(?<!\bthe )(?<!n't )\b(?:ignore|disregard|forget|override|bypass)\s+{_WHICH}\b{_BEFORE}{{1,60}}\b"
    r"(?:rules|directions|guidelines|directives|context)\b"
    r"|\b(?:ignoriere|vergiss|missachte)\b[^.\n]{0,40}\b(?:anweisungen|regeln|instruktionen)\b"
    r"|\b(?:ignore[zr]?|oublie[zr]?)\b[^.\n]{0,40}\binstructions?\s+(?:précédentes|antérieures|ci-dessus)"
    r"|\b(?:ignora|olvida|ignore)\b[^.\n]{0,40}\b(?:instrucciones|instruções|istruzioni)\s+(?:anteriores"
    r"|previas|precedenti)"
    r"|\b(?:ignora|dimentica)\b[^.\n]{0,40}\bprecedenti\s+istruzioni|\bnegeer\b[^.\n]{0,40}\binstructies\b"
    r"|\bzignoruj\b[^.\n]{0,40}\binstrukcj|\b(?:про)?игнорируй(?:те)?\b[^.\n]{0,40}(?:инструкци|указани"
    r"|правил)|\bзабудь(?:те)?\b[^.\n]{0,40}(?:инструкци|указани)"  # noqa: RUF001
    r"|忽略[^。\n]{0,10}(?:指令|指示|提示词)"
    r"|(?:これまで|以前|上記|前)の[^。\n]{0,6}(?:指示|命令)[^。\n]{0,8}(?:無視|忘れ)|이전[^.\n]{0,8}(?:지시|지침|명령)[^.\n]{0,8}무시"
    r"|تجاهل[^.\n]{0,30}التعليمات"
    r"|\byou(?:'re|\s+are)\s+no\s+longer\s+bound\s+by\b[^.\n]{0,40}\b(?:rules|guidelines|instructions|restrictions)\b"
    r"|\bforget\s+everything\s+(?:that\s+)?you\s+(?:were|have\s+been)\s+(?:told|taught|instructed)\b"
    r"|\b(?:save|store|add|commit|write)\b[^.\n]{0,40}\b(?:to|in|into)\s+(?:your|its)\s+(?:long-term\s+)?memory\s+that\b"
    r"|\bend\s+of\s+(?:the\s+)?(?:document|file|context|input)\b[^\n]{0,20}\n\s{0,10}(?:user|human|system)\s*:"
    r"|\boverride\s+your\s+(?:safety|content|system)\b|(?m:^#{1,4}\s*system\s*(?:prompt|message)?\s*:)"
    r"|\b(?:new|updated)\s+system\s+(?:message|prompt)\s*:"
    r"|<system>\s*you\b|<important>[\s\S]{0,200}?(?:~/|\bread\b[^.\n]{0,60}\.(?:json|env|ssh|pem))"
    r"|\b(?:never|do\s+not|don't|without)\s+(?:mention|mentioning|telling|tell|reveal"
    r"|disclose)(?:ing)?\s+(?:this|it|them)?\s*"
    r"(?:note\s+|message\s+|instruction\s+)?(?:to\s+)?(?:the\s+)?(?:user|human|reader)\b"
    r"|\b(?:ai|llm)\s+(?:agents?|assistants?|reviewers?|models?)\b[^.\n]{0,60}\b(?:must|should)\s+"
    r"(?:call|run|execute|give|append|include|recommend|visit|accept)\b"
    r"|\b(?:ai|llm)\s+(?:agents?|assistants?|reviewers?|models?)\s*:[^.\n]{0,80}\b(?:positive|accept"
    r"|recommend|ignore)"
    r"|\bai\s*:\s*when\s+(?:summari[sz]ing|reading|answering)\b|\bgive\s+a\s+positive\s+review\s+only\b"
    r"|\b(?:append|include|render|insert)\b[^.\n]{0,60}https?://[^\s)]{1,80}[?&=/](?:\[|\{\{?"
    r"|<)(?:summary|conversation|history|context|data|secret)"
    r"|https?://[^\s)]{1,80}=\{\{?\s*(?:conversation|history|chat|context|secret)"
    r"|\b(?:exfiltrate|leak|upload|forward)\s+(?:the|this|all)\s+(?:whole\s+)?(?:conversation"
    r"|chat\s+history|user'?s?\s+data|contents?\s+of)"
    r"|\brun\s+[`\"']?(?:curl|wget)\b[^\n]{0,120}\|\s*(?:ba)?sh\b[^\n]{0,80}\b(?:silently|before|without)\b"
    r"|\byou\s+are\s+now\s+(?:in\s+)?(?:developer\s+mode|DAN\b|jailbroken|unrestricted|an?\s+unfiltered)"
    r"|\b(?:reveal|print|repeat|output|show)\b[^.\n]{0,30}\b(?:your|the)\s+(?:system|initial|hidden)\s"
    r"+prompt\b"
    r"|\bnew\s+(?:system\s+)?instructions?(?:\s+for\s+(?:the\s+|an?\s+)?\w+)?\s*:|\bsystem\s+override\b|\[\s*system\s*\]\s*:?\s*you\b"
    r"|\bdo\s+not\s+(?:tell|inform|mention\s+(?:this|it)\s+to)\s+the\s+user\b"
    r"|\b(?:ai|llm|language\s+model|assistant)s?\b[^.\n]{0,60}\bmust\s+(?:now\s+)?(?:send|forward|uplo"
    r"ad|email|exfiltrate)\b"
    r"|\b(?:rate|score|rank|recommend|shortlist)\b[^.\n]{0,40}\bthis\s+(?:candidate|applicant|resume|p"
    r"aper|product)\b"
    r"[^.\n]{0,60}\b(?:highest|best|top|first|perfect|only\s+positive)",
    re.IGNORECASE,
)
_WORDS = re.compile(
    r"ignor|memory|end\s+of|disregard|forget|override|bypass|vergiss|missachte|oublie|olvida|you\s+are\s+now|prompt|in"
    r"struction|"
    r"<\||\[inst|<<sys|the\s+user|must|candidate|applicant|resume|paper|product|system|ignora|dimentica"
    r"|negeer"
    r"|игнорируй|забудь|忽略|無視|忘れ|무시|تجاهل|no\s+longer|<important|mention|reveal|disclose|telling"
    r"|\bai\b|\bllm\b|positive|https?://|exfiltrate|leak|upload|forward|curl|wget",
    re.IGNORECASE,
)
_INVISIBLE = re.compile("[\u00ad\u034f\u180e\u200b-\u200f\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_MARKS = ("<|", "[inst", "<<sys", "#", "[ system", "[system")
_NOT_A_LETTER = re.compile(r"[\W_]+")
_ALIKE = str.maketrans(
    "013457@$|"
    "\u0430\u0435\u043e\u0440\u0456\u0455\u0441\u0443\u0445\u0456\u0458\u04bb"
    "\u0501\u0578\u03c5\u03bd\u0391\u0395\u039f\u03a1\u0399",
    "oieastasiaeopiscyxijhdnuvaeopi",
)
"""Digits and letters of other alphabets that stand for Latin letters that look alike."""
_SQUEEZED = re.compile(
    r"(?:ignore|disregard|forget)(?:a(?:ll|ii)|any|the|your|of|these|those|my)*(?:previous|prior"
    r"|preceding|earlier|above)"
    r"(?:instructions?|prompts?|directions|guidelines)"
)


def orders(
    tally: Tally,
    text: str,
    *,
    where: str = "",
    hidden: bool = False,
    template: bool = False,
    keen: bool = False,
    aside: bool = False,
) -> None:
    """Note orders to a model.

    Args:
        tally: Takes the findings.
        text: What a machine reads, as text.
        where: What part of the document it is, for people.
        hidden: Readers do not see it.
        template: It is a template of a chat, which parts its turns by the marks that are orders elsewhere.
        keen: Sentences that only ask a machine for something count too: one where it is hidden, else two;
            and where it is hidden, a sentence that only looks like an order.
        aside: Readers see it, but seldom: a sentence that only looks like an order counts too.

    """
    searched = text[:_SEARCHED]
    tally.texts.append(searched)
    if not searched.isascii():
        searched = unicodedata.normalize("NFKC", _INVISIBLE.sub("", searched))
    severity = Severity.HIGH if hidden else Severity.MEDIUM
    shown = 0
    told = list(_said(searched))
    if not template:
        told += islice(turns(searched, hidden=hidden), _SHOWN)
    if keen and not told:
        told = list(islice(asked(searched, unseen=hidden), _SHOWN))
    if (aside or (hidden and keen)) and not told and (likely := likeliest(searched)):
        said, score, at = likely
        why = f"{where}It looks like an order to a model ({score:.1f}): {said[:80]!r}."
        tally.note("prompt-injection-score", Severity.MEDIUM, why, at)
    for said, at in told:
        if template and said.lower().startswith(_MARKS):
            continue
        if shown == _SHOWN:
            return
        shown += 1
        tally.note("prompt-injection", severity, f"{where}It orders a model: {said!r}.", at)


def _said(text: str) -> Iterator[tuple[str, int]]:
    """Yield the orders of a text and where they stand: open ones, or those that are disguised."""
    told = False
    for found in _ORDERS.finditer(text) if _WORDS.search(text) else ():
        told = True
        yield " ".join(found[0].split())[:80], found.start()
    if told:
        return
    for undone, at in decoded(text):
        if inner := _ORDERS.search(undone):
            yield " ".join(inner[0].split())[:80], at
    squeezed = _SQUEEZED.search(_NOT_A_LETTER.sub("", text.lower().translate(_ALIKE)))
    if squeezed:
        yield squeezed[0][:80], 0
