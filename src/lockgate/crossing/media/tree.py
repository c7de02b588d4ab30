"""Crates inside images that are not mounted: no driver of the kernel sees foreign bytes.

What the forms of images share: files as extents of the image, the folder of a crate below the root, and
roots/ below that. Nothing is followed any deeper, so that no structure of an image can lead in a circle.
Every length is held against the image's own.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lockgate.crossing.errors import CrateGrammarError, NotACrateError
from lockgate.crossing.folder import SealedFile, reading
from lockgate.crossing.format import (
    CRATE_FILE,
    PARITY_NAME,
    ROOT_NAME,
    ROOTS_FOLDER,
    SHARDS_FILE,
    VOLUME_NAME,
    VOLUMES_LIMIT,
    is_folder_name,
)
from lockgate.crossing.media.errors import ImageFormError
from lockgate.trust.roots import CHAIN_LIMIT

FOLDER_LIMIT = 16 * 1024 * 1024
"""Longest folder that is read, in bytes."""

ENTRIES_LIMIT = 4 * VOLUMES_LIMIT
"""Most entries of one folder that are read."""

EXTENTS_LIMIT = 4096
"""Most extents of one file."""


@dataclass(frozen=True, slots=True)
class Node:
    """A file or folder of the image: its extents as offset and length in bytes."""

    name: str
    folder: bool
    extents: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Return its length in bytes."""
        return sum(length for _, length in self.extents)


class ImageFile:
    """A file of an image, read like a `CrateFile`."""

    def __init__(self, handle: int, node: Node) -> None:
        """Use the image's descriptor, which stays open."""
        self._handle = handle
        self._node = node
        self.name = node.name
        self.size = node.size

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the image open for other files."""

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes from an offset; fewer only at the end of the file.

        Raises:
            CrateIoError: The medium does not give them.

        """
        data = bytearray(max(0, min(length, self.size - offset)))
        return bytes(data) if self.fill(memoryview(data), offset) else b""

    def fill(self, target: memoryview, offset: int) -> bool:
        """Fill a buffer with the bytes from an offset; tell whether there were enough.

        Raises:
            CrateIoError: The medium does not give them.

        """
        for start, length in self._node.extents:
            while target and offset < length:
                part = target[: length - offset]
                with reading(self.name):
                    count = os.preadv(self._handle, [part], start + offset)
                if not count:
                    return False
                offset += count
                target = target[count:]
            offset -= min(length, offset)
        return not target


class Image(ABC):
    """An image, opened once. Its form says where the root folder is, and what is in a folder."""

    def __init__(self, path: Path) -> None:
        """Open an image file (or an optical drive's device) and read its root folder.

        Raises:
            CrateIoError: It cannot be read.
            ImageFormError: Not an image of this form.

        """
        with reading(path.name):
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            self.size = os.lseek(self._handle, 0, os.SEEK_END)
        try:
            root = self.top()
            self.root = {node.name: node for node in self.entries(root)}
        except BaseException:
            os.close(self._handle)
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        os.close(self._handle)

    def crates(self) -> list[str]:
        """Return the names of the crates in the image."""
        return sorted(name for name, node in self.root.items() if node.folder and is_folder_name(name))

    def foreign(self) -> list[str]:
        """Return what else lies beside the crates; it is not read."""
        return sorted(self.root.keys() - set(self.crates()))

    def crate(self, name: str) -> "ImageFolder":
        """Open a crate.

        Raises:
            NotACrateError: It is not there.

        """
        node = self.root.get(name)
        if node is None or not node.folder or not is_folder_name(name):
            what = f"The image has no crate {name[:80]!r}."
            raise NotACrateError(what)
        return ImageFolder(self, name, {entry.name: entry for entry in self.entries(node)})

    def listing(self, node: Node) -> dict[str, Node]:
        """Return what is in a folder."""
        return {entry.name: entry for entry in self.entries(node)}

    def file(self, node: Node) -> ImageFile:
        """Open a file."""
        return ImageFile(self._handle, node)

    @abstractmethod
    def top(self) -> Node:
        """Return the root folder.

        Raises:
            ImageFormError: Not an image of this form.

        """

    @abstractmethod
    def entries(self, folder: Node) -> Iterator[Node]:
        """Yield what is in a folder, each name once.

        Raises:
            ImageFormError: Not as the form says.
            MediumListingError: More than is read.

        """

    def at(self, offset: int, length: int) -> bytes:
        """Return bytes of the image.

        Raises:
            ImageFormError: It ends before.

        """
        if offset < 0 or offset + length > self.size:
            what = f"The image ends before a part of it at {offset} that it names."
            raise ImageFormError(what, offset=offset, length=length)
        with reading("the image"):
            data = os.pread(self._handle, length, offset)
        if len(data) != length:
            what = f"The image cannot be read at {offset}."
            raise ImageFormError(what, offset=offset, length=length)
        return data


class ImageFolder:
    """The folder of a crate in an image, read like a `CrateFolder`."""

    def __init__(self, image: "Image", name: str, entries: dict[str, Node]) -> None:
        """Use an image that stays open."""
        self._image = image
        self._entries = entries
        self.name = name

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the image open."""

    def names(self) -> frozenset[str]:
        """Return the names in the folder, all of them of the grammar.

        Raises:
            CrateGrammarError: A foreign name, or a folder where a file should be.
            NotACrateError: No crate.json.

        """
        known = {CRATE_FILE, SHARDS_FILE, ROOTS_FOLDER}
        for name, node in self._entries.items():
            allowed = name in known or VOLUME_NAME.fullmatch(name) or PARITY_NAME.fullmatch(name)
            if not allowed or node.folder != (name == ROOTS_FOLDER):
                what = f"{name[:120]!r} does not belong to a crate."
                raise CrateGrammarError(what, file=name[:120])
        for needed in sorted(known - self._entries.keys()):
            what = f"The crate {self.name} has no {needed}."
            raise NotACrateError(what, file=needed)
        return frozenset(self._entries)

    def roots(self, limit: int) -> dict[str, bytes]:
        """Return the supply roots that the crate brings, by version, oldest first.

        Raises:
            CrateGrammarError: roots/ holds something else, or too much.

        """
        found = self._image.listing(self._entries[ROOTS_FOLDER])
        for name, node in found.items():
            if node.folder or not ROOT_NAME.fullmatch(name) or len(found) > CHAIN_LIMIT:
                what = f"{name[:120]!r} does not belong to a crate."
                raise CrateGrammarError(what, file=f"{ROOTS_FOLDER}/{name[:120]}")
        ordered = sorted(found, key=lambda name: int(name.split(".")[0]))
        return {name.split(".")[0]: self._small(found[name], limit) for name in ordered}

    def open(self, name: str) -> ImageFile:
        """Open a file of the crate, or of its roots/.

        Raises:
            CrateGrammarError: It is not there, or is a folder.

        """
        folder, _, last = name.rpartition("/")
        entries = self._entries
        if folder == ROOTS_FOLDER and ROOTS_FOLDER in entries:
            entries = self._image.listing(entries[ROOTS_FOLDER])
        node = entries.get(last)
        if node is None or node.folder:
            what = f"{name[:120]!r} is not a regular file."
            raise CrateGrammarError(what, file=name[:120])
        return self._image.file(node)

    def read(self, name: str, limit: int) -> bytes:
        """Return a whole small file.

        Raises:
            CrateGrammarError: Longer than `limit` bytes.

        """
        with self.open(name) as file:
            return _whole(file, limit)

    def _small(self, node: Node, limit: int) -> bytes:
        with self._image.file(node) as file:
            return _whole(file, limit)


def _whole(file: SealedFile, limit: int) -> bytes:
    if file.size > limit:
        what = f"{file.name} is longer than {limit} bytes."
        raise CrateGrammarError(what, file=file.name, offset=limit)
    return file.read(0, file.size)
