"""The life of a medium: which one it is, what crossed on it, and what became of it."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from lockgate.core.wire import Document, decode, encode
from lockgate.crossing.media.errors import MediumEndedError, MediumNameError
from lockgate.store import Records

MEDIA_LIFE = "medium"
"""Records by serial: what is known of each medium."""

EVENTS_LIMIT = 1000
"""Most events that are kept of one medium."""

TEXT_LIMIT = 120
"""Longest serial, marking or name, in characters."""


class Disposition(StrEnum):
    """What was done with a medium."""

    READ = "read"
    RETAINED = "retained"
    WIPED = "wiped"
    DESTROYED = "destroyed"


class MediumEvent(Document, frozen=True):
    """One thing that was done with a medium: when, by whom, with which crate (its crate.json's digest)."""

    at: datetime
    done: Disposition
    by: str
    crates: tuple[str, ...] = ()


class MediumLife(Document, frozen=True):
    """A medium, by the serial that stands on it, its marking, and its events."""

    serial: str
    marking: str
    write_once: bool
    events: tuple[MediumEvent, ...]

    @property
    def open(self) -> bool:
        """Tell whether somebody still has to say what became of it: it was read last."""
        return self.events[-1].done is Disposition.READ


class MediaLife:
    """What a side knows of the media that were read there."""

    def __init__(self, records: Records) -> None:
        """Use a side's records."""
        self._records = records

    def note(
        self, serial: str, event: MediumEvent, *, marking: str = "", write_once: bool = False
    ) -> MediumLife:
        """Add an event to a medium's life.

        Args:
            serial: The serial that stands on the medium.
            event: What was done.
            marking: Its marking; the one it has stays where this is empty.
            write_once: Whether it is of a kind that can be written once; settled when it is first noted.

        Raises:
            MediumNameError: A text is empty, too long or has control characters.
            MediumEndedError: It was destroyed before, or has another marking.

        """
        with self._records.transaction() as tx:
            held = tx.get(MEDIA_LIFE, serial_key(serial))
            before = None if held is None else decode(MediumLife, held)
            life = _next(before, serial, event, marking=marking, write_once=write_once)
            tx.put(MEDIA_LIFE, serial_key(serial), encode(life))
        return life

    def lives(self) -> Iterator[MediumLife]:
        """Yield every medium in the order of their serials."""
        with self._records.transaction() as tx:
            found = [decode(MediumLife, data) for _, data in tx.scan(MEDIA_LIFE)]
        yield from found


def serial_key(serial: str) -> str:
    """Return the record key of a serial.

    Raises:
        MediumNameError: It is empty, too long or has control characters.

    """
    if not 1 <= len(serial) <= TEXT_LIMIT or not serial.isprintable():
        what = f"{serial[:TEXT_LIMIT]!r} is no serial of a medium."
        raise MediumNameError(what)
    return serial


def _next(
    before: MediumLife | None, serial: str, event: MediumEvent, *, marking: str, write_once: bool
) -> MediumLife:
    for text in (event.by, marking or "-"):
        serial_key(text)
    if before is None:
        return MediumLife(serial=serial, marking=marking, write_once=write_once, events=(event,))
    if before.events[-1].done is Disposition.DESTROYED:
        what = f"Medium {serial} was destroyed on {before.events[-1].at:%Y-%m-%d}."
        raise MediumEndedError(what, serial=serial)
    if marking and before.marking and marking != before.marking:
        what = f"Medium {serial} is marked {before.marking!r}, not {marking!r}."
        raise MediumEndedError(what, serial=serial)
    return MediumLife(
        serial=serial,
        marking=before.marking or marking,
        write_once=before.write_once,
        events=(*before.events[-EVENTS_LIMIT + 1 :], event),
    )
