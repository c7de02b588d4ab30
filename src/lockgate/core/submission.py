"""Submissions: artifacts that were made on the high side and enter by the same gate as what crossed.

A submission has a number in the gate's records like a crossing, in a range of its own that no crossing
reaches: the lane's ledger, which counts crossings without gaps, never hears of it.
"""

from typing import Annotated

import msgspec

from lockgate.core.artifact import Artifact, Digest, Kind
from lockgate.core.wire import Document, Moment

SUBMISSION_FORMAT = "lockgate-submission/1"
FIRST = 900_001
"""Number of the first submission; the record keys of crossings have six digits."""
LAST = 999_999

ORIGIN, INTERNAL = "origin", "internal"
"""The attribute by which an artifact says that it was made inside. The gate goes by its number alone."""
DERIVED = "derived-from"
"""The attribute that names what an artifact was made of: package URLs with spaces between."""
SUBMITTER = "submitted-by"

INSIDE = "inside"
"""Begins the name of a pushed image once it is admitted, where others have their registry."""

DERIVED_LIMIT = 64
"""Most package URLs that one artifact may be made of."""


class Submission(Document, frozen=True):
    """Who submitted what, by which way, made of what. Its digest stands where a crossing has its crate's."""

    format: str
    lane: str
    number: Annotated[int, msgspec.Meta(ge=FIRST, le=LAST)]
    submitter: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    way: Annotated[str, msgspec.Meta(max_length=64)]
    created: Moment
    derived: tuple[str, ...]
    lock_sha256: Digest


def is_submission(number: int) -> bool:
    """Tell whether a number is a submission's."""
    return number >= FIRST


def name_key(artifact: Artifact) -> str:
    """Return what two artifacts may not share of which one crossed and one was made inside.

    Clients choose by name alone, the highest version of it, whoever made it ("dependency confusion").
    Names that differ in case only are one name: some clients take them so. Images are asked for without
    their registry as well.
    """
    name = artifact.name.casefold()
    if artifact.kind is Kind.OCI:
        name = name.partition("/")[2] or name
    return f"{artifact.kind} {name}"
