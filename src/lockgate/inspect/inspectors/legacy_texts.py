"""Texts that are not UTF-8: read as what they are by their name and beginning, in Latin-1.

What opens and closes code, markup and settings is ASCII in all the old encodings that detection takes for
text, so that whoever reads Latin-1 sees the same of them as whoever knows the encoding. Python names its own.
"""

from lockgate.core.verdict import Severity
from lockgate.inspect.detect import by_name, extension, text_kind
from lockgate.inspect.inspectors.html import HtmlInspector
from lockgate.inspect.inspectors.markdown import MarkdownInspector
from lockgate.inspect.inspectors.python_source import PythonInspector
from lockgate.inspect.inspectors.texts import read_text
from lockgate.inspect.inspectors.wires import cut_msgpack
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_PAGES = {"html": HtmlInspector, "markdown": MarkdownInspector}
_WRITTEN = frozenset({
    "txt", "md", "rst", "csv", "tsv", "html", "htm", "xml", "log", "tex", "bib", "srt", "po", "ini", "cfg",
    "py", "c", "h", "cpp", "hpp", "js", "css", "sh", "f", "f90", "bat", "pl", "java", "dic", "aff", "lst",
})  # fmt: skip
"""Endings of files that nobody reads as anything but texts."""
_UNICODE = frozenset({"json"})
"""Kinds that are UTF-8 or nothing (RFC 8259, section 8.1)."""


class LegacyTextInspector(Inspector):
    """A text in an old encoding of eight bits, or of two bytes for a character."""

    name = "legacy-text"
    version = 2
    detects = frozenset({"text-latin1"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the text and note what a text of its kind would be noted for."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        strict = by_name(context.name) in _UNICODE and not context.package
        if not context.package and extension(context.name) not in _WRITTEN and cut_msgpack(data):
            why = "It may be a text in an old encoding, and a value of MessagePack that says it is longer."
            tally.unfinished("text-encoding", why)
            return
        severity = Severity.LOW if strict else Severity.INFO
        tally.note("text-encoding", severity, "The text is not UTF-8; read as Latin-1.")
        text = bytes(data).decode("latin-1")
        kind = text_kind(text, context.name)
        if kind == "python":
            PythonInspector().inspect(data, tally, context)
        elif kind in _PAGES:
            _PAGES[kind]().inspect(memoryview(text.encode("utf-8")), tally, context)
        else:
            read_text(tally, text, context, xml=kind == "xml")
        tally.claim_all()


class WideTextInspector(Inspector):
    """A text in UTF-16, as programs of Windows write it: inspected as what it is in UTF-8."""

    name = "wide-text"
    version = 1
    detects = frozenset({"text-utf16"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the text when it is wholly understood in UTF-8."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        tally.note("text-encoding", Severity.INFO, "The text is in UTF-16; read as what it is in UTF-8.")
        text = bytes(data).decode("utf-16").encode("utf-8")
        context.budget.member(len(text))
        if tally.absorb(context.inspect(memoryview(text), context.member(context.name.rpartition("/")[2]))):
            tally.claim_all()
