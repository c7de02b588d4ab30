"""Pages of a package index in JSON (PEP 691, with PEP 700, 708, 714, 740 and 792)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin, urlsplit

import msgspec

from lockgate.collect.web import shown
from lockgate.core.digests import sha256
from lockgate.core.wire import whole_second

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
"""Media type of a version 1 page in JSON."""


QUARANTINED = "quarantined"
"""The status of a project that its index calls unsafe (PEP 792)."""

LOCATIONS = 20
"""How many other locations of a project are kept; an owner has one or two."""

TEXT_LENGTH = 300
"""Characters that are kept of a reason or address that an index gives."""

_STATUS = re.compile(r"[a-z][a-z-]{0,31}")


@dataclass(frozen=True, slots=True)
class Project:
    """What an index says of a project as a whole; `status` is empty for an active one (PEP 792).

    `page` is the address of its page; `alternates` are the other locations that its owner names (PEP 708).
    """

    page: str = ""
    alternates: tuple[str, ...] = ()
    status: str = ""
    reason: str = ""

    def attributes(self) -> dict[str, str]:
        """Return it as attributes of an artifact."""
        return {
            "index": self.page,
            "alternate-locations": " ".join(self.alternates),
            "project-status": self.status,
            "project-status-reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Listed:
    """What an index says of one file and its project; `metadata` tells that core metadata lie beside it."""

    size: int | None
    uploaded: datetime | None
    yanked: str
    metadata_sha256: str | None
    provenance: str | None
    metadata: bool = False
    project: Project = Project()


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


class _Status(msgspec.Struct, frozen=True):
    status: str = ""
    reason: str | None = None


class _Page(msgspec.Struct, frozen=True, rename="kebab"):
    meta: _Meta
    files: list[_File]
    alternate_locations: list[str] = []
    project_status: _Status | None = None


class _Publisher(msgspec.Struct, frozen=True):
    kind: str = ""
    repository: str = ""
    workflow: str = ""


class _Bundle(msgspec.Struct, frozen=True):
    publisher: _Publisher = _Publisher()


class _Provenance(msgspec.Struct, frozen=True):
    attestation_bundles: list[_Bundle] = []


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
    project = _project(page, address)
    return {(f.filename, f.hashes.get("sha256", "")): _listed(f, address, project) for f in page.files}


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


def publishers_of(data: bytes) -> tuple[str, ...]:
    """Return who published a file, by the publishers that its provenance names (PEP 740), each in one line.

    Raises:
        PageError: They are no provenance object, or have another form.

    """
    read_provenance(data)
    try:
        found = msgspec.json.decode(data, type=_Provenance)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"not a provenance object: {error}"
        raise PageError(msg) from error
    publishers = (bundle.publisher for bundle in found.attestation_bundles[:LOCATIONS])
    lines = (" ".join(f"{p.kind} {p.repository} {p.workflow}".replace(",", " ").split()) for p in publishers)
    return tuple(sorted({line[:TEXT_LENGTH] for line in lines if line and line.isprintable()}))


def _project(page: _Page, address: str) -> Project:
    """Return what a page says of its project; addresses and words of another form are left out."""
    said = page.project_status or _Status()
    status = said.status if _STATUS.fullmatch(said.status) and said.status != "active" else ""
    addresses = [a for a in map(shown, page.alternate_locations[:LOCATIONS]) if _is_address(a)]
    return Project(
        page=shown(address),
        alternates=tuple(addresses),
        status=status,
        reason=" ".join((said.reason or "").split())[:TEXT_LENGTH] if status else "",
    )


def _is_address(text: str) -> bool:
    plain = len(text) <= TEXT_LENGTH and text.isprintable() and " " not in text
    return plain and text.startswith(("https://", "http://"))


def _listed(file: _File, address: str, project: Project) -> Listed:
    yanked = file.yanked if isinstance(file.yanked, str) else "yanked" if file.yanked else ""
    hashes = file.core_metadata if isinstance(file.core_metadata, dict) else {}
    uploaded = file.upload_time
    return Listed(
        size=file.size,
        uploaded=whole_second(uploaded) if uploaded is not None and uploaded.tzinfo is not None else None,
        yanked=yanked,
        metadata_sha256=hashes.get("sha256"),
        provenance=_beside(file.provenance, address),
        metadata=bool(file.core_metadata),
        project=project,
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
