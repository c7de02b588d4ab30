"""Networks of TensorFlow Lite (``.tflite``, LiteRT): every table, vector and buffer accounted for.

Format: ``schema.fbs`` of TensorFlow Lite 2.18, in FlatBuffers. Weights are opaque. Options of operators are
claimed as tables of plain numbers, so that one with more in it leaves the file incomplete. Operators that
TensorFlow runs itself (``Flex…``) can read files and call Python as they can there; those of the host's own
cannot bring their code with them. Files that describe a network for people (labels) are appended as a ZIP
archive whose places count from the beginning of the file; they have to be texts.
"""

import re

from lockgate.core.verdict import Severity
from lockgate.inspect.detect import TEXT_TYPES, zip_tail
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.flatbuffers import BYTE, LONG, WORD, Buffer, Table
from lockgate.inspect.inspectors.graphs import ACTS
from lockgate.inspect.inspectors.hidden_programs import look_for_calls, look_inside
from lockgate.inspect.inspectors.strings import look, texts_of
from lockgate.inspect.inspectors.unpacking import unpack
from lockgate.inspect.inspectors.zip_walk import entries
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_OPERATORS, _SUBGRAPHS, _DESCRIPTION, _BUFFERS, _OLD_NOTES, _NOTES, _SIGNATURES = 1, 2, 3, 4, 5, 6, 7
_VECTORS_OF_OPTIONS = {17: (0,), 30: (0,), 3: (1, 2)}
"""Options of operators that hold vectors of numbers, by the number of their type: reshape, squeeze and
embeddings."""
_WIDTHS_OF_INDEX = {1: 4, 2: 2, 3: 1}
"""Bytes of an index of a sparse tensor, by the number of its type."""
_BUNDLED = frozenset({"TFLite_Detection_PostProcess", "Mfcc", "AudioSpectrogram", "NumericVerify"})
_FLEX = re.compile(r"Flex(\w+)")
_CUSTOM = 32
_PADDING = 64


class TfliteInspector(Inspector):
    """Follows the tables from the first one; what is between the parts has to be zeros."""

    name = "tflite"
    version = 1
    detects = frozenset({"tflite"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the tables, look at operators and texts, and inspect files behind them."""
        demand(len(data), min(context.limits.file_bytes, 1 << 32), "file_bytes")
        tally.opaque.add("tflite")
        walker = _Walker(Buffer(data, tally, context.limits.entries))
        walker.model()
        look_for_calls(tally, data)
        look(tally, (*walker.buffer.read.values(), *walker.texts), context)
        for code in sorted(walker.codes):
            _operator(tally, code)
        _files(data, tally, context)
        for start, end in tally.gaps():
            if end - start <= _PADDING and not any(data[start:end]):
                tally.claim(start, end)


class _Walker:
    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.looked = 0
        self.texts: list[str] = []
        self.codes: set[str] = set()

    def model(self) -> None:
        buffer = self.buffer
        buffer.claim(0, 8)
        model = buffer.root()
        for code in model.tables(_OPERATORS):
            self.codes.add(code.text(1))
        for graph in model.tables(_SUBGRAPHS):
            self.graph(graph)
        model.text(_DESCRIPTION)
        model.vector(_OLD_NOTES, 4)
        for signature in model.tables(_SIGNATURES):
            for named in (*signature.tables(0), *signature.tables(1)):
                named.text(0)
            signature.text(2)
            signature.text(3)
        noted = {note.scalar(1, WORD): note.text(0) for note in model.tables(_NOTES)}
        for number, each in enumerate(model.tables(_BUFFERS)):
            self.weights(each, noted.get(number, ""))

    def say(self, value: memoryview) -> None:
        """Keep the texts in a value; values that share bytes are no more together than the file."""
        self.looked = demand(self.looked + len(value), len(self.buffer.data), "tflite notes")
        self.texts.append(texts_of(value))

    def weights(self, table: Table, noted: str) -> None:
        """Claim the bytes of a buffer, which stand in the file's tables or, in long files, behind them."""
        place, size = table.scalar(1, LONG), table.scalar(2, LONG)
        value = table.vector(0, 1)
        if size > 1:
            self.buffer.claim(place, size)
            value = self.buffer.data[place : place + size]
        if noted:
            self.say(value)
        look_inside(self.buffer.tally, value, noted or "a tensor", table.at)

    def graph(self, graph: Table) -> None:
        graph.vector(1, 4)
        graph.vector(2, 4)
        graph.text(4)
        for tensor in graph.tables(0):
            self.tensor(tensor)
        for operator in graph.tables(3):
            self.operator(operator)

    def tensor(self, tensor: Table) -> None:
        tensor.vector(0, 4)
        tensor.vector(7, 4)
        tensor.text(3)
        if quantized := tensor.table(4):
            for field, width in ((0, 4), (1, 4), (2, 4), (3, 8)):
                quantized.vector(field, width)
            if (details := quantized.table(5)) and quantized.scalar(4, BYTE) == 1:
                details.vector(0, 1)
        if sparse := tensor.table(6):
            sparse.vector(0, 4)
            sparse.vector(1, 4)
            for dimension in sparse.tables(2):
                for kind, field in ((2, 3), (4, 5)):
                    if index := dimension.table(field):
                        index.vector(0, _WIDTHS_OF_INDEX.get(dimension.scalar(kind, BYTE), 1))
        for variant in tensor.tables(9):
            variant.vector(0, 4)

    def operator(self, operator: Table) -> None:
        for field, width in ((1, 4), (2, 4), (5, 1), (7, 1), (8, 4)):
            value = operator.vector(field, width)
            if field == 5 and len(value):  # noqa: PLR2004  # options of an operator of the host's own
                self.say(value)
                look_inside(self.buffer.tally, value, "options", operator.at)
        if options := operator.table(4):
            for field in _VECTORS_OF_OPTIONS.get(operator.scalar(3, BYTE), ()):
                options.vector(field, 4)
        operator.table(12)
        if operator.scalar(10, LONG) > 1:
            self.buffer.claim(operator.scalar(9, LONG), operator.scalar(10, LONG))


def _operator(tally: Tally, code: str) -> None:
    """Note an operator that is none of the runtime's own."""
    flex = _FLEX.fullmatch(code)
    if flex and flex[1] in ACTS:
        tally.note("tensorflow-operation", Severity.HIGH, f"The operator {code} {ACTS[flex[1]]}.")
    elif code and code not in _BUNDLED:
        tally.note(
            "tflite-operator", Severity.INFO, f"The operator {code[:80]!r} has to be one of the host's own."
        )


def _files(data: memoryview, tally: Tally, context: Context) -> None:
    """Inspect files that are appended; an archive that does not begin where the tables end is refused."""
    end = zip_tail(data)
    if end is None:
        return
    scratch = Tally(len(data), tally.where, tally.limit)
    found = entries(data, scratch, context.limits)
    first = min((entry.start for entry in found), default=len(data))
    if any(start < len(data) and stop > first for start, stop in tally.merged()) or not scratch.complete:
        what = "The archive behind the network shares bytes with it, or is broken."
        raise BrokenContentError(what, at=first)
    gaps = [note for note in scratch.findings if note.code == "zip-gap"]
    tally.findings.extend(note for note in scratch.findings if note.code != "zip-gap")
    if len(gaps) > (first > 0):
        tally.note("zip-gap", Severity.HIGH, "Bytes of the archive that no member owns.", first)
    for start, stop in scratch.merged():
        tally.claim(start, stop)
    for entry in found:
        content = unpack(data, entry, context)
        member = context.inspect(content, context.member(entry.name))
        if member.detected not in TEXT_TYPES:
            tally.note(
                "polyglot-zip", Severity.HIGH, f"The archive behind it holds {member.detected}.", entry.start
            )
        if tally.absorb(member):
            tally.claim(entry.data, entry.end)
