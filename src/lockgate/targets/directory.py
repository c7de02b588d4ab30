"""A plain directory as a target: each file under its path in the lock, and a list of all digests last."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from lockgate.core.artifact import Kind, safe_path
from lockgate.core.digests import CHUNK
from lockgate.targets.errors import TargetAnswerError
from lockgate.targets.ports import Item, Target

SUMS = "SHA256SUMS"


class DirectoryTarget(Target):
    """A folder, on this machine or mounted. Files appear whole or not at all; none is ever removed."""

    kinds = frozenset(Kind)

    def __init__(self, root: Path) -> None:
        """Use a folder; it is made when it is missing."""
        self._root = root

    def _place(self, path: str) -> Path:
        return self._root / safe_path(path)

    def put(self, item: Item) -> None:
        """Write an artifact's files that are not there with their bytes."""
        held = dict(self.held(item))
        try:
            for file in item.artifact.files:
                if held[file.path] != file.sha256:
                    with item.open(file.sha256) as stream:
                        self._write(self._place(file.path), _pieces(stream))
        except OSError as error:
            what = f"{self._root} did not take {item.artifact.purl}: {error.strerror}."
            raise TargetAnswerError(what) from error

    def _write(self, place: Path, pieces: Iterator[bytes]) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".{place.name[:200]}.{secrets.token_hex(4)}")
        try:
            with partial.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(place)
        finally:
            with suppress(OSError):
                partial.unlink()

    def held(self, item: Item) -> Iterator[tuple[str, str]]:
        """Yield what the folder has of an artifact; links and what is no file count as nothing."""
        for file in item.artifact.files:
            yield file.path, _digest(self._place(file.path))

    def finish(self, items: list[Item]) -> None:
        """Write the list of digests, for `sha256sum -c`."""
        lines = sorted(f"{file.sha256}  {file.path}\n" for item in items for file in item.artifact.files)
        try:
            self._write(self._root / SUMS, iter(["".join(lines).encode()]))
        except OSError as error:
            what = f"{self._root} did not take {SUMS}: {error.strerror}."
            raise TargetAnswerError(what) from error


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(CHUNK):
        yield piece


def _digest(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    state = hashlib.sha256()
    with os.fdopen(descriptor, "rb") as file:
        try:
            while piece := file.read(CHUNK):
                state.update(piece)
        except OSError:
            return ""
    return state.hexdigest()
