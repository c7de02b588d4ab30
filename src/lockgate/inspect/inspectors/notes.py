"""Texts with rules of their own: TeX, reStructuredText, AsciiDoc, Org, calendars, drawings, notebooks.

What they run or fetch when they are set or opened, and where their readers do not look. Sources: TeX Live's
``texmf.cnf`` (shell escapes), docutils' directives, RFC 5545 (alarms, attachments), nbformat 4.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from lockgate.core.verdict import Severity
from lockgate.inspect.detect import extension
from lockgate.inspect.inspectors import text_references
from lockgate.inspect.inspectors.code_signs import look
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.inspectors.python_import import CELLS
from lockgate.inspect.inspectors.shell_signs import SHELL
from lockgate.inspect.limits import demand
from lockgate.inspect.tally import Context, Tally

_OF_SYSTEM = r"(?:/(?:etc|home|root|proc|var)\b|~|file:|(?:\.\./){2,9}(?:etc|home|root|proc)/"
"""A file of the system or of a person, by its whole path or by steps up; a bracket stays open."""
_TEX = (
    r"(?m)^(?:[^%\n\\]|\\[^\n])*?(?:\\(?:immediate\s*)?write\s*18\b|write18\s*\{|\\ShellEscape\b"
    r"|\\(?:input|include|subfile|lstinputlisting|includegraphics|verbatiminput|VerbatimInput|usepackage|import)"
    r"(?:\[[^\]\n]{0,200}\])?\s*\{\s*(?:/(?:etc|home|root|proc|var)\b|~|(?:\.\./){2,9}(?:etc|home|root|proc)/)"
    r"|\\input\s*\{?\s*[\"']?\||\\directlua[\s\S]{0,400}?\b(?:os\s*\.\s*(?:execute|remove|rename|getenv)"
    r"|io\s*\.\s*(?:popen|open|lines))|\\open(?:in|out)[^\n=]{0,20}=?\s*[\"']?(?:/|~|\.\./))"
)
_RUNS = {
    "tex": ("tex-command", "It runs a command or reaches for a file of the system when it is set", _TEX),
    "rst": (
        "rst-include",
        "It takes in a file of the system when it is set",
        r"(?m)^[ \t]*(?:\.\.[ \t]+(?:literal)?include::|:file:)\s+" + _OF_SYSTEM + ")",
    ),
    "adoc": (
        "adoc-include",
        "It takes in a file of the system or of another host when it is set",
        r"(?m)^[ \t]*(?:include|link-include)::" + _OF_SYSTEM + "|https?:)",
    ),
    "ics": (
        "calendar-program",
        "An alarm runs a program",
        r"(?im)^ACTION\s*[:;][^\n]*PROCEDURE",
    ),
}
_RUNNING = {kind: (code, why, re.compile(pattern)) for kind, (code, why, pattern) in _RUNS.items()}
_LIKE = {
    "ltx": "tex",
    "latex": "tex",
    "bib": "tex",
    "sty": "tex",
    "cls": "tex",
    "rest": "rst",
    "ical": "ics",
    "asciidoc": "adoc",
}
_ASIDE = {
    "tex": r"(?m)(?<!\\)%(.*)$|\\iffalse\b([\s\S]{1,20000}?)\\fi\b|\\(?:h|v)?phantom\s*\{([^{}]*)\}"
    r"|\\(?:text)?color\s*\{white\}\s*\{?([^{}]*)|\\fontsize\s*\{[01]?(?:\.\d+)?(?:pt)?\}([^\n]*)",
    "rst": r"(?m)^[ \t]*\.\.[ \t]*\n?((?![ \t]*[\w-]+::|[ \t]*[|_\[])(?:[^\n]+\n?|\n(?=[ \t]+\S))+)",
    "adoc": r"(?m)^//(?!//)(.*)$|^////\n([\s\S]*?)^////",
    "org": r"(?m)^[ \t]*#(?:[ \t]|\+)(.*)$|^#\+BEGIN_COMMENT([\s\S]*?)(?:^#\+END_COMMENT|\Z)",
    "svg": r"<(?:text|tspan|desc|title|metadata|style)\b[^<>]*>([^<]+)|<!--([\s\S]*?)(?:-->|\Z)"
    r"|<!\[CDATA\[([\s\S]*?)(?:\]\]>|\Z)",
    "ics": r"(?im)^X-[\w-]+[^:\n]*:(.*)$",
}
_UNREAD = {kind: re.compile(pattern) for kind, pattern in _ASIDE.items()}
_RAW = re.compile(r"(?m)^([ \t]*)\.\.[ \t]+raw::[ \t]+html[^\n]*\n((?:[ \t]*\n|\1[ \t]+[^\n]*\n?)*)")
_PASSED = re.compile(r"(?m)^\+{4}\n([\s\S]*?)^\+{4}$|\bpass:\w*\[([^\]]*)\]")
"""What AsciiDoc passes on to the page as it is."""
_PAGES = re.compile(
    r"(?im)^(?:X-ALT-DESC|DESCRIPTION|STYLED-DESCRIPTION)\b[^:\n]{0,200}text/html[^:\n]{0,200}:(.*)$"
)
"""What is shown of an appointment as a page."""
_FOLDED = re.compile(r"\r?\n[ \t]")
_WHERE = "Where readers do not look: "
_CELLS = 20_000
_PROGRAM_NAME = "cells.py"
_PROGRAM = 20_000
"""Longest script of an output that is read, in characters; longer ones are libraries of charts."""
_SCRIPT = re.compile(r"<script\b[^<>]*>[\s\S]*?(?:</script\s*>|\Z)", re.IGNORECASE)
_CALLS_BACK = re.compile(
    r"\bdup2\s*\(\s*\w+\s*\.\s*fileno\s*\(|\bsocket\b[\s\S]{0,2000}?\bpty\s*\.\s*spawn\s*\("
)
_INSTALLS = re.compile(r"\s*[!%]+\s*(?:python\d?\s+-m\s+)?(?:pip3?|uv|conda|mamba)\s+(?:pip\s+)?install\b")
_UNVOUCHED = re.compile(
    r"(?:-i|--index-url|--extra-index-url|-f|--find-links|-c|--channel)[ =]+http://\S{3,200}|--trusted-host\b|\bhttp://\S{3,200}"
)
_MAGIC = re.compile(r"[ \t]*(?P<mark>!+|%+)(?P<line>.*)|.*\?\s*\Z")


def documents(tally: Tally, name: str, text: str) -> None:
    """Note orders to a model in a text, and what its own language runs or fetches.

    Args:
        tally: Takes the findings.
        name: The file's name, whose ending says which language it is.
        text: The text.

    """
    ending = extension(name)
    kind = _LIKE.get(ending, ending)
    whole = _FOLDED.sub("", text) if kind in {"ics", "vcf"} else text
    orders(tally, whole, keen=True)
    text_references.check(tally, ending, whole)
    if kind in _UNREAD:
        orders(tally, "\n".join(_groups(_UNREAD[kind], whole)), where=_WHERE, hidden=True, keen=True)
    if kind in _RUNNING:
        code, why, pattern = _RUNNING[kind]
        if found := pattern.search(whole):
            tally.note(code, Severity.HIGH, f"{why}.", found.end())
    if kind == "ics" and (raw := "\n".join(_groups(_PAGES, whole))):
        _page(tally, raw)
    if kind == "rst" and (raw := "".join(found[2] for found in _RAW.finditer(text))):
        _page(tally, raw)
    if kind == "adoc" and (raw := "\n".join(_groups(_PASSED, text))):
        _page(tally, raw)


def _groups(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    for found in pattern.finditer(text):
        yield from (part for part in found.groups() if part)


def _page(tally: Tally, page: str) -> None:
    from lockgate.inspect.inspectors.html import markup  # noqa: PLC0415  # it needs the module that calls this

    markup(tally, page, document=True)


def notebook(tally: Tally, value: Any, context: Context) -> None:
    """Look at the cells and outputs of a notebook as the program, texts and pages that they are."""
    cells = value.get("cells") if isinstance(value, dict) else None
    if not isinstance(cells, list):
        return
    demand(len(cells), _CELLS, "cells of a notebook")
    program: list[str] = []
    shell: list[str] = []
    for cell in (cell for cell in cells if isinstance(cell, dict)):
        source = _joined(cell.get("source"))
        if cell.get("cell_type") == "code":
            _code(source, program, shell)
            for output in cell.get("outputs") or ():
                _output(tally, output)
            _sources(tally, source)
        elif source:
            _part(tally, source, "cell.md", context)
            _attached(tally, cell.get("attachments"), context)
    look(tally, "\n".join(shell), SHELL)
    whole = "\n".join(program)
    if found := _CALLS_BACK.search(whole):
        tally.note("notebook-reverse", Severity.HIGH, "A cell hands a shell to another host.", found.start())
    _part(tally, whole, _PROGRAM_NAME, context)


def _part(tally: Tally, text: str, name: str, context: Context) -> None:
    """Take over what another inspector finds in a part; that it is whole says the notebook's own JSON."""
    role = CELLS if name == _PROGRAM_NAME and not context.role else None
    inner = context.inspect(memoryview(text.encode("utf-8", "replace")), context.member(name, role=role))
    tally.findings.extend(found for found in inner.findings if found.severity is not Severity.INFO)


def _joined(said: Any) -> str:
    return (
        "".join(filter(lambda part: isinstance(part, str), said))
        if isinstance(said, list)
        else str(said or "")
    )


def _code(source: str, program: list[str], shell: list[str]) -> None:
    """Part a cell into Python and the lines that IPython hands to a shell or to its own commands."""
    head = source.lstrip()
    if head.startswith("%%"):
        if re.match(r"%%(?:bash|sh|script|!)", head):
            shell.append(head)
        return
    for line in source.splitlines():
        found = _MAGIC.fullmatch(line)
        if not found:
            program.append(line)
            continue
        program.append(line[: len(line) - len(line.lstrip())] + "pass")
        if found["mark"] and (found["mark"][0] == "!" or re.match(r"s(?:x|ystem)\b", found["line"])):
            shell.append(found["line"])


def _sources(tally: Tally, source: str) -> None:
    """Note packages that a cell has installed from an address that nothing vouches for."""
    for line in source.splitlines():
        if _INSTALLS.match(line) and (found := _UNVOUCHED.search(line)):
            why = f"Packages come from an address that nothing vouches for: {found[0][:80]}"
            tally.note("requirements-address", Severity.HIGH, why)


def _attached(tally: Tally, attachments: Any, context: Context) -> None:
    """Look at what is attached to a cell: a picture by its type, in base64 but for those that are text."""
    for count, kinds in enumerate(attachments.values() if isinstance(attachments, dict) else ()):
        demand(count, _CELLS, "attachments of a cell")
        for kind, said in kinds.items() if isinstance(kinds, dict) else ():
            text = _joined(said)
            try:
                raw = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                raw = text.encode()
            ending = kind.rsplit("/", 1)[-1].split("+")[0]
            inner = context.inspect(memoryview(raw), context.member(f"attached.{ending}"))
            tally.findings.extend(found for found in inner.findings if found.severity is not Severity.INFO)


def _output(tally: Tally, output: Any) -> None:
    if not isinstance(output, dict):
        return
    if said := _joined(output.get("text")) + _joined(output.get("traceback")):
        orders(tally, said[:_PROGRAM], keen=True)
    data = output.get("data")
    for kind, said in data.items() if isinstance(data, dict) else ():
        text = _joined(said)
        if kind in {"text/html", "image/svg+xml"}:
            _page(tally, _SCRIPT.sub(lambda found: found[0] if len(found[0]) <= _PROGRAM else "", text))
        elif kind == "application/javascript" and len(text) <= _PROGRAM:
            _page(tally, f"<script>{text}</script>")
        elif kind in {"text/plain", "text/markdown"}:
            orders(tally, text, keen=True)
