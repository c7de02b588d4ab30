"""Requests: what somebody on the high side misses, who wants it, why, and how far it came. Pure data.

What leaves the high side of a request is its package URL alone, in one plain form: reason and owner
are for the people who decide inside.
"""

import re
from enum import StrEnum
from typing import Annotated

import msgspec
from packageurl import PackageURL

from lockgate.core.errors import InputError
from lockgate.core.wire import Document, Moment

PURL_LIMIT = 256
"""Longest package URL of a request, in characters."""

_PART = re.compile(r"[A-Za-z0-9@~][A-Za-z0-9@._~+-]*", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~+:-]*", re.ASCII)

Said = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class WishError(InputError):
    """A request does not name a package in the plain form that may leave."""

    code = "LG-1006"
    advice = "Give a package URL without qualifiers, as in pkg:npm/left-pad@1.3.0 or pkg:pypi/httpx."


class WishState(StrEnum):
    """How far a request came. The three after `APPROVED` happen on the low side."""

    REQUESTED = "requested"
    APPROVED = "approved"
    COLLECTED = "collected"
    SEALED = "sealed"
    IN_CUSTODY = "in custody"
    INSPECTING = "inspecting"
    AVAILABLE = "available"
    REFUSED = "refused"


class Wish(Document, frozen=True):
    """One request as it is kept. `state` is what people decided; how far it came is looked up."""

    number: Annotated[int, msgspec.Meta(ge=1, le=999_999)]
    purl: str
    reason: Said
    owner: Said
    created: Moment
    state: WishState = WishState.REQUESTED
    decided: Moment | None = None
    statement_sha256: str = ""
    refusal: str = ""


def plain_purl(text: str) -> str:
    """Return a package URL in its one plain form.

    Raises:
        WishError: No package URL, or one with qualifiers, a subpath or characters beyond plain ones.

    """
    what = f"{text[:120]!r} names no package that can be requested."
    if len(text) > PURL_LIMIT or not text.isascii():
        raise WishError(what)
    try:
        purl = PackageURL.from_string(text)
    except ValueError as error:
        raise WishError(what) from error
    parts = [*(purl.namespace or "").split("/"), purl.name] if purl.namespace else [purl.name]
    plain = all(_PART.fullmatch(part) for part in parts) and _VERSION.fullmatch(purl.version or "1")
    if purl.qualifiers or purl.subpath or not plain:
        raise WishError(what)
    return purl.to_string()


def meets(wanted: str, offered: str) -> bool:
    """Tell whether an artifact's package URL is what a request asks for; without a version, any is."""
    one, other = PackageURL.from_string(wanted), PackageURL.from_string(offered)
    same = (one.type, one.namespace, one.name) == (other.type, other.namespace, other.name)
    return same and (one.version is None or one.version == other.version)
