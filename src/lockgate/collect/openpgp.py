"""Signatures of distributions, verified by gpgv with nothing but the named keys."""

import base64
import binascii
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lockgate.collect.errors import BadReleaseError, CollectLimitError, InstallerError

KEYS_LIMIT = 1 << 24
"""Longest file of keys that is read, in bytes."""

_SECONDS = 60.0
_VALID = re.compile(rb"^\[GNUPG:\] VALIDSIG [0-9A-F]{40} .* ([0-9A-F]{40})$")
_ARMOR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\s*?\n(?:[A-Za-z-]+: [^\n]*\n)*\s*\n(.*?)-----END PGP", re.DOTALL
)
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{16,64}!?")


def gpgv(
    words: Sequence[str], keys: Sequence[Path], environ: Mapping[str, str], work: Path
) -> tuple[str, ...]:
    """Return the fingerprints of the keys whose signatures verify; none where none does.

    Args:
        words: Options and files, as gpgv takes them.
        keys: Files of keys in the form that it reads.
        environ: Says where programs lie.
        work: An existing folder that stands for its home.

    Raises:
        InstallerError: gpgv is missing, or did not end.

    """
    command = ["gpgv", "--homedir", str(work), "--status-fd", "1"]
    command += [word for ring in keys for word in ("--keyring", str(ring))]
    try:
        done = subprocess.run(  # noqa: S603  # arguments are a list; paths are our own
            [*command, *words],
            env=dict(environ),
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        what = f"gpgv did not run: {error}."
        raise InstallerError(what, advice="Install gpgv, or collect where it is installed.") from error
    return _signers(done.stdout)


def _signers(status: bytes) -> tuple[str, ...]:
    """Return the keys of good signatures: of an expired or a revoked key gpgv says VALIDSIG as well."""
    found, good = set(), False
    for line in status.splitlines():
        if line.startswith(b"[GNUPG:] NEWSIG"):
            good = False
        elif line.startswith(b"[GNUPG:] GOODSIG "):
            good = True
        elif good and (valid := _VALID.match(line)):
            found.add(valid[1].decode())
    return tuple(sorted(found))


def rings(signed_by: str, trusted: Sequence[str], work: Path) -> list[Path]:
    """Return files of keys in the form that gpgv reads.

    Args:
        signed_by: Key files, or a key in ASCII armour with a dot for its empty line (sources.list(5)).
        trusted: Files and folders with keys, where `signed_by` names none.
        work: An existing folder for what is returned.

    Raises:
        CollectLimitError: A file is too long.
        InstallerError: No key is there.

    """
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
                bounded(file, KEYS_LIMIT, "KEYS_LIMIT")
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


def bounded(file: Path, limit: int, name: str) -> None:
    """Refuse a file that is longer than a bound.

    Raises:
        CollectLimitError: It is.

    """
    if file.stat().st_size > limit:
        what = f"{file.name} is longer than {limit} bytes."
        raise CollectLimitError(what, limit=name)
