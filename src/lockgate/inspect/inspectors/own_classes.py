"""The classes that a wheel's own source defines: its data may be pickles of them.

Whoever may put a pickle of ``package.module.Name`` into a wheel wrote ``package/module.py`` as well, so the
pickle can do no more than that class does. What the module only imports is not its own, however it is named
there: a pickle must not reach ``subprocess.Popen`` by way of a module that uses it.
"""

import re
import sys
from dataclasses import replace
from functools import cache

from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.inspectors.unpacking import unpack
from lockgate.inspect.inspectors.zip_walk import Entry
from lockgate.inspect.limits import Budget
from lockgate.inspect.tally import Context

_CLASS = re.compile(rb"^class[ \t]+([A-Za-z_][A-Za-z0-9_]*)[ \t]*[(:\[]", re.MULTILINE)
_NAME = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*){0,12})\.(?P<name>[A-Z_]\w{0,80})", re.ASCII)
_FOREIGN = sys.stdlib_module_names | {"__builtin__", "__builtins__", "copy_reg", "cPickle"}
_MODULES = 200
_SOURCE_BYTES = 4 << 20


class OwnClasses:
    """Tells whether a global is a class that a module of this wheel defines at its top."""

    def __init__(self, data: memoryview, found: list[Entry], context: Context) -> None:
        """Look into `found`, the members of the wheel `data`, when something is asked."""
        self._data = data
        self._sources = {entry.name: entry for entry in found if entry.name.endswith(".py")}
        # Looking again counts against a budget of its own: it must not depend on how often something asks.
        self._context = replace(context, budget=Budget(context.limits))
        self._of = cache(self._classes)
        self._asked = 0

    def __call__(self, name: str) -> bool:
        """Return whether ``module.Name`` is a class of the wheel."""
        found = _NAME.fullmatch(name)
        if not found or found["module"].split(".", 1)[0] in _FOREIGN:
            return False
        return found["name"].encode() in self._of(found["module"])

    def _classes(self, module: str) -> frozenset[bytes]:
        self._asked += 1
        path = module.replace(".", "/")
        entry = self._sources.get(f"{path}.py") or self._sources.get(f"{path}/__init__.py")
        if entry is None or entry.size > _SOURCE_BYTES or self._asked > _MODULES:
            return frozenset()
        try:
            source = unpack(self._data, entry, self._context)
        except (BrokenContentError, OverLimitError):
            return frozenset()
        return frozenset(_CLASS.findall(bytes(source)))
