"""ZIP archives: every member unpacked within bounds, checked and inspected in its turn."""

import hashlib
import re
import stat
from functools import partial

import msgspec

from lockgate.core.artifact import PATH_LIMIT, UnsafePathError, safe_path
from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.inspectors import office_styles, ooxml, torch_archives, wheels
from lockgate.inspect.inspectors.member_names import neutral
from lockgate.inspect.inspectors.own_classes import SOURCE_BYTES, OwnClasses, Source
from lockgate.inspect.inspectors.plain_members import PlainMembers
from lockgate.inspect.inspectors.unpacking import unpack
from lockgate.inspect.inspectors.zip_walk import BZIPPED, LZMA, Entry, entries
from lockgate.inspect.limits import Budget, demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally, printable

_UTF8 = 0x0800
_PERMISSIONS = 0o777
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID
_ORDINARY = frozenset({0, stat.S_IFREG, stat.S_IFDIR})


class Unpacked(msgspec.Struct, frozen=True):
    """A member's name with what RECORD must say of it."""

    name: str
    size: int
    digest: bytes
    """SHA-256."""
    text: bytes
    """The bytes, where the wheel's own rules need them; else empty."""


_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def _inside(name: str) -> bool:
    """Return whether a name leads nowhere but into the folder that an archive is unpacked to."""
    try:
        safe_path(neutral(name).removesuffix("/"))
    except UnsafePathError:
        return False
    return ":" not in name or not _DRIVE.match(name)


def _letters(tally: Tally, name: str, at: int) -> None:
    """Note a name that leads elsewhere, or that nobody sees all of."""
    if not _inside(name):
        tally.note("zip-slip", Severity.CRITICAL, f"The name {name!r} leads elsewhere.", at)
    elif not name.isprintable():
        tally.note("zip-name-letters", Severity.INFO, f"Nobody sees all of {name!r}.", at)


class _Members:
    """Looks at the members of one archive."""

    def __init__(self, data: memoryview, tally: Tally, context: Context, found: list[Entry]) -> None:
        """Take the archive: its bytes, its tally, what is known of it, and its members."""
        self.data = data
        self.tally = tally
        self.context = context
        self._package = tally.detected == "wheel"
        self._own = OwnClasses(partial(_sources, data, found, context)) if self._package else None
        self.styled: dict[str, str] = {}
        self._plain = PlainMembers.of(context) if self._package else None

    def look(self, content: memoryview, name: str) -> bool:
        """Inspect one member; return whether it was wholly understood."""
        if self._plain and (said := self._plain.said(name, content)) is not None:
            self.tally.inspectors |= said
            return True
        inner = self.context.member(name, package=self._package, own=self._own)
        return self.tally.absorb(self.context.inspect(content, inner))


class ZipInspector(Inspector):
    """Walks both directories, unpacks each member within bounds and inspects it."""

    name = "zip"
    version = 10
    detects = frozenset({"zip"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim headers, and the bytes of each member that was wholly understood."""
        found = entries(data, tally, context.limits)
        names = [entry.name for entry in found]
        tally.detected = flavour(names)
        self._names(tally, found, names)
        if tally.detected != "zip":
            _methods(tally, found)
        if tally.detected == "torch-archive":
            torch_archives.check(data, tally, context, found)
            return
        package = tally.detected == "wheel"
        office = tally.detected in {"ooxml", "odf"}
        unpacked: list[Unpacked] = []
        if found:
            demand(context.depth + 1, context.limits.depth, "depth")
        members = _Members(data, tally, context, found)
        for entry, name in zip(found, names, strict=True):
            member = self._member(members, entry, name)
            if office:
                ooxml.named(tally, name)
            if member:
                unpacked.append(member)
        office_styles.check(tally, members.styled)
        if package:
            tally.inspectors.add(f"wheel/{wheels.VERSION}")
            wheels.check(tally, context, {item.name: item for item in unpacked})

    def _names(self, tally: Tally, found: list[Entry], names: list[str]) -> None:
        if _plain_names(names):
            return
        seen: set[bytes] = set()
        folded: set[str] = set()
        for entry, name in zip(found, names, strict=True):
            same = name.casefold()
            if entry.raw_name in seen:
                tally.note(
                    "zip-duplicate",
                    Severity.CRITICAL,
                    f"The member {name!r} stands twice.",
                    entry.start,
                )
            elif same in folded:
                tally.note(
                    "zip-case",
                    Severity.LOW,
                    f"{name!r} differs from another in case only.",
                    entry.start,
                )
            seen.add(entry.raw_name)
            folded.add(same)
            _letters(tally, name, entry.start)
            if not entry.flags & _UTF8 and not entry.raw_name.isascii():
                tally.note("zip-name-encoding", Severity.MEDIUM, "A name in no stated encoding.", entry.start)
        files = {name.decode("latin-1") for name in seen if not name.endswith(b"/")}
        if _folders(files).isdisjoint(files):
            return
        for name in files:
            if any("/".join(name.split("/")[:depth]) in files for depth in range(1, name.count("/") + 1)):
                tally.note(
                    "zip-file-as-folder", Severity.HIGH, f"Part of the path {printable(name)} is a file."
                )

    def _member(self, members: "_Members", entry: Entry, name: str) -> Unpacked | None:
        tally = members.tally
        if entry.mode & ~_PERMISSIONS not in _ORDINARY:
            self._mode(tally, entry)
        if not entry.size and not entry.stored and entry.folder:
            return None
        try:
            content = unpack(members.data, entry, members.context)
        except (BrokenContentError, OverLimitError) as error:
            tally.unfinished("zip-member", f"{name}: {error.what}", entry.start)
            if isinstance(error, OverLimitError):
                tally.note("zip-bomb", Severity.HIGH, f"{name}: {error.what}", entry.start)
            return None
        if tally.detected == "ooxml" and ooxml.PRINTER.fullmatch(name):
            tally.opaque.add("printer-settings")
            tally.claim(entry.data, entry.end)
            return None
        if tally.detected in {"ooxml", "odf"} and ooxml.wants(name):
            ooxml.part(tally, name, bytes(content))
            if office_styles.wants(name):
                members.styled[name] = bytes(content).decode("utf-8", "replace")
        if members.look(content, name):
            tally.claim(entry.data, entry.end)
        if not entry.size and entry.folder:
            return None
        keep = wheels.wants(name)
        return Unpacked(name, entry.size, hashlib.sha256(content).digest(), bytes(content) if keep else b"")

    def _mode(self, tally: Tally, entry: Entry) -> None:
        kind = stat.S_IFMT(entry.mode)
        if kind == stat.S_IFLNK:
            tally.note("zip-symlink", Severity.HIGH, f"{entry.name} is a symbolic link.", entry.start)
        elif kind not in _ORDINARY:
            tally.note("zip-special-file", Severity.HIGH, f"{entry.name} is no regular file.", entry.start)
        if entry.mode & _SPECIAL_BITS:
            tally.note("zip-setuid", Severity.HIGH, f"{entry.name} has a set-id bit.", entry.start)


def _methods(tally: Tally, found: list[Entry]) -> None:
    """Note a member that only some of those read who install or load what an archive is."""
    other = next((entry for entry in found if entry.method in {BZIPPED, LZMA}), None)
    if other:
        why = f"{other.name} is in method {other.method}, which not all readers of a {tally.detected} know."
        tally.note("zip-method", Severity.MEDIUM, why, other.start)


_PART = r"[\w+-][\w.+-]*+"
_NAMES = re.compile(rf"(?:{_PART}(?:/{_PART})*+/?\n)*+", re.ASCII)


def _plain_names(names: list[str]) -> bool:
    """Return whether names are plain, lead nowhere else, and no two of them are the same file or folder."""
    joined = "".join([f"{name}\n" for name in names])
    lines = joined.lower().splitlines()
    if not len(set(lines)) == len(lines) == len(names) or not _NAMES.fullmatch(joined):
        return False
    files = {name for name in lines if not name.endswith("/")}
    return max(map(len, names), default=0) <= PATH_LIMIT and _folders(files).isdisjoint(files)


def _folders(names: set[str]) -> set[str]:
    """Return what stands before each slash of some names."""
    out: set[str] = set()
    for name in names:
        head, slash, _ = name.rpartition("/")
        while slash and head not in out:
            out.add(head)
            head, slash, _ = head.rpartition("/")
    return out


def _sources(data: memoryview, found: list[Entry], context: Context) -> dict[str, Source]:
    """Return how the members of a wheel are read again, where its source is asked about.

    That counts against a budget of its own: it must not depend on how often something asks.
    """
    again = msgspec.structs.replace(context, budget=Budget(context.limits))
    short = (item for item in found if item.size <= SOURCE_BYTES or not item.name.endswith(".py"))
    return {item.name: partial(unpack, data, item, again) for item in short}


def flavour(names: list[str]) -> str:
    """Return which kind of ZIP a set of member names makes."""
    if any(name.count("/") == 1 and name.endswith(".dist-info/WHEEL") for name in names):
        return "wheel"
    if "[Content_Types].xml" in names:
        return "ooxml"
    if "META-INF/manifest.xml" in names and "content.xml" in names:
        return "odf"
    if torch_archives.root(names) is not None:
        return "torch-archive"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "zip"
