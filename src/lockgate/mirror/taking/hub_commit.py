"""Commits of the Hub's client: large files that came before, lines of JSON, the folder that they become."""

import asyncio
import base64
import binascii
import hashlib
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from lockgate.core.artifact import safe_path
from lockgate.core.errors import LockgateError
from lockgate.mirror.access import Caller, Callers, may_bring
from lockgate.mirror.errors import BadUploadError, PushLimitError
from lockgate.mirror.ports import Journal
from lockgate.mirror.taking.drop import free_bytes

SMALL_LIMIT = 8 << 20
"""Longest file that comes within a commit, in bytes."""

LINE_LIMIT = SMALL_LIMIT * 4 // 3 + (64 << 10)
"""Longest line of a commit, in bytes: such a file in base64, and its name."""

FILES_LIMIT = 10_000
"""Most files of one commit."""

OBJECTS_LIMIT = 10_000
"""Most large files that are on their way or wait for their commit."""

OBJECT_SECONDS = 3600.0
"""How long a large file waits for its commit, and its address for the file."""

Written = tuple[str, str, int]
"""Path, SHA-256 and length of a file."""

_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?", re.ASCII)
_OID = re.compile(r"[0-9a-f]{64}")
_TOGETHER = 2


@dataclass(frozen=True, slots=True)
class HubDoor:
    """Where models that clients upload go, and who may bring what.

    Args:
        models: Names that are open; one that ends with ``*`` stands for all that begin so. A key needs the
            label ``push:hf/`` and the very word.
        callers: Knows API keys.
        folder: Where uploads are laid.
        staging: Where large files wait for their commit, on the same disk.
        total_bytes: Most bytes that wait together.
        journal: The log.
        is_weights: Tells by its path whether a file holds weights.
        revision: Returns the revision under which the mirrors would serve some files.

    """

    models: tuple[str, ...]
    callers: Callers
    folder: Path
    staging: Path
    total_bytes: int
    journal: Journal
    is_weights: Callable[[str], bool]
    revision: Callable[[Sequence[Written]], str]

    def open_to(self, caller: Caller, model: str) -> bool:
        """Tell whether a caller may upload a model."""
        return may_bring(self.models, "hf", caller, model)

    def begin(self) -> tuple[Path, int]:
        """Return a new folder for a commit, and how many bytes may still come.

        Raises:
            PushLimitError: Too much waits already.

        """
        self.folder.mkdir(parents=True, exist_ok=True)
        room = free_bytes((self.folder, self.staging), self.total_bytes)
        partial = self.folder / f".{secrets.token_hex(8)}"
        partial.mkdir(mode=0o700)
        return partial, room


def is_model(name: str) -> bool:
    """Tell whether a text can name a model with its owner."""
    parts = name.split("/")
    return len(parts) == _TOGETHER and all(_PART.fullmatch(part) and ".." not in part for part in parts)


@dataclass(slots=True)
class _Expected:
    caller: str
    oid: str
    size: int
    until: float


@dataclass(slots=True)
class _Object:
    file: Path
    size: int
    until: float


class Staging:
    """Large files between their upload and their commit; they end with the server.

    Args:
        door: Where they lie.
        elapsed: Seconds on a clock that never goes back.

    """

    def __init__(self, door: HubDoor, elapsed: Callable[[], float] = time.monotonic) -> None:
        """Remove what an earlier server left."""
        self._door = door
        self._elapsed = elapsed
        self._expected: dict[str, _Expected] = {}
        self._objects: dict[tuple[str, str], _Object] = {}
        door.staging.mkdir(parents=True, exist_ok=True)
        for left in door.staging.iterdir():
            left.unlink()

    def expect(self, caller: str, oid: str, size: int) -> str | None:
        """Return the secret address of a file that is to come; None where it came already.

        Raises:
            BadUploadError: No digest.
            PushLimitError: Too many, or more bytes than may wait.

        """
        self._expire()
        if not _OID.fullmatch(oid) or size < 0:
            raise BadUploadError("A large file is named by its SHA-256 and length.")
        held = self._objects.get((caller, oid))
        if held is not None and held.size == size:
            return None
        if len(self._expected) + len(self._objects) >= OBJECTS_LIMIT:
            what = f"{OBJECTS_LIMIT} large files are on their way; no more are taken."
            raise PushLimitError(what, limit="OBJECTS_LIMIT")
        if size > free_bytes((self._door.folder, self._door.staging), self._door.total_bytes):
            what = f"Uploads that wait have more than {self._door.total_bytes} bytes."
            raise PushLimitError(what, limit="serve.push_bytes")
        token = secrets.token_urlsafe(24)
        self._expected[token] = _Expected(caller, oid, size, self._elapsed() + OBJECT_SECONDS)
        return token

    @contextmanager
    def receiving(self, token: str) -> Iterator["Receiving"]:
        """Take the file of an address, which works no more then.

        Raises:
            BadUploadError: No such address was given.

        """
        self._expire()
        expected = self._expected.pop(token, None)
        if expected is None:
            raise BadUploadError("This address takes no file; ask for a new one.")
        room = free_bytes((self._door.folder, self._door.staging), self._door.total_bytes)
        partial = self._door.staging / secrets.token_hex(16)
        with partial.open("xb") as file:
            receiving = Receiving(file, expected.oid, expected.size, min(room, expected.size))
            try:
                yield receiving
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
        if not receiving.whole:
            partial.unlink(missing_ok=True)
            return
        until = self._elapsed() + OBJECT_SECONDS
        before = self._objects.get((expected.caller, expected.oid))
        self._objects[expected.caller, expected.oid] = _Object(partial, expected.size, until)
        if before is not None:
            before.file.unlink(missing_ok=True)

    def of(self, caller: str) -> Mapping[str, tuple[Path, int]]:
        """Return the large files that somebody brought, by digest."""
        self._expire()
        return {oid: (held.file, held.size) for (who, oid), held in self._objects.items() if who == caller}

    def forget(self, caller: str, oids: Sequence[str]) -> None:
        """Remove large files that were committed."""
        for oid in oids:
            held = self._objects.pop((caller, oid), None)
            if held is not None:
                held.file.unlink(missing_ok=True)

    def _expire(self) -> None:
        now = self._elapsed()
        self._expected = {token: each for token, each in self._expected.items() if now < each.until}
        for key, held in [(k, h) for k, h in self._objects.items() if now >= h.until]:
            del self._objects[key]
            held.file.unlink(missing_ok=True)


@dataclass(slots=True)
class Receiving:
    """One large file on its way."""

    file: BinaryIO
    oid: str
    size: int
    room: int
    came: int = 0
    whole: bool = False
    state: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def write(self, piece: bytes) -> None:
        """Add bytes.

        Raises:
            PushLimitError: More than were announced, or than there is room for.

        """
        self.came += len(piece)
        if self.came > self.room:
            what = f"More than the {self.room} bytes came that may."
            raise PushLimitError(what, limit="serve.push_bytes")
        self.state.update(piece)
        self.file.write(piece)

    def finish(self) -> None:
        """Demand that the file is the one that was announced.

        Raises:
            BadUploadError: It is not.

        """
        if self.came != self.size or self.state.hexdigest() != self.oid:
            raise BadUploadError("The file does not hash to what was announced.")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.whole = True


class _Line(msgspec.Struct):
    key: str
    value: msgspec.Raw


class _File(msgspec.Struct):
    path: str
    content: str
    encoding: str = "base64"


class _Large(msgspec.Struct):
    path: str
    oid: str
    algo: str = "sha256"
    size: int = -1


_line = msgspec.json.Decoder(_Line)
_file = msgspec.json.Decoder(_File)
_large = msgspec.json.Decoder(_Large)
_NOTHING = frozenset({"header", "deletedFile", "deletedFolder"})
"""What of a commit changes nothing here: each commit stands for itself, so there is nothing to delete."""


async def write_commit(
    stream: AsyncIterator[bytes], folder: Path, large: Mapping[str, tuple[Path, int]], room: int
) -> list[Written]:
    """Write what a commit adds into an empty folder; files below hidden names are passed over.

    Args:
        stream: The body: lines of JSON.
        folder: The folder.
        large: Large files that came before, by digest: where they lie, and their length.
        room: How many bytes the small ones may have together.

    Returns:
        What was written, in the order of the paths.

    Raises:
        BadUploadError: A line that is none, a path that cannot be, a large file that never came.
        PushLimitError: Too many files, too many bytes, or a line that is too long.

    """
    written: list[Written] = []
    async for text in _lines(stream):
        found = await asyncio.to_thread(_write, text, folder, large)
        if found is not None:
            written.append(found)
            room -= 0 if found[1] in large else found[2]
        if room < 0:
            raise PushLimitError("Uploads that wait have too many bytes.", limit="serve.push_bytes")
        if len(written) > FILES_LIMIT:
            what = f"A commit has more than {FILES_LIMIT} files."
            raise PushLimitError(what, limit="FILES_LIMIT")
    return sorted(written)


async def _lines(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    waiting = bytearray()
    async for piece in stream:
        searched = len(waiting)
        waiting += piece
        while (end := waiting.find(b"\n", searched)) >= 0:
            _demand_short(end)
            yield bytes(waiting[:end])
            del waiting[: end + 1]
            searched = 0
        _demand_short(len(waiting))
    if waiting:
        yield bytes(waiting)


def _demand_short(length: int) -> None:
    if length > LINE_LIMIT:
        what = f"A line of a commit is longer than {LINE_LIMIT} bytes."
        raise PushLimitError(what, limit="LINE_LIMIT")


def _write(text: bytes, folder: Path, large: Mapping[str, tuple[Path, int]]) -> Written | None:
    """Do what one line says; return the file that it adds."""
    try:
        line = _line.decode(text)
        if line.key in _NOTHING:
            return None
        if line.key == "file":
            return _small(_file.decode(line.value), folder)
        if line.key == "lfsFile":
            return _linked(_large.decode(line.value), folder, large)
    except (msgspec.DecodeError, binascii.Error, UnicodeError) as error:
        raise BadUploadError("A line of the commit cannot be read.") from error
    except LockgateError:
        raise
    except OSError as error:
        raise BadUploadError("Two files of the commit have one path, or the disk refused.") from error
    what = f"A commit cannot do {line.key[:40]!r} here."
    raise BadUploadError(what)


def _small(said: _File, folder: Path) -> Written | None:
    if said.encoding != "base64":
        raise BadUploadError("Files within a commit are in base64.")
    data = base64.b64decode(said.content, validate=True)
    target = _target(said.path, folder)
    if target is None:
        return None
    with target.open("xb") as file:
        file.write(data)
    return said.path, hashlib.sha256(data).hexdigest(), len(data)


def _linked(said: _Large, folder: Path, large: Mapping[str, tuple[Path, int]]) -> Written | None:
    found = large.get(said.oid)
    if found is None or said.algo != "sha256" or said.size not in {-1, found[1]}:
        raise BadUploadError("A large file of the commit was not uploaded before it.")
    target = _target(said.path, folder)
    if target is None:
        return None
    os.link(found[0], target)
    return said.path, said.oid, found[1]


def _target(path: str, folder: Path) -> Path | None:
    """Return where a file of a commit is written; None where a part of its name is hidden."""
    try:
        safe = safe_path(path)
    except LockgateError as error:
        raise BadUploadError("A path of the commit cannot be one.") from error
    if any(part.startswith(".") for part in safe.split("/")):
        return None
    target = folder / safe
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
