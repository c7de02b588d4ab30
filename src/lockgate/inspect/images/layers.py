"""One layer, walked without ever being extracted: programs, removals, and lists of packages.

The archive itself is inspected like every other; this reads what counts across layers.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec

from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.images.model import MOST_PACKAGES, MOST_PATHS, Survey
from lockgate.inspect.images.packages import (
    apk_packages,
    debian_packages,
    node_package,
    python_package,
    release_of,
)
from lockgate.inspect.inspectors import tars

SURVEY = "lockgate.inspect.images.layers:survey"
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
MOST_MEMBERS = 500_000
"""Most members of one layer that are looked at."""

_MOST_LIST = 64 << 20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PROGRAM_BITS = 0o111
_LIBRARY = re.compile(r"\.so(?:\.[0-9][\w.]*)?$")
_DEBIAN = re.compile(r"var/lib/dpkg/(?:status|status\.d/[^/]+)")
_APK = frozenset({"lib/apk/db/installed", "usr/lib/apk/db/installed"})
_RPM = re.compile(r"(?:var|usr)/lib/(?:sysimage/)?rpm/(?:rpmdb\.sqlite|Packages(?:\.db)?)")
_PYTHON = re.compile(r"(?:.*/)?[^/]+\.dist-info/METADATA|(?:.*/)?[^/]+\.egg-info/PKG-INFO")
_NODE = re.compile(r"(?:.*/)?node_modules/(?:@[^/]+/)?[^/@.][^/]*/package\.json")
_RELEASE = frozenset({"etc/os-release", "usr/lib/os-release"})


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Most bytes that the layer may unpack to."""

    unpacked_bytes: int


@dataclass(slots=True)
class _Seen:
    programs: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)
    packages: list[str] = field(default_factory=list)
    lists: list[tuple[str, bytes]] = field(default_factory=list)
    database: bool = False
    release: str = ""
    cut: str = ""
    unread: str = ""


def survey(data: memoryview, args: bytes) -> bytes:
    """Look through a layer: the entry that the sandbox runs."""
    given = msgspec.json.decode(args, type=Given)
    packing, content = _unpacked(data, given.unpacked_bytes)
    seen = _Seen()
    for count, (header, name, body) in enumerate(_members(content)):
        if count >= MOST_MEMBERS:
            seen.cut = "members"
            break
        _member(seen, header, name, body)
    for name, text in seen.lists:
        _list(seen, name, text)
    if len(seen.packages) > MOST_PACKAGES:
        seen.cut = "packages"
    if max(len(seen.programs), len(seen.removed), len(seen.emptied)) > MOST_PATHS:
        seen.cut = "paths"
    return msgspec.json.encode(
        Survey(
            packing=packing,
            diff_id=f"sha256:{sha256(content).hexdigest()}",
            programs=tuple(sorted(seen.programs)[:MOST_PATHS]),
            removed=tuple(sorted(seen.removed)[:MOST_PATHS]),
            emptied=tuple(sorted(seen.emptied)[:MOST_PATHS]),
            database=seen.database,
            packages=tuple(sorted(set(seen.packages))[:MOST_PACKAGES]),
            release=seen.release,
            cut=seen.cut,
            unread=seen.unread,
        )
    )


def _unpacked(data: memoryview, bound: int) -> tuple[str, memoryview]:
    head = bytes(data[:4])
    if head.startswith(_GZIP):
        content, packing = _inflated(data, bound), "gzip"
    elif head == _ZSTD:
        import zstandard  # noqa: PLC0415  # only such layers pay for it

        opener = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        try:
            content = opener.stream_reader(data, read_across_frames=True).read(bound + 1)
        except zstandard.ZstdError as error:
            raise BrokenContentError("The layer's compressed data is broken.") from error
        packing = "zstd"
    else:
        return "", data
    if len(content) > bound:
        what = f"The layer unpacks to more than {bound} bytes (limit member_bytes)."
        raise OverLimitError(what, limit="member_bytes")
    return packing, memoryview(content)


def _inflated(data: memoryview, bound: int) -> bytes:
    """Return what gzip members that follow one another unpack to, up to one byte past a bound."""
    out = bytearray()
    rest: bytes | memoryview = data
    while bytes(rest[:2]) == _GZIP and len(out) <= bound:
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            out += inflater.decompress(rest, bound + 1 - len(out))
        except zlib.error as error:
            raise BrokenContentError("The layer's compressed data is broken.") from error
        rest = inflater.unused_data
    return bytes(out)


def _members(data: memoryview) -> Iterator[tuple[tars.Header, str, memoryview]]:
    """Yield the members of an archive with their full names; the walk is that of the inspector."""
    at = 0
    carried: dict[str, str] = {}
    while at < len(data):
        block = bytes(data[at : at + tars.BLOCK])
        if len(block) == tars.BLOCK and not any(block):
            return
        header = tars.read_header(block, at)
        size = int(carried.get("size", header.size))
        start = at + tars.BLOCK
        stop = start + -(-size // tars.BLOCK) * tars.BLOCK
        if size < 0 or stop > len(data):
            raise BrokenContentError("A member ends past the layer.", at=at)
        body = data[start : start + size]
        if header.kind in tars.EXTENDED:
            carried |= tars.extended(body, header.kind, at)
        else:
            yield header, _plain(carried.get("path", header.name)), body
            carried = {}
        at = stop


def _plain(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in {"", "."})


def _member(seen: _Seen, header: tars.Header, name: str, body: memoryview) -> None:
    folder, _, base = name.rpartition("/")
    if base.startswith(WHITEOUT):
        if base == OPAQUE:
            seen.emptied.add(folder)
        else:
            seen.removed.add(f"{folder}/{base.removeprefix(WHITEOUT)}".lstrip("/"))
        return
    if header.kind not in tars.FILES:
        return
    if header.mode & _PROGRAM_BITS or _LIBRARY.search(base):
        seen.programs.add(name)
    if len(body) > _MOST_LIST:
        return
    if (
        _DEBIAN.fullmatch(name)
        or name in _APK
        or name in _RELEASE
        or _PYTHON.fullmatch(name)
        or _NODE.fullmatch(name)
    ):
        seen.lists.append((name, bytes(body)))
    seen.database |= bool(_DEBIAN.fullmatch(name)) or name in _APK
    if _RPM.fullmatch(name):
        seen.database = True
        seen.unread = f"{name} is a list of RPM packages, which is not read."


def _list(seen: _Seen, name: str, body: bytes) -> None:
    text = body.decode("utf-8", "replace")
    if name in _RELEASE:
        seen.release = seen.release or release_of(text)
    elif name in _APK:
        seen.packages += apk_packages(text)
    elif _DEBIAN.fullmatch(name):
        seen.packages += debian_packages(text)
    elif _PYTHON.fullmatch(name):
        seen.packages += python_package(text)
    else:
        seen.packages += node_package(text)
