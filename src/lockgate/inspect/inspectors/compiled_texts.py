"""What programs compile their texts to: libmagic's patterns and zsh's functions.

Formats: ``apprentice.c`` and ``file.h`` of file; ``parse.c`` of zsh, "dump file". Patterns and code are
opaque, their words are looked at.
"""

import struct

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.spans import Spans
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_MAGIC_HEAD = struct.Struct("<4I")
_VERSIONS = range(10, 40)
_RECORDS = frozenset({248, 312, 344, 376, 432})
"""Bytes that a pattern takes, by version."""
_ZSH_MARK, _ZSH_TURNED = b"\x07\x06\x05\x04", b"\x04\x05\x06\x07"
_ZSH_HEAD = 12
_ZSH_ENTRY = 6
_WORD = 4
_ORDERS = {_ZSH_MARK: "<", _ZSH_TURNED: ">"}


class MagicInspector(Inspector):
    """Patterns by which `file` tells types: a head, and records of one length."""

    name = "magic"
    version = 1
    detects = frozenset({"magic"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the records where they fill the file."""
        _, version, first, second = _MAGIC_HEAD.unpack_from(data)
        count = (
            1
            + demand(first, context.limits.entries, "entries")
            + demand(second, context.limits.entries, "entries")
        )
        size, rest = divmod(len(data), count)
        if version not in _VERSIONS or rest or size not in _RECORDS or any(data[_MAGIC_HEAD.size : size]):
            raise _broken("The records are not as many as the head says.", 8)
        tally.opaque.add("magic")
        tally.claim_all()
        look(tally, [texts_of(data)], context)


class ZshInspector(Inspector):
    """Functions of zsh, once for each order of bytes."""

    name = "zwc"
    version = 1
    detects = frozenset({"zwc"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim both halves: their lists of functions and the code of each."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        tally.opaque.add("zwc")
        spans = Spans(data, tally)
        # Three bytes of the second word say where the other half begins; in it, where it ends.
        other = int.from_bytes(data[5:8], "little" if bytes(data[:4]) == _ZSH_MARK else "big")
        for start, end in ((0, other), (other, len(data))) if other else ((0, len(data)),):
            _half(data, spans, start, end)
        spans.close(fill=_WORD)
        look(tally, [texts_of(data)], context)


def _half(data: memoryview, spans: Spans, start: int, end: int) -> None:
    order = _ORDERS.get(bytes(data[start : start + _WORD]), "")
    if not order or start + _WORD * (_ZSH_HEAD + 1) > end or start % _WORD:
        raise _broken("A half of the functions has no head.", start)
    # The code of the first function follows the list: where it begins is how long the list is.
    (words,) = struct.unpack_from(f"{order}I", data, start + _WORD * _ZSH_HEAD)
    stop = start + _WORD * words
    if not words >= _ZSH_HEAD or stop > end:
        raise _broken("The list of functions ends past its half.", start)
    spans.take(start, _WORD * words)
    at = start + _WORD * _ZSH_HEAD
    while at < stop:
        place, size, *_, head, _ = struct.unpack_from(f"{order}{_ZSH_ENTRY}I", data, at)
        code = start + _WORD * place
        # zsh writes whole words, of which the last may hold bytes of nothing.
        size += -size % _WORD
        if head <= _ZSH_ENTRY or at + _WORD * head > stop or code < stop or code + size > end:
            raise _broken("A function lies outside of its half.", at)
        spans.take(code, size)
        at += _WORD * head


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
