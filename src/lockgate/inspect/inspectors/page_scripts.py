"""Scripts in pages: which do no more than move what the page shows.

A script is calm when all that it says is read and nothing in it reaches out: no call that fetches, opens,
downloads, stores cookies, goes elsewhere or makes code of text, no property looked up by a computed name and
then called, no text that is escaped or packed, and no function that nobody defines. That is an allowlist of
shapes (ECMA-262, 15th edition, clauses 12 and 13), not a list of attacks: what is not understood is not calm.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from lockgate.inspect.inspectors.page_values import Values

MOST = 256 << 10
"""Longest scripts of one page that are read, in characters."""

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n\u2028\u2029]*|/\*[\s\S]*?\*/|<!--[^\n\u2028\u2029]*|(?m:^[ \t]*-->[^\n]*))"""
    r"""|(?P<text>"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*'|`(?:[^`\\$]|\$(?!\{)|\\[\s\S])*`)"""
    r"""|(?P<number>\.?\d[\w.]*)"""
    r"""|(?P<name>[A-Za-z_$\u0080-\U0010ffff][\w$]*)"""
    r"""|(?P<mark>=>|===?|!==?|[+*%&|^<>-]=|[{}()\[\];,<>+*%&|^!~?:=.-]|/)"""
)
_ENDS, _BEGINS = re.compile(r"</\s*script", re.IGNORECASE), re.compile(r"<script", re.IGNORECASE)
"""What browsers end or go on with a script at, and other parsers do not (HTML, 13.2.5.17 to 31)."""
_REGEX = re.compile(r"/(?![*/])(?:[^/\\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n])*\])+/[a-z]{0,8}")
_BEFORE_VALUES = "return typeof case in of delete void throw new else do instanceof"
_OTHER_KEYWORDS = """
if for while switch catch function var let const break continue try finally this null true false default class
extends super async await yield static get set
"""
_WORDS_BEFORE_VALUES = frozenset(_BEFORE_VALUES.split())
_KEYWORDS = _WORDS_BEFORE_VALUES | frozenset(_OTHER_KEYWORDS.split())
_REACHES_WORDS = """
eval execute Function constructor execScript setImmediate with import importScripts Reflect Proxy __proto__
__defineGetter__ __lookupGetter__ globalThis debugger atob btoa unescape decodeURIComponent
decodeURI fromCharCode fromCodePoint TextDecoder crypto subtle fetch XMLHttpRequest ajax ajaxSetup
getScript getJSON post sendBeacon WebSocket EventSource WebTransport RTCPeerConnection Worker
SharedWorker Worklet serviceWorker ActiveXObject WScript GetObject createObjectURL Blob File
FileReader FileSystem showSaveFilePicker msSaveBlob msSaveOrOpenBlob download Image Audio background
backgroundImage cssText cssRules insertRule srcset formAction open assign navigate submit
requestSubmit postMessage opener cookie cookieStore credentials geolocation mediaDevices
getUserMedia Notification PaymentRequest indexedDB caches openDatabase contentWindow contentDocument
frames alert confirm prompt print pushState registerProtocolHandler usb serial bluetooth innerHTML
outerHTML insertAdjacentHTML srcdoc write writeln parseHTML DOMParser createContextualFragment
createHTMLDocument setHTMLUnsafe globalEval
"""
_REACHES = frozenset(_REACHES_WORDS.split())
_WRITABLE = frozenset({"innerHTML", "outerHTML"})
"""What may be read, and set to a text that is written out."""
_GIVES, _ADDS = [("mark", "=")], [("mark", "+=")]
_TIMERS = frozenset({"setTimeout", "setInterval"})
_GIVEN_WORDS = """
$ jQuery parseInt parseFloat String Number Boolean Array Object Date RegExp isNaN isFinite Map Set
WeakMap Error TypeError Symbol encodeURIComponent encodeURI requestAnimationFrame clearTimeout
clearInterval matchMedia getComputedStyle addEventListener removeEventListener IntersectionObserver
MutationObserver ResizeObserver CustomEvent Event URL URLSearchParams setTimeout setInterval require
requirejs Promise scrollTo
"""
_GIVEN = frozenset(_GIVEN_WORDS.split())
"""What browsers and the usual libraries define, and what reaches nothing."""
_MAKES_WORDS = """
html append prepend after before replaceWith wrap wrapAll wrapInner appendTo prependTo insertAfter
insertBefore replaceAll
"""
_MAKES = frozenset(_MAKES_WORDS.split())
"""What makes elements of a text (jQuery)."""
_ELEMENTS_WORDS = """
a abbr b blockquote br button caption code dd details div dl dt em figure h1 h2 h3 h4 h5 h6 hr i kbd
label li nav ol option p pre section select small span strong sub summary sup svg table tbody td th
thead tr u ul
"""
_ELEMENTS = frozenset(_ELEMENTS_WORDS.split())
_MARKUP = re.compile(r"<\s*/?\s*([A-Za-z0-9-]*)")
_HARMFUL_TEXT = re.compile(
    r"\bon[a-z]{3,20}\s*=|(?:javascript|vbscript|data|file|blob|mhtml|ms-[a-z]+)\s*:|url\s*\(|&(?:lt|#(?!(?:12[89]|1[3-9]\d|[2-9]\d\d|[1-9]\d{3,5}|x[1-9a-f][0-9a-f]{2,4});))|u003c"
    r"|%3c|\\[xu]|\\[0-7]|\b(?:powershell|mshta|cmd\.exe|wscript|cscript|certutil|bitsadmin|curl|wget)\b"
    r"|[A-Za-z0-9+/=_-]{160}|//[^\s\"']{1,300}\.m?js\b",
    re.IGNORECASE,
)
_PLAIN_WORDS = """
open write post print assign submit background download File Image Audio caches frames prompt confirm alert
navigate credentials execute with import fetch usb serial bluetooth
"""
_WORDS = frozenset(_PLAIN_WORDS.split())
"""Names that are words as well, which a text may say where no property is looked up by it."""
_LOOKED_UP = frozenset({"src", "href", "action", "innerHTML", "outerHTML"})


_KNOWN = re.compile(
    r"(?:window\.)?location\.replace\((?P<quote>['\"])(?:\.\./){0,12}(?!/)[\w./-]{1,200}\.html(?:#[\w.-]*)?(?P=quote)"
    r"(?:\s*\+\s*location\.(?:search|hash)){0,2}\);?"
    r"|if\(window\.location\.protocol!==\"file:\"\)document\.head\.insertAdjacentHTML\(\"beforeend\",\"[\w.,-]+\""
    r"\.split\(\",\"\)\.map\(f=>`<link rel=\"preload\" as=\"font\" type=\"font/woff2\"\s?"
    r"href=\"(?:\.\./){0,12}(?!/)[\w./-]{1,80}/\$\{f\}\">`\)\.join\(\"\"\)\)"
)
"""Whole scripts of generators of manuals: a page that moved to one beside it, and letters that are fetched
early from a folder beside it (rustdoc)."""


def calm(
    scripts: Iterable[str],
    handlers: Iterable[str] = (),
    *,
    beside: bool,
    acting: bool = False,
    alive: bool = True,
) -> str:
    """Return why the scripts of a page are more than calm; nothing where they are.

    Args:
        scripts: Their texts, in the page's order.
        handlers: Texts of event handlers and of addresses that run.
        beside: The page has scripts in files beside it, which may define functions.
        acting: The page says markup that would act, as text that a script could make elements of.
        alive: The page's text, comments or attributes say anything that browsers would act on as markup.

    """
    read: list[list[tuple[str, str]]] = []
    total = 0
    for text in _unknown(scripts, handlers):
        total += len(text)
        if _parts(text):
            return "markup of scripts in a script, where readers of pages part ways"
        tokens = _tokens(text) if total <= MOST else None
        if tokens is None:
            return "a script that is not read"
        read.append(tokens)
    defined, assigned = _names(read)
    values = None if alive else Values(read)
    for tokens in read:
        for at in range(len(tokens)):
            if tokens[at][1] in {"require", "requirejs"} and _loads(tokens, at):
                return "a library of another host, or of a name that is not written out"
            if acting and tokens[at][1] in _MAKES and at and tokens[at - 1][1] == ".":
                return "elements out of text, on a page whose text is markup that acts"
            if values and tokens[at][1] in _WRITABLE and _makes(tokens, at) and values.still(tokens, at + 1):
                continue
            if why := _reaches(tokens, at) or _calls(tokens, at, defined, assigned, beside=beside):
                return why
    return ""


def _parts(text: str) -> bool:
    """Return whether browsers end a script inside it, or go on behind its end."""
    comment = text.find("<!--")
    return bool(_ENDS.search(text)) or (comment >= 0 and bool(_BEGINS.search(text, comment)))


def _unknown(*texts: Iterable[str]) -> Iterator[str]:
    """Yield the scripts that no generator of manuals is known to write."""
    for text in chain(*texts):
        if not _KNOWN.fullmatch(text.strip()):
            yield text


def _tokens(text: str) -> list[tuple[str, str]] | None:
    """Return kind and text of each token; None where the text does not read to its end."""
    out: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            return None
        kind, said = found.lastgroup or "", found[0]
        if said == "/" and kind == "mark":
            if not _divides(out):
                found = _REGEX.match(text, at)
                if not found:
                    return None
                kind, said = "regex", found[0]
            elif out[-1][1] in ")}" and re.search(r"['\"`/]", text[at + 1 : _line_end(text, at)]):
                return None  # a division or an expression: only a parser could tell what is text behind it
        if kind != "space":
            out.append((kind, said))
        at += len(said)
    return out


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return end if end >= 0 else len(text)


def _divides(before: list[tuple[str, str]]) -> bool:
    if not before:
        return False
    kind, said = before[-1]
    if kind == "name":
        return said not in _WORDS_BEFORE_VALUES
    return kind in {"number", "text", "regex"} or said in {")", "]", "}"}


def _names(read: list[list[tuple[str, str]]]) -> tuple[set[str], set[str]]:
    """Return the functions that the scripts define, and the names that may stand for something else."""
    defined: set[str] = set()
    assigned: set[str] = set()
    for tokens in read:
        for at, (kind, said) in enumerate(tokens):
            after = tokens[at + 1][1] if at + 1 < len(tokens) else ""
            if kind != "name" or said in _KEYWORDS:
                continue
            before = tokens[at - 1][1] if at else ""
            if before == "function":
                defined.add(said)
            elif after == "=" and before != ".":
                value = tokens[at + 2][1] if at + 2 < len(tokens) else ""
                arrow = value == "(" or (at + 3 < len(tokens) and tokens[at + 3][1] == "=>")
                (defined if value in {"function", "async"} or arrow else assigned).add(said)
    return defined, assigned


def _reaches(tokens: list[tuple[str, str]], at: int) -> str:
    kind, said = tokens[at]
    before = tokens[at - 1][1] if at else ""
    after = [token[1] for token in tokens[at + 1 : at + 4]] + ["", "", ""]
    if kind == "text":
        return _text(_whole(tokens, at), before)
    if kind == "name":
        return _name(said, before, after, tokens, at)
    if said == "(" and before == "]":
        return "a call of what has a computed name"
    if said == "(" and before == ")" and not _of_function(tokens, at - 1):
        return "a call of what a call gave"
    if said == "." and before == "]" and after[0] in {"call", "apply", "bind", "join", "reverse"}:
        return "a call of what has a computed name, or a text out of pieces"
    return ""


def _whole(tokens: list[tuple[str, str]], at: int) -> str:
    """Return what a text says with those that are added to it."""
    said = tokens[at][1][1:-1]
    while at + 2 < len(tokens) and tokens[at + 1][1] == "+" and tokens[at + 2][0] == "text":
        at += 2
        said += tokens[at][1][1:-1]
    return said


def _text(said: str, before: str) -> str:
    named = said in _REACHES or said in _LOOKED_UP
    if named and (before in {"[", "="} or said not in _LOOKED_UP | _WORDS):
        return f"the name {said} in a text"
    if _HARMFUL_TEXT.search(said):
        return "a text that carries code, an address or something packed"
    if any(found[1].lower() not in _ELEMENTS for found in _MARKUP.finditer(said)):
        return "a text with an element that acts"
    return ""


def _name(said: str, before: str, after: list[str], tokens: list[tuple[str, str]], at: int) -> str:
    kinds = [token[0] for token in tokens[at + 1 : at + 4]] + ["", "", ""]
    if kinds[0] == "text" and said not in _KEYWORDS and after[0].startswith("`"):
        return "a call by a template"
    if said in _WRITABLE and before == ".":
        whole = after[0] == "=" and kinds[1] == "text" and after[2] in {";", "}", ""}
        return "" if whole or after[0] in {".", ")", ";", ",", "==", "==="} else f"it sets {said}"
    if said in {"window", "self", "top", "parent", "document", "defaultView", "location"}:
        return _window(said, before, after)
    if said in _REACHES and not (said == "print" and before == "."):
        return f"the name {said}"
    sets = said in {"src", "action"} and after[0] == "="
    timed = said in _TIMERS and kinds[1] not in {"name", "mark"}
    called = (
        before == "." and after[0] == "(" and _by_library(said, tokens[at - 2][1] if at > 1 else "", after)
    )
    if sets or timed or called:
        return f"what {said} does"
    acts = {"createElement": _ELEMENTS.__contains__, "setAttribute": _harmless}.get(said)
    quiet = not acts or (kinds[1] == "text" and acts(after[1][1:-1].lower()))
    return "" if quiet else "an element that acts"


def _makes(tokens: list[tuple[str, str]], at: int) -> bool:
    """Return whether a token is a property, and what follows gives it a value."""
    return bool(at) and tokens[at - 1][1] == "." and tokens[at + 1 : at + 2] in (_GIVES, _ADDS)


def _loads(tokens: list[tuple[str, str]], at: int) -> bool:
    """Return whether a loader of modules (RequireJS) may be given an address."""
    if any(kind == "text" and "//" in said for kind, said in tokens):
        return True
    named = tokens[at + 1 : at + 2]
    if named != [("mark", "(")]:
        return False
    for kind, said in tokens[at + 2 :]:
        if said in {"]", ")"}:
            return False
        if kind != "text" and said not in {"[", ","}:
            return True
    return True


def _by_library(said: str, of: str, after: list[str]) -> bool:
    """Return whether a method of jQuery fetches, clicks, or sets an attribute that acts."""
    if said == "get":
        return of in {"$", "jQuery"}
    if said in {"click", "trigger", "load"}:
        return after[1] in {")", "'click'", '"click"'} or (said == "load" and after[1] != "function")
    return said in {"attr", "prop"} and after[2] != ")" and not _harmless(after[1].strip("\"'{"))


def _window(said: str, before: str, after: list[str]) -> str:
    """Return what is wrong with how the window, the page or its address is named."""
    if said == "location":
        named = after[0] in {".", ")", ";", ","}
        moves = after[1] in {"replace", "reload"} or (after[2] == "=" and after[1] != "hash")
        return "it goes elsewhere" if not named or (after[0] == "." and moves) else ""
    if before != "." and after[0] == "[":
        return f"a computed name of {said}"
    other = before in {"=", ":", "return", "?", "|", "&", "["} and after[0] not in {".", "==", "==="}
    return f"another name for {said}" if other and said != "document" else ""


def _harmless(attribute: str) -> bool:
    acting = {"src", "href", "style", "action", "data", "formaction", "srcset", "srcdoc", "xlink:href"}
    return attribute not in acting and not attribute.startswith("on")


def _calls(
    tokens: list[tuple[str, str]], at: int, defined: set[str], assigned: set[str], *, beside: bool
) -> str:
    """Return what is wrong with a call of a plain name: nobody defines it, or it is another's name."""
    kind, said = tokens[at]
    if kind != "name" or said in _KEYWORDS or at + 1 >= len(tokens) or tokens[at + 1][1] != "(":
        return ""
    before = tokens[at - 1][1] if at else ""
    if before in {".", "function"} or said in defined or said in _GIVEN:
        return ""
    if said in assigned:
        return f"a call of {said}, which is another's name"
    return "" if beside else f"a call of {said}, which nobody defines"


def _of_function(tokens: list[tuple[str, str]], at: int) -> bool:
    """Return whether a closing bracket ends a function that is called at once."""
    if at < 1:
        return False
    return tokens[at - 1][1] == "}"
