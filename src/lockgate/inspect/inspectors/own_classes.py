"""The classes that a wheel's own source defines: its data may be pickles of them.

Whoever may put a pickle of ``package.module.Name`` into a wheel wrote ``package/module.py`` as well, so the
pickle can do no more than that class does. What the module only imports is its own where it comes from
another module of the wheel that defines it, and never else: a pickle must not reach ``subprocess.Popen`` by
way of a module that uses it. A module that is compiled is the wheel's own, too; what it names cannot be read,
but for the full names that sources in C give their classes.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property

from lockgate.inspect.errors import BrokenContentError, OverLimitError

Source = Callable[[], memoryview | bytes]
"""Reads a member of a package."""

_NAME = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*){0,12})\.(?P<name>[A-Za-z_]\w{0,80})", re.ASCII)
_COMPILED = re.compile(r"(?P<path>[\w/]+)(?:\.(?:cpython-|abi3)[\w-]{0,60})?\.(?:so|pyd|pyx|c)", re.ASCII)
_C_SOURCES = (".c", ".h", ".cc", ".cpp", ".hpp")
_FOREIGN = sys.stdlib_module_names | {"__builtin__", "__builtins__", "copy_reg", "cPickle"}
_MODULES = 200
_HOPS = 4
"""How many modules a name is followed through to the one that defines it."""
SOURCE_BYTES = 4 << 20
"""Longest source that is looked into."""


class OwnClasses:
    """Tells whether a global is a class that a module of this package defines at its top."""

    def __init__(self, members: Callable[[], Mapping[str, Source]]) -> None:
        """Ask for the members, by their places below the folder of imports, when they are needed."""
        self._list = members
        self._known: dict[str, dict[str, str]] = {}  # no cache made for each wheel: most ask nothing
        self._asked = 0

    @cached_property
    def _members(self) -> Mapping[str, Source]:
        return self._list()

    @cached_property
    def _compiled(self) -> set[str]:
        matches = map(_COMPILED.fullmatch, self._members)
        return {match["path"].replace("/", ".") for match in matches if match}

    def __call__(self, name: str) -> bool:
        """Return whether ``module.Name`` is a class of the wheel."""
        found = _NAME.fullmatch(name)
        return found is not None and self._defines(found["module"], found["name"], _HOPS)

    def _defines(self, module: str, name: str, hops: int) -> bool:
        if not hops or module.split(".", 1)[0] in _FOREIGN:
            return False
        if not self._place(module):
            return module in self._compiled and (not name[0].islower() or self._written(module, name))
        where = self._of(module).get(name)
        if not where:
            return where is not None
        origin, _, original = where.rpartition(".")
        return self._defines(origin, original, hops - 1)

    def _written(self, module: str, name: str) -> bool:
        """Return whether a source in C names a class so (`tp_name`); in small letters it may be anything."""
        wanted, top = f'"{module}.{name}"'.encode("ascii"), module.split(".", 1)[0] + "/"
        places = [place for place in self._members if place.startswith(top) and place.endswith(_C_SOURCES)]
        try:
            return any(wanted in bytes(self._members[place]()) for place in places[:_MODULES])
        except (BrokenContentError, OverLimitError):
            return False

    def _place(self, module: str) -> str:
        path = module.replace(".", "/")
        return next((place for place in (f"{path}.py", f"{path}/__init__.py") if place in self._members), "")

    def _of(self, module: str) -> dict[str, str]:
        if module not in self._known:
            self._known[module] = self._names(module)
        return self._known[module]

    def _names(self, module: str) -> dict[str, str]:
        """Return the names of a module: nothing for a class of its own, else the place that it comes from."""
        self._asked += 1
        place = self._place(module)
        if self._asked > _MODULES:
            return {}
        try:
            tree = ast.parse(bytes(self._members[place]()))
        except (BrokenContentError, OverLimitError, SyntaxError, ValueError, RecursionError, MemoryError):
            return {}
        return bound(tree, module, package=place.endswith("/__init__.py"))


def bound(tree: ast.Module, module: str, *, package: bool) -> dict[str, str]:
    """Return the classes that a module defines or imports at its top, each bound once and nowhere else.

    Args:
        tree: The module's source.
        module: Its name.
        package: Whether it is a package's ``__init__``, from which relative names count otherwise.

    """
    out: dict[str, str] = {}
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            out[statement.name] = ""
        elif isinstance(statement, ast.ImportFrom):
            base = _absolute(statement, module, package=package)
            out |= {alias.asname or alias.name: f"{base}.{alias.name}" for alias in statement.names}
    times = Counter(name for node in ast.walk(tree) for name in _binds(node))
    return {name: where for name, where in out.items() if times[name] == 1}


def _binds(node: ast.AST) -> list[str | None]:
    """Return the names that a node binds or removes; a function may do so for its module."""
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.split(".", 1)[0] for alias in node.names]
    if isinstance(node, ast.MatchMapping):
        return [node.rest]
    named = (
        ast.ClassDef
        | ast.FunctionDef
        | ast.AsyncFunctionDef
        | ast.ExceptHandler
        | ast.MatchAs
        | ast.MatchStar
    )
    return [node.name] if isinstance(node, named) else []


def _absolute(statement: ast.ImportFrom, module: str, *, package: bool) -> str:
    if not statement.level:
        return statement.module or ""
    parts = module.split(".")
    kept = parts[: len(parts) - statement.level + package]
    return ".".join([*kept, *([statement.module] if statement.module else [])])
