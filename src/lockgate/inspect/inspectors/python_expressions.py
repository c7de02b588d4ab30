"""What expressions of Python stand for: constants, real names, and marks of where they come from."""

import ast
import builtins
from collections.abc import Callable
from typing import TYPE_CHECKING

from lockgate.inspect.inspectors import python_constants as constants
from lockgate.inspect.inspectors.python_calls import called
from lockgate.inspect.inspectors.python_known import UNKNOWN, Call, Value, literal
from lockgate.inspect.inspectors.python_places import HOLE, NOTHING, Mark

if TYPE_CHECKING:
    from lockgate.inspect.inspectors.python_values import Reader

_BUILTINS = frozenset(dir(builtins))
_SHORT = 64
_TURNS = 2000
"""Most turns of a loop over constants that are followed."""


def parts_of(reader: "Reader", node: ast.AST) -> Value:
    """Return the marks of all parts of an expression."""
    found = NOTHING
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            found |= reader.value(child).marks
    return Value(marks=found)


def _compared(reader: "Reader", node: ast.Compare | ast.UnaryOp) -> Value:
    found = parts_of(reader, node)
    if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
        operand = node.operand
        if (
            isinstance(node.op, ast.USub)
            and isinstance(operand, ast.Constant)
            and isinstance(operand.value, int)
        ):
            return Value(-operand.value)
        return found
    return UNKNOWN


def _constant(reader: "Reader", node: ast.Constant) -> Value:
    del reader
    return literal(constants.fits(node.value))


def _name(reader: "Reader", node: ast.Name) -> Value:
    known = reader.known.get((reader.owner_of(node.id), node.id))
    if known is not None:
        return known
    if node.id == "__builtins__":
        return Value(name="builtins")
    return Value(name=f"builtins.{node.id}") if node.id in _BUILTINS else UNKNOWN


def _attribute(reader: "Reader", node: ast.Attribute) -> Value:
    return reader.part(reader.value(node.value), node.attr)


def _binary(reader: "Reader", node: ast.BinOp) -> Value:
    chain: list[ast.BinOp] = [node]
    while isinstance(chain[-1].left, ast.BinOp):
        reader.step()
        chain.append(chain[-1].left)
    value = reader.value(chain[-1].left)
    for part in reversed(chain):
        value = reader.combined(type(part.op).__name__, value, reader.value(part.right))
    return value


def _joined(reader: "Reader", node: ast.JoinedStr) -> Value:
    value = Value("", marks=Mark.WRITTEN)
    for part in node.values:
        inner = reader.value(part.value) if isinstance(part, ast.FormattedValue) else reader.value(part)
        said = inner.const if isinstance(inner.const, str) else HOLE
        value = Value(
            constants.added(value.const or "", said),
            marks=value.marks | inner.marks,
            keys=value.keys or inner.keys,
        )
    return reader.placed(value)


def _list(reader: "Reader", node: ast.List | ast.Tuple | ast.Set) -> Value:
    values = [reader.value(item) for item in node.elts]
    known = all(value.const is not None for value in values) and values
    if not known and len(values) <= _SHORT and any(isinstance(value.const, str) for value in values):
        found = Value(tuple(HOLE if value.const is None else value.const for value in values))
    else:
        found = literal(constants.fits([value.const for value in values]) if known else None)
    marks, keys = found.marks, ()
    for value in values:
        marks |= value.marks
    name = next((v.name for v in values if v.name and not v.name.startswith("builtins.")), "")
    return Value(found.const, name if not known and len(values) == 1 else "", marks, keys)


def _dict(reader: "Reader", node: ast.Dict) -> Value:
    values = [reader.value(item) for item in (*node.keys, *node.values) if item is not None]
    marks = NOTHING
    for value in values:
        marks |= value.marks
    return Value(marks=marks)


def _subscript(reader: "Reader", node: ast.Subscript) -> Value:
    base = reader.value(node.value)
    if isinstance(node.slice, ast.Slice):
        return _slice(reader, base, node.slice)
    key = reader.value(node.slice)
    if base.name == "os.environ":
        return reader.setting(key)
    if isinstance(key.const, str) and (found := reader.looked_up(base, key)):
        return found
    return Value(constants.part_of(base.const, key.const), marks=base.marks, keys=base.keys)


def _slice(reader: "Reader", base: Value, node: ast.Slice) -> Value:
    bounds = [reader.value(item).const if item else None for item in (node.lower, node.upper, node.step)]
    known = all(
        item is None or isinstance(bound, int)
        for item, bound in zip((node.lower, node.upper, node.step), bounds, strict=True)
    )
    const = constants.sliced(base.const, tuple(bounds)) if known else None  # type: ignore[arg-type]  # numbers
    marks = base.marks
    if node.step is not None and marks & Mark.WRITTEN and isinstance(base.const, str | bytes):
        marks |= Mark.DECODED | Mark.BUILT
    if marks & Mark.PICTURE:
        marks |= Mark.DECODED
    return reader.placed(Value(const, marks=marks, keys=base.keys))


def _comprehension(
    reader: "Reader", node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
) -> Value:
    element = node.value if isinstance(node, ast.DictComp) else node.elt
    first = node.generators[0]
    source = reader.value(first.iter)
    small = isinstance(source.const, str | bytes | tuple) and len(source.const) <= _TURNS
    if small and len(node.generators) == 1 and not first.ifs and not isinstance(node, ast.DictComp):
        found = [_turn(reader, first.target, part, source, element) for part in source.const]  # type: ignore[union-attr]
        marks = source.marks
        for value in found:
            marks |= value.marks
        known = all(value.const is not None for value in found)
        return Value(constants.fits([value.const for value in found]) if known else None, marks=marks)
    for generator in node.generators:
        reader.assign(generator.target, reader.element(reader.value(generator.iter)))
        for test in generator.ifs:
            reader.value(test)
    if isinstance(node, ast.DictComp):
        reader.value(node.key)
    inner = reader.value(element)
    name = "" if inner.name.startswith("builtins") else inner.name
    return Value(name=f"{name}[]" if name == "pathlib.Path()" else name, marks=inner.marks, keys=inner.keys)


def _turn(reader: "Reader", target: ast.expr, part: object, source: Value, element: ast.expr) -> Value:
    reader.assign(target, Value(constants.fits(part), marks=source.marks))
    return reader.value(element)


def _call(reader: "Reader", node: ast.Call) -> Value:
    if isinstance(node.func, ast.Lambda):
        for argument, item in zip(node.func.args.args, node.args, strict=False):
            reader.given((reader.where, argument.arg), reader.value(item))
    if isinstance(node.func, ast.Attribute):
        base = reader.value(node.func.value)
        target = reader.part(base, node.func.attr)
    else:
        base, target = UNKNOWN, reader.value(node.func)
    given = tuple(reader.value(item) for item in node.args[:20])
    words = {word.arg or "**": reader.value(word.value) for word in node.keywords[:20]}
    hidden = target.marks & (Mark.BUILT | Mark.DECODED)
    call = Call(node, target.name, base, given, words, reader.acts, hidden)
    reader.met(reader, call)
    found = called(reader, call, target)
    reader.everything |= found.marks
    return found


def _lambda(reader: "Reader", node: ast.Lambda) -> Value:
    name = f".<{node.lineno}:{node.col_offset}>"
    for argument in node.args.args:
        reader.known.setdefault((reader.where, argument.arg), UNKNOWN)
    reader.lambdas[name] = (reader.where, node)
    return Value(name=name, marks=reader.value(node.body).marks)


def _choice(reader: "Reader", node: ast.IfExp) -> Value:
    reader.value(node.test)
    return reader.value(node.body).also(reader.value(node.orelse))


def _either(reader: "Reader", node: ast.BoolOp) -> Value:
    values = [reader.value(item) for item in node.values]
    found = values[0]
    for value in values[1:]:
        found = found.also(value)
    return found


def _named(reader: "Reader", node: ast.NamedExpr) -> Value:
    value = reader.value(node.value)
    reader.assign(node.target, value)
    return value


def _inner(reader: "Reader", node: ast.Await | ast.Starred | ast.Yield | ast.YieldFrom) -> Value:
    value = reader.value(node.value)
    if isinstance(node, ast.Yield | ast.YieldFrom):
        reader.gave(value)
    return value


EXPRESSIONS: dict[type[ast.AST], Callable[..., Value]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.BinOp: _binary,
    ast.JoinedStr: _joined,
    ast.List: _list,
    ast.Tuple: _list,
    ast.Set: _list,
    ast.Dict: _dict,
    ast.Subscript: _subscript,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.DictComp: _comprehension,
    ast.Call: _call,
    ast.Compare: _compared,
    ast.UnaryOp: _compared,
    ast.Lambda: _lambda,
    ast.IfExp: _choice,
    ast.BoolOp: _either,
    ast.NamedExpr: _named,
    ast.Await: _inner,
    ast.Starred: _inner,
    ast.Yield: _inner,
    ast.YieldFrom: _inner,
}
