"""What an npm archive says of itself: its package.json, read with bounds and without unpacking.

Clients strip the first folder of every member's path, whatever it is called (npm's `pacote`), so
that is what counts as the root here.
"""

import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockgate.collect.errors import BadTarballError, CollectLimitError
from lockgate.collect.ports import Limits

PACKAGE_JSON = "package.json"

HEADER_LIMIT = 1 << 20
"""Longest extended header of a member, in bytes: they are read into memory as they announce themselves."""

_EXTENDED = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)
_WATCHED = frozenset({PACKAGE_JSON, "binding.gyp", "npm-shrinkwrap.json"})


class _Member(tarfile.TarInfo):
    """A member whose extended headers are bounded; the library itself has no bound."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENDED and self.size > HEADER_LIMIT:
            msg = f"an extended header of {self.size} bytes"
            raise tarfile.ReadError(msg)
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]  # the library's own hook


@dataclass(frozen=True, slots=True)
class Packed:
    """What stands in an archive: its package.json, whether files of meaning lie beside it, its size."""

    package: Mapping[str, Any]
    gyp: bool
    shrinkwrap: bool
    files: int
    unpacked: int


def read_tarball(path: Path, name: str, limits: Limits) -> Packed:
    """Read an archive from its beginning to its end.

    Raises:
        BadTarballError: Damaged, without a package.json, or with two of them: clients that unpack
            would take the last, others the first.
        CollectLimitError: More members or bytes than the bounds.

    """
    found: dict[str, bytes] = {}
    count = total = 0
    try:
        with tarfile.open(path, "r|gz", tarinfo=_Member) as archive:
            for member in archive:
                count += 1
                total += member.size
                _bound(name, count, total, limits)
                inner = member.name.removeprefix("./").partition("/")[2]
                if inner in _WATCHED and member.isfile():
                    if inner in found:
                        what = f"{name} has two files that unpack as {inner}."
                        raise BadTarballError(what)
                    found[inner] = _content(archive, member, limits)
    except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeError, TypeError) as error:
        # TypeError: Python's reader of streams, where the head of gzip is cut off
        what = f"{name} cannot be read: {error}."
        raise BadTarballError(what) from error
    if PACKAGE_JSON not in found:
        what = f"{name} has no {PACKAGE_JSON}."
        raise BadTarballError(what)
    return Packed(
        package=_parse(found[PACKAGE_JSON], name),
        gyp="binding.gyp" in found,
        shrinkwrap="npm-shrinkwrap.json" in found,
        files=count,
        unpacked=total,
    )


def _bound(name: str, count: int, total: int, limits: Limits) -> None:
    if count > limits.members:
        what = f"{name} has more than {limits.members} members."
        raise CollectLimitError(what, limit="members")
    if total > limits.file_bytes:
        what = f"{name} unpacks to more than {limits.file_bytes} bytes."
        raise CollectLimitError(what, limit="file_bytes")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, limits: Limits) -> bytes:
    if member.size > limits.metadata_bytes:
        what = f"{member.name[-80:]} is longer than {limits.metadata_bytes} bytes."
        raise CollectLimitError(what, limit="metadata_bytes")
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


def _parse(data: bytes, name: str) -> Mapping[str, Any]:
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        what = f"The {PACKAGE_JSON} of {name} is not JSON: {error}."
        raise BadTarballError(what) from error
    if not isinstance(value, dict):
        what = f"The {PACKAGE_JSON} of {name} is no object."
        raise BadTarballError(what)
    return value
