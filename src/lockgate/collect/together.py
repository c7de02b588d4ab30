"""Resolving names together, so that they fit on one system, and one by one where they do not."""

from collections.abc import Callable

from lockgate.collect.errors import UnresolvableError
from lockgate.collect.room import Room


def groups(
    room: Room, solve: Callable[[tuple[str, ...]], list[str]], title: str, names: tuple[str, ...]
) -> list[list[str]]:
    """Return what names need together; where they do not fit together, what each needs by itself."""
    if not names:
        return []
    try:
        return [solve(names)]
    except UnresolvableError:
        if len(names) == 1:
            raise
    found = [solve((name,)) for name in names]
    room.note(f"The packages of {title} do not fit on one system; each was resolved by itself.")
    return found
