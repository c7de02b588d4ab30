"""Markdown: the text, and what the page that a renderer makes of it would run, fetch or hide.

Rendered with the parser that the knowledge room uses (CommonMark, raw HTML on), so that both see
the same.
"""

import re

from lockgate.core.artifact import Kind
from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors import data_signs
from lockgate.inspect.inspectors.html import markup
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.inspectors.texts import scan
from lockgate.inspect.inspectors.yaml_signs import tags
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_FRONT = re.compile(
    r"\ufeff?---[ \t]*([A-Za-z]{0,40})[ \t]*\r?\n([\s\S]*?)\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)"
)
"""What generators of pages read before a page: its settings, in YAML or the language that is named."""
_PROGRAMS = frozenset({"js", "javascript", "coffee", "coffeescript", "cson", "ts", "typescript"})
"""Languages of which gray-matter, and generators that use it, run what they read."""


class MarkdownInspector(Inspector):
    """Scans the text; documents are rendered and read as HTML, files of packages are plain text."""

    name = "markdown"
    version = 6
    detects = frozenset({"markdown"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the text and note what the rendered page would do by itself."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        text = bytes(data).decode("utf-8")
        scan(tally, text)
        _front(tally, text)
        if not context.package:
            data_signs.pickled(tally, text)
        if context.kind == Kind.DOCUMENT:
            demand(len(data), context.limits.source_bytes, "source_bytes")
            from markdown_it import MarkdownIt  # noqa: PLC0415  # only documents pay for it

            parser = MarkdownIt("commonmark")
            # A renderer that is less careful would keep such addresses: let them be seen.
            parser.validateLink = lambda url: True  # type: ignore[method-assign]  # noqa: ARG005
            markup(tally, parser.render(text), document=True)
            orders(tally, text, keen=True)
        tally.claim_all()


def _front(tally: Tally, text: str) -> None:
    """Note what the settings before a page make or run."""
    if found := _FRONT.match(text):
        tags(tally, found[2], abroad=True)
        if found[1].lower() in _PROGRAMS:
            why = f"The settings of the page are a program ({found[1]})."
            tally.note("markdown-front-program", Severity.HIGH, why, 0)
