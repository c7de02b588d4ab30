"""Sound in pages and frames: Ogg with its check sums, FLAC's head, MPEG audio with its tags; all opaque.

Formats: RFC 3533 (Ogg); ISO/IEC 11172-3 and 13818-3 (MPEG audio, layers I to III); ID3 2.3 and 2.4.
"""

import struct
import zlib

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.shapes import frame_bytes
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_PAGE = struct.Struct("<4s2Bq3IB")
_BEGINS, _ENDS = 2, 4
_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(0x100))
_ALL = 0xFFFFFFFF
_NOTES = 256 << 10
"""How much of a file is searched for titles and comments, which lie at its beginning, in bytes."""
_ID3, _ID3_OLD = 10, 128


class OggInspector(Inspector):
    """Pages of streams, each numbered, summed and inside of its stream."""

    name = "ogg"
    version = 1
    detects = frozenset({"ogg"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim every page up to the end of the file."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        tally.opaque.add("ogg")
        at = 0
        streams: dict[int, int] = {}
        ended: set[int] = set()
        while at < len(data):
            stop, flags, serial, number = _page(data, at)
            first = serial not in streams
            if first != bool(flags & _BEGINS) or serial in ended or number != streams.get(serial, 0):
                raise _broken("A page does not follow the one before it in its stream.", at)
            demand(len(streams), context.limits.members, "members")
            streams[serial] = number + 1
            if flags & _ENDS:
                ended.add(serial)
            at = stop
        if len(ended) != len(streams):
            raise _broken("A stream has no end.", at)
        tally.claim(0, at)
        look(tally, [texts_of(data[:_NOTES])], context)


def _page(data: memoryview, at: int) -> tuple[int, int, int, int]:
    """Return where a page ends, its flags, its stream, and its number there."""
    magic, version, flags, _, serial, number, said, count = _PAGE.unpack_from(data, at)
    start = at + _PAGE.size + count
    stop = start + sum(data[at + _PAGE.size : start])
    if magic != b"OggS" or version or flags & ~7 or stop > len(data):
        raise _broken("A page has no head or ends past the file.", at)
    raw = bytes(data[at : at + 22]) + bytes(4) + bytes(data[at + 26 : stop])
    # The sum is that of zlib with all bits turned around, and with nothing at its beginning and end.
    turned = zlib.crc32(raw.translate(_TURNED), _ALL) ^ _ALL
    if int(f"{turned:032b}"[::-1], 2) != said:
        raise _broken("A page does not match its check sum.", at)
    return stop, flags, serial, number


class MpegAudioInspector(Inspector):
    """Frames of MPEG audio, each as long as its head says, with tags before and behind."""

    name = "mp3"
    version = 1
    detects = frozenset({"mp3"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim tags and frames; the last frame may be cut, as players and encoders leave it."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        tally.opaque.add("mp3")
        at = _tag(data)
        end = len(data) - (_ID3_OLD if bytes(data[-_ID3_OLD:][:3]) == b"TAG" else 0)
        look(tally, [texts_of(data[: min(at, _NOTES)]), texts_of(data[end:])], context)
        frames = 0
        while at < end:
            size = frame_bytes(data, at)
            if not size or at + size > end:
                raise _broken("A frame is missing or ends past the file.", at)
            at, frames = at + size, frames + 1
        if not frames:
            raise _broken("There is no sound.", at)
        tally.claim(0, len(data))


def _tag(data: memoryview) -> int:
    """Return where the tag at the beginning ends; its size has seven bits in each byte."""
    if bytes(data[:3]) != b"ID3":
        return 0
    if len(data) < _ID3:
        raise _broken("The tag ends past the file.", len(data))
    size = 0
    for byte in data[6:_ID3]:
        size = size << 7 | byte & 0x7F
    end = _ID3 + size + (_ID3 if data[5] & 0x10 else 0)
    if end > len(data):
        raise _broken("The tag ends past the file.", 6)
    return end


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
