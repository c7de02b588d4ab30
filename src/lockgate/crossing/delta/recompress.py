"""Finding how a member was compressed, so that it can be compressed again bit for bit. Planning only."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from lockgate.crossing.delta.bounds import MIB, TOKENS_LIMIT, Readable, blocks
from lockgate.crossing.delta.codecs import decoded, deflate_parameter, encoded
from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.delta.layout import Span
from lockgate.crossing.delta.recipe import Codec
from lockgate.crossing.delta.tokens import decode_tokens, encode_tokens

_PROBE = MIB // 2
"""Bytes of content by which settings are told apart before one is tried on the whole member."""

_TOKENS_GROWTH = 5
"""A literal of a DEFLATE stream takes at least a fifth of the four bytes of the longest token."""

_FIRST: Final = ((6, 8, 0), (9, 8, 0), (1, 8, 0), (6, 9, 0), (9, 9, 0))
_DEFLATE: Final = (
    *_FIRST,
    *(
        setting
        for strategy in (0, 1, 2, 4)
        for memory in (8, 9)
        for level in range(1, 10)
        if (setting := (level, memory, strategy)) not in _FIRST
    ),
)
_ZSTD_LEVELS: Final = (3, 19, 1, 10, 9, 6, 15, *(n for n in range(2, 23) if n not in {3, 6, 9, 10, 15, 19}))


def members(file: Readable, span: Span) -> Iterator[bytes]:
    """Yield a member's content."""
    return decoded(span.codec, span.parameter, span.size, blocks(file, span.offset, span.length))


def _settings(file: Readable, span: Span) -> tuple[int, ...]:
    if span.codec is Codec.DEFLATE:
        return tuple(deflate_parameter(*setting) for setting in _DEFLATE)
    if span.codec is Codec.LZMA2:
        presets = {5: (6, 5, 22, 21), 3: (3, 4, 19, 20), 0: (0, 16), 1: (1, 17), 2: (2, 18)}
        return presets.get(span.parameter, (span.parameter, span.parameter + 16))
    flags = file.at(span.offset + 4, 1)[0]
    known = 32 if flags & 0xE0 else 0  # single segment or a content size field (RFC 8878, 3.1.1.1.1)
    return tuple(level | known | (64 if flags & 4 else 0) for level in _ZSTD_LEVELS)


def _same(file: Readable, span: Span, parts: Iterable[bytes]) -> bool:
    """Tell whether compressed parts are exactly the member's bytes, stopping at the first difference."""
    at = 0
    for part in parts:
        if file.at(span.offset + at, len(part)) != part:
            return False
        at += len(part)
    return at == span.length


def _begins(file: Readable, span: Span, content: bytes, parameter: int) -> bool:
    """Tell whether the start of the content is compressed to the start of the member."""
    whole = len(content) == span.size
    made = b"".join(encoded(span.codec, parameter, span.size if whole else len(content), [content]))
    # Without the content's end the last block of a probe is another one.
    compared = span.length if whole else max(0, len(made) // 2 - 64)
    return file.at(span.offset, compared) == made[:compared] and (not whole or len(made) == span.length)


def reproduced(file: Readable, span: Span, hint: int | None = None) -> Span | None:
    """Return a member's span with the setting that compresses it again, or None.

    Args:
        file: Holds the member.
        span: The member.
        hint: A setting that was right for another member of the file.

    Returns:
        A span of the same codec with its setting, or one of the codec ``TOKENS``.

    """
    try:
        found = _setting(file, span, hint)
    except PatchError:
        return None
    if found is not None:
        return replace(span, parameter=found)
    return taken_apart(file, span)


def _setting(file: Readable, span: Span, hint: int | None) -> int | None:
    content, parts = b"", members(file, span)
    for part in parts:
        content += part
        if len(content) >= _PROBE:
            break
    tried = _settings(file, span)
    order = tried if hint is None else (hint, *(value for value in tried if value != hint))
    for value in order:
        try:
            if not _begins(file, span, content, value):
                continue
            if len(content) == span.size or _same(
                file, span, encoded(span.codec, value, span.size, members(file, span))
            ):
                return value
        except PatchError:
            continue
    return None


def taken_apart(file: Readable, span: Span) -> Span | None:
    """Return a DEFLATE member as its tokens, or None where that does not give its bytes back."""
    if span.codec is not Codec.DEFLATE or span.length > TOKENS_LIMIT:
        return None
    data = file.at(span.offset, span.length)
    try:
        tokens = decode_tokens(data, _TOKENS_GROWTH * len(data) + MIB)
        if encode_tokens(tokens) != data:
            return None
    except PatchError:
        return None
    return replace(span, codec=Codec.TOKENS, parameter=0, size=len(tokens))
