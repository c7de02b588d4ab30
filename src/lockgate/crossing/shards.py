r"""shards.idx: the SHA-256 of every volume's header block and of every sealed record.

Layout: magic ``LGIDX1\r\n``, u32 number of sections; then for each section its kind (4 bytes;
``VOL1``), u32 number of the volume, u32 length of its header block, u32 number of digests, and
the digests (32 bytes each: the header block, then the records in order). All numbers are
big-endian. Parity volumes will be sections of another kind.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.core.errors import TrustError
from lockgate.crossing.errors import ManifestError
from lockgate.crossing.format import HEADER_LIMIT, SHARDS_FILE, TAG_SIZE, VolumeEntry, record_count

MAGIC = b"LGIDX1\r\n"
KIND_VOLUME = b"VOL1"
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


def index_size(volumes: Sequence[VolumeEntry]) -> int:
    """Return the exact length of the index that belongs to these volumes, in bytes."""
    shards = sum(volume.records + 1 for volume in volumes)
    return len(MAGIC) + _COUNT.size + len(volumes) * _SECTION.size + shards * DIGEST_SIZE


def write_index(volumes: Sequence[VolumeShards]) -> bytes:
    """Return the bytes of the index."""
    parts = [MAGIC, _COUNT.pack(len(volumes))]
    for number, shards in enumerate(volumes, 1):
        parts += [_SECTION.pack(KIND_VOLUME, number, shards.header_size, len(shards)), shards.digests]
    return b"".join(parts)


def _fault(what: str, offset: int) -> TrustError:
    return ManifestError(what, file=SHARDS_FILE, offset=offset)


def read_index(data: bytes, volumes: Sequence[VolumeEntry]) -> list[VolumeShards]:
    """Read an index whose digest was already checked, and hold it against crate.json.

    Raises:
        ManifestError: It contradicts crate.json. That is the sealer's fault, never damage.

    """
    if len(data) != index_size(volumes) or not data.startswith(MAGIC):
        what = f"The shard index has {len(data)} bytes, not {index_size(volumes)}, or another form."
        raise _fault(what, 0)
    at = len(MAGIC)
    if _COUNT.unpack_from(data, at) != (len(volumes),):
        raise _fault("The shard index counts other volumes than crate.json.", at)
    at += _COUNT.size
    found = []
    for number, volume in enumerate(volumes, 1):
        kind, listed, header, count = _SECTION.unpack_from(data, at)
        if (kind, listed, count) != (KIND_VOLUME, number, volume.records + 1):
            what = f"Section {number} of the shard index does not describe {volume.name}."
            raise _fault(what, at)
        if header > HEADER_LIMIT or header + volume.plaintext_size + TAG_SIZE * volume.records != volume.size:
            what = f"Section {number} of the shard index gives {volume.name} another length than crate.json."
            raise _fault(what, at)
        if record_count(volume.plaintext_size) != volume.records:
            what = f"crate.json gives {volume.name} {volume.records} records for its content."
            raise _fault(what, at)
        at += _SECTION.size
        found.append(VolumeShards(header, data[at : at + count * DIGEST_SIZE]))
        at += count * DIGEST_SIZE
    return found
