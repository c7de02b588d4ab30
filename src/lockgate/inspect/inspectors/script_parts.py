"""Parts of a long source of JavaScript that are worth a walk, each with what the source loads at its top.

What bundlers make is megabytes long; what harms in it stands together. Parts end where a statement begins at
the start of a line, so that few functions are cut. The work is linear in the source, and what is walked of it
is bounded.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

_PART = 32 << 10
"""Longest part, in characters; a line that is longer is a part of its own, and too long to be walked."""
_WALKED = 6
"""Parts that are walked, at most."""
_SEARCHED = 4 << 20
_LOADED = 4000
"""Characters of what is loaded that stand before each part, at most."""
_BEGINS = re.compile(r"^(?=[A-Za-z_$(!;/\[])", re.MULTILINE)
_LOADS = re.compile(
    r"^[ \t]*(?:import\b[^\n;]{1,200}\bfrom\b[^\n;]{1,120}|(?:const|let|var)\b[^\n=]{1,120}=[^\n;]{0,60}"
    r"\brequire\d*"
    r"\([^\n;]{1,120});?",
    re.MULTILINE,
)
_WORDS = re.compile(
    r"child_process|\beval\b|\bnew Function\b|_compile\b|runIn\w*Context|\bhomedir\b"
    r"|\bfetch\b|\bhttps?\b|process\.env\b(?![.\[])"
    r"|\bhostname\b|base64|\batob\b|\.npmrc|\.ssh\b|\.aws\b|writeFile"
    r"|\bexec\w*|\bspawn\w*|token|rm -rf|authorized_keys"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a source."""

    text: str
    start: int = 0
    before: int = 0
    """Characters at its beginning that stand elsewhere in the source."""

    def place(self, at: int) -> int:
        """Return where in the source stands what stands in the part."""
        return self.start + max(0, at - self.before)


def parts(text: str, wanted: Callable[[str], bool]) -> list[Part]:
    """Return the parts of a source with most of the words of harm, in their order.

    Args:
        text: The source.
        wanted: Tells whether anything can be found in a part, with what is loaded before it.

    """
    loaded = ""
    for found in _LOADS.finditer(text, 0, _SEARCHED):
        if len(loaded) + len(found[0]) > _LOADED:
            break
        loaded += found[0].strip() + "\n"
    cut = [found.start() for found in _BEGINS.finditer(text, 0, _SEARCHED)]
    starts, ends = [0], []
    last = 0
    for at in [*cut, min(len(text), _SEARCHED)]:
        if at - starts[-1] > _PART and last > starts[-1]:
            ends.append(last)
            starts.append(last)
        last = at
    ends.append(last)
    made = []
    for start, end in zip(starts, ends, strict=True):
        if end - start > 2 * _PART:
            continue
        words = len(set(_WORDS.findall(text, start, end)))
        part = Part(loaded + text[start:end], start, len(loaded))
        if words > 1 and wanted(part.text):
            made.append((-words, start, part))
    return [
        part
        for _, _, part in sorted(sorted(made, key=lambda item: item[:2])[:_WALKED], key=lambda item: item[1])
    ]
