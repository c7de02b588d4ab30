"""Plaintext volumes on their way: written from sealed ones, unparsed until all are there."""

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from lockgate.core.ports import Progress
from lockgate.crossing.errors import CrateIoError
from lockgate.crossing.folder import SealedFile
from lockgate.crossing.format import VolumeEntry
from lockgate.crossing.repair import Overlay
from lockgate.crossing.unsealing import unseal
from lockgate.crossing.volumes import VolumeOpening
from lockgate.store.blobs import sync_folder

PARTIAL = ".partial"

OpenFile = Callable[[str], AbstractContextManager[SealedFile]]
"""Opens a sealed volume by its name."""


class Staging:
    """The folder of one crate's plaintext volumes. A volume's name appears whole or not at all."""

    def __init__(self, folder: Path, volumes: Sequence[VolumeEntry]) -> None:
        """Use a folder; it is made when something is staged."""
        self._folder = folder
        self._volumes = volumes

    def held(self) -> frozenset[str]:
        """Return the names of the volumes that are staged, judged by their length.

        Their content is judged when every file is hashed on its way to quarantine.
        """
        return frozenset(v.name for v in self._volumes if self._is_held(v))

    def _is_held(self, volume: VolumeEntry) -> bool:
        path = self._folder / volume.name
        return path.is_file() and not path.is_symlink() and path.stat().st_size == volume.plaintext_size

    def add(self, source: OpenFile, opening: VolumeOpening, progress: Progress) -> None:
        """Decrypt one volume of a crate into staging; durable on return.

        Args:
            source: Opens the sealed volume by its name.
            opening: What is known of the volume, and the key.
            progress: Told about the bytes.

        Raises:
            TrustError: See `unseal`; nothing of the volume stays.
            CrateIoError: The disk refused.

        """
        final = self._folder / opening.entry.name
        unfinished = final.with_name(final.name + PARTIAL)
        try:
            self._folder.mkdir(exist_ok=True)
            try:
                with source(opening.entry.name) as file, unfinished.open("wb", buffering=0) as target:
                    unseal(opening, file, target.fileno(), progress)
                    os.fsync(target.fileno())
                unfinished.replace(final)
            finally:
                unfinished.unlink(missing_ok=True)
            sync_folder(self._folder)
        except OSError as error:
            what = f"The plaintext of {opening.entry.name} cannot be written: {error.strerror}."
            raise CrateIoError(what, file=str(final)) from error

    def overlay(self) -> Overlay:
        """Return a place beside the plaintext for what is rebuilt of sealed volumes."""
        return Overlay(self._folder)

    def readers(self) -> list[Callable[[], BinaryIO]]:
        """Return a way to open each staged volume, in order."""
        return [partial(self._open, v.name) for v in self._volumes]

    def _open(self, name: str) -> BinaryIO:
        path = self._folder / name
        try:
            return path.open("rb", buffering=0)
        except OSError as error:
            what = f"The staged {name} cannot be read: {error.strerror}."
            raise CrateIoError(what, file=str(path)) from error

    def discard(self) -> None:
        """Remove everything that is staged for the crate."""
        if self._folder.exists():
            shutil.rmtree(self._folder)
