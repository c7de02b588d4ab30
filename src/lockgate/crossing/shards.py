r"""shards.idx: the SHA-256 of every volume's header block, of every sealed record and parity shard.

Layout: magic ``LGIDX1\r\n``, u32 number of sections; then for each section its kind (4 bytes;
``VOL1``, then ``PAR1``), u32 number of the volume, u32 length of its header block, u32 number of
digests, and the digests (32 bytes each: the header block, then the records in order). All numbers
are big-endian. A parity volume has the shape of the longest volume of its group: one shard over the
header blocks, then one over the records of each number.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.core.errors import TrustError
from lockgate.crossing.errors import ManifestError
from lockgate.crossing.format import (
    HEADER_LIMIT,
    RECORD_SIZE,
    SHARDS_FILE,
    TAG_SIZE,
    Parity,
    VolumeEntry,
    record_count,
)

MAGIC = b"LGIDX1\r\n"
KIND_VOLUME = b"VOL1"
KIND_PARITY = b"PAR1"
DIGEST_SIZE = 32
_COUNT = struct.Struct(">I")
_SECTION = struct.Struct(">4sIII")


@dataclass(frozen=True, slots=True)
class VolumeShards:
    """The digests of one volume."""

    header_size: int
    digests: bytes

    def __len__(self) -> int:
        """Return how many digests there are, the header's included."""
        return len(self.digests) // DIGEST_SIZE

    def digest(self, shard: int) -> bytes:
        """Return the digest of the header block (0) or of record `shard - 1`."""
        return self.digests[shard * DIGEST_SIZE : (shard + 1) * DIGEST_SIZE]


@dataclass(frozen=True, slots=True)
class ShardedFile:
    """A volume or parity volume as a row of shards: the header block, then the records."""

    name: str
    size: int
    shards: VolumeShards

    def span(self, shard: int) -> tuple[int, int]:
        """Return offset and length of a shard in bytes; a shard that the file has not is empty."""
        if shard == 0:
            return 0, self.shards.header_size
        offset = self.shards.header_size + (shard - 1) * (RECORD_SIZE + TAG_SIZE)
        return offset, max(0, min(RECORD_SIZE + TAG_SIZE, self.size - offset))


@dataclass(frozen=True, slots=True)
class _Section:
    """What crate.json says of a section of the index; `sealed` counts the bytes behind the header."""

    kind: bytes
    number: int
    name: str
    size: int
    records: int
    sealed: int


def _sections(volumes: Sequence[VolumeEntry], parity: Parity | None) -> list[_Section]:
    found = [
        _Section(KIND_VOLUME, n, v.name, v.size, v.records, v.plaintext_size + TAG_SIZE * v.records)
        for n, v in enumerate(volumes, 1)
    ]
    if parity is None:
        return found
    left, entries = found.copy(), list(enumerate(parity.volumes, 1))
    for group in parity.groups:
        members, left = left[: group.volumes], left[group.volumes :]
        records, sealed = max(m.records for m in members), max(m.sealed for m in members)
        mine, entries = entries[: group.parity], entries[group.parity :]
        found += [_Section(KIND_PARITY, n, e.name, e.size, records, sealed) for n, e in mine]
    return found


def index_size(volumes: Sequence[VolumeEntry], parity: Parity | None = None) -> int:
    """Return the exact length of the index that belongs to these volumes, in bytes."""
    sections = _sections(volumes, parity)
    shards = sum(section.records + 1 for section in sections)
    return len(MAGIC) + _COUNT.size + len(sections) * _SECTION.size + shards * DIGEST_SIZE


def write_index(volumes: Sequence[VolumeShards], parity: Sequence[VolumeShards] = ()) -> bytes:
    """Return the bytes of the index."""
    parts = [MAGIC, _COUNT.pack(len(volumes) + len(parity))]
    for kind, files in ((KIND_VOLUME, volumes), (KIND_PARITY, parity)):
        for number, shards in enumerate(files, 1):
            parts += [_SECTION.pack(kind, number, shards.header_size, len(shards)), shards.digests]
    return b"".join(parts)


def _fault(what: str, offset: int) -> TrustError:
    return ManifestError(what, file=SHARDS_FILE, offset=offset)


def read_index(
    data: bytes, volumes: Sequence[VolumeEntry], parity: Parity | None = None
) -> list[ShardedFile]:
    """Read an index whose digest was already checked, and hold it against crate.json.

    Returns:
        The volumes in order, then the parity volumes.

    Raises:
        ManifestError: It contradicts crate.json. That is the sealer's fault, never damage.

    """
    sections, size = _sections(volumes, parity), index_size(volumes, parity)
    if len(data) != size or not data.startswith(MAGIC):
        what = f"The shard index has {len(data)} bytes, not {size}, or another form."
        raise _fault(what, 0)
    at = len(MAGIC)
    if _COUNT.unpack_from(data, at) != (len(sections),):
        raise _fault("The shard index counts other volumes than crate.json.", at)
    at += _COUNT.size
    found = []
    for place, section in enumerate(sections, 1):
        kind, listed, header, count = _SECTION.unpack_from(data, at)
        if (kind, listed, count) != (section.kind, section.number, section.records + 1):
            what = f"Section {place} of the shard index does not describe {section.name}."
            raise _fault(what, at)
        if header > HEADER_LIMIT or header + section.sealed != section.size:
            what = f"Section {place} of the shard index gives {section.name} another length than crate.json."
            raise _fault(what, at)
        if record_count(section.sealed - TAG_SIZE * section.records) != section.records:
            what = f"crate.json gives {section.name} {section.records} records for its content."
            raise _fault(what, at)
        at += _SECTION.size
        shards = VolumeShards(header, data[at : at + count * DIGEST_SIZE])
        found.append(ShardedFile(section.name, section.size, shards))
        at += count * DIGEST_SIZE
    return found
