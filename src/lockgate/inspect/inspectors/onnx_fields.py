"""The messages of ONNX that inspection knows.

Field numbers are those of ``onnx.proto`` (ONNX 1.17, IR version 10, with the fields that IR version 11
added).
"""

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.protobuf import (
    BYTES,
    FIXED32,
    MOST_VARINT,
    PACKED32,
    PACKED64,
    PACKED_VARINT,
    TEXT,
    VARINT,
    Fields,
    fields,
)

MESSAGES: dict[str, Fields] = {
    "Model": {
        1: VARINT, 2: TEXT, 3: TEXT, 4: TEXT, 5: VARINT, 6: TEXT, 7: "Graph", 8: "OperatorSet",
        14: "Pair", 20: "Training", 25: "Function", 26: "Device",
    },
    "OperatorSet": {1: TEXT, 2: VARINT},
    "Pair": {1: TEXT, 2: TEXT},
    "Training": {1: "Graph", 2: "Graph", 3: "Pair", 4: "Pair"},
    "Function": {
        1: TEXT, 4: TEXT, 5: TEXT, 6: TEXT, 7: "Node", 8: TEXT, 9: "OperatorSet", 10: TEXT,
        11: "Attribute", 12: "Value", 13: TEXT, 14: "Pair",
    },
    "Graph": {
        1: "Node", 2: TEXT, 5: "Tensor", 10: TEXT, 11: "Value", 12: "Value", 13: "Value",
        14: "Annotation", 15: "SparseTensor", 16: "Pair",
    },
    "Node": {
        1: TEXT, 2: TEXT, 3: TEXT, 4: TEXT, 5: "Attribute", 6: TEXT, 7: TEXT, 8: TEXT, 9: "Pair",
    },
    "Attribute": {
        1: TEXT, 2: FIXED32, 3: VARINT, 4: BYTES, 5: "Tensor", 6: "Graph", 7: PACKED32,
        8: PACKED_VARINT, 9: BYTES, 10: "Tensor", 11: "Graph", 13: TEXT, 14: "Type", 15: "Type",
        20: VARINT, 21: TEXT, 22: "SparseTensor", 23: "SparseTensor",
    },
    "Annotation": {1: TEXT, 2: "Pair"},
    "Tensor": {
        1: PACKED_VARINT, 2: VARINT, 3: "Segment", 4: PACKED32, 5: PACKED_VARINT, 6: BYTES,
        7: PACKED_VARINT, 8: TEXT, 9: BYTES, 10: PACKED64, 11: PACKED_VARINT, 12: TEXT, 13: "Pair",
        14: VARINT, 16: "Pair",
    },
    "Segment": {1: VARINT, 2: VARINT},
    "SparseTensor": {1: "Tensor", 2: "Tensor", 3: PACKED_VARINT},
    "Value": {1: TEXT, 2: "Type", 3: TEXT, 4: "Pair"},
    "Type": {1: "TensorType", 4: "SequenceType", 5: "MapType", 6: TEXT, 8: "TensorType", 9: "SequenceType"},
    "TensorType": {1: VARINT, 2: "Shape"},
    "SequenceType": {1: "Type"},
    "MapType": {1: VARINT, 2: "Type"},
    "Shape": {1: "Dimension"},
    "Dimension": {1: VARINT, 2: TEXT, 3: TEXT},
}  # fmt: skip
"""Message → field number → how it is read (another message where the word is capitalised)."""

ELEMENT_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64,
    15: 128, 16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8,
}  # fmt: skip
"""``TensorProto.DataType`` → bits per element; strings (8) have no raw form."""

_LAST_IR_VERSION = 99
_GRAPH_FIELD = 7


def looks_like_onnx(data: memoryview) -> bool:
    """Return whether the data starts as a model and is one message with a graph, to the last byte."""
    if len(data) < MOST_VARINT or data[0] != 1 << 3 or not 1 <= data[1] <= _LAST_IR_VERSION:
        return False
    seen = set()
    try:
        for count, (number, _, _, _) in enumerate(fields(data, 0, len(data))):
            if number not in MESSAGES["Model"] or count > len(data) // 2:
                return False
            seen.add(number)
    except BrokenContentError:
        return False
    return _GRAPH_FIELD in seen
