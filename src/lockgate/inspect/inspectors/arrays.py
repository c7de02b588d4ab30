"""NumPy's ``.npy``: the header, and data that is as long as shape and type make it.

Format: ``numpy/lib/_format_impl.py`` (NEP 1), versions 1.0 to 3.0.
"""

import ast
import re
from math import prod
from typing import Any

from lockgate.core.artifact import Kind
from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.hidden_programs import look_inside
from lockgate.inspect.inspectors.pickles import PickleInspector
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_LENGTH = {1: 2, 2: 4, 3: 4}
_PREFIX = 8
_HEADER_BYTES = 65_536
_KEYS = {"descr", "fortran_order", "shape"}
_DESCR = re.compile(
    r"[<>|=]?(?:(?P<kind>[biufcSVmMt?])(?P<size>\d{0,9})|U(?P<chars>\d{1,9}))(?:\[\w{1,6}\])?"
)
_OBJECT = re.compile(r"[<>|=]?O\d?")
_PYTHON2_LONG = re.compile(r"(?<=\d)L(?=[,)])")
_MOST_DIMS = 64
_MOST_FIELDS = 10_000
_UNICODE_BYTES = 4


class ArrayInspector(Inspector):
    """Checks header and length; arrays of Python objects are pickles."""

    name = "npy"
    version = 2
    detects = frozenset({"npy"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim header and data, or hand an array of objects to the pickle inspector."""
        start, descr, shape = _header(data)
        size = _size(descr, 0)
        if size is None:
            self._objects(data, tally, context, start)
            return
        if size * prod(shape) != len(data) - start:
            what = f"The data has {len(data) - start} bytes where type and shape make {size * prod(shape)}."
            raise BrokenContentError(what, at=start)
        look_inside(tally, data[start:], "the array", start)
        if context.kind == Kind.MODEL:
            tally.opaque.add("npy")
        tally.claim_all()

    def _objects(self, data: memoryview, tally: Tally, context: Context, start: int) -> None:
        inner = Tally(len(data) - start, tally.where, tally.limit, inspectors={"pickle/1"})
        tally.note("npy-objects", Severity.INFO, "The array holds Python objects, stored as a pickle.", start)
        PickleInspector().inspect(data[start:], inner, context)
        if tally.absorb(inner):
            tally.claim_all()


def _header(data: memoryview) -> tuple[int, Any, list[int]]:
    width = _LENGTH.get(data[6] if len(data) > _PREFIX else 0)
    if width is None:
        what = "The version of the array file is not known."
        raise BrokenContentError(what, at=6)
    length = int.from_bytes(data[_PREFIX : _PREFIX + width], "little")
    start = _PREFIX + width + demand(length, _HEADER_BYTES, "npy header bytes")
    if start > len(data):
        what = "The file ends inside its header."
        raise BrokenContentError(what, at=_PREFIX)
    try:
        text = _PYTHON2_LONG.sub("", bytes(data[_PREFIX + width : start]).decode("utf-8").strip())
        header = ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        what = "The header is no literal."
        raise BrokenContentError(what, at=_PREFIX) from error
    shape = header.get("shape") if isinstance(header, dict) and set(header) == _KEYS else None
    whole = isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 1 << 48 for n in shape)
    if not isinstance(shape, tuple) or not whole or len(shape) > _MOST_DIMS:
        what = "The header has not the three keys that it must have."
        raise BrokenContentError(what, at=_PREFIX)
    return start, header["descr"], list(shape)


def _size(descr: Any, depth: int) -> int | None:
    """Return the bytes of one element, or None when it is a Python object.

    Raises:
        BrokenContentError: The type is not known.

    """
    demand(depth, 8, "npy type depth")
    if isinstance(descr, str) and (found := _DESCR.fullmatch(descr)):
        chars = found["chars"]
        return int(chars) * _UNICODE_BYTES if chars else int(found["size"] or 1)
    if isinstance(descr, str) and _OBJECT.fullmatch(descr):
        return None
    if isinstance(descr, list) and 0 < len(descr) <= _MOST_FIELDS:
        sizes = [_field(item, depth) for item in descr]
        return None if None in sizes else sum(size for size in sizes if size is not None)
    what = f"The element type {str(descr)[:80]!r} is not known."
    raise BrokenContentError(what)


def _field(item: Any, depth: int) -> int | None:
    if not isinstance(item, tuple) or len(item) not in {2, 3}:
        what = "A field of the element type is malformed."
        raise BrokenContentError(what)
    size = _size(item[1], depth + 1)
    times = item[2] if len(item) > 2 else ()  # noqa: PLR2004  # the third part is the field's shape
    times = times if isinstance(times, tuple) else (times,)
    if not all(type(n) is int and 0 <= n < 1 << 32 for n in times[:_MOST_DIMS]):
        what = "The shape of a field is malformed."
        raise BrokenContentError(what)
    return None if size is None else size * prod(times[:_MOST_DIMS])
