"""Elements of XML that is read as text: each character is gone through once, whatever is left open.

A start tag ends at the next angle bracket, as XML 1.0 (3.1) has it; what follows it ends at the next end tag.
An expression for both would begin again at each start tag that nothing ends.
"""

import re
from collections.abc import Iterator

_ATTRIBUTE = re.compile(r"(?<![\w:.-])([\w:.-]+)\s*=\s*(?:\"([^\"<]*)\"|'([^'<]*)')")


def elements(start: re.Pattern[str], end: re.Pattern[str], text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yield the first start tag before each end tag, and what stands between the two.

    Args:
        start: A start tag.
        end: An end tag.
        text: The text; what follows its last end tag is left out.

    """
    at = 0
    for ended in end.finditer(text):
        if begun := start.search(text, at, ended.start()):
            yield begun, text[begun.end() : ended.start()]
        at = ended.end()


def attributes(tag: str) -> dict[str, str]:
    """Return the attributes of a start tag, as they are written.

    Args:
        tag: What stands in it behind its name.

    """
    return {found[1]: found[2] if found[2] is not None else found[3] for found in _ATTRIBUTE.finditer(tag)}
