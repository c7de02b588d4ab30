"""Tar archives: an own walk over ustar, pax and GNU headers; nothing is ever extracted.

Formats: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual,
"Basic Tar Format". Python's extraction filters were bypassed more than once; this walk only reads.
"""

import re
import stat
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

from lockgate.core.artifact import Kind, UnsafePathError, safe_path
from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors import image_configs, packages
from lockgate.inspect.inspectors.member_names import neutral
from lockgate.inspect.inspectors.own_classes import SOURCE_BYTES, OwnClasses, Source
from lockgate.inspect.limits import Limits, demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_PACKAGES = frozenset({Kind.NPM, Kind.PYTHON})
"""Kinds whose tar archives are packages."""

BLOCK = 512
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_FILE = frozenset({b"0", b"\x00", b"7"})
_LINKS = {b"1": "hard link", b"2": "symbolic link"}
_DEVICES = {b"3": "character device", b"4": "block device", b"6": "pipe"}
_FOLDER, _PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK = b"5", b"x", b"g", b"L", b"K"
_PAX_KNOWN = frozenset(
    {"path", "linkpath", "size", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment"}
)
_PAX_OF_A_DISK = ("NODETAR.", "SCHILY.dev", "SCHILY.ino", "SCHILY.nlink", "LIBARCHIVE.creationtime")
"""What tar programs say of their maker's disk; nothing that unpacks reads it."""
_PAX_BYTES = 1 << 20
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID


FILES = _FILE
"""Types of members that are plain files."""

_ESCAPED = re.compile(r"\\x[0-9a-f]{2}")
_MODULES = re.compile(r"usr/lib/python3(?:\.\d+)?/dist-packages/")
EXTENDED = frozenset({_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK})
"""Types of members that say something of the one that follows."""

_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
"""Where a layout of images keeps its blobs (OCI image layout)."""
SYSTEMS = frozenset({"deb-data", "oci-layer", "rpm-data"})
"""Roles of archives that are unpacked at the root of a system."""
_ROLES = {"deb-control": "deb-script"}
KNOWN_SETUID = frozenset({
    "su", "sudo", "mount", "umount", "passwd", "chsh", "chfn", "newgrp", "gpasswd", "expiry", "chage",
    "wall", "write", "unix_chkpwd", "ssh-agent", "ssh-keysign", "pkexec", "fusermount", "fusermount3",
    "crontab", "bbsuid", "ping", "dbus-daemon-launch-helper", "polkit-agent-helper-1", "newuidmap",
    "newgidmap", "ntfs-3g", "at", "sg", "mlocate", "locate", "plocate", "bwrap", "chrome-sandbox",
    "chrome_sandbox", "dotlockfile", "mail-lock", "mail-unlock", "mail-touchlock", "exim4", "procmail",
    "screen", "utempter", "pppd", "Xorg.wrap", "lockfile", "mount.nfs", "mount.cifs", "mount.davfs", "ksu",
})  # fmt: skip
"""Programs that cannot do what they are for without a set-id bit."""
_PROGRAMS = re.compile(r"(?:usr/)?(?:local/)?(?:s?bin|lib(?:32|64|x32|exec)?)/")
"""Where a system keeps its programs (Filesystem Hierarchy Standard 3.0, 3 and 4)."""
_BROWSERS = re.compile(r"(?:opt|usr/share)/[\w./-]{1,200}/chrome[-_]sandbox")
"""The one such program that whoever brings a browser along has beside it."""


@dataclass(slots=True)
class Seen:
    """What the members before have left behind."""

    names: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    kept: dict[str, bytes] = field(default_factory=dict)
    own: OwnClasses | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """One header: name, type, length in bytes, permissions, target of a link."""

    name: str
    kind: bytes
    size: int
    mode: int
    link: str


class TarInspector(Inspector):
    """Walks the headers, inspects each file, reports everything that is not a plain file."""

    name = "tar"
    version = 9
    detects = frozenset({"tar"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim headers, zero padding and the bytes of wholly understood members."""
        at = 0
        carried: dict[str, str] = {}
        python = context.kind == Kind.PYTHON or context.role == "deb-data"
        seen = Seen(own=OwnClasses(partial(_sources, data)) if python else None)
        while at < len(data):
            block = bytes(data[at : at + BLOCK])
            if len(block) == BLOCK and not any(block):
                _tail(data, tally, at)
                packages.check(tally, seen.kept, context.name)
                return
            header = read_header(block, at)
            size = int(carried.get("size", header.size))
            start, end = at + BLOCK, at + BLOCK + size
            stop = start + -(-size // BLOCK) * BLOCK
            if size < 0 or stop > len(data) or any(data[end:stop]):
                what = "A member ends past the file, or its padding is not zero."
                raise BrokenContentError(what, at=at)
            tally.claim(at, start)
            tally.claim(end, stop)
            if header.kind in EXTENDED:
                carried |= self._extended(data[start:end], tally, header.kind, at)
                tally.claim(start, end)
            else:
                self._member(data[start:end], tally, context, header, (carried, seen, at))
                carried = {}
            at = stop
        tally.unfinished("tar-end", "The archive has no end mark.", at)

    def _extended(self, raw: memoryview, tally: Tally, kind: bytes, at: int) -> dict[str, str]:
        demand(len(raw), _PAX_BYTES, "pax header bytes")
        if kind in {_LONG_NAME, _LONG_LINK}:
            text = bytes(raw).rstrip(b"\x00").decode("utf-8")
            return {"path" if kind == _LONG_NAME else "linkpath": text}
        records = _pax(bytes(raw), at)
        unknown = sorted(set(records) - _PAX_KNOWN)
        if unknown := [name for name in unknown if not name.startswith(_PAX_OF_A_DISK)]:
            tally.note("tar-pax-field", Severity.LOW, f"Unknown pax field {unknown[0]}.", at)
            if any(name.startswith("GNU.sparse") for name in unknown):
                tally.unfinished("tar-sparse", "Sparse members are not read.", at)
        if kind == _PAX_GLOBAL:
            if set(records) - {"comment"}:
                tally.note(
                    "tar-pax-global", Severity.MEDIUM, "A global header changes every member after it.", at
                )
            return {}
        return records

    def _member(
        self,
        content: memoryview,
        tally: Tally,
        context: Context,
        header: Header,
        place: tuple[dict[str, str], "Seen", int],
    ) -> None:
        carried, seen, at = place
        name = carried.get("path", header.name).removesuffix("/")
        package = context.kind in _PACKAGES
        inner = context.member(name, package=package, role=_role(context.role, _plain(name)), own=seen.own)
        check_name(tally, name, seen, at, context.limits)
        if header.mode & _SPECIAL_BITS and header.kind != _FOLDER:
            severity = Severity.INFO if known_setuid(name, context.role) else Severity.HIGH
            tally.note("tar-setuid", severity, f"{name} has a set-id bit.", at)
        if header.kind in _LINKS:
            target = carried.get("linkpath", header.link)
            check_link(tally, name, _LINKS[header.kind], target, (at, context.role in SYSTEMS))
            seen.links.add(_plain(name))
        elif header.kind in _DEVICES:
            tally.note("tar-device", Severity.HIGH, f"{name} is a {_DEVICES[header.kind]}.", at)
        elif header.kind not in _FILE | {_FOLDER}:
            tally.unfinished(
                "tar-member-type", f"{name} has the type {header.kind!r}, which is not read.", at
            )
            return
        if header.kind not in _FILE and len(content):
            tally.unfinished("tar-member-data", f"{name} is no file but has data.", at)
            return
        if header.kind in _FILE:
            context.budget.member(len(content))
            _image_member(tally, name, content, at, layer=context.role == "oci-layer")
            if packages.wants(_plain(name)) and len(content) <= packages.KEPT_BYTES:
                seen.kept[_plain(name)] = bytes(content)
            if tally.absorb(context.inspect(content, inner)):
                tally.claim(at + BLOCK, at + BLOCK + len(content))


def known_setuid(name: str, role: str) -> bool:
    """Return whether a system's archive has a program with a set-id bit that is known, and in its place."""
    plain = _plain(name)
    placed = bool(_PROGRAMS.match(plain) or _BROWSERS.fullmatch(plain))
    return role in SYSTEMS and placed and plain.rsplit("/", 1)[-1] in KNOWN_SETUID


def _sources(data: memoryview) -> dict[str, Source]:
    """Return how the files of a source distribution are read, by their places below its folder or ``src``.

    Long names, which stand in headers of their own, are left out, and so are places that two files claim;
    where the walk breaks off, so is the rest.
    """
    out: dict[str, Source] = {}
    twice: set[str] = set()
    at = 0
    while at < len(data) and any(block := bytes(data[at : at + BLOCK])):
        try:
            header = read_header(block, at)
        except BrokenContentError:
            break
        start, place = at + BLOCK, _place(_plain(header.name))
        if place in out:
            twice.add(place)
        if header.kind in _FILE and (header.size <= SOURCE_BYTES or not place.endswith(".py")):
            out[place] = partial(_cut, data, start, start + header.size)
        at = start + -(-max(0, header.size) // BLOCK) * BLOCK
    return {place: source for place, source in out.items() if place not in twice}


def _place(name: str) -> str:
    """Return the place below the folder that modules are imported from, of Debian or a source archive."""
    return (_MODULES.sub("", name) if _MODULES.match(name) else name.partition("/")[2]).removeprefix("src/")


def _cut(data: memoryview, start: int, end: int) -> memoryview:
    return data[start:end]


def _plain(name: str) -> str:
    return name.removeprefix("./")


def _role(role: str, name: str) -> str:
    """Return what part of a package a member is: blobs of a layout and old images' layers are layers."""
    if not role and (_BLOB.fullmatch(name) or name.endswith("/layer.tar")):
        return "oci-layer"
    return _ROLES.get(role, role)


def _image_member(tally: Tally, name: str, content: memoryview, at: int, *, layer: bool) -> None:
    """Note a blob that its name does not name, and a removal that runtimes read in different ways."""
    blob = _BLOB.fullmatch(_plain(name))
    if blob and sha256(content).hexdigest() != blob[1]:
        tally.note("oci-blob-digest", Severity.CRITICAL, f"{name} does not hash to its own name.", at)
    if blob and len(content) <= packages.KEPT_BYTES and bytes(content[:1]) == b"{":
        image_configs.note(tally, bytes(content), at)
    base = name.rsplit("/", 1)[-1]
    if layer and base.startswith(".wh."):
        odd = base == ".wh." or (base.startswith(".wh..wh.") and base != ".wh..wh..opq")
        if odd or len(content) or base in {".wh...", ".wh.."}:
            why = f"{name} removes something in a way that only some runtimes understand."
            tally.note("oci-whiteout-form", Severity.HIGH, why, at)


def check_name(tally: Tally, name: str, seen: Seen, at: int, limits: Limits) -> None:
    """Note a name that stands twice, leads elsewhere, or lies behind a link."""
    demand(len(name), limits.name_bytes, "name_bytes")
    plain = _plain(name)
    if plain in seen.names:
        tally.note("tar-duplicate", Severity.HIGH, f"The member {name} stands twice.", at)
    seen.names.add(plain)
    if seen.links and any(plain.startswith(f"{link}/") for link in _parents(plain) & seen.links):
        tally.note("tar-through-link", Severity.CRITICAL, f"{name} is written through a link.", at)
    if _DRIVE.match(name):
        tally.note("tar-slip", Severity.CRITICAL, f"The name {name!r} leads elsewhere.", at)
    try:
        # A backslash in the names that systemd makes (systemd-escape(1)) separates nothing.
        safe_path(_ESCAPED.sub("_", neutral(name).removeprefix("./")) if name != "." else "dot")
        if not name.isprintable():
            tally.note("tar-name-letters", Severity.INFO, f"Nobody sees all of {name!r}.", at)
    except UnsafePathError:
        tally.note("tar-slip", Severity.CRITICAL, f"The name {name!r} leads elsewhere.", at)


def _parents(name: str) -> set[str]:
    parts = name.split("/")
    return {"/".join(parts[:count]) for count in range(1, len(parts))}


def check_link(tally: Tally, name: str, what: str, target: str, place: tuple[int, bool]) -> None:
    """Note a link; inside a system's own tree, a target from its root is an everyday thing."""
    at, system = place
    if system and target.startswith("/"):
        target = "../" * name.removeprefix("./").count("/") + target.lstrip("/")
        what, name = "symbolic link", _plain(name)
    parts = name.split("/")[:-1] if what == "symbolic link" else []
    outside = target.startswith("/") or "\\" in target or not target
    for part in target.split("/"):
        if part == "..":
            outside |= not parts
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    severity = Severity.HIGH if outside else Severity.INFO
    tally.note("tar-link", severity, f"{name} is a {what} to {target!r}.", at)


def extended(raw: memoryview, kind: bytes, at: int) -> dict[str, str]:
    """Return what a member says of the one that follows; a global header says nothing that counts here.

    Raises:
        BrokenContentError, OverLimitError: It is malformed or too long.

    """
    demand(len(raw), _PAX_BYTES, "pax header bytes")
    if kind in {_LONG_NAME, _LONG_LINK}:
        text = bytes(raw).rstrip(b"\x00").decode("utf-8")
        return {"path" if kind == _LONG_NAME else "linkpath": text}
    return {} if kind == _PAX_GLOBAL else _pax(bytes(raw), at)


def _number(raw: bytes, at: int) -> int:
    if raw[0] & 0x80:
        return int.from_bytes(bytes([raw[0] & 0x7F]) + raw[1:], "big")
    text = raw.strip(b"\x00 ")
    try:
        return int(text, 8) if text else 0
    except ValueError as error:
        what = "A number in a header is not octal."
        raise BrokenContentError(what, at=at) from error


def _text(raw: bytes) -> str:
    return raw.split(b"\x00", 1)[0].decode("utf-8")


def read_header(block: bytes, at: int) -> Header:
    """Return a header after checking its sum.

    Raises:
        BrokenContentError: It is cut short, or does not match its check sum.

    """
    if len(block) < BLOCK:
        what = "The archive ends inside a header."
        raise BrokenContentError(what, at=at)
    if sum(block[:148] + b" " * 8 + block[156:]) != _number(block[148:156], at):
        what = "A header does not match its check sum."
        raise BrokenContentError(what, at=at)
    name = _text(block[:100])
    if block[257:263] == b"ustar\x00" and block[345]:
        name = f"{_text(block[345:500])}/{name}"
    return Header(
        name, block[156:157], _number(block[124:136], at), _number(block[100:108], at), _text(block[157:257])
    )


def _pax(raw: bytes, at: int) -> dict[str, str]:
    out: dict[str, str] = {}
    position = 0
    while position < len(raw):
        space = raw.find(b" ", position, position + 20)
        digits = raw[position:space] if space > 0 else b""
        stop = position + int(digits) if digits.isdigit() else 0
        key, equals, value = raw[space + 1 : max(stop - 1, 0)].partition(b"=")
        if stop <= space or stop > len(raw) or raw[stop - 1 : stop] != b"\n" or not equals:
            what = "A pax record is malformed."
            raise BrokenContentError(what, at=at)
        out[key.decode("utf-8")] = value.decode("utf-8")
        position = stop
    return out


def _tail(data: memoryview, tally: Tally, at: int) -> None:
    if len(data) - at < 2 * BLOCK or len(data) % BLOCK:
        tally.unfinished("tar-end", "The end mark of the archive is incomplete.", at)
    elif any(data[at:]):
        tally.note("tar-tail", Severity.HIGH, "Bytes follow the end mark of the archive.", at)
        tally.claim(at, at + BLOCK)
    else:
        tally.claim(at, len(data))
