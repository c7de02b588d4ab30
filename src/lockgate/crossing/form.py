"""What a crate.json has to be in itself, for whatever lane. Pure: no file is touched here."""

from typing import NamedTuple

import msgspec

from lockgate.core.wire import digest_of
from lockgate.crossing.erasure import SHARDS_LIMIT
from lockgate.crossing.errors import ManifestError
from lockgate.crossing.folder import naming
from lockgate.crossing.format import (
    CRATE_FILE,
    CRATE_FORMAT,
    CROSSING_BASES_LIMIT,
    DELTA,
    FULL,
    NOTHING,
    PARITY_SCHEME,
    RECIPIENTS_LIMIT,
    RECORDS_LIMIT,
    TAG_SIZE,
    VOID_LIMIT,
    VOLUMES_LIMIT,
    Manifest,
    Parity,
    parity_name,
    record_count,
    volume_name,
)

_DIGITS = 6
"""Most digits of a crossing's number."""


def demand_consistent(manifest: Manifest, folder: str) -> None:
    """Demand what this version reads, consistent in itself, for whatever lane.

    Raises:
        ManifestError: It contradicts itself or asks for what this version does not read.

    """
    with naming(CRATE_FILE):
        if fault := _fault(manifest, folder):
            raise ManifestError(fault.what, field=fault.field)


class _Fault(NamedTuple):
    """What is wrong in a crate.json, and in which field."""

    field: str
    what: str


def _fault(manifest: Manifest, folder: str) -> _Fault | None:
    if manifest.format != CRATE_FORMAT or manifest.kind not in {FULL, DELTA}:
        what = f"This version reads {FULL} and {DELTA} crates of {CRATE_FORMAT}, not {manifest.kind[:80]!r}."
        return _Fault("$.kind" if manifest.format == CRATE_FORMAT else "$.format", what)
    if manifest.folder != folder:
        named = "$.sequence" if manifest.crate.startswith(folder.rpartition("-")[2]) else "$.crate"
        return _Fault(named, f"The crate {manifest.folder} lies in a folder that is named {folder}.")
    counts = (
        ("$.volumes", len(manifest.volumes), VOLUMES_LIMIT),
        (
            "$.recipients",
            len(manifest.recipients) + manifest.open_to_all,
            RECIPIENTS_LIMIT + manifest.open_to_all,
        ),
        ("$.void", len(manifest.void) + 1, VOID_LIMIT + 1),
    )
    for field, count, limit in counts:
        if not 1 <= count <= limit:
            return _Fault(field, "crate.json lists no or too many volumes, recipients or skipped numbers.")
    ids = [recipient.recipient for recipient in manifest.recipients]
    if ids != sorted(set(ids)) or manifest.expires <= manifest.created:
        field = "$.recipients" if ids != sorted(set(ids)) else "$.expires"
        return _Fault(field, "The recipients are not in order, or the crate expires before it was created.")
    if any(not key.isdecimal() or str(int(key)) != key for key in manifest.void):
        return _Fault("$.void", "A skipped number is not written as a plain decimal.")
    return _cleartext_fault(manifest) or _bases_fault(manifest) or _volume_fault(manifest)


def _bases_fault(manifest: Manifest) -> _Fault | None:
    if isinstance(manifest.bases, msgspec.UnsetType):
        if manifest.kind != DELTA and manifest.base_sha256 == NOTHING:
            return None
        field = "$.kind" if manifest.kind == DELTA else "$.base_sha256"
        return _Fault(field, "A crate that names no crossing to build on is full and has no base.")
    numbers = list(manifest.bases)
    plain = all(n.isascii() and n.isdecimal() and str(int(n)) == n and len(n) <= _DIGITS for n in numbers)
    if not plain or not numbers or len(numbers) > CROSSING_BASES_LIMIT or manifest.kind != DELTA:
        what = "The crossings to build on are not numbered plainly, are too many, or the crate is full."
        return _Fault("$.bases", what)
    later = max(map(int, numbers)) >= manifest.sequence
    if later or manifest.base_sha256 != digest_of(manifest.bases):
        what = "The crate builds on a later crossing, or its base is not the digest of what it lists."
        return _Fault("$.bases" if later else "$.base_sha256", what)
    return None


def _cleartext_fault(manifest: Manifest) -> _Fault | None:
    """Return what is wrong with a crate that is signed and not sealed: it has nothing that keys are for."""
    keyed = bool(manifest.recipients) or any(volume.commitment != NOTHING for volume in manifest.volumes)
    if manifest.cleartext is False or (manifest.open_to_all and keyed):
        what = "A crate in cleartext has recipients or keys, or one that is sealed says so twice."
        return _Fault("$.cleartext", what)
    return None


def _volume_fault(manifest: Manifest) -> _Fault | None:
    for number, volume in enumerate(manifest.volumes, 1):
        least = volume.plaintext_size + volume.records * TAG_SIZE
        if (
            volume.name != volume_name(number)
            or not 1 <= volume.records < RECORDS_LIMIT
            or volume.records != record_count(volume.plaintext_size)
            or volume.size <= least
        ):
            what = f"The sizes or the name of volume {number} contradict one another."
            return _Fault(f"$.volumes[{number - 1}]", what)
    return None if manifest.parity is None else _parity_fault(manifest, manifest.parity)


def _parity_fault(manifest: Manifest, parity: Parity) -> _Fault | None:
    if parity.scheme != PARITY_SCHEME:
        what = f"This version reads parity of the scheme {PARITY_SCHEME}, not {parity.scheme[:80]!r}."
        return _Fault("$.parity.scheme", what)
    if any(group.volumes + group.parity > SHARDS_LIMIT for group in parity.groups):
        what = f"A group of volumes and parity has more than {SHARDS_LIMIT} files."
        return _Fault("$.parity.groups", what)
    if sum(group.volumes for group in parity.groups) != len(manifest.volumes):
        what = "The groups of the parity count other volumes than there are."
        return _Fault("$.parity.groups", what)
    names = [parity_name(number) for number in range(1, len(parity.volumes) + 1)]
    if (
        [entry.name for entry in parity.volumes] != names
        or sum(group.parity for group in parity.groups) != len(names)
        or len(names) > VOLUMES_LIMIT
    ):
        what = "The names or the number of the parity volumes contradict the groups."
        return _Fault("$.parity.volumes", what)
    return None
