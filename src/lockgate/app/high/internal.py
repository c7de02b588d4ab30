"""Open namespaces: what clients push on the high side, kept beside the admitted content and logged."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.app.settings import SettingsError, Side
from lockgate.app.stores import BlobFolder
from lockgate.app.trust import audit_log
from lockgate.core.oci import is_name
from lockgate.core.submission import INSIDE
from lockgate.store import FileBlobs, open_records

if TYPE_CHECKING:
    from lockgate.mirror.taking.push import Internal
    from lockgate.mirror.taking.pushed import Pushed
    from lockgate.mirror.taking.sessions import PushLimits


@dataclass(frozen=True, slots=True)
class PushedRepository:
    """One repository of the open namespaces, for people to look at."""

    name: str
    tags: tuple[str, ...]
    state: str


def drop_folder(side: Side) -> Path:
    """Return where the mirrors lay what clients upload, for the gate to take it from."""
    return side.home.internal / "drop"


def open_namespaces(side: Side, more: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the namespaces that are open: those of the settings, and more.

    Raises:
        SettingsError: One cannot be the name of a repository.

    """
    names = (*side.settings.serve.open_namespaces.split(), *more)
    wrong = next((n for n in names if not is_name(n) or n.partition("/")[0] == INSIDE), None)
    if wrong is not None:
        what = f"{wrong[:80]!r} cannot be a namespace that clients push to."
        advice = "Use lower-case letters and digits with single separators, as in `team/images`."
        raise SettingsError(what, key="serve.open_namespaces", advice=advice)
    return names


def internal_of(side: Side) -> "Internal | None":
    """Return what the mirrors need to take pushes; `None` where no namespace is open.

    The opening is recorded in the log.
    """
    from lockgate.mirror.taking.push import Internal  # noqa: PLC0415  # servers alone need it
    from lockgate.mirror.taking.sessions import Uploads  # noqa: PLC0415  # the same

    names = open_namespaces(side)
    if not names:
        return None
    log = audit_log(side)
    intent = log.intent("oci open", namespaces=list(names))
    limits = _limits(side)
    pushed = pushed_of(side, limits)
    pushed.recover()
    uploads = Uploads(side.home.internal / "uploads", time.monotonic, limits, pushed.held_bytes)
    log.outcome(intent, "done", held_bytes=pushed.held_bytes())
    files = BlobFolder(side.home.internal / "blobs")
    return Internal(names, pushed, uploads, files, drop_folder(side))


def pushed_of(side: Side, limits: "PushLimits") -> "Pushed":
    """Return what was pushed on this side."""
    from lockgate.mirror.taking.pushed import Pushed  # noqa: PLC0415  # what serves alone needs it

    folder = side.home.internal
    folder.mkdir(parents=True, exist_ok=True)
    records = open_records(f"sqlite:///{folder / 'records.sqlite'}")
    return Pushed(records, FileBlobs(folder / "blobs"), audit_log(side), limits)


def list_pushed(side: Side) -> list[PushedRepository]:
    """Return the repositories that were pushed, with their tags and their state."""
    from lockgate.mirror.taking.pushed import STATE  # noqa: PLC0415  # what serves alone needs it

    pushed = held_pushed(side)
    if pushed is None:
        return []
    return [PushedRepository(name, tuple(pushed.tags(name) or ()), STATE) for name in pushed.repositories()]


def held_pushed(side: Side) -> "Pushed | None":
    """Return what was pushed on this side, to be read; None where nothing ever was."""
    if not (side.home.internal / "records.sqlite").is_file():
        return None
    return pushed_of(side, _limits(side))


def _limits(side: Side) -> "PushLimits":
    from lockgate.mirror.taking.sessions import PushLimits  # noqa: PLC0415  # what serves alone needs it

    return PushLimits(total_bytes=side.settings.serve.push_bytes)
