"""Members of zip files and wheels (APPNOTE.TXT 6.3)."""

import struct

from lockgate.crossing.delta.bounds import MIB, Readable
from lockgate.crossing.delta.directory import HEAD, LOCAL_HEAD, SIGNATURE
from lockgate.crossing.delta.recipe import Codec
from lockgate.crossing.delta.spans import MEMBERS_LIMIT, NoLayoutError, Span, around

_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_TAIL = 65_535 + _END.size
_DIRECTORY_LIMIT = 64 * MIB
_SATURATED = 0xFFFFFFFF
_DEFLATED, _STORED = 8, 0


def zipped(file: Readable, offset: int, length: int, _name: str) -> list[Span]:
    """Return the spans of a zip file."""
    count, size, at, end = _directory(file, offset, length)
    directory = file.at(at, size)
    if len(directory) != size or count > MEMBERS_LIMIT:
        raise NoLayoutError
    spans, place = list[Span](), offset
    for local, method, packed, unpacked, name in sorted(_entries(directory, offset)):
        head = file.at(local, LOCAL_HEAD)
        if head[:4] != b"PK\x03\x04" or local < place:
            raise NoLayoutError
        name_length, extra = struct.unpack_from("<2H", head, 26)
        data = local + LOCAL_HEAD + name_length + extra
        if data + packed > at:
            raise NoLayoutError
        spans += around(place, data)
        if packed:
            codec = Codec.DEFLATE if method == _DEFLATED else Codec.RAW
            decoded = unpacked if method == _DEFLATED else packed
            spans.append(Span(data, packed, codec, 0, decoded, name))
        place = data + packed
    spans += around(place, at)
    if size:
        spans.append(Span(at, size, size=size, directory=True))
    return spans + around(at + size, end)


def _directory(file: Readable, offset: int, length: int) -> tuple[int, int, int, int]:
    """Return number of entries, length and place of the directory, and the end of the file."""
    start = max(0, length - _TAIL)
    tail = file.at(offset + start, length - start)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or found + _END.size > len(tail):
        raise NoLayoutError
    _, _, _, _, count, size, place, comment = _END.unpack_from(tail, found)
    if found + _END.size + comment != len(tail):
        raise NoLayoutError
    if _SATURATED in {size, place} or count == 0xFFFF:  # noqa: PLR2004  # APPNOTE.TXT, 4.4.1.4
        count, size, place = _directory64(file, offset, tail, found)
    if place + size > length:
        raise NoLayoutError
    return count, size, offset + place, offset + length


def _directory64(file: Readable, offset: int, tail: bytes, found: int) -> tuple[int, int, int]:
    if found < _LOCATOR.size:
        raise NoLayoutError
    magic, _, place, _ = _LOCATOR.unpack_from(tail, found - _LOCATOR.size)
    record = file.at(offset + place, _END64.size)
    if magic != b"PK\x06\x07" or len(record) < _END64.size or record[:4] != b"PK\x06\x06":
        raise NoLayoutError
    fields = _END64.unpack(record)
    return fields[7], fields[8], fields[9]


def _entries(directory: bytes, offset: int) -> list[tuple[int, int, int, int, str]]:
    found, at = [], 0
    while at < len(directory):
        if not directory.startswith(SIGNATURE, at) or at + HEAD > len(directory):
            raise NoLayoutError
        fields = _ENTRY.unpack_from(directory, at)
        method, packed, unpacked, name, extra, comment, local = (
            *(fields[4], fields[8], fields[9], fields[10], fields[11], fields[12], fields[16]),
        )
        if _SATURATED in {packed, unpacked, local}:
            more = directory[at + HEAD + name : at + HEAD + name + extra]
            unpacked, packed, local = _zip64(more, unpacked, packed, local)
        text = directory[at + HEAD : at + HEAD + name].decode("utf-8", "replace")
        found.append((offset + local, method, packed, unpacked, text))
        at += HEAD + name + extra + comment
    if at != len(directory):
        raise NoLayoutError
    return found


def _zip64(extra: bytes, *values: int) -> list[int]:
    """Return sizes and place with those that are in the zip64 extra field (APPNOTE.TXT, 4.5.3)."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
            try:
                return [next(wide) if value == _SATURATED else value for value in values]
            except StopIteration as error:
                raise NoLayoutError from error
        at += 4 + length
    raise NoLayoutError
