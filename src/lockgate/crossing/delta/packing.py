"""Short packed byte strings: as they are, by zstd, or by LZMA; optionally after a dictionary.

A packed string is: method (one byte), unpacked length (varint), data to the end.
"""

import lzma
from collections.abc import Sequence
from typing import Final

import zstandard

from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.delta.varints import Numbers, pack

RAW: Final = 0
ZSTD: Final = 1
LZMA: Final = 2

_WINDOW_LOG = 27
"""zstd windows of 128 MiB: a segment and all that it may refer to."""

_BEST = 19
_BETTER = 17
_LEVELS = ((1 << 20, _BEST), (24 << 20, 12))
"""zstd's level for data, and for a dictionary, up to so many bytes; longer ones are worth _FAST."""

_MUCH = 32 << 10
"""Packed bytes from which longer data are packed once more, with more effort."""

_FAST = 9
_ENTROPY: Final = {
    "strategy": zstandard.STRATEGY_FAST,
    "window_log": 15,
    "hash_log": 6,
    "min_match": 7,
    "target_length": 0,
}
"""Settings by which zstd finds next to no matches (noise has some, by chance), in blocks of 32 KiB."""

_LONG_BLOCK_LOG = 17
"""The same for content whose parts are alike in themselves: blocks of 128 KiB."""

_OWN_CODE = 4096
"""Bytes that are worth a code of their own."""

_FEW = 64 << 10
_SPARSE = 16
_MIDDLING = 4 << 20
_LONG = 8 << 20
_LZMA_MOST = 2 << 20
"""Longest data that LZMA is tried on: 4 MB take a second."""

_LZMA_DICTIONARY = 1 << 24
_LZMA_LEAST = 4096
_LZMA_WRITTEN = 1 << 22


def _filters(dictionary: int) -> list[dict[str, int]]:
    return [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": dictionary, "lc": 3, "lp": 0, "pb": 2}]


_MINIMUM_WINDOW = 10


def window_log(size: int) -> int:
    """Return the zstd window (as a power of two) that reaches over so many bytes."""
    return max(_MINIMUM_WINDOW, min(_WINDOW_LOG, size.bit_length()))


def squeeze(data: bytes, dictionary: bytes = b"", level: int | None = None) -> bytes:
    """Return a zstd frame of data, made after a dictionary of plain content (zstd's ``--patch-from``).

    Args:
        data: What is packed.
        dictionary: Content that it may refer to.
        level: zstd's level; by both lengths where none is given.

    """
    long = len(data) + len(dictionary) > _LONG
    chosen = level or _level(len(data), len(dictionary))
    log = window_log(len(data) + len(dictionary))
    parameters = zstandard.ZstdCompressionParameters.from_level(
        chosen,
        window_log=log,
        enable_ldm=long,
        write_content_size=True,
        write_checksum=False,
        write_dict_id=False,
    )
    prefix = _dictionary(dictionary)
    return zstandard.ZstdCompressor(dict_data=prefix, compression_params=parameters).compress(data)


def _level(size: int, dictionary: int) -> int:
    """Return the level that is worth its time: zstd indexes the dictionary before the first byte."""
    found = [next((level for most, level in _LEVELS if n <= most), _FAST) for n in (size, dictionary)]
    return min(found)


def _dictionary(content: bytes) -> "zstandard.ZstdCompressionDict | None":
    return (
        zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if content else None
    )


def unsqueeze(frame: bytes, size: int, dictionary: bytes = b"") -> bytes:
    """Undo `squeeze`; the frame must give exactly `size` bytes.

    Raises:
        PatchError: It does not.

    """
    try:
        if zstandard.frame_content_size(frame) != size:
            raise PatchError("A compressed part of a patch has another length than it says.")
        decompressor = zstandard.ZstdDecompressor(
            dict_data=_dictionary(dictionary), max_window_size=1 << _WINDOW_LOG
        )
        data = decompressor.decompress(frame, max_output_size=size, allow_extra_data=False)
    except (zstandard.ZstdError, ValueError) as error:
        raise PatchError("A compressed part of a patch cannot be read.") from error
    if len(data) != size:
        raise PatchError("A compressed part of a patch has another length than it says.")
    return data


def packed(data: bytes, dictionary: bytes = b"") -> bytes:
    """Return data packed by whichever method takes the fewest bytes."""
    choices = [(RAW, data), (ZSTD, squeeze(data, dictionary))]
    if len(data) <= _LZMA_MOST:
        choices.append((LZMA, _lzma(data)))
    elif not dictionary and len(choices[1][1]) > _MUCH:
        choices.append((ZSTD, squeeze(data, dictionary, _BEST if len(data) <= _MIDDLING else _BETTER)))
    return _shortest(choices, len(data))


def packed_numbers(parts: Sequence[bytes]) -> bytes:
    """Return differences of a tensor packed: mostly noise, on which effort is lost (see docs/adr/0014).

    Each part that is not short gets blocks, and so codes, of its own.
    """
    data = b"".join(parts)
    if len(data) <= _FEW:
        return packed(data)
    choices = [(RAW, data), (ZSTD, _coded(parts, len(data)))]
    if len(choices[1][1]) < len(data) // _SPARSE:
        choices.append((ZSTD, squeeze(data, level=_FAST)))
    return _shortest(choices, len(data))


def _coded(parts: Sequence[bytes], size: int) -> bytes:
    windows = {} if len(parts) == 1 else {"window_log": _LONG_BLOCK_LOG}
    settings = zstandard.ZstdCompressionParameters(
        **(_ENTROPY | windows), write_content_size=True, write_dict_id=False
    )
    machine, held = zstandard.ZstdCompressor(compression_params=settings).compressobj(size=size), 0
    out = []
    for part in parts:
        if held >= _OWN_CODE:
            out.append(machine.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
            held = 0
        out.append(machine.compress(part))
        held += len(part)
    return b"".join(out) + machine.flush()


def _shortest(choices: list[tuple[int, bytes]], size: int) -> bytes:
    method, best = min(choices, key=lambda choice: len(choice[1]))
    return bytes([method]) + pack([size]) + best


def unpacked(data: bytes, limit: int, dictionary: bytes = b"") -> bytes:
    """Undo `packed`.

    Raises:
        PatchError: Malformed.
        PatchLimitError: It would be longer than `limit`.

    """
    numbers = Numbers(data[1:10])
    size = numbers.next(limit, "packed_bytes")
    body = data[1 + len(pack([size])) :]
    if data[0] == ZSTD:
        return unsqueeze(body, size, dictionary)
    if data[0] == LZMA:
        return _unlzma(body, size)
    if data[0] != RAW or len(body) != size:
        raise PatchError("A part of a patch is packed in no known way.")
    return body


def _lzma(data: bytes) -> bytes:
    # A dictionary longer than the data only takes time and memory.
    needed = max(_LZMA_LEAST, min(_LZMA_WRITTEN, 1 << len(data).bit_length()))
    return lzma.compress(data, format=lzma.FORMAT_RAW, filters=_filters(needed))


def _unlzma(body: bytes, size: int) -> bytes:
    try:
        machine = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=_filters(_LZMA_DICTIONARY))
        data = machine.decompress(body, max_length=size)
        while len(data) < size and not machine.eof and not machine.needs_input:
            data += machine.decompress(b"", max_length=size - len(data))
        # What is beyond may only be the end mark.
        rest = b"" if machine.eof else machine.decompress(b"", max_length=1)
    except lzma.LZMAError as error:
        raise PatchError("A compressed part of a patch cannot be read.") from error
    if len(data) != size or rest or not machine.eof or machine.unused_data:
        raise PatchError("A compressed part of a patch has another length than it says.")
    return data
