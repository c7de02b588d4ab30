"""Advisory data in memory: the double of the port, held to the same contract as the files."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import msgspec

from lockgate.advisories.model import Advisory, Entry, Exploited, SetKind, Source
from lockgate.advisories.osv import Parsed
from lockgate.advisories.ports import AdvisoryData, Row


class MemoryData(AdvisoryData):
    """One OSV data set in memory, with exploited vulnerabilities and likelihoods beside it."""

    def __init__(
        self,
        source: Source,
        records: Iterable[tuple[Parsed, bytes]],
        exploited: Mapping[str, Exploited] | None = None,
        likelihoods: Mapping[str, int] | None = None,
        tables: Sequence[Source] = (),
    ) -> None:
        """Keep some records."""
        self._exploited, self._likelihoods = exploited or {}, likelihoods or {}
        self._advisories: dict[str, Advisory] = {}
        self._records: dict[str, bytes] = {}
        packages: dict[tuple[str, str, str], list[Entry]] = defaultdict(list)
        for parsed, record in records:
            self._advisories[parsed.advisory.id] = parsed.advisory
            self._records[parsed.advisory.id] = record
            for name, entry in parsed.entries:
                packages[name.ecosystem, name.name, name.release].append(entry)
        self._packages = {key: msgspec.msgpack.encode(entries) for key, entries in packages.items()}
        ecosystems = tuple(sorted({key[0] for key in packages}))
        self._source = msgspec.structs.replace(source, ecosystems=ecosystems, kind=SetKind.OSV)
        self._tables = tuple(tables)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Return the data sets."""
        return (self._source, *self._tables)

    def rows(self, ecosystem: str, name: str) -> Sequence[Row]:
        """Return what is said of a package."""
        return [
            Row(self._source.name, key[2], sha256(packed).hexdigest()[:32], packed)
            for key, packed in self._packages.items()
            if key[:2] == (ecosystem, name)
        ]

    def entries(self, row: Row) -> tuple[Entry, ...]:
        """Return the entries of a row."""
        return msgspec.msgpack.decode(row.packed, type=tuple[Entry, ...])

    def advisories(self, identifier: str) -> Sequence[tuple[str, Advisory]]:
        """Return the advisory under an identifier."""
        known = self._advisories.get(identifier)
        return [] if known is None else [(self._source.name, known)]

    def named(self, alias: str) -> Sequence[str]:
        """Return the identifiers of advisories that list an alias, or are about it upstream."""
        every = self._advisories.values()
        return [a.id for a in every if alias in (*a.aliases, *a.upstream) and not a.withdrawn]

    def record(self, source: str, identifier: str) -> bytes:
        """Return the bytes of a record."""
        return self._records.get(identifier, b"") if source == self._source.name else b""

    def exploited(self, cve: str) -> Exploited | None:
        """Return what is said of a CVE's exploitation."""
        return self._exploited.get(cve)

    def likelihood(self, cve: str) -> int:
        """Return a CVE's probability in millionths, or -1."""
        return self._likelihoods.get(cve, -1)
