"""Walks a ZIP archive by both of its directories and demands that they say the same.

Format: PKWARE APPNOTE.TXT 6.3.10. Readers differ in which of the two directories they trust, in
what they do with data that neither names, and in when 64-bit fields count; the walk therefore
accepts only archives in which there is nothing to differ about, and notes each exception.
"""

import struct
from collections.abc import Iterator
from operator import attrgetter

import msgspec

from lockgate.core.verdict import Severity
from lockgate.inspect.detect import zip_tail
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.limits import Limits, demand
from lockgate.inspect.tally import Tally

STORED, DEFLATED, BZIPPED, LZMA = 0, 8, 12, 14
"""Methods that are read (4.4.5)."""

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_SIGN_LOCAL, _SIGN_CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
_SIGN_LOCATOR, _SIGN_END64, _SIGN_DESCRIPTOR = b"PK\x06\x07", b"PK\x06\x06", b"PK\x07\x08"
_FULL32, _FULL16 = 0xFFFFFFFF, 0xFFFF
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_DESCRIPTOR = 0x0008
_UTF8 = 0x0800
_KNOWN_FLAGS = 0x0006 | _DESCRIPTOR | _UTF8
_PLAIN_FLAGS = _KNOWN_FLAGS & ~_DESCRIPTOR
_SAME_FROM, _SAME_TO = 6, 32
"""Where a record of the central directory has the fields of the local header in the same order, from the
version that is needed to the length of extra fields (4.3.7, 4.3.12)."""
_EXTRA_ZIP64, _EXTRA_NAME, _EXTRA_TORCH = 0x0001, 0x7075, 0x4246
_EXTRA_GROWTH, _GROWTH_HEAD = 0xA220, 4
"""Room that Office leaves for a member to grow in: signature, length, zeros (4.6.10)."""
_KNOWN_EXTRA = frozenset(
    {_EXTRA_ZIP64, 0x5455, 0x7875, 0x7855, 0x5855, 0x000A, 0xCAFE, 0xD935, _EXTRA_TORCH, _EXTRA_GROWTH}
)
_UNIX = 3
_PLAIN_COMMENT = 80
"""Longest comment that says no more than who made the archive, or the commit it was made from."""
_NEWEST = 45
"""Version that is needed for 64-bit fields; whatever is above needs methods that few readers have."""
_NEWEST_BY_METHOD = {BZIPPED: 46, LZMA: 63}
"""Version that a method needs by itself (4.4.3.2)."""
_LAST_HOST = 19
"""Newest system that the upper byte of a version names (4.4.2); some writers set it here too."""
_START = attrgetter("start")
_DESCRIPTOR_FORMS = ("<4sLLL", "<LLL", "<4sLQQ", "<LQQ")


class Entry(msgspec.Struct, frozen=True):
    """One member, as both directories agree to describe it.

    `start` is where its local header begins, `data` and `end` bound its stored bytes, `stop` is
    where its record (with a data descriptor, if any) ends.
    """

    raw_name: bytes
    flags: int
    method: int
    crc: int
    stored: int
    size: int
    mode: int
    start: int
    data: int
    end: int
    stop: int

    @property
    def name(self) -> str:
        """The name as text (code page 437 where it is not marked as UTF-8)."""
        if self.raw_name.isascii():
            return self.raw_name.decode("ascii")
        return self.raw_name.decode("utf-8" if self.flags & _UTF8 else "cp437")

    @property
    def folder(self) -> bool:
        """Whether the name is that of a folder."""
        return self.raw_name.endswith(b"/")


class _Record(msgspec.Struct, frozen=True):
    raw_name: bytes
    flags: int
    method: int
    crc: int
    stored: int
    size: int
    mode: int
    start: int
    local: bytes
    """The local header with its name that says just the same; empty where more has to be looked at."""


def entries(data: memoryview, tally: Tally, limits: Limits) -> list[Entry]:
    """Return the members in the order of their bytes; claim directories and headers.

    The stored bytes of members are left for the caller to claim.

    Raises:
        BrokenContentError: The archive cannot be walked without guessing.
        OverLimitError: It has too many members.

    """
    end = zip_tail(data)
    if end is None:
        what = "The archive has no end record that closes with the file."
        raise BrokenContentError(what, at=len(data))
    count, size, start, tail = _directory(data, tally, end)
    demand(count, limits.members, "members")
    if start + size != tail:
        what = f"The central directory ends at {start + size}, the end record begins at {tail}."
        raise BrokenContentError(what, at=start)
    records = list(_central(data, tally, start, tail, limits))
    if len(records) != count:
        what = f"The end record counts {count} members, the directory has {len(records)}."
        raise BrokenContentError(what, at=end)
    tally.claim(start, len(data))
    return _ordered(data, tally, records, start)


def _directory(data: memoryview, tally: Tally, end: int) -> tuple[int, int, int, int]:
    _, disk, first, here, count, size, start, comment = _END.unpack_from(data, end)
    if comment:
        said = bytes(data[end + _END.size :])
        plain = comment <= _PLAIN_COMMENT and said.isascii() and said.decode("ascii").isprintable()
        severity = Severity.INFO if plain else Severity.LOW
        tally.note("zip-comment", severity, f"The archive has a comment of {comment} bytes.", end)
    locator = end - _LOCATOR.size
    if locator >= 0 and bytes(data[locator : locator + 4]) == _SIGN_LOCATOR:
        return _directory64(data, tally, locator, (here, count, size, start))
    if _FULL16 in {here, count} or _FULL32 in {size, start}:
        what = "The end record points to 64-bit fields that are not there."
        raise BrokenContentError(what, at=end)
    if disk or first or here != count:
        what = "The archive claims to span several disks."
        raise BrokenContentError(what, at=end)
    return count, size, start, end


def _directory64(
    data: memoryview, tally: Tally, locator: int, short: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    _, disk, at, disks = _LOCATOR.unpack_from(data, locator)
    if disk or disks > 1 or at + _END64.size > locator or bytes(data[at : at + 4]) != _SIGN_END64:
        what = "The 64-bit end record is not where its locator says."
        raise BrokenContentError(what, at=locator)
    _, length, _, _, disk, first, here, count, size, start = _END64.unpack_from(data, at)
    if at + 12 + length != locator or disk or first or here != count:
        what = "The 64-bit end record does not fill the space before its locator."
        raise BrokenContentError(what, at=at)
    if length != _END64.size - 12:
        tally.note("zip64-extension", Severity.MEDIUM, "The 64-bit end record carries extra data.", at)
    full = (_FULL16, _FULL16, _FULL32, _FULL32)
    wide = (here, count, size, start)
    if any(low not in {high, top} for low, high, top in zip(short, wide, full, strict=True)):
        tally.note("zip64-mismatch", Severity.HIGH, "The two end records say different things.", at)
    return count, size, start, at


def _extra(raw: bytes) -> dict[int, bytes] | None:
    out: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(raw):
        kind, length = struct.unpack_from("<2H", raw, at)
        if at + 4 + length > len(raw) or kind in out:
            return None
        out[kind] = raw[at + 4 : at + 4 + length]
        at += 4 + length
    return out if at == len(raw) else None


def _wide(extra: dict[int, bytes], values: tuple[int, ...], at: int) -> list[int]:
    """Return values with those that are full replaced from the 64-bit extra field."""
    if not extra and _FULL32 not in values:
        return list(values)
    raw = extra.get(_EXTRA_ZIP64, b"")
    full = sum(value == _FULL32 for value in values)
    if not full and raw and raw == struct.pack(f"<{len(raw) // 8}Q", *values[: len(raw) // 8]):
        # Writers that reserve the field (numpy.savez does) leave it saying the same once more.
        return list(values)
    if len(raw) != 8 * full:
        what = "The 64-bit extra field does not match the fields that it widens."
        raise BrokenContentError(what, at=at)
    wide = iter(struct.unpack(f"<{full}Q", raw))
    return [next(wide) if value == _FULL32 else value for value in values]


def _fields(tally: Tally, raw: bytes, at: int) -> dict[int, bytes]:
    if not raw:
        return {}
    extra = _extra(raw)
    if extra is None:
        what = "An extra field is malformed or stands twice."
        raise BrokenContentError(what, at=at)
    if any(extra.get(_EXTRA_GROWTH, b"")[_GROWTH_HEAD:]):
        tally.note("zip-extra-field", Severity.LOW, "Office's padding holds something else.", at)
    if set(extra.get(_EXTRA_TORCH, b"")) - {ord("Z")}:
        tally.note("zip-extra-field", Severity.LOW, "Torch's padding holds something else.", at)
    if _EXTRA_NAME in extra:
        tally.note("zip-unicode-path", Severity.HIGH, "A member has a second name in an extra field.", at)
    if unknown := set(extra) - _KNOWN_EXTRA - {_EXTRA_NAME}:
        tally.note("zip-extra-field", Severity.LOW, f"Unknown extra field 0x{min(unknown):04x}.", at)
    return extra


def _needed(tally: Tally, version: int, method: int, at: int) -> None:
    host, version = version >> 8, version & 0xFF
    if host > _LAST_HOST or version > _NEWEST_BY_METHOD.get(method, _NEWEST):
        what = f"A member asks for ZIP version {version}: readers disagree about what that is."
        tally.note("zip-version", Severity.MEDIUM, what, at)


def _central(data: memoryview, tally: Tally, at: int, tail: int, limits: Limits) -> Iterator[_Record]:
    while at < tail:
        head = _CENTRAL.unpack_from(data, at) if at + _CENTRAL.size <= tail else (b"",)
        if head[0] != _SIGN_CENTRAL:
            what = "The central directory is broken."
            raise BrokenContentError(what, at=at)
        _, made, needs, flags, method, _, _, crc, stored, size, name, extra, comment, disk, _, mode, start = (
            head
        )
        demand(name, limits.name_bytes, "name_bytes")
        names = at + _CENTRAL.size
        stop = names + name + extra + comment
        if needs > _NEWEST:
            _needed(tally, needs, method, at)
        if stop > tail or disk:
            what = "A record of the central directory is broken."
            raise BrokenContentError(what, at=at)
        if comment:
            tally.note("zip-comment", Severity.LOW, "A member has a comment.", at)
        raw_name = bytes(data[names : names + name])
        local = b""
        if extra or _FULL32 in {size, stored, start}:
            fields = _fields(tally, bytes(data[names + name : names + name + extra]), at) if extra else {}
            if fields or _FULL32 in {size, stored, start}:
                size, stored, start = _wide(fields, (size, stored, start), at)
        elif needs <= _NEWEST and not flags & ~_PLAIN_FLAGS:
            local = _SIGN_LOCAL + bytes(data[at + _SAME_FROM : at + _SAME_TO]) + raw_name
        mode = mode >> 16 if made >> 8 == _UNIX else 0
        yield _Record(raw_name, flags, method, crc, stored, size, mode, start, local)
        at = stop


def _ordered(data: memoryview, tally: Tally, records: list[_Record], directory: int) -> list[Entry]:
    out: list[Entry] = []
    at = 0
    for record in sorted(records, key=_START):
        if record.start < at:
            tally.note("zip-overlap", Severity.CRITICAL, "Two members share bytes.", record.start)
            tally.complete = False
            return []
        if record.start > at:
            tally.note("zip-gap", Severity.HIGH, f"{record.start - at} bytes that no member owns.", at)
        entry = _same(data, tally, record, directory) or _local(data, tally, record, directory)
        out.append(entry)
        at = entry.stop
    if at != directory:
        tally.note("zip-gap", Severity.HIGH, f"{directory - at} bytes that no member owns.", at)
    return out


def _same(data: memoryview, tally: Tally, record: _Record, directory: int) -> Entry | None:
    """Return a member whose local header is, byte for byte, what the directory lets expect; None for another.

    Of such a member `_local` has nothing to say.
    """
    at = record.start
    start = at + len(record.local)
    end = start + record.stored
    if not record.local or end > directory or data[at:start] != record.local:
        return None
    tally.claim(at, start)
    _, flags, method, crc, stored, size, mode, _, _ = msgspec.structs.astuple(record)
    return Entry(record.raw_name, flags, method, crc, stored, size, mode, at, start, end, end)


def _local(data: memoryview, tally: Tally, record: _Record, directory: int) -> Entry:
    at = record.start
    head = _LOCAL.unpack_from(data, at) if at + _LOCAL.size <= directory else (b"",)
    if head[0] != _SIGN_LOCAL:
        what = "A member's header is not where the directory says."
        raise BrokenContentError(what, at=at)
    _, needs, flags, method, _, _, crc, stored, size, name, extra = head
    if needs > _NEWEST:
        _needed(tally, needs, method, at)
    begin = at + _LOCAL.size
    start = begin + name + extra
    end = start + record.stored
    if end > directory:
        what = "A member ends past the central directory."
        raise BrokenContentError(what, at=at)
    fields = _fields(tally, bytes(data[begin + name : start]), at) if extra else {}
    stop = end
    if flags & _DESCRIPTOR:
        agree = {crc, stored, size} <= {0, record.crc, record.stored, record.size, _FULL32}
        stop = _descriptor(data, end, directory, record)
    else:
        if fields or _FULL32 in {size, stored}:
            size, stored = _wide(fields, (size, stored), at)
        agree = (crc, stored, size) == (record.crc, record.stored, record.size)
    same_name = bytes(data[begin : begin + name]) == record.raw_name
    if not agree or not same_name or (flags, method) != (record.flags, record.method):
        tally.note(
            "zip-directories-differ", Severity.CRITICAL, "A member's two headers say different things.", at
        )
        tally.complete = False
    if flags & ~(_KNOWN_FLAGS | _ENCRYPTED):
        tally.note("zip-flags", Severity.MEDIUM, f"Unknown flag bits 0x{flags & ~_KNOWN_FLAGS:04x}.", at)
    if flags & _ENCRYPTED:
        tally.note("zip-encrypted", Severity.HIGH, "A member is encrypted.", at)
    tally.claim(at, start)
    if stop > end:
        tally.claim(end, stop)
    return Entry(
        record.raw_name,
        flags,
        method,
        record.crc,
        record.stored,
        record.size,
        record.mode,
        at,
        start,
        end,
        stop,
    )


def _descriptor(data: memoryview, at: int, directory: int, record: _Record) -> int:
    """Return where the data descriptor ends that agrees with the directory."""
    for form in _DESCRIPTOR_FORMS:
        shape = struct.Struct(form)
        stop = at + shape.size
        if stop > directory:
            continue
        *sign, crc, stored, size = shape.unpack_from(data, at)
        if (crc, stored, size) == (record.crc, record.stored, record.size) and sign in (
            [],
            [_SIGN_DESCRIPTOR],
        ):
            return stop
    what = "A data descriptor does not agree with the directory."
    raise BrokenContentError(what, at=at)
