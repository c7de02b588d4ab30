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
from lockgate.store import FileBlobs, open_records

if TYPE_CHECKING:
    from lockgate.mirror.pushed import Pushed
    from lockgate.mirror.serve_push import Internal
    from lockgate.mirror.uploads import PushLimits


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
    wrong = next((name for name in names if not is_name(name)), None)
    if wrong is not None:
        what = f"{wrong[:80]!r} cannot be a namespace of container images."
        advice = "Use lower-case letters and digits with single separators, as in `team/images`."
        raise SettingsError(what, key="serve.open_namespaces", advice=advice)
    return names


def internal_of(side: Side) -> "Internal | None":
    """Return what the mirrors need to take pushes; `None` where no namespace is open.

    The opening is recorded in the log.
    """
    from lockgate.mirror.serve_push import Internal  # noqa: PLC0415  # servers alone need it
    from lockgate.mirror.uploads import Uploads  # noqa: PLC0415  # the same

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
    return Internal(names, pushed, uploads, BlobFolder(side.home.internal / "blobs"))


def pushed_of(side: Side, limits: "PushLimits") -> "Pushed":
    """Return what was pushed on this side."""
    from lockgate.mirror.pushed import Pushed  # noqa: PLC0415  # what serves alone needs it

    folder = side.home.internal
    folder.mkdir(parents=True, exist_ok=True)
    records = open_records(f"sqlite:///{folder / 'records.sqlite'}")
    return Pushed(records, FileBlobs(folder / "blobs"), audit_log(side), limits)


def list_pushed(side: Side) -> list[PushedRepository]:
    """Return the repositories that were pushed, with their tags and their state."""
    from lockgate.mirror.pushed import STATE  # noqa: PLC0415  # what serves alone needs it

    if not (side.home.internal / "records.sqlite").is_file():
        return []
    pushed = pushed_of(side, _limits(side))
    return [PushedRepository(name, tuple(pushed.tags(name) or ()), STATE) for name in pushed.repositories()]


def _limits(side: Side) -> "PushLimits":
    from lockgate.mirror.uploads import PushLimits  # noqa: PLC0415  # what serves alone needs it

    return PushLimits(total_bytes=side.settings.serve.push_bytes)
