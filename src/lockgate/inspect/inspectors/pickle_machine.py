"""Walks pickle streams without building anything: which globals would be imported, and called.

The opcodes are those of CPython's ``Lib/pickle.py``, protocols 0 to 5. The walk keeps a stack of
what is known of each value, so that ``STACK_GLOBAL`` is resolved as the loader would, and marks
what loaders disagree about (opcodes across FRAME bounds, protocol marks in the middle).
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

PROBE_STEPS = 1_000_000
MOST_STEPS = 5_000_000

_LAST_PROTOCOL = 5
_PROTO_END = 2
_FRAME_HEAD = 9
_LINE_END = re.compile(rb"\n")
_MARK: Final = object()
_ANY: Final = object()
_TUPLE: Final = object()


@dataclass(frozen=True, slots=True)
class Global:
    """A name that loading would import."""

    module: str
    name: str

    def __str__(self) -> str:
        """Return module and name with a dot between."""
        return f"{self.module}.{self.name}"


@dataclass(slots=True)
class Walk:
    """What a walk saw: the globals, calls, how far it came, and why it ended early."""

    globals: list[Global] = field(default_factory=list)
    calls: int = 0
    protocol: int = 0
    end: int = 0
    complete: bool = False
    textual: bool = False
    foreign: bool = False
    """Persistent ids, extension codes or out-of-band buffers: resolved by code outside the stream."""
    odd: bool = False
    """What no writer makes and loaders disagree about: marks in the middle, broken frame bounds."""
    endless: bool = False
    trouble: str = ""


class _StopWalkError(Exception):
    """The stream breaks off or is no pickle."""


_FIXED = {
    "K": 1, "M": 2, "J": 4, "G": 8, "q": 1, "r": 4, "h": 1, "j": 4,
    "\x80": 1, "\x82": 1, "\x83": 2, "\x84": 4, "\x95": 8,
}  # fmt: skip
_COUNTED = {
    "T": 4, "U": 1, "B": 4, "C": 1, "X": 4, "\x8a": 1, "\x8b": 4,
    "\x8c": 1, "\x8d": 8, "\x8e": 8, "\x96": 8,
}  # fmt: skip
_LINES = {"F": 1, "I": 1, "L": 1, "S": 1, "V": 1, "P": 1, "c": 2, "i": 2, "g": 1, "p": 1}
_TEXTUAL = frozenset("FILSVPigp")
_FOREIGN = frozenset("PQ\x82\x83\x84\x97\x98")
_PUSH_ANY = frozenset("NKMJGIFL]}\x88\x89\x8a\x8b\x8f\x96\x97BC\x8e\x82\x83\x84TSU")
_POP_ONE = frozenset("0ab")
_STRINGS = frozenset("X\x8c\x8dVSTU")


class _Machine:
    def __init__(self, data: memoryview, steps: int) -> None:
        self.data = data
        self.at = 0
        self.steps = steps
        self.frame_end = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.walk = Walk()

    def run(self) -> Walk:
        try:
            while self.step():
                self.steps -= 1
                if not self.steps:
                    self.walk.endless = True
                    break
            self.walk.complete = not self.walk.endless
        except (_StopWalkError, IndexError, UnicodeDecodeError, ValueError) as error:
            self.walk.trouble = str(error) or type(error).__name__
        self.walk.end = self.at
        return self.walk

    def step(self) -> bool:
        op = chr(self.data[self.at])
        self.at += 1
        if op in _TEXTUAL:
            self.walk.textual = True
        if op in _FOREIGN:
            self.walk.foreign = True
        argument = self.argument(op)
        if self.frame_end and self.at > self.frame_end and op != "\x95":
            self.walk.odd = True
            self.frame_end = 0
        if op == ".":
            self.stack.pop()
            return False
        self.apply(op, argument)
        return True

    def argument(self, op: str) -> bytes:
        if op in _FIXED:
            return self.take(_FIXED[op])
        if op in _COUNTED:
            return self.take(int.from_bytes(self.take(_COUNTED[op]), "little"))
        return b"\n".join(self.line() for _ in range(_LINES.get(op, 0)))

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise _StopWalkError("an argument runs past the end")
        raw = bytes(self.data[self.at : end])
        self.at = end
        return raw

    def line(self) -> bytes:
        found = _LINE_END.search(self.data, self.at)
        if not found:
            raise _StopWalkError("a line without an end")
        start, self.at = self.at, found.end()
        return bytes(self.data[start : found.start()])

    def apply(self, op: str, argument: bytes) -> None:
        if op in _STRINGS:
            self.stack.append(self.text(op, argument))
        elif op in _PUSH_ANY:
            self.stack.append(_ANY)
        elif op in _POP_ONE:
            self.pop()
            if op != "0":
                self.peek()
        elif (method := _APPLY.get(op)) is not None:
            method(self, argument)
        else:
            msg = f"no opcode 0x{ord(op):02x}"
            raise _StopWalkError(msg)

    def text(self, op: str, argument: bytes) -> Any:
        if op == "S":
            quoted = len(argument) > 1 and argument[:1] == argument[-1:] and argument[:1] in {b"'", b'"'}
            if not quoted:
                raise _StopWalkError("a string without quotes")
            return argument[1:-1].decode("latin-1")
        return argument.decode("latin-1" if op in "TUV" else "utf-8", "surrogatepass")

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise _StopWalkError("a mark where a value belongs")
        return value

    def peek(self) -> Any:
        if self.stack[-1] is _MARK:
            raise _StopWalkError("a mark where a value belongs")
        return self.stack[-1]

    def to_mark(self, _: bytes = b"") -> list[Any]:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                return items
        raise _StopWalkError("no mark")

    def name(self, module: Any, name: Any) -> None:
        parts = (
            [*module.split("."), *name.split(".")]
            if isinstance(module, str) and isinstance(name, str)
            else [""]
        )
        if not all(part.isidentifier() for part in parts):
            raise _StopWalkError("a global whose name cannot be told")
        found = Global(module, name)
        self.walk.globals.append(found)
        self.stack.append(found)

    def op_frame(self, argument: bytes) -> None:
        inside = self.at - _FRAME_HEAD < self.frame_end
        self.frame_end = self.at + int.from_bytes(argument, "little")
        self.walk.odd |= inside or self.frame_end > len(self.data)

    def op_proto(self, argument: bytes) -> None:
        if argument[0] > _LAST_PROTOCOL:
            raise _StopWalkError("a protocol that does not exist")
        self.walk.odd |= self.at != _PROTO_END
        self.walk.protocol = argument[0]

    def op_global(self, argument: bytes) -> None:
        module, name = argument.decode("utf-8").split("\n")
        self.name(module, name)

    def op_stack_global(self, _: bytes) -> None:
        name = self.pop()
        self.name(self.pop(), name)

    def op_inst(self, argument: bytes) -> None:
        self.to_mark()
        self.op_global(argument)
        self.call(self.pop())

    def op_obj(self, _: bytes) -> None:
        self.call(self.to_mark()[0])

    def op_reduce(self, _: bytes) -> None:
        if self.pop() is not _TUPLE:
            raise _StopWalkError("arguments that are no tuple")
        self.call(self.pop())

    def op_newobj_ex(self, argument: bytes) -> None:
        self.pop()
        self.op_reduce(argument)

    def call(self, what: Any) -> None:
        if not isinstance(what, Global):
            self.walk.foreign = True
        self.walk.calls += 1
        self.stack.append(_ANY)

    def op_mark(self, _: bytes) -> None:
        self.stack.append(_MARK)

    def op_dup(self, _: bytes) -> None:
        self.stack.append(self.peek())

    def op_tuple(self, _: bytes) -> None:
        self.to_mark()
        self.stack.append(_TUPLE)

    def op_collect(self, _: bytes) -> None:
        self.to_mark()
        self.stack.append(_ANY)

    def op_extend(self, _: bytes) -> None:
        self.to_mark()
        self.peek()

    def op_setitem(self, _: bytes) -> None:
        self.pop()
        self.pop()
        self.peek()

    def op_binpersid(self, _: bytes) -> None:
        self.pop()
        self.stack.append(_ANY)

    def op_put(self, argument: bytes) -> None:
        self.memo[int(argument)] = self.peek()

    def op_binput(self, argument: bytes) -> None:
        self.memo[int.from_bytes(argument, "little")] = self.peek()

    def op_memoize(self, _: bytes) -> None:
        self.memo[len(self.memo)] = self.peek()

    def op_get(self, argument: bytes) -> None:
        self.recall(int(argument))

    def op_binget(self, argument: bytes) -> None:
        self.recall(int.from_bytes(argument, "little"))

    def recall(self, key: int) -> None:
        if key not in self.memo:
            raise _StopWalkError("a memo that was never kept")
        self.stack.append(self.memo[key])

    def op_tuples(self, count: int) -> None:
        for _ in range(count):
            self.pop()
        self.stack.append(_TUPLE)


_APPLY: dict[str, Any] = {
    "(": _Machine.op_mark,
    "1": _Machine.to_mark,
    "2": _Machine.op_dup,
    "t": _Machine.op_tuple,
    "l": _Machine.op_collect,
    "d": _Machine.op_collect,
    "\x91": _Machine.op_collect,
    "e": _Machine.op_extend,
    "u": _Machine.op_extend,
    "\x90": _Machine.op_extend,
    "s": _Machine.op_setitem,
    "c": _Machine.op_global,
    "\x93": _Machine.op_stack_global,
    "i": _Machine.op_inst,
    "o": _Machine.op_obj,
    "R": _Machine.op_reduce,
    "\x81": _Machine.op_reduce,
    "\x92": _Machine.op_newobj_ex,
    "P": lambda m, _: m.stack.append(_ANY),
    "Q": _Machine.op_binpersid,
    "\x98": lambda m, _: m.peek(),
    "p": _Machine.op_put,
    "q": _Machine.op_binput,
    "r": _Machine.op_binput,
    "\x94": _Machine.op_memoize,
    "g": _Machine.op_get,
    "h": _Machine.op_binget,
    "j": _Machine.op_binget,
    ")": lambda m, _: m.stack.append(_TUPLE),
    "\x85": lambda m, _: m.op_tuples(1),
    "\x86": lambda m, _: m.op_tuples(2),
    "\x87": lambda m, _: m.op_tuples(3),
    "\x80": _Machine.op_proto,
    "\x95": _Machine.op_frame,
}


def walk(data: memoryview, steps: int = MOST_STEPS) -> Walk:
    """Walk the first pickle in the data, up to its STOP or to where it stops making sense."""
    return _Machine(data, steps).run()


def looks_like_pickle(data: memoryview) -> bool:
    """Return whether loading the data as a pickle would call something.

    A stream that breaks later on has run the calls before the break, so the end does not count.
    """
    seen = walk(data, PROBE_STEPS)
    return seen.endless or (seen.calls > 0 and bool(seen.globals or seen.foreign))
