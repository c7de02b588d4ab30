"""Code where data belongs: calls of shells and interpreters in the texts of models and their settings.

Nobody runs the text of a settings file by itself; whoever writes a call there counts on a loader that does,
or hides it for something that will. Looked for in what a text says (entities resolved, strings of JSON read,
encoded texts decoded), not in documents, which may show code, and not in packages, which are code.

No pattern may find itself in this file: see `lockgate.inspect.inspectors.code_signs`.
"""

import base64
import binascii
import html
import re
from collections.abc import Iterator
from typing import Any

from lockgate.core.artifact import Kind
from lockgate.core.verdict import Severity
from lockgate.inspect.detect import extension
from lockgate.inspect.inspectors.chat_template import lint
from lockgate.inspect.inspectors.code_signs import look
from lockgate.inspect.inspectors.pickles import in_text
from lockgate.inspect.inspectors.shell_signs import SHELL
from lockgate.inspect.tally import Context, Tally

_CALLS = re.compile(
    r"\b(?:os|posix|nt)\s*\.\s*(?:system|popen|startfile|exec[vl]\w*|spawn[vl]\w*|posix_spawn)\s*\("
    r"|\bsubprocess\s*\.\s*(?:Popen|run|call|check_call|check_output|getoutput|getstatusoutput)\s*\("
    r"|\b__import__\s*\(\s*\\?['\"]|\bimportlib\s*\.\s*import_module\s*\("
    r"|\b(?:eval|exec)\s*\(\s*(?:compile|__import__|base64|zlib|codecs|marshal|open|requests|[bru]?\\?['\"])"
    r"|\b(?:pickle|marshal|dill)\s*\.\s*loads?\s*\(|\brunpy\s*\.\s*run_\w+\s*\(|\bpty\s*\.\s*spawn\s*\("
    r"|\bos\s*\.\s*execute\s*\(|\bio\s*\.\s*popen\s*\(|\bRuntime\s*\.\s*getRuntime\s*\(\s*\)\s*\.\s*exec\b"
)
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{24,8192}={0,2}(?![A-Za-z0-9+/=_-])")
_MOST_ENCODED = 2_000
_SEARCHED = 8 << 20
_SHOWN = 3
_DATA = frozenset({
    "json", "yaml", "yml", "xml", "pmml", "model", "lgb", "lightgbm", "t7", "th", "net", "params", "pbtxt",
    "prototxt", "mlmodel", "cfg", "ini", "toml", "config",
})  # fmt: skip
_PICKLED = re.compile(
    rb"\x80[\x02-\x05](?:\x95[\s\S]{8})?[\s\S]{0,400}?"
    rb"(?:[ci]([A-Za-z_][\w.]{0,80})\n([A-Za-z_][\w.]{0,80})\n"
    rb"|\x8c[\x01-\x40]([A-Za-z_][\w.]{0,80})\x94?\x8c[\x01-\x40]([A-Za-z_][\w.]{0,80})\x94?\x93)"
    rb"|c([a-z_][\w.]{0,80})\n([A-Za-z_][\w.]{0,80})\n(?=[\s\S]{0,4000}\.\Z)"
)
_LIGHTGBM = re.compile(r"tree\r?\nversion=v\d")
_OPERATION = re.compile(
    r"\bop\s*:\s*\"(PyFunc|PyFuncStateless|EagerPyFunc|ReadFile|WriteFile|MatchingFiles|LoadLibrary|RpcClient)\""
)
"""Operations in a graph of TensorFlow that is written as text (``GraphDef``)."""
_OPENS, _CLOSES = re.compile(r"\{[{%]"), re.compile(r"[%}]\}")
_BLOCK = 2000
"""Longest block of a template that is read, in characters."""
_HIDDEN = re.compile(r"__[a-z]{3,20}__|\\x5f\\x5f|\|\s*attr\b|\._[A-Z]\w+__|\bmro\b", re.IGNORECASE)
_LAYER = re.compile(r"class_name[\"']?\s*:\s*[\"']?(Lambda|TorchModuleWrapper|TFSMLayer)\b")


def wants(context: Context, text: str) -> bool:
    """Return whether a text is data of a model or settings, and no document and no part of a package."""
    if context.package or context.role:
        return False
    if context.kind not in {Kind.MODEL, Kind.FILE}:
        return context.kind == Kind.DOCUMENT and bool(_LIGHTGBM.match(text))
    return extension(context.name) in _DATA or bool(_LIGHTGBM.match(text))


def search(tally: Tally, text: str) -> None:
    """Note calls in a text, and in what is encoded in it."""
    text = text[:_SEARCHED]
    _calls(tally, html.unescape(text) if "&" in text else text, "")
    look(tally, text, SHELL)
    for found in _OPERATION.finditer(text):
        why = f"The graph has the operation {found[1]}, which acts outside of the model."
        tally.note("tensorflow-operation", Severity.HIGH, why, found.start())
    for count, found in enumerate(_ENCODED.finditer(text)):
        if count == _MOST_ENCODED:
            break
        raw = _decoded(found[0])
        if named := _unpickled(raw):
            why = f"An encoded pickle where text belongs, which names {named[:60]}."
            tally.note("data-pickle", Severity.HIGH, why, found.start())
        if said := _said(raw):
            _calls(tally, said, "Encoded: ")


def pickled(tally: Tally, text: str) -> None:
    """Note a pickle that a text carries in letters, when it imports what no data needs."""
    if found := in_text(text):
        why = f"An encoded pickle where text belongs, which imports {', '.join(found[1])[:60]}."
        tally.note("data-pickle", Severity.HIGH, why, found[0])


def settings(tally: Tally, text: str) -> None:
    """Note what a YAML file gives to templates and to Keras."""
    for at, said in blocks(text):
        if _HIDDEN.search(said):
            why = f"A template reaches into Python's internals: {' '.join(said.split())[:60]}"
            tally.note("chat-template-internals", Severity.HIGH, why, at)
    if "chat_template" in text and next(blocks(text), None):
        lint(tally, "chat_template", text)
    if layer := _LAYER.search(text):
        tally.note("keras-code", Severity.CRITICAL, f"The layer {layer[1]} carries code.", layer.start())


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield each block of a template with its place: an end is looked for once, for all that it could end."""
    at, closing = 0, _CLOSES.search(text)
    while closing and (opening := _OPENS.search(text, at)):
        start = opening.end()
        if closing.start() <= start:
            closing = _CLOSES.search(text, start + 1)
        elif closing.start() - start <= _BLOCK:
            yield opening.start(), text[start : closing.start()]
            at = closing.end()
        else:
            at = opening.start() + 1


def strings(value: Any, most: int = 200_000) -> str:
    """Return all keys and texts of a JSON value, a line each."""
    out: list[str] = []
    todo: list[Any] = [value]
    while todo and len(out) < most:
        item = todo.pop()
        if isinstance(item, str):
            out.append(item)
        elif isinstance(item, dict):
            out.extend(key for key in item if isinstance(key, str))
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    return "\n".join(out)


def _calls(tally: Tally, text: str, where: str) -> None:
    for count, found in enumerate(_CALLS.finditer(text)):
        if count == _SHOWN:
            break
        shown = " ".join(text[found.start() : found.start() + 60].split())
        tally.note("data-code", Severity.HIGH, f"{where}Code where data belongs: {shown}", found.start())


def _decoded(text: str) -> bytes:
    """Return what a text is in base64 (RFC 4648, either alphabet), nothing where it is none."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        return b""


def _said(raw: bytes) -> str:
    """Return what decoded bytes say, nothing where they are no text."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def _unpickled(raw: bytes) -> str:
    """Return a callable that bytes name as a pickle names it, nothing where they are none (`pickle`)."""
    found = _PICKLED.match(raw)
    return ".".join(part.decode("ascii") for part in found.groups() if part) if found else ""
