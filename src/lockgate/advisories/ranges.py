"""The versions that an advisory affects, in the notation that npm's clients read (node-semver)."""

from collections.abc import Iterable

from lockgate.advisories.model import Entry, Event, Range
from lockgate.core.errors import LockgateError
from lockgate.core.npm import version_key

EVERY = "*"


def npm_range(entries: Iterable[Entry]) -> str:
    """Return what the entries of one vulnerability affect; every version where it cannot be written.

    Source of the meaning: OSV schema 1.7, "Evaluation". Whoever reads the range compares by it, so
    that it errs on the side of too much.
    """
    parts: list[str] = []
    for entry in entries:
        if entry.unreadable:
            return EVERY
        for one in entry.ranges:
            if one.kind != "GIT":
                parts += _intervals(one)
        parts += entry.versions
    if EVERY in parts or not parts:
        return EVERY
    return " || ".join(dict.fromkeys(parts))


def _intervals(one: Range) -> list[str]:
    try:
        events = sorted((e for e in one.events if e.kind != "limit"), key=_place)
    except LockgateError:
        return [EVERY]
    found: list[str] = []
    start: str | None = None
    for event in events:
        if event.kind == "introduced":
            start = event.version if start is None else start
        elif start is not None:
            end = f"{'<' if event.kind == 'fixed' else '<='}{event.version}"
            found.append(end if start == "0" else f">={start} {end}")
            start = None
    if start is not None:
        found.append(EVERY if start == "0" else f">={start}")
    return found


def _place(event: Event) -> tuple[object, ...]:
    return () if event.version == "0" else version_key(event.version)
