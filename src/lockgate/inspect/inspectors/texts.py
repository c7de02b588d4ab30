"""Texts: what a person does not see, and a machine reads.

Bidirectional controls reorder what is shown (CVE-2021-42574, "Trojan Source", Unicode TR 36 and
UTS 55); tag characters and long runs of zero-width characters or variation selectors carry hidden
text. Emoji sequences (UTS 51) use some of them honestly.
"""

import re

from lockgate.core.artifact import Kind
from lockgate.core.verdict import Severity
from lockgate.inspect.detect import extension
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors import (
    carried_texts,
    configs,
    data_signs,
    image_configs,
    model_texts,
    packages,
    script_flow,
    settings_of_tools,
    shell_flow,
    told_to_tools,
    xml_programs,
    xml_references,
)
from lockgate.inspect.inspectors.chat_template import lint
from lockgate.inspect.inspectors.code_signs import look
from lockgate.inspect.inspectors.notes import documents, notebook
from lockgate.inspect.inspectors.script_signs import WORKFLOW
from lockgate.inspect.inspectors.shell_signs import INSTALL_SHELL, SHELL
from lockgate.inspect.inspectors.source_hints import hints
from lockgate.inspect.inspectors.strict_json import DuplicateKeyError, depth, loads
from lockgate.inspect.inspectors.terminals import steers
from lockgate.inspect.inspectors.uses import SCRIPTS, use
from lockgate.inspect.inspectors.yaml_signs import calls, tags
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_MODEL, _DOCUMENT = Kind.MODEL, Kind.DOCUMENT
_EMOJI_FLAG = "\U0001f3f4(?:\u200d?[\U000e0030-\U000e0039\U000e0061-\U000e007a]){2,6}\u200d?\U000e007f"
"""The flag of a part of a country: its code in tags (UTS 51, ED-14a). A longer one would hide text."""
_SUSPECT = re.compile(
    f"(?P<flag>{_EMOJI_FLAG})"
    "|(?P<bidi>[\u202a-\u202e\u2066-\u2069])"
    "|(?P<annotated>\ufff9[^\ufff9-\ufffb\n]{0,400}\ufffa)"
    "|(?P<tags>[\U000e0000-\U000e007f]+)"
    "|(?P<selectors>[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,})"
    "|(?P<run>[\u200b-\u200d\u2060-\u2064\ufeff\u180e\u00ad\u034f\u115f\u1160\u3164\uffa0]{4,})"
    "|(?P<invisible>[\u200b\u200e\u200f\u061c\u2060-\u2064\ufeff\u180e\ufff9-\ufffb])"
)
_CODES = {
    "bidi": ("text-bidi", Severity.HIGH, "A control character reorders the text that people see"),
    "annotated": ("text-annotation", Severity.HIGH, "What stands behind an annotation's sign is not shown"),
    "tags": ("text-tags", Severity.HIGH, "Unicode tag characters carry text that nobody sees"),
    "selectors": ("text-selectors", Severity.HIGH, "A run of variation selectors can carry hidden bytes"),
    "run": ("text-zero-width", Severity.HIGH, "A run of zero-width characters can carry hidden text"),
    "invisible": ("text-invisible", Severity.INFO, "An invisible character"),
}
_FROM_RIGHT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_FROM_RIGHT_SHARE = 0.03
_TRANSLATED_SHARE = 0.25
"""From how large a share of such letters on a source is a translation."""
_CLOSES = re.compile(r"[\"'`][\])}]{0,3}[,;]?[ \t\r]*")
"""What ends a line behind a control that stands alone in quotes: there is nothing that it could reorder."""
_OVERRIDE = re.compile("[\u202d\u202e]")
_REORDERS = re.compile("[\u202a\u202b\u202d\u202e\u2066-\u2068]")
_OPENING = {"\u202a": "\u202c", "\u202b": "\u202c"} | dict.fromkeys("\u2066\u2067\u2068", "\u2069")
"""Embeddings and isolates with what ends each."""
_LONGEST_READ = 300
"""Longest lines that people are taken to read, in characters and on the average of a source."""
_SOURCES = frozenset({
    "py", "pyi", "pyx", "pxd", "js", "cjs", "mjs", "ts", "tsx", "jsx", "c", "h", "cc", "cpp", "cxx", "hpp",
    "rs", "go", "java", "kt", "swift", "rb", "php", "pl", "lua", "cs", "sql", "sh", "bash", "ps1", "bat",
})  # fmt: skip
_REQUIREMENTS = re.compile(r"(?:requirements|constraints)[\w.-]*\.txt\Z")
_ADDRESSED = re.compile(
    r"^[ \t]*(?:(?:-i|--index-url|--extra-index-url|-f|--find-links)[ \t=]+"
    r"|[\w.\[\]-]+[ \t]*@[ \t]*)?http://[^\s#]{3,200}"
    r"|^[ \t]*--trusted-host\b[^\n]{0,100}",
    re.MULTILINE,
)
_LOADER = re.compile(r"^[^\S\n]*loader_module:\s*['\"]?(?!mlflow\b)([\w.]{1,200})", re.MULTILINE)
"""What MLflow imports to load a model (``mlflow.pyfunc``); those of its own begin with its name."""
_SHOWN = 3
_DATA = frozenset({"csv", "tsv", "xml", "po", "pot", "dat", "data", "jsonl", "ndjson"})
_READ = frozenset(
    {"txt", "md", "rst", "html", "htm", "adoc", "info", "1", "2", "3", "4", "5", "6", "7", "8", "toml", "cfg"}
)
_FOR_PEOPLE = re.compile(
    r"(?i)(?:readme|licen[cs]e|copying|change|news|notice|authors|contribut|install|history|todo"
    r"|metadata|pkg-info)"
)
_ACTIVE = frozenset(
    {"html-script", "html-event", "html-object", "html-frame", "html-script-address", "html-external"}
)
"""What acts or fetches in a drawing; that it has layers nobody sees is usual."""
_CSV = re.compile(
    r"(?m)(?:^|[,;\t\"])[^\S\t\n]*[=+@-][^,;\n]{0,80}?(?:\|\s*'[^'\n]*'\s*!|\b(?:cmd|powershell|mshta)\b|DDE"
    r"\s*\(|WEBSERVICE\s*\(|HYPERLINK\s*\(\s*\"{1,2}(?:\\\\|file:|smb:)|IMPORT(?:XML|DATA|FEED|HTML|RANGE)\s*\(|(?:HYPERLINK|IMAGE)\s*\(\s*\"{1,2}https?:[^\n]{0,200}?\"{1,2}\s*&)"
)
_SHELLS = frozenset({"sh", "bash", "zsh", "ksh", "bat", "cmd", "ps1", "psm1", "command"})
_COMPLETES = re.compile(r"(?:^|/)bash[_-]completion(?:\.d|/completions)/[^/]+\Z|\.bash-completion\Z")
"""Scripts without an ending that shells read to complete command lines."""
_BUILT = frozenset({"CMakeLists.txt", "meson.build", "build.rs", "configure", "extconf.rb"})
"""Files of packages that run while they are built."""
_RUN_BY_TOOLS = frozenset(
    {"Makefile", "makefile", "GNUmakefile", "Dockerfile", "Containerfile", ".envrc", "Justfile"}
)
"""Files that a person's tools run; in packages they are the authors' own."""
_STARTED = re.compile(r"(?m)^Exec\s*=\s*(.*)$")
"""What a shortcut of a desktop starts."""
_POSTSCRIPT = re.compile(
    r"%pipe%|\(\s*(?:/|~|\.\.|[A-Za-z]:)[^()\n]{0,200}\)\s*(?:\([rwa]\+?\)\s*file|run|deletefile)\b|\brenamefile\b"
    r"|\)\s*\([wa]\+?\)\s*file\b"
)
"""Files of a system and commands (PostScript Language Reference, 3.8.2; the device is Ghostscript's)."""
_TEMPLATES = frozenset({"jinja", "jinja2", "j2", "template"})
"""Templates; those of a package are its own code, which renders what it will."""
_SHEBANG = re.compile(r"#!\s*/(?:usr/)?(?:bin/)?(?:env\s+)?\S*(?:ba|da|z|k)?sh\b")
_INSTALLED = "/node_modules/"
"""Where npm reads the manifests of packages that a package brings; others are templates and tests."""
_SHOWN = 5
_LONGEST_SLIP, _MOST_SLIPPED = 2, 32
"""Runs of selectors that are no longer, and no more in a text altogether unless all are the same, hide
nothing worth reading: one of emoji that was typed twice, or a table of characters. Each carries a byte."""
_LONGEST_ALIKE = 4
"""Runs of one and the same selector in the whole text, which say nothing but how long they are."""
_MOST_TAGS = 4
"""Tag characters, each alone, that a text may have: the ends of a range."""
_LONGEST_SPACE, _MOST_SPACES = 8, 16
"""Runs of one and the same invisible space that source may have: names that differ by nothing else, and
tables."""
_WRITTEN = "[\u0600-\u06ff\u0900-\u109f\u1780-\u17ff]"
_JOINED = re.compile(f"(?<={_WRITTEN})([\u200b-\u200d])\\1{{3,{_LONGEST_SPACE - 1}}}(?={_WRITTEN})")
"""Joiners, non-joiners and places to break a line, in Arabic, Indic, Thai, Burmese and Khmer scripts (Unicode
23.2)."""
_ENTITY = re.compile(
    r"<!ENTITY\s+(?:%\s+)?\S+\s+(?:(?P<outside>SYSTEM|PUBLIC)|[\"'](?P<value>[^\"']*)[\"'])?", re.IGNORECASE
)
_BESIDE = re.compile(r"\s*(?:[\"'][^\"']*[\"']\s*)??[\"']\w[\w.-]*[\"']\s*(?:NDATA\s+[\w.-]{1,80}\s*)?>")
"""A file beside the text; `NDATA` ones are named to programs and never read by a parser (XML 1.0, 4.2.2)."""
_CHARACTER = re.compile(r"&(?:#x?[0-9a-fA-F]+|amp|lt|gt|quot|apos);")


def scan(
    tally: Tally,
    text: str,
    *,
    lenient: bool = False,
    source: bool = False,
    data: bool = False,
    shown: bool = True,
) -> None:
    """Note characters that people do not see, each kind a few times, with offsets in characters.

    Args:
        tally: Takes the findings.
        text: The text.
        lenient: Vocabularies of models hold every character there is; then all is information.
        source: It is the source of a program, where order that is not what it seems hides what runs.
        data: It is data of a package, where the order that a person would see means nothing.
        shown: It is for people, who may have their terminal show it.

    """
    if (escape := text.find("\x1b")) >= 0:
        plain = source or not shown or not steers(text, escape)
        severity = Severity.INFO if plain else Severity.LOW
        tally.note("text-escape", severity, "An escape character steers the terminal that shows it.", escape)
    if text.isascii() or not _may_hide(text):
        return
    counts: dict[str, int] = {}
    for found in _SUSPECT.finditer(text):
        kind = found.lastgroup or ""
        if kind == "flag" or (kind == "invisible" and found.start() == 0 and found[0] == "\ufeff"):
            continue
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= _SHOWN:
            code, severity, why = _CODES[kind]
            honest = lenient or (kind == "bidi" and (data or _written_so(text, found.start(), source=source)))
            honest |= kind in _SLIPS and _SLIPS[kind](text, source=source)
            severity = Severity.INFO if honest else severity
            tally.note(code, severity, f"{why} (U+{ord(found[0][0]):04X}).", found.start())
    for kind, count in sorted(counts.items()):
        if count > _SHOWN:
            tally.note(_CODES[kind][0], Severity.INFO, f"{count} of them altogether.")


_OTHERS = bytes(range(0x80))
_HIDING = re.compile(
    b"\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xa9]|\xf3\xa0[\x80\x81\x84-\x87]|\xef\xb8[\x80-\x8f]"
    b"|\xef\xbb\xbf"
    b"|\xe1\xa0\x8e|\xc2\xad|\xcd\x8f|\xe1\x85[\x9f\xa0]|\xe3\x85\xa4|\xef\xbe\xa0|\xd8\x9c"
    b"|\xef\xbf[\xb9-\xbb]"
)
"""The characters of `_SUSPECT` in UTF-8."""


def _may_hide(text: str) -> bool:
    """Return whether a text has any of the characters that hide or reorder; most have others only."""
    return bool(_HIDING.search(text.encode("utf-8", "surrogatepass").translate(None, _OTHERS)))


def _written_so(text: str, at: int, *, source: bool) -> bool:
    """Return whether a control of direction stands where scripts that run from the right need it.

    In a translation or a document that is any with a share of such letters. In source they must be on the
    same line, and it has to be undone there (what GCC's ``-Wbidi-chars`` asks for), unless the source is
    mostly such letters, as translations are. No override is ever needed. Machine-made source, in lines
    that nobody could read, is left out.
    """
    if not source:
        closes = text[at] in _OPENING.values() and not _opens(text, at)
        return closes or _FROM_RIGHT_SHARE * len(text) <= len(_FROM_RIGHT.findall(text))
    if len(text) > _LONGEST_READ * (text.count("\n") + 1):
        return True
    start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
    end = end if end >= 0 else len(text)
    if _CLOSES.fullmatch(text, at + 1, end):
        return True
    line = text[start:end]
    if _TRANSLATED_SHARE * len(text) <= len(_FROM_RIGHT.findall(text)) and not _OVERRIDE.search(text):
        return True
    return bool(_FROM_RIGHT.search(line)) and not _OVERRIDE.search(line) and _undone(line)


def _runs(text: str, kind: str) -> list[str]:
    return [found[0] for found in _SUSPECT.finditer(text) if found.lastgroup == kind]


def _few_selectors(text: str, *, source: bool) -> bool:
    """Return whether all runs of selectors in a text, of whatever kind, could carry but a few bytes."""
    del source
    runs = _runs(text, "selectors")
    alike = len(set("".join(runs))) == 1
    short = max(map(len, runs)) <= (_LONGEST_ALIKE if alike else _LONGEST_SLIP)
    return short and (alike or sum(map(len, runs)) <= _MOST_SLIPPED)


def _few_spaces(text: str, *, source: bool) -> bool:
    """Return whether runs of invisible spaces are few, short, of one character, and where they are written.

    That is in source, and between letters of scripts that need such characters: twice they show nothing.
    """
    runs = _runs(text, "run")
    plain = all(len(run) <= _LONGEST_SPACE and len(set(run)) == 1 for run in runs)
    plain = plain and len(runs) <= _MOST_SPACES
    return plain and (source or len(_JOINED.findall(text)) == len(runs))


def _few_tags(text: str, *, source: bool) -> bool:
    """Return whether tag characters stand alone and are few: a table of characters names them so."""
    runs = _runs(text, "tags")
    return not source and max(map(len, runs)) == 1 and len(runs) <= _MOST_TAGS


_SLIPS = {"selectors": _few_selectors, "run": _few_spaces, "tags": _few_tags}


def _opens(text: str, at: int) -> bool:
    """Return whether a closing control has anything to end in its paragraph (UAX 9, X6a, X7)."""
    return bool(_REORDERS.search(text, text.rfind("\n", 0, at) + 1, at))


def _undone(line: str) -> bool:
    """Return whether each control of direction is ended again on its line (UAX 9, X1 to X8)."""
    opened: list[str] = []
    for char in line:
        if char in _OPENING:
            opened.append(_OPENING[char])
        elif char in _OPENING.values() and (not opened or opened.pop() != char):
            return False
    return not opened


class TextInspector(Inspector):
    """Plain text in UTF-8."""

    name = "text"
    version = 20
    detects = frozenset({"text", "xml"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the text and note hidden characters, and what it does as a script."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        text = bytes(data).decode("utf-8")
        read_text(tally, text, context, xml=tally.detected == "xml")
        whole = context.package or carried_texts.check(tally, text, context)
        if whole:
            tally.claim_all()


def read_text(tally: Tally, text: str, context: Context, *, xml: bool) -> None:
    """Note what a text hides, and what it does as a script, a drawing or settings.

    Args:
        tally: Takes the findings.
        text: The text.
        context: What it is a part of.
        xml: Whether it is XML.

    """
    source = extension(context.name) in _SOURCES or text.startswith("#!")
    model = context.kind == _MODEL
    scan(tally, text, lenient=model, source=source, **_part(context, source=source))
    if xml:
        entities(tally, text, package=context.package)
        model_texts.xml(tally, text)
        if not context.package:
            xml_references.check(tally, text)
    if (xml or text.lstrip()[:1] == "<") and not context.package:
        xml_programs.check(tally, text)
    drawing = "<svg" in text[:4096] and not context.package and not source
    if drawing:
        _drawing(tally, text)
    if context.kind == _DOCUMENT or drawing:
        documents(tally, context.name, text)
    if extension(context.name) in {"csv", "tsv"} and (found := _CSV.search(text)):
        tally.note("csv-formula", Severity.HIGH, "A cell runs a command in a spreadsheet.", found.start())
    _signs(tally, text, context)
    if not context.package:
        _needs(tally, text, context)
    told_to_tools.check(tally, text, context)
    if data_signs.wants(context, text):
        data_signs.search(tally, text)
    elif not context.package:
        data_signs.pickled(tally, text)


def _drawing(tally: Tally, text: str) -> None:
    from lockgate.inspect.inspectors.html import markup  # noqa: PLC0415  # it needs this module

    drawn = Tally(tally.size, tally.where, tally.limit)
    markup(drawn, text, document=True, strict=True)
    tally.findings.extend(found for found in drawn.findings if found.code in _ACTIVE)


def _signs(tally: Tally, text: str, context: Context) -> None:
    """Look for signs of harm in scripts, told by their name, first line or role."""
    kind, base = extension(context.name), context.name.rsplit("/", 1)[-1]
    told = hints(text.encode(), text, "js", tally.seen) if kind in SCRIPTS else None
    use(tally, text, kind, told)
    settings_of_tools.check(tally, base, text)
    shell = kind in _SHELLS or _SHEBANG.match(text) or _COMPLETES.search(context.name)
    if context.role == "deb-script":
        look(tally, text, SHELL + INSTALL_SHELL)
        shell_flow.flows(tally, text)
        if shell:
            tally.note("install-script", Severity.INFO, f"{context.name} runs as root at installation.")
    elif shell or base in (_BUILT if context.package or context.depth else _BUILT | _RUN_BY_TOOLS):
        look(tally, text, SHELL)
        shell_flow.flows(tally, text)
    elif told and kind in {"js", "cjs", "mjs"}:
        look(tally, text, told.signs())
        script_flow.flows(tally, text)
    elif kind in {"yaml", "yml"}:
        _yaml(tally, text, context)
    elif kind == "desktop" and not context.package:
        look(tally, "\n".join(_STARTED.findall(text)), SHELL)
    elif text.startswith("%!") and (found := _POSTSCRIPT.search(text)):
        why = f"A program in PostScript runs a command or changes a file: {' '.join(found[0].split())[:60]}"
        tally.note("postscript-program", Severity.HIGH, why, found.start())
    elif kind in _TEMPLATES and (not (context.package or context.depth) or "chat" in base):
        lint(tally, context.name, text)


def _yaml(tally: Tally, text: str, context: Context) -> None:
    tags(tally, text, abroad=not context.package)
    look(tally, text, WORKFLOW)
    if data_signs.wants(context, text):
        data_signs.settings(tally, text)
        calls(tally, context.name, text)


def _needs(tally: Tally, text: str, context: Context) -> None:
    """Note what a list of requirements or a model's own description has fetched or loaded."""
    name = context.name.rsplit("/", 1)[-1]
    if _REQUIREMENTS.match(name):
        for count, source in enumerate(_ADDRESSED.finditer(text)):
            if count < _SHOWN:
                why = f"Packages come from an address that nothing vouches for: {source[0].strip()[:80]}"
                tally.note("requirements-address", Severity.HIGH, why, source.start())
    elif name == "MLmodel" and (loader := _LOADER.search(text)):
        why = f"MLmodel has the module {loader[1][:60]} loaded, which is code beside the model."
        tally.note("model-custom-code", Severity.HIGH, why, loader.start())


def _part(context: Context, *, source: bool) -> dict[str, bool]:
    """Return what a text of a package is for: its programs' data, or for people; what it may be is both."""
    base = context.name.rsplit("/", 1)[-1]
    kind = extension(base)
    shown = not context.package or kind in _READ or bool(_FOR_PEOPLE.match(base))
    return {"data": context.package and kind in _DATA and not source, "shown": shown}


def _npm_manifest(name: str) -> bool:
    """Return whether npm reads a file of a package; others may be settings with comments."""
    return name.rsplit("/", 1)[-1] in {"package.json", "package-lock.json", "npm-shrinkwrap.json"}


def entities(tally: Tally, text: str, *, package: bool) -> None:
    """Note entities: those that fetch, and those made of others, which multiply when they are read.

    What a package fetches from beside itself, by a plain file name, is a part of the package.
    """
    for count, found in enumerate(_ENTITY.finditer(text)):
        nested = "&" in _CHARACTER.sub("", found["value"] or "")
        if found["outside"]:
            beside = package and _BESIDE.match(text, found.end())
            severity = Severity.INFO if beside else Severity.HIGH
            tally.note("xml-entity", severity, "An entity fetches another resource.", found.start())
        elif nested:
            tally.note("xml-entity", Severity.MEDIUM, "An entity is made of others.", found.start())
        elif not count:
            tally.note("xml-entity", Severity.INFO, "The document declares entities.", found.start())


class JsonInspector(Inspector):
    """JSON: strictly read, no key twice, bounded depth."""

    name = "json"
    version = 11
    detects = frozenset({"json"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the text when it is strict JSON; else it is a text with a finding."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        text = bytes(data).decode("utf-8-sig")
        manifest = _npm_manifest(context.name) and (
            context.name.count("/") <= 1 or _INSTALLED in context.name
        )
        read = not context.package or configs.wants(context.name) or manifest
        scan(tally, text, lenient=context.kind == Kind.MODEL, data=not read, shown=read)
        severity = Severity.MEDIUM if read else Severity.INFO
        tally.claim_all()
        try:
            value = loads(text)
            demand(depth(value), context.limits.json_depth, "json_depth")
            if configs.wants(context.name) or (not context.package and configs.shaped(value)):
                configs.check(tally, context.name, value)
            model_texts.graph(tally, value)
            told_to_tools.servers(tally, context.name, text)
            if _npm_manifest(context.name) and not context.package and not context.depth:
                packages.loose(tally, value)
            if context.name.endswith(".ipynb"):
                notebook(tally, value, context)
            if context.depth and image_configs.shaped(value):
                for code, level, why in image_configs.starts(value):
                    tally.note(code, level, why)
            if context.name.endswith("MAR-INF/MANIFEST.json"):
                model_texts.served(tally, value)
            if data_signs.wants(context, text) and not configs.vocabulary(context.name):
                data_signs.search(tally, data_signs.strings(value))
        except DuplicateKeyError as error:
            tally.note("json-duplicate-key", severity, error.what)
        except BrokenContentError as error:
            tally.note("json-malformed", severity, error.what, error.where.get("at"))
