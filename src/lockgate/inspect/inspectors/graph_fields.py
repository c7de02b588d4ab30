"""The messages of TensorFlow's graphs that inspection knows.

Field numbers are those of ``saved_model.proto``, ``meta_graph.proto``, ``graph.proto``, ``node_def.proto``,
``attr_value.proto``, ``tensor.proto``, ``function.proto``, ``op_def.proto``, ``full_type.proto``,
``saved_object_graph.proto`` and ``struct.proto`` (TensorFlow 2.18).
"""

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    PACKED32,
    PACKED64,
    PACKED_VARINT,
    TEXT,
    VARINT,
    WIRE_BYTES,
    WIRE_VARINT,
    Fields,
    fields,
)

_NAMED = {"Attribute": "Attr", "Pair": TEXT, "Collection": "Items", "Signature": "SignatureDef",
          "InfoOf": "TensorInfo", "DefaultOf": "Tensor", "Saveable": "SaveableObject", "Concrete":
          "ConcreteFunction", "ValueOf": "Value"}  # fmt: skip
"""Maps by names: an entry is a text and a value."""

MESSAGES: dict[str, Fields] = {
    "SavedModel": {1: VARINT, 2: "MetaGraph"},
    "MetaGraph": {
        1: "MetaInfo", 2: "Graph", 3: "Saver", 4: "Collection", 5: "Signature", 6: "AssetFile",
        7: "ObjectGraph",
    },
    "MetaInfo": {
        1: TEXT, 2: "OpList", 3: "Any", 4: TEXT, 5: TEXT, 6: TEXT, 7: VARINT, 8: "Pair",
    },
    "OpList": {1: "OpDef"},
    "Any": {1: TEXT, 2: BYTES},
    "Saver": {1: TEXT, 2: TEXT, 3: TEXT, 4: VARINT, 5: VARINT, 6: FIXED32, 7: VARINT},
    "Items": {1: "Names", 2: "ByteItems", 3: "Numbers", 4: "Floats", 5: "AnyItems"},
    "Names": {1: TEXT},
    "ByteItems": {1: BYTES},
    "Numbers": {1: PACKED_VARINT},
    "Floats": {1: PACKED32},
    "AnyItems": {1: "Any"},
    "SignatureDef": {1: "InfoOf", 2: "InfoOf", 3: TEXT, 4: "DefaultOf"},
    "TensorInfo": {1: TEXT, 2: VARINT, 3: "Shape", 4: "Sparse", 5: "Composite"},
    "Sparse": {1: TEXT, 2: TEXT, 3: TEXT},
    "Composite": {1: "TypeSpec", 2: "TensorInfo"},
    "AssetFile": {1: "TensorInfo", 2: TEXT},
    "Graph": {1: "Node", 2: "Library", 3: VARINT, 4: "Versions"},
    "Versions": {1: VARINT, 2: VARINT, 3: PACKED_VARINT},
    "Library": {1: "Function", 2: "Gradient", 3: "Gradient"},
    "Gradient": {1: TEXT, 2: TEXT},
    "Function": {
        1: "OpDef", 3: "Node", 4: "Pair", 5: "Attribute", 6: "Pair", 7: "ArgumentAttributes", 8: "Numbered",
    },
    "ArgumentAttributes": {1: VARINT, 2: "Attributes"},
    "Attributes": {1: "Attribute"},
    "Numbered": {1: VARINT, 2: VARINT},
    "OpDef": {
        1: TEXT, 2: "Argument", 3: "Argument", 4: "AttributeDef", 5: TEXT, 6: TEXT, 8: "Deprecation",
        16: VARINT, 17: VARINT, 18: VARINT, 19: VARINT, 20: TEXT, 21: VARINT,
    },
    "Argument": {
        1: TEXT, 2: TEXT, 3: VARINT, 4: TEXT, 5: TEXT, 6: TEXT, 7: "HandleData", 16: VARINT, 17: "FullType",
    },
    "HandleData": {1: VARINT, 2: "Shape"},
    "AttributeDef": {1: TEXT, 2: TEXT, 3: "Attr", 4: TEXT, 5: VARINT, 6: VARINT, 7: "Attr"},
    "Deprecation": {1: VARINT, 2: TEXT},
    "Node": {1: TEXT, 2: TEXT, 3: TEXT, 4: TEXT, 5: "Attribute", 6: "NodeDebug", 7: "FullType"},
    "NodeDebug": {1: TEXT, 2: TEXT},
    "FullType": {1: VARINT, 2: "FullType", 3: TEXT, 4: VARINT},
    "Attr": {
        1: "AttrList", 2: BYTES, 3: VARINT, 4: FIXED32, 5: VARINT, 6: VARINT, 7: "Shape", 8: "Tensor",
        9: TEXT, 10: "Call",
    },
    "AttrList": {
        2: BYTES, 3: PACKED_VARINT, 4: PACKED32, 5: PACKED_VARINT, 6: PACKED_VARINT, 7: "Shape", 8: "Tensor",
        9: "Call",
    },
    "Call": {1: TEXT, 2: "Attribute"},
    "Shape": {2: "Dimension", 3: VARINT},
    "Dimension": {1: VARINT, 2: TEXT},
    "Tensor": {
        1: VARINT, 2: "Shape", 3: VARINT, 4: BYTES, 5: PACKED32, 6: PACKED64, 7: PACKED_VARINT, 8: BYTES,
        9: PACKED32, 10: PACKED_VARINT, 11: PACKED_VARINT, 12: PACKED64, 13: PACKED_VARINT, 14: "Handle",
        15: "Variant", 16: PACKED_VARINT, 17: PACKED_VARINT, 18: BYTES,
    },
    "Handle": {1: TEXT, 2: TEXT, 3: TEXT, 4: VARINT, 5: TEXT, 6: "HandleData"},
    "Variant": {1: TEXT, 2: BYTES, 3: "Tensor"},
    "ObjectGraph": {1: "Object", 2: "Concrete"},
    "Object": {
        1: "Reference", 3: "Slot", 4: "UserObject", 5: "Asset", 6: "SavedFunction", 7: "Variable",
        8: "BareFunction", 9: "Names", 10: "Names", 11: "Saveable", 12: "Gradient", 13: TEXT, 14: "Any",
        15: "Reference", 16: TEXT,
    },
    "Reference": {1: VARINT, 2: TEXT},
    "Slot": {1: VARINT, 2: TEXT, 3: VARINT},
    "UserObject": {1: TEXT, 2: "Versions", 3: TEXT},
    "Asset": {1: VARINT},
    "SavedFunction": {1: TEXT, 2: "FunctionSpec"},
    "BareFunction": {1: TEXT, 2: TEXT, 3: VARINT, 4: "FunctionSpec"},
    "SaveableObject": {2: VARINT, 3: VARINT},
    "Variable": {
        1: VARINT, 2: "Shape", 3: VARINT, 4: VARINT, 5: VARINT, 6: TEXT, 7: TEXT, 8: "Variable",
    },
    "ConcreteFunction": {2: PACKED_VARINT, 3: "Value", 4: "Value"},
    "FunctionSpec": {1: "Value", 2: VARINT, 5: "Value", 6: VARINT},
    "Value": {
        1: "Nothing", 11: FIXED64, 12: VARINT, 13: TEXT, 14: VARINT, 31: "Shape", 32: VARINT,
        33: "TensorSpec", 34: "TypeSpec", 35: "TensorSpec", 51: "Values", 52: "Values", 53: "ValueMap",
        54: "NamedTuple", 55: "Tensor", 56: "Tensor",
    },
    "Nothing": {},
    "TensorSpec": {1: TEXT, 2: "Shape", 3: VARINT, 4: "Tensor", 5: "Tensor"},
    "TypeSpec": {1: VARINT, 2: "Value", 3: TEXT, 4: VARINT},
    "Values": {1: "Value"},
    "ValueMap": {1: "ValueOf"},
    "NamedTuple": {1: TEXT, 2: "ValueOf"},
    **{name: {1: TEXT, 2: kind} for name, kind in _NAMED.items()},
}  # fmt: skip
"""Message → field number → how it is read (another message where the word is capitalised)."""

_SCHEMA = b"\x08\x01\x12"
"""A model's version, which has been 1 since there are any, and the key of its first graph."""
_PROBED = 8
_NAME, _OPERATOR = 1, 2


def graph_kind(data: memoryview) -> str:
    """Return the message that content is by its first fields: a model, a graph, or nothing."""
    try:
        if bytes(data[:3]) == _SCHEMA:
            known, inner = MESSAGES["MetaGraph"], list(fields(data, 0, len(data)))
            whole = all(number == 2 and wire == WIRE_BYTES for number, wire, _, _ in inner[1:])  # noqa: PLR2004  # graphs
            first = [number for number, *_ in fields(data, inner[1][2], inner[1][3])]
            return "SavedModel" if whole and 2 in first and set(first) <= set(known) else ""  # noqa: PLR2004  # a graph
        return "Graph" if len(data) and data[0] == 0x0A and _nodes(data) else ""  # noqa: PLR2004  # a node
    except BrokenContentError:
        return ""


def _nodes(data: memoryview) -> bool:
    """Return whether data begins with nodes, each with a name and an operator, and is one message."""
    seen = 0
    for number, wire, at, stop in fields(data, 0, len(data)):
        if MESSAGES["Graph"].get(number) is None or wire != (WIRE_VARINT if number == 3 else WIRE_BYTES):  # noqa: PLR2004  # version
            return False
        if number != 1 or seen >= _PROBED:
            continue
        node = {
            n: bytes(data[a:s]) for n, w, a, s in fields(data, at, stop) if n <= _OPERATOR and w == WIRE_BYTES
        }
        if (
            not node.get(_NAME)
            or not node.get(_OPERATOR, b"").replace(b"_", b"").replace(b">", b"").isalnum()
        ):
            return False
        seen += 1
    return seen > 0
