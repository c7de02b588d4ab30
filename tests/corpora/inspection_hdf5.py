"""HDF5 files of one group with an attribute, a data set and links, in the old form without check sums."""

import json
import struct

from corpora.inspection_case import bad, good
from lockgate.core.verdict import Outcome

_NONE = 0xFFFFFFFFFFFFFFFF
_DENSE = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"units": 3}}]}}


def _message(kind: int, body: bytes) -> bytes:
    body = body.ljust(-(-len(body) // 8) * 8, b"\x00")
    return struct.pack("<2HB3x", kind, len(body), 0) + body


def _header(*messages: bytes) -> bytes:
    body = b"".join(messages)
    return struct.pack("<BBHII4x", 1, 0, len(messages), 1, len(body)) + body


def _attribute(name: str, text: bytes) -> bytes:
    label = name.encode() + b"\x00"
    kind = struct.pack("<B3BI", 0x13, 0, 0, 0, len(text))
    space = struct.pack("<BBBB4x", 1, 0, 0, 0)
    pad = -len(label) % 8
    return (
        struct.pack("<BxHHH", 1, len(label), len(kind), len(space)) + label + bytes(pad) + kind + space + text
    )


def _hard(name: str, at: int) -> bytes:
    return struct.pack("<BBB", 1, 0, len(name)) + name.encode() + struct.pack("<Q", at)


def _special(name: str, kind: int, body: bytes) -> bytes:
    return struct.pack("<BBBB", 1, 8, kind, len(name)) + name.encode() + struct.pack("<H", len(body)) + body


def _set(at: int, *, size: int = 24, extra: bytes = b"") -> bytes:
    space = _message(1, struct.pack("<BBBB4x2Q", 1, 2, 0, 0, 2, 3))
    kind = _message(3, struct.pack("<B3BI", 0x11, 0x20, 0x1F, 0, 4) + bytes(12))
    layout = _message(8, struct.pack("<BBQQ", 3, 1, at, size))
    return _header(space, kind, layout, *([extra] if extra else []))


def hdf5(config=None, *, links: bytes = b"", extra: bytes = b"", size: int = 24, tail: bytes = b"") -> bytes:
    """A file whose root has a configuration, a data set and, where given, further links."""
    said = json.dumps(_DENSE if config is None else config).encode()
    attribute = _message(12, _attribute("model_config", said))
    more = [_message(6, links)] if links else []
    root_size = len(_header(attribute, _message(6, _hard("w", 0)), *more))
    set_at = 96 + root_size
    data_at = set_at + len(_set(0, size=size, extra=extra))
    root = _header(attribute, _message(6, _hard("w", set_at)), *more)
    end = data_at + 24
    head = b"\x89HDF\r\n\x1a\n" + bytes([0, 0, 0, 0, 0, 8, 8, 0]) + struct.pack("<2HI", 4, 16, 0)
    head += struct.pack("<4Q", 0, _NONE, end, _NONE) + struct.pack("<QQII16x", 0, 96, 0, 0)
    return head + root + _set(data_at, size=size, extra=extra) + b"\x01" * 24 + tail


def keras(kind: str, **layer) -> bytes:
    layers = [{"class_name": kind, "config": {}, **layer}]
    return hdf5({"class_name": "Sequential", "config": {"layers": layers}})


_EXTERNAL = _special("x", 64, b"\x00other.h5\x00/a\x00")

HDF5_GOOD = [
    good("HDF5", "m.h5", hdf5(), "model", outcome=Outcome.OPAQUE, detected="hdf5"),
    good(
        "HDF5 with a soft link", "m.h5", hdf5(links=_special("x", 1, b"/w")), "model", outcome=Outcome.OPAQUE
    ),
    good("HDF5 in the name of Keras", "m.hdf5", keras("Conv2D"), "model", outcome=Outcome.OPAQUE),
]

HDF5_BAD = [
    bad("HDF5 with a Lambda", "m.h5", keras("Lambda"), "keras-code", "model"),
    bad("HDF5 with a module of somebody's", "m.h5", keras("X", module="os"), "keras-module", "model"),
    bad("HDF5 with a wrapped pickle", "m.h5", keras("TorchModuleWrapper"), "keras-code", "model"),
    bad("HDF5 with a link elsewhere", "m.h5", hdf5(links=_EXTERNAL), "hdf5-external", "model"),
    bad(
        "HDF5 with a link of its own kind", "m.h5", hdf5(links=_special("x", 99, b"x")), "hdf5-link", "model"
    ),
    bad("HDF5 with data elsewhere", "m.h5", hdf5(extra=_message(7, bytes(16))), "hdf5-external", "model"),
]

HDF5_UNREAD = [
    ("HDF5 with bytes behind its end", "m.h5", hdf5(tail=b"hidden")),
    ("HDF5 with a set that is too short", "m.h5", hdf5(size=20)),
    ("HDF5 with a message that nobody knows", "m.h5", hdf5(extra=_message(77, bytes(8)))),
    ("HDF5 that breaks off", "m.h5", hdf5()[:-30]),
    ("HDF5 with another superblock", "m.h5", hdf5()[:8] + b"\x09" + hdf5()[9:]),
]
