"""A repository's metadata: the signature over its index first, then what that names, each by its digest."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from lockgate.collect.errors import (
    BadReleaseError,
    SourceMissingError,
    UnreachableError,
    UnresolvableError,
)
from lockgate.collect.fetching import fetch, fetch_checked, joined
from lockgate.collect.room import Room
from lockgate.collect.rpm.markup import Element, elements
from lockgate.collect.rpm.packages import ALGORITHMS
from lockgate.collect.rpm.ports import RpmClient
from lockgate.collect.rpm.section import BASEARCH, RpmUpstream, is_address

REPOMD_LIMIT = 1 << 20
"""Longest ``repomd.xml``, signature or list of mirrors that is read, in bytes."""

MIRRORS_LIMIT = 16
"""How many mirrors of a list are tried."""

NEEDED = ("primary", "filelists", "other", "updateinfo", "modules")
"""What is taken of a repository's metadata; only the first has to be there."""

_SUFFIX = re.compile(r"(?:\.[a-z]{2,4}){1,2}\Z")


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository for one architecture, verified, in a folder that dnf can read.

    `released` is the newest time that its index names, in seconds since 1970; `index` and `signature` are
    the files themselves.
    """

    upstream: RpmUpstream
    architecture: str
    url: str
    keyring: Path
    folder: Path
    revision: str
    released: int
    signed_by: tuple[str, ...]
    index: bytes
    signature: bytes
    files: Mapping[str, Path]

    @property
    def name(self) -> str:
        """Return what dnf calls it."""
        return self.upstream.name


def repository_of(
    room: Room, client: RpmClient, upstream: RpmUpstream, architecture: str, work: Path
) -> Repository:
    """Fetch and verify a repository's metadata.

    Args:
        room: The run.
        client: Verifies signatures.
        upstream: Where it lies, and whose keys sign it.
        architecture: What ``$basearch`` stands for.
        work: An existing folder; the metadata come into a folder below it.

    Raises:
        BadReleaseError, DigestMismatchError: A signature or a digest is wrong.
        CollectLimitError: A bound.
        UnreachableError, SourceMissingError, InstallerError: The address or the machine.

    """
    folder = work / f"{upstream.name}-{architecture}"
    (folder / "repodata").mkdir(parents=True)
    url = _index(room, upstream, architecture, folder)
    keyring, signature = room.named(upstream.keyring), b""
    signers: tuple[str, ...] = ()
    file = folder / "upstream.xml"
    if not upstream.unsigned_index:
        fetch(room, f"{url}/repodata/repomd.xml.asc", folder / "upstream.asc", REPOMD_LIMIT)
        signers = client.verify(file, folder / "upstream.asc", keyring, folder)
        signature = (folder / "upstream.asc").read_bytes()
    else:
        room.note(f"The index of {upstream.name} is not signed; each of its packages is.")
    files, lines, released = {}, [], 0
    for data in elements(file, "data", REPOMD_LIMIT):
        released = max(released, _integer(data.child("timestamp").text))
        if (kind := data.get("type")) in NEEDED and kind not in files:
            files[kind] = _data(room, url, folder, data)
            lines.append(_line(kind, data, files[kind]))
    if "primary" not in files:
        what = f"The index of {upstream.name} names no list of packages."
        raise BadReleaseError(what)
    # dnf is given an index that names no more than was fetched and verified here.
    (folder / "repodata/repomd.xml").write_text(f"<repomd>{''.join(lines)}</repomd>")
    revision = next((e.text for e in elements(file, "revision", REPOMD_LIMIT)), "")
    return Repository(
        upstream=upstream,
        architecture=architecture,
        url=url,
        keyring=keyring,
        folder=folder,
        revision=revision[:128],
        released=released,
        signed_by=signers,
        index=file.read_bytes(),
        signature=signature,
        files=files,
    )


def _index(room: Room, upstream: RpmUpstream, architecture: str, folder: Path) -> str:
    """Fetch ``repomd.xml`` from the address or from the first mirror that has it; return which it was."""
    if upstream.url:
        addresses = [upstream.url.replace(BASEARCH, architecture)]
    else:
        addresses = _mirrors(room, upstream, architecture, folder)
    last: Exception | None = None
    for address in addresses:
        url = address.rstrip("/")
        try:
            fetch(room, f"{url}/repodata/repomd.xml", folder / "upstream.xml", REPOMD_LIMIT)
        except (UnreachableError, SourceMissingError) as error:
            last = error
        else:
            return url
    if last is not None:
        raise last
    what = f"The list of mirrors of {upstream.name} names none that can be asked."
    raise UnresolvableError(what, advice="Give the address of a repository.")


def _mirrors(room: Room, upstream: RpmUpstream, architecture: str, folder: Path) -> list[str]:
    """Return the addresses of a list of mirrors; a list over TLS leads nowhere weaker without a signature."""
    place = folder / "mirrors.txt"
    fetch(room, upstream.mirrorlist.replace(BASEARCH, architecture), place, REPOMD_LIMIT)
    lines = [line.strip() for line in place.read_text(encoding="utf-8", errors="replace").splitlines()]
    weak: tuple[str, ...] = ("http:",) if upstream.unsigned_index else ()
    if not upstream.mirrorlist.startswith("file:"):
        weak += ("file:",)
    named = [line.replace(BASEARCH, architecture) for line in lines if line and not line.startswith("#")]
    return [line for line in named if is_address(line) and not line.startswith(weak)][:MIRRORS_LIMIT]


def _data(room: Room, url: str, folder: Path, data: Element) -> Path:
    """Fetch one file that the index names."""
    sums, href = data.child("checksum"), data.child("location").get("href")
    suffix = _SUFFIX.search(href)
    place = folder / "repodata" / f"{data.get('type')}{suffix[0] if suffix else ''}"
    algorithm, digest = sums.get("type").lower(), sums.text.lower()
    if algorithm not in ALGORITHMS:
        what = f"The index names {href[:80]!r} by {algorithm[:20] or 'no'} digest, which is not enough."
        raise BadReleaseError(what)
    fetch_checked(room, joined(url, href), place, algorithm, digest, limit=room.limits.index_bytes)
    return place


def _line(kind: str, data: Element, place: Path) -> str:
    parts = []
    for name in ("checksum", "open-checksum"):
        sums = data.child(name)
        if sums.text.isalnum() and sums.get("type").lower() in ALGORITHMS:
            parts.append(f"<{name} type={quoteattr(sums.get('type').lower())}>{sums.text}</{name}>")
    return f'<data type="{kind}">{"".join(parts)}<location href="repodata/{place.name}"/></data>'


def _integer(text: str) -> int:
    whole = text.partition(".")[0]
    return int(whole) if whole.isascii() and whole.isdecimal() and len(whole) <= 15 else 0  # noqa: PLR2004  # below 2**53
