"""How a payload is cut into volumes, decided before a byte is written."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from lockgate.crossing.errors import CrateLimitError, VolumeSizeError
from lockgate.crossing.format import (
    BULK_SUITE,
    CLEARTEXT_SUITE,
    CRATE_FORMAT,
    RECORD_SIZE,
    RECORDS_LIMIT,
    TAG_SIZE,
    VOLUMES_LIMIT,
    VolumeHeader,
    header_block,
    record_count,
    volume_name,
)

VOLUME_MINIMUM = 4096
"""Smallest volume size that a crate may be cut into, in bytes."""

NO_PARITY = Fraction(0)

GROUP_VOLUMES = 100
"""Most volumes that share parity: more would make it slow to compute."""

LOSSES = 4
"""Parity volumes that are aimed at: content is cut into smaller volumes until it has as many."""

WRAPPED_SIZE = 65 + 32 + 16
"""Length of a wrapped volume key: P-256 point, key, tag (RFC 9180, section 7.1)."""


@dataclass(frozen=True, slots=True)
class PlannedVolume:
    """One volume before it is written; sizes in bytes."""

    number: int
    header_size: int
    plaintext_size: int

    @property
    def name(self) -> str:
        """Return the file name."""
        return volume_name(self.number)

    @property
    def records(self) -> int:
        """Return how many records it will hold."""
        return record_count(self.plaintext_size)

    @property
    def size(self) -> int:
        """Return the length of the whole file in bytes."""
        return self.header_size + self.plaintext_size + self.records * TAG_SIZE


def header_size(lane: str, crate: str, number: int, recipients: Sequence[str]) -> int:
    """Return the exact length of a volume's header block in bytes."""
    filler = base64.standard_b64encode(bytes(WRAPPED_SIZE)).decode()
    header = VolumeHeader(
        format=CRATE_FORMAT,
        lane=lane,
        crate=crate,
        volume=number,
        suite=BULK_SUITE if recipients else CLEARTEXT_SUITE,
        record_size=RECORD_SIZE,
        nonce="0" * 14,
        keys=dict.fromkeys(recipients, filler),
    )
    return len(header_block(header))


def capacity(sealed: int) -> int:
    """Return how many plaintext bytes fit into that many bytes of sealed records."""
    whole, rest = divmod(sealed, RECORD_SIZE + TAG_SIZE)
    return whole * RECORD_SIZE + max(0, rest - TAG_SIZE)


def _share_bound(payload: int, share: Fraction) -> int:
    """Return the plaintext that a volume may hold so that there are enough of them; at least a record."""
    wanted = min(GROUP_VOLUMES, math.ceil(LOSSES / share))
    return max(1, -(-payload // (wanted * RECORD_SIZE))) * RECORD_SIZE


def layout(
    payload: int,
    volume_bytes: int,
    lane: str,
    crate: str,
    recipients: Sequence[str],
    *,
    share: Fraction = NO_PARITY,
) -> tuple[PlannedVolume, ...]:
    """Return the volumes that a payload is cut into; each but the last is as full as it can be.

    Args:
        payload: Length of the payload in bytes.
        volume_bytes: Largest size of a volume file in bytes.
        lane: Name of the lane.
        crate: Id of the crate.
        recipients: Ids of the recipients.
        share: Parity volumes per volume. A parity volume is as long as its longest volume, so that
            content which would fill a few large volumes is cut into more and smaller ones.

    Raises:
        VolumeSizeError: A volume of that size has no room for content.
        CrateLimitError: More volumes or records than the format counts.

    """
    volumes: list[PlannedVolume] = []
    left = payload
    # With the widest header, no parity volume gets longer than the medium takes.
    widest = header_size(lane, crate, VOLUMES_LIMIT, recipients)
    while left:
        number = len(volumes) + 1
        header = header_size(lane, crate, number, recipients)
        room = capacity(volume_bytes - (widest if share else header))
        room = min(room, _share_bound(payload, share)) if share else room
        if volume_bytes < VOLUME_MINIMUM or room < 1:
            what = f"A volume of {volume_bytes} bytes has no room for content."
            raise VolumeSizeError(what, header=header)
        if number > VOLUMES_LIMIT:
            what = f"The content needs more than {VOLUMES_LIMIT} volumes of {volume_bytes} bytes."
            raise CrateLimitError(what, limit="volumes")
        volume = PlannedVolume(number, header, min(left, room))
        if volume.records >= RECORDS_LIMIT:
            what = f"A volume of {volume_bytes} bytes holds more records than can be numbered."
            raise CrateLimitError(what, limit="records")
        volumes.append(volume)
        left -= volume.plaintext_size
    return tuple(volumes)
