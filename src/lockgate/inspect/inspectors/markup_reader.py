"""Python's reader of markup, with a bound on how often it goes through the same page again.

At the end of a page it looks for the end of each tag, comment and instruction that was begun, from each of
them to the end of the page: time that grows with the square of their number (CVE-2025-6069). Browsers drop
whatever an unfinished tag begins (HTML 5, 13.2.5: eof-in-tag).
"""

from html.parser import HTMLParser

from lockgate.inspect.limits import demand

LOOKED_THROUGH, LOOKED_AT_LEAST = 16, 1 << 20
"""How many times the page's length, and how many characters in any case, may be looked through for the ends
of what has none."""


class MarkupReader(HTMLParser):
    """Reads markup in time that grows with its length."""

    def __init__(self) -> None:
        """Begin to read; references to characters are texts."""
        super().__init__(convert_charrefs=True)
        self.looked = 0

    def parse_starttag(self, i: int) -> int:
        """Read a tag from its bracket on; return where it ends, -1 when it does not."""
        return self._found(i, super().parse_starttag(i))

    def parse_endtag(self, i: int) -> int:
        """Read the end of an element, as above."""
        return self._found(i, super().parse_endtag(i))

    def parse_comment(self, i: int, report: bool = True) -> int:  # noqa: FBT001, FBT002  # as in Python
        """Read a comment, as above."""
        return self._found(i, super().parse_comment(i, report))

    def parse_pi(self, i: int) -> int:
        """Read an instruction to a program, as above."""
        return self._found(i, super().parse_pi(i))

    def parse_html_declaration(self, i: int) -> int:
        """Read a declaration, as above."""
        return self._found(i, super().parse_html_declaration(i))

    def _found(self, start: int, end: int) -> int:
        """Count what was looked through in vain.

        Raises:
            OverLimitError: Too much of the page was gone through again.

        """
        if end < 0:
            size = len(self.rawdata)
            self.looked += size - start
            demand(self.looked, max(LOOKED_AT_LEAST, LOOKED_THROUGH * size), "html unfinished elements")
        return end
