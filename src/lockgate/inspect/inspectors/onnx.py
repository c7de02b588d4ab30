"""ONNX models: every byte of the protobuf accounted for, no external data, known operator domains."""

import re
from dataclasses import dataclass, field
from math import prod

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors import data_signs
from lockgate.inspect.inspectors.hidden_programs import look_inside
from lockgate.inspect.inspectors.onnx_fields import ELEMENT_BITS, MESSAGES
from lockgate.inspect.inspectors.protobuf import WIRE_VARINT, Walk, fields, varint
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

KNOWN_DOMAINS = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "com.microsoft", "com.microsoft.nchwc"}
    | {"ai.onnx.preview", "ai.onnx.preview.training"}
)
"""Operator domains of ONNX and those that ONNX Runtime brings; any other needs a library of its own."""

_CALLS_OUT = {
    "PyOp": "runs Python of the machine", "PythonOp": "runs Python of the machine",
    "PythonOpGrad": "runs Python of the machine", "EPContext": "has a program read that was compiled"
    " elsewhere",
    "ATen": "calls any function of PyTorch",
}  # fmt: skip
"""Operators of ONNX Runtime and its extensions that do what the model's own graph does not say."""
_LIBRARY = re.compile(r"custom_op_library|register_custom_ops_library|\bplugin_path\b")

_NODE_OPERATOR = 4
_NODE_DOMAIN, _FUNCTION_DOMAIN, _OPSET_DOMAIN = 7, 10, 1
_PAIR_VALUE, _MOST_SAID = 2, 10_000
_DIMS, _DATA_TYPE, _RAW, _EXTERNAL, _LOCATION = 1, 2, 9, 13, 14
_NEEDED = frozenset({1, 7, 8})
"""Fields of a model without which it is none: version, graph, operator sets."""
_MOST_DIMS = 64


@dataclass(slots=True)
class _TensorFacts:
    dims: list[int] = field(default_factory=list)
    kind: int = 0
    raw: int | None = None
    external: bool = False


class OnnxInspector(Inspector):
    """Walks the whole message tree; weights are opaque, references to other files a finding."""

    name = "onnx"
    version = 6
    detects = frozenset({"onnx"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the file when each field of each message is known and well formed."""
        tally.opaque.add("onnx")
        walker = _Walk(data, tally, context)
        walker.message("Model", 0, len(data))
        data_signs.search(tally, "\n".join(walker.said))
        for domain in sorted(walker.domains - KNOWN_DOMAINS):
            tally.note(
                "onnx-custom-operators",
                Severity.MEDIUM,
                f"Operators of the domain {domain!r} need a library of their own.",
            )
        for domain in sorted(walker.imported - walker.domains - KNOWN_DOMAINS):
            why = f"It names the domain {domain!r}, of which it has no operator."
            tally.note("onnx-custom-operators", Severity.INFO, why)
        present = {number for number, _, _, _ in fields(data, 0, len(data))}
        if missing := sorted(_NEEDED - present):
            tally.unfinished("onnx-incomplete", f"The model lacks its field {missing[0]}.")
        elif not walker.unknown:
            tally.claim_all()


class _Walk(Walk):
    format = "onnx"
    messages = MESSAGES
    deepest = 60

    def __init__(self, data: memoryview, tally: Tally, context: Context) -> None:
        super().__init__(data, tally, context)
        self.domains: set[str] = set()
        self.imported: set[str] = set()
        self.said: list[str] = []
        self._facts = _TensorFacts()
        """Of the tensor that is read now; none is inside another."""

    def found(self, name: str, number: int, wire: int, at: int, stop: int) -> None:
        self.look(name, number, at, stop)
        if name == "Tensor":
            self.gather(self._facts, number, wire, at, stop)

    def ended(self, name: str, start: int, end: int) -> None:  # noqa: ARG002  # as its base
        if name == "Tensor":
            self.tensor(self._facts, start)
            self._facts = _TensorFacts()

    def text(self, said: str) -> None:
        """Leave texts to `look`, which knows which of them a runtime reads."""

    def raw(self, at: int, stop: int) -> None:
        """Leave weights as they are."""

    def look(self, name: str, number: int, at: int, stop: int) -> None:
        if (name, number) == ("Node", _NODE_OPERATOR):
            operator = bytes(self.data[at:stop]).decode("utf-8")
            if operator in _CALLS_OUT:
                why = f"The operator {operator} {_CALLS_OUT[operator]}."
                self.tally.note("onnx-operator", Severity.HIGH, why, at)
        if (name, number) in {("Node", _NODE_DOMAIN), ("Function", _FUNCTION_DOMAIN)}:
            self.domains.add(bytes(self.data[at:stop]).decode("utf-8")[:100])
        elif (name, number) == ("Pair", _PAIR_VALUE) and len(self.said) < _MOST_SAID:
            said = bytes(self.data[at:stop]).decode("utf-8")
            self.said.append(said)
            if _LIBRARY.search(said):
                why = f"Its metadata has a library of operators loaded: {' '.join(said.split())[:80]}"
                self.tally.note("onnx-operator", Severity.HIGH, why, at)
        elif (name, number) == ("OperatorSet", _OPSET_DOMAIN):
            self.imported.add(bytes(self.data[at:stop]).decode("utf-8")[:100])

    def gather(self, tensor: _TensorFacts, number: int, wire: int, at: int, stop: int) -> None:
        if number == _DIMS:
            while at < stop:
                value, at = varint(self.data, at, stop)
                tensor.dims.append(value)
                demand(len(tensor.dims), _MOST_DIMS, "onnx tensor dimensions")
        elif number in {_DATA_TYPE, _LOCATION} and wire == WIRE_VARINT:
            value, _ = varint(self.data, at, stop)
            tensor.kind = value if number == _DATA_TYPE else tensor.kind
            tensor.external |= number == _LOCATION and value != 0
        elif number == _EXTERNAL:
            tensor.external = True
        elif number == _RAW:
            tensor.raw = stop - at
            look_inside(self.tally, self.data[at:stop], "a tensor", at)

    def tensor(self, tensor: _TensorFacts, at: int) -> None:
        if tensor.external:
            self.tally.note(
                "onnx-external-data", Severity.HIGH, "A tensor names another file as its data.", at
            )
        if tensor.raw is None or tensor.external:
            return
        bits = ELEMENT_BITS.get(tensor.kind)
        need = None if bits is None else (prod(tensor.dims) * bits + 7) // 8
        if need != tensor.raw:
            self.tally.note(
                "onnx-tensor-size",
                Severity.MEDIUM,
                f"A tensor of type {tensor.kind} and shape {tensor.dims[:8]} has {tensor.raw} bytes.",
                at,
            )
