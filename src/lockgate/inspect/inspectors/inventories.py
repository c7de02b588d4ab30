"""Inventories of Sphinx (``objects.inv``): which names a manual explains, read line by line.

Format: ``sphinx.util.inventory``, version 2: four lines of text, then lines that are compressed by zlib.
"""

import re
import zlib

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.inspectors.texts import scan
from lockgate.inspect.limits import Limits, demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_HEAD = re.compile(
    rb"# Sphinx inventory version 2\n# Project: ([^\n]{0,1000})\n# Version: ([^\n]{0,1000})\n"
    rb"# The remainder of this file is compressed using zlib\.\n"
)
_NUMBER = re.compile(r"-?\d{1,9}")


class InventoryInspector(Inspector):
    """Unpacks an inventory within bounds; each of its lines is an entry."""

    name = "sphinx-inventory"
    version = 1
    detects = frozenset({"sphinx-inventory"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim head and entries; bytes behind them are a finding and stay unclaimed."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        head = _HEAD.match(data)
        if head is None:
            what = "The head of the inventory is not known."
            raise BrokenContentError(what, at=0)
        raw, rest = _unpacked(data[head.end() :], context.limits)
        context.budget.member(len(raw))
        text = raw.decode("utf-8")
        scan(tally, head[0].decode("utf-8") + text, data=True)
        for line in text.split("\n"):
            if line and not _entry(line):
                what = f"An entry of the inventory cannot be read: {line[:60]!r}."
                raise BrokenContentError(what, at=head.end())
        end = len(data) - rest
        tally.claim(0, end)
        if rest:
            tally.note("inventory-tail", Severity.HIGH, f"{rest} bytes follow the inventory.", end)


def _entry(line: str) -> bool:
    """Return whether a line is a name, its domain and role, a priority, a place and a title."""
    words = line.split(" ")
    for at, word in enumerate(words[1:-1], 1):
        if ":" in word and _NUMBER.fullmatch(words[at + 1]):
            return len(words) > at + 3
    return False


def _unpacked(packed: memoryview, limits: Limits) -> tuple[bytes, int]:
    """Return what is packed, and how many bytes follow it."""
    bound = min(limits.text_bytes, max(limits.ratio_floor, limits.ratio * len(packed)))
    inflater = zlib.decompressobj()
    raw = inflater.decompress(packed, bound + 1)
    if len(raw) > bound:
        what = f"It unpacks to more than {bound} bytes (limit ratio)."
        raise OverLimitError(what, limit="ratio")
    if not inflater.eof:
        what = "The compressed data breaks off."
        raise BrokenContentError(what, at=len(packed))
    return raw, len(inflater.unused_data)
