"""What models are shipped with or made of: vocabularies of SentencePiece, MessagePack, data of Tesseract.

Formats: ``sentencepiece_model.proto`` in the wire format of Protocol Buffers; the MessagePack specification;
Tesseract's ``tessdatamanager.cpp``.
Fields and types that are not known leave the file incomplete. Tables are opaque, texts are looked at.
"""

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.hidden_programs import look_for_calls
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.inspectors.wires import msgpack_end, proto_field, tesseract_parts
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_VARINT, _WORD, _BYTES, _HALF = 0, 1, 2, 5
_Fields = dict[int, int]
_MODEL: _Fields = {1: _BYTES, 2: _BYTES, 3: _BYTES, 4: _BYTES, 5: _BYTES}
_PIECE: _Fields = {1: _BYTES, 2: _HALF, 3: _VARINT}
_NORMALIZER: _Fields = {1: _BYTES, 2: _BYTES, 3: _VARINT, 4: _VARINT, 5: _VARINT, 6: _BYTES}
_TRAINER: _Fields = {
    **dict.fromkeys((1, 2, 5, 7, 30, 31, 36, 44, 45, 46, 47, 48, 53, 54), _BYTES),
    **dict.fromkeys((10, 15, 51), _HALF),
    **dict.fromkeys((3, 4, 6, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26), _VARINT),
    **dict.fromkeys((32, 33, 34, 35, 40, 41, 42, 43, 49, 50, 52), _VARINT),
}
_SAMPLES: _Fields = {1: _BYTES}
_WHOLE = {1, 2, 3}
"""Parts that every vocabulary has: pieces, training, and what prepares a text."""
_PARTS = {1: _PIECE, 2: _TRAINER, 3: _NORMALIZER, 4: _SAMPLES, 5: _NORMALIZER}
_TEXTS = {1: {1}, 2: {1, 2, 5, 7, 30, 31, 36, 44, 45, 46, 47, 48}, 3: {1, 6}, 4: {1}, 5: {1, 6}}


class SentencePieceInspector(Inspector):
    """Walks every message and field of a vocabulary."""

    name = "sentencepiece"
    version = 1
    detects = frozenset({"sentencepiece"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the vocabulary where every field is one of the format."""
        demand(len(data), context.limits.text_bytes, "text_bytes")
        tally.opaque.add("sentencepiece")
        at, texts = 0, list[str]()
        pieces, numbers = 0, set[int]()
        while at < len(data):
            number, start, stop = _field(data, at, len(data), _MODEL)
            pieces = demand(pieces + (number == 1), context.limits.entries, "entries")
            numbers.add(number)
            inner = start
            while inner < stop:
                part, first, end = _field(data, inner, stop, _PARTS[number])
                if part in _TEXTS[number]:
                    texts.append(bytes(data[first:end]).decode("utf-8", "replace"))
                inner = end
            at = stop
        if not numbers >= _WHOLE:
            what = "The vocabulary does not say how it was made, or how texts are prepared for it."
            raise BrokenContentError(what, at=at)
        tally.claim_all()
        look(tally, texts, context)


def _field(data: memoryview, at: int, end: int, known: _Fields) -> tuple[int, int, int]:
    """Return a field's number, and where its value begins and ends."""
    number, wire, start, stop = proto_field(data, at, end)
    if not stop or known.get(number) != wire:
        what = "A field of the vocabulary is not known or ends past what holds it."
        raise BrokenContentError(what, at=at)
    return number, start, stop


class MessagePackInspector(Inspector):
    """One value of MessagePack, which detection has walked to the end of the file."""

    name = "msgpack"
    version = 2
    detects = frozenset({"msgpack"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the value; arrays and what programs define for themselves are opaque."""
        texts: list[str] = []
        if msgpack_end(data, context.limits.elements, texts) != len(data):
            what = "The value does not end with the file."
            raise BrokenContentError(what, at=0)
        tally.opaque.add("msgpack")
        tally.claim_all()
        look_for_calls(tally, data)
        look(tally, texts, context)


class TesseractInspector(Inspector):
    """Trained data of a reader of letters: parts one behind the other, some of which are texts."""

    name = "tesseract"
    version = 1
    detects = frozenset({"tesseract"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the list and its parts, which detection has found to fill the file."""
        demand(len(data), context.limits.member_bytes, "member_bytes")
        if not tesseract_parts(data):
            what = "The parts do not follow the list of them."
            raise BrokenContentError(what, at=4)
        tally.opaque.add("tesseract")
        tally.claim_all()
        look(tally, [texts_of(data)], context)
