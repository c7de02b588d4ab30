"""What becomes of values in Python source: constants, real names, and marks of where they come from.

A bounded reading of the syntax tree, several times over, until what is known of names does not grow. Nothing
is executed: what the reading does not understand carries the marks of its parts, and no constant.
"""

import ast
import builtins
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from lockgate.inspect.inspectors import python_constants as constants
from lockgate.inspect.inspectors.python_expressions import EXPRESSIONS, parts_of
from lockgate.inspect.inspectors.python_known import UNKNOWN, Call, Key, Value, named
from lockgate.inspect.inspectors.python_places import HOLE, NOTHING, Mark, place, whole
from lockgate.inspect.inspectors.python_statements import STATEMENTS

_BUILTINS = frozenset(dir(builtins))
_DEEP = 60
_BRIEF = 4
"""Lines of a function that is read whatever stands in it."""
_STEPS = 25_000
"""Nodes that are read of one source, all passes together."""
_PASSES = 4
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Blocks = ast.If | ast.Try | ast.With | ast.For | ast.While


class OutOfStepsError(Exception):
    """A source has more in it than is followed."""


class Reader:
    """Reads one source; `met` is told each call in each pass."""

    def __init__(
        self,
        tree: ast.Module,
        met: Callable[["Reader", Call], None],
        *,
        acts: bool,
        lines: Sequence[int] = (),
    ) -> None:
        """Keep a source's functions and classes by name.

        Args:
            tree: The source.
            met: Is told each call.
            acts: The module's statements run by themselves.
            lines: Numbers of the lines, in order, without any of which a function is not read; none: all are.

        """
        self.lines = lines
        self.passed: set[str] = set()
        self.everything = NOTHING
        self.tree, self.met, self.module_acts = tree, met, acts
        self.known: dict[Key, Value] = {}
        self.functions: dict[str, _Function] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        self.returned: dict[str, Value] = {}
        self.lambdas: dict[str, tuple[str, ast.Lambda]] = {}
        self.acting: set[str] = set()
        self.where, self.acts = "", acts
        self.shared: set[Key] = set()
        self.around: dict[str, str] = {}
        self.left, self.deep, self.loops, self.blocks = _STEPS, 0, 0, 0
        self._define(tree.body, "", "")

    def _define(self, body: Iterable[ast.stmt], around: str, prefix: str, deep: int = 0) -> None:
        """Keep the functions and classes of a body.

        Args:
            body: Statements.
            around: The function that they stand in, if any.
            prefix: The function or class that they stand in.
            deep: How many statements are around them.

        """
        if deep > _DEEP:
            return
        for node in body:
            if isinstance(node, _Function):
                name = f"{prefix}.{node.name}"
                if not self._interests(node):
                    self.passed.add(name)
                self.functions[name] = node
                self.around[name] = around
                self.known.setdefault((prefix, node.name), Value(name=name))
                self._define(node.body, name, name, deep + 1)
            elif isinstance(node, ast.ClassDef):
                name = f"{prefix}.{node.name}"
                self.classes[name] = node
                self.known.setdefault((prefix, node.name), Value(name=name))
                self._define(node.body, around, name, deep + 1)
            elif isinstance(node, _Blocks):
                for part in ("body", "orelse", "handlers", "finalbody"):
                    for inner in getattr(node, part, ()):
                        inside = inner.body if isinstance(inner, ast.ExceptHandler) else [inner]
                        self._define(inside, around, prefix, deep + 1)

    def _interests(self, node: _Function) -> bool:
        """Return whether a function has a line of interest, or is so short that it may only hand on."""
        end = node.end_lineno or node.lineno
        if not self.lines or end - node.lineno < _BRIEF:
            return True
        at = bisect_left(self.lines, node.lineno)
        return at < len(self.lines) and self.lines[at] <= end

    def read(self, worth: Callable[["Reader"], bool]) -> None:
        """Read the module and all functions until nothing is new, or the steps are used up.

        Args:
            worth: Says after the first time whether anything may be found by reading again.

        """
        try:
            for _ in range(_PASSES):
                before = self._state()
                self.where, self.acts = "", self.module_acts
                self.body(self.tree.body)
                for name, function in self.functions.items():
                    if name not in self.passed:
                        self._enter(name, function)
                if self._state() == before or not worth(self):
                    break
        except OutOfStepsError:
            return

    def _state(self) -> tuple[int, int, int]:
        marks = sum(int(value.marks).bit_count() for value in self.known.values())
        return marks + len(self.known), len(self.acting), sum(bool(v.name) for v in self.returned.values())

    def _enter(self, name: str, function: _Function) -> None:
        self.where, owner = name, self.class_of(name)
        self.acts = name in self.acting
        plain = any(
            isinstance(item, ast.Name) and item.id == "staticmethod" for item in function.decorator_list
        )
        if owner and function.args.args and not plain:
            self.known[name, function.args.args[0].arg] = Value(name=f"{owner}()")
        for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
            self.known.setdefault((name, argument.arg), UNKNOWN)
        self.loops += 1
        for statement in function.decorator_list:
            self.value(statement)
        self.body(function.body)
        self.loops -= 1

    def class_of(self, name: str) -> str:
        """Return the class that a function is a method of, if any."""
        outer = name.rpartition(".")[0]
        return outer if outer in self.classes else ""

    def act(self, name: str) -> None:
        """Say that a function or an object of a class runs by itself where this does."""
        if not self.acts:
            return
        name = name.removesuffix("()")
        if name in self.classes:
            self.acting.update(each for each in self.functions if each.startswith(f"{name}.__"))
        elif name in self.functions:
            self.acting.add(name)

    def keep(self, key: Key, value: Value, *, add: bool = False) -> None:
        """Give a name a value; marks of what a module or an object holds stay."""
        old = self.known.get(key)
        if old is not None and add:
            value = replace(old, const=None, marks=old.marks | value.marks)
        elif old is not None and key[0] in self.functions and not self.loops > 1:
            value = replace(value, keys=value.keys or old.keys)
        elif old is not None:
            value = replace(value, marks=old.marks | value.marks, keys=value.keys or old.keys)
        self.known[key] = value

    def given(self, key: Key, value: Value) -> None:
        """Let a parameter stand for one more value."""
        old = self.known.get(key)
        self.known[key] = value.also(old) if old is not None and old != UNKNOWN else value

    def gain(self, node: ast.expr, marks: Mark, keys: tuple[Key, ...]) -> None:
        """Add marks to what a name in the source holds, and to the files that it writes to."""
        key = self.key_of(node)
        for each in (*((key,) if key else ()), *keys):
            old = self.known.get(each, UNKNOWN)
            self.known[each] = replace(old, marks=old.marks | marks)

    def decorated(self, node: ast.expr, target: Value, own: str) -> None:
        """Tell of a function that is given to one by a decorator."""
        call = ast.copy_location(ast.Call(node, [], []), node)
        returned = self.returned.get(own, UNKNOWN)
        self.met(self, Call(call, target.name, UNKNOWN, (returned,), {}, self.acts))

    def key_of(self, node: ast.expr) -> Key | None:
        """Return the key of what a name, an attribute of an own object or a part of one is stored under."""
        while isinstance(node, ast.Subscript | ast.Starred):
            node = node.value
        if isinstance(node, ast.Name):
            return self.owner_of(node.id), node.id
        if isinstance(node, ast.Attribute):
            base = self.value(node.value).name.removesuffix("()")
            if base in self.classes:
                return base, node.attr
            return self.key_of(node.value)
        if isinstance(node, ast.Call) and node.args:
            return self.key_of(node.args[0])
        return None

    def owner_of(self, name: str) -> str:
        """Return the function in which a name is found."""
        if (self.where, name) in self.shared:
            return ""
        where = self.where
        while where and (where, name) not in self.known:
            where = self.around.get(where, "")
        return where if (where, name) in self.known else self.where

    def body(self, body: Iterable[ast.stmt]) -> None:
        """Read statements in their order; those too deep inside of others are left out."""
        if self.blocks > _DEEP:
            return
        self.blocks += 1
        for node in body:
            self.step()
            statement = STATEMENTS.get(type(node))
            if statement:
                statement(self, node)
        self.blocks -= 1

    def step(self) -> None:
        """Count a step."""
        self.left -= 1
        if self.left <= 0:
            raise OutOfStepsError

    def value(self, node: ast.expr | None) -> Value:
        """Return what is known of an expression."""
        if node is None or self.deep > _DEEP:
            return UNKNOWN
        self.step()
        self.deep += 1
        try:
            return EXPRESSIONS.get(type(node), parts_of)(self, node)
        finally:
            self.deep -= 1

    def part(self, base: Value, name: str) -> Value:
        """Return an attribute of a value."""
        own = base.name.removesuffix("()")
        if own in self.classes:
            for each in self.line(own):
                if (each, name) in self.known:
                    return self.known[each, name]
                if f"{each}.{name}" in self.functions:
                    return Value(name=f"{each}.{name}")
        if name in {"__dict__", "__self__", "__module__"} and base.name.startswith("builtins"):
            return Value(name="builtins")
        if name == "__doc__":
            return Value(marks=Mark.WRITTEN)
        found = named(f"{base.name}.{name}") if base.name else UNKNOWN
        return replace(found, marks=found.marks | base.marks, keys=base.keys)

    def line(self, name: str) -> list[str]:
        """Return a class and those of the source that it is made from."""
        bases = [
            self.known.get(("", b.id), UNKNOWN).name
            for b in self.classes[name].bases
            if isinstance(b, ast.Name)
        ]
        return [name, *(base for base in bases if base in self.classes and base != name)]

    def combined(self, sign: str, left: Value, right: Value) -> Value:
        """Return what an operator makes of two values."""
        const = constants.combined(sign, left.const, right.const)
        marks = left.marks | right.marks
        if sign == "BitXor" and marks & (Mark.WRITTEN | Mark.FILE | Mark.NET):
            marks |= Mark.DECODED
        if sign == "Add" and left.const is not None and right.const is not None:
            marks |= Mark.BUILT
        path = left.name.startswith("pathlib.") or right.name.startswith("pathlib.") or isinstance(const, str)
        name = "pathlib.Path()" if sign == "Div" and path else ""
        return self.placed(Value(const, name, marks, left.keys or right.keys))

    def placed(self, value: Value) -> Value:
        """Return a value with the marks of what it is the place of; below a home is no home any more."""
        if not isinstance(value.const, str):
            return value
        marks = value.marks | place(value.const.replace(HOLE, "/"))
        if marks & Mark.HOME and not whole(value.const):
            marks &= ~Mark.HOME
        return replace(value, marks=marks)

    def looked_up(self, base: Value, key: Value) -> Value | None:
        """Return what a name stands for that is looked up in a dictionary of names."""
        name = str(key.const)
        hidden = key.marks & (Mark.BUILT | Mark.DECODED)
        if base.name in {"builtins", "builtins.globals()", "builtins.locals()", "builtins.vars()"}:
            if name == "__builtins__":
                return Value(name="builtins")
            known = self.known.get(("", name))
            if known and base.name != "builtins":
                return known
            return Value(name=f"builtins.{name}", marks=hidden) if name in _BUILTINS else None
        if base.name == "sys.modules":
            return Value(name=name, marks=hidden)
        if base.name.endswith(".__dict__"):
            return Value(name=f"{base.name.removesuffix('.__dict__')}.{name}", marks=hidden)
        return None

    def setting(self, key: Value) -> Value:
        """Return one setting of the environment: all of them, where its name was chosen from all."""
        if key.const in {"HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "HOMEPATH"}:
            return Value("~", marks=Mark.HOME)
        return Value(marks=key.marks & Mark.ENV)

    def element(self, source: Value) -> Value:
        """Return what is known of each part of a value."""
        if source.name == "os.environ":
            return Value(marks=source.marks | Mark.ENV)
        name = source.name.removesuffix("[]") if source.name.endswith("[]") else ""
        return Value(name=name, marks=source.marks, keys=source.keys)

    def gave(self, value: Value) -> None:
        """Keep what a function returns."""
        if self.where:
            old = self.returned.get(self.where)
            self.returned[self.where] = value.also(old) if old else value

    def assign(self, target: ast.expr, value: Value, *, add: bool = False) -> None:
        """Give a target of an assignment its value."""
        if isinstance(target, ast.Tuple | ast.List):
            parts = (
                value.const if isinstance(value.const, tuple) and len(value.const) == len(target.elts) else ()
            )
            for place_, item in enumerate(target.elts):
                self.assign(item, replace(value, const=constants.fits(parts[place_]) if parts else None))
            return
        if isinstance(target, ast.Subscript):
            self.value(target.slice)
            add = True
        if isinstance(target, ast.Name):
            owner = self.owner_of(target.id) if add or (self.where, target.id) in self.shared else self.where
            self.keep((owner, target.id), value, add=add)
        elif (key := self.key_of(target)) is not None:
            self.keep(
                key, value, add=add or not isinstance(target, ast.Attribute) or key[0] not in self.classes
            )
