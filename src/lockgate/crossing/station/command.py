"""A scanner that is a program: started once for each file, its exit status mapped to an outcome."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lockgate.core.station import NAMES_LIMIT, ScannerFacts
from lockgate.core.verdict import Outcome
from lockgate.crossing.station.errors import StationSettingsError
from lockgate.crossing.station.identity import Identity
from lockgate.crossing.station.ports import Said, Scanner, Staged
from lockgate.crossing.station.program import Ended, run_program
from lockgate.crossing.station.texts import one_line

FOUND_LINE = re.compile(r": (.{1,200}) FOUND$", re.MULTILINE)
"""How ClamAV names what it found (clamscan(1), clamdscan(1))."""

_FILE = "{file}"


@dataclass(frozen=True, slots=True)
class CommandScanner(Scanner):
    """A program that is named by the settings.

    Attributes:
        identity: How its name, version and data are told.
        words: The program and its arguments; ``{file}`` stands for the staged file.
        stage: Where files are staged.
        clean: Exit statuses that say that nothing was found.
        infected: Exit statuses that say that something was found.
        found: Where in the output, as group 1, what was found is named.
        seconds: How long the program may look at one file.

    """

    identity: Identity
    words: tuple[str, ...]
    stage: Path
    clean: frozenset[int] = frozenset({0})
    infected: frozenset[int] = frozenset({1})
    found: re.Pattern[str] = FOUND_LINE
    seconds: int = 600

    def __post_init__(self) -> None:
        """Refuse what cannot tell clean from found.

        Raises:
            StationSettingsError: The command names no file, or one status says two things.

        """
        if not any(_FILE in word for word in self.words[1:]):
            raise StationSettingsError("The command of the station does not say {file}.")
        if not self.clean or not self.infected or self.clean & self.infected:
            raise StationSettingsError("One exit status cannot say clean and found; each needs its own.")

    def identify(self) -> ScannerFacts:
        """Return what the program says of its version, and the date of its data."""
        return self.identity.facts("command", self.stage)

    def scan(self, staged: Staged) -> Said:
        """Run the program on a staged file."""
        words = tuple(word.replace(_FILE, str(staged.path)) for word in self.words)
        return judge_exit(run_program(words, self.seconds, self.stage), self, staged.path)


def judge_exit(ended: Ended, by: CommandScanner, path: Path) -> Said:
    """Return what a program's end says of a file; a status that has no meaning is incomplete."""
    if ended.status is None:
        return Said(Outcome.INCOMPLETE, why=f"It did not finish within {by.seconds} seconds.", path=path)
    named = [one_line(match.group(1)) for match in by.found.finditer(ended.output)]
    names = tuple(dict.fromkeys(named))[:NAMES_LIMIT]
    if ended.status in by.infected:
        return Said(Outcome.FINDINGS, names, path=path)
    if ended.status not in by.clean:
        said = f"signal {-ended.status}" if ended.status < 0 else f"status {ended.status}"
        return Said(Outcome.INCOMPLETE, why=f"It ended with {said}.", path=path)
    if names:  # its words and its status contradict each other
        return Said(Outcome.FINDINGS, names, path=path)
    return Said(Outcome.CLEAN, path=path)


def statuses(numbers: Mapping[str, str]) -> dict[str, frozenset[int]]:
    """Return exit statuses that settings name with spaces between.

    Raises:
        StationSettingsError: Not numbers from 0 to 255.

    """
    found = {}
    for key, text in numbers.items():
        words = text.split()
        if not all(word.isdecimal() and int(word) <= 255 for word in words):  # noqa: PLR2004  # one byte
            what = f"station.{key} is {text[:80]!r}; exit statuses are numbers from 0 to 255."
            raise StationSettingsError(what)
        found[key] = frozenset(int(word) for word in words)
    return found
