"""Finding how a member was compressed, so that it can be compressed again bit for bit. Planning only."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from lockgate.crossing.delta.bounds import MIB, TOKENS_CONTENT_LIMIT, TOKENS_LIMIT, Readable, blocks
from lockgate.crossing.delta.codecs import decoded, deflate_parameter, encoder
from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.delta.recipe import Codec
from lockgate.crossing.delta.spans import Span
from lockgate.crossing.delta.tokens import decode_tokens, encode_tokens

_PROBE: Final = MIB // 2
"""Bytes of content by which settings are told apart."""

_GLANCE: Final = 64 * 1024
"""Bytes of content by which a setting is believed that was right for another member of the file."""

_STEP: Final = 64 * 1024
"""Bytes of content after which what a compressor gave is compared."""

_KEPT_MOST: Final = 32 * MIB
"""Bytes of tokens that are kept for one file."""

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
TRIALS: Final = len(_DEFLATE)
"""Settings that are tried at most."""

FEW: Final = len(_FIRST)
"""Settings that are tried where other members of the file were compressed by none."""

_ZSTD_LEVELS: Final = (3, 19, 1, 10, 9, 6, 15, *(n for n in range(2, 23) if n not in {3, 6, 9, 10, 15, 19}))


class Tokens:
    """Tokens of one file's members, up to a bound: taking apart takes long, and is needed again."""

    def __init__(self) -> None:
        """Begin with none."""
        self._held: dict[int, bytes] = {}
        self._left = _KEPT_MOST

    def put(self, span: Span, tokens: bytes) -> None:
        """Keep a member's tokens where there is room."""
        if len(tokens) <= self._left and span.offset not in self._held:
            self._held[span.offset] = tokens
            self._left -= len(tokens)

    def get(self, offset: int) -> bytes | None:
        """Return the tokens of the member at a place of the file, if they are kept."""
        return self._held.get(offset)


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


def _agrees(file: Readable, span: Span, parts: Iterable[bytes], parameter: int) -> bool:
    """Tell whether a setting compresses content to the member's bytes, ending at the first difference.

    What a compressor gave before its end does not depend on what follows, so that the beginning of a
    member is judged exactly by as much as has come out of the compressor.

    Args:
        file: Holds the member.
        span: The member.
        parts: Its content, or the beginning of it.
        parameter: The setting.

    """
    machine = encoder(span.codec, parameter, span.size)
    at = seen = 0
    for part in parts:
        for first in range(0, len(part), _STEP):
            made = machine.compress(part[first : first + _STEP])
            if made and file.at(span.offset + at, len(made)) != made:
                return False
            at += len(made)
        seen += len(part)
    if seen < span.size:
        return True
    made = machine.flush()
    return at + len(made) == span.length and file.at(span.offset + at, len(made)) == made


def reproduced(
    file: Readable, span: Span, hint: int | None = None, most: int = TRIALS, kept: Tokens | None = None
) -> Span | None:
    """Return a member's span with the setting that seems to compress it again, or None.

    Only the beginning of a longer member is looked at: whether the rest is the same, too, shows when
    the file is rebuilt (`proof`); where it is not, `thoroughly` looks again.

    Args:
        file: Holds the member.
        span: The member.
        hint: A setting that was right for another member of the file.
        most: Settings that are tried beside the hint.
        kept: Keeps tokens, where the member is taken apart.

    Returns:
        A span of the same codec with its setting, or one of the codec ``TOKENS``.

    """
    try:
        head = _head(file, span)
        if hint is not None and _agrees(file, span, [head[:_GLANCE]], hint):
            return replace(span, parameter=hint)
        found = _first(file, span, head, most)
    except PatchError:
        return None
    if found is None:
        return taken_apart(file, span, check=False, kept=kept)
    return replace(span, parameter=found)


def thoroughly(file: Readable, span: Span) -> Span | None:
    """Return a member's span with the setting that compresses all of it again, or None."""
    try:
        head = _head(file, span)
        for value in _settings(file, span):
            if _agrees(file, span, [head], value) and _agrees(file, span, members(file, span), value):
                return replace(span, parameter=value)
    except PatchError:
        return None
    return taken_apart(file, span)


def _head(file: Readable, span: Span) -> bytes:
    head = b""
    for part in members(file, span):
        head += part
        if len(head) >= _PROBE:
            break
    return head


def _first(file: Readable, span: Span, head: bytes, most: int) -> int | None:
    settings = _settings(file, span)[:most]
    return next((value for value in settings if _agrees(file, span, [head], value)), None)


def taken_apart(file: Readable, span: Span, *, check: bool = True, kept: Tokens | None = None) -> Span | None:
    """Return a DEFLATE member as its tokens, or None where that does not give its bytes back.

    Args:
        file: Holds the member.
        span: The member.
        check: Whether to put it together again; a member of the old file is only taken apart.
        kept: Keeps the tokens.

    """
    if span.codec is not Codec.DEFLATE or span.length > TOKENS_LIMIT:
        return None
    data = file.at(span.offset, span.length)
    try:
        tokens = decode_tokens(data, min(_TOKENS_GROWTH * len(data) + MIB, TOKENS_CONTENT_LIMIT))
        if check and encode_tokens(tokens) != data:
            return None
    except PatchError:
        return None
    if kept is not None:
        kept.put(span, tokens)
    return replace(span, codec=Codec.TOKENS, parameter=0, size=len(tokens))
