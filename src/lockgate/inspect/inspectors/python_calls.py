"""What a call in Python source gives back, and what it does to the values that it is given."""

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from lockgate.inspect.inspectors import python_constants as constants
from lockgate.inspect.inspectors import python_places as places
from lockgate.inspect.inspectors.python_files import FILES, opened
from lockgate.inspect.inspectors.python_known import UNKNOWN, Call, Value, named
from lockgate.inspect.inspectors.python_places import HOLE, NOTHING, ORIGIN, SENT, Mark

if TYPE_CHECKING:
    from lockgate.inspect.inspectors.python_values import Reader

_CHANGES = frozenset(
    {"append", "add", "update", "extend", "insert", "setdefault", "write", "writestr", "put", "writelines"}
)
_FORGET_WORDS = """
builtins.len builtins.isinstance builtins.bool builtins.hasattr builtins.type builtins.id builtins.print
builtins.any builtins.all builtins.callable os.path.exists os.path.isfile os.path.isdir os.path.getsize
os.makedirs os.mkdir re.compile os.stat os.chmod
"""
_FORGETS = frozenset(_FORGET_WORDS.split())
_FORGOTTEN = ("hashlib.", "logging.", "warnings.", "re.match", "re.fullmatch")
_SAME = frozenset({
    "os.path.abspath", "os.path.realpath", "os.path.normpath", "os.fspath", "builtins.str", "builtins.repr",
    "os.path.expandvars", "builtins.list", "builtins.sorted", "builtins.set", "builtins.dict", "json.dumps",
    "builtins.open", "os.path.dirname",
})  # fmt: skip
_PATH_WRITES = frozenset({"pathlib.Path().write_text", "pathlib.Path().write_bytes"})
_COPIES = frozenset(
    {
        "shutil.copy",
        "shutil.copy2",
        "shutil.copyfile",
        "shutil.copytree",
        "shutil.move",
        "os.rename",
        "os.replace",
    }
)
_SAVES = frozenset({"save", "tofile", "storbinary", "dump", "copyfileobj", "readinto"})
_TEXT_RUNNERS = frozenset({"builtins.map", "builtins.filter"})
_BASE_TEN = 10
_RIGHTS = 0x40


def called(reader: "Reader", call: Call, target: Value) -> Value:
    """Return what a call gives back; keep what it does to what it is given."""
    name = call.name
    for value in call.every():
        if value.name.startswith(".") and not value.name.endswith(")"):
            reader.act(value.name)
    if name.startswith("."):
        return _own(reader, call, target)
    if call.base.const is not None and not name.startswith(("pathlib.", "builtins.open")):
        return _method(call, target)
    special = _SPECIAL.get(name)
    if special:
        return special(reader, call)
    if name in _FORGETS or name.startswith(_FORGOTTEN):
        return UNKNOWN
    if (name.startswith("builtins.") and "()" not in name) or name in places.DECODES:
        return _made(reader, call)
    _change(reader, call)
    return _foreign(reader, call, target)


def _own(reader: "Reader", call: Call, target: Value) -> Value:
    name = call.name
    if name in reader.classes:
        start = next(
            (f"{each}.__init__" for each in reader.line(name) if f"{each}.__init__" in reader.functions), ""
        )
        _give(reader, start, call, 1)
        reader.act(name)
        return Value(name=f"{name}()")
    if name.removesuffix("()") in reader.classes:
        name = f"{name.removesuffix('()')}.__call__"
    if name in reader.lambdas:
        where, written = reader.lambdas[name]
        for argument, value in zip(written.args.args, call.given, strict=False):
            reader.given((where, argument.arg), value)
        return reader.value(written.body)
    function = reader.functions.get(name)
    if function is None or name in reader.passed:
        return Value(marks=target.marks | call.marks())
    plain = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in function.decorator_list)
    _give(reader, name, call, 0 if plain or not reader.class_of(name) else 1)
    reader.act(name)
    return reader.returned.get(name, UNKNOWN)


def _give(reader: "Reader", name: str, call: Call, skipped: int) -> None:
    """Let the parameters of a function of the source stand for what they are given as well."""
    function = reader.functions.get(name)
    if function is None:
        return
    said = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)][skipped:]
    pairs = [*zip(said, call.given, strict=False), *call.words.items()]
    known = {*said, *(argument.arg for argument in function.args.kwonlyargs)}
    for parameter, value in pairs:
        if parameter in known:
            reader.given((name, parameter), value)


def _method(call: Call, target: Value) -> Value:
    """Return what a method of a text that is known makes."""
    last = call.node.func.attr if isinstance(call.node.func, ast.Attribute) else ""
    const = constants.method(call.base.const, last, tuple(value.const for value in call.given))
    marks = call.base.marks | call.marks()
    if last in {"join", "replace", "format", "translate", "swapcase"} and const is not None:
        marks |= Mark.BUILT
    return Value(const, marks=marks | target.marks, keys=call.base.keys)


def _made(reader: "Reader", call: Call) -> Value:
    """Return what a function of Python's own makes, or one that decodes."""
    name, marks, first = call.name, call.marks(), call.first()
    if name in _TEXT_RUNNERS and len(call.given) > 1:
        return _mapped(reader, call)
    const = constants.made(name, tuple(value.const for value in call.given))
    decodes = name in places.DECODES and bool(marks & ORIGIN)
    if name in {"builtins.chr", "builtins.bytes", "builtins.bytearray"} and (
        first.const is None or not isinstance(first.const, str)
    ):
        decodes = decodes or isinstance(first.const, int) or constants.numbers(first.const) or _numbered(call)
    if name == "builtins.int" and len(call.given) > 1:
        decodes = bool(marks & ORIGIN) and call.given[1].const != _BASE_TEN
    if name == "builtins.reversed" and marks & Mark.WRITTEN and isinstance(first.const, str | bytes):
        decodes = True
    if decodes:
        marks |= Mark.DECODED | Mark.BUILT
    if (
        name == "codecs.decode"
        and len(call.given) > 1
        and call.given[1].const in {"utf-8", "utf8", "ascii", "latin1"}
    ):
        marks = call.marks()
    kept = name if const is None and name not in _SAME else ""
    return Value(
        const,
        f"{kept}()" if kept else first.name if name in {"builtins.list", "builtins.iter"} else "",
        marks,
        first.keys,
    )


def _numbered(call: Call) -> bool:
    """Return whether bytes are made of numbers that were counted or altered."""
    made = call.node.args[0] if call.node.args else None
    if isinstance(made, ast.GeneratorExp | ast.ListComp):
        made = made.elt
    return isinstance(made, ast.BinOp) and isinstance(made.op, ast.BitXor)


def _mapped(reader: "Reader", call: Call) -> Value:
    function, source = call.given[0], call.given[1]
    marks = source.marks | function.marks
    if function.name in {"builtins.exec", "builtins.eval"}:
        reader.met(reader, replace(call, name=function.name, given=(source,)))
    if function.name == "builtins.chr" and (source.const is not None or marks & ORIGIN):
        marks |= Mark.DECODED | Mark.BUILT
    if isinstance(source.const, tuple | bytes) and len(source.const) <= constants.MOST:
        parts = [constants.made(function.name, (part,)) for part in source.const]
        if parts and all(part is not None for part in parts):
            return Value(constants.fits(parts), marks=marks)
    if function.name in reader.functions:
        arguments = reader.functions[function.name].args.args[:1]
        for argument in arguments:
            reader.given((function.name, argument.arg), Value(marks=source.marks))
        return Value(marks=marks | reader.returned.get(function.name, UNKNOWN).marks)
    return Value(marks=marks)


def _change(reader: "Reader", call: Call) -> None:
    """Keep what a call writes into the object that it is called on, or into what it is given."""
    node, name, marks = call.node, call.name, call.marks()
    last = node.func.attr if isinstance(node.func, ast.Attribute) else name.rpartition(".")[2]
    if last in _CHANGES and isinstance(node.func, ast.Attribute):
        if last in {"write", "add"} and name.startswith(("zipfile.", "tarfile.")):
            marks |= opened(marks)
        gained = marks & (SENT | Mark.READ_KEYS | Mark.KEPT | Mark.KEYS | Mark.WALKED | Mark.FACTS | ORIGIN)
        file = call.base.keys or call.base.name.startswith(("builtins.open", "tempfile."))
        if (marks & Mark.NET or _hidden(marks)) and (file or name in _PATH_WRITES):
            gained = gained & ~Mark.NET | Mark.FETCHED
        reader.gain(node.func.value, gained, call.base.keys)
    elif (
        name in _PATH_WRITES and (marks & Mark.NET or _hidden(marks)) and isinstance(node.func, ast.Attribute)
    ):
        reader.gain(node.func.value, Mark.FETCHED, ())
    elif last == "urlretrieve" and len(node.args) > 1:
        reader.gain(node.args[1], Mark.FETCHED, ())
    elif name in _COPIES and len(node.args) > 1:
        reader.gain(node.args[1], call.given[0].marks & (Mark.KEPT | Mark.KEYS | Mark.FETCHED), ())
    elif last in _SAVES and node.args:
        written = call.given[1] if last == "copyfileobj" and len(call.given) > 1 else call.first()
        target = node.args[1] if last == "copyfileobj" and len(node.args) > 1 else node.args[0]
        taken = (call.base.marks | marks) & (SENT | Mark.READ_KEYS)
        reader.gain(target, taken | (Mark.FETCHED if marks & Mark.NET else NOTHING), written.keys)


def _source(call: Call, last: str, marks: Mark) -> Value | None:
    """Return what comes from outside of the program by a call, if anything does."""
    name = call.name
    if name in places.FACTS:
        return Value(name=f"{name}()", marks=Mark.FACTS)
    if name in places.CLIPS or last == "clipboard_get":
        return Value(marks=Mark.CLIP)
    if name in places.SCREENS:
        return Value(name=f"{name}()", marks=Mark.SCREEN)
    if name in places.ASIDES:
        return Value(name=f"{name}()", marks=marks | Mark.ASIDE)
    if name in places.RESOURCES and any(_pictured(value) for value in call.every()):
        return Value(marks=Mark.PICTURE | Mark.FILE)
    return _asked(call, marks) if name.startswith(places.NETS) else None


def _hidden(marks: Mark) -> bool:
    """Return whether something was decoded that stands in the source or lies behind a picture."""
    return bool(marks & Mark.DECODED and marks & (Mark.WRITTEN | Mark.PICTURE))


def _foreign(reader: "Reader", call: Call, target: Value) -> Value:
    name = call.name
    last = name.rpartition(".")[2]
    marks = call.base.marks | call.marks()
    if (source := _source(call, last, marks)) is not None:
        return source
    if last == "get_credentials" and name.startswith(("boto3.", "botocore.")):
        marks |= Mark.READ_KEYS
    if name in places.PROCESSES and places.KEEPERS.search(call.said()):
        marks |= Mark.READ
    if last == "decrypt" and name.startswith(places.CIPHERS) and marks & ORIGIN:
        marks |= Mark.DECODED
    if (last.startswith("VirtualAlloc") and any(v.const == _RIGHTS for v in call.given)) or _mapped_to_run(
        call
    ):
        marks |= Mark.MEMORY
    path = name.startswith("pathlib.Path()") and last in {
        "resolve",
        "absolute",
        "expanduser",
        "with_suffix",
        "with_name",
    }
    if path:
        return reader.placed(replace(call.base, name="pathlib.Path()"))
    marks |= target.marks
    return replace(named(f"{name}()" if name else ""), marks=marks, keys=call.base.keys or call.first().keys)


def _pictured(value: Value) -> bool:
    return isinstance(value.const, str) and bool(places.PICTURES.search(value.const))


def _mapped_to_run(call: Call) -> bool:
    if call.name != "mmap.mmap":
        return False
    return any(
        isinstance(item, ast.Attribute) and item.attr == "PROT_EXEC"
        for word in call.node.keywords + [ast.keyword(None, each) for each in call.node.args]
        for item in ast.walk(word.value)
    )


def _asked(call: Call, marks: Mark) -> Value:
    """Return what a call of a module for the network gives back."""
    last = call.name.rpartition(".")[2]
    if last in places.ASKS:
        found = Mark.NET
        if any(value.marks & Mark.KEYS for value in call.every()):
            found |= Mark.READ_KEYS | Mark.READ
        return replace(named(f"{call.name}()"), marks=found)
    if last == "Request":
        marks = marks & ~Mark.READ_KEYS | call.told() & Mark.READ_KEYS
    return replace(named(f"{call.name}()"), marks=marks | (Mark.SOCKET if last == "socket" else NOTHING))


def _import(reader: "Reader", call: Call) -> Value:
    first = call.first()
    del reader
    if not isinstance(first.const, str) or HOLE in first.const:
        return Value(marks=first.marks & Mark.NET)
    return replace(named(first.const.partition(".")[0] if call.name.endswith("__") else first.const),
                   marks=first.marks & (Mark.BUILT | Mark.DECODED))  # fmt: skip


def _getattr(reader: "Reader", call: Call) -> Value:
    if len(call.given) < 2 or not isinstance(call.given[1].const, str):  # noqa: PLR2004  # an object and a name
        return Value(marks=call.marks())
    found = reader.part(call.given[0], call.given[1].const)
    return replace(found, marks=found.marks | call.given[1].marks & (Mark.BUILT | Mark.DECODED))


def _names(reader: "Reader", call: Call) -> Value:
    del reader
    if call.name == "builtins.vars" and call.given:
        owner = call.given[0].name
        return Value(name=owner if owner == "builtins" else f"{owner}.__dict__" if owner else "")
    return Value(name="builtins.globals()")


def _looked_up(reader: "Reader", call: Call) -> Value:
    found = reader.looked_up(call.base, call.first()) if isinstance(call.first().const, str) else None
    return found or UNKNOWN


def _setting(reader: "Reader", call: Call) -> Value:
    return reader.setting(call.first())


def _evaluated(reader: "Reader", call: Call) -> Value:
    first = call.first()
    if isinstance(first.const, str) and first.const.isidentifier():
        found = reader.value(ast.Name(first.const, ast.Load()))
        return replace(found, marks=found.marks | first.marks & (Mark.BUILT | Mark.DECODED))
    return Value(marks=first.marks & ~Mark.DECODED)


def _compiled(reader: "Reader", call: Call) -> Value:
    del reader
    return Value(call.first().const, marks=call.first().marks)


_Special = Callable[["Reader", Call], Value]
_SPECIAL: dict[str, _Special] = {
    "builtins.__import__": _import,
    "importlib.import_module": _import,
    "importlib.__import__": _import,
    "builtins.getattr": _getattr,
    "inspect.getattr_static": _getattr,
    "builtins.globals": _names,
    "builtins.locals": _names,
    "builtins.vars": _names,
    "builtins.get": _looked_up,
    "builtins.__getitem__": _looked_up,
    "builtins.globals().get": _looked_up,
    "builtins.globals().__getitem__": _looked_up,
    "os.environ.get": _setting,
    "os.environ.pop": _setting,
    "os.environ.setdefault": _setting,
    "os.getenv": _setting,
    "builtins.eval": _evaluated,
    "builtins.compile": _compiled,
    **FILES,
}
