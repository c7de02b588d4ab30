"""Reading data sets as they come: folders and archives of OSV, the KEV catalogue, EPSS tables.

Nothing is unpacked to disk; names inside archives serve messages only. Every record is read with
its own bound whatever an archive declares, and the sum has one too.
"""

import csv
import gzip
import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from lockgate.advisories.errors import AdvisoryLimitError, BadAdvisoryError, NotAdvisoryDataError
from lockgate.advisories.limits import Limits
from lockgate.advisories.model import Exploited
from lockgate.advisories.osv import read_json
from lockgate.core.zips import ZIP_ERRORS

_PLAIN = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_HEAD = 512
_CVE_LENGTH = 32
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The KEV catalogue: when it was released, and its rows by CVE."""

    released: datetime
    rows: tuple[tuple[str, Exploited], ...]


class _KevRow(msgspec.Struct):
    cveID: str  # noqa: N815  # the catalogue's own key
    dateAdded: str  # noqa: N815  # the same
    dueDate: str = ""  # noqa: N815  # the same
    knownRansomwareCampaignUse: str = ""  # noqa: N815  # the same


class _Kev(msgspec.Struct):
    dateReleased: datetime  # noqa: N815  # the same
    vulnerabilities: list[_KevRow]


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file; links, devices and pipes are none.

    Raises:
        NotAdvisoryDataError: It is not one.

    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        stream = os.fdopen(descriptor, "rb")
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return stream
        stream.close()
    except OSError as error:
        what = f"{path} cannot be read: {error.strerror}."
        raise NotAdvisoryDataError(what, file=path) from error
    what = f"{path} is no regular file."
    raise NotAdvisoryDataError(what, file=path)


def osv_records(path: Path, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each record of a folder, an archive or a single file.

    Raises:
        NotAdvisoryDataError: There is none.
        BadAdvisoryError: The archive is damaged, encrypted or packed in another way.
        AdvisoryLimitError: Too many records, one is too long, or all together are.

    """
    if path.is_dir():
        source = _from_folder(path, limits)
    elif zipfile.is_zipfile(path):
        source = _from_archive(path, limits)
    else:
        source = iter([(path.name, read_bounded(path, limits.record_bytes, "record_bytes"))])
    count = total = 0
    for name, data in source:
        count += 1
        total += len(data)
        _within(count, limits.records, "records", path)
        _within(total, limits.total_bytes, "total_bytes", path)
        yield name, data
    if not count:
        what = f"{path} holds no OSV record."
        raise NotAdvisoryDataError(what, file=path)


def _within(value: int, limit: int, name: str, path: Path) -> None:
    if value > limit:
        what = f"{path} has more than {limit} {name.replace('_', ' ')}."
        raise AdvisoryLimitError(what, limit=name, file=path)


def read_bounded(path: Path, limit: int, name: str) -> bytes:
    """Return a file's bytes.

    Raises:
        NotAdvisoryDataError: It is no regular file.
        AdvisoryLimitError: It is longer than the bound of this name.

    """
    with open_regular(path) as stream:
        data = stream.read(limit + 1)
    _within(len(data), limit, name, path)
    return data


def _from_folder(folder: Path, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Yield the ``*.json`` of a folder in the order of their names; links are not followed."""
    for root, folders, files in os.walk(folder):
        folders.sort()
        depth = len(Path(root).relative_to(folder).parts)
        _within(depth, limits.depth, "depth", folder)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in sorted(files):
            file = Path(root, name)
            if name.endswith(".json") and not name.startswith(".") and not file.is_symlink():
                data = read_bounded(file, limits.record_bytes, "record_bytes")
                yield file.relative_to(folder).as_posix(), data


def _from_archive(path: Path, limits: Limits) -> Iterator[tuple[str, bytes]]:
    with open_regular(path) as stream:
        _within(os.fstat(stream.fileno()).st_size, limits.archive_bytes, "archive_bytes", path)
        _within(_directory_bytes(stream), limits.directory_bytes, "directory_bytes", path)
        try:
            with zipfile.ZipFile(stream) as archive:
                for member in archive.infolist():
                    if member.is_dir() or not member.filename.endswith(".json"):
                        continue
                    yield member.filename, _member(archive, member, limits, path)
        except ZIP_ERRORS as error:
            what = f"The archive {path.name} is damaged: {error}."
            raise BadAdvisoryError(what, file=path) from error


def _directory_bytes(stream: BinaryIO) -> int:
    """Return how long an archive's directory is, before all of it is read into memory.

    It is found by the very function that the reader uses, so that both speak of one directory.
    """
    end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]  # noqa: SLF001  # see above
    return int(end[5]) if end else 0


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits, path: Path) -> bytes:
    if member.flag_bits & _ENCRYPTED or member.compress_type not in _PLAIN:
        what = f"{member.filename[:200]!r} in {path.name} is encrypted or packed in a way that is not read."
        raise BadAdvisoryError(what, file=path)
    with archive.open(member) as stream:
        data = stream.read(limits.record_bytes + 1)
    _within(len(data), limits.record_bytes, "record_bytes", path)
    return data


def kev_catalogue(data: bytes, name: str) -> Catalogue:
    """Return the KEV catalogue.

    Raises:
        BadAdvisoryError: It is not one.

    """
    try:
        kev = msgspec.convert(read_json(data, name), _Kev)
    except msgspec.ValidationError as error:
        what = f"{name!r} is no KEV catalogue: {error}."
        raise BadAdvisoryError(what, record=name) from error
    released = kev.dateReleased
    rows = []
    for row in kev.vulnerabilities:
        if not row.cveID or len(row.cveID) > _CVE_LENGTH:
            what = f"{name!r} has a row without a CVE: {row.cveID[:80]!r}."
            raise BadAdvisoryError(what, record=name)
        known = row.knownRansomwareCampaignUse == "Known"
        rows.append((row.cveID, Exploited(added=row.dateAdded[:10], due=row.dueDate[:10], ransomware=known)))
    return Catalogue(released if released.tzinfo else released.replace(tzinfo=UTC), tuple(rows))


class _Bounded(io.RawIOBase):
    """A stream that ends with an error where it is longer than its bound."""

    def __init__(self, inner: BinaryIO, limit: int, path: Path) -> None:
        """Read `inner`, at most `limit` bytes of it."""
        self._inner, self._left, self._path = inner, limit, path
        self._limit = limit

    def readable(self) -> bool:
        """Say that this can be read."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill a buffer."""
        view = memoryview(buffer)  # type: ignore[arg-type]  # every caller gives a buffer
        data = self._inner.read(len(view))
        self._left -= len(data)
        if self._left < 0:
            _within(self._limit + 1, self._limit, "table_bytes", self._path)
        view[: len(data)] = data
        return len(data)


@dataclass(frozen=True, slots=True)
class Table:
    """An EPSS table that is being read: its date, and its rows (CVE, probability in millionths)."""

    scored: datetime
    rows: Iterable[tuple[str, int]]


def epss_table(stream: BinaryIO, path: Path, limits: Limits) -> Table:
    """Return an EPSS table, plain or gzipped; rows are read as they are asked for.

    Raises:
        BadAdvisoryError: It has no date or columns; while its rows are read also for a bad row.
        AdvisoryLimitError: Too long, or too many rows.

    """
    packed = stream.read(2) == b"\x1f\x8b"
    stream.seek(0)
    inner: BinaryIO = gzip.GzipFile(fileobj=stream) if packed else stream  # type: ignore[assignment]
    raw = io.BufferedReader(_Bounded(inner, limits.table_bytes, path))
    text = io.TextIOWrapper(raw, encoding="utf-8", newline="")
    try:
        head = text.readline(_HEAD)
        columns = text.readline(_HEAD).strip()
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise _bad_table(path, str(error)) from error
    facts = dict(part.partition(":")[::2] for part in head.lstrip("#").strip().split(","))
    try:
        scored = datetime.fromisoformat(facts.get("score_date", ""))
    except ValueError:
        raise _bad_table(path, "its first line names no score_date") from None
    if columns != "cve,epss,percentile":
        raise _bad_table(path, "its columns are not cve, epss, percentile")
    return Table(scored if scored.tzinfo else scored.replace(tzinfo=UTC), _epss_rows(text, path, limits))


def _epss_rows(text: io.TextIOWrapper, path: Path, limits: Limits) -> Iterator[tuple[str, int]]:
    try:
        for number, row in enumerate(csv.reader(text), 3):
            _within(number, limits.rows, "rows", path)
            cve, score, _ = row
            ppm = round(float(score) * _MILLION)
            if len(cve) > _CVE_LENGTH or not 0 <= ppm <= _MILLION:
                raise _bad_table(path, f"line {number} is out of bounds")
            yield cve, ppm
    except (OSError, EOFError, ValueError, OverflowError, csv.Error, zlib.error) as error:
        raise _bad_table(path, str(error)[:200]) from error


def _bad_table(path: Path, reason: str) -> BadAdvisoryError:
    return BadAdvisoryError(f"{path.name} is no EPSS table: {reason}.", file=path)
