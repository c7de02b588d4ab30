"""Reading source archives, with bounds, without unpacking or running anything of them.

Formats: source distributions (PEP 625, 643), the build system's table (PEP 517, 518), a project's own table
(PEP 621), and the ``requires.txt`` that setuptools writes.
"""

import gzip
import re
import tarfile
import tomllib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from packaging.metadata import RawMetadata, parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_sdist_filename
from packaging.version import InvalidVersion, Version

from lockgate.collect.errors import BadSdistError, CollectLimitError
from lockgate.collect.ports import Limits
from lockgate.collect.wheels import CoreMetadata, licence_of, people_of

DEFAULT_BUILD = ("setuptools>=40.8.0",)
"""What a source archive without a build system's table is built with (PEP 518)."""

REQUIREMENTS = 2000
"""Most requirements that one archive may name."""

_STATIC = Version("2.2")
"""From this version of core metadata on, what is not dynamic holds for the built wheel too (PEP 643)."""

_KEPT = re.compile(r"[^/]+/(?:PKG-INFO|pyproject\.toml|(?:src/)?[^/]+\.egg-info/requires\.txt)")


@dataclass(frozen=True, slots=True)
class Source:
    """What a source archive says of itself.

    Attributes:
        metadata: Its core metadata.
        requires: What the project depends on; extras as markers.
        promised: Whether that is what a built wheel will say; else it is what its authors wrote down.
        build: What building it needs.
        own_backend: Whether its build runs a backend in the archive, or a plain ``setup.py``: it may ask for
            more than it says.

    """

    metadata: CoreMetadata
    requires: tuple[str, ...]
    promised: bool
    build: tuple[str, ...]
    own_backend: bool


class _Bounded:
    """A decompressed stream whose length and single reads are bounded, so that no bomb is unpacked."""

    def __init__(self, stream: gzip.GzipFile, filename: str, limits: Limits) -> None:
        self._stream, self._filename, self._limits = stream, filename, limits
        self.tell = stream.tell
        self.close = stream.close

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > self._limits.directory_bytes:
            what = f"A header of {self._filename} is longer than {self._limits.directory_bytes} bytes."
            raise CollectLimitError(what, limit="directory_bytes")
        self._demand(self._stream.tell() + size)
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._demand(offset)
        return self._stream.seek(offset, whence)

    def _demand(self, offset: int) -> None:
        if offset > self._limits.source_bytes:
            what = f"{self._filename} unpacks to more than {self._limits.source_bytes} bytes."
            raise CollectLimitError(what, limit="source_bytes")


def read_sdist(path: Path, filename: str, limits: Limits) -> Source:
    """Return what a source archive says, and demand that it agrees with the file name.

    Raises:
        BadSdistError: Damaged, without core metadata, of another project, or with tables of another form.
        CollectLimitError: Over a bound.

    """
    kept = _members(path, filename, limits)
    project, version = parse_sdist_filename(filename)
    top = _top(kept, filename)
    raw = kept[f"{top}/PKG-INFO"]
    fields, _ = parse_email(raw)
    if canonicalize_name(fields.get("name", "")) != project or _version(fields.get("version", "")) != version:
        what = f"{filename} holds the metadata of another project or version."
        raise BadSdistError(what, name=fields.get("name"), version=fields.get("version"))
    tables = _tables(kept.get(f"{top}/pyproject.toml", b""), filename)
    requires, promised = _requires(fields, tables, kept, filename)
    build = tables.get("build-system", {})
    return Source(
        metadata=CoreMetadata(
            raw=raw,
            requires_python=fields.get("requires_python", ""),
            licence=licence_of(fields),
            summary=fields.get("summary", ""),
            people=people_of(fields),
        ),
        requires=requires,
        promised=promised,
        build=_plain(build.get("requires", list(DEFAULT_BUILD)), filename),
        own_backend="build-backend" not in build or "backend-path" in build,
    )


def _members(path: Path, filename: str, limits: Limits) -> dict[str, bytes]:
    """Return the few members that are looked at."""
    kept: dict[str, bytes] = {}
    try:
        with gzip.GzipFile(path) as stream:
            bounded = cast("IO[bytes]", _Bounded(stream, filename, limits))
            archive = tarfile.open(fileobj=bounded, mode="r:")  # noqa: SIM115  # closed with its stream
            for number, member in enumerate(archive):
                if number >= limits.members:
                    what = f"{filename} has more than {limits.members} members."
                    raise CollectLimitError(what, limit="members")
                if _KEPT.fullmatch(member.name):
                    kept[member.name] = _content(archive, member, kept, filename, limits)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        what = f"{filename} is damaged: {error}."
        raise BadSdistError(what, file=filename) from error
    return kept


def _content(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    kept: Mapping[str, bytes],
    filename: str,
    limits: Limits,
) -> bytes:
    if not member.isreg() or member.name in kept:
        what = f"The member {member.name!r} of {filename} cannot be read in exactly one way."
        raise BadSdistError(what, member=member.name)
    if member.size > limits.metadata_bytes:
        what = f"The member {member.name!r} of {filename} is longer than {limits.metadata_bytes} bytes."
        raise CollectLimitError(what, limit="metadata_bytes")
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


def _top(kept: Mapping[str, bytes], filename: str) -> str:
    """Return the archive's only folder, which holds the core metadata."""
    tops = {name.partition("/")[0] for name in kept}
    if len(tops) != 1 or f"{(top := tops.pop())}/PKG-INFO" not in kept:
        what = f"{filename} has no core metadata at the top of its only folder."
        raise BadSdistError(what, file=filename)
    return top


def _tables(data: bytes, filename: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the tables of a ``pyproject.toml``.

    A ``build-system`` without ``requires`` is an error by PEP 518.
    """
    try:
        found = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        what = f"The pyproject.toml of {filename} cannot be read: {error}."
        raise BadSdistError(what, file=filename) from error
    tables: dict[str, Any] = {key: found[key] for key in ("build-system", "project") if key in found}
    if any(not isinstance(table, dict) for table in tables.values()) or (
        "build-system" in tables and "requires" not in tables["build-system"]
    ):
        what = f"The pyproject.toml of {filename} has tables of another form (PEP 518)."
        raise BadSdistError(what, file=filename)
    return tables


def _requires(
    fields: RawMetadata,
    tables: Mapping[str, Mapping[str, Any]],
    kept: Mapping[str, bytes],
    filename: str,
) -> tuple[tuple[str, ...], bool]:
    """Return what a project depends on, and whether a wheel is bound to say the same."""
    stated = fields.get("requires_dist", [])
    dynamic = {name.lower() for name in fields.get("dynamic", [])}
    if (
        _version(fields.get("metadata_version", "")) or Version("0")
    ) >= _STATIC and "requires-dist" not in dynamic:
        return _plain(stated, filename), True
    project = tables.get("project", {})
    if "name" in project and not {"dependencies", "optional-dependencies"} & set(project.get("dynamic", ())):
        return _plain([*project.get("dependencies", []), *_optional(project, filename)], filename), True
    written = next((data for name, data in sorted(kept.items()) if name.endswith("/requires.txt")), b"")
    return _plain(stated or list(_legacy(written.decode("utf-8", "replace"))), filename), False


def _optional(project: Mapping[str, Any], filename: str) -> Iterator[str]:
    extras = project.get("optional-dependencies", {})
    for extra, requires in extras.items() if isinstance(extras, dict) else ():
        for text in _plain(requires, filename):
            yield _with_marker(text, f"extra == '{canonicalize_name(extra)}'")


def _legacy(text: str) -> Iterator[str]:
    """Yield requirements of a ``requires.txt``; its sections are ``[extra]``, ``[:marker]`` and both."""
    extra = marker = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            extra, _, marker = line[1:-1].partition(":")
        elif line and not line.startswith("#"):
            said = [f"({marker})"] if marker else []
            said += [f"extra == '{canonicalize_name(extra)}'"] if extra else []
            yield _with_marker(line, " and ".join(said))


def _with_marker(text: str, marker: str) -> str:
    if not marker:
        return text
    requirement, _, own = text.partition(";")
    return f"{requirement.strip()} ; {f'({own.strip()}) and ' if own.strip() else ''}{marker}"


def _plain(values: object, filename: str) -> tuple[str, ...]:
    """Return requirements as they are compared; one that leads to an address is refused."""
    if not isinstance(values, list) or len(values) > REQUIREMENTS:
        what = f"{filename} names its requirements in another form, or too many of them."
        raise BadSdistError(what, file=filename)
    found = []
    for value in values:
        try:
            requirement = Requirement(value if isinstance(value, str) and value.isprintable() else "")
        except InvalidRequirement:
            requirement = None
        if requirement is None or requirement.url is not None:
            what = f"{filename} asks for {str(value)[:100]!r}, which is no requirement of an index."
            raise BadSdistError(what, file=filename)
        found.append(str(requirement))
    return tuple(found)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
