"""Reading single members out of wheels, with bounds, and never unpacking one.

Format: the binary distribution format (PEP 427) and core metadata (PEP 566, 643, 639).
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import getaddresses
from pathlib import Path
from typing import IO, BinaryIO, cast

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.metadata import RawMetadata, parse_email
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from lockgate.collect.errors import BadWheelError, CollectLimitError, MemberMissingError, NotAWheelError
from lockgate.collect.ports import Limits
from lockgate.core.zips import ZIP_ERRORS

LICENCE_TEXT = 100
"""Longest licence field taken as a name, in characters; whole licence texts are not names."""

PEOPLE = 20
"""How many people of one version are kept."""

PERSON_TEXT = 100
"""Longest name or address of a person that is kept, in characters."""

_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class CoreMetadata:
    """What a wheel says of itself; `raw` are the bytes that PEP 658 serves."""

    raw: bytes
    requires_python: str
    licence: str
    summary: str
    people: str = ""


class _BoundedReads:
    """A file whose single reads are bounded, so that a huge zip directory is refused, not loaded."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self.seek = stream.seek
        self.tell = stream.tell
        self.seekable = stream.seekable
        self.close = stream.close

    def read(self, count: int = -1) -> bytes:
        data = self._stream.read(count if 0 <= count <= self._limit else self._limit + 1)
        if len(data) > self._limit:
            what = f"The directory of an archive is longer than {self._limit} bytes."
            raise CollectLimitError(what, limit="directory_bytes")
        return data


@contextmanager
def open_wheel(path: Path, limits: Limits) -> Iterator[zipfile.ZipFile]:
    """Open a wheel for reading single members.

    Raises:
        BadWheelError: Not a sound zip archive.
        CollectLimitError: Its directory is over the bound.

    """
    with path.open("rb") as stream:
        bounded = cast("IO[bytes]", _BoundedReads(stream, limits.directory_bytes))
        try:
            with zipfile.ZipFile(bounded) as archive:
                yield archive
        except ZIP_ERRORS as error:
            what = f"{path.name} is damaged: {error}."
            raise BadWheelError(what, file=path.name) from error


def find_member(archive: zipfile.ZipFile, name: str, limit: int, wheel: str) -> zipfile.ZipInfo:
    """Return one member that can be read in only one way.

    Raises:
        MemberMissingError: Not there.
        BadWheelError: There twice, encrypted, or compressed in an unusual way.
        CollectLimitError: Longer than `limit` bytes.

    """
    found = [info for info in archive.infolist() if info.filename == name]
    if not found or found[0].is_dir():
        what = f"{wheel} has no member {name!r}."
        raise MemberMissingError(what, member=name)
    info = found[0]
    if len(found) > 1 or info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
        what = f"The member {name!r} of {wheel} cannot be read in exactly one way."
        raise BadWheelError(what, member=name)
    if info.file_size > limit:
        what = f"The member {name!r} of {wheel} is longer than {limit} bytes."
        raise CollectLimitError(what, member=name, size=info.file_size)
    return info


def split_filename(filename: str) -> tuple[str, str]:
    """Return normalised project and version from a wheel's file name (PEP 427).

    Raises:
        NotAWheelError: Another kind of file, or a malformed name.

    """
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename as error:
        what = f"{filename[:200]!r} is not a wheel."
        raise NotAWheelError(what) from error
    return name, str(version)


def read_metadata(path: Path, filename: str, limits: Limits) -> CoreMetadata:
    """Return the core metadata of a wheel, and demand that it agrees with the file name.

    Raises:
        BadWheelError: Damaged, without exactly one METADATA, or of another project or version.
        CollectLimitError: Over a bound.

    """
    project, version = split_filename(filename)
    with open_wheel(path, limits) as archive:
        names = {
            n
            for n in archive.namelist()
            if n.count("/") == 1 and n.endswith(".dist-info/METADATA") and _folder_is_of(n, project, version)
        }
        if len(names) != 1:
            what = f"{filename} has {len(names)} core metadata files of its own; one is needed."
            raise BadWheelError(what, file=filename)
        info = find_member(archive, names.pop(), limits.metadata_bytes, filename)
        raw = archive.read(info)
    fields, _ = parse_email(raw)
    if canonicalize_name(fields.get("name", "")) != project or not _same(fields.get("version", ""), version):
        what = f"{filename} holds the metadata of another project or version."
        raise BadWheelError(what, name=fields.get("name"), version=fields.get("version"))
    return CoreMetadata(
        raw=raw,
        requires_python=fields.get("requires_python", ""),
        licence=licence_of(fields),
        summary=fields.get("summary", ""),
        people=people_of(fields),
    )


def licence_of(fields: RawMetadata) -> str:
    """Return a licence: the SPDX expression, else the short licence field, else the classifiers."""
    for text in (fields.get("license_expression"), fields.get("license")):
        clean = " ".join((text or "").split())
        if 0 < len(clean) <= LICENCE_TEXT and clean.upper() != "UNKNOWN":
            return spdx(clean) or clean
    named = [c for c in fields.get("classifiers", []) if c.startswith("License :: ")]
    return ", ".join(c.rpartition(" :: ")[2] for c in named)[:LICENCE_TEXT] or "unknown"


def people_of(fields: RawMetadata) -> str:
    """Return whom metadata name as maintainers, or else as authors: names or addresses, between commas."""
    for role in ("maintainer", "author"):
        addresses = getaddresses([str(fields.get(f"{role}_email", ""))])
        found = [name or address for name, address in addresses]
        found += str(fields.get(role, "")).split(",")
        clean = {" ".join(person.replace(",", " ").split())[:PERSON_TEXT] for person in found}
        named = sorted(person for person in clean if person and person.isprintable())
        if named:
            return ", ".join(named[:PEOPLE])
    return ""


def spdx(text: str) -> str | None:
    """Return the text as a canonical SPDX expression, or None when it is none."""
    try:
        return canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return None


def _folder_is_of(member: str, project: str, version: str) -> bool:
    name, _, number = member.split("/", 1)[0].removesuffix(".dist-info").rpartition("-")
    return canonicalize_name(name) == project and _same(number, version)


def _same(text: str, version: str) -> bool:
    try:
        return Version(text) == Version(version)
    except InvalidVersion:
        return False
