"""Who a scanner is: its name by the settings, its version by itself, the date of its data by its files."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lockgate.core.station import ScannerFacts
from lockgate.core.wire import whole_second
from lockgate.crossing.station.errors import ScannerError, StationSettingsError
from lockgate.crossing.station.program import run_program
from lockgate.crossing.station.texts import one_line

VERSION_SECONDS = 60
"""How long, in seconds, a scanner may take to say its version."""

DATABASE_FILES = 4096
"""Most files of a folder with a scanner's data whose dates are asked."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How a scanner's name, version and data are told.

    Attributes:
        name: Its name in reports and in the site's policy.
        version: Its version as the operator writes it, where nothing prints it.
        version_words: A program that prints the version in its first line; wins over `version`.
        database: A file or folder whose newest file tells the date of its data.

    """

    name: str
    version: str = ""
    version_words: tuple[str, ...] = ()
    database: Path | None = None

    def facts(self, adapter: str, folder: Path, said: str = "") -> ScannerFacts:
        """Return the facts now.

        Args:
            adapter: The adapter's name.
            folder: Where the program that prints the version is started.
            said: What the scanner says of its version by the adapter's own way.

        Raises:
            StationSettingsError: Nothing tells the version.
            ScannerError: It says nothing, fails, or its data is not there.

        """
        version = self._asked(folder) if self.version_words else one_line(self.version or said)
        if not version:
            raise StationSettingsError("Nothing tells the scanner's version: set station.version_command.")
        database = newest_change(self.database) if self.database else None
        return ScannerFacts(name=self.name, version=version, adapter=adapter, database=database)

    def _asked(self, folder: Path) -> str:
        ended = run_program(self.version_words, VERSION_SECONDS, folder)
        lines = [line for line in ended.output.splitlines() if line.strip()]
        if ended.status != 0 or not lines:
            what = f"The scanner {self.name} does not say its version (status {ended.status})."
            raise ScannerError(what)
        return one_line(lines[0])


def newest_change(place: Path) -> datetime:
    """Return when the newest file at a place changed, in UTC.

    Raises:
        ScannerError: There is no file, or too many.

    """
    try:
        files = [place] if place.is_file() else sorted(p for p in place.iterdir() if p.is_file())
        moments = [path.stat().st_mtime for path in files[: DATABASE_FILES + 1]]
    except OSError as error:
        what = f"The scanner's data at {place} cannot be read: {error.strerror}."
        raise ScannerError(what) from error
    if not 0 < len(moments) <= DATABASE_FILES:
        what = f"There are {len(moments)} files of a scanner's data at {place}."
        raise ScannerError(what)
    return whole_second(datetime.fromtimestamp(max(moments), UTC))
