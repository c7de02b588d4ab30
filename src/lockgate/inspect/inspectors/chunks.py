"""Files of chunks, each with a name and a length: RIFF and IFF media, MIDI, and compiled Erlang.

Formats: "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft: RIFF, RIFX); EA
IFF 85 (FORM); "WebP Container Specification"; Standard MIDI Files 1.0; ``beam_lib`` of OTP (FOR1).
Sound, pictures and code are opaque; chunks that may hold texts are looked at.
"""

import string
from dataclasses import dataclass

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_HEAD, _TYPE = 8, 4
_DEPTH = 16
_LETTERS = frozenset(string.printable[:95].encode())
_TEXT_BYTES = 1 << 20
"""Longest chunk that is searched for texts, in bytes: notes are short."""


@dataclass(frozen=True, slots=True)
class _Form:
    order: str
    align: int
    lists: frozenset[bytes]


_LISTS = frozenset({b"RIFF", b"RIFX", b"LIST"})
_FORMS = {
    b"RIFF": _Form("little", 2, _LISTS),
    b"RIFX": _Form("big", 2, _LISTS),
    b"FORM": _Form("big", 2, frozenset({b"FORM", b"LIST", b"CAT "})),
    b"FOR1": _Form("big", 4, frozenset({b"FOR1"})),
}
_MEDIA = frozenset({b"data", b"VP8 ", b"VP8L", b"ALPH", b"ANMF", b"idx1", b"SSND", b"BODY", b"PIXL", b"icon"})
"""Chunks of numbers alone."""
_KINDS = {
    b"WAVE",
    b"WEBP",
    b"ACON",
    b"AVI ",
    b"AVIX",
    b"sfbk",
    b"RMID",
    b"AIFF",
    b"AIFC",
    b"ILBM",
    b"PBM ",
    b"BEAM",
}
_MIDI_HEAD = 6


class ChunksInspector(Inspector):
    """Walks the chunks of one form, and of those that follow it."""

    name = "riff"
    version = 1
    detects = frozenset({"riff", "iff", "beam"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim every chunk; a form ends where the file does."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        tally.opaque.add(tally.detected)
        form = _FORMS[bytes(data[:_TYPE])]
        walk = _Walk(data, form, context.limits.entries)
        at = walk.chunks(0, len(data), 0)
        tally.claim(0, at)
        look(tally, walk.texts, context)


class _Walk:
    def __init__(self, data: memoryview, form: _Form, most: int) -> None:
        self.data, self.form, self.most = data, form, most
        self.count = 0
        self.texts: list[str] = []

    def chunks(self, at: int, end: int, depth: int) -> int:
        """Walk the chunks from one place to another; return where they end."""
        demand(depth, _DEPTH, "chunk depth")
        while at < end:
            self.count = demand(self.count + 1, self.most, "entries")
            name = bytes(self.data[at : at + _TYPE])
            size = int.from_bytes(self.data[at + _TYPE : at + _HEAD], self.form.order)  # type: ignore[arg-type]
            start = at + _HEAD
            stop = start + size
            if start > end or stop > end or not _LETTERS.issuperset(name):
                raise _broken("A chunk has no name or ends past what holds it.", at)
            if not depth and name not in _FORMS:
                raise _broken("Bytes follow what the file says it holds.", at)
            if name in self.form.lists:
                self.nested(name, start, stop, depth)
            elif name not in _MEDIA and size <= _TEXT_BYTES:
                self.texts.append(texts_of(self.data[start:stop]))
            at = self.padded(stop, end)
        return at

    def nested(self, name: bytes, start: int, stop: int, depth: int) -> None:
        kind = bytes(self.data[start : start + _TYPE])
        if stop - start < _TYPE or not _LETTERS.issuperset(kind):
            raise _broken("A list of chunks has no type.", start)
        if not depth and kind not in _KINDS:
            raise _broken("The type of the file is not known.", start)
        del name
        self.chunks(start + _TYPE, stop, depth + 1)

    def padded(self, stop: int, end: int) -> int:
        """Return where a chunk ends with what aligns it; some writers leave that out at the end."""
        fill = min(-stop % self.form.align, end - stop)
        if any(self.data[stop : stop + fill]):
            raise _broken("What aligns a chunk holds something.", stop)
        return stop + fill


class MidiInspector(Inspector):
    """A head and tracks; what is played is opaque, words of songs are looked at."""

    name = "midi"
    version = 1
    detects = frozenset({"midi"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the head and as many tracks as it says."""
        size = int.from_bytes(data[4:8], "big")
        tracks = int.from_bytes(data[10:12], "big")
        if size != _MIDI_HEAD or len(data) < _HEAD + size:
            raise _broken("The head of the song has another size than the format says.", 4)
        at = _HEAD + size
        for _ in range(tracks):
            stop = at + _HEAD + int.from_bytes(data[at + 4 : at + 8], "big")
            if bytes(data[at : at + 4]) != b"MTrk" or stop > len(data):
                raise _broken("A track is missing or ends past the file.", at)
            at = stop
        tally.opaque.add("midi")
        tally.claim(0, at)
        look(tally, [texts_of(data)], context)


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
