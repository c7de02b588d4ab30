"""Constants of Python source: put together as the program would, never past the bounds."""

import bz2
import lzma
import zlib
from typing import Any

import pytest

from lockgate.inspect.inspectors import python_constants
from lockgate.inspect.inspectors.python_constants import MOST, added, combined, made, method, sliced
from lockgate.inspect.inspectors.python_places import HOLE

LONG = "a" * MOST


@pytest.mark.parametrize(
    ("name", "given", "result"),
    [
        ("base64.b64decode", ("aWQ=",), b"id"),
        ("builtins.bytes.fromhex", ("6964",), b"id"),
        ("codecs.decode", ("vq", "rot13"), "id"),
        ("builtins.chr", (105,), "i"),
        ("builtins.reversed", ("di",), ("i", "d")),
        ("zlib.decompress", (zlib.compress(b"id"),), b"id"),
        ("bz2.decompress", (bz2.compress(b"id"),), b"id"),
        ("lzma.decompress", (lzma.compress(b"id"),), b"id"),
        ("base64.b64decode", ("aWQ",), None),
        ("zlib.decompress", (b"no stream",), None),
        ("codecs.decode", ("id", "punycode"), None),
    ],
)
def test_functions_make_what_python_makes(name: str, given: tuple[Any, ...], result: object) -> None:
    assert made(name, given) == result


@pytest.mark.parametrize("packed", [zlib.compress(bytes(100 * MOST)), zlib.compress(b"id")])
def test_decompression_stops_at_the_bound(packed: bytes) -> None:
    out = made("zlib.decompress", (packed,))
    assert isinstance(out, bytes)
    assert len(out) <= MOST


@pytest.mark.parametrize(
    ("value", "name", "given", "result"),
    [
        ("", "join", (("i", "d"),), "id"),
        ("i{}", "format", ("d",), "id"),
        ("i{}", "format", (None,), "i" + HOLE),
        ("xd", "replace", ("x", "i"), "id"),
        ("id", "encode", (), b"id"),
        (b"i\0d\0", "decode", ("utf-16-le",), "id"),
        (b"vq", "translate", (bytes((each + 13) % 256 for each in range(256)),), b"\x83~"),
        ("x d", "split", (), ("x", "d")),
        ("id", "center", (10,), None),
    ],
)
def test_methods_make_what_python_makes(
    value: str | bytes, name: str, given: tuple[Any, ...], result: object
) -> None:
    assert method(value, name, given) == result


@pytest.mark.parametrize(
    ("value", "name", "given"),
    [
        (LONG, "replace", ("a", "bb")),
        (LONG, "translate", ((LONG,) * 98,)),
        ("b", "join", ((LONG, LONG),)),
        ("{}{}", "format", (LONG, LONG)),
        ("\u0105" * MOST, "encode", ("punycode",)),
        ("\u0105" * MOST, "encode", ("idna",)),
    ],
)
def test_no_method_grows_past_the_bound_or_takes_the_square_of_the_time(
    monkeypatch: pytest.MonkeyPatch, value: str, name: str, given: tuple[Any, ...]
) -> None:
    """Such a call is not even tried."""
    tried = []
    monkeypatch.setattr(python_constants, "_by_method", lambda *call: tried.append(call))
    assert method(value, name, given) is None
    assert not tried


def test_operators_make_what_python_makes_within_the_bound() -> None:
    assert added("i", "d") == "id"
    assert added("i", None) == "i" + HOLE
    assert added(LONG, "b") is None
    assert combined("Mult", "id", 2) == "idid"
    assert combined("Mult", "id", MOST) is None
    assert combined("Mult", 1 << 3000, 1 << 3000) is None
    assert combined("Mod", "i%s", "d") == "id"
    assert combined("Mod", "%99999999d", 1) is None
    assert combined("Mod", "i%s", None) == combined("Mod", "i%d", ("d",)) == "i" + HOLE
    assert combined("BitXor", 8, 97) == 105
    assert combined("LShift", 1, 1 << 20) is None
    assert sliced("di", (None, None, -1)) == "id"
    assert sliced("di", (None, None, 0)) is None
