"""One data set as one SQLite file: written once, named by its digest, read only ever after.

It is no record of the site's: it can be made again from its source, is asked for single rows by
key, and may be larger than memory. Hence a file of its own beside the records.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import msgspec

from lockgate.advisories.errors import AdvisoryStoreError, BadAdvisoryError, DataSetAlteredError
from lockgate.advisories.model import Advisory, Entry, Exploited, SetKind, Source
from lockgate.advisories.osv import Parsed
from lockgate.advisories.ports import AdvisoryData, Row
from lockgate.core.digests import sha256_stream

_SCHEMA = """
CREATE TABLE advisory (id TEXT PRIMARY KEY, body BLOB NOT NULL, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE alias (alias TEXT, id TEXT, PRIMARY KEY (alias, id)) WITHOUT ROWID;
CREATE TABLE package (ecosystem TEXT, name TEXT, release TEXT, basis TEXT NOT NULL, entries BLOB NOT NULL,
                      PRIMARY KEY (ecosystem, name, release)) WITHOUT ROWID;
CREATE TABLE exploited (cve TEXT PRIMARY KEY, added TEXT, due TEXT, ransomware INTEGER) WITHOUT ROWID;
CREATE TABLE likelihood (cve TEXT PRIMARY KEY, ppm INTEGER) WITHOUT ROWID;
CREATE TEMP TABLE part (ecosystem TEXT, name TEXT, release TEXT, id TEXT, entry BLOB);
"""
_BATCH = 2_000
_CACHED = 20_000
_CACHE_KIB = 64 * 1024

_entry = msgspec.msgpack.Encoder()
_entries = msgspec.msgpack.Decoder(tuple[Entry, ...])
_advisory = msgspec.msgpack.Decoder(Advisory)


class SetWriter:
    """Writes one data set; whatever happens, nothing reads the file before it is finished."""

    def __init__(self, file: Path) -> None:
        """Begin a new file.

        Raises:
            AdvisoryStoreError: The disk refused.

        """
        settings = f"PRAGMA synchronous = OFF; PRAGMA temp_store = 1; PRAGMA cache_size = -{_CACHE_KIB};"
        try:
            self._db = sqlite3.connect(file, isolation_level=None)
            self._db.executescript(f"PRAGMA journal_mode = OFF; {settings} {_SCHEMA} BEGIN;")
        except sqlite3.Error as error:
            what = f"A data set could not be begun: {error}."
            raise AdvisoryStoreError(what, file=file) from error
        self._parts: list[tuple[str, str, str, str, bytes]] = []

    def add(self, parsed: Parsed, record: bytes) -> None:
        """Add a record.

        Raises:
            BadAdvisoryError: Its identifier is there already.
            AdvisoryStoreError: The disk refused.

        """
        known = parsed.advisory
        try:
            self._db.execute(
                "INSERT INTO advisory VALUES (?, ?, ?)", (known.id, _entry.encode(known), record)
            )
        except sqlite3.IntegrityError as error:
            what = f"Two records have the identifier {known.id}."
            raise BadAdvisoryError(what, record=known.id) from error
        except sqlite3.Error as error:
            raise _refused(error) from error
        if not known.withdrawn:
            names = dict.fromkeys((*known.aliases, *known.upstream))
            self._many("INSERT INTO alias VALUES (?, ?)", ((a, known.id) for a in names))
        for name, entry in parsed.entries:
            packed = _entry.encode(entry)
            self._parts.append((name.ecosystem, name.name, name.release, known.id, packed))
        if len(self._parts) >= _BATCH:
            self._flush()

    def add_exploited(self, rows: Iterable[tuple[str, Exploited]]) -> None:
        """Add the rows of a KEV catalogue."""
        values = ((cve, e.added, e.due, int(e.ransomware)) for cve, e in rows)
        self._many("INSERT OR REPLACE INTO exploited VALUES (?, ?, ?, ?)", values)

    def add_likelihoods(self, rows: Iterable[tuple[str, int]]) -> None:
        """Add the rows of an EPSS table."""
        self._many("INSERT OR REPLACE INTO likelihood VALUES (?, ?)", rows)

    def _many(self, statement: str, values: Iterable[tuple[object, ...]]) -> None:
        try:
            self._db.executemany(statement, values)
        except sqlite3.Error as error:
            raise _refused(error) from error

    def _flush(self) -> None:
        self._many("INSERT INTO part VALUES (?, ?, ?, ?, ?)", self._parts)
        self._parts.clear()

    def finish(self) -> tuple[str, ...]:
        """Gather the entries of each package, end the file and return the ecosystems in it."""
        self._flush()
        order = "SELECT ecosystem, name, release, entry FROM part ORDER BY ecosystem, name, release, id"
        try:
            rows = self._db.execute(order)
            self._many("INSERT INTO package VALUES (?, ?, ?, ?, ?)", _gathered(rows))
            self._db.execute("COMMIT")
            found = self._db.execute("SELECT DISTINCT ecosystem FROM package ORDER BY ecosystem").fetchall()
        except sqlite3.Error as error:
            raise _refused(error) from error
        self.close()
        return tuple(name for (name,) in found)

    def close(self) -> None:
        """Let go of the file, finished or not."""
        self._db.close()


def _refused(error: sqlite3.Error) -> AdvisoryStoreError:
    return AdvisoryStoreError(f"A data set could not be written: {error}.")


def _gathered(rows: Iterable[tuple[str, str, str, bytes]]) -> Iterable[tuple[str, str, str, str, bytes]]:
    """Yield one row for each package from its parts, which come in order."""
    present: tuple[str, str, str] | None = None
    parts: list[bytes] = []
    for ecosystem, name, release, entry in rows:
        if (ecosystem, name, release) != present:
            if present is not None:
                yield (*present, *_packed(parts))
            present, parts = (ecosystem, name, release), []
        parts.append(entry)
    if present is not None:
        yield (*present, *_packed(parts))


def _packed(parts: Sequence[bytes]) -> tuple[str, bytes]:
    packed = _entry.encode([msgspec.Raw(part) for part in parts])
    return sha256(packed).hexdigest()[:32], packed


class FileData(AdvisoryData):
    """Data sets in files, each hashed when it is opened."""

    def __init__(self, files: Sequence[tuple[Source, Path]]) -> None:
        """Open data sets.

        Raises:
            DataSetAlteredError: A file is not the one that its source names.
            AdvisoryStoreError: A file is missing or cannot be read.

        """
        self._sources = tuple(source for source, _ in files)
        self._open: dict[str, sqlite3.Connection] = {}
        for source, file in files:
            _demand_same(source, file)
            self._open[source.name] = sqlite3.connect(
                f"file:{quote(str(file))}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
        self._osv = {
            ecosystem: [s.name for s in self._sources if s.kind is SetKind.OSV and ecosystem in s.ecosystems]
            for ecosystem in {e for s in self._sources for e in s.ecosystems}
        }
        self._records = [s.name for s in self._sources if s.kind is SetKind.OSV]
        self.advisories = lru_cache(_CACHED)(self._advisories)  # type: ignore[method-assign]  # same signature

    def close(self) -> None:
        """Let go of the files."""
        for connection in self._open.values():
            connection.close()

    @property
    def sources(self) -> tuple[Source, ...]:
        """Return the loaded data sets."""
        return self._sources

    def rows(self, ecosystem: str, name: str) -> Sequence[Row]:
        """Return what each data set says of a package, in every release."""
        found = []
        question = "SELECT release, basis, entries FROM package WHERE ecosystem = ? AND name = ?"
        for source in self._osv.get(ecosystem, ()):
            rows = self._open[source].execute(question, (ecosystem, name))
            found += [Row(source, *row) for row in rows]
        return found

    def entries(self, row: Row) -> tuple[Entry, ...]:
        """Return the entries of a row."""
        return _entries.decode(row.packed)

    def advisories(self, identifier: str) -> Sequence[tuple[str, Advisory]]:
        """Return each data set's name and advisory under an identifier."""
        return self._advisories(identifier)

    def _advisories(self, identifier: str) -> Sequence[tuple[str, Advisory]]:
        found = []
        for source in self._records:
            row = self._open[source].execute("SELECT body FROM advisory WHERE id = ?", (identifier,))
            found += [(source, _advisory.decode(body)) for (body,) in row]
        return found

    def named(self, alias: str) -> Sequence[str]:
        """Return the identifiers of advisories that list an alias, or are about it upstream."""
        question = "SELECT id FROM alias WHERE alias = ? LIMIT 1000"
        rows = (self._open[source].execute(question, (alias,)) for source in self._records)
        return list(dict.fromkeys(found for row in rows for (found,) in row))

    def record(self, source: str, identifier: str) -> bytes:
        """Return the bytes of a record as they were loaded."""
        question = "SELECT record FROM advisory WHERE id = ?"
        row = self._open[source].execute(question, (identifier,)).fetchone()
        return bytes(row[0]) if row else b""

    def exploited(self, cve: str) -> Exploited | None:
        """Return what the KEV catalogue says of a CVE, or None."""
        for source in self._of(SetKind.KEV):
            question = "SELECT added, due, ransomware FROM exploited WHERE cve = ?"
            if row := self._open[source].execute(question, (cve,)).fetchone():
                return Exploited(added=row[0], due=row[1], ransomware=bool(row[2]))
        return None

    def likelihood(self, cve: str) -> int:
        """Return the EPSS probability of a CVE in millionths, or -1."""
        for source in self._of(SetKind.EPSS):
            row = self._open[source].execute("SELECT ppm FROM likelihood WHERE cve = ?", (cve,)).fetchone()
            if row:
                return int(row[0])
        return -1

    def _of(self, kind: SetKind) -> list[str]:
        return [source.name for source in self._sources if source.kind is kind]


def _demand_same(source: Source, file: Path) -> None:
    try:
        with file.open("rb") as stream:
            digest, _ = sha256_stream(stream)
    except OSError as error:
        what = f"The data set {source.name} cannot be read: {error.strerror}."
        raise AdvisoryStoreError(what, file=file) from error
    if digest != source.sha256:
        what = f"The data set {source.name} is not the one that was loaded."
        raise DataSetAlteredError(what, file=file)
