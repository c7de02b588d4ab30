"""The maintainer scripts of a Debian package: what runs with all rights when it is installed or removed.

No index names them. Sources: deb(5), deb-control-tar members of Debian Policy, chapter 6.
"""

import gzip
import io
import lzma
import tarfile
import zlib
from typing import BinaryIO

CONTROL_LIMIT = 16 << 20
"""Longest archive of control files that is looked into, in bytes, packed or not."""
MEMBERS_LIMIT = 1000
"""Most files in it that are looked at."""

UNREADABLE = "unreadable"
"""What is told of a package whose control files cannot be read; the gate judges it."""
NONE = "none"

_SCRIPTS = frozenset({"config", "postinst", "postrm", "preinst", "prerm"})
_MAGIC, _HEADER = b"!<arch>\n", 60


def maintainer_scripts(stream: BinaryIO) -> str:
    """Return the names of a package's scripts with spaces between, `NONE`, or `UNREADABLE`."""
    try:
        names = _names(_control(stream))
    except (ValueError, OSError, EOFError, RecursionError, lzma.LZMAError, zlib.error, tarfile.TarError):
        return UNREADABLE
    return " ".join(sorted(names & _SCRIPTS)) or NONE


def _control(stream: BinaryIO) -> bytes:
    """Return the archive of control files: the second member of the package, unpacked.

    Raises:
        ValueError: It is no package, or one whose control files are too long or packed in another way.

    """
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("no archive")
    _member(stream)
    name, data = _member(stream)
    if name == "control.tar.gz":
        return _bounded(gzip.GzipFile(fileobj=io.BytesIO(data)))
    if name == "control.tar.xz":
        return _bounded(lzma.LZMAFile(io.BytesIO(data)))
    if name == "control.tar.zst":
        import zstandard  # noqa: PLC0415  # Ubuntu packs so, Debian does not

        try:
            return _bounded(zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)))
        except zstandard.ZstdError as error:
            raise ValueError("no Zstandard") from error
    if name == "control.tar":
        return data
    raise ValueError("packed in an unknown way")


def _member(stream: BinaryIO) -> tuple[str, bytes]:
    header = stream.read(_HEADER)
    if len(header) != _HEADER or not header[48:58].strip().isdigit():
        raise ValueError("no member")
    size = int(header[48:58])
    if size > CONTROL_LIMIT:
        raise ValueError("too long")
    data = stream.read(size)
    stream.read(size % 2)
    return header[:16].decode("ascii", "replace").rstrip(" /"), data


def _bounded(packed: "gzip.GzipFile | lzma.LZMAFile | BinaryIO") -> bytes:
    data = packed.read(CONTROL_LIMIT + 1)
    if len(data) > CONTROL_LIMIT:
        raise ValueError("too long")
    return data


def _names(control: bytes) -> set[str]:
    found: set[str] = set()
    with tarfile.open(fileobj=io.BytesIO(control), mode="r:") as archive:
        for number, entry in enumerate(archive):
            if number >= MEMBERS_LIMIT:
                raise ValueError("too many")
            if entry.isfile():
                found.add(entry.name.removeprefix("./"))
    return found
