"""Where crates are read from: a mounted medium, a folder, or an image that is not mounted."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lockgate.crossing.errors import NotACrateError
from lockgate.crossing.folder import CrateFolder, CrateSource, reading
from lockgate.crossing.format import is_folder_name
from lockgate.crossing.media.errors import MediumListingError
from lockgate.crossing.media.iso import IsoImage
from lockgate.crossing.media.tree import Image
from lockgate.crossing.media.udf import RawImage, UdfImage, is_udf

TOP_LIMIT = 1000
"""Most names at the top of a medium that are looked at."""


@dataclass(frozen=True, slots=True)
class MediumContent:
    """What a medium holds: its crates, and the names beside them, which are not read."""

    crates: tuple[CrateSource, ...]
    foreign: tuple[str, ...]


@contextmanager
def opened_medium(path: Path) -> Iterator[MediumContent]:
    """Open what is on a medium; it is only read.

    Args:
        path: A crate's folder, a folder with crates (a mount point), an image, or an optical drive.

    Raises:
        CrateIoError: It cannot be read.
        NotACrateError: No crate is there.
        MediumListingError: Too many names.
        ImageFormError: An image of another form.

    """
    with reading(path.name or str(path)):
        mode = path.stat().st_mode
    with ExitStack() as stack:
        if stat.S_ISDIR(mode):
            content = _folder(path, stack)
        else:
            image = stack.enter_context(opened_image(path))
            content = MediumContent(tuple(image.crate(n) for n in image.crates()), tuple(image.foreign()))
        if not content.crates:
            what = f"There is no crate in {path}."
            raise NotACrateError(what)
        yield content


def opened_image(path: Path) -> Image:
    """Open an image in the form that it says it has: UDF where it names that, ISO 9660 otherwise.

    Raises:
        CrateIoError: It cannot be read.
        ImageFormError: It has another form.

    """
    with RawImage(path) as raw:
        udf = is_udf(raw)
    return UdfImage(path) if udf else IsoImage(path)


def _folder(path: Path, stack: ExitStack) -> MediumContent:
    if is_folder_name(path.name):
        return MediumContent((stack.enter_context(CrateFolder(path)),), ())
    names = _names(path)
    crates = [name for name in names if is_folder_name(name)]
    opened = [stack.enter_context(CrateFolder(path / name)) for name in crates]
    return MediumContent(tuple(opened), tuple(name for name in names if name not in crates))


def _names(path: Path) -> Sequence[str]:
    names: list[str] = []
    with reading(path.name), os.scandir(path) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) > TOP_LIMIT:
                what = f"{path} holds more than {TOP_LIMIT} files."
                raise MediumListingError(what)
    return sorted(names)
