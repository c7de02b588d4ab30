"""Writing images of optical discs: ISO 9660 with xorriso, which Debian keeps; UDF with pycdlib."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

from lockgate.crossing.format import CRATE_FILE, ROOTS_FOLDER, SHARDS_FILE, root_name
from lockgate.crossing.media.errors import ProgramFailedError, ProgramMissingError, ReadBackError
from lockgate.crossing.media.iso import IsoImage
from lockgate.crossing.media.udf import UdfImage
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


class ImageForm(StrEnum):
    """The form of an image. Volumes over 4 GiB are in one piece in UDF, and in several in ISO 9660."""

    ISO = "iso"
    UDF = "udf"


def write_image(writer: MediaWriter, piece: Piece, form: ImageForm = ImageForm.ISO) -> Path:
    """Write the image of one disc and read it back; it gets its name when it is right.

    Raises:
        ProgramMissingError, ProgramFailedError: xorriso, or what writes UDF.
        ReadBackError: The image does not hold what was sealed.

    """
    partial = piece.target.with_name(piece.target.name + PARTIAL)
    with writing(str(partial)):
        partial.unlink(missing_ok=True)
        try:
            _WRITERS[form](writer, piece, partial)
            _read_back(writer, piece, partial, form)
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


def _write_iso(writer: MediaWriter, piece: Piece, partial: Path) -> None:
    crate = writer.crate
    names = [*piece.files, CRATE_FILE, SHARDS_FILE, ROOTS_FOLDER]
    grafts = "".join(f"{crate.name}/{name}={_escaped(crate.resolve() / name)}\n" for name in names)
    command = [program(PROGRAM, "xorriso"), "-as", "mkisofs", "-quiet", "-iso-level", "3"]
    command += ["-J", "-joliet-long", "-R", "-V", _label(writer), "-o", str(partial)]
    run([*command, "-graft-points", "-path-list", "-"], grafts.encode())


def _write_udf(writer: MediaWriter, piece: Piece, partial: Path) -> None:
    """Write UDF 2.60 with an ISO 9660 tree of the same files beside it, which every drive reads."""
    from pycdlib import PyCdlib  # noqa: PLC0415  # large, and seldom needed
    from pycdlib.pycdlibexception import PyCdlibException  # noqa: PLC0415

    crate = writer.crate
    roots = [f"{ROOTS_FOLDER}/{root_name(version)}" for version in writer.manifest.roots]
    disc = PyCdlib()
    try:
        disc.new(interchange_level=3, vol_ident=_label(writer), joliet=3, udf="2.60")
        for place, folder in (("/C", f"/{crate.name}"), ("/C/R", f"/{crate.name}/{ROOTS_FOLDER}")):
            disc.add_directory(place, joliet_path=folder, udf_path=folder)
        for number, name in enumerate([*piece.files, CRATE_FILE, SHARDS_FILE, *roots]):
            # Names of the plain tree are no one's: whoever reads uses one of the other two.
            plain = f"/C/{'R/' if name in roots else ''}F{number:05d}.;1"
            path = f"/{crate.name}/{name}"
            disc.add_file(str(crate / name), plain, joliet_path=path, udf_path=path)
        disc.write(str(partial))
    except PyCdlibException as error:
        what = f"pycdlib cannot write the image: {str(error)[:SAID_LIMIT]}"
        raise ProgramFailedError(what) from error
    finally:
        disc.close()


_WRITERS: dict[ImageForm, Callable[[MediaWriter, Piece, Path], None]] = {
    ImageForm.ISO: _write_iso,
    ImageForm.UDF: _write_udf,
}


def _label(writer: MediaWriter) -> str:
    return f"LOCKGATE_{writer.manifest.sequence:06d}"


def _escaped(path: Path) -> str:
    r"""Return a path as graft points take it: ``=`` and ``\`` after a backslash (xorrisofs(1))."""
    return str(path).replace("\\", "\\\\").replace("=", "\\=")


def _read_back(writer: MediaWriter, piece: Piece, path: Path, form: ImageForm) -> None:
    with UdfImage(path) if form is ImageForm.UDF else IsoImage(path) as image:
        found = Mender().look(image.crate(writer.crate.name))
    wrong = [part for part in found.damages if part.file in piece.files]
    if found.crate_sha256 != writer.crate_sha256 or wrong:
        what = f"The image {piece.target.name} does not hold what was sealed."
        raise ReadBackError(what, file=wrong[0].file if wrong else CRATE_FILE)
