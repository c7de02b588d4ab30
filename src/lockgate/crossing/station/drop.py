"""A scanner that watches a folder: a file is put in, and the scanner moves it or writes a result.

The folder has ``stage/`` (ours), ``in/`` (where the scanner takes files from), and for the two
protocols ``clean/`` and ``infected/``, or ``result/``. A file appears in ``in/`` whole, by one rename,
under a name of 128 random bits: nobody can lay an answer ready for it. Folders are opened without
following links, once, and everything is done relative to what was opened.
"""

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lockgate.core.station import ScannerFacts
from lockgate.core.verdict import Outcome
from lockgate.crossing.station.errors import StageIoError
from lockgate.crossing.station.identity import Identity
from lockgate.crossing.station.ports import Said, Scanner, Staged
from lockgate.crossing.station.texts import one_line

RESULT_LIMIT = 1 << 12
"""Longest result file that is read, in bytes."""

POLL_SECONDS = 0.1
"""How often the folders are looked at."""

INCOMING, STAGE, CLEAN, INFECTED, RESULT = "in", "stage", "clean", "infected", "result"


@dataclass(frozen=True, slots=True)
class ResultWords:
    """How a result file speaks: its name's ending, and what its first line begins with."""

    suffix: str = ".txt"
    clean: str = "CLEAN"
    infected: str = "INFECTED"


@dataclass(frozen=True, slots=True)
class DropScanner(Scanner):
    """A watched folder.

    Attributes:
        identity: How the scanner's name, version and data are told.
        folder: The folder that both sides see.
        words: How result files speak; None where the scanner moves files instead.
        seconds: How long the scanner may take for one file.
        pause: Waits that many seconds between two looks.
        clock: Seconds that only grow.

    """

    identity: Identity
    folder: Path
    words: ResultWords | None = None
    seconds: int = 600
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    @property
    def stage(self) -> Path:  # type: ignore[override]  # read-only is enough
        """Return the folder that files are staged in: one rename away from ``in/``."""
        return self.folder / STAGE

    def identify(self) -> ScannerFacts:
        """Return who the scanner is by the settings; the folders have to be there."""
        for name in self._answers:
            os.close(self._open(name))
        return self.identity.facts("folder", self.folder)

    def scan(self, staged: Staged) -> Said:
        """Put a file before the scanner and wait for its answer."""
        name = staged.path.name
        opened = [self._open(each) for each in (STAGE, INCOMING, *self._answers)]
        try:
            os.rename(name, name, src_dir_fd=opened[0], dst_dir_fd=opened[1])
            answer = self._moved if self.words is None else self._told
            until = self.clock() + self.seconds
            said = None
            while said is None and self.clock() < until:
                self.pause(POLL_SECONDS)
                said = answer(name, opened[2:])
            return said or Said(
                Outcome.INCOMPLETE,
                why=f"There was no answer within {self.seconds} seconds.",
                path=self._where(name, opened[1:2], (INCOMING,)),
            )
        except OSError as error:
            what = f"{self.folder} cannot be used: {error.strerror}."
            raise StageIoError(what) from error
        finally:
            for descriptor in opened:
                os.close(descriptor)

    @property
    def _answers(self) -> tuple[str, ...]:
        return (CLEAN, INFECTED, INCOMING) if self.words is None else (RESULT, INCOMING)

    def _open(self, name: str) -> int:
        """Open one of the folders itself; a link in its place is refused.

        Raises:
            StageIoError: It is no folder, or cannot be made.

        """
        place = self.folder / name
        try:
            with suppress(FileExistsError):
                place.mkdir(parents=True, mode=0o770)
            return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            what = f"{place} is no folder that can be used: {error.strerror}."
            raise StageIoError(what, folder=place) from error

    def _where(self, name: str, folders: list[int], names: tuple[str, ...]) -> Path | None:
        """Return where a file of this name lies as a regular file, or None."""
        for folder, place in zip(folders, names, strict=True):
            with suppress(FileNotFoundError):
                if stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    return self.folder / place / name
        return None

    def _moved(self, name: str, folders: list[int]) -> Said | None:
        """Return what it says that the scanner moved the file; in both places, it was found."""
        if _is_there(name, folders[1]):
            return Said(Outcome.FINDINGS, path=self._where(name, folders[1:2], (INFECTED,)))
        # While it lies in both places it is still being copied.
        if _is_there(name, folders[0]) and not _is_there(name, folders[2]):
            return Said(Outcome.CLEAN, path=self._where(name, folders[:1], (CLEAN,)))
        return None

    def _told(self, name: str, folders: list[int]) -> Said | None:
        """Return what a result file says once its first line is whole; None while there is none."""
        words = self.words or ResultWords()
        line = _first_line(name + words.suffix, folders[0])
        if line is None:
            return None
        where = self._where(name, folders[1:], (INCOMING,))
        with suppress(FileNotFoundError):
            os.unlink(name + words.suffix, dir_fd=folders[0])
        if line.startswith(words.infected):
            found = one_line(line.removeprefix(words.infected))
            return Said(Outcome.FINDINGS, (found,) if found else (), path=where)
        if line.startswith(words.clean):
            return Said(Outcome.CLEAN, path=where)
        return Said(Outcome.INCOMPLETE, why=one_line(f"Its result says: {line}"), path=where)


def _is_there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _first_line(name: str, folder: int) -> str | None:
    """Return the first whole line of a result file; None while there is none.

    A link, a pipe or an over-long line says something that means neither clean nor infected.
    """
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"(its result file cannot be opened: {error.strerror})"
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "(its result is no regular file)"
        data = file.read(RESULT_LIMIT)
    line, end, _ = data.partition(b"\n")
    if not end:
        return None if len(data) < RESULT_LIMIT else "(its result has no end)"
    return line.decode(errors="replace").rstrip("\r")
