"""Texts: what a person does not see, and a machine reads.

Bidirectional controls reorder what is shown (CVE-2021-42574, "Trojan Source", Unicode TR 36 and
UTS 55); tag characters and long runs of zero-width characters or variation selectors carry hidden
text. Emoji sequences (UTS 51) use some of them honestly.
"""

import re
import warnings

from lockgate.core.artifact import Kind
from lockgate.core.verdict import Severity
from lockgate.inspect.detect import by_name, extension
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors import configs, data_signs, model_texts
from lockgate.inspect.inspectors.chat_template import lint
from lockgate.inspect.inspectors.code_signs import INSTALL_PYTHON, INSTALL_SHELL, PYTHON, SCRIPT, SHELL, look
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.inspectors.python_import import at_import, may_act
from lockgate.inspect.inspectors.strict_json import DuplicateKeyError, depth, loads
from lockgate.inspect.inspectors.uses import use
from lockgate.inspect.inspectors.yaml_signs import tags
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_EMOJI_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f"
_SUSPECT = re.compile(
    f"(?P<flag>{_EMOJI_FLAG})"
    "|(?P<bidi>[\u202a-\u202e\u2066-\u2069])"
    "|(?P<tags>[\U000e0000-\U000e007f]+)"
    "|(?P<selectors>[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,})"
    "|(?P<run>[\u200b-\u200d\u2060-\u2064\ufeff\u180e\u00ad\u034f\u115f\u1160\u3164\uffa0]{4,})"
    "|(?P<invisible>[\u200b\u200e\u200f\u061c\u2060-\u2064\ufeff\u180e\ufff9-\ufffb])"
)
_CODES = {
    "bidi": ("text-bidi", Severity.HIGH, "A control character reorders the text that people see"),
    "tags": ("text-tags", Severity.HIGH, "Unicode tag characters carry text that nobody sees"),
    "selectors": ("text-selectors", Severity.HIGH, "A run of variation selectors can carry hidden bytes"),
    "run": ("text-zero-width", Severity.HIGH, "A run of zero-width characters can carry hidden text"),
    "invisible": ("text-invisible", Severity.INFO, "An invisible character"),
}
_FROM_RIGHT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_FROM_RIGHT_SHARE = 0.03
_OVERRIDE = re.compile("[\u202d\u202e]")
_OPENING = {"\u202a": "\u202c", "\u202b": "\u202c"} | dict.fromkeys("\u2066\u2067\u2068", "\u2069")
"""Embeddings and isolates with what ends each."""
_LONGEST_READ = 300
"""Longest lines that people are taken to read, in characters and on the average of a source."""
_SOURCES = frozenset({
    "py", "pyi", "pyx", "pxd", "js", "cjs", "mjs", "ts", "tsx", "jsx", "c", "h", "cc", "cpp", "cxx", "hpp",
    "rs", "go", "java", "kt", "swift", "rb", "php", "pl", "lua", "cs", "sql", "sh", "bash", "ps1", "bat",
})  # fmt: skip
_ACTIVE = frozenset({"html-script", "html-event", "html-object", "html-frame", "html-script-address"})
"""What acts in a drawing; that it has layers nobody sees is usual."""
_CSV = re.compile(
    r"(?m)(?:^|[,;\t\"])\s*[=+@-][^,;\n]{0,80}?(?:\|\s*'[^'\n]*'\s*!|\b(?:cmd|powershell|mshta)\b|DDE"
    r"\s*\(|WEBSERVICE\s*\()"
)
_ESCAPE = re.compile("\x1b")
_COLOUR = re.compile("\x1b\\[[0-9;]{0,20}m")
_ASIDE = re.compile(
    r"(?:^|/)(?:examples?|docs?|tests?|testing|bin|scripts?|tools?|benchmarks?|demos?)(?:/|\Z)"
)
"""Folders whose modules are programs of their own, which nobody imports."""
_SHELLS = frozenset({"sh", "bash", "zsh", "ksh", "bat", "cmd", "ps1", "psm1", "command"})
_TEMPLATES = frozenset({"jinja", "jinja2", "j2", "template"})
"""Templates; those of a package are its own code, which renders what it will."""
_SHEBANG = re.compile(r"#!\s*/(?:usr/)?(?:bin/)?(?:env\s+)?\S*(?:ba|da|z|k)?sh\b")
_SHOWN = 5
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-A-Za-z0-9_.]+)")
_PLAIN_CODECS = frozenset(
    {"utf-8", "utf8", "utf_8", "utf-8-sig", "ascii", "us-ascii", "latin-1", "latin1", "iso-8859-1"}
)
_COOKIE_LINES = 2
_LINE_END = re.compile(rb"\r\n?|\n")
_SYNTAX_ONLY = 0x0400
"""``ast.PyCF_ONLY_AST``."""
_ENTITY = re.compile(
    r"<!ENTITY\s+(?:%\s+)?\S+\s+(?:(?P<outside>SYSTEM|PUBLIC)|[\"'](?P<value>[^\"']*)[\"'])?", re.IGNORECASE
)
_BESIDE = re.compile(r"\s*(?:[\"'][^\"']*[\"']\s*)??[\"']\w[\w.-]*[\"']\s*>")
_CHARACTER = re.compile(r"&(?:#x?[0-9a-fA-F]+|amp|lt|gt|quot|apos);")


def scan(tally: Tally, text: str, *, lenient: bool = False, source: bool = False) -> None:
    """Note characters that people do not see, each kind a few times, with offsets in characters.

    Args:
        tally: Takes the findings.
        text: The text.
        lenient: Vocabularies of models hold every character there is; then all is information.
        source: It is the source of a program, where order that is not what it seems hides what runs.

    """
    if (escape := text.find("\x1b")) >= 0:
        plain = all(_COLOUR.match(text, found.start()) for found in _ESCAPE.finditer(text))
        severity = Severity.INFO if plain or source else Severity.LOW
        tally.note("text-escape", severity, "An escape character steers the terminal that shows it.", escape)
    if text.isascii():
        return
    counts: dict[str, int] = {}
    for found in _SUSPECT.finditer(text):
        kind = found.lastgroup or ""
        if kind == "flag" or (kind == "invisible" and found.start() == 0 and found[0] == "\ufeff"):
            continue
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= _SHOWN:
            code, severity, why = _CODES[kind]
            honest = lenient or (kind == "bidi" and _written_so(text, found.start(), source=source))
            severity = Severity.INFO if honest else severity
            tally.note(code, severity, f"{why} (U+{ord(found[0][0]):04X}).", found.start())
    for kind, count in sorted(counts.items()):
        if count > _SHOWN:
            tally.note(_CODES[kind][0], Severity.INFO, f"{count} of them altogether.")


def _written_so(text: str, at: int, *, source: bool) -> bool:
    """Return whether a control of direction stands where scripts that run from the right need it.

    In a translation or a document that is any with a share of such letters. In source they must be on the
    same line, and it has to be undone there (what GCC's ``-Wbidi-chars`` asks for), and no override is ever
    needed; machine-made source, in lines that nobody could read, is left out.
    """
    if not source:
        return _FROM_RIGHT_SHARE * len(text) <= len(_FROM_RIGHT.findall(text))
    if len(text) > _LONGEST_READ * (text.count("\n") + 1):
        return True
    start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
    line = text[start : end if end >= 0 else len(text)]
    return bool(_FROM_RIGHT.search(line)) and not _OVERRIDE.search(line) and _undone(line)


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
    """Plain text in UTF-8, or in Latin-1 where nothing speaks against it."""

    name = "text"
    version = 2
    detects = frozenset({"text", "text-latin1", "xml"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the text and note hidden characters."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        if tally.detected == "text-latin1":
            severity = Severity.LOW if by_name(context.name) and not context.package else Severity.INFO
            tally.note("text-encoding", severity, "The text is not UTF-8; read as Latin-1.")
        else:
            text = bytes(data).decode("utf-8")
            source = extension(context.name) in _SOURCES or text.startswith("#!")
            scan(tally, text, lenient=context.kind == Kind.MODEL, source=source)
            if tally.detected == "xml":
                _entities(tally, text, package=context.package)
                model_texts.xml(tally, text)
            if "<svg" in text[:4096] and not context.package:
                from lockgate.inspect.inspectors.html import markup  # noqa: PLC0415  # it needs this module

                drawn = Tally(tally.size, tally.where, tally.limit)
                markup(drawn, text, document=True)
                tally.findings.extend(found for found in drawn.findings if found.code in _ACTIVE)
            if context.kind == Kind.DOCUMENT:
                orders(tally, text)
            if extension(context.name) in {"csv", "tsv"} and (found := _CSV.search(text)):
                tally.note(
                    "csv-formula", Severity.HIGH, "A cell runs a command in a spreadsheet.", found.start()
                )
            _signs(tally, text, context)
            if data_signs.wants(context, text):
                data_signs.search(tally, text)
        tally.claim_all()


def _signs(tally: Tally, text: str, context: Context) -> None:
    """Look for signs of harm in scripts, told by their name, first line or role."""
    kind = extension(context.name)
    use(tally, text, kind)
    shell = kind in _SHELLS or _SHEBANG.match(text)
    if context.role == "deb-script":
        look(tally, text, SHELL + INSTALL_SHELL)
        if shell:
            tally.note("install-script", Severity.INFO, f"{context.name} runs as root at installation.")
    elif shell:
        look(tally, text, SHELL)
    elif kind in {"js", "cjs", "mjs"}:
        look(tally, text, SCRIPT)
    elif kind in {"yaml", "yml"}:
        tags(tally, text)
        if data_signs.wants(context, text):
            data_signs.settings(tally, text)
    elif kind in _TEMPLATES and (not context.package or "chat" in context.name.rsplit("/", 1)[-1]):
        lint(tally, context.name, text)


def _entities(tally: Tally, text: str, *, package: bool) -> None:
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


class PythonInspector(Inspector):
    """Python source: it must parse; it is never executed."""

    name = "python"
    version = 2
    detects = frozenset({"python"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the source and note odd encodings, hidden characters and syntax errors."""
        demand(len(data), context.limits.source_bytes, "source_bytes")
        raw = bytes(data)
        text = raw.decode("utf-8")
        scan(tally, text, source=True)
        tally.claim_all()
        installs = context.name.rsplit("/", 1)[-1] == "setup.py"
        use(tally, text, "py")
        look(tally, text, PYTHON + INSTALL_PYTHON if installs else PYTHON)
        for line in _LINE_END.split(raw, _COOKIE_LINES)[:_COOKIE_LINES]:
            cookie = _COOKIE.match(line)
            codec = cookie[1].decode("ascii").lower() if cookie else "utf-8"
            if codec not in _PLAIN_CODECS:
                why = f"Python reads it by the codec {codec}: it runs other code than people see."
                tally.note("python-encoding", Severity.HIGH, why)
                return
        if context.package and not may_act(text):
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = compile(raw, "<member>", "exec", dont_inherit=True, flags=_SYNTAX_ONLY)
            if (
                context.depth
                and not _ASIDE.search(context.name)
                and context.role not in {"deb-data", "rpm-data"}
            ):
                at_import(tally, tree)
        except (SyntaxError, ValueError) as error:
            why = f"It is text, but no source that this Python parses: {getattr(error, 'msg', error)}."
            tally.note("python-syntax", Severity.INFO, why)
        except (RecursionError, MemoryError):
            tally.unfinished("python-depth", "The source is nested too deep to parse.")


class JsonInspector(Inspector):
    """JSON: strictly read, no key twice, bounded depth."""

    name = "json"
    version = 2
    detects = frozenset({"json"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the text when it is strict JSON; else it is a text with a finding."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        text = bytes(data).decode("utf-8-sig")
        scan(tally, text, lenient=context.kind == Kind.MODEL)
        severity = Severity.LOW if context.package else Severity.MEDIUM
        tally.claim_all()
        try:
            value = loads(text)
            demand(depth(value), context.limits.json_depth, "json_depth")
            if configs.wants(context.name) or (not context.package and configs.shaped(value)):
                configs.check(tally, context.name, value)
            model_texts.graph(tally, value)
            if context.name.endswith("MAR-INF/MANIFEST.json"):
                model_texts.served(tally, value)
            if data_signs.wants(context, text) and not configs.vocabulary(context.name):
                data_signs.search(tally, data_signs.strings(value))
        except DuplicateKeyError as error:
            tally.note("json-duplicate-key", severity, error.what)
        except BrokenContentError as error:
            tally.note("json-malformed", severity, error.what, error.where.get("at"))
