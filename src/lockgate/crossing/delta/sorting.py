"""Sorting a new file's members into what is copied, and what is written down against what. Low side only."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from lockgate.crossing.delta.bounds import MIB, Readable, blocks
from lockgate.crossing.delta.directory import relative_directory
from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.delta.matching import first_bytes, match
from lockgate.crossing.delta.rebuild import decode_source
from lockgate.crossing.delta.recipe import Codec, Piece, PieceKind, Source
from lockgate.crossing.delta.recompress import FEW, TRIALS, Tokens, members, reproduced, taken_apart
from lockgate.crossing.delta.segments import Part
from lockgate.crossing.delta.spans import Span

_LEAST_COPY: Final = 32
"""Bytes that are worth a copying piece of their own."""

_HEADS: Final = 64
"""Most pieces around old members that the first stream refers to one by one."""


_PATIENCE: Final = 3
"""Members of a file that are tried with every setting, before a foreign compressor is believed in."""


def merged(pieces: list[Piece]) -> Iterator[Piece]:
    """Yield the pieces with neighbours of the same kind made one."""
    last: Piece | None = None
    for piece in pieces:
        if last is not None and _follows(last, piece):
            last = replace(last, length=last.length + piece.length)
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last


def _follows(last: Piece, piece: Piece) -> bool:
    if last.kind is not piece.kind or last.place != piece.place:
        return False
    if piece.kind is PieceKind.COPY:
        return last.offset + last.length == piece.offset
    return piece.kind is PieceKind.RAW


def _digest(file: Readable, span: Span) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    for block in blocks(file, span.offset, span.length):
        state.update(block)
    return state.digest()


class Members:
    """Sorts the spans of a new file into copies, and parts of the two streams.

    Attributes:
        pieces: The pieces of the new file, in order.
        coded: The members of the coded ones among them, in the same order.
        kept: Names of the members whose compressor cannot be run again.

    """

    def __init__(
        self,
        new: Readable,
        old: Readable,
        spans: Sequence[Span],
        old_spans: Sequence[Span],
        known: Mapping[Span, Span | None] | None = None,
    ) -> None:
        """Begin with nothing sorted.

        Args:
            new: The new file.
            old: The old one.
            spans: What the new file is made of.
            old_spans: What the old one is made of.
            known: Members of which it is known how they are compressed again; None for not at all.

        """
        self.new, self.old = new, old
        self.spans, self.old_spans = spans, old_spans
        self.pieces: list[Piece] = []
        self.around: list[Part] = []
        self.inside: list[Part] = []
        self.around_sources: list[Source] = []
        self.inside_sources: list[Source] = []
        self.kept: list[str] = []
        self.coded: list[Span] = []
        self._old_tokens = Tokens()
        self._new_tokens = Tokens()
        self._known = known or {}
        self._hints: dict[Codec, int] = {}
        self._failed: Counter[Codec] = Counter()

    @property
    def streams(self) -> tuple[tuple[list[Part], list[Source]], tuple[list[Part], list[Source]]]:
        """Return what each of the two streams carries, and the further sources that it may refer to."""
        return (self.around, self.around_sources), (self.inside, self.inside_sources)

    def old_content(self, source: Source, bases: Sequence[Readable]) -> Iterator[bytes]:
        """Return a source's content; of what was taken apart already, the tokens that are kept."""
        tokens = self._old_tokens.get(source.offset) if source.codec is Codec.TOKENS else None
        return decode_source(source, bases) if tokens is None else iter([tokens])

    def sort_out(self) -> None:
        """Decide about every span."""
        same = self._same()
        changed = [span for span in self.spans if span.name and span not in same]
        equal = set(same.values())
        spare = [span for span in self.old_spans if span.name and span not in equal]
        likeness = match(
            changed,
            spare,
            lambda span: first_bytes(members(self.new, span)),
            lambda span: first_bytes(members(self.old, span)),
        )
        for number, span in enumerate(self.spans):
            if span in same:
                self._copy(span, same[span].offset)
            elif span.name:
                self._member(span, likeness.get(span))
            elif (place := self._beside(number, same)) is not None:
                self._copy(span, place)
            else:
                self._between(span)
        used = set(likeness.values())
        self.inside_sources = [_source(span) for span in spare if span not in used]
        self._refer_around()

    def _same(self) -> dict[Span, Span]:
        """Return the members that the old file has with the very same compressed bytes."""
        lengths = {span.length for span in self.spans if span.name}
        held = {
            (span.length, _digest(self.old, span)): span
            for span in self.old_spans
            if span.name and span.length in lengths
        }
        found, possible = dict[Span, Span](), {length for length, _ in held}
        for span in self.spans:
            if span.name and span.length in possible and span.length >= _LEAST_COPY:
                other = held.get((span.length, _digest(self.new, span)))
                if other is not None:
                    found[span] = other
        return found

    def _copy(self, span: Span, offset: int) -> None:
        self.pieces.append(Piece(PieceKind.COPY, 0, span.length, offset))

    def _beside(self, number: int, same: dict[Span, Span]) -> int | None:
        """Return where the old file has what lies around a member, beside the same member."""
        span = self.spans[number]
        if span.directory or span.length > MIB:
            return None
        data = self.new.at(span.offset, span.length)
        before = self.spans[number - 1] if number else None
        after = self.spans[number + 1] if number + 1 < len(self.spans) else None
        places = []
        if before in same:
            places.append(same[before].end)
        if after in same:
            places.append(same[after].offset - span.length)
        for place in places:
            if place >= 0 and self.old.at(place, span.length) == data:
                return place
        return None

    def _between(self, span: Span) -> None:
        data = self.new.at(span.offset, span.length)
        kind = PieceKind.RAW
        if span.directory:
            try:
                data, kind = relative_directory(data), PieceKind.DIRECTORY
            except PatchError:
                kind = PieceKind.RAW
        self.pieces.append(Piece(kind, 0, span.length))
        self.around.append(Part(span.length, lambda: iter([data])))

    def _member(self, span: Span, like: Span | None) -> None:
        made = span if span.codec is Codec.RAW else self._made(span)
        source = self._source_for(made, like)
        width = made.width if source and source.codec is Codec.RAW and source.size == made.size else 0
        self.inside.append(Part(made.size, lambda: self._content(made), source, width))
        kind = PieceKind.RAW if made.codec is Codec.RAW else PieceKind.CODED
        coded = made.length if kind is PieceKind.CODED else 0
        self.pieces.append(Piece(kind, 1, made.size, 0, made.codec, made.parameter, coded))
        self.coded += [span] if coded else []

    def _made(self, span: Span) -> Span:
        """Return a compressed member in the form that it is carried in."""
        failed = self._failed[span.codec]
        found = (
            self._known[span]
            if span in self._known
            else reproduced(
                self.new,
                span,
                self._hints.get(span.codec),
                TRIALS if failed < _PATIENCE else FEW,
                self._new_tokens,
            )
        )
        if found is None:
            self.kept.append(span.name)
            return Span(span.offset, span.length, size=span.length, name=span.name)
        if found.codec is span.codec:
            self._hints[span.codec] = found.parameter
        else:
            self._failed[span.codec] += 1
        return found

    def _content(self, span: Span) -> Iterator[bytes]:
        # A reproducible member is decoded the way it was found; its setting matters for encoding alone.
        found = span if span.codec is Codec.TOKENS else replace(span, parameter=_reading(span))
        tokens = self._new_tokens.get(span.offset) if span.codec is Codec.TOKENS else None
        return members(self.new, found) if tokens is None else iter([tokens])

    def _source_for(self, made: Span, like: Span | None) -> Source | None:
        """Return a likeness in the form that the member has: content, tokens, or compressed bytes."""
        if like is None:
            return None
        if made.codec is Codec.TOKENS and like.codec is Codec.DEFLATE:
            tokens = taken_apart(self.old, like, check=False, kept=self._old_tokens)
            return _source(tokens) if tokens else None
        if made.codec is Codec.RAW and like.codec is not Codec.RAW and made.name in self.kept:
            return _source(Span(like.offset, like.length, size=like.length, name=like.name))
        return _source(like)

    def _refer_around(self) -> None:
        """Let the first stream refer to the old directory, and to what lies around old members if little."""
        directory = [span for span in self.old_spans if span.directory]
        heads = [span for span in self.old_spans if not span.name and not span.directory]
        chosen = directory + (heads if len(heads) <= _HEADS else heads[-2:])
        self.around_sources = [_source(span) for span in chosen]


def _reading(span: Span) -> int:
    return span.parameter if span.codec is Codec.LZMA2 else 0


def _source(span: Span) -> Source:
    return Source(0, span.offset, span.length, span.codec, _reading(span), span.size)
