"""Walks pickle streams without building anything: which globals would be imported, and called.

The opcodes are those of CPython's ``Lib/pickle.py``, protocols 0 to 5. The walk keeps a stack of
what is known of each value, so that ``STACK_GLOBAL`` is resolved as the loader would, and marks
what loaders disagree about (opcodes across FRAME bounds, protocol marks in the middle). Arrays that
joblib writes into the middle of the stream are stepped over as joblib itself does.
"""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final

from lockgate.inspect.inspectors.pickle_arrays import OBJECTS, WRAPPER, raw_array
from lockgate.inspect.inspectors.pickle_letters import carried
from lockgate.inspect.inspectors.pickle_values import (
    ANY,
    BYTES,
    COUNTED,
    FIXED,
    FOREIGN,
    INTEGERS,
    LINES,
    PLAIN,
    PUSH_ANY,
    STRINGS,
    TEXTUAL,
    Global,
    Made,
    Walk,
)

PROBE_STEPS = 1_000_000
MOST_STEPS = 5_000_000

_EARLIER, _EARLY = 8, 32
"""Bytes at which a walk over a text mostly stops: names that follow differ from package to package."""
_CUT: Final = ("an argument runs past the end", "a line without an end")
"""What stops a walk where content ends too early."""
_LAST_PROTOCOL = 5
_PROTO_END = 2
_FRAME_HEAD = 9
_LINE_END = re.compile(rb"\n")
_MARK: Final = object()
_MOST_TEXTS = 200_000
_MOST_KEYS = 64
_MOST_NESTED = 20
MOST_PACKED = 1_000
"""How many values of one pickle are kept that may be pickles themselves."""


_ENCODE = "_codecs.encode"
_LATIN = frozenset({"latin1", "latin-1", "iso-8859-1"})


class _StopWalkError(Exception):
    """The stream breaks off or is no pickle."""


class _Machine:
    def __init__(self, data: memoryview, steps: int, at: int = 0, nested: int = 0) -> None:
        self.data = data
        self.begin = at
        self.at = at
        self.nested = nested
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
        if self.frame_end and self.at >= self.frame_end:
            self.frame_end = 0
        self.at += 1
        if op in TEXTUAL:
            self.walk.textual = True
        if op in FOREIGN:
            self.walk.foreign = True
        argument = self.argument(op)
        if self.frame_end and self.at > self.frame_end and op != "\x95":
            self.walk.odd = True
        if op == ".":
            self.stack.pop()
            return False
        self.apply(op, argument)
        return True

    def argument(self, op: str) -> bytes:
        if op in FIXED:
            return self.take(FIXED[op])
        if op in COUNTED:
            return self.take(int.from_bytes(self.take(COUNTED[op]), "little"))
        return b"\n".join(self.line() for _ in range(LINES.get(op, 0)))

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise _StopWalkError(_CUT[0])
        raw = bytes(self.data[self.at : end])
        self.at = end
        return raw

    def line(self) -> bytes:
        found = _LINE_END.search(self.data, self.at)
        if not found:
            raise _StopWalkError(_CUT[1])
        start, self.at = self.at, found.end()
        return bytes(self.data[start : found.start()])

    def apply(self, op: str, argument: bytes) -> None:
        looked = op in BYTES or op in STRINGS
        if looked and not self.walk.more_packed and (inner := carried(argument, raw=op in BYTES)):
            self.walk.more_packed = len(self.walk.packed) == MOST_PACKED
            self.walk.packed.append(inner)
        if op in STRINGS:
            text = self.text(op, argument)
            self.stack.append(text)
            if len(self.walk.texts) < _MOST_TEXTS:
                self.walk.texts.append(text)
        elif op in PUSH_ANY:
            self.stack.append(ANY)
        elif op in INTEGERS:
            self.stack.append(int.from_bytes(argument, "little", signed=op in "J\x8a"))
        elif op in PLAIN:
            self.stack.append(PLAIN[op])
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

    def op_int(self, argument: bytes) -> None:
        self.stack.append(bool(int(argument)) if argument in {b"00", b"01"} else int(argument))

    def op_dict(self, _: bytes) -> None:
        self.stack.append({})

    def op_pop(self, _: bytes) -> None:
        # A mark on top is popped as a mark: both of CPython's loaders do so.
        self.stack.pop()

    def op_pop_mark(self, _: bytes) -> None:
        self.to_mark()

    def op_read_only(self, _: bytes) -> None:
        self.peek()

    def op_append(self, _: bytes) -> None:
        self.pop()
        self.filled()

    def filled(self) -> Any:
        """Return what is filled or built; filling a class or function changes it for everybody."""
        target = self.peek()
        if isinstance(target, Global):
            self.walk.odd = True
        return target

    def op_frame(self, argument: bytes) -> None:
        inside = self.at - _FRAME_HEAD < self.frame_end
        self.frame_end = self.at + int.from_bytes(argument, "little")
        self.walk.odd |= inside or self.frame_end > len(self.data)

    def op_proto(self, argument: bytes) -> None:
        if argument[0] > _LAST_PROTOCOL:
            raise _StopWalkError("a protocol that does not exist")
        self.walk.odd |= self.at != self.begin + _PROTO_END
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
        what, *rest = self.to_mark()
        self.call(what, tuple(rest))

    def op_reduce(self, _: bytes) -> None:
        args = self.pop()
        if not isinstance(args, tuple):
            raise _StopWalkError("arguments that are no tuple")
        self.call(self.pop(), args)

    def op_newobj_ex(self, argument: bytes) -> None:
        self.pop()
        self.op_reduce(argument)

    def call(self, what: Any, args: tuple[Any, ...] | None = None) -> None:
        if what is None or isinstance(what, (bool, int, str, tuple, dict)):
            raise _StopWalkError("a call of what is no function")
        known = what if isinstance(what, Global) else None
        if known is None:
            self.walk.foreign = True
        elif str(known) == _ENCODE:
            plain = args is not None and len(args) == 2 and args[1] in _LATIN  # noqa: PLR2004  # text, codec
            self.walk.codecs |= not plain
        self.walk.calls += 1
        self.stack.append(Made(known, args))

    def op_build(self, _: bytes) -> None:
        state = self.pop()
        target = self.filled()
        if not isinstance(target, Made):
            return
        target.state = state
        if target.what is not None and str(target.what) == WRAPPER:
            self.array(state)

    def array(self, state: Any) -> None:
        """Step over the array that joblib wrote here, in raw bytes or as a pickle of its own."""
        if self.frame_end > self.at:
            raise _StopWalkError("an array inside a frame")
        self.frame_end = 0
        length = raw_array(state, self.data, self.at)
        if length is None:
            raise _StopWalkError("an array whose size cannot be told")
        if length is not OBJECTS:
            self.take_no_copy(length)
            return
        if self.nested >= _MOST_NESTED:
            raise _StopWalkError("arrays of objects that are nested too deep")
        inner = _Machine(self.data, self.steps, self.at, self.nested + 1)
        inner.walk = self.walk
        inner.run()
        if not self.walk.complete:
            raise _StopWalkError(self.walk.trouble or "an array of objects that breaks off")
        self.walk.complete = False
        self.at = inner.at

    def take_no_copy(self, count: int) -> None:
        if self.at + count > len(self.data):
            raise _StopWalkError("an array runs past the end")
        self.at += count

    def op_mark(self, _: bytes) -> None:
        self.stack.append(_MARK)

    def op_dup(self, _: bytes) -> None:
        self.stack.append(self.peek())

    def op_tuple(self, _: bytes) -> None:
        self.stack.append(tuple(self.to_mark()))

    def op_collect(self, _: bytes) -> None:
        self.to_mark()
        self.stack.append(ANY)

    def op_marked_dict(self, _: bytes) -> None:
        items = self.to_mark()
        self.stack.append({})
        self.fill(self.stack[-1], items)

    def op_extend(self, _: bytes) -> None:
        self.to_mark()
        self.filled()

    def op_setitems(self, _: bytes) -> None:
        items = self.to_mark()
        self.fill(self.filled(), items)

    def op_setitem(self, _: bytes) -> None:
        value = self.pop()
        key = self.pop()
        self.fill(self.filled(), [key, value])

    def fill(self, target: Any, items: list[Any]) -> None:
        if isinstance(target, dict):
            for key, value in zip(items[::2], items[1::2], strict=False):
                if isinstance(key, str) and len(target) < _MOST_KEYS:
                    target[key] = value

    def op_persid(self, argument: bytes) -> None:
        self.walk.persistent.append(argument.decode("utf-8"))
        self.stack.append(ANY)

    def op_binpersid(self, _: bytes) -> None:
        self.walk.persistent.append(self.pop())
        self.stack.append(ANY)

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
        items = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))


_APPLY: dict[str, Callable[[_Machine, bytes], None]] = {
    "(": _Machine.op_mark,
    "0": _Machine.op_pop,
    "1": _Machine.op_pop_mark,
    "2": _Machine.op_dup,
    "a": _Machine.op_append,
    "b": _Machine.op_build,
    "t": _Machine.op_tuple,
    "l": _Machine.op_collect,
    "d": _Machine.op_marked_dict,
    "\x91": _Machine.op_collect,
    "e": _Machine.op_extend,
    "u": _Machine.op_setitems,
    "\x90": _Machine.op_extend,
    "s": _Machine.op_setitem,
    "c": _Machine.op_global,
    "\x93": _Machine.op_stack_global,
    "i": _Machine.op_inst,
    "o": _Machine.op_obj,
    "I": _Machine.op_int,
    "}": _Machine.op_dict,
    "R": _Machine.op_reduce,
    "\x81": _Machine.op_reduce,
    "\x92": _Machine.op_newobj_ex,
    "P": _Machine.op_persid,
    "Q": _Machine.op_binpersid,
    "\x98": _Machine.op_read_only,
    "p": _Machine.op_put,
    "q": _Machine.op_binput,
    "r": _Machine.op_binput,
    "\x94": _Machine.op_memoize,
    "g": _Machine.op_get,
    "h": _Machine.op_binget,
    "j": _Machine.op_binget,
    ")": lambda m, _: m.stack.append(()),
    "\x85": lambda m, _: m.op_tuples(1),
    "\x86": lambda m, _: m.op_tuples(2),
    "\x87": lambda m, _: m.op_tuples(3),
    "\x80": _Machine.op_proto,
    "\x95": _Machine.op_frame,
}


Machine = _Machine
"""For whoever keeps more of the values than inspection does (`lockgate.inspect.convert.tree`)."""


def walk(data: memoryview, steps: int = MOST_STEPS, start: int = 0) -> Walk:
    """Walk one pickle of at most `steps` opcodes, up to its STOP or to where it makes no sense."""
    return _Machine(data, steps, start).run()


@cache
def _never_first() -> frozenset[int]:
    """Return the bytes that break a walk where it begins, whatever follows: most texts begin with one."""
    out = set()
    for byte in set(range(0x100)) - {ord(op) for op in (*FIXED, *COUNTED, *LINES)}:
        if _Machine(memoryview(bytes([byte])), 1).run().trouble:
            out.add(byte)
    return frozenset(out)


@lru_cache(512)
def _stops_early(head: bytes) -> bool:
    """Return whether a walk breaks within the first bytes of content, before any call, whatever follows."""
    machine = _Machine(memoryview(head), PROBE_STEPS)
    seen = machine.run()
    return seen.trouble not in {"", *_CUT} and machine.at < len(head) and not (seen.calls or seen.globals)


def looks_like_pickle(data: memoryview) -> bool:
    """Return whether loading the data as a pickle would call something.

    A stream that breaks later on has run the calls before the break, so the end does not count.
    """
    if len(data) and (data[0] in _never_first() or _stops_early(bytes(data[:_EARLIER]))):
        return False
    if _stops_early(bytes(data[:_EARLY])):
        return False
    seen = walk(data, PROBE_STEPS)
    return seen.endless or (seen.calls > 0 and bool(seen.globals or seen.foreign))


def is_pickle(data: memoryview) -> bool:
    """Return whether the data begins with a pickle that ends, whatever it does."""
    return walk(data, PROBE_STEPS).complete
