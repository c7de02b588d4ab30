"""Samples that show whether a scanner looks: harmless bytes, and the EICAR test pattern.

A scanner that finds nothing in the pattern is switched off, has no data, or answers without looking.
Many scanners pass what is longer than a bound of theirs without a word; the archive is as long as the
longest file that is to be scanned, with the pattern at its end.
"""

import zipfile
from collections.abc import Iterable, Iterator
from typing import IO, cast

from lockgate.core.verdict import Outcome
from lockgate.crossing.station.errors import ScannerBlindError
from lockgate.crossing.station.ports import Said, Scanner
from lockgate.crossing.station.stage import changed, name_for, take_away, write_staged

HARMLESS = b"Lockgate shows this to a scanner that must find nothing in it.\n"

_PIECE = 1 << 20


def pattern() -> bytes:
    """Return the EICAR test pattern (eicar.org: "Anti-Malware Testfile"), put together only here.

    It stands in no file of ours as one text, or scanners would take our own files away.
    """
    return b"X5O!P%@AP[4" + b"\\PZX54(P^)7CC)7}$EICAR" + b"-STANDARD-ANTIVIRUS-TEST-FILE!" + b"$H+H*"


class _Collected:
    """A file that only grows, for the archive writer: what it writes is taken in pieces."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep what is written."""
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """Return what was written since it was asked last."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    def flush(self) -> None:
        """Do nothing: nothing is held back."""


def archive(size: int) -> Iterator[bytes]:
    """Yield a ZIP archive of a little more than that many bytes; its last member is the pattern."""
    out = _Collected()
    with zipfile.ZipFile(cast("IO[bytes]", out), "w", zipfile.ZIP_STORED) as made:
        with made.open("filler.txt", "w", force_zip64=size >= 1 << 31) as member:
            for left in range(size, 0, -_PIECE):
                member.write(b"." * min(left, _PIECE))
                yield out.taken()
        made.writestr("eicar.com", pattern())
    yield out.taken()


def demand_sight(scanner: Scanner, largest: int) -> int:
    """Demand that a scanner finds the pattern, plain and in an archive, and nothing in harmless bytes.

    Args:
        scanner: The scanner.
        largest: Length of the longest file that is to be scanned, in bytes.

    Returns:
        How long the archive was, at least `largest` bytes.

    Raises:
        ScannerBlindError: It does not.
        ScannerError, StageSpaceError, StageIoError: It cannot be asked.

    """
    harmless, _ = _show(scanner, "sample.txt", [HARMLESS])
    if harmless.outcome is not Outcome.CLEAN:
        what = f"The scanner says {harmless.outcome} of a harmless file. {harmless.why}".rstrip()
        raise ScannerBlindError(what)
    found, _ = _show(scanner, "sample.com", [pattern()])
    if found.outcome is not Outcome.FINDINGS:
        what = f"The scanner says {found.outcome} of the EICAR test pattern. {found.why}".rstrip()
        raise ScannerBlindError(what)
    deep, size = _show(scanner, "sample.zip", archive(largest))
    if deep.outcome is not Outcome.FINDINGS:
        what = f"The scanner says {deep.outcome} of an archive of {size} bytes with the EICAR test pattern."
        raise ScannerBlindError(what, largest=largest)
    return size


def _show(scanner: Scanner, name: str, pieces: Iterable[bytes]) -> tuple[Said, int]:
    staged = write_staged(scanner.stage, name_for(name), pieces)
    said = Said(Outcome.INCOMPLETE, path=staged.path)
    try:
        said = scanner.scan(staged)
        if said.outcome is Outcome.CLEAN and (why := changed(staged, said.path)):
            said = Said(Outcome.INCOMPLETE, why=why, path=said.path)
        return said, staged.size
    finally:
        take_away(staged.path, said.path)
