"""What a wheel must be beyond a ZIP: RECORD that names every byte, and nothing that runs by itself.

Format: Binary distribution format (PEP 427 and packaging.python.org), RECORD after PEP 376.
"""

import configparser
import csv
import io
import re
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Protocol

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors import wheel_places
from lockgate.inspect.inspectors.wheel_texts import entry_points, headers
from lockgate.inspect.tally import Context, Tally

VERSION = 4
_INFO = ("METADATA", "WHEEL", "RECORD", "entry_points.txt")
_WANTED = (".pth", *_INFO)
_UNLISTED = (".dist-info/RECORD", ".dist-info/RECORD.jws", ".dist-info/RECORD.p7s")
_STARTUP = frozenset({"sitecustomize.py", "usercustomize.py"})
_RUN_AT_START = (".pth", "__init__.py", *_STARTUP)
_KNOWN_PTH = re.compile(
    rb"import sys, ?types, ?os; ?has_mfs = sys\.version_info > \(3, 5\); ?"
    rb"p = os\.path\.join\(sys\._getframe\(1\)\.f_locals\['sitedir'\], \*\((?:'\w+', ?)+(?:'\w+')?\)\); ?"
    rb"importlib = has_mfs and __import__\('importlib\.util'\); ?"
    rb"has_mfs and __import__\('importlib\.machinery'\); ?"
    rb"m = has_mfs and sys\.modules\.setdefault\('[\w.]+', importlib\.util\.module_from_spec\("
    rb"importlib\.machinery\.PathFinder\.find_spec\('[\w.]+', \[os\.path\.dirname\(p\)\]\)\)\); ?"
    rb"m = m or sys\.modules\.setdefault\('[\w.]+', types\.ModuleType\('[\w.]+'\)\); ?"
    rb"mp = \(m or \[\]\) and m\.__dict__\.setdefault\('__path__', ?\[\]\); ?"
    rb"\(p not in mp\) and mp\.append\(p\)(?:; ?m and setattr\(sys\.modules\['[\w.]+'\], '\w+', m\))?"
    rb"|import os; var = 'SETUPTOOLS_USE_DISTUTILS'; "
    rb"enabled = os\.environ\.get\(var, '(?:local|stdlib)'\) == 'local'; "
    rb"enabled and __import__\('_distutils_hack'\)(?:\.add_shim\(\))?;"
    rb"|import sys; exec\('import os\\n\\nif os\.getenv\(\"COVERAGE_PROCESS_START\"\) "
    rb"or os\.getenv\(\"COVERAGE_PROCESS_CONFIG\"\):"
    rb"\\n try:\\n  import coverage\\n except:\\n  pass\\n else:\\n  "
    rb"coverage\.process_startup\((?:slug=\"\w{1,9}\")?\)'\)"
)
"""Lines that setuptools itself writes, of namespace packages and of its own shim, and that by which coverage
measures subprocesses when its variable is set; no other."""
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
"""From Base64 to the form that RECORD has (RFC 4648, 5)."""
_PARTED = re.compile(r"[-_.]+")
_ADDRESSED = re.compile(r"[^;@]{1,200}@\s*((?:git\+|hg\+|svn\+|bzr\+)?[a-zA-Z]{2,6}://\S+)")
"""A requirement by its address (PEP 508, PEP 440 "Direct references"), which an index takes from nobody."""
_HOSTED = re.compile(
    r"(?:git\+)?(?:https|ssh)://(?:git@)?(?:[\w.-]+\.)?(?:github\.com|gitlab\.com|bitbucket\.org)/"
)
_EXTRA = re.compile(r";.*\bextra\s*==")
_ROW = 3
_SHOWN = 8
_WHEEL_PARTS = 5
_DATA_DEPTH = 3
_PACKAGE = 2


class _Member(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def digest(self) -> bytes: ...
    @property
    def text(self) -> bytes: ...


def wants(name: str) -> bool:
    """Return whether the wheel's rules look into a member."""
    if not name.endswith(_WANTED):
        return False
    folder, _, file = name.rpartition("/")
    info = folder.endswith(".dist-info") and "/" not in folder and file in _INFO
    return info or name.endswith(".pth")


def check(tally: Tally, context: Context, members: Mapping[str, _Member]) -> None:
    """Note where the wheel contradicts RECORD, its own name, or runs code at start-up."""
    tops = {name.partition("/")[0] for name in members}
    folders = {top for top in tops if top.endswith(".dist-info")}
    if len(folders) != 1:
        tally.note(
            "wheel-structure", Severity.HIGH, f"{len(folders)} .dist-info folders where there must be one."
        )
        tally.complete = False
        return
    info = folders.pop()
    missing = [name for name in _INFO[:3] if f"{info}/{name}" not in members]
    if missing:
        tally.note("wheel-structure", Severity.HIGH, f"{', '.join(missing)} missing from {info}.")
        tally.complete = False
        return
    _record(tally, members, members[f"{info}/RECORD"].text)
    metadata = members[f"{info}/METADATA"].text.decode("utf-8", "replace")
    fields = headers(metadata)
    _identity(tally, context.name, info, fields)
    _requires(tally, fields)
    _startup(tally, members)
    own = _normal(fields.get("name", ("",))[0])
    wheel_places.check(tally, members, own)
    if f"{info}/entry_points.txt" in members:
        _entry_points(tally, members[f"{info}/entry_points.txt"].text, own)


def _record(tally: Tally, members: Mapping[str, _Member], text: bytes) -> None:
    if not _recorded(members, text):
        _compare(tally, members, text)


def _recorded(members: Mapping[str, _Member], text: bytes) -> bool:
    """Return whether RECORD has one plain row for each member that says what is so, and no other row.

    Most wheels' are such, and of those `_compare` has nothing to say. A name with a comma or a break of lines
    would be no plain row: each row has two commas when all of them together have twice as many as there are.
    """
    rows = text.removesuffix(b"\n").split(b"\n")
    if b'"' in text or b"\r" in text or b"\0" in text or text.count(b",") != 2 * len(rows):
        return False
    return len(rows) == len(members) and set(rows) == set(map(_row, members.values()))


def _row(member: _Member) -> bytes:
    """Return what RECORD must say of a member: of itself and of its signatures, that they are there."""
    name = member.name
    if name.endswith(_UNLISTED):
        return f"{name},,".encode()
    right = b2a_base64(member.digest, newline=False).translate(_URL_SAFE, b"=")
    return b"%b,sha256=%b,%d" % (name.encode(), right, member.size)


def _compare(tally: Tally, members: Mapping[str, _Member], text: bytes) -> None:
    """Note each row that is wrong, each member without one, and each row without a member."""
    listed: dict[str, tuple[str, str]] = {}
    try:
        for row in csv.reader(io.StringIO(text.decode("utf-8"), newline=""), strict=True):
            if len(row) != _ROW or row[0] in listed:
                tally.note("record-row", Severity.HIGH, f"RECORD has a malformed or repeated row: {row[:1]}.")
                continue
            listed[row[0]] = (row[1], row[2])
    except (csv.Error, UnicodeDecodeError) as error:
        tally.note("record-row", Severity.HIGH, f"RECORD cannot be read: {error}.")
        return
    for name, member in members.items():
        _listed(tally, member, listed.get(name))
    if absent := listed.keys() - members.keys():
        _absent(tally, members, absent)


def _absent(tally: Tally, members: Mapping[str, _Member], absent: set[str]) -> None:
    """Note what RECORD lists and the wheel lacks: an uninstaller removes it, whoever brought it.

    Below the wheel's own packages that can be nothing but the wheel's.
    """
    own = {name.split("/", 1)[0] for name in members if "/" in name}
    lost = []
    for name in sorted(absent):
        parts = name.split("/")
        inside = parts[0] in own and not parts[0].endswith((".dist-info", ".data"))
        if inside and len(parts) > 1 and not {"", ".", ".."} & set(parts) and "\\" not in name:
            lost.append(name)
        else:
            tally.note("record-extra", Severity.MEDIUM, f"RECORD lists {name}, which is not in the wheel.")
    if lost:
        why = f"RECORD lists {len(lost)} files of its packages that are not in the wheel, as {lost[0]}."
        tally.note("record-extra", Severity.INFO, why)


def _listed(tally: Tally, member: _Member, row: tuple[str, str] | None) -> None:
    if row is None:
        if not member.name.endswith(_UNLISTED):
            tally.note("record-missing", Severity.HIGH, f"RECORD does not list {member.name}.")
        return
    claimed, size = row
    if not claimed and member.name.endswith(_UNLISTED):
        return
    right = b2a_base64(member.digest, newline=False).translate(_URL_SAFE, b"=").decode("ascii")
    if claimed == f"sha256={right}" and size == str(member.size):
        return
    if not claimed.startswith("sha256="):
        tally.note("record-hash", Severity.HIGH, f"RECORD gives no SHA-256 for {member.name}.")
    elif not _same(claimed.removeprefix("sha256="), right, member) or (size and size != str(member.size)):
        tally.note(
            "record-mismatch", Severity.CRITICAL, f"RECORD gives another hash or size for {member.name}."
        )


def _same(claimed: str, right: str, member: _Member) -> bool:
    """Return whether a digest is the member's: as RECORD has it, or in hexadecimal, as some write it."""
    return claimed.rstrip("=") == right or claimed == member.digest.hex()


def _normal(name: str) -> str:
    return _PARTED.sub("-", name).lower()


def _identity(tally: Tally, path: str, info: str, fields: Mapping[str, Sequence[str]]) -> None:
    said = (_normal(fields.get("name", ("",))[0]), fields.get("version", ("",))[0].strip())
    names = {"its .dist-info folder": info.removesuffix(".dist-info").split("-", 1)}
    file = path.rpartition("/")[2]
    if file in {"", "."}:
        file = PurePosixPath(path).name
    if file.endswith(".whl"):
        parts = file.removesuffix(".whl").split("-")
        if len(parts) not in {_WHEEL_PARTS, _WHEEL_PARTS + 1}:
            tally.note("wheel-name", Severity.HIGH, f"{file} is no wheel file name.")
            return
        names["its file name"] = parts[:2]
    for where, parts in names.items():
        wrong = len(parts) != 2 or _normal(parts[0]) != said[0] or _version(parts[1]) != _version(said[1])  # noqa: PLR2004  # name and version
        if wrong:
            tally.note("wheel-identity", Severity.HIGH, f"METADATA says {'-'.join(said)}, {where} does not.")


def _requires(tally: Tally, fields: Mapping[str, Sequence[str]]) -> None:
    """Keep what the wheel needs always, without what only an extra brings (core metadata 2.4)."""
    for line in fields.get("requires-dist", ()):
        if not _EXTRA.search(line):
            tally.need(" ".join(line.split()))
        address = _ADDRESSED.match(line)
        if address and not _HOSTED.match(address[1]):
            why = f"It needs what comes from an address, not from the index: {' '.join(line.split())[:100]}"
            tally.note("wheel-address-dependency", Severity.HIGH, why)


def _version(text: str) -> str:
    return text.lower().replace("-", "_").replace("+", "_")


def _startup(tally: Tally, members: Mapping[str, _Member]) -> None:
    for name, member in members.items():
        if not name.endswith(_RUN_AT_START):
            continue
        parts = name.split("/")
        library = (
            len(parts) == _DATA_DEPTH and parts[0].endswith(".data") and parts[1] in {"purelib", "platlib"}
        )
        if len(parts) == _PACKAGE and f"{parts[0]}.py" in _STARTUP and parts[1] == "__init__.py":
            tally.note("wheel-startup", Severity.HIGH, f"{name} runs whenever Python starts.")
        if len(parts) != 1 and not library:
            continue
        if parts[-1].endswith(".pth"):
            path_file(tally, name, member.text)
        elif parts[-1] in _STARTUP:
            tally.note("wheel-startup", Severity.HIGH, f"{name} runs whenever Python starts.")


def path_file(tally: Tally, name: str, text: bytes) -> None:
    """Note a file that Python reads whenever it starts (``site``), and whether it runs code."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(b"#")]
    runs = [line for line in lines if line.startswith((b"import ", b"import\t"))]
    known = (
        bool(runs) and len(runs) == len(lines) and all(_KNOWN_PTH.fullmatch(line.strip()) for line in runs)
    )
    why = "runs code" if runs else "adds folders"
    severity = Severity.INFO if known else Severity.HIGH
    tally.note("wheel-pth", severity, f"{name} {why} whenever Python starts.")


def _entry_points(tally: Tally, text: bytes, own: str) -> None:
    try:
        named = entry_points(text.decode("utf-8"))
        points = [f"{group}: {name}" for group, name in named]
    except (configparser.Error, UnicodeDecodeError):
        tally.note("wheel-entry-points", Severity.MEDIUM, "entry_points.txt cannot be read.")
        return
    if points:
        more = f" and {len(points) - _SHOWN} more" if len(points) > _SHOWN else ""
        tally.note("wheel-entry-points", Severity.INFO, f"Entry points {', '.join(points[:_SHOWN])}{more}.")
    wheel_places.commands(tally, named, text.decode("utf-8"), own)
