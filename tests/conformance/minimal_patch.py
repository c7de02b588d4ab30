"""A second reader of patches, written from docs/formats/crate-v1.md ("Patches") alone.

Everything in memory; standard library and `zstandard`, nothing of Lockgate.
"""

import lzma
import struct
import zlib
from typing import NamedTuple

import zstandard


class BadPatchError(Exception):
    """The patch is not what the text says."""


def demand(truth: object, what: str) -> None:
    """Refuse the patch unless something holds."""
    if not truth:
        raise BadPatchError(what)


class Cursor:
    """Reads varints from bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def one(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def column(self, count: int) -> list[int]:
        return [self.one() for _ in range(count)]

    def rows(self, width: int) -> list[tuple[int, ...]]:
        count = self.one()
        return list(zip(*[self.column(count) for _ in range(width)], strict=True))


def signed(value: int) -> int:
    """Undo the zigzag."""
    return -(value >> 1) - 1 if value & 1 else value >> 1


def unpack(data: bytes, dictionary: bytes = b"") -> bytes:
    """Read a packed string."""
    cursor = Cursor(data)
    cursor.at = 1
    size = cursor.one()
    body = data[cursor.at :]
    if data[0] == 1:
        return unzstd(body, size, dictionary)
    if data[0] == 2:
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 24}]
        body = lzma.decompress(body, format=lzma.FORMAT_RAW, filters=filters)
    demand(len(body) == size and data[0] in {0, 2}, "packed in another way")
    return body


def unzstd(frame: bytes, size: int, dictionary: bytes) -> bytes:
    """Read a zstd frame after a dictionary of plain content."""
    plain = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    given = plain if dictionary else None
    data = zstandard.ZstdDecompressor(dict_data=given, max_window_size=1 << 27).decompress(frame, size)
    demand(len(data) == size, "another length in a frame")
    return data


def decode(codec: int, parameter: int, data: bytes) -> bytes:
    """Decode a range of a base."""
    if codec == 1:
        return zlib.decompress(data, -15)
    if codec == 2:
        return lzma.decompress(data, format=lzma.FORMAT_RAW, filters=preset(parameter))
    if codec == 3:
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    demand(codec == 0, "this reader does not take DEFLATE apart")
    return data


def encode(codec: int, parameter: int, data: bytes) -> bytes:
    """Compress a member of the new file."""
    if codec == 1:
        level, memory, strategy = parameter & 15, parameter >> 4 & 15, parameter >> 8
        machine = zlib.compressobj(level, zlib.DEFLATED, -15, memory, strategy)
        return machine.compress(data) + machine.flush()
    if codec == 2:
        return lzma.compress(data, format=lzma.FORMAT_RAW, filters=preset(parameter))
    demand(codec == 3, "another codec")
    settings = zstandard.ZstdCompressionParameters.from_level(
        parameter & 31,
        write_content_size=bool(parameter & 32),
        write_checksum=bool(parameter & 64),
        write_dict_id=False,
    )
    machine = zstandard.ZstdCompressor(compression_params=settings).compressobj(
        size=len(data) if parameter & 32 else -1
    )
    return machine.compress(data) + machine.flush()


def preset(parameter: int) -> list[dict[str, int]]:
    """Return liblzma's filters for a parameter."""
    extreme = lzma.PRESET_EXTREME if parameter & 16 else 0
    return [{"id": lzma.FILTER_LZMA2, "preset": parameter & 15 | extreme}]


def aligned(data: bytes, size: int, window: bytes) -> bytes:
    """Read an aligned segment."""
    cursor = Cursor(data)
    first, second = cursor.one(), cursor.one()
    at = cursor.at
    control = Cursor(unpack(data[at : at + first]))
    differences = unpack(data[at + first : at + first + second])
    inserted = unpack(data[at + first + second :], window)
    rows = control.rows(3)
    out, place, d, i = bytearray(), 0, 0, 0
    for copied, added, move in rows:
        pairs = zip(window[place : place + copied], differences[d : d + copied], strict=True)
        out += bytes((a + b) & 255 for a, b in pairs)
        out += inserted[i : i + added]
        place, d, i = place + copied + signed(move), d + copied, i + added
    demand(len(out) == size, "another length in an aligned segment")
    return bytes(out)


def planes(data: bytes, size: int, window: bytes) -> bytes:
    """Read a planes segment."""
    width, operation = data[0] + 1, data[1]
    count = size // width
    if operation == 2:
        steps = groups(data[2:], window)
    else:
        flat = unpack(data[2:])
        elements = [bytes(flat[p * count + n] for p in range(width)) for n in range(count)]
        tail = flat[count * width :]
        if operation == 0:
            return bytes(a ^ b for a, b in zip(b"".join(elements) + tail, window, strict=True))
        steps = [int.from_bytes(element, "little") for element in elements]
    out = b""
    for n, step in enumerate(steps):
        base = int.from_bytes(window[n * width : (n + 1) * width], "little")
        out += ((base + signed(step)) % (1 << 8 * width)).to_bytes(width, "little")
    return out


def digits(data: bytes, base: int, each: int, count: int) -> list[int]:
    """Read numbers of which some share a byte."""
    demand(len(data) == -(-count // each), "too few or too many numbers of a group")
    return [data[n // each] // base ** (n % each) % base for n in range(count)]


def groups(data: bytes, window: bytes) -> list[int]:
    """Read differences in groups, and put them back in the order of the window."""
    cursor = Cursor(data)
    cursor.at = 1
    lengths = cursor.column(3)
    parts = []
    for length in [*lengths, len(data) - cursor.at - sum(lengths)]:
        parts.append(unpack(data[cursor.at : cursor.at + length]))
        cursor.at += length
    settings, heads, lows, escapes = parts
    keys = [
        (struct.unpack_from("<H", window, at)[0] >> 7 & 255) >> data[0] for at in range(0, len(window), 2)
    ]
    steps, h, low, e = [0] * len(keys), 0, 0, 0
    for number, key in enumerate(sorted(set(keys))):
        places = [n for n, own in enumerate(keys) if own == key]
        bits, values = settings[2 * number], settings[2 * number + 1] + 1
        each = {2: 8, 3: 5, 4: 4, 6: 3, 16: 2, 256: 1}[values]
        size = -(-len(places) // each)
        upper, h = digits(heads[h : h + size], values, each, len(places)), h + size
        lower = [0] * len(places)
        if bits:
            size = -(-len(places) // (8 // bits))
            lower, low = digits(lows[low : low + size], 1 << bits, 8 // bits, len(places)), low + size
        for place, head, rest in zip(places, upper, lower, strict=True):
            value = head
            if head == values - 1:
                (value,) = struct.unpack_from("<H", escapes, e)
                e += 2
            steps[place] = value << bits | rest
    demand((h, low, e) == (len(heads), len(lows), len(escapes)), "groups of another length")
    return steps


def directory(data: bytes) -> bytes:
    """Put the places back into a zip's directory."""
    out, at, expected = bytearray(data), 0, 0
    while at < len(out):
        size, name, extra, comment = (
            *struct.unpack_from("<I", out, at + 20),
            *struct.unpack_from("<3H", out, at + 28),
        )
        (gap,) = struct.unpack_from("<I", out, at + 42)
        place = (expected + gap) % (1 << 32)
        struct.pack_into("<I", out, at + 42, place)
        expected = place + 30 + name + size
        at += 46 + name + extra + comment
    return bytes(out)


class Stream(NamedTuple):
    """The reference of a stream and its segments."""

    reference: bytes
    segments: list[tuple[int, ...]]


def read_stream(cursor: Cursor, bases: list[bytes]) -> Stream:
    """Read a stream's columns and decode its sources."""
    rows = cursor.rows(5)
    reference, end = b"", 0
    for (base, length, codec, parameter, size), gap in zip(rows, cursor.column(len(rows)), strict=True):
        offset = end + signed(gap)
        end = offset + length
        part = decode(codec, parameter, bases[base][offset:end])
        demand(len(part) == size, "another length of a source")
        reference += part
    return Stream(reference, cursor.rows(5))


def apply_patch(patch: bytes, held: dict[str, bytes], names: list[str]) -> bytes:
    """Return the file that a patch describes.

    Args:
        patch: The patch.
        held: Files by their digests.
        names: Digests of the files that the patch may build on, in order.

    """
    demand(patch[:8] == b"LGDLT1\r\n", "another format")
    length = int.from_bytes(patch[8:12], "big")
    cursor, at = Cursor(unpack(patch[12 : 12 + length])), 12 + length
    size = cursor.one()
    listed = []
    for _ in range(cursor.one()):
        listed.append(cursor.data[cursor.at : cursor.at + 32].hex())
        cursor.at += 32
        demand(cursor.one() == len(held[listed[-1]]), "another length of a base")
    demand(listed == names, "other bases than the entry names")
    bases = [held[name] for name in listed]
    streams = [read_stream(cursor, bases) for _ in range(2)]
    pieces = cursor.rows(6)
    gaps = iter(cursor.column(sum(row[0] == 0 for row in pieces)))
    contents = []
    for stream in streams:
        content = b""
        for kind, out, data_length, low, high in stream.segments:
            window, data = stream.reference[low:high], patch[at : at + data_length]
            at += data_length
            content += (
                data
                if kind == 0
                else unzstd(data, out, window)
                if kind == 1
                else aligned(data, out, window)
                if kind == 2
                else planes(data, out, window)
            )
        contents.append(Cursor(content))
    demand(at == len(patch), "the patch goes on")
    new, end = b"", 0
    for kind, place, count, codec, parameter, coded in pieces:
        if kind == 0:
            offset = end + signed(next(gaps))
            end = offset + count
            new += bases[place][offset:end]
            continue
        stream = contents[place]
        part = stream.data[stream.at : stream.at + count]
        stream.at += count
        made = part if kind == 1 else encode(codec, parameter, part) if kind == 2 else directory(part)
        demand(kind != 2 or len(made) == coded, "another length of a member")
        new += made
    demand(len(new) == size, "another length of the file")
    return new
