"""Letters in the names of archives' members that nobody sees and that lead nowhere.

Sources: Unicode, 4.5 (general categories) and 23.7 (noncharacters).
"""

import unicodedata

_LEAD_NOWHERE = frozenset({"Zs", "Cn", "Co"})
"""Spaces of other widths, letters that have no meaning, or one that only their makers know. Controls, formats
and separators of lines are none: they hide what a name is."""


def neutral(name: str) -> str:
    """Return a name with letters that lead nowhere written as one that does not either."""
    if name.isprintable():
        return name
    return "".join(
        "_" if char != " " and unicodedata.category(char) in _LEAD_NOWHERE else char for char in name
    )


def leads_up(name: str) -> bool:
    """Return whether a name leads out of the folder that something is unpacked to.

    For names that programs keep and seldom use, as gzip and ar do: those of Windows have backslashes in all
    honesty, and whoever unpacks elsewhere takes these for letters.
    """
    return name.startswith("/") or ".." in name.split("/")
