"""Release files: verified with named keys by gpgv, and read only as far as they are signed."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lockgate.collect.apt.ports import Verified
from lockgate.collect.errors import BadReleaseError
from lockgate.collect.openpgp import bounded, gpgv, rings

RELEASE_LIMIT = 1 << 26
"""Longest Release file that is read, in bytes."""

_SUM = re.compile(r"^ ([0-9a-f]{64}) +(\d{1,15}) +(\S+)$")


def verify_release(
    file: Path, signed_by: str, trusted: Sequence[str], environ: Mapping[str, str], work: Path
) -> Verified:
    """Return what is signed of an InRelease file, and by which keys.

    Args:
        file: The file.
        signed_by: Key files, or a key in ASCII armour with a dot for its empty line (sources.list(5)).
        trusted: Files and folders with the keys that the host trusts where nothing else is named.
        environ: Says where programs lie.
        work: An existing folder for the keys in the form that gpgv reads.

    Raises:
        BadReleaseError: No signature by one of the keys verifies.
        CollectLimitError: A file is too long.
        InstallerError: gpgv is missing, or no key is there.

    """
    if not file.is_file():
        what = "A repository has no InRelease file."
        raise BadReleaseError(what, file=file.name)
    bounded(file, RELEASE_LIMIT, "RELEASE_LIMIT")
    out = work / "release.txt"
    out.unlink(missing_ok=True)
    signers = gpgv(["--output", str(out), str(file)], rings(signed_by, trusted, work), environ, work)
    if not signers or not out.is_file():
        what = "No signature over a Release file verifies with the named keys."
        raise BadReleaseError(what, file=file.name)
    return Verified(out.read_bytes(), signers)


def fields_of(text: bytes) -> dict[str, str]:
    """Return the single-line fields of a Release file by their names in lower case."""
    found: dict[str, str] = {}
    for line in text.decode("utf-8", "replace").splitlines():
        name, colon, value = line.partition(":")
        if colon and name and not name[0].isspace():
            found.setdefault(name.lower(), value.strip())
    return found


def sums_of(text: bytes) -> dict[str, tuple[str, int]]:
    """Return SHA-256 and length of every file that a Release file lists."""
    found: dict[str, tuple[str, int]] = {}
    within = False
    for line in text.decode("utf-8", "replace").splitlines():
        if not line.startswith(" "):
            within = line.strip() == "SHA256:"
        elif within and (match := _SUM.match(line)):
            found[match[3]] = (match[1], int(match[2]))
    return found
