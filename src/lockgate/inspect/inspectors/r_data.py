"""Data and code of R: serialised objects, workspaces, and the databases that packages are loaded from.

Format: "R Internals", section 1.8 (serialization format, versions 2 and 3, in XDR), and R's ``serialize.c``.
Nothing is made of the objects: they are walked to the last byte, and names and texts are looked at.
"""

import zlib

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.strings import look
from lockgate.inspect.inspectors.wires import R_RECORD
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_DEPTH = 200
_ALONE = frozenset({254, 253, 252, 251, 250, 242, 241, 25})
_SYMBOL, _ENVIRONMENT, _PROMISE, _TEXT, _BYTECODE, _POINTER, _WEAK = 1, 4, 5, 9, 21, 22, 23
_PAIRS = frozenset({2, 3, 5, 6, 17})
_CLOSURE = 3
_NAMED = frozenset({247, 248, 249})
_NATIVE = frozenset({7, 8})
_WIDTHS = {10: 4, 13: 4, 14: 8, 15: 16, 24: 1}
_LISTED = frozenset({16, 19, 20})
_REFERENCE, _ALTERNATIVE = 255, 238
_DEFINED, _REFERRED = 244, 243
_CALLS = {6: False, 2: False, 240: True, 239: True}
"""Types of calls and lists inside byte code → whether they have attributes."""
_PARTS = {_ENVIRONMENT: 4, _POINTER: 2, _WEAK: 0, _ALTERNATIVE: 3}
_ATTRIBUTES, _TAG = 0x200, 0x400
_USES = {
    "subprocess": {"system", "system2", "shell", "pipe"},
    "network": {"socketConnection", "url", "download.file", "socketSelect", "serverSocket", "curlGetHeaders"},
    "native": {"dyn.load", "library.dynam", ".Call", ".External", ".C"},
    "code": {"eval", "parse", "source", "evalq", "unserialize"},
}
_TEXT_BYTES = 16 << 20


class RDataInspector(Inspector):
    """Walks one serialised object; code in it is not understood."""

    name = "r-data"
    version = 1
    detects = frozenset({"r-data"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the object, which must end with the file."""
        start = 5 if bytes(data[:3]) == b"RDX" else 0
        walk = _Walk(data, context)
        end = walk.read(start)
        if end != len(data):
            raise _broken("Bytes follow the object.", end)
        tally.claim_all()
        _tell(walk, tally, context)


class RDatabaseInspector(Inspector):
    """Walks the packed objects of a package of R, one behind the other."""

    name = "r-database"
    version = 1
    detects = frozenset({"r-database"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim each record whose object unpacks to its length and is wholly walked."""
        at = 0
        whole = _Walk(data, context)
        while at < len(data):
            said = int.from_bytes(data[at : at + R_RECORD], "big")
            context.budget.member(said)
            raw, at = _unpacked(data, at + R_RECORD, said)
            walk = _Walk(memoryview(raw), context)
            if walk.read(0) != len(raw):
                raise _broken("Bytes follow an object.", at)
            whole.take(walk)
        tally.claim(0, at)
        _tell(whole, tally, context)


def _unpacked(data: memoryview, at: int, said: int) -> tuple[bytes, int]:
    """Return the content of a record and where it ends."""
    unpacker = zlib.decompressobj()
    raw = unpacker.decompress(data[at:], said + 1)
    if len(raw) != said or not unpacker.eof:
        raise _broken("A record does not unpack to its length.", at)
    return raw, len(data) - len(unpacker.unused_data)


def _tell(walk: "_Walk", tally: Tally, context: Context) -> None:
    tally.opaque.add("r-data")
    for kind, names in _USES.items():
        if names & walk.symbols:
            tally.use(kind)
    if walk.code:
        tally.note("r-code", Severity.INFO, "It holds functions of R.")
    if walk.promises:
        # R evaluates a promise when its value is asked for: reading such data runs it (CVE-2024-27322).
        severity = Severity.INFO if context.package else Severity.HIGH
        tally.note("r-promise", severity, "It holds a promise, which R runs when the data is used.")
    look(tally, walk.texts, context)


class _Walk:
    """Walks items; the place only grows, and lists are walked in a loop."""

    def __init__(self, data: memoryview, context: Context) -> None:
        self.data, self.at, self.most = data, 0, context.limits.elements
        self.items = self.refs = self.kept = 0
        self.texts: list[str] = []
        self.symbols: set[str] = set()
        self.code = self.promises = False

    def take(self, other: "_Walk") -> None:
        """Take over what another walk saw."""
        self.code, self.promises = self.code or other.code, self.promises or other.promises
        self.symbols |= other.symbols
        if self.kept < _TEXT_BYTES:
            self.texts += other.texts
            self.kept += other.kept

    def read(self, at: int) -> int:
        """Walk a stream from a place; return where it ends."""
        if bytes(self.data[at : at + 2]) != b"X\n":
            raise _broken("The object is not in the binary form that R writes everywhere.", at)
        self.at = at + 2
        version = self.number()
        if version not in {2, 3}:
            raise _broken("The version of the format is not known.", at)
        self.skip(8)
        if version == 3:  # noqa: PLR2004  # names the encoding
            self.skip(demand(self.number(), 64, "encoding name"))
        self.item(0)
        return self.at

    def skip(self, size: int) -> memoryview:
        if size < 0 or self.at + size > len(self.data):
            raise _broken("An object ends past the file.", self.at)
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self) -> int:
        return int.from_bytes(self.skip(4), "big", signed=True)

    def length(self) -> int:
        """Return a length; long ones have two more numbers."""
        size = self.number()
        if size == -1:
            size = (self.number() & 0xFFFFFFFF) << 32 | self.number() & 0xFFFFFFFF
        if not 0 <= size <= len(self.data):
            raise _broken("An object is longer than the file.", self.at)
        return size

    def item(self, depth: int) -> str:
        """Walk one item; return the text where it is one."""
        demand(depth, _DEPTH, "r depth")
        while True:
            self.items = demand(self.items + 1, self.most, "elements")
            flags = self.number()
            kind = flags & 0xFF
            if kind not in _PAIRS:
                return self.single(kind, flags, depth)
            self.code |= kind == _CLOSURE
            self.promises |= kind == _PROMISE
            for bit in (_ATTRIBUTES, _TAG):
                if flags & bit:
                    self.item(depth + 1)
            self.item(depth + 1)

    def single(self, kind: int, flags: int, depth: int) -> str:
        """Walk what is no list."""
        said = ""
        if kind == _TEXT:
            said = self.text()
        elif kind in _WIDTHS:
            self.skip(_WIDTHS[kind] * self.length())
        elif kind in _LISTED:
            for _ in range(self.length()):
                self.item(depth + 1)
        elif kind == _BYTECODE:
            self.code = True
            self.number()
            self.bytecode(depth + 1)
        elif kind in _NATIVE:
            self.skip(self.length())
        elif kind not in _ALONE:
            self.shared(kind, flags, depth)
            return said
        if flags & _ATTRIBUTES and kind not in _ALONE - {25}:
            self.item(depth + 1)
        return said

    def shared(self, kind: int, flags: int, depth: int) -> None:
        """Walk what others refer to, or what refers."""
        if kind == _REFERENCE:
            if not 0 < (flags >> 8 or self.number()) <= self.refs:
                raise _broken("An item refers to one that is not there.", self.at)
            return
        if kind == _SYMBOL:
            self.symbols.add(self.item(depth + 1))
            self.refs += 1
            return
        self.refs += kind != _ALTERNATIVE
        for _ in range(self.parts(kind)):
            self.item(depth + 1)
        if kind in {_POINTER, _WEAK} and flags & _ATTRIBUTES:
            self.item(depth + 1)

    def parts(self, kind: int) -> int:
        """Return how many items a shared one is made of."""
        if kind == _ENVIRONMENT:
            self.number()
        elif kind in _NAMED:
            if self.number():
                raise _broken("A name has a form that is not known.", self.at)
            return self.length()
        elif kind not in _PARTS:
            raise _broken("An item is of a type that is not known.", self.at)
        return _PARTS[kind]

    def text(self) -> str:
        size = self.number()
        if size == -1:
            return ""
        said = bytes(self.skip(size)).decode("utf-8", "replace")
        if self.kept < _TEXT_BYTES and said:
            self.kept += len(said)
            self.texts.append(said)
        return said

    def bytecode(self, depth: int) -> None:
        """Walk the code and the constants of a compiled function."""
        demand(depth, _DEPTH, "r depth")
        self.item(depth + 1)
        for _ in range(self.length()):
            kind = self.number()
            if kind == _BYTECODE:
                self.bytecode(depth + 1)
            elif kind in _CALLS or kind in {_DEFINED, _REFERRED}:
                self.call(kind, depth + 1)
            else:
                self.item(depth + 1)

    def call(self, kind: int, depth: int) -> None:
        """Walk a call inside byte code; its rest is walked in a loop."""
        demand(depth, _DEPTH, "r depth")
        while True:
            self.items = demand(self.items + 1, self.most, "elements")
            if kind == _REFERRED:
                self.number()
                return
            if kind == _DEFINED:
                self.number()
                kind = self.number()
            if kind not in _CALLS:
                self.item(depth + 1)
                return
            if _CALLS[kind]:
                self.item(depth + 1)
            self.item(depth + 1)
            self.call(self.number(), depth + 1)
            kind = self.number()


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
