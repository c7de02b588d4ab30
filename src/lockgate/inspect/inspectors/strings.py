"""Texts inside of binary content, for whoever looks for secrets, hidden characters and orders to a model."""

import re
from collections.abc import Iterable

from lockgate.core.artifact import Kind
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.inspectors.texts import scan
from lockgate.inspect.tally import Context, Tally

SEARCHED = 16 << 20
"""How much of one file is searched for texts, in bytes."""
_RUN = re.compile(
    rb"(?:[\t\n\r\x20-\x7e]|[\xc3-\xdf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}|[\xf1-\xf4][\x80-\xbf]{3}){8,}"
)
_WIDE = re.compile(rb"(?:[\t\n\r\x20-\x7e]\x00){8,}")


def texts_of(data: memoryview) -> str:
    """Return the runs of letters in binary content, one on each line; those of two bytes a letter too."""
    raw = bytes(data[:SEARCHED])
    runs = [run.decode("utf-8", "replace") for run in _RUN.findall(raw)]
    runs.extend(run.decode("utf-16-le") for run in _WIDE.findall(raw))
    return "\n".join(runs)


def look(tally: Tally, texts: Iterable[str], context: Context) -> None:
    """Look at texts that binary content holds for its program.

    What nobody sees in them is told as information: a program reads them, and shows them if it will. In a
    document they are read for orders to a model too.
    """
    said = "\n".join(texts)[:SEARCHED]
    if not said:
        return
    scan(tally, said, lenient=True, shown=False)
    if context.kind == Kind.DOCUMENT:
        orders(tally, said)
    elif said not in tally.texts:
        tally.texts.append(said)
