"""Paragraphs of Debian packages as indexes had them, so that what is known of each need not be read again."""

from collections.abc import Callable, Iterator, Mapping

from lockgate.core.artifact import ArtifactFile
from lockgate.core.snapshot import Admitted

Paragraph = tuple[tuple[str, str, str], str]
"""Name, version and architecture of a package, by which an index is sorted, and its lines."""

_LAST = ("Filename: ", "Size: ", "SHA256: ")
"""What the last three lines of a paragraph begin with."""


class Written:
    """What the indexes of a snapshot say of packages that stay.

    Args:
        pages: Digests of the pages as they were, by path.
        stays: Whether an artifact is what it was.
        read: Reads a page by its digest.

    """

    def __init__(
        self,
        pages: Mapping[str, str],
        stays: Callable[[Admitted], bool],
        read: Callable[[str], bytes],
    ) -> None:
        """Read the indexes when a package is asked for."""
        self._pages = pages
        self._stays = stays
        self._read = read
        self._indexes: dict[str, dict[tuple[str, str], Paragraph | None]] = {}

    def of(self, entry: Admitted, file: ArtifactFile, name: str, index: str) -> Paragraph | None:
        """Return the paragraph of a package in an index; None where only what is known of it tells.

        Args:
            entry: The package.
            file: Its one file.
            name: The file's path inside of its repository.
            index: Path of the page.

        """
        if not self._stays(entry):
            return None
        if index not in self._indexes:
            digest = self._pages.get(index)
            self._indexes[index] = _paragraphs(self._read(digest).decode()) if digest else {}
        found = self._indexes[index].get((name, file.sha256))
        same = (entry.artifact.version, entry.artifact.attributes.get("architecture"))
        return found if found and found[0][1:] == same else None


def _paragraphs(text: str) -> dict[tuple[str, str], Paragraph | None]:
    """Return the paragraphs of an index by path and digest of their files; None where two are of one file."""
    found: dict[tuple[str, str], Paragraph | None] = {}
    for file, paragraph in _read(text):
        found[file] = None if file in found else paragraph
    return found


def _read(text: str) -> Iterator[tuple[tuple[str, str], Paragraph]]:
    """Yield path and digest of each package's file, and its paragraph."""
    for piece in text.split("\n\n"):
        first, last = piece.split("\n", 2), piece.rsplit("\n", len(_LAST))[1:]
        if not all(map(str.startswith, last, _LAST)) or len(last) != len(_LAST):
            continue
        at = piece.find("\nArchitecture: ")
        if at < 0 or not (first[0].startswith("Package: ") and first[1].startswith("Version: ")):
            continue
        architecture = piece[at:].split("\n", 2)[1].removeprefix("Architecture: ")
        key = (first[0].removeprefix("Package: "), first[1].removeprefix("Version: "), architecture)
        file = (last[0].removeprefix(_LAST[0]), last[2].removeprefix(_LAST[2]))
        yield file, (key, f"{piece}\n")
