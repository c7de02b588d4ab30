"""Where an interrupted sending had come to, so that the next run does not begin again."""

from collections.abc import Sequence
from pathlib import Path

from lockgate.core.errors import LockgateError
from lockgate.core.wire import Document, decode, digest_of, encode
from lockgate.crossing.diode.table import TABLE_LIMIT, Count, Table


class _Place(Document, frozen=True):
    """Everything before this offset of this file was sent."""

    work: str
    file: str
    offset: Count


class SendJournal:
    """Keeps one small file for each crate that is being sent.

    It is lost without harm: a sending without it begins again, and what arrives twice counts once.
    """

    def __init__(self, folder: Path) -> None:
        """Keep the places below a folder."""
        self._folder = folder

    def find(self, table: Table, names: Sequence[str]) -> tuple[str, int] | None:
        """Return file and offset that an interrupted sending of just these files had reached."""
        try:
            place = decode(_Place, self._path(table.crate).read_bytes(), limit=TABLE_LIMIT)
        except (FileNotFoundError, LockgateError):
            return None
        sizes = {file.name: file.size for file in table.files}
        fits = place.work == _work(table, names) and place.file in names
        return (place.file, place.offset) if fits and place.offset <= sizes[place.file] else None

    def keep(self, table: Table, names: Sequence[str], place: tuple[str, int]) -> None:
        """Note that everything before a place was sent."""
        path = self._path(table.crate)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_bytes(encode(_Place(work=_work(table, names), file=place[0], offset=place[1])))
        draft.replace(path)

    def forget(self, crate: str) -> None:
        """Note that everything of a crate was sent, or that it is to be sent again."""
        self._path(crate).unlink(missing_ok=True)

    def _path(self, crate: str) -> Path:
        return self._folder / f"{crate}.sending"


def _work(table: Table, names: Sequence[str]) -> str:
    """Return what names one piece of work: the crate's files, and which of them are sent."""
    return digest_of([[file.name, file.size] for file in table.files] + [list(names)])
