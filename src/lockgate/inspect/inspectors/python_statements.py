"""What statements of Python do with values: they bind names, or have something run."""

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lockgate.inspect.inspectors.python_constants import fits
from lockgate.inspect.inspectors.python_known import UNKNOWN, Value, named

if TYPE_CHECKING:
    from lockgate.inspect.inspectors.python_values import Reader

_TURNS = 2000
_FEW = 3
"""Statements of a loop over constants that is followed turn by turn."""
_GUARDS = frozenset({"__name__", "TYPE_CHECKING"})


def _assign(reader: "Reader", node: ast.Assign) -> None:
    value = reader.value(node.value)
    for target in node.targets:
        reader.assign(target, value)


def _annotated(reader: "Reader", node: ast.AnnAssign) -> None:
    if node.value is not None:
        reader.assign(node.target, reader.value(node.value))


def _added(reader: "Reader", node: ast.AugAssign) -> None:
    old = reader.value(node.target) if isinstance(node.target, ast.Name) else UNKNOWN
    made = reader.combined(type(node.op).__name__, old, reader.value(node.value))
    reader.assign(node.target, made, add=not isinstance(node.target, ast.Name))


def _expression(reader: "Reader", node: ast.Expr) -> None:
    reader.value(node.value)


def _returned(reader: "Reader", node: ast.Return) -> None:
    if node.value is not None:
        reader.gave(reader.value(node.value))


def _if(reader: "Reader", node: ast.If) -> None:
    reader.value(node.test)
    acts = reader.acts
    names = (
        {item.id for item in ast.walk(node.test) if isinstance(item, ast.Name)} if not reader.where else set()
    )
    reader.acts = acts and not names & _GUARDS
    reader.body(node.body)
    reader.acts = acts
    reader.body(node.orelse)


def _for(reader: "Reader", node: ast.For | ast.AsyncFor) -> None:
    source = reader.value(node.iter)
    known = source.const
    simple = len(node.body) <= _FEW and all(
        isinstance(item, ast.Assign | ast.AugAssign | ast.Expr) for item in node.body
    )
    if isinstance(known, str | bytes | tuple) and len(known) <= _TURNS and simple:
        for part in known:
            reader.assign(node.target, Value(fits(part), marks=source.marks))
            reader.body(node.body)
        return
    reader.assign(node.target, reader.element(source))
    reader.loops += 1
    reader.body(node.body)
    reader.loops -= 1
    reader.body(node.orelse)


def _while(reader: "Reader", node: ast.While) -> None:
    reader.value(node.test)
    reader.loops += 1
    reader.body(node.body)
    reader.loops -= 1
    reader.body(node.orelse)


def _with(reader: "Reader", node: ast.With | ast.AsyncWith) -> None:
    for item in node.items:
        value = reader.value(item.context_expr)
        if item.optional_vars is not None:
            reader.assign(item.optional_vars, value)
    reader.body(node.body)


def _try(reader: "Reader", node: ast.Try) -> None:
    reader.body(node.body)
    for handler in node.handlers:
        reader.body(handler.body)
    reader.body(node.orelse)
    reader.body(node.finalbody)


def _function(reader: "Reader", node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    for default, argument in zip(reversed(node.args.defaults), reversed(node.args.args), strict=False):
        key = (_name(reader, node.name), argument.arg)
        reader.known.setdefault(key, reader.value(default))
    for decorator in node.decorator_list:
        value = reader.value(decorator)
        own = _name(reader, node.name)
        reader.act(value.name)
        if value.name.startswith("atexit."):
            reader.act(own)
        if value.name in {"builtins.exec", "builtins.eval"}:
            reader.decorated(decorator, value, own)


def _name(reader: "Reader", name: str) -> str:
    found = reader.known.get((reader.where, name), UNKNOWN).name
    return found if found.startswith(".") else f"{reader.where}.{name}"


def _class(reader: "Reader", node: ast.ClassDef) -> None:
    own = _name(reader, node.name)
    for decorator in node.decorator_list:
        reader.act(reader.value(decorator).name)
    for word in node.keywords:
        if word.arg == "metaclass":
            reader.act(reader.value(word.value).name)
    for item in node.body:
        if isinstance(item, ast.Assign | ast.AnnAssign):
            _own_attribute(reader, own, item)
        elif not isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            reader.body([item])
    bases = [reader.value(base).name for base in node.bases]
    for base in bases:
        if f"{base}.__init_subclass__" in reader.functions:
            reader.act(base)


def _own_attribute(reader: "Reader", own: str, item: ast.Assign | ast.AnnAssign) -> None:
    value = reader.value(item.value)
    for target in item.targets if isinstance(item, ast.Assign) else [item.target]:
        if isinstance(target, ast.Name):
            reader.keep((own, target.id), value)


def _import(reader: "Reader", node: ast.Import) -> None:
    for item in node.names:
        if item.asname:
            reader.keep((reader.where, item.asname), named(item.name))
        else:
            first = item.name.partition(".")[0]
            reader.keep((reader.where, first), named(first))


def _import_from(reader: "Reader", node: ast.ImportFrom) -> None:
    for item in node.names:
        name = named(f"{node.module}.{item.name}") if node.module and not node.level else UNKNOWN
        reader.keep((reader.where, item.asname or item.name), name)


def _global(reader: "Reader", node: ast.Global | ast.Nonlocal) -> None:
    if isinstance(node, ast.Global):
        reader.shared.update((reader.where, name) for name in node.names)


def _raised(reader: "Reader", node: ast.Raise | ast.Assert | ast.Delete) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            reader.value(child)


def _match(reader: "Reader", node: ast.Match) -> None:
    reader.value(node.subject)
    for case in node.cases:
        reader.body(case.body)


STATEMENTS: dict[type[ast.AST], Callable[["Reader", Any], None]] = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _added,
    ast.Expr: _expression,
    ast.Return: _returned,
    ast.If: _if,
    ast.For: _for,
    ast.AsyncFor: _for,
    ast.While: _while,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
    ast.Import: _import,
    ast.ImportFrom: _import_from,
    ast.Global: _global,
    ast.Nonlocal: _global,
    ast.Raise: _raised,
    ast.Assert: _raised,
    ast.Delete: _raised,
    ast.Match: _match,
}
