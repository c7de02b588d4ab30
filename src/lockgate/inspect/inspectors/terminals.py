"""Escape characters that have a terminal show other than the text that it is given.

Sources: ECMA-48 (control functions); xterm, "Control Sequences".
"""

import re

_STEERS = re.compile(
    r"\x1b(?:[\]PX^_cDEHM78#]|\[[0-?]{0,40}[ -/]{0,4}[@-`a-gijknoq-~]|\[(?:\d{0,9};){0,9}0*8m)"
)
"""What hides, moves, answers or sets titles (ECMA-48, xterm); colours, modes and an escape character alone do
not, nor do the descriptions of terminals in manuals."""
_ERASES = re.compile(r"\x1b\[0?K")
"""What clears a line from the cursor on (ECMA-48, EL): nothing, where nothing has moved the cursor back."""
_GOES_BACK = re.compile(r"\r(?!\n)|[\x08\x80-\x9f]")


def steers(text: str, first: int) -> bool:
    """Return whether what follows a text's first escape character has a terminal show other than the text."""
    after = text[first:]
    if not _GOES_BACK.search(text):
        after = _ERASES.sub("", after)
    return bool(_STEERS.search(after))
