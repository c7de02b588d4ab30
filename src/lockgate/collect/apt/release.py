"""Release files: verified with named keys by gpgv, and read only as far as they are signed."""

import base64
import binascii
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lockgate.collect.apt.ports import Verified
from lockgate.collect.errors import BadReleaseError, CollectLimitError, InstallerError

RELEASE_LIMIT = 1 << 26
"""Longest Release file that is read, in bytes."""

KEYS_LIMIT = 1 << 24
"""Longest file of keys that is read, in bytes."""

_SECONDS = 60.0
_VALID = re.compile(rb"^\[GNUPG:\] VALIDSIG [0-9A-F]{40} .* ([0-9A-F]{40})$", re.MULTILINE)
_ARMOR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\s*?\n(?:[A-Za-z-]+: [^\n]*\n)*\s*\n(.*?)-----END PGP", re.DOTALL
)
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{16,64}!?")
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
    _bounded(file, RELEASE_LIMIT)
    rings = _rings(signed_by, trusted, work)
    out = work / "release.txt"
    command = ["gpgv", "--homedir", str(work), "--status-fd", "1", "--output", str(out)]
    command += [word for ring in rings for word in ("--keyring", str(ring))]
    out.unlink(missing_ok=True)
    try:
        done = subprocess.run(  # noqa: S603  # arguments are a list; paths are our own
            [*command, str(file)],
            env=dict(environ),
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        what = f"gpgv did not run: {error}."
        raise InstallerError(what, advice="Install gpgv, or collect where it is installed.") from error
    signers = sorted({found.decode() for found in _VALID.findall(done.stdout)})
    if not signers or not out.is_file():
        what = "No signature over a Release file verifies with the named keys."
        raise BadReleaseError(what, file=file.name)
    return Verified(out.read_bytes(), tuple(signers))


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


def _rings(signed_by: str, trusted: Sequence[str], work: Path) -> list[Path]:
    """Return files of keys in the form that gpgv reads."""
    found = []
    for number, data in enumerate(_keys(signed_by, trusted)):
        ring = work / f"ring-{number}.gpg"
        ring.write_bytes(data)
        found.append(ring)
    if not found:
        what = "There is no key to verify a repository with."
        raise InstallerError(what, advice="Name a keyring, or install the distribution's archive keyring.")
    return found


def _keys(signed_by: str, trusted: Sequence[str]) -> Iterator[bytes]:
    if "BEGIN PGP" in signed_by:
        lines = [line.strip() for line in signed_by.splitlines()]
        yield _binary("\n".join("" if line == "." else line for line in lines).encode())
        return
    files = [
        Path(word) for word in re.split(r"[\s,]+", signed_by) if word and not _FINGERPRINT.fullmatch(word)
    ]
    for place in files or map(Path, trusted):
        below = (
            sorted(p for p in place.iterdir() if p.suffix in {".gpg", ".asc"}) if place.is_dir() else [place]
        )
        for file in below:
            if file.is_file():
                _bounded(file, KEYS_LIMIT)
                yield _binary(file.read_bytes())


def _binary(data: bytes) -> bytes:
    """Return keys without their ASCII armour."""
    blocks = _ARMOR.findall(data)
    if not blocks:
        return data
    try:
        bodies = [b"".join(x for x in block.split() if not x.startswith(b"=")) for block in blocks]
        return b"".join(base64.b64decode(body, validate=True) for body in bodies)
    except binascii.Error as error:
        what = "A key in ASCII armour is damaged."
        raise BadReleaseError(what) from error


def _bounded(file: Path, limit: int) -> None:
    if file.stat().st_size > limit:
        what = f"{file.name} is longer than {limit} bytes."
        raise CollectLimitError(what, limit="RELEASE_LIMIT" if limit == RELEASE_LIMIT else "KEYS_LIMIT")
