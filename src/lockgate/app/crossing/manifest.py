"""Beginning and checking manifests on the low side; no lane is needed for it."""

from pathlib import Path

from lockgate.app.files import NamedFileError
from lockgate.collect import Explained, Limits, example, explain
from lockgate.collect.manifest import load_manifest


def explained(manifest: Path) -> list[Explained]:
    """Return what each table of a manifest would bring.

    Raises:
        ManifestError, SourceMissingError, DuplicateNameError, CollectLimitError: The manifest.

    """
    return explain(load_manifest(manifest, Limits()))


def write_example(file: Path) -> int:
    """Write the example to a new file and return its length in bytes.

    Raises:
        NamedFileError: It is there already, or cannot be written.

    """
    data = example().encode()
    try:
        with file.open("xb") as stream:
            stream.write(data)
    except OSError as error:
        what = f"{file} cannot be written: {error.strerror}."
        raise NamedFileError(what) from error
    return len(data)
