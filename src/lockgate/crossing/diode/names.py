"""The list of missing files that somebody carries back to the sender, one name on a line."""

from collections.abc import Sequence
from pathlib import Path

from lockgate.crossing.diode.errors import DiodeSettingError
from lockgate.crossing.diode.table import FILES_LIMIT, file_limit

_LINE_LIMIT = 40


def write_names(path: Path, names: Sequence[str]) -> None:
    """Write a list."""
    path.write_text("".join(f"{name}\n" for name in names), "ascii")


def read_names(path: Path) -> tuple[str, ...]:
    """Return the names of a list; it comes from the other side, so nothing but such names is taken.

    Raises:
        DiodeSettingError: It cannot be read, or a line is no name of a crate's file.

    """
    try:
        with path.open("rb") as file:
            data = file.read(FILES_LIMIT * _LINE_LIMIT)
        names = tuple(data.decode("ascii").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        what = f"The list {path.name} cannot be read."
        raise DiodeSettingError(what) from error
    found = tuple(name for name in names if name)
    for name in found:
        if not file_limit(name):
            what = f"The list {path.name} names {name[:80]!r}, which no crate has."
            raise DiodeSettingError(what)
    if not found:
        what = f"The list {path.name} names nothing."
        raise DiodeSettingError(what)
    return found
