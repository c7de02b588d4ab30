"""Writing images of optical discs with xorriso, which Debian keeps."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lockgate.crossing.format import CRATE_FILE, ROOTS_FOLDER, SHARDS_FILE
from lockgate.crossing.media.errors import ProgramFailedError, ProgramMissingError, ReadBackError
from lockgate.crossing.media.iso import IsoImage
from lockgate.crossing.media.write import MediaWriter, Piece, writing
from lockgate.crossing.mend import Mender
from lockgate.store.blobs import sync_folder

PROGRAM = "xorriso"
PARTIAL = ".partial"
SAID_LIMIT = 300
"""Most characters of what the program said that an error repeats."""


def program(name: str, package: str) -> str:
    """Return the path of a program.

    Raises:
        ProgramMissingError: It is not installed.

    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        what = f"{name} is not installed (Debian package {package})."
        raise ProgramMissingError(what)
    return found


def run(command: Sequence[str], given: bytes = b"") -> bytes:
    """Run a program and return what it wrote.

    Raises:
        ProgramFailedError: It ended with another status than 0.

    """
    # The command is a list, found by `program`; nothing of it goes through a shell.
    ran = subprocess.run(command, input=given, capture_output=True, check=False)  # noqa: S603
    if ran.returncode:
        said = ran.stderr.decode(errors="replace").strip().splitlines()
        what = f"{Path(command[0]).name} ended with status {ran.returncode}: {' '.join(said)[-SAID_LIMIT:]}"
        raise ProgramFailedError(what)
    return ran.stdout


def write_image(writer: MediaWriter, piece: Piece) -> Path:
    """Write the image of one disc and read it back; it gets its name when it is right.

    Raises:
        ProgramMissingError, ProgramFailedError: xorriso.
        ReadBackError: The image does not hold what was sealed.

    """
    crate, partial = writer.crate, piece.target.with_name(piece.target.name + PARTIAL)
    names = [*piece.files, CRATE_FILE, SHARDS_FILE, ROOTS_FOLDER]
    grafts = "".join(f"{crate.name}/{name}={_escaped(crate.resolve() / name)}\n" for name in names)
    command = [
        program(PROGRAM, "xorriso"),
        "-as",
        "mkisofs",
        "-quiet",
        "-iso-level",
        "3",
        "-J",
        "-joliet-long",
    ]
    command += ["-R", "-V", f"LOCKGATE_{writer.manifest.sequence:06d}", "-o", str(partial)]
    command += ["-graft-points", "-path-list", "-"]
    with writing(str(partial)):
        partial.unlink(missing_ok=True)
        try:
            run(command, grafts.encode())
            _read_back(writer, piece, partial)
            handle = os.open(partial, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            partial.rename(piece.target)
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(piece.target.parent)
    return piece.target


def _escaped(path: Path) -> str:
    r"""Return a path as graft points take it: ``=`` and ``\`` after a backslash (xorrisofs(1))."""
    return str(path).replace("\\", "\\\\").replace("=", "\\=")


def _read_back(writer: MediaWriter, piece: Piece, path: Path) -> None:
    with IsoImage(path) as image:
        found = Mender().look(image.crate(writer.crate.name))
    wrong = [part for part in found.damages if part.file in piece.files]
    if found.crate_sha256 != writer.crate_sha256 or wrong:
        what = f"The image {piece.target.name} does not hold what was sealed."
        raise ReadBackError(what, file=wrong[0].file if wrong else CRATE_FILE)
