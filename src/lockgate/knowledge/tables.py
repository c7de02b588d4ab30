"""Rows of tables as lines of text that can be read without the table."""

from collections.abc import Sequence
from itertools import zip_longest

from lockgate.knowledge.text import one_line


def row_line(header: Sequence[str], row: Sequence[str]) -> str:
    """Return one row as ``Name: value; Name: value``; cells without a header stand alone."""
    cells = (
        (one_line(name or ""), one_line(cell or "")) for name, cell in zip_longest(header, row, fillvalue="")
    )
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in cells if cell)
