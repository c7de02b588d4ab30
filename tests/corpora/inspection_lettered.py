"""Pickles that other data carries in letters, and MessagePack that passes for a text: beside honest twins."""

import base64
import bz2
import gzip
import pickle
import zlib

from corpora import inspection_content as make
from corpora.inspection_case import bad, good
from lockgate.core.verdict import Outcome

_OPAQUE = Outcome.OPAQUE
_CALL = b"cos\nsystem\n(S'touch marker'\ntR."
_CALLS = {
    "protocol 0": _CALL,
    "protocol 0 by INST": b"(S'touch marker'\nios\nsystem\n.",
    "a mark and protocol 0": b"(" + _CALL,
    "protocol 2": make.evil_pickle(2),
    "protocol 4": make.evil_pickle(4),
}
_LETTERS = {
    "base64": base64.b64encode,
    "base64 for addresses": base64.urlsafe_b64encode,
    "base64 in lines": base64.encodebytes,
    "hexadecimal": lambda raw: raw.hex().encode(),
    "base64 of zlib": lambda raw: base64.b64encode(zlib.compress(raw)),
    "base64 of gzip": lambda raw: base64.b64encode(gzip.compress(raw, mtime=0)),
    "base64 of bzip2": lambda raw: base64.b64encode(bz2.compress(raw)),
}
_IN_WORDS = {title: write for title, write in _LETTERS.items() if title != "base64 in lines"}
_DATA = pickle.dumps({"weights": [1.0, 2.0], "name": "lock"})


def _state(value: bytes | str) -> bytes:
    """A pickle of plain data that holds a value."""
    return pickle.dumps({"name": "lock", "value": value})


LETTERED_GOOD = [
    *(
        good(f"data in {title} in a pickle", "m.pkl", _state(write(_DATA)), "model", outcome=_OPAQUE)
        for title, write in _LETTERS.items()
    ),
    *(
        good(f"data in {title} in a text", "notes.txt", b"The value is " + write(_DATA) + b" as written.\n")
        for title, write in _IN_WORDS.items()
    ),
    good("a picture in base64 in a pickle", "m.pkl", _state(base64.b64encode(make.png())), "model",
        outcome=_OPAQUE),
    good("a sum in hexadecimal that begins as a pickle does", "SUMS.txt",
        b"8004" + b"95" * 30 + b"  a.whl\n"),
    good("a page with letters in base64", "README.md", b"# Data\n\n" + base64.b64encode(_DATA) + b"\n"),
    good("a text in German that begins with a letter with marks", "notes.txt",
        "\u00dcber die Tore der Stadt und ihre W\u00e4chter.\n".encode("latin-1")),
    good("a text in French without an ending", "LISEZMOI",
        "Les cl\u00e9s sont gard\u00e9es \u00e0 la porte.\n".encode("latin-1")),
]  # fmt: skip

LETTERED_BAD = [
    bad("a pickle behind a thousand harmless values", "m.pkl",
        pickle.dumps([*(zlib.compress(b"%d" % n) for n in range(1001)), zlib.compress(_CALL)]),
        "over-limit", "model"),
    bad("a pickle behind two thousand harmless words", "notes.txt",
        b"".join(b"8004%060x\n" % n for n in range(2001)) + base64.b64encode(make.evil_pickle(2)),
        "over-limit"),
    *(
        bad(f"{call} in {title} in a pickle", "m.pkl", _state(write(raw)), "pickle-nested", "model")
        for call, raw in _CALLS.items()
        for title, write in _LETTERS.items()
    ),
    *(
        bad(f"{call} in {title} as a text in a pickle", "m.pkl", _state(write(raw).decode()), "pickle-nested",
            "model")
        for call, raw in _CALLS.items()
        for title, write in _LETTERS.items()
    ),
    *(
        bad(f"{call} in {title} in a text", "vocab.txt", b"one " + write(raw) + b" two\n",
            "data-pickle", "model")
        for call, raw in _CALLS.items()
        for title, write in _IN_WORDS.items()
    ),
    bad("a pickle in letters on a page", "README.md", b"# Data\n\n" + base64.b64encode(_CALL) + b"\n",
        "data-pickle", "model"),
]  # fmt: skip

_BOMBS = {
    "a list": b"\xdd\xff\xff\xff\xff" * 50,
    "a short list": b"\xdc\xff\xff" * 300,
    "a map": b"\xdf\xff\xff\xff\xff\xa4name" + b"hello world " * 99,
    "a text in a map": b"\x81\xa4data\xdb\xff\xff\xff\xff" + b"hello world " * 99,
}
LETTERED_UNREAD = [
    (f"{title} that says it is longer, {name}", name, raw)
    for title, raw in _BOMBS.items()
    for name in ("flax_model.msgpack", "state.bin", "state")
]
