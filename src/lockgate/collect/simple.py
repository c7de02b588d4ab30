"""Pages of a package index in JSON (PEP 691, with PEP 700, 714 and 740)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin, urlsplit

import msgspec

from lockgate.core.digests import sha256
from lockgate.core.wire import whole_second

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
"""Media type of a version 1 page in JSON."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What an index says of one file."""

    size: int | None
    uploaded: datetime | None
    yanked: str
    metadata_sha256: str | None
    provenance: str | None


class _File(msgspec.Struct, frozen=True, rename="kebab"):
    filename: str
    hashes: dict[str, str] = {}
    size: int | None = None
    upload_time: datetime | None = None
    yanked: bool | str = False
    core_metadata: bool | dict[str, str] | None = None
    provenance: str | None = None


class _Meta(msgspec.Struct, frozen=True, rename="kebab"):
    api_version: str


class _Page(msgspec.Struct, frozen=True):
    meta: _Meta
    files: list[_File]


class PageError(ValueError):
    """A page is not what PEP 691 describes; the caller notes it and goes on without."""


def read_page(kind: str, data: bytes, address: str) -> Mapping[tuple[str, str], Listed]:
    """Return what a page says, by file name and SHA-256.

    A provenance address that does not lie beside the page (same scheme and host) is left out:
    nothing but the configured index is asked.

    Raises:
        PageError: Not a version 1 page.

    """
    if kind != SIMPLE_JSON:
        raise PageError("it has no JSON form (PEP 691)")
    try:
        page = msgspec.json.decode(data, type=_Page)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"not a simple index page: {error}"
        raise PageError(msg) from error
    if page.meta.api_version.split(".")[0] != "1":
        msg = f"index version {page.meta.api_version[:20]!r} is not known"
        raise PageError(msg)
    return {(f.filename, f.hashes.get("sha256", "")): _listed(f, address) for f in page.files}


def read_provenance(data: bytes) -> str:
    """Check that bytes have the outer form of a provenance object, and return their SHA-256.

    The attestations in it are kept as evidence; the gate verifies them (PEP 740).

    Raises:
        PageError: They are something else.

    """
    try:
        found = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"not a provenance object: {error}"
        raise PageError(msg) from error
    if "attestation_bundles" not in found:
        msg = "not a provenance object"
        raise PageError(msg)
    return sha256(data)


def _listed(file: _File, address: str) -> Listed:
    yanked = file.yanked if isinstance(file.yanked, str) else "yanked" if file.yanked else ""
    hashes = file.core_metadata if isinstance(file.core_metadata, dict) else {}
    uploaded = file.upload_time
    return Listed(
        size=file.size,
        uploaded=whole_second(uploaded) if uploaded is not None and uploaded.tzinfo is not None else None,
        yanked=yanked,
        metadata_sha256=hashes.get("sha256"),
        provenance=_beside(file.provenance, address),
    )


def _beside(provenance: str | None, address: str) -> str | None:
    if not provenance:
        return None
    try:
        joined = urljoin(address, provenance)
        there, here = urlsplit(joined), urlsplit(address)
    except ValueError:
        return None
    return joined if (there.scheme, there.netloc) == (here.scheme, here.netloc) else None
