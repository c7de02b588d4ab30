"""Python source: it must parse; it is never executed.

A source may say by which codec Python reads it (PEP 263). It is read by that codec here as well, so that
names are what Python makes of them (PEP 3131). By codecs that make of ASCII something else, nobody sees what
runs.
"""

import re
import warnings
from collections import Counter
from unicodedata import normalize

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.code_signs import INSTALL_PYTHON, look
from lockgate.inspect.inspectors.python_flow import BUILD_HOOKS, flows
from lockgate.inspect.inspectors.python_import import CELLS, at_import
from lockgate.inspect.inspectors.source_hints import hints
from lockgate.inspect.inspectors.texts import scan
from lockgate.inspect.inspectors.uses import use
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_ASIDE = re.compile(
    r"(?:^|/)(?:examples?|docs?|tests?|testing|bin|scripts?|tools?|benchmarks?|demos?|__main__\.py)(?:/|\Z)"
)
"""Folders whose modules are programs of their own, and what `python -m` runs; nobody imports them."""
_LOADED = re.compile(
    r"\b(?:GeneratorBasedBuilder|ArrowBasedBuilder|EndpointHandler|PreTrainedModel|PretrainedConfig"
    r"|PreTrainedTokenizer(?:Fast)?|DiffusionPipeline)\b"
)
"""Classes that a model's or a data set's own code defines, which its loader imports."""
_LOADED_FILE = re.compile(r"(?:^|/)custom_generate/[^/]+\.py\Z")
_RUNS = re.compile(r"\b(?:exec|eval|compile|__import__|getattr|system|popen|Popen)(?=\s*\()")
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-A-Za-z0-9_.]+)")
_UNICODE = frozenset({"utf8", "utf8sig", "utf", "u8", "ascii", "usascii"})
_PLAIN = re.compile(
    r"latin\d{1,2}|l1|(?:iso)?8859\d{1,2}|(?:cp|windows)125[0-8]|cp(?:437|85[0258]|866)|koi8[rtu]"
    r"|euc(?:jp|kr|cn)|gb2312"
)
"""Codecs in which every byte below 128 is ASCII and stands alone, so that code is what people see; not those
whose second bytes may be ASCII (GBK, Big5, Shift JIS). Written without their dashes."""
_PAIRED = re.compile(r"big5(?:hkscs)?|gbk|cp9(?:36|49|50)")
"""Codecs whose second bytes may be ASCII, where what people see with another one is other code."""
_COOKIE_LINES = 2
_LINE_END = re.compile(rb"\r\n?|\n")
_LINE = re.compile(r"\r\n?|\n")
_COMMENT = re.compile(r"[ \t\f]*#")
_ASCII = 0x7F
_FOLLOWED = 256 << 10
_ASIDE_FOLLOWED = 16 << 10
"""Longest source whose values are followed, in characters: what is imported, and what nobody imports."""
_SYNTAX_ONLY = 0x0400
"""``ast.PyCF_ONLY_AST``."""


class PythonInspector(Inspector):
    """Python source: it must parse; it is never executed."""

    name = "python"
    version = 10
    detects = frozenset({"python"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the source and note odd encodings, hidden characters and syntax errors."""
        demand(len(data), context.limits.source_bytes, "source_bytes")
        text, plain = _read(bytes(data), tally)
        raw = text.encode("utf-8")
        scan(tally, text, source=True)
        tally.claim_all()
        aside = _ASIDE.search(context.name) is not None
        installs = context.name.rsplit("/", 1)[-1] == "setup.py" or (not aside and _backend(text))
        told = hints(raw, text, "py", tally.seen)
        read = text if told.written else normalize("NFKC", text)
        if not told.written and (name := _other_letters(text, read)):
            why = f"A name is written in letters that only look like its own: {name}"
            tally.note("code-hidden-name", Severity.HIGH, why)
        use(tally, read, "py", told)
        look(tally, read, told.signs() + INSTALL_PYTHON if installs else told.signs())
        if not plain:
            return
        aside = aside and not installs
        follow = len(text) <= (_ASIDE_FOLLOWED if aside else _FOLLOWED) and (installs or told.may_flow())
        if not follow and context.package and not told.may_act():
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = compile(text, "<member>", "exec", dont_inherit=True, flags=_SYNTAX_ONLY)
            aside = aside or context.role in {"deb-data", "rpm-data"}
            inside = context.depth or _LOADED.search(text) or _LOADED_FILE.search(context.name)
            if inside and not aside and (told.may_act() or not context.package):
                at_import(tally, tree, cells=context.role == CELLS)
            if follow:
                flows(tally, text, tree, acts=bool(inside and not aside) or installs, installs=installs)
        except (SyntaxError, ValueError) as error:
            why = f"It is text, but no source that this Python parses: {getattr(error, 'msg', error)}."
            tally.note("python-syntax", Severity.INFO, why)
        except (RecursionError, MemoryError):
            tally.unfinished("python-depth", "The source is nested too deep to parse.")


def _backend(text: str) -> bool:
    """Return whether a source builds packages: it has a hook that installers call (PEP 517, PEP 660)."""
    return "build_" in text and any(f"\ndef {hook}(" in f"\n{text}" for hook in BUILD_HOOKS)


def _other_letters(text: str, read: str) -> str:
    """Return a name that runs code and that only Python's reading of a source has (PEP 3131)."""
    written = Counter(found[0] for found in _RUNS.finditer(text))
    return next(
        (found[0] for found in _RUNS.finditer(read) if written[found[0]] != _count(read, found[0])), ""
    )


def _count(read: str, name: str) -> int:
    return sum(found[0] == name for found in _RUNS.finditer(read))


def _read(raw: bytes, tally: Tally) -> tuple[str, bool]:
    """Return a source as Python reads it, and whether it says what people see."""
    if b"coding" not in raw:
        codec = "utf-8"
    else:
        codec = next(filter(None, map(_cookie, _LINE_END.split(raw, _COOKIE_LINES)[:_COOKIE_LINES])), "utf-8")
    short = codec.replace("-", "").replace("_", "").replace(".", "")
    try:
        if short in _UNICODE:
            return raw.decode("utf-8"), True
        if _PLAIN.fullmatch(short):
            return raw.decode(codec), True
        if _PAIRED.fullmatch(short) and _apart(read := raw.decode(codec), codec):
            return read, True
    except (UnicodeDecodeError, LookupError):
        why = f"It cannot be read by {codec}, as which Python would; read as Latin-1."
        tally.note("python-syntax", Severity.INFO, why)
        return raw.decode("latin-1"), True
    why = f"Python reads it by the codec {codec}: it runs other code than people see."
    tally.note("python-encoding", Severity.HIGH, why)
    return raw.decode("utf-8", "replace"), False


def _apart(text: str, codec: str) -> bool:
    """Tell whether people see the same code whatever codec they read a source by.

    No letter of code or of a string is written with a byte that is ASCII alone. Letters of lines that are
    comments may be, where that byte is no backslash: such a line can lie in a string, and its end be hidden.
    """
    code = "".join(line for line in _LINE.split(text) if not _COMMENT.match(line))
    return all(byte > _ASCII for byte in _letters(code, codec)) and b"\\" not in _letters(text, codec)


def _letters(text: str, codec: str) -> bytes:
    """Return the bytes of all letters of a text that are not ASCII."""
    return "".join(sorted({char for char in text if not char.isascii()})).encode(codec)


def _cookie(line: bytes) -> str:
    found = _COOKIE.match(line)
    return found[1].decode("ascii").lower() if found else ""
