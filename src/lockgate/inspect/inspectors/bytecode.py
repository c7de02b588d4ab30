"""Compiled Python: the head of a ``.pyc`` and the one object behind it, up to the last byte; code is opaque.

Formats: PEP 552 and PEP 3147; ``Python/marshal.c`` of Python 2.7 to 3.14. Nothing is loaded: objects are
counted and walked, and names and texts of the code are looked at.
"""

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.shapes import pyc_magic
from lockgate.inspect.inspectors.strings import look
from lockgate.inspect.inspectors.uses import use
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_DEPTH = 100
_UNCHECKED, _HASHED = 1, 3
_SHARED = 0x80
_ALONE = frozenset(b"NFTS.")
_FIXED = {ord("i"): 4, ord("I"): 8, ord("g"): 8, ord("y"): 16}
_BYTES = {ord("s"): 4, ord("t"): 4, ord("u"): 4, ord("a"): 4, ord("A"): 4, ord("z"): 1, ord("Z"): 1}
_TEXTS = frozenset(b"tuaAzZ")
_LISTED = {ord("("): 4, ord("["): 4, ord("<"): 4, ord(">"): 4, ord(")"): 1}
_DICT, _END, _CODE, _REF, _INTERNED, _LONG, _SLICE = (ord(char) for char in "{0crRl:")
_FLOATS = {ord("f"): 1, ord("x"): 2}
_POSITIONAL, _QUALIFIED, _SLICES = 3400, 3450, 3600
"""First magic numbers with positional-only arguments, with qualified names, and with slices as constants."""
_PYTHON3 = 4000
_NAME = 100


class BytecodeInspector(Inspector):
    """Walks a compiled module; what its code does is not understood."""

    name = "pyc"
    version = 1
    detects = frozenset({"pyc"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the head and the code, and note code that runs whatever its source says."""
        tally.opaque.add("pyc")
        magic, start = pyc_magic(data)
        walk = _Marshal(data, start, magic, context)
        if data[start] & ~_SHARED != _CODE:
            raise _broken("There is no code behind the head.", start)
        walk.value(0)
        if walk.at != len(data):
            raise _broken("Bytes follow the code.", walk.at)
        tally.claim_all()
        flags = int.from_bytes(data[4:8], "little") if start == 16 else 0  # noqa: PLR2004  # PEP 552
        if flags & _HASHED == _UNCHECKED:
            why = "Python runs it in place of its source without ever comparing the two."
            tally.note("python-bytecode-unchecked", Severity.HIGH, why)
        names = sorted(text for text in walk.texts if len(text) <= _NAME and text.isidentifier())
        use(tally, "\n".join(f"import {name}\n{name}(\nos.{name}" for name in names), "py", None)
        look(tally, sorted(walk.texts), context)


class _Marshal:
    """Walks objects of marshal; the place only ever grows."""

    def __init__(self, data: memoryview, at: int, magic: int, context: Context) -> None:
        self.data, self.at, self.magic = data, at, magic
        self.refs = self.interned = self.objects = 0
        self.most = context.limits.elements
        self.texts: set[str] = set()

    def skip(self, size: int) -> memoryview:
        if size < 0 or self.at + size > len(self.data):
            raise _broken("An object ends past the file.", self.at)
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.skip(size), "little", signed=size > 1)

    def value(self, depth: int) -> int:
        """Walk one object; return its type."""
        demand(depth, _DEPTH, "marshal depth")
        self.objects = demand(self.objects + 1, self.most, "elements")
        mark = self.number(1)
        kind = mark & ~_SHARED
        if mark & _SHARED:
            self.refs += 1
        if kind in _LISTED:
            for _ in range(self.count(_LISTED[kind])):
                self.wanted(depth)
        elif kind == _DICT:
            while self.value(depth + 1) != _END:
                self.wanted(depth)
        elif kind == _CODE:
            self.code(depth)
        elif kind == _SLICE and self.magic >= _SLICES:
            for _ in range(3):
                self.wanted(depth)
        else:
            self.plain(kind)
        return kind

    def wanted(self, depth: int) -> None:
        """Walk an object where one must be."""
        if self.value(depth + 1) == _END:
            raise _broken("An object is missing.", self.at)

    def count(self, size: int) -> int:
        """Return a count; each of what is counted takes a byte at least."""
        count = self.number(size)
        if not 0 <= count <= len(self.data) - self.at:
            raise _broken("There are more objects than fit.", self.at)
        return count

    def plain(self, kind: int) -> None:
        """Walk an object that holds no other."""
        if kind in _BYTES:
            raw = self.skip(self.number(_BYTES[kind]))
            if kind in _TEXTS or self.magic >= _PYTHON3:
                self.texts.add(bytes(raw).decode("utf-8", "replace"))
            self.interned += kind == ord("t")
        elif kind in _FIXED:
            self.skip(_FIXED[kind])
        elif kind == _LONG:
            self.skip(2 * abs(self.number(4)))
        elif kind in _FLOATS:
            for _ in range(_FLOATS[kind]):
                self.skip(self.number(1))
        elif kind in {_REF, _INTERNED}:
            known = self.refs if kind == _REF else self.interned
            if not 0 <= self.number(4) < known:
                raise _broken("An object refers to one that is not there.", self.at)
        elif kind not in _ALONE and kind != _END:
            raise _broken("An object is of a type that is not known.", self.at - 1)

    def code(self, depth: int) -> None:
        """Walk a code object; its fields are those of its version."""
        old = self.magic >= _PYTHON3
        numbers = 4 if old else 5 if self.magic < _POSITIONAL or self.magic >= _QUALIFIED else 6
        self.skip(4 * numbers)
        for _ in range(8):
            self.wanted(depth)
        self.skip(4)
        for _ in range(2 if self.magic >= _QUALIFIED and not old else 1):
            self.wanted(depth)


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
