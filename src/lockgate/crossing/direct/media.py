"""The media that a crate is sealed onto: which one is mounted where, and whether it is the right one."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.crossing.direct.errors import MediumWantedError, WrongMediumError
from lockgate.crossing.folder import reading
from lockgate.crossing.media.write import writing
from lockgate.crossing.seal import PARTIAL
from lockgate.store.blobs import sync_folder


@dataclass(frozen=True, slots=True)
class Wanted:
    """A medium that is needed now.

    Attributes:
        number: Which one, from 1.
        count: How many there are in all.
        files: What belongs on it.
        size: Bytes that it takes in all.
        after: The medium that was filled just before, to be taken away; 0 for none.
        closing: Whether it was filled before and only crate.json is missing.
        wrong: Why what was mounted before is not the one; empty at first.

    """

    number: int
    count: int
    files: tuple[str, ...]
    size: int
    after: int = 0
    closing: bool = False
    wrong: str = ""


class Mounts(ABC):
    """Where the media are mounted."""

    first: tuple[Path, ...] = ()
    """The folders that are known at the beginning."""

    @abstractmethod
    def mounted(self, wanted: Wanted) -> Path:
        """Return the folder of a medium, once it is there.

        Raises:
            MediumWantedError, WrongMediumError: It is not, and nobody can be asked.

        """


class ListedMounts(Mounts):
    """Media that have a folder each: mounted side by side, or one after another at places that are listed."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Use the folders in the order of the media."""
        self.first = tuple(folders)

    def mounted(self, wanted: Wanted) -> Path:
        """Return the folder of a medium.

        Raises:
            WrongMediumError: Another one is mounted there.
            MediumWantedError: No folder is listed for it.

        """
        if wanted.wrong:
            raise WrongMediumError(wanted.wrong, medium=wanted.number)
        if wanted.number > len(self.first):
            what = f"Medium {wanted.number} of {wanted.count} is needed now."
            raise MediumWantedError(what, medium=wanted.number)
        return self.first[wanted.number - 1]


class OneMount(Mounts):
    """One folder where media are mounted one after another, with nobody there who could be asked."""

    def __init__(self, folder: Path) -> None:
        """Use what is mounted there, whichever medium is needed."""
        self.first = (folder,)

    def mounted(self, wanted: Wanted) -> Path:
        """Return the folder.

        Raises:
            MediumWantedError: Another medium is mounted there.

        """
        if wanted.wrong:
            what = f"Medium {wanted.number} of {wanted.count} is needed now. {wanted.wrong}"
            raise MediumWantedError(what, medium=wanted.number)
        return self.first[0]


@dataclass(frozen=True, slots=True)
class Spot:
    """The crate's folder on one medium, before and after it is closed."""

    target: Path
    crate: str

    @property
    def partial(self) -> Path:
        """Return the folder as long as crate.json is missing."""
        return self.target / f"{PARTIAL}{self.crate}"

    @property
    def final(self) -> Path:
        """Return the folder of the finished crate."""
        return self.target / self.crate

    @property
    def folder(self) -> Path:
        """Return the one that is there, the unfinished one where neither is."""
        return self.final if self.final.is_dir() and not self.partial.is_dir() else self.partial

    def held(self) -> dict[str, int]:
        """Return the volumes of this crate on the medium, with their lengths in bytes."""
        if not self.folder.is_dir():
            return {}
        with reading(str(self.folder)):
            return {path.name: path.stat(follow_symlinks=False).st_size for path in self.folder.glob("*.lgv")}

    def discard(self) -> None:
        """Take the unfinished folder away, where it is there."""
        with writing(str(self.partial)):
            if self.partial.is_dir() and not self.partial.is_symlink():
                shutil.rmtree(self.partial)
                sync_folder(self.target)


def why_not(spot: Spot, wanted: Wanted, done: dict[str, int]) -> str:
    """Return why a medium is not the one that is wanted; empty where it may be.

    Args:
        spot: The crate's folder on it.
        wanted: What is needed.
        done: The files that were finished on this medium, with their lengths in bytes.

    """
    name = f"medium {wanted.number} of {wanted.count}"
    if not spot.target.is_dir():
        return f"{spot.target} is not there; it should be {name}."
    if spot.folder.is_symlink():
        return f"{spot.folder} is a link; it should be the folder of {name}."
    held = spot.held()
    if held.keys() - set(wanted.files):
        return f"{spot.target} holds another part of this crate; it should be {name}."
    for file, size in done.items():
        if held.get(file) != size:
            return f"{spot.target} does not hold {file} as it was written to {name}."
    return ""
