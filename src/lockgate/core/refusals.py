"""What newer verdicts say may not be loaded: a signed list that whoever loads a model reads.

The channel is what serves; this list is looked at once more when something is loaded, also where no policy
lets the gate withdraw by itself.
"""

from typing import Annotated

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.errors import LimitError
from lockgate.core.wire import Document, Moment

REFUSALS_FORMAT = "lockgate-refusals/1"
REFUSALS_TYPE = "application/vnd.lockgate.refusals+json"
"""DSSE payload type of a list."""

REFUSALS_LIMIT = 32 << 20
"""Longest signed list that is read, in bytes."""

ENTRIES_LIMIT = 50_000
"""Most digests of one list."""


class TooManyRefusalsError(LimitError):
    """Newer verdicts refuse more files than a signed list holds."""

    code = "LG-4021"
    advice = "Rules that fire on everything are faulty: withdraw the pack (`lockgate gate withdraw`)."


class Refusals(Document, frozen=True):
    """Digests of files that must not be loaded, with the reason; `number` only rises."""

    format: str
    lane: str
    number: Annotated[int, msgspec.Meta(ge=1)]
    made: Moment
    refused: dict[Digest, str]


class RefusalRow(Document, frozen=True):
    """Which list the gate signed last."""

    number: int
    refused_sha256: Digest
    envelope_sha256: Digest
